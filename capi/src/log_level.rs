//! Lines of the log, as C sees them.

use std::ffi::{c_char, c_void};

/// How important a line of the log is.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum cs_log_level {
    /// For cs_log_to(): no lines.
    CS_LOG_OFF = 0,
    /// Something has failed.
    CS_LOG_ERROR,
    /// Something that somebody should look into.
    CS_LOG_WARN,
    /// What the server does.
    CS_LOG_INFO,
    /// What happens to each connection.
    CS_LOG_DEBUG,
    /// More than that.
    CS_LOG_TRACE,
}

/// Takes a line of the log: a text with a NUL, without a line feed, valid until it returns.
pub type cs_log_callback =
    Option<unsafe extern "C" fn(user: *mut c_void, level: cs_log_level, line: *const c_char)>;
