//! The dialect `countersign/1`: who is served, who isn't, and what either end says of it.

use std::io::{Read as _, Write as _};
use std::process::Command;

use super::home::{Home, finish};

const KEYS: &str = "default  text:sixteen-bytes-and-more\n\
                    other  text:seventeen-bytes-or-more\n\
                    guest  text:eighteen-bytes-and-more  audience=pump\n\
                    old  text:another-sixteen-bytes  dialects=raw\n";

#[test]
fn whoever_starts_a_server_and_types_what_it_prints_is_served() {
    let home = Home::new();
    let server = home.serve("serve");
    let line = server.err.with("  connect  ");
    assert!(line.ends_with(&format!(" connect {}", server.address())), "no option: {line}");
    let mut shell = Command::new("sh");
    home.prepare(&mut shell);
    let shell = shell.arg("-c").arg(line.trim_start().strip_prefix("connect ").unwrap());
    let ran = finish(shell.spawn().unwrap(), b"hello\n");
    assert_eq!((ran.code, &ran.err[..]), (Some(0), ""));
    assert!(ran.out.starts_with('[') && ran.out.ends_with("] hello\n"), "{}", ran.out);
    for options in ["", "--reconnect", "-P 7 --size 1k"] {
        let line = format!("load {} -n 200 -c 3 {options}", server.address());
        let ran = home.run(&line, "");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        for said in ["Success rate: 100.00%", "Answered:     200"] {
            assert!(ran.out.contains(said), "{said} is missing: {}", ran.out);
        }
    }
    let ran = server.stop();
    assert!(!ran.err.contains("WARN"), "{}", ran.err);
}

#[test]
fn whoever_is_refused_never_hears_why_but_the_log_has_the_truth() {
    let home = Home::with_keys(KEYS);
    let changed = home.write("changed", KEYS.replace("sixteen", "sixty"));
    let more = home.write("more", format!("{KEYS}stranger  text:nineteen-bytes-and-more\n"));
    let server = home.serve("serve --service echo --audience pump --audience shed");
    let connect = format!("connect {} --audience", server.address());
    let (changed, more) = (changed.display(), more.display());
    let cases = [
        (format!("{connect} pump --keys {changed}"), "wrong-proof"),
        (format!("{connect} pump --keys {more} --key stranger"), "unknown-key"),
        (format!("{connect} well"), "wrong-audience"),
    ];
    let mut said = Vec::new();
    for (line, why) in cases {
        let ran = home.run(&line, "a\n");
        ran.failed(77, &[server.address(), "the server did not prove that it holds the key"]);
        said.push(ran);
        let logged = server.err.with("refused: ");
        assert!(logged.contains(&format!(" WARN  refused: {why} peer=127.0.0.1:")), "{logged}");
        assert!(logged.contains(" conn="), "{logged}");
    }
    for ran in &said {
        assert_eq!((&ran.out[..], &ran.err), ("", &said[0].err), "one text for all");
    }
    for options in ["pump", "shed", "pump --key other", "pump --key guest"] {
        home.run(&format!("{connect} {options}"), "a\n").printed("a\n");
    }
    let ran = home.run(&format!("load {} -n 3 -c 1 --audience well", server.address()), "");
    ran.failed(77, &["nothing was answered: refused"]);
}

#[test]
fn a_key_for_another_dialect_is_unknown() {
    let home = Home::with_keys(KEYS);
    let server = home.serve("serve --service echo");
    let mine = home.write("mine", KEYS.replace("  dialects=raw", ""));
    let connect = format!("connect {} --key old", server.address());
    home.run(&format!("{connect} --keys {}", mine.display()), "a\n").failed(77, &[]);
    server.err.with("refused: unknown-key");
    home.run(&connect, "a\n").failed(78, &["there is no key old for"]);
}

#[test]
fn a_service_is_reached_under_its_names_alone() {
    let home = Home::with_keys(KEYS);
    let cases = [
        ("", "", true),
        ("", "--audience pump", false),
        ("--audience pump", "", false),
        ("--audience pump", "--audience pump", true),
        ("--audience pump", "--audience Pump", false),
        ("--audience pump,shed", "--audience shed", true),
        ("--audience pump --audience shed", "--audience pum", false),
        ("COUNTERSIGN_AUDIENCE=pump,shed", "COUNTERSIGN_AUDIENCE=shed", true),
        ("", "--key guest", false),
        ("--audience pump", "--key guest", true),
    ];
    let line = |options: &str, verb: &str| match options.contains('=') {
        true => format!("{options} {verb}"),
        false => format!("{verb} {options}"),
    };
    for (ours, theirs, served) in cases {
        let server = home.serve(&line(ours, "serve --service echo"));
        let ran = home.run(&line(theirs, &format!("connect {}", server.address())), "a\n");
        let expected = if served { (Some(0), "a\n") } else { (Some(77), "") };
        assert_eq!((ran.code, &ran.out[..]), expected, "{ours} {theirs}: {}", ran.err);
    }
}

#[test]
fn records_are_spoken_as_both_ends_want_it_or_not_at_all() {
    let home = Home::with_keys(KEYS);
    for ours in ["required", "allowed", "off"] {
        for framing in ["lines", "length"] {
            let spoken = format!("--service echo --framing {framing} --records {ours}");
            let server = home.serve(&format!("serve {spoken}"));
            for theirs in ["required", "allowed", "off"] {
                let line = format!("connect {} --framing {framing}", server.address());
                let ran = home.run(&format!("{line} --records {theirs}"), "a\nb\n");
                if matches!((ours, theirs), ("required", "off") | ("off", "required")) {
                    ran.failed(77, &["the server refuses: it does not accept this key for this"]);
                    assert_eq!(ran.out, "");
                    server.err.with("refused: protection");
                } else {
                    assert_eq!((ran.code, &ran.out[..]), (Some(0), "a\nb\n"), "{ours} {theirs}");
                }
            }
        }
    }
}

#[test]
fn both_ends_seal_or_there_is_no_conversation() {
    let home = Home::with_keys(KEYS);
    let options = "--log-level debug --admin 127.0.0.1:0";
    let served = home.serve(&format!("serve --service echo --records sealed {options}"));
    served.err.with("dialect countersign/1, records sealed, messages up to");
    let (sealed, line) = ("--records sealed", format!("connect {}", served.address()));
    home.run(&format!("{line} {sealed}"), "a\nb\n").printed("a\nb\n");
    let logged = served.err.with("authenticated");
    assert!(logged.contains(" records=sealed"), "{logged}");
    let status = home.run(&format!("status {}", served.admin()), "");
    assert!(status.out.contains("countersign/1, sealed records\n"), "{}", status.out);
    let pinged = home.run(&format!("ping {} {sealed} -c 1", served.address()), "");
    assert_eq!(pinged.code, Some(0), "{}", pinged.err);
    let load = format!("load {} {sealed} -n 100 -c 2 -P 8", served.address());
    assert!(home.run(&load, "").out.contains("Success rate: 100.00%"));
    for theirs in ["required", "allowed", "off"] {
        let ran = home.run(&format!("{line} --records {theirs}"), "a\n");
        let remedy = "compare the keys, the audience and the records of both ends";
        ran.failed(77, &["the server refuses: it does not accept this key for this", remedy]);
        served.err.with("refused: protection");
    }
    for ours in ["required", "allowed"] {
        let server = home.serve(&format!("serve --service echo --records {ours}"));
        let ran = home.run(&format!("connect {} {sealed}", server.address()), "a\n");
        ran.failed(77, &["the ends do not agree on records, or on sealing them"]);
        assert_eq!(ran.out, "");
        server.err.with("refused: protection");
        let load = format!("load {} {sealed} -c 1 -n 1", server.address());
        home.run(&load, "").failed(77, &["the same key, dialect, framing and --records?"]);
    }
}

#[test]
fn a_server_that_may_leave_records_out_says_at_once_what_that_means() {
    let home = Home::with_keys(KEYS);
    let cases = [("sealed", false), ("required", false), ("allowed", true), ("off", true)];
    for (records, warned) in cases {
        let ran = home.serve(&format!("serve --records {records}")).stop();
        let said = "WARN  without records, a relay of the handshake can take over the";
        assert_eq!(ran.err.contains(said), warned, "{records}: {}", ran.err);
        let framing = if warned { ", framing lines" } else { "" };
        let shown = format!("dialect countersign/1, records {records}{framing}, messages up to");
        assert!(ran.err.contains(&shown), "{records}: {}", ran.err);
    }
}

#[test]
fn there_are_no_chunks_without_records() {
    let home = Home::with_keys(KEYS);
    for records in ["allowed", "off"] {
        for verb in ["serve --bind 127.0.0.1:0", "connect 127.0.0.1:1", "load 127.0.0.1:1"] {
            let ran = home.run(&format!("{verb} --framing chunks --records {records}"), "");
            ran.failed(2, &["--framing chunks needs records", "--framing lines or length"]);
        }
    }
    // With them, records have their own ends.
    let server = home.serve("serve --service echo --framing chunks");
    let line = format!("connect {} --framing chunks", server.address());
    home.run(&line, "a\n\nb\n").printed("a\n\nb\n");
}

#[test]
fn raw_can_be_served_at_the_same_port() {
    let home = Home::with_keys(KEYS);
    let server = home.serve("serve --dialect countersign/1+raw --service echo --log-level debug");
    server.err.with("dialect countersign/1+raw, records required, framing lines, messages");
    let cases = [("", "default"), ("--dialect raw", "old"), ("--key other", "other")];
    for (options, key) in cases {
        home.run(&format!("connect {} {options}", server.address()), "a\nb\n").printed("a\nb\n");
        let line = server.err.with("authenticated");
        assert!(line.ends_with(&format!(" key={key}")), "{line}");
    }
    // Neither dialect takes a key of the other.
    let mine = home.write("mine", KEYS.replace("dialects=raw", "dialects=countersign/1"));
    let connect = format!("connect {} --keys {}", server.address(), mine.display());
    home.run(&format!("{connect} --key old"), "a\n").failed(77, &[]);
    server.err.with("refused: unknown-key");
    let mine = home.write("mine", "default  text:sixteen-bytes-and-more  dialects=raw\n");
    let connect = format!("connect {} --keys {}", server.address(), mine.display());
    home.run(&format!("{connect} --dialect raw"), "a\n").failed(77, &[]);
    server.err.with("refused: wrong-proof");
}

#[test]
fn a_server_of_one_dialect_is_no_server_of_another() {
    let home = Home::with_keys(KEYS);
    let server = home.serve("serve");
    // A challenge never comes, and so the client waits.
    let line = format!("connect {} --dialect raw --timeout 200ms", server.address());
    home.run(&line, "a\n").failed(69, &["timed out; do both ends have the same dialect"]);
    // What comes is no nonce and hello.
    let server = home.serve("serve --dialect raw");
    let line = format!("connect {} --timeout 5s", server.address());
    let ran = home.run(&line, "a\n");
    assert!(matches!(ran.code, Some(69 | 76)) && ran.out.is_empty(), "{ran:?}");
}

#[test]
fn a_stranger_hears_nothing_and_the_log_names_what_it_speaks() {
    let home = Home::with_keys(KEYS);
    let server = home.serve("serve --log-level debug");
    let cases: [(&[u8], &str); 7] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "the PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", "the PROXY protocol"),
        (b"\0\0\0\x34#CHALLENGE#", "Python's multiprocessing"),
        (b"hello\n", "another protocol"),
        (&[0x55; 32], "another protocol"),
    ];
    for (opening, name) in cases {
        let mut peer = server.dial();
        peer.write_all(opening).unwrap();
        let mut heard = Vec::new();
        // An end or a reset, either will do.
        let _ = peer.read_to_end(&mut heard);
        assert_eq!(heard, b"", "{name}");
        let address = peer.local_addr().unwrap();
        let line = server.err.with("refused: ");
        for expected in [format!("refused: foreign ({name})"), format!(" peer={address} conn=")] {
            assert!(line.contains(&expected), "{line} has no {expected}");
        }
    }
    // Whoever only looks hears nothing either, and is nobody to warn of.
    let mut peer = server.dial();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(peer.read(&mut [0; 64]).unwrap(), 0);
    let ran = server.stop();
    assert!(!ran.err.contains("WARN"), "one line each: {}", ran.err);
}
