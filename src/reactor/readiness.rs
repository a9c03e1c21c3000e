//! What events say of sockets.

/// What an event says of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// There may be something to read, the end of the stream included.
    pub readable: bool,
    /// The peer has ended its stream: its end follows the bytes that are left to read.
    pub ended: bool,
    /// There may be room to write.
    pub writable: bool,
    /// Urgent data of TCP has arrived. It is read in line, as any byte, but a read stops before it.
    pub urgent: bool,
    /// The connection is broken. What had arrived before is void (RFC 9293, 3.10.7.4).
    pub failed: bool,
}
