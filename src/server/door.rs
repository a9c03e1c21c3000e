//! The door: which listeners may have somebody waiting, and whether to let them in now.
//!
//! The poll tells of a waiting connection once. So the door remembers who may have called until an
//! accept said that nobody waits, and tries again by itself after every pause.

use std::time::Duration;

use crate::server::gate::GateNumber;
use crate::server::moment::Moment;

/// How long the door stays shut for want of descriptors, unless a connection closes.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens.
#[derive(Debug)]
struct Socket {
    /// Whom it belongs to.
    gate: GateNumber,
    /// Somebody may be waiting there.
    calls: bool,
    /// The number of the accept that was its last; 0 before the first.
    served: u64,
}

/// Who may be waiting, and whether the door is shut.
#[derive(Debug)]
pub(super) struct Door {
    sockets: Vec<Socket>,
    /// The accepts so far. Sockets take turns by them, or a crowd at the first would keep everyone
    /// at the others out for as long as places are short.
    accepts: u64,
    /// The system ran out of something: the door is shut until then.
    shut_until: Option<Moment>,
    /// It has run out, and no accept has succeeded since.
    short: bool,
}

impl Door {
    /// Sockets by the gates that they belong to. Somebody may have called before we began to listen
    /// for it.
    pub(super) fn new(gates: impl IntoIterator<Item = GateNumber>) -> Self {
        let socket = |gate| Socket { gate, calls: true, served: 0 };
        let sockets = gates.into_iter().map(socket).collect();
        Self { sockets, accepts: 0, shut_until: None, short: false }
    }

    pub(super) fn call(&mut self, socket: usize) {
        self.set(socket, true);
    }

    pub(super) fn nobody_calls(&mut self, socket: usize) {
        self.set(socket, false);
    }

    fn set(&mut self, socket: usize, calls: bool) {
        if let Some(socket) = self.sockets.get_mut(socket) {
            socket.calls = calls;
        }
    }

    /// A socket at which somebody may be waiting, and its gate, which has room; none while the door
    /// is shut. Of several, it is the one whose last accept was the longest ago: a round that goes
    /// on from the last accept would skip those whose gate is full just then, and come to the same
    /// one of them each time that there is room.
    pub(super) fn caller(
        &self,
        now: Moment,
        has_room: impl Fn(GateNumber) -> bool,
    ) -> Option<(usize, GateNumber)> {
        if self.shut_until.is_some_and(|end| now < end) {
            return None;
        }
        let callers = self.sockets.iter().enumerate();
        callers
            .filter(|(_, socket)| socket.calls && has_room(socket.gate))
            .min_by_key(|(_, socket)| socket.served)
            .map(|(number, socket)| (number, socket.gate))
    }

    /// Shuts the door for a while. Says whether that is news.
    pub(super) fn pause(&mut self, now: Moment) -> bool {
        self.shut_until = Some(now + PAUSE);
        !std::mem::replace(&mut self.short, true)
    }

    /// An accept has succeeded.
    pub(super) fn accepted(&mut self, socket: usize) {
        self.short = false;
        self.accepts += 1;
        if let Some(socket) = self.sockets.get_mut(socket) {
            socket.served = self.accepts;
        }
    }

    /// A connection has closed, and with it a descriptor.
    pub(super) fn resume(&mut self) {
        self.shut_until = None;
    }

    /// Nobody is let in any more.
    pub(super) fn close(&mut self) {
        self.sockets.clear();
    }

    /// When the next accept is due, where each gate says when it has room.
    pub(super) fn deadline(
        &self,
        room_at: impl Fn(GateNumber) -> Option<Moment>,
    ) -> Option<Moment> {
        let calling = self.sockets.iter().filter(|socket| socket.calls);
        let room = calling.filter_map(|socket| room_at(socket.gate)).min();
        room.map(|room| room.max(self.shut_until.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anywhere(_gate: GateNumber) -> bool {
        true
    }

    fn at(millis: u64) -> Moment {
        Moment::after(Duration::from_millis(millis))
    }

    #[test]
    fn sockets_take_turns() {
        let mut door = Door::new([0, 0, 0]);
        door.nobody_calls(1);
        let mut callers = Vec::new();
        for _ in 0..4 {
            let (caller, _) = door.caller(at(0), anywhere).unwrap();
            door.accepted(caller);
            callers.push(caller);
        }
        assert_eq!(callers, [0, 2, 0, 2]);
        door.close();
        assert_eq!(door.caller(at(0), anywhere), None);
    }

    #[test]
    fn sockets_take_turns_also_where_their_gate_is_full_in_between() {
        let mut door = Door::new([0, 1, 1]);
        let callers = [true, false, true, false, true, false].map(|is_full| {
            let (caller, _) = door.caller(at(0), |gate| gate == 0 || !is_full).unwrap();
            door.accepted(caller);
            caller
        });
        assert_eq!(callers, [0, 1, 0, 2, 0, 1]);
    }

    #[test]
    fn a_gate_that_is_full_keeps_nobody_from_another() {
        let mut door = Door::new([0, 1]);
        assert_eq!(door.caller(at(0), |gate| gate != 0), Some((1, 1)));
        assert_eq!(door.deadline(|gate| (gate == 1).then_some(at(7))), Some(at(7)));
        door.nobody_calls(1);
        assert_eq!(door.caller(at(0), |gate| gate != 0), None);
        assert_eq!(door.deadline(|gate| (gate == 1).then_some(at(7))), None);
    }

    #[test]
    fn a_shut_door_opens_again_by_itself_and_when_a_connection_closes() {
        let at_once = |_| Some(Moment::default());
        let mut door = Door::new([0, 0]);
        assert_eq!(door.caller(at(0), anywhere), Some((0, 0)));
        door.nobody_calls(0);
        assert_eq!(door.caller(at(0), anywhere), Some((1, 0)));
        assert!(door.pause(at(0)));
        assert_eq!(door.caller(at(99), anywhere), None);
        assert_eq!(door.deadline(at_once), Some(at(100)));
        assert_eq!(door.caller(at(100), anywhere), Some((1, 0)));
        assert!(!door.pause(at(100)), "it is said once");
        door.resume();
        assert_eq!(door.caller(at(101), anywhere), Some((1, 0)));
        door.nobody_calls(1);
        assert_eq!(door.deadline(at_once), None);
    }
}
