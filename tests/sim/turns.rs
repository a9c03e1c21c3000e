//! The promises that are looked at whenever a turn is over: what holds for each connection, and for
//! each listener by itself.

use countersign::stats::{Connections, Counters, ListenerStats, Stats};
use countersign::{CloseReason, Refusal};

use crate::excuses::{Check, Excuse};
use crate::failures::Admission;
use crate::link::Link;
use crate::model::Occupancy;
use crate::net::PAUSE;
use crate::world::World;

impl World {
    /// What must hold whenever a turn is over.
    pub(crate) fn check_turn(&mut self, stats: &Stats) {
        self.settle();
        for number in 0..self.links.len() {
            self.begin_late(number);
            if let Some(broken) = self.check_link(&self.links[number]) {
                self.fail(Some(number), format_args!("{broken}"));
            }
        }
        let of_listeners = (0..).zip(&stats.listeners).find_map(|(listener, stats)| {
            let occupancy = self.occupancy(listener, stats);
            let broken = self.check_limits(listener, &occupancy);
            let broken = broken.or_else(|| self.check_counters(listener, stats));
            let broken = broken.or_else(|| {
                let links = self.links.iter().filter(|link| link.listener == listener);
                let flipped: usize = links.map(|link| link.account.flipped).sum();
                let injected = &self.setup.listeners[listener].injected;
                injected.check(&stats.counters, flipped as u64)
            });
            self.models[listener].occupancy = occupancy;
            broken.map(|broken| format!("listener {listener}: {broken}"))
        });
        let broken = of_listeners.or_else(|| self.check_sums(stats));
        if let Some(broken) = broken.or_else(|| self.check_accepts()) {
            self.fail(None, format_args!("{broken}; {stats:?}"));
        }
    }

    /// Nobody outlives a deadline or is left out of a turn.
    fn check_link(&self, link: &Link) -> Option<String> {
        let Link { socket, account, .. } = link;
        if !link.is_live() {
            // A service that panicked when it was to open has nothing to close.
            let is_open = account.opened.is_some() && account.closed.is_none();
            let has_state = account.fate != Some(CloseReason::Panicked) || account.count > 0;
            return (is_open && has_state).then(|| "it was opened and never closed".to_owned());
        }
        let is_bad =
            !link.proxy_header.is_good && link.proxy_header_read == link.proxy_header.bytes.len();
        if socket.is_denied || is_bad {
            return Some("it has no business here".to_owned());
        }
        if link.is_put_off() && socket.admission != Admission::Delay {
            return Some(format!("{:?} was due, and it isn't greeted", socket.admission));
        }
        let (deadline, wait) = link.deadline(&self.setup.listeners[link.listener].limits);
        // A delay of no time at all is over in the turn after that of the accept.
        let has_just_come = wait == "delay" && socket.accepted == Some(self.now);
        if self.now >= deadline + link.pause(self) && !has_just_come {
            return Some(format!("it was to end at {deadline} ms: {wait}"));
        }
        let age_end = self.age_end(link).filter(|_| link.can_part());
        let is_held = link.may_be_held(self);
        if age_end.is_some_and(|end| self.now >= end + link.pause(self)) && !is_held {
            return Some(format!("it was too old at {age_end:?} ms"));
        }
        if self.stopping.is_some_and(|end| self.now >= end) {
            return Some("it has outlived the server".to_owned());
        }
        if self.stopping.is_some() && (link.is_arriving() || link.is_put_off()) {
            return Some("a server that stops waits for it".to_owned());
        }
        let is_touched = account.touched == self.turn || link.is_put_off() || is_held;
        if socket.told_readable && link.has_news() && socket.blocked.is_none() && !is_touched {
            return Some("it has something to read and no turn".to_owned());
        }
        if socket.told_writable && socket.blocked.is_some() && !is_touched {
            return Some("it has room to write and no turn".to_owned());
        }
        None
    }

    fn occupancy(&self, listener: usize, stats: &ListenerStats) -> Occupancy {
        let at = |host| {
            self.unauthenticated_at(listener)
                .filter(|link| link.is_unauthenticated_from(host))
                .count()
        };
        let at_one = self.unauthenticated_at(listener).map(|link| at(link.address.ip())).max();
        Occupancy {
            live: self.live_at(listener).count(),
            unauthenticated: self.unauthenticated_at(listener).count(),
            at_one: at_one.unwrap_or(0),
            held: stats.buffered,
        }
    }

    /// No more are in than may be, or than were already.
    fn check_limits(&self, listener: usize, now: &Occupancy) -> Option<String> {
        let limits = &self.setup.listeners[listener].limits;
        let before = &self.models[listener].occupancy;
        let reason: usize = self.live_at(listener).map(Link::keeps).sum();
        let within = [
            (now.live, limits.connections, before.live),
            (now.unauthenticated, limits.unauthenticated, before.unauthenticated),
            (now.at_one, limits.unauthenticated_per_address, before.at_one),
            (now.held, limits.buffered_max, before.held),
        ];
        let is_within = within.iter().all(|(now, most, _)| now <= most);
        let was_beyond = within.iter().all(|(now, most, before)| now <= most.max(before));
        let excuses = [(Excuse::LimitsLowered, was_beyond)];
        let is_within = self.excuses.check(Check::Limits, is_within, &excuses);
        (!is_within || now.held > reason)
            .then(|| format!("there are {now:?} with reason to hold {reason} bytes"))
    }

    fn check_counters(&self, listener: usize, stats: &ListenerStats) -> Option<String> {
        let Counters { accepted, authenticated, messages, bytes_in, bytes_out, delayed, .. } =
            stats.counters;
        let links = || self.links.iter().filter(|link| link.listener == listener);
        let sum = |of: fn(&Link) -> usize| links().map(of).sum::<usize>() as u64;
        let counted =
            [accepted, stats.counters.open(), authenticated, messages, bytes_in, bytes_out];
        let so = [
            sum(|link| usize::from(link.socket.accepted.is_some())),
            sum(|link| usize::from(link.is_live())),
            sum(|link| usize::from(link.account.opened.is_some())),
            sum(|link| link.account.count),
            sum(|link| link.read + link.proxy_header_read),
            sum(|link| link.written.len()),
        ];
        let excuses = [(Excuse::CountersReset, counted[5] < so[5] && links().any(|it| it.reset))];
        let is_sent = self.excuses.check(Check::Counters, counted[5] == so[5], &excuses);
        if counted[..5] != so[..5] || !is_sent {
            return Some(format!("counted {counted:?}, which are {so:?}"));
        }
        let closed = |refusal| stats.counters.closed(CloseReason::Refused(refusal));
        let failed = [Refusal::WrongProof, Refusal::UnknownKey, Refusal::WrongAudience];
        let failed = failed.map(closed).into_iter().sum();
        let counted = [delayed, failed, closed(Refusal::Throttled), closed(Refusal::Denied)];
        let so = [
            sum(|link| usize::from(link.is_or_was_delayed())),
            self.models[listener].failures.count,
            sum(|Link { socket, .. }| {
                usize::from(!socket.is_denied && socket.admission == Admission::Reject)
            }),
            sum(|link| usize::from(link.socket.is_denied)),
        ];
        let lacks =
            (2..4).all(|at| counted[at] <= so[at]) && self.setup.listeners[listener].is_tight;
        let excuses = [(Excuse::CountersBufferLimit, lacks)];
        let is_so = self.excuses.check(Check::Counters, counted[2..] == so[2..], &excuses)
            && counted[..2] == so[..2];
        (!is_so).then(|| format!("of wrong proofs are counted {counted:?}, not {so:?}"))
    }

    /// The sums over all listeners are right: of what is buffered, and of the connections by state.
    fn check_sums(&self, stats: &Stats) -> Option<String> {
        let open = |listener: &ListenerStats| {
            let Connections { delayed, handshake, open, closing, .. } = listener.connections;
            delayed + handshake + open + closing
        };
        let by_state = stats.listeners.iter().map(open).sum::<usize>() as u64;
        let is_so = by_state == stats.counters().open();
        // Those who came by higher limits may hold more than the limits of now come to.
        let is_bound = stats.buffered() <= stats.memory_max.buffered;
        let excuses = [(Excuse::LimitsLowered, self.replaced > 0)];
        let is_bound = self.excuses.check(Check::Limits, is_bound, &excuses);
        (!is_so || !is_bound).then(|| "the sums are wrong".to_owned())
    }

    /// Connections that wait are accepted where there is room, at whichever socket.
    fn check_accepts(&self) -> Option<String> {
        let excuses = [
            (Excuse::AcceptedListenerLost, self.lost_in == self.turn),
            (Excuse::AcceptedPaused, self.paused_since.is_some()),
        ];
        if !self.excuses.check(Check::Accepted, !self.has_room_for_a_caller(), &excuses) {
            return Some("somebody waits to be accepted".to_owned());
        }
        // In turn means that each of the others may come first once.
        let longest = self.listen_sockets.iter().map(|socket| socket.passed_over).max();
        let is_unfair = longest.is_some_and(|longest| longest >= self.listen_sockets.len());
        is_unfair.then(|| "a listener is passed over".to_owned())
    }

    fn has_room_for_a_caller(&self) -> bool {
        self.stopping.is_none()
            && self
                .listen_sockets
                .iter()
                .any(|waits| waits.has_caller() && self.has_room(waits.listener))
    }

    /// The engine asks for a turn in time for all that it must do by itself.
    pub(crate) fn check_due(&mut self, due: Option<u64>) {
        let door = self.paused_since.map_or(self.now, |since| since + PAUSE);
        let door = self.has_room_for_a_caller().then_some(door);
        let end = |link: &Link| {
            link.deadline(&self.setup.listeners[link.listener].limits).0 + link.pause(self)
        };
        // What has begun to be sent is sent, however old its connection is.
        let can_part = |link: &&Link| link.can_part() && !link.may_be_held(self);
        let ages = self.live().filter(can_part);
        let ages = ages.filter_map(|link| Some(self.age_end(link)? + link.pause(self)));
        let ends = self.live().map(end).chain(ages);
        let stop = self.stopping.filter(|_| self.live().next().is_some());
        let needed = ends.chain(door).chain(stop).min();
        if needed.is_some_and(|needed| due.is_none_or(|due| due > needed)) {
            let what = format!("a turn is due at {due:?}, and needed at {needed:?}");
            self.fail(None, what);
        }
    }
}
