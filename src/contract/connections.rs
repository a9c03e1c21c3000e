//! The connections that are open, by how far they have come.

/// The connections that are open, by how far they have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Connections {
    /// Not greeted yet, since too many wrong proofs came from their network.
    pub delayed: usize,
    /// In the handshake.
    pub handshake: usize,
    /// Let in.
    pub open: usize,
    /// Ending: what was written is still sent, or the peer's good-bye is awaited.
    pub closing: usize,
}
