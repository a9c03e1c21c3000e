//! The promises, and where each is looked at: when a connection ends, and after every turn.

use countersign::{Close, Counters, Exchange, Memory, Refusal};

use crate::failures::Reception;
use crate::link::{Account, LINGER, Link, millis};
use crate::script::Proof;
use crate::wire::PAUSE;
use crate::world::{Listener, World};

/// Those who are accepted elsewhere while somebody waits at a listener.
const PASSED_OVER_MAX: u32 = 4;

/// The bytes that a peer may go on to say after our good-bye.
const LINGER_MAX: usize = 1 << 20;

/// What the engine says of itself.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) counters: Counters,
    pub(crate) memory: Memory,
    pub(crate) held: usize,
}

impl World {
    /// Before our good-bye everything that is due is written, and everything read is answered.
    pub(crate) fn check_shut(&mut self, number: usize) {
        let must_go = self.must_go(number);
        if !must_go {
            self.owe_pongs(number);
        }
        let Link { account, written, read, .. } = &mut self.links[number];
        account.read_at_shut = *read;
        // What stands behind a proof that failed is nobody's.
        let is_inside = account.opened.is_some();
        let pending = if is_inside { account.oracle.messages.len() } else { 0 };
        let unsent = account.due.len().saturating_sub(written.len());
        if unsent > 0 || (pending > 0 && account.fate.is_none() && !must_go) {
            let what = format_args!("good-bye with {unsent} bytes unsent, {pending} unanswered");
            self.blame(Some(number), what);
        }
    }

    /// Whether a connection is too old, or without a key: then it has no answer to wait for.
    pub(crate) fn must_go(&self, number: usize) -> bool {
        let (now, limits) = (self.now, &self.setup.limits);
        let link = &self.links[number];
        let opened = link.account.opened;
        self.revoked.is_some() || opened.is_some_and(|since| link.is_too_old(since, limits, now))
    }

    /// A newcomer is greeted when its host has deserved it.
    pub(crate) fn check_watch(&mut self, number: usize) {
        let link = &self.links[number];
        let socket = &link.socket;
        let delay = millis(self.setup.limits.failure_delay);
        let is_in_time = match socket.reception {
            _ if socket.is_denied || socket.peer.is_some() => false,
            Reception::AtOnce => socket.at_door,
            Reception::Late => socket.accepted.is_some_and(|at| self.now >= at + delay),
            Reception::Never => false,
        };
        if !is_in_time || socket.begun.is_some() {
            let what = format!("{:?} was due, and it is greeted now", socket.reception);
            self.blame(Some(number), format_args!("{what}"));
        }
    }

    /// A visitor that is hung up on has given cause for it, or had to make room.
    pub(crate) fn check_drop(&mut self, number: usize) {
        let (now, limits) = (self.now, &self.setup.limits);
        let link = &self.links[number];
        let host = link.address.ip();
        let visitors = self.links.iter().filter(|link| link.is_visitor());
        let here = self.links.iter().filter(|link| link.is_visitor_from(host)).count();
        let is_arriving = link.is_arriving();
        let is_crowded_here = !is_arriving && here >= limits.unauthenticated_per_address;
        let is_misfortune = std::mem::take(&mut self.misfortune);
        let is_throttled = link.socket.reception == Reception::Never;
        let is_unwelcome = link.socket.is_denied || is_throttled || is_crowded_here;
        // A header's last piece may be too much to keep, or bring somebody who has come too late.
        let has_cause = self.setup.is_tight || self.stopping.is_some();
        let is_put_off = link.is_brought && link.is_put_off() && has_cause;
        let is_turned_away = is_unwelcome || is_put_off || link.socket.peer.is_none();
        if link.socket.at_door && is_turned_away {
            let is_right = is_misfortune || is_unwelcome || is_put_off;
            let socket = &mut self.links[number].socket;
            (socket.turned_away, socket.unlucky) = (true, true);
            if !is_right {
                self.blame(Some(number), format_args!("turned away without cause"));
            }
        } else if link.account.opened.is_none() {
            let socket = &link.socket;
            let since = socket.begun.or(socket.located).or(socket.accepted);
            let age = now - since.unwrap_or_default();
            let is_crowded = is_crowded_here
                || visitors.count() >= limits.unauthenticated
                || self.live().count() >= limits.connections;
            // Only for somebody who can be let in.
            let is_needed = self.live().map(|other| &other.socket).any(|other| {
                other.at_door && !other.is_denied && other.reception != Reception::Never
            });
            let gives_way = is_crowded && is_needed && age >= millis(limits.handshake_timeout / 10);
            let is_bad_call = matches!(link.script.proof, Proof::BadCall(_)) && link.read > 0;
            let is_greeted = socket.begun.is_some();
            let is_wrong = is_greeted && (link.account.oracle.proof_left == 0 || is_bad_call);
            let is_no_header = !link.prelude.is_good && link.prelude_read > 0;
            let is_own_fault = link.end_read || link.reset || is_wrong || is_no_header;
            let is_timed = is_greeted || is_arriving;
            let is_late = is_timed && age >= millis(limits.handshake_timeout);
            // Half a proof, or half a header, is held like half a message.
            let is_overload = self.setup.is_tight && link.read + link.prelude_read > 0;
            let is_stopped = self.stopping.is_some();
            let unlucky = gives_way || is_overload || is_misfortune || is_stopped;
            let is_right = is_own_fault || is_late || unlucky;
            let is_excused = unlucky || link.end_read;
            self.links[number].socket.unlucky = unlucky;
            if !is_right {
                self.blame(Some(number), format_args!("hung up on without cause after {age} ms"));
            }
            self.check_refusal(number, is_late, is_excused);
        }
    }

    /// A connection ends for a reason that is so, and not before its time.
    pub(crate) fn check_close(&mut self, number: usize, why: Close) {
        if !matches!(why, Close::Overloaded | Close::Reset | Close::TooOld | Close::Revoked) {
            self.owe_pongs(number);
        }
        let is_so = self.is_so(number, why);
        let link = &self.links[number];
        let (deadline, wait) = link.deadline(&self.setup.limits);
        let is_timed_out = wait == "write" && self.now >= deadline;
        let is_stopped = self.stopping.is_some_and(|end| self.now >= end);
        // What breaks while it ends, still ends for the reason for which it began to.
        let is_rough = link.reset
            || matches!(why, Close::Overloaded | Close::WriteTimeout)
            || is_timed_out
            || is_stopped;
        let unsent = link.account.due.len().saturating_sub(link.written.len());
        let has_waited = link.socket.shut.is_some_and(|shut| self.now >= shut + LINGER)
            || link.account.lingered >= LINGER_MAX
            || link.account.oracle.finished;
        if !is_so {
            let account = &link.account;
            let what = format!("closed as {why}, which isn't so: {account:?}");
            self.blame(Some(number), format_args!("{what}"));
        } else if unsent > 0 && !is_rough {
            self.blame(Some(number), format_args!("closed as {why} with {unsent} bytes unsent"));
        } else if !link.end_read && !has_waited && !is_rough {
            self.blame(Some(number), format_args!("closed as {why} without waiting"));
        } else if !is_rough {
            self.check_goodbye(number, why);
        }
    }

    fn is_so(&self, number: usize, why: Close) -> bool {
        let (now, limits) = (self.now, &self.setup.limits);
        let link = &self.links[number];
        let Account { oracle, fate, opened, last_read, last_message, .. } = &link.account;
        let is_partial = oracle.is_partial();
        let is_answered = oracle.messages.is_empty();
        match why {
            Close::Finished if link.is_guarded() => oracle.finished && is_answered,
            Close::Finished => link.end_read && !is_partial && is_answered && fate.is_none(),
            Close::Cut => link.end_read && oracle.is_cut() && is_answered,
            Close::Revoked => self.revoked.is_some() && link.dialect.authenticates(),
            Close::Answered => self.setup.protocol.exchange() != Exchange::Many,
            Close::Reset => link.reset,
            Close::Refused(Refusal::MessageTooLong | Refusal::BadLength | Refusal::BadRecord) => {
                oracle.bad && is_answered
            }
            Close::Refused(Refusal::MessageTimeout) => {
                let since = link.account.partial_since.unwrap_or_default();
                is_partial && is_answered && now >= since + millis(limits.message_timeout)
            }
            Close::IdleTimeout => {
                let since = opened.unwrap_or_default().max(*last_read).max(*last_message);
                !is_partial && is_answered && now >= since + millis(limits.idle_timeout)
            }
            Close::TooOld => opened.is_some_and(|since| link.is_too_old(since, limits, now)),
            Close::WriteTimeout => link.deadline(limits) <= (now, "write"),
            Close::ReplyTooLong | Close::Dismissed | Close::Panicked => *fate == Some(why),
            Close::Overloaded => self.setup.is_tight,
            Close::Stopped => {
                // Where the connection broke first, there was no good-bye.
                let read = link.socket.shut.map_or(link.read, |_| link.account.read_at_shut);
                let is_kept = read >= link.account.promised;
                self.stopping.is_some_and(|end| now >= end || is_kept)
            }
            _ => false,
        }
    }

    /// The server is told to stop: what it knows to have arrived, it must still answer.
    pub(crate) fn stops(&mut self, end: u64) {
        self.say(format_args!("the server is told to stop by {end} ms"));
        self.stopping = Some(end);
        for link in self.links.iter_mut().filter(|link| link.is_live()) {
            link.account.promised = link.socket.told;
        }
        for listener in &mut self.listeners {
            for link in std::mem::take(&mut listener.backlog) {
                self.links[link].lost = true;
            }
        }
    }

    /// What must hold whenever a turn is over.
    pub(crate) fn check_turn(&mut self, figures: &Figures) {
        self.settle();
        for number in 0..self.links.len() {
            self.begin_late(number);
            if let Some(broken) = self.check_link(&self.links[number]) {
                self.blame(Some(number), format_args!("{broken}"));
            }
        }
        let broken = self.check_limits(figures).or_else(|| self.check_counters(figures));
        if let Some(broken) = broken.or_else(|| self.check_door()) {
            self.blame(None, format_args!("{broken}; {figures:?}"));
        }
    }

    /// Nobody outlives a deadline or is left out of a turn.
    fn check_link(&self, link: &Link) -> Option<String> {
        let Link { socket, account, .. } = link;
        if !link.is_live() {
            // A service that panicked when it was to open has nothing to close.
            let is_open = account.opened.is_some() && account.closed.is_none();
            let has_state = account.fate != Some(Close::Panicked) || account.count > 0;
            return (is_open && has_state).then(|| "it was opened and never closed".to_owned());
        }
        let is_bad = !link.prelude.is_good && link.prelude_read == link.prelude.bytes.len();
        if socket.is_denied || is_bad {
            return Some("it has no business here".to_owned());
        }
        if link.is_put_off() && socket.reception != Reception::Late {
            return Some(format!("{:?} was due, and it isn't greeted", socket.reception));
        }
        let (deadline, wait) = link.deadline(&self.setup.limits);
        // A delay of no time at all is over in the turn after that of the accept.
        let has_just_come = wait == "delay" && socket.accepted == Some(self.now);
        if self.now >= deadline && !has_just_come {
            return Some(format!("it was to end at {deadline} ms: {wait}"));
        }
        if self.stopping.is_some_and(|end| self.now >= end) {
            return Some("it has outlived the server".to_owned());
        }
        if self.stopping.is_some() && (link.is_arriving() || link.is_put_off()) {
            return Some("a server that stops waits for it".to_owned());
        }
        let is_touched = account.touched == self.turn || link.is_put_off();
        if socket.told_readable && link.has_news() && socket.blocked.is_none() && !is_touched {
            return Some("it has something to read and no turn".to_owned());
        }
        if socket.told_writable && socket.blocked.is_some() && !is_touched {
            return Some("it has room to write and no turn".to_owned());
        }
        None
    }

    fn check_limits(&self, figures: &Figures) -> Option<String> {
        let limits = &self.setup.limits;
        let live = self.live().count();
        let visitors = || self.links.iter().filter(|link| link.is_visitor());
        let at = |host| self.links.iter().filter(|link| link.is_visitor_from(host)).count();
        let most_at_one = visitors().map(|link| at(link.address.ip())).max().unwrap_or(0);
        let reason: usize = self.live().map(Link::keeps).sum();
        let held_max = limits.held_max.min(figures.memory.held).min(reason);
        if live > limits.connections || visitors().count() > limits.unauthenticated {
            Some(format!("{live} connections, {} visitors", visitors().count()))
        } else if most_at_one > limits.unauthenticated_per_address {
            Some(format!("{most_at_one} visitors from one address"))
        } else if figures.held > held_max {
            Some(format!("{} of {held_max} bytes are held for {live}", figures.held))
        } else {
            None
        }
    }

    fn check_counters(&self, figures: &Figures) -> Option<String> {
        let Counters { authenticated, messages, bytes_in, bytes_out, delayed, .. } =
            figures.counters;
        let sum = |of: fn(&Link) -> usize| self.links.iter().map(of).sum::<usize>() as u64;
        let counted = [figures.counters.open(), authenticated, messages, bytes_in, bytes_out];
        let so = [
            self.live().count() as u64,
            sum(|link| usize::from(link.account.opened.is_some())),
            sum(|link| link.account.count),
            sum(|link| link.read + link.prelude_read),
            sum(|link| link.written.len()),
        ];
        let is_so = counted[..4] == so[..4]
            && counted[4] <= so[4]
            // What was written before a write that failed in the same breath isn't counted.
            && (counted[4] == so[4] || self.links.iter().any(|link| link.reset));
        if !is_so {
            return Some(format!("counted {counted:?}, which are {so:?}"));
        }
        let closed = |refusal| figures.counters.closed(Close::Refused(refusal));
        let failed = [Refusal::WrongProof, Refusal::UnknownKey, Refusal::WrongAudience];
        let failed = failed.map(closed).into_iter().sum();
        let counted = [delayed, failed, closed(Refusal::Throttled), closed(Refusal::Denied)];
        let so = [
            sum(|link| usize::from(link.is_or_was_delayed())),
            self.failures.count,
            sum(|Link { socket, .. }| {
                usize::from(!socket.is_denied && socket.reception == Reception::Never)
            }),
            sum(|link| usize::from(link.socket.is_denied)),
        ];
        // Who was too much to keep was not received at all.
        let lacks = |at: usize| self.setup.is_tight && counted[at] <= so[at];
        let is_so = counted[..2] == so[..2] && (2..4).all(|at| counted[at] == so[at] || lacks(at));
        (!is_so).then(|| format!("of wrong proofs are counted {counted:?}, not {so:?}"))
    }

    /// Who waits at the door is let in where there is room, whichever door it is.
    fn check_door(&self) -> Option<String> {
        let is_tried = self.short_since.is_some() || self.accepted_in == self.turn;
        if self.has_room_for_a_caller() && !is_tried {
            return Some("somebody waits at the door".to_owned());
        }
        let longest = self.listeners.iter().map(|listener| listener.passed_over).max();
        (longest > Some(PASSED_OVER_MAX)).then(|| "a listener is passed over".to_owned())
    }

    fn has_room_for_a_caller(&self) -> bool {
        let limits = &self.setup.limits;
        let somebody = |waits: &Listener| waits.told && !waits.backlog.is_empty();
        self.stopping.is_none()
            && self.listeners.iter().any(somebody)
            && self.live().count() < limits.connections
            && self.links.iter().filter(|link| link.is_visitor()).count() < limits.unauthenticated
    }

    /// The engine asks for a turn in time for all that it must do by itself.
    pub(crate) fn check_due(&mut self, due: Option<u64>) {
        let door = self.short_since.map_or(self.now, |since| since + PAUSE);
        let door = self.has_room_for_a_caller().then_some(door);
        let limits = &self.setup.limits;
        let ends = self.live().map(|link| link.deadline(limits).0);
        let stop = self.stopping.filter(|_| self.live().next().is_some());
        let needed = ends.chain(door).chain(stop).min();
        if needed.is_some_and(|needed| due.is_none_or(|due| due > needed)) {
            let what = format_args!("a turn is due at {due:?}, and needed at {needed:?}");
            self.blame(None, what);
        }
    }
}
