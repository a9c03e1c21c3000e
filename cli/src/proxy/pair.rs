//! One connection that is carried: a plain end, a far end, and the session between them.

use std::time::{Duration, Instant};

use std::sync::Arc;

use countersign::{Address, Dial, Refusal, RefusalCode, Session};
use mio::event::Event;
use mio::net::TcpStream;

use super::end::End;
use super::event_log::{CloseCause, PairInfo};
use super::pair_id::{Leg, PairId};
use super::shared::{Role, Shared};
use super::sockets;

/// How often a pair may read each way before the others have their turns.
const ROUNDS: usize = 8;

/// How long whom we refuse may take to hear it.
const LINGER: Duration = Duration::from_secs(1);

/// How often we read of what such a peer still says, so that our word isn't lost by a reset.
const LINGER_READS: usize = 16;

/// One connection that is carried.
#[derive(Debug)]
pub(super) struct Pair {
    id: PairId,
    info: PairInfo,
    pub(super) plain: End,
    /// The end that speaks `countersign/1`.
    pub(super) secure: End,
    pub(super) session: Session,
    pub(super) stage: Stage,
    /// When the stage began, or anything was carried last.
    pub(super) since: Instant,
    /// From the plain end to the far one.
    pub(super) outward: Direction,
    /// From the far end to the plain one.
    pub(super) inward: Direction,
    /// The id of the key by which both ends have proved themselves.
    pub(super) key: Option<Box<str>>,
    /// The connection that is being dialled; none as well while the target is looked up.
    dial: Option<Box<Dial>>,
    /// It stands in the queue of the ready.
    pub(super) queued: bool,
    /// When it is looked at again by itself.
    pub(super) timer: Option<Instant>,
}

/// How far a pair has come: a client dials and then greets, a server greets and then dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its handshake begins later, because too many proofs from its network were wrong.
    Delayed,
    /// The handshake is going on.
    Greeting,
    /// Whom we dial hasn't answered yet.
    Dialling,
    Carrying,
    /// The far end is told that it isn't let in: for this reason, or because we stop.
    Leaving(Option<Refusal>),
}

/// How far one direction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Open,
    /// Its source has ended; what waits is still to be sent, and then the end.
    Ending,
    Ended,
}

/// What a turn came to.
#[derive(Debug)]
pub(super) enum Visit {
    /// There is nothing to do until something happens.
    Rest,
    /// The budget is used up, and there may be more to do.
    Again,
    Over(CloseCause),
}

impl Pair {
    /// A pair for somebody who has called.
    pub(super) fn new(
        id: PairId,
        (socket, info): (TcpStream, PairInfo),
        session: Session,
        now: Instant,
    ) -> Self {
        let caller = End::accepted(socket);
        let (plain, secure, stage) = match info.role {
            Role::Client => (caller, End::default(), Stage::Dialling),
            Role::Server => (End::default(), caller, Stage::Greeting),
        };
        Self {
            id,
            info,
            plain,
            secure,
            session,
            stage,
            since: now,
            outward: Direction::Open,
            inward: Direction::Open,
            key: None,
            dial: None,
            queued: false,
            timer: None,
        }
    }

    /// Has its first turn.
    pub(super) fn begin(&mut self, shared: &mut Shared) -> Visit {
        let (leg, caller) = match shared.role {
            Role::Client => (Leg::Plain, &mut self.plain),
            Role::Server => (Leg::Secure, &mut self.secure),
        };
        let watched = caller.watch(self.id.token(leg), &shared.registry);
        let begun = watched.map_err(CloseCause::Unavailable).and_then(|()| match shared.role {
            Role::Client => self.dial(shared),
            Role::Server => self.process_input(0, shared),
        });
        begun.map_or_else(Visit::Over, |()| Visit::Rest)
    }

    /// Takes note of an event.
    pub(super) fn notice(&mut self, leg: Leg, event: &Event) {
        match leg {
            Leg::Plain => self.plain.notice(event),
            Leg::Secure => self.secure.notice(event),
        }
    }

    /// Has its turn: carries both ways until there is nothing more or the budget is used up.
    pub(super) fn turn(&mut self, shared: &mut Shared) -> Visit {
        match (self.act(shared), self.stage) {
            (Ok(visit), _) => visit,
            // Whatever they do who aren't let in, it was that which ended it.
            (Err(_), Stage::Leaving(refusal)) => Visit::Over(parted(refusal)),
            (Err(cause), _) => Visit::Over(cause),
        }
    }

    fn act(&mut self, shared: &mut Shared) -> Result<Visit, CloseCause> {
        self.plain.check().map_err(CloseCause::Plain)?;
        self.secure.check().map_err(CloseCause::Secure)?;
        if self.stage == Stage::Dialling {
            self.arrive(shared)?;
        }
        for _ in 0..ROUNDS {
            if let Stage::Leaving(refusal) = self.stage {
                return self.leave(refusal, shared);
            }
            let (inward, outward) = (self.inward(shared)?, self.outward(shared)?);
            if (self.inward, self.outward) == (Direction::Ended, Direction::Ended) {
                return Ok(Visit::Over(CloseCause::Finished));
            }
            if !(inward || outward) {
                return Ok(Visit::Rest);
            }
            if self.stage == Stage::Carrying {
                self.since = shared.now;
            }
        }
        Ok(Visit::Again)
    }

    /// Dials the target as soon as its addresses are known.
    pub(super) fn dial(&mut self, shared: &mut Shared) -> Result<(), CloseCause> {
        match shared.lookup.begin() {
            Some(addresses) => self.dial_at(addresses, shared),
            None => Ok(()),
        }
    }

    /// Whether it waits for the addresses of the target.
    pub(super) fn is_looking(&self) -> bool {
        self.stage == Stage::Dialling && self.dial.is_none()
    }

    /// Dials the target, whose addresses these are.
    pub(super) fn dial_at(
        &mut self,
        addresses: Arc<[Address]>,
        shared: &mut Shared,
    ) -> Result<(), CloseCause> {
        let spent = shared.now.saturating_duration_since(self.since);
        let left = shared.bounds.connect_timeout.saturating_sub(spent);
        self.dial = Some(Box::new(Dial::new(addresses, shared.now, left)));
        self.arrive(shared)
    }

    /// Goes on if the target has answered.
    fn arrive(&mut self, shared: &mut Shared) -> Result<(), CloseCause> {
        let Some(dial) = &mut self.dial else { return Ok(()) };
        let (leg, dialled) = match shared.role {
            Role::Client => (Leg::Secure, &mut self.secure),
            Role::Server => (Leg::Plain, &mut self.plain),
        };
        let token = self.id.token(leg);
        let connected = dial.turn(shared.now, |socket| {
            sockets::prepare(socket)?;
            sockets::watch(socket, token, &shared.registry)
        });
        let Some((socket, _)) = connected.map_err(CloseCause::Unreachable)? else { return Ok(()) };
        dialled.connect(TcpStream::from_std(socket));
        (self.dial, self.since) = (None, shared.now);
        if shared.role == Role::Server {
            self.stage = Stage::Carrying;
            return Ok(());
        }
        self.stage = Stage::Greeting;
        self.process_input(0, shared)
    }

    /// Waits until the far end has heard that it was refused.
    fn leave(
        &mut self,
        refusal: Option<Refusal>,
        shared: &mut Shared,
    ) -> Result<Visit, CloseCause> {
        self.secure.flush().map_err(CloseCause::Secure)?;
        if self.secure.waiting() > 0 {
            return Ok(Visit::Rest);
        }
        self.secure.finish().map_err(CloseCause::Secure)?;
        for _ in 0..LINGER_READS {
            match self.secure.read(&mut shared.inbox).map_err(CloseCause::Secure)? {
                None => return Ok(Visit::Rest),
                Some(0) => break,
                Some(_) => {}
            }
        }
        Ok(Visit::Over(parted(refusal)))
    }

    /// Ends the handshake of somebody who took too long, or, for no refusal, because we stop.
    pub(super) fn give_up(&mut self, refusal: Option<Refusal>, shared: &mut Shared) -> Visit {
        shared.words.clear();
        let reason = if refusal.is_some() { RefusalCode::TimedOut } else { RefusalCode::Busy };
        self.session.give_up(reason, &mut shared.words);
        (self.stage, self.since) = (Stage::Leaving(refusal), shared.now);
        match self.secure.send(&shared.words) {
            Ok(()) if !shared.words.is_empty() => self.turn(shared),
            // Nothing is said to those who haven't called.
            _ => Visit::Over(parted(refusal)),
        }
    }

    /// When what it waits for is due.
    pub(super) fn due(&self, shared: &Shared) -> Option<Instant> {
        let wait = match self.stage {
            Stage::Dialling => {
                let end = self.since.checked_add(shared.bounds.connect_timeout);
                let attempt = self.dial.as_ref().and_then(|dial| dial.due());
                return end.into_iter().chain(attempt).min();
            }
            Stage::Delayed => shared.failure_delay,
            Stage::Greeting => shared.bounds.handshake_timeout,
            Stage::Carrying => shared.bounds.idle_timeout?,
            Stage::Leaving(_) => LINGER,
        };
        self.since.checked_add(wait)
    }

    /// What it waited for hasn't come.
    pub(super) fn time_up(&mut self, shared: &mut Shared) -> Visit {
        let late = Refusal::HandshakeTimeout;
        match self.stage {
            Stage::Delayed => {
                (self.stage, self.since) = (Stage::Greeting, shared.now);
                shared.callers.greet(self.id.slot, shared.now);
                self.begin(shared)
            }
            // The next attempt is due, or that was the last.
            Stage::Dialling if self.dial.is_some() => self.turn(shared),
            Stage::Dialling => {
                Visit::Over(CloseCause::Unreachable(std::io::ErrorKind::TimedOut.into()))
            }
            Stage::Greeting if shared.role == Role::Server => self.give_up(Some(late), shared),
            Stage::Greeting => Visit::Over(CloseCause::Refused(late)),
            Stage::Carrying => Visit::Over(CloseCause::Idle),
            Stage::Leaving(refusal) => Visit::Over(parted(refusal)),
        }
    }

    /// Whether it is somebody who hasn't proved to be let in.
    pub(super) fn is_visitor(&self) -> bool {
        let is_before = matches!(self.stage, Stage::Greeting | Stage::Delayed);
        self.info.role == Role::Server && is_before
    }

    /// Why it is being refused, if it is.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if let Stage::Leaving(refusal) = self.stage { refusal } else { None }
    }

    /// Has its handshake begin later.
    pub(super) fn delay(&mut self) {
        self.stage = Stage::Delayed;
    }

    /// What the log says about it.
    pub(super) fn info(&self) -> PairInfo {
        self.info
    }

    /// Both ends have proved themselves.
    pub(super) fn open(&mut self, key: Box<str>, now: Instant) {
        self.key = Some(key);
        self.info.is_open = true;
        self.since = now;
        self.stage = match self.info.role {
            Role::Client => Stage::Carrying,
            Role::Server => Stage::Dialling,
        };
    }

    /// Ends it. Unless both directions were carried to their ends, no peer may take what it has
    /// for the whole. Who is refused has nothing yet, and can tell why from an end in order.
    pub(super) fn end(self, cause: &CloseCause) {
        let is_finished = matches!(cause, CloseCause::Finished);
        if is_finished {
            self.plain.complete();
        }
        if is_finished || (!self.info.is_open && matches!(cause, CloseCause::Refused(_))) {
            self.secure.complete();
        }
    }

    /// Whether it has this id, which may be that of one before it.
    pub(super) fn is(&self, id: PairId) -> bool {
        self.id == id
    }
}

/// Why a peer that was told so was rejected.
fn parted(refusal: Option<Refusal>) -> CloseCause {
    refusal.map_or(CloseCause::Stopped, CloseCause::Refused)
}
