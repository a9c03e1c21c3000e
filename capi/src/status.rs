//! What a call returns: errors, and panics, as C sees them.

use std::any::Any;
use std::error::Error;
use std::ffi::{c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, TryLockError};

use countersign::config::ConfigError;
use countersign::session::SendError;
use countersign::{
    AddressError, BindError, ClientError, KeyError, KeyRingError, NetworkError, NoUsableKeyError,
    Refusal, TellError, UnknownListenerError, os_error,
};

use crate::text_buffer::fill;

/// What a call returns. Zero is success.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum cs_status {
    /// The call has succeeded.
    CS_ERR_NONE = 0,
    /// An argument is NULL that must not be, or out of range, or not a text in UTF-8, or a word
    /// that isn't known.
    CS_ERR_ARGUMENT,
    /// The object is in use: it was called from one of its own callbacks, or by two threads at
    /// once. Nothing was done.
    CS_ERR_REENTRANT,
    /// There is a bug in the library. The object is out of order: every call for it returns this
    /// from now on, and all that can be done is to free it.
    CS_ERR_PANICKED,
    /// The operating system refuses: see `os_error`.
    CS_ERR_SYSTEM,
    /// The options can't be combined.
    CS_ERR_CONFIG,
    /// The keys can't be read, or a key can't be added.
    CS_ERR_KEYS,
    /// There is no key that can be used now.
    CS_ERR_NO_KEY,
    /// The address isn't one, or can't be resolved, or can't be bound.
    CS_ERR_ADDRESS,
    /// The connection, or the server, is gone.
    CS_ERR_GONE,
    /// The peer has not yet taken what was sent before. Try again later.
    CS_ERR_FULL,
    /// The message is longer than the limit, or than the other end accepts.
    CS_ERR_TOO_LONG,
    /// The framing can't carry such a message: a line with a line feed inside.
    CS_ERR_UNSENDABLE,
    /// Nothing has arrived in time.
    CS_ERR_TIMEOUT,
    /// The other end has ended the stream in order. No message follows.
    CS_ERR_ENDED,
    /// The connection was closed, or has failed before, or is not open yet.
    CS_ERR_CLOSED,
    /// The other end did not prove that it holds the key. Don't trust it.
    CS_ERR_UNPROVEN,
    /// The other end refuses this one. Anybody on the network could have sent that, so don't retry
    /// with less protection.
    CS_ERR_REFUSED,
    /// The other end has violated the protocol, or speaks another one.
    CS_ERR_PROTOCOL,
    /// The library was built without this.
    CS_ERR_UNSUPPORTED,
}

/// The room for the text of an error, with its NUL.
const MESSAGE: usize = 508;

/// Why a call has failed, in words. A call that has one as its last argument fills it in when it
/// fails, and only then. NULL is allowed there.
#[repr(C)]
pub struct cs_failure {
    /// The system's errno, or 0 if the system has nothing to do with it.
    pub os_error: c_int,
    /// What has failed, and the remedy: for people, in English, in UTF-8. It never has a secret.
    pub message: [c_char; 508],
}

/// A failed call, before C is told.
#[derive(Debug)]
pub(crate) struct CallError {
    status: cs_status,
    os_error: Option<i32>,
    text: String,
}

impl CallError {
    pub(crate) fn new(status: cs_status, text: impl Into<String>) -> Self {
        Self { status, os_error: None, text: text.into() }
    }

    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::new(cs_status::CS_ERR_ARGUMENT, text)
    }

    fn of(status: cs_status, error: &(dyn Error + 'static)) -> Self {
        let mut os_error = None;
        let mut cause = Some(error);
        while let Some(each) = cause {
            let io = each.downcast_ref::<io::Error>();
            os_error = os_error.or(io.and_then(io::Error::raw_os_error));
            cause = each.source();
        }
        Self { status, os_error, text: os_error::chain(error) }
    }

    fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?");
        Self::new(cs_status::CS_ERR_PANICKED, format!("a bug in the library: {text}"))
    }

    /// Fills in what C has provided for it.
    fn report(&self, why: Option<&mut MaybeUninit<cs_failure>>) -> cs_status {
        if let Some(why) = why {
            let mut message = [0; MESSAGE];
            fill(&mut message, &self.text);
            why.write(cs_failure { os_error: self.os_error.unwrap_or_default(), message });
        }
        self.status
    }
}

/// Runs a call. A failure, and a panic, become its status, and the text goes where C wants it.
///
/// # Safety
///
/// `why` is null, or a place that can be written to.
pub(crate) unsafe fn run(
    why: *mut cs_failure,
    call: impl FnOnce() -> Result<(), CallError>,
) -> cs_status {
    let failure = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return cs_status::CS_ERR_NONE,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let failure = CallError::panicked(&*panic);
            discard(panic);
            failure
        }
    };
    // SAFETY: the caller says so. The place may be uninitialized, so it is only written to.
    failure.report(unsafe { why.cast::<MaybeUninit<cs_failure>>().as_mut() })
}

/// Runs a call that returns a value and can't fail, but for bugs.
pub(crate) fn value<T>(otherwise: T, call: impl FnOnce() -> Result<T, CallError>) -> T {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => value,
        Ok(Err(_)) => otherwise,
        Err(panic) => {
            discard(panic);
            otherwise
        }
    }
}

/// Drops what was thrown. If that throws again, what comes of it is never dropped.
fn discard(panic: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(another);
    }
}

/// The use of an object for one call. While a callback runs, the object is in use; after a panic,
/// it is poisoned for ever.
pub(crate) fn enter<T>(object: &Mutex<T>) -> Result<MutexGuard<'_, T>, CallError> {
    object.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => CallError::new(
            cs_status::CS_ERR_REENTRANT,
            "it is in use: it was called from its own callback, or by two threads",
        ),
        TryLockError::Poisoned(_) => CallError::new(
            cs_status::CS_ERR_PANICKED,
            "an earlier call has failed by a bug in the library; free it",
        ),
    })
}

macro_rules! impl_from {
    ($($error:ty => $status:ident),+ $(,)?) => {
        $(impl From<$error> for CallError {
            fn from(error: $error) -> Self {
                Self::of(cs_status::$status, &error)
            }
        })+
    };
}

impl_from! {
    io::Error => CS_ERR_SYSTEM,
    ConfigError => CS_ERR_CONFIG,
    KeyError => CS_ERR_KEYS,
    KeyRingError => CS_ERR_KEYS,
    NoUsableKeyError => CS_ERR_NO_KEY,
    AddressError => CS_ERR_ADDRESS,
    NetworkError => CS_ERR_ARGUMENT,
    UnknownListenerError => CS_ERR_ARGUMENT,
}

impl From<BindError> for CallError {
    fn from(error: BindError) -> Self {
        let status = match &error {
            BindError::Lookup(_) | BindError::Address(..) => cs_status::CS_ERR_ADDRESS,
            BindError::NoUsableKey(_) => cs_status::CS_ERR_NO_KEY,
            BindError::TooManyListeners(_) => cs_status::CS_ERR_ARGUMENT,
            _ => cs_status::CS_ERR_SYSTEM,
        };
        Self::of(status, &error)
    }
}

impl From<TellError> for CallError {
    fn from(error: TellError) -> Self {
        let status = match error {
            TellError::Full => cs_status::CS_ERR_FULL,
            TellError::TooLong => cs_status::CS_ERR_TOO_LONG,
            TellError::Unsendable => cs_status::CS_ERR_UNSENDABLE,
            _ => cs_status::CS_ERR_GONE,
        };
        Self::of(status, &error)
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        let status = match error {
            SendError::Unframeable => cs_status::CS_ERR_UNSENDABLE,
            SendError::TooLong => cs_status::CS_ERR_TOO_LONG,
            _ => cs_status::CS_ERR_CLOSED,
        };
        Self::of(status, &error)
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::WrongProof => cs_status::CS_ERR_UNPROVEN,
            Refusal::Rejected(_) => cs_status::CS_ERR_REFUSED,
            _ => cs_status::CS_ERR_PROTOCOL,
        };
        Self::of(status, &refusal)
    }
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        use ClientError as E;
        let status = match &error {
            E::NoUsableKey(_) => cs_status::CS_ERR_NO_KEY,
            E::Address(_) => cs_status::CS_ERR_ADDRESS,
            E::Io(_) => cs_status::CS_ERR_SYSTEM,
            E::Unproven => cs_status::CS_ERR_UNPROVEN,
            E::Rejected(_) | E::Refused => cs_status::CS_ERR_REFUSED,
            E::HandshakeTimeout(_) | E::Timeout => cs_status::CS_ERR_TIMEOUT,
            E::Unanswered | E::Closed | E::Over => cs_status::CS_ERR_CLOSED,
            E::Unsendable(_) => cs_status::CS_ERR_UNSENDABLE,
            E::TooLong(_) | E::TooLongForServer => cs_status::CS_ERR_TOO_LONG,
            _ => cs_status::CS_ERR_PROTOCOL,
        };
        Self::of(status, &error)
    }
}

/// The version of the library, such as "0.1.0": a constant.
#[unsafe(no_mangle)]
pub extern "C" fn cs_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn run_with(call: impl FnOnce() -> Result<(), CallError>) -> (cs_status, String, c_int) {
        let mut why = cs_failure { os_error: -1, message: [1; MESSAGE] };
        // SAFETY: it is a place of ours.
        let status = unsafe { run(&raw mut why, call) };
        let text = why.message.iter().take_while(|&&byte| byte != 0);
        let text = text.map(|byte| byte.to_ne_bytes()[0]).collect();
        (status, String::from_utf8(text).unwrap(), why.os_error)
    }

    #[test]
    fn a_panic_is_a_status_and_the_object_is_out_of_order_for_ever() {
        let object = Mutex::new(0);
        let call = || enter(&object).map(|mut number| *number += 1);
        assert_eq!(run_with(call).0, cs_status::CS_ERR_NONE);
        let (status, text, _) = run_with(|| {
            let _number = enter(&object)?;
            panic!("on purpose");
        });
        assert_eq!(status, cs_status::CS_ERR_PANICKED);
        assert_eq!(text, "a bug in the library: on purpose");
        for _ in 0..2 {
            let (status, text, _) = run_with(call);
            assert_eq!(status, cs_status::CS_ERR_PANICKED);
            assert!(text.ends_with("free it"), "{text}");
        }
        assert_eq!(value(-1, || enter(&object).map(|number| *number)), -1);
        assert_eq!(value(-1, || panic!("on purpose")), -1);
    }

    #[test]
    fn what_was_thrown_is_dropped_even_if_that_throws_again() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        struct Thrown;
        impl Drop for Thrown {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                panic_any(());
            }
        }
        let (status, text, _) = run_with(|| panic_any(Thrown));
        assert_eq!(status, cs_status::CS_ERR_PANICKED);
        assert_eq!(text, "a bug in the library: ?");
        assert_eq!(value(-1, || panic_any(Thrown)), -1);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_object_that_is_in_use_says_so() {
        let object = Mutex::new(());
        let used = enter(&object).unwrap();
        assert_eq!(run_with(|| enter(&object).map(drop)).0, cs_status::CS_ERR_REENTRANT);
        drop(used);
        assert_eq!(run_with(|| enter(&object).map(drop)).0, cs_status::CS_ERR_NONE);
    }

    #[test]
    fn a_failure_has_the_number_of_the_system_and_a_text_that_fits() {
        let refused = || Err(io::Error::from_raw_os_error(13).into());
        let expected = (cs_status::CS_ERR_SYSTEM, "permission denied".to_owned(), 13);
        assert_eq!(run_with(refused), expected);
        let (_, text, number) = run_with(|| Err(CallError::argument("ä".repeat(400))));
        assert_eq!((text.len(), number), (506, 0), "whole characters, and a NUL");
        // SAFETY: null is allowed.
        let status = unsafe { run(ptr::null_mut(), refused) };
        assert_eq!(status, cs_status::CS_ERR_SYSTEM);
    }
}
