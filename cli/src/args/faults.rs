//! The faults that a listener injects.

use clap::Args;
use countersign_serve::Faults;

use crate::units;

/// The faults that a listener injects.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Faults, for tests of clients")]
pub(crate) struct FaultArgs {
    /// Faults to inject, such as 'delay=5ms:10; reset:0.1': each verb with the percentage of
    /// messages or connections that it applies to [default: none]
    ///
    /// Replies: delay=150us:10,2ms:5 or delay=normal(5ms,1ms) or delay=pareto(1ms,1.5),
    /// drip=16B/20ms, slice=7..64B, stall=1s, truncate, corrupt, mute, rate=20k. Connections:
    /// reset, close-before, close-after, accept-delay=5ms, handshake-delay=5ms, refuse.
    #[arg(long, value_name = "SPEC", hide = cfg!(not(feature = "faults")))]
    pub(crate) fault: Option<Faults>,
}

impl FaultArgs {
    /// The faults of one of this many workers.
    pub(crate) fn faults(&self, workers: usize) -> Faults {
        self.fault.as_ref().map(|faults| faults.divided(workers)).unwrap_or_default()
    }

    /// The faults as text, if there are any.
    pub(crate) fn shown(&self) -> Option<String> {
        let faults = self.fault.as_ref().filter(|faults| !faults.is_none());
        faults.map(ToString::to_string)
    }
}

/// Reads the seed of faults.
pub(crate) fn fault_seed(text: &str) -> Result<u64, String> {
    units::count(0..=u64::MAX)(text)
}
