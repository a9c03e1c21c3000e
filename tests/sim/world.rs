//! The world around the engine: one virtual clock, what is going to happen, and who is connected.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::rc::Rc;

use countersign::engine::Readiness;
use countersign::{PeerAddress, PeerId};

use crate::excuses::Excuses;
use crate::link::{CHALLENGE, Link};
use crate::model::Model;
use crate::random::Random;
use crate::setup::Setup;
use crate::terms::Terms;

pub(crate) type Shared = Rc<RefCell<World>>;

/// The world around the engine.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: u64,
    /// The number of the turn that runs, or ran last.
    pub(crate) turn: u64,
    pub(crate) setup: Setup,
    pub(crate) random: Random,
    pub(crate) links: Vec<Link>,
    pub(crate) listen_sockets: Vec<ListenSocket>,
    timeline: BinaryHeap<Reverse<(u64, u64, What)>>,
    /// Numbers what is to happen, so that it happens in order.
    sequence: u64,
    /// Challenges that were drawn and not sent yet.
    pub(crate) nonces: Vec<[u8; CHALLENGE]>,
    /// What is known of each listener.
    pub(crate) models: Vec<Model>,
    /// How often limits were replaced.
    pub(crate) replaced: u64,
    /// A right proof that somebody else has sent.
    pub(crate) overheard: Option<Vec<u8>>,
    pub(crate) overheard_confirm: Option<Vec<u8>>,
    pub(crate) overheard_answer: Option<Vec<u8>>,
    /// The server is stopping, and must have stopped by then.
    pub(crate) stopping: Option<u64>,
    /// When accepting failed for want of something, unless a socket was closed since.
    pub(crate) paused_since: Option<u64>,
    /// Chance or a watch has failed for the socket that is closed next.
    pub(crate) system_failed: bool,
    /// A connection was evicted for the one that was accepted or located last.
    pub(crate) has_evicted: bool,
    /// The accepts at sockets that are gone, and the turn of the last.
    pub(crate) losses: u32,
    pub(crate) lost_in: u64,
    /// The calls that the engine has made.
    pub(crate) work: u64,
    /// The first promise that was seen broken.
    pub(crate) violation: Option<String>,
    /// How often a promise was not kept, and why.
    pub(crate) excuses: Excuses,
    /// A sum over everything that happened.
    pub(crate) trace: u64,
    aloud: bool,
}

/// A socket that listens, and who waits there to be accepted.
#[derive(Debug, Default)]
pub(crate) struct ListenSocket {
    pub(crate) listener: usize,
    pub(crate) backlog: VecDeque<usize>,
    /// The engine was told that somebody waits, and has not been told since that nobody does.
    pub(crate) told: bool,
    /// Those who were accepted elsewhere in turn, although somebody waits here.
    pub(crate) passed_over: usize,
    pub(crate) gone: bool,
}

/// What is going to happen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A client calls.
    Connect(usize),
    /// A client has its turn.
    Step(usize),
    /// The engine hears of a socket: the link, and what was so when the event began its way.
    Report(usize, [bool; 5]),
    /// The engine hears of a socket that listens.
    Call(usize),
}

/// What the engine hears of.
#[derive(Debug)]
pub(crate) enum Heard {
    Call(usize),
    Event(PeerId, Readiness),
}

impl ListenSocket {
    /// Whether somebody waits, and the engine knows.
    pub(crate) fn has_caller(&self) -> bool {
        self.told && !self.backlog.is_empty()
    }
}

impl World {
    pub(crate) fn new(mut setup: Setup, random: Random, aloud: bool) -> Self {
        let clients = std::mem::take(&mut setup.clients);
        let sockets =
            (0..).zip(&setup.listeners).flat_map(|(listener, terms)| vec![listener; terms.sockets]);
        let listen_sockets =
            sockets.map(|listener| ListenSocket { listener, ..ListenSocket::default() }).collect();
        let mut world = Self {
            now: 0,
            turn: 0,
            random,
            links: Vec::new(),
            listen_sockets,
            timeline: BinaryHeap::new(),
            sequence: 0,
            nonces: Vec::new(),
            models: setup.listeners.iter().map(|_| Model::default()).collect(),
            replaced: 0,
            overheard: None,
            overheard_confirm: None,
            overheard_answer: None,
            stopping: None,
            paused_since: None,
            system_failed: false,
            has_evicted: false,
            losses: 0,
            lost_in: 0,
            work: 0,
            violation: None,
            excuses: Excuses::default(),
            trace: 0,
            aloud,
            setup,
        };
        for (number, client) in clients.into_iter().enumerate() {
            let at = client.at;
            world.links.push(Link::new(client, &world.setup));
            world.later(at, What::Connect(number));
        }
        world
    }

    /// The link of an address.
    pub(crate) fn number(address: PeerAddress) -> usize {
        let PeerAddress::Ip(address) = address else { panic!("who came by a Unix socket?") };
        usize::from(address.port()) - 1_000
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.timeline.peek().map(|Reverse((at, ..))| *at)
    }

    /// Lets everything happen whose time has come. Returns what the engine hears.
    pub(crate) fn advance(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        while self.next().is_some_and(|at| at <= self.now) {
            let Some(Reverse((_, _, what))) = self.timeline.pop() else { break };
            match what {
                What::Connect(link) => self.connect(link),
                What::Step(link) => {
                    if let Some(pause) = self.step(link) {
                        let at = self.now + pause;
                        self.later(at, What::Step(link));
                    }
                }
                What::Call(listen_socket) => {
                    self.listen_sockets[listen_socket].told = true;
                    heard.push(Heard::Call(listen_socket));
                }
                What::Report(link, then) => heard.extend(self.tell_of(link, then)),
            }
        }
        self.spurious_events(&mut heard);
        self.shuffle(&mut heard);
        heard
    }

    fn connect(&mut self, link: usize) {
        let listen_socket = self.links[link].listen_socket;
        if self.stopping.is_some() || self.listen_sockets[listen_socket].gone {
            self.links[link].done = true;
            return;
        }
        let kind = self.links[link].script.kind;
        self.say(format_args!("{link} calls: {kind:?}"));
        self.listen_sockets[listen_socket].backlog.push_back(link);
        let (call, step) = (self.event_time(), self.now);
        self.later(call, What::Call(listen_socket));
        self.later(step, What::Step(link));
    }

    fn later(&mut self, at: u64, what: What) {
        self.sequence += 1;
        self.timeline.push(Reverse((at, self.sequence, what)));
    }

    fn event_time(&mut self) -> u64 {
        self.now + self.random.millis(0, self.setup.faults.event_delay)
    }

    /// Something has happened at a socket: an event begins its way.
    pub(crate) fn edge(&mut self, link: usize) {
        if self.links[link].socket.peer.is_some() {
            let then = self.state(link);
            let copies = 1 + usize::from(self.random.per_mille(self.setup.faults.duplicate));
            for _ in 0..copies {
                let at = self.event_time();
                self.later(at, What::Report(link, then));
            }
        }
    }

    /// Readable, ended, writable, urgent, failed.
    fn state(&self, number: usize) -> [bool; 5] {
        let link = &self.links[number];
        let writable = self.room_out(number) > 0;
        [link.has_news(), link.ended, writable, link.has_urgent(), link.reset]
    }

    /// An event arrives: it tells of what is so now, or of what was so when it set out.
    fn tell_of(&mut self, number: usize, then: [bool; 5]) -> Option<Heard> {
        let peer = self.links[number].socket.peer?;
        let now = self.state(number);
        let is_fresh = self.links[number].is_live() && self.random.per_mille(500);
        let [readable, ended, writable, urgent, failed] = if is_fresh { now } else { then };
        let readable = readable || ended || failed;
        let link = &mut self.links[number];
        if readable && link.is_live() {
            link.socket.told_readable |= link.has_news();
            link.socket.told_ended |= ended;
            link.socket.told_urgent |= urgent;
            link.socket.told = link.arrived;
        }
        link.socket.told_writable |= writable && link.socket.blocked.is_some();
        Some(Heard::Event(peer, Readiness { readable, ended, writable, urgent, failed }))
    }

    /// Events that nothing has happened for, and such of connections that are gone.
    fn spurious_events(&mut self, heard: &mut Vec<Heard>) {
        if self.links.is_empty() {
            return;
        }
        let number = self.random.between(0, self.links.len() - 1);
        let Some(peer) = self.links[number].socket.peer else { return };
        let (dead, live) = (self.setup.faults.stale, self.setup.faults.spurious);
        if self.links[number].socket.dropped.is_some() {
            if self.random.per_mille(dead) {
                let [readable, ended, writable, urgent, failed] =
                    std::array::from_fn(|_| self.random.per_mille(500));
                let readiness = Readiness { readable, ended, writable, urgent, failed };
                heard.push(Heard::Event(peer, readiness));
            }
        } else if self.random.per_mille(live) {
            let (readable, writable) = (self.random.per_mille(500), self.random.per_mille(500));
            let readiness = Readiness { readable, writable, ..Readiness::default() };
            if readable {
                let link = &mut self.links[number];
                link.socket.told_readable |= link.has_news();
            }
            heard.push(Heard::Event(peer, readiness));
        }
    }

    fn shuffle(&mut self, heard: &mut [Heard]) {
        for last in (1..heard.len()).rev() {
            let other = self.random.between(0, last);
            heard.swap(last, other);
        }
    }

    /// The room that a client has for more in the server's buffer.
    pub(crate) fn room_in(&self, number: usize) -> usize {
        let link = &self.links[number];
        self.terms(number).room.0.saturating_sub(link.waiting())
    }

    /// The room that the server has for more on its way out.
    pub(crate) fn room_out(&self, number: usize) -> usize {
        let link = &self.links[number];
        self.terms(number).room.1.saturating_sub(link.written.len() - link.received)
    }

    /// What the listener of a link is like.
    pub(crate) fn terms(&self, number: usize) -> &Terms {
        &self.setup.listeners[self.links[number].listener]
    }

    /// What is known of it.
    pub(crate) fn model(&self, number: usize) -> &Model {
        &self.models[self.links[number].listener]
    }

    /// The connections for which the server holds a socket.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.is_live())
    }

    /// Those of one listener.
    pub(crate) fn live_at(&self, listener: usize) -> impl Iterator<Item = &Link> {
        self.live().filter(move |link| link.listener == listener)
    }

    /// Those of them that have not proved themselves.
    pub(crate) fn unauthenticated_at(&self, listener: usize) -> impl Iterator<Item = &Link> {
        self.live_at(listener).filter(|link| link.is_unauthenticated())
    }

    /// Whether a listener has room for one more.
    pub(crate) fn has_room(&self, listener: usize) -> bool {
        let limits = &self.setup.listeners[listener].limits;
        self.live_at(listener).count() < limits.connections
            && self.unauthenticated_at(listener).count() < limits.unauthenticated
    }

    /// Notes that a promise is broken. The first that is seen counts.
    pub(crate) fn fail(&mut self, link: Option<usize>, what: impl fmt::Display) {
        let who = link.map(|link| (link, self.links[link].script.kind));
        let at = self.now;
        self.say(format_args!("BROKEN {who:?}: {what}"));
        self.violation.get_or_insert_with(|| format!("at {at} ms, link {who:?}: {what}"));
    }

    /// Notes what happens.
    pub(crate) fn say(&mut self, what: impl fmt::Display) {
        self.trace = self.trace.wrapping_mul(31).wrapping_add(self.work + self.now);
        if self.aloud {
            println!("{:>6} ms, turn {:>4}: {what}", self.now, self.turn);
        }
    }
}
