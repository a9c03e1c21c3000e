//! What is served to those who are let in.

use crate::contract::close::CloseReason;
use crate::contract::peer::Peer;
use crate::contract::reply::Reply;

/// What is served to those who are let in.
///
/// A closure `FnMut(&[u8], &mut Reply<'_>)` is a service without a state. All calls come from the
/// thread that runs the loop, and while one runs, no other connection has its turn. A call that
/// panics closes its connection with [`CloseReason::Panicked`]; where panics unwind, the loop goes
/// on.
///
/// ```
/// use countersign::{CloseReason, Peer, Reply, Service};
///
/// /// Numbers the messages of each connection.
/// struct Count;
///
/// impl Service for Count {
///     type State = u64;
///
///     fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) -> u64 {
///         0
///     }
///
///     fn message(&mut self, count: &mut u64, _message: &[u8], reply: &mut Reply<'_>) {
///         *count += 1;
///         reply.message(count.to_string().as_bytes());
///     }
/// }
/// ```
pub trait Service {
    /// What is kept for each connection; dropped with it.
    type State;

    /// A peer has been authenticated. What is written here is a greeting.
    fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) -> Self::State;

    /// A message has arrived.
    fn message(&mut self, state: &mut Self::State, message: &[u8], reply: &mut Reply<'_>);

    /// A connection that was opened has ended.
    fn close(&mut self, state: Self::State, why: CloseReason) {
        let _ = (state, why);
    }
}

impl<F: FnMut(&[u8], &mut Reply<'_>)> Service for F {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, (): &mut (), message: &[u8], reply: &mut Reply<'_>) {
        self(message, reply);
    }
}
