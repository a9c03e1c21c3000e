//! The options that both ends of a connection share.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Args, Command};
use countersign::{Dialect, Exchange, Framing, KeyRing, Mac, Protocol};

use super::exit::Failure;
use super::{ring, units};

/// What `--message-max` is unless told otherwise.
const MESSAGE_MAX: usize = 64 << 10;

/// What is spoken; the same at both ends.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What is spoken (the same at both ends)")]
pub(crate) struct Spoken {
    /// The handshake
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_DIALECT", default_value = "raw",
          value_parser = Choice(dialects))]
    pub(crate) dialect: Dialect,
    /// Where a message ends
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_FRAMING", default_value = "lines",
          value_parser = Choice(framings))]
    pub(crate) framing: Framing,
    /// The hash under the HMAC of a proof: sha256 or md5
    ///
    /// md5 is for peers written before Python 3.8, and only in a build with the feature legacy-md5.
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_MAC", default_value = "sha256",
          value_parser = mac)]
    pub(crate) mac: Mac,
    /// One message and its reply on each connection
    #[arg(long, env = "COUNTERSIGN_ONCE", value_parser = FalseyValueParser::new())]
    pub(crate) once: bool,
    /// The handshake alone: the server reports the verdict and closes; beats --once
    #[arg(long, env = "COUNTERSIGN_VERIFY_ONLY",
          value_parser = FalseyValueParser::new())]
    pub(crate) verify_only: bool,
    /// The longest message, in bytes
    #[arg(long, value_name = "SIZE", env = "COUNTERSIGN_MESSAGE_MAX", default_value = "64k",
          value_parser = units::size)]
    pub(crate) message_max: usize,
    /// The file of keys [default: countersign/keys in the user's configuration directory]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEYS")]
    pub(crate) keys: Option<PathBuf>,
}

/// What the longest reply has beyond its message: a stamp, and what frames it.
pub(crate) const STAMP_AND_FRAME: usize = 64;

impl Spoken {
    /// Where the keys are.
    pub(crate) fn ring_path(&self) -> Result<PathBuf, Failure> {
        self.keys.clone().map_or_else(ring::default_path, Ok)
    }

    /// The keys, which the dialect `open` does without.
    pub(crate) fn ring(&self) -> Result<KeyRing, Failure> {
        if self.dialect.authenticates() {
            Ok(KeyRing::from_file(self.ring_path()?)?)
        } else {
            Ok(KeyRing::new())
        }
    }

    pub(crate) fn protocol(&self, ring: KeyRing) -> Protocol {
        Protocol::new(self.dialect, ring)
            .with_framing(self.framing)
            .with_mac(self.mac)
            .with_exchange(self.exchange())
            .with_message_max(self.message_max)
    }

    pub(crate) fn exchange(&self) -> Exchange {
        match (self.verify_only, self.once) {
            (true, _) => Exchange::VerifyOnly,
            (_, true) => Exchange::Once,
            _ => Exchange::Many,
        }
    }

    /// The options that the other end has to be given, as they are typed.
    pub(crate) fn for_the_other_end(&self) -> String {
        let mut options = String::new();
        let mut add = |differs: bool, option: &str, value: &str| {
            if differs {
                // Writing to a string succeeds.
                let _ = write!(options, " --{option}{value}");
            }
        };
        let default = Mac::default();
        add(self.dialect != Dialect::Raw, "dialect ", self.dialect.name());
        add(self.framing != Framing::Lines, "framing ", self.framing.name());
        add(self.mac != default, "mac ", self.mac.name());
        add(self.once, "once", "");
        add(self.verify_only, "verify-only", "");
        let size = self.message_max.to_string();
        add(self.message_max != MESSAGE_MAX, "message-max ", &size);
        if let Some(keys) = &self.keys {
            let path = keys.display().to_string();
            let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
            let quoted = match path.chars().all(plain) {
                true => path,
                false => format!("'{}'", path.replace('\'', r"'\''")),
            };
            add(self.dialect.authenticates(), "keys ", &quoted);
        }
        options
    }
}

fn mac(name: &str) -> Result<Mac, String> {
    match name {
        "sha256" => Ok(Mac::Sha256),
        #[cfg(feature = "legacy-md5")]
        "md5" => Ok(Mac::Md5),
        #[cfg(not(feature = "legacy-md5"))]
        "md5" => Err("this build has no MD5; build it with --features legacy-md5".into()),
        _ => Err("write sha256 or md5".into()),
    }
}

/// Reads one of a few names, each of which the help text explains.
#[derive(Debug)]
pub(crate) struct Choice<T: 'static>(pub(crate) fn() -> Vec<(T, PossibleValue)>);

impl<T> Clone for Choice<T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<T: Clone + Send + Sync> TypedValueParser for Choice<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let names = PossibleValuesParser::new(self.0().into_iter().map(|(_, name)| name));
        let name = names.parse_ref(command, arg, value)?;
        let chosen = self.0().into_iter().find(|(_, each)| each.matches(&name, false));
        chosen
            .map(|(value, _)| value)
            .ok_or_else(|| clap::Error::new(clap::error::ErrorKind::InvalidValue))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0().into_iter().map(|(_, name)| name)))
    }
}

fn dialects() -> Vec<(Dialect, PossibleValue)> {
    let explained = |dialect: Dialect| {
        let help = match dialect {
            Dialect::Countersign => "both ends prove the key, every record is protected",
            Dialect::Raw => "a challenge, answered with its HMAC as bytes",
            Dialect::Hex => "a challenge, answered with its HMAC in hexadecimal digits",
            _ => "no handshake: whoever connects is served",
        };
        (dialect, PossibleValue::new(dialect.name()).help(help))
    };
    Dialect::ALL.map(explained).into()
}

fn framings() -> Vec<(Framing, PossibleValue)> {
    let explained = |framing: Framing| {
        let help = match framing {
            Framing::Lines => "at LF or CRLF",
            Framing::Chunks => "where a read ends, after at most 1,024 bytes",
            _ => "after as many bytes as a 32-bit length in front says",
        };
        (framing, PossibleValue::new(framing.name()).help(help))
    };
    Framing::ALL.map(explained).into()
}
