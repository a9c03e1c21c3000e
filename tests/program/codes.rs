//! Every exit code that `--help` documents, with its message and the remedy.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::thread::{self, JoinHandle};

use super::free_port::free_address;
use super::home::Home;

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=countersign/1,raw\n";

/// The numbers that stand behind this word.
fn numbers_behind<'t>(text: &'t str, word: &str) -> BTreeSet<&'t str> {
    let number = |rest: &'t str| rest.split(|c: char| !c.is_ascii_digit()).next();
    text.split(word).skip(1).filter_map(number).filter(|number| !number.is_empty()).collect()
}

#[test]
fn every_documented_code_is_expected_by_a_test_and_no_other_is() {
    let help = Home::new().run("--help", "").out;
    let codes = help.split("Exit codes: ").nth(1).unwrap().split('.').next().unwrap();
    let documented: BTreeSet<&str> =
        codes.split(',').filter_map(|code| code.split_whitespace().next()).collect();
    assert!(documented.contains("0") && documented.len() > 10, "{documented:?}");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/program");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources: String = files.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let failures = numbers_behind(&sources, ".failed(");
    let codes = numbers_behind(&sources, "Some(");
    let expected: BTreeSet<&str> = failures.union(&codes).copied().collect();
    let missing: Vec<_> = documented.difference(&expected).collect();
    assert!(missing.is_empty(), "no test expects the exit codes {missing:?}");
    let secret: Vec<_> = failures.difference(&documented).collect();
    assert!(secret.is_empty(), "the help doesn't document the exit codes {secret:?}");
}

#[test]
fn done_is_0() {
    let home = Home::new();
    for line in ["--help", "-h", "--version", "serve --help", "keygen"] {
        assert_eq!(home.run(line, "").code, Some(0), "{line}");
    }
}

#[test]
fn a_failure_of_no_other_kind_is_1() {
    let home = Home::with_keys(KEY);
    std::fs::create_dir(home.path(".config/countersign/keys.new")).unwrap();
    home.run("keygen other", "").failed(1, &["cannot make /", "keys.new: is a directory"]);
    let server = home.serve("serve --service echo");
    let address = server.address();
    let ran = home.run(&format!("connect {address} --message-max 3"), "four\n");
    ran.failed(1, &[address, "the message is longer than the limit, 3 bytes"]);
    let server = home.serve("serve --dialect open --service echo");
    let ran = home.run(&format!("connect {} --dialect open", server.address()), "a\r\r\n");
    ran.failed(1, &["the framing lines can't carry this message; length carries any"]);
}

#[test]
fn wrong_usage_is_2_and_names_what_is_right() {
    let home = Home::new();
    let cases = [
        ("", "Usage: countersign"),
        ("server", "'serve'"),
        ("serve --dialects raw", "'--dialect'"),
        (
            "serve --dialect raw2",
            "[possible values: countersign/1, countersign/1+raw, raw, hex, multiprocessing, open]",
        ),
        ("serve --mac sha1", "write sha256 or md5"),
        ("serve --message-max big", "write a size from 1 to 1g, like 4096, 64k or 1m"),
        ("serve --max-connections 0", "write a number from 1 to 10m, like 500 or 10k"),
        ("serve --max-unauthenticated 0", "write a number from 1 to 10m, like 500 or 10k"),
        ("serve --max-per-address 0", "write a number from 1 to 10m, like 500 or 10k"),
        ("serve --idle-timeout soon", "--idle-timeout <TIME>"),
        (
            "serve --tcp-keepalive 1ms",
            "write a time from 1s to 9h, like 500ms, 5s or 1h, or 0s for none",
        ),
        (
            "serve --tcp-keepalive 10h",
            "write a time from 1s to 9h, like 500ms, 5s or 1h, or 0s for none",
        ),
        ("status", "<ADDRESS>"),
        (
            "keygen id --dialects open",
            "write countersign/1, raw, hex or multiprocessing, \
          separated",
        ),
        ("keygen id --audience=", "write one word"),
        ("keys", "Usage: countersign keys"),
        ("keys rotate", "<ID>"),
        ("keys rotate id --overlap soon", "write a time from 0s to 3660d, like 500ms, 5s or 1h"),
        ("keys rotate id --overlap 11y", "write a time from 0s to 3660d"),
    ];
    for (line, said) in cases {
        home.run(line, "").failed(2, &[said]);
    }
    assert!(!home.ring().exists(), "nothing was made");
}

#[test]
fn a_bad_key_file_is_65_and_none_is_66() {
    let home = Home::new();
    let missing = home.path("none");
    let bad = home.write("bad", "default\n");
    for (verb, remedy) in [
        (
            "serve --bind 127.0.0.1:0",
            "`countersign keygen default --dialects countersign/1 --keys /",
        ),
        ("connect 127.0.0.1:1", "ssh SERVER \"awk "),
    ] {
        let ran = home.run(&format!("{verb} --keys {}", missing.display()), "");
        ran.failed(66, &[&missing.display().to_string(), remedy]);
        let ran = home.run(&format!("{verb} --keys {}", bad.display()), "");
        ran.failed(65, &[&bad.display().to_string(), "line 1", "write `id  hex:00112233…`"]);
    }
    assert!(!missing.exists(), "a ring that was named is not made");
}

#[test]
fn a_port_that_is_taken_is_69() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve");
    let ran = home.run(&format!("serve --bind {}", server.address()), "");
    let said = format!("countersign: cannot bind {}: address already in use;", server.address());
    ran.failed(69, &[&said, "stop it or use another port"]);
    assert_eq!(ran.out, "");
}

#[test]
fn an_address_that_is_none_is_69() {
    let home = Home::with_keys(KEY);
    for bind in ["127.0.0.1:", "[nonsense]", "127.0.0.1:99999", "no.such.host.invalid:1"] {
        let ran = home.run(&format!("serve --bind {bind}"), "");
        ran.failed(69, &[&format!("cannot bind {bind}"), "write HOST:PORT"]);
    }
    // An address that is kept for documentation, so no interface has it.
    let ran = home.run("serve --bind 192.0.2.1:0", "");
    ran.failed(69, &["cannot bind 192.0.2.1:0", "no interface of this machine has the address"]);
}

#[test]
fn a_server_that_is_not_there_is_69() {
    let home = Home::with_keys(KEY);
    let gone = free_address();
    let ran = home.run(&format!("connect {gone}"), "a\n");
    ran.failed(69, &[&format!("cannot connect to {gone}: connection refused"), "running?"]);
    for address in ["127.0.0.1:", "127.0.0.1:99999"] {
        let ran = home.run(&format!("connect {address}"), "a\n");
        ran.failed(69, &[&format!("cannot connect to {address}: "), "; write HOST:PORT"]);
    }
    let ran = home.run("connect no.such.host.invalid:1", "a\n");
    ran.failed(69, &["cannot connect to no.such.host.invalid:1"]);
}

#[test]
fn a_server_that_says_nothing_is_69_in_time() {
    let home = Home::with_keys(KEY);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let ran = home.run(&format!("connect {address} --timeout 100ms"), "a\n");
    ran.failed(69, &["the handshake timed out; do both ends have the same dialect"]);
}

/// A server that says this to its first client and then ends the stream.
pub(super) fn mute_after(spoken: Vec<u8>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&spoken).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Whether the client hangs up by a reset is its own affair.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (address, server)
}

#[test]
fn a_server_that_breaks_the_protocol_is_76() {
    let home = Home::with_keys(KEY);
    let cases: [(&[u8], &str, &[&str]); 6] = [
        (b"ten bytes!", "", &["the stream was truncated in the handshake", "same dialect"]),
        (b"ten bytes!", "--dialect raw", &["the stream was truncated in the handshake"]),
        // What another's server says first is never a hello of ours.
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7\r\n", "", &["the server violated the protocol"]),
        (&[0; 64], "", &["the server violated the protocol"]),
        (b"\x80\0\0\0", "--dialect open --framing length", &["the server violated the protocol"]),
        (b"\0\0\0\x09cut", "--dialect open --framing length", &["the stream was truncated in"]),
    ];
    for (spoken, options, said) in cases {
        let (address, server) = mute_after(spoken.to_vec());
        home.run(&format!("connect {address} {options}"), "a\n").failed(76, said);
        server.join().unwrap();
    }
}

#[test]
fn a_key_that_the_server_does_not_know_is_77() {
    let home = Home::with_keys(KEY);
    let other = KEY.replace("sixteen-bytes-and-more", "another-key-altogether");
    let other = home.write("other", other);
    let cases = [
        ("countersign/1", "the server did not prove that it holds the key; do both ends have"),
        ("raw", "the server closed the connection after the client's proof; do both ends have"),
    ];
    for (dialect, said) in cases {
        let server = home.serve(&format!("serve --dialect {dialect}"));
        let line = format!("connect {} --dialect {dialect}", server.address());
        let ran = home.run(&format!("{line} --keys {}", other.display()), "a\n");
        ran.failed(77, &[server.address(), said, "the same key"]);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn a_refusal_of_the_servers_is_77_and_says_what_it_is_about() {
    let home = Home::with_keys(KEY);
    let cases = [
        (1, "the server refuses: it supports none of our versions"),
        (2, "the server refuses: it does not accept this key for this service with these options"),
        (3, "the server refuses: it is busy or stopping"),
        (4, "the server refuses: it considers our handshake malformed"),
        (5, "the server refuses: our handshake took too long"),
        (9, "the server refuses: unknown reason 9"),
    ];
    for (code, said) in cases {
        // A nonce, and a refusal in the place of the server's hello.
        let spoken = [&[7; 32][..], &[5, 0, 0, 1, code]].concat();
        let (address, server) = mute_after(spoken);
        home.run(&format!("connect {address}"), "a\n").failed(77, &[&address, said]);
        server.join().unwrap();
    }
}

#[test]
fn a_ring_without_a_key_for_the_dialect_is_78() {
    let home = Home::with_keys(KEY);
    for verb in ["serve --bind 127.0.0.1:0", "connect 127.0.0.1:1"] {
        home.run(&format!("{verb} --dialect hex"), "")
            .failed(78, &["there is no key for hex", "; add a key"]);
    }
}
