//! Stopping: what is open goes on, nothing of it is lost or doubled, and there is an end to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Barrier;
use std::thread;

use super::{Home, KEY, Target, is_reset};

/// Says numbered lines and checks that each comes back once, in order. Returns how many did.
fn account(stream: &TcpStream, client: usize, lines: usize, half: &Barrier) -> usize {
    let (mut writer, mut reader) = (stream, BufReader::new(stream));
    for line in 0..lines {
        if line == lines / 2 {
            // The signal comes while everybody is in the middle of it.
            half.wait();
        }
        let said = format!("{client}:{line}:{}\n", "x".repeat(line % 1000));
        writer.write_all(said.as_bytes()).unwrap();
        let mut heard = String::new();
        reader.read_line(&mut heard).unwrap();
        assert_eq!(heard, said);
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(reader.read_line(&mut String::new()).unwrap(), 0);
    lines
}

#[test]
fn what_is_open_is_carried_to_its_end_and_nobody_else_is_let_in() {
    const CLIENTS: usize = 20;
    const LINES: usize = 2000;
    let home = Home::with_keys(KEY);
    for stopped in ["client", "server"] {
        let target = Target::echo();
        let chain = home.chain(&target.to(), "--drain-timeout 1m");
        let streams: Vec<_> = (0..CLIENTS).map(|_| chain.dial()).collect();
        let half = Barrier::new(CLIENTS + 1);
        let proxy = if stopped == "client" { &chain.client } else { &chain.server };
        let ledger: usize = thread::scope(|scope| {
            let each = |(client, stream)| {
                let half = &half;
                scope.spawn(move || account(stream, client, LINES, half))
            };
            let clients: Vec<_> = streams.iter().enumerate().map(each).collect();
            half.wait();
            proxy.signal("TERM");
            proxy.err.with("INFO  stopping; 20 connections are open");
            assert!(TcpStream::connect(proxy.address()).is_err(), "nobody is let in any more");
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert_eq!(ledger, CLIENTS * LINES);
        let ran = if stopped == "client" { chain.client.end() } else { chain.server.end() };
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.err.contains("INFO  stopped; 20 connections, "), "{}", ran.err);
    }
}

#[test]
fn draining_has_an_end_and_a_second_signal_is_one() {
    let home = Home::with_keys(KEY);
    for (timeout, signals) in [("100ms", 1), ("1h", 2)] {
        let target = Target::echo();
        let chain = home.chain(&target.to(), &format!("--drain-timeout {timeout}"));
        let mut stream = chain.dial();
        stream.write_all(b"a").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        chain.client.signal("TERM");
        chain.client.err.with("stopping; 1 connections are open");
        if signals == 2 {
            chain.client.signal("INT");
        }
        is_reset(&stream);
        assert_eq!(chain.client.end().code, Some(0));
        assert!(target.ended().is_err(), "nobody takes it for whole");
    }
}

#[test]
fn who_has_not_been_let_in_does_not_hold_up_the_end() {
    let home = Home::with_keys(KEY);
    let options = "--drain-timeout 1h --handshake-timeout 1h";
    let server = home.proxy("server", "127.0.0.1:1", options);
    let mut visitor = server.dial();
    visitor.write_all(b"\x9ecsgn/1\n").unwrap();
    // Once somebody else was refused, the visitor is known to be in.
    let mut other = server.dial();
    other.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    server.err.with("refused: foreign");
    server.signal("TERM");
    let mut heard = Vec::new();
    visitor.read_to_end(&mut heard).unwrap();
    assert_eq!(heard[32..], [5, 0, 0, 1, 3], "busy or stopping");
    drop(visitor);
    assert_eq!(server.end().code, Some(0));
}
