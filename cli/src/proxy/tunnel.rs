//! What is spoken between the proxies.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use countersign::{Dialect, Protection, Protocol};
use countersign_relay::{RECORD, RelayRole};

use crate::exit::Failure;
use crate::ring;

/// What is spoken between the proxies.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Between the proxies (the same at both ends)")]
pub(super) struct Tunnel {
    /// Name of the service: the client's must be one of the server's [default: none]
    #[arg(long, value_name = "NAME", value_delimiter = ',',
          value_parser = crate::args::protocol::audience)]
    audience: Vec<String>,
    #[command(flatten)]
    pub(super) file: ring::KeyFileArg,
    /// For the client: id of the key to authenticate with [default: the first key for
    /// countersign/1]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Close connections whose keys have expired, or were removed or changed by a reload
    #[arg(long, value_name = "BOOL", default_value = "true",
          value_parser = BoolishValueParser::new(), action = ArgAction::Set)]
    pub(super) close_revoked: bool,
    /// Protection of each record: required, or sealed, which encrypts it too
    #[arg(long, value_name = "WHEN", default_value = "required", value_parser = records)]
    records: Protection,
    // There is only one value. Another one is refused with the reason.
    #[arg(long, hide = true, value_parser = dialect)]
    dialect: Option<Dialect>,
}

fn dialect(name: &str) -> Result<Dialect, &'static str> {
    let right = name == Dialect::Countersign.name();
    right.then_some(Dialect::Countersign).ok_or("a proxy always speaks countersign/1")
}

fn records(when: &str) -> Result<Protection, &'static str> {
    match when {
        "required" => Ok(Protection::Required),
        "sealed" => Ok(Protection::Sealed),
        "allowed" | "off" => Err("a proxy always requires records"),
        _ => Err("write required or sealed"),
    }
}

impl Tunnel {
    /// Whether records are encrypted.
    pub(super) fn is_sealed(&self) -> bool {
        self.records == Protection::Sealed
    }

    /// What is spoken with the far end.
    pub(super) fn protocol(&self, role: RelayRole) -> Result<Protocol, Failure> {
        let Self { audience, key, records, .. } = self;
        let path = self.file.path()?;
        let end = match role {
            RelayRole::Client => ring::RingRole::Client,
            RelayRole::Server => ring::RingRole::Server,
        };
        let ring = end.read(&path, Dialect::Countersign)?;
        let protocol = Protocol::new(Dialect::Countersign, ring)
            .with_message_max(RECORD)
            .with_protection(*records);
        let mut protocol =
            audience.iter().fold(protocol, |protocol, name| protocol.with_audience(name));
        if let Some(id) = key {
            protocol = protocol.with_key(id);
        }
        end.check(&protocol, &path)?;
        Ok(protocol)
    }
}
