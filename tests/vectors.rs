//! `countersign/1` byte for byte: what `tests/vectors/countersign-1.json` says that an end must
//! send, hand on and end with, at both ends and however the input is cut.
//!
//! The file comes from another implementation; its fields are explained in
//! `tests/vectors/generate.py`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::env;
use std::time::Duration;

use base16ct::lower::encode_string;
use countersign::config::{ConfigBuilder, SessionConfig};
use countersign::engine::Readiness;
use countersign::session::{Event, SessionCore};
use countersign::testing::TestServer;
use countersign::{
    ClientConfig, CloseReason, Dialect, Framing, Key, KeyRing, Limits, Listener, Protection,
    Refusal, RefusalCode, Reply, RingSecrets, ServerConfig,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// A case, with the defaults filled in.
struct Case {
    /// Who is under test.
    role: String,
    fields: Value,
    defaults: Value,
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap()
}

impl Case {
    fn all() -> Vec<Self> {
        let file = include_str!("vectors/countersign-1.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let cases = ["server", "client", "records"].into_iter().flat_map(|kind| {
            let (file, cases) = (&file, file[kind].as_array().unwrap());
            cases.iter().map(move |fields| Self {
                role: fields["role"].as_str().unwrap_or(kind).to_owned(),
                fields: fields.clone(),
                defaults: file["defaults"].clone(),
            })
        });
        cases.collect()
    }

    fn field(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&self.defaults[name])
    }

    fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).as_u64().unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    fn list(&self, name: &str) -> Vec<Vec<u8>> {
        let list = self.field(name).as_array().unwrap();
        list.iter().map(|text| unhex(text.as_str().unwrap())).collect()
    }

    fn input(&self) -> Vec<u8> {
        self.list("in").concat()
    }

    fn is_server(&self) -> bool {
        self.role == "server"
    }

    /// Why it can't be played, by what the library lets nobody ask for.
    fn beyond(&self) -> Option<&'static str> {
        let is_text = |bytes: &[u8]| str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
        let kids = self.field("ring").as_object().unwrap().keys().map(|kid| unhex(kid));
        if self.is_server() && !kids.into_iter().all(|kid| is_text(&kid)) {
            Some(IDS_ARE_TEXT)
        } else if !self.is_server() && !["", SEALING].contains(&self.text("client_ext")) {
            Some(NO_EXTENSIONS)
        } else {
            None
        }
    }

    fn ring(&self) -> KeyRing {
        let secrets = match self.is_server() {
            true => [self.bytes("instance_s"), self.bytes("decoy")],
            false => [self.bytes("instance_c"), vec![0; 32]],
        };
        let mut ring = KeyRing::new(RingSecrets::new(array(&secrets.concat())));
        let mut add = |kid: &[u8], secret: &[u8]| {
            ring.add(Key::new(str::from_utf8(kid).unwrap(), secret).unwrap()).unwrap();
        };
        if self.is_server() {
            for (kid, secret) in self.field("ring").as_object().unwrap() {
                add(&unhex(kid), &unhex(secret.as_str().unwrap()));
            }
        } else {
            add(&self.bytes("kid"), &self.bytes("key"));
        }
        ring
    }

    fn protection(&self) -> Protection {
        match (self.is_server(), self.text("records"), &self.field("client_flags")) {
            (true, "sealed", _) => Protection::Sealed,
            (true, "required", _) => Protection::Required,
            (true, "allowed", _) => Protection::Allowed,
            (true, _, _) => Protection::Off,
            (false, _, _) if self.text("client_ext") == SEALING => Protection::Sealed,
            (false, _, flags) => match flags.as_u64().unwrap() {
                3 => Protection::Required,
                1 => Protection::Allowed,
                0 => Protection::Off,
                other => panic!("no client offers {other}"),
            },
        }
    }

    fn options<C>(&self, options: ConfigBuilder<C>, record_max: u64) -> ConfigBuilder<C> {
        let is_length = self.text("plain") == "length";
        options
            .with_keys(self.ring())
            .with_framing(if is_length { Framing::Length } else { Framing::Lines })
            .with_message_max(usize::try_from(record_max).unwrap() - 16)
            .with_records(self.protection())
    }

    fn server(&self) -> ServerConfig {
        let options = ServerConfig::builder(Dialect::Countersign);
        let options = self.options(options, self.number("server_max_record"));
        let audiences = self.list("audiences");
        let audiences = audiences.iter().map(|name| str::from_utf8(name).unwrap_or("not text"));
        // No client can name one that is longer.
        let audiences = audiences.map(|name| if name.len() > 64 { "too long" } else { name });
        audiences.fold(options, ConfigBuilder::<ServerConfig>::with_audience).build().unwrap()
    }

    fn client(&self) -> ClientConfig {
        let options = ClientConfig::builder(Dialect::Countersign);
        let options = self.options(options, self.number("client_max_record"));
        let audience = self.bytes("aud");
        let audience = str::from_utf8(&audience).unwrap_or("not text");
        options.with_audience(audience).build().unwrap()
    }
}

/// What came of a play.
#[derive(Debug, PartialEq, Eq)]
struct Played {
    outcome: String,
    /// In hexadecimal digits, as the file has it.
    out: String,
    messages: Vec<Vec<u8>>,
}

impl Played {
    fn expected(case: &Case) -> Self {
        Self {
            outcome: case.text("outcome").to_owned(),
            out: case.text("out").to_owned(),
            messages: case.list("messages"),
        }
    }
}

enum Config {
    Server(ServerConfig),
    Client(ClientConfig),
}

/// A case, and what is the same for every cut of its input. Keys take long to prepare.
struct Setup<'a> {
    case: &'a Case,
    config: Config,
    nonce: [u8; 32],
    say: Vec<Vec<u8>>,
}

impl<'a> Setup<'a> {
    fn new(case: &'a Case) -> Self {
        let (config, nonce) = match case.is_server() {
            true => (Config::Server(case.server()), "sg"),
            false => (Config::Client(case.client()), "nonce_c"),
        };
        Self { case, config, nonce: array(&case.bytes(nonce)), say: case.list("say") }
    }

    fn session(&self) -> SessionCore {
        match &self.config {
            Config::Server(config) => SessionCore::server(config, self.nonce),
            Config::Client(config) => {
                SessionCore::client(config, Duration::ZERO, self.nonce).unwrap()
            }
        }
    }

    fn config(&self) -> &SessionConfig {
        match &self.config {
            Config::Server(config) => config,
            Config::Client(config) => config,
        }
    }

    fn play(&self, pieces: &[&[u8]]) -> Played {
        let mut player = Player::new(self);
        if !self.case.is_server() {
            player.hear(&[]);
        }
        pieces.iter().for_each(|piece| player.hear(piece));
        player.end()
    }
}

/// One end, that is given its input in pieces.
struct Player<'a> {
    setup: &'a Setup<'a>,
    session: SessionCore,
    is_open: bool,
    is_closed: bool,
    refusal: Option<Refusal>,
    out: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

impl<'a> Player<'a> {
    fn new(setup: &'a Setup<'a>) -> Self {
        Self {
            setup,
            session: setup.session(),
            is_open: false,
            is_closed: false,
            refusal: None,
            out: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn hear(&mut self, mut piece: &[u8]) {
        let (case, config) = (self.setup.case, self.setup.config());
        let mut out = Vec::new();
        loop {
            let event = self.session.next(config, Duration::ZERO, &mut piece, &mut out);
            let Ok(event) = event else {
                // Nothing follows a refusal, whatever else is heard.
                self.refusal = self.refusal.or(event.err());
                break;
            };
            let heard = event.is_some();
            assert!(!heard || self.refusal.is_none(), "{event:?} behind a refusal");
            match event {
                None => break,
                Some(Event::Open(opened)) => {
                    check_exporter(case, &opened.exporter.unwrap());
                    self.is_open = true;
                    for message in &self.setup.say {
                        opened.form.frame(message, &mut out);
                    }
                    if case.text("closes") == "first" {
                        self.session.finish(&mut out);
                    }
                }
                Some(Event::Message(message)) => self.messages.push(message.bytes.to_vec()),
                Some(Event::Finished) if case.text("closes") == "never" => {}
                Some(Event::Finished) => {
                    self.is_closed = true;
                    self.session.finish(&mut out);
                }
                Some(other) => assert!(matches!(other, Event::Control), "{other:?}"),
            }
        }
        let sealed = self.session.seal(&mut out);
        out.truncate(sealed.unwrap());
        self.out.extend(out);
    }

    fn end(mut self) -> Played {
        let is_cut = self.setup.case.text("then") == "eof" && {
            let ended = self.session.input_ended(self.setup.config());
            assert!(matches!(ended, Ok(None) | Err(Refusal::Truncated)), "{ended:?}");
            ended.is_err()
        };
        let outcome = match self.refusal {
            Some(refusal) => self.outcome(refusal),
            None if is_cut => "truncated",
            None if self.is_closed => "closed",
            None if self.is_open => "open",
            None => "waiting",
        };
        let out = encode_string(&self.out);
        Played { outcome: outcome.to_owned(), out, messages: self.messages }
    }

    /// What the file calls it.
    fn outcome(&self, refusal: Refusal) -> &'static str {
        use Refusal::{Foreign, WrongAudience, WrongProof};
        use Refusal::{Malformed, Protection, Reflected, Rejected, UnknownKey, Version};
        let is_server = self.setup.case.is_server();
        match refusal {
            Foreign(_) | Reflected => "silent",
            WrongProof if !is_server && !self.is_open => "unproved",
            Rejected(RefusalCode::Version) => "refused: version",
            Rejected(RefusalCode::Refused) => "refused: refused",
            Rejected(RefusalCode::Busy) => "refused: busy",
            Rejected(RefusalCode::Malformed) => "refused: malformed",
            Rejected(RefusalCode::TimedOut) => "refused: timeout",
            Rejected(_) => "refused: unknown",
            Version if is_server => "refused: version",
            Malformed if is_server => "refused: malformed",
            UnknownKey | WrongAudience | WrongProof | Protection if is_server => "refused: refused",
            WrongProof => panic!("who has proved itself has nothing more to prove"),
            _ => "violation",
        }
    }
}

fn check_exporter(case: &Case, exporter: &countersign::Exporter) {
    // A case that ends before both are through has none.
    if !case.text("exporter").is_empty() {
        let mut mac = Hmac::<Sha256>::new_from_slice(&case.bytes("exporter")).unwrap();
        mac.update(b"label");
        assert_eq!(exporter.secret(b"label")[..], mac.finalize().into_bytes()[..]);
    }
}

/// Cuts at places that depend on the number alone.
fn cut_at_random(bytes: &[u8], mut number: u64) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let length = usize::try_from(number >> 59).unwrap().min(rest.len());
        let (piece, behind) = rest.split_at(length);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// The names of those that are left out, and why.
const BEYOND: [(&str, &str); 9] = [
    ("kid of 1 byte, 00", IDS_ARE_TEXT),
    ("kid and aud that are not text", IDS_ARE_TEXT),
    ("an extension offered, and not answered", NO_EXTENSIONS),
    ("an extension offered, and answered", NO_EXTENSIONS),
    ("one extension answered of two", NO_EXTENSIONS),
    ("another extension answered than was offered", NO_EXTENSIONS),
    ("one extension answered twice", NO_EXTENSIONS),
    ("an answered extension overruns", NO_EXTENSIONS),
    ("SH of 512 bytes", NO_EXTENSIONS),
];
/// The extension of a client that seals.
const SEALING: &str = "0001000101";
const IDS_ARE_TEXT: &str = "the id of a key is printable text";
const NO_EXTENSIONS: &str = "our client offers to seal, and no other extensions";

/// How many bytes lie between one cut and the next: more than one where a processor is emulated.
fn cuts_apart() -> usize {
    env::var("COUNTERSIGN_CUTS_APART").map_or(1, |text| text.parse().unwrap())
}

#[test]
fn every_case_comes_out_byte_for_byte_however_it_is_cut() {
    let apart = cuts_apart();
    let mut beyond = Vec::new();
    let (mut played, mut plays) = (0, 0);
    for case in Case::all() {
        let name = case.text("name").to_owned();
        if let Some(why) = case.beyond() {
            beyond.push((name, why));
            continue;
        }
        if case.text("then") == "timeout" || case.field("busy") == true {
            continue;
        }
        played += 1;
        let input = case.input();
        let (setup, expected) = (Setup::new(&case), Played::expected(&case));
        let mut check = |pieces: &[&[u8]], cut: &str| {
            plays += 1;
            assert_eq!(setup.play(pieces), expected, "{}: {name}, {cut}", case.role);
        };
        let pieces = case.list("in");
        check(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>(), "as it is");
        check(&[&input], "whole");
        check(&input.chunks(1).collect::<Vec<_>>(), "byte by byte");
        for at in (0..=input.len()).step_by(apart) {
            let (front, back) = input.split_at(at);
            check(&[front, back], &format!("cut at {at}"));
        }
        for number in 0..20 {
            check(&cut_at_random(&input, number), &format!("cut at random, {number}"));
        }
    }
    let known = BEYOND.map(|(name, why)| (name.to_owned(), why));
    assert_eq!(beyond, known);
    assert!(played > 200 && plays > 20_000 / apart, "{played} cases, {plays} plays");
}

/// What the clock decides is the engine's: the deadline of the handshake, and a server that stops.
#[test]
fn every_case_of_the_clock_comes_out_byte_for_byte() {
    let mut played = 0;
    for case in Case::all() {
        let (is_timed, is_busy) = (case.text("then") == "timeout", case.field("busy") == true);
        if !is_timed && !is_busy {
            continue;
        }
        played += 1;
        let nobody = |_: &[u8], _: &mut Reply<'_>| panic!("nobody is let in");
        let mut server =
            TestServer::new([Listener::new(case.server(), Limits::default())], nobody).unwrap();
        server.engine.net_mut().draw_next(array(&case.bytes("sg")));
        let line = server.connect();
        if is_busy {
            server.arrive(&line, &case.input());
            server.engine.drain(server.now);
            server.work();
        } else {
            case.list("in").iter().for_each(|piece| server.send(&line, piece));
            server.pass(Limits::default().handshake_timeout);
        }
        let name = case.text("name");
        if is_busy {
            // What has arrived is answered; then the refusal stands in place of the acceptance.
            let (to_client, out) = (line.written(), case.bytes("out"));
            assert!(to_client.starts_with(&out[..32]) && to_client.ends_with(&out[32..]), "{name}");
        } else {
            assert_eq!(line.written(), case.bytes("out"), "{name}");
        }
        // What was written is taken before the connection goes.
        assert!(line.is_shut(), "{name}");
        server.report(&line, Readiness { failed: true, ..Readiness::default() });
        server.work();
        let why = if is_busy {
            CloseReason::Stopped
        } else {
            CloseReason::Refused(Refusal::HandshakeTimeout)
        };
        assert_eq!(server.engine.counters().closed(why), 1, "{name}");
        assert_eq!(server.engine.counters().authenticated, 0, "{name}");
    }
    assert_eq!(played, 7);
}
