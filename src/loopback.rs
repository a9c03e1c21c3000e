//! A service tried without sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use countersign_proto::{Dialect, Event, FrameFormat, Framing, Protocol, Session};

use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::listener_id::ListenerId;
use crate::contract::peer::{Peer, PeerId};
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::reactor::token::Token;

/// Runs a service without sockets, for one peer that is authenticated at once.
///
/// ```
/// use countersign::{Loopback, Reply};
///
/// let shout = |message: &[u8], reply: &mut Reply<'_>| {
///     reply.message(&message.to_ascii_uppercase());
/// };
/// let mut peer = Loopback::new(shout);
/// assert_eq!(peer.say("ping"), [b"PING"]);
/// ```
#[derive(Debug)]
pub struct Loopback<S: Service> {
    service: S,
    state: S::State,
    greeting: Vec<Vec<u8>>,
    /// What the service sees as the time of day.
    now: SystemTime,
    verdict: Option<CloseReason>,
}

impl<S: Service> Loopback<S> {
    /// Lets a peer in, at midnight on 1 January 1970: see [`at`](Self::at).
    #[must_use]
    pub fn new(service: S) -> Self {
        Self::at(service, SystemTime::UNIX_EPOCH)
    }

    /// Lets a peer in at this time of day, which then stands still.
    #[must_use]
    pub fn at(mut service: S, now: SystemTime) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).into();
        let peer = Peer {
            id: PeerId(Token::from(1)),
            key: Some("loopback"),
            dialect: Dialect::Countersign,
            is_protected: true,
            exporter: None,
            address,
            listener: ListenerId::FIRST,
        };
        let (state, greeting, verdict) = written(now, |reply| service.open(&peer, reply));
        Self { service, state, greeting, now, verdict }
    }

    /// What the service wrote when the connection was opened.
    #[must_use]
    pub fn greeting(&self) -> &[Vec<u8>] {
        &self.greeting
    }

    /// Has the peer say something, and returns the messages that it gets for it: none after a
    /// [`verdict`](Self::verdict), when the service isn't called any more.
    pub fn say(&mut self, message: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        if self.verdict.is_some() {
            return Vec::new();
        }
        let Self { service, state, now, .. } = self;
        let ((), replies, verdict) =
            written(*now, |reply| service.message(state, message.as_ref(), reply));
        self.verdict = verdict;
        replies
    }

    /// Whether the service has asked for the connection's end, or gone too far.
    #[must_use]
    pub fn verdict(&self) -> Option<CloseReason> {
        self.verdict
    }

    /// Ends the connection, and returns the service.
    pub fn close(mut self, why: CloseReason) -> S {
        self.service.close(self.state, why);
        self.service
    }
}

/// What a call writes, taken apart again as a client would.
fn written<R>(
    now: SystemTime,
    call: impl FnOnce(&mut Reply<'_>) -> R,
) -> (R, Vec<Vec<u8>>, Option<CloseReason>) {
    let max = Limits::default().reply_max;
    let mut out = vec![0; max];
    let mut reply = Reply::new(&mut out, FrameFormat::Length, now);
    let value = call(&mut reply);
    let (length, verdict) = reply.finish();
    (value, messages(&out[..length], max), verdict)
}

fn messages(mut input: &[u8], max: usize) -> Vec<Vec<u8>> {
    let protocol = Protocol::open().with_framing(Framing::Length).with_message_max(max);
    let mut session = Session::server(&protocol, [0; 32]);
    let mut messages = Vec::new();
    while let Ok(Some(event)) = session.next(&protocol, &mut input, &mut Vec::new()) {
        if let Event::Message(message) = event {
            messages.push(message.bytes.to_vec());
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{Discard, Echo, Timestamp};

    #[test]
    fn the_services_do_as_they_say() {
        assert_eq!(Loopback::new(Echo).say(b"a\0\n"), [b"a\0\n"]);
        assert!(Loopback::new(Discard).say("gone").is_empty());
        let stamped = Loopback::new(Timestamp::utc()).say("text");
        assert_eq!(stamped, [b"[Thu Jan  1 00:00:00 1970] text"]);
    }

    #[test]
    fn a_verdict_is_seen() {
        let leave = |_: &[u8], reply: &mut Reply<'_>| {
            reply.message(b"bye");
            reply.close();
        };
        let mut peer = Loopback::new(leave);
        assert_eq!(peer.verdict(), None);
        assert_eq!(peer.say("hello"), [b"bye"]);
        assert_eq!(peer.verdict(), Some(CloseReason::ClosedByService));
        assert!(peer.say("and?").is_empty(), "over is over");
        let flood = |_: &[u8], reply: &mut Reply<'_>| reply.message(&[0; 1 << 20]);
        let mut peer = Loopback::new(flood);
        assert!(peer.say("hello").is_empty());
        assert_eq!(peer.verdict(), Some(CloseReason::ReplyTooLong));
    }
}
