//! What `multiprocessing` adds to a connection: a client that goes through three steps, and the
//! server's handshake told a second time, message by message.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::excuses::{Check, Excuse};
use crate::link::Link;
use crate::random::Random;
use crate::script::Proof;
use crate::terms::Terms;
use crate::world::World;

const MARK: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";
const SHA256: &[u8] = b"{sha256}";

/// The bytes of the server's challenge with its header.
pub(crate) const CHALLENGE: usize = 4 + 11 + 48;

/// The longest message of a handshake.
const MESSAGE_MAX: usize = 256;

/// The length of a challenge that names no digest.
const NAMELESS: usize = 20;

/// What the server reads and drops after a refusal, in units of 16 bytes.
const LINGER_MAX: usize = 4096;

/// The steps of a client: its proof, its challenge, and its welcome.
pub(crate) const STEPS: u8 = 3;

/// The messages that are wrong at one step at least.
pub(crate) const BAD_FRAMES: u8 = 13;

/// How far the server has come with a client, by what it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitingProof,
    AwaitingChallenge,
    AwaitingWelcome,
    Open,
    Refused(Refused),
}

/// What a refusal is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    /// The client is told of it.
    is_told: bool,
    /// It counts as a wrong proof.
    is_wrong_proof: bool,
}

/// The multiprocessing side of a connection.
#[derive(Debug)]
pub(crate) struct Python {
    state: State,
    /// A Python of Red Hat's, which names no digest and means SHA-256.
    is_rhel: bool,
    /// What the client has said so far, in messages.
    said: u8,
    /// What the server has read of a message that isn't whole.
    rest: Vec<u8>,
    /// What the server challenges with, once that is known.
    challenge: Vec<u8>,
    /// What was read before the challenge was out, with the header of a balancer.
    early: Vec<u8>,
}

impl Python {
    pub(crate) fn new(terms: &Terms, number: usize) -> Self {
        Self {
            state: State::AwaitingProof,
            is_rhel: terms.is_rhel && number % 2 == 1,
            said: 0,
            rest: Vec::new(),
            challenge: Vec::new(),
            early: Vec::new(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the server has reason to end the handshake.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused(_))
    }

    /// Whether it has read a proof that holds for no key of its ring.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.state, State::Refused(Refused { is_wrong_proof: true, .. }))
    }

    /// Whether the client must be told of the refusal.
    fn is_told(&self) -> bool {
        matches!(self.state, State::Refused(Refused { is_told: true, .. }))
    }

    /// The server's challenge, made of what was drawn for it: 40 bytes, of which the last 8 follow
    /// from the others.
    pub(crate) fn challenge(&mut self, nonce: &[u8; 32]) -> Vec<u8> {
        let label = b"countersign multiprocessing server";
        let seal = Sha256::new().chain_update(label).chain_update(nonce).finalize();
        self.challenge = [SHA256, nonce, &seal[..8]].concat();
        frame(&[MARK, &self.challenge].concat())
    }

    /// The server has read this. Returns what it must answer, and what lies behind the handshake.
    fn read<'b>(
        &mut self,
        mut bytes: &'b [u8],
        terms: &Terms,
        has_key: bool,
    ) -> (Vec<u8>, &'b [u8]) {
        let mut due = Vec::new();
        while let Some((&byte, behind)) = bytes.split_first() {
            if self.is_open() {
                break;
            }
            bytes = behind;
            if self.is_refused() {
                continue;
            }
            self.rest.push(byte);
            let Some(header) = self.rest.first_chunk() else { continue };
            let Ok(length) = usize::try_from(i32::from_be_bytes(*header)) else {
                self.refuse(false, false);
                continue;
            };
            if length > MESSAGE_MAX {
                self.refuse(false, false);
            } else if self.rest.len() == 4 + length {
                let message = std::mem::take(&mut self.rest).split_off(4);
                let answer = self.judge(&message, terms, has_key);
                due.extend(answer.map(|answer| frame(&answer)).unwrap_or_default());
                if self.is_told() {
                    due.extend(frame(FAILURE));
                }
            }
        }
        (due, bytes)
    }

    fn refuse(&mut self, is_told: bool, is_wrong_proof: bool) {
        self.state = State::Refused(Refused { is_told, is_wrong_proof });
    }

    /// The server has read a whole message. Returns its answer, if it goes on and has one.
    fn judge(&mut self, message: &[u8], terms: &Terms, has_key: bool) -> Option<Vec<u8>> {
        if message == FAILURE {
            self.refuse(false, false);
            return None;
        }
        match self.state {
            State::AwaitingProof => {
                let named = message.strip_prefix(SHA256).filter(|tag| tag.len() == 32);
                let nameless = Some(message).filter(|tag| terms.is_rhel && tag.len() == 32);
                match named.or(nameless) {
                    None => self.refuse(true, false),
                    Some(tag) if !has_key || tag != sign(&terms.secret, &self.challenge) => {
                        self.refuse(true, true);
                    }
                    Some(_) => {
                        self.state = State::AwaitingChallenge;
                        return Some(WELCOME.to_vec());
                    }
                }
            }
            State::AwaitingChallenge if !has_key => self.refuse(true, true),
            State::AwaitingChallenge => {
                let challenge = message.strip_prefix(MARK).unwrap_or_default();
                let is_long = challenge.len() > NAMELESS && challenge != self.challenge;
                let tag = sign(&terms.secret, challenge);
                if is_long && challenge.starts_with(SHA256) {
                    self.state = State::AwaitingWelcome;
                    return Some([SHA256, &tag].concat());
                }
                if challenge.len() == NAMELESS && terms.is_rhel {
                    self.state = State::AwaitingWelcome;
                    return Some(tag.to_vec());
                }
                self.refuse(true, false);
            }
            State::AwaitingWelcome if message != WELCOME => self.refuse(true, false),
            State::AwaitingWelcome if !has_key => self.refuse(true, true),
            State::AwaitingWelcome => self.state = State::Open,
            State::Open | State::Refused(_) => {}
        }
        None
    }

    /// What the client says at its next step, if it has read enough for it. Nothing is said to a
    /// failure.
    fn next(&self, heard: &[Vec<u8>], secret: &[u8], random: &mut Random) -> Option<Vec<u8>> {
        let last = heard.get(usize::from(self.said))?;
        if last == FAILURE {
            return Some(Vec::new());
        }
        let message = match self.said {
            0 => {
                let tag = sign(secret, &self.challenge);
                if self.is_rhel { tag.to_vec() } else { [SHA256, &tag].concat() }
            }
            1 if self.is_rhel => [MARK, &drawn(random, NAMELESS)].concat(),
            1 => {
                let length = random.pick(&[40, 40, 40, 13, 237]);
                [MARK, SHA256, &drawn(random, length)].concat()
            }
            _ => WELCOME.to_vec(),
        };
        Some(frame(&message))
    }
}

/// The server's messages that a client has read.
fn messages(mut heard: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((header, rest)) = heard.split_first_chunk() {
        let Some(message) = rest.get(..u32::from_be_bytes(*header) as usize) else { break };
        messages.push(message.to_vec());
        heard = &rest[message.len()..];
    }
    messages
}

fn drawn(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn sign(secret: &[u8], challenge: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(challenge);
    mac.finalize().into_bytes().into()
}

/// A message that is wrong at some step, and what is glued to it.
fn bad(fault: u8, challenge: &[u8]) -> Vec<u8> {
    let header = |length: i32| length.to_be_bytes().to_vec();
    let mut said = match fault {
        0 => header(-2),
        1 => header(i32::MIN),
        2 => header(257),
        3 => [header(-1), 40_u64.to_be_bytes().to_vec()].concat(),
        4 => frame(&[b"{sha384}", &[7; 48][..]].concat()),
        5 => frame(&[7; 16]),
        6 => frame(&[7; 32]),
        7 => frame(FAILURE),
        8 => frame(b""),
        9 => frame(&[MARK, challenge].concat()),
        10 => frame(b"#CHALLENGE#twenty bytes of text"),
        11 => frame(b"#CHALLENGE#{md5}and forty bytes that were drawn"),
        _ => frame(WELCOME),
    };
    said.extend_from_slice(b"and what is glued to it");
    said
}

impl World {
    /// What a client of multiprocessing says next.
    pub(crate) fn compose_python(&mut self, number: usize) {
        let Self { links, setup, random, overheard_answer, .. } = self;
        let link = &mut links[number];
        let terms = &setup.listeners[link.listener];
        let Some(python) = &mut link.python else { return };
        let heard = messages(&link.written[..link.received]);
        let (proof, state) = (link.script.proof, python.said);
        if proof == Proof::Early {
            link.said = frame(&[SHA256, &[0x80; 32]].concat());
            link.said.extend_from_slice(&link.script.stream);
            link.is_composed = true;
            return;
        }
        let secret = if proof == Proof::Unknown { b"of nobody's" } else { &terms.secret[..] };
        let Some(mut said) = python.next(&heard, secret, random) else { return };
        python.said += 1;
        match proof {
            _ if said.is_empty() => link.is_composed = true,
            Proof::Wrong if state == 0 => {
                let at = random.between(said.len() - 32, said.len() - 1);
                said[at] ^= 1 << random.between(0, 7);
            }
            Proof::Replayed if state == 0 => {
                let other = overheard_answer.clone();
                said = other.unwrap_or_else(|| frame(&[SHA256, &[7; 32]].concat()));
            }
            Proof::BadFrame(at, fault) if state == at => {
                said = bad(fault, &python.challenge);
                link.is_composed = true;
            }
            Proof::Right if state == 0 => *overheard_answer = Some(said.clone()),
            _ => {}
        }
        // Whoever doesn't hold the key glues its messages to the proof.
        let is_last = python.said == STEPS;
        let is_glued = matches!(proof, Proof::Wrong | Proof::Replayed | Proof::Unknown);
        if !link.is_composed && (is_last || is_glued) {
            said.extend_from_slice(&link.script.stream);
            link.is_composed = true;
        }
        link.said.extend(said);
    }

    /// Takes what the server has read of the handshake, and notes what it must answer. Returns what
    /// lies behind it.
    pub(crate) fn read_python<'b>(&mut self, number: usize, bytes: &'b [u8]) -> &'b [u8] {
        let Self { links, setup, models, .. } = self;
        let link = &mut links[number];
        let has_key = models[link.listener].revoked.is_none();
        let Some(python) = &mut link.python else { return bytes };
        if link.written.len() < CHALLENGE {
            python.early.extend_from_slice(bytes);
            return &[];
        }
        let (due, behind) = python.read(bytes, &setup.listeners[link.listener], has_key);
        link.account.due.extend(due);
        if python.is_open() {
            link.account.oracle.proof_left = 0;
        }
        behind
    }

    /// The challenge is out, so what was read before is looked at. A proof can't be in it.
    pub(crate) fn read_early(&mut self, number: usize) {
        let link = &mut self.links[number];
        if let Some(python) = link.python.as_mut().filter(|_| link.written.len() >= CHALLENGE) {
            let early = std::mem::take(&mut python.early);
            self.read_python(number, &early);
        }
    }

    /// Whether a client that is refused was told so, and had the time to read it.
    pub(crate) fn check_failure(&mut self, number: usize, is_late: bool, is_excused: bool) {
        let Link { python, account, socket, written, reset, hung_up, .. } = &self.links[number];
        if !python.as_ref().is_some_and(Python::is_told) {
            return;
        }
        let is_broken = *reset || *hung_up || socket.blocked.is_some();
        let is_over = account.lingered >= LINGER_MAX
            || socket.shut.is_some_and(|shut| self.now >= shut + crate::link::LINGER);
        let is_told = written.len() == account.due.len() && is_over;
        let excuses =
            [(Excuse::RefusalUnsent, is_broken), (Excuse::RefusalDropped, is_late || is_excused)];
        if !self.excuses.check(Check::Refusal, is_told, &excuses) {
            self.fail(Some(number), "hung up on before it could read of its failure");
        }
    }
}
