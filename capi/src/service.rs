//! The service: functions of the host that the server calls.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::Duration;

use countersign::{CloseReason, Peer, Reply, Service};

use crate::pointers::{shared, sized, text};
use crate::reply::cs_reply;
use crate::status::{CallError, cs_status, run, value};
use crate::text_buffer::fill;

/// What a server does with the messages of authenticated peers: functions of yours.
///
/// The server calls them on the thread that calls it, one at a time, and copies this struct. `user`
/// is yours, and must be valid until the server is freed. A function that is NULL is not called;
/// only `message` is required.
///
/// What they may call: the functions for their arguments, and every function for objects that are
/// not this server. A function for this server does nothing and returns CS_ERR_REENTRANT. To drain
/// it, to stop it or to replace its keys from here, use a cs_handle.
///
/// They must return: neither longjmp() nor an exception of C++ may leave them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cs_service {
    /// sizeof(struct cs_service).
    pub size: usize,
    /// Passed to each function.
    pub user: *mut c_void,
    /// A peer has authenticated. What it returns is passed to the other functions as `connection`:
    /// your state of the connection, or NULL. `peer` and `reply` are valid until it returns.
    pub opened: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            peer: *const cs_peer,
            reply: *mut cs_reply,
        ) -> *mut c_void,
    >,
    /// A message has arrived: `length` bytes, valid until it returns, as `reply` is.
    pub message: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            connection: *mut c_void,
            message: *const u8,
            length: usize,
            reply: *mut cs_reply,
        ),
    >,
    /// The peer has ended its stream. What is written to `reply` is the last.
    pub ended: Option<
        unsafe extern "C" fn(user: *mut c_void, connection: *mut c_void, reply: *mut cs_reply),
    >,
    /// A connection for which `opened` was called has ended: free your state of it. It is called
    /// once for each, in cs_server_free() for those that are left. `reason` is a word such as
    /// "finished" or "idle-timeout", valid until it returns; `is_refusal` says that the peer did
    /// something that it must not do. `src/manual/operations.md` lists the reasons.
    pub closed: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            connection: *mut c_void,
            reason: *const c_char,
            is_refusal: bool,
        ),
    >,
    /// After how many microseconds `wake` is to be called for this connection; negative is never.
    /// It is called after `opened`, and after each `wake`.
    pub wake_after: Option<unsafe extern "C" fn(user: *mut c_void, connection: *mut c_void) -> i64>,
    /// That time has passed: `reply` takes what is no reply to a message. While the peer does not
    /// read what was sent before, calls are left out.
    pub wake: Option<
        unsafe extern "C" fn(user: *mut c_void, connection: *mut c_void, reply: *mut cs_reply),
    >,
}

impl Default for cs_service {
    fn default() -> Self {
        Self {
            size: size_of::<Self>(),
            user: ptr::null_mut(),
            opened: None,
            message: None,
            ended: None,
            closed: None,
            wake_after: None,
            wake: None,
        }
    }
}

/// The functions of a host, as a service.
pub(crate) struct Callbacks(cs_service);

impl Callbacks {
    /// What C has filled in.
    ///
    /// # Safety
    ///
    /// As for [`sized`], and the functions can be called with `user` as long as this is used.
    pub(crate) unsafe fn new(service: *const cs_service) -> Result<Self, CallError> {
        // SAFETY: it is of C's layout, begins with its size, and consists of words. The rest, the
        // caller says.
        let service = unsafe { sized(service) }?;
        match service.message {
            Some(_) => Ok(Self(service)),
            None => Err(CallError::argument("a service needs the function message")),
        }
    }
}

// SAFETY: the header says that any thread may call the server, one at a time, and that it calls the
// functions then.
unsafe impl Send for Callbacks {}

/// The host's state of a connection.
pub(crate) struct ConnectionState(*mut c_void);

// SAFETY: likewise.
unsafe impl Send for ConnectionState {}

impl Service for Callbacks {
    type State = ConnectionState;

    fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) -> ConnectionState {
        let Some(opened) = self.0.opened else { return ConnectionState(ptr::null_mut()) };
        let view = PeerView::new(peer);
        let view = ptr::from_ref(&view).cast();
        // SAFETY: the host has promised that its functions can be called with these.
        ConnectionState(unsafe { opened(self.0.user, view, cs_reply::lend(reply)) })
    }

    fn message(&mut self, state: &mut ConnectionState, bytes: &[u8], reply: &mut Reply<'_>) {
        let Some(message) = self.0.message else { return };
        let (bytes, length) = (bytes.as_ptr(), bytes.len());
        // SAFETY: likewise.
        unsafe { message(self.0.user, state.0, bytes, length, cs_reply::lend(reply)) };
    }

    fn ended(&mut self, state: &mut ConnectionState, reply: &mut Reply<'_>) {
        let Some(ended) = self.0.ended else { return };
        // SAFETY: likewise.
        unsafe { ended(self.0.user, state.0, cs_reply::lend(reply)) };
    }

    fn wake_after(&mut self, state: &mut ConnectionState) -> Option<Duration> {
        // SAFETY: likewise.
        let after = unsafe { self.0.wake_after?(self.0.user, state.0) };
        self.0.wake?;
        u64::try_from(after).ok().map(Duration::from_micros)
    }

    fn wake(&mut self, state: &mut ConnectionState, reply: &mut Reply<'_>) {
        let Some(wake) = self.0.wake else { return };
        // SAFETY: likewise.
        unsafe { wake(self.0.user, state.0, cs_reply::lend(reply)) };
    }

    fn close(&mut self, state: ConnectionState, why: CloseReason) {
        let Some(closed) = self.0.closed else { return };
        let mut reason = [0; 32];
        fill(&mut reason, why.name());
        // SAFETY: likewise.
        unsafe { closed(self.0.user, state.0, reason.as_ptr(), why.is_refusal()) };
    }
}

/// The peer of a connection, in the function `opened`.
pub struct cs_peer {
    _opaque: [u8; 0],
}

/// What a `cs_peer` really is.
struct PeerView<'p> {
    peer: &'p Peer<'p>,
    /// The id of its key, with a NUL.
    key: [c_char; 65],
    /// Its address, with a NUL.
    address: [c_char; 64],
    /// Its dialect, with a NUL.
    dialect: [c_char; 24],
}

impl<'p> PeerView<'p> {
    fn new(peer: &'p Peer<'p>) -> Self {
        let mut view = Self { peer, key: [0; 65], address: [0; 64], dialect: [0; 24] };
        fill(&mut view.key, peer.key().unwrap_or_default());
        fill(&mut view.address, &peer.address().to_string());
        fill(&mut view.dialect, peer.dialect().name());
        view
    }
}

/// # Safety
///
/// It is null, or what the function `opened` was given and has not returned from.
unsafe fn view<'p>(peer: *const cs_peer) -> Result<&'p PeerView<'p>, CallError> {
    // SAFETY: then it is null or such a view.
    unsafe { shared(peer.cast::<PeerView<'p>>()) }
}

/// Names the connection, for cs_server_tell(). 0 is no connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_id(peer: *const cs_peer) -> u64 {
    // SAFETY: by the header, it is the one that `opened` has.
    value(0, || unsafe { view(peer) }.map(|view| view.peer.id().into()))
}

/// The id of the key that the peer holds; NULL in the dialect "open". Valid as long as `peer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_key(peer: *const cs_peer) -> *const c_char {
    value(ptr::null(), || {
        // SAFETY: by the header, it is the one that `opened` has.
        let view = unsafe { view(peer) }?;
        Ok(view.peer.key().map_or(ptr::null(), |_| view.key.as_ptr()))
    })
}

/// The peer's address, such as "192.0.2.7:40022", or "unix". Valid as long as `peer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_address(peer: *const cs_peer) -> *const c_char {
    // SAFETY: by the header, it is the one that `opened` has.
    value(ptr::null(), || unsafe { view(peer) }.map(|view| view.address.as_ptr()))
}

/// The dialect of the connection, such as "countersign/1". Valid as long as `peer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_dialect(peer: *const cs_peer) -> *const c_char {
    // SAFETY: by the header, it is the one that `opened` has.
    value(ptr::null(), || unsafe { view(peer) }.map(|view| view.dialect.as_ptr()))
}

/// The listener that the peer connected to: its place in the array of cs_server_new(), from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_listener(peer: *const cs_peer) -> usize {
    // SAFETY: by the header, it is the one that `opened` has.
    value(0, || unsafe { view(peer) }.map(|view| view.peer.listener().index()))
}

/// Whether messages are protected by records.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_is_protected(peer: *const cs_peer) -> bool {
    // SAFETY: by the header, it is the one that `opened` has.
    value(false, || unsafe { view(peer) }.map(|view| view.peer.is_protected()))
}

/// Whether messages are also encrypted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_is_sealed(peer: *const cs_peer) -> bool {
    // SAFETY: by the header, it is the one that `opened` has.
    value(false, || unsafe { view(peer) }.map(|view| view.peer.is_sealed()))
}

/// Derives the secret of this label, of 32 bytes, which only the two ends of this connection can
/// derive. CS_ERR_UNSUPPORTED unless the dialect is countersign/1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_peer_secret(
    peer: *const cs_peer,
    label: *const c_char,
    secret: *mut u8,
) -> cs_status {
    // SAFETY: by the header, the peer is the one that `opened` has, the label is a text, and there
    // is room for 32 bytes.
    unsafe {
        run(ptr::null_mut(), || {
            put_secret(view(peer)?.peer.secret(text(label)?.as_bytes()), secret)
        })
    }
}

/// Hands a secret to C.
///
/// # Safety
///
/// `place` is null, or has room for 32 bytes.
pub(crate) unsafe fn put_secret(secret: Option<[u8; 32]>, place: *mut u8) -> Result<(), CallError> {
    let unsupported = || {
        let text = "only countersign/1 has secrets, once the connection is open";
        CallError::new(cs_status::CS_ERR_UNSUPPORTED, text)
    };
    let secret = secret.ok_or_else(unsupported)?;
    // SAFETY: the caller says so. An array of bytes needs no alignment.
    unsafe { crate::pointers::put(place.cast::<[u8; 32]>(), secret) }
}
