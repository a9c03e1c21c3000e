//! The promises that are looked at when a connection is greeted, and when it ends.

use countersign::faults::FaultKind;
use countersign::{CloseReason, Exchange, Refusal};

use crate::excuses::{Check, Excuse};
use crate::failures::Admission;
use crate::link::{Account, LINGER, Link, millis};
use crate::script::Proof;
use crate::terms::Terms;
use crate::world::World;

/// The bytes that a peer may go on to say after our close record.
const LINGER_MAX: usize = 1 << 20;

impl World {
    /// Before our close record everything that is due is written, and everything read is answered.
    pub(crate) fn check_shut(&mut self, number: usize) {
        let must_go = self.must_go(number);
        // A fault may come before the pings behind the last message.
        if !must_go && !self.terms(number).injected.close() {
            self.owe_pongs(number);
        }
        let Link { account, written, read, .. } = &mut self.links[number];
        account.read_at_shut = *read;
        // What stands behind a proof that failed is nobody's.
        let is_inside = account.opened.is_some();
        let pending = if is_inside { account.oracle.messages.len() } else { 0 };
        let unsent = account.due_length().saturating_sub(written.len());
        let is_answered = pending == 0 || account.fate.is_some();
        let injected = &self.terms(number).injected;
        let (may_close, may_cut) = (injected.close(), injected.cut());
        let is_cut = may_close && (!is_answered && !must_go || unsent > 0 && may_cut);
        self.links[number].account.is_cut = is_cut;
        let excuses = [(Excuse::AnsweredUnauthorized, must_go), (Excuse::AnsweredFault, may_close)];
        let is_answered = self.excuses.check(Check::Answered, is_answered, &excuses);
        if (unsent > 0 && !may_cut) || !is_answered {
            let what = format!("close record with {unsent} bytes unsent, {pending} unanswered");
            self.fail(Some(number), what);
        }
    }

    /// Whether a connection is too old, or without a key: then it has no answer to wait for.
    pub(crate) fn must_go(&self, number: usize) -> bool {
        self.model(number).revoked.is_some() || self.is_too_old(&self.links[number])
    }

    /// A new connection is greeted when its host has deserved it.
    pub(crate) fn check_watch(&mut self, number: usize) {
        let socket = &self.links[number].socket;
        let delay = millis(self.terms(number).limits.failure_delay);
        let is_in_time = match socket.admission {
            _ if socket.is_denied || socket.peer.is_some() => false,
            Admission::Accept => socket.in_admission,
            Admission::Delay => socket.accepted.is_some_and(|at| self.now >= at + delay),
            Admission::Reject => false,
        };
        if !is_in_time || socket.begun.is_some() {
            let what = format!("{:?} was due, and it is greeted now", socket.admission);
            self.fail(Some(number), format_args!("{what}"));
        }
    }

    /// Whether an unauthenticated connection may be evicted for a new one, which can be let in and
    /// needs no second place.
    pub(crate) fn may_be_evicted(&self, link: &Link) -> bool {
        let limits = &self.setup.listeners[link.listener].limits;
        let is_needed = self.live_at(link.listener).map(|other| &other.socket).any(|other| {
            other.in_admission && !other.is_denied && other.admission != Admission::Reject
        });
        let age = self.now - link.socket.waiting_since().unwrap_or_default();
        is_needed
            && !self.has_evicted
            && age >= millis(limits.handshake_timeout / 10)
            && (self.is_beyond_share(link) || !self.has_room(link.listener))
    }

    /// Whether as many unauthenticated connections come from a link's address as may.
    fn is_beyond_share(&self, link: &Link) -> bool {
        let most = self.setup.listeners[link.listener].limits.unauthenticated_per_address;
        let here = |other: &&Link| other.is_unauthenticated_from(link.address.ip());
        !link.is_arriving() && self.unauthenticated_at(link.listener).filter(here).count() >= most
    }

    /// An unauthenticated connection that is dropped has given cause for it, or there is an excuse.
    pub(crate) fn check_drop(&mut self, number: usize) {
        let is_system = std::mem::take(&mut self.system_failed);
        let link = &self.links[number];
        let is_throttled = link.socket.admission == Admission::Reject;
        let is_unwelcome = link.socket.is_denied || is_throttled || self.is_beyond_share(link);
        // A header's last piece may be too much to keep, or bring somebody who has come too late.
        let has_cause = self.terms(number).is_tight || self.stopping.is_some();
        let is_put_off = link.is_proxied && link.is_put_off() && has_cause;
        let is_turned_away = is_unwelcome || is_put_off || link.socket.peer.is_none();
        if link.socket.in_admission && is_turned_away {
            self.check_rejected(number, is_system, is_unwelcome, is_put_off);
        } else if link.account.opened.is_none() {
            self.check_hung_up(number, is_system);
        }
    }

    fn check_rejected(
        &mut self,
        number: usize,
        is_system: bool,
        is_unwelcome: bool,
        is_put_off: bool,
    ) {
        let is_tight = self.terms(number).is_tight;
        let may_refuse = self.terms(number).injected.has(FaultKind::Refuse);
        let excuses = [
            (Excuse::DroppedSystem, is_system),
            (Excuse::DroppedBufferLimit, is_put_off && is_tight),
            (Excuse::DroppedStopped, is_put_off),
            (Excuse::DroppedFault, may_refuse),
        ];
        let is_right = self.excuses.check(Check::Dropped, is_unwelcome, &excuses);
        let socket = &mut self.links[number].socket;
        socket.turned_away = true;
        socket.excuse = Some(match () {
            () if is_unwelcome => Excuse::ServedRejected,
            () if is_system => Excuse::ServedSystem,
            () if is_tight => Excuse::ServedBufferLimit,
            () if may_refuse => Excuse::ServedFault,
            () => Excuse::ServedStopped,
        });
        if !is_right {
            self.fail(Some(number), format_args!("turned away without cause"));
        }
    }

    fn check_hung_up(&mut self, number: usize, is_system: bool) {
        let link = &self.links[number];
        let socket = &link.socket;
        let age = self.now - socket.waiting_since().unwrap_or_default();
        let may_be_evicted = self.may_be_evicted(link);
        let is_bad_call = matches!(link.script.proof, Proof::BadCall(_)) && link.read > 0;
        let is_greeted = socket.begun.is_some();
        let is_refused = match &link.python {
            Some(python) => python.is_refused(),
            None => link.account.oracle.proof_left == 0 || is_bad_call,
        };
        let is_wrong = is_greeted && is_refused;
        let is_no_header = !link.proxy_header.is_good && link.proxy_header_read > 0;
        let is_own_fault = link.end_read || link.reset || is_wrong || is_no_header;
        let is_timed = is_greeted || link.is_arriving();
        let begun = self.now - age;
        let is_late = is_timed && self.is_over(link.listener, begun, |l| l.handshake_timeout);
        // Half a proof, or half a header, is held like half a message; so is what was said
        // to it and found no room.
        let is_held = link.read + link.proxy_header_read > 0 || link.socket.blocked.is_some();
        let is_overload = self.terms(number).is_tight && is_held;
        let is_stopped = self.stopping.is_some();
        let excuses = [
            (Excuse::DroppedSystem, is_system),
            (Excuse::DroppedStopped, is_stopped),
            (Excuse::DroppedBufferLimit, is_overload),
            (Excuse::DroppedEvicted, may_be_evicted),
        ];
        let is_right = self.excuses.check(Check::Dropped, is_own_fault || is_late, &excuses);
        let served = [
            Excuse::ServedSystem,
            Excuse::ServedStopped,
            Excuse::ServedBufferLimit,
            Excuse::ServedEvicted,
        ];
        let served = served.into_iter().zip(excuses).find(|(_, (_, holds))| *holds);
        let excuse = served.map(|(excuse, _)| excuse);
        let is_excused = excuse.is_some() || link.end_read;
        let has_other_cause = is_own_fault || is_late || is_overload || is_system;
        self.has_evicted |= may_be_evicted && !has_other_cause && !is_stopped;
        self.links[number].socket.excuse = excuse;
        if !is_right {
            self.fail(Some(number), format_args!("hung up on without cause after {age} ms"));
        }
        self.check_refusal(number, is_late, is_excused);
        self.check_failure(number, is_late, is_excused);
    }

    /// A connection ends for a reason that is so, and not before its time.
    pub(crate) fn check_close(&mut self, number: usize, why: CloseReason) {
        if !matches!(
            why,
            CloseReason::Overloaded
                | CloseReason::InjectedFault
                | CloseReason::Reset
                | CloseReason::SessionAge
                | CloseReason::Revoked
        ) {
            self.owe_pongs(number);
        }
        let is_so = self.is_so(number, why);
        let link = &self.links[number];
        let (deadline, wait) = link.deadline(&self.terms(number).limits);
        let is_timed_out = wait == "write" && self.now >= deadline;
        let is_stopped = self.stopping.is_some_and(|end| self.now >= end);
        let unsent = link.account.due_length().saturating_sub(link.written.len());
        let has_waited = link.socket.shut.is_some_and(|shut| self.now >= shut + LINGER)
            || link.account.lingered >= LINGER_MAX
            || link.account.oracle.finished;
        let is_orderly = unsent == 0 && (link.end_read || has_waited) && link.receives_close(why);
        // What breaks while it ends, still ends for the reason for which it began to.
        let injected = &self.terms(number).injected;
        let is_fault = why == CloseReason::InjectedFault;
        let is_so = is_so && (is_fault || !link.account.is_cut);
        let excuses = [
            (Excuse::ClosedFault, is_fault && injected.cut()),
            (Excuse::ClosedReset, link.reset),
            (Excuse::ClosedBufferLimit, why == CloseReason::Overloaded),
            (Excuse::ClosedWriteTimeout, why == CloseReason::WriteTimeout || is_timed_out),
            (Excuse::ClosedStopped, is_stopped),
        ];
        let is_orderly = self.excuses.check(Check::Closed, is_orderly, &excuses);
        if !is_so {
            let account = format!("{:?}", link.account);
            self.fail(
                Some(number),
                format_args!("closed as {why}, which isn't so: {account:.900}"),
            );
        } else if !is_orderly {
            let (heard, waited) = (link.end_read, has_waited);
            let what = format!("{unsent} unsent, end {heard}, waited {waited}");
            self.fail(Some(number), format_args!("closed as {why} without order: {what}"));
        }
    }

    fn is_so(&self, number: usize, why: CloseReason) -> bool {
        let (now, Terms { limits, config, is_tight, .. }) = (self.now, self.terms(number));
        let link = &self.links[number];
        let Account { oracle, fate, opened, last_read, last_message, .. } = &link.account;
        let is_partial = oracle.is_partial();
        let is_answered = oracle.messages.is_empty();
        match why {
            CloseReason::Finished if link.has_records() => oracle.finished && is_answered,
            CloseReason::Finished => link.end_read && !is_partial && is_answered && fate.is_none(),
            CloseReason::Truncated => link.end_read && oracle.is_cut() && is_answered,
            CloseReason::Revoked => {
                self.model(number).revoked.is_some() && link.dialect.authenticates()
            }
            // Only close-before can come before the first answer.
            CloseReason::InjectedFault => {
                let injected = &self.terms(number).injected;
                let can_be_first = injected.has(FaultKind::CloseBefore);
                injected.close() && (link.account.count > 0 || can_be_first)
            }
            CloseReason::Answered => config.exchange() != Exchange::Many,
            CloseReason::Reset => link.reset,
            CloseReason::Refused(
                Refusal::MessageTooLong | Refusal::BadLength | Refusal::BadRecord,
            ) => oracle.bad && is_answered,
            CloseReason::Refused(Refusal::MessageTimeout) => {
                let since = link.account.partial_since.unwrap_or_default();
                is_partial
                    && is_answered
                    && self.is_over(link.listener, since, |l| l.message_timeout)
            }
            CloseReason::IdleTimeout => {
                let since = opened.unwrap_or_default().max(*last_read).max(*last_message);
                !is_partial && is_answered && self.is_over(link.listener, since, |l| l.idle_timeout)
            }
            CloseReason::SessionAge => self.is_too_old(link),
            CloseReason::WriteTimeout => link.deadline(limits) <= (now, "write"),
            CloseReason::ReplyTooLong
            | CloseReason::ReplyUnsendable
            | CloseReason::ClosedByService
            | CloseReason::Panicked => *fate == Some(why),
            CloseReason::Overloaded => *is_tight && self.is_blocked_longest(number),
            CloseReason::Stopped => {
                // Where the connection broke first, there was no close record.
                let read = link.socket.shut.map_or(link.read, |_| link.account.read_at_shut);
                let is_kept = read >= link.account.promised;
                self.stopping.is_some_and(|end| now >= end || is_kept)
            }
            _ => false,
        }
    }

    /// Whether nobody else who came by the listener has surely been blocked for longer.
    fn is_blocked_longest(&self, number: usize) -> bool {
        let link = &self.links[number];
        let since = link.blocked_since().map_or(self.now, |(earliest, _)| earliest);
        let others = self.live_at(link.listener).filter(|other| other.address != link.address);
        others.filter_map(Link::blocked_since).all(|(_, latest)| since <= latest)
    }

    /// The server is told to stop: what it knows to have arrived, it must still answer.
    pub(crate) fn stops(&mut self, end: u64) {
        self.say(format_args!("the server is told to stop by {end} ms"));
        self.stopping = Some(end);
        for link in self.links.iter_mut().filter(|link| link.is_live()) {
            link.account.promised = link.socket.told;
        }
        for socket in &mut self.listen_sockets {
            for link in std::mem::take(&mut socket.backlog) {
                self.links[link].lost = true;
            }
        }
    }
}
