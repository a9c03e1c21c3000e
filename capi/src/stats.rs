//! Statistics of a server.

use std::ffi::{c_char, c_void};

use countersign::stats::{ListenerStats, Stats};

use crate::pointers::put_sized;
use crate::server::{cs_server, with};
use crate::status::{CallError, cs_failure, cs_status, run};
use crate::text_buffer::fill;

/// For a listener: all of them together.
pub const CS_ALL_LISTENERS: usize = 0xffff;

/// What a server, or one of its listeners, has done since it began and what it does now. Set `size`
/// to sizeof(struct cs_stats) before it is filled in.
#[repr(C)]
pub struct cs_stats {
    /// sizeof(struct cs_stats).
    pub size: usize,
    /// Accepted connections.
    pub accepted: u64,
    /// Connections that were delayed because of failed proofs from their network.
    pub delayed: u64,
    /// Connections whose peer proved that it holds a key, or needed none.
    pub authenticated: u64,
    /// Connections that have ended. See cs_server_each_reason().
    pub closed: u64,
    /// Messages passed to the service.
    pub messages: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Times that accepting paused for lack of descriptors or memory.
    pub accept_pauses: u64,
    /// Accepts that failed for a reason that concerns only one connection.
    pub accept_failures: u64,
    /// Now: connections that wait for their challenge, because of failed proofs.
    pub now_delayed: u64,
    /// Now: connections in the handshake.
    pub now_handshake: u64,
    /// Now: authenticated connections.
    pub now_open: u64,
    /// Now: connections that are closing.
    pub now_closing: u64,
    /// The limit on connections.
    pub connections_max: u64,
    /// Now: bytes buffered for unfinished messages and unsent replies.
    pub buffered: u64,
    /// The limit on buffered bytes.
    pub buffered_max: u64,
    /// Now: networks whose new connections are delayed or rejected.
    pub throttled: u64,
    /// The most memory that the limits of all listeners allow, in bytes.
    pub memory_max: u64,
}

impl cs_stats {
    fn new(stats: &ListenerStats, memory_max: usize) -> Self {
        let ListenerStats { counters, connections, .. } = stats;
        Self {
            size: size_of::<Self>(),
            accepted: counters.accepted,
            delayed: counters.delayed,
            authenticated: counters.authenticated,
            closed: counters.accepted - counters.open(),
            messages: counters.messages,
            bytes_in: counters.bytes_in,
            bytes_out: counters.bytes_out,
            accept_pauses: counters.accept_pauses,
            accept_failures: counters.accept_failures,
            now_delayed: connections.delayed as u64,
            now_handshake: connections.handshake as u64,
            now_open: connections.open as u64,
            now_closing: connections.closing as u64,
            connections_max: stats.connections_max as u64,
            buffered: stats.buffered as u64,
            buffered_max: stats.buffered_max as u64,
            throttled: stats.throttled as u64,
            memory_max: memory_max as u64,
        }
    }
}

/// The part of the statistics that C asks for.
fn part(stats: &Stats, listener: usize) -> Result<ListenerStats, CallError> {
    if listener == CS_ALL_LISTENERS {
        let mut sum = ListenerStats::default();
        stats.listeners.iter().for_each(|each| sum.merge(each));
        return Ok(sum);
    }
    let part = stats.listeners.get(listener).cloned();
    part.ok_or_else(|| CallError::argument("the server has no such listener"))
}

/// Fills in the statistics of a listener, or of CS_ALL_LISTENERS. It looks at every connection, so
/// call it when somebody wants to see them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_stats(
    server: *const cs_server,
    listener: usize,
    stats: *mut cs_stats,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, the struct of the size that it says, and
    // `why` a place to write to.
    unsafe {
        run(why, || {
            let all = with(server, |inner| Ok(inner.server.stats()))?;
            put_sized(stats, &cs_stats::new(&part(&all, listener)?, all.memory_max.total))
        })
    }
}

/// Calls `each` for every reason for which connections have ended, with its count, in a fixed
/// order. `reason` is valid until `each` returns. `each` is not a callback of the server: it may
/// call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_each_reason(
    server: *const cs_server,
    listener: usize,
    each: Option<unsafe extern "C" fn(user: *mut c_void, reason: *const c_char, count: u64)>,
    user: *mut c_void,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, `each` can be called with `user`, and `why`
    // is a place to write to.
    unsafe {
        run(why, || {
            let each = each.ok_or_else(|| CallError::argument("each is NULL"))?;
            let all = with(server, |inner| Ok(inner.server.stats()))?;
            for (reason, count) in part(&all, listener)?.counters.closed_by_reason() {
                let mut text = [0; 32];
                fill(&mut text, reason.name());
                each(user, text.as_ptr(), count);
            }
            Ok(())
        })
    }
}

/// Calls `each` for every key of a listener, in the order of the ring, with its id, its fingerprint
/// (16 hexadecimal digits), how many peers have authenticated with it and how many of these are
/// connected now. The texts are valid until `each` returns. `each` is not a callback of the server:
/// it may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_server_each_key(
    server: *const cs_server,
    listener: usize,
    each: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            id: *const c_char,
            fingerprint: *const c_char,
            authenticated: u64,
            open: u64,
        ),
    >,
    user: *mut c_void,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the server is one of ours, `each` can be called with `user`, and `why`
    // is a place to write to.
    unsafe {
        run(why, || {
            let each = each.ok_or_else(|| CallError::argument("each is NULL"))?;
            let all = with(server, |inner| Ok(inner.server.stats()))?;
            for (key, counters) in part(&all, listener)?.by_key() {
                let (mut id, mut fingerprint) = ([0; 65], [0; 17]);
                fill(&mut id, &key.id);
                fill(&mut fingerprint, &key.fingerprint);
                let counts = (counters.authenticated, counters.open);
                each(user, id.as_ptr(), fingerprint.as_ptr(), counts.0, counts.1);
            }
            Ok(())
        })
    }
}
