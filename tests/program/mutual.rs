//! The dialect `countersign/1`: who is served, who isn't, and what either end says of it.

use std::io::{Read as _, Write as _};

use super::home::Home;

const KEYS: &str = "default  text:sixteen-bytes-and-more\n\
                    other  text:seventeen-bytes-or-more\n\
                    guest  text:eighteen-bytes-and-more  audience=pump\n\
                    old  text:another-sixteen-bytes  dialects=raw\n";

#[test]
fn a_key_for_another_dialect_is_unknown() {
    let home = Home::with_keys(KEYS);
    let server = home.serve("serve --service echo");
    let mine = home.write("mine", KEYS.replace("  dialects=raw", ""));
    let connect = format!("connect {} --key old", server.address());
    home.run(&format!("{connect} --keys {}", mine.display()), "a\n").failed(77, &[]);
    server.err.with("refused: unknown-key");
    home.run(&connect, "a\n").failed(78, &["the key old is not on the ring, or doesn't serve"]);
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
        let expected = format!("refused: foreign ({name}) peer={address} conn=");
        assert!(line.contains(&expected), "{line} has no {expected}");
    }
    // Whoever only looks hears nothing either, and is nobody to warn of.
    let mut peer = server.dial();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(peer.read(&mut [0; 64]).unwrap(), 0);
    let ran = server.stop();
    assert!(!ran.err.contains("WARN"), "one line each: {}", ran.err);
}
