//! One client of a load.

use std::net::TcpStream;
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use countersign::engine::Dial;
use countersign::reactor::buffered_stream::BufferedStream;
use countersign::reactor::readiness::Readiness;
use countersign::reactor::token::Token;
use countersign::session::{Event, SessionCore, Step};
use countersign::{ClientConfig, FrameFormat, Refusal, RefusalCode};
use mio::Interest;
use mio::unix::SourceFd;

use crate::context::LoadContext;
use crate::dial;
use crate::ending::Unanswered;
use crate::failure::FailureKind;
use crate::in_flight::{Batch, InFlight};
use crate::pacer::Nanos;
use crate::plan::Plan;

/// One client of a load.
#[derive(Debug)]
pub(super) struct LoadClient {
    /// Without a socket between two connections, and while one is begun.
    stream: BufferedStream<TcpStream>,
    /// The attempts to connect, while a connection is begun.
    dial: Option<Dial>,
    /// Tells this connection from the ones before it, of which an event may be late.
    pub(super) generation: u32,
    session: Option<SessionCore>,
    state: State,
    /// Its number among the clients that send messages; the others only stay connected.
    sender: Option<usize>,
    /// Until then it sends nothing.
    paused_until: Nanos,
    /// The end of a pause that has just begun.
    pause: Option<Nanos>,
    /// It could send a message, and none is due.
    pub(super) available: bool,
    /// It is in the queue of available clients, perhaps from before it sent something.
    pub(super) listed: bool,
    /// When the connection was begun.
    begun: Nanos,
    /// When it was established.
    connected: Nanos,
    /// Since when the message is due for which this connection was begun, until it is sent.
    reserved: Option<Nanos>,
    in_flight: InFlight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Disconnected,
    Connecting,
    Handshake,
    Established,
}

/// What a visit to a client came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientOutcome {
    /// The client goes on.
    On,
    /// It has its reply, and disconnects.
    Done,
    /// Its connection has failed.
    Lost(FailureKind),
}

impl LoadClient {
    /// A client that has not dialled yet, with at most `depth` messages in flight. One that sends
    /// has a number among those that do.
    pub(super) fn new(sender: Option<usize>, depth: usize) -> Self {
        Self {
            stream: BufferedStream::default(),
            dial: None,
            generation: 0,
            session: None,
            state: State::Disconnected,
            sender,
            paused_until: 0,
            pause: None,
            available: false,
            listed: false,
            begun: 0,
            connected: 0,
            reserved: None,
            in_flight: InFlight::new(sender.map_or(0, |_| depth)),
        }
    }

    /// Whether it sends messages.
    pub(super) fn sends(&self) -> bool {
        self.sender.is_some()
    }

    /// Whether it is connected and has authenticated.
    pub(super) fn is_established(&self) -> bool {
        self.state == State::Established
    }

    /// Whether it neither could send a message nor has begun a pause.
    pub(super) fn is_waiting(&self) -> bool {
        !self.available && self.pause.is_none()
    }

    /// The end of a pause that has begun since this was last asked.
    pub(super) fn take_pause(&mut self) -> Option<Nanos> {
        self.pause.take()
    }

    /// Keeps a message, which is due since then, for the connection that is begun next.
    pub(super) fn reserve(&mut self, due: Option<Nanos>) {
        self.reserved = due;
    }

    /// Begins a connection, which may be established at once.
    pub(super) fn begin(
        &mut self,
        slot: usize,
        dial: Dial,
        session: SessionCore,
        now: Nanos,
        config: &ClientConfig,
        cx: &mut LoadContext,
    ) -> ClientOutcome {
        debug_assert!(self.state == State::Disconnected, "one at a time");
        self.generation = Token::generation_after(self.generation);
        self.dial = Some(dial);
        self.session = Some(session);
        self.state = State::Connecting;
        self.begun = now;
        self.in_flight.connect();
        self.connect(slot, now, config, cx)
    }

    /// Whether a part of its output was not sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.stream.buffered() > 0
    }

    /// Ends it. Returns the socket. Its messages were taken out before.
    pub(super) fn end(&mut self) -> Option<TcpStream> {
        debug_assert!(
            self.in_flight.is_empty() && self.reserved.is_none(),
            "each is accounted for"
        );
        self.session = None;
        self.dial = None;
        self.state = State::Disconnected;
        self.available = false;
        (self.pause, self.paused_until) = (None, 0);
        std::mem::take(&mut self.stream).into_socket()
    }

    /// Takes out the messages that get no answer.
    pub(super) fn unanswered(&mut self) -> impl Iterator<Item = Unanswered> {
        let reserved = self.reserved.take();
        let reserved = reserved.map(|due| Unanswered { due, is_sent: false, count: 1 });
        let sent = self.in_flight.drain();
        let sent = sent.map(|Batch { due, count, .. }| Unanswered { due, is_sent: true, count });
        sent.chain(reserved)
    }

    /// What has taken too long: its handshake, or a reply.
    pub(super) fn timed_out(
        &self,
        now: Nanos,
        connect: Nanos,
        reply: Nanos,
    ) -> Option<FailureKind> {
        let is_over = |since: Nanos, limit: Nanos| since.saturating_add(limit) <= now;
        match self.state {
            State::Connecting | State::Handshake if is_over(self.begun, connect) => {
                Some(FailureKind::ConnectTimeout)
            }
            State::Established
                if self.in_flight.oldest_sent().is_some_and(|sent| is_over(sent, reply)) =>
            {
                Some(FailureKind::ReplyTimeout)
            }
            _ => None,
        }
    }

    /// Whether the handshake is over and a further message may be sent.
    pub(super) fn may_send(&self, now: Nanos, plan: &Plan) -> bool {
        self.state == State::Established
            && self.sends()
            && self.in_flight.count() < plan.depth as u64
            && self.paused_until <= now
    }

    /// Whether it connects to the server, and another of its addresses is to be tried by now.
    pub(super) fn has_dial_due(&self, now: Nanos, cx: &LoadContext) -> bool {
        let due = self.dial.as_ref().and_then(Dial::due);
        due.is_some_and(|due| due <= cx.instant(now))
    }

    /// Goes on connecting, and begins the handshake as soon as the socket is connected.
    pub(super) fn connect(
        &mut self,
        slot: usize,
        now: Nanos,
        config: &ClientConfig,
        cx: &mut LoadContext,
    ) -> ClientOutcome {
        let Some(dial) = &mut self.dial else { return ClientOutcome::On };
        // What is late of an attempt that has lost is told to the winner, which finds nothing.
        let token = mio::Token(Token::new(slot, self.generation).into());
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watch = |socket: BorrowedFd<'_>| {
            cx.registry.register(&mut SourceFd(&socket.as_raw_fd()), token, interest)
        };
        let (stream, address) = match dial.turn(cx.epoch + Duration::from_nanos(now), watch) {
            Ok(Some(connected)) => connected,
            Ok(None) => return ClientOutcome::On,
            Err(error) => return ClientOutcome::Lost(dial::why(&error)),
        };
        cx.prefer(&address);
        cx.report.connect.record(now - self.begun);
        cx.outbox.clear();
        if let Some(balancer) = &mut cx.balancer {
            balancer.write(&stream, &address, &mut cx.outbox);
        }
        (self.dial, self.stream) = (None, BufferedStream::new(stream));
        (self.state, self.connected) = (State::Handshake, now);
        // The header is no part of what a session seals.
        if !cx.outbox.is_empty() {
            let Ok(sent) = self.stream.send(&cx.outbox) else {
                return ClientOutcome::Lost(self.broken(cx));
            };
            cx.report.bytes_out += sent as u64;
            cx.outbox.clear();
        }
        // Where the server has nothing to say first, this is the whole handshake.
        match self.process_input(0, now, config, cx) {
            ClientOutcome::On => {
                self.send(cx).map_or_else(ClientOutcome::Lost, |()| ClientOutcome::On)
            }
            over => over,
        }
    }

    /// Handles an event.
    pub(super) fn visit(
        &mut self,
        slot: usize,
        readiness: Readiness,
        now: Nanos,
        config: &ClientConfig,
        cx: &mut LoadContext,
    ) -> ClientOutcome {
        if self.state == State::Connecting {
            let visit = self.connect(slot, now, config, cx);
            if visit != ClientOutcome::On || self.state == State::Connecting {
                return visit;
            }
        }
        let error = self.stream.socket().filter(|_| readiness.failed).map(TcpStream::take_error);
        if let Some(Ok(Some(_)) | Err(_)) = error {
            return ClientOutcome::Lost(self.broken(cx));
        }
        self.stream.notice(readiness);
        self.turn(readiness, now, config, cx).unwrap_or_else(ClientOutcome::Lost)
    }

    /// Sends the messages that are due.
    pub(super) fn send_due(&mut self, now: Nanos, cx: &mut LoadContext) -> ClientOutcome {
        cx.outbox.clear();
        self.queue_due(now, cx);
        self.send(cx).map_or_else(ClientOutcome::Lost, |()| ClientOutcome::On)
    }

    fn turn(
        &mut self,
        readiness: Readiness,
        now: Nanos,
        config: &ClientConfig,
        cx: &mut LoadContext,
    ) -> Result<ClientOutcome, FailureKind> {
        cx.outbox.clear();
        if readiness.writable {
            let sent = self.stream.flush().map_err(|_| self.broken(cx))?;
            cx.report.bytes_out += sent as u64;
        }
        loop {
            let read = self.stream.read(&mut cx.inbox).map_err(|_| self.broken(cx))?;
            let Some(length) = read else { break };
            if length == 0 {
                return Err(self.ended(cx));
            }
            cx.report.bytes_in += length as u64;
            match self.process_input(length, now, config, cx) {
                ClientOutcome::On => self.send(cx)?,
                over => return Ok(over),
            }
        }
        Ok(ClientOutcome::On)
    }

    /// Processes what was read, and queues the messages that are due then.
    fn process_input(
        &mut self,
        length: usize,
        now: Nanos,
        config: &ClientConfig,
        cx: &mut LoadContext,
    ) -> ClientOutcome {
        let Some(mut session) = self.session.take() else { return ClientOutcome::On };
        let inbox = std::mem::take(&mut cx.inbox);
        let mut input = &inbox[..length];
        let mut visit = ClientOutcome::On;
        let mut answered = 0;
        while visit == ClientOutcome::On {
            if self.expects_frames(&session, cx) {
                let number = self.in_flight.oldest() + answered;
                let awaited = self.in_flight.count() - answered;
                answered += cx.payload.take_answers(number, awaited, &mut input);
                if input.is_empty() {
                    break;
                }
            }
            // Several messages of a batch are taken at once, unless we have something to say first.
            if self.state == State::Established && cx.outbox.is_empty() {
                match self.take_messages(&mut session, config, &mut input, &mut answered, cx) {
                    Some(taken) => visit = taken,
                    None => break,
                }
                continue;
            }
            visit = match session.next(config, cx.wall, &mut input, &mut cx.outbox) {
                Ok(None) => break,
                Ok(Some(Event::Open(opened))) => {
                    cx.form = opened.form;
                    cx.report.handshake.record(now - self.connected);
                    cx.report.connected += 1;
                    self.state = State::Established;
                    match !self.sends() || session.takes(cx.plan.longest()) {
                        true => ClientOutcome::On,
                        false => ClientOutcome::Lost(FailureKind::MessageTooLong),
                    }
                }
                Ok(Some(Event::Message(message))) => self.check(message.bytes, &mut answered, cx),
                Ok(Some(Event::Finished | Event::End)) => ClientOutcome::Lost(FailureKind::Closed),
                Ok(Some(_)) => ClientOutcome::On,
                Err(refusal) => ClientOutcome::Lost(refused(refusal)),
            };
        }
        cx.inbox = inbox;
        self.in_flight.answer(answered, now, &mut cx.message_source, &mut cx.report);
        if cx.think > 0 && answered > 0 {
            // It pauses when all are answered, and then sends as many as may be in flight.
            self.pause = self.in_flight.is_empty().then(|| now.saturating_add(cx.think));
            self.paused_until = self.pause.unwrap_or(Nanos::MAX);
        }
        // After a failure nothing is sent any more, least of all without what stood before it.
        self.session = (!matches!(visit, ClientOutcome::Lost(_))).then_some(session);
        if visit == ClientOutcome::On && self.state == State::Established {
            self.queue_due(now, cx);
        }
        visit
    }

    /// Takes replies from the input, for as long as they have to be looked at one by one. `None`
    /// says that more is needed.
    fn take_messages(
        &self,
        session: &mut SessionCore,
        config: &ClientConfig,
        input: &mut &[u8],
        answered: &mut u64,
        cx: &mut LoadContext,
    ) -> Option<ClientOutcome> {
        let mut out = std::mem::take(&mut cx.outbox);
        let step = session.process_messages(config, input, &mut out, |message| {
            match self.check(message.bytes, answered, cx) {
                ClientOutcome::On
                    if cx.form == FrameFormat::Record || !cx.payload.is_prepared() =>
                {
                    ControlFlow::Continue(())
                }
                over => ControlFlow::Break(over),
            }
        });
        cx.outbox = out;
        match step {
            Ok(Step::NeedsInput) => None,
            Ok(Step::Stopped(outcome)) => Some(outcome),
            Ok(Step::Control) => Some(ClientOutcome::On),
            Ok(Step::Finished | Step::End) => Some(ClientOutcome::Lost(FailureKind::Closed)),
            Err(refusal) => Some(ClientOutcome::Lost(refused(refusal))),
        }
    }

    /// Whether the next bytes are the frame of a reply that can be compared as a whole.
    fn expects_frames(&self, session: &SessionCore, cx: &LoadContext) -> bool {
        let is_framed = matches!(cx.form, FrameFormat::Line(_) | FrameFormat::Length);
        is_framed
            && cx.payload.is_prepared()
            && !self.in_flight.is_empty()
            && !cx.plan.reconnect
            && !session.is_partial()
    }

    /// Checks a reply behind so many others that were read with it, and counts it with them.
    fn check(&self, reply: &[u8], answered: &mut u64, cx: &mut LoadContext) -> ClientOutcome {
        // A reply to no message is a violation.
        if *answered == self.in_flight.count() {
            return ClientOutcome::Lost(FailureKind::Violation);
        }
        if !cx.payload.answers(self.sender, self.in_flight.oldest() + *answered, reply) {
            return ClientOutcome::Lost(FailureKind::WrongReply);
        }
        *answered += 1;
        if cx.plan.reconnect { ClientOutcome::Done } else { ClientOutcome::On }
    }

    /// Queues the messages that are due, as many as may be in flight.
    fn queue_due(&mut self, now: Nanos, cx: &mut LoadContext) {
        if let Some(due) = self.reserved.take() {
            if cx.plan.reconnect {
                self.queue(due, 1, now, cx);
                // It is the only one: said at once, this costs neither end a further call.
                if let Some(session) = &mut self.session {
                    session.finish(&mut cx.outbox);
                }
            } else {
                // Its latency counts from now, as that of all others here: a closed loop without
                // reconnecting measures replies and not handshakes.
                cx.message_source.give_back(due);
            }
        }
        let Some(sender) = self.sender.filter(|_| !cx.plan.reconnect) else { return };
        while self.may_send(now, &cx.plan) {
            let most = cx.plan.depth as u64 - self.in_flight.count();
            let Some((due, count)) = cx.message_source.take_for(sender, now, most) else {
                return self.available = true;
            };
            self.queue(due, count, now, cx);
        }
    }

    fn queue(&mut self, due: Nanos, count: u64, now: Nanos, cx: &mut LoadContext) {
        let first = self.in_flight.next();
        cx.payload.write(cx.form, self.sender, first, count, &mut cx.outbox);
        self.in_flight.send(Batch { due, sent: now, count });
    }

    /// Says that nothing follows, where the dialect has a word for it. What the socket doesn't
    /// accept of it is lost.
    pub(super) fn finish(&mut self, cx: &mut LoadContext) {
        cx.outbox.clear();
        if let Some(session) = self.session.as_mut().filter(|_| self.state == State::Established) {
            session.finish(&mut cx.outbox);
            let _ = self.send(cx);
        }
    }

    /// Sends the outbox after what is unsent already.
    fn send(&mut self, cx: &mut LoadContext) -> Result<(), FailureKind> {
        let session = self.session.as_mut();
        let sealed = session.map_or(Ok(0), |session| session.seal(&mut cx.outbox));
        cx.outbox.truncate(sealed.map_err(|_| FailureKind::MessageTooLong)?);
        let sent = self.stream.send(&cx.outbox).map_err(|_| self.broken(cx))?;
        cx.report.bytes_out += sent as u64;
        cx.outbox.clear();
        Ok(())
    }

    /// Whether the end of the connection is all that a refusal of our proof would look like.
    fn seems_refused(&self, cx: &LoadContext) -> bool {
        cx.refuses_silently && self.in_flight.is_unanswered()
    }

    /// The server has ended the stream.
    fn ended(&self, cx: &LoadContext) -> FailureKind {
        if self.seems_refused(cx) { FailureKind::Refused } else { FailureKind::Closed }
    }

    /// The connection is broken. A reset is also how a server hangs up on messages unread, as on
    /// those behind a proof that it doesn't accept.
    fn broken(&self, cx: &LoadContext) -> FailureKind {
        let may_be_refused = self.state == State::Established && self.seems_refused(cx);
        if may_be_refused { FailureKind::Refused } else { FailureKind::Reset }
    }
}

/// What the refusal of either end means for a client.
fn refused(refusal: Refusal) -> FailureKind {
    match refusal {
        Refusal::Rejected(RefusalCode::Busy) => FailureKind::Busy,
        Refusal::WrongProof | Refusal::Protection | Refusal::Rejected(_) => FailureKind::Refused,
        _ => FailureKind::Violation,
    }
}
