//! The limits of a listener.

use std::time::Duration;

use countersign::Limits;

use crate::pointers::{put_sized, sized};
use crate::status::{CallError, cs_status, run};

/// The limits of a listener. Times are in milliseconds, and CS_NEVER is no limit.
///
/// Set `size` to sizeof(struct cs_limits), call cs_limits_default(), then change what you want.
/// cs_stats.memory_max is what all of them together let the server use.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cs_limits {
    /// sizeof(struct cs_limits).
    pub size: usize,
    /// Connections at the same time. When there are this many, new ones wait in the system's queue.
    pub connections: u64,
    /// Unauthenticated connections at the same time. For a new one, the oldest is evicted.
    pub unauthenticated: u64,
    /// The same from one address (of IPv6, one /64 network).
    pub unauthenticated_per_address: u64,
    /// From accept until the peer has authenticated.
    pub handshake_timeout: u64,
    /// From one message until the next begins.
    pub idle_timeout: u64,
    /// From a message's first byte until its last.
    pub message_timeout: u64,
    /// How long the peer may read nothing while replies wait.
    pub write_timeout: u64,
    /// From authentication until the connection is closed, whatever it does.
    pub session_age_max: u64,
    /// From the beginning of draining until the remaining connections are closed.
    pub drain_timeout: u64,
    /// Bytes that a service may write in answer to one message, with their framing.
    pub reply_max: u64,
    /// Bytes that are read from a connection at once.
    pub read_max: u64,
    /// Bytes of replies at which they are sent, before more messages are answered.
    pub batch_max: u64,
    /// Bytes that all connections together may buffer of unfinished messages and unsent replies.
    pub buffered_max: u64,
    /// Failed proofs from one network that have no consequence.
    pub failure_burst: u64,
    /// While more failed proofs than this count, connections from the network are rejected.
    pub failure_limit: u64,
    /// How long a connection of a network with failed proofs is delayed.
    pub failure_delay: u64,
    /// How long a failed proof counts. 0 disables delays and rejections.
    pub failure_decay: u64,
    /// The networks whose failed proofs are remembered.
    pub failure_networks: u64,
}

/// For a time: never.
pub const CS_NEVER: u64 = u64::MAX;

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn few(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn time(millis: u64) -> Duration {
    if millis == CS_NEVER { Duration::MAX } else { Duration::from_millis(millis) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(CS_NEVER)
}

impl From<&Limits> for cs_limits {
    fn from(limits: &Limits) -> Self {
        Self {
            size: size_of::<Self>(),
            connections: limits.connections as u64,
            unauthenticated: limits.unauthenticated as u64,
            unauthenticated_per_address: limits.unauthenticated_per_address as u64,
            handshake_timeout: millis(limits.handshake_timeout),
            idle_timeout: millis(limits.idle_timeout),
            message_timeout: millis(limits.message_timeout),
            write_timeout: millis(limits.write_timeout),
            session_age_max: limits.session_age_max.map_or(CS_NEVER, millis),
            drain_timeout: millis(limits.drain_timeout),
            reply_max: limits.reply_max as u64,
            read_max: limits.read_max as u64,
            batch_max: limits.batch_max as u64,
            buffered_max: limits.buffered_max as u64,
            failure_burst: limits.failure_burst.into(),
            failure_limit: limits.failure_limit.into(),
            failure_delay: millis(limits.failure_delay),
            failure_decay: millis(limits.failure_decay),
            failure_networks: limits.failure_networks as u64,
        }
    }
}

impl From<&cs_limits> for Limits {
    #[expect(
        clippy::field_reassign_with_default,
        reason = "a limit that C does not know yet has its default"
    )]
    fn from(from: &cs_limits) -> Self {
        let mut limits = Self::default();
        limits.connections = count(from.connections);
        limits.unauthenticated = count(from.unauthenticated);
        limits.unauthenticated_per_address = count(from.unauthenticated_per_address);
        limits.handshake_timeout = time(from.handshake_timeout);
        limits.idle_timeout = time(from.idle_timeout);
        limits.message_timeout = time(from.message_timeout);
        limits.write_timeout = time(from.write_timeout);
        limits.session_age_max =
            (from.session_age_max != CS_NEVER).then(|| time(from.session_age_max));
        limits.drain_timeout = time(from.drain_timeout);
        limits.reply_max = count(from.reply_max);
        limits.read_max = count(from.read_max);
        limits.batch_max = count(from.batch_max);
        limits.buffered_max = count(from.buffered_max);
        limits.failure_burst = few(from.failure_burst);
        limits.failure_limit = few(from.failure_limit);
        limits.failure_delay = time(from.failure_delay);
        limits.failure_decay = time(from.failure_decay);
        limits.failure_networks = count(from.failure_networks);
        limits
    }
}

impl Default for cs_limits {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

/// The limits that C has filled in.
///
/// # Safety
///
/// As for [`sized`].
pub(crate) unsafe fn read_limits(limits: *const cs_limits) -> Result<Limits, CallError> {
    // SAFETY: it is of C's layout, begins with its size, and has whole words. The rest, the caller
    // says.
    Ok(Limits::from(&unsafe { sized(limits) }?))
}

/// Sets all limits to their defaults, which suit a small machine. `size` must be set before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_limits_default(limits: *mut cs_limits) -> cs_status {
    // SAFETY: by the header, it is null or a struct of the size that it says.
    unsafe { run(std::ptr::null_mut(), || put_sized(limits, &cs_limits::default())) }
}

/// Sets all limits to those of a machine with little memory: 64 connections in less than 256 KiB,
/// or 160 KiB if no message is longer than 4 KiB. `size` must be set before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_limits_small(limits: *mut cs_limits) -> cs_status {
    // SAFETY: by the header, it is null or a struct of the size that it says.
    unsafe { run(std::ptr::null_mut(), || put_sized(limits, &cs_limits::from(&Limits::small()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_same_there_and_back() {
        let default = Limits::default();
        assert_eq!(Limits::from(&cs_limits::from(&default)), default);
        let other = Limits {
            session_age_max: Some(Duration::from_millis(7)),
            idle_timeout: Duration::MAX,
            ..default
        };
        let there = cs_limits::from(&other);
        assert_eq!((there.session_age_max, there.idle_timeout), (7, CS_NEVER));
        assert_eq!(Limits::from(&there), other);
    }
}
