//! The loop that all clients of a load are on.

mod connect;

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::config::SessionConfig;
use countersign::random::Pool;
use countersign::reactor::readiness::Readiness;
use countersign::reactor::token::Token;
use countersign::unix_time::since_epoch;
use countersign::{Address, ClientConfig, Dialect, ToAddresses, clock};
use mio::event::Event;
use mio::{Events, Poll};

use crate::balancer::Balancer;
use crate::busy::Busy;
use crate::client::{ClientOutcome, LoadClient};
use crate::client_pacers::ClientPacers;
use crate::context::LoadContext;
use crate::dial;
use crate::ending::{self, Unanswered};
use crate::error::LoadError;
use crate::failure::FailureKind;
use crate::interval_recorder::IntervalRecorder;
use crate::message_source::MessageSource;
use crate::pacer::{Nanos, Pacer, nanos};
use crate::payload::{Payload, STAMP};
use crate::plan::{Arrival, Plan, PlanError};
use crate::rate_schedule::RateSchedule;
use crate::report::Report;
use crate::share::Share;

/// The events that are taken from the system at once.
const EVENTS: usize = 1024;

/// What is read at once.
const INBOX: usize = 64 << 10;

/// How long a client waits after its connection has failed.
const BACK_OFF: Nanos = 100_000_000;

/// How often the watcher is called, and timeouts are looked for.
const TICK: Nanos = 100_000_000;

/// How many replies in a row each client can wait for in vain until the load gives up.
const TIMED_OUT_MAX: usize = 10;

/// The system waits in whole milliseconds; what is due sooner is waited for awake.
const MILLISECOND: Nanos = 1_000_000;

/// The seed of random arrivals: the same load can be had twice.
const SEED: u64 = 9527;

/// Many clients on one loop.
#[derive(Debug)]
pub struct Load {
    config: Arc<ClientConfig>,
    random: Pool,
    cx: LoadContext,
    poll: Poll,
    clients: Vec<LoadClient>,
    /// The clients that are to dial.
    disconnected: VecDeque<usize>,
    /// The clients whose connection has failed, and until when they wait.
    backing_off: VecDeque<(Nanos, usize)>,
    /// The clients that pause between two messages, and until when. An entry whose connection was
    /// lost is stale.
    pausing: VecDeque<(Nanos, usize)>,
    /// The clients that wait for a message to be due. An entry whose client isn't marked as
    /// available is stale.
    available: VecDeque<usize>,
    /// When connections may be begun.
    dials: Pacer,
    dialled: usize,
    /// What this loop has of the whole load.
    share: Share,
    /// The messages a second that are due, of all loops together.
    rate_asked: Option<f64>,
    /// Whether a handshake was ever gone through, also in the warm-up.
    has_connected: bool,
    /// The same of all loops together.
    any_has_connected: Arc<AtomicBool>,
    /// Connections that have failed since a message was last answered.
    failed: usize,
    /// How many of them ended because a reply, or the connection itself, didn't come in time.
    timed_out: usize,
    /// When time ends the load.
    end: Nanos,
    busy: Busy,
    /// Since when the loop has waited awake, if it has found nothing to do then: its turns are no
    /// work either.
    idle_since: Option<Nanos>,
    recorder: IntervalRecorder,
}

impl Load {
    /// A load on the server at these addresses. Each client takes the first that works, as
    /// [`Dial`](countersign::engine::Dial) has it, and the next client begins with that one.
    ///
    /// # Errors
    ///
    /// The name has no address, the plan can't be carried out, a source is no address of this
    /// machine, or there is no key to sign with.
    pub fn new(
        address: impl ToAddresses,
        config: impl Into<Arc<ClientConfig>>,
        plan: Plan,
    ) -> Result<Self, LoadError> {
        let (config, addresses) = prepare(address, &config.into(), &plan)?;
        Ok(Self::share(addresses, config, plan, Share::WHOLE, Arc::default())?)
    }

    /// The same load on several loops, each of which is to [run](Self::run) on a thread of its own.
    /// Clients, messages and rates are distributed, so that all loops together do what the plan
    /// says. [`Report::merged`] puts their reports together.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new). Each loop needs a client.
    pub fn split(
        address: impl ToAddresses,
        config: impl Into<Arc<ClientConfig>>,
        plan: Plan,
        loops: usize,
    ) -> Result<Vec<Self>, LoadError> {
        if loops == 0 || loops > plan.connections {
            return Err(PlanError::Loops.into());
        }
        let (config, addresses) = prepare(address, &config.into(), &plan)?;
        let connected = Arc::new(AtomicBool::new(false));
        let share = |share| {
            let (addresses, config) = (Arc::clone(&addresses), Arc::clone(&config));
            Ok(Self::share(addresses, config, plan.clone(), share, Arc::clone(&connected))?)
        };
        Share::all(loops).map(share).collect()
    }

    /// The share that one loop has of a load that can be carried out.
    fn share(
        addresses: Arc<[Address]>,
        config: Arc<ClientConfig>,
        plan: Plan,
        share: Share,
        any_has_connected: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let rate_asked = plan.rate();
        let [connections, idle] = [plan.connections, plan.idle].map(|whole| share.part_of(whole));
        let plan =
            Plan { connections, idle, count: plan.count.map(|count| share.part(count)), ..plan };
        let clients = connections + idle;
        let warm = nanos(plan.warmup);
        let end = plan.lasts().map_or(Nanos::MAX, |length| warm.saturating_add(nanos(length)));
        let stages =
            (!plan.stages.is_empty()).then(|| RateSchedule::new(plan.warmup, &plan.stages));
        let pacer = Pacer::with_stages(plan.arrival, stages, SEED, share);
        let own = match plan.arrival {
            Arrival::PerClient(rate) => Some(ClientPacers::new(rate, connections, share)),
            _ => None,
        };
        let dials = plan.connect_rate.map_or(Arrival::Closed, Arrival::Constant);
        let poll = Poll::new()?;
        let mut report = Report::default();
        Ok(Self {
            clients: (0..clients)
                .map(|n| LoadClient::new(n.checked_sub(idle), plan.depth))
                .collect(),
            disconnected: (0..clients).collect(),
            backing_off: VecDeque::new(),
            pausing: VecDeque::new(),
            rate_asked,
            available: VecDeque::with_capacity(connections),
            dials: Pacer::new(dials, SEED, share),
            dialled: 0,
            share,
            has_connected: false,
            any_has_connected,
            failed: 0,
            timed_out: 0,
            busy: Busy::start(),
            idle_since: None,
            recorder: IntervalRecorder::new(0, plan.interval, &mut report),
            end,
            cx: LoadContext {
                payload: Payload::new(
                    plan.size,
                    plan.depth,
                    config.framing().form(),
                    config.dialect() == Dialect::Countersign,
                )
                .with(plan.messages.clone(), plan.expect.clone(), share),
                message_source: MessageSource::new(pacer, plan.count, warm, end).with_clients(own),
                report,
                think: nanos(plan.think),
                inbox: vec![0; INBOX].into(),
                outbox: Vec::new(),
                balancer: plan
                    .proxy_header
                    .map(|version| Balancer::new(version, plan.proxy_sources.clone(), share)),
                registry: poll.registry().try_clone()?,
                epoch: clock::monotonic(),
                wall: since_epoch(clock::wall()),
                addresses,
                form: config.framing().form(),
                refuses_silently: config.dialect() != Dialect::Countersign,
                plan,
            },
            poll,
            config,
            random: Pool::default(),
        })
    }

    /// Runs the load. The watcher is called ten times a second with the report so far, and can end
    /// the load.
    ///
    /// # Errors
    ///
    /// The system refuses what a loop needs. What goes wrong with a client is in the report.
    pub fn run(self, mut watch: impl FnMut(&Report) -> ControlFlow<()>) -> io::Result<Report> {
        self.drive(&mut watch)
    }

    // Generic or inlined, it would be compiled with the caller, which may be compiled for size:
    // `instructions/message of load` of the budget.
    #[inline(never)]
    fn drive(mut self, watch: &mut dyn FnMut(&Report) -> ControlFlow<()>) -> io::Result<Report> {
        let warm = nanos(self.cx.plan.warmup);
        let mut events = Events::with_capacity(EVENTS);
        (self.cx.epoch, self.busy) = (clock::monotonic(), Busy::start());
        self.cx.report.start = since_epoch(clock::wall());
        let (mut tick, mut now, mut is_warm) = (TICK, 0, warm == 0);
        while now < self.end && !self.is_done() {
            now = self.wait(&mut events, now, tick)?;
            if !is_warm && now >= warm {
                is_warm = true;
                self.cx.message_source.end_warmup();
                self.busy = Busy::start();
                let open = self.clients.iter().filter(|client| client.is_established());
                let (start, open_before) = (since_epoch(clock::wall()), open.count() as u64);
                self.cx.report = Report { start, open_before, ..Report::default() };
                let length = self.cx.plan.interval;
                self.recorder = IntervalRecorder::new(warm, length, &mut self.cx.report);
            }
            self.recorder.turn(now, &mut self.cx.report, &self.cx.message_source, &self.busy);
            for event in &events {
                self.event(event, now);
            }
            self.serve_available(now);
            self.end_pauses(now);
            self.dial(now);
            if now >= tick {
                tick = now + TICK;
                self.fail_overdue(now);
                self.cx.report.elapsed = Duration::from_nanos(now.saturating_sub(warm));
                self.cx.report.replies = self.cx.message_source.replies();
                if watch(&self.cx.report).is_break() {
                    break;
                }
            }
        }
        let now = now.max(self.now());
        Ok(self.finish(now))
    }

    /// Accounts for the messages that have no answer, and ends all connections.
    fn finish(mut self, now: Nanos) -> Report {
        let gave_up = self.is_hopeless();
        let LoadContext { message_source, report, plan, addresses, .. } = &mut self.cx;
        self.recorder.finish(now, report, message_source, &self.busy);
        let unanswered = self.clients.iter_mut().flat_map(LoadClient::unanswered);
        ending::account(now, unanswered, gave_up, message_source, report);
        let elapsed = now.saturating_sub(nanos(plan.warmup));
        report.elapsed = Duration::from_nanos(elapsed);
        report.busy = vec![self.busy.time(elapsed) as f64 / elapsed.max(1) as f64];
        report.rate_asked = self.rate_asked;
        report.server = addresses.first().cloned().filter(|_| self.has_connected);
        (0..self.clients.len()).for_each(|slot| self.disconnect(slot));
        self.cx.report
    }

    /// Every message was sent and answered, or no client is left.
    fn is_done(&self) -> bool {
        let ends_by_itself = || self.cx.plan.lasts().is_some();
        // Another loop's clients may have taken all the connections that the server allows. Then
        // this one goes on, or its messages would be missing in the report.
        let has_connected = || self.any_has_connected.load(Ordering::Relaxed);
        let is_hopeless = || self.is_hopeless() && !(ends_by_itself() && has_connected());
        self.cx.message_source.is_settled() || is_hopeless()
    }

    /// The clients have failed often since a message was last answered.
    fn is_hopeless(&self) -> bool {
        let patience = if self.has_connected { 100 } else { 10 };
        // A server that has answered may leave a message of each client without a reply, and go on.
        let rounds = if self.cx.message_source.replies() > 0 { TIMED_OUT_MAX } else { 1 };
        let timed_out_max = rounds.saturating_mul(self.cx.plan.connections);
        self.failed >= patience * self.clients.len() || self.timed_out >= timed_out_max
    }

    /// Waits for events, until something is due or the watcher is to be called. Returns the time
    /// then.
    fn wait(&mut self, events: &mut Events, now: Nanos, tick: Nanos) -> io::Result<Nanos> {
        let is_available = |slot: &usize| self.clients[*slot].available;
        let message = self
            .available
            .iter()
            .any(is_available)
            .then(|| self.cx.message_source.next())
            .flatten();
        let dial = self.next_dial();
        let rested = self.backing_off.front().map(|(end, _)| *end);
        let paused = self.pausing.front().map(|(end, _)| *end);
        let due = [message, dial, rested, paused].into_iter().flatten().fold(self.end, Nanos::min);
        let left = due.saturating_sub(now);
        // The watcher may be called a little late: nothing is waited for awake for its sake.
        let lazy = tick.saturating_sub(now).max(MILLISECOND);
        let timeout = if left < MILLISECOND { 0 } else { left.min(lazy) };
        let before = self.idle_since.take().unwrap_or_else(|| self.now());
        let polled = self.poll.poll(events, Some(Duration::from_nanos(timeout)));
        let after = self.now();
        if timeout > 0 || events.is_empty() {
            let is_awake = timeout == 0;
            self.busy.wait(after - before, is_awake);
            self.idle_since = (is_awake && after < due).then_some(after);
        }
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(after),
        }
    }

    fn event(&mut self, event: &Event, now: Nanos) {
        let token = Token::from(event.token().0);
        let Some(client) = self.clients.get_mut(token.slot()) else { return };
        if client.generation != token.generation() {
            return;
        }
        let answered = self.cx.message_source.answered();
        let readiness = Readiness {
            readable: event.is_readable() || event.is_read_closed(),
            ended: event.is_read_closed(),
            writable: event.is_writable(),
            failed: event.is_error(),
            ..Readiness::default()
        };
        let visit = client.visit(token.slot(), readiness, now, &self.config, &mut self.cx);
        if self.cx.message_source.answered() > answered {
            (self.failed, self.timed_out) = (0, 0);
        }
        self.settle(token.slot(), visit, now);
    }

    /// Sends the messages that are due on available clients.
    fn serve_available(&mut self, now: Nanos) {
        while let Some(sender) = self.cx.message_source.wake(now) {
            let slot = self.cx.plan.idle + sender;
            if std::mem::take(&mut self.clients[slot].available) {
                let visit = self.clients[slot].send_due(now, &mut self.cx);
                self.settle(slot, visit, now);
            }
        }
        if matches!(self.cx.plan.arrival, Arrival::PerClient(_)) {
            return;
        }
        while self.cx.message_source.is_due(now) {
            let Some(slot) = self.available.pop_front() else { break };
            let client = &mut self.clients[slot];
            client.listed = false;
            if std::mem::take(&mut client.available) {
                let visit = client.send_due(now, &mut self.cx);
                self.settle(slot, visit, now);
            }
        }
    }

    /// Has clients go on whose pause is over.
    fn end_pauses(&mut self, now: Nanos) {
        while let Some(&(end, slot)) = self.pausing.front()
            && end <= now
        {
            self.pausing.pop_front();
            if self.reconnects(slot) {
                self.disconnected.push_back(slot);
            } else if self.clients[slot].may_send(now, &self.cx.plan) {
                let visit = self.clients[slot].send_due(now, &mut self.cx);
                self.settle(slot, visit, now);
            }
        }
    }

    /// Handles what came of a visit. Mostly that is nothing: the client waits for replies.
    #[inline]
    fn settle(&mut self, slot: usize, visit: ClientOutcome, now: Nanos) {
        if visit != ClientOutcome::On || !self.has_connected || !self.clients[slot].is_waiting() {
            self.settle_outcome(slot, visit, now);
        }
    }

    fn settle_outcome(&mut self, slot: usize, visit: ClientOutcome, now: Nanos) {
        if !self.has_connected && self.cx.report.connected > 0 {
            self.has_connected = true;
            self.any_has_connected.store(true, Ordering::Relaxed);
        }
        match visit {
            ClientOutcome::On => {
                let client = &mut self.clients[slot];
                if let Some(end) = client.take_pause() {
                    self.pausing.push_back((end, slot));
                }
                if client.available && !std::mem::replace(&mut client.listed, true) {
                    self.available.push_back(slot);
                }
            }
            ClientOutcome::Done => {
                let pause = self.clients[slot].take_pause();
                self.disconnect(slot);
                match pause {
                    Some(end) => self.pausing.push_back((end, slot)),
                    None => self.disconnected.push_back(slot),
                }
            }
            ClientOutcome::Lost(failure) => {
                self.failed += 1;
                self.timed_out += usize::from(match failure {
                    FailureKind::ReplyTimeout => true,
                    FailureKind::ConnectTimeout => !self.has_connected || self.lacks_clients(slot),
                    _ => false,
                });
                let LoadContext { message_source, report, .. } = &mut self.cx;
                let (mut messages, mut counting) = (0, 0);
                for Unanswered { due, count, .. } in self.clients[slot].unanswered() {
                    messages += count;
                    counting += if message_source.abandon(due, count) { count } else { 0 };
                }
                report.lose(failure, messages, counting);
                self.disconnect(slot);
                self.backing_off.push_back((now + BACK_OFF, slot));
            }
        }
    }

    /// Whether messages wait for this client to connect. They don't while another client that is
    /// connected has nothing to send: at a low rate, that one alone is enough.
    fn lacks_clients(&self, slot: usize) -> bool {
        self.clients[slot].sends()
            && !self.available.iter().any(|slot| self.clients[*slot].available)
    }

    /// Looks for handshakes and replies that have taken too long, and for further addresses that
    /// are to be tried.
    fn fail_overdue(&mut self, now: Nanos) {
        let connect = nanos(self.cx.plan.connect_timeout);
        let reply = self.cx.plan.replies_within().map_or(Nanos::MAX, nanos);
        for slot in 0..self.clients.len() {
            if let Some(failure) = self.clients[slot].timed_out(now, connect, reply) {
                self.settle(slot, ClientOutcome::Lost(failure), now);
            } else if self.clients[slot].has_dial_due(now, &self.cx) {
                let client = &mut self.clients[slot];
                let visit = client.connect(slot, now, &self.config, &mut self.cx);
                self.settle(slot, visit, now);
            }
        }
    }

    fn now(&self) -> Nanos {
        nanos(clock::monotonic().saturating_duration_since(self.cx.epoch))
    }
}

/// Checks that a plan can be carried out. Returns what its clients need for it.
fn prepare(
    address: impl ToAddresses,
    config: &ClientConfig,
    plan: &Plan,
) -> Result<(Arc<ClientConfig>, Arc<[Address]>), LoadError> {
    let addresses = address.to_addresses().map_err(io::Error::from)?;
    plan.check(config, &addresses)?;
    plan.sources.iter().try_for_each(|source| dial::check_source(*source))?;
    config.signing_key(since_epoch(clock::wall()))?;
    // The reply to the longest message is longer by its stamp.
    let longest = (config.message_max() + STAMP.len()).min(SessionConfig::MESSAGE_MAX);
    let config = config.to_builder().with_message_max(longest).build()?;
    Ok((config.into(), addresses.into()))
}
