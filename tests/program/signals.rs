//! Stopping: the first signal drains, and the second one stops at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::free_port::free_address;
use super::home::Home;
use super::served::{ServerProcess, ask, dial};

#[test]
fn what_has_arrived_is_answered_before_the_end() {
    let home = Home::new();
    for signal in ["TERM", "INT"] {
        let server = home.serve("serve --dialect open --service echo");
        let mut peer = server.dial();
        assert_eq!(ask(&peer, "a"), "a\n");
        // While it is held, all of this arrives, and the signal after it.
        server.signal("STOP");
        let sent = "message\n".repeat(5_000);
        peer.write_all(sent.as_bytes()).unwrap();
        server.signal(signal);
        server.signal("CONT");
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert!(received == sent, "SIG{signal}: {} of {} bytes", received.len(), sent.len());
        drop(peer);
        let ran = server.end();
        assert_eq!(ran.code, Some(0), "SIG{signal}: {}", ran.err);
        assert!(ran.err.contains("stopped; 1 connections, 5001 messages"), "{}", ran.err);
    }
}

#[test]
fn a_peer_that_waits_is_let_go_and_the_server_ends() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo");
    let mut peer = server.dial();
    assert_eq!(ask(&peer, "a"), "a\n");
    server.signal("TERM");
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0, "the stream has ended");
    drop(peer);
    let ran = server.end();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("INFO  stopping; 1 connections are open"), "{}", ran.err);
}

/// A peer that asks for much and takes nothing, until the server has stopped to read from it.
fn blocked_peer(server: &ServerProcess) -> TcpStream {
    let mut peer = server.dial();
    peer.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let text = "message\n".repeat(8 << 10);
    while peer.write_all(text.as_bytes()).is_ok() {}
    peer
}

#[test]
fn a_second_signal_stops_at_once() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo --drain-timeout 1h");
    let peer = blocked_peer(&server);
    server.signal("TERM");
    server.err.with("stopping; 1 connections are open");
    // It drains: newcomers are turned away, and it is still there to be told again.
    assert!(TcpStream::connect(server.address()).is_err());
    server.signal("TERM");
    let ran = server.end();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    drop(peer);
}

#[test]
fn draining_has_an_end() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo --drain-timeout 100ms");
    let peer = blocked_peer(&server);
    let ran = server.stop();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    drop(peer);
}

#[test]
fn it_can_be_stopped_as_soon_as_it_says_that_it_listens() {
    let home = Home::new();
    for _ in 0..10 {
        let ran = home.serve("serve --dialect open").stop();
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.err.contains("stopped; 0 connections"), "{}", ran.err);
    }
}

#[test]
fn a_successor_can_take_the_port_at_once() {
    let home = Home::new();
    let address = free_address().to_string();
    let serve = format!("serve --dialect open --service echo --bind {address}");
    let server = home.serve(&format!("{serve} --once"));
    // Closed by the server, so that the port is in TIME_WAIT.
    assert_eq!(ask(&server.dial(), "a"), "a\n");
    assert_eq!(server.stop().code, Some(0));
    let successor = home.serve(&serve);
    assert_eq!(ask(&dial(&address), "b"), "b\n");
    assert_eq!(successor.stop().code, Some(0));
}

/// Says numbers, one at a time, until the stream ends. Every reply must be the next number; returns
/// how many there were.
fn count(mut stream: TcpStream, replied: &AtomicU32) -> u32 {
    let mut replies = BufReader::new(stream.try_clone().unwrap()).lines();
    for number in 0.. {
        if stream.write_all(format!("{number}\n").as_bytes()).is_err() {
            return number;
        }
        match replies.next() {
            Some(Ok(reply)) => assert_eq!(reply, number.to_string()),
            _ => return number,
        }
        replied.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!("a stream that never ends")
}

#[test]
fn stops_at_any_moment_lose_and_double_nothing() {
    let home = Home::new();
    for round in 0..40 {
        let workers = 1 + round % 2;
        let line = "serve --dialect open --service echo --drain-timeout 10s";
        let server = home.serve(&format!("{line} --workers {workers}"));
        let peers = [(); 3].map(|()| server.dial());
        peers.iter().for_each(|peer| assert_eq!(ask(peer, "first"), "first\n"));
        let replied = AtomicU32::new(0);
        let (ran, heard) = std::thread::scope(|scope| {
            let replied = &replied;
            let clients = peers.map(|peer| scope.spawn(move || count(peer, replied)));
            // After so many replies, and whatever is under way.
            let due = round * 7 % 100 + 3;
            while replied.load(Ordering::Relaxed) < due {
                let has_ended = clients.iter().any(|client| client.is_finished());
                assert!(!has_ended, "the server has hung up on its own");
                std::thread::yield_now();
            }
            server.signal("TERM");
            let heard: u32 = clients.into_iter().map(|client| client.join().unwrap()).sum();
            (server.end(), heard)
        });
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        // What was taken was answered, and nothing else.
        let said = format!("stopped; 3 connections, {} messages", heard + 3);
        assert!(ran.err.contains(&said), "{said}: {}", ran.err);
    }
}
