//! The program's clock.

use std::time::SystemTime;

#[expect(clippy::disallowed_methods, reason = "this is the program's one clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
