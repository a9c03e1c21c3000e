//! The command of a client that is tested.

use std::io::{self, Read, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use countersign::clock;
use rustix::process::{Pid, Signal, kill_process_group};

/// A client that runs, with all that it prints.
pub(crate) struct ClientCommand {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<JoinHandle<String>>,
    errors: Option<JoinHandle<String>>,
    group: Option<Pid>,
}

/// How a client has ended.
#[derive(Debug)]
pub(crate) struct CommandEnd {
    /// None if it had to be killed.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl ClientCommand {
    /// Runs a command by `sh -c`. It finds the address and the key file in the environment, and as
    /// its last arguments unless it has a `$` in it.
    pub(crate) fn start(command: &str, address: SocketAddr, keys: &Path) -> io::Result<Self> {
        let address = address.to_string();
        let script = match command.contains('$') {
            true => command.to_owned(),
            false => format!("{command} \"$@\""),
        };
        let mut child = Command::new("sh")
            .args(["-c", &script, "sh", &address])
            .arg(keys)
            .env("COUNTERSIGN_ADDRESS", &address)
            .env("COUNTERSIGN_KEYS", keys)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            input: child.stdin.take(),
            output: child.stdout.take().map(gather),
            errors: child.stderr.take().map(gather),
            group: Pid::from_child(&child).into(),
            child,
        })
    }

    /// Gives it lines to send. Its input stays open.
    pub(crate) fn give(&mut self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if let Some(input) = &mut self.input {
            // A client that has ended by itself is judged by its exit.
            let _ = input.write_all(text.as_bytes());
        }
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, or kills it.
    pub(crate) fn end(mut self, timeout: Duration) -> CommandEnd {
        self.end_input();
        let status = self.wait(clock::after(timeout));
        // Whatever it has started holds its output open.
        self.kill();
        let _ = self.child.wait();
        let text = |thread: Option<JoinHandle<String>>| {
            thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
        };
        CommandEnd { status, output: text(self.output.take()), errors: text(self.errors.take()) }
    }

    fn wait(&mut self, until: Instant) -> Option<ExitStatus> {
        const PAUSE: Duration = Duration::from_millis(5);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if clock::monotonic() < until => std::thread::park_timeout(PAUSE),
                _ => return None,
            }
        }
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // It may be over already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for ClientCommand {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads all that a pipe gives.
fn gather(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error counts.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
