//! Accepting: at which listening socket next, and when.
//!
//! The poll reports a waiting connection once. So the acceptor remembers each socket as ready until
//! an accept finds nothing there, and after a pause it tries again by itself.

use std::io;
use std::time::Duration;

use crate::reactor::instant::Instant;

/// How long accepting pauses when descriptors have run out, unless a connection closes.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
struct Socket<L> {
    /// The listener that it belongs to.
    listener: L,
    /// A connection may be waiting there.
    is_ready: bool,
    /// The number of its last accept; 0 before the first.
    last_accept: u64,
}

/// Accepts from the listening sockets in turn, and pauses when the system runs out of descriptors.
///
/// Sockets have numbers, and each belongs to a listener, which the loop identifies by an `L`.
#[derive(Debug)]
pub struct Acceptor<L> {
    sockets: Vec<Socket<L>>,
    /// The number of accepts so far. Sockets take turns by it; otherwise many connections at the
    /// first would keep all others waiting while there is little room.
    accepts: u64,
    /// The system has run out of descriptors or memory: accepting pauses until then.
    paused_until: Option<Instant>,
    /// Descriptors have run out, and no accept has succeeded since.
    is_short: bool,
}

impl<L: Copy> Acceptor<L> {
    /// The sockets, by the listeners that they belong to. All count as ready: connections may have
    /// arrived before the poll watched the socket.
    #[must_use]
    pub fn new(listeners: impl IntoIterator<Item = L>) -> Self {
        let socket = |listener| Socket { listener, is_ready: true, last_accept: 0 };
        let sockets = listeners.into_iter().map(socket).collect();
        Self { sockets, accepts: 0, paused_until: None, is_short: false }
    }

    /// A connection may be waiting at a socket.
    pub fn ready(&mut self, socket: usize) {
        self.set(socket, true);
    }

    /// No connection waits at a socket.
    pub fn drained(&mut self, socket: usize) {
        self.set(socket, false);
    }

    fn set(&mut self, socket: usize, is_ready: bool) {
        if let Some(socket) = self.sockets.get_mut(socket) {
            socket.is_ready = is_ready;
        }
    }

    /// The socket to accept from now, and its listener, which has room; none while accepting
    /// pauses.
    ///
    /// Of several it is the one whose last accept was the longest ago. A round robin that continues
    /// from the last accept would skip the sockets whose listener is full just then, and return to
    /// the same one each time that there is room.
    #[must_use]
    pub fn next(&self, now: Instant, has_room: impl Fn(L) -> bool) -> Option<(usize, L)> {
        if self.paused_until.is_some_and(|end| now < end) {
            return None;
        }
        let sockets = self.sockets.iter().enumerate();
        sockets
            .filter(|(_, socket)| socket.is_ready && has_room(socket.listener))
            .min_by_key(|(_, socket)| socket.last_accept)
            .map(|(number, socket)| (number, socket.listener))
    }

    /// Pauses. Returns whether it is the first pause since an accept succeeded.
    pub fn pause(&mut self, now: Instant) -> bool {
        self.paused_until = Some(now + PAUSE);
        !std::mem::replace(&mut self.is_short, true)
    }

    /// An accept has succeeded.
    pub fn accepted(&mut self, socket: usize) {
        self.is_short = false;
        self.accepts += 1;
        if let Some(socket) = self.sockets.get_mut(socket) {
            socket.last_accept = self.accepts;
        }
    }

    /// A connection has closed, so a descriptor is free.
    pub fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Accepts no more connections.
    pub fn close(&mut self) {
        self.sockets.clear();
    }

    /// When the next accept is due, where each listener says when it has room.
    #[must_use]
    pub fn deadline(&self, room_at: impl Fn(L) -> Option<Instant>) -> Option<Instant> {
        let ready = self.sockets.iter().filter(|socket| socket.is_ready);
        let room = ready.filter_map(|socket| room_at(socket.listener)).min();
        room.map(|room| room.max(self.paused_until.unwrap_or_default()))
    }
}

/// What an accept that failed means for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptFailure {
    /// There is nothing to accept.
    Nobody,
    /// That one connection is gone, or the call was interrupted: the next may succeed.
    Retry,
    /// The system has run out of descriptors or memory: trying at once would spin.
    Pause,
    /// The listening socket has failed: it will never accept again.
    Gone,
}

impl AcceptFailure {
    /// By the number, since `ErrorKind` doesn't tell these apart. Network errors that Linux passes
    /// on from the new connection are treated as the connection's own (accept(2), "Error
    /// handling"). A number that isn't known pauses: that neither spins nor gives up.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Self::Nobody;
        }
        match error.raw_os_error() {
            Some(
                libc::EINTR
                | libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EPROTO
                | libc::EPERM
                | libc::ETIMEDOUT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP,
            ) => Self::Retry,
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EFAULT) => Self::Gone,
            _ => Self::Pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anywhere(_listener: usize) -> bool {
        true
    }

    fn at(millis: u64) -> Instant {
        Instant::after(Duration::from_millis(millis))
    }

    #[test]
    fn sockets_take_turns() {
        let mut acceptor = Acceptor::new([0; 3]);
        acceptor.drained(1);
        let mut accepted = Vec::new();
        for _ in 0..4 {
            let (socket, _) = acceptor.next(at(0), anywhere).unwrap();
            acceptor.accepted(socket);
            accepted.push(socket);
        }
        assert_eq!(accepted, [0, 2, 0, 2]);
        acceptor.close();
        assert_eq!(acceptor.next(at(0), anywhere), None);
        // What was accepted just before counts for nobody.
        acceptor.accepted(0);
        assert_eq!(acceptor.next(at(0), anywhere), None);
    }

    #[test]
    fn sockets_take_turns_also_where_their_listener_is_full_in_between() {
        let mut acceptor = Acceptor::new([0, 1, 1]);
        let accepted = [true, false, true, false, true, false].map(|is_full| {
            let (socket, _) = acceptor.next(at(0), |listener| listener == 0 || !is_full).unwrap();
            acceptor.accepted(socket);
            socket
        });
        assert_eq!(accepted, [0, 1, 0, 2, 0, 1]);
    }

    #[test]
    fn a_listener_that_is_full_keeps_nobody_from_another() {
        let mut acceptor = Acceptor::new([0, 1]);
        assert_eq!(acceptor.next(at(0), |listener| listener != 0), Some((1, 1)));
        assert_eq!(acceptor.deadline(|listener| (listener == 1).then_some(at(7))), Some(at(7)));
        acceptor.drained(1);
        assert_eq!(acceptor.next(at(0), |listener| listener != 0), None);
        assert_eq!(acceptor.deadline(|listener| (listener == 1).then_some(at(7))), None);
    }

    #[test]
    fn a_pause_ends_by_itself_and_when_a_connection_closes() {
        let at_once = |_| Some(Instant::default());
        let mut acceptor = Acceptor::new([0, 0]);
        assert_eq!(acceptor.next(at(0), anywhere), Some((0, 0)));
        acceptor.drained(0);
        assert_eq!(acceptor.next(at(0), anywhere), Some((1, 0)));
        assert!(acceptor.pause(at(0)));
        assert_eq!(acceptor.next(at(99), anywhere), None);
        assert_eq!(acceptor.deadline(at_once), Some(at(100)));
        assert_eq!(acceptor.next(at(100), anywhere), Some((1, 0)));
        assert!(!acceptor.pause(at(100)), "the second pause is not the first");
        acceptor.resume();
        assert_eq!(acceptor.next(at(101), anywhere), Some((1, 0)));
        acceptor.drained(1);
        assert_eq!(acceptor.deadline(at_once), None);
    }

    #[test]
    fn accept_errors_are_told_apart_by_number() {
        let cases = [
            (libc::EAGAIN, AcceptFailure::Nobody),
            (libc::ECONNABORTED, AcceptFailure::Retry),
            (libc::EINTR, AcceptFailure::Retry),
            (libc::EPROTO, AcceptFailure::Retry),
            (libc::EMFILE, AcceptFailure::Pause),
            (libc::ENFILE, AcceptFailure::Pause),
            (libc::ENOBUFS, AcceptFailure::Pause),
            (libc::ENOMEM, AcceptFailure::Pause),
            (9999, AcceptFailure::Pause),
            (libc::EBADF, AcceptFailure::Gone),
            (libc::EINVAL, AcceptFailure::Gone),
        ];
        for (number, failure) in cases {
            assert_eq!(
                AcceptFailure::of(&io::Error::from_raw_os_error(number)),
                failure,
                "{number}"
            );
        }
    }
}
