//! The options of the admin listener.

use clap::Args;

use crate::units;

/// Without the pages, the options are only there to say so.
const IS_ABSENT: bool = cfg!(not(feature = "admin"));

/// The options of the admin listener.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdminArgs {
    /// Serve monitoring pages over HTTP at HOST:PORT or unix:/PATH [default: off]
    ///
    /// /metrics is for Prometheus, /status for `countersign status`, /healthz and /readyz for
    /// supervisors. There is no authentication on this address.
    #[arg(long, value_name = "ADDR", hide = IS_ABSENT)]
    pub(crate) admin: Option<String>,
    /// Allow an --admin address that other machines can reach
    #[arg(long, hide = IS_ABSENT)]
    pub(crate) admin_exposed: bool,
    /// File mode of the --admin Unix socket
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = units::mode,
          hide = IS_ABSENT)]
    pub(crate) admin_unix_mode: u32,
}
