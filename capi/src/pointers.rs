//! Pointers of C, as references, and back.

use std::ffi::{CStr, c_char};
use std::{mem, ptr, slice};

use crate::status::{CallError, cs_failure, cs_status, run};

fn null() -> CallError {
    CallError::argument("an argument is NULL that must not be")
}

/// What a pointer points to, for reading.
///
/// # Safety
///
/// It is null, or points to a value that nobody changes while the reference is used.
pub(crate) unsafe fn shared<'a, T>(pointer: *const T) -> Result<&'a T, CallError> {
    // SAFETY: the caller says so.
    unsafe { pointer.as_ref() }.ok_or_else(null)
}

/// What a pointer points to, for changing it.
///
/// # Safety
///
/// It is null, or points to a value that nobody else uses while the reference is used.
pub(crate) unsafe fn exclusive<'a, T>(pointer: *mut T) -> Result<&'a mut T, CallError> {
    // SAFETY: the caller says so.
    unsafe { pointer.as_mut() }.ok_or_else(null)
}

/// A text of C.
///
/// # Safety
///
/// The pointer is null, or points to bytes up to a NUL, which nobody changes while the text is
/// used.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Result<&'a str, CallError> {
    if pointer.is_null() {
        return Err(null());
    }
    // SAFETY: the caller says so.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| CallError::argument("a text is not UTF-8"))
}

/// Bytes of C. If there are none, the pointer may be null.
///
/// # Safety
///
/// Otherwise it is null, or points to so many bytes, which nobody changes while they are used.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, length: usize) -> Result<&'a [u8], CallError> {
    match (pointer.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null()),
        (false, 0..=ISIZE_MAX) => {
            // SAFETY: the caller says so, and no object is longer than that.
            Ok(unsafe { slice::from_raw_parts(pointer, length) })
        }
        _ => Err(CallError::argument("a length is negative")),
    }
}

/// The longest object there can be.
const ISIZE_MAX: usize = usize::MAX / 2;

/// Hands a value to C, if a pointer says where.
///
/// # Safety
///
/// The pointer is null, or a place for such a value.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) -> Result<(), CallError> {
    if place.is_null() {
        return Err(null());
    }
    // SAFETY: the caller says so.
    unsafe { place.write(value) };
    Ok(())
}

/// Makes an object that C owns from then on. If that fails, the place is set to null.
///
/// # Safety
///
/// `place` is null, or a place for a pointer.
pub(crate) unsafe fn make<T>(
    place: *mut *mut T,
    object: impl FnOnce() -> Result<T, CallError>,
) -> Result<(), CallError> {
    // SAFETY: the caller says so.
    unsafe {
        put(place, ptr::null_mut())?;
        put(place, Box::into_raw(Box::new(object()?)))
    }
}

/// Sets one field of an object.
///
/// # Safety
///
/// `object` is null, or one of ours that nobody else uses; `why` is null, or a place to write to.
pub(crate) unsafe fn set<O, T>(
    object: *mut O,
    why: *mut cs_failure,
    field: impl FnOnce(&mut O) -> &mut T,
    value: impl FnOnce() -> Result<T, CallError>,
) -> cs_status {
    // SAFETY: the caller says so.
    unsafe {
        run(why, || {
            *field(exclusive(object)?) = value()?;
            Ok(())
        })
    }
}

/// Adds to a field that is a list.
///
/// # Safety
///
/// As for [`set`].
pub(crate) unsafe fn push<O, T>(
    object: *mut O,
    why: *mut cs_failure,
    field: impl FnOnce(&mut O) -> &mut Vec<T>,
    value: impl FnOnce() -> Result<T, CallError>,
) -> cs_status {
    // SAFETY: the caller says so.
    unsafe {
        run(why, || {
            field(exclusive(object)?).push(value()?);
            Ok(())
        })
    }
}

/// Ends an object that C owns. Null is none.
///
/// # Safety
///
/// The pointer is null, or was [made](make) and not released before, and nobody uses the object.
pub(crate) unsafe fn release<T>(object: *mut T) -> cs_status {
    // SAFETY: the caller says so. There is no place for the reason.
    unsafe {
        run(ptr::null_mut(), || {
            if !object.is_null() {
                drop(Box::from_raw(object));
            }
            Ok(())
        })
    }
}

/// A struct that begins with its size in bytes, as whoever has compiled the caller knew it: it may
/// lack the last fields, which then have their defaults.
///
/// # Safety
///
/// `T` is of C's layout, begins with a `usize`, and its fields end where words end. The pointer is
/// null, or points to such a struct of the size that it says.
pub(crate) unsafe fn sized<T: Default>(pointer: *const T) -> Result<T, CallError> {
    let mut whole = T::default();
    // SAFETY: the caller says so: the first field is there, and then the bytes that it counts.
    unsafe {
        let size = size_of_struct(pointer)?;
        ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut whole).cast(), size);
    }
    Ok(whole)
}

/// The other way: fills in such a struct, as far as the caller knows it. Its size stays.
///
/// # Safety
///
/// As for [`sized`], and the struct can be written to.
pub(crate) unsafe fn put_sized<T>(place: *mut T, value: &T) -> Result<(), CallError> {
    const SIZE: usize = size_of::<usize>();
    // SAFETY: the caller says so.
    unsafe {
        let size = size_of_struct(place)?;
        let from = ptr::from_ref(value).cast::<u8>().add(SIZE);
        ptr::copy_nonoverlapping(from, place.cast::<u8>().add(SIZE), size - SIZE);
    }
    Ok(())
}

/// # Safety
///
/// As for [`sized`].
unsafe fn size_of_struct<T>(pointer: *const T) -> Result<usize, CallError> {
    const WORD: usize = size_of::<usize>();
    // SAFETY: the caller says so.
    let size = *unsafe { shared(pointer.cast::<usize>()) }?;
    if size < WORD || size % WORD != 0 || size > mem::size_of::<T>() {
        return Err(CallError::argument(
            "the field size of a struct must be its sizeof, in the header of this library",
        ));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Sized {
        size: usize,
        old: usize,
        new: usize,
    }

    impl Default for Sized {
        fn default() -> Self {
            Self { size: 0, old: 10, new: 20 }
        }
    }

    #[test]
    fn a_struct_of_an_older_header_has_defaults_where_it_ends() {
        const WORD: usize = size_of::<usize>();
        let given = |words| Sized { size: words * WORD, old: 1, new: 2 };
        // SAFETY: it is longer than it says.
        let read = |words| unsafe { sized(&given(words)) }.map(|read| (read.old, read.new)).ok();
        assert_eq!([read(1), read(2), read(3)], [Some((10, 20)), Some((1, 20)), Some((1, 2))]);
        assert_eq!([read(0), read(4)], [None, None]);
        let mut place = given(2);
        // SAFETY: likewise.
        unsafe { put_sized(&raw mut place, &Sized { size: 99, old: 5, new: 6 }) }.unwrap();
        assert_eq!(place, Sized { size: 2 * WORD, old: 5, new: 2 });
        place.size = WORD + 1;
        // SAFETY: likewise.
        assert!(unsafe { sized(&raw const place) }.is_err());
    }

    #[test]
    fn null_is_an_error_and_nothing_else() {
        let none: *const u8 = ptr::null();
        // SAFETY: all of these allow null.
        unsafe {
            assert!(shared(none).is_err() && exclusive(none.cast_mut()).is_err());
            assert!(text(none.cast()).is_err() && put(none.cast_mut(), 1).is_err());
            assert_eq!(bytes(none, 0).unwrap(), b"");
            assert!(bytes(none, 1).is_err() && bytes(b"1".as_ptr(), usize::MAX).is_err());
            assert_eq!(release(none.cast_mut()), cs_status::CS_ERR_NONE);
            assert!(make(ptr::null_mut(), || Ok(1)).is_err());
        }
    }
}
