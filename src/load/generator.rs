//! The loop that all clients of a load are on.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use crate::address::{Address, ToAddresses};
use crate::chance::{self, Pool};
use crate::clock;
use crate::contract::peer::PeerId;
use crate::load::caller::{Caller, Desk, Supply, Visit};
use crate::load::dial;
use crate::load::payload::{Payload, STAMP};
use crate::load::plan::{Arrival, HangUp, Plan, PlanError};
use crate::load::report::{Failure, Report};
use crate::load::schedule::{Nanos, Schedule};
use crate::proto::dialect::Dialect;
use crate::proto::handshake::CHALLENGE;
use crate::proto::protocol::{NoUsableKey, Protocol};
use crate::proto::session::Session;

/// The events that are taken from the system at once.
const EVENTS: usize = 1024;

/// What is read at once.
const INBOX: usize = 64 << 10;

/// The connections that are begun before events are looked at again.
const DIALS: usize = 64;

/// How long a client rests whose connection has failed.
const REST: Nanos = 100_000_000;

/// How often the watcher is called, and timeouts are looked for.
const TICK: Nanos = 100_000_000;

/// The system waits in whole milliseconds; what is due sooner is waited for awake.
const MILLISECOND: Nanos = 1_000_000;

/// The seed of random arrivals: the same load can be had twice.
const SEED: u64 = 9527;

/// Many clients on one loop.
#[derive(Debug)]
pub struct Load {
    address: Address,
    protocol: Protocol,
    random: Pool,
    desk: Desk,
    poll: Poll,
    callers: Vec<Caller>,
    /// Those that are to dial.
    absent: VecDeque<usize>,
    /// Those whose connection has failed, and until when they rest.
    resting: VecDeque<(Nanos, usize)>,
    /// Those that wait for a message to be due. One that isn't marked as spare is stale.
    spare: VecDeque<usize>,
    /// When connections may be begun.
    dials: Schedule,
    dialled: usize,
    /// Connections that have failed since a message was last answered.
    fruitless: usize,
    epoch: Instant,
    /// How long the loop has waited for something to do.
    waited: Nanos,
}

impl Load {
    /// A load on the server at the first of the addresses.
    ///
    /// # Errors
    ///
    /// The name has no address, the plan can't be carried out, or there is no key to sign with.
    pub fn new(
        address: impl ToAddresses,
        protocol: impl Into<Protocol>,
        plan: Plan,
    ) -> io::Result<Self> {
        let refused = |error: PlanError| io::Error::new(io::ErrorKind::InvalidInput, error);
        let keyless = |error: NoUsableKey| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut protocol = protocol.into();
        protocol.prepare(clock::wall(), chance::bytes)?;
        let nowhere = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let address = address.to_addresses()?.into_iter().next().ok_or(nowhere)?;
        plan.check(&protocol, &address).map_err(refused)?;
        protocol.signing_key().map_err(keyless)?;
        // The reply to the longest message is longer by its stamp.
        let longest = protocol.message_max() + STAMP.len();
        let protocol = protocol.with_message_max(longest);
        let callers = plan.connections + plan.idle;
        let dials = plan.connect_rate.map_or(Arrival::Closed, Arrival::Even);
        Ok(Self {
            address,
            poll: Poll::new()?,
            callers: (0..callers).map(|n| Caller::new(n >= plan.idle, plan.depth)).collect(),
            absent: (0..callers).collect(),
            resting: VecDeque::new(),
            spare: VecDeque::with_capacity(plan.connections),
            dials: Schedule::new(dials, SEED),
            dialled: 0,
            fruitless: 0,
            epoch: clock::monotonic(),
            waited: 0,
            desk: Desk {
                payload: Payload::new(plan.size),
                supply: Supply { schedule: Schedule::new(plan.arrival, SEED), left: None },
                report: Report::default(),
                outstanding: 0,
                inbox: vec![0; INBOX].into(),
                outbox: Vec::new(),
                form: protocol.framing().form(),
                refuses_silently: protocol.dialect() != Dialect::Countersign,
                plan,
            },
            protocol,
            random: Pool::default(),
        })
    }

    /// Has the clients do what the plan says. The watcher is called ten times a second with the
    /// report as it stands, and can end the load.
    ///
    /// # Errors
    ///
    /// The system refuses what a loop needs. What goes wrong with a client is in the report.
    pub fn run(mut self, mut watch: impl FnMut(&Report) -> ControlFlow<()>) -> io::Result<Report> {
        let warm = nanos(self.desk.plan.warmup);
        let last = warm.saturating_add(self.length());
        let mut events = Events::with_capacity(EVENTS);
        self.epoch = clock::monotonic();
        let (mut began, mut tick, mut now) = (0, TICK, 0);
        if warm == 0 {
            self.desk.supply.left = self.desk.plan.count;
        }
        while now < last && !self.is_done() {
            self.wait(&mut events, now, tick.min(last))?;
            now = self.now();
            for event in &events {
                self.event(event, now);
            }
            self.serve_spare(now);
            self.dial(now)?;
            if now >= tick {
                tick = now + TICK;
                self.give_up_on_the_slow(now);
                self.desk.report.elapsed = Duration::from_nanos(now - began);
                if watch(&self.desk.report).is_break() {
                    break;
                }
            }
            if began < warm && now >= warm {
                began = now;
                self.waited = 0;
                self.desk.report = Report::default();
                self.desk.supply.left = self.desk.plan.count;
            }
        }
        let elapsed = now.max(self.now()) - began;
        let waited = self.waited as f64 / elapsed.max(1) as f64;
        let aborted = self.desk.outstanding;
        (0..self.callers.len()).for_each(|slot| self.hang_up(slot));
        let mut report = self.desk.report;
        report.elapsed = Duration::from_nanos(elapsed);
        report.aborted = aborted;
        report.busy = 1.0 - waited.min(1.0);
        Ok(report)
    }

    /// How long the load goes on after the warm-up.
    fn length(&self) -> Nanos {
        let Plan { count, duration, .. } = self.desk.plan;
        let unlimited = count.is_none().then_some(Plan::DURATION);
        duration.or(unlimited).map_or(Nanos::MAX, nanos)
    }

    /// All has been said and answered, or nobody answers any more.
    fn is_done(&self) -> bool {
        let Plan { duration, .. } = self.desk.plan;
        let patience = if self.desk.report.connected == 0 { 10 } else { 100 };
        let hopeless = self.fruitless >= patience * self.callers.len();
        (self.desk.supply.left == Some(0) && self.desk.outstanding == 0)
            || (hopeless && (duration.is_none() || self.desk.report.connected == 0))
    }

    /// Waits for events, until something is due or this moment has come.
    fn wait(&mut self, events: &mut Events, now: Nanos, until: Nanos) -> io::Result<()> {
        let is_spare = |slot: &usize| self.callers[*slot].spare;
        let message = self.spare.iter().any(is_spare).then(|| self.desk.supply.next()).flatten();
        let dial = self.next_dial();
        let rested = self.resting.front().map(|(end, _)| *end);
        let due = [message, dial, rested].into_iter().flatten().fold(until, Nanos::min);
        let left = due.saturating_sub(now);
        let timeout = if left < MILLISECOND { 0 } else { left };
        let before = self.now();
        let polled = self.poll.poll(events, Some(Duration::from_nanos(timeout)));
        if timeout > 0 || events.is_empty() {
            self.waited += self.now() - before;
        }
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// When the next connection is to be begun.
    fn next_dial(&self) -> Option<Nanos> {
        let slot = *self.absent.front()?;
        let allowed = self.dials.next().unwrap_or_default();
        let wanted = if self.calls_anew(slot) { self.desk.supply.next()? } else { 0 };
        Some(allowed.max(wanted))
    }

    /// Whether each message of this client has a connection of its own.
    fn calls_anew(&self, slot: usize) -> bool {
        self.desk.plan.reconnect && self.callers[slot].talks
    }

    fn event(&mut self, event: &Event, now: Nanos) {
        let name = PeerId(event.token().0);
        let Some(caller) = self.callers.get_mut(name.slot()) else { return };
        if caller.generation as usize != name.generation() {
            return;
        }
        let answered = self.desk.report.answered;
        let visit = caller.visit(event, now, &self.protocol, &mut self.desk);
        if self.desk.report.answered > answered {
            self.fruitless = 0;
        }
        self.settle(name.slot(), visit, now);
    }

    /// Has those say something who wait for a message to be due.
    fn serve_spare(&mut self, now: Nanos) {
        while self.desk.supply.next().is_some_and(|due| due <= now) {
            let Some(slot) = self.spare.pop_front() else { break };
            let caller = &mut self.callers[slot];
            caller.listed = false;
            if std::mem::take(&mut caller.spare) {
                let visit = caller.talk(now, &mut self.desk);
                self.settle(slot, visit, now);
            }
        }
    }

    /// Sees to what came of a visit.
    fn settle(&mut self, slot: usize, visit: Visit, now: Nanos) {
        match visit {
            Visit::On => {
                let caller = &mut self.callers[slot];
                if caller.spare && !std::mem::replace(&mut caller.listed, true) {
                    self.spare.push_back(slot);
                }
            }
            Visit::Done => {
                self.hang_up(slot);
                self.absent.push_back(slot);
            }
            Visit::Lost(failure) => {
                self.desk.report.count(failure);
                self.fruitless += 1;
                self.hang_up(slot);
                self.resting.push_back((now + REST, slot));
            }
        }
    }

    fn hang_up(&mut self, slot: usize) {
        if self.desk.plan.hang_up == HangUp::Fin {
            self.callers[slot].say_goodbye(&mut self.desk);
        }
        let (stream, unanswered) = self.callers[slot].end();
        self.desk.outstanding -= unanswered as u64;
        if let Some(stream) = stream {
            dial::hang_up(stream, self.desk.plan.hang_up);
        }
    }

    /// Begins the connections that are due.
    fn dial(&mut self, now: Nanos) -> io::Result<()> {
        while let Some(&(end, slot)) = self.resting.front()
            && end <= now
        {
            self.resting.pop_front();
            self.absent.push_back(slot);
        }
        for _ in 0..DIALS {
            if self.next_dial().is_none_or(|due| due > now) || self.dials.take(now).is_none() {
                break;
            }
            let Some(slot) = self.absent.pop_front() else { break };
            let due = if self.calls_anew(slot) { self.desk.supply.take(now) } else { None };
            self.desk.outstanding += u64::from(due.is_some());
            if let Err(error) = self.begin(slot, due, now) {
                let failure = match error.raw_os_error() {
                    Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => Failure::NoPort,
                    Some(libc::EMFILE | libc::ENFILE) => return Err(error),
                    _ => Failure::Connect,
                };
                self.desk.outstanding -= u64::from(due.is_some());
                self.settle(slot, Visit::Lost(failure), now);
            }
        }
        Ok(())
    }

    fn begin(&mut self, slot: usize, due: Option<Nanos>, now: Nanos) -> io::Result<()> {
        let sources = &self.desk.plan.sources;
        let source = sources.get(self.dialled % sources.len().max(1)).copied();
        self.dialled += 1;
        let mut stream = dial::dial(&self.address, source)?;
        let mut nonce = [0; CHALLENGE];
        self.random.take(&mut nonce)?;
        let session = Session::client(&self.protocol, nonce).map_err(io::Error::other)?;
        let caller = &mut self.callers[slot];
        caller.generation = PeerId::generation_after(caller.generation);
        let token = Token(PeerId::new(slot, caller.generation).0);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, token, interest)?;
        caller.begin(stream, session, due, now);
        Ok(())
    }

    /// Looks for handshakes that have taken too long.
    fn give_up_on_the_slow(&mut self, now: Nanos) {
        let timeout = nanos(self.desk.plan.connect_timeout);
        for slot in 0..self.callers.len() {
            let since = self.callers[slot].trying_since();
            if since.is_some_and(|since| since.saturating_add(timeout) <= now) {
                self.settle(slot, Visit::Lost(Failure::ConnectTimeout), now);
            }
        }
    }

    fn now(&self) -> Nanos {
        nanos(clock::monotonic().saturating_duration_since(self.epoch))
    }
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
