//! The door: which listeners may have somebody waiting, and whether to let them in now.
//!
//! The poll tells of a waiting connection once. So the door remembers who may have called until an
//! accept said that nobody waits, and tries again by itself after every pause.

use std::io;
use std::time::Duration;

use crate::server::moment::Moment;

/// How long the door stays shut for want of descriptors, unless a connection closes.
const PAUSE: Duration = Duration::from_millis(100);

/// Who may be waiting, and whether the door is shut.
#[derive(Debug)]
pub(super) struct Door {
    /// By listener: whether somebody may be waiting there.
    calling: Vec<bool>,
    /// The listener whose turn it is. They take turns, or a crowd at the first would keep everyone
    /// at the others out for as long as places are short.
    next: usize,
    /// The system ran out of something: the door is shut until then.
    shut_until: Option<Moment>,
    /// It has run out, and no accept has succeeded since.
    short: bool,
}

/// What an accept that failed means for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody waits.
    Nobody,
    /// That one connection is gone, or the call was interrupted: the next may succeed.
    Retry,
    /// The system has run out of descriptors or memory: trying at once would spin.
    Pause,
    /// The listener is none any more: it will never accept again.
    Gone,
}

impl Failure {
    /// By the number, since `ErrorKind` doesn't tell these apart. Network errors that Linux passes
    /// on from the new connection are treated as the connection's own (accept(2), "Error
    /// handling"). A number that isn't known pauses: that neither spins nor gives up.
    pub(super) fn of(error: &io::Error) -> Self {
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

impl Door {
    /// Somebody may have called before we began to listen for it.
    pub(super) fn new(listeners: usize) -> Self {
        Self { calling: vec![true; listeners], next: 0, shut_until: None, short: false }
    }

    pub(super) fn call(&mut self, listener: usize) {
        if let Some(calling) = self.calling.get_mut(listener) {
            *calling = true;
        }
    }

    pub(super) fn nobody_calls(&mut self, listener: usize) {
        if let Some(calling) = self.calling.get_mut(listener) {
            *calling = false;
        }
    }

    /// A listener at which somebody may be waiting, unless the door is shut.
    pub(super) fn caller(&mut self, now: Moment) -> Option<usize> {
        if self.shut_until.is_some_and(|end| now < end) {
            return None;
        }
        self.shut_until = None;
        let mut from_next = (self.next..self.calling.len()).chain(0..self.next);
        from_next.find(|&listener| self.calling.get(listener) == Some(&true))
    }

    /// Shuts the door for a while. Says whether that is news.
    pub(super) fn pause(&mut self, now: Moment) -> bool {
        self.shut_until = Some(now + PAUSE);
        !std::mem::replace(&mut self.short, true)
    }

    /// An accept has succeeded.
    pub(super) fn accepted(&mut self, listener: usize) {
        self.short = false;
        self.next = listener + 1;
    }

    /// A connection has closed, and with it a descriptor.
    pub(super) fn resume(&mut self) {
        self.shut_until = None;
    }

    /// Nobody is let in any more.
    pub(super) fn close(&mut self) {
        self.calling.clear();
    }

    /// When the next accept is due; the engine knows whether there is room.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let someone = self.calling.contains(&true);
        someone.then(|| self.shut_until.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_errors_are_told_apart_by_number() {
        let cases = [
            (libc::EAGAIN, Failure::Nobody),
            (libc::ECONNABORTED, Failure::Retry),
            (libc::EINTR, Failure::Retry),
            (libc::EPROTO, Failure::Retry),
            (libc::EMFILE, Failure::Pause),
            (libc::ENFILE, Failure::Pause),
            (libc::ENOBUFS, Failure::Pause),
            (libc::ENOMEM, Failure::Pause),
            (9999, Failure::Pause),
            (libc::EBADF, Failure::Gone),
            (libc::EINVAL, Failure::Gone),
        ];
        for (number, failure) in cases {
            assert_eq!(Failure::of(&io::Error::from_raw_os_error(number)), failure, "{number}");
        }
    }

    #[test]
    fn listeners_take_turns() {
        let mut door = Door::new(3);
        door.nobody_calls(1);
        let mut callers = Vec::new();
        for _ in 0..4 {
            let caller = door.caller(Moment::default()).unwrap();
            door.accepted(caller);
            callers.push(caller);
        }
        assert_eq!(callers, [0, 2, 0, 2]);
        door.close();
        assert_eq!(door.caller(Moment::default()), None);
    }

    #[test]
    fn a_shut_door_opens_again_by_itself_and_when_a_connection_closes() {
        let at = |millis| Moment::after(Duration::from_millis(millis));
        let mut door = Door::new(2);
        assert_eq!(door.caller(at(0)), Some(0));
        door.nobody_calls(0);
        assert_eq!(door.caller(at(0)), Some(1));
        assert!(door.pause(at(0)));
        assert_eq!(door.caller(at(99)), None);
        assert_eq!(door.deadline(), Some(at(100)));
        assert_eq!(door.caller(at(100)), Some(1));
        assert!(!door.pause(at(100)), "it is said once");
        door.resume();
        assert_eq!(door.caller(at(101)), Some(1));
        door.nobody_calls(1);
        assert_eq!(door.deadline(), None);
    }
}
