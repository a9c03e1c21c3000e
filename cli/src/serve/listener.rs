//! The options of one listener: where it listens, what it serves, and within which limits.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use countersign::{KeyRing, Limits, ListenerConfig, Protocol};
use log::warn;

use super::access::AccessArgs;
use super::builtin::{BuiltinService, ServiceState, builtin_services};
use super::limits::LimitArgs;
use crate::admin::Labels;
use crate::config::Location;
use crate::exit::Failure;
use crate::options::{Choice, ProtocolArgs, SERVER};
use crate::ring::{self, KeyOptions, RingRole};
use crate::units;

/// Linux counts whole seconds in 15 bits.
const KEEPALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(9 * 3600);

/// Linux counts milliseconds in 31 bits.
const USER_TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 24 * 3600);

/// One listener, as it is asked for.
#[derive(Debug, Clone, Args)]
#[command(next_display_order = 0)]
pub(crate) struct ListenerArgs {
    /// What the log and the metrics call the listener [default: its first address]
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_NAME", value_parser = name)]
    pub(crate) name: Option<String>,
    /// Where to listen: HOST:PORT, HOST, PORT or unix:/PATH; may be given more than once, and port
    /// 0 is any free one
    #[arg(
        long,
        value_name = "ADDR",
        env = "COUNTERSIGN_BIND",
        default_value = SERVER,
        value_delimiter = ','
    )]
    pub(crate) bind: Vec<String>,
    /// The mode of the files of Unix sockets: who may write, may connect
    #[arg(long, value_name = "MODE", env = "COUNTERSIGN_UNIX_MODE", default_value = "0600",
          value_parser = units::mode)]
    pub(crate) unix_mode: u32,
    /// What is served
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_SERVICE", default_value = "timestamp",
          value_parser = Choice(builtin_services))]
    service: BuiltinService,
    /// Stamp in UTC instead of local time
    #[arg(long, env = "COUNTERSIGN_UTC", value_parser = BoolishValueParser::new())]
    utc: bool,
    /// When nothing was heard of a peer over TCP for so long, ask whether it is there; 0s is never
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TCP_KEEPALIVE", default_value = "1m",
          value_parser = units::time_or_never(KEEPALIVE))]
    tcp_keepalive: Duration,
    /// How long what was sent over TCP may lack its acknowledgement, and questions their answer;
    /// 0s leaves it to the system [default: --write-timeout]
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TCP_USER_TIMEOUT",
          value_parser = units::time(USER_TIMEOUT))]
    tcp_user_timeout: Option<Duration>,
    // Behind all others, because their headings hold for what follows.
    #[command(flatten)]
    pub(crate) protocol: ProtocolArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    /// Where it stands in the configuration file, if it does.
    #[arg(skip)]
    pub(crate) location: Option<Location>,
}

/// What to do when the default key file does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingRing {
    /// Create it, with one fresh key.
    Create,
    /// Leave it: a server will create it.
    Leave,
    /// It was there before, so this is an error.
    Fail,
}

/// A key file that did not exist.
#[derive(Debug)]
pub(super) enum CreatedRing {
    /// It was created, with a key of this fingerprint.
    Now(String),
    /// It will be created.
    Later,
}

impl ListenerArgs {
    pub(super) fn served(&self) -> ServiceState {
        match self.service {
            _ if self.protocol.verify_only => ServiceState::Verdict,
            BuiltinService::Timestamp if self.utc => ServiceState::Utc,
            BuiltinService::Timestamp => ServiceState::Local,
            BuiltinService::Echo => ServiceState::Echo,
            BuiltinService::Discard => ServiceState::Discard,
        }
    }

    /// A listener that speaks this, within these limits, and has no address yet.
    pub(super) fn listener(&self, protocol: Protocol, limits: Limits) -> ListenerConfig {
        let mut listener = ListenerConfig::new(protocol)
            .limits(limits)
            .access(self.access.access())
            .proxies(self.access.proxies())
            .unix_mode(self.unix_mode)
            .keepalive(Some(self.tcp_keepalive).filter(|time| *time != units::NEVER));
        if let Some(timeout) = self.tcp_user_timeout {
            listener = listener.user_timeout(timeout);
        }
        match &self.name {
            Some(name) => listener.named(name),
            None => listener,
        }
    }

    /// What pages say of it.
    pub(super) fn labels(&self) -> Labels {
        Labels {
            dialect: self.protocol.handshake(),
            framing: match self.protocol.records() {
                // They have their own ends.
                Some(_) if !self.protocol.may_be_plain() => "records",
                _ => self.protocol.framing().name(),
            },
            service: self.what(),
        }
    }

    /// Whether a message has an answer.
    pub(crate) fn answers(&self) -> bool {
        !matches!(self.served(), ServiceState::Discard | ServiceState::Verdict)
    }

    /// What is served, in a word.
    pub(super) fn what(&self) -> &'static str {
        if self.protocol.verify_only { "verdicts" } else { self.service.name() }
    }

    /// The keys, and the key file that was created for them, if it was.
    pub(super) fn ring(
        &self,
        missing: MissingRing,
    ) -> Result<(KeyRing, Option<CreatedRing>), Failure> {
        let path = self.protocol.ring_path()?;
        let may_be_made = self.protocol.dialect().authenticates() && self.protocol.keys.is_none();
        if !may_be_made || path.exists() {
            return Ok((self.protocol.ring(RingRole::Server)?, None));
        }
        let options = KeyOptions::of(self.protocol.dialect());
        let made = match missing {
            MissingRing::Leave => {
                return Ok((ring::fresh("default", &options)?, Some(CreatedRing::Later)));
            }
            MissingRing::Create => match ring::add(&path, "default", &options) {
                // Another server has begun in the same moment, and made it.
                Err(_) if path.exists() => None,
                made => Some(CreatedRing::Now(made?.fingerprint())),
            },
            MissingRing::Fail => None,
        };
        Ok((self.protocol.ring(RingRole::Server)?, made))
    }

    /// What is spoken with these keys, once it is seen to serve somebody.
    pub(super) fn protocol(&self, ring: KeyRing) -> Result<Protocol, Failure> {
        let serving = self.protocol.dialects().flat_map(|dialect| ring.serving(dialect));
        for key in serving.filter(|key| key.is_short()) {
            let id = key.id();
            warn!(key:% = id; "the key has fewer than 16 bytes: who sees a proof can guess it");
        }
        let protocol = self.protocol.protocol(ring)?;
        if self.protocol.may_be_plain() {
            warn!("where records are left out, whoever relays the handshake owns the connection");
        }
        self.protocol.check(&protocol, RingRole::Server)?;
        Ok(protocol)
    }
}

/// A name is also the label of a metric.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("write a word of up to 64 letters, digits, dots, - and _".to_owned()),
    }
}
