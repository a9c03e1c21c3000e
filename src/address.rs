//! Where a server is: an IP address and a port, or a Unix socket.

use std::borrow::Cow;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use socket2::SockAddr;

use crate::os_error;

/// What the text of a Unix socket begins with.
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
    /// The path of a Unix socket. One that begins with a zero byte is not a file but an abstract
    /// name of Linux (unix(7)); in text it begins with `@`.
    Unix(PathBuf),
}

impl Address {
    /// The IP address and the port; none for a Unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The file of a Unix socket, if it has one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) if !is_abstract(path) => Some(path),
            _ => None,
        }
    }

    /// The address in the system's form.
    ///
    /// # Errors
    ///
    /// No Unix socket can have this path.
    pub(crate) fn to_system(&self) -> io::Result<SockAddr> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        match self {
            Self::Ip(address) => Ok((*address).into()),
            Self::Unix(path) if path.as_os_str().is_empty() => {
                Err(invalid("the path is empty".to_owned()))
            }
            Self::Unix(_) if self.file().is_some_and(|path| bytes(path).contains(&0)) => {
                Err(invalid("the path has a zero byte in it".to_owned()))
            }
            Self::Unix(path) => SockAddr::unix(path).map_err(|_| {
                let (length, most) = (bytes(path).len(), PATH_MAX);
                invalid(format!("the path has {length} bytes, more than the {most} of a socket"))
            }),
        }
    }

    /// The address from the system's form; none for sockets of other families.
    pub(crate) fn from_system(address: &SockAddr) -> Option<Self> {
        if let Some(name) = address.as_abstract_namespace() {
            return Some(Self::Unix(abstract_path(name)));
        }
        let path = || address.is_unix().then(|| address.as_pathname().unwrap_or(Path::new("")));
        let ip = address.as_socket().map(Self::Ip);
        ip.or_else(|| path().map(|path| Self::Unix(path.to_owned())))
    }

    /// The Unix socket that a text names, if it names one.
    fn parse_unix(text: &str) -> Option<Self> {
        let path = text.strip_prefix(UNIX)?;
        Some(Self::Unix(match path.strip_prefix('@') {
            Some(name) => abstract_path(name.as_bytes()),
            None => path.into(),
        }))
    }
}

/// The longest path of a Unix socket, without its terminator.
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

/// Something that names a server: a text, an address, or a host with a port.
///
/// | text | the server is |
/// | --- | --- |
/// | `127.0.0.1:9527`, `[::1]:9527`, `garden.example:9527` | at an address and a port |
/// | `garden.example`, `::1`, `[::1]` | there, at port 9527 |
/// | `9527`, `:9527` | at this port of `127.0.0.1` |
/// | `fe80::1%eth0`, `[fe80::1%eth0]:9527`, `[fe80::1%2]:9527` | at a link-local address |
/// | `unix:/run/garden.sock` | at a Unix socket of this path |
/// | `unix:@garden` | at an abstract Unix socket, on Linux |
pub trait ToAddresses {
    /// The addresses of the server in the order in which they should be tried: the families take
    /// turns, as [RFC 8305](https://www.rfc-editor.org/rfc/rfc8305#section-4) recommends.
    ///
    /// A name is looked up with the system's resolver, which blocks for as long as it needs.
    ///
    /// # Errors
    ///
    /// The text isn't an address, or its name can't be resolved.
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError>;
}

/// Why something names no address: see [`ToAddresses`].
///
/// Its text has the remedy where there is one, and its [source](Error::source) is the system's
/// error.
#[derive(Debug)]
#[non_exhaustive]
pub enum AddressError {
    /// This text isn't an address.
    Malformed(String),
    /// This machine has no such network interface, which follows `%` in the address.
    UnknownInterface(String),
    /// This name can't be resolved, perhaps not yet.
    Lookup(String, io::Error),
    /// The list of addresses is empty.
    Empty,
}

impl AddressError {
    /// The system's error, if it is behind this one.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Lookup(_, error) => Some(error),
            Self::Malformed(_) | Self::UnknownInterface(_) | Self::Empty => None,
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) => {
                write!(f, "{text:?} is not an address; write HOST:PORT or unix:/PATH")
            }
            Self::UnknownInterface(zone) => write!(f, "this machine has no interface {zone:?}"),
            Self::Lookup(host, _) => write!(f, "cannot resolve {host}"),
            Self::Empty => f.write_str("the list of addresses is empty"),
        }
    }
}

/// For a function that returns the system's errors: of kind
/// [`NotFound`](io::ErrorKind::NotFound) where something may be there later, else
/// [`InvalidInput`](io::ErrorKind::InvalidInput).
impl From<AddressError> for io::Error {
    fn from(error: AddressError) -> Self {
        let kind = match error {
            AddressError::Lookup(..) | AddressError::UnknownInterface(_) => io::ErrorKind::NotFound,
            AddressError::Malformed(_) | AddressError::Empty => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, os_error::chain(&error))
    }
}

impl Error for AddressError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.io_error().map(|error| error as &(dyn Error + 'static))
    }
}

impl ToAddresses for Address {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        Ok(vec![self.clone()])
    }
}

/// All of them, in this order.
impl ToAddresses for [Address] {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        Ok(self.to_vec())
    }
}

impl ToAddresses for Vec<Address> {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        Ok(self.clone())
    }
}

impl ToAddresses for str {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        if let Some(address) = Address::parse_unix(self) {
            return Ok(vec![address]);
        }
        let (host, port) = split(self).ok_or_else(|| AddressError::Malformed(self.to_owned()))?;
        resolve(&host, port)
    }
}

impl ToAddresses for String {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        self.as_str().to_addresses()
    }
}

impl ToAddresses for SocketAddr {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        Ok(vec![Address::Ip(*self)])
    }
}

impl ToAddresses for (IpAddr, u16) {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        SocketAddr::from(*self).to_addresses()
    }
}

impl ToAddresses for (&str, u16) {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        resolve(self.0, self.1)
    }
}

impl<T: ToAddresses + ?Sized> ToAddresses for &T {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        (**self).to_addresses()
    }
}

/// The host, if a text has none.
const HOST: &str = "127.0.0.1";

/// The port, if a text has none.
const PORT: u16 = 9527;

/// The host and the port of a text, if it is well-formed.
fn split(text: &str) -> Option<(Cow<'_, str>, u16)> {
    if let Some(port) = number(text) {
        return Some((HOST.into(), port));
    }
    let (host, port): (Cow<'_, str>, _) = if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']')?;
        // Some write the interface behind the bracket.
        let (zone, port) = rest.find(':').map_or((rest, ""), |colon| rest.split_at(colon));
        match (is_ipv6(ip), zone) {
            (true, "") => (ip.into(), port),
            (true, _) if zone.starts_with('%') => (format!("{ip}{zone}").into(), port),
            _ => return None,
        }
    } else if is_ipv6(text) {
        (text.into(), "")
    } else {
        let (host, port) = text.rfind(':').map_or((text, ""), |colon| text.split_at(colon));
        let is_scoped = host.contains('%') && is_ipv6(host);
        match host {
            "" if port.len() > 1 => (HOST.into(), port),
            // A number is a port; the system would take it for an IPv4 address.
            _ if host.bytes().all(|byte| byte.is_ascii_digit()) => return None,
            _ if is_scoped || !host.contains([':', '[', ']', '/', '%']) => (host.into(), port),
            _ => return None,
        }
    };
    let port = if port.is_empty() { PORT } else { number(port.strip_prefix(':')?)? };
    Some((host, port))
}

/// A port in digits only: the standard library accepts a sign too.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Whether a host is an IPv6 address, perhaps with an interface.
fn is_ipv6(host: &str) -> bool {
    let (ip, zone) = scoped(host);
    ip.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(|zone| !zone.contains(':'))
}

/// An address and the interface behind it.
fn scoped(host: &str) -> (&str, Option<&str>) {
    host.split_once('%').map_or((host, None), |(ip, zone)| (ip, Some(zone)))
}

/// All addresses of a host, of which there is at least one.
fn resolve(host: &str, port: u16) -> Result<Vec<Address>, AddressError> {
    let found = (host, port).to_socket_addrs().map_err(|error| unresolved(host, &error))?;
    let addresses = in_turns(found);
    if addresses.is_empty() { Err(not_found(host, "it has no address")) } else { Ok(addresses) }
}

/// Each address once, and the families by turns, beginning with that of the first address.
fn in_turns(found: impl IntoIterator<Item = SocketAddr>) -> Vec<Address> {
    let mut families: [Vec<SocketAddr>; 2] = [Vec::new(), Vec::new()];
    let mut first = None;
    for address in found {
        let is_of_first = *first.get_or_insert(address.is_ipv6()) == address.is_ipv6();
        let family = &mut families[usize::from(!is_of_first)];
        if !family.contains(&address) {
            family.push(address);
        }
    }
    let longest = families.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| families.each_ref().map(|family| family.get(turn)));
    turns.flatten().copied().map(Address::Ip).collect()
}

/// Why the system finds no address of a host.
fn unresolved(host: &str, error: &io::Error) -> AddressError {
    match scoped(host) {
        (_, Some(zone)) => AddressError::UnknownInterface(zone.to_owned()),
        _ if host.is_empty() => AddressError::Malformed(String::new()),
        _ => {
            let why = os_error::describe(error);
            not_found(
                host,
                why.strip_prefix("failed to lookup address information: ").unwrap_or(&why),
            )
        }
    }
}

/// A lookup that found nothing. The resolver's own errors are of no kind.
fn not_found(host: &str, why: &str) -> AddressError {
    AddressError::Lookup(host.to_owned(), io::Error::new(io::ErrorKind::NotFound, why))
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

    fn all(text: &str) -> Vec<String> {
        text.to_addresses().unwrap().iter().map(Address::to_string).collect()
    }

    #[test]
    fn what_a_text_leaves_out_is_the_default() {
        for (text, meant) in [
            ("9527", "127.0.0.1:9527"),
            ("1", "127.0.0.1:1"),
            (":80", "127.0.0.1:80"),
            ("0", "127.0.0.1:0"),
            ("127.0.0.2", "127.0.0.2:9527"),
            ("127.0.0.2:80", "127.0.0.2:80"),
            ("::1", "[::1]:9527"),
            ("[::1]", "[::1]:9527"),
            ("::", "[::]:9527"),
            ("::1:80", "[::1:80]:9527"),
            ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]:9527"),
            // Every Linux has this interface, and it is the first.
            ("fe80::1%1", "[fe80::1%1]:9527"),
            ("[fe80::1%1]", "[fe80::1%1]:9527"),
            ("[fe80::1%1]:80", "[fe80::1%1]:80"),
            ("[fe80::1]%1:80", "[fe80::1%1]:80"),
            ("fe80::1%1:80", "[fe80::1%1]:80"),
        ] {
            assert_eq!(all(text), [meant], "{text}");
        }
        if cfg!(target_os = "linux") {
            for text in ["fe80::1%lo", "[fe80::1%lo]:9527", "[fe80::1]%lo", "fe80::1%lo:9527"] {
                assert_eq!(all(text), ["[fe80::1%1]:9527"], "{text}");
            }
            assert_eq!(("fe80::1%lo", 80).to_addresses().unwrap()[0].to_string(), "[fe80::1%1]:80");
        }
    }

    #[test]
    fn what_is_no_address_is_told_from_a_name_that_is_not_known() {
        let malformed = [
            "",
            ":",
            "99999",
            "host:",
            "host:99999",
            "host:-1",
            "host:+1",
            "host:http",
            "a:b:1",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[::1]x:80",
            "[127.0.0.1]:80",
            "127.0.0.1%lo:80",
            "http://127.0.0.1:80",
            "127.0.0.1:80/",
        ];
        for text in malformed {
            let error = text.to_addresses().unwrap_err();
            assert!(matches!(&error, AddressError::Malformed(it) if it == text), "{error:?}");
            let said = format!("{text:?} is not an address; write HOST:PORT or unix:/PATH");
            assert_eq!((error.to_string(), error.source().is_none()), (said, true));
        }
        for text in ["no.such.name.invalid", "no.such.name.invalid:80"] {
            let error = text.to_addresses().unwrap_err();
            assert_eq!(error.to_string(), "cannot resolve no.such.name.invalid");
            let source = error.io_error().unwrap();
            assert_eq!(source.kind(), io::ErrorKind::NotFound, "{source}");
            // The text is the system's: with musl, "Name does not resolve".
            assert!(!source.to_string().contains("lookup") && error.source().is_some());
        }
        for (text, zone) in [("fe80::1%none-such", "none-such"), ("[fe80::1%gone]:80", "gone")] {
            let error = text.to_addresses().unwrap_err();
            assert_eq!(error.to_string(), format!("this machine has no interface {zone:?}"));
            assert!(matches!(error, AddressError::UnknownInterface(_)), "{error:?}");
        }
    }

    #[test]
    fn the_families_take_turns_and_no_address_is_there_twice() {
        let ip = |text: &str| SocketAddr::new(text.parse().unwrap(), 1);
        let found = ["::1", "::1", "::2", "::3", "127.0.0.1", "127.0.0.2", "::1"].map(ip);
        let tried = ["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"].map(ip);
        assert_eq!(in_turns(found), tried.map(Address::Ip));
        let found = ["127.0.0.1", "127.0.0.2", "::1"].map(ip);
        assert_eq!(in_turns(found), ["127.0.0.1", "::1", "127.0.0.2"].map(ip).map(Address::Ip));
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
            ("x".repeat(PATH_MAX + 1), "bytes, more than the"),
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
