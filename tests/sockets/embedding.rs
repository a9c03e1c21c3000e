//! A server inside somebody else's loop.

use std::error::Error as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use countersign::services::Echo;
use countersign::{
    Address, BindError, CloseReason, Dialect, Limits, ListenerConfig, Peer, PeerId, Refusal, Reply,
};
use countersign::{Server, Service, TellError};

use crate::both_ends::BothEnds;
use crate::common::{Client, End, PATIENCE, bracket, id_of, ring, speaking, turn_until};

/// Remembers who came, and answers with its key's name and the message.
#[derive(Default)]
struct Register {
    peers: Vec<PeerId>,
    left: Vec<CloseReason>,
}

impl Service for Register {
    type State = ();

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) {
        self.peers.push(peer.id());
    }

    fn message(&mut self, (): &mut (), message: &[u8], reply: &mut Reply<'_>) {
        reply.message(message);
    }

    fn close(&mut self, (): (), why: CloseReason) {
        self.left.push(why);
    }
}

/// A client that is in.
fn let_in<S: Service>(server: &mut Server<S>, protocol: &BothEnds) -> Client {
    let (came, proved) = (server.counters().accepted, server.counters().authenticated);
    let mut client = Client::connect(server.addresses()[0].ip().unwrap());
    turn_until(server, |server| server.counters().accepted > came);
    client.prove(protocol);
    turn_until(server, |server| server.counters().authenticated > proved);
    client
}

#[test]
fn a_turn_with_no_time_to_wait_returns_at_once_and_has_nothing_to_do() {
    let mut server = Server::bind("127.0.0.1:0", BothEnds::open(), Echo).unwrap();
    while server.turn(Some(Duration::ZERO)).unwrap() > 0 {}
    assert_eq!(server.turn(Some(Duration::ZERO)).unwrap(), 0);
    assert_eq!(server.deadline(), None, "nobody is there, so nothing is due");
}

#[test]
fn a_listener_of_the_host_s_is_taken_as_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Somebody may have called before the server was there.
    let mut client = Client::connect(address);
    client.say(b"early\n");
    let mut server = Server::from_std(listener, BothEnds::open(), bracket).unwrap();
    assert_eq!(server.addresses(), [address.into()]);
    turn_until(&mut server, |server| server.counters().messages == 1);
    client.expect(b"[early]\n");
}

#[test]
fn several_listeners_are_one_server() {
    let own = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = || ListenerConfig::new(BothEnds::open()).bind("127.0.0.1:0").unwrap();
    // Not every machine has IPv6.
    let listener = here().bind("[::1]:0").unwrap_or_else(|_| {
        eprintln!("SKIP the half of several_listeners_are_one_server that is for ::1: no IPv6");
        here()
    });
    let mut server = Server::new([listener.with_socket(own)], bracket).unwrap();
    let addresses = server.addresses();
    let ips = addresses.iter().filter_map(Address::ip);
    let mut clients: Vec<Client> = ips.map(Client::connect).collect();
    clients.iter_mut().for_each(|client| client.say(b"a\n"));
    turn_until(&mut server, |server| server.counters().messages == addresses.len() as u64);
    clients.iter_mut().for_each(|client| client.expect(b"[a]\n"));
}

#[test]
fn a_server_without_a_key_that_serves_its_dialect_is_an_error() {
    let nobody = BothEnds::new(
        Dialect::Raw,
        <countersign::KeyRing as countersign::KeyRingExt>::empty().unwrap(),
    );
    let error = Server::bind("127.0.0.1:0", nobody, Echo).unwrap_err();
    assert!(matches!(error, BindError::NoUsableKey(_)), "{error}");
    assert!(error.source().is_none(), "{error:?}");
}

#[test]
fn the_host_tells_a_peer_something_of_its_own_accord() {
    let protocol = speaking(Dialect::Raw);
    let mut server = Server::bind("127.0.0.1:0", protocol.clone(), Register::default()).unwrap();
    let mut client = let_in(&mut server, &protocol);
    let peer = server.service().peers[0];
    // In the middle of a message of the peer's, too: the directions don't depend on each other.
    client.say(b"half a ");
    turn_until(&mut server, |server| server.counters().bytes_in == 32 + 7);
    assert_eq!(server.tell(peer, b"news"), Ok(()));
    client.expect(b"news\n");
    client.say(b"line\n");
    turn_until(&mut server, |server| server.counters().messages == 1);
    client.expect(b"half a line\n");
    drop(client);
    turn_until(&mut server, |server| server.counters().open() == 0);
    assert_eq!(server.tell(peer, b"news"), Err(TellError::Gone));
    // The next one has the same slot, and another name.
    let mut next = let_in(&mut server, &protocol);
    assert_eq!(server.tell(peer, b"for somebody else"), Err(TellError::Gone));
    let name = server.service().peers[1];
    assert_ne!(name, peer);
    assert_eq!(server.tell(name, b"yours"), Ok(()));
    next.expect(b"yours\n");
}

#[test]
fn a_peer_that_takes_nothing_is_full_and_gets_what_was_accepted_whole() {
    let mut server = Server::bind("127.0.0.1:0", BothEnds::open(), Register::default()).unwrap();
    let mut client = let_in(&mut server, &BothEnds::open());
    let peer = server.service().peers[0];
    let mut expected = Vec::new();
    let full = (0..10_000).find_map(|number| {
        let message = format!("{number:0>30000}");
        let told = server.tell(peer, message.as_bytes());
        if told.is_ok() {
            expected.extend_from_slice(message.as_bytes());
            expected.push(b'\n');
        }
        told.err()
    });
    assert_eq!(full, Some(TellError::Full));
    assert_eq!(server.tell(peer, &[b'x'; 100_000]), Err(TellError::TooLong), "past reply_max");
    assert_eq!(server.tell(peer, b"two\nlines"), Err(TellError::Unsendable));
    let length = expected.len();
    let reader = thread::spawn(move || (client.hear(length), client));
    turn_until(&mut server, |server| server.counters().bytes_out == length as u64);
    let (heard, mut client) = reader.join().unwrap();
    assert!(heard == expected, "bytes have changed");
    // And there is room again.
    assert_eq!(server.tell(peer, b"more"), Ok(()));
    client.expect(b"more\n");
}

#[test]
fn the_host_closes_a_connection_at_once_and_no_other() {
    let protocol = speaking(Dialect::Raw);
    let mut server = Server::bind("127.0.0.1:0", protocol.clone(), Register::default()).unwrap();
    let [mut client, mut other] = [(); 2].map(|()| let_in(&mut server, &protocol));
    let peer = server.service().peers[0];
    assert!(server.dismiss(peer));
    assert_eq!(server.service().left, [CloseReason::ClosedByService]);
    assert_eq!(client.hear_all(), (Vec::new(), End::Fin));
    assert!(!server.dismiss(peer), "it is closed already");
    assert_eq!(server.tell(server.service().peers[1], b"still here"), Ok(()));
    other.expect(b"still here\n");
}

#[test]
fn nobody_is_told_anything_before_the_proof_or_after_the_end_has_begun() {
    let protocol = speaking(Dialect::Raw);
    let mut server = Server::bind("127.0.0.1:0", protocol.clone(), Register::default()).unwrap();
    let mut client = let_in(&mut server, &protocol);
    let peer = server.service().peers[0];
    server.handle().drain().unwrap();
    server.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(server.tell(peer, b"too late"), Err(TellError::Gone));
    assert_eq!(client.hear_all(), (Vec::new(), End::Fin));
    drop(client);
    server.run().unwrap();
    assert_eq!(server.service().left, [CloseReason::Stopped]);
}

#[test]
fn other_keys_are_for_newcomers_and_those_who_are_in_stay() {
    let old = speaking(Dialect::Raw);
    let new = BothEnds::new(Dialect::Raw, ring("the secret of the next year"));
    let mut server = Server::bind("127.0.0.1:0", old.clone(), Register::default()).unwrap();
    let mut inside = let_in(&mut server, &old);
    // This one has its challenge, and comes too late with the old key.
    let mut late = Client::connect(server.addresses()[0].ip().unwrap());
    turn_until(&mut server, |server| server.counters().accepted == 2);
    let proof = late.proof(&old);
    let id = id_of(&server, 0);
    server.replace_keys(id, ring("the secret of the next year")).unwrap();
    late.say(&proof);
    let wrong = CloseReason::Refused(Refusal::WrongProof);
    turn_until(&mut server, |server| server.counters().closed(wrong) == 1);
    assert_eq!(late.hear_all().0, b"");
    let mut newcomer = let_in(&mut server, &new);
    for client in [&mut inside, &mut newcomer] {
        let before = server.counters().messages;
        client.say(b"a\n");
        turn_until(&mut server, |server| server.counters().messages > before);
        client.expect(b"a\n");
    }
}

#[test]
fn a_wake_ends_a_wait_that_nothing_else_would_end() {
    let mut server = Server::bind("127.0.0.1:0", BothEnds::open(), Echo).unwrap();
    let handle = server.handle();
    let (returning, returned) = mpsc::channel();
    let waiting = thread::spawn(move || {
        server.turn(None).unwrap();
        returning.send(()).unwrap();
    });
    handle.wake().unwrap();
    returned.recv_timeout(PATIENCE).expect("the turn goes on");
    waiting.join().unwrap();
}

#[test]
fn a_descriptor_of_the_host_s_ends_a_wait_as_often_as_something_arrives() {
    let mut server = Server::bind("127.0.0.1:0", BothEnds::open(), Echo).unwrap();
    let (mut ours, watched) = UnixStream::pair().unwrap();
    server.wake_on(watched).unwrap();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || while server.turn(None).is_ok() && ended.send(()).is_ok() {});
    // The first turns look for callers that came before anybody watched.
    while end.recv_timeout(Duration::from_millis(200)).is_ok() {}
    for _ in 0..2 {
        ours.write_all(b"x").unwrap();
        end.recv_timeout(PATIENCE).unwrap();
        assert!(end.recv_timeout(Duration::from_millis(100)).is_err(), "it spins");
    }
}

#[test]
fn a_busy_server_answers_and_heeds_its_deadlines() {
    let limits = Limits { idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let listener =
        ListenerConfig::new(BothEnds::open()).with_limits(limits).bind("127.0.0.1:0").unwrap();
    let mut server = Server::new([listener], Echo).unwrap();
    server.set_busy_poll(Duration::from_secs(60));
    let mut client = Client::connect(server.addresses()[0].ip().unwrap());
    client.say(b"hello\n");
    // Without an end to its spinning, a turn would not come back for a minute.
    turn_until(&mut server, |server| server.counters().messages == 1);
    client.expect(b"hello\n");
    turn_until(&mut server, |server| server.counters().bytes_out == 6);
    client.finish();
    turn_until(&mut server, |server| server.counters().open() == 0);
}

#[test]
fn the_service_hears_how_each_connection_ended() {
    let mut server = Server::bind("127.0.0.1:0", BothEnds::open(), Register::default()).unwrap();
    let client = let_in(&mut server, &BothEnds::open());
    client.finish();
    turn_until(&mut server, |server| server.service().left == [CloseReason::Finished]);
    let_in(&mut server, &BothEnds::open()).reset();
    turn_until(&mut server, |server| {
        server.service().left == [CloseReason::Finished, CloseReason::Reset]
    });
}

#[test]
fn a_ring_that_was_cloned_into_both_ends_says_why_they_do_not_talk() {
    let text = b"garden text:sixteen-bytes-and-more";
    let ring = <countersign::KeyRing as countersign::KeyRingExt>::parse(text).unwrap();
    let mut server = Server::bind("127.0.0.1:0", ring.clone(), Echo).unwrap();
    let (address, handle) = (server.addresses()[0].to_string(), server.handle());
    let served = std::thread::spawn(move || server.run());
    let connect = |ring| countersign::Client::connect_within(&*address, ring, PATIENCE);
    let error = connect(ring).unwrap_err();
    assert!(matches!(error, countersign::ClientError::SameRing), "{error:?}");
    assert!(error.to_string().contains("read or parse the keys again for the client"));
    // One that was read once more is another end, and so is any other client's.
    let mut client =
        connect(<countersign::KeyRing as countersign::KeyRingExt>::parse(text).unwrap()).unwrap();
    assert_eq!(client.ask(b"a").unwrap(), b"a");
    drop(client);
    handle.drain().unwrap();
    served.join().unwrap().unwrap();
}
