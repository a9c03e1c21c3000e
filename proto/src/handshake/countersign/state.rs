//! How far a handshake of `countersign/1` has come.

use alloc::boxed::Box;

use crate::handshake::countersign::frame::Nonce;
use crate::handshake::countersign::server::Pending;
use crate::records::Records;

/// How far the handshake of `countersign/1` has come.
#[derive(Debug)]
pub(crate) enum CountersignState {
    /// As a server: a client's hello is awaited. The nonce wasn't sent yet.
    AwaitingHello(Nonce),
    /// As a server that serves `raw` too: the nonce is sent, and a client's hello, or its proof in
    /// `raw`, is awaited.
    AwaitingHelloOrProof(Nonce),
    /// As a server: we have answered, and the client's proof is awaited.
    AwaitingProof(Box<Pending>),
    /// As a client: nothing was sent yet.
    Start(Nonce),
    /// As a client: our hello is sent, and the server's hello and proof are awaited.
    AwaitingServerHello(Nonce),
    /// As a client: both proofs are sent, and the server's acceptance is awaited.
    AwaitingAccept(Box<Accepting>),
}

/// A client that has sent its proof, and awaits the server's acceptance.
#[derive(Debug)]
pub(crate) struct Accepting {
    pub(crate) records: Records,
    /// The connection continues without records.
    pub(crate) plain: bool,
}
