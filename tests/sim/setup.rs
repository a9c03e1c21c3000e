//! All that a seed decides before the first millisecond.

use std::net::SocketAddr;

use countersign::{Dialect, Limits};

use crate::balancer::{self, BALANCERS, ProxyHeader};
use crate::failures::PLACES;
use crate::random::Random;
use crate::script::Script;
use crate::terms::Terms;

/// All that a seed decides before the first millisecond.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) listeners: Vec<Terms>,
    /// When a listener's keys are no longer valid, and those who hold them are to go.
    pub(crate) revocation: Option<Revocation>,
    /// The limits that a listener gets later, one after the other.
    pub(crate) changes: Vec<Change>,
    pub(crate) faults: Faults,
    pub(crate) clients: Vec<Client>,
    pub(crate) stop: Stop,
    /// What the faults that listeners inject are drawn from.
    pub(crate) fault_seed: u64,
}

/// The end of a listener's keys, and when it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revocation {
    pub(crate) at: u64,
    pub(crate) listener: usize,
    /// They run out by themselves, and nobody says so. Otherwise they are taken from the ring.
    pub(crate) by_date: bool,
}

/// Other limits for a listener, and when it gets them.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) at: u64,
    pub(crate) listener: usize,
    pub(crate) limits: Limits,
}

/// One client: when and where it comes, and what it does.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) at: u64,
    /// The socket that it calls at, and that socket's listener.
    pub(crate) listen_socket: usize,
    pub(crate) listener: usize,
    pub(crate) address: SocketAddr,
    /// Where its socket comes from, which is a balancer's or its own.
    pub(crate) from: SocketAddr,
    pub(crate) proxy_header: ProxyHeader,
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
    /// What a client sends ends with an urgent byte.
    pub(crate) urgent: u64,
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
    AtOnce(u64),
}

impl Setup {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let listeners = random.pick(&[1, 1, 1, 2, 2, 3]);
        // Where a table has more than one set, hosts are so few that each has a place in any.
        let is_wide = random.per_mille(330);
        let listeners: Vec<Terms> =
            (0..listeners).map(|listener| Terms::draw(random, listener, is_wide)).collect();
        let sockets: Vec<usize> = (0..)
            .zip(&listeners)
            .flat_map(|(listener, terms)| vec![listener; terms.sockets])
            .collect();
        let fatal = random.per_mille(500);
        // Many prove wrongly, and so much later than others that the others have failed already.
        let is_siege = random.per_mille(300);
        let is_by_balancers = listeners.iter().any(|terms| !terms.proxies.is_empty());
        let hosts = match (is_wide, is_siege) {
            (true, _) if is_by_balancers => random.between(1, PLACES - BALANCERS),
            (true, _) => random.between(1, PLACES),
            (false, true) => random.pick(&[1, 8]),
            (false, false) => random.between(1, 8),
        };
        let rush = if is_siege { random.pick(&[100, 1_500]) } else { random.pick(&[0, 20, 300]) };
        let count = random.pick(&[1, 4, 8, 12, 12, 30]);
        let revoked = random.between(0, listeners.len() - 1);
        let mut setup = Self {
            revocation: random.per_mille(100).then(|| Revocation {
                at: random.millis(20, 400),
                listener: revoked,
                by_date: random.per_mille(500),
            }),
            changes: changes(random, &listeners, is_wide),
            listeners,
            faults: Faults::draw(random),
            clients: Vec::new(),
            stop: Stop::Quiet,
            fault_seed: random.number(),
        };
        for number in 0..random.between(1, count) {
            let listen_socket = random.between(0, sockets.len() - 1);
            let place = (listen_socket, sockets[listen_socket]);
            let client = setup.client(random, (number, place), (hosts, rush), (fatal, is_siege));
            setup.clients.push(client);
        }
        let stop = match random.number() % 4 {
            0 => Stop::Drain(random.millis(0, 400)),
            1 if random.per_mille(200) => Stop::AtOnce(random.millis(0, 300)),
            _ => Stop::Quiet,
        };
        setup.stop = stop;
        setup
    }

    fn client(
        &self,
        random: &mut Random,
        (number, (listen_socket, listener)): (usize, (usize, usize)),
        (hosts, rush): (usize, u64),
        (fatal, is_siege): (bool, bool),
    ) -> Client {
        let terms = &self.listeners[listener];
        let dialect = terms.client_dialect(random);
        let has_records = dialect == Dialect::Countersign && terms.has_records();
        let framing = (!has_records).then(|| terms.config.framing());
        let mut nonce = [0; 32];
        random.fill(&mut nonce);
        let at = random.millis(0, rush);
        // The port tells the links apart, wherever an address is all that is known.
        let port = 1_000 + u16::try_from(number).unwrap();
        let host = u8::try_from(random.between(1, hosts)).unwrap();
        let mut address = SocketAddr::from(([10, 0, 0, host], port));
        let spoken = (&terms.config, dialect, framing);
        let script = Script::draw(random, spoken, terms.room, fatal, is_siege);
        let (mut from, mut proxy_header) = (address, ProxyHeader::none());
        if !terms.proxies.is_empty() {
            from = SocketAddr::new(balancer::host(random, script.is_honest()), port);
            proxy_header = ProxyHeader::draw(random, address, script.is_honest(), terms.room.0);
            address = if proxy_header.is_named { address } else { from };
        }
        Client { at, listen_socket, listener, address, from, proxy_header, script, dialect, nonce }
    }
}

fn changes(random: &mut Random, listeners: &[Terms], is_wide: bool) -> Vec<Change> {
    let count = random.pick(&[0, 0, 0, 1, 2, 3]);
    let listener = random.between(0, listeners.len() - 1);
    let mut change = || {
        let limits = listeners[listener].other_limits(random, is_wide);
        Change { at: random.millis(0, 500), listener, limits }
    };
    (0..count).map(|_| change()).collect()
}

impl Faults {
    /// Each fault is absent in every other seed, so that no fault always hides behind another.
    fn draw(random: &mut Random) -> Self {
        let mut often = |most: u64| if random.per_mille(500) { random.millis(1, most) } else { 0 };
        let (accept, watch, failing) = (often(300), often(100), often(100));
        let (interrupt, overtake, spurious) = (often(300), often(200), often(300));
        let (stale, duplicate, gone, tell) = (often(500), often(200), often(10), often(200));
        let urgent = often(300);
        let (event_delay, turn_length) = (often(10), often(20));
        let descriptors = if random.per_mille(200) { random.between(1, 6) } else { usize::MAX };
        let gone = if random.per_mille(100) { gone } else { 0 };
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
            urgent,
            event_delay,
            turn_length,
            tell,
            descriptors,
        }
    }
}
