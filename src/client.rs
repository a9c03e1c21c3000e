//! A blocking client: one connection, over std's sockets.

mod error;
mod output;
mod queue;
mod unanswered;
mod wait;

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_proto::{
    ClientConfig, Dialect, Event, Exporter, ForeignProtocol, FrameFormat, Refusal, Session,
};

use crate::address::{Address, ToAddresses};
use crate::clock;
use crate::dial::Dial;
use crate::random;
use crate::unix_time::since_epoch;
pub use error::ClientError;
use error::is_reset;
use queue::MessageQueue;
use wait::retried;

/// How much one read takes at most.
const INBOX: usize = 16 << 10;

/// How long connecting and the handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A blocking client: one connection that has gone through the handshake.
///
/// ```no_run
/// use countersign::{Client, KeyRing, KeyRingExt as _};
///
/// let keys = KeyRing::from_file("keys")?;
/// let mut client = Client::connect("127.0.0.1:9527", keys)?;
/// assert!(client.ask(b"hello")?.ends_with(b"hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In `countersign/1` a connected client knows that the server holds the key. Whether the server
/// accepts the client's key shows later: a refusal is returned by the first
/// [`receive`](Self::receive), as [`ClientError::Rejected`]. In `raw` and `hex` the server proves
/// nothing and doesn't confirm success; a key that it doesn't know shows as
/// [`ClientError::Refused`].
#[derive(Debug)]
pub struct Client {
    /// TCP or Unix: the type is a descriptor with the calls that all streams share.
    stream: TcpStream,
    address: Address,
    /// The time since 1970 when the handshake began, at which keys must be valid.
    wall: Duration,
    session: Session,
    /// Input, which from `next` on has not been processed.
    inbox: Vec<u8>,
    next: usize,
    /// Output, of which the first `sent` bytes have been sent.
    out: Vec<u8>,
    sent: usize,
    /// Messages that go out together when the output is flushed, behind what is in it.
    queue: MessageQueue,
    /// How messages are framed.
    form: FrameFormat,
    /// The message that was received last.
    message: Vec<u8>,
    /// How long one call may wait.
    timeout: Option<Duration>,
    /// From which the secrets of this connection are derived.
    exporter: Option<Exporter>,
    /// The server has answered something, so it knows the key.
    known: bool,
    /// When something was last sent that the server may refuse.
    asked: Instant,
    /// No message follows; our stream ends when all output is written.
    finished: bool,
    /// Calls don't wait.
    is_nonblocking: bool,
    /// Nothing more can be sent: a write has failed, or the whole connection has.
    is_unsendable: bool,
    /// The connection has failed.
    is_over: bool,
}

impl Client {
    /// Connects to the first address that answers and goes through the handshake, in at most five
    /// seconds. [`ToAddresses`] shows what an address looks like; of a name, all addresses are
    /// tried as a [`Dial`] does.
    ///
    /// # Errors
    ///
    /// There is no key to sign with, the server can't be reached, or the handshake failed.
    pub fn connect(
        address: impl ToAddresses,
        config: impl Into<Arc<ClientConfig>>,
    ) -> Result<Self, ClientError> {
        Self::connect_within(address, config, CONNECT_TIMEOUT)
    }

    /// The same in at most `timeout`, for connecting and the handshake together. Only the lookup of
    /// a name can't be cut short: it takes as long as the system's resolver needs.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub fn connect_within(
        address: impl ToAddresses,
        config: impl Into<Arc<ClientConfig>>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let session = session(config.into())?;
        let deadline = clock::after(timeout);
        let (addresses, now) = (address.to_addresses()?, clock::monotonic());
        let left = deadline.saturating_duration_since(now);
        let (stream, address) = Dial::new(addresses, now, left).wait()?;
        Self::begin(stream, address, session, deadline)
    }

    /// Goes through the handshake on a stream that is already connected, in at most `timeout`: for
    /// a stream that a [`Dial`] has connected, and on which something else was sent first.
    ///
    /// # Errors
    ///
    /// There is no key to sign with, or the handshake failed.
    pub fn over(
        stream: TcpStream,
        address: Address,
        config: impl Into<Arc<ClientConfig>>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        Self::begin(stream, address, session(config.into())?, clock::after(timeout))
    }

    fn begin(
        stream: TcpStream,
        address: Address,
        (wall, session): (Duration, Session),
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let mut client = Self {
            stream,
            address,
            wall,
            session,
            inbox: Vec::new(),
            next: 0,
            out: Vec::new(),
            sent: 0,
            queue: MessageQueue::default(),
            form: FrameFormat::Chunk,
            message: Vec::new(),
            timeout: None,
            exporter: None,
            known: false,
            asked: clock::monotonic(),
            finished: false,
            is_nonblocking: false,
            is_unsendable: false,
            is_over: false,
        };
        let error = match client.event(Some(deadline)) {
            Ok(Some(EventKind::Open)) => {
                client.asked = clock::monotonic();
                return Ok(client);
            }
            Ok(_) => ClientError::Closed,
            Err(error) => error,
        };
        Err(error.in_handshake(client.session.config()))
    }

    /// Sets how long one call may take from now on, whatever it does; `None` is for ever.
    ///
    /// A call that takes longer fails with [`ClientError::Timeout`]. [`receive`](Self::receive)
    /// loses nothing then, and can be called again. After an [`ask`](Self::ask) whose message was
    /// sent, the reply may still arrive: `receive` waits for it, and another `ask` would take it
    /// for its own reply. If the message was not sent completely, part of it may have been, so
    /// nothing more can be sent: see [`ClientError::Over`].
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Sets whether calls return at once from now on, instead of waiting.
    ///
    /// For a host that watches the socket itself, and may have many messages in flight.
    /// [`send`](Self::send) and [`finish`](Self::finish) then write nothing: [`flush`](Self::flush)
    /// does, for many messages at once. [`receive`](Self::receive) fails with
    /// [`ClientError::Timeout`] if no complete message has arrived. The bytes that wait to be
    /// written are [`unsent`](Self::unsent): bound them, and memory is bounded. [`ask`](Self::ask)
    /// writes what the socket takes. When calls wait again, a call that waits for the server first
    /// writes all that is unsent; if that takes too long, nothing more can be sent.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn set_nonblocking(&mut self, is_nonblocking: bool) -> io::Result<()> {
        self.is_nonblocking = is_nonblocking;
        self.stream.set_nonblocking(is_nonblocking)
    }

    /// Writes what is unsent; if calls don't wait, as much of it as the socket takes.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        self.flush_until(self.deadline())
    }

    /// The number of bytes that wait to be written, give or take what frames them.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.unwritten() + self.queue.len()
    }

    /// Sends one message.
    ///
    /// # Errors
    ///
    /// The framing can't carry the message, or the connection is broken. After a failure of the
    /// connection, including a timeout, nothing more can be sent; messages of the server can still
    /// be received.
    pub fn send(&mut self, message: &[u8]) -> Result<(), ClientError> {
        self.send_until(message, self.deadline())
    }

    fn send_until(&mut self, message: &[u8], deadline: Option<Instant>) -> Result<(), ClientError> {
        if self.is_unsendable || self.finished {
            return Err(ClientError::Over);
        }
        self.check_idle()?;
        if message.len() > self.session.config().message_max() {
            return Err(ClientError::TooLong(self.session.config().message_max()));
        }
        if !self.form.carries(message) {
            return Err(ClientError::Unsendable(self.session.config().framing()));
        }
        if !self.session.takes(message.len()) {
            return Err(ClientError::TooLongForServer);
        }
        self.queue.push(message);
        if self.is_unanswered() {
            self.asked = clock::monotonic();
        }
        if self.is_nonblocking { Ok(()) } else { self.flush_until(deadline) }
    }

    /// Tells the server that no message follows. Replies can still be received.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub fn finish(&mut self) -> Result<(), ClientError> {
        if self.is_unsendable {
            return Err(ClientError::Over);
        }
        self.finished = true;
        self.pack()?;
        self.session.finish(&mut self.out);
        if self.is_nonblocking { Ok(()) } else { self.flush() }
    }

    /// Waits for the next message; `None` when the server has ended the stream.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the server ended it without an answer before we had finished.
    /// After [`ClientError::Timeout`] it can be called again; after any other failure the
    /// connection has ended.
    pub fn receive(&mut self) -> Result<Option<&[u8]>, ClientError> {
        self.receive_until(self.deadline())
    }

    fn receive_until(&mut self, deadline: Option<Instant>) -> Result<Option<&[u8]>, ClientError> {
        match self.event(deadline) {
            Ok(Some(_)) => {
                self.known = true;
                Ok(Some(&self.message))
            }
            Ok(None) if self.is_unanswered() && !self.finished => Err(self.unanswered()),
            Ok(None) => Ok(None),
            // If the server closes with unread input, its end is a reset.
            Err(ClientError::Io(error))
                if self.is_unanswered() && !self.finished && is_reset(&error) =>
            {
                Err(self.unanswered())
            }
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
        let deadline = self.deadline();
        // If calls don't wait, sending alone writes nothing.
        match self.send_until(message, deadline).and_then(|()| self.flush_until(deadline)) {
            // Why the server has closed the connection shows when reading.
            Ok(()) => {}
            Err(ClientError::Io(error)) if is_reset(&error) => {}
            Err(error) => return Err(error),
        }
        self.receive_until(deadline)?.ok_or(ClientError::Closed)
    }

    /// The secret of this label, which only the server can derive too; none unless the dialect is
    /// `countersign/1`. See [`Exporter`].
    #[must_use]
    pub fn secret(&self, label: &[u8]) -> Option<[u8; 32]> {
        self.exporter.as_ref().map(|exporter| exporter.secret(label))
    }

    /// Where the server is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// When a call that begins now must have ended.
    fn deadline(&self) -> Option<Instant> {
        self.timeout.map(clock::after)
    }

    /// The next event of the session. After a failure there are no more.
    fn event(&mut self, deadline: Option<Instant>) -> Result<Option<EventKind>, ClientError> {
        if self.is_over {
            return Err(ClientError::Over);
        }
        let event = self.next_event(deadline);
        self.is_over = event.as_ref().is_err_and(|error| !matches!(error, ClientError::Timeout));
        self.is_unsendable |= self.is_over;
        event
    }

    /// The next event of the session; reads as often as necessary.
    fn next_event(&mut self, deadline: Option<Instant>) -> Result<Option<EventKind>, ClientError> {
        loop {
            let mut input = &self.inbox[self.next..];
            let start = self.out.len();
            let event = self.session.process(self.wall, &mut input, &mut self.out);
            let event = match event {
                Ok(event) => event,
                Err(refusal) => {
                    // The dialect may have a message for it; whether it is lost doesn't matter.
                    let _ = self.flush_until(deadline);
                    return Err(refusal.into());
                }
            };
            let kind = match event {
                Some(Event::Open(opened)) => {
                    (self.exporter, self.form) = (opened.exporter, opened.form);
                    EventKind::Open
                }
                Some(Event::Message(message)) => {
                    self.message.clear();
                    self.message.extend_from_slice(message.bytes);
                    EventKind::Message
                }
                Some(Event::Finished | Event::End) => EventKind::End,
                Some(_) => EventKind::Control,
                None => EventKind::Nothing,
            };
            self.next = self.inbox.len() - input.len();
            if self.out.len() > start {
                self.flush_until(deadline)?;
            }
            match kind {
                EventKind::Open | EventKind::Message => return Ok(Some(kind)),
                EventKind::Control => {}
                EventKind::End => return Ok(None),
                EventKind::Nothing if self.read(deadline)? == 0 => return self.last(),
                EventKind::Nothing => {}
            }
        }
    }

    /// Before waiting for the server: it can't answer what was left unsent while no call waited.
    fn flush_to_wait(&mut self, deadline: Option<Instant>) -> Result<(), ClientError> {
        if self.is_nonblocking || self.is_unsendable {
            return Ok(());
        }
        match self.flush_until(deadline) {
            // Why the server has closed the connection shows when reading.
            Err(ClientError::Io(error)) if is_reset(&error) => Ok(()),
            flushed => flushed,
        }
    }

    /// The last message of a stream that has ended: a line without a terminator.
    fn last(&mut self) -> Result<Option<EventKind>, ClientError> {
        match self.session.input_ended() {
            Ok(None) => Ok(None),
            Ok(Some(message)) => {
                self.message.clear();
                self.message.extend_from_slice(message.bytes);
                Ok(Some(EventKind::Message))
            }
            Err(_) => Err(ClientError::Truncated),
        }
    }

    fn read(&mut self, deadline: Option<Instant>) -> Result<usize, ClientError> {
        self.flush_to_wait(deadline)?;
        self.inbox.resize(INBOX, 0);
        self.next = 0;
        let read = retried(self.is_nonblocking, deadline, |left| {
            self.stream.set_read_timeout(left)?;
            self.stream.read(&mut self.inbox)
        });
        self.inbox.truncate(*read.as_ref().unwrap_or(&0));
        let is_first = self.session.config().dialect() == Dialect::Open && !self.known;
        match is_first
            .then(|| ForeignProtocol::of_challenge(&self.inbox, self.session.config().framing()))
            .flatten()
        {
            Some(opening) => Err(Refusal::Foreign(opening).into()),
            None => read,
        }
    }
}

/// A new session, at the current time.
fn session(config: Arc<ClientConfig>) -> Result<(Duration, Session), ClientError> {
    let wall = since_epoch(clock::wall());
    let session = Session::client(config, wall, random::bytes()?)?;
    Ok((wall, session))
}

impl Drop for Client {
    /// Resets the connection if the server may have a part of a message. At an orderly end of the
    /// stream it would take that for the whole, where framing doesn't tell.
    fn drop(&mut self) {
        if self.unwritten() > 0 {
            self.reset_on_close();
        }
    }
}

impl AsFd for Client {
    /// The socket, for a host that watches it: it is readable when
    /// [`receive`](Client::receive) may have something to return. Messages that have arrived
    /// together are read together, so [without waiting](Client::set_nonblocking) call that until
    /// it fails with [`ClientError::Timeout`]; only then wait for the socket again. Watch it for
    /// writing while something is [unsent](Client::unsent).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The kind of an event of the session, without what that borrows from the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventKind {
    Open,
    Message,
    Control,
    End,
    /// There is no event before more is read.
    Nothing,
}
