//! The door: which listeners may have somebody waiting, and whether to let them in now.
//!
//! The poll tells of a waiting connection once. So the door remembers who may have called until an
//! accept said that nobody waits, and tries again by itself after every pause.

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
