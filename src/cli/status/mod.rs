//! `countersign status`: what the admin listener of a server tells, in a terminal.

mod http;
mod render;

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::escape;
use super::exit::Failure;
use super::output::{stderr, stdout};
use super::signals::Claimed;
use super::{system, units};
use http::Response;
use render::render;

/// Show what a server does
///
/// It asks the admin listener, which `countersign serve --admin` opens. With --watch it asks again
/// and again, and shows what has happened in a second since.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct Status {
    /// The admin listener, as HOST:PORT or unix:/PATH
    address: String,
    /// Ask again and again, each time after so long [default: 1s]
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_WATCH", num_args = 0..=1,
          default_missing_value = "1s", value_parser = units::time(WATCH))]
    watch: Option<Duration>,
    /// The report as it is, for programs
    #[arg(long, env = "COUNTERSIGN_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TIMEOUT", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  countersign status 127.0.0.1:9529
  countersign status 127.0.0.1:9529 --watch
  countersign status unix:/run/garden-admin.sock --watch 5s
  countersign status 127.0.0.1:9529 --json";

/// More often than that nobody can read it, and the server would be busy with us.
const WATCH: RangeInclusive<Duration> = Duration::from_millis(10)..=units::TIME_MAX;

/// Clears a terminal, and begins at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

impl Status {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        let Some(pause) = self.watch else {
            self.show(&Response::ask(&self, &|| false)?, None);
            return Ok(());
        };
        let (signals, _) = signals.watch()?;
        let is_over = || signals.is_pending() || stdout().has_failed();
        let (mut before, mut is_reachable) = (None, true);
        while !is_over() {
            let next = system::monotonic() + pause;
            match Response::ask(&self, &is_over) {
                Ok(page) => {
                    self.show(&page, before.as_ref());
                    (before, is_reachable) = (Some(page), true);
                }
                Err(_) if is_over() => break,
                // The address was an admin listener's, so a server is being restarted there.
                Err(failure) if before.is_some() => {
                    if is_reachable {
                        stderr().line(format_args!("countersign: {failure}; asking again"));
                    }
                    is_reachable = false;
                }
                Err(failure) => return Err(failure),
            }
            signals.wait_until(next)?;
        }
        Ok(())
    }

    fn show(&self, page: &Response, before: Option<&Response>) {
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
