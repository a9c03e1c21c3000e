//! The log.

use std::ffi::{c_int, c_void};

use crate::log_level::cs_log_callback;
#[cfg(feature = "log")]
use crate::log_sink::replace;
use crate::status::{cs_failure, cs_status, run};

/// Sends the lines of the log to a function of yours: those of this level (one of cs_log_level) and
/// more important ones. NULL ends that. There is one log in a process, whichever server writes it.
///
/// The function is called by each thread that calls a server, in its turns: `user` must be valid as
/// long as there are any, also after the function was replaced. It may call everything but the
/// server whose turn it is.
///
/// CS_ERR_UNSUPPORTED if the library was built without the feature `log`, or if a part of the
/// program that is in Rust has another logger.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_log_to(
    callback: cs_log_callback,
    user: *mut c_void,
    level: c_int,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the function can be called with `user`, and `why` is a place to write
    // to.
    unsafe { run(why, || replace(callback, user, level)) }
}

/// # Safety
///
/// None is needed here.
#[cfg(not(feature = "log"))]
unsafe fn replace(
    _: cs_log_callback,
    _: *mut c_void,
    _: c_int,
) -> Result<(), crate::status::CallError> {
    let text = "the library was built without the feature log";
    Err(crate::status::CallError::new(cs_status::CS_ERR_UNSUPPORTED, text))
}
