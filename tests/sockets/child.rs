//! One test of this program in a process of its own, under another tool's hand.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::thread;

use countersign::CloseReason;
use countersign::stats::Counters;

use crate::common::PATIENCE;
use crate::server_thread::ServerThread;

/// Says to a test that it is such a process.
const MARK: &str = "COUNTERSIGN_TEST_CHILD";

/// Whether this process was started by [`command`]. A test that isn't has nothing to do.
pub(crate) fn is_child() -> bool {
    env::var_os(MARK).is_some()
}

/// A command that runs one test of this program, behind the words of another one.
pub(crate) fn command(before: &[&str], test: &str) -> Command {
    let program = env::current_exe().unwrap();
    let mut command = match before {
        [] => Command::new(program),
        [tool, words @ ..] => {
            let mut command = Command::new(tool);
            command.args(words).arg(program);
            command
        }
    };
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(MARK, "1");
    command
}

/// Whether a tool is there. If it isn't, that is said aloud.
pub(crate) fn can_run(tool: &str, words: &[&str], test: &str) -> bool {
    let quiet = Command::new(tool).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = quiet.is_ok_and(|status| status.success());
    if !there {
        eprintln!("SKIP {test}: `{tool} {}` does not work here", words.join(" "));
    }
    there
}

/// Serves until the standard input ends; to be called by a test in a process of its own.
pub(crate) fn serve(server: ServerThread) {
    println!("\nlistening on {}", server.address);
    // The parent's end closes even if the parent is killed.
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    // If the server doesn't stop, the parent must not wait for ever.
    thread::spawn(|| {
        thread::park_timeout(PATIENCE * 2);
        process::exit(1);
    });
    let counters = server.stop();
    let Counters { accepted, messages, accept_pauses, accept_failures, .. } = counters;
    println!("\ncounted accepted {accepted}");
    println!("counted messages {messages}");
    println!("counted accept-pauses {accept_pauses}");
    println!("counted accept-failures {accept_failures}");
    for (why, count) in counters.closed_by_reason() {
        println!("counted {} {count}", why.name());
    }
}

/// A server in a process of its own.
pub(crate) struct ServingChild {
    pub(crate) address: SocketAddr,
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl ServingChild {
    pub(crate) fn start(before: &[String], test: &str) -> Self {
        let started = Self::try_start(before, test);
        started.unwrap_or_else(|| panic!("{before:?} has not begun to listen"))
    }

    /// None if it ends before it listens.
    pub(crate) fn try_start(before: &[String], test: &str) -> Option<Self> {
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let mut command = command(&before, test);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                process.wait().unwrap();
                return None;
            }
            if let Some(address) = line.trim().strip_prefix("listening on ") {
                break address.parse().unwrap();
            }
        };
        Some(Self { address, process, lines })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has the server stop, and says what it counted.
    pub(crate) fn stop(mut self) -> Counted {
        drop(self.process.stdin.take());
        let mut text = String::new();
        self.lines.read_to_string(&mut text).unwrap();
        assert!(self.process.wait().unwrap().success(), "the server has failed: {text}");
        let counted = text.lines().filter_map(|line| line.strip_prefix("counted "));
        let pairs = counted.filter_map(|line| line.split_once(' '));
        Counted(pairs.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect())
    }
}

impl Drop for ServingChild {
    fn drop(&mut self) {
        // Its input ends, and so does it. A tool between us would leave it behind if it was killed.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What a server in a process of its own has counted.
#[derive(Debug)]
pub(crate) struct Counted(HashMap<String, u64>);

impl Counted {
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0[name]
    }

    pub(crate) fn closed(&self, why: CloseReason) -> u64 {
        self.of(why.name())
    }
}
