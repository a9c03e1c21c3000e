//! The options that say from where peers may come.

use clap::Args;
use countersign::{Access, Networks};

/// From where peers may come.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Access control")]
pub(crate) struct AccessArgs {
    /// Sources that can connect: addresses, networks such as 10.0.0.0/8, or unix; can be repeated
    /// [default: all]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(crate) allow: Vec<Networks>,
    /// Sources that cannot connect, even if --allow includes them
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(crate) deny: Vec<Networks>,
    /// Load balancers that all connections must come through; the client's address is taken from
    /// their PROXY header, version 1 or 2
    ///
    /// HAProxy sends the header with send-proxy-v2 or send-proxy, nginx with proxy_protocol. A
    /// sender of this header can claim any client address, so list only the load balancers.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(crate) proxy_from: Vec<Networks>,
}

impl AccessArgs {
    /// The access lists.
    pub(crate) fn access(&self) -> Access {
        Access { allow: all(&self.allow), deny: all(&self.deny) }
    }

    /// The load balancers that all connections come through; none if clients connect directly.
    pub(crate) fn proxies(&self) -> Networks {
        all(&self.proxy_from)
    }

    /// Whether all connections come through load balancers, with PROXY headers.
    pub(crate) fn has_proxies(&self) -> bool {
        !self.proxy_from.is_empty()
    }

    /// The access rules as text, if there are any.
    pub(crate) fn shown(&self) -> Option<String> {
        let Access { allow, deny } = self.access();
        let proxies = self.proxies();
        let mut parts = Vec::new();
        if !(allow.is_empty() && deny.is_empty()) {
            parts.push(if allow.is_empty() { "everywhere".to_owned() } else { allow.to_string() });
        }
        if !deny.is_empty() {
            parts.push(format!("not from {deny}"));
        }
        if !proxies.is_empty() {
            parts.push(format!("through the load balancers at {proxies}"));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn all(lists: &[Networks]) -> Networks {
    lists.iter().cloned().collect()
}
