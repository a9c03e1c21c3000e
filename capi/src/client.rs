//! The client.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr;
use std::sync::Mutex;
use std::time::Duration;

use countersign::Client;

use crate::pointers::{bytes, make, put, release, shared, text};
use crate::service::put_secret;
use crate::session_config::cs_session_config;
use crate::status::{CallError, cs_failure, cs_status, enter, run, value};

/// A client: one connection that has gone through the handshake. By default its calls wait.
///
/// It may be called by any thread, but only by one at a time: a call in between returns
/// CS_ERR_REENTRANT. After a failure other than CS_ERR_TIMEOUT, CS_ERR_TOO_LONG and
/// CS_ERR_UNSENDABLE, connect again.
pub struct cs_client {
    inner: Mutex<Client>,
    descriptor: c_int,
}

/// Uses a client for one call.
///
/// # Safety
///
/// It is null, or one of ours that is not freed meanwhile.
unsafe fn with<R>(
    client: *const cs_client,
    call: impl FnOnce(&mut Client) -> Result<R, CallError>,
) -> Result<R, CallError> {
    // SAFETY: the caller says so.
    let client = unsafe { shared(client) }?;
    call(&mut *enter(&client.inner)?)
}

/// Hands a message to C: it stays where it is until the next call for its object.
///
/// # Safety
///
/// Both are null, or places to write to.
pub(crate) unsafe fn put_bytes(
    data: *mut *const u8,
    length: *mut usize,
    bytes: &[u8],
) -> Result<(), CallError> {
    // SAFETY: the caller says so.
    unsafe {
        put(data, bytes.as_ptr())?;
        put(length, bytes.len())
    }
}

fn time(milliseconds: c_int) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

/// Connects to the first address that answers, such as "127.0.0.1:9527", "garden.example:9527" or
/// "unix:/run/garden.sock", and goes through the handshake, both in at most so many milliseconds;
/// -1 is the default, five seconds.
///
/// In countersign/1 the server has then proved that it holds the key. Whether it accepts the
/// client's shows in the first cs_client_receive(): CS_ERR_REFUSED.
///
/// On success, *client is yours to free. On failure, it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_connect(
    address: *const c_char,
    config: *const cs_session_config,
    timeout: c_int,
    client: *mut *mut cs_client,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the address is a text, the configuration is one of ours that nobody
    // changes, and the other two are places to write to.
    unsafe {
        run(why, || {
            make(client, || {
                let (address, config) = (text(address)?, shared(config)?.client()?);
                let client = match time(timeout) {
                    Some(timeout) => Client::connect_within(address, config, timeout)?,
                    None => Client::connect(address, config)?,
                };
                let descriptor = client.as_fd().as_raw_fd();
                Ok(cs_client { inner: Mutex::new(client), descriptor })
            })
        })
    }
}

/// Sets how many milliseconds a call may take from now on; -1 is for ever, and the default. A call
/// that takes longer returns CS_ERR_TIMEOUT. cs_client_receive() loses nothing then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_set_timeout(
    client: *mut cs_client,
    timeout: c_int,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours.
    unsafe {
        run(ptr::null_mut(), || {
            with(client, |client| {
                client.set_timeout(time(timeout));
                Ok(())
            })
        })
    }
}

/// Sets whether calls return at once from now on. cs_client_send() then queues a message,
/// cs_client_flush() writes what the socket takes, and cs_client_receive() returns CS_ERR_TIMEOUT
/// if no whole message has arrived.
///
/// Watch the descriptor for reading, and for writing while something is unsent. When it is
/// readable, call cs_client_receive() until it returns CS_ERR_TIMEOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_set_nonblocking(
    client: *mut cs_client,
    is_nonblocking: bool,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours, and `why` a place to write to.
    unsafe { run(why, || with(client, |client| Ok(client.set_nonblocking(is_nonblocking)?))) }
}

/// The socket's descriptor, for a host that watches it. It is the client's: do nothing else with
/// it. -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_fd(client: *const cs_client) -> c_int {
    // SAFETY: by the header, it is one of ours, or null.
    value(-1, || unsafe { shared(client) }.map(|client| client.descriptor))
}

/// Sends a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_send(
    client: *mut cs_client,
    message: *const u8,
    length: usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours, there are so many bytes, and `why` is a
    // place to write to.
    unsafe {
        run(why, || {
            let message = bytes(message, length)?;
            with(client, |client| Ok(client.send(message)?))
        })
    }
}

/// Receives a message. *message is the client's, and valid until its next call. CS_ERR_ENDED if the
/// server has ended the stream in order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_receive(
    client: *mut cs_client,
    message: *mut *const u8,
    length: *mut usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours, and the other three are places to write to.
    unsafe {
        run(why, || {
            with(client, |client| match client.receive()? {
                Some(received) => put_bytes(message, length, received),
                None => Err(ended()),
            })
        })
    }
}

pub(crate) fn ended() -> CallError {
    CallError::new(cs_status::CS_ERR_ENDED, "the other end has ended the stream")
}

/// Sends a message and waits for the next one, as cs_client_send() and cs_client_receive() do.
/// After CS_ERR_TIMEOUT the reply may still come: receive it before you ask again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_ask(
    client: *mut cs_client,
    message: *const u8,
    length: usize,
    reply: *mut *const u8,
    reply_length: *mut usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours, there are so many bytes, and the other
    // three are places to write to.
    unsafe {
        run(why, || {
            let message = bytes(message, length)?;
            with(client, |client| put_bytes(reply, reply_length, client.ask(message)?))
        })
    }
}

/// Tells the server that no message follows. Replies can still be received.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_finish(
    client: *mut cs_client,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours, and `why` a place to write to.
    unsafe { run(why, || with(client, |client| Ok(client.finish()?))) }
}

/// Writes what is unsent; if calls don't wait, as much of it as the socket takes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_flush(
    client: *mut cs_client,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours, and `why` a place to write to.
    unsafe { run(why, || with(client, |client| Ok(client.flush()?))) }
}

/// The number of bytes that wait to be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_unsent(client: *const cs_client) -> usize {
    // SAFETY: by the header, the client is one of ours, or null.
    value(0, || unsafe { with(client, |client| Ok(client.unsent())) })
}

/// Derives the secret of this label, of 32 bytes, which only the two ends of this connection can
/// derive. CS_ERR_UNSUPPORTED unless the dialect is countersign/1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_secret(
    client: *const cs_client,
    label: *const c_char,
    secret: *mut u8,
) -> cs_status {
    // SAFETY: by the header, the client is one of ours, the label is a text, and there is room for
    // 32 bytes.
    unsafe {
        run(ptr::null_mut(), || {
            let label = text(label)?.as_bytes();
            put_secret(with(client, |client| Ok(client.secret(label)))?, secret)
        })
    }
}

/// Closes the connection and frees the client. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_client_free(client: *mut cs_client) {
    // SAFETY: by the header, it is one of ours that nobody uses any more, or null.
    unsafe { release(client) };
}
