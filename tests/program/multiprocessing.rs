//! The dialect `multiprocessing`, from end to end; what stock Pythons make of it is run by
//! `tests/python/matrix.py`.

use std::process::Command;

use super::codes::mute_after;
use super::home::{Home, finish};

const KEY: &str = "py  text:sixteen-bytes-and-more  dialects=multiprocessing\n";

/// A message of the handshake.
fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

#[test]
fn whoever_types_what_the_server_prints_is_served() {
    let home = Home::new();
    let server = home.serve("serve --dialect multiprocessing --message-max 1m");
    let serves = server.err.with("  serves   ");
    assert!(serves.contains("dialect multiprocessing (sha256), framing length"), "{serves}");
    assert!(home.ring_text().ends_with("  dialects=multiprocessing\n"), "{}", home.ring_text());
    let line = server.err.with("  connect  ");
    assert!(line.ends_with(" --dialect multiprocessing --message-max 1048576"), "{line}");
    let mut shell = Command::new("sh");
    home.prepare(&mut shell);
    let shell = shell.arg("-c").arg(line.trim_start().strip_prefix("connect ").unwrap());
    let long = "x".repeat(1 << 20);
    let ran = finish(shell.spawn().unwrap(), format!("hello\n\n{long}\n").as_bytes());
    assert_eq!((ran.code, &ran.err[..]), (Some(0), ""));
    let ends: Vec<_> = ran.out.lines().map(|reply| reply.split_once("] ").unwrap().1).collect();
    assert!(ends == ["hello", "", &long[..]], "{:.200}", ran.out);
    for options in ["", "--reconnect", "-P 7 --size 1k"] {
        let line = format!("load {} -n 200 -c 3 --dialect multiprocessing", server.address());
        let ran = home.run(&format!("{line} {options}"), "");
        assert!(ran.out.contains("Answered:     200"), "{}{}", ran.out, ran.err);
    }
}

#[test]
fn a_verdict_is_known_at_both_ends() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --dialect multiprocessing --verify-only");
    let line = format!("connect {} --dialect multiprocessing --verify-only", server.address());
    let ran = home.run(&line, "");
    ran.printed("");
    assert_eq!(ran.err, "the server holds the key and has accepted the client's proof\n");
    assert!(server.out.next().unwrap().ends_with(" key=py"));
    let wrong = home.write("wrong", KEY.replace("sixteen", "seventeen"));
    let ran = home.run(&format!("{line} --keys {}", wrong.display()), "");
    ran.failed(77, &["the server refuses: it does not accept this key"]);
    server.err.with("refused: wrong-proof");
}

#[test]
fn a_server_that_does_not_prove_itself_is_no_server_of_ours() {
    let home = Home::with_keys(KEY);
    let challenge = frame(&[b"#CHALLENGE#{sha256}", &[7; 40][..]].concat());
    let welcome = frame(b"#WELCOME#");
    let after = |parts: &[&[u8]]| [&[&challenge[..]], parts].concat().concat();
    let proof = frame(&[b"{sha256}", &[0; 32][..]].concat());
    let cases = [
        (after(&[&welcome, &proof]), 77, "the server did not prove that it holds the key"),
        (after(&[&frame(b"#FAILURE#")]), 77, "the server refuses: it does not accept this key"),
        (
            after(&[&frame(b"#SALUTE#")]),
            76,
            "the server violated the protocol: the handshake is \
                          malformed",
        ),
        (after(&[]), 76, "the stream was truncated in the handshake"),
        (frame(b"#CHALLENGE#twenty bytes of text"), 76, "--mac md5 or --rhel at this end"),
        // Other dialects' servers.
        (vec![0x7b; 32], 76, "the server violated the protocol"),
        (vec![0xfe; 32], 76, "the server violated the protocol: a length field is malformed"),
    ];
    for (spoken, code, said) in cases {
        let (address, server) = mute_after(spoken);
        let ran = home.run(&format!("connect {address} --dialect multiprocessing"), "secret\n");
        ran.failed(code, &[said]);
        server.join().unwrap();
    }
}

#[test]
fn what_does_not_go_together_is_wrong_usage() {
    let home = Home::with_keys(KEY);
    let framing = "multiprocessing has its own framing; remove --framing";
    let cases = [
        ("--framing lines", framing),
        ("--framing chunks", framing),
        ("--mac md5 --rhel", "--mac and --rhel can't be combined"),
    ];
    for (options, said) in cases {
        for verb in ["serve --bind 127.0.0.1:0", "connect 127.0.0.1:1", "load 127.0.0.1:1"] {
            home.run(&format!("{verb} --dialect multiprocessing {options}"), "").failed(2, &[said]);
        }
    }
    let others = [
        ("--rhel", "--rhel is for multiprocessing; remove it"),
        ("--mac md5", "--mac is for raw, hex and multiprocessing; remove it"),
        ("--dialect raw --audience time", "--audience is for countersign/1; remove it"),
        ("--framing chunks --records off", "--framing chunks needs records"),
    ];
    for (options, said) in others {
        for verb in ["serve --bind 127.0.0.1:0", "connect 127.0.0.1:1", "ping 127.0.0.1:1"] {
            home.run(&format!("{verb} {options}"), "").failed(2, &[said]);
        }
    }
    let line = "COUNTERSIGN_FRAMING=length serve --dialect multiprocessing --rhel";
    let server = home.serve(line);
    assert!(server.err.with("  connect  ").contains(" --rhel"));
    let line = format!("connect {} --dialect multiprocessing --rhel", server.address());
    assert_eq!(home.run(&line, "a\n").code, Some(0));
}

#[test]
fn a_key_serves_no_challenge_that_a_python_could_be_made_to_answer() {
    let home = Home::new();
    let said = ["so a key for multiprocessing can't be for raw or hex too; use separate keys"];
    let line = "keygen py --dialects multiprocessing,raw";
    home.run(line, "").failed(2, &said);
    assert!(!home.ring().exists());
    let mixed = home.write("mixed", KEY.replace("=multi", "=hex,multi"));
    for verb in ["serve --bind 127.0.0.1:0", "connect 127.0.0.1:1", "keys check"] {
        home.run(&format!("{verb} --keys {}", mixed.display()), "").failed(65, &said);
    }
    assert_eq!(home.run("keygen py --dialects countersign/1,multiprocessing", "").code, Some(0));
}
