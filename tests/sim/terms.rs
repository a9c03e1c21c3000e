//! On what terms one listener lets in: what a seed decides for each of them.

use std::time::Duration;

use countersign::config::ConfigBuilder;
use countersign::{
    Access, ClientConfig, Dialect, Exchange, Framing, Key, KeyRing, Limits, Networks, Protection,
    RingSecrets, ServerConfig,
};

use crate::balancer::TRUSTED;
use crate::faulty::InjectedFaults;
use crate::oracle::PAYLOAD_LEAST;
use crate::random::Random;

/// On what terms one listener lets in, and what its clients know of it.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) config: ServerConfig,
    /// What the clients that know a key sign with.
    pub(crate) signing: ClientConfig,
    /// The same for those who speak raw at a port that is shared.
    pub(crate) signing_raw: ClientConfig,
    /// What those sign with who have a key that is not on this listener's ring, though it may be on
    /// the next one's, or mean another service.
    pub(crate) stranger: ClientConfig,
    pub(crate) elsewhere: ClientConfig,
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
    /// The faults that it injects. Whom a limit that is passed costs their connection would not be
    /// known with them.
    pub(crate) injected: InjectedFaults,
    /// When others take their place.
    pub(crate) other_faults: Option<(u64, InjectedFaults)>,
}

impl Terms {
    pub(crate) fn draw(random: &mut Random, listener: usize, is_wide: bool) -> Self {
        let name = random.per_mille(500).then_some("here");
        let instance = [b'S' + u8::try_from(listener).unwrap(); 16];
        let (options, ring) = options(random, listener, instance);
        let config = options.build().unwrap();
        let is_countersign = config.dialect() == Dialect::Countersign;
        let name = name.filter(|_| is_countersign);
        let options =
            name.iter().fold(config.to_builder(), |options, name| options.with_audience(name));
        let is_rhel = config.dialect() == Dialect::Multiprocessing && random.per_mille(300);
        let options = if is_rhel { options.with_rhel() } else { options };
        let config = options.build().unwrap();
        let room = (random.pick(&ROOMS), random.pick(&ROOMS));
        let is_tight = random.per_mille(250);
        let proxies = networks(if random.per_mille(300) { TRUSTED } else { "" });
        let limits = limits(random, &config, room.0, (is_tight, is_wide));
        let limits = waiting(limits, &proxies);
        let id = id(random.pick(&["one", "two"]), listener);
        let id = if ring.key(&id).is_some() { id } else { self::id("one", listener) };
        let theirs = signing_protection(random, config.protection());
        let signing = |dialect| client_end(&config, &ring, dialect, theirs).with_key(&id);
        let is_faulty = !is_tight && random.per_mille(500);
        let mut faults =
            || if is_faulty { InjectedFaults::draw(random) } else { InjectedFaults::default() };
        let (injected, other) = (faults(), faults());
        let changes = is_faulty && random.per_mille(300);
        let elsewhere = signing(config.dialect());
        let elsewhere =
            if is_countersign { elsewhere.with_audience("elsewhere") } else { elsewhere };
        Self {
            signing: named(signing(config.dialect()), name),
            signing_raw: signing(Dialect::Raw).build().unwrap(),
            stranger: named(stranger(&config, theirs, listener), name),
            elsewhere: elsewhere.build().unwrap(),
            secret: secret(&id),
            is_rhel,
            instance,
            config,
            limits,
            access: access(random),
            other_access: random.per_mille(100).then(|| (random.millis(1, 300), access(random))),
            proxies,
            sockets: random.between(1, 2),
            room,
            is_tight,
            injected,
            other_faults: changes.then(|| (random.millis(1, 300), other)),
        }
    }

    /// Limits by which it might have opened, too.
    pub(crate) fn other_limits(&self, random: &mut Random, is_wide: bool) -> Limits {
        let limits = limits(random, &self.config, self.room.0, (self.is_tight, is_wide));
        let limits = waiting(limits, &self.proxies);
        // Often enough that an age limit goes, and one comes again.
        let age = random.per_mille(500).then(|| Duration::from_millis(random.millis(1, 900)));
        Limits { session_age_max: age, ..limits }
    }

    /// Whether records are sealed.
    pub(crate) fn is_sealed(&self) -> bool {
        self.config.protection() == Protection::Sealed
    }

    /// Whether a conversation of countersign/1 goes on in records.
    pub(crate) fn has_records(&self) -> bool {
        let both = [self.config.protection(), self.signing.protection()];
        self.config.dialect() == Dialect::Countersign && !both.contains(&Protection::Off)
    }

    pub(crate) fn client_dialect(&self, random: &mut Random) -> Dialect {
        let is_raw = self.config.shares_raw() && random.per_mille(400);
        if is_raw { Dialect::Raw } else { self.config.dialect() }
    }
}

const ROOMS: [usize; 6] = [40, 300, 2_000, 20_000, 70_000, 70_000];

fn options(
    random: &mut Random,
    listener: usize,
    instance: [u8; 16],
) -> (ConfigBuilder<ServerConfig>, KeyRing) {
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
    let framing = match dialect {
        Dialect::Multiprocessing => Framing::Length,
        _ if is_plain => Framing::Lines,
        _ => framing,
    };
    let options = ServerConfig::builder(dialect)
        .with_keys(ring.clone())
        .with_framing(framing)
        .with_exchange(random.pick(&exchanges))
        .with_message_max(random.pick(&[1, 30, 300, 300, 2_000, 20_000]));
    if dialect != Dialect::Countersign {
        return (options, ring);
    }
    let options = options.with_records(protection);
    (if random.per_mille(300) { options.with_raw() } else { options }, ring)
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
fn client_end(
    config: &ServerConfig,
    keys: &KeyRing,
    dialect: Dialect,
    protection: Protection,
) -> ConfigBuilder<ClientConfig> {
    let mut ring = KeyRing::new(RingSecrets::new([b'C'; 48]));
    keys.keys().for_each(|key| ring.add(key.clone()).unwrap());
    let options = ClientConfig::builder(dialect)
        .with_keys(ring)
        .with_framing(config.framing())
        .with_message_max(1 << 20);
    let protection = match config.framing() {
        Framing::Chunks if protection == Protection::Allowed => Protection::Required,
        _ => protection,
    };
    if dialect == Dialect::Countersign { options.with_records(protection) } else { options }
}

/// Who knows a key of the next listener's, if there is one.
fn stranger(
    config: &ServerConfig,
    protection: Protection,
    listener: usize,
) -> ConfigBuilder<ClientConfig> {
    let dialect = config.dialect();
    let key = key(&id("one", listener + 1), dialect);
    let ring = KeyRing::new(RingSecrets::new([b'N'; 48])).with(key).unwrap();
    let options = ClientConfig::builder(dialect).with_keys(ring).with_message_max(1 << 20);
    if dialect == Dialect::Countersign { options.with_records(protection) } else { options }
}

/// The service that the server is, if it has a name.
fn named(options: ConfigBuilder<ClientConfig>, name: Option<&str>) -> ClientConfig {
    name.into_iter().fold(options, |options, name| options.with_audience(name)).build().unwrap()
}

/// The list that is written like this, or none.
fn networks(list: &str) -> Networks {
    if list.is_empty() { Networks::new() } else { list.parse().unwrap() }
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
    Access { allow: networks(allow), deny: networks(deny) }
}

/// The limits of a listener with such balancers: what is put off for no time at all is over in the
/// turn that puts it off.
fn waiting(limits: Limits, proxies: &Networks) -> Limits {
    let least = Duration::from_millis(if proxies.is_empty() { 0 } else { 1 });
    Limits { failure_delay: limits.failure_delay.max(least), ..limits }
}

fn limits(
    random: &mut Random,
    config: &ServerConfig,
    room: usize,
    (is_tight, is_wide): (bool, bool),
) -> Limits {
    let mut wait = |low, high| Duration::from_millis(random.millis(low, high));
    // Often short, so that it can pass while many messages are answered.
    let idle_most = if wait(0, 2).is_zero() { 150 } else { 700 };
    // The handshake of multiprocessing goes to and fro three times.
    let longer = if config.dialect() == Dialect::Multiprocessing { 300 } else { 0 };
    let (handshake_timeout, idle_timeout) =
        (wait(150 + longer, 600 + longer), wait(120, idle_most));
    let (write_timeout, drain_timeout) = (wait(120, 700), wait(0, 400));
    let read_max = random.pick(&[16 << 10, 16 << 10, 4_000, 1_024, 300]);
    // As many rounds as a message takes through so little room, and each round can be slow. A batch
    // may be longer than a message.
    let is_packed = config.dialect() == Dialect::Countersign;
    let longest = config.message_max().max(if is_packed { PAYLOAD_LEAST } else { 0 });
    let rounds = u64::try_from(longest / room.min(read_max)).unwrap();
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
            64 if config.dialect() == Dialect::Countersign => 300,
            other => other,
        },
        read_max,
        batch_max: random.pick(&[16 << 10, 16 << 10, 4_000, 1_024, 1]),
        buffered_max: if is_tight { random.between(1, 40_000) } else { 64 << 20 },
        failure_burst: random.pick(&[0, 0, 0, 1, 3]),
        failure_limit: random.pick(&[0, 1, 2, 4, 8, u32::MAX]),
        failure_delay,
        failure_decay,
        failure_networks: if is_wide { 64 } else { random.pick(&[0, 1, 4, 4]) },
    }
}
