//! Choices of a configuration.

/// How much of a conversation a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Exchange {
    /// Messages until either end has enough.
    #[default]
    Many,
    /// One message and its reply, then the server closes.
    Once,
    /// The handshake alone; then the server closes. For clients that only need the result.
    VerifyOnly,
}

/// Whether each message is protected, where the dialect knows records (`countersign/1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protection {
    /// Always, and encrypted with ChaCha20-Poly1305: only those who hold the key can read messages.
    /// There is no forward secrecy. A peer that does not seal records is refused.
    #[cfg(feature = "seal")]
    Sealed,
    /// Always: a peer without records is refused. Records have tags, and everyone on the way can
    /// read them, also where the peer offers to seal them.
    #[default]
    Required,
    /// If the other end supports records too. An attacker between the two can't change that.
    Allowed,
    /// Never: after the handshake, messages are only framed, and a relay of the handshake can take
    /// over the connection.
    Off,
}

impl Protection {
    /// Every choice, from the strictest on.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "seal")]
        Self::Sealed,
        Self::Required,
        Self::Allowed,
        Self::Off,
    ];

    /// The name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "seal")]
            Self::Sealed => "sealed",
            Self::Required => "required",
            Self::Allowed => "allowed",
            Self::Off => "off",
        }
    }

    /// Whether records are sealed, always.
    pub(crate) fn is_sealed(self) -> bool {
        match self {
            #[cfg(feature = "seal")]
            Self::Sealed => true,
            Self::Required | Self::Allowed | Self::Off => false,
        }
    }
}
