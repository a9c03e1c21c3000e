//! Control of a server from elsewhere.

use std::mem;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign::{Handle, KeyRing};

use crate::keys::cs_keys;
use crate::pointers::{release, shared};
use crate::status::{CallError, cs_failure, cs_status, run};

/// Controls a server from other threads, and from its own callbacks. Every function for it may be
/// called by several threads at once, but for cs_handle_free().
///
/// When the server is freed, they return CS_ERR_GONE.
pub struct cs_handle {
    handle: Handle,
    pending: Arc<PendingKeys>,
}

/// What handles ask a server for, until its turn.
pub(crate) struct PendingKeys {
    /// The latest of each listener; `None` when the server is gone.
    updates: Mutex<Option<Vec<Option<Update>>>>,
}

/// New keys for a listener.
pub(crate) struct Update {
    pub(crate) keys: KeyRing,
    pub(crate) closes_revoked: bool,
}

impl PendingKeys {
    pub(crate) fn new(listeners: usize) -> Self {
        let updates = (0..listeners).map(|_| None).collect();
        Self { updates: Mutex::new(Some(updates)) }
    }

    /// Nothing panics while it is locked, and every change is whole.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Option<Update>>>> {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, listener: usize, update: Update) -> Result<(), CallError> {
        let mut updates = self.lock();
        let updates = updates.as_mut().ok_or_else(gone)?;
        let place = updates.get_mut(listener);
        let unknown = || CallError::argument("the server has no such listener");
        *place.ok_or_else(unknown)? = Some(update);
        Ok(())
    }

    /// Takes all of them, with the listeners that they are for.
    pub(crate) fn take(&self) -> Vec<(usize, Update)> {
        let mut updates = self.lock();
        let each = updates.iter_mut().flatten().enumerate();
        each.filter_map(|(listener, update)| Some((listener, mem::take(update)?))).collect()
    }

    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    fn check(&self) -> Result<(), CallError> {
        self.lock().as_ref().map(|_| ()).ok_or_else(gone)
    }
}

fn gone() -> CallError {
    CallError::new(cs_status::CS_ERR_GONE, "the server was freed")
}

impl cs_handle {
    pub(crate) fn new(handle: Handle, pending: Arc<PendingKeys>) -> Self {
        Self { handle, pending }
    }
}

/// Uses a handle.
///
/// # Safety
///
/// It is null, or one of ours that is not freed meanwhile; `why` is null, or a place to write to.
unsafe fn with(
    handle: *const cs_handle,
    why: *mut cs_failure,
    call: impl FnOnce(&cs_handle) -> Result<(), CallError>,
) -> cs_status {
    // SAFETY: the caller says so.
    unsafe {
        run(why, || {
            let handle = shared(handle)?;
            handle.pending.check()?;
            call(handle)
        })
    }
}

/// Stops the server gracefully: it accepts no more connections, answers what has arrived, and is
/// finished when all connections are closed, at the latest after the limit `drain_timeout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_handle_drain(
    handle: *const cs_handle,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the handle is one of ours, and `why` a place to write to.
    unsafe { with(handle, why, |handle| Ok(handle.handle.drain()?)) }
}

/// Stops the server at its next turn: all connections are closed, and unsent output is lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_handle_stop(
    handle: *const cs_handle,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the handle is one of ours, and `why` a place to write to.
    unsafe { with(handle, why, |handle| Ok(handle.handle.stop()?)) }
}

/// Makes cs_server_turn() return.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_handle_wake(
    handle: *const cs_handle,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the handle is one of ours, and `why` a place to write to.
    unsafe { with(handle, why, |handle| Ok(handle.handle.wake()?)) }
}

/// Replaces the keys of a listener in the server's present turn, or in its next. The keys are
/// copied. With `close_revoked`, connections are closed then as by cs_server_close_revoked().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_handle_replace_keys(
    handle: *const cs_handle,
    listener: usize,
    keys: *const cs_keys,
    close_revoked: bool,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the handle and the ring are of ours, nobody changes the ring, and
    // `why` is a place to write to.
    unsafe {
        with(handle, why, |handle| {
            let keys = shared(keys)?.0.clone();
            handle.pending.put(listener, Update { keys, closes_revoked: close_revoked })?;
            Ok(handle.handle.wake()?)
        })
    }
}

/// Makes another handle of the same server. On success, *clone is yours to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_handle_clone(
    handle: *const cs_handle,
    clone: *mut *mut cs_handle,
) -> cs_status {
    // SAFETY: by the header, the handle is one of ours, and there is a place for the other.
    unsafe {
        run(ptr::null_mut(), || {
            let handle = shared(handle)?;
            let new = || Ok(cs_handle::new(handle.handle.clone(), Arc::clone(&handle.pending)));
            crate::pointers::make(clone, new)
        })
    }
}

/// Frees a handle. NULL is allowed. The server is not touched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_handle_free(handle: *mut cs_handle) {
    // SAFETY: by the header, it is one of ours that nobody uses any more, or null.
    unsafe { release(handle) };
}
