//! On what terms one listener lets in: what a seed decides for each of them.

use std::time::Duration;

use countersign::{
    Access, Dialect, Exchange, Framing, Key, KeyRing, Limits, Networks, Protection, Protocol,
    RingSecrets,
};

use crate::balancer::TRUSTED;
use crate::random::Random;

/// On what terms one listener lets in, and what its clients know of it.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) protocol: Protocol,
    /// What the clients that know a key sign with.
    pub(crate) signing: Protocol,
    /// The same for those who speak raw at a port that is shared.
    pub(crate) signing_raw: Protocol,
    /// What those sign with who have a key that is not on this listener's ring, though it may be on
    /// the next one's, or mean another service.
    pub(crate) stranger: Protocol,
    pub(crate) elsewhere: Protocol,
    /// The secret of the key that clients sign with.
    pub(crate) secret: Vec<u8>,
    /// In multiprocessing, Pythons of Red Hat's are served too.
    pub(crate) is_rhel: bool,
    /// The instance of the listener's ring.
    pub(crate) instance: [u8; 16],
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    /// When another list takes the place of that one.
    pub(crate) other_access: Option<(u64, Access)>,
    /// The balancers by which everybody comes, if anybody does.
    pub(crate) proxies: Networks,
    /// The sockets that listen for it.
    pub(crate) sockets: usize,
    /// The room in the buffers of each connection: for what comes in, and for what goes out.
    pub(crate) room: (usize, usize),
    /// The limit on what is held together is low enough to be passed.
    pub(crate) is_tight: bool,
}

impl Terms {
    pub(crate) fn draw(random: &mut Random, listener: usize, is_wide: bool) -> Self {
        let name = random.per_mille(500).then_some("here");
        let instance = [b'S' + u8::try_from(listener).unwrap(); 16];
        let protocol = named(protocol(random, listener, instance), name);
        let is_rhel = protocol.dialect() == Dialect::Multiprocessing && random.per_mille(300);
        let protocol = if is_rhel { protocol.with_rhel() } else { protocol };
        let room = (random.pick(&ROOMS), random.pick(&ROOMS));
        let is_tight = random.per_mille(250);
        let proxies: Networks = if random.per_mille(300) { TRUSTED } else { "" }.parse().unwrap();
        let limits = limits(random, &protocol, room.0, (is_tight, is_wide));
        let limits = waiting(limits, &proxies);
        let id = id(random.pick(&["one", "two"]), listener);
        let id = if protocol.keys().is_some_and(|keys| keys.key(&id).is_some()) {
            id
        } else {
            self::id("one", listener)
        };
        let theirs = signing_protection(random, protocol.protection());
        let signing = |dialect| client_end(&protocol, dialect, theirs).with_key(&id);
        let elsewhere = signing(protocol.dialect());
        Self {
            signing: named(signing(protocol.dialect()), name),
            signing_raw: signing(Dialect::Raw),
            stranger: named(stranger(&protocol, theirs, listener), name),
            elsewhere: elsewhere.with_audience("elsewhere"),
            secret: secret(&id),
            is_rhel,
            instance,
            protocol,
            limits,
            access: access(random),
            other_access: random.per_mille(100).then(|| (random.millis(1, 300), access(random))),
            proxies,
            sockets: random.between(1, 2),
            room,
            is_tight,
        }
    }

    /// Limits by which it might have opened, too.
    pub(crate) fn other_limits(&self, random: &mut Random, is_wide: bool) -> Limits {
        let limits = limits(random, &self.protocol, self.room.0, (self.is_tight, is_wide));
        let limits = waiting(limits, &self.proxies);
        // Often enough that an age limit goes, and one comes again.
        let age = random.per_mille(500).then(|| Duration::from_millis(random.millis(1, 900)));
        Limits { session_age_max: age, ..limits }
    }

    /// Whether records are sealed.
    pub(crate) fn is_sealed(&self) -> bool {
        self.protocol.protection() == Protection::Sealed
    }

    /// Whether a conversation of countersign/1 goes on in records.
    pub(crate) fn has_records(&self) -> bool {
        let both = [self.protocol.protection(), self.signing.protection()];
        self.protocol.dialect() == Dialect::Countersign && !both.contains(&Protection::Off)
    }

    pub(crate) fn client_dialect(&self, random: &mut Random) -> Dialect {
        let is_raw = self.protocol.shares_raw() && random.per_mille(400);
        if is_raw { Dialect::Raw } else { self.protocol.dialect() }
    }
}

const ROOMS: [usize; 6] = [40, 300, 2_000, 20_000, 70_000, 70_000];

fn protocol(random: &mut Random, listener: usize, instance: [u8; 16]) -> Protocol {
    let dialect = random.pick(&[
        Dialect::Raw,
        Dialect::Hex,
        Dialect::Open,
        Dialect::Multiprocessing,
        Dialect::Multiprocessing,
        Dialect::Countersign,
        Dialect::Countersign,
        Dialect::Countersign,
    ]);
    let mut secrets = [0; 48];
    random.fill(&mut secrets);
    secrets[..16].copy_from_slice(&instance);
    let mut ring = KeyRing::new(RingSecrets::new(secrets));
    for name in ["one", "two", "three"].into_iter().take(random.between(1, 3)) {
        ring.add(key(&id(name, listener), dialect)).unwrap();
    }
    let exchanges = [Exchange::Many, Exchange::Many, Exchange::Once, Exchange::VerifyOnly];
    let protection = match dialect {
        Dialect::Countersign => random.pick(&[
            Protection::Sealed,
            Protection::Required,
            Protection::Required,
            Protection::Allowed,
            Protection::Off,
        ]),
        _ => Protection::Required,
    };
    let framing = random.pick(Framing::ALL);
    let is_plain =
        matches!(protection, Protection::Allowed | Protection::Off) && framing == Framing::Chunks;
    let protocol = Protocol::new(dialect, ring)
        .with_framing(if is_plain { Framing::Lines } else { framing })
        .with_exchange(random.pick(&exchanges))
        .with_message_max(random.pick(&[1, 30, 300, 300, 2_000, 20_000]))
        .with_protection(protection);
    if dialect == Dialect::Countersign && random.per_mille(300) {
        protocol.with_raw()
    } else {
        protocol
    }
}

/// Each listener has keys of its own.
fn id(name: &str, listener: usize) -> String {
    format!("{name}-{listener}")
}

fn secret(id: &str) -> Vec<u8> {
    format!("the secret of {id}").into_bytes()
}

/// A key for a listener of this dialect, and for others that may share it.
fn key(id: &str, dialect: Dialect) -> Key {
    let key = Key::new(id, &secret(id)).unwrap();
    let dialects: &[Dialect] = match dialect {
        Dialect::Multiprocessing => &[Dialect::Multiprocessing],
        _ => &[Dialect::Countersign, Dialect::Raw, Dialect::Hex],
    };
    dialects.iter().copied().fold(key, Key::with_dialect)
}

/// What clients ask for, so that both agree.
fn signing_protection(random: &mut Random, ours: Protection) -> Protection {
    use Protection::{Allowed, Off, Required, Sealed};
    match ours {
        Sealed => Sealed,
        Required => random.pick(&[Required, Allowed]),
        Allowed => random.pick(&[Required, Allowed, Off]),
        _ => random.pick(&[Off, Allowed]),
    }
}

/// The clients' end: the same keys on a ring of their own. They take replies of any length.
fn client_end(protocol: &Protocol, dialect: Dialect, protection: Protection) -> Protocol {
    let mut ring = KeyRing::new(RingSecrets::new([b'C'; 48]));
    protocol.keys().unwrap().keys().for_each(|key| ring.add(key.clone()).unwrap());
    Protocol::new(dialect, ring)
        .with_framing(protocol.framing())
        .with_message_max(1 << 20)
        .with_protection(protection)
}

/// Who knows a key of the next listener's, if there is one.
fn stranger(protocol: &Protocol, protection: Protection, listener: usize) -> Protocol {
    let key = key(&id("one", listener + 1), protocol.dialect());
    let ring = KeyRing::new(RingSecrets::new([b'N'; 48])).with(key).unwrap();
    Protocol::new(protocol.dialect(), ring).with_message_max(1 << 20).with_protection(protection)
}

/// The service that the server is, if it has a name.
fn named(protocol: Protocol, name: Option<&str>) -> Protocol {
    name.map_or(protocol.clone(), |name| protocol.with_audience(name))
}

/// Who may connect: mostly everybody.
fn access(random: &mut Random) -> Access {
    if random.per_mille(800) {
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

/// The limits of a listener with such balancers: what is put off for no time at all is over in the
/// turn that puts it off.
fn waiting(limits: Limits, proxies: &Networks) -> Limits {
    let least = Duration::from_millis(if proxies.is_empty() { 0 } else { 1 });
    Limits { failure_delay: limits.failure_delay.max(least), ..limits }
}

fn limits(
    random: &mut Random,
    protocol: &Protocol,
    room: usize,
    (is_tight, is_wide): (bool, bool),
) -> Limits {
    let mut wait = |low, high| Duration::from_millis(random.millis(low, high));
    // Often short, so that it can pass while many messages are answered.
    let idle_most = if wait(0, 2).is_zero() { 150 } else { 700 };
    // The handshake of multiprocessing goes to and fro three times.
    let longer = if protocol.dialect() == Dialect::Multiprocessing { 300 } else { 0 };
    let (handshake_timeout, idle_timeout) =
        (wait(150 + longer, 600 + longer), wait(120, idle_most));
    let (write_timeout, drain_timeout) = (wait(120, 700), wait(0, 400));
    // As many rounds as a message takes through so little room, and each round can be slow.
    let rounds = u64::try_from(protocol.message_max() / room).unwrap();
    let message_timeout = Duration::from_millis(random.millis(150, 600) + 50 * rounds);
    let age = random.per_mille(200).then(|| random.millis(1, 900));
    let connections = random.pick(&[1, 2, 5, 12, 40, 40]);
    let unauthenticated = random.between(1, connections);
    let failure_delay = Duration::from_millis(random.millis(0, 250));
    let failure_decay = Duration::from_millis(random.pick(&[0, 20, 100, 500, 5_000, 5_000]));
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
        buffered_max: if is_tight { random.between(1, 40_000) } else { 64 << 20 },
        failure_burst: random.pick(&[0, 0, 0, 1, 3]),
        failure_limit: random.pick(&[0, 1, 2, 4, 8, u32::MAX]),
        failure_delay,
        failure_decay,
        failure_networks: if is_wide { 64 } else { random.pick(&[0, 1, 4, 4]) },
    }
}
