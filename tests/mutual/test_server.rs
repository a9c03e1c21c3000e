//! An engine over a network in memory, where every read, write, nonce and clock is the test's.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use countersign::server::engine::Engine;
use countersign::server::instant::Instant;
use countersign::server::net::{Net, Readiness};
use countersign::{Limits, Listener, PeerAddress, PeerId, Protocol, Service};

/// What lies between a connection's ends.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    to_server: VecDeque<u8>,
    /// The client's stream has ended.
    pub(crate) ended: bool,
    /// What the server has written, and that the client hasn't taken.
    pub(crate) to_client: Vec<u8>,
    /// The bytes that the server may still write.
    pub(crate) room: usize,
    /// The server has ended its stream.
    pub(crate) is_shut: bool,
    /// The server has closed its socket.
    pub(crate) is_closed: bool,
    name: Option<PeerId>,
}

pub(crate) type TestClient = Rc<RefCell<Wire>>;

/// The server's end; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Socket(TestClient);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.borrow_mut().is_closed = true;
    }
}

/// The network of one engine.
#[derive(Debug, Default)]
pub(crate) struct Network {
    calling: VecDeque<TestClient>,
    /// The nonces that are drawn next.
    nonces: VecDeque<[u8; 32]>,
}

impl Net for Network {
    type Socket = Socket;

    fn accept(&mut self, _listener: usize) -> io::Result<(Socket, PeerAddress)> {
        let line = self.calling.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        Ok((Socket(line), SocketAddr::from(([127, 0, 0, 1], 1)).into()))
    }

    fn watch(&mut self, socket: &mut Socket, peer: PeerId) -> io::Result<()> {
        socket.0.borrow_mut().name = Some(peer);
        Ok(())
    }

    fn read(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        let mut wire = socket.0.borrow_mut();
        match io::Read::read(&mut wire.to_server, into)? {
            0 if !wire.ended => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }

    fn write(&mut self, socket: &mut Socket, from: &[u8]) -> io::Result<usize> {
        let mut wire = socket.0.borrow_mut();
        assert!(!wire.is_shut, "who has ended its stream writes");
        let length = from.len().min(wire.room);
        if length == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= length;
        wire.to_client.extend_from_slice(&from[..length]);
        Ok(length)
    }

    fn shutdown(&mut self, socket: &mut Socket) -> io::Result<()> {
        socket.0.borrow_mut().is_shut = true;
        Ok(())
    }

    fn random(&mut self, into: &mut [u8]) -> io::Result<()> {
        into.copy_from_slice(&self.nonces.pop_front().ok_or(io::ErrorKind::Unsupported)?);
        Ok(())
    }
}

/// An engine over a network in memory, at a time of the test's.
pub(crate) struct TestServer<S: Service> {
    pub(crate) engine: Engine<Network, S>,
    pub(crate) wall: SystemTime,
    pub(crate) now: Instant,
}

impl<S: Service> TestServer<S> {
    pub(crate) fn new(protocol: Protocol, limits: Limits, service: S) -> Self {
        let listeners = [Listener::new(protocol, limits)];
        let engine = Engine::new(Network::default(), listeners, service).unwrap();
        Self { engine, wall: SystemTime::UNIX_EPOCH, now: Instant::default() }
    }

    /// A client calls, and is accepted.
    pub(crate) fn connect(&mut self, nonce: [u8; 32]) -> TestClient {
        let line = TestClient::default();
        line.borrow_mut().room = usize::MAX;
        let net = self.engine.net_mut();
        net.calling.push_back(Rc::clone(&line));
        net.nonces.push_back(nonce);
        self.engine.listener_ready(0);
        self.work();
        line
    }

    /// Something arrives, of which the server hears at its next turn.
    pub(crate) fn arrive(&mut self, line: &TestClient, bytes: &[u8]) {
        line.borrow_mut().to_server.extend(bytes);
        self.report(line, Readiness { readable: true, ..Readiness::default() });
    }

    /// A client says something, and the server does what there is to do.
    pub(crate) fn say(&mut self, line: &TestClient, bytes: &[u8]) {
        self.arrive(line, bytes);
        self.work();
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.wall += time;
        self.work();
    }

    pub(crate) fn report(&mut self, line: &TestClient, readiness: Readiness) {
        let name = line.borrow().name;
        if let Some(name) = name {
            self.engine.event(name, readiness);
        }
    }

    /// Does all that there is to do now.
    pub(crate) fn work(&mut self) {
        self.engine.turn(self.now, self.wall).unwrap();
        while self.engine.deadline().is_some_and(|due| due <= self.now) {
            self.engine.turn(self.now, self.wall).unwrap();
        }
    }
}
