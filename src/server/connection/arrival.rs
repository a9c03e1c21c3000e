//! What comes before the handshake: the header of a load balancer, and a delay.

use std::io;

use countersign_proto::Refusal;

use crate::contract::close::CloseReason;
use crate::contract::service::Service;
use crate::server::connection::{Backlog, Connection, NextStep, State};
use crate::server::context::Context;
use crate::server::flags::Flags;
use crate::server::net::Net;
use crate::server::proxy_protocol::{HEADER_MAX, ProxyHeader};
use crate::server::unauthenticated::UnauthenticatedId;

impl<N: Net, S: Service> Connection<N, S> {
    /// Whether the header of its load balancer is not complete yet.
    pub(in crate::server) fn awaits_proxy_header(&self) -> bool {
        matches!(self.state, State::AwaitingProxyHeader(_))
    }

    /// Reads the header that comes before everything else. Nothing is written meanwhile. What
    /// follows the header is kept for the session.
    #[cold]
    #[inline(never)]
    pub(super) fn read_proxy_header(
        &mut self,
        id: UnauthenticatedId,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        let mut length = self.backlog.take().map_or(0, |backlog| backlog.unread.copy(0, inbox));
        loop {
            match ProxyHeader::read(&inbox[..length]) {
                ProxyHeader::Malformed => return Ok(NextStep::Close(Refusal::ProxyHeader.into())),
                ProxyHeader::Whole { length: header, source } => {
                    if let Some(source) = source {
                        cx.listener.unauthenticated.locate(id, source);
                    }
                    self.keep_unread(&inbox[header..length]);
                    return Ok(NextStep::CheckSource);
                }
                ProxyHeader::Partial if self.flags.has(Flags::READABLE) => {
                    match self.read(&mut inbox[length..HEADER_MAX], cx)? {
                        None => {}
                        Some(0) => return Ok(NextStep::Close(CloseReason::Truncated)),
                        Some(more) => length += more,
                    }
                }
                ProxyHeader::Partial if cx.shared.drain.is_some() => {
                    return Ok(NextStep::Close(CloseReason::Stopped));
                }
                ProxyHeader::Partial => {
                    self.keep_unread(&inbox[..length]);
                    return Ok(NextStep::Wait);
                }
            }
        }
    }

    fn keep_unread(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.backlog = Some(Backlog { unread: bytes.into(), ..Backlog::default() }.into());
        }
    }

    /// Delays the greeting, and the processing of what has arrived.
    pub(in crate::server) fn delay(&mut self) {
        if let State::AwaitingProxyHeader(id) = self.state {
            self.state = State::Delayed { id, is_watched: true };
        }
    }

    /// Greets a peer after a delay or after the header of its load balancer, and processes what has
    /// arrived before.
    pub(in crate::server) fn begin(
        &mut self,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        let (id, is_watched) = match self.state {
            State::Delayed { id, is_watched } => (id, is_watched),
            State::AwaitingProxyHeader(id) => (id, true),
            _ => return Ok(NextStep::Wait),
        };
        // From now on the socket has events.
        let peer = self.peer(cx.slot);
        if !is_watched && cx.shared.net.watch(&mut self.socket, peer).is_err() {
            return Ok(NextStep::Close(CloseReason::Unavailable));
        }
        self.state = State::Handshake(id);
        // The challenge goes out before what has arrived is looked at.
        self.authenticate(&mut &[][..], cx);
        if cx.has_faults() {
            self.hold_handshake(cx);
        }
        if !self.flags.has(Flags::HELD) {
            self.send(cx)?;
        }
        self.pump(inbox, cx)
    }
}
