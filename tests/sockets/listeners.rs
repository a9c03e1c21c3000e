//! Several listeners of one server, and limits that are replaced while it runs.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use countersign::services::Echo;
use countersign::stats::{Connections, LoopTimes};
use countersign::{
    Access, Address, CloseReason, Dialect, Limits, ListenerConfig, Peer, Refusal, Reply, Server,
    Service,
};

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, Client, End, PATIENCE, id_of, ring, speaking, turn_until};

/// Answers each message with the number of the listener that the peer came by.
struct WhichListener;

impl Service for WhichListener {
    type State = usize;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> usize {
        peer.listener().index()
    }

    fn message(&mut self, listener: &mut usize, _message: &[u8], reply: &mut Reply<'_>) {
        reply.message(listener.to_string().as_bytes());
    }
}

fn limits(connections: usize) -> Limits {
    Limits { connections, ..Limits::default() }
}

fn here(protocol: BothEnds) -> ListenerConfig {
    ListenerConfig::new(protocol).bind("127.0.0.1:0").unwrap()
}

fn dial<S: Service>(server: &Server<S>, listener: usize) -> Client {
    Client::connect(server.listeners()[listener].addresses()[0].ip().unwrap())
}

#[test]
fn each_listener_has_a_protocol_limits_and_counters_of_its_own() {
    let raw = speaking(Dialect::Raw).with_message_max(4);
    let listeners = [
        here(raw.clone()).with_name("raw").bind("127.0.0.1:0").unwrap(),
        here(BothEnds::open()).with_limits(limits(7)),
    ];
    let mut server = Server::new(listeners, WhichListener).unwrap();
    let addresses = server.addresses();
    assert_eq!((addresses.len(), server.listeners()[0].name()), (3, "raw"));
    assert_eq!(server.listeners()[1].name(), addresses[2].to_string());
    let (mut proving, mut open) = (dial(&server, 0), dial(&server, 1));
    open.say(b"as long as it likes\n");
    turn_until(&mut server, |server| server.counters().messages == 1);
    assert_eq!(open.hear(2), b"1\n");
    turn_until(&mut server, |server| server.counters().accepted == 2);
    let states: Vec<_> =
        server.stats().listeners.iter().map(|listener| listener.connections).collect();
    let expected = |handshake, open| {
        let mut states = Connections::default();
        (states.handshake, states.open) = (handshake, open);
        states
    };
    assert_eq!(states, [expected(1, 0), expected(0, 1)]);
    proving.prove(&raw);
    proving.say(b"four\n");
    turn_until(&mut server, |server| server.counters().messages == 2);
    assert_eq!(proving.hear(2), b"0\n");
    proving.say(b"fifth\n");
    let too_long = CloseReason::Refused(Refusal::MessageTooLong);
    turn_until(&mut server, |server| server.counters().closed(too_long) == 1);
    let [raw, open] = server.listeners() else { panic!("there are two") };
    assert_eq!((raw.counters().messages, open.counters().messages), (1, 1));
    assert_eq!((raw.counters().closed(too_long), open.counters().closed(too_long)), (1, 0));
    assert_eq!((raw.limits().connections, open.limits().connections), (10_000, 7));
}

#[test]
fn a_listener_that_is_full_keeps_nobody_from_another() {
    let listeners = [here(BothEnds::open()).with_limits(limits(1)), here(BothEnds::open())];
    let mut server = Server::new(listeners, WhichListener).unwrap();
    let _first = dial(&server, 0);
    let _waits = dial(&server, 0);
    turn_until(&mut server, |server| server.counters().authenticated == 1);
    let mut other = dial(&server, 1);
    other.say(b"\n");
    turn_until(&mut server, |server| server.counters().messages == 1);
    assert_eq!(other.hear(2), b"1\n");
    assert_eq!(server.listeners()[0].counters().open(), 1);
}

#[test]
fn the_memory_of_several_listeners_is_the_sum() {
    let one = |connections| {
        let listener = here(BothEnds::open()).with_limits(limits(connections));
        Server::new([listener], Echo).unwrap().memory_max()
    };
    let listeners =
        [limits(10), limits(20)].map(|limits| here(BothEnds::open()).with_limits(limits));
    let both = Server::new(listeners, Echo).unwrap().memory_max();
    // The buffers and the driver's are there once.
    let shared = one(10).total + one(20).total - both.total;
    assert!(shared > 0 && shared < one(10).fixed, "{both:?}");
    assert_eq!(both.buffered, one(10).buffered + one(20).buffered);
}

#[test]
fn limits_that_are_replaced_hold_at_once_and_for_those_who_are_in() {
    let mut server = Server::new([here(BothEnds::open()).with_limits(limits(1))], Echo).unwrap();
    let id = id_of(&server, 0);
    let mut first = dial(&server, 0);
    let mut second = dial(&server, 0);
    second.say(b"hello\n");
    turn_until(&mut server, |server| server.counters().authenticated == 1);
    server.replace_limits(id, limits(2)).unwrap();
    turn_until(&mut server, |server| server.counters().messages == 1);
    assert_eq!(second.hear(6), b"hello\n");
    // Fewer than there are: both stay.
    server.replace_limits(id, limits(1)).unwrap();
    first.say(b"hello\n");
    turn_until(&mut server, |server| server.counters().messages == 2);
    assert_eq!(first.hear(6), b"hello\n");
    let short = Limits { idle_timeout: Duration::from_millis(1), ..limits(1) };
    server.replace_limits(id, short).unwrap();
    turn_until(&mut server, |server| server.counters().closed(CloseReason::IdleTimeout) == 2);
    assert_eq!(first.hear_all(), (Vec::new(), End::Fin));
}

#[test]
fn a_limit_on_the_age_that_comes_later_counts_from_then_and_one_that_goes_counts_no_more() {
    let mut server = Server::new([here(BothEnds::open())], Echo).unwrap();
    let id = id_of(&server, 0);
    let mut client = dial(&server, 0);
    turn_until(&mut server, |server| server.counters().authenticated == 1);
    let aged = |age| Limits { session_age_max: Some(age), ..limits(9) };
    server.replace_limits(id, aged(Duration::from_millis(40))).unwrap();
    server.replace_limits(id, limits(9)).unwrap();
    assert!(server.deadline().is_some_and(|due| due > crate::common::now() + PATIENCE));
    client.say(b"hello\n");
    turn_until(&mut server, |server| server.counters().messages == 1);
    server.replace_limits(id, aged(Duration::from_millis(40))).unwrap();
    turn_until(&mut server, |server| server.counters().closed(CloseReason::SessionAge) == 1);
    assert_eq!(client.hear(6), b"hello\n");
    assert_eq!(client.hear_all(), (Vec::new(), End::Fin));
}

#[test]
fn keys_are_replaced_at_one_listener_alone() {
    let raw = speaking(Dialect::Raw);
    let mut server = Server::new([here(raw.clone()), here(raw.clone())], Echo).unwrap();
    let second = id_of(&server, 1);
    server.replace_keys(second, ring("the secret of the next year")).unwrap();
    for (listener, is_let_in) in [(0, true), (1, false)] {
        let mut client = dial(&server, listener);
        turn_until(&mut server, |server| server.counters().accepted == listener as u64 + 1);
        client.prove(&raw);
        turn_until(&mut server, |server| {
            let counters = server.listeners()[listener].counters();
            counters.authenticated + counters.closed(CloseReason::Refused(Refusal::WrongProof)) == 1
        });
        assert_eq!(server.listeners()[listener].counters().authenticated == 1, is_let_in);
    }
    assert_eq!(server.listeners()[0].counters().bytes_out, CHALLENGE as u64);
}

#[test]
fn a_server_says_what_has_woken_it_and_how_long_its_turns_took() {
    let mut server = Server::new([here(BothEnds::open())], Echo).unwrap();
    let (woken, mut waking) = UnixStream::pair().unwrap();
    server.wake_on(woken).unwrap();
    server.turn(Some(Duration::ZERO)).unwrap();
    assert!(!server.take_woken());
    assert_eq!(server.stats().loop_times, LoopTimes::default());
    server.time_loop();
    waking.write_all(b"!").unwrap();
    server.turn(Some(PATIENCE)).unwrap();
    assert!(server.take_woken() && !server.take_woken());
    server.handle().wake().unwrap();
    server.turn(Some(PATIENCE)).unwrap();
    assert!(server.take_woken());
    let times = server.stats().loop_times;
    assert_eq!(times.count(), 2);
    assert!(times.longest() <= times.sum());
}

#[test]
fn there_are_at_most_256_listeners() {
    let many = |count| (0..count).map(|_| ListenerConfig::new(BothEnds::open()));
    assert!(Server::new(many(256), Echo).is_ok());
    let error = Server::new(many(257), Echo).unwrap_err();
    assert_eq!(error.to_string(), "a server has at most 256 listeners");
}

#[test]
fn the_id_of_a_listener_that_the_server_does_not_have_is_an_error_and_replaces_nothing() {
    let two = Server::new([here(BothEnds::open()), here(BothEnds::open())], Echo).unwrap();
    let raw = speaking(Dialect::Raw);
    let mut one = Server::new([here(raw.clone())], Echo).unwrap();
    let (known, unknown) = (id_of(&two, 0), id_of(&two, 1));
    assert_eq!(known, id_of(&one, 0), "the same place has the same id in every server");
    let errors = [
        one.replace_keys(unknown, ring("the secret of the next year")).unwrap_err(),
        one.replace_limits(unknown, limits(7)).unwrap_err(),
        one.replace_access(unknown, Access::default()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "the server has no listener 1; use an id that it returned");
    }
    assert_eq!(one.listeners()[0].limits(), &Limits::default());
    let mut client = dial(&one, 0);
    turn_until(&mut one, |server| server.counters().accepted == 1);
    client.prove(&raw);
    turn_until(&mut one, |server| server.counters().authenticated == 1);
}

#[test]
fn a_socket_is_shared_by_two_servers_and_outlives_the_first() {
    let path = std::env::temp_dir().join(format!("countersign-shared-{}", std::process::id()));
    let first = here(BothEnds::open()).bind(Address::Unix(path.clone())).unwrap();
    let shared = first.share().unwrap();
    let second =
        shared.into_iter().fold(ListenerConfig::new(BothEnds::open()), ListenerConfig::with_socket);
    let first = Server::new([first], Echo).unwrap();
    let mut second = Server::new([second], Echo).unwrap();
    assert_eq!(first.addresses(), second.addresses());
    let mut by_path = Client::connect_unix(&path);
    by_path.say(b"one\n");
    turn_until(&mut second, |server| server.counters().messages == 1);
    assert_eq!(by_path.hear(4), b"one\n");
    drop(first);
    assert!(!path.exists(), "the file goes with the server that has made it");
    let mut by_port = dial(&second, 0);
    by_port.say(b"two\n");
    turn_until(&mut second, |server| server.counters().messages == 2);
    assert_eq!(by_port.hear(4), b"two\n");
}
