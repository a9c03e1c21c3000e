//! The options of `countersign load` that say how its clients behave.

use clap::Args;
use clap::builder::PossibleValue;
use countersign::Networks;
use countersign_load::{Plan, ProxyVersion};
use serde_json::{Value, json};

use crate::args::choice::NamedValueParser;

/// How clients behave.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct ClientArgs {
    /// Begin each connection with a PROXY header, as a load balancer does
    ///
    /// The header gives the address of the client itself as the source, or one of --proxy-source.
    /// Over a Unix socket it says that the connection is the load balancer's own. The server must
    /// expect a header: see `countersign serve --proxy-from`.
    #[arg(long, value_name = "VERSION", value_parser = versions())]
    pub(super) proxy_header: Option<ProxyVersion>,
    /// With --proxy-header: the addresses that clients come from, in turn
    ///
    /// Each connection takes the next address of these networks, such as 10.0.0.0/8, and after the
    /// last one the first again.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', requires = "proxy_header",
          value_parser = addresses)]
    pub(super) proxy_source: Vec<Networks>,
}

impl ClientArgs {
    /// The plan, with clients that behave like this.
    pub(super) fn apply(&self, plan: Plan) -> Plan {
        Plan {
            proxy_header: self.proxy_header,
            proxy_sources: self.proxy_source.iter().cloned().collect(),
            ..plan
        }
    }

    /// The parameters of a report.
    pub(super) fn parameters(&self) -> Vec<(&'static str, Value)> {
        let sources: Vec<String> = self.proxy_source.iter().map(ToString::to_string).collect();
        vec![("proxyHeader", json!(self.proxy_header.map(name))), ("proxySource", json!(sources))]
    }
}

/// Reads a version of the PROXY protocol.
pub(crate) fn versions() -> NamedValueParser<ProxyVersion> {
    NamedValueParser(|| {
        let value = |version, help| (version, PossibleValue::new(name(version)).help(help));
        vec![
            value(ProxyVersion::V1, "A line of text; HAProxy's send-proxy"),
            value(ProxyVersion::V2, "Binary; HAProxy's send-proxy-v2"),
        ]
    })
}

fn name(version: ProxyVersion) -> &'static str {
    if version == ProxyVersion::V1 { "v1" } else { "v2" }
}

fn addresses(text: &str) -> Result<Networks, String> {
    let networks: Networks = text.parse().map_err(|error| format!("{error}"))?;
    match networks.address(0) {
        Some(_) => Ok(networks),
        None => Err("write an address such as 192.0.2.7 or a network such as 10.0.0.0/8".into()),
    }
}
