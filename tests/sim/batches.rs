//! Batches in the simulation: clients that never send them, that send nothing else, or that leave
//! it to the library; and what the server owes a client until its records show how it is sent.

use crate::forger::{BATCH, DATA, Direction, PONG, batch};
use crate::link::Account;
use crate::mutual::Mutual;
use crate::random::Random;
use crate::world::World;

/// How a client packs its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// One record for each.
    Single,
    /// As the library does.
    Library,
    /// All of them in batches, some of which hold one message.
    Batches,
}

impl Packing {
    pub(crate) fn draw(random: &mut Random) -> Self {
        random.pick(&[Self::Single, Self::Library, Self::Library, Self::Batches])
    }
}

/// The frames in these bytes, each with its room for a tag.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let [_, a, b, c, ..] = *bytes {
        let (frame, rest) = bytes.split_at(4 + u32::from_be_bytes([0, a, b, c]) as usize);
        frames.push(frame);
        bytes = rest;
    }
    frames
}

/// Puts messages that follow each other into batches that a server accepts.
fn packed(stream: &[u8], mut to_server: Direction, max: usize, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let mut frames = &frames(stream)[..];
    while let Some(first) = frames.first() {
        let payload = |frame: &[u8]| frame[4..frame.len() - 16].to_vec();
        let most = random.pick(&[1, 2, 20, 5_000]);
        let (mut messages, mut length) = (Vec::new(), 0);
        for frame in frames.iter().take(most).take_while(|frame| frame[0] == DATA) {
            length += 3 + payload(frame).len();
            if length > max {
                break;
            }
            messages.push(payload(frame));
        }
        let record = match messages.len() {
            0 => to_server.record(first[0], &payload(first)),
            _ => to_server.record(BATCH, &batch(&messages)),
        };
        out.extend(record);
        frames = &frames[messages.len().max(1)..];
    }
    out
}

impl Mutual {
    /// Makes the records that a client says behind its proof ready to be sent.
    pub(crate) fn seal(
        &mut self,
        confirm: Vec<u8>,
        stream: &[u8],
        (packing, max): (Packing, usize),
        random: &mut Random,
    ) -> Vec<u8> {
        let mut said = confirm;
        match (packing, &self.forger) {
            (Packing::Single, _) => {
                assert_eq!(self.session.seal(&mut said), Ok(said.len()));
                for frame in frames(stream) {
                    let mut frame = frame.to_vec();
                    assert_eq!(self.session.seal(&mut frame), Ok(frame.len()));
                    said.extend(frame);
                }
            }
            (Packing::Batches, Some(forger)) => {
                said.extend(packed(stream, forger.to_server.clone(), max, random));
            }
            _ => {
                said.extend_from_slice(stream);
                let ready = self.session.seal(&mut said).unwrap();
                said.truncate(ready);
            }
        }
        said
    }
}

impl Account {
    /// How many bytes the server has to write: of what doesn't show yet in what it has written, at
    /// most so many.
    pub(crate) fn due_length(&self) -> usize {
        self.due.len() + self.owed.iter().map(|(_, payload)| payload.len() + 20).sum::<usize>()
    }
}

impl World {
    /// The next record of what is owed, as far as its first bytes show what it holds; `None` if it
    /// can't be the next.
    pub(crate) fn due_record(&mut self, number: usize) -> Option<Vec<u8>> {
        let link = &mut self.links[number];
        let next = &link.written[link.account.due.len()..];
        let forger = link.mutual.as_mut()?.forger.as_mut()?;
        let owed = &mut link.account.owed;
        let first = *owed.front().map(|(kind, _)| kind)?;
        if first != DATA || next[0] != BATCH {
            let (kind, payload) = owed.pop_front()?;
            return Some(forger.to_client.record(kind, &payload));
        }
        let Some(&[_, a, b, c]) = next.first_chunk() else {
            link.account.cut_batch = next.len();
            return Some(next.to_vec());
        };
        // The peers of this server take more than it puts into one.
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let (mut messages, mut left) = (Vec::new(), length.checked_sub(16)?);
        while left > 0 {
            let (kind, message) = owed.pop_front()?;
            left = left.checked_sub(3 + message.len()).filter(|_| kind == DATA)?;
            messages.push(message);
        }
        let is_packed = messages.len() > 1 && length <= 16 << 10;
        is_packed.then(|| forger.to_client.record(BATCH, &batch(&messages)))
    }

    /// Forgets the front of a batch that had not shown what it holds, to look at it again.
    pub(crate) fn look_again(&mut self, number: usize) {
        let account = &mut self.links[number].account;
        let cut = std::mem::take(&mut account.cut_batch);
        account.due.truncate(account.due.len() - cut);
    }

    /// Notes that the echo of a ping is due behind what is owed.
    pub(crate) fn owe_pong(&mut self, number: usize, payload: Vec<u8>) {
        self.links[number].account.owed.push_back((PONG, payload));
    }
}
