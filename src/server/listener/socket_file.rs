//! The file of a Unix socket: creating it, its mode, and removing it.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a Unix socket that this server has bound. Dropping it removes the file, unless a
/// successor has replaced it.
#[derive(Debug)]
pub(in crate::server) struct SocketFile {
    /// Absolute, since the process may change its directory.
    path: PathBuf,
    number: Number,
}

/// What identifies a file: its device, and its number there.
type Number = (u64, u64);

fn number(found: &Metadata) -> Number {
    (found.dev(), found.ino())
}

impl SocketFile {
    /// Binds a socket at this path; users with write permission by the mode can connect. A file
    /// that a dead server has left is replaced.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if somebody listens there, and
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if it is a file of another kind.
    pub(in crate::server) fn bind(
        socket: &Socket,
        path: &Path,
        address: &SockAddr,
        mode: u32,
    ) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        match socket.bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(&path, address)?;
                socket.bind(address)?;
            }
            bound => bound?,
        }
        let number = number(&fs::symlink_metadata(&path)?);
        let file = Self { path, number };
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
        Ok(file)
    }
}

/// Removes the file of a socket without a listener.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.file_type().is_socket() {
        let text = "the existing file is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let knock = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server that is running may have no room in its queue now.
    knock.set_nonblocking(true)?;
    match knock.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        _ => return Err(io::Error::from_raw_os_error(libc::EADDRINUSE)),
    }
    // Another successor may have been faster.
    let is_same = number(&fs::symlink_metadata(path)?) == number(&found);
    if is_same { fs::remove_file(path) } else { Ok(()) }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |found: &Metadata| number(found) == self.number;
        if fs::symlink_metadata(&self.path).is_ok_and(|found| is_ours(&found)) {
            // If the directory doesn't allow it, the next server replaces the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}
