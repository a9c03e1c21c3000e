//! Requests for the pages of a server.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use countersign::{Address, Client, ClientConfig, ClientError, Dialect, Framing};

use super::exit::{Failure, Kind};
use super::signals::POLL_INTERVAL;
use super::system;

/// More than any page has, in bytes.
const ANSWER_MAX: usize = 8 << 20;

/// Requests a page, and receives until the answer ends, the time is over, or `is_over` says so.
pub(crate) fn get(
    address: &str,
    path: &str,
    timeout: Duration,
    is_over: &dyn Fn() -> bool,
) -> Result<Vec<u8>, ClientError> {
    // As the banner shows it.
    let place = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let deadline = system::monotonic() + timeout;
    let config = ClientConfig::builder(Dialect::Open).with_framing(Framing::Chunks).build();
    let config = config.map_err(io::Error::other)?;
    let mut client = Client::connect_within(place, config, timeout)?;
    let host = host(client.address());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    client.set_timeout(Some(left(deadline)?));
    client.send(request.as_bytes())?;
    let mut answer = Vec::new();
    while answer.len() < ANSWER_MAX && !is_over() {
        // A signal that arrives between the check above and the call doesn't interrupt the call.
        client.set_timeout(Some(left(deadline)?.min(POLL_INTERVAL)));
        match client.receive() {
            Ok(Some(chunk)) => answer.extend_from_slice(chunk),
            Err(ClientError::Timeout) => {}
            Ok(None) | Err(ClientError::Unanswered) => break,
            // What came before the reset may be a whole answer.
            Err(ClientError::Io(error)) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

fn left(deadline: Instant) -> Result<Duration, ClientError> {
    let left = deadline.saturating_duration_since(system::monotonic());
    if left.is_zero() { Err(ClientError::Timeout) } else { Ok(left) }
}

/// The failure of a request. Failures to connect are reported as `connect` reports them.
pub(crate) fn failure(address: &str, error: &ClientError) -> Failure {
    match error {
        ClientError::Timeout => {
            let text = format!("{address}: no answer within the time limit");
            Failure::new(Kind::Unavailable, text)
        }
        other => Failure::client(address, other),
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
