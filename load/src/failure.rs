//! What can go wrong with a client.

/// What can go wrong with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The connection was refused.
    NobodyListens,
    /// There is no socket at the path.
    NoSocket,
    /// The system does not let this user connect to the socket.
    PermissionDenied,
    /// There is no route to the host or to its network.
    Unreachable,
    /// No port is left to dial from: too many connections to one address in too short a time.
    NoPort,
    /// The process may not open any more descriptors.
    NoDescriptor,
    /// The system refused to connect for another reason.
    Connect,
    /// The handshake was not over in time.
    ConnectTimeout,
    /// The server refused the handshake, ended the stream after the proof and before any reply, or
    /// doesn't protect records as it must.
    Refused,
    /// The server refused the handshake because it is busy.
    Busy,
    /// The server ended the stream later.
    Closed,
    /// The connection broke.
    Reset,
    /// A reply was not there in time.
    ReplyTimeout,
    /// A reply was not what it must be.
    WrongReply,
    /// The server does not take messages of this size.
    MessageTooLong,
    /// A reply came that nothing had asked for, or the framing was violated.
    Violation,
}

impl FailureKind {
    /// All of them, in the order in which they are reported.
    pub const ALL: &'static [Self] = &[
        Self::NobodyListens,
        Self::NoSocket,
        Self::PermissionDenied,
        Self::Unreachable,
        Self::NoPort,
        Self::NoDescriptor,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Refused,
        Self::Busy,
        Self::Closed,
        Self::Reset,
        Self::ReplyTimeout,
        Self::WrongReply,
        Self::MessageTooLong,
        Self::Violation,
    ];

    /// The one with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|each| each.name() == name)
    }

    /// A few words for the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NobodyListens => "connection refused",
            Self::NoSocket => "no such socket",
            Self::PermissionDenied => "permission denied",
            Self::Unreachable => "unreachable",
            Self::NoPort => "no port left",
            Self::NoDescriptor => "too many open files",
            Self::Connect => "cannot connect",
            Self::ConnectTimeout => "connect timeout",
            Self::Refused => "refused",
            Self::Busy => "the server is busy",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::ReplyTimeout => "reply timeout",
            Self::WrongReply => "wrong reply",
            Self::MessageTooLong => "message too long for the server",
            Self::Violation => "protocol violated",
        }
    }
}

/// How often something went wrong in each way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures([u64; FailureKind::ALL.len()]);

impl Failures {
    /// Counts this way so many times more.
    pub fn add(&mut self, failure: FailureKind, times: u64) {
        if let Some(count) = self.0.get_mut(failure as usize) {
            *count += times;
        }
    }

    /// Adds what others have counted.
    pub fn merge(&mut self, others: &Self) {
        others.iter().for_each(|(failure, times)| self.add(failure, times));
    }

    /// Every way, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        FailureKind::ALL.iter().copied().zip(self.0)
    }

    /// The count of all ways together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_its_own_count_and_name() {
        let mut failures = Failures::default();
        for (times, failure) in (1..).zip(FailureKind::ALL.iter().copied()) {
            failures.add(failure, times);
        }
        for (times, (failure, count)) in (1..).zip(failures.iter()) {
            assert_eq!(count, times, "{failure:?}");
            assert_eq!(FailureKind::from_name(failure.name()), Some(failure));
        }
        assert_eq!(failures.total(), (1..=FailureKind::ALL.len() as u64).sum::<u64>());
        let names: std::collections::HashSet<_> =
            FailureKind::ALL.iter().map(|failure| failure.name()).collect();
        assert_eq!(names.len(), FailureKind::ALL.len());
    }
}
