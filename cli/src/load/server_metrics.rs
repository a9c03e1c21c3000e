//! How busy the server is that is measured, from its metrics.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::Args;
use countersign_report::ServerLoad;

use crate::exit::{Failure, Kind};
use crate::{fetch, http, system};

/// How often the metrics are read.
const EVERY: Duration = Duration::from_secs(1);

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(super) struct ServerMetricsArgs {
    /// Show the server's processor time too, from the metrics at this address: HOST:PORT or
    /// unix:/PATH
    ///
    /// This is the address of `countersign serve --admin`, or of any server that has the metric
    /// process_cpu_seconds_total at /metrics. It is read once a second.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) server_metrics: Option<String>,
}

impl ServerMetricsArgs {
    /// Reads the metrics while a load runs.
    pub(super) fn watch<R>(
        &self,
        run: impl FnOnce() -> Result<R, Failure>,
    ) -> Result<(R, ServerLoad), Failure> {
        let mut load = ServerLoad::default();
        let Some(address) = self.server_metrics.as_deref() else { return Ok((run()?, load)) };
        // A wrong address has to show before.
        record(address, &mut load)?;
        let (is_over, rest) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let watch = move || {
                while rest.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                    // A server that is busy may answer late, or not at all.
                    let _ = record(address, &mut load);
                }
                let _ = record(address, &mut load);
                load
            };
            let watcher = thread::Builder::new().name("metrics".to_owned());
            let watcher = watcher.spawn_scoped(scope, watch)?;
            let result = run();
            drop(is_over);
            Ok((result?, watcher.join().unwrap_or_default()))
        })
    }
}

fn record(address: &str, load: &mut ServerLoad) -> Result<(), Failure> {
    let wrong = |why: String| Failure::new(Kind::Protocol, format!("{address}: {why}"));
    let page = fetch::get(address, "/metrics", TIMEOUT, &|| false)
        .map_err(|error| fetch::failure(address, &error))?;
    let page = String::from_utf8_lossy(http::body(&page).map_err(wrong)?).into_owned();
    let none = || wrong("no process_cpu_seconds_total among its metrics".to_owned());
    let used = ServerLoad::cpu_seconds(&page).ok_or_else(none)?;
    load.record(system::unix_time().as_secs_f64(), used);
    Ok(())
}
