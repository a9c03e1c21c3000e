//! Unix sockets: all that is spoken over TCP is spoken there too, and at the same time.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use countersign::services::Echo;
use countersign::stats::Counters;
use countersign::{
    Address, Client as Blocking, ClientError, CloseReason, Dialect, Framing, Key, KeyRing,
    KeyRingExt as _, Limits, ListenerConfig, Peer, PeerAddress, Refusal, Reply, Server, Service,
};

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, Client, End, IN_LINES, PATIENCE, bracket, kind_of, ring, speaking};
use crate::reading::{KEPT_MAX, numbered, say_until_blocked};
use crate::server_thread::ServerThread;
use crate::unix_files::Folder;

/// More than the system's buffers take at both ends, and what a connection may keep.
const MUCH: usize = 4 << 20;

/// A server at a TCP port and at the Unix socket of a folder.
fn start<S>(folder: &Folder, protocol: &BothEnds, limits: Limits, service: S) -> ServerThread
where
    S: Service + Send + 'static,
{
    let addresses = vec![folder.address("socket")];
    ServerThread::start_also_at(addresses, protocol.clone(), limits, service)
}

/// Rings that hold the same key, each a program's own.
fn keyed(dialect: Dialect, framing: Framing) -> BothEnds {
    let key = Key::new("key", b"sixteen bytes or more").unwrap().with_dialect(dialect);
    let ends = BothEnds::new(dialect, KeyRing::from_key(key).unwrap());
    // That one has its own.
    if dialect == Dialect::Multiprocessing { ends } else { ends.with_framing(framing) }
}

#[test]
fn every_dialect_and_framing_is_spoken_there_and_over_tcp_at_once() {
    for dialect in Dialect::ALL.iter().copied() {
        for framing in Framing::ALL.iter().copied() {
            let folder = Folder::new();
            let server = start(&folder, &keyed(dialect, framing), Limits::default(), Echo);
            let addresses = [folder.address("socket"), server.address.into()];
            let mut clients = addresses.clone().map(|address| {
                let client = Blocking::connect(&address, keyed(dialect, framing)).unwrap();
                assert_eq!(client.address(), &address);
                client
            });
            for message in [&b"a"[..], b"hello", &[b'x'; 1000]] {
                for client in &mut clients {
                    assert_eq!(client.ask(message).unwrap(), message, "{dialect} {framing}");
                }
            }
            for mut client in clients {
                client.finish().unwrap();
                assert_eq!(client.receive().unwrap(), None, "{dialect} {framing}");
            }
            let counters = server.stop();
            assert_eq!(counters.closed(CloseReason::Finished), 2, "{dialect} {framing}");
        }
    }
}

#[test]
fn a_wrong_key_is_refused_and_the_right_one_is_let_in() {
    for dialect in [Dialect::Countersign, Dialect::Raw, Dialect::Hex] {
        let folder = Folder::new();
        let server = start(&folder, &keyed(dialect, Framing::Lines), Limits::default(), Echo);
        let wrong = BothEnds::new(dialect, ring("another secret of some length"));
        let error = Blocking::connect(folder.address("socket"), wrong)
            .and_then(|mut client| client.ask(b"let me in").map(<[u8]>::to_vec))
            .unwrap_err();
        match dialect {
            Dialect::Countersign => assert!(matches!(error, ClientError::Unproven), "{error:?}"),
            _ => assert!(matches!(error, ClientError::Refused), "{error:?}"),
        }
        let right = keyed(dialect, Framing::Lines);
        let mut client = Blocking::connect(folder.address("socket"), right).unwrap();
        assert_eq!(client.ask(b"hello").unwrap(), b"hello");
        let counters = server.counted();
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::WrongProof)), 1, "{dialect}");
    }
}

#[test]
fn who_takes_nothing_is_not_read_from_and_gets_every_byte_in_the_end() {
    for dialect in IN_LINES {
        let folder = Folder::new();
        let protocol = speaking(dialect);
        let server = start(&folder, &protocol, Limits::default(), Echo);
        let mut client = Client::connect_unix(folder.path("socket"));
        client.prove(&protocol);
        let lines = numbered(MUCH);
        let said = say_until_blocked(&mut client, &lines);
        assert!(said < MUCH, "{dialect}: the server has read everything");
        let Counters { bytes_in, bytes_out, .. } = server.counted();
        // What the handshake takes is little.
        assert!(bytes_in.saturating_sub(bytes_out) <= KEPT_MAX, "{dialect}: {bytes_in}");
        let mut twin = client.twin();
        let rest = lines[said..].to_vec();
        let sender = std::thread::spawn(move || {
            twin.say(&rest);
            twin.finish();
        });
        let (heard, end) = client.hear_all();
        sender.join().unwrap();
        assert!(heard == lines, "{dialect}: bytes have changed");
        assert_eq!(end, End::Fin);
        assert_eq!(server.stop().closed(CloseReason::Finished), 1, "{dialect}");
    }
}

#[test]
fn the_last_reply_reaches_who_has_said_more_than_was_read() {
    let leave = |message: &[u8], reply: &mut Reply<'_>| {
        reply.message(message);
        reply.close();
    };
    let folder = Folder::new();
    let server = start(&folder, &BothEnds::open(), Limits::default(), leave);
    for _ in 0..50 {
        let mut client = Client::connect_unix(folder.path("socket"));
        client.try_to_say(&[&b"only this\n"[..], &b"too late\n".repeat(10_000)].concat());
        client.finish();
        assert_eq!(client.hear_all(), (b"only this\n".to_vec(), End::Fin));
    }
    assert_eq!(server.stop().closed(CloseReason::ClosedByService), 50);
}

#[test]
fn who_hangs_up_on_replies_is_gone_and_harms_nobody() {
    let folder = Folder::new();
    let server = start(&folder, &BothEnds::open(), Limits::default(), bracket);
    for _ in 0..50 {
        let mut client = Client::connect_unix(folder.path("socket"));
        client.say(&b"line\n".repeat(1000));
        client.hear(10);
    }
    let mut client = Client::connect_unix(folder.path("socket"));
    client.say(b"a\n");
    client.expect(b"[a]\n");
    server.until("gone", |counters| counters.open() == 1);
}

/// Answers with where the peer came from.
struct Whence;

impl Service for Whence {
    type State = PeerAddress;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> PeerAddress {
        peer.address()
    }

    fn message(&mut self, from: &mut PeerAddress, _message: &[u8], reply: &mut Reply<'_>) {
        reply.message(from.to_string().as_bytes());
    }
}

#[test]
fn a_peer_has_no_address_but_that_it_is_here() {
    let folder = Folder::new();
    let server = start(&folder, &BothEnds::open(), Limits::default(), Whence);
    let mut client = Client::connect_unix(folder.path("socket"));
    client.say(b"whence?\n");
    client.expect(b"unix\n");
    let mut client = Client::connect(server.address);
    client.say(b"whence?\n");
    let own = client.0.local_addr().unwrap();
    client.expect(format!("{own}\n").as_bytes());
}

fn throttled(counters: &Counters) -> u64 {
    counters.closed(CloseReason::Refused(Refusal::Throttled))
}

#[test]
fn all_who_come_that_way_are_one_place() {
    let limits = Limits {
        failure_burst: 0,
        failure_limit: 1,
        failure_delay: Duration::ZERO,
        failure_decay: Duration::from_secs(3600),
        unauthenticated_per_address: 1,
        ..Limits::default()
    };
    let folder = Folder::new();
    let protocol = speaking(Dialect::Raw);
    let server = start(&folder, &protocol, limits, bracket);
    for _ in 0..2 {
        let mut client = Client::connect_unix(folder.path("socket"));
        client.hear(CHALLENGE);
        client.say(&[0; 32]);
        assert_eq!(client.hear_all().0, b"");
    }
    let mut late = Client::connect_unix(folder.path("socket"));
    assert_ne!(late.hears_within(PATIENCE), Some(true));
    // The others have nothing to do with it.
    Client::enter(server.address, &protocol);
    assert_eq!(throttled(&server.stop()), 1);
}

#[test]
fn a_listener_from_elsewhere_is_taken_as_it_is() {
    let folder = Folder::new();
    let own = UnixListener::bind(folder.path("own")).unwrap();
    // Somebody may have called before the server was there.
    let mut client = Client::connect_unix(folder.path("own"));
    client.say(b"early\n");
    let listener =
        ListenerConfig::new(BothEnds::open()).with_socket(own).bind("127.0.0.1:0").unwrap();
    let mut server = Server::new([listener], bracket).unwrap();
    assert_eq!(server.addresses()[0], folder.address("own"));
    while server.counters().messages == 0 {
        server.turn(Some(PATIENCE)).unwrap();
    }
    client.expect(b"[early]\n");
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_no_file_is_served_too() {
    let name = format!("unix:@countersign-test-{}", std::process::id());
    let mut server = Server::bind(&name, BothEnds::open(), Echo).unwrap();
    assert_eq!(server.addresses()[0].to_string(), name);
    let handle = server.handle();
    let running = std::thread::spawn(move || server.run().unwrap());
    let mut client = Blocking::connect(&name, BothEnds::open()).unwrap();
    assert_eq!(client.ask(b"hello").unwrap(), b"hello");
    let error = Server::bind(&name, BothEnds::open(), Echo).unwrap_err();
    assert_eq!(kind_of(&error), std::io::ErrorKind::AddrInUse);
    handle.stop().unwrap();
    running.join().unwrap();
}

#[test]
fn where_nobody_listens_a_client_hears_why() {
    use std::io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
    let folder = Folder::new();
    drop(UnixListener::bind(folder.path("stale")).unwrap());
    let long = "x".repeat(200);
    let cases = [("nothing", NotFound), ("stale", ConnectionRefused), (&long, InvalidInput)];
    for (name, kind) in cases {
        let error = Blocking::connect(folder.address(name), BothEnds::open()).unwrap_err();
        match error {
            ClientError::Io(error) => assert_eq!(error.kind(), kind, "{name}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_server_without_room_is_waited_for_in_vain_no_longer_than_was_said() {
    let folder = Folder::new();
    let full = UnixListener::bind(folder.path("socket")).unwrap();
    socket2::SockRef::from(&full).listen(0).unwrap();
    let _waiting = Client::connect_unix(folder.path("socket"));
    let within = Duration::from_millis(100);
    let address: Address = folder.address("socket");
    let error = Blocking::connect_within(address, BothEnds::open(), within).unwrap_err();
    assert!(
        matches!(&error, ClientError::Io(io) if io.kind() == std::io::ErrorKind::TimedOut),
        "{error:?}"
    );
}
