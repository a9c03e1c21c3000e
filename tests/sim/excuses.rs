//! The excuses, all of them: where a promise may be broken, why, and how often. A server that needs
//! one more often than this table says keeps its promises less than it should.

use std::cell::Cell;
use std::fmt;

/// A promise that is checked, often: what the shares below are shares of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// An honest client gets everything that it is due. Once for each client.
    Served,
    /// Only a fault of its own, or lateness, costs an unauthenticated client its connection.
    Dropped,
    /// A client that is refused is told so, and has the time to read it.
    Refusal,
    /// Before our close record, all that was read is answered.
    Answered,
    /// A connection ends with everything sent, and waits for the peer's end.
    Closed,
    /// A time that is over is over by the limits in force.
    Timeout,
    /// No more connections and bytes are in than the limits in force allow. Once a turn.
    Limits,
    /// Every byte sent, and every connection that is turned away, is counted. Once a turn.
    Counters,
    /// Who waits is accepted where there is room. Once a turn.
    Accepted,
}

/// Why a promise was not kept, and need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excuse {
    /// It may not connect, or too many from its network fail or are there.
    ServedRejected,
    /// It had to make room for a newcomer.
    ServedEvicted,
    /// The system gave no random bytes, or watched no socket.
    ServedSystem,
    /// The limit on bytes held was low enough to be passed.
    ServedBufferLimit,
    ServedStopped,
    /// Limits that were lowered left it less time than it knew.
    ServedLowerLimits,
    /// It was not accepted yet when its listener broke.
    ServedListenerLost,
    ServedRevoked,
    ServedSessionAge,
    /// A fault that was injected has ended its connection, or turned it away.
    ServedFault,
    DroppedEvicted,
    DroppedSystem,
    DroppedBufferLimit,
    DroppedStopped,
    DroppedFault,
    /// The connection was broken, or had no room for the refusal.
    RefusalUnsent,
    /// It left, or was dropped for another reason.
    RefusalDropped,
    /// The front of the call was enough to say no.
    RefusalEarly,
    /// Its key is gone, or its time is over.
    AnsweredUnauthorized,
    /// A fault that was injected ends it: the reason of its end is checked.
    AnsweredFault,
    ClosedReset,
    ClosedBufferLimit,
    ClosedWriteTimeout,
    ClosedStopped,
    ClosedFault,
    /// By the limits of before.
    TimeoutEarlierLimits,
    /// There were as many by the limits of before.
    LimitsLowered,
    /// What was written before a write that failed in the same breath isn't counted.
    CountersReset,
    /// Who was too much to keep was not received at all.
    CountersBufferLimit,
    /// The system has run out of something, and accepting rests.
    AcceptedPaused,
    /// A turn that finds a listener broken ends there.
    AcceptedListenerLost,
}

/// Every excuse, the promise that it excuses, and the largest share of checks in which it may be
/// needed, in percent: about half as much again as is measured over 100,000 seeds, and more where
/// it is rare, or shows in every later turn.
const TABLE: [(Excuse, Check, f64); 31] = [
    (Excuse::ServedRejected, Check::Served, 18.0),
    (Excuse::ServedEvicted, Check::Served, 1.5),
    (Excuse::ServedSystem, Check::Served, 5.5),
    (Excuse::ServedBufferLimit, Check::Served, 3.0),
    (Excuse::ServedStopped, Check::Served, 16.0),
    (Excuse::ServedLowerLimits, Check::Served, 0.7),
    (Excuse::ServedListenerLost, Check::Served, 0.3),
    (Excuse::ServedRevoked, Check::Served, 1.7),
    (Excuse::ServedSessionAge, Check::Served, 1.0),
    (Excuse::ServedFault, Check::Served, 7.0),
    (Excuse::DroppedEvicted, Check::Dropped, 10.0),
    (Excuse::DroppedSystem, Check::Dropped, 10.0),
    (Excuse::DroppedBufferLimit, Check::Dropped, 3.5),
    (Excuse::DroppedStopped, Check::Dropped, 5.5),
    (Excuse::DroppedFault, Check::Dropped, 2.0),
    (Excuse::RefusalUnsent, Check::Refusal, 6.5),
    (Excuse::RefusalDropped, Check::Refusal, 20.0),
    (Excuse::RefusalEarly, Check::Refusal, 0.4),
    (Excuse::AnsweredUnauthorized, Check::Answered, 0.7),
    (Excuse::AnsweredFault, Check::Answered, 4.5),
    (Excuse::ClosedReset, Check::Closed, 9.0),
    (Excuse::ClosedBufferLimit, Check::Closed, 2.0),
    (Excuse::ClosedWriteTimeout, Check::Closed, 0.25),
    (Excuse::ClosedStopped, Check::Closed, 1.5),
    (Excuse::ClosedFault, Check::Closed, 3.5),
    (Excuse::TimeoutEarlierLimits, Check::Timeout, 1.0),
    (Excuse::LimitsLowered, Check::Limits, 3.0),
    (Excuse::CountersReset, Check::Counters, 4.0),
    (Excuse::CountersBufferLimit, Check::Counters, 0.1),
    (Excuse::AcceptedPaused, Check::Accepted, 18.0),
    (Excuse::AcceptedListenerLost, Check::Accepted, 0.01),
];

const CHECKS: usize = Check::Accepted as usize + 1;

/// How often each promise was checked, and each excuse needed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Excuses {
    checked: [Cell<u64>; CHECKS],
    needed: [Cell<u64>; TABLE.len()],
}

impl Excuses {
    /// Counts a check. Says whether the promise is kept, or else why it need not be: by the first
    /// excuse that holds.
    pub(crate) fn check(&self, check: Check, is_kept: bool, excuses: &[(Excuse, bool)]) -> bool {
        increment(&self.checked[check as usize]);
        if is_kept {
            return true;
        }
        let excuse = excuses.iter().find(|(_, holds)| *holds);
        excuse.inspect(|(excuse, _)| increment(&self.needed[*excuse as usize])).is_some()
    }

    pub(crate) fn add(&self, other: &Self) {
        let ours = self.checked.iter().chain(&self.needed);
        for (sum, more) in ours.zip(other.checked.iter().chain(&other.needed)) {
            sum.set(sum.get() + more.get());
        }
    }

    /// The excuses that were needed too often.
    pub(crate) fn excesses(&self) -> Vec<String> {
        let shares = TABLE.iter().map(|(excuse, _, most)| (excuse, *most, self.share(*excuse)));
        let excess = shares.filter(|(_, most, share)| share > most);
        excess.map(|(excuse, most, share)| format!("{excuse:?}: {share} > {most} %")).collect()
    }

    fn share(&self, excuse: Excuse) -> f64 {
        let (_, check, _) = TABLE[excuse as usize];
        let [needed, checked] = [&self.needed[excuse as usize], &self.checked[check as usize]];
        100.0 * needed.get() as f64 / checked.get().max(1) as f64
    }
}

impl fmt::Display for Excuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (excuse, check, most) in TABLE {
            let (name, share) = (format!("{excuse:?}"), self.share(excuse));
            let (needed, of) = (&self.needed[excuse as usize], &self.checked[check as usize]);
            let (needed, of) = (needed.get(), of.get());
            writeln!(f, "{name:<22} {needed:>9} of {of:>9}: {share:>6.3} %, at most {most} %")?;
        }
        Ok(())
    }
}

fn increment(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

#[test]
fn the_table_is_in_the_order_of_the_excuses() {
    assert!((0..).zip(TABLE).all(|(place, (excuse, ..))| excuse as usize == place));
}
