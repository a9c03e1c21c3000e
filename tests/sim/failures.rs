//! Failed proofs by host, told a second time and more simply than the engine does: each failure
//! with the time at which it is forgiven, to be counted one by one.

use std::net::IpAddr;

use countersign::{Limits, ServerConfig};

use crate::link::millis;

/// How a new connection is to be received, for all that its host has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Admission {
    #[default]
    Accept,
    Delay,
    Reject,
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
    pub(crate) forgotten: u64,
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
    pub(crate) fn admission(&self, host: IpAddr, now: u64, limits: &Limits) -> Admission {
        let place = self.places.iter().find(|place| place.holds(host, now));
        let left = |place: &Place| place.ends.iter().filter(|end| **end > now).count();
        match u32::try_from(place.map_or(0, left)).unwrap() {
            left if left > limits.failure_limit => Admission::Reject,
            left if left > limits.failure_burst => Admission::Delay,
            _ => Admission::Accept,
        }
    }

    /// Other limits are in force. A table that changes its size is made anew; else what is left to
    /// be forgiven takes as long, and counts as so many failures as take that long now.
    pub(crate) fn change(&mut self, now: u64, from: &Limits, to: &Limits, config: &ServerConfig) {
        if remembered(from, config) != remembered(to, config) {
            self.places = Default::default();
        }
        let each = millis(to.failure_decay);
        for place in self.places.iter_mut().filter(|place| place.end() > now) {
            let end = place.end();
            let left = (end - now).div_ceil(each);
            place.ends = (0..left).rev().map(|later| end - later * each).collect();
        }
    }

    pub(crate) fn add(&mut self, host: IpAddr, now: u64, limits: &Limits, config: &ServerConfig) {
        self.count += 1;
        if remembered(limits, config) == 0 {
            return;
        }
        let known = self.places.iter().position(|place| place.holds(host, now));
        let at = known.unwrap_or_else(|| {
            let least = (0..PLACES).min_by_key(|at| self.places[*at].end()).unwrap();
            self.forgotten += u64::from(self.places[least].end() > now);
            self.places[least] = Place { host: Some(host), ends: Vec::new() };
            least
        });
        let place = &mut self.places[at];
        let each = millis(limits.failure_decay);
        place.ends.push(place.end().max(now) + each);
        // Of more than twice what is allowed, the others count as if they had failed just now.
        let most = (2 * u64::from(limits.failure_limit)).max(1);
        if place.end() - now > most * each {
            place.ends = (1..=most).map(|number| now + number * each).collect();
        }
    }
}

/// The hosts that are to be remembered: none where nobody can fail, or all is forgiven at once.
fn remembered(limits: &Limits, config: &ServerConfig) -> usize {
    let is_on = config.dialect().authenticates() && !limits.failure_decay.is_zero();
    if is_on { limits.failure_networks } else { 0 }
}
