//! What is known of each listener beside its terms, and how its limits change while it is open.

use std::time::Duration;

use countersign::Limits;

use crate::excuses::{Check, Excuse};
use crate::failures::Failures;
use crate::link::{Link, millis};
use crate::world::World;

/// What is known of a listener.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// What every host has failed there.
    pub(crate) failures: Failures,
    /// When the key that clients sign with was taken from the ring.
    pub(crate) revoked: Option<u64>,
    /// Who was in when the last turn was over.
    pub(crate) occupancy: Occupancy,
    /// Since when ages count, if not from the beginning.
    ages_from: u64,
    /// The limits that were in force before others were.
    past: Vec<Past>,
}

/// How many are in, and what is held for them. Limits that are lowered send nobody away, so there
/// may be as many as there were.
#[derive(Debug, Default)]
pub(crate) struct Occupancy {
    pub(crate) live: usize,
    pub(crate) unauthenticated: usize,
    /// The most unauthenticated from one address.
    pub(crate) at_one: usize,
    pub(crate) held: usize,
}

/// Limits that are in force no more.
#[derive(Debug)]
struct Past {
    until: u64,
    limits: Limits,
    /// Since when ages counted then.
    ages_from: u64,
}

impl World {
    /// A listener gets other limits while so many bytes are held.
    pub(crate) fn replace_limits(&mut self, listener: usize, limits: &Limits, held: usize) {
        self.say(format_args!("listener {listener} gets other limits: {limits:?}"));
        let (now, terms, model) =
            (self.now, &mut self.setup.listeners[listener], &mut self.models[listener]);
        let before = std::mem::replace(&mut terms.limits, limits.clone());
        let live = self.links.iter_mut().filter(|link| link.is_live() && link.listener == listener);
        for link in live {
            // Who knows its time has less of it now, and may be cut short.
            link.socket.is_cut_short |= link.deadline(limits).0 < link.deadline(&before).0;
        }
        model.failures.change(now, &before, limits, &terms.config);
        let ages_from = model.ages_from;
        if before.session_age_max.is_none() && limits.session_age_max.is_some() {
            model.ages_from = now;
        }
        // What peers were told since the last turn is held, too.
        model.occupancy.held = held;
        model.past.push(Past { until: now, limits: before, ages_from });
        self.replaced += 1;
    }

    /// Whether a time that began then is over; or was by earlier limits, by which the end then
    /// began.
    pub(crate) fn is_over(&self, listener: usize, since: u64, of: fn(&Limits) -> Duration) -> bool {
        let end = |limits: &Limits| since + millis(of(limits));
        let was_over = |past: &Past| end(&past.limits) <= past.until;
        let was_over = self.models[listener].past.iter().any(was_over);
        let is_over = self.now >= end(&self.setup.listeners[listener].limits);
        let excuses = [(Excuse::TimeoutEarlierLimits, was_over)];
        (is_over || was_over) && self.excuses.check(Check::Timeout, is_over, &excuses)
    }

    /// When a connection has lasted as long as it may.
    pub(crate) fn age_end(&self, link: &Link) -> Option<u64> {
        let (terms, model) = (&self.setup.listeners[link.listener], &self.models[link.listener]);
        age_end(link, &terms.limits, model.ages_from)
    }

    /// Whether a connection has, by the limits of now or of then.
    pub(crate) fn is_too_old(&self, link: &Link) -> bool {
        let was_too_old = |past: &Past| {
            age_end(link, &past.limits, past.ages_from).is_some_and(|end| end <= past.until)
        };
        self.age_end(link).is_some_and(|end| end <= self.now)
            || self.models[link.listener].past.iter().any(was_too_old)
    }
}

fn age_end(link: &Link, limits: &Limits, ages_from: u64) -> Option<u64> {
    let opened = link.account.opened?;
    limits.session_age_max.map(|most| opened.max(ages_from) + millis(most))
}
