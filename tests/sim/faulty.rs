//! Faults that listeners inject on purpose: which ones, and what they may do to a connection.

use countersign::faults::{FaultKind, Faults};
use countersign::stats::Counters;
use countersign::{CloseReason, Framing};

use crate::link::Link;
use crate::random::Random;
use crate::world::World;

/// What lateness adds to a pause: of turns, and of the events behind it.
const LATE: u64 = 100;

/// What those who come at the same time wait for at most, where there is a rate: each for a place.
const QUEUE: u64 = 30 * 1_000 / RATE;

/// The least rate, in messages a second.
const RATE: u64 = 200;

/// The faults of a listener, and of what they may be the cause.
#[derive(Debug, Clone, Default)]
pub(crate) struct InjectedFaults {
    pub(crate) faults: Faults,
    /// No message is answered. What ends connections, or changes bytes, has smaller chances.
    pub(crate) mutes: bool,
    /// Of all that were ever in force, what they can do.
    kinds: Vec<FaultKind>,
    /// The longest pause in milliseconds in which nothing is seen of a connection.
    pub(crate) pause: u64,
}

impl InjectedFaults {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut drawn = Self::default();
        let mut text = String::new();
        for _ in 0..random.between(0, 4) {
            let time = random.pick(&[1, 3, 20]);
            let percent = random.pick(&[10, 50, 100]);
            let (kind, value) = random.pick(&[
                (FaultKind::Delay, "1ms:30,5ms:20,30ms:5"),
                (FaultKind::Delay, "normal(2ms,1ms):60"),
                (FaultKind::Drip, "500B/3ms"),
                (FaultKind::Drip, "7B/0s"),
                (FaultKind::Slice, "20..900B"),
                (FaultKind::Stall, ""),
                (FaultKind::Rate, "200"),
                (FaultKind::Rate, "3k"),
                (FaultKind::AcceptDelay, ""),
                (FaultKind::HandshakeDelay, ""),
            ]);
            let is_distribution = matches!(kind, FaultKind::Delay);
            let (value, percent) = match (value, is_distribution) {
                ("", _) => (format!("{time}ms"), format!(":{percent}")),
                (value, true) => (value.to_owned(), String::new()),
                (value, false) => (value.to_owned(), format!(":{percent}")),
            };
            drawn.add(kind, &format!("={value}{percent}"), &mut text);
        }
        let (kind, percent) = random.pick(&[
            (None, ""),
            (None, ""),
            (Some(FaultKind::Mute), ""),
            (Some(FaultKind::Corrupt), ":20"),
            (Some(FaultKind::Refuse), ":20"),
            (Some(FaultKind::Reset), ":15"),
            (Some(FaultKind::CloseBefore), ":15"),
            (Some(FaultKind::CloseAfter), ":15"),
            (Some(FaultKind::Truncate), ":15"),
        ]);
        drawn.mutes = kind == Some(FaultKind::Mute);
        kind.into_iter().for_each(|kind| drawn.add(kind, percent, &mut text));
        drawn.faults = text.parse().unwrap();
        drawn
    }

    fn add(&mut self, kind: FaultKind, value: &str, text: &mut String) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
            self.pause = QUEUE + 30 + 30 + 20 + LATE;
            *text += &format!(";{kind}{value}");
        }
    }

    /// Others take the place of these, which go on where they have begun.
    pub(crate) fn replace(&mut self, other: Self) {
        let kinds = std::mem::take(&mut self.kinds);
        let pause = self.pause.max(other.pause);
        *self = Self { pause, ..other };
        self.kinds.extend(kinds);
    }

    /// Whether there are or were faults.
    pub(crate) fn are_any(&self) -> bool {
        !self.kinds.is_empty()
    }

    pub(crate) fn has(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether a connection may end with bytes unsent.
    pub(crate) fn cut(&self) -> bool {
        self.has(FaultKind::Truncate) || self.has(FaultKind::Reset)
    }

    /// Whether a connection may end behind any message.
    pub(crate) fn close(&self) -> bool {
        self.cut() || self.has(FaultKind::CloseBefore) || self.has(FaultKind::CloseAfter)
    }

    /// What is wrong with what is counted, if anything is.
    pub(crate) fn check(&self, counters: &Counters, flipped: u64) -> Option<String> {
        let alien = counters.faults_by_kind().find(|(kind, count)| *count > 0 && !self.has(*kind));
        let ends = [
            FaultKind::Refuse,
            FaultKind::Reset,
            FaultKind::CloseBefore,
            FaultKind::CloseAfter,
            FaultKind::Truncate,
        ];
        let count = |kind| {
            counters.faults_by_kind().find(|(it, _)| *it == kind).map_or(0, |(_, count)| count)
        };
        let (ended, closed) = (ends.map(count), counters.closed(CloseReason::InjectedFault));
        let is_so =
            alien.is_none() && closed <= ended.iter().sum() && flipped <= count(FaultKind::Corrupt);
        (!is_so).then(|| format!("{alien:?}, {ended:?} of {closed} ends, {flipped} flipped bits"))
    }
}

impl Link {
    /// How much later than otherwise the server may do anything for it.
    pub(crate) fn pause(&self, world: &World) -> u64 {
        world.setup.listeners[self.listener].injected.pause
    }

    /// Whether it may be held for a fault, so that nothing is read or answered.
    pub(crate) fn may_be_held(&self, world: &World) -> bool {
        let account = &self.account;
        let seen = [account.last_message, account.last_write, account.last_read];
        let begun = [self.socket.begun, self.socket.accepted, account.opened];
        let last = seen.into_iter().chain(begun.into_iter().flatten()).max().unwrap_or_default();
        let has_unsent = account.due_length() > self.written.len();
        self.pause(world) > 0 && (has_unsent || world.now < last + self.pause(world))
    }
}

impl World {
    /// Takes back the bits that a fault has flipped in what was written last: at most one of a
    /// byte, and no more than messages were answered.
    pub(crate) fn unflip(&mut self, number: usize, start: usize) {
        if !self.terms(number).injected.has(FaultKind::Corrupt) {
            return;
        }
        let is_lines = self.terms(number).config.framing() == Framing::Lines;
        let link = &mut self.links[number];
        let is_lines = is_lines && !link.has_records();
        let Link { written, account, .. } = link;
        for (byte, due) in written.iter_mut().zip(&account.due).skip(start) {
            let is_bit = (*byte ^ due).is_power_of_two();
            // It must not make an end of a line.
            let is_bit = is_bit && !(is_lines && matches!(*byte, b'\n' | b'\r'));
            if is_bit && account.flipped < account.count {
                account.flipped += 1;
                *byte = *due;
            }
        }
    }
}
