//! Two servers to compare ours with.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use countersign::session::Event;
use countersign::{Dialect, Protocol, Session};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};

/// The yardstick: the same protocol with a thread for each connection, over std's sockets.
pub(crate) fn thread_per_connection(protocol: Protocol) -> SocketAddr {
    let listener = listen();
    listener.set_nonblocking(false).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in (1..).zip(listener.incoming().flatten()) {
            let protocol = protocol.clone();
            // What a peer does to its own connection is no failure of the bench.
            thread::spawn(move || serve(stream, &protocol, number));
        }
    });
    address
}

fn serve(mut stream: TcpStream, protocol: &Protocol, number: u64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // A counter in place of randomness: cheaper than ours, so the comparison is not in our favour.
    let mut nonce = [0; 32];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    let mut session = Session::server(protocol, nonce);
    let (mut inbox, mut length, mut out) = (vec![0; 16 << 10], 0, Vec::new());
    loop {
        let (mut input, mut finished) = (&inbox[..length], false);
        while let Ok(Some(event)) = session.next(protocol, Duration::ZERO, &mut input, &mut out) {
            match event {
                Event::Message(message) => message.form.frame(message.bytes, &mut out),
                Event::Finished => finished = true,
                _ => {}
            }
        }
        if finished {
            session.say_goodbye(&mut out);
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

/// The yardstick: a bare loop on mio that makes the same system calls, and neither parses nor
/// checks. It drops what is as long as a proof, and echoes the rest as it came. There is none where
/// the clients want a proof of the server too.
pub(crate) fn bare_loop(dialect: Dialect) -> Option<SocketAddr> {
    let proof = match dialect {
        Dialect::Raw => 32,
        Dialect::Hex => 64,
        Dialect::Open => 0,
        _ => return None,
    };
    let challenged = dialect.authenticates();
    let mut listener = mio::net::TcpListener::from_std(listen());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
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
    });
    Some(address)
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
