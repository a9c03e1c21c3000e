//! Two servers to compare ours with, each in a process of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use countersign::session::{Event, SessionCore};
use countersign::{Dialect, KeyRing, KeyRingExt as _, ServerConfig};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};

use crate::cores::Cores;
use crate::process::{Process, Scratch};

/// Has the bench itself be a server to compare with: its name, the dialect and the file of keys.
const YARDSTICK: &str = "COUNTERSIGN_BENCH_YARDSTICK";

/// A server to compare ours with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Yardstick {
    /// A bare loop on mio that makes the same system calls, and neither parses nor checks. It drops
    /// what is as long as a proof, and echoes the rest as it came. There is none where the clients
    /// want a proof of the server too.
    BareLoop,
    /// The same protocol with a thread for each connection, over std's sockets.
    Threads,
}

impl Yardstick {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BareLoop => "bare loop",
            Self::Threads => "threads",
        }
    }

    /// Starts it in a process of its own, if it can speak this dialect.
    pub(crate) fn start(
        self,
        scratch: &Scratch,
        dialect: Dialect,
        cores: Cores,
    ) -> Option<Process> {
        if self == Self::BareLoop && proof(dialect).is_none() {
            return None;
        }
        let mut command = cores.server(std::env::current_exe().unwrap());
        let keys = scratch.keys(dialect);
        let what = format!("{}:{}:{}", self.name(), dialect.name(), keys.display());
        command.env(YARDSTICK, what);
        Some(Process::start(command))
    }

    /// Is the server that this process was started for, if it was, until it is ended.
    pub(crate) fn stand() {
        let Ok(what) = std::env::var(YARDSTICK) else { return };
        let (name, rest) = what.split_once(':').unwrap();
        let (dialect, keys) = rest.split_once(':').unwrap();
        let dialect = *Dialect::ALL.iter().find(|each| each.name() == dialect).unwrap();
        let listener = listen();
        println!("listening on {}", listener.local_addr().unwrap());
        if name == Self::BareLoop.name() {
            bare_loop(listener, dialect);
        }
        let config = ServerConfig::builder(dialect)
            .with_keys(KeyRing::from_file(keys).unwrap())
            .build()
            .unwrap();
        thread_per_connection(&listener, &config);
    }
}

fn thread_per_connection(listener: &TcpListener, config: &ServerConfig) {
    listener.set_nonblocking(false).unwrap();
    for (number, stream) in (1..).zip(listener.incoming().flatten()) {
        let config = config.clone();
        // What a peer does to its own connection is no failure of the bench.
        thread::spawn(move || serve(stream, &config, number));
    }
}

fn serve(mut stream: TcpStream, config: &ServerConfig, number: u64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // A counter in place of randomness: cheaper than ours, so the comparison is not in our favour.
    let mut nonce = [0; 32];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    let mut session = SessionCore::server(config, nonce);
    let (mut inbox, mut length, mut out) = (vec![0; 16 << 10], 0, Vec::new());
    loop {
        let (mut input, mut finished) = (&inbox[..length], false);
        while let Ok(Some(event)) = session.next(config, Duration::ZERO, &mut input, &mut out) {
            match event {
                Event::Message(message) => message.form.frame(message.bytes, &mut out),
                Event::Finished => finished = true,
                _ => {}
            }
        }
        if finished {
            session.finish(&mut out);
        }
        let sealed = session.seal(&mut out);
        out.truncate(sealed.unwrap_or_else(|error| error.ready));
        stream.write_all(&out)?;
        if finished {
            return Ok(());
        }
        out.clear();
        length = stream.read(&mut inbox)?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// How long the proof of a client is, where the server owes it none.
fn proof(dialect: Dialect) -> Option<usize> {
    match dialect {
        Dialect::Raw => Some(32),
        Dialect::Hex => Some(64),
        Dialect::Open => Some(0),
        _ => None,
    }
}

fn bare_loop(listener: TcpListener, dialect: Dialect) -> ! {
    let proof = proof(dialect).unwrap();
    let challenged = dialect.authenticates();
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new().unwrap();
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(1024);
    let mut peers: Slab<(mio::net::TcpStream, usize)> = Slab::new();
    let mut buffer = vec![0; 16 << 10];
    // Removed after the batch: an event that is late must not hit the next tenant.
    let mut gone = Vec::new();
    loop {
        gone.drain(..).for_each(|key| drop(peers.try_remove(key)));
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            if event.token() == Token(0) {
                while let Ok((mut peer, _)) = listener.accept() {
                    let place = peers.vacant_entry();
                    let token = Token(place.key() + 1);
                    poll.registry().register(&mut peer, token, both).unwrap();
                    if challenged {
                        peer.write_all(&[7; 32]).unwrap();
                    }
                    place.insert((peer, proof));
                }
            } else if event.is_error() {
                gone.push(event.token().0 - 1);
            } else if event.is_readable() {
                let Some((peer, dropped)) = peers.get_mut(event.token().0 - 1) else {
                    continue;
                };
                match peer.read(&mut buffer) {
                    Ok(length @ 1..) => {
                        let rest = &buffer[(*dropped).min(length)..length];
                        *dropped -= (*dropped).min(length);
                        // A peer that takes nothing loses what it asked for.
                        let _ = peer.write(rest);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    _ => gone.push(event.token().0 - 1),
                }
            }
        }
    }
}

/// std listens for 128, and a burst of more would wait for SYNs to be sent again.
fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.listen(4096).unwrap();
    socket.into()
}
