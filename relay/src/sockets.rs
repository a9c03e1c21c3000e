//! The sockets of the proxy: non-blocking, with TCP_NODELAY and keepalive, and reset on close
//! unless ended gracefully.

use std::io;
use std::net::{self, Shutdown};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use countersign::PeerAddress;
use countersign::reactor::buffered_stream::BufferedStream;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

/// After this time without data, the system checks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A listening socket.
#[derive(Debug)]
pub(crate) struct RelayListener {
    socket: TcpListener,
    /// Waiting connections may be older than the socket's options, and lack them.
    is_fresh: bool,
}

impl RelayListener {
    pub(crate) fn new(socket: TcpListener) -> Self {
        Self { socket, is_fresh: true }
    }

    /// Accepts the next waiting connection.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, PeerAddress)> {
        let (socket, address) = self.socket.accept()?;
        if self.is_fresh {
            // Some systems refuse this if the peer has gone already.
            let gone = |_| io::Error::from_raw_os_error(libc::ECONNABORTED);
            prepare(socket.as_fd()).map_err(gone)?;
        }
        Ok((socket, address.into()))
    }

    /// No connection waits: later ones have the options from the start.
    pub(crate) fn drained(&mut self) {
        self.is_fresh = false;
    }
}

/// Prepares a listening socket for a relay: sets the options that accepted sockets inherit on
/// Linux.
pub(crate) fn listening(socket: net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    prepare(socket.as_fd())?;
    Ok(TcpListener::from_std(socket))
}

/// Sets the options that all sockets of the proxy have.
pub(crate) fn prepare(socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    // Urgent data is a byte of the stream like any other, or it would be lost.
    socket.set_out_of_band_inline(true)?;
    // At once, because the system closes it if the process is killed.
    socket.set_linger(Some(Duration::ZERO))
}

/// Fails if the connection is broken.
pub(crate) fn check(stream: &BufferedStream<TcpStream>) -> io::Result<()> {
    match stream.socket().filter(|_| stream.has_failed()) {
        None => Ok(()),
        Some(socket) => {
            Err(socket.take_error()?.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()))
        }
    }
}

/// Ends our stream to the peer, which may still continue its own.
pub(crate) fn finish(stream: &BufferedStream<TcpStream>) -> io::Result<()> {
    stream.socket().map_or(Ok(()), |socket| socket.shutdown(Shutdown::Write))
}

/// Makes the connection end without a reset when the socket is closed. Otherwise it is reset, so
/// that the peer doesn't take the stream for complete.
pub(crate) fn complete(stream: &BufferedStream<TcpStream>) {
    if let Some(socket) = stream.socket() {
        // If it can't be set, the connection is reset, which no peer takes for a complete stream.
        let _ = SockRef::from(socket).set_linger(None);
    }
}

/// Registers the socket of a stream with the poll, if there is one.
pub(crate) fn watch_stream(
    stream: &BufferedStream<TcpStream>,
    token: Token,
    registry: &Registry,
) -> io::Result<()> {
    stream.socket().map_or(Ok(()), |socket| watch(socket.as_fd(), token, registry))
}

/// Registers a socket with the poll, once. Linux also reports urgent data, before which a read
/// stops.
pub(crate) fn watch(socket: BorrowedFd<'_>, token: Token, registry: &Registry) -> io::Result<()> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    #[cfg(target_os = "linux")]
    let interest = interest | Interest::PRIORITY;
    registry.register(&mut SourceFd(&socket.as_raw_fd()), token, interest)
}
