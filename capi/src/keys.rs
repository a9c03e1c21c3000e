//! Key rings.

use std::ffi::c_char;

use countersign::{Key, KeyRing, KeyRingExt as _};

use crate::option_names;
use crate::pointers::{bytes, exclusive, make, release, shared, text};
use crate::status::{cs_failure, cs_status, run};

/// A ring of keys. What takes one copies it, so you may change it or free it afterwards.
///
/// A ring and its copies are one end of countersign/1, which does not talk to itself: if a server
/// and its client are in one program, make a ring for each.
pub struct cs_keys(pub(crate) KeyRing);

/// Reads a ring from a file or a pipe, which must belong to root or to the user of the process, and
/// which nobody else may read. `src/manual/operations.md` describes the format: one key a line, as
/// `countersign keygen` writes it.
///
/// On success, *keys is yours to free. On failure, it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_keys_from_file(
    path: *const c_char,
    keys: *mut *mut cs_keys,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, it is a text, and the other two are places to write to.
    unsafe { run(why, || make(keys, || Ok(cs_keys(KeyRing::from_file(text(path)?)?)))) }
}

/// Reads a ring from memory: `length` bytes of the text that such a file has. The library keeps no
/// copy of the text; wipe it when you are done with it.
///
/// On success, *keys is yours to free. On failure, it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_keys_from_text(
    data: *const u8,
    length: usize,
    keys: *mut *mut cs_keys,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, there are so many bytes, and the other two are places to write to.
    unsafe { run(why, || make(keys, || Ok(cs_keys(KeyRing::parse(bytes(data, length)?)?)))) }
}

/// Makes a ring without keys, for cs_keys_add(). On success, *keys is yours to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_keys_new(keys: *mut *mut cs_keys, why: *mut cs_failure) -> cs_status {
    // SAFETY: by the header, both are places to write to.
    unsafe { run(why, || make(keys, || Ok(cs_keys(KeyRing::empty()?)))) }
}

/// Adds a key: its id, which is one printable word of at most 64 bytes, and `length` bytes of
/// secret: 16 or more, best 32 random ones. The library keeps no copy of the secret; wipe it when
/// you are done with it.
///
/// `dialects` are the words of the dialects that it is for, separated by commas; NULL is
/// "countersign/1". `audience` is the only service that it is for; NULL is any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_keys_add(
    keys: *mut cs_keys,
    id: *const c_char,
    secret: *const u8,
    length: usize,
    dialects: *const c_char,
    audience: *const c_char,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the ring is one of ours that no other thread uses, there are so many
    // bytes, the rest are texts or null, and `why` is a place to write to.
    unsafe {
        run(why, || {
            let mut key = Key::new(text(id)?, bytes(secret, length)?)?;
            if !dialects.is_null() {
                for dialect in text(dialects)?.split(',') {
                    key = key.with_dialect(option_names::dialect(dialect)?);
                }
            }
            if !audience.is_null() {
                key = key.with_audience(text(audience)?)?;
            }
            Ok(exclusive(keys)?.0.add(key)?)
        })
    }
}

/// The number of keys. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_keys_count(keys: *const cs_keys) -> usize {
    // SAFETY: by the header, the ring is one of ours that no other thread changes, or null.
    unsafe { shared(keys) }.map_or(0, |keys| keys.0.keys().count())
}

/// Frees a ring. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_keys_free(keys: *mut cs_keys) {
    // SAFETY: by the header, the ring is one of ours that nobody uses any more, or null.
    unsafe { release(keys) };
}
