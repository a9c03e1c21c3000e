//! The server that is measured.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use countersign::services::Echo;
use countersign::{
    Dialect, Handle, Key, KeyRing, KeyRingExt as _, Limits, ListenerConfig, Protocol, Server,
};

/// What is spoken. Each call makes a key ring of its own, as each end of a line has.
pub(crate) fn protocol(dialect: Dialect) -> Protocol {
    let key = Key::new("bench", b"sixteen bytes or more").unwrap().with_dialect(dialect);
    Protocol::new(dialect, KeyRing::from_key(key).unwrap())
}

/// `countersign` itself, echoing, on a thread of its own.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Ours {
    pub(crate) fn start(dialect: Dialect) -> Self {
        let limits = Limits { connections: 4096, ..Limits::default() };
        let listener = ListenerConfig::new(protocol(dialect)).with_limits(limits);
        let listener = listener.bind("127.0.0.1:0").unwrap();
        let mut server = Server::new([listener], Echo).unwrap();
        let (address, handle) = (server.addresses()[0].ip().unwrap(), server.handle());
        let thread = Some(thread::spawn(move || server.run().unwrap()));
        Self { address, handle, thread }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.handle.stop().unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}
