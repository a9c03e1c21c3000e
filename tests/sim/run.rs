//! One run: the engine, the world around it, and the time that passes between them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use countersign::engine::Engine;
use countersign::engine::Instant;
use countersign::faults::Faulty;
use countersign::stats::{Counters, Memory};
use countersign::{CloseReason, Dialect, Exchange, Key, KeyRing, Listener, RingSecrets};

use crate::clients::PATIENCE;
use crate::excuses::{Check, Excuse, Excuses};
use crate::link::{Link, millis};
use crate::net::SimNet;
use crate::oracle::Ending;
use crate::random::Random;
use crate::service::Checker;
use crate::setup::{Revocation, Setup, Stop};
use crate::terms::Terms;
use crate::world::{Heard, Shared, World};

/// No run is longer: everybody has a deadline, and nobody has so many. The longest is that of a
/// client with 18,000 messages, each of which is delayed, limited and stalled.
const TIME_MAX: u64 = 1_800_000;
const TURNS_MAX: u64 = 500_000;

/// Turns one after the other that were due and found nothing to do.
const IDLE_TURNS_MAX: u32 = 3;

/// What came of a run that kept all promises.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) counters: Counters,
    /// Honest clients that were served to the end, by what they spoke.
    pub(crate) honest: HashMap<Dialect, u64>,
    /// Hosts that were forgotten before their failures were forgiven.
    pub(crate) forgotten: u64,
    pub(crate) replaced: u64,
    pub(crate) excuses: Excuses,
    /// The same for two runs in which the same happened.
    pub(crate) trace: u64,
}

struct Run {
    world: Shared,
    engine: Engine<SimNet, Faulty<Checker>>,
    idle_turns: u32,
}

/// Runs a seed. What is wrong, if anything is, names the seed and how to see it again.
pub(crate) fn run(seed: u64, aloud: bool) -> Result<Outcome, String> {
    let played = catch_unwind(AssertUnwindSafe(|| Run::new(seed, aloud).play()));
    let outcome = played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("panic: {}", text.or(panic.downcast_ref().copied()).unwrap_or("?")))
    });
    outcome.map_err(|what| {
        let replay = "cargo test --test sim -- --nocapture --ignored replay";
        format!("seed {seed}: {what}\nreplay with: SIM_SEED={seed} {replay}")
    })
}

impl Run {
    fn new(seed: u64, aloud: bool) -> Self {
        let mut random = Random::new(seed);
        let setup = Setup::draw(&mut random);
        if aloud {
            println!("{setup:#?}");
        }
        let listeners: Vec<Listener> = setup.listeners.iter().map(listener_of).collect();
        let revocation = setup.revocation;
        let world = Rc::new(RefCell::new(World::new(setup, random, aloud)));
        let (net, service) = (SimNet(world.clone()), service(&world));
        let mut engine = Engine::new(net, listeners, service).unwrap();
        if let Some(Revocation { at, listener, by_date: true }) = revocation {
            let listener = &engine.listeners()[listener];
            let id = listener.id();
            let keys = listener.config().keys().map(|keys| dated(keys, Duration::from_millis(at)));
            keys.into_iter().for_each(|keys| engine.replace_keys(id, keys).unwrap());
        }
        check_memory(&world, engine.memory_max());
        Self { world, engine, idle_turns: 0 }
    }

    fn play(mut self) -> Result<Outcome, String> {
        while !self.engine.is_finished() {
            let due = self.engine.deadline().map(|due| whole_millis(due.elapsed()));
            if self.forgets_expiry(due) {
                return Err(format!("the next turn is due at {due:?}, when keys have run out"));
            }
            let next = self.world.borrow().next();
            let Some(at) = [next, due].into_iter().flatten().min() else {
                self.stop_for_want_of_work()?;
                continue;
            };
            let mut world = self.world.borrow_mut();
            world.check_due(due);
            world.now = world.now.max(at);
            let now = world.now;
            let heard = world.advance();
            drop(world);
            if now > TIME_MAX {
                return Err(format!("no end by {now} ms; the next turn was due at {due:?}"));
            }
            let is_idle = heard.is_empty() && due.is_none_or(|due| due > now);
            for each in heard {
                match each {
                    Heard::Call(socket) => self.engine.listener_ready(socket),
                    Heard::Event(peer, readiness) => self.engine.event(peer, readiness),
                }
            }
            self.stop_in_time(now);
            self.revoke(now);
            self.replace_limits(now);
            self.replace_access(now);
            self.replace_faults(now);
            self.tell(now);
            if !is_idle || self.world.borrow_mut().random.per_mille(100) {
                self.turn(now, due)?;
            }
        }
        self.end()
    }

    fn turn(&mut self, now: u64, due: Option<u64>) -> Result<(), String> {
        let mut world = self.world.borrow_mut();
        world.turn += 1;
        let (turn, work, losses) = (world.turn, world.work, world.losses);
        drop(world);
        self.expire(now);
        let has_pause = self.engine.pause_end().is_some_and(|end| end <= instant(now));
        let turned = self.engine.turn(instant(now), wall(now));
        let stats = self.engine.stats(instant(now));
        let mut world = self.world.borrow_mut();
        if turned.is_err() != (world.losses > losses) {
            world.fail(None, format_args!("the turn came to {turned:?}"));
        }
        world.check_turn(&stats);
        // The end of a pause may be all that is due, also that of a connection that is gone. What
        // else is due to a connection that is held doesn't show before that.
        let has_cause = has_pause || world.live().any(|link| link.may_be_held(&world));
        let is_vain = due.is_some_and(|due| due <= now) && world.work == work && !has_cause;
        self.idle_turns = if is_vain { self.idle_turns + 1 } else { 0 };
        if self.idle_turns > IDLE_TURNS_MAX || turn > TURNS_MAX {
            world.fail(None, format_args!("turns without end"));
        }
        let longest = world.setup.faults.turn_length;
        world.now += world.random.millis(0, longest);
        world.violation.take().map_or(Ok(()), Err)
    }

    fn stop_in_time(&mut self, now: u64) {
        let world = self.world.borrow();
        if world.stopping.is_some() {
            return;
        }
        let longest = world.setup.listeners.iter().map(|terms| terms.limits.drain_timeout).max();
        let drained = now + longest.map_or(0, millis);
        let end = match world.setup.stop {
            Stop::Drain(at) if now >= at => drained,
            Stop::AtOnce(at) if now >= at => now,
            Stop::Quiet if world.is_quiet() => drained,
            _ => return,
        };
        drop(world);
        self.world.borrow_mut().stops(end);
        match end {
            end if end == now => self.engine.stop(instant(now)),
            _ => self.engine.drain(instant(now)),
        }
    }

    /// Nothing is going to happen any more, so nothing may be open: whatever is has a deadline.
    fn stop_for_want_of_work(&mut self) -> Result<(), String> {
        let world = self.world.borrow();
        let (now, live) = (world.now, world.live().count());
        drop(world);
        if live > 0 {
            return Err(format!("{live} connections are open, and nobody waits for anything"));
        }
        self.world.borrow_mut().stops(now);
        self.engine.stop(instant(now));
        Ok(())
    }

    /// The key that clients sign with is taken from the ring, and those who hold it are to go.
    fn revoke(&mut self, now: u64) {
        let mut world = self.world.borrow_mut();
        let revocation = world.setup.revocation.filter(|it| now >= it.at && !it.by_date);
        let Some(Revocation { listener, .. }) = revocation else { return };
        if world.models[listener].revoked.is_some() || world.stopping.is_some() {
            return;
        }
        world.models[listener].revoked = Some(now);
        world.say(format_args!("the key of listener {listener} is revoked"));
        drop(world);
        let other = Key::new("another", b"the secret of another").unwrap();
        let id = self.engine.listeners()[listener].id();
        let ring = KeyRing::new(RingSecrets::new([b'O'; 48]));
        let ring = ring.with(other.with_dialect(Dialect::Countersign)).unwrap();
        self.engine.replace_keys(id, ring).unwrap();
        self.engine.close_revoked(instant(now), wall(now));
    }

    /// The keys of a listener run out, of which the turn that begins is not told. It must have been
    /// asked for in time, if anybody is in who holds one.
    fn expire(&self, now: u64) {
        let mut world = self.world.borrow_mut();
        let Some(Revocation { at, listener, by_date: true }) = world.setup.revocation else {
            return;
        };
        if now >= at && world.models[listener].revoked.is_none() {
            world.models[listener].revoked = Some(now);
            world.say(format_args!("the keys of listener {listener} have run out"));
        }
    }

    /// Whether the engine forgets to ask for a turn when keys run out that somebody holds.
    fn forgets_expiry(&self, due: Option<u64>) -> bool {
        let world = self.world.borrow();
        let Some(Revocation { at, listener, by_date: true }) = world.setup.revocation else {
            return false;
        };
        let stats = self.engine.stats(instant(world.now));
        let is_held = stats.listeners[listener].keys.iter().any(|counters| counters.open > 0);
        is_held && world.models[listener].revoked.is_none() && due.is_none_or(|due| due > at)
    }

    /// A listener gets other limits, once it is time.
    fn replace_limits(&mut self, now: u64) {
        loop {
            let mut world = self.world.borrow_mut();
            let next = world.setup.changes.iter().position(|change| now >= change.at);
            let Some(change) = next.map(|next| world.setup.changes.remove(next)) else { return };
            let listener = &self.engine.listeners()[change.listener];
            let id = listener.id();
            world.replace_limits(change.listener, &change.limits, listener.bytes_buffered());
            drop(world);
            self.engine.replace_limits(id, change.limits, instant(now)).unwrap();
        }
    }

    /// From now on others may connect.
    fn replace_access(&mut self, now: u64) {
        let mut world = self.world.borrow_mut();
        for (listener, terms) in world.setup.listeners.iter_mut().enumerate() {
            if let Some((_, access)) = terms.other_access.take_if(|(at, _)| now >= *at) {
                terms.access = access.clone();
                let id = self.engine.listeners()[listener].id();
                self.engine.replace_access(id, access).unwrap();
            }
        }
    }

    /// From now on other faults are injected.
    fn replace_faults(&mut self, now: u64) {
        let mut world = self.world.borrow_mut();
        for (listener, terms) in world.setup.listeners.iter_mut().enumerate() {
            if let Some((_, other)) = terms.other_faults.take_if(|(at, _)| now >= *at) {
                let id = self.engine.listeners()[listener].id();
                self.engine.service_mut().replace_faults(id, other.faults.clone());
                terms.injected.replace(other);
            }
        }
    }

    /// The host says something to a peer of its own accord.
    fn tell(&mut self, now: u64) {
        let mut guard = self.world.borrow_mut();
        let world = &mut *guard;
        if now > PATIENCE || !world.random.per_mille(world.setup.faults.tell) {
            return;
        }
        let number = world.random.between(0, world.links.len() - 1);
        let link = &mut world.links[number];
        let Some(peer) = link.socket.peer else { return };
        // Whether a ping that was read is echoed already doesn't show.
        let is_pinged = link.account.oracle.messages.iter().any(|(_, end)| *end == Ending::Ping);
        if is_pinged || (link.mutual.is_some() && link.account.opened.is_none()) {
            return;
        }
        let before = (link.account.due.len(), link.account.owed.len());
        let message = b"by the way";
        world.owe_message(number, Ending::Lf, message);
        drop(guard);
        let told = self.engine.tell(peer, message, instant(now), wall(now));
        let mut world = self.world.borrow_mut();
        world.say(format_args!("{number} is told something: {told:?}"));
        if told.is_err() {
            let account = &mut world.links[number].account;
            account.due.truncate(before.0);
            account.owed.truncate(before.1);
        }
    }

    /// The clients take what is on its way to them; then the last promises are checked.
    fn end(mut self) -> Result<Outcome, String> {
        let stats = self.engine.stats(instant(self.world.borrow().now));
        drop(self.engine);
        let mut world = self.world.borrow_mut();
        while let Some(at) = world.next() {
            world.now = world.now.max(at);
            world.advance();
        }
        self.idle_turns = 0;
        world.check_turn(&stats);
        let mut honest = HashMap::new();
        for number in 0..world.links.len() {
            match world.is_served(number) {
                Ok(true) => *honest.entry(world.links[number].dialect).or_default() += 1,
                Ok(false) => {}
                Err(what) => world.fail(Some(number), format_args!("{what}")),
            }
        }
        let forgotten = world.models.iter().map(|model| model.failures.forgotten).sum();
        let (replaced, trace) = (world.replaced, world.trace);
        let (counters, excuses) = (stats.counters(), std::mem::take(&mut world.excuses));
        let outcome = Outcome { counters, honest, forgotten, replaced, excuses, trace };
        world.violation.take().map_or(Ok(outcome), Err)
    }
}

impl World {
    /// Whether a client has proved itself, by a key that is on the ring.
    pub(crate) fn is_proved(&self, number: usize) -> bool {
        let link = &self.links[number];
        let has_key = self.model(number).revoked.is_none() || !link.dialect.authenticates();
        link.is_proved() && (has_key || link.account.opened.is_some())
    }

    /// Whether an honest client got everything that it was due; if not, there is an excuse.
    fn is_served(&self, number: usize) -> Result<bool, String> {
        let link = &self.links[number];
        if !link.script.is_honest() {
            return Ok(false);
        }
        let exchange = self.terms(number).config.exchange();
        let at = link.socket.dropped.unwrap_or_default();
        let is_stopped = self.stopping.is_some_and(|end| at >= end);
        let has_panicked = link.account.fate == Some(CloseReason::Panicked);
        let why = link.account.closed.map(|(_, why)| why);
        let why = why.or(has_panicked.then_some(CloseReason::Panicked));
        let has_all = link.received == link.account.due_length() && !link.lost;
        let is_heard = link.read == link.said.len() || exchange != Exchange::Many;
        let is_served = has_all
            && match why {
                Some(CloseReason::Finished | CloseReason::Answered) => is_heard,
                Some(
                    CloseReason::ClosedByService
                    | CloseReason::ReplyTooLong
                    | CloseReason::ReplyUnsendable
                    | CloseReason::Panicked,
                ) => true,
                _ => false,
            };
        let is_never_in = why.is_none();
        let was_accepted = link.socket.accepted.is_some();
        let is_gone = self.listen_sockets[link.listen_socket].gone;
        let has_left = link.account.opened.is_none() && self.model(number).revoked.is_some();
        let early = link.socket.excuse;
        let mut excuses: Vec<(Excuse, bool)> =
            early.map(|excuse| (excuse, true)).into_iter().collect();
        excuses.extend([
            (Excuse::ServedFault, why == Some(CloseReason::InjectedFault)),
            (Excuse::ServedLowerLimits, link.socket.is_cut_short),
            (Excuse::ServedStopped, !is_never_in && is_stopped),
            (Excuse::ServedStopped, why == Some(CloseReason::Stopped) && has_all),
            (Excuse::ServedStopped, !was_accepted && self.setup.stop != Stop::Quiet),
            (Excuse::ServedListenerLost, !was_accepted && is_gone),
            (Excuse::ServedRevoked, why == Some(CloseReason::Revoked) || (is_never_in && has_left)),
            (Excuse::ServedBufferLimit, why == Some(CloseReason::Overloaded)),
            (Excuse::ServedSessionAge, why == Some(CloseReason::SessionAge)),
        ]);
        if !self.excuses.check(Check::Served, is_served, &excuses) {
            let (received, due) = (link.received, link.account.due_length());
            return Err(format!("an honest client got {received} of {due} bytes, and {why:?}"));
        }
        Ok(is_served)
    }

    /// Nobody is connected, and nobody is going to be.
    fn is_quiet(&self) -> bool {
        let is_over = |link: &Link| link.socket.dropped.is_some() || link.done || link.lost;
        self.live().next().is_none() && self.links.iter().all(is_over)
    }
}

/// The memory of several listeners is the sum of what each takes, but for what they share.
fn check_memory(world: &Shared, all: Memory) {
    let alone = |listeners: Vec<Listener>| {
        let engine = Engine::new(SimNet(world.clone()), listeners, service(world));
        engine.unwrap().memory_max()
    };
    let mut terms: Vec<_> = world.borrow().setup.listeners.iter().map(Terms::clone).collect();
    // They share the buffer for input, which has room for the header of a balancer.
    let needs = |terms: &Terms| terms.limits.read_max.max(header_max(terms));
    let read_max = terms.iter().map(needs).max().unwrap();
    terms.iter_mut().for_each(|terms| terms.limits.read_max = read_max);
    let listeners: Vec<Listener> = terms.iter().map(listener_of).collect();
    let connections: usize = listeners.iter().map(|listener| listener.limits().connections).sum();
    let each: Vec<Memory> = listeners.into_iter().map(|listener| alone(vec![listener])).collect();
    let held = each.iter().map(|memory| memory.buffered).sum();
    let held_by_one = each.iter().map(|memory| memory.buffered_per_connection).max().unwrap_or(0);
    let total = all.fixed + all.per_connection * connections + held;
    let is_most = each.iter().all(|memory| memory.per_connection <= all.per_connection);
    let is_so = (all.buffered, all.buffered_per_connection) == (held, held_by_one) && is_most;
    // One per_connection is said for all, and it is the largest.
    if !is_so || all.total > total || (each.len() == 1 && all.total != total) {
        world.borrow_mut().fail(None, format_args!("the sum is {all:?}, of {each:?}"));
    }
}

/// The longest header of a balancer.
fn header_max(terms: &Terms) -> usize {
    if terms.proxies.is_empty() { 0 } else { 1024 }
}

/// The service, with the faults of each listener.
fn service(world: &Shared) -> Faulty<Checker> {
    let setup = &world.borrow().setup;
    let faults = setup.listeners.iter().map(|terms| terms.injected.faults.clone());
    Faulty::of_listeners(Checker(world.clone()), faults).with_seed(setup.fault_seed)
}

fn listener_of(terms: &Terms) -> Listener {
    Listener::new(terms.config.clone(), terms.limits.clone())
        .with_access(terms.access.clone())
        .with_proxies(terms.proxies.clone())
        .with_sockets(terms.sockets)
}

/// The same keys, which run out.
fn dated(keys: &KeyRing, end: Duration) -> KeyRing {
    let mut ring = KeyRing::new(RingSecrets::new([b'D'; 48]));
    keys.keys().for_each(|key| ring.add(key.clone().with_not_after(end)).unwrap());
    ring
}

/// The milliseconds after which a time has passed: the world's clock has no shorter ones.
fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap()
}

fn instant(millis: u64) -> Instant {
    Instant::after(Duration::from_millis(millis))
}

fn wall(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}
