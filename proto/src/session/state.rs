//! How far a session has come.

use alloc::boxed::Box;

use crate::config::options::Exchange;
use crate::config::session_config::SessionConfig;
use crate::handshake::countersign::state::CountersignState;
use crate::handshake::multiprocessing::MultiprocessingState;
use crate::handshake::{CHALLENGE, ChallengeState};
use crate::keys::key::Credential;
use crate::records::Records;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::session::protected::{Protected, RecordsState};

/// How far a session has come: in the handshake as its dialect says, and then in one of the two
/// states of an established connection, until it ends.
#[derive(Debug)]
pub(super) enum SessionState {
    /// As a server of `open`: nothing has to be proved.
    Open,
    /// As a server: nothing was sent yet.
    Unsent([u8; CHALLENGE]),
    /// In the handshake of `raw` or `hex`.
    Challenge(ChallengeState),
    /// In the handshake of `countersign/1`.
    Countersign(CountersignState),
    /// In the handshake of `multiprocessing`.
    Multiprocessing(MultiprocessingState),
    /// The handshake is over, and messages are exchanged without records. As a server, with the
    /// peer's key.
    Established(Role, Option<Credential>),
    /// The same in records.
    Protected(Box<Protected>),
    /// The exchange is complete, and the event that says so is due.
    Ending(Option<Credential>),
    /// The session is over. The credential is kept for counting.
    Over(Option<Credential>),
    /// The peer did something that it must not do, or its stream was truncated.
    Failed(Option<Credential>, Refusal),
}

impl SessionState {
    /// The state after the handshake, without records.
    pub(super) fn established(config: &SessionConfig, role: Role, key: Option<Credential>) -> Self {
        match (role, config.exchange()) {
            (Role::Server, Exchange::VerifyOnly) => Self::Ending(key),
            _ => Self::Established(role, key),
        }
    }

    /// The state after the handshake, in records.
    pub(super) fn protected(
        records: Records,
        role: Role,
        key: Option<Credential>,
        state: RecordsState,
    ) -> Self {
        Self::Protected(Box::new(Protected { records, role, key, state, batch: 0 }))
    }

    /// As a server: what the peer has authenticated with.
    pub(super) fn credential(&self) -> Option<Credential> {
        match self {
            Self::Established(_, key)
            | Self::Ending(key)
            | Self::Over(key)
            | Self::Failed(key, _) => *key,
            Self::Protected(protected) => protected.key,
            _ => None,
        }
    }

    /// The records in which messages travel, also while a client awaits the server's acceptance.
    #[inline]
    pub(super) fn records(&self) -> Option<&Records> {
        match self {
            Self::Protected(protected) => Some(&protected.records),
            Self::Countersign(CountersignState::AwaitingAccept(accepting)) => {
                (!accepting.plain).then_some(&accepting.records)
            }
            _ => None,
        }
    }

    // Inlined by force: a call would cost each message 20 instructions, and each connection 40
    // (budget "instructions/connection").
    #[inline(always)]
    pub(super) fn records_mut(&mut self) -> Option<&mut Records> {
        match self {
            // Nearly always, and one comparison.
            Self::Established(..) => None,
            other => other.find_records_mut(),
        }
    }

    #[inline(never)]
    fn find_records_mut(&mut self) -> Option<&mut Records> {
        match self {
            Self::Protected(protected) => Some(&mut protected.records),
            Self::Countersign(CountersignState::AwaitingAccept(accepting)) => {
                (!accepting.plain).then_some(&mut accepting.records)
            }
            _ => None,
        }
    }

    /// Whether an event is due, or something to send, although nothing more has arrived.
    #[inline(never)]
    pub(super) fn is_due(&self) -> bool {
        match self {
            Self::Open
            | Self::Unsent(_)
            | Self::Countersign(CountersignState::Start(_))
            | Self::Ending(_) => true,
            Self::Protected(protected) => {
                protected.state == RecordsState::Ending || protected.batch > 0
            }
            _ => false,
        }
    }

    /// Whether messages of a batch are left.
    #[inline]
    pub(super) fn has_batch(&self) -> bool {
        matches!(self, Self::Protected(protected) if protected.batch > 0)
    }

    /// Discards them.
    pub(super) fn discard_batch(&mut self) {
        if let Self::Protected(protected) = self {
            protected.batch = 0;
        }
    }

    /// Whether a message can be sent: the handshake is over, and nothing has failed. The last
    /// message of an exchange can still be answered.
    pub(super) fn may_send(&self) -> bool {
        match self {
            Self::Established(..) | Self::Ending(_) | Self::Over(_) => true,
            Self::Protected(protected) => {
                protected.failure().is_none() && !protected.records.sent_close()
            }
            Self::Countersign(CountersignState::AwaitingAccept(accepting)) => {
                !accepting.records.sent_close()
            }
            _ => false,
        }
    }

    /// Ends the session. Returns the state before.
    pub(super) fn end(&mut self) -> Self {
        let over = match self {
            Self::Failed(key, why) => Self::Failed(*key, *why),
            _ => Self::Over(self.credential()),
        };
        core::mem::replace(self, over)
    }

    /// The refusal that has ended the session, if one has.
    pub(super) fn failure(&self) -> Option<Refusal> {
        match self {
            Self::Failed(_, why) => Some(*why),
            Self::Protected(protected) => protected.failure(),
            _ => None,
        }
    }
}
