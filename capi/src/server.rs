//! The server.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::slice;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::{Handle, ListenerId, PeerId, Server, ServerBuilder, clock};

use crate::handle::{PendingKeys, cs_handle};
use crate::keys::cs_keys;
use crate::limits::{cs_limits, read_limits};
use crate::listener::{access, cs_listener, duplicate};
use crate::pointers::{bytes, make, put, release, shared};
use crate::service::{Callbacks, cs_service};
use crate::status::{CallError, cs_failure, cs_status, enter, run, value};
use crate::text_buffer::fill;

/// A server: listeners, connections and a service, in the thread that calls it.
///
/// It may be called by any thread, but only by one at a time, and not from its own callbacks: such
/// a call does nothing and returns CS_ERR_REENTRANT.
pub struct cs_server {
    inner: Mutex<Inner>,
    /// The poll's descriptor, which stays the same.
    descriptor: c_int,
    handle: Handle,
    pending: Arc<PendingKeys>,
}

/// What one call at a time may use.
pub(crate) struct Inner {
    pub(crate) server: Server<Callbacks>,
    pending: Arc<PendingKeys>,
}

impl Inner {
    pub(crate) fn listener(&self, place: usize) -> Result<ListenerId, CallError> {
        let listener = self.server.listeners().get(place);
        let unknown = || CallError::argument("the server has no such listener");
        listener.map(|listener| listener.id()).ok_or_else(unknown)
    }

    fn turn(&mut self, wait: Option<Duration>) -> Result<(), CallError> {
        self.update()?;
        self.server.turn(wait)?;
        // The wait may have ended for an update.
        self.update()
    }

    /// Does what was asked for by a handle.
    fn update(&mut self) -> Result<(), CallError> {
        for (listener, update) in self.pending.take() {
            let listener = self.listener(listener)?;
            self.server.replace_keys(listener, update.keys)?;
            if update.closes_revoked {
                self.server.close_revoked();
            }
        }
        Ok(())
    }
}

impl cs_server {
    fn new(builder: ServerBuilder, service: Callbacks) -> Result<Self, CallError> {
        use std::os::fd::AsRawFd as _;
        let server = builder.serve(service)?;
        let pending = Arc::new(PendingKeys::new(server.listeners().len()));
        let (descriptor, handle) = (server.as_raw_fd(), server.handle());
        let inner = Mutex::new(Inner { server, pending: Arc::clone(&pending) });
        Ok(Self { inner, descriptor, handle, pending })
    }
}

/// Uses a server for one call.
///
/// # Safety
///
/// It is null, or one of ours that is not freed meanwhile.
pub(crate) unsafe fn with<R>(
    server: *const cs_server,
    call: impl FnOnce(&mut Inner) -> Result<R, CallError>,
) -> Result<R, CallError> {
    // SAFETY: the caller says so.
    let server = unsafe { shared(server) }?;
    call(&mut *enter(&server.inner)?)
}

/// Makes a server from an array of `count` listeners, and binds them: it accepts connections from
/// its first turn on. A listener is named by its place in the array, from 0.
///
/// The array, the listeners and the struct `service` are only read, and may be freed afterwards;
/// what `service` points to is used until the server is freed. On success, *server is yours to
/// free. On failure, it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_new(
    listeners: *const *const cs_listener,
    count: usize,
    service: *const cs_service,
    server: *mut *mut cs_server,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the array has so many listeners of ours that nobody changes, the
    // service is of the size that it says, with functions that can be called, and the other two are
    // places to write to.
    unsafe {
        run(why, || {
            make(server, || {
                let service = Callbacks::new(service)?;
                let mut builder = ServerBuilder::new();
                if count > 0 {
                    for listener in slice::from_raw_parts(shared(listeners)?, count) {
                        builder.listen(shared(*listener)?.open()?)?;
                    }
                }
                cs_server::new(builder, service)
            })
        })
    }
}

/// The descriptor that your poll loop watches for input: when it is readable, and when the deadline
/// has come, call cs_server_turn() with a timeout of 0. It stays the same, and is the server's: do
/// nothing else with it. -1 for NULL. May be called from callbacks and by any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_fd(server: *const cs_server) -> c_int {
    // SAFETY: by the header, it is one of ours, or null.
    value(-1, || unsafe { shared(server) }.map(|server| server.descriptor))
}

/// In how many milliseconds the next turn is due, if no event comes before: 0 at once, -1 never. It
/// is the timeout of a poll(). Ask before every wait: while more is ready than one turn takes, the
/// descriptor alone does not tell. In a callback it is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_deadline(server: *const cs_server) -> c_int {
    value(0, || {
        // SAFETY: by the header, it is one of ours, or null.
        let Some(due) = unsafe { with(server, |inner| Ok(inner.server.deadline())) }? else {
            return Ok(-1);
        };
        // Up, or the host would come too early, again and again.
        let left = due.saturating_duration_since(clock::monotonic()).as_nanos();
        Ok(c_int::try_from(left.div_ceil(1_000_000)).unwrap_or(c_int::MAX))
    })
}

/// Runs one pass: waits for events, for at most so many milliseconds and never past the deadline,
/// and serves each connection that is ready, with the functions of your service. -1 waits for ever.
///
/// Nothing that a peer does is an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_turn(
    server: *mut cs_server,
    timeout: c_int,
    why: *mut cs_failure,
) -> cs_status {
    let wait = u64::try_from(timeout).ok().map(Duration::from_millis);
    // SAFETY: by the header, the server is one of ours, and `why` is a place to write to.
    unsafe { run(why, || with(server, |inner| inner.turn(wait))) }
}

/// Serves until the server was told to drain or to stop by a cs_handle, and every connection is
/// closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_run(server: *mut cs_server, why: *mut cs_failure) -> cs_status {
    let all = |inner: &mut Inner| {
        while !inner.server.is_finished() {
            inner.turn(None)?;
        }
        Ok(())
    };
    // SAFETY: by the header, the server is one of ours, and `why` is a place to write to.
    unsafe { run(why, || with(server, all)) }
}

/// Whether the server was told to drain or to stop, and every connection is closed. False in a
/// callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_is_finished(server: *const cs_server) -> bool {
    // SAFETY: by the header, it is one of ours, or null.
    value(false, || unsafe { with(server, |inner| Ok(inner.server.is_finished())) })
}

/// Copies an address of the server to a buffer of `size` bytes, with a NUL: the one at this place,
/// from 0, in the order in which they were bound. CS_ERR_ARGUMENT if there is none. 64 bytes are
/// enough for IP addresses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_address(
    server: *const cs_server,
    place: usize,
    text: *mut c_char,
    size: usize,
) -> cs_status {
    let address = |inner: &mut Inner| {
        let address = inner.server.addresses().into_iter().nth(place);
        address.ok_or_else(|| CallError::argument("there is no such address"))
    };
    // SAFETY: by the header, the server is one of ours, and the buffer has so many bytes.
    unsafe {
        run(ptr::null_mut(), || {
            let address = with(server, address)?.to_string();
            if size <= address.len() {
                return Err(CallError::argument("the buffer is too small"));
            }
            ptr::write_bytes(crate::pointers::exclusive(text)?, 0, size);
            fill(slice::from_raw_parts_mut(text, size), &address);
            Ok(())
        })
    }
}

/// Sends a message to a peer between turns: one whose cs_peer_id() you have kept. What it needs to
/// be sent later is copied.
///
/// CS_ERR_GONE if the connection is closed or closing; CS_ERR_FULL if the peer has not yet taken
/// what was sent before; CS_ERR_TOO_LONG and CS_ERR_UNSENDABLE. Nothing was sent then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_tell(
    server: *mut cs_server,
    peer: u64,
    message: *const u8,
    length: usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, there are so many bytes, and `why` is a
    // place to write to.
    unsafe {
        run(why, || {
            let message = bytes(message, length)?;
            with(server, |inner| Ok(inner.server.tell(PeerId::from(peer), message)?))
        })
    }
}

/// Closes a connection at once: unsent output is lost. CS_ERR_GONE if there is no such connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_dismiss(
    server: *mut cs_server,
    peer: u64,
    why: *mut cs_failure,
) -> cs_status {
    let dismiss = |inner: &mut Inner| match inner.server.dismiss(PeerId::from(peer)) {
        true => Ok(()),
        false => Err(CallError::new(cs_status::CS_ERR_GONE, "there is no such connection")),
    };
    // SAFETY: by the header, the server is one of ours, and `why` is a place to write to.
    unsafe { run(why, || with(server, dismiss)) }
}

/// Replaces the keys of a listener, for new connections. The keys are copied. Open connections
/// stay: see cs_server_close_revoked().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_replace_keys(
    server: *mut cs_server,
    listener: usize,
    keys: *const cs_keys,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server and the ring are of ours, nobody changes the ring, and
    // `why` is a place to write to.
    unsafe {
        run(why, || {
            let keys = shared(keys)?.0.clone();
            with(server, |inner| {
                let listener = inner.listener(listener)?;
                Ok(inner.server.replace_keys(listener, keys)?)
            })
        })
    }
}

/// Closes the connections whose peers could no longer authenticate as they did, because their keys
/// were removed, have other secrets or have expired. If `count` is not NULL, *count is how many
/// they were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_close_revoked(
    server: *mut cs_server,
    count: *mut usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, and the other two are places to write to,
    // or null.
    unsafe {
        run(why, || {
            let closed = with(server, |inner| Ok(inner.server.close_revoked()))?;
            if count.is_null() { Ok(()) } else { put(count, closed) }
        })
    }
}

/// Sets whether connections are closed when their keys expire; by default they are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_set_close_expired(
    server: *mut cs_server,
    closes: bool,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, and `why` is a place to write to.
    unsafe {
        run(why, || {
            with(server, |inner| {
                inner.server.set_close_expired(closes);
                Ok(())
            })
        })
    }
}

/// Replaces the limits of a listener. Open connections stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_replace_limits(
    server: *mut cs_server,
    listener: usize,
    limits: *const cs_limits,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, the limits are of the size that they say,
    // and `why` is a place to write to.
    unsafe {
        run(why, || {
            let limits = read_limits(limits)?;
            with(server, |inner| {
                let listener = inner.listener(listener)?;
                Ok(inner.server.replace_limits(listener, limits)?)
            })
        })
    }
}

/// Replaces the access lists of a listener, for new connections: see cs_listener_set_access().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_replace_access(
    server: *mut cs_server,
    listener: usize,
    allow: *const c_char,
    deny: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, the lists are texts or null, and `why` is a
    // place to write to.
    unsafe {
        run(why, || {
            let access = access(allow, deny)?;
            with(server, |inner| {
                let listener = inner.listener(listener)?;
                Ok(inner.server.replace_access(listener, access)?)
            })
        })
    }
}

/// Makes cs_server_turn() return also when a descriptor of yours becomes readable: a pipe that a
/// signal handler writes to, or a timer. The library duplicates it, and reads nothing from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_wake_on(
    server: *mut cs_server,
    descriptor: c_int,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, nobody closes the descriptor meanwhile, and
    // `why` is a place to write to.
    unsafe {
        run(why, || {
            let descriptor = duplicate(descriptor)?;
            with(server, |inner| Ok(inner.server.wake_on(descriptor)?))
        })
    }
}

/// Sets for how many microseconds each turn polls for events before it sleeps: replies come sooner,
/// and a core is always busy. The default is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_set_busy_poll(
    server: *mut cs_server,
    microseconds: u64,
    why: *mut cs_failure,
) -> cs_status {
    let most = Duration::from_micros(microseconds);
    // SAFETY: by the header, the server is one of ours, and `why` is a place to write to.
    unsafe {
        run(why, || {
            with(server, |inner| {
                inner.server.set_busy_poll(most);
                Ok(())
            })
        })
    }
}

/// Makes a handle, which controls the server from other threads and from its callbacks. This may be
/// called by them, too. On success, *handle is yours to free, before the server or after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_handle(
    server: *const cs_server,
    handle: *mut *mut cs_handle,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, and the other two are places to write to.
    unsafe {
        run(why, || {
            let server = shared(server)?;
            let new = || Ok(cs_handle::new(server.handle.clone(), Arc::clone(&server.pending)));
            make(handle, new)
        })
    }
}

/// Frees a server. NULL is allowed. Connections that are left are closed at once, and `closed` is
/// called for each; drain before to let them end in order.
///
/// In a callback of the server it returns CS_ERR_REENTRANT, and frees nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_free(server: *mut cs_server) -> cs_status {
    let close = |inner: &mut Inner| {
        // If the system refuses, the connections end with the server.
        let _ = inner.server.handle().stop();
        let _ = inner.server.turn(Some(Duration::ZERO));
        Ok(())
    };
    if server.is_null() {
        return cs_status::CS_ERR_NONE;
    }
    // SAFETY: by the header, it is one of ours that nobody uses any more. One that is in use is not
    // freed, and one that is out of order is.
    unsafe {
        let status = run(ptr::null_mut(), || with(server, close));
        if status == cs_status::CS_ERR_REENTRANT {
            return status;
        }
        value((), || shared(server).map(|server| server.pending.close()));
        release(server)
    }
}
