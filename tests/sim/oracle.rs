//! What a connection's bytes mean, told a second time and more simply than the library does: from
//! what the server has read follow the messages that its service must be given, one by one.

use std::collections::VecDeque;

use countersign::{Exchange, Framing, ServerConfig};

use crate::forger::{BATCH, CLOSE, DATA, Direction, PING, PONG};

/// The payload that every server takes in a record, however short its messages must be.
pub(crate) const PAYLOAD_LEAST: usize = 1008;

/// What a client sends for one message, and how its reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Lf,
    CrLf,
    None,
    /// It is a ping, and is echoed.
    Ping,
}

/// The messages in what the server has read so far.
#[derive(Debug)]
pub(crate) struct Oracle {
    framing: Framing,
    max: usize,
    /// Messages come in records, whose tags follow from this.
    has_records: bool,
    pub(crate) direction: Option<Direction>,
    /// The client has sent its close record.
    pub(crate) finished: bool,
    /// The bytes of the proof.
    pub(crate) proof: usize,
    /// The bytes of the proof that have not been read.
    pub(crate) proof_left: usize,
    /// The messages that may still come.
    pub(crate) messages_left: usize,
    /// The front of a message that isn't whole.
    rest: Vec<u8>,
    /// The messages that the service must be given next.
    pub(crate) messages: VecDeque<(Vec<u8>, Ending)>,
    /// What was read can't be a message.
    pub(crate) bad: bool,
    /// The records that were whole.
    pub(crate) records: u64,
    /// The bytes of the records without a message that came last in a read.
    pub(crate) control: usize,
}

impl Oracle {
    pub(crate) fn new(config: &ServerConfig, proof: usize, has_records: bool) -> Self {
        let least = if has_records { PAYLOAD_LEAST } else { 0 };
        Self {
            framing: config.framing(),
            max: config.message_max().max(least),
            has_records,
            direction: None,
            finished: false,
            proof,
            proof_left: proof,
            messages_left: match config.exchange() {
                Exchange::Many => usize::MAX,
                Exchange::Once => 1,
                _ => 0,
            },
            rest: Vec::new(),
            messages: VecDeque::new(),
            bad: false,
            records: 0,
            control: 0,
        }
    }

    /// The server has read once.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let proof = self.proof_left.min(bytes.len());
        self.proof_left -= proof;
        self.rest.extend_from_slice(&bytes[proof..]);
        self.control = 0;
        let mut at = 0;
        while self.has_records && !self.bad && !self.finished && self.messages_left > 0 {
            let Some(unit) = self.record(at) else { break };
            at += unit;
        }
        while !self.has_records && !self.bad && self.messages_left > 0 {
            let Some((unit, message, ending)) = self.first(&self.rest[at..]) else { break };
            self.messages.push_back((message, ending));
            self.messages_left -= 1;
            at += unit;
        }
        self.rest.drain(..at);
        self.bad |= !self.has_records && self.messages_left > 0 && self.refuses();
        if self.bad || self.finished || self.messages_left == 0 {
            self.rest.clear();
        }
    }

    /// The server has read the end of the stream.
    pub(crate) fn end(&mut self) {
        if !self.has_records && self.framing == Framing::Lines && self.is_partial() {
            // A CR at the limit could have been that of a CRLF, and is one byte too many.
            self.bad = self.rest.len() > self.max;
            if self.bad {
                return self.rest.clear();
            }
            self.messages.push_back((std::mem::take(&mut self.rest), Ending::None));
        }
    }

    /// Whether the end of the stream, if it came now, would have come too early.
    pub(crate) fn is_cut(&self) -> bool {
        if self.has_records { !self.finished && !self.bad } else { self.is_partial() }
    }

    /// The most bytes of a unit.
    pub(crate) fn unit_max(&self) -> usize {
        self.max + 20
    }

    /// Takes the record that begins at this place. Returns its length.
    fn record(&mut self, at: usize) -> Option<usize> {
        let rest = &self.rest[at..];
        let &[kind, a, b, c] = rest.first_chunk()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = length.checked_sub(16);
        let is_formed = payload.is_some_and(|payload| match kind {
            DATA | BATCH => payload <= self.max && (kind == DATA || payload > 2),
            PING | PONG => payload <= 125,
            CLOSE => payload == 0,
            _ => false,
        });
        if !is_formed {
            self.bad = true;
            return None;
        }
        let unit = rest.get(..4 + length)?;
        let Some(message) = self.direction.as_mut()?.payload(unit) else {
            self.bad = true;
            return None;
        };
        self.control = if let PONG | CLOSE = kind { self.control + unit.len() } else { 0 };
        match kind {
            DATA => {
                self.messages.push_back((message, Ending::None));
                self.messages_left -= 1;
            }
            BATCH => match unpacked(&message) {
                None => self.bad = true,
                Some(messages) => {
                    let wanted = messages.into_iter().take(self.messages_left);
                    let before = self.messages.len();
                    self.messages.extend(wanted.map(|message| (message, Ending::None)));
                    self.messages_left -= self.messages.len() - before;
                }
            },
            PING => self.messages.push_back((message, Ending::Ping)),
            CLOSE => self.finished = true,
            _ => {}
        }
        self.records += 1;
        (!self.bad).then_some(4 + length)
    }

    pub(crate) fn is_partial(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The bytes of a message that isn't whole.
    pub(crate) fn partial(&self) -> usize {
        self.rest.len()
    }

    /// The length of the first unit, its message and its ending.
    fn first(&self, bytes: &[u8]) -> Option<(usize, Vec<u8>, Ending)> {
        match self.framing {
            Framing::Lines => {
                let end = bytes.iter().position(|&byte| byte == b'\n')?;
                let (line, ending) = match bytes[..end].strip_suffix(b"\r") {
                    Some(line) => (line, Ending::CrLf),
                    None => (&bytes[..end], Ending::Lf),
                };
                (line.len() <= self.max).then(|| (end + 1, line.to_vec(), ending))
            }
            Framing::Length => {
                let (header, length) = header(bytes)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= self.max)?;
                let message = bytes.get(header..header + length)?;
                Some((header + length, message.to_vec(), Ending::None))
            }
            _ => {
                let length = bytes.len().min(1024).min(self.max);
                (length > 0).then(|| (length, bytes[..length].to_vec(), Ending::None))
            }
        }
    }

    /// Whether the front of what is left can't become a message.
    fn refuses(&self) -> bool {
        match self.framing {
            Framing::Lines => {
                let end = self.rest.iter().position(|&byte| byte == b'\n');
                let line = &self.rest[..end.unwrap_or(self.rest.len())];
                line.strip_suffix(b"\r").unwrap_or(line).len() > self.max
            }
            Framing::Length => {
                header(&self.rest).is_some_and(|(_, length)| !(0..=max(self)).contains(&length))
            }
            _ => false,
        }
    }
}

/// The messages in the payload of a batch, if it holds one or more and nothing else.
fn unpacked(mut payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while !payload.is_empty() {
        let (length, behind) = payload.split_first_chunk::<3>()?;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        messages.push(behind.get(..length)?.to_vec());
        payload = &behind[length..];
    }
    (!messages.is_empty()).then_some(messages)
}

fn max(oracle: &Oracle) -> i128 {
    i128::try_from(oracle.max).unwrap()
}

/// The length of a frame's header, and the length that it states.
fn header(bytes: &[u8]) -> Option<(usize, i128)> {
    let short = i32::from_be_bytes(*bytes.first_chunk()?);
    if short != -1 {
        return Some((4, short.into()));
    }
    let long = u64::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
    Some((12, long.into()))
}

/// Appends a message as the server must frame it.
pub(crate) fn frame(framing: Framing, ending: Ending, message: &[u8], out: &mut Vec<u8>) {
    if framing == Framing::Length {
        out.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    }
    out.extend_from_slice(message);
    match (framing, ending) {
        (Framing::Lines, Ending::Lf) => out.push(b'\n'),
        (Framing::Lines, Ending::CrLf) => out.extend_from_slice(b"\r\n"),
        _ => {}
    }
}
