//! `serve --fault`: what clients receive, what is counted, and how it changes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use countersign::clock;

use serde_json::Value;

use super::admin::{metric, wait_until};
use super::home::Home;
use super::served::ServerProcess;

/// A connection that echoes lines.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn of(server: &ServerProcess) -> Self {
        Self(BufReader::new(TcpStream::connect(server.address()).unwrap()))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line; an empty one at the end of the stream.
    fn next(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// What comes until the stream ends, or is reset.
    fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut rest = Vec::new();
        let is_reset = self.0.read_to_end(&mut rest).is_err();
        (rest, is_reset)
    }
}

fn echoing(home: &Home, options: &str) -> ServerProcess {
    home.serve(&format!("serve --dialect open --service echo --admin 127.0.0.1:0 {options}"))
}

fn status(home: &Home, admin: &str) -> Value {
    let ran = home.run(&format!("status {admin} --json"), "");
    serde_json::from_str(&ran.out).unwrap()
}

/// How often each fault was injected, at the listener of this place.
fn injected(home: &Home, admin: &str, place: usize) -> Value {
    status(home, admin)["listeners"][place]["faults"].clone()
}

/// The messages of all listeners.
fn messages(home: &Home, admin: &str) -> u64 {
    let report = status(home, admin);
    let listeners = report["listeners"].as_array().unwrap().iter();
    listeners.map(|listener| listener["messages"].as_u64().unwrap()).sum()
}

#[test]
fn each_fault_is_seen_by_clients_and_counted() {
    let home = Home::new();
    let cases = [
        ("delay=20ms", "delay", "hello, world\n", Some(20)),
        ("delay=normal(20ms,0s)", "delay", "hello, world\n", Some(20)),
        ("delay=pareto(20ms,9)", "delay", "hello, world\n", Some(20)),
        ("drip=4B/10ms", "drip", "hello, world\n", Some(30)),
        ("stall=20ms", "stall", "hello, world\n", Some(20)),
        ("slice=1..4B", "slice", "hello, world\n", None),
        ("rate=10", "rate", "hello, world\n", Some(100)),
        ("accept-delay=20ms", "accept-delay", "hello, world\n", Some(20)),
        ("handshake-delay=20ms", "handshake-delay", "hello, world\n", Some(20)),
        ("close-after", "close-after", "hello, world\n", None),
        ("close-before", "close-before", "", None),
        ("reset", "reset", "", None),
        ("mute", "mute", "", None),
        ("truncate", "truncate", "", None),
        ("refuse", "refuse", "", None),
    ];
    for (fault, verb, reply, least) in cases {
        let server = echoing(&home, &format!("--fault {fault}"));
        let admin = server.admin();
        let began = clock::monotonic();
        let mut lines = Lines::of(&server);
        if verb == "rate" {
            // The first has no place to wait for.
            lines.send("first\n");
            assert_eq!(lines.next(), "first\n");
        }
        if verb == "refuse" {
            assert_eq!(lines.rest().0, b"");
        } else {
            lines.send("hello, world\n");
        }
        if verb == "mute" {
            lines.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        }
        if reply.is_empty() {
            let (rest, is_reset) = lines.rest();
            assert_eq!(is_reset, verb == "reset", "{fault}");
            assert!(rest.len() < 13 && b"hello, world\n".starts_with(&rest), "{fault}");
        } else {
            assert_eq!(lines.next(), reply, "{fault}");
        }
        let least = Duration::from_millis(least.unwrap_or(0));
        assert!(began.elapsed() >= least, "{fault}: {:?}", began.elapsed());
        assert_eq!(injected(&home, &admin, 0), serde_json::json!({ verb: 1 }), "{fault}");
        let labels = format!("{{listener=\"{}\",verb=\"{verb}\"}}", server.address());
        let counted = metric(&admin, &format!("countersign_faults_total{labels}"));
        assert!((counted - 1.0).abs() < 0.1, "{fault}: {counted}");
        let shown = home.run(&format!("status {admin}"), "").out;
        assert!(shown.contains(&format!("  faults       1 {verb}\n")), "{shown}");
    }
}

#[test]
fn a_corrupt_reply_is_noticed_where_there_are_records() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    let server = home.serve("serve --service echo --fault corrupt");
    let ran = home.run(&format!("connect {}", server.address()), "hello\n");
    assert_eq!((ran.code, &ran.out[..]), (Some(76), ""), "{ran:?}");
    assert!(ran.err.contains("bad-record") || ran.err.contains("record"), "{}", ran.err);
    let line = format!("load {} -n 100 -c 5 --output json", server.address());
    let ran = home.run(&line, "");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["summary"]["total"].as_u64().or(Some(0)), Some(0), "{}", ran.out);
}

#[test]
fn a_reload_changes_the_faults_of_open_connections() {
    let home = Home::new();
    let listener = |fault: &str| {
        let address = "bind = \"127.0.0.1:0\"\ndialect = \"open\"\n";
        format!("{address}service = \"echo\"\nfault = \"{fault}\"\n")
    };
    let path = home.path("c.toml");
    home.write("c.toml", listener(""));
    let server = home.serve(&format!("serve --config {}", path.display()));
    let mut lines = Lines::of(&server);
    lines.send("one\n");
    assert_eq!(lines.next(), "one\n");
    home.write("c.toml", listener("close-after"));
    server.signal("HUP");
    server.err.with("injecting faults on purpose");
    server.err.with("INFO  reloaded");
    lines.send("two\nthree\n");
    assert_eq!([lines.next(), lines.next()], ["two\n", ""]);
    home.write("c.toml", listener("close-after:0"));
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    let mut lines = Lines::of(&server);
    lines.send("four\nfive\n");
    assert_eq!([lines.next(), lines.next()], ["four\n", "five\n"]);
    home.write("c.toml", format!("fault-seed = 8\n{}", listener("mute")));
    server.signal("HUP");
    server.err.with("fault-seed cannot be changed by a reload");
    home.write("c.toml", listener("mut"));
    server.signal("HUP");
    server.err.with("fault: invalid value 'mut': unknown fault \"mut\"; write one of delay, ");
}

#[test]
fn a_server_that_misbehaves_says_so() {
    let home = Home::new();
    let server = echoing(&home, "--fault delay=5ms:10;mute --name sick");
    let line = server.err.with("injecting faults on purpose");
    assert!(line.contains("WARN") && line.contains("listener=sick"), "{line}");
    assert!(line.contains("delay=5ms:10;mute"), "{line}");
    home.write("c.toml", "dialect = \"open\"\nfault = \"refuse:1\"\n");
    let ran = home.run(&format!("check-config {}", home.path("c.toml").display()), "");
    assert!(ran.out.contains("; injects faults: refuse:1\n"), "{}", ran.out);
    let ran = home.run("serve --fault delay=5", "");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("write a time like 150us, 5ms or 0.5s, not \"5\""), "{}", ran.err);
}

#[test]
fn services_for_measurements_do_as_they_say() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service size=5");
    let mut lines = Lines::of(&server);
    lines.send("a\nb\n");
    assert_eq!([lines.next(), lines.next()], ["xxxxx\n", "xxxxx\n"]);
    let server = home.serve("serve --dialect open --service sink");
    let (mut one, mut other) = (Lines::of(&server), Lines::of(&server));
    one.send("four\nfive!\n");
    other.send("1\n");
    for (lines, count) in [(&mut one, "9\n"), (&mut other, "1\n")] {
        lines.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(lines.rest().0, count.as_bytes());
    }
    let server = home.serve("serve --dialect open --service source=1m --fault mute");
    let mut lines = Lines::of(&server);
    lines.send("this is dropped\n");
    for _ in 0..100 {
        assert_eq!(lines.next(), format!("{}\n", "x".repeat(1000)));
    }
    let ran = home.run("serve --service size=0", "");
    assert!(ran.err.contains("write a size from 1 to 8m"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
    let ran = home.run("serve --service siz", "");
    assert!(ran.err.contains("size=N"), "{}", ran.err);
}

#[test]
fn what_has_begun_ends_as_it_was_to_on_every_worker_and_listener() {
    let home = Home::new();
    let socket = home.path("s");
    let write = |tcp: &str, unix: &str| {
        let process = "workers = 2\nadmin = \"127.0.0.1:0\"\n";
        let common = "dialect = \"open\"\nservice = \"echo\"\n";
        let tcp = format!("[[listener]]\nbind = \"127.0.0.1:0\"\n{common}fault = \"{tcp}\"\n");
        let unix = format!(
            "[[listener]]\nbind = \"unix:{}\"\n{common}fault = \"{unix}\"\n",
            socket.display()
        );
        home.write("c.toml", format!("{process}{tcp}{unix}"));
    };
    write("delay=300ms", "stall=300ms");
    let serve = format!("serve --config {}", home.path("c.toml").display());
    let server = ServerProcess::started(home.command(&serve).spawn().unwrap(), 2);
    let admin = server.admin();
    let mut clients: Vec<Lines> = (0..8).map(|_| Lines::of(&server)).collect();
    let mut unix = BufReader::new(UnixStream::connect(&socket).unwrap());
    unix.get_mut().write_all(b"stalled\n").unwrap();
    clients.iter_mut().for_each(|client| client.send("late\nnot late\n"));
    // Before it reloads, each worker has read what has come.
    wait_until(|| messages(&home, &admin) >= 9);
    write("", "reset");
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    let mut line = String::new();
    unix.read_line(&mut line).unwrap();
    assert_eq!(line, "stalled\n");
    for client in &mut clients {
        assert_eq!([client.next(), client.next()], ["late\n", "not late\n"]);
    }
    // A Unix socket can't be reset: it is closed.
    unix.get_mut().write_all(b"reset\n").unwrap();
    assert_eq!(unix.read_line(&mut line).unwrap(), 0);
    write("mute;delay=100ms", "");
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    clients.iter_mut().for_each(|client| client.send("muted\n"));
    wait_until(|| messages(&home, &admin) >= 26);
    let faults = injected(&home, &admin, 0);
    assert!(faults["mute"] == 8 && faults["delay"].as_u64() >= Some(16), "{faults}");
    assert_eq!(injected(&home, &admin, 1), serde_json::json!({ "reset": 1, "stall": 1 }));
    server.signal("TERM");
    // What is delayed when the server drains is nothing, which is sent too.
    assert!(clients.iter_mut().all(|client| client.next().is_empty()));
}
