//! How a test says that it can't be run here.

use std::io::Write as _;
use std::thread;

/// Says that a test can't be run here, and why.
///
/// Written to the descriptor itself: what a macro prints is kept from sight.
pub(crate) fn skip(reason: &str) {
    let name = thread::current().name().unwrap_or("?").to_owned();
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIP  {name}: {reason}").unwrap();
}
