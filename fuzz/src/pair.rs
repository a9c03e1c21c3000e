//! Two ends of a session in records, and the path between them.

use std::time::Duration;

use countersign::session::{Event, SendError};
use countersign::{Protection, Session};

use crate::choices::{Choices, pieces};
use crate::forger::{BATCH, CLOSE, DATA, Direction, Forger, PING, PONG, batch};
use crate::setup::{SECRET, Setup};
use crate::signed::batched;

/// The header and the tag of a record.
const HEADER: usize = 4;
const TAG: usize = 16;

/// The longest batch, with its tag.
const BATCH_MAX: usize = 16 << 10;

/// One end, and the way from it to the other.
#[derive(Debug)]
struct End {
    session: Session,
    /// What it has sent, and the other hasn't received.
    path: Vec<u8>,
    /// The keys of what it sends, for who reads along.
    reader: Direction,
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    is_finished: bool,
    /// Its peer has sent its close record.
    has_seen_close: bool,
    has_failed: bool,
    /// Nobody has touched what it sends.
    is_intact: bool,
}

/// A client and a server that have authenticated.
#[derive(Debug)]
pub struct Pair {
    ends: [End; 2],
    /// The longest message that both accept.
    message_max: usize,
    is_sealed: bool,
}

impl Pair {
    /// Begins a session with records, sealed or not, and plays its handshake.
    pub fn open(input: &mut Choices<'_>) -> Option<Self> {
        let is_sealed = input.pick(&[true, false]);
        let message_max = input.pick(&[1008, 2000, 20_000]);
        let protection = if is_sealed { Protection::Sealed } else { Protection::Required };
        let setup = Setup { protection, message_max, ..Setup::read(&mut Choices(&[])) };
        let mut client = Setup { is_server: false, ..setup }.session()?;
        let mut server = setup.session()?;
        let call = heard(&mut client, &[]);
        let answer = heard(&mut server, &call);
        let confirm = heard(&mut client, &answer);
        let accepted = heard(&mut server, &confirm);
        assert!(heard(&mut client, &accepted).is_empty());
        let Forger { mut to_client, to_server, .. } = Forger::new(&SECRET, &call, &answer);
        // The acceptance was the first.
        to_client.next = 1;
        let ends = [End::new(client, to_server), End::new(server, to_client)];
        Some(Self { ends, message_max, is_sealed })
    }

    /// Sends a few messages at once.
    pub fn send(&mut self, input: &mut Choices<'_>) {
        let (from, count) = (input.below(2), input.below(5));
        let max = self.message_max;
        let lengths = [0, 1, 20, 125, 400, max.min(6000), max, max + 1];
        let messages: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                let length = input.pick(&lengths);
                let fill = input.byte();
                (0..length).map(|at| (at as u8).wrapping_mul(fill)).collect()
            })
            .collect();
        let is_long = messages.iter().any(|message| message.len() > self.message_max);
        let end = &mut self.ends[from];
        let mut out = Vec::new();
        let sent = end.session.send_all(messages.iter().map(Vec::as_slice), &mut out);
        match sent {
            Ok(()) => end.sent.extend(messages.iter().cloned()),
            Err(SendError::TooLong) => assert!(is_long && out.is_empty()),
            Err(SendError::NotOpen) => assert!(end.is_finished || end.has_failed),
            Err(other) => panic!("{other:?}"),
        }
        let read = self.read_along(from, &out);
        let is_checked = sent.is_ok() && self.ends[from].is_intact;
        assert!(!is_checked || read == messages, "the forger reads something else");
        self.ends[from].path.extend(out);
    }

    /// Says that nothing follows.
    pub fn finish(&mut self, from: usize) {
        let mut out = Vec::new();
        self.ends[from].session.finish(&mut out);
        self.ends[from].is_finished = true;
        self.read_along(from, &out);
        self.ends[from].path.extend(out);
    }

    /// A peer with the key of its own records sends a ping, or anything else that no end here does.
    pub fn ping(&mut self, input: &mut Choices<'_>) {
        let (from, kind) = (input.below(2), input.pick(&[PING, PONG]));
        let payload = input.bytes(input.0.len().min(126)).to_vec();
        let end = &mut self.ends[from];
        // It takes the number of the next record, so what the end itself sends later is out of
        // order: it sends nothing more.
        if end.is_intact && !end.is_finished {
            let record = end.reader.record(kind, &payload);
            end.path.extend(record);
            end.is_intact = false;
        }
    }

    /// Changes, drops, repeats or swaps some of what is on the path.
    pub fn attack(&mut self, input: &mut Choices<'_>) {
        let end = &mut self.ends[input.below(2)];
        if end.path.is_empty() {
            return;
        }
        let at = usize::from(u16::from_be_bytes([input.byte(), input.byte()])) % end.path.len();
        let until = (at + 1 + input.below(64)).min(end.path.len());
        let before = end.path.clone();
        match input.below(4) {
            0 => end.path[at] ^= 1 << input.below(8),
            1 => drop(end.path.drain(at..until)),
            2 => {
                let again = end.path[at..until].to_vec();
                end.path.splice(until..until, again);
            }
            _ => end.path.rotate_left(at),
        }
        end.is_intact &= end.path == before;
    }

    /// Lets the other end receive what is on the path, in pieces.
    pub fn deliver(&mut self, from: usize, cut: u8) {
        let path = std::mem::take(&mut self.ends[from].path);
        let mut answers = Vec::new();
        for piece in pieces(&path, cut) {
            answers.extend(self.ends[1 - from].receive(piece));
        }
        self.read_along(1 - from, &answers);
        self.ends[1 - from].path.extend(answers);
        self.check(from);
    }

    /// Delivers all, and compares what has arrived.
    pub fn end(&mut self) {
        for from in [0, 1, 0, 1] {
            self.deliver(from, 0);
        }
        for from in [0, 1] {
            let (sender, receiver) = (&self.ends[from], &self.ends[1 - from]);
            if sender.is_intact && !receiver.has_failed {
                assert_eq!(sender.sent, receiver.received, "from {from}");
            }
        }
    }

    /// The messages that have arrived are the first of those that were sent.
    fn check(&self, from: usize) {
        let (sender, receiver) = (&self.ends[from], &self.ends[1 - from]);
        assert!(sender.sent.starts_with(&receiver.received), "a message is forged, from {from}");
        assert!(!sender.is_intact || !receiver.has_failed, "intact records are refused");
        assert!(!receiver.has_seen_close || sender.is_finished, "the close is forged");
    }

    /// Reads what an end sends as who holds the key, and checks its limits. Returns the messages.
    fn read_along(&mut self, from: usize, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let (is_sealed, message_max) = (self.is_sealed, self.message_max);
        let end = &mut self.ends[from];
        let mut messages = Vec::new();
        while let [kind, a, b, c, ..] = *bytes {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            assert!(length <= message_max + TAG, "longer than the peer accepts");
            let (record, rest) = bytes.split_at(HEADER + length);
            let payload = end.reader.payload(record);
            bytes = rest;
            // Others have sent in its name.
            if !end.is_intact {
                continue;
            }
            let payload = payload.expect("the right tag");
            let is_plain = record[HEADER..].starts_with(&payload);
            assert!(payload.len() < TAG || is_plain != is_sealed, "sealed: {is_sealed}");
            match kind {
                DATA => messages.push(payload),
                BATCH => {
                    let batched = batched(&payload).expect("whole messages");
                    assert_eq!(batch(&batched), payload);
                    assert!(batched.len() > 1 && length <= BATCH_MAX, "a batch of {length} bytes");
                    messages.extend(batched);
                }
                CLOSE => assert!(payload.is_empty() && end.is_finished),
                PONG => assert!(payload.len() <= 125),
                other => panic!("a record of type {other}"),
            }
        }
        assert!(bytes.is_empty(), "a record is cut");
        messages
    }
}

impl End {
    fn new(session: Session, reader: Direction) -> Self {
        Self {
            session,
            path: Vec::new(),
            reader,
            sent: Vec::new(),
            received: Vec::new(),
            is_finished: false,
            has_seen_close: false,
            has_failed: false,
            is_intact: true,
        }
    }

    /// Takes a piece of what the other end sends, and returns the answers to it.
    fn receive(&mut self, mut piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while !self.has_failed {
            match self.session.process(Duration::ZERO, &mut piece, &mut out) {
                Ok(None) => break,
                Ok(Some(Event::Message(message))) => self.received.push(message.bytes.to_vec()),
                Ok(Some(Event::Finished)) => self.has_seen_close = true,
                Ok(Some(Event::Control)) => {}
                Ok(Some(other)) => panic!("{other:?}"),
                Err(_) => self.has_failed = true,
            }
        }
        out
    }
}

/// What a session answers in its handshake.
fn heard(session: &mut Session, mut input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while session.process(Duration::ZERO, &mut input, &mut out).expect("two honest ends").is_some()
    {
    }
    out
}
