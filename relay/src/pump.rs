//! Relaying bytes from one end to the other.
//!
//! Each direction reads only when everything that it has read before was sent. So a pair buffers at
//! most one read each way, and a slow reader slows down the writer at the other end of the tunnel.
//! Record boundaries have no meaning: a record has what one read returned, up to [`RECORD`].

use countersign::session::{Event, SessionCore};
use countersign::{Key, Refusal};

use crate::event_log::{self, CloseCause};
use crate::pair::{Direction, Pair, PairState};
use crate::shared::{RelayRole, Shared};
use crate::sockets;

/// The most bytes in a record.
pub const RECORD: usize = 16 << 10;

/// How much one read takes at most.
pub(crate) const INBOX: usize = 32 << 10;

/// The far end isn't read while this much waits to be sent to it. Relayed data is at most one read;
/// only answers to pings can reach this, so a peer that sends pings has to read the answers.
const FLOOD: usize = 2 * INBOX;

/// The most bytes that one pair buffers: unsent data for each end, and an incomplete record.
pub(crate) const BUFFERS_MAX: usize = (FLOOD + INBOX) + INBOX + RECORD;

impl Pair {
    /// Relays from the far end to the plain one. Returns whether anything was relayed.
    pub(crate) fn inward(&mut self, shared: &mut Shared) -> Result<bool, CloseCause> {
        let went = self.plain.flush().map_err(CloseCause::Plain)? > 0;
        if self.plain.buffered() > 0 {
            return Ok(went);
        }
        match self.inward {
            Direction::Open if self.secure.buffered() < FLOOD => {
                match self.secure.read(&mut shared.inbox).map_err(CloseCause::Secure)? {
                    None => Ok(went),
                    Some(0) => Err(self.broken_off(shared)),
                    Some(length) => self.process_input(length, shared).map(|()| true),
                }
            }
            Direction::Ending if self.is_established() => {
                sockets::finish(&self.plain).map_err(CloseCause::Plain)?;
                self.inward = Direction::Ended;
                Ok(true)
            }
            Direction::Open | Direction::Ending | Direction::Ended => Ok(went),
        }
    }

    /// Relays from the plain end to the far one. Returns whether anything was relayed.
    pub(crate) fn outward(&mut self, shared: &mut Shared) -> Result<bool, CloseCause> {
        let went = self.secure.flush().map_err(CloseCause::Secure)? > 0;
        if self.secure.buffered() > 0 || !self.is_established() {
            return Ok(went);
        }
        match self.outward {
            Direction::Open => {
                match self.plain.read(&mut shared.inbox).map_err(CloseCause::Plain)? {
                    None => Ok(went),
                    Some(length) => self.send_records(length, shared).map(|()| true),
                }
            }
            Direction::Ending => {
                sockets::finish(&self.secure).map_err(CloseCause::Secure)?;
                self.outward = Direction::Ended;
                Ok(true)
            }
            Direction::Ended => Ok(went),
        }
    }

    /// Sends to the far end what was read from the plain one; an empty read is its end.
    fn send_records(&mut self, length: usize, shared: &mut Shared) -> Result<(), CloseCause> {
        let Shared { config, inbox, outbox, counters, .. } = shared;
        outbox.clear();
        let form = self.session.form(config);
        for part in inbox[..length].chunks(record_max(&self.session)) {
            form.frame(part, outbox);
        }
        if length == 0 {
            self.session.finish(outbox);
            self.outward = Direction::Ending;
        }
        let sealed = self.session.seal(outbox);
        debug_assert!(sealed.is_ok(), "no record is longer than the far end takes");
        outbox.truncate(sealed.unwrap_or_default());
        counters.bytes_in += length as u64;
        self.secure.send(outbox).map(|_| ()).map_err(CloseCause::Secure)
    }

    /// Processes what was read from the far end; nothing at first, since a client sends first.
    pub(crate) fn process_input(
        &mut self,
        length: usize,
        shared: &mut Shared,
    ) -> Result<(), CloseCause> {
        let Shared { config, wall, inbox, outbox, control_out, .. } = &mut *shared;
        outbox.clear();
        control_out.clear();
        let mut input = &inbox[..length];
        let (info, mut opened) = (self.info(), None);
        let processed = loop {
            match self.session.next(config, *wall, &mut input, control_out) {
                Ok(None) => break Ok(()),
                Ok(Some(Event::Open(open))) => {
                    debug_assert!(open.is_protected, "records are required");
                    event_log::opened(info, open.key.map_or("-", Key::id));
                    opened = Some(Box::from(open.key.map_or("-", Key::id)));
                }
                Ok(Some(Event::Message(message))) => outbox.extend_from_slice(message.bytes),
                Ok(Some(Event::Finished)) => self.inward = Direction::Ending,
                Ok(Some(_)) => {}
                Err(refusal) => break Err(refusal),
            }
        };
        let is_opened = opened.is_some();
        if let Some(key) = opened {
            *shared.by_key.entry(Box::clone(&key)).or_default() += 1;
            self.open(key, shared.now);
        }
        if let Err(refusal) = processed {
            return self.reject(refusal, shared);
        }
        let sealed = self.session.seal(&mut shared.control_out);
        debug_assert!(
            sealed == Ok(shared.control_out.len()),
            "every end takes control frames, and there is no message"
        );
        self.secure.send(&shared.control_out).map_err(CloseCause::Secure)?;
        shared.counters.bytes_out += shared.outbox.len() as u64;
        self.plain.send(&shared.outbox).map_err(CloseCause::Plain)?;
        if is_opened && shared.role == RelayRole::Server { self.look_up(shared) } else { Ok(()) }
    }

    /// The far end was refused. The refusal is sent first, if there is one.
    fn reject(&mut self, refusal: Refusal, shared: &Shared) -> Result<(), CloseCause> {
        if !self.is_unauthenticated() || shared.control_out.is_empty() {
            return Err(CloseCause::Refused(refusal));
        }
        (self.state, self.since) = (PairState::Rejected(Some(refusal)), shared.now);
        self.secure.send(&shared.control_out).map(|_| ()).map_err(CloseCause::Secure)
    }

    /// The far end's stream has ended, without a close record.
    fn broken_off(&mut self, shared: &Shared) -> CloseCause {
        match self.session.input_ended(&shared.config) {
            Err(refusal) if refusal != Refusal::Truncated => CloseCause::Refused(refusal),
            _ => CloseCause::Truncated,
        }
    }
}

/// The length of records to the far end: that of ours, halved until the far end accepts it.
fn record_max(session: &SessionCore) -> usize {
    let mut most = RECORD;
    while most > 1 && !session.takes(most) {
        most /= 2;
    }
    most
}
