//! The limits of `serve`.

use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, Command};
use countersign::Limits;

use super::choice::NamedValueParser;
use super::origins::{Origins, Source};
use super::protocol::{ProtocolArgs, STAMP_AND_FRAME};
use crate::units;

/// What the server may use at most.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Values of the limits, and of --message-max, that are not set otherwise
    #[arg(long = "limits", value_name = "NAME", default_value = "default",
          value_parser = NamedValueParser(presets))]
    pub(crate) preset: Preset,
    /// Maximum number of open connections
    #[arg(long, value_name = "N", default_value = "10000", value_parser = connections)]
    pub(crate) max_connections: usize,
    /// Maximum number of connections that have not authenticated
    #[arg(long, value_name = "N", default_value = "4096", value_parser = connections)]
    pub(crate) max_unauthenticated: usize,
    /// The same for one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]
    #[arg(long, value_name = "N", value_parser = connections)]
    pub(crate) max_per_address: Option<usize>,
    /// Time limit from accept, or from the end of the delay, until the peer has authenticated
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::some_time)]
    pub(crate) handshake_timeout: Duration,
    /// Time limit from the end of one message to the start of the next; 0s means no limit
    #[arg(long, value_name = "TIME", default_value = "5m",
          value_parser = units::some_time_or_never)]
    pub(crate) idle_timeout: Duration,
    /// Time limit from the first byte of a message to its last; 0s means no limit
    #[arg(long, value_name = "TIME", default_value = "30s",
          value_parser = units::some_time_or_never)]
    pub(crate) message_timeout: Duration,
    /// Time limit while the peer accepts no output
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::some_time)]
    pub(crate) write_timeout: Duration,
    /// Time limit for an authenticated connection; 0s means no limit [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = units::some_time_or_never)]
    pub(crate) session_max_age: Option<Duration>,
    /// Time limit for open connections after a signal to stop; 0s closes them at once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::any_time)]
    pub(crate) drain_timeout: Duration,
    /// Maximum memory for unfinished messages and unsent replies of all connections together
    #[arg(long, value_name = "SIZE", default_value = "64m", value_parser = buffered_max)]
    pub(crate) buffered_max: usize,
    #[command(flatten)]
    pub(crate) failures: ThrottleArgs,
}

/// Values of limits that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    Default,
    Small,
}

pub(crate) fn presets() -> Vec<(Preset, PossibleValue)> {
    let value = |preset, name, help| (preset, PossibleValue::new(name).help(help));
    vec![
        value(Preset::Default, "default", "10,000 connections, in at most 70 MiB"),
        value(Preset::Small, "small", "64 connections and messages of 4 KiB, in less than 256 KiB"),
    ]
}

/// How networks with failed proofs are throttled.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThrottleArgs {
    /// Number of failed proofs above which one IPv4 address or IPv6 /64 is delayed
    #[arg(long, value_name = "N", default_value = "10", value_parser = failures)]
    pub(crate) failure_burst: u32,
    /// Number of failed proofs above which it is rejected
    #[arg(long, value_name = "N", default_value = "100", value_parser = failures)]
    pub(crate) failure_limit: u32,
    /// Delay before the challenge is sent to a throttled network; 0s sends it at once
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::any_time)]
    pub(crate) failure_delay: Duration,
    /// How long each failed proof counts against its network; 0s disables throttling
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = units::any_time)]
    pub(crate) failure_decay: Duration,
}

/// More descriptors than any machine has.
pub(crate) const CONNECTIONS_MAX: u64 = 10_000_000;

/// With less, hardly any message could be buffered.
const BUFFERED_LEAST: usize = 4 << 10;

/// More than any machine has.
const BUFFERED_MAX: usize = 1 << (usize::BITS - 2);

/// What a record can carry, whatever the limit on messages is.
const RECORD_LEAST: usize = 1008;

/// The longest message with small limits.
const SMALL_MESSAGE_MAX: usize = 4 << 10;

/// Whether this is an option that a reload can change. Buffers are made at the start, as long as
/// the preset says.
pub(crate) fn is_reloaded(option: &str) -> bool {
    let command = LimitArgs::augment_args(Command::new("limits"));
    option != "limits" && command.get_arguments().any(|arg| arg.get_long() == Some(option))
}

/// Reads a number of connections.
pub(crate) fn connections(text: &str) -> Result<usize, String> {
    units::count(1..=CONNECTIONS_MAX)(text)
}

/// Reads the bytes that may be buffered.
pub(crate) fn buffered_max(text: &str) -> Result<usize, String> {
    units::size(BUFFERED_LEAST..=BUFFERED_MAX)(text)
}

/// Reads a number of failed proofs.
pub(crate) fn failures(text: &str) -> Result<u32, String> {
    units::count(0..=u64::from(u32::MAX))(text)
}

impl LimitArgs {
    /// Sets what the preset says wherever nothing else has set it.
    pub(crate) fn apply_preset(&mut self, protocol: &mut ProtocolArgs, origins: &Origins) {
        if self.preset == Preset::Default {
            return;
        }
        let Limits { connections, unauthenticated, buffered_max, .. } = Limits::small();
        for (name, option, value) in [
            ("max-connections", &mut self.max_connections, connections),
            ("max-unauthenticated", &mut self.max_unauthenticated, unauthenticated),
            ("buffered-max", &mut self.buffered_max, buffered_max),
            ("message-max", &mut protocol.message_max, SMALL_MESSAGE_MAX),
        ] {
            if *origins.source(name) == Source::Default {
                *option = value;
            }
        }
    }

    /// The limits of a listener whose messages have at most this many bytes.
    pub(crate) fn limits(&self, message_max: usize) -> Limits {
        let half = self.max_unauthenticated.div_ceil(2);
        let limits = Limits {
            connections: self.max_connections,
            unauthenticated: self.max_unauthenticated,
            unauthenticated_per_address: self.max_per_address.unwrap_or(half),
            handshake_timeout: self.handshake_timeout,
            idle_timeout: self.idle_timeout,
            message_timeout: self.message_timeout,
            write_timeout: self.write_timeout,
            session_age_max: self.session_max_age.filter(|age| *age != units::NEVER),
            drain_timeout: self.drain_timeout,
            reply_max: message_max.max(RECORD_LEAST) + STAMP_AND_FRAME,
            buffered_max: self.buffered_max,
            ..match self.preset {
                Preset::Default => Limits::default(),
                Preset::Small => Limits::small(),
            }
        };
        self.failures.within(limits)
    }
}

impl ThrottleArgs {
    /// The limits with these settings.
    pub(crate) fn within(&self, limits: Limits) -> Limits {
        let Self { failure_burst, failure_limit, failure_delay, failure_decay } = *self;
        Limits { failure_burst, failure_limit, failure_delay, failure_decay, ..limits }
    }
}
