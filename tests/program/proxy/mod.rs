//! `proxy`: two of them, back to back, between programs that know nothing of us.

mod crowd;
mod ends;
mod flood;
mod keys;
mod names;
mod pages;
mod reload;
mod stock;
mod stop;
mod stream;
mod through;

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::home::{Home, PATIENCE};
use super::served::{ServerProcess, dial};

const KEY: &str = "default  text:sixteen-bytes-and-more\n";

/// A proxy beside the client and one beside the target.
struct Chain {
    client: ServerProcess,
    server: ServerProcess,
}

impl Home {
    /// Starts a proxy, on a free port.
    #[track_caller]
    fn proxy(&self, role: &str, to: &str, options: &str) -> ServerProcess {
        let line = format!("proxy --role {role} --listen 127.0.0.1:0 --target {to} {options}");
        ServerProcess::started(self.command(&line).spawn().unwrap(), 1)
    }

    /// Starts a proxy beside a target, and one beside its clients.
    #[track_caller]
    fn chain(&self, target: &str, options: &str) -> Chain {
        let options = format!("--log-level debug {options}");
        let server = self.proxy("server", target, &options);
        let client = self.proxy("client", server.address(), &options);
        Chain { client, server }
    }
}

impl Chain {
    /// A plain connection to the target, through both.
    #[track_caller]
    fn dial(&self) -> TcpStream {
        self.client.dial()
    }
}

/// A plain server of the test's own, with a thread for each connection.
struct Target {
    address: SocketAddr,
    /// What each connection has come to.
    ended: Receiver<io::Result<()>>,
}

impl Target {
    fn new(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, ended) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender, serve) = (stream.unwrap(), sender.clone(), serve.clone());
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                // Whoever doesn't ask doesn't hear.
                thread::spawn(move || drop(sender.send(serve(stream))));
            }
        });
        Self { address, ended }
    }

    /// One that sends back what it reads.
    fn echo() -> Self {
        Self::new(|mut stream| {
            io::copy(&mut &stream, &mut &stream)?;
            stream.flush()
        })
    }

    fn to(&self) -> String {
        self.address.to_string()
    }

    /// What the next connection that ends comes to.
    #[track_caller]
    fn ended(&self) -> io::Result<()> {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }

    /// Nobody has been here, and nobody is.
    #[track_caller]
    fn is_untouched(&self) {
        assert!(self.ended.recv_timeout(Duration::from_millis(50)).is_err());
    }
}

/// The stream has ended by a reset, so nobody can take what was read for the whole.
#[track_caller]
fn is_reset(mut stream: &TcpStream) {
    let ended = io::copy(&mut stream, &mut io::sink());
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// The same where the reset may be there before we have said all.
#[track_caller]
fn breaks(mut stream: &TcpStream, said: &[u8]) {
    match stream.write_all(said) {
        Ok(()) => is_reset(stream),
        // Whoever was told of it here is told of the end alone from now on.
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

/// Reads what is there until the stream ends in an orderly way.
#[track_caller]
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Bytes of which none can be missing, doubled or moved without its being seen. They come again
/// after a number of bytes that no buffer has.
fn pattern(seed: u32, length: usize) -> Vec<u8> {
    const PERIOD: usize = 999_983;
    let mut state = seed;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    let mut bytes: Vec<u8> = (0..length.min(PERIOD)).map(|_| step()).collect();
    while bytes.len() < length {
        bytes.extend_from_within(..PERIOD.min(length - bytes.len()));
    }
    bytes
}
