//! One connection, seen from above: what either end has said, how much of it the other has got,
//! and what the server owes it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use countersign::{CloseReason, Dialect, PeerId};

use crate::balancer::ProxyHeader;
use crate::excuses::Excuse;
use crate::failures::Admission;
use crate::multiprocessing::Python;
use crate::mutual::{Mutual, is_mutual};
use crate::oracle::{Ending, Oracle};
use crate::script::Script;
use crate::setup::{Client, Setup};

/// The bytes of a challenge.
pub(crate) const CHALLENGE: usize = 32;

/// One connection, from the client's call until both have forgotten it.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where the client comes from, whoever brings it.
    pub(crate) address: SocketAddr,
    /// Where its socket comes from.
    pub(crate) from: SocketAddr,
    /// It comes by a balancer.
    pub(crate) is_proxied: bool,
    /// What comes before all that it says, and how much of that lies or lay in the server's buffer,
    /// and was read.
    pub(crate) proxy_header: ProxyHeader,
    pub(crate) proxy_header_arrived: usize,
    pub(crate) proxy_header_read: usize,
    /// The socket that it calls at, and that socket's listener.
    pub(crate) listen_socket: usize,
    pub(crate) listener: usize,
    pub(crate) script: Script,
    pub(crate) dialect: Dialect,
    /// What countersign/1 adds.
    pub(crate) mutual: Option<Mutual>,
    /// What multiprocessing adds.
    pub(crate) python: Option<Python>,
    /// What the client says: the proof and the stream, once they are known.
    pub(crate) said: Vec<u8>,
    pub(crate) is_composed: bool,
    /// How much of it lies or lay in the server's buffer.
    pub(crate) arrived: usize,
    /// How much of it the server has read.
    pub(crate) read: usize,
    /// The byte of it that was sent as urgent last: a read stops before it, unless it begins there.
    pub(crate) urgent: Option<usize>,
    /// What the server has written.
    pub(crate) written: Vec<u8>,
    /// How much of it the client has read.
    pub(crate) received: usize,
    /// The client's stream has ended, and the server was told so by a read of nothing.
    pub(crate) ended: bool,
    pub(crate) end_read: bool,
    /// The client has reset the connection.
    pub(crate) reset: bool,
    /// The client has closed its socket: what is written to it resets the connection.
    pub(crate) hung_up: bool,
    /// The server's end reset the connection: what was on its way is void.
    pub(crate) lost: bool,
    /// The client takes no more steps.
    pub(crate) done: bool,
    /// The service's and the server's account.
    pub(crate) account: Account,
    /// What the server's socket is like.
    pub(crate) socket: Socket,
    /// Its listener injects faults, now or later, so replies may be kept before they are sent.
    pub(crate) is_faulty: bool,
}

/// The server's end.
#[derive(Debug, Default)]
pub(crate) struct Socket {
    pub(crate) peer: Option<PeerId>,
    pub(crate) accepted: Option<u64>,
    /// When it was known where it comes from.
    pub(crate) located: Option<u64>,
    /// It may not connect from where it comes.
    pub(crate) is_denied: bool,
    /// How its host had deserved that it was received when it was located.
    pub(crate) admission: Admission,
    /// It was accepted or located, and the engine may still turn it away.
    pub(crate) in_admission: bool,
    pub(crate) turned_away: bool,
    /// When its handshake began: with the greeting, or behind a balancer with the accept.
    pub(crate) begun: Option<u64>,
    pub(crate) shut: Option<u64>,
    pub(crate) dropped: Option<u64>,
    /// Since when a write has found no room.
    pub(crate) blocked: Option<u64>,
    /// How much was written when what is due got blocked, until all of it is written.
    pub(crate) unsent_from: Option<usize>,
    /// The engine was told of something to read, and hasn't read all of it since.
    pub(crate) told_readable: bool,
    /// The engine was told that the stream has ended.
    pub(crate) told_ended: bool,
    /// The engine was told of urgent data, and hasn't tried to read in vain since.
    pub(crate) told_urgent: bool,
    /// The engine was told of room, and hasn't written since.
    pub(crate) told_writable: bool,
    /// How far the stream had come when the engine was told of it last.
    pub(crate) told: usize,
    /// Limits that were lowered have left it less time than it knows.
    pub(crate) is_cut_short: bool,
    /// Why it need not be served, if it was dropped before it was let in.
    pub(crate) excuse: Option<Excuse>,
}

/// What is known of a connection's dealings with the service.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) oracle: Oracle,
    /// Everything that the server has to write, in order.
    pub(crate) due: Vec<u8>,
    /// The records that it must write behind that, with their types: how it packs messages doesn't
    /// show before it does.
    pub(crate) owed: VecDeque<(u8, Vec<u8>)>,
    /// The bytes of a batch at the end of what is due, of which too few show to know the rest.
    pub(crate) cut_batch: usize,
    pub(crate) opened: Option<u64>,
    pub(crate) closed: Option<(u64, CloseReason)>,
    /// How the service has decided that the connection ends.
    pub(crate) fate: Option<CloseReason>,
    /// The messages that the service was given.
    pub(crate) count: usize,
    pub(crate) last_read: u64,
    pub(crate) last_message: u64,
    pub(crate) last_write: u64,
    /// Since when a message has lain there in part.
    pub(crate) partial_since: Option<u64>,
    /// The last turn in which the engine did anything for it.
    pub(crate) touched: u64,
    /// The bytes read since our close record.
    pub(crate) lingered: usize,
    /// What must have been read before a stopping server sends its close record.
    pub(crate) promised: usize,
    /// What had been read when it did.
    pub(crate) read_at_shut: usize,
    /// How much was due before what is due for the last message, or for the greeting.
    pub(crate) reply_from: usize,
    /// The bits that a fault has flipped.
    pub(crate) flipped: usize,
    /// It was not at the end of what is due when it got the close record: a fault must be why.
    pub(crate) is_cut: bool,
}

impl Socket {
    /// Since when it waits for what it waits for as an unauthenticated connection.
    pub(crate) fn waiting_since(&self) -> Option<u64> {
        self.begun.or(self.located).or(self.accepted)
    }
}

impl Link {
    pub(crate) fn new(client: Client, setup: &Setup) -> Self {
        let Client {
            address,
            from,
            proxy_header,
            listen_socket,
            listener,
            script,
            dialect,
            nonce,
            ..
        } = client;
        let terms = &setup.listeners[listener];
        let mutual = is_mutual(dialect).then(|| Mutual::new(terms, script.proof, nonce));
        let proof = mutual.as_ref().map_or(proof_length(dialect), Mutual::proof_length);
        let has_records = mutual.as_ref().is_some_and(|mutual| mutual.has_records);
        let is_python = dialect == Dialect::Multiprocessing;
        let python = is_python.then(|| Python::new(terms, usize::from(address.port())));
        let account = Account {
            oracle: Oracle::new(&terms.config, proof, has_records),
            due: Vec::new(),
            owed: VecDeque::new(),
            cut_batch: 0,
            opened: None,
            closed: None,
            fate: None,
            count: 0,
            last_read: 0,
            last_message: 0,
            last_write: 0,
            partial_since: None,
            touched: 0,
            lingered: 0,
            promised: 0,
            read_at_shut: 0,
            reply_from: 0,
            flipped: 0,
            is_cut: false,
        };
        Self {
            address,
            from,
            is_proxied: !terms.proxies.is_empty(),
            proxy_header,
            proxy_header_arrived: 0,
            proxy_header_read: 0,
            listen_socket,
            listener,
            script,
            dialect,
            mutual,
            python,
            said: Vec::new(),
            is_composed: false,
            arrived: 0,
            read: 0,
            urgent: None,
            written: Vec::new(),
            received: 0,
            ended: false,
            end_read: false,
            reset: false,
            hung_up: false,
            lost: false,
            done: false,
            account,
            socket: Socket::default(),
            is_faulty: terms.injected.are_any() || terms.other_faults.is_some(),
        }
    }

    /// Whether an urgent byte has arrived that was not read.
    pub(crate) fn has_urgent(&self) -> bool {
        self.urgent.is_some_and(|at| (self.read..self.arrived).contains(&at))
    }

    /// The bytes that the next read gives, if it has room for so many.
    pub(crate) fn next_read(&self, room: usize) -> usize {
        let length = room.min(self.waiting());
        match self.urgent.filter(|_| self.has_urgent()) {
            Some(at) => match self.waiting() - (self.arrived - at) {
                0 => length,
                before => length.min(before),
            },
            None => length,
        }
    }

    /// Whether nothing keeps the server from sending it the close record now.
    pub(crate) fn can_part(&self) -> bool {
        self.socket.shut.is_none() && self.socket.blocked.is_none()
    }

    /// Whether the server holds a socket for it.
    pub(crate) fn is_live(&self) -> bool {
        self.socket.accepted.is_some() && self.socket.dropped.is_none()
    }

    /// Whether it counts as an unauthenticated connection.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.is_live() && !self.socket.in_admission && self.account.opened.is_none()
    }

    /// Whether it isn't known yet where it comes from.
    pub(crate) fn is_arriving(&self) -> bool {
        self.is_proxied && self.socket.located.is_none()
    }

    /// Whether it counts among those of its host.
    pub(crate) fn is_unauthenticated_from(&self, host: IpAddr) -> bool {
        self.is_unauthenticated() && !self.is_arriving() && self.address.ip() == host
    }

    /// Whether it is located, and its greeting put off.
    pub(crate) fn is_put_off(&self) -> bool {
        !self.is_arriving() && self.socket.begun.is_none()
    }

    /// How many bytes lie in the server's buffer.
    pub(crate) fn waiting(&self) -> usize {
        self.proxy_header_arrived - self.proxy_header_read + self.arrived - self.read
    }

    /// Whether its greeting was put off.
    pub(crate) fn is_or_was_delayed(&self) -> bool {
        self.socket.admission == Admission::Delay && !self.socket.turned_away
    }

    /// Whether a read would find anything.
    pub(crate) fn has_news(&self) -> bool {
        self.waiting() > 0 || (self.ended && !self.end_read)
    }

    /// How much the client means to send.
    pub(crate) fn goal(&self) -> usize {
        self.said.len().min(self.script.goal)
    }

    /// Whether the client has proved itself by all that the server has read.
    pub(crate) fn is_proved(&self) -> bool {
        if let Some(python) = &self.python {
            return python.is_open();
        }
        let right = self.script.proof == crate::script::Proof::Right
            && (self.mutual.is_none() || self.has_confirmed());
        !self.dialect.authenticates() || (right && self.account.oracle.proof_left == 0)
    }

    /// The bytes that the server has reason to keep for it: replies that found no room, and of
    /// what was read either the rest of one read or a message in part. Each is kept in blocks.
    /// After its close record it has no reason to keep anything.
    pub(crate) fn keeps(&self) -> usize {
        if self.socket.shut.is_some() {
            return 0;
        }
        let oracle = &self.account.oracle;
        let is_unsent = self.written.len() < self.account.due_length();
        let is_held = self.is_faulty && is_unsent;
        let held_from = is_held.then_some(self.account.reply_from);
        let unsent = self
            .socket
            .unsent_from
            .into_iter()
            .chain(held_from)
            .min()
            .map_or(0, |from| self.account.due_length().saturating_sub(from));
        let proof = if self.account.opened.is_none() { blocks(self.read) } else { 0 };
        let header = if self.is_arriving() { blocks(self.proxy_header_read) } else { 0 };
        let is_over = oracle.bad || oracle.messages_left == 0;
        let input = match oracle.messages.is_empty() {
            // A batch that was handed on in part, and the rest of the read behind it.
            false if self.has_records() => blocks(oracle.unit_max()) + blocks(READ),
            _ if is_over => blocks(READ.max(oracle.unit_max())),
            // Behind what found no room, or what a fault holds back, these were not looked at yet.
            true if unsent > 0 || is_held => blocks(oracle.control + oracle.partial()),
            true => blocks(oracle.partial()),
            false => blocks(READ),
        };
        // A hello, a refusal or a close record, and the echoes of pings, which are due when they
        // show.
        // The client's close record may be all that was not looked at yet.
        let aside = if self.mutual.is_some() { ASIDE } else { 0 };
        let input = input.max(blocks(aside));
        let echoes = oracle.messages.iter().filter(|(_, ending)| *ending == Ending::Ping);
        let echoes: usize = echoes.map(|(payload, _)| payload.len() + 20).sum();
        blocks(unsent + aside + echoes) + header + proof + input
    }

    /// Since when it has been blocked, at the earliest and at the latest, if it is.
    pub(crate) fn blocked_since(&self) -> Option<(u64, u64)> {
        let Account { oracle, opened, last_message, last_write, .. } = &self.account;
        opened.as_ref()?;
        if self.socket.shut.is_some() {
            return None;
        }
        if let Some(blocked) = self.socket.blocked {
            return Some((blocked, blocked.max(*last_write)));
        }
        // What lies behind messages that wait for their turn was not looked at yet.
        let is_reached = oracle.messages.iter().all(|(_, ending)| *ending == Ending::Ping);
        let is_partial = oracle.is_partial() && is_reached;
        let since = self.account.partial_since.filter(|_| is_partial)?;
        Some((since, since.max(*last_message).max(*last_write)))
    }

    /// When the server must have closed it, or greeted it if that was put off, if nothing happens
    /// before; and what for.
    pub(crate) fn deadline(&self, limits: &countersign::Limits) -> (u64, &'static str) {
        let after = |since: u64, wait: std::time::Duration| since + millis(wait);
        let Account { oracle, opened, last_read, last_message, last_write, .. } = &self.account;
        let active = (*last_message).max(*last_write);
        let Some(begun) = self.socket.begun else {
            let accepted = self.socket.accepted.unwrap_or_default();
            return match self.socket.located {
                Some(located) => (after(located, limits.failure_delay), "delay"),
                None => (after(accepted, limits.handshake_timeout), "header"),
            };
        };
        let Some(opened) = *opened else {
            if let Some(shut) = self.socket.shut {
                return (shut + LINGER, "linger");
            }
            return (after(begun, limits.handshake_timeout), "handshake");
        };
        if let Some(blocked) = self.socket.blocked {
            return (after(blocked.max(*last_write), limits.write_timeout), "write");
        }
        if let Some(shut) = self.socket.shut {
            return (shut + LINGER, "linger");
        }
        match self.account.partial_since.filter(|_| oracle.is_partial()) {
            Some(since) => (after(since.max(active), limits.message_timeout), "message"),
            None => (after(opened.max(*last_read).max(active), limits.idle_timeout), "idle"),
        }
    }
}

/// What so many bytes count for where they are kept.
fn blocks(length: usize) -> usize {
    length.div_ceil(992) * 1024
}

/// The most bytes that the server says in its own right.
const ASIDE: usize = 200;

/// The most bytes of one read.
const READ: usize = 16 << 10;

/// How long the server waits for the other's close record.
pub(crate) const LINGER: u64 = 1_000;

pub(crate) fn millis(wait: std::time::Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap()
}

pub(crate) fn proof_length(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Open => 0,
        Dialect::Hex => 64,
        // Whether the handshake is over is not a matter of a number of bytes.
        Dialect::Multiprocessing => 1,
        _ => 32,
    }
}
