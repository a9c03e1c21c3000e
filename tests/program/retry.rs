//! `connect --retry`: again and again while that may help, and no message twice.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::free_port::free_address;
use super::home::Home;
use super::served::ServerProcess;

const AGAIN: &str = "; retrying in ";

/// An address where nobody listens.
fn nowhere() -> String {
    free_address().to_string()
}

#[test]
fn a_server_that_starts_late_is_reached() {
    for options in ["", "--once", "--dialect raw", "--dialect open --framing length"] {
        let home =
            Home::with_keys("both  text:sixteen-bytes-and-more  dialects=countersign/1,raw\n");
        let address = nowhere();
        let mut client = home.talk(&format!("connect {address} --retry 50 {options}"));
        client.say("a");
        let line = client.err.with(AGAIN);
        assert!(line.contains("connection refused"), "{line}");
        client.err.with(AGAIN);
        let server = home.serve(&format!("serve --service echo --bind {address} {options}"));
        client.ask("b", "a");
        let ran = client.leave();
        assert_eq!((ran.code, &ran.out[..]), (Some(0), "b\n"), "{}", ran.err);
        drop(server);
    }
}

#[test]
fn a_server_that_was_restarted_is_connected_to_anew() {
    for (options, how) in [
        ("", "TERM"),
        ("", "KILL"),
        ("--dialect raw --framing length", "TERM"),
        ("--dialect open", "KILL"),
    ] {
        let home =
            Home::with_keys("both  text:sixteen-bytes-and-more  dialects=countersign/1,raw\n");
        let serve = format!("serve --service echo --drain-timeout 100ms {options} --bind");
        let address = free_address();
        let server = home.serve(&format!("{serve} {address}"));
        let mut client = home.talk(&format!("connect {address} --retry 50 {options}"));
        client.ask("a", "a");
        server.signal(how);
        drop(server.end());
        let server = home.serve(&format!("{serve} {address}"));
        client.ask("b", "b");
        let ran = client.leave();
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.err.contains("; reconnecting\n"), "{options} {how}: {}", ran.err);
        assert!(server.stop().err.contains("stopped; 1 connections, 1 messages"));
    }
}

/// A wire to a server, which is cut when a client says something after it was asked to.
struct Wire {
    address: String,
    cut: Arc<AtomicBool>,
    listener: TcpListener,
}

impl Wire {
    fn to(server: &ServerProcess) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cut = Arc::new(AtomicBool::new(false));
        let wire = Self { address, cut: Arc::clone(&cut), listener: listener.try_clone().unwrap() };
        let upstream = server.dial();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let (mut from, mut to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut to, mut bytes) = (&upstream, [0; 1024]);
            while let Ok(length @ 1..) = client.read(&mut bytes) {
                if cut.load(Ordering::Acquire) {
                    break;
                }
                to.write_all(&bytes[..length]).unwrap();
            }
            for end in [&client, &upstream] {
                // One that is closed already is as it should be.
                let _ = end.shutdown(Shutdown::Both);
            }
        });
        wire
    }
}

#[test]
fn a_message_that_may_have_been_received_is_not_sent_again() {
    for options in ["", "--records off", "--dialect open"] {
        let home = Home::new();
        let server = home.serve(&format!("serve --service echo {options}"));
        let wire = Wire::to(&server);
        let mut client = home.talk(&format!("connect {} --retry 50 {options}", wire.address));
        client.ask("a", "a");
        wire.cut.store(true, Ordering::Release);
        client.say("b");
        let ran = client.end();
        ran.failed(69, &["the message may have been received, so it is not sent again"]);
        assert_eq!(ran.out, "");
        wire.listener.set_nonblocking(true).unwrap();
        assert!(wire.listener.accept().is_err(), "{options}: it called again");
    }
}

#[test]
fn a_message_without_a_reply_in_time_is_not_sent_again() {
    let home = Home::new();
    let server = home.serve("serve --service discard");
    let line = format!("connect {} --retry 50 --timeout 500ms", server.address());
    let ran = home.run(&line, "a\nb\n");
    ran.failed(69, &["timed out", "so it is not sent again"]);
    assert!(server.stop().err.contains("stopped; 1 connections, 2 messages"), "{}", ran.err);
}

#[test]
fn what_has_to_do_with_the_key_is_not_tried_again() {
    let keys = "both  text:sixteen-bytes-and-more  dialects=countersign/1,raw\n";
    let home = Home::with_keys(keys);
    let wrong = home.write("wrong", keys.replace("sixteen", "another"));
    let cases = [
        ("", "", "did not prove"),
        ("--dialect raw", "", "after the client's proof"),
        ("", "--audience other", "did not prove"),
        ("--records off", "", "the server refuses"),
    ];
    for (options, ours, said) in cases {
        let server = home.serve(&format!("serve {options}"));
        let dialect = if options.contains("raw") { options } else { "" };
        let line = format!("connect {} {dialect} {ours} --retry 9", server.address());
        let line = match (options, ours) {
            ("--records off", _) | (_, "--audience other") => line,
            _ => format!("{line} --keys {}", wrong.display()),
        };
        let ran = home.run(&line, "a\n");
        ran.failed(77, &[said]);
        assert!(!ran.err.contains(AGAIN), "{}", ran.err);
        assert!(server.stop().err.contains("stopped; 1 connections"), "{line}");
    }
}

#[test]
fn it_is_tried_as_often_as_asked_and_then_it_fails() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    for (options, tries) in
        [("", 0), ("--retry 0", 0), ("--retry 3", 3), ("COUNTERSIGN_RETRY=2", 2)]
    {
        let address = nowhere();
        let line = match options.contains('=') {
            true => format!("{options} connect {address}"),
            false => format!("connect {address} {options}"),
        };
        let ran = home.run(&line, "a\n");
        ran.failed(69, &["connection refused; is the server running?\n"]);
        assert_eq!(ran.err.matches(AGAIN).count(), tries, "{options}: {}", ran.err);
    }
}

#[test]
fn a_server_that_says_nothing_or_is_busy_is_tried_again() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    // A nonce, and in the place of a hello that it is busy; then that it doesn't like the key.
    let refusal = |reason| [&[7; 32][..], &[5, 0, 0, 1, reason]].concat();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for spoken in [refusal(3), refusal(3), refusal(2)] {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&spoken).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // Whether the client hangs up by a reset is its own affair.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let ran = home.run(&format!("connect {address} --retry 9"), "a\n");
    ran.failed(77, &["it is busy or stopping; retrying in ", "it does not accept this key"]);
    assert_eq!(ran.err.matches(AGAIN).count(), 2, "{}", ran.err);
    server.join().unwrap();

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = format!("connect {} --retry 2 --timeout 50ms", silent.local_addr().unwrap());
    let ran = home.run(&line, "a\n");
    ran.failed(69, &["timed out"]);
    assert_eq!(ran.err.matches(AGAIN).count(), 2, "{}", ran.err);
}
