//! One end of a connection whose network the attacker owns, and what it must hold to.

use countersign::{Key, KeyRing, Protection, RingSecrets};

use crate::attacker::random::Random;
use crate::attacker::units::{self, Unit};
use crate::ends::{CHALLENGE, End, Heard, SERVER_HELLO, client_of, server_of};
use crate::forger::Forger;

/// The key that the attacker has.
const STOLEN: &str = "stolen";

/// The ids of the keys, which all programs have.
const KEYS: [&str; 3] = ["k0", "k1", STOLEN];

/// The names of services.
const AUDIENCES: [&str; 2] = ["lock", "lamp"];

/// The programs: all ends of one share a ring.
const PROGRAMS: usize = 3;

const PROTECTIONS: [Protection; 4] =
    [Protection::Required, Protection::Sealed, Protection::Allowed, Protection::Off];

/// How an end is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// The program that it belongs to.
    program: usize,
    /// At a client, the key that it means.
    key: &'static str,
    audience: &'static str,
    protection: Protection,
}

impl Setup {
    pub(crate) fn draw(random: &mut Random) -> Self {
        Self {
            program: random.between(0, PROGRAMS - 1),
            key: random.pick(&KEYS),
            audience: random.pick(&AUDIENCES),
            protection: random.pick(&PROTECTIONS),
        }
    }

    /// That of an end that it can talk to, but for one thing at times.
    pub(crate) fn other_end(self, random: &mut Random) -> Self {
        let other = Self { program: (self.program + 1) % PROGRAMS, ..self };
        let drawn = Self::draw(random);
        match random.between(0, 9) {
            0 => drawn,
            1 => Self { program: self.program, ..other },
            2 => Self { audience: drawn.audience, ..other },
            3 | 4 => Self { protection: drawn.protection, ..other },
            _ => other,
        }
    }
}

/// One end of a connection.
pub(crate) struct Party {
    pub(crate) end: End,
    pub(crate) is_server: bool,
    setup: Setup,
    /// All bytes that it has received and sent.
    received: Vec<u8>,
    sent: Vec<u8>,
    /// The messages that it has sent, and whether it has said that no more follow.
    said: Vec<Vec<u8>>,
    is_finished: bool,
    /// The network has ended its stream.
    is_cut: bool,
    /// What must hold when it opens was checked.
    is_checked: bool,
    /// The party that it is connected with, unless the attacker has its key.
    partner: Option<usize>,
}

fn ring(program: usize) -> KeyRing {
    let seed = u8::try_from(program).unwrap();
    KEYS.iter().fold(KeyRing::new(RingSecrets::new([seed; 48])), |ring, id| {
        ring.with(Key::new(id, secret(id).as_bytes()).unwrap()).unwrap()
    })
}

fn secret(id: &str) -> String {
    format!("the secret of {id}, which is long enough")
}

/// The secrets of a session with the stolen key, if there is one between these.
pub(crate) fn stolen(call: &[u8], answer: &[u8]) -> Option<Forger> {
    let is_answer =
        answer.len() >= CHALLENGE + SERVER_HELLO && answer[CHALLENGE] == units::SERVER_HELLO;
    is_answer.then(|| Forger::new(secret(STOLEN).as_bytes(), call, answer))
}

impl Party {
    pub(crate) fn new(setup: Setup, is_server: bool, random: &mut Random) -> Self {
        let Setup { program, key, audience, protection } = setup;
        let mut nonce = [0; 32];
        random.fill(&mut nonce);
        let end = if is_server {
            let options = server_of(ring(program)).with_records(protection);
            End::server(&options.with_audience(audience), nonce)
        } else {
            let options = client_of(ring(program)).with_records(protection).with_key(key);
            End::client(&options.with_audience(audience), nonce)
        };
        Self {
            end,
            is_server,
            setup,
            received: Vec::new(),
            sent: Vec::new(),
            said: Vec::new(),
            is_finished: false,
            is_cut: false,
            is_checked: false,
            partner: None,
        }
    }

    /// Whether it still takes part.
    pub(crate) fn is_alive(&self) -> bool {
        self.end.refusal.is_none() && !self.is_cut
    }

    /// What it sends when it receives these bytes.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<Unit> {
        self.received.extend_from_slice(bytes);
        let output = self.end.hear(bytes);
        self.send(&output)
    }

    fn send(&mut self, output: &[u8]) -> Vec<Unit> {
        let has_nonce = self.is_server && self.sent.is_empty();
        self.sent.extend_from_slice(output);
        units::split(output, has_nonce)
    }

    /// Sends a message, or says that no more follow.
    pub(crate) fn speak(&mut self, message: Option<Vec<u8>>) -> Vec<Unit> {
        if !self.end.is_open() || self.is_finished || !self.is_alive() {
            return Vec::new();
        }
        let output = match message {
            Some(message) => {
                let output = self.end.say(&message);
                self.said.push(message);
                output
            }
            None => {
                self.is_finished = true;
                self.end.finish()
            }
        };
        self.send(&output)
    }

    /// Ends the stream that it receives. Nothing may be missing if it takes that for the end.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
        let is_complete = self.end.heard.contains(&Heard::Finished);
        if self.end.is_protected && self.end.end().is_ok() {
            assert!(is_complete, "a stream that is cut off is taken for a complete one");
        }
    }

    /// The client's hello, the server's nonce and hello, and the client's proof, as it knows them.
    pub(crate) fn handshake(&self) -> [&[u8]; 3] {
        let (client, server) = match self.is_server {
            true => (&self.received, &self.sent),
            false => (&self.sent, &self.received),
        };
        let (call, rest) = units::split_call(client);
        [call, units::split_answer(server).0, &rest[..units::CONFIRM_LENGTH.min(rest.len())]]
    }

    /// What holds as soon as it is open: its configuration is enforced, and a party of another
    /// program, the only one, has the same handshake behind it. It is remembered.
    fn find_partner(&self, parties: &[Self]) -> Option<usize> {
        assert!(self.has_its_protection(), "{:?} is not enforced", self.setup.protection);
        if self.end.key.as_deref() == Some(STOLEN) {
            return None;
        }
        // A client's proof is on its way when the client is open.
        let parts = if self.is_server { 3 } else { 2 };
        let ours = &self.handshake()[..parts];
        let mut partners = parties.iter().enumerate().filter(|(_, party)| {
            party.is_server != self.is_server && party.handshake()[..parts] == *ours
        });
        let Some((number, partner)) = partners.next() else {
            panic!("it is open, and nobody has talked to it");
        };
        assert!(partners.next().is_none(), "two have talked to it");
        assert_ne!(partner.setup.program, self.setup.program, "it talks to its own program");
        assert_eq!(partner.setup.audience, self.setup.audience, "it means another service");
        let client = if self.is_server { partner } else { self };
        assert_eq!(self.end.key.as_deref(), Some(client.setup.key), "it means another key");
        Some(number)
    }

    fn has_its_protection(&self) -> bool {
        match self.setup.protection {
            Protection::Sealed => self.end.is_protected && self.end.is_sealed,
            Protection::Required => self.end.is_protected && !self.end.is_sealed,
            Protection::Off => !self.end.is_protected,
            _ => true,
        }
    }
}

/// Checks what must hold of all parties after each step.
pub(crate) fn check(parties: &mut [Party]) {
    for number in 0..parties.len() {
        let party = &parties[number];
        if !party.end.is_open() {
            assert!(party.end.messages().is_empty(), "a message before the proof");
            continue;
        }
        if party.is_checked {
            continue;
        }
        let partner = party.find_partner(parties);
        (parties[number].is_checked, parties[number].partner) = (true, partner);
    }
    for party in parties.iter().filter(|party| party.end.is_protected) {
        let Some(partner) = party.partner.map(|partner| &parties[partner]) else { continue };
        let (heard, said) = (party.end.messages(), &partner.said);
        assert!(heard.len() <= said.len(), "a message that nobody has sent");
        assert!(heard.iter().eq(said[..heard.len()].iter()), "a message that is not the next one");
        let is_over = party.end.heard.contains(&Heard::Finished);
        let is_complete = partner.is_finished && heard.len() == said.len();
        assert!(!is_over || is_complete, "an end before the last message");
    }
}
