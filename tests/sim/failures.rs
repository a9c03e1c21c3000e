//! Failed proofs by host, told a second time and more simply than the engine does: each failure
//! with the time at which it is forgiven, to be counted one by one.

use std::net::IpAddr;

use countersign::{Limits, Protocol};

use crate::link::millis;

/// How a newcomer is to be received, for all that its host has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reception {
    #[default]
    AtOnce,
    Late,
    Never,
}

/// The hosts that one set of the engine's table has places for.
pub(crate) const PLACES: usize = 4;

/// What every host has failed. Where hosts are more than four, the engine's table is one set: which
/// of its sets a host belongs to is nothing that a seed decides.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    places: [Place; PLACES],
    /// All that there were.
    pub(crate) count: u64,
    /// Hosts that were forgotten with failures that were not forgiven.
    pub(crate) displaced: u64,
}

#[derive(Debug, Default)]
struct Place {
    host: Option<IpAddr>,
    /// When each failure is forgiven, in order.
    ends: Vec<u64>,
}

impl Place {
    /// When all of it is forgiven.
    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    fn holds(&self, host: IpAddr, now: u64) -> bool {
        self.host == Some(host) && self.end() > now
    }
}

impl Failures {
    pub(crate) fn reception(&self, host: IpAddr, now: u64, limits: &Limits) -> Reception {
        let place = self.places.iter().find(|place| place.holds(host, now));
        let left = |place: &Place| place.ends.iter().filter(|end| **end > now).count();
        match u32::try_from(place.map_or(0, left)).unwrap() {
            left if left > limits.failures_max => Reception::Never,
            left if left > limits.failures_free => Reception::Late,
            _ => Reception::AtOnce,
        }
    }

    pub(crate) fn add(&mut self, host: IpAddr, now: u64, limits: &Limits, protocol: &Protocol) {
        self.count += 1;
        let forgiven = millis(limits.failure_forgiven);
        let is_on = limits.failure_networks > 0 && protocol.dialect().authenticates();
        if !is_on || forgiven == 0 {
            return;
        }
        let known = self.places.iter().position(|place| place.holds(host, now));
        let at = known.unwrap_or_else(|| {
            let least = (0..PLACES).min_by_key(|at| self.places[*at].end()).unwrap();
            self.displaced += u64::from(self.places[least].end() > now);
            self.places[least] = Place { host: Some(host), ends: Vec::new() };
            least
        });
        let place = &mut self.places[at];
        place.ends.push(place.end().max(now) + forgiven);
    }
}
