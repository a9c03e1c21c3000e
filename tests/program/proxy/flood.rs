//! A far end that holds the key, and asks for more than it takes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use countersign::session::{Event, SessionCore};
use countersign::{ClientConfig, Key, KeyRing, KeyRingExt as _};

use super::{Home, KEY, PATIENCE, Target, dial};

/// What a record of a ping begins with.
const PING: u8 = 0x11;

/// A far end of the test's own.
struct Far {
    stream: TcpStream,
    config: ClientConfig,
    session: SessionCore,
}

impl Far {
    /// One that has called, and been let in.
    fn new(address: &str) -> Self {
        let key = Key::new("default", b"sixteen-bytes-and-more").unwrap();
        let config = ClientConfig::from(KeyRing::from_key(key).unwrap());
        let session = SessionCore::client(&config, Duration::ZERO, [6; 32]).unwrap();
        let mut far = Self { stream: dial(address), config, session };
        // Its word and the proof: the call is answered by 32 bytes and a hello.
        far.hear(&[]);
        let mut inbox = [0; 1024];
        let length = far.stream.read(&mut inbox).unwrap();
        assert_eq!(far.hear(&inbox[..length]), 1, "the server has proved itself");
        far
    }

    /// Takes what has arrived, and answers. Returns the number of events.
    fn hear(&mut self, mut input: &[u8]) -> usize {
        let (mut words, mut events) = (Vec::new(), 0);
        while let Some(event) =
            self.session.next(&self.config, Duration::ZERO, &mut input, &mut words).unwrap()
        {
            assert!(matches!(event, Event::Open(_) | Event::Control | Event::Message(_)));
            events += 1;
        }
        assert_eq!(self.session.seal(&mut words), Ok(words.len()));
        self.stream.write_all(&words).unwrap();
        events
    }

    /// So many pings, as they are sent.
    fn pings(&mut self, number: usize) -> Vec<u8> {
        let mut pings = Vec::new();
        for _ in 0..number {
            let start = pings.len();
            self.session.form(&self.config).frame(&[b'?'; 125], &mut pings);
            pings[start] = PING;
        }
        assert_eq!(self.session.seal(&mut pings), Ok(pings.len()));
        pings
    }
}

#[test]
fn who_pings_and_hears_nothing_is_answered_within_bounds() {
    const PINGS: usize = 200_000;
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let server = home.proxy("server", &target.to(), "");
    let mut far = Far::new(server.address());
    let before = server.resident();
    let pings = far.pings(PINGS);
    far.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    while sent < pings.len() {
        match far.stream.write(&pings[sent..]) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent < pings.len(), "it isn't read while it doesn't read");
    let after = server.peak();
    assert!(after <= before + 1024, "{before} KiB became {after} KiB");
    // Once it listens, all of them are answered, and its stream goes on.
    far.stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut writer = far.stream.try_clone().unwrap();
    let last = pings[sent..].to_vec();
    let writing = std::thread::spawn(move || writer.write_all(&last).unwrap());
    let (mut pongs, mut inbox) = (0, vec![0; 1 << 16]);
    while pongs < PINGS {
        let length = far.stream.read(&mut inbox).unwrap();
        assert!(length > 0, "{pongs} of {PINGS}");
        pongs += far.hear(&inbox[..length]);
    }
    writing.join().unwrap();
    assert_eq!(pongs, PINGS);
}
