//! The service `discard`: messages are dropped.

use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::contract::service::Service;

/// A service that drops each message and sends no replies (after RFC 863).
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Service for Discard {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, (): &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}
}
