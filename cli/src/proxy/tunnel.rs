//! What is spoken between the proxies.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use countersign::{ClientConfig, Dialect, Mac, Protection};
use countersign_relay::{RECORD, RelayConfig, RelayRole};

use crate::args::protocol::{Handshake, ProtocolArgs};
use crate::exit::Failure;
use crate::ring::{self, RingRole};

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
    pub(super) fn config(&self, role: RelayRole) -> Result<RelayConfig, Failure> {
        let protocol = self.protocol()?;
        Ok(match role {
            RelayRole::Client => RelayConfig::Client(self.client()?.into()),
            RelayRole::Server => {
                let ring = protocol.ring(RingRole::Server)?;
                RelayConfig::Server(protocol.server_config(ring)?.into())
            }
        })
    }

    /// What a client of such a proxy speaks.
    pub(super) fn client(&self) -> Result<ClientConfig, Failure> {
        self.protocol()?.client_config(self.key.as_deref(), 0)
    }

    fn protocol(&self) -> Result<ProtocolArgs, Failure> {
        Ok(ProtocolArgs {
            handshake: Handshake::COUNTERSIGN,
            records: self.records,
            audience: self.audience.clone(),
            framing: None,
            mac: Mac::default(),
            rhel: false,
            once: false,
            verify_only: false,
            message_max: RECORD,
            keys: Some(self.file.path()?),
        })
    }
}
