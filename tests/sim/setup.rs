//! All that a seed decides before the first millisecond.

use std::net::SocketAddr;
use std::time::Duration;

use countersign::{
    Access, Dialect, Exchange, Framing, Key, KeyRing, Limits, Networks, Protection, Protocol,
};

use crate::balancer::{self, BALANCERS, Prelude, TRUSTED};
use crate::failures::PLACES;
use crate::mutual::INSTANCE;
use crate::random::Random;
use crate::script::Script;

/// All that a seed decides before the first millisecond.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) protocol: Protocol,
    /// What the clients that know a key sign with.
    pub(crate) signing: Protocol,
    /// The same for those who speak raw at a port that is shared.
    pub(crate) signing_raw: Protocol,
    /// What those sign with who have a key that is on no ring of the server's, or mean another
    /// service.
    pub(crate) stranger: Protocol,
    pub(crate) elsewhere: Protocol,
    /// The secret of the key that clients sign with.
    pub(crate) secret: Vec<u8>,
    /// When that key is taken from the ring, and those who hold it are to go.
    pub(crate) revocation: Option<u64>,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    /// When another list takes the place of that one.
    pub(crate) other_access: Option<(u64, Access)>,
    /// The balancers by which everybody comes, if anybody does.
    pub(crate) proxies: Networks,
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
    pub(crate) address: SocketAddr,
    /// Where its socket comes from, which is a balancer's or its own.
    pub(crate) socket: SocketAddr,
    pub(crate) prelude: Prelude,
    pub(crate) script: Script,
    pub(crate) dialect: Dialect,
    pub(crate) nonce: [u8; 32],
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
        let name = random.chance(500).then_some("here");
        let protocol = named(protocol(random), name);
        let room = (random.pick(&ROOMS), random.pick(&ROOMS));
        let fatal = random.chance(500);
        let is_tight = random.chance(250);
        let mut limits = limits(random, &protocol, room.0, is_tight);
        let is_by_balancers = random.chance(300);
        if is_by_balancers {
            // What is put off for no time at all is over in the turn that puts it off.
            limits.failure_delay = limits.failure_delay.max(Duration::from_millis(1));
        }
        let listeners = random.between(1, 3);
        let balancers = if is_by_balancers { BALANCERS } else { 0 };
        let is_one_set = limits.failure_networks <= PLACES;
        let hosts = random.between(1, if is_one_set { 8 } else { PLACES - balancers });
        // Many prove wrongly, and so much later than others that the others have failed already.
        let is_siege = random.chance(300);
        let rush = if is_siege { random.pick(&[100, 1_500]) } else { random.pick(&[0, 20, 300]) };
        let count = random.pick(&[1, 4, 8, 12, 12, 30]);
        let id = random.pick(&["one", "two"]);
        let id = if protocol.keys().key(id).is_some() { id } else { "one" };
        let theirs = signing_protection(random, protocol.protection());
        let signing = |dialect| client_end(&protocol, dialect, theirs).with_key(id);
        let elsewhere = signing(protocol.dialect());
        let mut setup = Self {
            signing: named(signing(protocol.dialect()), name),
            signing_raw: signing(Dialect::Raw),
            stranger: named(stranger(&protocol, theirs), name),
            elsewhere: elsewhere.with_audience("elsewhere"),
            secret: secret(id),
            revocation: random.chance(100).then(|| random.millis(20, 400)),
            protocol,
            limits,
            access: access(random),
            other_access: random.chance(100).then(|| (random.millis(1, 300), access(random))),
            proxies: if is_by_balancers { TRUSTED } else { "" }.parse().unwrap(),
            listeners,
            faults: Faults::draw(random),
            room,
            clients: Vec::new(),
            stop: Stop::Quiet,
            is_tight,
        };
        for number in 0..random.between(1, count) {
            let client = setup.client(random, number, (hosts, rush), (fatal, is_siege));
            setup.clients.push(client);
        }
        let stop = match random.number() % 4 {
            0 => Stop::Drain(random.millis(0, 400)),
            1 if random.chance(200) => Stop::Halt(random.millis(0, 300)),
            _ => Stop::Quiet,
        };
        setup.stop = stop;
        setup
    }

    fn client(
        &self,
        random: &mut Random,
        number: usize,
        (hosts, rush): (usize, u64),
        (fatal, is_siege): (bool, bool),
    ) -> Client {
        let dialect = self.client_dialect(random);
        let is_guarded = dialect == Dialect::Countersign && self.is_guarded();
        let manner = (!is_guarded).then(|| self.protocol.framing());
        let mut nonce = [0; 32];
        random.fill(&mut nonce);
        let (at, listener) = (random.millis(0, rush), random.between(0, self.listeners - 1));
        // The port tells the links apart, wherever an address is all that is known.
        let port = 1_000 + u16::try_from(number).unwrap();
        let host = u8::try_from(random.between(1, hosts)).unwrap();
        let mut address = SocketAddr::from(([10, 0, 0, host], port));
        let spoken = (&self.protocol, dialect, manner);
        let script = Script::draw(random, spoken, self.room, fatal, is_siege);
        let (mut socket, mut prelude) = (address, Prelude::none());
        if !self.proxies.is_empty() {
            socket = SocketAddr::new(balancer::host(random, script.is_honest()), port);
            prelude = Prelude::draw(random, address, script.is_honest(), self.room.0);
            address = if prelude.is_named { address } else { socket };
        }
        Client { at, listener, address, socket, prelude, script, dialect, nonce }
    }

    /// Whether a conversation of countersign/1 goes on in records.
    pub(crate) fn is_guarded(&self) -> bool {
        let both = [self.protocol.protection(), self.signing.protection()];
        self.protocol.dialect() == Dialect::Countersign && !both.contains(&Protection::Off)
    }

    fn client_dialect(&self, random: &mut Random) -> Dialect {
        let is_raw = self.protocol.shares_raw() && random.chance(400);
        if is_raw { Dialect::Raw } else { self.protocol.dialect() }
    }
}

/// Who may connect: mostly everybody.
fn access(random: &mut Random) -> Access {
    if random.chance(800) {
        return Access::default();
    }
    let (allow, deny) = random.pick(&[
        ("", "10.0.0.1"),
        ("", "10.0.0.0/30,10.1.0.2"),
        ("10.0.0.0/24", "10.0.0.3"),
        ("10.0.0.2/31,10.0.0.4/30,10.1.0.0/16", ""),
    ]);
    Access { allow: allow.parse().unwrap(), deny: deny.parse().unwrap() }
}

const ROOMS: [usize; 6] = [40, 300, 2_000, 20_000, 70_000, 70_000];

fn protocol(random: &mut Random) -> Protocol {
    let dialect = random.pick(&[
        Dialect::Raw,
        Dialect::Hex,
        Dialect::Open,
        Dialect::Countersign,
        Dialect::Countersign,
        Dialect::Countersign,
    ]);
    let mut ring = KeyRing::new();
    for id in ["one", "two", "three"].into_iter().take(random.between(1, 3)) {
        ring.add(key(id)).unwrap();
    }
    let mut seed = [0; 48];
    random.fill(&mut seed);
    seed[..16].copy_from_slice(&INSTANCE);
    ring.seed(seed);
    let exchanges = [Exchange::Many, Exchange::Many, Exchange::Once, Exchange::VerifyOnly];
    let protection = match dialect {
        Dialect::Countersign => random.pick(&[
            Protection::Required,
            Protection::Required,
            Protection::Allowed,
            Protection::Off,
        ]),
        _ => Protection::Required,
    };
    let framing = random.pick(&Framing::ALL);
    let is_plain = protection != Protection::Required && framing == Framing::Chunks;
    let protocol = Protocol::new(dialect, ring)
        .with_framing(if is_plain { Framing::Lines } else { framing })
        .with_exchange(random.pick(&exchanges))
        .with_message_max(random.pick(&[1, 30, 300, 300, 2_000, 20_000]))
        .with_protection(protection);
    if dialect == Dialect::Countersign && random.chance(300) {
        protocol.with_raw()
    } else {
        protocol
    }
}

fn secret(id: &str) -> Vec<u8> {
    format!("the secret of {id}").into_bytes()
}

fn key(id: &str) -> Key {
    let key = Key::new(id, &secret(id)).unwrap();
    [Dialect::Countersign, Dialect::Raw, Dialect::Hex].into_iter().fold(key, Key::with_dialect)
}

/// What clients ask for, so that both agree.
fn signing_protection(random: &mut Random, ours: Protection) -> Protection {
    use Protection::{Allowed, Off, Required};
    match ours {
        Required => random.pick(&[Required, Allowed]),
        Allowed => random.pick(&[Required, Allowed, Off]),
        Off => random.pick(&[Off, Allowed]),
    }
}

/// The clients' end: the same keys on a ring of their own. They take replies of any length.
fn client_end(protocol: &Protocol, dialect: Dialect, protection: Protection) -> Protocol {
    let mut ring = KeyRing::new();
    protocol.keys().keys().for_each(|key| ring.add(key.clone()).unwrap());
    ring.seed([b'C'; 48]);
    Protocol::new(dialect, ring)
        .with_framing(protocol.framing())
        .with_message_max(1 << 20)
        .with_protection(protection)
}

fn stranger(protocol: &Protocol, protection: Protection) -> Protocol {
    let ring = KeyRing::from(key("nobody"));
    ring.seed([b'N'; 48]);
    Protocol::new(protocol.dialect(), ring).with_message_max(1 << 20).with_protection(protection)
}

/// The service that the server is, if it has a name.
fn named(protocol: Protocol, name: Option<&str>) -> Protocol {
    name.map_or(protocol.clone(), |name| protocol.with_audience(name))
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
        // What frames three records is longer than the shortest.
        reply_max: match random.pick(&[64, 300, 3_000, 30_000]) {
            64 if protocol.dialect() == Dialect::Countersign => 300,
            other => other,
        },
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
