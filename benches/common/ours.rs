//! The server that is measured.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use countersign::services::Echo;
use countersign::{Handle, Limits, Protocol, Server};

/// `countersign` itself, echoing, on a thread of its own.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Ours {
    pub(crate) fn start(protocol: Protocol) -> Self {
        let limits = Limits { connections: 4096, ..Limits::default() };
        let builder = Server::builder(protocol, Echo).limits(limits);
        let mut server = builder.bind("127.0.0.1:0").and_then(|builder| builder.build()).unwrap();
        let (address, handle) = (server.addresses()[0], server.handle());
        let thread = Some(thread::spawn(move || server.run().unwrap()));
        Self { address, handle, thread }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.handle.stop_now().unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}
