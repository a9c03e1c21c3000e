//! Changing a key file: the new file is written beside the old one and then replaces it, so that
//! readers see one or the other.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign::{Key, KeyError, KeyFileError, KeyRing, KeyRingExt as _};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{KeyOptions, MAINTAINED, cannot_write, line, secret};
use crate::exit::{Failure, Kind, chain, describe, key_ring, said};
use crate::system;

/// How long to wait for another program that changes the file, and how often to retry.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// More bytes than a change adds: a buffer that grows leaves copies behind that are not wiped.
const ROOM: usize = 1024;

const HEADER: &str = "# Keys, one a line: id  encoding:secret  [option=value ...]\n";

/// A change of a key file, under a lock.
pub(crate) struct KeyFileEdit {
    /// The file itself; a symbolic link to it stays.
    path: PathBuf,
    file: AtomicFile,
    /// The keys.
    pub(crate) ring: KeyRing,
    /// What the file will be.
    pub(crate) text: Zeroizing<Vec<u8>>,
}

impl KeyFileEdit {
    pub(crate) fn begin(path: &Path) -> Result<Self, Failure> {
        let path = followed(path).map_err(|error| cannot_write(path, &error))?;
        let file = AtomicFile::new(&path)?;
        let (ring, text) = existing(&path)?;
        Ok(Self { path, file, ring, text })
    }

    /// Adds a fresh random key, and its line at this place in the text.
    pub(crate) fn insert_fresh(
        &mut self,
        at: usize,
        id: &str,
        options: &KeyOptions,
    ) -> Result<Key, Failure> {
        let path = self.path.display();
        let bad =
            |cause: KeyFileError| Failure::new(Kind::BadFile, format!("{path}: {}", said(&cause)));
        let secret = secret()?;
        let line = line(id, &secret, &options.text());
        // If the request makes no valid key, that isn't a fault of the ring.
        let fresh = KeyRing::parse(&line)
            .map_err(|error| Failure::new(Kind::Usage, said(error.cause())))?;
        let key = fresh.keys().next().ok_or_else(|| bad(KeyFileError::NoKeys))?;
        self.ring.add(key.clone()).map_err(|fault| match fault {
            KeyError::DuplicateId(id) => taken(&self.path, &id),
            fault => bad(fault.into()),
        })?;
        self.insert(at, &line);
        Ok(key.clone())
    }

    /// Puts another text in the place of a part.
    pub(crate) fn replace(&mut self, part: Range<usize>, text: &str) {
        self.text.drain(part.clone());
        self.insert(part.start, text.as_bytes());
    }

    /// Puts bytes into the text at a place in it.
    pub(crate) fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        self.text[at..].rotate_right(bytes.len());
    }

    pub(crate) fn commit(self) -> Result<(), Failure> {
        let replaced = self.file.replace(&self.path, &self.text);
        let folder = replaced.map_err(|error| cannot_write(&self.path, &error))?;
        let Some(Err(error)) = folder.map(|folder| sync_folder(&folder)) else { return Ok(()) };
        let (path, error) = (self.path.display(), describe(&error));
        let text = format!(
            "{path} was changed, but its folder cannot be synced: {error}; a loss of power may \
             undo that"
        );
        Err(Failure::new(Kind::General, text))
    }
}

fn taken(path: &Path, id: &str) -> Failure {
    let text = format!(
        "{}: there is already a key {id}; choose another id, or replace the key with `countersign \
         keys rotate {id}`",
        path.display()
    );
    Failure::new(Kind::BadFile, text)
}

/// The file that a path leads to.
fn followed(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => fs::canonicalize(path),
        _ => Ok(path.to_owned()),
    }
}

/// The keys that are there, and the text in which they stand.
fn existing(path: &Path) -> Result<(KeyRing, Zeroizing<Vec<u8>>), Failure> {
    let named = |text: String| format!("{}: {text}", path.display());
    let bad = |text: String| Failure::new(Kind::BadFile, named(text));
    let read = match MAINTAINED.read(path) {
        Err(fault) if fault.is_missing() => Zeroizing::new(HEADER.as_bytes().to_vec()),
        read => read.map_err(|fault| bad(chain(&fault)))?,
    };
    let ring = KeyRing::parse(&read).map_err(|error| bad(key_ring(&error)))?;
    let mut text = Zeroizing::new(Vec::with_capacity(read.len() + ROOM));
    text.extend_from_slice(&read);
    Ok((ring, text))
}

/// A file that is being written beside the one that it will replace.
///
/// The writer holds a lock on it, since two at a time would lose a key. The system releases the
/// lock when its holder ends in any way, and the next one takes over the file that was left behind.
struct AtomicFile {
    path: PathBuf,
    file: File,
    /// It has replaced the other file, and its name is free again.
    placed: bool,
}

impl AtomicFile {
    fn new(target: &Path) -> Result<Self, Failure> {
        let mut name = target.as_os_str().to_owned();
        name.push(".new");
        let path = PathBuf::from(name);
        let failed = |text: String| Failure::new(Kind::General, text);
        let end = system::monotonic() + LOCK_TIMEOUT;
        while system::monotonic() < end {
            match Self::locked(&path) {
                Ok(Some(file)) => return Ok(file),
                Ok(None) => system::sleep(LOCK_RETRY),
                Err(error) => {
                    let (path, error) = (path.display(), describe(&error));
                    return Err(failed(format!("cannot make {path}: {error}")));
                }
            }
        }
        let target = target.display();
        Err(failed(format!("another program is changing {target}; try again later")))
    }

    /// The file at this path, if no other program has locked it.
    fn locked(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
        let ours = file.metadata()?;
        if !ours.is_file() || ours.uid() != system::user() || ours.nlink() > 1 {
            return Err(io::Error::other("it is not a regular file of this user; remove it"));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        // Its last holder may have renamed it over the ring, or removed it.
        let is_there = |there: Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        if !fs::symlink_metadata(path).is_ok_and(is_there) {
            return Ok(None);
        }
        // From now on it is removed if anything fails.
        let ours = Self { path: path.to_owned(), file, placed: false };
        ours.file.set_permissions(Permissions::from_mode(0o600))?;
        ours.file.set_len(0)?;
        Ok(Some(ours))
    }

    /// Puts it in the place of the target, whose owner, group and mode it takes.
    /// Returns the folder, which is still to be synced.
    fn replace(mut self, target: &Path, text: &[u8]) -> io::Result<Option<File>> {
        self.file.write_all(text)?;
        if let Ok(old) = fs::metadata(target) {
            keep_access(&self.file, &old)?;
        }
        self.file.sync_all()?;
        let folder = open_folder(target)?;
        fs::rename(&self.path, target)?;
        self.placed = true;
        Ok(folder)
    }
}

/// The folder of a file. None if this user may change it but not read it.
fn open_folder(path: &Path) -> io::Result<Option<File>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new("."))) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        opened => opened.map(Some),
    }
}

/// Writes the names in a folder to the disk.
fn sync_folder(folder: &File) -> io::Result<()> {
    match folder.sync_all() {
        // There are file systems that do not know this call for folders.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// Gives a file the owner, the group and the mode of another one.
fn keep_access(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(|error| {
            let (owner, group, error) = (old.uid(), old.gid(), describe(&error));
            let remedy = "run this as root or as the owner";
            io::Error::other(format!("cannot keep its owner {owner}:{group}: {error}; {remedy}"))
        })?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o777))
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.placed {
            // If it can't be removed, the next change takes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}
