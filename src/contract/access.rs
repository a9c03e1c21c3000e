//! Access lists: which addresses may connect.

use crate::contract::networks::Networks;
use crate::contract::peer::PeerAddress;

/// The access lists of a listener: which addresses may connect. Other connections are closed before
/// a byte is sent.
///
/// They keep noise away and prove nothing: clients still have to hold a key.
///
/// ```
/// use countersign::{Access, PeerAddress};
///
/// let access = Access { allow: "10.0.0.0/8".parse()?, deny: "10.6.6.0/24".parse()? };
/// let from = |text: &str| text.parse().map(PeerAddress::Ip);
/// assert!(access.permits(from("10.1.2.3:4567")?));
/// assert!(!access.permits(from("10.6.6.6:4567")?));
/// assert!(!access.permits(from("192.0.2.7:4567")?));
/// assert!(Access::default().permits(from("192.0.2.7:4567")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The networks that may connect; if the list is empty, all may.
    pub allow: Networks,
    /// The networks that may not connect, even if `allow` contains them.
    pub deny: Networks,
}

impl Access {
    /// Whether a peer with this address may connect.
    #[must_use]
    pub fn permits(&self, peer: impl Into<PeerAddress>) -> bool {
        let peer = peer.into();
        !self.deny.contains(peer) && (self.allow.is_empty() || self.allow.contains(peer))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_denial_beats_an_allowance_and_no_allowance_is_one_for_everybody() {
        let here = SocketAddr::from(([10, 0, 0, 1], 9));
        let none = Networks::new;
        let list = |text: &str| text.parse::<Networks>().unwrap();
        let cases = [
            (none(), none(), true, true),
            (list("10.0.0.0/8"), none(), true, false),
            (list("unix"), none(), false, true),
            (none(), list("10.0.0.1"), false, true),
            (list("10.0.0.1"), list("10.0.0.0/8"), false, false),
            (list("0.0.0.0/0,unix"), list("unix"), true, false),
        ];
        for (allow, deny, is_permitted, are_permitted_unix) in cases {
            let access = Access { allow, deny };
            assert_eq!(access.permits(here), is_permitted, "{access:?}");
            assert_eq!(access.permits(PeerAddress::Unix), are_permitted_unix, "{access:?}");
        }
    }
}
