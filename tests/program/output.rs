//! stdout and stderr that are closed, full or don't block: no verdict changes, and nothing is lost.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use super::home::{Home, Ran, finish};
use super::served::Lines;
use crate::progress::Progress;

/// A stream that takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Closed,
    Full,
}

impl Broken {
    fn stream(self) -> Stdio {
        match self {
            Self::Closed => std::io::pipe().unwrap().1.into(),
            Self::Full => File::options().write(true).open("/dev/full").unwrap().into(),
        }
    }
}

/// Runs a command to its end, with these as stdout and stderr where they aren't the test's.
fn run(mut command: Command, out: Option<Broken>, err: Option<Broken>) -> Ran {
    if let Some(broken) = out {
        command.stdout(broken.stream());
    }
    if let Some(broken) = err {
        command.stderr(broken.stream());
    }
    let mut child = command.spawn().unwrap();
    drop(command);
    child.stdin.take().unwrap().write_all(b"a\n").unwrap_or_default();
    let out = child.stdout.take().map_or_else(String::new, |out| Lines::of(out).rest());
    let err = child.stderr.take().map_or_else(String::new, |err| Lines::of(err).rest());
    Ran { code: child.wait().unwrap().code(), out, err }
}

#[test]
fn a_failure_keeps_its_code_whatever_becomes_of_the_output() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    let bad = home.write("bad", "default\n");
    let wrong = home.write("wrong.toml", "dialekt = 'raw'\n");
    let bad_keys = format!("--keys {}", bad.display());
    let cases = [
        ("--nonsense".to_owned(), 2),
        ("serve --mac sha1".to_owned(), 2),
        (format!("serve --bind 127.0.0.1:0 {bad_keys}"), 65),
        (format!("proxy --role client --listen 127.0.0.1:0 --target 127.0.0.1:1 {bad_keys}"), 65),
        (format!("check-config {}", wrong.display()), 78),
        ("keygen default".to_owned(), 65),
        (format!("keys list {bad_keys}"), 65),
        (format!("keys check {bad_keys}"), 65),
        ("keys rotate another".to_owned(), 78),
        ("ping 127.0.0.1:1".to_owned(), 69),
        ("ping 127.0.0.1:1 -c 2 -i 10ms".to_owned(), 69),
        ("status 127.0.0.1:1".to_owned(), 69),
        ("connect 127.0.0.1:1".to_owned(), 69),
        ("connect 127.0.0.1:1 --retry 1".to_owned(), 69),
        ("connect 127.0.0.1:1 --once --retry 1".to_owned(), 69),
        ("load 127.0.0.1:1 -c 1 -n 1".to_owned(), 69),
    ];
    for (line, code) in &cases {
        for broken in [Broken::Closed, Broken::Full].map(Some) {
            for (out, err) in [(broken, None), (None, broken), (broken, broken)] {
                let ran = run(home.command(line), out, err);
                assert_eq!(ran.code, Some(*code), "{line}, {out:?}, {err:?}: {ran:?}");
            }
        }
    }
}

/// Commands that succeed and print something to stdout.
fn successes(home: &Home, server: &str, admin: &str) -> Vec<String> {
    home.write("garden.toml", "service = 'echo'\nbind = ['127.0.0.1:0']\n");
    let config = home.path("garden.toml");
    vec![
        "--help".to_owned(),
        "-h".to_owned(),
        "--version".to_owned(),
        "serve --help".to_owned(),
        "keys rotate --help".to_owned(),
        "keys list".to_owned(),
        "keys list --json".to_owned(),
        "keys check".to_owned(),
        format!("check-config {}", config.display()),
        format!("ping {server}"),
        format!("ping {server} -c 2 -i 1ms"),
        format!("status {admin}"),
        format!("status {admin} --json"),
        format!("load {server} -c 1 -n 3"),
        format!("load {server} -c 1 -n 3 --output json"),
        format!("connect {server}"),
        format!("connect {server} --once"),
    ]
}

#[test]
fn a_success_whose_result_is_lost_is_none_but_a_reader_may_go() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    let server = home.serve("serve --service echo --admin 127.0.0.1:0");
    let mut lines = successes(&home, server.address(), &server.admin());
    // Each makes a key that there wasn't.
    lines.extend((0..4).map(|_| "keygen".to_owned()));
    for (number, line) in lines.iter().enumerate() {
        let line = match &line[..] {
            "keygen" => format!("keygen key-{number}"),
            other => other.to_owned(),
        };
        if !line.starts_with("keygen") || number % 2 == 0 {
            let ran = run(home.command(&line), Some(Broken::Full), None);
            ran.failed(74, &["countersign: cannot write to stdout: no space left on device\n"]);
        }
        if !line.starts_with("keygen") || number % 2 == 1 {
            let ran = run(home.command(&line), Some(Broken::Closed), None);
            assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
            assert!(!ran.err.contains("countersign: "), "{line}: {ran:?}");
        }
    }
    for line in successes(&home, server.address(), "") {
        for broken in [Broken::Closed, Broken::Full] {
            if !line.starts_with("status") {
                let ran = run(home.command(&line), None, Some(broken));
                assert_eq!(ran.code, Some(0), "{line}, {broken:?}: {ran:?}");
                assert_ne!(ran.out, "", "{line}");
            }
        }
    }
}

/// A stream that doesn't block and has no room, and the end that is read later.
fn stuffed() -> (UnixStream, OwnedFd) {
    let (reader, writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while (&writer).write(&[b'x'; 4096]).is_ok() {}
    (reader, writer.into())
}

/// Reads all, without what it was stuffed with.
fn unstuffed(mut reader: UnixStream) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text.trim_start_matches('x').to_owned()
}

/// Starts a command whose stdout and stderr don't block, and reads them when it may well be stuck.
fn run_stuffed(mut command: Command) -> Ran {
    let ((out, out_end), (err, err_end)) = (stuffed(), stuffed());
    command.stdout(out_end).stderr(err_end);
    let mut child: Child = command.spawn().unwrap();
    drop(command);
    child.stdin.take().unwrap().write_all(b"a\n").unwrap_or_default();
    let err = std::thread::spawn(move || unstuffed(err));
    let (out, err) = (unstuffed(out), err.join().unwrap());
    Ran { code: child.wait().unwrap().code(), out, err }
}

#[test]
fn a_stream_that_does_not_block_is_waited_for() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    let server = home.serve("serve --service echo --admin 127.0.0.1:0");
    let all = |text: &str| text.lines().count();
    for line in successes(&home, server.address(), &server.admin()) {
        let expected = finish(home.command(&line).spawn().unwrap(), b"a\n");
        let ran = run_stuffed(home.command(&line));
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
        // Times and counts differ.
        if !["load", "status"].iter().any(|verb| line.starts_with(verb)) {
            assert_eq!(all(&ran.out), all(&expected.out), "{line}: {ran:?}");
        }
        assert!(ran.out.ends_with('\n'), "{line}: {ran:?}");
    }
    let ran = run_stuffed(home.command("ping 127.0.0.1:1"));
    ran.failed(69, &["connection refused"]);
}

fn terminate(child: &Child) {
    let ended = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(ended.success());
}

#[test]
fn a_server_serves_whatever_becomes_of_its_output() {
    let home = Home::new();
    let socket = home.path("socket");
    let address = format!("unix:{}", socket.display());
    for (broken, code) in [(Broken::Closed, 0), (Broken::Full, 74)] {
        let mut command = home.command(&format!("serve --service echo --bind {address}"));
        command.stdout(broken.stream()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(command);
        let err = Lines::of(child.stderr.take().unwrap());
        err.with("  connect  ");
        home.run(&format!("connect {address} --retry 50"), "a\n").printed("a\n");
        terminate(&child);
        let said = err.rest();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{said}");
        assert_eq!(said.contains("cannot write to stdout"), code == 74, "{said}");
    }
}

/// A server whose stdout and stderr take nothing at first, and as many connections as it then had.
fn unread(home: &Home, options: &str, connections: usize) -> (Child, UnixStream, UnixStream) {
    let socket = home.path("socket");
    let ((out, out_end), (err, err_end)) = (stuffed(), stuffed());
    let bind = format!("--bind unix:{}", socket.display());
    let mut command = home.command(&format!("serve --dialect open {options} {bind}"));
    let child = command.stdout(out_end).stderr(err_end).spawn().unwrap();
    drop(command);
    let mut start = Progress::since(());
    while UnixStream::connect(&socket).is_err() {
        assert!(start.continues(()), "it doesn't listen");
        std::thread::yield_now();
    }
    for _ in 0..connections {
        let mut peer = UnixStream::connect(&socket).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
    (child, out, err)
}

/// How many lines were dropped, as the log says.
fn dropped(log: &str, what: &str) -> usize {
    let told = log.lines().filter(|line| line.contains(what));
    told.map(|line| line.split(' ').rev().find_map(|word| word.parse::<usize>().ok()).unwrap())
        .sum()
}

#[test]
fn lines_that_nobody_reads_are_dropped_whole_and_counted() {
    let home = Home::new();
    // One more to see that it listens.
    let connections = 2000;
    let options = "--verify-only --log-level debug";
    let (mut child, out, err) = unread(&home, options, connections);
    let connections = connections + 1;
    let err = std::thread::spawn(move || unstuffed(err));
    let out = std::thread::spawn(move || unstuffed(out));
    // What is read now makes room for the end.
    terminate(&child);
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
    let verdicts = out.lines().filter(|line| line.starts_with("verified ")).count();
    assert_eq!(out.lines().count(), verdicts + 1, "one more says where it listens");
    let lost = dropped(&err, "lines for stdout were dropped");
    assert!(lost > 0 && verdicts + lost == connections, "{verdicts} and {lost}");
    // Each connection authenticates and is closed.
    let [authenticated, closed] = [" authenticated ", " closed: "]
        .map(|what| err.lines().filter(|line| line.contains(what)).count());
    let lost = dropped(&err, "stderr was blocked or full");
    assert!(lost > 0, "{err}");
    // Among the lost may be a few that tell of the end.
    let all = 2 * connections..2 * connections + 5;
    assert!(all.contains(&(authenticated + closed + lost)), "{authenticated}, {closed}, {lost}");
    let is_whole = |line: &&str| line.starts_with("20") && line.contains('Z');
    let broken: Vec<_> = err.lines().skip_while(|line| !is_whole(line)).collect();
    let broken: Vec<_> = broken.iter().filter(|line| !is_whole(line)).collect();
    assert!(broken.is_empty(), "{broken:?}");
}
