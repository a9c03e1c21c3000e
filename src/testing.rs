//! A server in memory, for tests of programs that embed one: no sockets, no threads, and a clock
//! that only your test moves. Behind the feature `testing`.
//!
//! The engine is the same that [`Server`](crate::Server) drives; only its network differs.
//!
//! ```
//! use std::time::Duration;
//! use countersign::testing::TestServer;
//! use countersign::{Limits, Listener, ServerConfig, services::Echo};
//!
//! let limits = Limits { idle_timeout: Duration::from_secs(60), ..Limits::default() };
//! let mut server = TestServer::new([Listener::new(ServerConfig::open(), limits)], Echo)?;
//! let peer = server.connect();
//! server.send(&peer, b"hello\n");
//! assert_eq!(peer.take(), b"hello\n");
//! server.pass(Duration::from_secs(60));
//! assert!(peer.is_shut(), "the server has closed an idle connection");
//! # Ok::<(), countersign::engine::TooManyListenersError>(())
//! ```

use std::cell::{Ref, RefCell, RefMut};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use crate::contract::listener_id::TooManyListenersError;
use crate::contract::peer::{PeerAddress, PeerId};
use crate::contract::service::Service;
use crate::reactor::instant::Instant;
use crate::reactor::readiness::Readiness;
use crate::server::engine::Engine;
use crate::server::listener::Listener;
use crate::server::net::Net;

/// What is between the ends of a connection.
#[derive(Debug)]
struct Pipe {
    address: PeerAddress,
    /// The engine's id for the connection, once the engine watches it.
    id: Option<PeerId>,
    /// What the peer has sent and the server hasn't read.
    to_server: VecDeque<u8>,
    /// The peer has ended its stream.
    is_finished: bool,
    /// What the server's calls fail with, if they do.
    failure: Option<io::ErrorKind>,
    /// What the server has written and the peer hasn't taken.
    to_peer: Vec<u8>,
    /// The bytes that the server may write.
    room: usize,
    /// The server has ended its stream.
    is_shut: bool,
    /// The server resets the connection when it closes its socket.
    is_reset_by_server: bool,
    /// The server has closed its socket.
    is_closed: bool,
}

/// The peer's end of a connection in memory. Clones are the same end.
#[derive(Debug, Clone)]
pub struct MemoryPeer(Rc<RefCell<Pipe>>);

impl MemoryPeer {
    /// Adds bytes to what the server can read. [`TestServer::send`] also makes the server read
    /// them.
    pub fn write(&self, bytes: &[u8]) {
        self.pipe_mut().to_server.extend(bytes);
    }

    /// Ends the peer's stream, after what was written.
    pub fn finish(&self) {
        self.pipe_mut().is_finished = true;
    }

    /// Breaks the connection: everything that the server does with it fails from now on.
    pub fn reset(&self) {
        self.fail(io::ErrorKind::ConnectionReset);
    }

    /// Everything that the server does with the connection fails with this error from now on.
    pub fn fail(&self, error: io::ErrorKind) {
        self.pipe_mut().failure = Some(error);
    }

    /// Takes what the server has written.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.pipe_mut().to_peer)
    }

    /// What the server has written, without taking it.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.pipe().to_peer.clone()
    }

    /// Limits how many bytes the server can write from now on. There is no limit at first.
    pub fn set_room(&self, bytes: usize) {
        self.pipe_mut().room = bytes;
    }

    /// The engine's id for the connection; none before it is accepted.
    #[must_use]
    pub fn id(&self) -> Option<PeerId> {
        self.pipe().id
    }

    /// Whether the server has ended its stream, or closed its socket.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        let pipe = self.pipe();
        pipe.is_shut || pipe.is_closed
    }

    /// Whether the server has reset the connection: see [`Faults`](crate::faults::Faults).
    #[must_use]
    pub fn is_reset_by_server(&self) -> bool {
        let pipe = self.pipe();
        pipe.is_closed && pipe.is_reset_by_server
    }

    /// Whether the server has closed its socket.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.pipe().is_closed
    }

    fn pipe(&self) -> Ref<'_, Pipe> {
        self.0.borrow()
    }

    fn pipe_mut(&self) -> RefMut<'_, Pipe> {
        self.0.borrow_mut()
    }
}

/// The server's end of a connection in memory. Dropping it closes it.
#[derive(Debug)]
pub struct MemorySocket(MemoryPeer);

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.0.pipe_mut().is_closed = true;
    }
}

impl MemorySocket {
    fn usable(&self) -> io::Result<RefMut<'_, Pipe>> {
        let pipe = self.0.pipe_mut();
        match pipe.failure {
            Some(error) => Err(error.into()),
            None => Ok(pipe),
        }
    }
}

/// A network in memory, for an [`Engine`]: the peers that connect, and the random bytes.
#[derive(Debug, Default)]
pub struct MemoryNet {
    /// The peers that wait to be accepted, with the numbers of the sockets that they have connected
    /// to.
    backlog: VecDeque<(usize, MemorySocket)>,
    /// The random bytes that are drawn next.
    nonces: VecDeque<[u8; 32]>,
    /// How often bytes were drawn that the test had not chosen.
    drawn: u64,
}

impl MemoryNet {
    /// Connects a peer to the listening socket of this number, from this address. Then tell the
    /// engine: [`Engine::listener_ready`].
    pub fn connect(&mut self, socket: usize, address: impl Into<PeerAddress>) -> MemoryPeer {
        let peer = MemoryPeer(Rc::new(RefCell::new(Pipe {
            address: address.into(),
            id: None,
            to_server: VecDeque::new(),
            is_finished: false,
            failure: None,
            to_peer: Vec::new(),
            room: usize::MAX,
            is_shut: false,
            is_reset_by_server: false,
            is_closed: false,
        })));
        self.backlog.push_back((socket, MemorySocket(peer.clone())));
        peer
    }

    /// Chooses what is drawn as random bytes next. Without this, they are consecutive numbers:
    /// every run is the same, and nothing here is secret.
    pub fn draw_next(&mut self, bytes: [u8; 32]) {
        self.nonces.push_back(bytes);
    }
}

impl Net for MemoryNet {
    type Socket = MemorySocket;

    fn accept(&mut self, socket: usize) -> io::Result<(MemorySocket, PeerAddress)> {
        let waits = self.backlog.iter().position(|(at, _)| *at == socket);
        let (_, stream) =
            waits.and_then(|place| self.backlog.remove(place)).ok_or(io::ErrorKind::WouldBlock)?;
        let address = stream.0.pipe().address;
        Ok((stream, address))
    }

    fn watch(&mut self, socket: &mut MemorySocket, peer: PeerId) -> io::Result<()> {
        socket.0.pipe_mut().id = Some(peer);
        Ok(())
    }

    fn read(&mut self, socket: &mut MemorySocket, into: &mut [u8]) -> io::Result<usize> {
        let mut pipe = socket.usable()?;
        // Or the read could end early where the queue wraps around, and a short read means that
        // the socket is empty.
        pipe.to_server.make_contiguous();
        match io::Read::read(&mut pipe.to_server, into)? {
            0 if !pipe.is_finished => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }

    fn write(&mut self, socket: &mut MemorySocket, from: &[u8]) -> io::Result<usize> {
        let mut pipe = socket.usable()?;
        debug_assert!(!pipe.is_shut, "nothing is written behind the end of the stream");
        let length = from.len().min(pipe.room);
        if length == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if pipe.room < usize::MAX {
            pipe.room -= length;
        }
        pipe.to_peer.extend_from_slice(&from[..length]);
        Ok(length)
    }

    fn shutdown(&mut self, socket: &mut MemorySocket) -> io::Result<()> {
        socket.usable()?.is_shut = true;
        Ok(())
    }

    fn reset(&mut self, socket: &mut MemorySocket) {
        socket.0.pipe_mut().is_reset_by_server = true;
    }

    fn random(&mut self, into: &mut [u8]) -> io::Result<()> {
        let bytes = self.nonces.pop_front().unwrap_or_else(|| {
            self.drawn += 1;
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&self.drawn.to_be_bytes());
            bytes
        });
        into.iter_mut().zip(bytes.into_iter().cycle()).for_each(|(into, byte)| *into = byte);
        Ok(())
    }
}

/// A server in memory, at a time that the test chooses.
///
/// Each method that changes something also lets the engine do all its work, so the answer to a peer
/// is there when the method returns.
pub struct TestServer<S: Service> {
    /// The engine.
    pub engine: Engine<MemoryNet, S>,
    /// The time on the engine's clock.
    pub now: Instant,
    /// The time of day, in which keys are valid and expire.
    pub wall: SystemTime,
}

impl<S: Service> TestServer<S> {
    /// A server with these listeners, each of them with one socket, at midnight on 1 January 1970.
    ///
    /// # Errors
    ///
    /// There are more listeners than a server can have.
    pub fn new(
        listeners: impl IntoIterator<Item = Listener>,
        service: S,
    ) -> Result<Self, TooManyListenersError> {
        let engine = Engine::new(MemoryNet::default(), listeners, service)?;
        Ok(Self { engine, now: Instant::default(), wall: SystemTime::UNIX_EPOCH })
    }

    /// Connects a peer to the first listener, from 127.0.0.1.
    pub fn connect(&mut self) -> MemoryPeer {
        self.connect_from(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), 0)
    }

    /// Connects a peer from this address, to the listening socket of this number.
    pub fn connect_from(&mut self, address: impl Into<PeerAddress>, socket: usize) -> MemoryPeer {
        let peer = self.engine.net_mut().connect(socket, address);
        self.engine.listener_ready(socket);
        self.work();
        peer
    }

    /// Makes a peer send bytes.
    pub fn send(&mut self, peer: &MemoryPeer, bytes: &[u8]) {
        self.arrive(peer, bytes);
        self.work();
    }

    /// Lets bytes of a peer arrive, which the server reads when it [works](Self::work) next.
    pub fn arrive(&mut self, peer: &MemoryPeer, bytes: &[u8]) {
        peer.write(bytes);
        self.report(peer, Readiness { readable: true, ..Readiness::default() });
    }

    /// Ends a peer's stream.
    pub fn finish(&mut self, peer: &MemoryPeer) {
        peer.finish();
        let ended = Readiness { readable: true, ended: true, ..Readiness::default() };
        self.report(peer, ended);
        self.work();
    }

    /// Lets the server write this many bytes to a peer.
    pub fn make_room(&mut self, peer: &MemoryPeer, bytes: usize) {
        peer.set_room(bytes);
        self.report(peer, Readiness { writable: true, ..Readiness::default() });
        self.work();
    }

    /// Reports an event to the engine, which handles it when it [works](Self::work) next. Events of
    /// peers that are not accepted yet are lost, as they are with sockets.
    pub fn report(&mut self, peer: &MemoryPeer, readiness: Readiness) {
        if let Some(id) = peer.id() {
            self.engine.event(id, readiness);
        }
    }

    /// Lets time pass, on both clocks.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.wall += time;
        self.work();
    }

    /// Lets the engine do all its work.
    pub fn work(&mut self) {
        loop {
            let turned = self.engine.turn(self.now, self.wall);
            debug_assert!(turned.is_ok(), "no socket that listens in memory is lost");
            if self.engine.deadline().is_none_or(|due| due > self.now) {
                return;
            }
        }
    }
}

impl<S: Service> fmt::Debug for TestServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { now, wall, .. } = self;
        f.debug_struct("TestServer").field("now", now).field("wall", wall).finish_non_exhaustive()
    }
}
