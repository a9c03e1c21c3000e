//! Who is let through, and what those hear who aren't.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::thread;

use super::{Home, KEY, Target, breaks, is_reset, rest};
use crate::free_port::free_address;

#[test]
fn without_the_same_key_nobody_gets_to_the_target_and_the_log_says_why() {
    let home = Home::with_keys(KEY);
    let cases = [
        ("default  text:another-key-altogether\n", "", "wrong-proof"),
        ("another  text:sixteen-bytes-and-more\n", "", "unknown-key"),
        (KEY, "--audience other", "wrong-audience"),
    ];
    for (ring, options, why) in cases {
        let target = Target::echo();
        let server = home.proxy("server", &target.to(), "");
        let ring = home.write("ring", ring);
        let options = format!("--keys {} {options}", ring.display());
        let client = home.proxy("client", server.address(), &options);
        breaks(&client.dial(), b"hello");
        client.err.with("WARN  refused: wrong-proof: the server did not prove that it holds");
        server.err.with(&format!("WARN  refused: {why} peer="));
        target.is_untouched();
    }
}

#[test]
fn who_speaks_anything_else_is_refused_and_hears_nothing() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let server = home.proxy("server", &target.to(), "--handshake-timeout 200ms");
    for (said, why) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], "refused: foreign"),
        (b"\x9ecsgn/1\n\x01\0\x7f\xff", "refused: malformed"),
        (b"", "refused: handshake-timeout"),
        (b"\x9ecsgn/1\n", "refused: handshake-timeout"),
    ] {
        let mut stream = server.dial();
        stream.write_all(said).unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        // A nonce and a refusal, and those only to who has begun to speak countersign/1.
        let expected = if said.starts_with(b"\x9e") { 32 + 4 + 1 } else { 0 };
        assert_eq!(heard.len(), expected, "{why}");
        drop(stream);
        server.err.with(why);
    }
    target.is_untouched();
}

#[test]
fn a_target_or_a_far_end_that_is_not_there_breaks_the_connection_and_is_told_of() {
    let home = Home::with_keys(KEY);
    let gone = free_address().to_string();
    let chain = home.chain(&gone, "");
    breaks(&chain.dial(), b"hello");
    chain.server.err.with("WARN  cannot connect to the target: connection refused");
    let client = home.proxy("client", &gone, "");
    is_reset(&client.dial());
    client.err.with("WARN  cannot connect to the far end: connection refused");
}

#[test]
fn a_far_end_that_says_nothing_is_given_up_in_time() {
    let home = Home::with_keys(KEY);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = silent.local_addr().unwrap().to_string();
    let client = home.proxy("client", &to, "--handshake-timeout 100ms");
    is_reset(&client.dial());
    client.err.with("refused: handshake-timeout");
}

#[test]
fn a_connection_on_which_nothing_happens_lasts_unless_told_otherwise() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "--idle-timeout 300ms");
    let mut stream = chain.dial();
    for _ in 0..5 {
        stream.write_all(b"a").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    is_reset(&stream);
    chain.client.err.with("closed: ");
    assert!(target.ended().is_err());
}

#[test]
fn newcomers_wait_while_there_is_no_room() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let server = home.proxy("server", &target.to(), "");
    let client = home.proxy("client", server.address(), "--max-connections 2");
    let mut streams: Vec<_> = (0..5).map(|_| client.dial()).collect();
    thread::scope(|scope| {
        for stream in &mut streams {
            stream.write_all(b"hello").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        }
        for stream in &streams {
            scope.spawn(|| assert_eq!(rest(stream), b"hello"));
        }
    });
}

#[test]
fn two_proxies_seal_what_they_carry_or_carry_nothing() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "--records sealed");
    let mut stream = chain.dial();
    stream.write_all(&[b'x'; 100_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(rest(&stream) == [b'x'; 100_000]);
    for (ours, theirs) in [("sealed", "required"), ("required", "sealed")] {
        let target = Target::echo();
        let server = home.proxy("server", &target.to(), &format!("--records {ours}"));
        let client = home.proxy("client", server.address(), &format!("--records {theirs}"));
        breaks(&client.dial(), b"hello");
        client.err.with("WARN  refused: ");
        target.is_untouched();
    }
}

#[test]
fn nothing_less_than_records_is_spoken() {
    let home = Home::with_keys(KEY);
    let proxy = "proxy --role client --listen 127.0.0.1:0 --target 127.0.0.1:1";
    let cases = [
        ("--dialect raw", "a proxy always speaks countersign/1"),
        ("--dialect open", "a proxy always speaks countersign/1"),
        ("--records allowed", "a proxy always requires records"),
        ("--records off", "a proxy always requires records"),
        ("--records some", "write required or sealed"),
    ];
    for (option, said) in cases {
        home.run(&format!("{proxy} {option}"), "").failed(2, &[said]);
    }
    home.run("COUNTERSIGN_DIALECT=hex proxy", "").failed(2, &["always speaks countersign/1"]);
    home.run("proxy --listen 127.0.0.1:0 --target 127.0.0.1:1", "").failed(2, &["--role"]);
    let raw = home.write("raw", "old  text:sixteen-bytes-and-more  dialects=raw\n");
    let line = format!("{proxy} --keys {}", raw.display());
    home.run(&line, "").failed(78, &["there is no key for countersign/1"]);
    home.run("proxy --role client --listen 127.0.0.1:0 --target nowhere", "")
        .failed(69, &["cannot find nowhere: ", "write HOST:PORT"]);
}
