//! In the place of faults, in a program that is built without them.

use std::fmt;
use std::str::FromStr;

use countersign::ListenerId;

use crate::builtin::AnyService;

pub use AbsentFaults as Faults;
pub(crate) use AbsentFaulty as Faulty;

/// The service alone.
pub(crate) type AbsentFaulty<S> = S;

/// The faults of a listener: none.
#[derive(Debug, Clone, Default)]
pub struct AbsentFaults;

impl AbsentFaults {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        true
    }

    /// Those of one of this many workers.
    #[must_use]
    pub fn divided(&self, _workers: usize) -> Self {
        Self
    }
}

impl FromStr for AbsentFaults {
    type Err = &'static str;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Err("this program was built without faults, which are its feature `faults`")
    }
}

impl fmt::Display for AbsentFaults {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// The services of the listeners.
#[must_use]
pub fn with_faults(service: AnyService, _: Vec<Faults>, _: (u64, usize)) -> AnyService {
    service
}

/// Replaces nothing.
pub fn replace_faults(_: &mut AnyService, _: ListenerId, _: Faults) {}
