//! Files that a load reads: messages, and saved reports.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::exit::{Kind, describe};
use crate::units;

/// More than this is not read into memory.
const FILE_MAX: usize = 1 << 30;

/// All of a file, which may be a pipe; or else why it can't be used.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, (Kind, String)> {
    let mut bytes = Vec::new();
    let opened = File::open(path);
    let read = opened.and_then(|file| file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length > FILE_MAX => {
            Err((Kind::BadFile, format!("it is larger than {}", units::shown(FILE_MAX))))
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err((Kind::NoFile, describe(&error)))
        }
        Err(error) => Err((Kind::BadFile, describe(&error))),
    }
}
