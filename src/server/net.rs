//! What the engine needs of a network.

use std::io;

use crate::contract::peer::{PeerAddress, PeerId};

/// A network: listening sockets by number, and sockets that neither block nor lose an edge.
///
/// The rules are those of edge-triggered readiness: an event says that something may be possible
/// that wasn't before, and is not repeated until it was tried in vain ([`WouldBlock`]) or, for a
/// read, gave less than was asked for. A read may stop short before [urgent] data without having
/// taken all.
///
/// [urgent]: crate::engine::Readiness::urgent
/// [`WouldBlock`]: io::ErrorKind::WouldBlock
pub trait Net {
    /// A connection to a peer; dropping it closes it.
    type Socket;

    /// Accepts the next connection that waits at a listening socket.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if none waits; else by the system's error number.
    fn accept(&mut self, socket: usize) -> io::Result<(Self::Socket, PeerAddress)>;

    /// Begins to report events of the socket under this name.
    ///
    /// # Errors
    ///
    /// The system won't watch it: the connection is closed.
    fn watch(&mut self, socket: &mut Self::Socket, peer: PeerId) -> io::Result<()>;

    /// Reads what has arrived; 0 bytes say that the peer has ended its stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing has arrived; any other ends the
    /// connection.
    fn read(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as is taken.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is; any other ends the connection.
    fn write(&mut self, socket: &mut Self::Socket, from: &[u8]) -> io::Result<usize>;

    /// Ends our stream; the peer's goes on.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    fn shutdown(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// Acknowledges at once what the peer has sent, where the system delays that. An implementation
    /// may do nothing.
    fn acknowledge(&mut self, socket: &mut Self::Socket) {
        let _ = socket;
    }

    /// Makes dropping the socket reset the connection, where the system can do so. An
    /// implementation may do nothing.
    fn reset(&mut self, socket: &mut Self::Socket) {
        let _ = socket;
    }

    /// Fills the buffer with unpredictable random bytes of the system, each used only once.
    ///
    /// # Errors
    ///
    /// The system provides none: the connection is closed, since a predictable challenge is
    /// worthless.
    fn random(&mut self, into: &mut [u8]) -> io::Result<()>;
}
