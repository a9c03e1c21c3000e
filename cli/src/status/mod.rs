//! `countersign status`: shows the report of a server's admin listener in a terminal.

mod http;
mod render;

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;

use super::escape;
use super::exit::Failure;
use super::output::{stderr, stdout};
use super::signals::Claimed;
use super::{system, units};
use http::StatusPage;
use render::render;

/// Show the status of a server
///
/// Reads the status page of the admin listener, which `countersign serve --admin` opens. With
/// --watch it refreshes the report and shows rates.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// The admin listener, as HOST:PORT or unix:/PATH
    address: String,
    /// Refresh every TIME [default: 1s]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1s",
          value_parser = interval)]
    watch: Option<Duration>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Time limit for the answer
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  countersign status 127.0.0.1:9529
  countersign status 127.0.0.1:9529 --watch
  countersign status unix:/run/garden-admin.sock --watch 5s
  countersign status 127.0.0.1:9529 --json";

/// More often than this is unreadable, and a load for the server.
const WATCH: RangeInclusive<Duration> = Duration::from_millis(10)..=units::TIME_MAX;

/// Clears the terminal and moves the cursor to its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Reads how often to refresh: what follows `--watch` is taken for that.
fn interval(text: &str) -> Result<Duration, String> {
    units::time(WATCH)(text).map_err(|remedy| match text.contains(':') {
        true => "write the address before --watch, or --watch=1s".to_owned(),
        false => remedy,
    })
}

impl StatusArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        let Some(pause) = self.watch else {
            self.show(&StatusPage::ask(&self.address, self.timeout, &|| false)?, None);
            return Ok(());
        };
        let (signals, _) = signals.watch()?;
        let is_over = || signals.is_pending() || stdout().has_failed();
        let (mut before, mut is_reachable) = (None, true);
        while !is_over() {
            let next = system::monotonic() + pause;
            match StatusPage::ask(&self.address, self.timeout, &is_over) {
                Ok(page) => {
                    self.show(&page, before.as_ref());
                    (before, is_reachable) = (Some(page), true);
                }
                Err(_) if is_over() => break,
                // There was an admin listener before, so the server is being restarted.
                Err(failure) if before.is_some() => {
                    if is_reachable {
                        stderr().line(format_args!("countersign: {failure}; retrying"));
                    }
                    is_reachable = false;
                }
                Err(failure) => return Err(failure),
            }
            signals.wait_until(next)?;
        }
        Ok(())
    }

    fn show(&self, page: &StatusPage, before: Option<&StatusPage>) {
        let stdout = stdout();
        if self.json {
            return stdout.write(escape::inside_json(&page.text));
        }
        let before = before.map(|page| &page.report);
        let text = render(&self.address, &page.report, before, stdout.is_coloured());
        stdout.write(match self.watch {
            Some(_) if stdout.is_terminal() => format!("{CLEAR}{text}"),
            Some(_) => format!("{text}\n"),
            None => text,
        });
    }
}
