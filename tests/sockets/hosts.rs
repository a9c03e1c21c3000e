//! Loops that watch the server's descriptor, edge-triggered as their pollers are: one of mio's, and
//! one of tokio's.

use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use countersign::services::Echo;
use countersign::stats::Counters;
use countersign::{
    CloseReason, Dialect, Handle, Limits, ListenerConfig, Refusal, Reply, Server, Service,
};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tokio::io::unix::AsyncFd;

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, Client, End, PATIENCE, now, speaking};

/// More than one turn takes, several times over.
const CROWD: usize = 5_000;

/// The descriptors of a crowd's both ends, and some.
const DESCRIPTORS: u64 = 2 * CROWD as u64 + 200;

/// There are not descriptors enough for two crowds at once.
static ONE_CROWD: Mutex<()> = Mutex::new(());

/// What a loop of a host's did until its server was told to stop.
struct Hosted<S: Service> {
    server: Server<S>,
    /// How often it woke.
    rounds: u32,
}

type Host<S> = fn(Server<S>) -> io::Result<Hosted<S>>;

/// A host with a poll of mio's, which gives the server one turn whenever it wakes.
fn mio_host<S: Service>(mut server: Server<S>) -> io::Result<Hosted<S>> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(8));
    let descriptor = server.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)?;
    let mut rounds = 0;
    while !server.is_finished() {
        let due = server.deadline().map(|due| due.saturating_duration_since(now()));
        poll.poll(&mut events, due)?;
        server.turn(Some(Duration::ZERO))?;
        rounds += 1;
    }
    Ok(Hosted { server, rounds })
}

/// A host on tokio, whose readiness lasts until the host says that there was no more.
#[expect(deprecated, reason = "what takes the place of AsyncFd::new is unsafe")]
fn tokio_host<S: Service>(server: Server<S>) -> io::Result<Hosted<S>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut server = AsyncFd::new(server)?;
        let mut rounds = 0;
        while !server.get_ref().is_finished() {
            let due = server.get_ref().deadline().unwrap_or_else(|| now() + PATIENCE * 100);
            match tokio::time::timeout_at(due.into(), server.readable_mut()).await {
                Ok(ready) => {
                    let mut ready = ready?;
                    ready.get_inner_mut().turn(Some(Duration::ZERO))?;
                    ready.clear_ready();
                }
                Err(_) => drop(server.get_mut().turn(Some(Duration::ZERO))?),
            }
            rounds += 1;
        }
        Ok(Hosted { server: server.into_inner(), rounds })
    })
}

/// Begins to serve on a thread of its own. Returns the thread, and the server's handle and address.
fn start<S: Service + Send + 'static>(
    host: Host<S>,
    listener: ListenerConfig,
    service: S,
) -> (thread::JoinHandle<(u32, Counters)>, Handle, std::net::SocketAddr) {
    let (started, starting) = mpsc::channel();
    let running = thread::spawn(move || {
        let server = Server::new([listener], service).unwrap();
        started.send((server.addresses()[0].ip().unwrap(), server.handle())).unwrap();
        let Hosted { server, rounds } = host(server).unwrap();
        (rounds, server.counters())
    });
    let (address, handle) = starting.recv_timeout(PATIENCE).unwrap();
    (running, handle, address)
}

fn needs_the_descriptor_and_the_deadline_alone(host: Host<Echo>) {
    let protocol = speaking(Dialect::Raw);
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let listener =
        ListenerConfig::new(protocol.clone()).with_limits(limits).bind("127.0.0.1:0").unwrap();
    let (running, handle, address) = start(host, listener, Echo);
    let mut silent = Client::connect(address);
    let mut client = Client::enter(address, &protocol);
    for round in 0..20 {
        client.say(format!("{round}\n").as_bytes());
        client.expect(format!("{round}\n").as_bytes());
    }
    // No event tells of a deadline.
    assert_eq!(silent.hear_all().0.len(), CHALLENGE);
    handle.drain().unwrap();
    assert_eq!(client.hear_all(), (Vec::new(), End::Fin));
    drop(client);
    let (rounds, counters) = running.join().unwrap();
    assert_eq!(counters.closed(CloseReason::Refused(Refusal::HandshakeTimeout)), 1);
    assert!(rounds < 500, "the loop spun: {rounds} rounds");
}

#[test]
fn a_mio_host_needs_the_descriptor_and_the_deadline_alone() {
    needs_the_descriptor_and_the_deadline_alone(mio_host);
}

#[test]
fn a_tokio_host_needs_the_descriptor_and_the_deadline_alone() {
    needs_the_descriptor_and_the_deadline_alone(tokio_host);
}

/// Echoes, and has one message hold the loop up until the test lets it go on.
struct Holding {
    held: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Service for Holding {
    type State = ();

    fn open(&mut self, _peer: &countersign::Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, (): &mut (), message: &[u8], reply: &mut Reply<'_>) {
        if message == b"hold" {
            self.held.send(()).unwrap();
            self.go_on.recv_timeout(PATIENCE * 6).unwrap();
        }
        reply.message(message);
    }
}

fn answers_all_that_are_ready_at_once(host: Host<Holding>) {
    if rlimit::increase_nofile_limit(DESCRIPTORS).unwrap() < DESCRIPTORS {
        eprintln!("SKIP: {CROWD} connections need {DESCRIPTORS} descriptors (ulimit -n)");
        return;
    }
    let _turn = ONE_CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let (held, is_held) = mpsc::channel();
    let (release, go_on) = mpsc::channel();
    let listener = ListenerConfig::new(BothEnds::open()).bind("127.0.0.1:0").unwrap();
    let (running, handle, address) = start(host, listener, Holding { held, go_on });
    let mut crowd: Vec<Client> = (0..CROWD).map(|_| Client::connect(address)).collect();
    // Whoever was answered was accepted before.
    for client in &mut crowd {
        client.say(b"here\n");
        client.expect(b"here\n");
    }
    // While the loop stands still, all of them become ready.
    crowd[0].say(b"hold\n");
    is_held.recv_timeout(PATIENCE).unwrap();
    crowd.iter_mut().for_each(|client| client.say(b"ready\n"));
    release.send(()).unwrap();
    crowd[0].expect(b"hold\n");
    for client in &mut crowd {
        client.expect(b"ready\n");
    }
    handle.stop().unwrap();
    let (_, counters) = running.join().unwrap();
    assert_eq!(counters.messages, 2 * CROWD as u64 + 1);
}

#[test]
fn a_mio_host_answers_all_that_are_ready_at_once() {
    answers_all_that_are_ready_at_once(mio_host);
}

#[test]
fn a_tokio_host_answers_all_that_are_ready_at_once() {
    answers_all_that_are_ready_at_once(tokio_host);
}
