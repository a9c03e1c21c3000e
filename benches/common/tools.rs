//! Tools that count what a server does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use countersign::Dialect;

use crate::process::{Process, Scratch, program};
use crate::progress::Progress;

/// What counts while a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// strace: system calls.
    Calls,
    /// valgrind's callgrind: instructions in user space.
    Instructions,
    /// The same, of those within the compressions of SHA-256 alone.
    Hashing,
    /// valgrind's memcheck: allocations.
    Allocations,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Calls => "strace",
            Self::Instructions | Self::Hashing | Self::Allocations => "valgrind",
        }
    }

    /// Whether this machine has it.
    pub(crate) fn is_there(self) -> bool {
        let mut command = Command::new(self.name());
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Runs the program under the tool.
    fn command(self, log: &Path) -> Command {
        let mut command = Command::new(self.name());
        match self {
            // Detached, so that the child we know is the server itself.
            Self::Calls => command.args(["-D", "-f", "-c", "-o"]).arg(log),
            Self::Instructions | Self::Hashing => command
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .args((self == Self::Hashing).then_some("--toggle-collect=*compress256*"))
                .arg(format!("--log-file={}", log.display())),
            Self::Allocations => command.arg(format!("--log-file={}", log.display())),
        };
        command.arg(program().get_program());
        command
    }

    /// The total in what the tool wrote.
    fn total(self, log: &str) -> Option<u64> {
        let number = |text: &str| text.replace(',', "").trim().parse::<u64>().ok();
        match self {
            Self::Calls => {
                log.lines().rev().find(|line| line.ends_with("total")).and_then(|line| {
                    // "100.00    0.123456           5     23456       123 total"
                    line.split_whitespace().nth(3).and_then(number)
                })
            }
            Self::Instructions | Self::Hashing => log
                .lines()
                .find_map(|line| line.split_once("Collected :"))
                .and_then(|(_, n)| number(n)),
            Self::Allocations => log
                .lines()
                .find_map(|line| line.split_once("total heap usage: "))
                .and_then(|(_, rest)| rest.split_once(" allocs"))
                .and_then(|(n, _)| number(n)),
        }
    }

    /// What the tool counts while a server serves a load.
    pub(crate) fn counts(
        self,
        scratch: &Scratch,
        dialect: Dialect,
        work: impl FnOnce(&Process),
    ) -> u64 {
        let log = scratch.file("log");
        let _ = fs::remove_file(&log);
        let mut process = Process::serve(scratch, dialect, self.command(&log));
        work(&process);
        let stopped = Command::new("kill").arg(process.child.id().to_string()).status().unwrap();
        assert!(stopped.success() && process.child.wait().unwrap().success());
        self.await_total(&log)
    }

    /// What the tool counts while one client of `countersign load` has so many messages answered,
    /// with so many in flight. The server is faster than the tool, so each turn of the client has
    /// the same work.
    pub(crate) fn counts_of_load(self, scratch: &Scratch, depth: u64, count: u64) -> u64 {
        let log = scratch.file("log");
        let _ = fs::remove_file(&log);
        let (open, echo) = (Dialect::Open, ["--service", "echo"]);
        let server = Process::serve_with(scratch, open, program(), &echo);
        let mut command = self.command(&log);
        command.args(["load", &server.address, "--dialect", open.name(), "-c", "1", "-P"]);
        command.args([&depth.to_string(), "-n", &count.to_string(), "--output", "quiet"]);
        assert!(command.status().unwrap().success());
        self.await_total(&log)
    }

    /// A detached tool ends after the server; it has written when there is a total.
    fn await_total(self, log: &Path) -> u64 {
        let mut progress = Progress::since(0);
        loop {
            let written = fs::read_to_string(log).unwrap_or_default();
            if let Some(total) = self.total(&written) {
                return total;
            }
            assert!(progress.continues(written.len()), "the tool has written no total:\n{written}");
            std::thread::yield_now();
        }
    }
}
