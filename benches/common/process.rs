//! Servers in processes of their own.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use countersign::{ClientConfig, Dialect, KeyRing, KeyRingExt as _};
use countersign_load::{Disconnect, Load, Plan, Report};

/// A folder for key files and what the tools write; removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let scratch = Self(path);
        scratch.write_keys("keys", "countersign/1,raw,hex");
        scratch.write_keys("other-keys", "multiprocessing");
        scratch
    }

    fn write_keys(&self, name: &str, dialects: &str) {
        let mut options = fs::OpenOptions::new();
        let keys = options.write(true).create(true).truncate(true).mode(0o600);
        let line = format!("bench text:sixteen-bytes-or-more dialects={dialects}\n");
        keys.open(self.file(name)).unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// The file with the key for a dialect: one key can't be for all.
    pub(crate) fn keys(&self, dialect: Dialect) -> PathBuf {
        self.file(if dialect == Dialect::Multiprocessing { "other-keys" } else { "keys" })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn config(&self, dialect: Dialect) -> ClientConfig {
        let keys = KeyRing::from_file(self.keys(dialect)).unwrap();
        // Each run makes the same random choices.
        ClientConfig::builder(dialect).with_keys(keys).build().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's own folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server in a process of its own.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: String,
}

/// The first connections take what the start of the program has left free, which depends on how it
/// starts: they are not measured.
const FIRST: usize = 500;

impl Process {
    /// The program, serving; the command may be a tool that is given the program to run.
    pub(crate) fn serve(scratch: &Scratch, dialect: Dialect, command: Command) -> Self {
        Self::serve_with(scratch, dialect, command, &[])
    }

    /// The same with further options.
    pub(crate) fn serve_with(
        scratch: &Scratch,
        dialect: Dialect,
        mut command: Command,
        options: &[&str],
    ) -> Self {
        command
            .args(["serve", "--bind", "127.0.0.1:0", "--max-connections", "16000"])
            .args(["--max-unauthenticated", "16000", "--dialect", dialect.name(), "--keys"])
            .arg(scratch.keys(dialect))
            .args(options);
        Self::start(command)
    }

    /// A server that says where it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address }
    }

    /// The bytes of memory that are resident.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let rollup = fs::read_to_string(path).unwrap_or_default();
        let line = rollup.lines().find(|line| line.starts_with("Rss:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Resident bytes for each of so many connections that are held and say nothing.
    pub(crate) fn resident_each(&self, config: &ClientConfig, connections: usize) -> f64 {
        self.touch(config);
        let (mut before, mut held) = (0, 0);
        self.hold(config, FIRST, || {
            before = self.resident();
            self.hold(config, connections, || held = self.resident());
        });
        held.saturating_sub(before) as f64 / connections as f64
    }

    /// Has the loop's own buffers touched, by the first connections and messages.
    pub(crate) fn touch(&self, config: &ClientConfig) {
        load(self, config, Plan { depth: 64, count: Some(100_000), ..Plan::default() });
    }

    /// Holds so many connections that say nothing, until this was called.
    pub(crate) fn hold(
        &self,
        config: &ClientConfig,
        connections: usize,
        mut held: impl FnMut(),
    ) -> Report {
        let sources = (1..=4).map(|host| [127, 0, 0, host].into()).collect();
        let (idle, wanted) = (connections, connections as u64 + 1);
        // With an orderly end, the ports of one measurement would be missing in the next.
        let disconnect = Disconnect::Rst;
        let plan = Plan { connections: 1, idle, sources, disconnect, ..Plan::default() };
        let report = Load::new(&self.address, config.clone(), plan).unwrap().run(|report| {
            if report.connected < wanted {
                return ControlFlow::Continue(());
            }
            held();
            ControlFlow::Break(())
        });
        let report = report.unwrap();
        assert_eq!(report.connected, wanted, "{report:?}");
        report
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program itself.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
}

/// Has a server loaded. Every reply must come.
pub(crate) fn load(process: &Process, config: &ClientConfig, plan: Plan) -> Report {
    let load = Load::new(&process.address, config.clone(), plan).unwrap();
    let report = load.run(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(report.failed(), 0, "{report:?}");
    report
}
