//! What is tested: how it is configured, what it does without, and how long it is waited for.

use std::time::Duration;

use countersign::{Framing, Protection};

use crate::case::Case;
use crate::keys::TestKeys;
use crate::needs::{Feature, ListenerKind, Mode};

/// The implementation that is tested.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The keys that it has.
    pub keys: TestKeys,
    /// The audience of both ends.
    pub audience: String,
    /// How it protects messages.
    pub protection: Protection,
    /// How it delimits them without records.
    pub framing: Framing,
    /// What kind of listener it has, if it is a server.
    pub listener: ListenerKind,
    /// What it does without.
    pub absent: Vec<Feature>,
    /// The longest that anything it must do may take.
    pub timeout: Duration,
    /// How long it must say nothing where it may say nothing.
    pub quiet_time: Duration,
    /// The time limit that it has set for the handshake.
    pub handshake_timeout: Duration,
}

impl Subject {
    pub(crate) fn mode(&self) -> Mode {
        match self.protection {
            Protection::Sealed => Mode::Sealed,
            Protection::Allowed => Mode::Allowed,
            Protection::Off => Mode::Off,
            _ => Mode::Required,
        }
    }

    /// Why a case can't be run with it, if it can't.
    pub(crate) fn lacks(&self, case: &Case) -> Option<String> {
        let modes: &[Mode] = match &case.modes[..] {
            [] => &[Mode::Required, Mode::Allowed, Mode::Sealed],
            modes => modes,
        };
        if !modes.contains(&self.mode()) {
            let names: Vec<&str> = modes.iter().map(|mode| mode.name()).collect();
            return Some(format!("needs --records {}", names.join(" or ")));
        }
        let framing = case.framing.filter(|framing| framing.name() != self.framing.name());
        if let Some(framing) = framing {
            return Some(format!("needs --framing {}", framing.name()));
        }
        if case.listener != self.listener {
            return Some(format!("needs --listener {}", case.listener.name()));
        }
        let absent = case.needs.iter().find(|feature| self.absent.contains(feature));
        if let Some(feature) = absent {
            return Some(format!("{} was declared absent", feature.name()));
        }
        let missing = case.needs.iter().find(|feature| !self.keys.have(**feature));
        missing.map(|feature| match feature {
            Feature::TwoKeys => "the key file has no second key".to_owned(),
            Feature::ExpiredKey => "the key file has no key that has expired".to_owned(),
            Feature::Passphrase => "the key file has no key from a passphrase".to_owned(),
            Feature::RawKey => "the key file has no key for raw".to_owned(),
            _ => "the key file has no key for another dialect alone".to_owned(),
        })
    }
}
