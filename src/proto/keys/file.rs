//! Reading a key file: what is checked is checked on the open descriptor, not on the name.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::proto::keys::fault::KeyFault;
use crate::proto::keys::key::Secret;

/// Far more than a ring of keys needs.
const FILE_MAX: u64 = 1 << 20;

/// The permission bits that others than the owner have.
const OTHERS: u32 = 0o077;

/// Reads a file that is no link, no device, and closed to all but its owner.
pub(crate) fn read(path: &Path) -> Result<Secret, KeyFault> {
    // A FIFO would block the open.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(
        |error| match error.raw_os_error() {
            Some(libc::ELOOP) => KeyFault::Symlink,
            _ => KeyFault::File(error),
        },
    )?;
    let metadata = file.metadata().map_err(KeyFault::File)?;
    if !metadata.is_file() {
        return Err(KeyFault::NotAFile);
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(KeyFault::Exposed(metadata.mode() & 0o777));
    }
    if metadata.len() > FILE_MAX {
        return Err(KeyFault::TooLarge);
    }
    // Room for all of it at once: a buffer that grows leaves copies behind that nobody wipes.
    let room = usize::try_from(metadata.len()).unwrap_or_default() + 1;
    let mut text = Secret::new(vec![0; room]);
    let length = fill(&mut file, &mut text).map_err(KeyFault::File)?;
    text.truncate(length);
    Ok(text)
}

/// Reads until the end of the file or of the buffer.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
