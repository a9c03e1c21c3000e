//! `countersign ping`: the health check of every dialect.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use super::free_port::free_address;
use super::home::{Home, skip};
use super::served::Lines;

const KEY: &str = "garden  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n\
                   py  text:another-sixteen-bytes  dialects=multiprocessing\n";

/// Without the time, which is another one each time.
fn before_the_time(line: &str) -> &str {
    let (said, time) = line.rsplit_once(": ").unwrap();
    let millis: f64 = time.strip_suffix(" ms").unwrap().parse().unwrap();
    assert!(millis > 0.0);
    said
}

#[test]
fn a_server_of_every_dialect_is_seen_to_serve() {
    let home = Home::with_keys(KEY);
    let cases = [
        ("", "countersign/1, key garden"),
        ("--records off", "countersign/1, key garden"),
        ("--verify-only", "countersign/1, key garden"),
        ("--dialect raw", "raw, key garden"),
        ("--dialect hex --framing length", "hex, key garden"),
        ("--dialect multiprocessing", "multiprocessing, key py"),
        ("--dialect open", "open"),
        ("--dialect open --framing chunks --once", "open"),
    ];
    for (options, said) in cases {
        let server = home.serve(&format!("serve {options}"));
        let address = server.address();
        for more in ["", " --message hello"] {
            if options.contains("verify-only") && !more.is_empty() {
                continue;
            }
            let ran = home.run(&format!("ping {address} {options}{more}"), "");
            assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{options}{more}");
            assert_eq!(before_the_time(ran.out.trim_end()), format!("{address}: {said}"));
        }
        let ran = home.run(&format!("ping {address} {options} -c 3 -i 1ms"), "");
        assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 3), "{options}");
        home.run(&format!("ping {address} {options} --quiet"), "").printed("");
    }
}

#[test]
fn what_was_not_checked_is_said() {
    let home = Home::with_keys(KEY);
    for (dialect, said) in [
        ("raw, key garden", "proof sent, its result is unknown"),
        ("open", "connected, nothing else was checked"),
    ] {
        let options = format!("--dialect {} --verify-only", dialect.split(',').next().unwrap());
        let server = home.serve(&format!("serve {options}"));
        let ran = home.run(&format!("ping {} {options}", server.address()), "");
        assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{options}");
        let expected = format!("{}: {dialect}: {said}", server.address());
        assert_eq!(before_the_time(ran.out.trim_end()), expected);
    }
}

#[test]
fn a_service_that_says_nothing_is_served_to_those_who_ask_for_nothing() {
    let home = Home::with_keys(KEY);
    for dialect in ["raw", "open"] {
        let options = format!("--dialect {dialect}");
        let server = home.serve(&format!("serve {options} --service discard"));
        let ping = format!("ping {} {options} --timeout 300ms", server.address());
        home.run(&ping, "").failed(69, &["timed out"]);
        let ran = home.run(&format!("{ping} --no-message"), "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains(": connected, nothing else was checked: "), "{}", ran.out);
    }
    // In countersign/1 no service is asked for anything.
    let server = home.serve("serve --service discard");
    assert_eq!(home.run(&format!("ping {}", server.address()), "").code, Some(0));
    let ran = home.run("ping 127.0.0.1:1 --no-message --message a", "");
    ran.failed(2, &["cannot be used with"]);
}

#[test]
fn what_is_wrong_sets_the_code_and_is_said_once_for_each() {
    let home = Home::with_keys(KEY);
    let other =
        home.write("other", "garden text:quite-another-secret dialects=countersign/1,raw\n");
    let other = format!("--keys {}", other.display());
    let server = home.serve("serve");
    let address = server.address();
    home.run(&format!("ping {address} {other}"), "").failed(77, &["did not prove"]);
    home.run(&format!("ping {address} --key nobody"), "").failed(78, &["there is no key nobody"]);
    let raw = home.serve("serve --dialect raw");
    for more in ["", " --no-message"] {
        let line = format!("ping {} --dialect raw {other}{more}", raw.address());
        home.run(&line, "").failed(77, &["closed the connection after the client's proof"]);
    }
    let nowhere = free_address();
    let ran = home.run(&format!("ping {nowhere} -c 3 -i 1ms"), "");
    ran.failed(69, &["connection refused"]);
    assert_eq!((ran.err.lines().count(), &ran.out[..]), (3, ""), "{}", ran.err);
    let ran = home.run(&format!("ping {nowhere} -q"), "");
    assert_eq!((ran.code, &ran.out[..], &ran.err[..]), (Some(69), "", ""));
}

#[test]
fn one_that_hangs_up_at_once_does_not_serve() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for options in ["", " --no-message"] {
        let ran = home.run(&format!("ping {address} --dialect open{options}"), "");
        // It depends on what arrives first: the end of the stream, or a reset for what was sent.
        assert!(matches!(ran.code, Some(69 | 77)), "{ran:?}");
        assert_eq!((&ran.out[..], ran.err.lines().count()), ("", 1), "{}", ran.err);
    }
}

#[test]
fn pinging_costs_a_server_no_refusal() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --log-level debug");
    assert_eq!(home.run(&format!("ping {} -c 5 -i 1ms", server.address()), "").code, Some(0));
    let ran = server.stop();
    assert!(!ran.err.contains("refused") && ran.err.contains("closed: finished"), "{}", ran.err);
}

/// A Listener of Python's that accepts one and keeps the connection until its stdin ends. Before
/// 3.12 it wants MD5.
const KEEPER: &str = "\
import sys
from multiprocessing.connection import Listener
listener = Listener(('127.0.0.1', 0), authkey=b'another-sixteen-bytes')
print(listener.address[1], 'sha256' if sys.version_info >= (3, 12) else 'md5', flush=True)
kept = listener.accept()
sys.stdin.read()
";

#[test]
fn a_listener_of_pythons_that_keeps_the_connection_is_seen_to_serve() {
    let home = Home::with_keys(KEY);
    let mut command = Command::new("python3");
    command.args(["-c", KEEPER]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return skip("there is no python3 here") };
    let lines = Lines::of(child.stdout.take().unwrap());
    let said = lines.next().unwrap();
    let (port, mac) = said.trim().split_once(' ').unwrap();
    let line = format!("ping 127.0.0.1:{port} --dialect multiprocessing --mac {mac}");
    let ran = home.run(&line, "");
    assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{}", ran.out);
    drop(child.stdin.take());
    child.wait().unwrap();
}
