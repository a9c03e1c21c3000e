//! The program as a server in a process of its own, watched by a tool that counts.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign::load::{Load, Plan, Report};
use countersign::{Dialect, KeyRing, Protocol};

/// A folder for key files and what the tools write; removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let mut options = fs::OpenOptions::new();
        let keys = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = keys.open(path.join("keys")).unwrap();
        let line = "bench text:sixteen-bytes-or-more dialects=raw,hex\n";
        std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn protocol(&self, dialect: Dialect) -> Protocol {
        Protocol::new(dialect, KeyRing::from_file(self.file("keys")).unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's own folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What counts while a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Nothing.
    None,
    /// strace: system calls.
    Calls,
    /// valgrind's callgrind: instructions in user space.
    Instructions,
    /// valgrind's memcheck: allocations.
    Allocations,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::None => "true",
            Self::Calls => "strace",
            Self::Instructions | Self::Allocations => "valgrind",
        }
    }

    /// Whether this machine has it.
    pub(crate) fn is_there(self) -> bool {
        let mut command = Command::new(self.name());
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    fn command(self, log: &Path) -> Command {
        let program = env!("CARGO_BIN_EXE_countersign");
        let mut command = match self {
            Self::None => return Command::new(program),
            tool => Command::new(tool.name()),
        };
        match self {
            // Detached, so that the child we know is the server itself.
            Self::Calls => command.args(["-D", "-f", "-c", "-o"]).arg(log),
            Self::Instructions => command
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(format!("--log-file={}", log.display())),
            _ => command.arg(format!("--log-file={}", log.display())),
        };
        command.arg(program);
        command
    }

    /// The total in what the tool wrote.
    fn total(self, log: &str) -> Option<u64> {
        let number = |text: &str| text.replace(',', "").trim().parse::<u64>().ok();
        match self {
            Self::None => Some(0),
            Self::Calls => {
                log.lines().rev().find(|line| line.ends_with("total")).and_then(|line| {
                    // "100.00    0.123456           5     23456       123 total"
                    line.split_whitespace().nth(3).and_then(number)
                })
            }
            Self::Instructions => log
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
}

/// The program, serving.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
    pub(crate) took: Duration,
    tool: Tool,
    log: PathBuf,
}

impl Process {
    pub(crate) fn serve(scratch: &Scratch, dialect: Dialect, tool: Tool) -> Self {
        let log = scratch.file("log");
        let _ = fs::remove_file(&log);
        let began = now();
        let mut child = tool
            .command(&log)
            .args(["serve", "--bind", "127.0.0.1:0", "--max-connections", "16000"])
            .args(["--max-unauthenticated", "16000", "--dialect", dialect.name(), "--keys"])
            .arg(scratch.file("keys"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let took = now() - began;
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address, took, tool, log }
    }

    /// The bytes of memory that are resident, without those of files.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let rollup = fs::read_to_string(path).unwrap_or_default();
        let kib = |name: &str| {
            let line = rollup.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
        };
        kib("Rss:") * 1024
    }

    /// Stops it. Returns what the tool has counted.
    pub(crate) fn stop(mut self) -> u64 {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(stopped.success());
        assert!(self.child.wait().unwrap().success());
        // A detached tool ends after the server; it has written when there is a total.
        let deadline = now() + Duration::from_secs(10);
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(total) = self.tool.total(&log) {
                return total;
            }
            assert!(now() < deadline, "the tool has written no total:\n{log}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where the bench has failed; else it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has a server loaded. Every reply must come.
pub(crate) fn load(process: &Process, protocol: &Protocol, plan: Plan) -> Report {
    let load = Load::new(&process.address, protocol.clone(), plan).unwrap();
    let report = load.run(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(report.failed(), 0, "{report:?}");
    report
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
