//! The IPv4 ports at which a process listens, which `[::]` must leave free, and the texts of
//! addresses that can't be bound.

use std::collections::HashSet;
use std::net::SocketAddr;

use countersign::{Address, BindError, ListenerConfig, ToAddresses};

use super::exit::{Failure, Kind, chain};

/// The ports at which a process listens at an address of IPv4, by any of its listeners.
///
/// By default `[::]` accepts IPv4 too, and the listener that is bound second would find its port in
/// use. So each listener has to know the ports of the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ipv4Ports(HashSet<u16>);

impl Ipv4Ports {
    /// The ports of all these addresses. One that can't be resolved is reported when it is bound.
    pub(crate) fn of<'t>(addresses: impl IntoIterator<Item = &'t str>) -> Self {
        let addresses = addresses.into_iter().filter_map(|text| text.to_addresses().ok()).flatten();
        let ips = addresses.filter_map(|address| address.ip());
        Self(ips.filter(|ip| ip.is_ipv4() && ip.port() != 0).map(|ip| ip.port()).collect())
    }

    /// Binds a listener to all addresses of a name; `[::]` is IPv6 only if another listener has its
    /// port.
    pub(crate) fn bind(
        &self,
        listener: ListenerConfig,
        name: impl ToAddresses,
    ) -> Result<ListenerConfig, BindError> {
        let addresses = name.to_addresses()?;
        let ips = addresses.iter().filter_map(Address::ip);
        let is_shared = ips.filter(SocketAddr::is_ipv6).any(|ip| self.0.contains(&ip.port()));
        listener.with_ipv6_only(is_shared).bind(addresses)
    }
}

/// What the address of a listener looks like that may be a Unix socket.
pub(crate) const ANY: &str = "HOST:PORT or unix:/PATH";

/// The failure of binding a name, with what it may look like.
pub(crate) fn cannot_bind(name: &str, error: &BindError, forms: &str) -> Failure {
    let text = match error {
        BindError::Lookup(error) => {
            format!("cannot bind {name}: {}", with_forms(&chain(error), forms))
        }
        BindError::Address(..) => chain(error),
        other => format!("cannot bind {name}: {}", chain(other)),
    };
    Failure::new(Kind::Unavailable, text)
}

/// The text of an error about an address, with what an address may look like.
pub(crate) fn with_forms(text: &str, forms: &str) -> String {
    // The library's own remedy names Unix sockets, which are not for all of these.
    let problem = text.strip_suffix(&format!("; write {ANY}")).unwrap_or(text);
    format!("{problem}; write {forms}")
}
