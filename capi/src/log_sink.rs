//! Where lines of the log go.

use std::ffi::{c_int, c_void};
use std::fmt::Write as _;
use std::sync::{OnceLock, PoisonError, RwLock};

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::log_level::{cs_log_callback, cs_log_level};
use crate::status::{CallError, cs_status};

/// Where lines go.
#[derive(Clone, Copy)]
struct Sink {
    callback: cs_log_callback,
    user: *mut c_void,
}

// SAFETY: the header says that every thread that calls a server calls the function with this
// pointer, and nothing else is done with it.
unsafe impl Send for Sink {}

// SAFETY: likewise.
unsafe impl Sync for Sink {}

/// The one of this process.
static SINK: RwLock<Sink> = RwLock::new(Sink { callback: None, user: std::ptr::null_mut() });

/// Whether lines go to our logger, which can be set once in a process.
static IS_OURS: OnceLock<bool> = OnceLock::new();

struct Logger;

/// # Safety
///
/// The function can be called with `user` by any thread that calls a server.
pub(crate) unsafe fn replace(
    callback: cs_log_callback,
    user: *mut c_void,
    level: c_int,
) -> Result<(), CallError> {
    let level = usize::try_from(level).ok().and_then(|level| LevelFilter::iter().nth(level));
    let level = level.ok_or_else(|| CallError::argument("there is no such level of the log"))?;
    if !*IS_OURS.get_or_init(|| log::set_logger(&Logger).is_ok()) {
        let text = "this process has another logger, of a part that is in Rust";
        return Err(CallError::new(cs_status::CS_ERR_UNSUPPORTED, text));
    }
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = Sink { callback, user };
    log::set_max_level(if callback.is_some() { level } else { LevelFilter::Off });
    Ok(())
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A copy, since the function may replace itself.
        let Sink { callback, user } = *SINK.read().unwrap_or_else(PoisonError::into_inner);
        let Some(callback) = callback else { return };
        let mut line = Line(record.args().to_string());
        // A value that can't be written is left out.
        let _ = record.key_values().visit(&mut line);
        let mut line = line.0.replace(['\0', '\n', '\r'], " ");
        line.push('\0');
        let level = match record.level() {
            Level::Error => cs_log_level::CS_LOG_ERROR,
            Level::Warn => cs_log_level::CS_LOG_WARN,
            Level::Info => cs_log_level::CS_LOG_INFO,
            Level::Debug => cs_log_level::CS_LOG_DEBUG,
            Level::Trace => cs_log_level::CS_LOG_TRACE,
        };
        // SAFETY: who has set it has promised that it can be called with these.
        unsafe { callback(user, level, line.as_ptr().cast()) };
    }

    fn flush(&self) {}
}

/// The text, and then ` key=value` for each.
struct Line(String);

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        Ok(write!(self.0, " {key}={value}")?)
    }
}
