//! The limits of a server, and the memory bound that follows from them.

use std::time::Duration;

use crate::reactor::token::SLOTS_MAX;

/// The server allocates room for the longest reply when it is created.
const REPLY_MAX_CAP: usize = (1 << 30) + (64 << 10);

/// The same for the table of networks.
const FAILURE_NETWORKS_CAP: usize = 1 << 20;

/// The same for the buffers of the loop.
const BUFFER_CAP: usize = 1 << 20;

/// The limits of a server, or of one of its listeners if it has several. The defaults suit a small
/// machine, and [`small`](Self::small) ones a machine with less memory than these need.
/// `Duration::MAX` means never; any other duration above 48 days counts as 48 days.
///
/// [`Server::memory_max`](crate::Server::memory_max) is the memory bound that follows from them.
///
/// Later versions may have more limits, so end a list of fields with `..Limits::default()`.
///
/// ```
/// use countersign::Limits;
/// use std::time::Duration;
///
/// let idle_timeout = Duration::from_secs(30);
/// let limits = Limits { connections: 200, idle_timeout, ..Limits::default() };
/// assert_eq!(limits.unauthenticated, 4096, "the lower of the two limits holds");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time. When there are this many, new ones wait in the system's queue.
    /// At most 65,535 on 32-bit machines.
    pub connections: usize,
    /// Unauthenticated connections at the same time. For a new one, the oldest is evicted, once it
    /// has had a tenth of the handshake timeout.
    pub unauthenticated: usize,
    /// The same from one address (of IPv6, one /64 network).
    pub unauthenticated_per_address: usize,
    /// From accept, or from the end of its delay, until the peer has authenticated. Received data
    /// does not extend it.
    pub handshake_timeout: Duration,
    /// From one message until the next begins.
    pub idle_timeout: Duration,
    /// From a message's first byte until its last. Received data does not extend it.
    pub message_timeout: Duration,
    /// How long the peer may read nothing while replies wait; and how long the system waits for an
    /// acknowledgement (`TCP_USER_TIMEOUT`).
    pub write_timeout: Duration,
    /// From authentication until the connection is closed, whatever it does; `None` is never. It
    /// bounds how long a peer stays connected without proving its key again.
    pub session_age_max: Option<Duration>,
    /// From the beginning of draining until the remaining connections are closed.
    pub drain_timeout: Duration,
    /// Bytes that a service may write in answer to one message, with their framing. At most 1 GiB,
    /// and 16 MiB where the connection speaks records.
    pub reply_max: usize,
    /// Bytes that are read from a connection at once, into the only buffer for input. A peer that
    /// takes no replies leaves at most this much unanswered. At most 1 MiB.
    pub read_max: usize,
    /// Bytes of replies at which they are sent, before more messages are answered. Replies to
    /// messages that have arrived together share a system call, and in records an authentication
    /// tag. At most 1 MiB.
    pub batch_max: usize,
    /// Bytes that all connections together may buffer of unfinished messages and unsent replies,
    /// in blocks of 1 KiB. Beyond that, the connections that have been blocked longest are closed.
    pub buffered_max: usize,
    /// Failed proofs from one network (an IPv4 address, an IPv6 /64) that have no consequence.
    /// While more of them count, new connections from that network are delayed.
    pub failure_burst: u32,
    /// While more failed proofs than this count, new connections from the network are rejected. At
    /// most twice as many count, so a network is rejected for at most this many times
    /// [`failure_decay`](Self::failure_decay): ten minutes with the defaults, however many proofs
    /// fail at once.
    pub failure_limit: u32,
    /// From accept until the server sends the challenge to a delayed connection. The server reads
    /// nothing from it before.
    pub failure_delay: Duration,
    /// How long a failed proof counts against its network; the next one counts from then on. Zero
    /// disables throttling.
    pub failure_decay: Duration,
    /// The networks whose failed proofs are remembered. When there are more, those with the fewest
    /// are forgotten. At most a million.
    pub failure_networks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            unauthenticated: 4_096,
            unauthenticated_per_address: 2_048,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(300),
            message_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            session_age_max: None,
            drain_timeout: Duration::from_secs(5),
            reply_max: (64 << 10) + 64,
            read_max: 16 << 10,
            batch_max: 16 << 10,
            buffered_max: 64 << 20,
            failure_burst: 10,
            failure_limit: 100,
            failure_delay: Duration::from_secs(1),
            failure_decay: Duration::from_secs(6),
            failure_networks: 4_096,
        }
    }
}

impl Limits {
    /// Limits for a machine with little memory: 64 connections, whose
    /// [`Server::memory_max`](crate::Server::memory_max) is below 256 KiB, or 160 KiB if no message
    /// is longer than 4 KiB ([`with_message_max`]). Timeouts are the default ones.
    ///
    /// | limit | value | what it costs, in bytes, with 64-bit pointers |
    /// | --- | --- | --- |
    /// | `connections` | 64 | each 264, in `countersign/1` 560, with its state |
    /// | `unauthenticated` | 32 | 95 each |
    /// | `unauthenticated_per_address` | 16 | none |
    /// | `failure_networks` | 64 | 16 each |
    /// | `read_max` | 1 KiB | twice itself |
    /// | `batch_max` | 1 KiB | twice itself |
    /// | `reply_max` | 4 KiB and 64 bytes | twice itself |
    /// | `buffered_max` | 64 KiB | itself |
    /// | longest message | of the [`ServerConfig`](crate::ServerConfig) | twice itself |
    /// | the rest | | 7 KiB |
    ///
    /// What counts twice is a buffer of the loop, and once more what one connection can buffer
    /// beyond `buffered_max`. A message that is longer than `buffered_max` can't arrive in pieces.
    /// To this come what the system keeps for sockets, and the program: the page
    /// [small](crate::manual::small) has figures.
    ///
    /// ```
    /// use countersign::services::Echo;
    /// use countersign::{Limits, ListenerConfig, Server, ServerConfig};
    ///
    /// let config = ServerConfig::open().to_builder().with_message_max(4 << 10).build()?;
    /// let limits = Limits { connections: 32, ..Limits::small() };
    /// let listener = ListenerConfig::new(config).with_limits(limits).bind("127.0.0.1:0")?;
    /// let server = Server::new([listener], Echo)?;
    /// assert!(server.memory_max().total < 128 << 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`with_message_max`]: crate::config::ConfigBuilder::with_message_max
    #[must_use]
    pub fn small() -> Self {
        Self {
            connections: 64,
            unauthenticated: 32,
            unauthenticated_per_address: 16,
            reply_max: (4 << 10) + 64,
            read_max: 1 << 10,
            batch_max: 1 << 10,
            buffered_max: 64 << 10,
            failure_networks: 64,
            ..Self::default()
        }
    }

    /// The share of each of this many servers that listen at the same addresses, such as one on
    /// each thread. Together they have no less than the whole.
    #[must_use]
    pub fn divided(&self, servers: usize) -> Self {
        let part = |whole: usize| whole.div_ceil(servers.max(1));
        Self {
            connections: part(self.connections),
            unauthenticated: part(self.unauthenticated),
            unauthenticated_per_address: part(self.unauthenticated_per_address),
            buffered_max: part(self.buffered_max),
            ..self.clone()
        }
    }

    /// The same limits, without contradictions between them.
    pub(crate) fn coherent(self) -> Self {
        let connections = self.connections.min(SLOTS_MAX);
        Self {
            connections,
            unauthenticated: self.unauthenticated.min(connections),
            reply_max: self.reply_max.min(REPLY_MAX_CAP),
            read_max: self.read_max.clamp(1, BUFFER_CAP),
            batch_max: self.batch_max.clamp(1, BUFFER_CAP),
            failure_networks: self.failure_networks.min(FAILURE_NETWORKS_CAP),
            ..self
        }
    }
}

/// The memory bound of a server by its parts, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Memory {
    /// The loop's buffers and tables, independent of connections.
    pub fixed: usize,
    /// The memory of one connection that is not blocked.
    pub per_connection: usize,
    /// The most that one connection can buffer of unfinished messages and unsent replies.
    pub buffered_per_connection: usize,
    /// The most that all connections together can buffer.
    pub buffered: usize,
    /// The sum: `fixed`, `per_connection` for each connection, and `buffered`.
    pub total: usize,
}

impl Memory {
    /// The sum of the bounds of two servers or listeners.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.saturating_add(other.fixed),
            per_connection: self.per_connection.max(other.per_connection),
            buffered_per_connection: self
                .buffered_per_connection
                .max(other.buffered_per_connection),
            buffered: self.buffered.saturating_add(other.buffered),
            total: self.total.saturating_add(other.total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_above_what_the_server_can_keep_to() {
        let most = usize::MAX;
        let limits = Limits {
            connections: most,
            unauthenticated: most,
            unauthenticated_per_address: most,
            reply_max: most,
            read_max: most,
            batch_max: most,
            buffered_max: most,
            failure_networks: most,
            ..Limits::default()
        };
        let expected = Limits {
            connections: SLOTS_MAX,
            unauthenticated: SLOTS_MAX,
            reply_max: 1_073_807_360,
            read_max: 1_048_576,
            batch_max: 1_048_576,
            failure_networks: 1_048_576,
            ..limits
        };
        assert_eq!(limits.coherent(), expected);
        let least = Limits { connections: 3, read_max: 0, batch_max: 0, ..Limits::small() };
        let expected = Limits { unauthenticated: 3, read_max: 1, batch_max: 1, ..least };
        assert_eq!(least.coherent(), expected);
        for kept in [Limits::default(), Limits::small()] {
            assert_eq!(kept.clone().coherent(), kept);
        }
    }

    #[test]
    fn small_limits_are_those_of_the_table() {
        let expected = Limits {
            connections: 64,
            unauthenticated: 32,
            unauthenticated_per_address: 16,
            failure_networks: 64,
            read_max: 1_024,
            batch_max: 1_024,
            reply_max: 4_160,
            buffered_max: 65_536,
            ..Limits::default()
        };
        assert_eq!(Limits::small(), expected);
    }

    #[test]
    fn parts_have_no_less_than_the_whole_together() {
        let whole = Limits { buffered_max: 1_001, reply_max: 5, ..Limits::small() };
        let third = Limits {
            connections: 22,
            unauthenticated: 11,
            unauthenticated_per_address: 6,
            buffered_max: 334,
            ..whole
        };
        assert_eq!(whole.divided(3), third);
        assert_eq!([whole.divided(1), whole.divided(0)], [whole.clone(), whole]);
    }

    #[test]
    fn the_memory_of_two_is_their_sum_but_for_one_connection() {
        let memory = |[fixed, per_connection, each, buffered, total]: [usize; 5]| {
            let (buffered_per_connection, all) = (each, buffered);
            Memory { fixed, per_connection, buffered_per_connection, buffered: all, total }
        };
        let [one, two] = [memory([1, 20, 3, 40, 5]), memory([100, 2, 300, 4, 500])];
        assert_eq!(one.and(two), memory([101, 20, 300, 44, 505]));
        assert_eq!(memory([usize::MAX; 5]).and(two), memory([usize::MAX; 5]));
    }
}
