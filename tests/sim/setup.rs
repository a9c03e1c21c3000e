//! All that a seed decides before the first millisecond.

use std::time::Duration;

use countersign::{Dialect, Exchange, Framing, Key, KeyRing, Limits, Protocol};

use crate::failures::PLACES;
use crate::random::Random;
use crate::script::Script;

/// All that a seed decides before the first millisecond.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) protocol: Protocol,
    /// What the clients that know a key sign with.
    pub(crate) signing: Protocol,
    pub(crate) limits: Limits,
    pub(crate) listeners: usize,
    pub(crate) faults: Faults,
    /// The room in each socket's buffers: for what comes in, and for what goes out.
    pub(crate) room: (usize, usize),
    pub(crate) clients: Vec<Client>,
    pub(crate) stop: Stop,
    /// The limit on what is held together is low enough to be passed.
    pub(crate) is_tight: bool,
}

/// One client: when and where it comes, and what it does.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) at: u64,
    pub(crate) listener: usize,
    pub(crate) host: u8,
    pub(crate) script: Script,
}

/// How often things go wrong, in a thousand, and how late they come, in milliseconds.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) accept: u64,
    pub(crate) watch: u64,
    pub(crate) random: u64,
    pub(crate) interrupt: u64,
    /// The client has its step in the middle of our read or write.
    pub(crate) overtake: u64,
    pub(crate) spurious: u64,
    pub(crate) stale: u64,
    pub(crate) duplicate: u64,
    pub(crate) gone: u64,
    pub(crate) event_delay: u64,
    pub(crate) turn_length: u64,
    /// The host speaks to a peer of its own accord.
    pub(crate) tell: u64,
    pub(crate) descriptors: usize,
}

/// When the server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// When nothing is left to do.
    Quiet,
    Drain(u64),
    Halt(u64),
}

impl Setup {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let protocol = protocol(random);
        let room = (random.pick(&ROOMS), random.pick(&ROOMS));
        let fatal = random.chance(500);
        let is_tight = random.chance(250);
        let limits = limits(random, &protocol, room.0, is_tight);
        let listeners = random.between(1, 3);
        let hosts = random.between(1, if limits.failure_networks > PLACES { PLACES } else { 8 });
        // Many prove wrongly, and so much later than others that the others have failed already.
        let is_siege = random.chance(300);
        let rush = if is_siege { random.pick(&[100, 1_500]) } else { random.pick(&[0, 20, 300]) };
        let count = random.pick(&[1, 4, 8, 12, 12, 30]);
        let clients = (0..random.between(1, count))
            .map(|_| Client {
                at: random.millis(0, rush),
                listener: random.between(0, listeners - 1),
                host: u8::try_from(random.between(1, hosts)).unwrap(),
                script: Script::draw(random, &protocol, room, fatal, is_siege),
            })
            .collect();
        let signing = match random.pick(&["one", "two"]) {
            id if protocol.keys().key(id).is_some() => protocol.clone().with_key(id),
            _ => protocol.clone(),
        };
        let stop = match random.number() % 4 {
            0 => Stop::Drain(random.millis(0, 400)),
            1 if random.chance(200) => Stop::Halt(random.millis(0, 300)),
            _ => Stop::Quiet,
        };
        let faults = Faults::draw(random);
        Self { protocol, signing, limits, listeners, faults, room, clients, stop, is_tight }
    }
}

const ROOMS: [usize; 6] = [40, 300, 2_000, 20_000, 70_000, 70_000];

fn protocol(random: &mut Random) -> Protocol {
    let dialect = random.pick(&[Dialect::Raw, Dialect::Hex, Dialect::Open]);
    let mut ring = KeyRing::new();
    for id in ["one", "two", "three"].into_iter().take(random.between(1, 3)) {
        let key = Key::new(id, format!("the secret of {id}").as_bytes()).unwrap();
        ring.add(key.with_dialect(Dialect::Raw).with_dialect(Dialect::Hex)).unwrap();
    }
    let exchanges = [Exchange::Many, Exchange::Many, Exchange::Once, Exchange::VerifyOnly];
    Protocol::new(dialect, ring)
        .with_framing(random.pick(&Framing::ALL))
        .with_exchange(random.pick(&exchanges))
        .with_message_max(random.pick(&[1, 30, 300, 300, 2_000, 20_000]))
}

fn limits(random: &mut Random, protocol: &Protocol, room: usize, is_tight: bool) -> Limits {
    let mut wait = |low, high| Duration::from_millis(random.millis(low, high));
    // Often short, so that it can pass while many messages are answered.
    let idle_most = if wait(0, 2).is_zero() { 150 } else { 700 };
    let (handshake_timeout, idle_timeout) = (wait(150, 600), wait(120, idle_most));
    let (write_timeout, drain_timeout) = (wait(120, 700), wait(0, 400));
    // As many rounds as a message takes through so little room, and each round can be slow.
    let rounds = u64::try_from(protocol.message_max() / room).unwrap();
    let message_timeout = Duration::from_millis(random.millis(150, 600) + 50 * rounds);
    let age = random.chance(200).then(|| random.millis(1, 900));
    let connections = random.pick(&[1, 2, 5, 12, 40, 40]);
    let unauthenticated = random.between(1, connections);
    let failure_delay = Duration::from_millis(random.millis(0, 250));
    let failure_forgiven = Duration::from_millis(random.pick(&[0, 20, 100, 500, 5_000, 5_000]));
    Limits {
        session_age_max: age.map(Duration::from_millis),
        connections,
        unauthenticated,
        unauthenticated_per_address: random.between(1, unauthenticated),
        handshake_timeout,
        idle_timeout,
        message_timeout,
        write_timeout,
        drain_timeout,
        reply_max: random.pick(&[64, 300, 3_000, 30_000]),
        held_max: if is_tight { random.between(1, 40_000) } else { 64 << 20 },
        failures_free: random.pick(&[0, 0, 0, 1, 3]),
        failures_max: random.pick(&[0, 1, 2, 4, 8, u32::MAX]),
        failure_delay,
        failure_forgiven,
        failure_networks: random.pick(&[0, 1, 4, 4, 64, 64]),
    }
}

impl Faults {
    /// Each fault is absent in every other seed, so that no fault always hides behind another.
    fn draw(random: &mut Random) -> Self {
        let mut often = |most: u64| if random.chance(500) { random.millis(1, most) } else { 0 };
        let (accept, watch, failing) = (often(300), often(100), often(100));
        let (interrupt, overtake, spurious) = (often(300), often(200), often(300));
        let (stale, duplicate, gone, tell) = (often(500), often(200), often(10), often(200));
        let (event_delay, turn_length) = (often(10), often(20));
        let descriptors = if random.chance(200) { random.between(1, 6) } else { usize::MAX };
        let gone = if random.chance(100) { gone } else { 0 };
        Self {
            accept,
            watch,
            random: failing,
            interrupt,
            overtake,
            spurious,
            stale,
            duplicate,
            gone,
            event_delay,
            turn_length,
            tell,
            descriptors,
        }
    }
}
