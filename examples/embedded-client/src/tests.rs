//! The client over a transport that a test moves byte by byte.

use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use countersign_proto::{ClientConfig, Event, Key, KeyRing, RingSecrets, SendError, Session};
use embassy_futures::block_on;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use crate::{Client, Error};

/// A server that returns each message, at the other end of a slow line.
#[derive(Debug)]
struct Line {
    server: Session,
    /// What is under way to the client.
    bytes: Vec<u8>,
    /// How many bytes pass at once.
    pace: usize,
    /// Which of the bytes to the client the line damages, counted from the first.
    damages: Option<usize>,
    passed: usize,
}

fn ring(secret: &[u8], random: u8) -> KeyRing {
    let key = Key::new("garden", secret).unwrap();
    KeyRing::new(RingSecrets::new([random; 48])).with(key).unwrap()
}

fn line(pace: usize) -> Line {
    let server = Session::server(ring(b"sixteen bytes or more", 1), [2; 32]);
    Line { server, bytes: Vec::new(), pace, damages: None, passed: 0 }
}

fn connect(line: Line, secret: &[u8]) -> Result<Client<Line>, Error<ErrorKind>> {
    let config = ClientConfig::from(ring(secret, 3));
    block_on(Client::connect(line, config, Duration::ZERO, [4; 32]))
}

impl Line {
    fn serve(&mut self, mut input: &[u8]) {
        let mut messages = Vec::new();
        while let Ok(Some(event)) = self.server.process(Duration::ZERO, &mut input, &mut self.bytes)
        {
            match event {
                Event::Message(message) => messages.push(message.bytes.to_vec()),
                Event::Finished => {
                    self.server.finish(&mut self.bytes);
                    break;
                }
                _ => {}
            }
            for message in messages.drain(..) {
                self.server.send(&message, &mut self.bytes).unwrap();
            }
        }
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl Read for Line {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        let length = self.pace.min(into.len()).min(self.bytes.len());
        for (to, byte) in into.iter_mut().zip(self.bytes.drain(..length)) {
            *to = byte ^ u8::from(self.damages == Some(self.passed));
            self.passed += 1;
        }
        Ok(length)
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let (now, _) = bytes.split_at(self.pace.min(bytes.len()));
        self.serve(now);
        Ok(now.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[test]
fn messages_return_however_slow_the_line_is() {
    for pace in [1, 2, 7, 100, 10_000] {
        let mut client = connect(line(pace), b"sixteen bytes or more").unwrap();
        for length in [0_usize, 1, 32, 255, 256, 257, 5000] {
            let message = vec![length.to_le_bytes()[0]; length];
            block_on(client.send(&message)).unwrap();
            assert_eq!(block_on(client.receive()).unwrap(), Some(&message[..]), "pace {pace}");
        }
        block_on(client.finish()).unwrap();
    }
}

#[test]
fn messages_that_come_together_are_received_one_by_one() {
    let mut client = connect(line(10_000), b"sixteen bytes or more").unwrap();
    for message in ["one", "two", "three"] {
        block_on(client.send(message.as_bytes())).unwrap();
    }
    for message in ["one", "two", "three"] {
        assert_eq!(block_on(client.receive()).unwrap(), Some(message.as_bytes()));
    }
}

#[test]
fn another_key_is_refused() {
    let error = connect(line(100), b"another secret, as long").unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert_eq!(error.to_string(), "the proof matches no key");
}

#[test]
fn what_is_damaged_is_not_received() {
    let mut whole = connect(line(100), b"sixteen bytes or more").unwrap();
    let handshake = whole.transport.passed;
    block_on(whole.send(b"hello")).unwrap();
    assert!(block_on(whole.receive()).unwrap().is_some());
    for damages in handshake..whole.transport.passed {
        let damaged = Line { damages: Some(damages), ..line(100) };
        let mut client = connect(damaged, b"sixteen bytes or more").unwrap();
        block_on(client.send(b"hello")).unwrap();
        assert!(block_on(client.receive()).is_err(), "byte {damages}");
    }
}

#[test]
fn a_message_that_is_too_long_leaves_the_connection_as_it_was() {
    let mut client = connect(line(10_000), b"sixteen bytes or more").unwrap();
    let error = block_on(client.send(&vec![0; 1 << 24])).unwrap_err();
    assert!(matches!(error, Error::Send(SendError::TooLong)), "{error:?}");
    block_on(client.send(b"hello")).unwrap();
    assert_eq!(block_on(client.receive()).unwrap(), Some(&b"hello"[..]));
}

#[test]
fn the_end_of_the_stream_is_an_error() {
    let mut client = connect(line(100), b"sixteen bytes or more").unwrap();
    let error = block_on(client.receive()).unwrap_err();
    assert_eq!(error.to_string(), "the stream was truncated");
}
