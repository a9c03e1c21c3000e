//! How a test frames a message, and what the answer to it looks like.

use countersign::Framing;

/// How a test frames a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Lf,
    CrLf,
    Length,
    /// The length frame whose length is -1 and then 64 bits.
    LongLength,
}

impl Style {
    pub(crate) const ALL: [Self; 4] = [Self::Lf, Self::CrLf, Self::Length, Self::LongLength];

    pub(crate) fn framing(self) -> Framing {
        match self {
            Self::Lf | Self::CrLf => Framing::Lines,
            Self::Length | Self::LongLength => Framing::Length,
        }
    }

    pub(crate) fn frame(self, message: &[u8]) -> Vec<u8> {
        let length = message.len() as u64;
        match self {
            Self::Lf => [message, b"\n"].concat(),
            Self::CrLf => [message, b"\r\n"].concat(),
            Self::Length => [&length.to_be_bytes()[4..], message].concat(),
            Self::LongLength => [&[0xff; 4], &length.to_be_bytes()[..], message].concat(),
        }
    }

    /// What [`bracket`](crate::common::bracket) answers.
    pub(crate) fn reply(self, message: &[u8]) -> Vec<u8> {
        let style = if self == Self::LongLength { Self::Length } else { self };
        style.frame(&[b"[", message, b"]"].concat())
    }

    /// Whether these bytes can be one message.
    pub(crate) fn can_hold(self, message: &[u8]) -> bool {
        match self {
            Self::Lf => !message.contains(&b'\n') && !message.ends_with(b"\r"),
            Self::CrLf => !message.contains(&b'\n'),
            Self::Length | Self::LongLength => true,
        }
    }
}
