//! Stopping: what has arrived is answered, every connection ends visibly, and it takes no longer
//! than it may.

use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use countersign::services::Echo;
use countersign::stats::Counters;
use countersign::{CloseReason, Dialect, Handle, Limits, ListenerConfig, Reply, Server, Service};

use crate::both_ends::BothEnds;
use crate::common::{
    CHALLENGE, Client, End, IN_LINES, PATIENCE, bracket, chain, kind_of, speaking,
};
use crate::free_port::free_address;
use crate::server_thread::ServerThread;

/// A server in `Server::run`, of which we hear when it returns.
struct RunningServer {
    address: SocketAddr,
    handle: Handle,
    returned: Receiver<Counters>,
}

impl RunningServer {
    fn start<S: Service + Send + 'static>(protocol: BothEnds, limits: Limits, service: S) -> Self {
        let (started, starting) = mpsc::channel();
        let (returning, returned) = mpsc::channel();
        thread::spawn(move || {
            // A port that stays the test's own after the server has stopped.
            let listener = ListenerConfig::new(protocol).with_limits(limits);
            let listener = listener.bind(free_address()).unwrap();
            let mut server = Server::new([listener], service).unwrap();
            started.send((server.addresses()[0].ip().unwrap(), server.handle())).unwrap();
            server.run().unwrap();
            returning.send(server.counters()).unwrap();
        });
        let (address, handle) = starting.recv_timeout(PATIENCE).unwrap();
        Self { address, handle, returned }
    }

    fn returns(&self) -> Counters {
        self.returned.recv_timeout(PATIENCE).expect("run() has not returned")
    }
}

/// Clients that are in, and have had an answer.
fn inside(address: SocketAddr, protocol: &BothEnds, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::enter(address, protocol)).collect();
    clients.iter_mut().for_each(|client| client.say(b"in\n"));
    clients.iter_mut().for_each(|client| drop(client.hear(5)));
    clients
}

#[test]
fn what_has_arrived_is_answered_before_the_end() {
    for dialect in IN_LINES {
        let protocol = speaking(dialect);
        let run = RunningServer::start(protocol.clone(), Limits::default(), bracket);
        let mut clients = inside(run.address, &protocol, 30);
        // More than one visit's budget of messages, and a line that isn't whole.
        let said = b"line\n".repeat(3000);
        clients.iter_mut().for_each(|client| client.say(&said));
        clients.iter_mut().for_each(|client| client.say(b"half a li"));
        run.handle.drain().unwrap();
        for client in &mut clients {
            assert_eq!(client.hear_all(), (b"[line]\n".repeat(3000), End::Fin), "{dialect}");
        }
        drop(clients);
        let counters = run.returns();
        assert_eq!(counters.closed(CloseReason::Stopped), 30, "{dialect}");
        assert_eq!(counters.messages, 30 * 3001, "{dialect}");
    }
}

#[test]
fn what_has_arrived_is_answered_even_if_more_are_ready_than_one_turn_sees() {
    const CROWD: usize = 1100;
    let mut server = Server::bind("127.0.0.1:0", BothEnds::open(), bracket).unwrap();
    let address = server.addresses()[0].ip().unwrap();
    let mut clients = Vec::new();
    for come in 1..=CROWD as u64 {
        clients.push(Client::connect(address));
        while server.counters().authenticated < come {
            server.turn(Some(PATIENCE)).unwrap();
        }
    }
    clients.iter_mut().for_each(|client| client.say(b"last\n"));
    server.handle().drain().unwrap();
    let running = thread::spawn(move || server.run().unwrap());
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.hear_all(), (b"[last]\n".to_vec(), End::Fin), "client {number}");
    }
    drop(clients);
    running.join().unwrap();
}

#[test]
fn nobody_is_let_in_any_more_and_the_port_is_free_at_once() {
    let protocol = speaking(Dialect::Raw);
    let run = RunningServer::start(protocol.clone(), Limits::default(), bracket);
    let mut clients = inside(run.address, &protocol, 3);
    let mut visitor = Client::connect(run.address);
    visitor.hear(CHALLENGE);
    run.handle.drain().unwrap();
    assert_eq!(visitor.hear_all().0, b"", "who is not in has nothing to wait for");
    for client in &mut clients {
        assert_eq!(client.hear_all(), (Vec::new(), End::Fin));
    }
    // The old connections aren't over, for their peers haven't ended them.
    let successor = Server::bind(run.address, protocol, bracket).unwrap();
    drop(successor);
    let refused = TcpStream::connect(run.address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    drop(clients);
    assert_eq!(run.returns().closed(CloseReason::Stopped), 4);
}

#[test]
fn a_port_that_is_taken_is_an_error_with_the_address_in_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Server::bind(address, BothEnds::open(), bracket).unwrap_err();
    assert_eq!(kind_of(&error), ErrorKind::AddrInUse);
    assert!(chain(&error).contains(&address.to_string()), "{error}");
}

#[test]
fn peers_that_never_end_don_t_keep_the_server() {
    let protocol = speaking(Dialect::Raw);
    let run = RunningServer::start(protocol.clone(), Limits::default(), bracket);
    let clients = inside(run.address, &protocol, 5);
    run.handle.drain().unwrap();
    // They are given a second to end, and the default drain timeout is five.
    let counters = run.returns();
    assert_eq!(counters.closed(CloseReason::Stopped), 5);
    drop(clients);
}

/// A service whose replies no socket buffer takes whole.
fn large(message: &[u8], reply: &mut Reply<'_>) {
    if message == b"in" {
        reply.message(b"[in]");
    } else {
        reply.message(&vec![b'x'; 1 << 20]);
    }
}

#[test]
fn output_that_is_not_taken_keeps_the_server_until_the_drain_timeout_at_most() {
    let limits = Limits {
        drain_timeout: Duration::from_millis(500),
        reply_max: 2 << 20,
        ..Limits::default()
    };
    let protocol = speaking(Dialect::Raw);
    let run = RunningServer::start(protocol.clone(), limits, large);
    let mut clients = inside(run.address, &protocol, 2);
    clients.iter_mut().for_each(|client| client.say(&b"more\n".repeat(64)));
    run.handle.drain().unwrap();
    run.returns();
    for client in &mut clients {
        assert!(client.hear_all().0.len() < 64 << 20);
    }
}

#[test]
fn a_firehose_keeps_the_server_until_the_drain_timeout_at_most() {
    let limits = Limits { drain_timeout: Duration::from_millis(500), ..Limits::default() };
    let protocol = speaking(Dialect::Raw);
    let run = RunningServer::start(protocol.clone(), limits, bracket);
    let mut client = inside(run.address, &protocol, 1).remove(0);
    let mut firehose = client.twin();
    let sender = thread::spawn(move || while firehose.try_to_say(&b"line\n".repeat(1000)) {});
    client.hear(100_000);
    let reader = thread::spawn(move || client.hear_all());
    run.handle.drain().unwrap();
    run.returns();
    reader.join().unwrap();
    sender.join().unwrap();
}

#[test]
fn output_that_is_taken_is_sent_to_its_end() {
    let limits = Limits { drain_timeout: PATIENCE * 6, reply_max: 2 << 20, ..Limits::default() };
    let protocol = speaking(Dialect::Raw);
    let run = RunningServer::start(protocol.clone(), limits, large);
    let mut client = inside(run.address, &protocol, 1).remove(0);
    client.say(&b"more\n".repeat(32));
    client.hear(1);
    run.handle.drain().unwrap();
    let (heard, end) = client.hear_all();
    assert_eq!((heard.len(), end), (32 * ((1 << 20) + 1) - 1, End::Fin));
    drop(client);
    assert_eq!(run.returns().closed(CloseReason::Stopped), 1);
}

#[test]
fn stop_does_not_wait() {
    let limits = Limits { drain_timeout: PATIENCE * 6, reply_max: 2 << 20, ..Limits::default() };
    let protocol = speaking(Dialect::Raw);
    let run = RunningServer::start(protocol.clone(), limits, large);
    let mut clients = inside(run.address, &protocol, 5);
    clients[0].say(&b"more\n".repeat(64));
    clients[1].say(b"half a li");
    clients.push(Client::connect(run.address));
    // A graceful stop that takes its time may be followed by this.
    run.handle.drain().unwrap();
    run.handle.stop().unwrap();
    assert_eq!(run.returns().open(), 0);
    for client in &mut clients {
        client.hear_all();
    }
}

/// Asks in bursts of numbered lines until the end; returns the replies that were right.
fn count_answers(mut client: Client, answered: &AtomicUsize) -> usize {
    const BURST: usize = 10;
    let mut heard = 0;
    loop {
        let lines: String = (heard..heard + BURST).map(|number| format!("{number:08}\n")).collect();
        client.try_to_say(lines.as_bytes());
        let mut replies = Vec::new();
        let whole = lines.len() as u64;
        (&client.0).take(whole).read_to_end(&mut replies).unwrap();
        assert!(lines.as_bytes().starts_with(&replies), "{lines} got {replies:?}");
        assert_eq!(replies.len() % 9, 0, "a reply was cut");
        heard += replies.len() / 9;
        answered.fetch_add(replies.len() / 9, Ordering::Relaxed);
        if replies.len() < lines.len() {
            return heard;
        }
    }
}

#[test]
fn under_load_every_message_that_was_taken_is_answered_once_and_in_order() {
    for moment in [0, 10, 500, 2000, 5000] {
        let protocol = speaking(Dialect::Raw);
        let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
        let answered = Arc::new(AtomicUsize::new(0));
        let counts: Vec<_> = (0..8)
            .map(|_| {
                let client = Client::enter(server.address, &protocol);
                let answered = Arc::clone(&answered);
                thread::spawn(move || count_answers(client, &answered))
            })
            .collect();
        server.until("so far", |counters| counters.messages >= moment);
        server.until("all in", |counters| counters.authenticated == 8);
        let counters = server.stop();
        let heard: usize = counts.into_iter().map(|count| count.join().unwrap()).sum();
        assert_eq!(counters.messages, heard as u64, "stopped after {moment}");
        assert_eq!(counters.closed(CloseReason::Stopped), 8, "{counters:?}");
    }
}
