//! The request for the page `/status`.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use countersign::engine::Dial;
use countersign::{Address, ClientError, ToAddresses as _};

use crate::admin::report::{PROGRAM, StatusReport};
use crate::exit::{Failure, Kind};
use crate::http;
use crate::signals::POLL_INTERVAL;
use crate::system;

/// More than any page has, in bytes.
const ANSWER_MAX: u64 = 8 << 20;

/// The page as text, and the report in it.
#[derive(Debug)]
pub(super) struct StatusPage {
    pub(super) text: String,
    pub(super) report: StatusReport,
}

impl StatusPage {
    /// Requests the page. Gives up as soon as `is_over` says so, and fails then.
    pub(super) fn ask(
        address: &str,
        timeout: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Self, Failure> {
        // As the banner shows it.
        let place = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        // Failures to connect are reported as `connect` reports them.
        let unreached = |error: io::Error| {
            let is_late = matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock);
            let late = || io::Error::new(ErrorKind::TimedOut, "no answer within the time limit");
            Failure::client(address, &ClientError::Io(if is_late { late() } else { error }))
        };
        let now = system::monotonic();
        let addresses = place.to_addresses();
        let addresses = addresses.map_err(|error| Failure::client(address, &error.into()))?;
        let dial = Dial::new(addresses, now, timeout);
        let (mut stream, connected) = dial.wait().map_err(unreached)?;
        let host = host(&connected);
        let request = format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = ask(&mut stream, request.as_bytes(), now + timeout, is_over);
        let answer = answer.map_err(unreached)?;
        Self::of(&answer).map_err(|why| not_admin(address, &why))
    }

    fn of(answer: &[u8]) -> Result<Self, String> {
        let body = http::body(answer)?;
        let report: StatusReport = serde_json::from_slice(body)
            .map_err(|error| format!("its answer is not a report: {error}"))?;
        match report.program == PROGRAM {
            // It parsed as JSON, so it is valid UTF-8.
            true => Ok(Self { text: String::from_utf8_lossy(body).into_owned(), report }),
            false => Err("its answer comes from another program".into()),
        }
    }
}

/// The host that the request names: the address that was reached, since the server rejects host
/// names. The zone of an IPv6 address means nothing to the server.
fn host(address: &Address) -> String {
    match address.ip() {
        Some(ip) => SocketAddr::new(ip.ip(), ip.port()).to_string(),
        None => "localhost".to_owned(),
    }
}

fn not_admin(address: &str, why: &dyn Display) -> Failure {
    let text = format!(
        "{address}: not an admin listener of countersign: {why}; use the address of serve's --admin"
    );
    Failure::new(Kind::Protocol, text)
}

/// Sends the request and reads until the answer ends, the deadline passes, or `is_over` says so.
fn ask(
    stream: &mut TcpStream,
    request: &[u8],
    deadline: Instant,
    is_over: &dyn Fn() -> bool,
) -> io::Result<Vec<u8>> {
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    while (answer.len() as u64) < ANSWER_MAX && !is_over() {
        // A signal that arrives between the check above and the call doesn't interrupt the call.
        stream.set_read_timeout(Some(left(deadline)?.min(POLL_INTERVAL)))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock => {}
                // What came before the reset may be a whole answer.
                ErrorKind::ConnectionReset => break,
                _ => return Err(error),
            },
        }
    }
    Ok(answer)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(system::monotonic());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::report::tests::report;

    fn understood(answer: &str) -> Result<StatusReport, String> {
        StatusPage::of(answer.as_bytes()).map(|page| page.report)
    }

    #[test]
    fn only_a_report_of_countersign_is_accepted() {
        let text = serde_json::to_string(&report()).unwrap();
        let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        assert_eq!(understood(&whole), Ok(report()));
        let other = text.replace("\"program\":\"countersign\"", "\"program\":\"other\"");
        let cases = [
            (String::new(), "it closed the connection"),
            ("220 mail.example ESMTP\r\n".to_owned(), "it doesn't speak HTTP"),
            ("HTTP/1.1 200 OK\r\nA".to_owned(), "it doesn't speak HTTP"),
            ("HTTP/1.0 404 Not\r\n\r\nno \x1b such\nx".to_owned(), "answers 404 no \u{1b} such"),
            (whole[..whole.len() - 1].to_owned(), "truncated"),
            ("HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}".to_owned(), "not a report"),
            (format!("HTTP/1.1 200 OK\r\n\r\n{other}"), "another program"),
        ];
        for (answer, said) in cases {
            let error = understood(&answer).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
