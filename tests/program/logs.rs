//! The log: one line an event, never one for each that peers could make without end.

use std::collections::{HashMap, HashSet};
use std::io::{PipeReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use super::home::Home;
use super::served::{Lines, Served, ask};

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=raw\n";

/// Offers a proof that is wrong, and waits until the server has hung up. Returns our address.
pub(crate) fn offend(server: &Served) -> String {
    let mut peer = server.dial();
    peer.read_exact(&mut [0; 32]).unwrap();
    // 32 bytes that no log may show.
    peer.write_all(b"<<these are the bytes of a peer>").unwrap();
    hung_up(&mut peer);
    peer.local_addr().unwrap().to_string()
}

fn hung_up(peer: &mut TcpStream) {
    // An end or a reset, either will do.
    assert!(matches!(peer.read(&mut [0; 8]), Ok(0) | Err(_)));
}

#[test]
fn lines_of_json_have_the_keys_that_tools_look_for() {
    let home = Home::with_keys(KEY);
    let server =
        home.serve("serve --dialect raw --service echo --log-format json --log-level debug");
    home.run(&format!("connect {} --dialect raw", server.address()), "a\n").printed("a\n");
    let offender = offend(&server);
    let ran = server.stop();
    let lines = ran.err.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let time = line["ts"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        time.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        assert!(["debug", "info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(!line["msg"].as_str().unwrap().is_empty(), "{line}");
    }
    let with = |text: &str| {
        lines.iter().find(|line| line["msg"].as_str().unwrap().contains(text)).unwrap()
    };
    assert_eq!(with("let in")["key"], "default");
    assert!(with("let in")["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(with("let in")["conn"], with("closed: finished")["conn"], "one connection");
    assert_eq!(with("refused: wrong-proof")["level"], "warn");
    assert_eq!(with("refused: wrong-proof")["peer"], offender);
    assert_ne!(with("refused: wrong-proof")["conn"], with("let in")["conn"]);
    assert_eq!(with("stopped; 2 connections, 1 messages")["level"], "info");
}

#[test]
fn a_refused_peer_gives_one_line() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --dialect raw");
    let offender = offend(&server);
    let ran = server.stop();
    let refused: Vec<&str> = ran.err.lines().filter(|line| line.contains("refused")).collect();
    let [line] = refused[..] else { panic!("{}", ran.err) };
    assert!(line.contains(" WARN  refused: wrong-proof peer="), "{line}");
    assert!(line.contains(&format!(" peer={offender} conn=")), "{line}");
}

#[test]
fn a_thousand_refused_peers_give_few_lines_and_a_count() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --dialect raw --failure-forgiven 0s");
    for _ in 0..1000 {
        offend(&server);
    }
    // A line of a later second says how many had none.
    let (mut offenders, mut lines) = (1000, Vec::new());
    while !lines.iter().any(|line: &String| line.contains("more like it before")) {
        offend(&server);
        offenders += 1;
        lines.extend(server.err.ready().filter(|line| line.contains("refused: ")));
        assert!(offenders < 50_000, "nothing was left out: {lines:#?}");
    }
    let counted = |line: &String| {
        let (_, rest) = line.split_once("(and ")?;
        rest.split(' ').next()?.parse::<usize>().ok()
    };
    let left_out: usize = lines.iter().filter_map(counted).sum();
    assert!(left_out + lines.len() <= offenders, "{left_out} and {} lines", lines.len());
    // Ten in a second of the server's, which may lie in two of the calendar's.
    let mut seconds = HashMap::new();
    for line in &lines {
        *seconds.entry(&line[.."2018-05-10T22:00:19".len()]).or_insert(0) += 1;
    }
    assert!(seconds.values().all(|&number| number <= 20), "{seconds:?}");
}

#[test]
fn what_peers_say_is_never_in_the_log() {
    let home = Home::with_keys(KEY);
    for service in ["timestamp", "echo", "discard"] {
        let options = format!("--service {service} --log-level debug --message-max 64");
        let server = home.serve(&format!("serve --dialect raw {options}"));
        offend(&server);
        let connect = format!("connect {} --dialect raw", server.address());
        let said = "these are the bytes of a peer\n";
        // What discards gives no reply to wait for.
        home.run(&format!("{connect} --timeout 200ms"), said);
        let long = said.trim_end().repeat(10);
        assert_ne!(home.run(&format!("{connect} --message-max 1k"), &long).code, Some(0));
        let ran = server.stop();
        assert!(ran.err.contains("message-too-long"), "{}", ran.err);
        assert!(ran.err.contains("connections, 1 messages"), "{}", ran.err);
        assert!(!ran.err.contains("bytes of a peer"), "{}", ran.err);
    }
}

#[test]
fn the_level_says_which_lines_are_written() {
    let home = Home::with_keys(KEY);
    let levels = [("error", 0), ("warn", 1), ("info", 2), ("debug", 3)];
    for (level, written) in levels {
        let server = home.serve(&format!("serve --dialect raw --service echo --log-level {level}"));
        home.run(&format!("connect {} --dialect raw", server.address()), "a\n").printed("a\n");
        offend(&server);
        let ran = server.stop();
        let seen: HashSet<&str> = ["WARN", "INFO", "DEBUG"]
            .into_iter()
            .filter(|level| ran.err.contains(&format!("Z {level}")))
            .collect();
        assert_eq!(seen.len(), written, "{level}: {}", ran.err);
    }
}

/// A server whose stderr is a pipe, and the end that nobody reads.
fn unread_log(home: &Home) -> (Served, PipeReader) {
    let mut command = home.command("serve --dialect open --service echo --log-level debug");
    let (unread, writer) = std::io::pipe().unwrap();
    command.args(["--bind", "127.0.0.1:0"]).stderr(writer);
    (Served::started(command.spawn().unwrap(), 1), unread)
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_the_service() {
    let home = Home::new();
    let (server, unread) = unread_log(&home);
    // A pipe takes 64 KiB and the program keeps 1,024 lines: this is more than both.
    for _ in 0..1500 {
        assert_eq!(ask(&server.dial(), "a"), "a\n");
    }
    let peer = server.dial();
    assert_eq!(ask(&peer, "still served"), "still served\n");
    // Once it is read again, it says what it has lost.
    let log = Lines::of(unread);
    log.with("closed: finished");
    let mut later = (0..5000).filter_map(|_| {
        assert_eq!(ask(&server.dial(), "a"), "a\n");
        log.next().filter(|line| line.contains("lines were dropped: stderr was blocked"))
    });
    let lost = later.next().unwrap();
    let number = lost.split(' ').rev().nth(6).and_then(|word| word.parse::<u32>().ok());
    assert!(number.is_some_and(|number| number > 0), "{lost}");
    drop(peer);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    let home = Home::new();
    // Two lines each: first some still fit among those that wait, and then none.
    for connections in [600, 1500] {
        let (server, unread) = unread_log(&home);
        for _ in 0..connections {
            assert_eq!(ask(&server.dial(), "a"), "a\n");
        }
        assert_eq!(server.stop().code, Some(0));
        drop(unread);
    }
}
