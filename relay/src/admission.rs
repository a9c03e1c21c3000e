//! Accepting connections: at the end of a turn, a few at a time, and by the rules of a server if
//! peers have to authenticate.

use countersign::engine::Admission;
use countersign::reactor::acceptor::AcceptFailure;
use countersign::reactor::instant::Instant;
use countersign::session::SessionCore;
use countersign::{PeerAddress, Refusal, RefusalCode, random};
use mio::net::TcpStream;

use crate::event_log::{CloseCause, PairInfo};
use crate::pair::{Pair, Visit};
use crate::relay::Relay;
use crate::shared::{RelayConfig, RelayRole, Shared};

/// The connections that one turn accepts, so that those that are open have their turns too.
const ACCEPTS_PER_TURN: usize = 64;

impl Relay {
    /// Accepts connections, if there is room.
    pub(crate) fn accept(&mut self) {
        let now = self.shared.now;
        for _ in 0..ACCEPTS_PER_TURN {
            let has_room = |()| self.room_at().is_some_and(|room| room <= now);
            let Some((number, ())) = self.acceptor.next(now, has_room) else { return };
            let Some(listener) = self.listeners.get_mut(number) else { return };
            match listener.accept() {
                Ok((socket, address)) => {
                    self.acceptor.accepted(number);
                    self.receive(socket, address);
                }
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => {
                        listener.drained();
                        self.acceptor.drained(number);
                    }
                    AcceptFailure::Retry => self.shared.counters.accept_failures += 1,
                    // A proxy keeps its connections, even without its listener.
                    _ => {
                        self.shared.counters.accept_pauses += 1;
                        if self.acceptor.pause(now) {
                            self.log.paused(now, &error);
                        }
                        return;
                    }
                },
            }
        }
    }

    /// When accepting continues if there is room for one more connection; `None` until one closes.
    pub(crate) fn room_at(&self) -> Option<Instant> {
        self.shared.admission.room_at(self.pairs.len())
    }

    /// Decides on a connection that was accepted.
    fn receive(&mut self, socket: TcpStream, address: PeerAddress) {
        let Shared { role, now, .. } = self.shared;
        self.shared.counters.accepted += 1;
        let number = self.shared.counters.accepted;
        let info = PairInfo { role, address, number, is_open: false };
        let (admission, evicted) = self.shared.admission.admit(address, self.pairs.len(), now);
        let is_delayed = admission == Admission::Delay;
        let session = match admission {
            Admission::Reject(refusal) => Err(CloseCause::Refused(refusal)),
            Admission::Accept | Admission::Delay => self.session(),
        };
        if let Some(slot) = evicted {
            self.visit(slot, Pair::evict);
        }
        match session {
            Ok(session) => self.register(socket, info, session, is_delayed),
            Err(cause) => {
                self.shared.counters.count(cause.reason());
                self.log.ended(now, info, &cause);
            }
        }
    }

    fn session(&self) -> Result<SessionCore, CloseCause> {
        let nonce = random::bytes().map_err(CloseCause::Unavailable)?;
        match &self.shared.config {
            RelayConfig::Client(config) => {
                SessionCore::client(config, self.shared.wall, nonce).map_err(CloseCause::NoKey)
            }
            RelayConfig::Server(config) => Ok(SessionCore::server(config, nonce)),
        }
    }

    /// Adds a pair for a connection that was admitted.
    fn register(
        &mut self,
        socket: TcpStream,
        info: PairInfo,
        session: SessionCore,
        is_delayed: bool,
    ) {
        let now = self.shared.now;
        let mut pair = Pair::new(self.pairs.next_token(), (socket, info), session, now);
        if is_delayed {
            self.shared.counters.delayed += 1;
            pair.delay();
        }
        let slot = self.pairs.insert(pair);
        if info.role == RelayRole::Server {
            self.shared.admission.enter(slot, info.address, now);
        }
        self.visit(slot, |pair, shared| if is_delayed { Visit::Rest } else { pair.begin(shared) });
    }
}

impl Pair {
    /// Evicts an unauthenticated peer: refuses it as busy, and closes its connection at once. If it
    /// was already refused, that reason stays.
    fn evict(&mut self, shared: &mut Shared) -> Visit {
        if let Some(refusal) = self.refusal() {
            return Visit::Over(CloseCause::Refused(refusal));
        }
        shared.control_out.clear();
        self.session.refuse(RefusalCode::Busy, &mut shared.control_out);
        // What the socket does not take now is lost.
        let _ = self.secure.send(&shared.control_out);
        Visit::Over(CloseCause::Refused(Refusal::TooManyConnections))
    }
}
