//! The trait that a program implements to serve authenticated peers.

use std::time::Duration;

use crate::contract::close::CloseReason;
use crate::contract::messages::{Messages, Processed};
use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::faults::injector::Injector;

/// A service: what a server does with the messages of authenticated peers.
///
/// A closure `FnMut(&[u8], &mut Reply<'_>)` is a service without state. All calls come from the
/// thread that runs the loop, and while one runs, no other connection is served. If a call panics,
/// its connection is closed with [`CloseReason::Panicked`]; where panics unwind, the loop
/// continues.
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
    /// The state of one connection, created by [`open`](Self::open).
    type State;

    /// Called when a peer has authenticated. A reply written here is a greeting.
    fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) -> Self::State;

    /// Called for each message.
    fn message(&mut self, state: &mut Self::State, message: &[u8], reply: &mut Reply<'_>);

    /// Called for the messages that have arrived together, in place of [`message`](Self::message)
    /// for each of them. A service that needs something once for all of them can do that here.
    /// Messages are passed to [`message`](Self::message) alone if they can have injected faults,
    /// and if only the end of the stream has completed them.
    #[inline(always)]
    fn messages(&mut self, state: &mut Self::State, messages: Messages<'_>) -> Processed {
        messages.for_each(
            #[inline(always)]
            |message, reply| self.message(state, message, reply),
        )
    }

    /// Called when a peer has ended its stream, before [`close`](Self::close). A reply written here
    /// is the last.
    #[inline(always)]
    fn ended(&mut self, state: &mut Self::State, reply: &mut Reply<'_>) {
        let _ = (state, reply);
    }

    /// When [`wake`](Self::wake) is called for a connection, if it is. The server asks after
    /// [`open`](Self::open) and after each call of `wake`, and counts from there, or from when that
    /// call was due; the least time is 10 µs.
    #[inline(always)]
    fn wake_after(&mut self, state: &mut Self::State) -> Option<Duration> {
        let _ = state;
        None
    }

    /// Called for a connection when the time of [`wake_after`](Self::wake_after) has passed, to
    /// send what is no reply to a message. While the peer does not read what was sent before, it is
    /// not called: such calls are left out.
    #[inline(always)]
    fn wake(&mut self, state: &mut Self::State, reply: &mut Reply<'_>) {
        let _ = (state, reply);
    }

    /// Called when a connection for which [`open`](Self::open) was called has ended.
    fn close(&mut self, state: Self::State, why: CloseReason) {
        let _ = (state, why);
    }

    /// The faults that the server injects: see [`Faulty`](crate::faults::Faulty), which alone
    /// implements this. Other services cost nothing for it.
    #[doc(hidden)]
    #[inline(always)]
    fn injector(&self) -> Option<&Injector> {
        None
    }

    /// The same, to draw from them.
    #[doc(hidden)]
    #[inline(always)]
    fn injector_mut(&mut self) -> Option<&mut Injector> {
        None
    }
}

impl<F: FnMut(&[u8], &mut Reply<'_>)> Service for F {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, (): &mut (), message: &[u8], reply: &mut Reply<'_>) {
        self(message, reply);
    }
}
