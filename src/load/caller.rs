//! One client of a load.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};

use mio::event::Event as Readiness;
use mio::net::TcpStream;

use crate::load::payload::Payload;
use crate::load::plan::Plan;
use crate::load::report::{Failure, Report};
use crate::load::schedule::{Nanos, Schedule};
use crate::proto::framing::Form;
use crate::proto::protocol::Protocol;
use crate::proto::refusal::Refusal;
use crate::proto::session::Session;
use crate::proto::session::event::Event;

/// What all clients share, lent to the one whose turn it is.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) plan: Plan,
    /// How messages are framed.
    pub(super) form: Form,
    /// The server says no word when it refuses us: it hangs up.
    pub(super) refuses_silently: bool,
    pub(super) payload: Payload,
    pub(super) supply: Supply,
    pub(super) report: Report,
    /// Messages that are due or on their way.
    pub(super) outstanding: u64,
    pub(super) inbox: Box<[u8]>,
    pub(super) outbox: Vec<u8>,
}

/// The messages that are still to be said.
#[derive(Debug)]
pub(super) struct Supply {
    pub(super) schedule: Schedule,
    /// How many, if it isn't time that ends the load.
    pub(super) left: Option<u64>,
}

impl Supply {
    pub(super) fn take(&mut self, now: Nanos) -> Option<Nanos> {
        if self.left == Some(0) {
            return None;
        }
        let due = self.schedule.take(now)?;
        self.left = self.left.map(|left| left - 1);
        Some(due)
    }

    /// When the next is due; in a closed loop, at once.
    pub(super) fn next(&self) -> Option<Nanos> {
        (self.left != Some(0)).then(|| self.schedule.next().unwrap_or_default())
    }
}

/// One client of a load.
#[derive(Debug)]
pub(super) struct Caller {
    /// None between two connections.
    stream: Option<TcpStream>,
    /// Tells this connection from the ones before it, of which an event may be late.
    pub(super) generation: u32,
    session: Option<Session>,
    stage: Stage,
    /// It says something; the others are only there.
    pub(super) talks: bool,
    /// It waits for a message to be due.
    pub(super) spare: bool,
    /// It stands in the queue of those who do, or did.
    pub(super) listed: bool,
    /// Since when the stage lasts.
    since: Nanos,
    /// The number of the next message.
    next: u64,
    /// The number of the first message of this connection.
    first: u64,
    /// When the messages were due that are not answered yet; the oldest first.
    due: VecDeque<Nanos>,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Absent,
    Dialling,
    Greeting,
    Talking,
}

/// What a visit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// The client goes on.
    On,
    /// It has all that it called for.
    Done,
    /// Its connection is no more.
    Lost(Failure),
}

impl Caller {
    /// A client that has not dialled yet, and will have so many messages on their way.
    pub(super) fn new(talks: bool, depth: usize) -> Self {
        Self {
            stream: None,
            generation: 0,
            session: None,
            stage: Stage::Absent,
            talks,
            spare: false,
            listed: false,
            since: 0,
            next: 0,
            first: 0,
            due: VecDeque::with_capacity(if talks { depth } else { 0 }),
            unsent: Vec::new(),
        }
    }

    /// Begins a connection, in a reconnecting load for a message that is due.
    pub(super) fn begin(
        &mut self,
        stream: TcpStream,
        session: Session,
        due: Option<Nanos>,
        now: Nanos,
    ) {
        debug_assert!(self.due.is_empty() && self.stage == Stage::Absent, "one at a time");
        self.stream = Some(stream);
        self.session = Some(session);
        self.stage = Stage::Dialling;
        self.since = now;
        self.first = self.next;
        self.due.extend(due);
    }

    /// Ends it. Returns the socket, and how many messages get no answer.
    pub(super) fn end(&mut self) -> (Option<TcpStream>, usize) {
        let unanswered = self.due.len();
        self.due.clear();
        self.unsent.clear();
        self.session = None;
        self.stage = Stage::Absent;
        self.spare = false;
        (self.stream.take(), unanswered)
    }

    /// Since when it tries to connect, if it does.
    pub(super) fn trying_since(&self) -> Option<Nanos> {
        matches!(self.stage, Stage::Dialling | Stage::Greeting).then_some(self.since)
    }

    /// Whether the handshake is over and a further message may be said.
    pub(super) fn may_talk(&self, plan: &Plan) -> bool {
        self.stage == Stage::Talking && self.talks && self.due.len() < plan.depth
    }

    /// Has its turn upon an event.
    pub(super) fn visit(
        &mut self,
        event: &Readiness,
        now: Nanos,
        protocol: &Protocol,
        desk: &mut Desk,
    ) -> Visit {
        if event.is_error() {
            return Visit::Lost(self.broken(desk));
        }
        self.turn(event, now, protocol, desk).unwrap_or_else(|_| Visit::Lost(self.broken(desk)))
    }

    /// Says what is due.
    pub(super) fn talk(&mut self, now: Nanos, desk: &mut Desk) -> Visit {
        desk.outbox.clear();
        self.say(now, desk);
        self.send(desk).map_or_else(|_| Visit::Lost(self.broken(desk)), |()| Visit::On)
    }

    fn turn(
        &mut self,
        event: &Readiness,
        now: Nanos,
        protocol: &Protocol,
        desk: &mut Desk,
    ) -> io::Result<Visit> {
        desk.outbox.clear();
        if self.stage == Stage::Dialling && (event.is_writable() || event.is_readable()) {
            desk.report.connect.record(now - self.since);
            (self.stage, self.since) = (Stage::Greeting, now);
            // Where the server has nothing to say first, this is the whole handshake.
            if let Visit::Lost(failure) = self.digest(0, now, protocol, desk) {
                return Ok(Visit::Lost(failure));
            }
        }
        if event.is_writable() && !self.unsent.is_empty() {
            self.send(desk)?;
        }
        while event.is_readable() {
            let length = match self.read(&mut desk.inbox) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if length == 0 {
                return Ok(Visit::Lost(self.ended(desk)));
            }
            desk.report.bytes_in += length as u64;
            match self.digest(length, now, protocol, desk) {
                Visit::On => self.send(desk)?,
                over => return Ok(over),
            }
            if length < desk.inbox.len() && !event.is_read_closed() {
                break;
            }
        }
        self.send(desk).map(|()| Visit::On)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.as_mut().map_or(Ok(0), |stream| stream.read(into))
    }

    /// Takes what was read, and says what is due thereupon.
    fn digest(&mut self, length: usize, now: Nanos, protocol: &Protocol, desk: &mut Desk) -> Visit {
        let Some(mut session) = self.session.take() else { return Visit::On };
        let inbox = std::mem::take(&mut desk.inbox);
        let mut input = &inbox[..length];
        let mut visit = Visit::On;
        while visit == Visit::On {
            visit = match session.next(protocol, &mut input, &mut desk.outbox) {
                Ok(None) => break,
                Ok(Some(Event::Open(opened))) => {
                    desk.form = opened.form;
                    desk.report.handshake.record(now - self.since);
                    desk.report.connected += 1;
                    self.stage = Stage::Talking;
                    Visit::On
                }
                Ok(Some(Event::Message(message))) => self.hear(message.bytes, now, desk),
                Ok(Some(Event::Control)) => Visit::On,
                Ok(Some(Event::Finished | Event::End)) => Visit::Lost(Failure::Closed),
                Err(Refusal::WrongProof | Refusal::Rejected(_)) => Visit::Lost(Failure::Refused),
                Err(_) => Visit::Lost(Failure::Violation),
            };
        }
        desk.inbox = inbox;
        // Who is lost has nothing to be told any more, least of all without what stood before it.
        self.session = (!matches!(visit, Visit::Lost(_))).then_some(session);
        if visit == Visit::On && self.stage == Stage::Talking {
            self.say(now, desk);
        }
        visit
    }

    /// A reply has come.
    fn hear(&mut self, reply: &[u8], now: Nanos, desk: &mut Desk) -> Visit {
        // One that nothing was said for answers nothing.
        let Some(number) = self.next.checked_sub(self.due.len() as u64) else {
            return Visit::Lost(Failure::Violation);
        };
        let Some(due) = self.due.pop_front() else { return Visit::Lost(Failure::Violation) };
        desk.outstanding -= 1;
        if !desk.payload.answers(number, reply) {
            return Visit::Lost(Failure::WrongReply);
        }
        desk.report.answered += 1;
        desk.report.reply.record(now.saturating_sub(due));
        if number == self.first {
            desk.report.first_reply.record(now.saturating_sub(due));
        }
        if desk.plan.reconnect { Visit::Done } else { Visit::On }
    }

    /// Says the messages that are due, as many as may be on their way.
    fn say(&mut self, now: Nanos, desk: &mut Desk) {
        if desk.plan.reconnect && self.next == self.first && !self.due.is_empty() {
            self.write(desk);
            // It is the only one: said at once, this costs neither end a further call.
            if let Some(session) = &mut self.session {
                session.say_goodbye(&mut desk.outbox);
            }
        }
        while !desk.plan.reconnect && self.may_talk(&desk.plan) {
            let Some(due) = desk.supply.take(now) else { return self.spare = true };
            desk.outstanding += 1;
            self.due.push_back(due);
            self.write(desk);
        }
    }

    fn write(&mut self, desk: &mut Desk) {
        let start = desk.outbox.len();
        desk.form.begin(&mut desk.outbox);
        desk.payload.write(self.next, &mut desk.outbox);
        desk.form.end(&mut desk.outbox, start);
        self.next += 1;
    }

    /// Says that nothing follows, where the dialect has a word for it. What the socket doesn't
    /// take of it is lost.
    pub(super) fn say_goodbye(&mut self, desk: &mut Desk) {
        desk.outbox.clear();
        if let Some(session) = self.session.as_mut().filter(|_| self.stage == Stage::Talking) {
            session.say_goodbye(&mut desk.outbox);
            let _ = self.send(desk);
        }
    }

    /// Sends the outbox behind what waits already.
    fn send(&mut self, desk: &mut Desk) -> io::Result<()> {
        let session = self.session.as_mut();
        let sealed = session.map_or(0, |session| session.seal(&mut desk.outbox));
        if sealed < desk.outbox.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the server takes less"));
        }
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(&desk.outbox);
            std::mem::swap(&mut self.unsent, &mut desk.outbox);
            self.unsent.clear();
        }
        let mut sent = 0;
        while let Some(stream) = &mut self.stream
            && sent < desk.outbox.len()
        {
            match stream.write(&desk.outbox[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent.extend_from_slice(&desk.outbox[sent..]);
        desk.report.bytes_out += sent as u64;
        desk.outbox.clear();
        Ok(())
    }

    /// Whether the end of the connection is all that a refusal of our proof would look like.
    fn seems_refused(&self, desk: &Desk) -> bool {
        // What is due but wasn't said yet is neither answered nor on its way.
        let has_said = self.next > self.first;
        desk.refuses_silently && has_said && self.next == self.first + self.due.len() as u64
    }

    /// The server has ended the stream.
    fn ended(&self, desk: &Desk) -> Failure {
        if self.seems_refused(desk) { Failure::Refused } else { Failure::Closed }
    }

    /// The connection is broken. A reset is also how a server hangs up on messages unread, as on
    /// those behind a proof that it doesn't accept.
    fn broken(&self, desk: &Desk) -> Failure {
        match self.stage {
            Stage::Absent | Stage::Dialling => Failure::Connect,
            Stage::Greeting => Failure::Reset,
            Stage::Talking if self.seems_refused(desk) => Failure::Refused,
            Stage::Talking => Failure::Reset,
        }
    }
}
