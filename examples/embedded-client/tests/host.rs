//! The client as a program, against a real server.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use countersign::services::Echo;
use countersign::{Handle, KeyRing, KeyRingExt as _, Server};

/// A server on a thread, which returns each message.
struct Running {
    address: String,
    handle: Handle,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn with(keys: &Path) -> Self {
        let keys = KeyRing::from_file(keys).unwrap();
        let mut server = Server::bind("127.0.0.1:0", keys, Echo).unwrap();
        let (address, handle) = (server.addresses()[0].to_string(), server.handle());
        Self { address, handle, thread: thread::spawn(move || server.run()) }
    }

    fn end(self) {
        self.handle.stop().unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

/// A key file that only its owner can read.
fn key_file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    let mut file = fs::File::options();
    file.write(true).create_new(true).mode(0o600);
    file.open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

fn run(address: &str, keys: &Path, input: &[u8]) -> Output {
    let mut client = Command::new(env!("CARGO_BIN_EXE_embedded-client"));
    client.arg(address).arg(keys).stdin(Stdio::piped());
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = client.stdin.take().unwrap();
    let input = input.to_vec();
    // A client that has failed reads no more.
    let writing = thread::spawn(move || stdin.write_all(&input));
    let output = client.wait_with_output().unwrap();
    let _ = writing.join().unwrap();
    output
}

fn has_failed(output: &Output, why: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{errors}");
    assert!(errors.contains(why) && errors.lines().count() == 1, "{errors}");
}

#[test]
fn lines_are_sent_and_replies_printed() {
    let keys = key_file("lines.keys", "garden text:sixteen-bytes-or-more\n");
    let server = Running::with(&keys);
    let lines: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    for input in [&lines, "", "\n", "one\n\nthree\n"] {
        let output = run(&server.address, &keys, input.as_bytes());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), input);
    }
    server.end();
}

#[test]
fn a_failure_is_one_line_and_not_success() {
    let keys = key_file("own.keys", "garden text:sixteen-bytes-or-more\n");
    let others = key_file("others.keys", "garden text:another-secret-as-long\n");
    let server = Running::with(&keys);
    has_failed(&run(&server.address, &others, b"hello\n"), "the proof matches no key");
    has_failed(&run(&server.address, &keys, &[b'a'; 1 << 20]), "longer than the peer accepts");
    has_failed(&run(&server.address, Path::new("/nowhere"), b"hello\n"), "/nowhere");
    let address = server.address.clone();
    server.end();
    has_failed(&run(&address, &keys, b"hello\n"), "refused");
}
