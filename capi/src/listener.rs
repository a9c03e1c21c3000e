//! Listeners, before a server has them.

use std::ffi::{c_char, c_int};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use countersign::{Access, Limits, ListenerConfig, Networks, ServerConfig};

use crate::limits::{CS_NEVER, cs_limits, read_limits};
use crate::pointers::{make, push, release, set, shared, text};
use crate::session_config::cs_session_config;
use crate::status::{CallError, cs_failure, cs_status, run};

/// Where and how a server listens: a description, from which cs_server_new() binds. It may make
/// several servers, and may be freed when they are made.
pub struct cs_listener {
    config: Arc<ServerConfig>,
    name: Option<String>,
    limits: Limits,
    access: Access,
    proxies: Networks,
    unix_mode: u32,
    reuses_port: bool,
    is_ipv6_only: bool,
    keepalive: Option<Duration>,
    places: Vec<Place>,
}

/// Where connections come from.
enum Place {
    Address(String),
    Socket(OwnedFd),
}

impl cs_listener {
    fn new(config: ServerConfig) -> Self {
        Self {
            config: Arc::new(config),
            name: None,
            limits: Limits::default(),
            access: Access::default(),
            proxies: Networks::default(),
            unix_mode: 0o600,
            reuses_port: false,
            is_ipv6_only: false,
            keepalive: Some(Duration::from_secs(60)),
            places: Vec::new(),
        }
    }

    /// Binds it.
    pub(crate) fn open(&self) -> Result<ListenerConfig, CallError> {
        let mut listener = ListenerConfig::new(Arc::clone(&self.config))
            .with_limits(self.limits.clone())
            .with_access(self.access.clone())
            .with_proxies(self.proxies.clone())
            .with_unix_mode(self.unix_mode)
            .with_reuse_port(self.reuses_port)
            .with_ipv6_only(self.is_ipv6_only)
            .with_keepalive(self.keepalive);
        if let Some(name) = &self.name {
            listener = listener.with_name(name);
        }
        for place in &self.places {
            listener = match place {
                Place::Address(address) => listener.bind(address.as_str())?,
                Place::Socket(socket) => listener.with_socket(socket.try_clone()?),
            };
        }
        Ok(listener)
    }
}

/// The lists of networks that C names; NULL is the empty one.
///
/// # Safety
///
/// It is null or a text.
unsafe fn networks(list: *const c_char) -> Result<Networks, CallError> {
    if list.is_null() {
        return Ok(Networks::default());
    }
    // SAFETY: the caller says so.
    Ok(unsafe { text(list) }?.parse()?)
}

/// The access lists that C names.
///
/// # Safety
///
/// Both are null or texts.
pub(crate) unsafe fn access(
    allow: *const c_char,
    deny: *const c_char,
) -> Result<Access, CallError> {
    // SAFETY: the caller says so.
    unsafe { Ok(Access { allow: networks(allow)?, deny: networks(deny)? }) }
}

/// Makes a listener that speaks this, with the default limits. Say where it listens.
///
/// On success, *listener is yours to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_new(
    config: *const cs_session_config,
    listener: *mut *mut cs_listener,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody changes, and the other
    // two are places to write to.
    unsafe { run(why, || make(listener, || Ok(cs_listener::new(shared(config)?.server()?)))) }
}

/// Adds an address: "127.0.0.1:9527", `[::]:9527`, "localhost:9527", or a Unix socket,
/// "unix:/run/garden.sock". Port 0 is any free port: see cs_server_address().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_add_address(
    listener: *mut cs_listener,
    address: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, the address a text,
    // and `why` a place to write to.
    unsafe {
        push(
            listener,
            why,
            |listener| &mut listener.places,
            || Ok(Place::Address(text(address)?.to_owned())),
        )
    }
}

/// Adds a socket that is bound and listening already: from a supervisor, or from before privileges
/// were dropped. The library duplicates the descriptor; yours stays yours to close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_add_socket(
    listener: *mut cs_listener,
    descriptor: c_int,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, and `why` a place
    // to write to.
    unsafe {
        push(
            listener,
            why,
            |listener| &mut listener.places,
            || Ok(Place::Socket(duplicate(descriptor)?)),
        )
    }
}

/// A duplicate of a descriptor.
///
/// # Safety
///
/// If it is open, nobody closes it meanwhile.
pub(crate) unsafe fn duplicate(descriptor: RawFd) -> Result<OwnedFd, CallError> {
    if descriptor < 0 {
        return Err(CallError::argument("a descriptor is negative"));
    }
    // SAFETY: it isn't -1. If it is not open, the system says so.
    Ok(unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()?)
}

/// Sets the name, for the log and statistics. The default is the first address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_name(
    listener: *mut cs_listener,
    name: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, the name a text,
    // and `why` a place to write to.
    unsafe {
        set(listener, why, |listener| &mut listener.name, || Ok(Some(text(name)?.to_owned())))
    }
}

/// Sets the limits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_limits(
    listener: *mut cs_listener,
    limits: *const cs_limits,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, the limits are of
    // the size that they say, and `why` is a place to write to.
    unsafe { set(listener, why, |listener| &mut listener.limits, || read_limits(limits)) }
}

/// Sets which networks may connect: lists such as "10.0.0.0/8,2001:db8::/32,unix". `deny` beats
/// `allow`. NULL is a list of none, and then all may connect; an empty text is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_access(
    listener: *mut cs_listener,
    allow: *const c_char,
    deny: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, the lists are texts
    // or null, and `why` is a place to write to.
    unsafe { set(listener, why, |listener| &mut listener.access, || access(allow, deny)) }
}

/// Sets the load balancers that all connections must come through: a list of networks. Each
/// connection then begins with a header of the PROXY protocol. With NULL, clients connect directly.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_proxies(
    listener: *mut cs_listener,
    from: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, the list is a text
    // or null, and `why` is a place to write to.
    unsafe { set(listener, why, |listener| &mut listener.proxies, || networks(from)) }
}

/// Sets the mode of the files of Unix sockets: who may write to the file may connect. The default
/// is 0600.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_unix_mode(
    listener: *mut cs_listener,
    mode: u32,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, and `why` a place
    // to write to.
    unsafe { set(listener, why, |listener| &mut listener.unix_mode, || Ok(mode)) }
}

/// Sets whether other sockets of the same user may listen at the same address and port
/// (SO_REUSEPORT). By default they may not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_reuse_port(
    listener: *mut cs_listener,
    reuses_port: bool,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, and `why` a place
    // to write to.
    unsafe { set(listener, why, |listener| &mut listener.reuses_port, || Ok(reuses_port)) }
}

/// Sets whether `[::]` accepts IPv6 only. By default it accepts IPv4 too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_ipv6_only(
    listener: *mut cs_listener,
    is_ipv6_only: bool,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the listener is one of ours that nobody else uses, and `why` a place
    // to write to.
    unsafe { set(listener, why, |listener| &mut listener.is_ipv6_only, || Ok(is_ipv6_only)) }
}

/// Sets after how many milliseconds of silence the system probes whether a TCP peer is still there;
/// CS_NEVER is never. The default is a minute.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_set_keepalive(
    listener: *mut cs_listener,
    milliseconds: u64,
    why: *mut cs_failure,
) -> cs_status {
    let after = (milliseconds != CS_NEVER).then(|| Duration::from_millis(milliseconds));
    // SAFETY: by the header, the listener is one of ours that nobody else uses, and `why` a place
    // to write to.
    unsafe { set(listener, why, |listener| &mut listener.keepalive, || Ok(after)) }
}

/// Frees a listener. NULL is allowed. Servers that were made from it are not touched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_listener_free(listener: *mut cs_listener) {
    // SAFETY: by the header, it is one of ours that nobody uses any more, or null.
    unsafe { release(listener) };
}
