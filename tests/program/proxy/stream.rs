//! The stream comes out as it went in, both ways at once, whatever the readers do.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::{Home, KEY, PATIENCE, Target, pattern, rest};

const KIB_16: usize = 16 << 10;

#[test]
fn every_length_comes_back_as_it_went() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "");
    for length in [0, 1, 2, KIB_16 - 1, KIB_16, KIB_16 + 1, 2 * KIB_16, 3 * KIB_16 + 1] {
        let (mut stream, sent) = (chain.dial(), pattern(1, length));
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(rest(&stream) == sent, "{length} bytes");
        target.ended().unwrap();
    }
}

#[test]
fn bytes_that_come_one_by_one_are_carried_one_by_one() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "");
    let mut stream = chain.dial();
    stream.set_nodelay(true).unwrap();
    for byte in 0..=u8::MAX {
        stream.write_all(&[byte]).unwrap();
        let mut back = [0];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, [byte]);
    }
}

/// Sends all of it, and the end.
fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)
}

/// Sends as much as is taken before nothing was taken for a while. Returns how much.
fn send_until_blocked(mut stream: &TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    sent
}

/// Says all of one pattern and hears all of another. Nothing is read before both ends have said
/// what they can without being heard. Returns how much that was.
fn talk(stream: &TcpStream, own: u32, other: u32, length: usize, both: &Barrier) -> usize {
    let sent = pattern(own, length);
    let taken = send_until_blocked(stream, &sent);
    both.wait();
    thread::scope(|scope| {
        let writer = scope.spawn(|| send(stream, &sent[taken..]));
        assert!(rest(stream) == pattern(other, length), "{length} bytes of {other}");
        writer.join().unwrap().unwrap();
    });
    taken
}

#[test]
fn ten_megabytes_go_both_ways_at_once_and_a_slow_reader_costs_no_memory() {
    /// More than all the system's buffers between two ends that don't read.
    const FLOOD: usize = 60_000_000;
    let home = Home::with_keys(KEY);
    for length in [10_000_000, FLOOD] {
        let both = Arc::new(Barrier::new(2));
        let theirs = Arc::clone(&both);
        let target = Target::new(move |stream| {
            talk(&stream, 2, 1, length, &theirs);
            Ok(())
        });
        let chain = home.chain(&target.to(), "");
        let before = [chain.client.resident(), chain.server.resident()];
        let taken = talk(&chain.dial(), 1, 2, length, &both);
        target.ended().unwrap();
        assert!(length < FLOOD || taken < length, "a slow reader is felt by the writer");
        let after = [chain.client.peak(), chain.server.peak()];
        for (before, after) in before.into_iter().zip(after) {
            assert!(after <= before + 2048, "{before} KiB became {after} KiB");
        }
    }
}

#[test]
fn five_hundred_connections_are_carried_at_once() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "");
    let mut streams: Vec<_> = (0..500).map(|_| chain.dial()).collect();
    for round in 0..3 {
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.write_all(format!("{number}.{round};").as_bytes()).unwrap();
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let expected = format!("{number}.{round};");
            let mut back = vec![0; expected.len()];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, expected.as_bytes());
        }
    }
    for stream in &streams {
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(stream), b"");
    }
    drop(streams);
    for proxy in [chain.client, chain.server] {
        let ran = proxy.stop();
        assert!(ran.err.contains("stopped; 500 connections, "), "{}", ran.err);
        assert_eq!(ran.err.matches("closed: finished").count(), 500);
    }
}
