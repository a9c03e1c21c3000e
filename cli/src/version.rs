//! The version of this program: for `--version`, the log and the admin pages.

/// The version of the package.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first twelve digits of the commit, or what a packager says, or `unknown`.
pub(crate) const COMMIT: &str = env!("COUNTERSIGN_BUILD_COMMIT");

/// What `--version` prints behind the program's name; `-V` prints the version alone.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("COUNTERSIGN_BUILD_COMMIT"),
    "\ntarget ",
    env!("COUNTERSIGN_BUILD_TARGET"),
);
