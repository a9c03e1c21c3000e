//! One connection: a handshake and then a framing, without a socket.

use crate::proto::dialect::Dialect;
use crate::proto::framing::{Form, Framing, chunks, lines};
use crate::proto::handshake::{self, CHALLENGE};
use crate::proto::held::{Extent, Held};
use crate::proto::keys::key::Key;
use crate::proto::protocol::{Exchange, NoUsableKey, Protocol};
use crate::proto::refusal::Refusal;

/// One connection of a [`Protocol`], at either end, without a socket, a clock or randomness.
///
/// Call [`next`](Self::next) with nothing at first, since one end has to begin, and then with what
/// arrives, until it returns `None`. Send what it appends to `out`, and call
/// [`finish`](Self::finish) at the end of the stream. It keeps the bytes of a unit that a read has
/// cut, and nothing else.
///
/// ```
/// use countersign::{Dialect, Event, Key, Protocol, Session};
///
/// let key = Key::new("garden", b"sixteen bytes or more")?.with_dialect(Dialect::Raw);
/// let protocol = Protocol::new(Dialect::Raw, key);
///
/// let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
/// let nonce = [7; 32]; // from the system's random source
/// let mut server = Session::server(&protocol, nonce);
/// let mut client = Session::client(&protocol)?;
///
/// assert!(server.next(&protocol, &mut &[][..], &mut to_client)?.is_none());
/// let input = &mut &to_client[..];
/// let opened = client.next(&protocol, input, &mut to_server)?;
/// assert!(matches!(opened, Some(Event::Open(_))));
/// to_server.extend_from_slice(b"hello\n");
///
/// let (mut input, mut out) = (&to_server[..], Vec::new());
/// let opened = server.next(&protocol, &mut input, &mut out)?;
/// assert!(matches!(opened, Some(Event::Open(Some(key))) if key.id() == "garden"));
/// let message = server.next(&protocol, &mut input, &mut out)?;
/// assert!(matches!(message, Some(Event::Message(message)) if message.bytes == b"hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    /// The bytes of a proof or a message that a read has cut.
    held: Held,
}

/// How far a session has come.
#[derive(Debug)]
enum Stage {
    /// As a server of `open`: nothing has to be proved.
    Unguarded,
    /// As a server: the challenge isn't out yet.
    Fresh([u8; CHALLENGE]),
    /// As a server: the challenge is out, and its proof is awaited.
    Challenged([u8; CHALLENGE]),
    /// As a client: the challenge is awaited.
    Awaiting,
    /// The handshake is over, and messages are told apart.
    Talking(Side),
    /// What the connection was for is done; the caller hasn't been told yet.
    Ending,
    /// Nothing more is expected of this connection.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// What [`Session::next`] found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'s> {
    /// The handshake is over; as a server, with the key that was proved (`open` has none).
    Open(Option<&'s Key>),
    /// A message has arrived.
    Message(Message<'s>),
    /// The exchange that the protocol is for is over: send what is due, and close.
    End,
}

/// A message that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'s> {
    /// Its bytes, without what framed it.
    pub bytes: &'s [u8],
    /// How a reply to it is framed.
    pub form: Form,
}

impl Session {
    /// What a unit that a read has cut takes beside its bytes.
    pub(crate) const CUT_MAX: usize = Held::BOX;

    /// The server's end.
    ///
    /// `nonce` is the challenge, where the dialect has one. It must come from the system's random
    /// source and be used for no other session.
    #[must_use]
    pub fn server(protocol: &Protocol, nonce: [u8; CHALLENGE]) -> Self {
        let stage = match protocol.dialect() {
            Dialect::Open => Stage::Unguarded,
            Dialect::Raw | Dialect::Hex => Stage::Fresh(nonce),
            Dialect::Countersign => Stage::Over,
        };
        Self { stage, held: Held::default() }
    }

    /// The client's end.
    ///
    /// # Errors
    ///
    /// There is no key to sign with: see [`Protocol::signing_key`].
    pub fn client(protocol: &Protocol) -> Result<Self, NoUsableKey> {
        protocol.signing_key()?;
        Ok(Self { stage: Stage::Awaiting, held: Held::default() })
    }

    /// Takes the next event from the front of the input, and appends what the handshake has to
    /// say to `out`. `None` says that all of the input was taken and more is needed.
    ///
    /// Nothing behind a proof is looked at before the proof holds.
    ///
    /// # Errors
    ///
    /// The peer did what it must not do. Close the connection; the session takes nothing more.
    #[inline]
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        protocol: &'s Protocol,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        self.held.release();
        if let Stage::Talking(side) = self.stage {
            return self.message(protocol, side, input);
        }
        self.change(protocol, input, out)
    }

    /// Takes an event that is no message.
    #[cold]
    fn change<'s>(
        &mut self,
        protocol: &'s Protocol,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        match self.stage {
            Stage::Unguarded => Ok(Some(self.begin(protocol, Side::Server, None))),
            Stage::Fresh(challenge) => {
                out.extend_from_slice(&challenge);
                self.stage = Stage::Challenged(challenge);
                self.verify(protocol, &challenge, input)
            }
            Stage::Challenged(challenge) => self.verify(protocol, &challenge, input),
            Stage::Awaiting => self.answer(protocol, input, out),
            Stage::Ending => {
                self.stage = Stage::Over;
                Ok(Some(Event::End))
            }
            Stage::Talking(_) | Stage::Over => {
                *input = &[];
                Ok(None)
            }
        }
    }

    /// Hands on the messages that lie whole at the front of the input, for as long as `take` wants
    /// more of them.
    ///
    /// This is [`next`](Self::next) for many messages, without what needs to be looked at for one:
    /// all that is no whole message, a refusal too, is left to it.
    #[inline(always)]
    pub(crate) fn each<'i>(
        &self,
        protocol: &Protocol,
        input: &mut &'i [u8],
        take: impl FnMut(Message<'i>) -> bool,
    ) {
        let Stage::Talking(side) = self.stage else { return };
        if self.held.is_empty() && !ends_with_one(protocol, side) {
            let max = length_max(protocol, side);
            // What most connections speak has a run of its own, in which its form is known.
            *input = match protocol.framing() {
                Framing::Lines => run(input, |rest| lines::scan(&[], rest, max), lines::open, take),
                other => run(input, |rest| other.scan(&[], rest, max), |u| other.open(u), take),
            };
        }
    }

    /// Whether [`next`](Self::next) has something to say though nothing more has arrived.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        matches!(self.stage, Stage::Unguarded | Stage::Fresh(_) | Stage::Ending)
    }

    /// The stream has ended: takes the last message, where its end is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`Refusal::Cut`]: the handshake wasn't over, or a message wasn't whole.
    /// [`Refusal::MessageTooLong`]: the last line is one byte longer than it may be, a CR that no
    /// LF followed.
    pub fn finish<'s>(&'s mut self, protocol: &Protocol) -> Result<Option<Message<'s>>, Refusal> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        match (stage, self.held.take_rest()) {
            (Stage::Fresh(_) | Stage::Challenged(_) | Stage::Awaiting, _) => Err(Refusal::Cut),
            (Stage::Talking(_), Some(unit)) if protocol.framing() == Framing::Lines => {
                let (bytes, form) = Framing::Lines.open(unit);
                if bytes.len() > protocol.message_max() {
                    return Err(Refusal::MessageTooLong);
                }
                Ok(Some(Message { bytes, form }))
            }
            (Stage::Talking(_), Some(_)) => Err(Refusal::Cut),
            (Stage::Unguarded | Stage::Talking(_) | Stage::Ending | Stage::Over, _) => Ok(None),
        }
    }

    /// Whether a message, or a proof, has arrived in part.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.held.bytes().is_empty()
    }

    /// Forgets the message that was given out last, where it was gathered here; the next call of
    /// [`next`](Self::next) would do so too, but may be far off.
    pub(crate) fn release(&mut self) {
        self.held.release();
    }

    /// The bytes of memory that the session holds beside itself.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.held.capacity()
    }

    fn begin<'s>(&mut self, protocol: &Protocol, side: Side, key: Option<&'s Key>) -> Event<'s> {
        self.stage = match (side, protocol.exchange()) {
            (Side::Server, Exchange::VerifyOnly) => Stage::Ending,
            _ => Stage::Talking(side),
        };
        Event::Open(key)
    }

    fn verify<'s>(
        &mut self,
        protocol: &'s Protocol,
        challenge: &[u8; CHALLENGE],
        input: &mut &[u8],
    ) -> Result<Option<Event<'s>>, Refusal> {
        let length = handshake::proof_length(protocol.dialect(), protocol.mac());
        let Some(proof) = self.held.exactly(length, input) else { return Ok(None) };
        let checked = handshake::check(protocol, challenge, proof);
        self.held.release();
        self.stage = Stage::Over;
        checked.map(|key| Some(self.begin(protocol, Side::Server, key)))
    }

    fn answer<'s>(
        &mut self,
        protocol: &'s Protocol,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        let key = protocol.signing_key().map_err(|_| Refusal::WrongProof)?;
        if let Some(key) = key {
            let Some(unit) = self.held.exactly(CHALLENGE, input) else { return Ok(None) };
            handshake::answer(protocol, key, unit, out);
            self.held.release();
        }
        Ok(Some(self.begin(protocol, Side::Client, key)))
    }

    #[inline]
    fn message<'s, 'i: 's>(
        &'s mut self,
        protocol: &Protocol,
        side: Side,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, Refusal> {
        let (framing, max) = (protocol.framing(), length_max(protocol, side));
        let extent = framing.scan(self.held.bytes(), input, max).inspect_err(|_| {
            self.stage = Stage::Over;
        })?;
        let Some(unit) = self.held.take(extent, input, protocol.unit_max()) else {
            return Ok(None);
        };
        if ends_with_one(protocol, side) {
            self.stage = Stage::Ending;
        }
        let (bytes, form) = framing.open(unit);
        Ok(Some(Event::Message(Message { bytes, form })))
    }
}

/// Hands on the whole messages of one framing, and returns what is left of the input.
#[inline(always)]
fn run<'i>(
    mut input: &'i [u8],
    scan: impl Fn(&[u8]) -> Result<Extent, Refusal>,
    open: impl Fn(&'i [u8]) -> (&'i [u8], Form),
    mut take: impl FnMut(Message<'i>) -> bool,
) -> &'i [u8] {
    while let Ok(Extent::Whole(length)) = scan(input) {
        let Some((unit, rest)) = input.split_at_checked(length) else { break };
        input = rest;
        let (bytes, form) = open(unit);
        if !take(Message { bytes, form }) {
            break;
        }
    }
    input
}

/// How long a message may be that arrives here.
fn length_max(protocol: &Protocol, side: Side) -> usize {
    match (protocol.framing(), side) {
        (Framing::Chunks, Side::Server) => protocol.message_max().min(chunks::CHUNK_MAX),
        _ => protocol.message_max(),
    }
}

/// Whether the exchange is over with the first message that arrives here.
fn ends_with_one(protocol: &Protocol, side: Side) -> bool {
    side == Side::Server && protocol.exchange() == Exchange::Once
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::framing::Ending;
    use crate::proto::keys::KeyRing;

    const NONCE: [u8; CHALLENGE] = [7; CHALLENGE];

    fn protocol(dialect: Dialect) -> Protocol {
        let key = Key::new("key", b"sixteen bytes or more").unwrap();
        Protocol::new(dialect, key.with_dialect(Dialect::Raw).with_dialect(Dialect::Hex))
            .with_message_max(8)
    }

    fn proof(protocol: &Protocol) -> Vec<u8> {
        let mut proof = Vec::new();
        Session::client(protocol).unwrap().next(protocol, &mut &NONCE[..], &mut proof).unwrap();
        proof
    }

    /// What a server makes of a stream that arrives in these pieces and then ends.
    fn heard(protocol: &Protocol, pieces: &[&[u8]]) -> Vec<String> {
        let mut session = Session::server(protocol, NONCE);
        let mut heard = Vec::new();
        for mut piece in pieces.iter().copied() {
            loop {
                match session.next(protocol, &mut piece, &mut Vec::new()) {
                    Ok(None) => break,
                    Ok(Some(Event::Open(_))) => heard.push("open".to_owned()),
                    Ok(Some(Event::Message(message))) => heard.push(shown(message)),
                    Ok(Some(Event::End)) => heard.push("end".to_owned()),
                    Err(refusal) => heard.push(refusal.name().to_owned()),
                }
            }
            assert!(piece.is_empty(), "what is not needed yet was taken");
        }
        match session.finish(protocol) {
            Ok(message) => heard.extend(message.map(shown)),
            Err(refusal) => heard.push(refusal.name().to_owned()),
        }
        heard
    }

    fn shown(message: Message<'_>) -> String {
        format!("{} {:?}", message.bytes.escape_ascii(), message.form)
    }

    #[test]
    fn every_cut_of_a_stream_gives_the_same_messages() {
        let lines = b"a\n\r\nb\r\r\n12345678\r\n\0\xff\nrest\r";
        let frames = b"\0\0\0\x01a\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x02bc\0\0\0\x0812345678";
        for dialect in Dialect::ALL {
            for (framing, stream) in [(Framing::Lines, &lines[..]), (Framing::Length, frames)] {
                let protocol = protocol(dialect).with_framing(framing);
                let opening = if dialect.authenticates() { proof(&protocol) } else { Vec::new() };
                let stream = [&opening[..], stream].concat();
                let whole = heard(&protocol, &[&stream]);
                let expected = if framing == Framing::Lines { 7 } else { 5 };
                assert_eq!(whole.len(), expected, "{whole:?}");
                for cut in 0..=stream.len() {
                    let (front, back) = stream.split_at(cut);
                    assert_eq!(heard(&protocol, &[front, back]), whole, "{dialect} cut at {cut}");
                }
                let bytes: Vec<&[u8]> = stream.chunks(1).collect();
                assert_eq!(heard(&protocol, &bytes), whole, "{dialect} byte by byte");
            }
        }
    }

    #[test]
    fn a_wrong_proof_hears_nothing() {
        for dialect in [Dialect::Raw, Dialect::Hex] {
            let protocol = protocol(dialect);
            let right = proof(&protocol);
            for at in 0..right.len() {
                let mut wrong = right.clone();
                wrong[at] ^= 1;
                let stream = [&wrong[..], b"message\n"].concat();
                assert_eq!(heard(&protocol, &[&stream]), ["wrong-proof"], "{dialect} byte {at}");
                assert_eq!(heard(&protocol, &[&right[..at]]), ["cut"], "{dialect} {at} bytes");
            }
            assert_eq!(heard(&protocol, &[&right, b"m\n"]), ["open", "m Line(Lf)"]);
        }
        let protocol = protocol(Dialect::Hex);
        let upper = proof(&protocol).to_ascii_uppercase();
        assert_eq!(heard(&protocol, &[&upper]), ["wrong-proof"]);
    }

    #[test]
    fn any_key_of_the_dialect_opens_and_is_named() {
        let mut ring = KeyRing::new();
        for id in ["a", "b", "c"] {
            ring.add(Key::new(id, id.as_bytes()).unwrap().with_dialect(Dialect::Raw)).unwrap();
        }
        ring.add(Key::new("other", b"hex alone").unwrap().with_dialect(Dialect::Hex)).unwrap();
        let server = Protocol::new(Dialect::Raw, ring);
        for id in ["a", "b", "c"] {
            let proof = proof(&server.clone().with_key(id));
            let mut session = Session::server(&server, NONCE);
            let opened = session.next(&server, &mut &proof[..], &mut Vec::new()).unwrap();
            assert!(matches!(opened, Some(Event::Open(Some(key))) if key.id() == id));
        }
        let other = Key::new("other", b"hex alone").unwrap().with_dialect(Dialect::Raw);
        let proof = proof(&Protocol::new(Dialect::Raw, other));
        assert_eq!(heard(&server, &[&proof]), ["wrong-proof"], "a key of another dialect");
    }

    #[test]
    fn a_message_is_refused_at_one_byte_more_than_the_limit() {
        let lines = protocol(Dialect::Open);
        for length in [7, 8, 9] {
            for ending in ["\n", "\r\n", ""] {
                let stream = format!("{}{ending}", "x".repeat(length));
                let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
                for pieces in [&[stream.as_bytes()][..], &bytes] {
                    let refused = heard(&lines, pieces).contains(&"message-too-long".to_owned());
                    assert_eq!(refused, length > 8, "{length} {ending:?}");
                }
            }
        }
    }

    #[test]
    fn once_is_one_message_and_verify_only_is_none() {
        let once = protocol(Dialect::Open).with_exchange(Exchange::Once);
        assert_eq!(heard(&once, &[b"a\nb\nc"]), ["open", "a Line(Lf)", "end"]);
        assert_eq!(heard(&once, &[b"a"]), ["open", "a Line(None)"]);
        let verify = protocol(Dialect::Hex).with_exchange(Exchange::VerifyOnly);
        assert_eq!(heard(&verify, &[&proof(&verify), b"a\n"]), ["open", "end"]);
    }

    #[test]
    fn a_server_takes_1024_bytes_for_a_chunk_and_a_client_all() {
        let protocol = protocol(Dialect::Open).with_message_max(4096).with_framing(Framing::Chunks);
        let bytes = [b'x'; 1500];
        let lengths = |mut session: Session| {
            let (mut input, mut lengths) = (&bytes[..], Vec::new());
            while let Some(event) = session.next(&protocol, &mut input, &mut Vec::new()).unwrap() {
                if let Event::Message(message) = event {
                    lengths.push(message.bytes.len());
                    assert_eq!(message.form, Form::Chunk);
                }
            }
            lengths
        };
        assert_eq!(lengths(Session::server(&protocol, NONCE)), [1024, 476]);
        assert_eq!(lengths(Session::client(&protocol).unwrap()), [1500]);
    }

    #[test]
    fn a_reply_ends_as_its_request_did() {
        for (ending, form) in [("\n", Ending::Lf), ("\r\n", Ending::CrLf), ("", Ending::None)] {
            let stream = format!("x{ending}");
            let heard = heard(&protocol(Dialect::Open), &[stream.as_bytes()]);
            assert_eq!(heard, ["open".to_owned(), format!("x Line({form:?})")]);
        }
    }

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 48, "{}", size_of::<Session>());
    }
}
