//! The options of one listener: where it listens, what it serves, and within which limits.

use std::io;

use clap::Args;
use clap::builder::FalseyValueParser;
use countersign::{Key, KeyRing, Protocol};
use log::warn;

use super::bounds::Bounds;
use super::offer::{Offer, Served, offers};
use crate::cli::exit::{Failure, Kind};
use crate::cli::options::{Choice, Spoken};
use crate::cli::ring::{self, Purpose};
use crate::cli::units;

/// One listener, as it is asked for.
#[derive(Debug, Args)]
#[command(next_display_order = 0)]
pub(super) struct Listening {
    /// Where to listen: HOST:PORT or unix:/PATH; may be given more than once, and port 0 is any
    /// free one
    #[arg(
        long,
        value_name = "ADDR",
        env = "COUNTERSIGN_BIND",
        default_value = "127.0.0.1:9527",
        value_delimiter = ','
    )]
    pub(super) bind: Vec<String>,
    /// The mode of the files of Unix sockets: who may write, may connect
    #[arg(long, value_name = "MODE", env = "COUNTERSIGN_UNIX_MODE", default_value = "0600",
          value_parser = units::mode)]
    pub(super) unix_mode: u32,
    /// What is served
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_SERVICE", default_value = "timestamp",
          value_parser = Choice(offers))]
    service: Offer,
    /// Stamp in UTC instead of local time
    #[arg(long, env = "COUNTERSIGN_UTC", value_parser = FalseyValueParser::new())]
    utc: bool,
    // Behind all others, because their headings hold for what follows.
    #[command(flatten)]
    pub(super) spoken: Spoken,
    #[command(flatten)]
    pub(super) bounds: Bounds,
}

impl Listening {
    pub(super) fn served(&self) -> Served {
        match self.service {
            _ if self.spoken.verify_only => Served::Verdict,
            Offer::Timestamp if self.utc => Served::Utc,
            Offer::Timestamp => Served::Local,
            Offer::Echo => Served::Echo,
            Offer::Discard => Served::Discard,
        }
    }

    /// What is served, in a word.
    pub(super) fn what(&self) -> &'static str {
        if self.spoken.verify_only { "verdicts" } else { self.service.name() }
    }

    /// The keys, and the key that was made because there was none.
    pub(super) fn ring(&self) -> Result<(KeyRing, Option<Key>), Failure> {
        let path = self.spoken.ring_path()?;
        let missing = self.spoken.dialect().authenticates() && self.spoken.keys.is_none();
        let made = match missing && !path.exists() {
            true => match ring::add(&path, "default", &Purpose::of(self.spoken.dialect())) {
                // Another server has begun in the same moment, and made it.
                Err(_) if path.exists() => None,
                made => Some(made?),
            },
            false => None,
        };
        Ok((self.spoken.ring()?, made))
    }

    /// What is spoken with these keys, once it is seen to serve somebody.
    pub(super) fn protocol(&self, ring: KeyRing) -> Result<Protocol, Failure> {
        let serving = self.spoken.dialects().flat_map(|dialect| ring.serving(dialect));
        for key in serving.filter(|key| key.is_short()) {
            let id = key.id();
            warn!(key:% = id; "the key has fewer than 16 bytes: who sees a proof can guess it");
        }
        let protocol = self.spoken.protocol(ring)?;
        if self.spoken.may_be_plain() {
            warn!("where records are left out, whoever relays the handshake owns the connection");
        }
        protocol.check_server()?;
        Ok(protocol)
    }
}

pub(super) fn cannot_listen(address: &str, error: &io::Error) -> Failure {
    let text = match error.to_string() {
        named if named.starts_with("cannot bind") => named,
        other => format!("cannot bind {address}: {other}; write HOST:PORT or unix:/PATH"),
    };
    Failure::new(Kind::Unavailable, text)
}
