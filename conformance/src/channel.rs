//! Messages after the handshake: in records, tagged or sealed, or in a framing without records.

use std::collections::VecDeque;

use countersign::Framing;

use crate::hello::MAX_RECORD;
use crate::octets::shown;
use crate::secrets::{HEADER, RecordCipher, Secrets, TAG};
use crate::step::RecordEdit;
use crate::wire::{Mismatch, ReadEvent, Wire};

pub(crate) const DATA: u8 = 0x10;
pub(crate) const PING: u8 = 0x11;
pub(crate) const PONG: u8 = 0x12;
pub(crate) const CLOSE: u8 = 0x13;
pub(crate) const BATCH: u8 = 0x14;

/// The longest batch, unless one message alone is longer.
const BATCH_MAX: usize = 16 << 10;

/// What one end of the connection says, or hears, after the handshake.
pub(crate) enum Channel {
    Plain(Framing),
    Records(Box<RecordChannel>),
}

/// Both directions of a connection with records.
pub(crate) struct RecordChannel {
    secrets: Secrets,
    is_server: bool,
    is_sealed: bool,
    out: RecordCipher,
    into: RecordCipher,
    out_number: u64,
    in_number: u64,
    /// Messages of a batch that were not expected yet.
    pending: VecDeque<Vec<u8>>,
    /// What was sent last.
    last: Vec<u8>,
    /// The longest record that the kit has said it accepts.
    max_in: usize,
}

/// What comes in a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Vec<u8>),
    Pong(Vec<u8>),
    Close,
}

impl RecordChannel {
    pub(crate) fn new(secrets: &Secrets, is_server: bool, is_sealed: bool) -> Self {
        let (out, into) = match is_server {
            true => (&secrets.k_s2c, &secrets.k_c2s),
            false => (&secrets.k_c2s, &secrets.k_s2c),
        };
        Self {
            out: RecordCipher::new(out, is_sealed),
            into: RecordCipher::new(into, is_sealed),
            // The accept was the server's number 0.
            out_number: u64::from(is_server),
            in_number: u64::from(!is_server),
            secrets: secrets.clone(),
            is_server,
            is_sealed,
            pending: VecDeque::new(),
            last: Vec::new(),
            max_in: MAX_RECORD as usize,
        }
    }

    pub(crate) fn with_max_in(self, max_record: u32) -> Self {
        Self { max_in: max_record as usize, ..self }
    }

    /// A record, with what is wrong with it.
    pub(crate) fn record(&mut self, edit: &RecordEdit) -> Vec<u8> {
        let (own, other) = match self.is_server {
            true => (&self.secrets.k_s2c, &self.secrets.k_c2s),
            false => (&self.secrets.k_c2s, &self.secrets.k_s2c),
        };
        let key = if edit.other_direction { other } else { own };
        let cipher = RecordCipher::new(key, self.is_sealed && !edit.unsealed);
        let number = edit.number_is.unwrap_or(self.out_number.wrapping_add_signed(edit.number));
        let payload = &edit.payload.0;
        let length = edit.length.map_or(payload.len() + TAG, |length| length as usize);
        let mut record = cipher.protect(number, edit.kind.unwrap_or(DATA), length, payload);
        self.out_number = number + 1;
        flip(&mut record, edit.flip);
        record[0] = edit.retyped.unwrap_or(record[0]);
        record.truncate(edit.only.unwrap_or(usize::MAX));
        self.last.clone_from(&record);
        record
    }

    /// A record without faults.
    pub(crate) fn simple(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let record = self.out.protect(self.out_number, kind, payload.len() + TAG, payload);
        self.out_number += 1;
        self.last.clone_from(&record);
        record
    }

    /// What was sent last, once more.
    pub(crate) fn again(&self) -> Vec<u8> {
        self.last.clone()
    }

    /// The next thing that comes. Pings are answered.
    fn next(&mut self, wire: &mut Wire, expected: &str) -> Result<Incoming, Mismatch> {
        loop {
            if let Some(message) = self.pending.pop_front() {
                return Ok(Incoming::Message(message));
            }
            let (kind, payload) = self.receive(wire, expected)?;
            match kind {
                DATA => return Ok(Incoming::Message(payload)),
                BATCH => {
                    let wrong = |came| Mismatch::new(expected, came);
                    self.pending = split(&payload).map_err(wrong)?;
                }
                PING if payload.len() <= 125 => {
                    let pong = self.simple(PONG, &payload);
                    wire.send("pong", &pong);
                }
                PONG => return Ok(Incoming::Pong(payload)),
                CLOSE if payload.is_empty() => return Ok(Incoming::Close),
                _ => {
                    let came = format!("a record of type {kind:#04x} and {} bytes", payload.len());
                    return Err(Mismatch::new(expected, came));
                }
            }
        }
    }

    /// The next record, whose length and tag must be right.
    fn receive(&mut self, wire: &mut Wire, expected: &str) -> Result<(u8, Vec<u8>), Mismatch> {
        wire.await_bytes(HEADER, expected)?;
        let [kind, length @ ..] = [wire.inbox[0], wire.inbox[1], wire.inbox[2], wire.inbox[3]];
        let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if !(DATA..=BATCH).contains(&kind) {
            return Err(wire.mismatch(expected, ReadEvent::Bytes));
        }
        if length < TAG || length > self.max_in {
            let came = format!("a record of type {kind:#04x} with the length {length}");
            return Err(Mismatch::new(
                format!("{expected}, in records of 16 to {} bytes", self.max_in),
                came,
            ));
        }
        wire.await_bytes(HEADER + length, expected)?;
        let record = wire.take(HEADER + length, &format!("record {}", self.in_number));
        let Some(payload) = self.into.open(self.in_number, &record) else {
            let (number, kind) = (self.in_number, record[0]);
            let what = format!("{expected}, in a record with the number {number}");
            let came = format!("a record of type {kind:#04x} whose tag does not verify");
            return Err(Mismatch::new(what, came));
        };
        self.in_number += 1;
        Ok((kind, payload))
    }
}

/// The messages of a batch.
fn split(mut payload: &[u8]) -> Result<VecDeque<Vec<u8>>, String> {
    let mut messages = VecDeque::new();
    let whole = payload.len();
    while let Some(([high, middle, low], rest)) = payload.split_first_chunk::<3>() {
        let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        let Some((message, rest)) = rest.split_at_checked(length) else {
            return Err("a batch in which a message reaches past the end".to_owned());
        };
        messages.push_back(message.to_vec());
        payload = rest;
    }
    if messages.is_empty() || !payload.is_empty() {
        return Err("a batch that is empty, or ends within a message".to_owned());
    }
    if whole + TAG > BATCH_MAX && messages.len() > 1 {
        return Err(format!("a batch of {} messages and {whole} bytes", messages.len()));
    }
    Ok(messages)
}

/// A batch of these messages.
pub(crate) fn joined<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut payload = Vec::new();
    for message in messages {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        payload.extend(&length[1..]);
        payload.extend(message);
    }
    payload
}

/// Flips the lowest bit of a byte, which a negative number counts from the end.
pub(crate) fn flip(bytes: &mut [u8], at: Option<i64>) {
    let Some(at) = at else { return };
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let at = usize::try_from(if at < 0 { length + at } else { at }).ok();
    if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1;
    }
}

impl Channel {
    /// A message as it goes out.
    pub(crate) fn message(&mut self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Records(records) => records.simple(DATA, message),
            Self::Plain(Framing::Length) => {
                let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
                [&length.to_be_bytes(), message].concat()
            }
            Self::Plain(_) => [message, b"\n"].concat(),
        }
    }

    pub(crate) fn records(&mut self) -> Option<&mut RecordChannel> {
        match self {
            Self::Records(records) => Some(records),
            Self::Plain(_) => None,
        }
    }

    /// Waits for one message, which must be this one.
    pub(crate) fn expect_message(
        &mut self,
        wire: &mut Wire,
        message: &[u8],
    ) -> Result<(), Mismatch> {
        let expected = format!("the message {}", shown(message));
        let came = match self {
            Self::Records(records) => loop {
                match records.next(wire, &expected)? {
                    Incoming::Message(message) => break message,
                    // Nobody has asked for it.
                    Incoming::Pong(_) => {}
                    Incoming::Close => return Err(Mismatch::new(expected, "a close record")),
                }
            },
            Self::Plain(framing) => plain_message(*framing, wire, &expected)?,
        };
        if came == message {
            return Ok(());
        }
        Err(Mismatch::new(expected, format!("the message {}", shown(&came))))
    }

    /// Waits for a pong with these bytes. Messages that come before it are kept for later.
    pub(crate) fn expect_pong(&mut self, wire: &mut Wire, bytes: &[u8]) -> Result<(), Mismatch> {
        let expected = format!("a pong with {}", shown(bytes));
        let Self::Records(records) = self else {
            return Err(Mismatch::new(expected, "a connection without records"));
        };
        let mut early = VecDeque::new();
        let came = loop {
            match records.next(wire, &expected)? {
                Incoming::Message(message) => early.push_back(message),
                Incoming::Pong(came) if came == bytes => {
                    early.append(&mut records.pending);
                    records.pending = early;
                    return Ok(());
                }
                Incoming::Pong(came) => break format!("a pong with {}", shown(&came)),
                Incoming::Close => break "a close record".to_owned(),
            }
        };
        Err(Mismatch::new(expected, came))
    }

    /// Waits for the end: a close record where there are records.
    pub(crate) fn expect_close(&mut self, wire: &mut Wire) -> Result<(), Mismatch> {
        const EXPECTED: &str = "a close record";
        if let Self::Records(records) = self {
            let came = match records.next(wire, EXPECTED)? {
                Incoming::Close => {
                    wire.log.note("that was a close record");
                    return Ok(());
                }
                Incoming::Pong(_) => "a pong".to_owned(),
                Incoming::Message(message) => format!("the message {}", shown(&message)),
            };
            return Err(Mismatch::new(EXPECTED, came));
        }
        Ok(())
    }

    /// Waits for the end of the stream, before which a close record may come.
    pub(crate) fn expect_close_or_end(&mut self, wire: &mut Wire) -> Result<(), Mismatch> {
        let until = wire.deadline();
        while wire.inbox.is_empty() && wire.read(until) == ReadEvent::Bytes {}
        if !wire.inbox.is_empty() {
            self.expect_close(wire)?;
        }
        wire.expect_end("the end of the stream")
    }

    /// Waits for the end of the stream. Some of these messages may come before, in this order.
    pub(crate) fn expect_end_after(
        &mut self,
        wire: &mut Wire,
        messages: &[&[u8]],
    ) -> Result<(), Mismatch> {
        const EXPECTED: &str = "the end of the stream, without a reply to what was wrong";
        for message in messages {
            let until = wire.deadline();
            while wire.inbox.is_empty() && wire.read(until) == ReadEvent::Bytes {}
            if wire.inbox.is_empty() {
                break;
            }
            self.expect_message(wire, message)?;
        }
        let is_pending = self.records().is_some_and(|records| !records.pending.is_empty());
        if is_pending {
            return Err(Mismatch::new(EXPECTED, "one message more"));
        }
        wire.expect_end(EXPECTED)
    }
}

/// The next message in a framing without records.
fn plain_message(framing: Framing, wire: &mut Wire, expected: &str) -> Result<Vec<u8>, Mismatch> {
    if framing == Framing::Length {
        wire.await_bytes(4, expected)?;
        let length =
            wire.take(4, "a length").iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        wire.await_bytes(length, expected)?;
        return Ok(wire.take(length, "a message"));
    }
    let mut count = 1;
    loop {
        wire.await_bytes(count, expected)?;
        if let Some(at) = wire.inbox.iter().position(|byte| *byte == b'\n') {
            let mut line = wire.take(at + 1, "a line");
            line.pop();
            return Ok(line);
        }
        count = wire.inbox.len() + 1;
    }
}
