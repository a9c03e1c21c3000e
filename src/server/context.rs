//! What the loop lends to the connection whose turn it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::outbox::Outbox;
use crate::contract::peer::{Peer, PeerId};
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::proto::framing::FrameFormat;
use crate::proto::keys::key::Key;
use crate::proto::protocol::Protocol;
use crate::proto::session::Session;
use crate::proto::session::event::{Message, Opened};
use crate::reactor::instant::{CompactInstant, Instant};
use crate::server::conn::BATCH;
use crate::server::event_log;
use crate::server::listener::ListenerId;
use crate::server::listener::key_table::KeyTable;
use crate::server::net::Net;
use crate::server::unauthenticated::{Unauthenticated, UnauthenticatedId};
use crate::stats::counters::Counters;

/// What the loop lends to the connection whose turn it is. The inbox is lent beside it.
pub(super) struct Context<'t, N: Net, S: Service> {
    pub(super) net: &'t mut N,
    pub(super) service: &'t mut S,
    pub(super) protocol: &'t Protocol,
    pub(super) limits: &'t Limits,
    pub(super) unauthenticated: &'t mut Unauthenticated,
    pub(super) counters: &'t mut Counters,
    pub(super) keys: &'t mut KeyTable,
    /// What this connection has to send, until it is sent or the connection is stuck.
    pub(super) outbox: &'t mut Outbox,
    /// What the session has to say itself, on its way into the outbox.
    pub(super) control_out: &'t mut Vec<u8>,
    /// How many messages may still be answered in this visit.
    pub(super) messages: usize,
    /// A record was whole that is no message.
    pub(super) controlled: bool,
    /// The name of the connection.
    pub(super) peer: PeerId,
    /// The name of the listener that it came by.
    pub(super) listener: &'t str,
    /// The time of this turn.
    pub(super) now: Instant,
    /// The time of day of this turn.
    pub(super) wall: SystemTime,
    /// The server is stopping: what has arrived is answered, and nothing else.
    pub(super) draining: bool,
}

impl<N: Net, S: Service> Context<'_, N, S> {
    /// Has the service open the connection of a peer that has authenticated.
    pub(super) fn open(
        &mut self,
        unauthenticated: Option<UnauthenticatedId>,
        opened: &Opened<'_>,
        (listener, since): (ListenerId, CompactInstant<10>),
    ) -> (Option<S::State>, Option<CloseReason>) {
        let Some(address) =
            unauthenticated.and_then(|unauthenticated| self.unauthenticated.leave(unauthenticated))
        else {
            debug_assert!(false, "a peer is let in once");
            return (None, Some(CloseReason::Reset));
        };
        self.counters.authenticated += 1;
        let Opened { key, dialect, form, is_protected, exporter } = opened;
        if let Some(key) = key {
            self.keys.opened(key.number());
        }
        let peer = Peer {
            id: self.peer,
            key: key.map(Key::id),
            dialect: *dialect,
            is_protected: *is_protected,
            exporter: exporter.as_ref(),
            address,
            listener: listener.into(),
        };
        event_log::opened(&peer, self.listener, since.passed(self.now));
        let (state, verdict) = self.call(*form, |service, reply| service.open(&peer, reply));
        (Some(state), verdict)
    }

    /// Has the messages answered that lie whole at the front of the input, until one leads to a
    /// verdict, so many are answered, or the outbox has to be sent.
    #[inline]
    pub(super) fn serve(
        &mut self,
        session: &Session,
        state: &mut S::State,
        input: &mut &[u8],
    ) -> Option<CloseReason> {
        let mut verdict = None;
        session.each(
            self.protocol,
            input,
            #[inline(always)]
            |message| {
                verdict = self.answer(state, message);
                verdict.is_none() && self.messages > 0 && self.outbox.len() < BATCH
            },
        );
        verdict
    }

    /// Has one message answered that doesn't lie whole among others.
    #[cold]
    pub(super) fn answer_alone(
        &mut self,
        state: &mut S::State,
        message: Message<'_>,
    ) -> Option<CloseReason> {
        self.answer(state, message)
    }

    // Inlined by force, as all on this way is: the reply then lies in registers.
    #[inline(always)]
    fn answer(&mut self, state: &mut S::State, message: Message<'_>) -> Option<CloseReason> {
        self.messages -= 1;
        let (_, verdict) = self.call(
            message.form,
            #[inline(always)]
            |service, reply| service.message(state, message.bytes, reply),
        );
        verdict
    }

    /// Calls the service; a call that writes too much, or panics, has said nothing.
    #[inline(always)]
    fn call<R>(
        &mut self,
        form: FrameFormat,
        call: impl FnOnce(&mut S, &mut Reply<'_>) -> R,
    ) -> (R, Option<CloseReason>) {
        let room = self.outbox.room(self.limits.reply_max);
        let mut reply = Reply::new(room, form, self.wall);
        let value = call(self.service, &mut reply);
        let (said, verdict) = reply.finish();
        self.outbox.keep(said);
        (value, verdict)
    }
}

/// Tells the service that a connection has ended; a panic there changes nothing any more.
pub(super) fn closed<S: Service>(service: &mut S, state: S::State, why: CloseReason) {
    // The hook has reported the panic, and the connection is gone already.
    let _ = catch_unwind(AssertUnwindSafe(|| service.close(state, why)));
}
