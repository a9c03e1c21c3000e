//! Lists of networks in text form.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::contract::peer::PeerAddress;

/// Stands for all peers at Unix sockets.
const UNIX: &str = "unix";

/// The bits before an IPv4 address that is written as an IPv6 one (RFC 4291, 2.5.5.2).
const MAPPED: u8 = 96;

/// A list of networks, for [`Access`](crate::Access) or the addresses of load balancers.
///
/// | text | meaning |
/// | --- | --- |
/// | `192.0.2.7`, `2001:db8::7` | one address |
/// | `10.0.0.0/8`, `2001:db8::/32` | a network in CIDR notation (RFC 4632, 3.1) |
/// | `unix` | all peers at Unix sockets |
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.7`) is treated as the IPv4 address, on the list and
/// in a lookup. No other IPv6 network contains IPv4 addresses, so `::/0` is IPv6 only. A lookup
/// takes time proportional to the length of the list.
///
/// ```
/// use countersign::Networks;
///
/// let office: Networks = "10.0.0.0/8, 2001:db8::/32, unix".parse()?;
/// assert!(office.contains("10.1.2.3:4567".parse::<std::net::SocketAddr>()?));
/// assert_eq!(office.to_string(), "10.0.0.0/8,2001:db8::/32,unix");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    listed: Vec<Network>,
    /// Whether the list contains peers at Unix sockets.
    unix: bool,
}

/// The addresses that begin like this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    /// Its first address.
    first: IpAddr,
    /// How many bits they have in common.
    prefix: u8,
}

/// The error for a text that is not a network. It names the text and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkError {
    text: String,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    NoAddress,
    /// The longest prefix that there can be.
    BadPrefix(u8),
    /// Bits after the prefix are set: the network that contains the address.
    HostBits(Network),
}

impl Networks {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one network to the list.
    ///
    /// # Errors
    ///
    /// The text is neither an address, nor a network, nor `unix`.
    pub fn add(&mut self, network: &str) -> Result<(), NetworkError> {
        match network.trim() {
            UNIX => self.unix = true,
            network => self.listed.push(network.parse()?),
        }
        Ok(())
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && !self.unix
    }

    /// Whether a peer's address is in one of the networks.
    #[must_use]
    pub fn contains(&self, peer: impl Into<PeerAddress>) -> bool {
        match peer.into() {
            PeerAddress::Ip(_) if self.listed.is_empty() => false,
            PeerAddress::Ip(address) => {
                let ip = address.ip().to_canonical();
                self.listed.iter().any(|network| network.contains(ip))
            }
            PeerAddress::Unix => self.unix,
        }
    }

    /// The address with this number, from 0 on, when those of all networks are counted in order;
    /// after the last one comes the first again. `None` if the list has no addresses.
    ///
    /// ```
    /// use countersign::Networks;
    ///
    /// let clients: Networks = "10.0.0.4/31, 2001:db8::/32".parse()?;
    /// let address = |number| clients.address(number).map(|ip| ip.to_string());
    /// assert_eq!(address(1).as_deref(), Some("10.0.0.5"));
    /// assert_eq!(address(3).as_deref(), Some("2001:db8::1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn address(&self, number: u64) -> Option<IpAddr> {
        let sizes = self.listed.iter().map(|network| network.size());
        let total = sizes.fold(0, u128::saturating_add);
        let mut rest = u128::from(number).checked_rem(total)?;
        self.listed.iter().find_map(|network| match rest.checked_sub(network.size()) {
            Some(behind) => {
                rest = behind;
                None
            }
            None => Some(network.address(rest)),
        })
    }
}

impl FromStr for Networks {
    type Err = NetworkError;

    /// Parses networks separated by commas, at least one: where an empty list means everybody, a
    /// setting that was left blank must not.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let mut networks = Self::new();
        text.split(',').try_for_each(|network| networks.add(network))?;
        Ok(networks)
    }
}

impl FromIterator<Self> for Networks {
    /// The union of several lists.
    fn from_iter<I: IntoIterator<Item = Self>>(lists: I) -> Self {
        let mut all = Self::new();
        for Self { listed, unix } in lists {
            all.listed.extend(listed);
            all.unix |= unix;
        }
        all
    }
}

impl fmt::Display for Networks {
    /// In the form that [`FromStr`] parses; nothing for an empty list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix = self.unix.then(|| UNIX.to_owned());
        let listed = self.listed.iter().map(Network::to_string);
        f.write_str(&listed.chain(unix).collect::<Vec<_>>().join(","))
    }
}

impl Network {
    fn contains(self, ip: IpAddr) -> bool {
        self.first.is_ipv4() == ip.is_ipv4() && first(ip, self.prefix) == self.first
    }

    /// How many addresses it has; one less if they are all there are of IPv6.
    fn size(self) -> u128 {
        let free = bits(self.first) - self.prefix;
        1_u128.checked_shl(free.into()).unwrap_or(u128::MAX)
    }

    /// The address with this number, which is less than its size.
    fn address(self, number: u128) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => {
                let number = u32::try_from(number).unwrap_or_default();
                IpAddr::V4((first.to_bits() | number).into())
            }
            IpAddr::V6(first) => IpAddr::V6((first.to_bits() | number).into()),
        }
    }
}

/// The first address of the network with this many bits of the address.
fn first(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let rest = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & !rest).into())
        }
        IpAddr::V6(ip) => {
            let rest = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & !rest).into())
        }
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = |fault| NetworkError { text: text.to_owned(), fault };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|_| wrong(Fault::NoAddress))?;
        let most = bits(ip);
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            None => most,
            Some(prefix) => Some(prefix)
                .filter(digits)
                .and_then(|prefix| prefix.parse().ok())
                .filter(|prefix| *prefix <= most)
                .ok_or(wrong(Fault::BadPrefix(most)))?,
        };
        let network = Self { first: first(ip, prefix), prefix };
        if network.first != ip {
            return Err(wrong(Fault::HostBits(network)));
        }
        // A network of IPv4 in IPv6 has all of the front that says so, or it would begin earlier.
        Ok(match (ip.to_canonical(), prefix.checked_sub(MAPPED)) {
            (IpAddr::V4(v4), Some(prefix)) => Self { first: v4.into(), prefix },
            _ => network,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, prefix } = self;
        if *prefix == bits(*first) { write!(f, "{first}") } else { write!(f, "{first}/{prefix}") }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, fault } = self;
        match fault {
            Fault::NoAddress => write!(
                f,
                "{text:?} is not a network; write an address such as 192.0.2.7, a network such as \
                 10.0.0.0/8 or 2001:db8::/32, or {UNIX}"
            ),
            Fault::BadPrefix(most) => write!(
                f,
                "{text:?} is not a network; write a prefix length from 0 to {most} after the slash"
            ),
            Fault::HostBits(network) => {
                write!(f, "{text:?} has bits set after its prefix; write {network}")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn peer(ip: &str) -> PeerAddress {
        SocketAddr::new(ip.parse().unwrap(), 9).into()
    }

    #[test]
    fn a_list_has_the_addresses_of_its_networks_and_no_others() {
        let cases = [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.6/31", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::7", "2001:db8::7", "2001:db8::6"),
            ("::/0", "2001:db8::7", "192.0.2.7"),
            ("::/0", "::1", "::ffff:192.0.2.7"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.7", "192.0.3.0"),
            ("1.1.1.1, 10.0.0.0/8", "10.0.0.1", "1.1.1.2"),
        ];
        for (list, inside, outside) in cases {
            let networks: Networks = list.parse().unwrap();
            assert!(networks.contains(peer(inside)), "{inside} in {list}");
            assert!(!networks.contains(peer(outside)), "{outside} in {list}");
            assert!(!networks.contains(PeerAddress::Unix));
        }
    }

    #[test]
    fn addresses_are_counted_through_all_networks_and_then_again() {
        let list: Networks = "10.0.0.4/31, unix, 2001:db8::8/126".parse().unwrap();
        let counted: Vec<String> =
            (0..7).filter_map(|number| list.address(number)).map(|ip| ip.to_string()).collect();
        let [v4, v6] = [["10.0.0.4", "10.0.0.5"], ["2001:db8::8", "2001:db8::9"]];
        assert_eq!(counted[..4], [v4, v6].concat());
        assert_eq!(counted[4..], ["2001:db8::a", "2001:db8::b", "10.0.0.4"]);
        for all in ["0.0.0.0/0", "::/0"] {
            let all: Networks = all.parse().unwrap();
            assert!((0..9).all(|number| all.address(number * (u64::MAX / 9)).is_some()));
        }
        for none in [Networks::new(), "unix".parse().unwrap()] {
            assert_eq!(none.address(0), None);
        }
    }

    #[test]
    fn those_of_unix_sockets_are_on_a_list_that_says_so() {
        let networks: Networks = "unix".parse().unwrap();
        assert!(networks.contains(PeerAddress::Unix));
        assert!(!networks.contains(peer("127.0.0.1")));
        assert!(!networks.is_empty());
    }

    #[test]
    fn several_lists_are_one() {
        let lists = ["10.0.0.0/8", "unix", "192.0.2.7"].map(|list| list.parse().unwrap());
        let all: Networks = lists.into_iter().collect();
        assert_eq!(all.to_string(), "10.0.0.0/8,192.0.2.7,unix");
        assert_eq!(Networks::new().to_string(), "");
    }

    #[test]
    fn a_list_is_written_as_it_is_read() {
        let cases = [
            ("10.0.0.0/8,unix,192.0.2.7/32", "10.0.0.0/8,192.0.2.7,unix"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("2001:DB8::/32 , ::1/128", "2001:db8::/32,::1"),
        ];
        for (list, written) in cases {
            assert_eq!(list.parse::<Networks>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_remedy() {
        let cases = [
            ("10.0.0.1/8", "\"10.0.0.1/8\" has bits set after its prefix; write 10.0.0.0/8"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
            ("10.0.0.0/33", "write a prefix length from 0 to 32"),
            ("::/129", "write a prefix length from 0 to 128"),
            ("10.0.0.0/+8", "write a prefix length from 0 to 32"),
            ("10.0.0.0/", "write a prefix length from 0 to 32"),
            ("10.0.0.0/255.0.0.0", "write a prefix length from 0 to 32"),
            ("10.0.0.0/8,,unix", "\"\" is not a network"),
            ("", "\"\" is not a network; write an address such as"),
            (" ", "\"\" is not a network"),
            ("localhost", "\"localhost\" is not a network; write an address such as"),
            ("10.0.0", "an address such as"),
        ];
        for (list, said) in cases {
            let error = list.parse::<Networks>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_in_a_network_when_the_front_of_its_bits_is_the_same(
            network: u128, address: u128, alike in 0..=128_u8, prefix in 0..=128_u8
        ) {
            // Two random numbers are hardly ever alike, so the front of one is the other's.
            let rest = u128::MAX.checked_shr(alike.into()).unwrap_or(0);
            let address = (network & !rest) | (address & rest);
            let text = |bits: u128| IpAddr::from(bits.to_be_bytes());
            let is_mapped = |bits: u128| text(bits).to_canonical().is_ipv4();
            prop_assume!(!is_mapped(network) && !is_mapped(address));
            let list = format!("{}/{prefix}", first(text(network), prefix));
            let same = (network ^ address).leading_zeros() >= prefix.into();
            let peer = PeerAddress::from(SocketAddr::new(text(address), 9));
            prop_assert_eq!(list.parse::<Networks>().unwrap().contains(peer), same);
        }
    }
}
