//! The clients: each follows its script, one step at a time.

use std::time::Duration;

use countersign::Dialect;
use countersign::session::SessionCore;

use crate::link::{CHALLENGE, millis, proof_length};
use crate::script::{End, Kind, Proof};
use crate::world::World;

/// Until then those who drip do so, and the host talks; a run must end some day.
pub(crate) const PATIENCE: u64 = 5_000;

impl World {
    /// Lets a client do what it can now. Returns how long it then waits, unless it is done.
    pub(crate) fn step(&mut self, number: usize) -> Option<u64> {
        self.receive(number);
        let link = &self.links[number];
        // Who reads nothing would never see that the server is gone.
        let is_blind = link.script.read_max == 0 && link.socket.dropped.is_some();
        if link.lost || link.done || is_blind {
            self.links[number].done = true;
            return None;
        }
        if !link.is_composed {
            self.compose(number);
        }
        self.send(number);
        self.end(number);
        let (least, most) = match self.links[number].script.pace {
            (_, most) if self.now > PATIENCE => (0, most.min(10)),
            pace => pace,
        };
        (!self.links[number].done).then(|| self.random.millis(least, most).max(1))
    }

    /// Reads what has come from the server.
    fn receive(&mut self, number: usize) {
        let was_full = self.room_out(number) == 0;
        let link = &mut self.links[number];
        let waiting = link.written.len() - link.received;
        // Who takes a byte now and then may do so for as long as it likes: here, for a while.
        let is_hungry = self.now > PATIENCE && link.script.read_max > 0;
        let taken = if is_hungry { waiting } else { waiting.min(link.script.read_max) };
        link.received += taken;
        let is_dry = link.received == link.written.len();
        // Like a system's, ours tells of room once it is worth it, and always once all is gone.
        let is_worth_it = is_dry || self.random.per_mille(500);
        let link = &self.links[number];
        if taken > 0 && link.is_live() && link.socket.blocked.is_some() {
            if was_full && !is_worth_it {
                // Put off to a step that finds the buffer not full any more.
                return;
            }
            self.edge(number);
        }
    }

    /// Finds the proof, once the challenge has come.
    fn compose(&mut self, number: usize) {
        if self.links[number].mutual.is_some() {
            return self.compose_mutual(number);
        }
        if self.links[number].python.is_some() {
            return self.compose_python(number);
        }
        let link = &self.links[number];
        let dialect = link.dialect;
        let mut said = Vec::new();
        if dialect.authenticates() && link.script.proof == Proof::Early {
            // Digits would be a proof of `hex`, and those of a stranger elsewhere.
            let byte = if dialect == Dialect::Hex { b'0' } else { 0x80 };
            said = vec![byte; proof_length(dialect)];
        } else if dialect.authenticates() {
            if link.received < CHALLENGE {
                return;
            }
            let terms = self.terms(number);
            let is_shared = terms.config.shares_raw();
            let signing = if is_shared { &terms.signing_raw } else { &terms.signing };
            let mut session = SessionCore::client(signing, Duration::ZERO, [7; 32]).unwrap();
            session
                .next(signing, Duration::ZERO, &mut &link.written[..CHALLENGE], &mut said)
                .unwrap();
            match link.script.proof {
                Proof::Replayed => {
                    let other = self.overheard.clone().unwrap_or_default();
                    // Another listener's may be of another length, or dialect.
                    let are_digits = |proof: &[u8]| proof.iter().all(u8::is_ascii_hexdigit);
                    let fits = other.len() == said.len() && are_digits(&other) == are_digits(&said);
                    said = if fits { other } else { vec![7; said.len()] };
                }
                Proof::Wrong => {
                    let at = self.random.between(0, said.len() - 1);
                    said[at] ^= 1 << self.random.between(0, 7);
                }
                _ => self.overheard = Some(said.clone()),
            }
        }
        let link = &mut self.links[number];
        said.extend_from_slice(&link.script.stream);
        link.said = said;
        link.is_composed = true;
    }

    /// Sends the next piece, as far as there is room for it.
    fn send(&mut self, number: usize) {
        let link = &self.links[number];
        let front = link.proxy_header.goal - link.proxy_header_arrived;
        let behind =
            if link.proxy_header.is_whole() { link.goal().saturating_sub(link.arrived) } else { 0 };
        let left = front + behind;
        // Who sees that the other has ended says no more.
        let has_seen_end = self.sees_end(number) && link.script.is_honest();
        if left == 0 || link.ended || has_seen_end {
            return;
        }
        if link.socket.dropped.is_some() {
            self.links[number].lost = true;
            return;
        }
        let wish = match (link.script.is_honest(), self.is_late(number)) {
            (true, false) if link.script.kind != Kind::Crumbs && self.random.per_mille(500) => {
                self.random.between(1, left)
            }
            (true, _) => left,
            (false, _) if self.now > PATIENCE => left,
            (false, _) => left.min(self.links[number].script.send_max),
        };
        let sent = wish.min(self.room_in(number));
        if sent > 0 {
            let link = &mut self.links[number];
            link.proxy_header_arrived += sent.min(front);
            link.arrived += sent.saturating_sub(front);
            let often = self.setup.faults.urgent;
            if sent > front && self.random.per_mille(often) {
                let link = &mut self.links[number];
                link.urgent = Some(link.arrived - 1);
            }
            self.edge(number);
        }
    }

    /// An honest client hurries when it has taken a good part of the time that it has.
    fn is_late(&self, number: usize) -> bool {
        let link = &self.links[number];
        let limits = &self.terms(number).limits;
        let (deadline, _) = link.deadline(limits);
        let waits = [limits.handshake_timeout, limits.idle_timeout, limits.message_timeout];
        let least = waits.into_iter().map(millis).min().unwrap_or_default();
        // The handshake of multiprocessing goes to and fro three times.
        let is_long = link.python.is_some() && link.account.opened.is_none();
        let least = if is_long { millis(limits.handshake_timeout) } else { least };
        deadline < self.now + least * 3 / 4
    }

    /// Whether the client has read the end of the server's stream.
    fn sees_end(&self, number: usize) -> bool {
        let link = &self.links[number];
        let is_over = link.socket.shut.is_some() || link.socket.dropped.is_some();
        is_over && link.received == link.written.len()
    }

    /// Does what the script ends with, or closes since the server has.
    fn end(&mut self, number: usize) {
        let sees_end = self.sees_end(number);
        let link = &mut self.links[number];
        if sees_end {
            let news = !link.ended;
            link.ended = true;
            link.done = true;
            if news && link.is_live() {
                self.edge(number);
            }
            return;
        }
        let has_more = !link.is_composed && link.script.goal > link.said.len();
        let is_behind = link.proxy_header.is_whole() && (has_more || link.arrived < link.goal());
        if is_behind || link.proxy_header_arrived < link.proxy_header.goal || link.ended {
            return;
        }
        match link.script.end {
            End::Stay => return,
            End::HalfClose => link.ended = true,
            End::HangUp => {
                // Closing with something unread resets.
                link.reset = link.received < link.written.len();
                (link.ended, link.hung_up, link.done) = (true, true, true);
            }
            End::Reset => (link.reset, link.done) = (true, true),
        }
        self.say(format_args!("{number} does its end"));
        self.edge(number);
    }
}
