//! The options that both ends of a connection share.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValue;
use countersign::config::{ConfigBuilder, ConfigError, SessionConfig};
use countersign::{
    ClientConfig, Dialect, Exchange, Framing, KeyRing, KeyRingExt as _, Mac, NoUsableKeyError,
    Protection, ServerConfig,
};

use super::choice::NamedValueParser;
use crate::escape::quoted;
use crate::exit::{Failure, Kind};
use crate::ring::{self, RingRole};
use crate::{system, units};

/// The default address of servers and clients. The parts that a text leaves out of an address have
/// the same defaults.
pub(crate) const SERVER: &str = "127.0.0.1:9527";

/// The default of `--message-max`.
const MESSAGE_MAX: usize = 64 << 10;

/// The protocol, which is the same at both ends.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Protocol (the same at both ends)")]
pub(crate) struct ProtocolArgs {
    /// The handshake
    #[arg(long = "dialect", value_name = "NAME",
          default_value = "countersign/1", value_parser = NamedValueParser(handshakes))]
    pub(crate) handshake: Handshake,
    /// Protection of each message, in countersign/1
    #[arg(long, value_name = "WHEN", default_value = "required",
          value_parser = NamedValueParser(protections))]
    pub(crate) records: Protection,
    /// Name of the service, in countersign/1: the client's must be one of the server's [default:
    /// none]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = audience)]
    pub(crate) audience: Vec<String>,
    /// How messages are delimited; records have their own framing [default: lines]
    #[arg(long, value_name = "NAME", value_parser = NamedValueParser(framings))]
    pub(crate) framing: Option<Framing>,
    /// Hash function of the HMAC in raw and hex: sha256 or md5
    ///
    /// md5 is for peers written for Python before 3.8. In multiprocessing, md5 accepts MD5 from
    /// Python up to 3.11; later versions still use SHA-256.
    #[arg(long, value_name = "NAME", default_value = "sha256", value_parser = mac)]
    pub(crate) mac: Mac,
    /// In multiprocessing, support Red Hat's builds of Python up to 3.11, which lack MD5
    #[arg(long)]
    pub(crate) rhel: bool,
    /// Exchange one message and its reply per connection
    #[arg(long)]
    pub(crate) once: bool,
    /// Do only the handshake: the server reports the result and closes; overrides --once
    #[arg(long)]
    pub(crate) verify_only: bool,
    /// Maximum size of a message, in bytes
    #[arg(long, value_name = "SIZE", default_value = "64k", value_parser = message_max)]
    pub(crate) message_max: usize,
    /// The key file [default: countersign/keys in the user's configuration directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
}

/// What the longest reply has beyond its message: a stamp, and what frames it.
pub(crate) const STAMP_AND_FRAME: usize = 64;

impl ProtocolArgs {
    /// The same for a client, which names one service and speaks one dialect.
    pub(crate) fn into_client(mut self) -> Self {
        self.audience.truncate(1);
        if std::mem::take(&mut self.handshake.shares_raw) {
            // It is that of raw.
            self.mac = Mac::default();
        }
        self
    }

    /// Where the keys are.
    pub(crate) fn ring_path(&self) -> Result<PathBuf, Failure> {
        self.keys.clone().map_or_else(ring::default_path, Ok)
    }

    /// The keys, which the dialect `open` does without.
    pub(crate) fn ring(&self, role: RingRole) -> Result<KeyRing, Failure> {
        if !self.dialect().authenticates() {
            return Ok(KeyRing::empty()?);
        }
        role.read(&self.ring_path()?, self.dialect())
    }

    /// What a client speaks, with a key that can be used: the one of this id, if there is one. Its
    /// messages may be longer than those that are sent by so many bytes.
    pub(crate) fn client_config(
        &self,
        key: Option<&str>,
        beyond: usize,
    ) -> Result<ClientConfig, Failure> {
        let ring = self.ring(RingRole::Client)?;
        let longest = (self.message_max + beyond).min(SessionConfig::MESSAGE_MAX);
        let mut options = self.options(ClientConfig::builder(self.dialect()), ring);
        if let Some(name) = self.audience.first() {
            options = options.with_audience(name);
        }
        if let Some(id) = key {
            options = options.with_key(id);
        }
        let config = options.with_message_max(longest).build()?;
        let usable = config.signing_key(system::unix_time()).map(drop);
        self.check(usable, config.keys(), RingRole::Client)?;
        Ok(config)
    }

    /// What a server speaks with these keys, of which one can be used.
    pub(crate) fn server_config(&self, ring: KeyRing) -> Result<ServerConfig, Failure> {
        let mut options = self.options(ServerConfig::builder(self.dialect()), ring);
        if self.handshake.shares_raw {
            options = options.with_raw();
        }
        for name in &self.audience {
            options = options.with_audience(name);
        }
        let config = options.build()?;
        self.check(config.check_keys(system::unix_time()), config.keys(), RingRole::Server)?;
        Ok(config)
    }

    /// What is the same at both ends.
    fn options<C>(&self, options: ConfigBuilder<C>, ring: KeyRing) -> ConfigBuilder<C> {
        let options = options
            .with_keys(ring)
            .with_mac(self.mac)
            .with_exchange(self.exchange())
            .with_message_max(self.message_max);
        let options = self.framing.into_iter().fold(options, ConfigBuilder::with_framing);
        let options = if self.rhel { options.with_rhel() } else { options };
        match self.dialect() {
            Dialect::Countersign => options.with_records(self.records),
            _ => options,
        }
    }

    /// Fails with the remedy if there is no key for what is spoken.
    fn check(
        &self,
        usable: Result<(), NoUsableKeyError>,
        ring: Option<&KeyRing>,
        role: RingRole,
    ) -> Result<(), Failure> {
        usable.or_else(|error| {
            let remedy = role.remedy(&self.ring_path()?, self.dialect(), ring);
            Err(Failure::new(Kind::Configuration, format!("{error}; {remedy}")))
        })
    }

    /// The dialect; the first, if two share a port.
    pub(crate) fn dialect(&self) -> Dialect {
        self.handshake.dialect
    }

    /// Every dialect of the port.
    pub(crate) fn dialects(&self) -> impl Iterator<Item = Dialect> {
        let second = self.handshake.shares_raw.then_some(Dialect::Raw);
        [self.dialect()].into_iter().chain(second)
    }

    /// The dialects as they are written.
    pub(crate) fn handshake(&self) -> &'static str {
        self.handshake.name()
    }

    /// The audiences, if the dialect has them.
    pub(crate) fn audience(&self) -> Option<&[String]> {
        let has_some = self.dialect() == Dialect::Countersign && !self.audience.is_empty();
        has_some.then_some(&self.audience)
    }

    /// The protection, if the dialect has records.
    pub(crate) fn records(&self) -> Option<&'static str> {
        (self.dialect() == Dialect::Countersign).then(|| self.records.name())
    }

    /// The framing.
    pub(crate) fn framing(&self) -> Framing {
        match self.dialect() {
            Dialect::Multiprocessing => Framing::Length,
            _ => self.framing.unwrap_or_default(),
        }
    }

    /// Whether messages may travel unprotected in `countersign/1`.
    pub(crate) fn may_be_plain(&self) -> bool {
        self.dialect() == Dialect::Countersign
            && matches!(self.records, Protection::Allowed | Protection::Off)
    }

    pub(crate) fn exchange(&self) -> Exchange {
        match (self.verify_only, self.once) {
            (true, _) => Exchange::VerifyOnly,
            (_, true) => Exchange::Once,
            _ => Exchange::Many,
        }
    }

    /// The options that the other end needs, as they are typed.
    pub(crate) fn for_the_other_end(&self) -> String {
        let mut options = String::new();
        let mut add = |differs: bool, option: &str, value: &str| {
            if differs {
                // Writing to a string succeeds.
                let _ = write!(options, " --{option}{value}");
            }
        };
        let default = Mac::default();
        let other = self.dialect() != Dialect::Countersign;
        add(other, "dialect ", self.dialect().name());
        add(!other && self.records != Protection::Required, "records ", self.records.name());
        if let Some(name) = self.audience.first() {
            add(!other, "audience ", &quoted(name));
        }
        if let Some(framing) = self.framing {
            add(framing != Framing::Lines, "framing ", framing.name());
        }
        add(self.mac != default, "mac ", self.mac.name());
        add(self.rhel, "rhel", "");
        add(self.once, "once", "");
        add(self.verify_only, "verify-only", "");
        let size = self.message_max.to_string();
        add(self.message_max != MESSAGE_MAX, "message-max ", &size);
        if let Some(keys) = &self.keys {
            add(self.dialect().authenticates(), "keys ", &quoted(&keys.display().to_string()));
        }
        options
    }
}

impl From<ConfigError> for Failure {
    /// Why the options can't be combined, and the remedy.
    fn from(error: ConfigError) -> Self {
        let text = match error {
            ConfigError::UnprotectedChunks => {
                "in countersign/1, --framing chunks needs records; write --framing lines or \
                 length, or remove --records"
            }
            ConfigError::OwnFraming(_) => "multiprocessing has its own framing; remove --framing",
            ConfigError::RhelAndMac => "--mac and --rhel can't be combined; remove one of them",
            ConfigError::NoRhel(_) => "--rhel is for multiprocessing; remove it",
            ConfigError::NoMac(_) => "--mac is for raw, hex and multiprocessing; remove it",
            ConfigError::NoAudience(_) => "--audience is for countersign/1; remove it",
            other => return Self::new(Kind::Usage, other.to_string()),
        };
        Self::new(Kind::Usage, text)
    }
}

/// The handshakes of a port: one dialect, or `countersign/1` and `raw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handshake {
    dialect: Dialect,
    shares_raw: bool,
}

impl Handshake {
    pub(crate) const COUNTERSIGN: Self = Self { dialect: Dialect::Countersign, shares_raw: false };

    fn name(self) -> &'static str {
        if self.shares_raw { "countersign/1+raw" } else { self.dialect.name() }
    }
}

/// Reads the name of a service.
pub(crate) fn audience(name: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&name.len());
    fits.then(|| name.to_owned()).ok_or_else(|| "a name has 1 to 64 bytes".to_owned())
}

/// Reads the length of the longest message.
pub(crate) fn message_max(text: &str) -> Result<usize, String> {
    units::size(1..=SessionConfig::MESSAGE_MAX)(text)
}

/// Reads the name of a hash.
pub(crate) fn mac(name: &str) -> Result<Mac, String> {
    match name {
        "sha256" => Ok(Mac::Sha256),
        "md5" => Ok(Mac::Md5),
        _ => Err("write sha256 or md5".into()),
    }
}

pub(crate) fn handshakes() -> Vec<(Handshake, PossibleValue)> {
    let explained = |handshake: Handshake| {
        let help = match handshake.dialect {
            Dialect::Countersign if handshake.shares_raw => "the same, and raw on the same port",
            Dialect::Countersign => "both ends prove that they hold the key",
            Dialect::Raw => "the client answers a challenge with its HMAC, in binary",
            Dialect::Hex => "the client answers a challenge with its HMAC, in hexadecimal",
            Dialect::Multiprocessing => "the handshake of Python's multiprocessing.connection",
            _ => "no handshake: every client is served",
        };
        (handshake, PossibleValue::new(handshake.name()).help(help))
    };
    let alone =
        Dialect::ALL.iter().copied().map(|dialect| Handshake { dialect, shares_raw: false });
    let both = Handshake { dialect: Dialect::Countersign, shares_raw: true };
    let mut all: Vec<_> = alone.collect();
    all.insert(1, both);
    all.into_iter().map(explained).collect()
}

pub(crate) fn protections() -> Vec<(Protection, PossibleValue)> {
    let explained = |protection: Protection| {
        let help = match protection {
            Protection::Sealed => "always, and encrypted; a peer that does not encrypt is refused",
            Protection::Required => "always; a peer without it is refused",
            Protection::Allowed => "if the other end supports it too",
            _ => "never; a relay of the handshake can take over the connection",
        };
        (protection, PossibleValue::new(protection.name()).help(help))
    };
    Protection::ALL.iter().copied().map(explained).collect()
}

pub(crate) fn framings() -> Vec<(Framing, PossibleValue)> {
    let explained = |framing: Framing| {
        let help = match framing {
            Framing::Lines => "LF or CRLF ends a message",
            Framing::Chunks => "each read is a message, of at most 1,024 bytes",
            _ => "a 32-bit length precedes each message",
        };
        (framing, PossibleValue::new(framing.name()).help(help))
    };
    Framing::ALL.iter().copied().map(explained).collect()
}
