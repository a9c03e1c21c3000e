//! One socket of a pair: what was heard of it, and what it hasn't taken yet.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};

use super::sockets;

/// One socket of a pair. Until it is there, nothing comes from it and it takes nothing.
#[derive(Debug, Default)]
pub(super) struct End {
    socket: Option<TcpStream>,
    /// There may be something to read.
    readable: bool,
    /// There may be more behind a short read: urgent data, before which a read stops though it is
    /// read in line, as any byte.
    more: bool,
    /// The peer has ended its stream: what there is to read ends by saying so.
    ended: bool,
    /// The connection is broken.
    failed: bool,
    /// What the socket hasn't taken yet; from `sent` on it is to be sent.
    unsent: Vec<u8>,
    sent: usize,
}

impl End {
    /// A socket that was accepted.
    pub(super) fn accepted(socket: TcpStream) -> Self {
        Self { socket: Some(socket), ..Self::default() }
    }

    /// Has its socket watched, once and for all.
    pub(super) fn watch(&self, token: Token, registry: &Registry) -> io::Result<()> {
        let socket = self.socket.as_ref();
        socket.map_or(Ok(()), |socket| sockets::watch(socket.as_fd(), token, registry))
    }

    /// Takes a socket that is connected and watched. What waits to be sent stays. What was reported
    /// may have been about other attempts, so this one is read until it has no more.
    pub(super) fn connect(&mut self, socket: TcpStream) {
        debug_assert!(self.socket.is_none(), "an end is connected once");
        let unsent = std::mem::take(&mut self.unsent);
        *self =
            Self { socket: Some(socket), readable: true, more: true, unsent, ..Self::default() };
    }

    /// Takes note of an event.
    pub(super) fn notice(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed();
        self.ended |= event.is_read_closed();
        self.more |= event.is_priority();
        self.failed |= event.is_error();
    }

    /// Fails if the connection is broken. A reset voids what came before, also what could still
    /// be read (RFC 9293, 3.10.7.4).
    pub(super) fn check(&self) -> io::Result<()> {
        let broken = self.socket.as_ref().filter(|_| self.failed);
        broken.map_or(Ok(()), |socket| {
            Err(socket.take_error()?.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()))
        })
    }

    /// Reads once; none if there is nothing. A short read has emptied the socket, but for the end
    /// of the stream, which may have come with the very event that told of the bytes, and for what
    /// [`more`](Self::more) says.
    pub(super) fn read(&mut self, inbox: &mut [u8]) -> io::Result<Option<usize>> {
        while let Some(socket) = self.socket.as_mut().filter(|_| self.readable) {
            match socket.read(inbox) {
                Ok(length) => {
                    self.readable = length == inbox.len() || self.ended || self.more;
                    return Ok(Some(length));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    (self.readable, self.more) = (false, false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Sends bytes behind those that wait. What the socket doesn't take waits too.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = if self.waiting() == 0 { self.write(bytes)? } else { 0 };
        self.unsent.reserve_exact(bytes.len() - taken);
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends what waits. Says whether any of it went.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.waiting() == 0 {
            return Ok(false);
        }
        let unsent = std::mem::take(&mut self.unsent);
        let taken = self.write(&unsent[self.sent..])?;
        self.sent += taken;
        match self.sent == unsent.len() {
            // A pair owns bytes only while it is stuck.
            true => self.sent = 0,
            false => self.unsent = unsent,
        }
        Ok(taken > 0)
    }

    /// The bytes that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.unsent.len() - self.sent
    }

    /// Ends our stream to the peer, which may still go on with its own.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.socket.as_ref().map_or(Ok(()), |socket| socket.shutdown(Shutdown::Write))
    }

    /// Has the connection end in order when it is dropped. Otherwise it is reset, so that the peer
    /// doesn't take the stream for whole.
    pub(super) fn complete(&self) {
        if let Some(socket) = &self.socket {
            sockets::complete(socket);
        }
    }

    /// Writes until the socket takes no more: only that brings an event later.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while let Some(socket) = &mut self.socket
            && written < bytes.len()
        {
            match socket.write(&bytes[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}
