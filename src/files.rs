//! Files that are trusted: the open file is checked and not its name, so that it can't be replaced
//! in between.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{getegid, geteuid, getgroups};
use zeroize::Zeroizing;

use crate::clock;

/// The maximum size: far more than a key file or a configuration needs.
const LARGEST: usize = 1 << 20;

/// How long reading all of a pipe may take. Its writer has begun already.
const PIPE_TIMEOUT: Duration = Duration::from_secs(5);

/// The bits of a mode by which the group, and everybody else, may read and write.
const GROUP_READS: u32 = 0o040;
const GROUP_WRITES: u32 = 0o020;
const ANYBODY_WRITES: u32 = 0o002;
const OTHERS: u32 = 0o077;

const ROOT: u32 = 0;

/// The rules for a file whose content is to be trusted.
///
/// The file must belong to root or to the user of the process. A symbolic link is followed, and the
/// rules apply to its target. Reading never waits for ever, and takes 1 MiB at most.
///
/// ```
/// use countersign::files::{FileError, FileRules};
///
/// let settings = FileRules::settings().read("/dev/zero");
/// assert!(matches!(settings, Err(FileError::NotAFile)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRules {
    is_secret: bool,
    owner_matters: bool,
    is_lent: bool,
}

impl FileRules {
    /// The rules for a public file: a regular file that others can't write to. Its group can write
    /// if it is the group of the process or of root.
    #[must_use]
    pub const fn settings() -> Self {
        Self { is_secret: false, owner_matters: true, is_lent: false }
    }

    /// The rules for a secret file: a regular file or a pipe that only its owner can read. If it
    /// belongs to root, its group may read too, if the process is in that group.
    #[must_use]
    pub const fn secret() -> Self {
        Self { is_secret: true, owner_matters: true, is_lent: false }
    }

    /// The same for a file of any owner: for programs with which an administrator manages files of
    /// other users.
    #[must_use]
    pub const fn of_any_owner(self) -> Self {
        Self { owner_matters: false, ..self }
    }

    /// The same, but if the file belongs to root, any group may read: a service manager lends such
    /// a file by an access list, whose mask appears in place of the group's bits.
    #[must_use]
    pub const fn lent(self) -> Self {
        Self { is_lent: true, ..self }
    }

    /// Opens a file, checks it and reads all of it. It is wiped when it is dropped.
    ///
    /// # Errors
    ///
    /// The file can't be read, or doesn't meet these rules. The text names the remedy.
    pub fn read(self, path: impl AsRef<Path>) -> Result<Zeroizing<Vec<u8>>, FileError> {
        // Opening a pipe without a writer would block.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        let is_pipe = metadata.file_type().is_fifo();
        if is_pipe && !self.is_secret {
            return Err(FileError::Pipe);
        }
        if !is_pipe && !metadata.is_file() {
            return Err(FileError::NotAFile);
        }
        self.check(&metadata)?;
        let text = if is_pipe { read_pipe(file) } else { read_regular(file, metadata.len()) }?;
        if is_utf16(&text) { Err(FileError::Utf16) } else { Ok(text) }
    }

    /// Checks the owner and the mode.
    fn check(self, metadata: &Metadata) -> Result<(), FileError> {
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
        if self.owner_matters && owner != ROOT && owner != geteuid().as_raw() {
            return Err(FileError::Foreign(owner));
        }
        let excess = if self.is_secret {
            let lent = owner == ROOT && mode & GROUP_READS != 0 && self.may_lend(metadata.gid())?;
            mode & if lent { OTHERS & !GROUP_READS } else { OTHERS }
        } else {
            let own = [ROOT, getegid().as_raw()].contains(&metadata.gid());
            mode & if own { ANYBODY_WRITES } else { GROUP_WRITES | ANYBODY_WRITES }
        };
        match excess {
            0 => Ok(()),
            _ if self.is_secret => Err(FileError::Exposed(mode)),
            _ => Err(FileError::Writable(mode)),
        }
    }

    /// Whether root may let a group read.
    fn may_lend(self, group: u32) -> io::Result<bool> {
        let is_ours = getegid().as_raw() == group;
        Ok(self.is_lent || is_ours || getgroups()?.iter().any(|ours| ours.as_raw() == group))
    }
}

fn read_regular(mut file: File, length: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let length = usize::try_from(length).ok().filter(|length| *length <= LARGEST);
    // Room for all of it at once: a buffer that grows would leave copies that nobody wipes.
    let room = length.ok_or(FileError::TooLarge)? + 1;
    let mut text = Zeroizing::new(vec![0; room]);
    let length = fill(&mut file, &mut text)?;
    if length == room {
        return Err(io::Error::other("it grew while it was read; try again").into());
    }
    text.truncate(length);
    Ok(text)
}

/// Reads to the end of a pipe. With a limit on each read alone, a writer that sends a byte now and
/// then could delay the reader for ever.
fn read_pipe(mut pipe: File) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mut text = Zeroizing::new(vec![0; LARGEST + 1]);
    let mut length = 0;
    let mut has_waited = false;
    let deadline = clock::after(PIPE_TIMEOUT);
    while length < text.len() {
        match pipe.read(&mut text[length..]) {
            // The writer has closed the pipe. If it did so before the pipe was opened here, `poll`
            // never reports that, so the pipe is read first.
            Ok(0) if length > 0 => break,
            Ok(0) if has_waited => return Err(FileError::SilentPipe),
            Ok(n) if n > 0 => {
                length += n;
                continue;
            }
            Err(error) if !is_passing(&error) => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        if !wait(&pipe, deadline)? {
            let is_silent = length == 0;
            return Err(if is_silent { FileError::SilentPipe } else { FileError::UnfinishedPipe });
        }
        has_waited = true;
    }
    if length == text.len() {
        return Err(FileError::TooLarge);
    }
    text.truncate(length);
    Ok(text)
}

/// Waits until a pipe has data or has ended. Returns whether that was in time.
fn wait(pipe: &File, deadline: Instant) -> io::Result<bool> {
    loop {
        let rest = deadline.saturating_duration_since(clock::monotonic());
        if rest.is_zero() {
            return Ok(false);
        }
        let rest = Timespec::try_from(rest).map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)], Some(&rest)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Reads until the end of the file or of the buffer.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether a text is UTF-16, as some editors and shells write it: it begins with the mark of that,
/// or with a character of which one byte is zero.
fn is_utf16(text: &[u8]) -> bool {
    match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, second, ..] => (*first == 0) != (*second == 0),
        _ => false,
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Why a file isn't trusted. The text names the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The file can't be opened or read.
    Io(io::Error),
    /// It is a directory, a device or the like.
    NotAFile,
    /// It is a pipe, and the file has to be readable again later.
    Pipe,
    /// No data came from the pipe: it has no writer, or was read before.
    SilentPipe,
    /// The pipe's end did not come in time.
    UnfinishedPipe,
    /// It belongs to another user, of this id.
    Foreign(u32),
    /// Others may read or write it, by this mode.
    Exposed(u32),
    /// Others may write to it, by this mode.
    Writable(u32),
    /// It is too large.
    TooLarge,
    /// It is encoded in UTF-16.
    Utf16,
}

impl FileError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("can't be read"),
            Self::NotAFile => f.write_str("is not a regular file; name one"),
            Self::Pipe => f.write_str("is a pipe, which can't be read again; name a regular file"),
            Self::SilentPipe => f.write_str(
                "no data arrives from this pipe; a pipe can be read only once, so use a regular \
                 file if it must be read again",
            ),
            Self::UnfinishedPipe => write!(
                f,
                "the end of this pipe did not come within {} s; have its writer close it, or name \
                 a regular file",
                PIPE_TIMEOUT.as_secs()
            ),
            Self::Foreign(owner) => write!(
                f,
                "belongs to the user {owner}, but must belong to root or to the user that reads \
                 it (user \
                 {}); `chown` it",
                geteuid().as_raw()
            ),
            Self::Exposed(mode) => {
                write!(f, "others have access to it (mode {mode:03o}); `chmod 600` it")
            }
            Self::Writable(mode) => {
                write!(f, "others may write to it (mode {mode:03o}); `chmod go-w` it")
            }
            Self::Utf16 => f.write_str("is UTF-16 text; save it as UTF-8"),
            Self::TooLarge => f.write_str("is larger than 1 MiB; name another file"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_told_from_what_is_none() {
        for text in ["key text:a", "\u{feff}key text:a", "# \u{829d}", "\r\n"] {
            assert!(!is_utf16(text.as_bytes()), "{text:?}");
            let units = || text.encode_utf16();
            assert!(is_utf16(&units().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()), "{text:?}");
            assert!(is_utf16(&units().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()), "{text:?}");
        }
        assert!(!is_utf16(b"") && !is_utf16(b"\xff") && !is_utf16(b"\0\0"));
    }
}
