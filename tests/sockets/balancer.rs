//! Behind a balancer: the header of the PROXY protocol comes before everything else, and what it
//! says is what counts.

use std::net::SocketAddr;
use std::time::Duration;

use countersign::stats::Counters;
use countersign::testing::TestServer;
use countersign::{
    Access, CloseReason, Dialect, ForeignProtocol, Limits, Listener, ListenerConfig, Peer, Refusal,
    Reply, Server, Service,
};

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, Client, PATIENCE, bracket, now, speaking, turn_until};
use crate::server_thread::ServerThread;
use crate::unix_files::Folder;

const A_MOMENT: Duration = Duration::from_millis(50);

const LONG: Duration = Duration::from_secs(3600);

/// One failure delays whoever comes next from its network, and a drain is in no hurry.
fn patient() -> Limits {
    Limits {
        failure_burst: 0,
        failure_delay: LONG,
        failure_decay: LONG,
        drain_timeout: LONG,
        ..Limits::default()
    }
}

/// Answers each message with where the peer came from.
struct Whence;

impl Service for Whence {
    type State = String;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> String {
        peer.address().to_string()
    }

    fn message(&mut self, address: &mut String, _message: &[u8], reply: &mut Reply<'_>) {
        reply.message(address.as_bytes());
    }
}

/// A listener of which 127.0.0.1 and 127.0.0.2 are the balancers.
fn behind(protocol: BothEnds, limits: Limits) -> ListenerConfig {
    let balancers = "127.0.0.1,127.0.0.2".parse().unwrap();
    ListenerConfig::new(protocol)
        .with_limits(limits)
        .with_proxies(balancers)
        .bind("127.0.0.1:0")
        .unwrap()
}

/// A header of version 1 for 192.0.2.HOST.
fn line(host: u8) -> Vec<u8> {
    format!("PROXY TCP4 192.0.2.{host} 198.51.100.1 4200 9527\r\n").into()
}

/// One of version 2: what it is, how the client came, and what stands behind the front.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

/// The addresses and ports of 192.0.2.HOST and a server.
fn addresses(host: u8) -> [u8; 12] {
    [192, 0, 2, host, 198, 51, 100, 1, 0x10, 0x68, 0x25, 0x37]
}

/// Calls, and is 192.0.2.HOST.
fn call(host: u8, address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    client.say(&line(host));
    client
}

fn closed(counters: &Counters, why: Refusal) -> u64 {
    counters.closed(CloseReason::Refused(why))
}

#[test]
fn the_peers_address_is_the_one_that_the_header_names() {
    let server = ServerThread::start_at(behind(BothEnds::open(), Limits::default()), Whence);
    let six = b"PROXY TCP6 2001:db8::7 2001:db8::1 4200 9527\r\n".to_vec();
    let fields = [&addresses(7)[..], &[0xe0, 0, 2, 1, 2]].concat();
    let mut ipv6 = vec![0; 36];
    ipv6[..16].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    ipv6[32..34].copy_from_slice(&[0x10, 0x68]);
    let cases = [
        (line(7), "192.0.2.7:4200"),
        (six, "[2001:db8::7]:4200"),
        (binary(0x21, 0x11, &addresses(7)), "192.0.2.7:4200"),
        (binary(0x21, 0x11, &fields), "192.0.2.7:4200"),
        (binary(0x21, 0x21, &ipv6), "[2001:db8::7]:4200"),
        (binary(0x21, 0x31, &[0; 216]), "unix"),
        // A health check of the balancer's own.
        (binary(0x20, 0x00, &[]), "127.0.0.1:"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1:"),
    ];
    for (header, from) in cases {
        let mut glued = Client::connect(server.address);
        glued.say(&[&header[..], b"whence?\n"].concat());
        glued.expect(from.as_bytes());
        let mut dripping = Client::connect_from(2, server.address);
        for byte in &header {
            dripping.say(&[*byte]);
        }
        dripping.say(b"whence?\n");
        dripping.expect(from.replace("127.0.0.1", "127.0.0.2").as_bytes());
    }
}

#[test]
fn nothing_is_said_before_the_header_is_whole() {
    for dialect in [Dialect::Raw, Dialect::Hex, Dialect::Open] {
        let protocol = speaking(dialect);
        let server = ServerThread::start_at(behind(protocol.clone(), Limits::default()), Greeter);
        for header in [line(7), binary(0x21, 0x11, &addresses(7)), binary(0x20, 0, &[])] {
            let (last, front) = header.split_last().unwrap();
            let mut client = Client::connect(server.address);
            client.say(front);
            assert_eq!(client.hears_within(A_MOMENT), None, "{dialect}");
            client.say(&[*last]);
            client.prove(&protocol);
            client.expect(b"[hello]\n");
        }
    }
}

/// Speaks first.
struct Greeter;

impl Service for Greeter {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, reply: &mut Reply<'_>) {
        reply.message(b"[hello]");
    }

    fn message(&mut self, (): &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}
}

#[test]
fn only_balancers_may_connect() {
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start_at(behind(protocol, Limits::default()), bracket);
    let mut stranger = Client::connect_from(3, server.address);
    stranger.try_to_say(&line(7));
    assert_eq!(stranger.hear_all().0, b"");
    assert_eq!(call(7, server.address).hears_within(PATIENCE), Some(true));
    assert_eq!(closed(&server.stop(), Refusal::Denied), 1);
}

#[test]
fn a_balancer_may_come_by_a_unix_socket() {
    let folder = Folder::new();
    let path = format!("unix:{}", folder.path("socket").display());
    let listener = ListenerConfig::new(BothEnds::open()).with_proxies("unix".parse().unwrap());
    let listener = listener.bind("127.0.0.1:0").unwrap().bind(path.as_str()).unwrap();
    let server = ServerThread::start_at(listener, Whence);
    let mut client = Client::connect_unix(folder.path("socket"));
    client.say(&[&line(7)[..], b"whence?\n"].concat());
    client.expect(b"192.0.2.7:4200\n");
    assert_eq!(call(7, server.address).hear_all().0, b"");
}

#[test]
fn the_list_of_those_who_may_connect_is_about_clients() {
    let protocol = speaking(Dialect::Raw);
    let deny = "192.0.2.8,127.0.0.2".parse().unwrap();
    let access = Access { deny, ..Access::default() };
    let server = behind(protocol.clone(), Limits::default()).with_access(access);
    let server = ServerThread::start_at(server, bracket);
    assert_eq!(call(8, server.address).hear_all().0, b"");
    call(7, server.address).prove(&protocol);
    // Where the balancer itself is the client, it is about the balancer.
    let mut other = Client::connect_from(2, server.address);
    other.say(&line(7));
    other.prove(&protocol);
    let mut check = Client::connect_from(2, server.address);
    check.say(b"PROXY UNKNOWN\r\n");
    assert_eq!(check.hear_all().0, b"");
    assert_eq!(closed(&server.stop(), Refusal::Denied), 2);
}

#[test]
fn what_is_no_header_ends_the_connection_without_a_word() {
    for dialect in [Dialect::Countersign, Dialect::Raw, Dialect::Open] {
        let server = ServerThread::start_at(behind(speaking(dialect), Limits::default()), Greeter);
        let no_headers: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\n",
            b"\x9ecsgn/1\n",
            b"PROXY TCP4 192.0.2.7\r\n",
            &binary(0x21, 0x12, &addresses(7)),
            &binary(0x21, 0x11, &[0; 1009]),
        ];
        for said in no_headers {
            let mut client = Client::connect(server.address);
            client.try_to_say(said);
            assert_eq!(client.hear_all().0, b"", "{dialect}");
        }
        assert_eq!(closed(&server.stop(), Refusal::ProxyHeader), 5);
    }
}

#[test]
fn the_time_for_the_handshake_begins_with_the_accept_and_no_byte_moves_it() {
    let limits = Limits { handshake_timeout: Duration::from_secs(3), ..Limits::default() };
    let server = ServerThread::start_at(behind(speaking(Dialect::Raw), limits), bracket);
    let mut silent = Client::connect(server.address);
    let mut dripping = Client::connect(server.address);
    let mut located = Client::connect(server.address);
    let header = line(7);
    for byte in &header[..10] {
        dripping.say(&[*byte]);
        assert_eq!(dripping.hears_within(A_MOMENT), None);
    }
    located.say(&header);
    located.hear(CHALLENGE);
    for client in [&mut silent, &mut dripping, &mut located] {
        assert_eq!(client.hear_all().0, b"");
    }
    let counters = server.stop();
    assert_eq!(closed(&counters, Refusal::ProxyHeader), 2, "{counters:?}");
    assert_eq!(closed(&counters, Refusal::HandshakeTimeout), 1, "{counters:?}");
}

#[test]
fn a_client_that_comes_too_often_finds_no_room_and_others_of_the_same_balancer_do() {
    let limits = Limits { unauthenticated_per_address: 2, ..Limits::default() };
    let server = ServerThread::start_at(behind(speaking(Dialect::Raw), limits), bracket);
    let mut first = [(); 2].map(|()| call(7, server.address));
    for client in &mut first {
        client.hear(CHALLENGE);
    }
    assert_eq!(call(7, server.address).hear_all().0, b"");
    let mut others: Vec<Client> = (10..60).map(|host| call(host, server.address)).collect();
    for client in &mut others {
        client.hear(CHALLENGE);
    }
    assert_eq!(closed(&server.stop(), Refusal::TooManyConnections), 1);
}

#[test]
fn those_who_have_not_said_who_they_are_share_the_limit_for_all() {
    let limits = Limits {
        unauthenticated: 3,
        handshake_timeout: Duration::from_secs(2),
        ..Limits::default()
    };
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start_at(behind(protocol.clone(), limits), bracket);
    let mut silent = [(); 3].map(|()| Client::connect(server.address));
    let mut honest = call(7, server.address);
    honest.prove(&protocol);
    assert_eq!(silent[0].hear_all().0, b"", "it has waited longest");
    assert_eq!(closed(&server.stop(), Refusal::TooManyConnections), 1);
}

/// Comes by a balancer as 192.0.2.HOST, and proves wrongly once it is greeted.
fn fail(host: u8, address: SocketAddr) {
    let mut client = call(host, address);
    client.hear(CHALLENGE);
    client.say(&[0; 32]);
    assert_eq!(client.hear_all().0, b"");
}

#[test]
fn who_guesses_is_delayed_and_refused_and_others_of_the_same_balancer_are_not() {
    let delay = Duration::from_millis(400);
    let limits = Limits {
        failure_burst: 0,
        failure_limit: 2,
        failure_delay: delay,
        failure_decay: LONG,
        ..Limits::default()
    };
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start_at(behind(protocol.clone(), limits), bracket);
    fail(7, server.address);
    let began = now();
    let mut delayed = call(7, server.address);
    // What it says meanwhile is not looked at.
    delayed.say(&[b'x'; 32]);
    call(8, server.address).prove(&protocol);
    delayed.hear(CHALLENGE);
    assert!(began.elapsed() + Duration::from_millis(1) > delay);
    assert_eq!(delayed.hear_all().0, b"");
    let mut patient = call(7, server.address);
    patient.prove(&protocol);
    patient.say(b"in\n");
    patient.expect(b"[in]\n");
    fail(7, server.address);
    assert_eq!(call(7, server.address).hear_all().0, b"");
    call(8, server.address).prove(&protocol);
    let counters = server.stop();
    assert_eq!((counters.delayed, closed(&counters, Refusal::Throttled)), (3, 1));
}

#[test]
fn a_server_that_stops_waits_for_no_header_and_for_nobodys_delay() {
    let server = ServerThread::start_at(behind(speaking(Dialect::Raw), patient()), bracket);
    fail(7, server.address);
    let mut delayed = call(7, server.address);
    let mut silent = Client::connect(server.address);
    let mut cut = Client::connect(server.address);
    cut.say(&line(8)[..20]);
    server.until("all there", |counters| counters.accepted == 4 && counters.delayed == 1);
    let counters = server.stop();
    for client in [&mut delayed, &mut silent, &mut cut] {
        assert_eq!(client.hear_all().0, b"");
    }
    assert_eq!(counters.closed(CloseReason::Stopped), 3);
}

#[test]
fn unfinished_headers_are_held_within_their_limit() {
    let limits = Limits { buffered_max: 10_000, ..Limits::default() };
    let mut server = Server::new([behind(speaking(Dialect::Raw), limits)], bracket).unwrap();
    let address = server.addresses()[0].ip().unwrap();
    let whole = binary(0x21, 0x11, &[&addresses(7)[..], &[0; 1024 - 28]].concat());
    assert_eq!(whole.len(), 1024);
    let mut held = Vec::new();
    // Each takes two blocks.
    for count in 1..=4 {
        let mut client = Client::connect(address);
        client.say(&whole[..1023]);
        turn_until(&mut server, |server| server.listeners()[0].bytes_buffered() == 2048 * count);
        held.push(client);
    }
    let mut last = Client::connect(address);
    last.say(&whole[..1023]);
    turn_until(&mut server, |server| server.counters().closed(CloseReason::Overloaded) == 1);
    assert!(held.remove(0).hear_all().0.is_empty(), "the oldest makes room");
    held.push(last);
    assert!(server.listeners()[0].bytes_buffered() <= 10_000);
    // With the last byte nothing of it is kept.
    for client in &mut held {
        client.say(&whole[1023..]);
    }
    turn_until(&mut server, |server| server.listeners()[0].bytes_buffered() == 0);
    held[0].hear(CHALLENGE);
}

#[test]
fn where_nobody_is_a_balancer_a_header_is_a_strangers() {
    let server = ServerThread::start(speaking(Dialect::Countersign), Limits::default(), bracket);
    for header in [line(7), binary(0x21, 0x11, &addresses(7))] {
        let mut client = Client::connect(server.address);
        client.say(&header);
        assert_eq!(client.hear_all().0, b"");
    }
    assert_eq!(closed(&server.stop(), Refusal::Foreign(ForeignProtocol::Proxy)), 2);
}

/// A server at which a client has guessed behind a balancer, so that the next one is delayed.
fn guessed() -> TestServer<impl Service> {
    let listener =
        Listener::new(speaking(Dialect::Raw), patient()).with_proxies("127.0.0.1".parse().unwrap());
    let mut server = TestServer::new([listener], bracket).unwrap();
    let guesser = server.connect();
    server.send(&guesser, &[&line(7)[..], &[0; CHALLENGE]].concat());
    server.finish(&guesser);
    assert_eq!(closed(&server.engine.counters(), Refusal::WrongProof), 1);
    server
}

#[test]
fn a_client_that_is_delayed_gains_nothing_by_an_early_proof() {
    let mut server = guessed();
    let early = server.connect();
    server.send(&early, &line(7));
    server.send(&early, &[0; CHALLENGE]);
    server.pass(LONG - Duration::from_millis(1));
    assert!(early.take().is_empty() && !early.is_shut());
    server.pass(Duration::from_millis(1));
    assert_eq!((early.take().len(), early.is_shut()), (CHALLENGE, true));
    assert_eq!(closed(&server.engine.counters(), Refusal::WrongProof), 2);
}

#[test]
fn a_client_that_would_be_delayed_is_closed_by_a_server_that_stops() {
    let mut server = guessed();
    let (late, honest) = (server.connect(), server.connect());
    // The server sees the headers when it stops.
    late.write(&line(7));
    honest.write(&line(8));
    server.engine.drain(server.now);
    server.work();
    assert!(late.is_closed() && late.take().is_empty());
    let counters = server.engine.counters();
    assert_eq!((counters.delayed, counters.closed(CloseReason::Stopped)), (0, 2));
}
