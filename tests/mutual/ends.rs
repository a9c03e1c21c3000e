//! Both ends of a connection, without a socket between them.

use std::time::Duration;

use countersign::config::{ConfigBuilder, SessionConfig};
use countersign::session::{Event, SendError};
use countersign::testing::{MemoryPeer, TestServer};
use countersign::{
    ClientConfig, Dialect, Exporter, Key, KeyRing, Protection, Refusal, RingSecrets, ServerConfig,
    Service, Session,
};

use crate::forger::Direction;
pub(crate) use crate::in_memory::in_memory;

/// The secret that both ends hold.
pub(crate) const SECRET: &[u8] = b"sixteen bytes or more";

/// The time since 1970, at both ends.
pub(crate) const NOW: Duration = Duration::from_secs(100);

pub(crate) const SERVER_NONCE: [u8; 32] = [0xa5; 32];
pub(crate) const CLIENT_NONCE: [u8; 32] = [0x5a; 32];

/// The seeds of two programs' rings.
pub(crate) const SERVER_SEED: [u8; 48] = [1; 48];
pub(crate) const CLIENT_SEED: [u8; 48] = [2; 48];

/// The bytes of a server's nonce and of its hello, of a proof, and of an acceptance.
pub(crate) const CHALLENGE: usize = 32;
pub(crate) const SERVER_HELLO: usize = 62;
pub(crate) const CONFIRM: usize = 36;
/// And of the extension by which both seal.
const EXTENSION: usize = 5;
pub(crate) const ACCEPTANCE: usize = 21;

pub(crate) fn ring(id: &str, secret: &[u8], seed: [u8; 48]) -> KeyRing {
    let key = Key::new(id, secret).unwrap();
    KeyRing::new(RingSecrets::new(seed)).with(key).unwrap()
}

/// The options of a server, and of a client.
pub(crate) type ServerOptions = ConfigBuilder<ServerConfig>;
pub(crate) type ClientOptions = ConfigBuilder<ClientConfig>;

pub(crate) fn server() -> ServerOptions {
    server_of(ring("k1", SECRET, SERVER_SEED))
}

pub(crate) fn client() -> ClientOptions {
    client_of(ring("k1", SECRET, CLIENT_SEED))
}

pub(crate) fn server_of(ring: KeyRing) -> ServerOptions {
    ServerConfig::builder(Dialect::Countersign).with_keys(ring)
}

pub(crate) fn client_of(ring: KeyRing) -> ClientOptions {
    ClientConfig::builder(Dialect::Countersign).with_keys(ring)
}

/// Connects, and has the server draw this nonce for it.
pub(crate) fn connect<S: Service>(server: &mut TestServer<S>, nonce: [u8; 32]) -> MemoryPeer {
    server.engine.net_mut().draw_next(nonce);
    server.connect()
}

/// Both ends, the client's first, with as much protection.
pub(crate) fn both(protection: Protection) -> (ClientOptions, ServerOptions) {
    (client().with_records(protection), server().with_records(protection))
}

/// What a session has told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Open,
    Message(Vec<u8>),
    Control,
    Finished,
}

/// One end of a connection.
pub(crate) struct End {
    pub(crate) config: SessionConfig,
    pub(crate) session: Session,
    pub(crate) heard: Vec<Heard>,
    /// How it has ended, if it has.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) exporter: Option<Exporter>,
    /// The id of the key that it was opened with.
    pub(crate) key: Option<String>,
    pub(crate) is_protected: bool,
    pub(crate) is_sealed: bool,
}

impl End {
    pub(crate) fn server(options: &ServerOptions, nonce: [u8; 32]) -> Self {
        Self::new(Session::server(options.clone().build().unwrap(), nonce))
    }

    pub(crate) fn client(options: &ClientOptions, nonce: [u8; 32]) -> Self {
        Self::new(Session::client(options.clone().build().unwrap(), NOW, nonce).unwrap())
    }

    fn new(session: Session) -> Self {
        let (heard, config) = (Vec::new(), session.config().clone());
        Self {
            config,
            session,
            heard,
            refusal: None,
            exporter: None,
            key: None,
            is_protected: false,
            is_sealed: false,
        }
    }

    /// What it has to say to these bytes, ready to be sent.
    pub(crate) fn hear(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while self.refusal.is_none() {
            match self.process(&mut bytes, &mut out) {
                Ok(None) => break,
                Ok(Some(heard)) => self.heard.push(heard),
                Err(refusal) => self.refusal = Some(refusal),
            }
        }
        if self.refusal.is_some() {
            self.is_silent_now();
        }
        out
    }

    /// What the session makes of these bytes next. It is true to what it says of itself before and
    /// after.
    fn process(&mut self, bytes: &mut &[u8], out: &mut Vec<u8>) -> Result<Option<Heard>, Refusal> {
        let (is_due, has_input, said) = (self.session.is_due(), !bytes.is_empty(), out.len());
        let heard = match self.session.process(NOW, bytes, out)? {
            None => None,
            Some(Event::Open(opened)) => {
                (self.is_protected, self.is_sealed) = (opened.is_protected, opened.is_sealed);
                self.key = opened.key.map(|key| key.id().to_owned());
                self.exporter = opened.exporter;
                Some(Heard::Open)
            }
            Some(Event::Message(message)) => Some(Heard::Message(message.bytes.to_vec())),
            Some(Event::Control) => Some(Heard::Control),
            Some(Event::Finished) => Some(Heard::Finished),
            Some(other) => panic!("{other:?}"),
        };
        assert!(has_input || is_due || heard.is_none() && out.len() == said, "{heard:?}");
        if heard.is_none() {
            assert!(bytes.is_empty() && !self.session.is_due());
            assert_eq!(self.session.is_partial(), self.session.bytes_buffered() > 0);
        }
        Ok(heard)
    }

    /// Whatever comes behind a refusal leads to nothing.
    fn is_silent_now(&mut self) {
        let (mut bytes, mut out) = (&[0x10, 0, 0, 16][..], Vec::new());
        let event = self.session.process(NOW, &mut bytes, &mut out);
        assert!(matches!(event, Ok(None) | Err(_)) && out.is_empty());
        assert_eq!(self.session.send(b"late", &mut out), Err(SendError::NotOpen));
        self.session.finish(&mut out);
        assert_eq!(out, []);
    }

    pub(crate) fn say(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.send(message, &mut out).unwrap();
        out
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.finish(&mut out);
        out
    }

    /// The stream has ended here.
    pub(crate) fn end(&mut self) -> Result<(), Refusal> {
        self.session.input_ended().map(|rest| assert_eq!(rest, None))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.heard.contains(&Heard::Open)
    }

    pub(crate) fn messages(&self) -> Vec<&[u8]> {
        let messages = self.heard.iter().filter_map(|heard| match heard {
            Heard::Message(bytes) => Some(&bytes[..]),
            _ => None,
        });
        messages.collect()
    }
}

/// A handshake, message by message.
pub(crate) struct Talk {
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) call: Vec<u8>,
    /// The server's nonce and its hello.
    pub(crate) answer: Vec<u8>,
    pub(crate) confirm: Vec<u8>,
    pub(crate) acceptance: Vec<u8>,
}

impl Talk {
    pub(crate) fn new(
        client: &ClientOptions,
        server: &ServerOptions,
        nonces: ([u8; 32], [u8; 32]),
    ) -> Self {
        let (mut client, mut server) =
            (End::client(client, nonces.0), End::server(server, nonces.1));
        assert_eq!(server.hear(&[]), []);
        let call = client.hear(&[]);
        let answer = server.hear(&call);
        let confirm = client.hear(&answer);
        let acceptance = server.hear(&confirm);
        assert_eq!(client.hear(&acceptance), []);
        assert!(client.is_open() && server.is_open());
        let lengths = [answer.len(), confirm.len(), acceptance.len()];
        let extension = if client.is_sealed { EXTENSION } else { 0 };
        assert_eq!(lengths, [CHALLENGE + SERVER_HELLO + extension, CONFIRM, ACCEPTANCE]);
        assert_eq!(client.is_sealed, server.is_sealed);
        Self { client, server, call, answer, confirm, acceptance }
    }

    /// In records.
    pub(crate) fn with_records() -> Self {
        Self::new(&client(), &server(), (CLIENT_NONCE, SERVER_NONCE))
    }
}

impl Direction {
    /// Takes the records apart that must be there, and nothing else.
    pub(crate) fn open(&mut self, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut records = Vec::new();
        while let [kind, a, b, c, ..] = *bytes {
            let end = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
            let number = self.next;
            let payload = self.payload(&bytes[..end]);
            records.push((kind, payload.unwrap_or_else(|| panic!("the tag of record {number}"))));
            bytes = &bytes[end..];
        }
        assert_eq!(bytes, b"", "a record is cut");
        records
    }
}
