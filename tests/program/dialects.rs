//! A client of one dialect at a server of another: both ends say so, and nothing looks like
//! success.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};

use super::home::Home;
use super::served::dial;

const KEYS: &str = "all  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n\
                    py  text:another-sixteen-bytes  dialects=multiprocessing\n";

/// What a client says, where the server waits for it to speak first or has closed the connection.
const SILENT: &str = "the handshake timed out; do both ends have the same dialect";
const REFUSED: &str =
    "the server closed the connection after the client's proof; do both ends have the same";
const UNANSWERED: &str = "closed the connection before it answered anything; was it idle";
const PYTHON: &str = "the server speaks Python's multiprocessing: use the same dialect";
const CHALLENGE: &str = "the server begins with a challenge; it speaks raw or hex";
const CUT: &str = "the stream was truncated in the handshake or in a message";
const FAULT: &str = "do both ends have the same dialect?";

/// The server's dialect and the client's, and what each says; a server that heard nothing of its
/// client can't say anything.
const PAIRS: [(&str, &str, &str, &str); 18] = [
    ("countersign/1", "raw", SILENT, ""),
    ("countersign/1", "hex", SILENT, ""),
    ("countersign/1", "multiprocessing", SILENT, ""),
    ("countersign/1", "open", UNANSWERED, "foreign (another protocol)"),
    ("countersign/1+raw", "hex", REFUSED, "foreign (the dialect hex)"),
    ("countersign/1+raw", "multiprocessing", FAULT, ""),
    ("countersign/1+raw", "open", CHALLENGE, ""),
    ("raw", "countersign/1", CUT, "foreign (countersign/1)"),
    ("raw", "hex", REFUSED, "foreign (the dialect hex)"),
    ("raw", "multiprocessing", FAULT, ""),
    ("raw", "open", CHALLENGE, ""),
    ("hex", "countersign/1", CUT, "foreign (countersign/1)"),
    ("hex", "raw", "timed out; do both ends have the same dialect", "foreign (the dialect raw)"),
    ("hex", "multiprocessing", FAULT, ""),
    ("hex", "open", CHALLENGE, ""),
    ("multiprocessing", "countersign/1", PYTHON, "foreign (countersign/1)"),
    ("multiprocessing", "raw", PYTHON, ""),
    ("multiprocessing", "hex", PYTHON, ""),
];

#[test]
fn a_client_of_another_dialect_hears_of_it_and_so_does_the_log() {
    let home = Home::with_keys(KEYS);
    for verb in ["connect", "ping"] {
        for (server, client, said, logged) in PAIRS {
            let serving = home.serve(&format!("serve --service echo --dialect {server}"));
            // Who is told something has all the time that a busy machine may need for it.
            let timeout = if said.contains("timed out") { "400ms" } else { "1m" };
            let to = serving.address();
            let line = format!("{verb} {to} --dialect {client} --timeout {timeout}");
            let ran = home.run(&line, "hello\n");
            let what = format!("{line} at {server}: {ran:?}");
            assert!(matches!(ran.code, Some(69 | 76 | 77)) && ran.out.is_empty(), "{what}");
            assert!(ran.err.contains(said), "{what}");
            assert_eq!(ran.err.lines().count(), 1, "{what}");
            let served = serving.stop();
            assert!(served.err.contains(logged), "{what} {}", served.err);
        }
    }
}

#[test]
fn a_server_of_open_is_no_server_of_another_dialect() {
    let home = Home::with_keys(KEYS);
    let server = home.serve("serve --service echo --dialect open");
    for dialect in ["countersign/1", "raw", "hex", "multiprocessing"] {
        for verb in ["connect", "ping"] {
            let line = format!("{verb} {} --dialect {dialect} --timeout 300ms", server.address());
            let ran = home.run(&line, "hello\n");
            // In countersign/1 it depends on what the hello happens to make of lines.
            assert!(matches!(ran.code, Some(69 | 76)) && ran.out.is_empty(), "{line}: {ran:?}");
            assert!(ran.err.contains("do both ends have the same dialect"), "{line}: {ran:?}");
        }
    }
    let python = home.serve("serve --service echo --dialect multiprocessing");
    for verb in ["connect", "ping", "ping --no-message"] {
        let line = format!("{verb} {} --dialect open --timeout 5s", python.address());
        home.run(&line, "hello\n").failed(76, &[PYTHON]);
    }
}

#[test]
fn a_proof_by_md5_is_named_in_one_line() {
    let home = Home::with_keys(KEYS);
    let digits = b"00112233445566778899aabbccddeeff";
    let python = [&b"\0\0\0\x10"[..], &[0xc3; 16]].concat();
    let cases: [(&str, &[u8]); 4] = [
        ("hex", digits),
        ("hex", b"00112233445566778899aabbccddeeff What time is it, please? I wait.\n"),
        ("raw", &[0xc3; 16]),
        ("multiprocessing", &python),
    ];
    for (dialect, proof) in cases {
        // Some leave, and some wait for an answer.
        for leaves in [true, false] {
            let line = format!("serve --dialect {dialect} --handshake-timeout 300ms");
            let server = home.serve(&line);
            let mut peer = dial(server.address());
            peer.write_all(proof).unwrap();
            if leaves {
                peer.shutdown(Shutdown::Write).unwrap();
            }
            let line = server.err.with("refused: ");
            assert!(line.contains("WARN  refused: other-digest: "), "{dialect}: {line}");
            assert!(line.contains("as long as an HMAC-MD5"), "{dialect}: {line}");
            assert!(line.contains("see --mac md5"), "{dialect}: {line}");
            // Whether what it had not read makes the end a reset is chance.
            let _ = peer.read_to_end(&mut Vec::new());
        }
    }
}

#[test]
fn a_listener_of_python_without_an_authkey_is_among_the_causes() {
    let home = Home::with_keys(KEYS);
    // Without one it says nothing until it is told something.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let line = format!("connect {address} --dialect multiprocessing --timeout 200ms");
    home.run(&line, "a\n").failed(69, &[SILENT, "does the Listener have an authkey"]);
}

#[test]
fn a_client_that_is_turned_away_after_failed_attempts_hears_that_among_the_causes() {
    let home = Home::with_keys(KEYS);
    let wrong = home.write("wrong", KEYS.replace("sixteen", "another"));
    let wrong = format!("--dialect raw --keys {}", wrong.display());
    let server = home.serve("serve --dialect raw --failure-delay 1m --failure-burst 1");
    let line = format!("connect {} {wrong}", server.address());
    home.run(&line, "a\n").failed(77, &[REFUSED]);
    let line = format!("{line} --timeout 300ms");
    home.run(&line, "a\n");
    home.run(&line, "a\n").failed(69, &["after failed attempts to authenticate"]);
}

#[test]
fn both_ends_can_agree_on_md5() {
    let home = Home::with_keys(KEYS);
    for dialect in ["raw", "hex"] {
        let options = format!("--dialect {dialect} --mac md5");
        let server = home.serve(&format!("serve --service echo {options}"));
        server.err.with(&format!("dialect {dialect} (md5)"));
        let connect = format!("connect {} {options}", server.address());
        home.run(&connect, "a\n").printed("a\n");
    }
}
