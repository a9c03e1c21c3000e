//! A home directory for each test, and the program run in it.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

pub(crate) use crate::progress::PATIENCE;
use crate::progress::Progress;
pub(crate) use crate::skip::skip;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

/// A directory that is the user's home, removed in the end.
pub(crate) struct Home {
    path: PathBuf,
    /// The program runs where this is the system's file of names.
    hosts: Option<PathBuf>,
}

static HOMES: AtomicU32 = AtomicU32::new(0);

impl Home {
    pub(crate) fn new() -> Self {
        let number = HOMES.fetch_add(1, Ordering::Relaxed);
        let name = format!("countersign-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self { path, hosts: None }
    }

    /// The same, where the system knows these names alone. None, if that can't be had here.
    pub(crate) fn knowing(mut self, names: &str) -> Option<Self> {
        self.hosts = Some(self.write("hosts", names));
        // Others than the owner may have to read it.
        fs::set_permissions(self.path("hosts"), fs::Permissions::from_mode(0o644)).unwrap();
        let tried = self.command("--version").output();
        tried.is_ok_and(|tried| tried.status.success()).then_some(self)
    }

    /// One whose ring has these lines.
    pub(crate) fn with_keys(lines: &str) -> Self {
        let home = Self::new();
        fs::create_dir_all(home.ring().parent().unwrap()).unwrap();
        home.write(".config/countersign/keys", lines);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the ring is when nobody says anything else.
    pub(crate) fn ring(&self) -> PathBuf {
        self.path(".config/countersign/keys")
    }

    pub(crate) fn ring_text(&self) -> String {
        fs::read_to_string(self.ring()).unwrap()
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.unwrap().write_all(text.as_ref()).unwrap();
        path
    }

    /// A command as a shell would read it: `NAME=value … verb option …`, without quotes.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace().peekable();
        let mut command = match &self.hosts {
            None => Command::new(PROGRAM),
            Some(hosts) => {
                let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
                let mut command = Command::new("unshare");
                command.args(["-m", "sh", "-c", script]).arg(hosts).arg(PROGRAM);
                command
            }
        };
        self.prepare(&mut command);
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            command.env(name, value);
            words.next();
        }
        command.args(words);
        command
    }

    /// Gives a command this home, and nothing of the environment but the path, and what
    /// `ci/sanitizers` and `ci/coverage` set.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let kept = ["PATH", "ASAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE"];
        let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept);
        command.env("HOME", &self.path).env("XDG_CONFIG_HOME", self.path(".config"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, line: &str, input: impl AsRef<[u8]>) -> Ran {
        finish(self.command(line).spawn().unwrap(), input.as_ref())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What is left of a test that failed harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// It failed with this code, said all of this, and did not panic.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for text in said {
            assert!(self.err.contains(text), "{text:?} is missing: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert!(!self.err.contains("os error"), "a number helps nobody: {}", self.err);
    }

    /// It succeeded and printed exactly this.
    #[track_caller]
    pub(crate) fn printed(&self, out: &str) {
        assert_eq!((self.code, &self.out[..]), (Some(0), out), "{}", self.err);
    }
}

/// Gives a child its input and waits for its end, for as long as it is at work.
#[track_caller]
pub(crate) fn finish(mut child: Child, input: &[u8]) -> Ran {
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // A child that ends early doesn't read it all.
    thread::spawn(move || stdin.write_all(&input));
    let pipes = [collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap())];
    let mut progress = Progress::since(work(&child));
    let [out, err] = pipes.map(|pipe| {
        loop {
            match pipe.recv_timeout(Duration::from_secs(1)) {
                Ok(text) => return text,
                Err(_) if progress.continues(work(&child)) => {}
                Err(_) => {
                    child.kill().unwrap();
                    panic!("the program does nothing, and does not end");
                }
            }
        }
    });
    Ran { code: child.wait().unwrap().code(), out, err }
}

/// The processor time that a child has used, in tenths of a second; 0 where there is no `/proc`.
fn work(child: &Child) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    // The name in front may have spaces; user and system time are the 12th and 13th behind it.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    ticks.sum::<u64>() / 10
}

fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        // Nobody listens after the deadline.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

pub(crate) fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A process that is killed when the test is over, however that ends.
pub(crate) struct KillOnDrop(pub(crate) Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
