//! The service `size`: each message is answered with as many bytes as wanted.

use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::services::filler::fill;

/// A service that answers each message with one of this many bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size(pub usize);

impl Service for Size {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, (): &mut (), _message: &[u8], reply: &mut Reply<'_>) {
        fill(self.0, reply);
    }
}
