//! A blocking client: one connection, over std's sockets.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::address::{Address, ToAddresses};
use crate::chance;
use crate::clock;
use crate::proto::dialect::Dialect;
use crate::proto::framing::{Form, Framing};
use crate::proto::handshake::countersign::schedule::Exporter;
use crate::proto::protocol::{NoUsableKey, Protocol};
use crate::proto::refusal::{Reason, Refusal};
use crate::proto::session::Session;
use crate::proto::session::event::Event;

/// What is read at once.
const INBOX: usize = 16 << 10;

/// How long connecting and the handshake may take together, unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A blocking client: one connection that has gone through the handshake.
///
/// ```no_run
/// use countersign::{Client, KeyRing};
///
/// let keys = KeyRing::from_file("keys")?;
/// let mut client = Client::connect("127.0.0.1:9527", keys)?;
/// assert!(client.ask(b"hello")?.ends_with(b"hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In `countersign/1` a client that is connected knows that the server holds the key. Whether the
/// server takes ours, it says while we go on: a refusal shows at the first
/// [`receive`](Self::receive), as [`ClientError::Rejected`]. In `raw` and `hex` the server proves
/// nothing and says no word of success; a key that it doesn't know shows as
/// [`ClientError::Refused`].
#[derive(Debug)]
pub struct Client {
    /// Of either kind: the type is a descriptor and the calls that all streams have in common.
    stream: TcpStream,
    address: Address,
    protocol: Protocol,
    session: Session,
    /// What was read; from `next` on it was not looked at.
    inbox: Vec<u8>,
    next: usize,
    /// What is to be written; kept so that its memory is.
    out: Vec<u8>,
    /// The message that was received last.
    message: Vec<u8>,
    /// How long one call may wait.
    timeout: Option<Duration>,
    /// What secrets derive from that nobody else has.
    exporter: Option<Exporter>,
    /// The server has answered something, so it knows the key.
    known: bool,
    /// We have said good-bye.
    finished: bool,
}

impl Client {
    /// Connects to the first address that answers and goes through the handshake, in at most five
    /// seconds. The Unix socket of a path is called `unix:/path`: see [`ToAddresses`].
    ///
    /// # Errors
    ///
    /// There is no key to sign with, nobody listens, or the handshake failed.
    pub fn connect(
        address: impl ToAddresses,
        protocol: impl Into<Protocol>,
    ) -> Result<Self, ClientError> {
        Self::connect_within(address, protocol, CONNECT_TIMEOUT)
    }

    /// The same in at most `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub fn connect_within(
        address: impl ToAddresses,
        protocol: impl Into<Protocol>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let mut protocol = protocol.into();
        protocol.prepare(clock::wall(), chance::bytes)?;
        let session = Session::client(&protocol, chance::bytes()?)?;
        let deadline = clock::after(timeout);
        let (stream, address) = dial(address, deadline)?;
        let mut client = Self {
            stream,
            address,
            protocol,
            session,
            inbox: Vec::new(),
            next: 0,
            out: Vec::new(),
            message: Vec::new(),
            timeout: None,
            exporter: None,
            known: false,
            finished: false,
        };
        match client.event(Some(deadline)) {
            Ok(Some(Heard::Open)) => Ok(client),
            Ok(_) => Err(ClientError::Closed),
            // What the server had not read of ours makes its hanging up a reset, or not: that is
            // chance, and no other failure.
            Err(ClientError::Io(error)) if is_reset(&error) => Err(ClientError::Cut),
            Err(error) => Err(error),
        }
    }

    /// How long one call may wait from now on; without it, for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Sends one message.
    ///
    /// # Errors
    ///
    /// The framing can't carry the message, or the connection is broken.
    pub fn send(&mut self, message: &[u8]) -> Result<(), ClientError> {
        let form = self.session.form(&self.protocol);
        let carried = match form {
            Form::Line(_) => !message.contains(&b'\n') && !message.ends_with(b"\r"),
            Form::Chunk => !message.is_empty(),
            Form::Length | Form::Record => true,
        };
        if !carried {
            return Err(ClientError::Unsendable(self.protocol.framing()));
        }
        if message.len() > self.protocol.message_max() {
            return Err(ClientError::TooLong(self.protocol.message_max()));
        }
        self.out.clear();
        form.frame(message, &mut self.out);
        if self.seal() { self.flush() } else { Err(ClientError::TooLongForServer) }
    }

    /// Says that no message follows. Replies can still be received.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub fn finish(&mut self) -> Result<(), ClientError> {
        self.finished = true;
        self.out.clear();
        self.session.say_goodbye(&mut self.out);
        self.seal();
        self.flush()?;
        match self.stream.shutdown(Shutdown::Write) {
            // The server has gone already; what it said last can still be received.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            ended => Ok(ended?),
        }
    }

    /// Waits for the next message; `None` when the server has ended the stream.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the server ended it without a word, though we had not.
    pub fn receive(&mut self) -> Result<Option<&[u8]>, ClientError> {
        let deadline = self.timeout.map(clock::after);
        let heard = self.event(deadline);
        // The other dialects' servers say whether they take our proof.
        let silent = matches!(self.protocol.dialect(), Dialect::Raw | Dialect::Hex | Dialect::Open);
        let refused = silent && !self.known && !self.finished;
        match heard {
            Ok(Some(_)) => {
                self.known = true;
                Ok(Some(&self.message))
            }
            Ok(None) if refused => Err(ClientError::Refused),
            Ok(None) => Ok(None),
            // What the server had not read of ours makes its good-bye a reset.
            Err(ClientError::Io(error)) if refused && is_reset(&error) => Err(ClientError::Refused),
            Err(error) => Err(error),
        }
    }

    /// Sends a message and waits for the next one.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send) and [`receive`](Self::receive), and [`ClientError::Closed`] if
    /// the server ended the stream instead.
    pub fn ask(&mut self, message: &[u8]) -> Result<&[u8], ClientError> {
        match self.send(message) {
            // The reason why the server has hung up shows when reading.
            Ok(()) => {}
            Err(ClientError::Io(error)) if is_reset(&error) => {}
            Err(error) => return Err(error),
        }
        self.receive()?.ok_or(ClientError::Closed)
    }

    /// The secret of this label, which the server derives too and nobody else can; none unless
    /// the dialect is `countersign/1`. See [`Exporter`].
    #[must_use]
    pub fn secret(&self, label: &[u8]) -> Option<[u8; 32]> {
        self.exporter.as_ref().map(|exporter| exporter.secret(label))
    }

    /// Where the server is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next event of the session, for which it reads as often as need be.
    fn event(&mut self, deadline: Option<Instant>) -> Result<Option<Heard>, ClientError> {
        loop {
            let mut input = &self.inbox[self.next..];
            self.out.clear();
            let event = self.session.next(&self.protocol, &mut input, &mut self.out);
            let event = match event {
                Ok(event) => event,
                Err(refusal) => {
                    // The dialect may have a word for it; that it is lost changes nothing.
                    let _ = self.flush();
                    return Err(refusal.into());
                }
            };
            let heard = match event {
                Some(Event::Open(opened)) => {
                    self.exporter = opened.exporter;
                    Heard::Open
                }
                Some(Event::Message(message)) => {
                    self.message.clear();
                    self.message.extend_from_slice(message.bytes);
                    Heard::Message
                }
                Some(Event::Control) => Heard::Control,
                Some(Event::Finished | Event::End) => Heard::End,
                None => Heard::Nothing,
            };
            self.next = self.inbox.len() - input.len();
            self.seal();
            self.flush()?;
            match heard {
                Heard::Open | Heard::Message => return Ok(Some(heard)),
                Heard::Control => {}
                Heard::End => return Ok(None),
                Heard::Nothing if self.read(deadline)? == 0 => return self.last(),
                Heard::Nothing => {}
            }
        }
    }

    /// The stream has ended, perhaps with a line that has no terminator.
    fn last(&mut self) -> Result<Option<Heard>, ClientError> {
        match self.session.finish(&self.protocol) {
            Ok(None) => Ok(None),
            Ok(Some(message)) => {
                self.message.clear();
                self.message.extend_from_slice(message.bytes);
                Ok(Some(Heard::Message))
            }
            Err(_) => Err(ClientError::Cut),
        }
    }

    fn read(&mut self, deadline: Option<Instant>) -> Result<usize, ClientError> {
        self.inbox.resize(INBOX, 0);
        self.next = 0;
        loop {
            let left = deadline.map(|end| end.saturating_duration_since(clock::monotonic()));
            if left == Some(Duration::ZERO) {
                self.inbox.clear();
                return Err(ClientError::Timeout);
            }
            self.stream.set_read_timeout(left)?;
            match self.stream.read(&mut self.inbox) {
                Ok(length) => {
                    self.inbox.truncate(length);
                    return Ok(length);
                }
                Err(error) if is_retried(&error) => {}
                Err(error) => {
                    self.inbox.clear();
                    return Err(error.into());
                }
            }
        }
    }

    /// Makes what is to be written ready. Says whether the server takes all of it.
    fn seal(&mut self) -> bool {
        let sealed = self.session.seal(&mut self.out);
        sealed == self.out.len()
    }

    fn flush(&mut self) -> Result<(), ClientError> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.stream.set_write_timeout(self.timeout)?;
        match self.stream.write_all(&self.out) {
            Err(error) if is_retried(&error) => Err(ClientError::Timeout),
            written => Ok(written?),
        }
    }
}

/// What the session has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Open,
    Message,
    Control,
    End,
    Nothing,
}

/// Connects to the first of the addresses that answers.
fn dial(
    addresses: impl ToAddresses,
    deadline: Instant,
) -> Result<(TcpStream, Address), ClientError> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.to_addresses()? {
        let left = deadline.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(ClientError::Timeout);
        }
        match connected(&address, left) {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => failure = error,
        }
    }
    Err(if is_retried(&failure) { ClientError::Timeout } else { ClientError::Io(failure) })
}

fn connected(address: &Address, within: Duration) -> io::Result<TcpStream> {
    match address {
        Address::Ip(address) => {
            let stream = TcpStream::connect_timeout(address, within)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Address::Unix(_) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // A server that has no room yet is waited for as long as a write would be.
            socket.set_write_timeout(Some(within))?;
            socket.connect(&address.to_system()?)?;
            Ok(socket.into())
        }
    }
}

/// A timeout of the socket's comes as one of these, by the system.
fn is_retried(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// Why a [`Client`] has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no key to sign with.
    NoUsableKey(NoUsableKey),
    /// Nobody listens, or the connection broke.
    Io(io::Error),
    /// The server didn't prove that it holds the key. Nothing was sent to it but our call.
    Unproven,
    /// The server refuses us, and says why. Nobody vouches for its word.
    Rejected(Reason),
    /// The server ended the stream after our proof, without a word.
    Refused,
    /// The server ended the stream when something was due.
    Closed,
    /// The stream ended inside the handshake or inside a message, or without the good-bye that
    /// records end with.
    Cut,
    /// It took too long.
    Timeout,
    /// The server did what it must not do.
    Server(Refusal),
    /// The framing can't carry such a message.
    Unsendable(Framing),
    /// The message is longer than this, which is the limit.
    TooLong(usize),
    /// The message is longer than the server takes.
    TooLongForServer,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUsableKey(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Unproven => f.write_str(
                "the server did not prove that it holds the key; do both ends have the same key \
                 under the same id, and is it in force there, for this audience?",
            ),
            Self::Rejected(reason) => write!(f, "the server refuses: {reason}"),
            Self::Refused => f.write_str(
                "the server closed the connection after our proof; do both ends have the same key, \
                 dialect and MAC, and does it take a message as long as the first?",
            ),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Cut => f.write_str(
                "the stream ended inside the handshake or a message, or without a good-bye; do \
                 both ends have the same dialect and framing, and may this address connect there, \
                 without a balancer?",
            ),
            Self::Timeout => {
                f.write_str("timed out; do both ends have the same dialect and framing?")
            }
            Self::Server(refusal) => write!(f, "the server is at fault: {refusal}"),
            Self::Unsendable(framing) => {
                write!(f, "the framing {framing} can't carry this message; length carries any")
            }
            Self::TooLong(limit) => {
                write!(f, "the message is longer than the limit, {limit} bytes")
            }
            Self::TooLongForServer => f.write_str(
                "the message is longer than the server takes; raise its limit, or send less",
            ),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoUsableKey(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Server(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongProof => Self::Unproven,
            Refusal::Rejected(reason) => Self::Rejected(reason),
            other => Self::Server(other),
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NoUsableKey> for ClientError {
    fn from(error: NoUsableKey) -> Self {
        Self::NoUsableKey(error)
    }
}
