//! The options of `countersign load` that say how its clients behave.

use std::time::Duration;

use clap::Args;
use countersign::Networks;
use countersign_load::{Arrival, Plan, ProxyVersion};
use serde_json::{Value, json};

use super::threshold::RATE_MAX;
use crate::args::proxy_version::{name, versions};
use crate::units;

/// One in a quarter of an hour.
const RATE_MIN: f64 = 0.001;

/// How clients behave.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct ClientArgs {
    /// Time that a client waits between a reply and its next message
    ///
    /// The load is a closed loop of people who read before they ask again. With -P, a client waits
    /// when all its messages are answered; with --reconnect, between two connections. The latency
    /// of a message doesn't include this time.
    #[arg(long, value_name = "TIME", default_value = "0s", conflicts_with_all = ["rate", "stages"],
          value_parser = units::time(units::ANY_TIME))]
    pub(super) think: Duration,
    /// Messages per second of each connection, such as 10 or 0.5
    ///
    /// The load is an open loop: each connection has a schedule of its own, and latency is measured
    /// from when a message was due. The schedules are evenly out of phase.
    #[arg(long, value_name = "RATE", value_parser = rate,
          conflicts_with_all = ["rate", "stages", "think", "reconnect", "once"])]
    pub(super) rate_per_connection: Option<f64>,
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
            think: self.think,
            arrival: self.rate_per_connection.map_or(plan.arrival, Arrival::PerClient),
            proxy_header: self.proxy_header,
            proxy_sources: self.proxy_source.iter().cloned().collect(),
            ..plan
        }
    }

    /// The parameters of a report.
    pub(super) fn parameters(&self) -> Vec<(&'static str, Value)> {
        let sources: Vec<String> = self.proxy_source.iter().map(ToString::to_string).collect();
        vec![
            ("thinkSeconds", json!(self.think.as_secs_f64())),
            ("ratePerConnection", json!(self.rate_per_connection)),
            ("proxyHeader", json!(self.proxy_header.map(name))),
            ("proxySource", json!(sources)),
        ]
    }
}

/// Reads a rate, which may be less than one a second.
fn rate(text: &str) -> Result<f64, String> {
    let many = units::count::<u32>(1..=RATE_MAX)(text).map(f64::from);
    let few = || text.parse().ok().filter(|rate| (RATE_MIN..=RATE_MAX as f64).contains(rate));
    many.or_else(|_| {
        few().ok_or_else(|| "write a rate from 0.001 to 1g, like 10 or 0.5".to_owned())
    })
}

fn addresses(text: &str) -> Result<Networks, String> {
    let networks: Networks = text.parse().map_err(|error| format!("{error}"))?;
    match networks.address(0) {
        Some(_) => Ok(networks),
        None => Err("write an address such as 192.0.2.7 or a network such as 10.0.0.0/8".into()),
    }
}
