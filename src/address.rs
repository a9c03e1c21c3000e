//! Where a server is: an IP address and a port, or a Unix socket.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use socket2::SockAddr;

/// What a Unix socket is called by in text.
const UNIX: &str = "unix:";

/// Where a server is: an IP address and a port, or a Unix socket.
///
/// ```
/// use countersign::Address;
///
/// let address = Address::Unix("/run/garden.sock".into());
/// assert_eq!(address.to_string(), "unix:/run/garden.sock");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// The path of a Unix socket. One that begins with a zero byte is no file but a name that
    /// Linux keeps (unix(7), "abstract"); in text it begins with `@`.
    Unix(PathBuf),
}

impl Address {
    /// The IP address and the port, if it is no Unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The file that stands for it, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) if !is_abstract(path) => Some(path),
            _ => None,
        }
    }

    /// As the system takes it.
    ///
    /// # Errors
    ///
    /// The path of a Unix socket is none that the system takes.
    pub(crate) fn to_system(&self) -> io::Result<SockAddr> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        match self {
            Self::Ip(address) => Ok((*address).into()),
            Self::Unix(path) if path.as_os_str().is_empty() => {
                Err(invalid("the path is empty".to_owned()))
            }
            Self::Unix(path) if self.file().is_some_and(|path| bytes(path).contains(&0)) => {
                Err(invalid("the path has a zero byte in it".to_owned()))
            }
            Self::Unix(path) => SockAddr::unix(path).map_err(|_| {
                let (length, most) = (bytes(path).len(), PATH_MAX);
                invalid(format!("the path has {length} bytes, and a socket's {most} at most"))
            }),
        }
    }

    /// The same back. A socket that is neither has no address.
    pub(crate) fn from_system(address: &SockAddr) -> Option<Self> {
        if let Some(name) = address.as_abstract_namespace() {
            return Some(Self::Unix(abstract_path(name)));
        }
        let path = || address.is_unix().then(|| address.as_pathname().unwrap_or(Path::new("")));
        let ip = address.as_socket().map(Self::Ip);
        ip.or_else(|| path().map(|path| Self::Unix(path.to_owned())))
    }

    /// The Unix socket that a text calls by name, if it does.
    fn parse_unix(text: &str) -> Option<Self> {
        let path = text.strip_prefix(UNIX)?;
        Some(Self::Unix(match path.strip_prefix('@') {
            Some(name) => abstract_path(name.as_bytes()),
            None => path.into(),
        }))
    }
}

/// The longest path that the system takes for a socket's, with its terminator left out.
const PATH_MAX: usize = {
    let whole = size_of::<libc::sockaddr_un>();
    whole - std::mem::offset_of!(libc::sockaddr_un, sun_path) - 1
};

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn is_abstract(path: &Path) -> bool {
    bytes(path).first() == Some(&0)
}

fn abstract_path(name: &[u8]) -> PathBuf {
    OsString::from_vec([b"\0", name].concat()).into()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) if is_abstract(path) => {
                write!(f, "{UNIX}@{}", OsStr::from_bytes(&bytes(path)[1..]).display())
            }
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// What names a server: what [`ToSocketAddrs`] takes, or a Unix socket.
///
/// | text | the server is |
/// | --- | --- |
/// | `127.0.0.1:9527`, `[::1]:9527`, `garden.example:9527` | at an address and a port |
/// | `unix:/run/garden.sock` | at a Unix socket of this path |
/// | `unix:@garden` | at a name that is no file, on Linux |
pub trait ToAddresses {
    /// The addresses, of which the first that works is taken.
    ///
    /// # Errors
    ///
    /// The text is no address, or the name can't be resolved.
    fn to_addresses(&self) -> io::Result<Vec<Address>>;
}

impl ToAddresses for Address {
    fn to_addresses(&self) -> io::Result<Vec<Address>> {
        Ok(vec![self.clone()])
    }
}

impl ToAddresses for str {
    fn to_addresses(&self) -> io::Result<Vec<Address>> {
        Address::parse_unix(self).map_or_else(|| resolve(self), |address| Ok(vec![address]))
    }
}

impl ToAddresses for String {
    fn to_addresses(&self) -> io::Result<Vec<Address>> {
        self.as_str().to_addresses()
    }
}

impl ToAddresses for SocketAddr {
    fn to_addresses(&self) -> io::Result<Vec<Address>> {
        resolve(*self)
    }
}

impl ToAddresses for (IpAddr, u16) {
    fn to_addresses(&self) -> io::Result<Vec<Address>> {
        resolve(*self)
    }
}

impl ToAddresses for (&str, u16) {
    fn to_addresses(&self) -> io::Result<Vec<Address>> {
        resolve(*self)
    }
}

impl<T: ToAddresses + ?Sized> ToAddresses for &T {
    fn to_addresses(&self) -> io::Result<Vec<Address>> {
        (**self).to_addresses()
    }
}

fn resolve(name: impl ToSocketAddrs) -> io::Result<Vec<Address>> {
    let addresses: Vec<_> = name.to_socket_addrs()?.map(Address::Ip).collect();
    let nowhere = || io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    if addresses.is_empty() { Err(nowhere()) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_its_text_says() {
        for text in ["127.0.0.1:9527", "[::1]:9527", "unix:/run/a b.sock", "unix:x", "unix:@x"] {
            let addresses = text.to_addresses().unwrap();
            assert_eq!(addresses.len(), 1, "{text}");
            assert_eq!(addresses[0].to_string(), text);
            let system = addresses[0].to_system().unwrap();
            let back = Address::from_system(&system);
            // Only Linux has names that are no files.
            if cfg!(target_os = "linux") || !text.contains('@') {
                assert_eq!(back.as_ref(), Some(&addresses[0]), "{text}");
            }
        }
    }

    #[test]
    fn only_a_path_has_a_file() {
        let file = |text: &str| text.to_addresses().unwrap()[0].file().map(Path::to_owned);
        assert_eq!(file("unix:/run/x"), Some("/run/x".into()));
        assert_eq!((file("unix:@x"), file("127.0.0.1:1")), (None, None));
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_in_words() {
        let longest = Address::Unix("x".repeat(PATH_MAX).into());
        assert!(longest.to_system().is_ok());
        let cases = [
            ("x".repeat(PATH_MAX + 1), "bytes, and a socket's"),
            (String::new(), "empty"),
            ("a\0b".to_owned(), "zero byte"),
        ];
        for (path, said) in cases {
            let error = Address::Unix(path.into()).to_system().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
