//! One relayed connection: a plain end, a far end, and the session between them.

use std::sync::Arc;
use std::time::Duration;

use countersign::engine::Dial;
use countersign::reactor::buffered_stream::BufferedStream;
use countersign::reactor::instant::Instant;
use countersign::reactor::readiness::Readiness;
use countersign::reactor::timers::TimerKind;
use countersign::reactor::token::{SLOTS_MAX, Token, Tokened};
use countersign::session::SessionCore;
use countersign::{Address, Refusal, RefusalCode};
use mio::net::TcpStream;

use crate::event_log::{CloseCause, PairInfo};
use crate::limits::RelayLimits;
use crate::shared::{RelayRole, Shared};
use crate::sockets;

/// The most pairs that tokens can identify: each pair has a token for each of its ends.
pub const PAIRS_MAX: usize = SLOTS_MAX / 2;

/// How often a pair may read each way before the others have their turns.
const ROUNDS: usize = 8;

/// How long a refused peer may take to read the reason.
const LINGER: Duration = Duration::from_secs(1);

/// How often such a peer's input is read, so that a reset does not destroy the refusal.
const LINGER_READS: usize = 16;

/// How often a dial with several addresses is checked: the shortest time between two attempts.
const ATTEMPT: Duration = Duration::from_millis(10);

/// One relayed connection.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Its slot, and the generation of the tokens of its ends.
    token: Token,
    info: PairInfo,
    pub(crate) plain: BufferedStream<TcpStream>,
    /// The end that speaks `countersign/1`.
    pub(crate) secure: BufferedStream<TcpStream>,
    pub(crate) session: SessionCore,
    pub(crate) state: PairState,
    /// When the state began, or anything was relayed last.
    pub(crate) since: Instant,
    /// From the plain end to the far one.
    pub(crate) outward: Direction,
    /// From the far end to the plain one.
    pub(crate) inward: Direction,
    /// The id of the key with which both ends have authenticated.
    pub(crate) key: Option<Box<str>>,
    /// It is in the queue of the ready.
    pub(crate) is_queued: bool,
    /// The timer that runs, and the value of `since` for which it was started.
    pub(crate) timer: Option<(PairTimer, Instant)>,
}

/// The state of a pair. At the clients' proxy it connects and then goes through the handshake, at
/// the server's the other way round.
#[derive(Debug)]
pub(crate) enum PairState {
    /// The handshake begins later, because too many proofs from the peer's network were wrong.
    Delayed,
    Handshake,
    /// It waits for the addresses of the target.
    LookingUp,
    Connecting {
        dial: Box<Dial>,
        has_alternatives: bool,
    },
    Established,
    /// The far end is being refused, for this reason or because the proxy stops.
    Rejected(Option<Refusal>),
}

/// What a pair waits for: one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairTimer {
    Delay,
    Handshake,
    Connect,
    /// The time to look at a dial with several addresses, which then knows whether the next attempt
    /// is due and when all have failed.
    Attempt,
    Idle,
    Linger,
}

/// The state of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Open,
    /// Its source has ended; buffered data is still sent, and then the end.
    Ending,
    Ended,
}

/// Which of the two ends of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leg {
    Plain = 0,
    Secure = 1,
}

/// The result of a visit.
#[derive(Debug)]
pub(crate) enum Visit {
    /// There is nothing to do before the next event.
    Rest,
    /// The budget is used up, and there may be more to do.
    Again,
    Over(CloseCause),
}

impl PairTimer {
    /// How long it lasts; `None` for ever.
    pub(crate) fn length(self, limits: &RelayLimits) -> Option<Duration> {
        Some(match self {
            Self::Delay => limits.admission.failure_delay,
            Self::Handshake => limits.admission.handshake_timeout,
            Self::Connect => limits.connect_timeout,
            Self::Attempt => ATTEMPT,
            Self::Idle => limits.idle_timeout?,
            Self::Linger => LINGER,
        })
    }
}

impl TimerKind for PairTimer {
    const ALL: &'static [Self] =
        &[Self::Delay, Self::Handshake, Self::Connect, Self::Attempt, Self::Idle, Self::Linger];

    fn index(self) -> usize {
        self as usize
    }
}

impl Tokened for Pair {
    fn generation(&self) -> u32 {
        self.token.generation()
    }
}

impl Pair {
    /// A pair for a connection that was accepted.
    pub(crate) fn new(
        token: Token,
        (socket, info): (TcpStream, PairInfo),
        session: SessionCore,
        now: Instant,
    ) -> Self {
        let accepted = BufferedStream::new(socket);
        let (plain, secure, state) = match info.role {
            RelayRole::Client => (accepted, BufferedStream::default(), PairState::LookingUp),
            RelayRole::Server => (BufferedStream::default(), accepted, PairState::Handshake),
        };
        Self {
            token,
            info,
            plain,
            secure,
            session,
            state,
            since: now,
            outward: Direction::Open,
            inward: Direction::Open,
            key: None,
            is_queued: false,
            timer: None,
        }
    }

    /// The pair and the end that an event's token is for.
    pub(crate) fn of_event(token: Token) -> (Token, Leg) {
        let (slot, leg) = (token.slot() >> 1, token.slot() & 1);
        let leg = if leg == Leg::Plain as usize { Leg::Plain } else { Leg::Secure };
        (Token::new(slot, token.generation()), leg)
    }

    /// The token of one of its ends.
    fn event_token(&self, leg: Leg) -> mio::Token {
        let slot = self.token.slot() << 1 | leg as usize;
        mio::Token(Token::new(slot, self.token.generation()).into())
    }

    /// Begins, once its connection is registered.
    pub(crate) fn begin(&mut self, shared: &mut Shared) -> Visit {
        let (leg, accepted) = match shared.role {
            RelayRole::Client => (Leg::Plain, &self.plain),
            RelayRole::Server => (Leg::Secure, &self.secure),
        };
        let watched = sockets::watch_stream(accepted, self.event_token(leg), &shared.registry);
        let begun = watched.map_err(CloseCause::Unavailable).and_then(|()| match shared.role {
            RelayRole::Client => self.look_up(shared),
            RelayRole::Server => self.process_input(0, shared),
        });
        begun.map_or_else(Visit::Over, |()| Visit::Rest)
    }

    /// Records an event.
    pub(crate) fn notice(&mut self, leg: Leg, readiness: Readiness) {
        match leg {
            Leg::Plain => self.plain.notice(readiness),
            Leg::Secure => self.secure.notice(readiness),
        }
    }

    /// Takes its turn: relays both ways until there is nothing more or the budget is used up.
    pub(crate) fn turn(&mut self, shared: &mut Shared) -> Visit {
        match (self.act(shared), &self.state) {
            (Ok(visit), _) => visit,
            // Whatever a refused peer does, the refusal has ended the connection.
            (Err(_), PairState::Rejected(refusal)) => Visit::Over(rejection(*refusal)),
            (Err(cause), _) => Visit::Over(cause),
        }
    }

    fn act(&mut self, shared: &mut Shared) -> Result<Visit, CloseCause> {
        sockets::check(&self.plain).map_err(CloseCause::Plain)?;
        sockets::check(&self.secure).map_err(CloseCause::Secure)?;
        self.connect(shared)?;
        for _ in 0..ROUNDS {
            if let PairState::Rejected(refusal) = self.state {
                return self.linger(refusal, shared);
            }
            let (inward, outward) = (self.inward(shared)?, self.outward(shared)?);
            if (self.inward, self.outward) == (Direction::Ended, Direction::Ended) {
                return Ok(Visit::Over(CloseCause::Finished));
            }
            if !(inward || outward) {
                return Ok(Visit::Rest);
            }
            if self.is_established() {
                self.since = shared.now;
            }
        }
        Ok(Visit::Again)
    }

    /// Dials the target as soon as its addresses are known.
    pub(crate) fn look_up(&mut self, shared: &mut Shared) -> Result<(), CloseCause> {
        match shared.lookup.begin() {
            Some(addresses) => self.dial(addresses, shared),
            None => Ok(()),
        }
    }

    /// Dials the target, which has these addresses.
    pub(crate) fn dial(
        &mut self,
        addresses: Arc<[Address]>,
        shared: &mut Shared,
    ) -> Result<(), CloseCause> {
        let has_alternatives = addresses.len() > 1;
        let began = shared.clock.time(self.since);
        let dial = Box::new(Dial::new(addresses, began, shared.limits.connect_timeout));
        self.state = PairState::Connecting { dial, has_alternatives };
        self.connect(shared)
    }

    /// Continues to connect, if it does, and then with the next state once the target has answered.
    fn connect(&mut self, shared: &mut Shared) -> Result<(), CloseCause> {
        let (leg, is_client) = match shared.role {
            RelayRole::Client => (Leg::Secure, true),
            RelayRole::Server => (Leg::Plain, false),
        };
        let token = self.event_token(leg);
        let PairState::Connecting { dial, .. } = &mut self.state else { return Ok(()) };
        let connected = dial.turn(shared.clock.time(shared.now), |socket| {
            sockets::prepare(socket)?;
            sockets::watch(socket, token, &shared.registry)
        });
        let Some((socket, _)) = connected.map_err(CloseCause::Unreachable)? else { return Ok(()) };
        let socket = TcpStream::from_std(socket);
        self.since = shared.now;
        if is_client {
            self.secure.connect(socket);
            self.state = PairState::Handshake;
            self.process_input(0, shared)
        } else {
            self.plain.connect(socket);
            self.state = PairState::Established;
            Ok(())
        }
    }

    /// Waits until the far end has read that it was refused.
    fn linger(
        &mut self,
        refusal: Option<Refusal>,
        shared: &mut Shared,
    ) -> Result<Visit, CloseCause> {
        self.secure.flush().map_err(CloseCause::Secure)?;
        if self.secure.buffered() > 0 {
            return Ok(Visit::Rest);
        }
        sockets::finish(&self.secure).map_err(CloseCause::Secure)?;
        for _ in 0..LINGER_READS {
            match self.secure.read(&mut shared.inbox).map_err(CloseCause::Secure)? {
                None => return Ok(Visit::Rest),
                Some(0) => break,
                Some(_) => {}
            }
        }
        Ok(Visit::Over(rejection(refusal)))
    }

    /// Ends the handshake of a peer that took too long, or, with no refusal, because the proxy
    /// stops.
    pub(crate) fn refuse(&mut self, refusal: Option<Refusal>, shared: &mut Shared) -> Visit {
        shared.control_out.clear();
        let code = if refusal.is_some() { RefusalCode::TimedOut } else { RefusalCode::Busy };
        self.session.refuse(code, &mut shared.control_out);
        (self.state, self.since) = (PairState::Rejected(refusal), shared.now);
        match self.secure.send(&shared.control_out) {
            Ok(_) if !shared.control_out.is_empty() => self.turn(shared),
            // A peer that has sent nothing is sent nothing.
            _ => Visit::Over(rejection(refusal)),
        }
    }

    /// The timer of its state.
    pub(crate) fn running_timer(&self) -> PairTimer {
        match self.state {
            PairState::Delayed => PairTimer::Delay,
            PairState::Handshake => PairTimer::Handshake,
            PairState::Connecting { has_alternatives: true, .. } => PairTimer::Attempt,
            PairState::LookingUp | PairState::Connecting { .. } => PairTimer::Connect,
            PairState::Established => PairTimer::Idle,
            PairState::Rejected(_) => PairTimer::Linger,
        }
    }

    /// Its timer has expired.
    pub(crate) fn expire(&mut self, shared: &mut Shared) -> Visit {
        let late = Refusal::HandshakeTimeout;
        match &self.state {
            PairState::Delayed => {
                (self.state, self.since) = (PairState::Handshake, shared.now);
                shared.admission.greet(self.token.slot(), shared.now);
                self.begin(shared)
            }
            PairState::LookingUp => {
                Visit::Over(CloseCause::Unreachable(std::io::ErrorKind::TimedOut.into()))
            }
            PairState::Connecting { dial, .. } => {
                let now = shared.clock.time(shared.now);
                let is_due = dial.due().is_some_and(|due| due <= now);
                if is_due { self.turn(shared) } else { Visit::Rest }
            }
            PairState::Handshake if shared.role == RelayRole::Server => {
                self.refuse(Some(late), shared)
            }
            PairState::Handshake => Visit::Over(CloseCause::Refused(late)),
            PairState::Established => Visit::Over(CloseCause::Idle),
            PairState::Rejected(refusal) => Visit::Over(rejection(*refusal)),
        }
    }

    /// Whether its peer has yet to authenticate, as peers of a server's proxy do.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        let is_before = matches!(self.state, PairState::Handshake | PairState::Delayed);
        self.info.role == RelayRole::Server && is_before
    }

    pub(crate) fn is_established(&self) -> bool {
        matches!(self.state, PairState::Established)
    }

    /// Why it is being refused, if it is.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if let PairState::Rejected(refusal) = self.state { refusal } else { None }
    }

    /// Makes its handshake begin later.
    pub(crate) fn delay(&mut self) {
        self.state = PairState::Delayed;
    }

    /// Its fields in the log.
    pub(crate) fn info(&self) -> PairInfo {
        self.info
    }

    /// Both ends have authenticated.
    pub(crate) fn open(&mut self, key: Box<str>, now: Instant) {
        self.key = Some(key);
        self.info.is_open = true;
        self.since = now;
        self.state = match self.info.role {
            RelayRole::Client => PairState::Established,
            RelayRole::Server => PairState::LookingUp,
        };
    }

    /// Closes it. Unless both directions were relayed to their ends, the connections are reset, so
    /// that no peer takes a part of the stream for all of it. The stream of a refused peer ends
    /// without a reset, since nothing was relayed to it.
    pub(crate) fn close(self, cause: &CloseCause) {
        let is_finished = matches!(cause, CloseCause::Finished);
        if is_finished {
            sockets::complete(&self.plain);
        }
        if is_finished || (!self.info.is_open && matches!(cause, CloseCause::Refused(_))) {
            sockets::complete(&self.secure);
        }
    }
}

/// The reason of a connection whose peer was sent a refusal.
fn rejection(refusal: Option<Refusal>) -> CloseCause {
    refusal.map_or(CloseCause::Stopped, CloseCause::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_timer_stands_at_its_index() {
        for (index, timer) in PairTimer::ALL.iter().enumerate() {
            assert_eq!(timer.index(), index);
        }
    }
}
