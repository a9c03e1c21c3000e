//! The log: one line an event, never one for each that peers could make without end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{PipeReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::admin::{get, wait_until};
use super::home::Home;
use super::served::{Lines, ServerProcess, ask};

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=raw\n";

/// Offers a proof that is wrong, and waits until the server has hung up. Returns our address.
pub(crate) fn offend(server: &ServerProcess) -> String {
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
    server.signal("USR1");
    let ran = server.stop();
    let lines = ran.err.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for number in ["secs", "accepted", "open", "pid"] {
            assert!(line[number].is_null() || line[number].is_number(), "{line}");
        }
        assert!(line["draining"].is_null() || line["draining"].is_boolean(), "{line}");
        let time = line["ts"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        time.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        assert!(["debug", "info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(!line["msg"].as_str().unwrap().is_empty(), "{line}");
    }
    let with = |text: &str| {
        lines.iter().find(|line| line["msg"].as_str().unwrap().contains(text)).unwrap()
    };
    assert_eq!(with("authenticated")["key"], "default");
    assert!(with("authenticated")["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(with("authenticated")["conn"], with("closed: finished")["conn"], "one connection");
    assert_eq!(with("refused: wrong-proof")["level"], "warn");
    assert_eq!(with("refused: wrong-proof")["peer"], offender);
    assert_ne!(with("refused: wrong-proof")["conn"], with("authenticated")["conn"]);
    assert!(with("authenticated")["secs"].is_f64() && with("closed: finished")["secs"].is_f64());
    assert_eq!(with("status of a listener")["accepted"], 2);
    assert_eq!(with("status of a listener")["worker"], Value::Null, "there is only one");
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
    let server = home.serve("serve --dialect raw --failure-decay 0s");
    for _ in 0..1000 {
        offend(&server);
    }
    // A line of a later second says how many had none.
    let (mut offenders, mut lines) = (1000, Vec::new());
    while !lines.iter().any(|line: &String| line.contains("similar messages suppressed")) {
        offend(&server);
        offenders += 1;
        lines.extend(server.err.ready().filter(|line| line.contains("refused: ")));
        assert!(offenders < 50_000, "nothing was suppressed: {lines:#?}");
    }
    let counted = |line: &String| {
        let (before, _) = line.split_once(" similar messages suppressed")?;
        before.rsplit('(').next()?.parse::<usize>().ok()
    };
    let suppressed: usize = lines.iter().filter_map(counted).sum();
    assert!(suppressed + lines.len() <= offenders, "{suppressed} and {} lines", lines.len());
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

/// Every way of going away that a prober has, and some that nobody should have.
fn go_away(server: &ServerProcess) {
    let reset = |peer: &TcpStream| {
        socket2::SockRef::from(peer).set_linger(Some(Duration::ZERO)).unwrap();
    };
    drop(server.dial());
    let peer = server.dial();
    reset(&peer);
    drop(peer);
    for said in [&b"<<these bytes are"[..], b"GET / HTTP/1.0\r\n\r\n", &[0xff; 64]] {
        for resets in [false, true] {
            let mut peer = server.dial();
            // It may have been refused already.
            let _ = peer.write_all(said);
            if resets {
                reset(&peer);
            } else {
                let _ = peer.shutdown(std::net::Shutdown::Write);
                // A greeting, perhaps, and then an end or a reset.
                let _ = peer.read_to_end(&mut Vec::new());
            }
        }
    }
}

/// How often each reason is counted as a refusal and as another end.
fn counted(admin: &str) -> BTreeMap<(String, String), u64> {
    let page = get(admin, "/metrics").body;
    let ends = page.lines().filter_map(|line| {
        let (labels, count) = line.strip_prefix("countersign_")?.rsplit_once(' ')?;
        let (kind, reason) = labels.split_once("_total{")?;
        let (_, reason) = reason.split_once("reason=\"")?;
        let key = (kind.to_owned(), reason.trim_end_matches("\"}").to_owned());
        Some((key, count.parse().unwrap()))
    });
    ends.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn the_log_calls_an_end_what_the_metrics_call_it_in_every_dialect() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    home.write("raw", KEY.replace("=raw", "=raw,hex,countersign/1"));
    home.write("python", KEY.replace("=raw", "=multiprocessing"));
    for options in [
        "--dialect countersign/1",
        "--dialect countersign/1+raw --keys raw",
        "--dialect raw --keys raw",
        "--dialect hex --keys raw",
        "--dialect multiprocessing --keys python",
        "--dialect open",
        "--dialect raw --keys raw --proxy-from 127.0.0.1",
        "--dialect raw --keys raw --failure-burst 0 --failure-limit 1",
        "--dialect open --deny 127.0.0.1",
    ] {
        let options = options.replace("--keys ", &format!("--keys {}/", home.path("").display()));
        let server = home.serve(&format!(
            "serve {options} --admin 127.0.0.1:0 --log-format json --log-level debug"
        ));
        let admin = server.admin();
        go_away(&server);
        wait_until(|| counted(&admin).values().sum::<u64>() == 8);
        let expected = counted(&admin);
        let ran = server.stop();
        let mut logged = BTreeMap::new();
        for line in ran.err.lines().filter(|line| line.starts_with('{')) {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["listener"] == "admin" {
                continue;
            }
            let Some((event, rest)) = line["msg"].as_str().unwrap().split_once(": ") else {
                continue;
            };
            let reason = rest.split([' ', ':', ';']).next().unwrap();
            let key = (event.to_owned(), reason.to_owned());
            if ["refused", "closed"].contains(&event) {
                let is_told = event == "refused" && reason != "throttled";
                assert_eq!(line["level"], if is_told { "warn" } else { "debug" }, "{line}");
                *logged.entry(key).or_insert(0) += 1;
            }
        }
        assert_eq!(logged, expected, "{options}: {}", ran.err);
    }
}

/// A server whose stderr is a pipe, and the end that nobody reads.
fn unread_log(home: &Home) -> (ServerProcess, PipeReader) {
    let mut command = home.command("serve --dialect open --service echo --log-level debug");
    let (unread, writer) = std::io::pipe().unwrap();
    command.args(["--bind", "127.0.0.1:0"]).stderr(writer);
    (ServerProcess::started(command.spawn().unwrap(), 1), unread)
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
        log.next().filter(|line| line.contains("lines were dropped: stderr was blocked or full"))
    });
    let lost = later.next().unwrap();
    let number = lost.split(' ').rev().nth(8).and_then(|word| word.parse::<u32>().ok());
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

#[test]
fn a_proof_by_another_digest_is_told_with_what_it_may_be() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --dialect raw");
    let mut peer = server.dial();
    peer.read_exact(&mut [0; 32]).unwrap();
    peer.write_all(&[0xab; 16]).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    hung_up(&mut peer);
    let line = server.err.with("refused: other-digest");
    assert!(line.contains("its proof is as long as an HMAC-MD5"), "{line}");
}
