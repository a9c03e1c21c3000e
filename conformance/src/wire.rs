//! One connection, as the kit has it: blocking, with a deadline for whatever is waited for.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use countersign::{Address, clock};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::secrets::{HEADER, TAG};
use crate::wire_log::{WireLog, described};

/// Why something did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) expected: String,
    pub(crate) came: String,
}

impl Mismatch {
    pub(crate) fn new(expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self { expected: expected.into(), came: came.into() }
    }
}

/// What a read has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadEvent {
    Bytes,
    End,
    Nothing,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    /// What has arrived and was not taken yet.
    pub(crate) inbox: Vec<u8>,
    /// What is sent together at the next release, if it is gathered.
    held: Option<Vec<u8>>,
    /// The other end has ended its stream, or reset it.
    is_ended: bool,
    /// The longest that anything is waited for.
    timeout: Duration,
    /// The server's nonce has not been taken yet.
    pub(crate) is_nonce_due: bool,
    /// When the connection began, for the deadline of the handshake.
    pub(crate) began: Instant,
    pub(crate) log: WireLog,
}

impl Wire {
    pub(crate) fn connect(address: &Address, timeout: Duration) -> io::Result<Self> {
        let (domain, to) = match address {
            Address::Ip(ip) => (Domain::for_address(*ip), SockAddr::from(*ip)),
            Address::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        if to.is_unix() {
            socket.connect(&to)?;
        } else {
            socket.connect_timeout(&to, timeout)?;
        }
        Ok(Self::new(socket, timeout))
    }

    pub(crate) fn new(socket: Socket, timeout: Duration) -> Self {
        // A Unix socket has no such option.
        let _ = socket.set_tcp_nodelay(true);
        // A peer that reads nothing is judged by what it says.
        let _ = socket.set_write_timeout(Some(timeout));
        Self {
            socket,
            inbox: Vec::new(),
            held: None,
            is_ended: false,
            timeout,
            is_nonce_due: true,
            began: clock::monotonic(),
            log: WireLog::default(),
        }
    }

    /// Sends these bytes, or gathers them. What the other end no longer reads is not missed here:
    /// what it must do then is expected by another step.
    pub(crate) fn send(&mut self, what: &str, bytes: &[u8]) {
        self.log.sent(what, bytes);
        match &mut self.held {
            Some(held) => held.extend(bytes),
            None => drop((&self.socket).write_all(bytes)),
        }
    }

    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Sends what was gathered, in one write or in one for each byte.
    pub(crate) fn release(&mut self, is_split: bool) {
        let held = self.held.take().unwrap_or_default();
        let size = if is_split { 1 } else { held.len().max(1) };
        self.log.note(match is_split {
            true => "all of it was sent byte by byte",
            false => "all of it was sent in one write",
        });
        for piece in held.chunks(size) {
            if (&self.socket).write_all(piece).is_err() {
                return;
            }
        }
    }

    /// Ends the kit's own stream.
    pub(crate) fn finish(&mut self) {
        self.log.note("the kit ended its stream");
        // It may be over already.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Resets the connection.
    pub(crate) fn reset(&mut self) {
        self.log.note("the kit reset the connection");
        self.is_ended = true;
        // In place of the socket, which is closed, there is one that was never connected.
        let other = Socket::new(Domain::IPV4, Type::STREAM, None);
        if self.socket.set_linger(Some(Duration::ZERO)).is_ok()
            && let Ok(other) = other
        {
            self.socket = other;
        }
    }

    /// Waits for more until this instant.
    pub(crate) fn read(&mut self, until: Instant) -> ReadEvent {
        if self.is_ended {
            return ReadEvent::End;
        }
        // Zero would mean forever. A peer that never stops sending must not extend the wait.
        let left = until.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return ReadEvent::Nothing;
        }
        if self.socket.set_read_timeout(Some(left)).is_err() {
            return ReadEvent::End;
        }
        let mut bytes = [0; 16384];
        match (&self.socket).read(&mut bytes) {
            Ok(0) => {}
            Ok(length) => {
                self.inbox.extend(&bytes[..length]);
                return ReadEvent::Bytes;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return ReadEvent::Nothing,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return ReadEvent::Nothing,
            Err(error) => self.log.note(format!("the connection was broken: {error}")),
        }
        self.is_ended = true;
        ReadEvent::End
    }

    /// The instant after the usual time.
    pub(crate) fn deadline(&self) -> Instant {
        clock::after(self.timeout)
    }

    /// Waits until so many bytes are there, and does not take them.
    pub(crate) fn await_bytes(&mut self, count: usize, expected: &str) -> Result<(), Mismatch> {
        let until = self.deadline();
        while self.inbox.len() < count {
            match self.read(until) {
                ReadEvent::Bytes => {}
                ReadEvent::Nothing if clock::monotonic() < until => {}
                last => return Err(self.mismatch(expected, last)),
            }
        }
        Ok(())
    }

    /// Takes so many bytes that are there.
    pub(crate) fn take(&mut self, count: usize, what: &str) -> Vec<u8> {
        let taken: Vec<u8> = self.inbox.drain(..count.min(self.inbox.len())).collect();
        self.log.came(what, &taken);
        taken
    }

    /// What is there in place of what was expected.
    pub(crate) fn mismatch(&mut self, expected: &str, last: ReadEvent) -> Mismatch {
        // A few more bytes may tell more.
        if last == ReadEvent::Bytes || !self.inbox.is_empty() {
            let until = clock::after(Duration::from_millis(100));
            while self.read(until) == ReadEvent::Bytes {}
        }
        let bytes = described(&self.inbox, self.is_nonce_due);
        let end = match (self.is_ended, last) {
            (true, _) => "the end of the stream".to_owned(),
            (_, ReadEvent::Bytes) => "an open stream".to_owned(),
            _ => format!("nothing more in {:.1} s", self.timeout.as_secs_f64()),
        };
        if !self.inbox.is_empty() {
            let inbox = std::mem::take(&mut self.inbox);
            self.log.came("what was not expected", &inbox);
        }
        let came = if bytes.is_empty() { end } else { format!("{bytes}, then {end}") };
        Mismatch::new(expected, came)
    }

    /// The stream must end, whatever comes before its end.
    pub(crate) fn expect_end_of_all(
        &mut self,
        until: Instant,
        expected: &str,
    ) -> Result<(), Mismatch> {
        loop {
            if !self.inbox.is_empty() {
                let inbox = std::mem::take(&mut self.inbox);
                self.log.came("what was on its way", &inbox);
            }
            match self.read(until) {
                ReadEvent::Bytes => {}
                ReadEvent::End => {
                    self.log.note("the other end ended the stream");
                    return Ok(());
                }
                ReadEvent::Nothing if clock::monotonic() < until => {}
                ReadEvent::Nothing => return Err(self.mismatch(expected, ReadEvent::Nothing)),
            }
        }
    }

    /// The stream must end with nothing before its end.
    pub(crate) fn expect_end(&mut self, expected: &str) -> Result<(), Mismatch> {
        let until = self.deadline();
        loop {
            if !self.inbox.is_empty() {
                return Err(self.mismatch(expected, ReadEvent::Bytes));
            }
            match self.read(until) {
                ReadEvent::Bytes => {}
                ReadEvent::End => {
                    self.log.note("the other end ended the stream");
                    return Ok(());
                }
                ReadEvent::Nothing if clock::monotonic() < until => {}
                ReadEvent::Nothing => return Err(self.mismatch(expected, ReadEvent::Nothing)),
            }
        }
    }

    /// Nothing but a close record, which has 20 bytes, and the end may come in this time.
    pub(crate) fn expect_at_most_an_end(&mut self, time: Duration) -> Result<(), Mismatch> {
        let until = clock::after(time);
        while clock::monotonic() < until && self.read(until) != ReadEvent::End {}
        if self.inbox.len() > HEADER + TAG {
            return Err(self.mismatch("no message", ReadEvent::Bytes));
        }
        Ok(())
    }

    /// Nothing must come for this time.
    pub(crate) fn expect_silence(&mut self, time: Duration) -> Result<(), Mismatch> {
        let until = clock::after(time);
        loop {
            if !self.inbox.is_empty() {
                return Err(self.mismatch("nothing yet", ReadEvent::Bytes));
            }
            match self.read(until) {
                ReadEvent::Bytes => {}
                ReadEvent::End => return Err(self.mismatch("an open stream", ReadEvent::End)),
                ReadEvent::Nothing if clock::monotonic() < until => {}
                ReadEvent::Nothing => {
                    self.log.note("nothing came for a while");
                    return Ok(());
                }
            }
        }
    }

    /// Sends byte after byte with this pause, until the other end ends the stream.
    pub(crate) fn trickle(&mut self, what: &str, bytes: &[u8], pause: Duration, until: Instant) {
        self.log.sent(what, bytes);
        for byte in bytes {
            if clock::monotonic() >= until || (&self.socket).write_all(&[*byte]).is_err() {
                return;
            }
            if self.read(clock::after(pause)) == ReadEvent::End {
                return;
            }
        }
    }
}

/// How long one attempt to accept a connection waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port of this machine's for one client.
pub(crate) fn listen() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(4)?;
    // It holds for accept too.
    socket.set_read_timeout(Some(ACCEPT_PAUSE))?;
    let address = socket.local_addr()?.as_socket();
    Ok((socket, address.ok_or(io::ErrorKind::Unsupported)?))
}
