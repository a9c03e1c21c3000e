//! What is wrong with a specification of faults.

use std::error::Error;
use std::fmt;

/// Why a text is not a specification of faults. It names the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultsError(pub(super) String);

impl fmt::Display for FaultsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for FaultsError {}
