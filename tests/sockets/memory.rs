//! A network in memory, where every read, write and clock is the test's.

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
    pub(crate) to_client: Vec<u8>,
    /// The bytes that the server may still write.
    pub(crate) room: usize,
    name: Option<PeerId>,
}

pub(crate) type TestClient = Rc<RefCell<Wire>>;

/// The network of one engine.
#[derive(Debug, Default)]
pub(crate) struct Network {
    calling: VecDeque<TestClient>,
}

impl Net for Network {
    type Socket = TestClient;

    fn accept(&mut self, _listener: usize) -> io::Result<(TestClient, PeerAddress)> {
        let line = self.calling.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        Ok((line, SocketAddr::from(([127, 0, 0, 1], 1)).into()))
    }

    fn watch(&mut self, line: &mut TestClient, peer: PeerId) -> io::Result<()> {
        line.borrow_mut().name = Some(peer);
        Ok(())
    }

    fn read(&mut self, line: &mut TestClient, into: &mut [u8]) -> io::Result<usize> {
        let mut wire = line.borrow_mut();
        match io::Read::read(&mut wire.to_server, into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }

    fn write(&mut self, line: &mut TestClient, from: &[u8]) -> io::Result<usize> {
        let mut wire = line.borrow_mut();
        let length = from.len().min(wire.room);
        if length == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= length;
        wire.to_client.extend_from_slice(&from[..length]);
        Ok(length)
    }

    fn shutdown(&mut self, _line: &mut TestClient) -> io::Result<()> {
        Ok(())
    }

    fn random(&mut self, _into: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
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

    /// A client calls, and is accepted. The server may write so many bytes to it.
    pub(crate) fn connect(&mut self, room: usize) -> TestClient {
        let line = TestClient::default();
        line.borrow_mut().room = room;
        self.engine.net_mut().calling.push_back(Rc::clone(&line));
        self.engine.listener_ready(0);
        self.work();
        line
    }

    /// A client says something, and the server does what there is to do.
    pub(crate) fn say(&mut self, line: &TestClient, bytes: &[u8]) {
        line.borrow_mut().to_server.extend(bytes);
        self.report(line, Readiness { readable: true, ..Readiness::default() });
    }

    /// A client takes so many bytes more.
    pub(crate) fn take(&mut self, line: &TestClient, room: usize) {
        line.borrow_mut().room += room;
        self.report(line, Readiness { writable: true, ..Readiness::default() });
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.work();
    }

    fn report(&mut self, line: &TestClient, readiness: Readiness) {
        let name = line.borrow().name.unwrap();
        self.engine.event(name, readiness);
        self.work();
    }

    /// Does all that there is to do now.
    pub(crate) fn work(&mut self) {
        self.engine.turn(self.now, self.wall).unwrap();
        while self.engine.deadline().is_some_and(|due| due <= self.now) {
            self.engine.turn(self.now, self.wall).unwrap();
        }
    }
}
