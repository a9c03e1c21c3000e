//! Testing a service without sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use countersign_proto::{Dialect, Event, FrameFormat, Framing, ServerConfig, Session};

use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::listener_id::ListenerId;
use crate::contract::outbox::Outbox;
use crate::contract::peer::{Peer, PeerAddress, PeerId};
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
///
/// A [`LoopbackBuilder`] chooses the peer.
#[derive(Debug)]
pub struct Loopback<S: Service> {
    service: S,
    state: S::State,
    greeting: Vec<Vec<u8>>,
    /// How the service's replies are framed.
    form: FrameFormat,
    /// What the service sees as the time of day.
    now: SystemTime,
    verdict: Option<CloseReason>,
}

/// Chooses the peer of a [`Loopback`]: its key, dialect, protection, framing, listener and address,
/// and the time of day.
///
/// By default it is a client of `countersign/1` with protected messages, the key `loopback` and the
/// address 127.0.0.1:1, at the first listener, at midnight on 1 January 1970.
///
/// ```
/// use countersign::{Dialect, LoopbackBuilder, Peer, Reply, Service};
///
/// /// Lets the key `admin` do more, where nobody on the path can change messages.
/// struct Rights;
///
/// impl Service for Rights {
///     type State = bool;
///
///     fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> bool {
///         peer.is_protected() && peer.key() == Some("admin")
///     }
///
///     fn message(&mut self, is_admin: &mut bool, _message: &[u8], reply: &mut Reply<'_>) {
///         reply.message(if *is_admin { b"done" } else { b"denied" });
///     }
/// }
///
/// let admin = || LoopbackBuilder::new().with_key("admin");
/// assert_eq!(admin().open(Rights).say("reboot"), [b"done".as_slice()]);
/// assert_eq!(admin().with_protection(false).open(Rights).say("reboot"), [b"denied"]);
/// assert_eq!(LoopbackBuilder::new().open(Rights).say("reboot"), [b"denied"]);
/// let stranger = LoopbackBuilder::new().with_dialect(Dialect::Open);
/// assert_eq!(stranger.open(Rights).say("reboot"), [b"denied"]);
/// ```
#[derive(Debug, Clone)]
pub struct LoopbackBuilder {
    key: String,
    dialect: Dialect,
    is_protected: bool,
    is_sealed: bool,
    framing: Framing,
    listener: ListenerId,
    address: PeerAddress,
    now: SystemTime,
}

impl Default for LoopbackBuilder {
    fn default() -> Self {
        Self {
            key: "loopback".to_owned(),
            dialect: Dialect::Countersign,
            is_protected: true,
            is_sealed: false,
            framing: Framing::Lines,
            listener: ListenerId::FIRST,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).into(),
            now: SystemTime::UNIX_EPOCH,
        }
    }
}

impl LoopbackBuilder {
    /// The default peer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the id of the key that the peer holds. In the dialect `open` it has none.
    #[must_use]
    pub fn with_key(self, id: impl Into<String>) -> Self {
        Self { key: id.into(), ..self }
    }

    /// Sets the dialect. All but `countersign/1` are unprotected, and `open` has no key.
    #[must_use]
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// Sets whether messages travel in the records of `countersign/1`.
    #[must_use]
    pub fn with_protection(self, is_protected: bool) -> Self {
        Self { is_protected, ..self }
    }

    /// Sets whether the records are sealed. Messages that are not protected are not encrypted
    /// either.
    #[must_use]
    pub fn with_sealing(self, is_sealed: bool) -> Self {
        Self { is_sealed, ..self }
    }

    /// Sets the framing of unprotected messages. The default is `lines`, in which a reply with a
    /// line feed inside is refused.
    #[must_use]
    pub fn with_framing(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// Sets the listener that the peer connected to: an id of
    /// [`ServerBuilder::listen`](crate::ServerBuilder::listen), which needs no address.
    #[must_use]
    pub fn with_listener(self, listener: ListenerId) -> Self {
        Self { listener, ..self }
    }

    /// Sets the peer's address.
    #[must_use]
    pub fn with_address(self, address: impl Into<PeerAddress>) -> Self {
        Self { address: address.into(), ..self }
    }

    /// Sets the time of day, which then stands still.
    #[must_use]
    pub fn with_time(self, now: SystemTime) -> Self {
        Self { now, ..self }
    }

    /// Opens the connection: calls [`Service::open`].
    ///
    /// The peer has no [secret](Peer::secret), since there was no handshake.
    #[must_use]
    pub fn open<S: Service>(self, mut service: S) -> Loopback<S> {
        let Self { key, dialect, is_protected, is_sealed, framing, listener, address, now } = self;
        let is_protected = is_protected && dialect == Dialect::Countersign;
        let peer = Peer {
            id: PeerId(Token::from(1)),
            key: dialect.authenticates().then_some(&*key),
            dialect,
            is_protected,
            is_sealed: is_protected && is_sealed,
            exporter: None,
            address,
            listener,
        };
        // A record carries any message, as a length does. A chunk says nothing of where it ends.
        let form = match framing {
            Framing::Lines if !is_protected => framing.form(),
            _ => FrameFormat::Length,
        };
        let (state, greeting, verdict) = written(form, now, |reply| service.open(&peer, reply));
        Loopback { service, state, greeting, form, now, verdict }
    }
}

impl<S: Service> Loopback<S> {
    /// Opens a connection of the default peer: see [`LoopbackBuilder`].
    #[must_use]
    pub fn new(service: S) -> Self {
        LoopbackBuilder::new().open(service)
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The messages that the service wrote when the connection was opened.
    #[must_use]
    pub fn greeting(&self) -> &[Vec<u8>] {
        &self.greeting
    }

    /// Sends a message to the service, and returns the messages that it replies. After a
    /// [`verdict`](Self::verdict) the service is not called any more, and there are none.
    pub fn say(&mut self, message: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        if self.verdict.is_some() {
            return Vec::new();
        }
        let Self { service, state, now, form, .. } = self;
        let ((), replies, verdict) =
            written(*form, *now, |reply| service.message(state, message.as_ref(), reply));
        self.verdict = verdict;
        replies
    }

    /// Why the connection ends, if the service has closed it or has written a reply that can't be
    /// sent.
    #[must_use]
    pub fn verdict(&self) -> Option<CloseReason> {
        self.verdict
    }

    /// Closes the connection for this reason, and returns the service.
    pub fn close(mut self, why: CloseReason) -> S {
        self.service.close(self.state, why);
        self.service
    }
}

/// What a call writes, taken apart again as a client would.
fn written<R>(
    form: FrameFormat,
    now: SystemTime,
    call: impl FnOnce(&mut Reply<'_>) -> R,
) -> (R, Vec<Vec<u8>>, Option<CloseReason>) {
    let max = Limits::default().reply_max;
    let mut out = Outbox::new(max);
    let mut reply = Reply::new(&mut out, max, form, now);
    let value = call(&mut reply);
    let verdict = reply.finish();
    let messages = match form {
        FrameFormat::Line(_) => lines(out.bytes()),
        _ => messages(out.bytes(), max),
    };
    (value, messages, verdict)
}

/// Each line has its line feed, and none inside.
fn lines(output: &[u8]) -> Vec<Vec<u8>> {
    output
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line[..line.len() - 1].into())
        .collect()
}

fn messages(mut input: &[u8], max: usize) -> Vec<Vec<u8>> {
    let config = ServerConfig::builder(Dialect::Open).with_framing(Framing::Length);
    let Ok(config) = config.with_message_max(max).build() else { return Vec::new() };
    let mut session = Session::server(config, [0; 32]);
    let mut messages = Vec::new();
    while let Ok(Some(event)) = session.process(Duration::ZERO, &mut input, &mut Vec::new()) {
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

    /// Says who the peer is.
    struct WhoAmI;

    impl Service for WhoAmI {
        type State = String;

        fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) -> String {
            reply.message(b"hello");
            let (key, dialect) = (peer.key().unwrap_or("-"), peer.dialect());
            let (address, listener) = (peer.address(), peer.listener().index());
            let protection = (peer.is_protected(), peer.is_sealed());
            format!("{key} {dialect} {protection:?} {address} {listener}")
        }

        fn message(&mut self, who: &mut String, _message: &[u8], reply: &mut Reply<'_>) {
            reply.message(who.as_bytes());
        }
    }

    #[test]
    fn a_test_chooses_the_peer() {
        let builder = LoopbackBuilder::new;
        let second = ListenerId::at(1).unwrap();
        for (builder, who) in [
            (builder(), "loopback countersign/1 (true, false) 127.0.0.1:1 0"),
            (builder().with_key("garden"), "garden countersign/1 (true, false) 127.0.0.1:1 0"),
            (
                builder().with_protection(false),
                "loopback countersign/1 (false, false) 127.0.0.1:1 0",
            ),
            (builder().with_sealing(true), "loopback countersign/1 (true, true) 127.0.0.1:1 0"),
            (
                builder().with_dialect(Dialect::Raw).with_sealing(true),
                "loopback raw (false, false) 127.0.0.1:1 0",
            ),
            (builder().with_dialect(Dialect::Open), "- open (false, false) 127.0.0.1:1 0"),
            (
                builder().with_listener(second).with_address(PeerAddress::Unix),
                "loopback countersign/1 (true, false) unix 1",
            ),
        ] {
            let mut peer = builder.open(WhoAmI);
            assert_eq!(peer.greeting(), [b"hello"]);
            assert_eq!(peer.say("who am I?"), [who.as_bytes()]);
        }
    }

    #[test]
    fn unprotected_lines_refuse_a_line_feed_as_a_server_does() {
        let two = |_: &[u8], reply: &mut Reply<'_>| {
            reply.message(b"one");
            reply.message(b"");
        };
        let feed = |_: &[u8], reply: &mut Reply<'_>| reply.message(b"one\ntwo");
        let plain = || LoopbackBuilder::new().with_protection(false);
        assert_eq!(plain().open(two).say("x"), [b"one".as_slice(), b""]);
        let mut peer = plain().open(feed);
        assert!(peer.say("x").is_empty());
        assert_eq!(peer.verdict(), Some(CloseReason::ReplyUnsendable));
        let by_length = plain().with_framing(Framing::Length).open(feed).say("x");
        assert_eq!(by_length, [b"one\ntwo"]);
        assert_eq!(Loopback::new(feed).say("x"), [b"one\ntwo"]);
    }
}
