//! Replies.

use std::ptr;
use std::time::SystemTime;

use countersign::Reply;

use crate::pointers::{bytes, exclusive};
use crate::status::{CallError, cs_status, run, value};

/// Takes what a service sends to the peer, in one of its functions, and is valid until that
/// returns.
///
/// Nothing is allocated, and nothing fails at once: a reply that is longer than the limit
/// `reply_max`, or that the framing can't carry, is discarded, and the connection is closed.
pub struct cs_reply {
    _opaque: [u8; 0],
}

impl cs_reply {
    /// The reply, as C sees it while a function runs.
    pub(crate) fn lend(reply: &mut Reply<'_>) -> *mut Self {
        ptr::from_mut(reply).cast()
    }
}

/// # Safety
///
/// It is null, or what a function of a service was given and has not returned from.
unsafe fn lent<'r>(reply: *mut cs_reply) -> Result<&'r mut Reply<'r>, CallError> {
    // SAFETY: then it is null or a reply that nothing else uses while the function runs.
    unsafe { exclusive(reply.cast::<Reply<'r>>()) }
}

/// Sends a message, or the last part of one that was begun with cs_reply_push().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_reply_message(
    reply: *mut cs_reply,
    message: *const u8,
    length: usize,
) -> cs_status {
    // SAFETY: by the header, the reply is the one that the function has, and there are so many
    // bytes.
    unsafe {
        run(ptr::null_mut(), || {
            lent(reply)?.message(bytes(message, length)?);
            Ok(())
        })
    }
}

/// Writes part of a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_reply_push(
    reply: *mut cs_reply,
    part: *const u8,
    length: usize,
) -> cs_status {
    // SAFETY: by the header, the reply is the one that the function has, and there are so many
    // bytes.
    unsafe {
        run(ptr::null_mut(), || {
            lent(reply)?.push(bytes(part, length)?);
            Ok(())
        })
    }
}

/// Ends a message that was begun with cs_reply_push(); the return of the function does so, too. If
/// none was begun, sends an empty one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_reply_end(reply: *mut cs_reply) -> cs_status {
    // SAFETY: by the header, the reply is the one that the function has.
    unsafe {
        run(ptr::null_mut(), || {
            lent(reply)?.end();
            Ok(())
        })
    }
}

/// Closes the connection once everything that was written has been sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_reply_close(reply: *mut cs_reply) -> cs_status {
    // SAFETY: by the header, the reply is the one that the function has.
    unsafe {
        run(ptr::null_mut(), || {
            lent(reply)?.close();
            Ok(())
        })
    }
}

/// The time of day when the loop last woke up: milliseconds since 1970.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_reply_now(reply: *mut cs_reply) -> u64 {
    value(0, || {
        // SAFETY: by the header, the reply is the one that the function has.
        let now = unsafe { lent(reply) }?.now();
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    })
}
