//! A server that runs: where it listens, what it says, and how it ends.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use super::home::{Home, PATIENCE, Ran};

/// A server that runs until it is told to stop, or until the test is over.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) out: Lines,
    pub(crate) err: Lines,
    /// Where it listens, in the order of its `--bind`.
    pub(crate) addresses: Vec<String>,
}

impl Home {
    /// Starts a server, on a free port unless the line says where.
    #[track_caller]
    pub(crate) fn serve(&self, line: &str) -> ServerProcess {
        let mut command = self.command(line);
        if !line.to_ascii_lowercase().contains("bind") {
            command.arg("--bind").arg("127.0.0.1:0");
        }
        let child = command.spawn().unwrap();
        ServerProcess::started(child, line.matches("--bind").count().max(1))
    }
}

impl ServerProcess {
    /// Waits until the server has said where it listens, so many times.
    #[track_caller]
    pub(crate) fn started(mut child: Child, binds: usize) -> Self {
        let out = Lines::of(child.stdout.take().unwrap());
        let err = child.stderr.take().map_or_else(Lines::none, Lines::of);
        let mut served = Self { child, out, err, addresses: Vec::new() };
        for _ in 0..binds {
            let Some(line) = served.out.next() else {
                panic!("no server: {}", served.err.rest());
            };
            let address = line.strip_prefix("listening on ").unwrap();
            served.addresses.push(address.to_owned());
        }
        served
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// Where its admin listener is, which it says behind all that it listens on.
    #[track_caller]
    pub(crate) fn admin(&self) -> String {
        self.out.next().unwrap().strip_prefix("admin on ").unwrap().to_owned()
    }

    /// A plain connection to it, on which nothing is waited for without end.
    #[track_caller]
    pub(crate) fn dial(&self) -> TcpStream {
        dial(self.address())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// The memory that it has now, in KiB.
    #[track_caller]
    pub(crate) fn resident(&self) -> u64 {
        memory(self.child.id(), "VmRSS:")
    }

    /// The most memory that it ever had, in KiB.
    #[track_caller]
    pub(crate) fn peak(&self) -> u64 {
        memory(self.child.id(), "VmHWM:")
    }

    /// Waits until it ends by itself. The result has what it said since it was last asked.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        let (out, err) = (self.out.rest(), self.err.rest());
        Ran { code: self.child.wait().unwrap().code(), out, err }
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub(crate) fn stop(self) -> Ran {
        self.signal("TERM");
        self.end()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn signal(name: &str, pid: u32) {
    let line = format!("kill -{name} {pid}");
    assert!(Command::new("sh").arg("-c").arg(line).status().unwrap().success());
}

/// A figure of a process that the system keeps, in KiB.
#[track_caller]
pub(crate) fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[track_caller]
pub(crate) fn dial(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a line and reads the line that answers it.
#[track_caller]
pub(crate) fn ask(stream: &TcpStream, line: &str) -> String {
    let mut writer = stream;
    writer.write_all(format!("{line}\n").as_bytes()).unwrap();
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).unwrap();
    reply
}

/// The lines of a pipe, each as soon as it is there.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    fn none() -> Self {
        Self(channel().1)
    }

    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
                let line = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
                bytes.clear();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The next line; none after the last.
    #[track_caller]
    pub(crate) fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line came, and no end"),
        }
    }

    /// Those that are there already.
    pub(crate) fn ready(&self) -> impl Iterator<Item = String> {
        self.0.try_iter()
    }

    /// The next line that has this text; those before it are dropped.
    #[track_caller]
    pub(crate) fn with(&self, text: &str) -> String {
        let mut others = Vec::new();
        while let Some(line) = self.next() {
            if line.contains(text) {
                return line;
            }
            others.push(line);
        }
        panic!("no line has {text:?}: {others:#?}");
    }

    /// All until the end.
    #[track_caller]
    pub(crate) fn rest(&self) -> String {
        let mut rest = String::new();
        while let Some(line) = self.next() {
            rest.push_str(&line);
            rest.push('\n');
        }
        rest
    }
}
