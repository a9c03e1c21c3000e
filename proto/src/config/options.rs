//! Options that are a choice of several.

/// How many messages a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Exchange {
    /// Any number of messages, until either end closes.
    #[default]
    Many,
    /// One message and its reply, then the server closes.
    Once,
    /// None: the server closes after the handshake. For clients that only need its result.
    VerifyOnly,
}

/// Whether messages are protected by records, in `countersign/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protection {
    /// Always, and encrypted with ChaCha20-Poly1305: only those who hold the key can read messages.
    /// There is no forward secrecy. A peer that does not seal records is refused.
    #[cfg(feature = "seal")]
    Sealed,
    /// Always: a peer without records is refused. Records have tags but are not encrypted, even if
    /// the peer offers to seal them: anyone on the path can read them.
    #[default]
    Required,
    /// If the other end supports records too. An attacker on the path can't change that.
    Allowed,
    /// Never: after the handshake, messages are only framed, and a relay of the handshake can take
    /// over the connection.
    Off,
}

impl Protection {
    /// All choices, the strictest first.
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn each_protection_has_its_name() {
        let names: Vec<_> = Protection::ALL.iter().map(|each| each.name()).collect();
        assert!(names.ends_with(&["required", "allowed", "off"]), "{names:?}");
        assert!(names.len() == 3 || names[0] == "sealed", "{names:?}");
    }
}
