//! The page `/status`, asked for by a client that waits.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use countersign::{Address, ClientError, ToAddresses as _};
use httparse::EMPTY_HEADER;

use super::Status;
use crate::cli::admin::report::{PROGRAM, Report};
use crate::cli::exit::{Failure, Kind};
use crate::cli::system;

/// More than any page has.
const ANSWER_MAX: u64 = 8 << 20;

/// The page, as it came and as it is understood.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: Vec<u8>,
    pub(super) report: Report,
}

impl Page {
    pub(super) fn ask(status: &Status) -> Result<Self, Failure> {
        let Status { address, timeout, .. } = status;
        // As the first screen shows it.
        let place = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        let unreached = |error: io::Error| Failure::client(address, &as_a_client(error));
        let deadline = system::monotonic() + *timeout;
        let mut stream = Stream::dial(place, deadline).map_err(unreached)?;
        let host = if place.starts_with("unix:") { "localhost" } else { place };
        let request = format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = stream.ask(request.as_bytes(), deadline).map_err(unreached)?;
        Self::of(&answer).map_err(|why| foreign(address, &why))
    }

    fn of(answer: &[u8]) -> Result<Self, String> {
        let mut fields = [EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut fields);
        let head = match response.parse(answer) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if answer.is_empty() => return Err("it hung up".into()),
            _ => return Err("it doesn't speak HTTP".into()),
        };
        let body = &answer[head..];
        if let Some(code) = response.code.filter(|code| *code != 200) {
            let text = String::from_utf8_lossy(body);
            let first = text.lines().next().unwrap_or_default().escape_debug();
            return Err(format!("it answers {code} {first}"));
        }
        let length = |field: &&httparse::Header<'_>| {
            let number = str::from_utf8(field.value).ok()?;
            field.name.eq_ignore_ascii_case("content-length").then(|| number.parse().ok())?
        };
        let expected: Option<usize> = response.headers.iter().find_map(|field| length(&field));
        if expected.is_some_and(|length| length != body.len()) {
            return Err("its answer was cut".into());
        }
        let report: Report = serde_json::from_slice(body)
            .map_err(|error| format!("its answer is none of ours: {error}"))?;
        match report.program == PROGRAM {
            true => Ok(Self { text: body.to_vec(), report }),
            false => Err("its answer is another program's".into()),
        }
    }
}

fn foreign(address: &str, why: &dyn Display) -> Failure {
    let text = format!(
        "{address}: this is no admin listener of countersign: {why}; give the address of serve's \
         --admin"
    );
    Failure::new(Kind::Protocol, text)
}

/// Failures to connect have the words of those of `connect`.
fn as_a_client(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            ClientError::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer came in time"))
        }
        _ => ClientError::Io(error),
    }
}

/// A connection of either kind.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to the first of the addresses that answers.
    fn dial(place: &str, deadline: Instant) -> io::Result<Self> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in place.to_addresses()? {
            let connected = match &address {
                Address::Ip(address) => {
                    TcpStream::connect_timeout(address, left(deadline)?).map(Self::Tcp)
                }
                Address::Unix(path) => connect(path).map(Self::Unix),
                other => Err(io::Error::other(format!("nothing here connects to {other}"))),
            };
            match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Says all of this, and hears all that is said until the end or the deadline.
    fn ask(&mut self, request: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
        self.limit(left(deadline)?)?;
        self.as_write().write_all(request)?;
        let mut answer = Vec::new();
        let mut piece = [0; 16 << 10];
        while (answer.len() as u64) < ANSWER_MAX {
            self.limit(left(deadline)?)?;
            match self.as_read().read(&mut piece) {
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Who hangs up on us has said what it had to say.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }

    fn limit(&self, left: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_write_timeout(Some(left))?;
                stream.set_read_timeout(Some(left))
            }
            Self::Unix(stream) => {
                stream.set_write_timeout(Some(left))?;
                stream.set_read_timeout(Some(left))
            }
        }
    }

    fn as_read(&mut self) -> &mut dyn Read {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }
}

/// A name that is no file begins with a zero byte: see [`Address::Unix`].
#[cfg(target_os = "linux")]
fn connect(path: &Path) -> io::Result<UnixStream> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::SocketAddr;

    match path.as_os_str().as_bytes() {
        [0, name @ ..] => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?),
        _ => UnixStream::connect(path),
    }
}

#[cfg(not(target_os = "linux"))]
fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(system::monotonic());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::admin::report::tests::report;

    fn understood(answer: &str) -> Result<Report, String> {
        Page::of(answer.as_bytes()).map(|page| page.report)
    }

    #[test]
    fn only_a_page_of_ours_is_one() {
        let text = serde_json::to_string(&report()).unwrap();
        let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        assert_eq!(understood(&whole), Ok(report()));
        let other = text.replace("\"program\":\"countersign\"", "\"program\":\"other\"");
        let cases = [
            (String::new(), "it hung up"),
            ("220 mail.example ESMTP\r\n".to_owned(), "it doesn't speak HTTP"),
            ("HTTP/1.1 200 OK\r\nA".to_owned(), "it doesn't speak HTTP"),
            ("HTTP/1.0 404 Not\r\n\r\nno \x1b such\nx".to_owned(), "answers 404 no \\u{1b} such"),
            (whole[..whole.len() - 1].to_owned(), "cut"),
            ("HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}".to_owned(), "none of ours"),
            (format!("HTTP/1.1 200 OK\r\n\r\n{other}"), "another program's"),
        ];
        for (answer, said) in cases {
            let error = understood(&answer).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
