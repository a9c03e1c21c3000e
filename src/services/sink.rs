//! The service `sink`: messages are dropped and counted.

use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::contract::service::Service;

/// A service that drops each message. When a peer has ended its stream, it is sent the number of
/// bytes of its messages, as decimal digits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sink;

impl Service for Sink {
    /// The bytes so far.
    type State = u64;

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) -> u64 {
        0
    }

    fn message(&mut self, bytes: &mut u64, message: &[u8], _reply: &mut Reply<'_>) {
        *bytes += message.len() as u64;
    }

    fn ended(&mut self, bytes: &mut u64, reply: &mut Reply<'_>) {
        reply.message(bytes.to_string().as_bytes());
    }
}
