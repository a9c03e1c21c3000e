//! The service `echo`: messages are sent back.

use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::contract::service::Service;

/// A service that answers each message with itself (after RFC 862).
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Service for Echo {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    // Inlined by force: a call costs a message 50 instructions.
    #[inline(always)]
    fn message(&mut self, (): &mut (), message: &[u8], reply: &mut Reply<'_>) {
        reply.echo(message);
    }
}
