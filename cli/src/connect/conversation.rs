//! A conversation with the server: over one connection, or one for each message.

use std::fmt::Display;
use std::io;
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::{AddressError, Client, ClientConfig, ClientError, Dialect, Framing, RefusalCode};
use rustix::event::PollFlags;

use super::args::ConnectArgs;
use super::frontend::say;
use super::retry::Backoff;
use super::wait::wait;
use crate::escape::Escaped;
use crate::exit::{Failure, Kind, describe};
use crate::output::{stderr, stdout};
use crate::system;

/// How long to wait for a sign that the connection has ended, before a message is sent that
/// couldn't be sent again.
const PROBE_TIME: Duration = Duration::from_millis(1);

/// The most bytes of messages that wait to be sent, and of replies that wait to be printed.
const BATCH: usize = 64 << 10;

/// A conversation with the server: over one connection, or one for each message.
pub(super) struct Conversation<'a> {
    connect: &'a ConnectArgs,
    config: Arc<ClientConfig>,
    /// Whether a lost message ends the conversation.
    is_forgiving: bool,
    /// Whether a message ends where the server's read does, not where something in the stream says.
    is_chunked: bool,
    /// Messages that may await their replies at one time.
    depth: u64,
    client: Option<Client>,
    /// Whether there ever was a connection.
    was_open: bool,
    /// Messages that await their replies.
    due: u64,
    /// When receiving or sending last made progress.
    progress: Instant,
    /// Why the connection has ended, if no reply was pending.
    lost: Option<ClientError>,
    /// A lost message that the user has not been told about.
    notice: Option<String>,
    /// Replies that have not been printed yet.
    replies: Vec<u8>,
    is_escaped: bool,
    /// More may have arrived than there was room for.
    has_more: bool,
}

/// The result of sending a message.
pub(super) enum Sent {
    Queued,
    /// It can't be sent. The connection is as before.
    Refused(Failure),
}

impl<'a> Conversation<'a> {
    pub(super) fn new(connect: &'a ConnectArgs, config: ClientConfig, is_prompt: bool) -> Self {
        let ConnectArgs { protocol: args, retry, no_reply, .. } = connect;
        // A record has an end of its own, whatever the framing.
        let is_chunked =
            args.framing() == Framing::Chunks && config.dialect() != Dialect::Countersign;
        // The chunk after one waits until that was answered. At the prompt a reply stands below its
        // message.
        let one = args.once || is_chunked || is_prompt && !no_reply;
        Self {
            connect,
            config: Arc::new(config),
            is_forgiving: is_prompt && *retry > 0,
            is_chunked,
            depth: if one { 1 } else { u64::MAX },
            client: None,
            was_open: false,
            due: 0,
            progress: system::monotonic(),
            lost: None,
            notice: None,
            replies: Vec::new(),
            is_escaped: stdout().is_terminal(),
            has_more: false,
        }
    }

    /// Connects, if there is no connection.
    pub(super) fn open(&mut self) -> Result<(), Failure> {
        if self.client.is_none() {
            let mut client = self.dial()?;
            client.set_nonblocking(true).map_err(|error| self.failed(&error.into()))?;
            self.client = Some(client);
            self.was_open = true;
        }
        Ok(())
    }

    /// Connects, if nothing that was sent has shown whether the server can be reached.
    pub(super) fn reach(&mut self) -> Result<(), Failure> {
        if self.was_open { Ok(()) } else { self.open() }
    }

    /// Whether another message may be sent now.
    pub(super) fn has_room(&self) -> bool {
        let unsent = self.client.as_ref().map_or(0, Client::unsent);
        match self.depth {
            1 => self.due == 0 && unsent == 0,
            depth => self.due < depth && unsent < BATCH,
        }
    }

    /// Whether everything was sent and answered.
    pub(super) fn is_done(&self) -> bool {
        self.due == 0 && self.client.as_ref().is_none_or(|client| client.unsent() == 0)
    }

    /// Sends a message. If no reply is pending, a connection that has ended is replaced first.
    pub(super) fn send(&mut self, message: &[u8]) -> Result<Sent, Failure> {
        let most = self.connect.protocol.message_max;
        if message.len() > most {
            return Ok(Sent::Refused(self.too_long()));
        }
        // An empty chunk is not a message.
        if message.is_empty() && self.is_chunked {
            return Ok(Sent::Queued);
        }
        if self.is_done() {
            self.renew()?;
        }
        let Some(client) = &mut self.client else { return Ok(Sent::Queued) };
        match client.send(message) {
            Ok(()) => {
                if self.is_done() {
                    self.progress = system::monotonic();
                }
                self.due += u64::from(!self.connect.no_reply);
                Ok(Sent::Queued)
            }
            Err(error) => Ok(Sent::Refused(self.failed(&error))),
        }
    }

    pub(super) fn too_long(&self) -> Failure {
        self.failed(&ClientError::TooLong(self.connect.protocol.message_max))
    }

    /// Makes sure that there is a connection, as far as can be seen.
    fn renew(&mut self) -> Result<(), Failure> {
        if self.connect.retry > 0
            && let Some(client) = &self.client
        {
            wait(&[(client.as_fd(), PollFlags::IN)], Some(PROBE_TIME))?;
        }
        self.receive()?;
        self.notice = None;
        if let Some(error) = self.lost.take() {
            let failure = self.failed(&error);
            if self.connect.retry == 0 || !is_passing(&error) {
                return Err(failure);
            }
            say(&format_args!("{failure}; reconnecting"));
        }
        self.open()
    }

    /// Sends and receives what is possible at once.
    pub(super) fn go_on(&mut self) -> Result<(), Failure> {
        if let Some(client) = &mut self.client {
            let unsent = client.unsent();
            match client.flush() {
                Ok(()) => {}
                // Why it ended shows when reading.
                Err(ClientError::Io(error)) if is_broken(&error) => {}
                Err(error) => return self.over(error),
            }
            if client.unsent() < unsent {
                self.progress = system::monotonic();
            }
            if self.connect.protocol.once && self.is_done() {
                return self.leave();
            }
        }
        self.receive()?;
        let is_late = self.deadline().is_some_and(|deadline| deadline <= system::monotonic());
        if is_late { self.over(ClientError::Timeout) } else { Ok(()) }
    }

    /// Takes the replies that have arrived, as far as there is room for them.
    fn receive(&mut self) -> Result<(), Failure> {
        while let Some(client) = &mut self.client {
            self.has_more = self.replies.len() >= BATCH;
            if self.has_more {
                break;
            }
            match client.receive() {
                Ok(Some(reply)) => {
                    show(reply, self.is_escaped, &mut self.replies);
                    self.due = self.due.saturating_sub(1);
                    self.progress = system::monotonic();
                    if self.connect.protocol.once && self.due == 0 {
                        return self.leave();
                    }
                }
                Ok(None) => return self.over(ClientError::Closed),
                Err(ClientError::Timeout) => break,
                Err(error) => return self.over(error),
            }
        }
        Ok(())
    }

    /// The connection has ended.
    fn over(&mut self, error: ClientError) -> Result<(), Failure> {
        let unsent = self.client.take().map_or(0, |client| client.unsent());
        let was_idle = std::mem::take(&mut self.due) == 0 && unsent == 0;
        let failure = self.failed(&error);
        if was_idle {
            self.notice = Some(failure.to_string());
            self.lost = Some(error);
            return Ok(());
        }
        if !is_loss(&error) {
            return Err(failure);
        }
        let failure = self.explained(failure);
        if !self.is_forgiving {
            return Err(failure);
        }
        say(&failure);
        Ok(())
    }

    /// When to stop waiting for a reply, or for the server to take what is sent.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.is_done() { None } else { self.progress.checked_add(self.connect.timeout) }
    }

    /// What to wait for, if there is room for what may arrive.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let client = self.client.as_ref()?;
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, !self.has_more());
        flags.set(PollFlags::OUT, client.unsent() > 0);
        (!flags.is_empty()).then(|| (client.as_fd(), flags))
    }

    /// Whether more may have arrived than there is room for.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Replies to print; the caller clears them after printing.
    pub(super) fn replies(&mut self) -> &mut Vec<u8> {
        &mut self.replies
    }

    /// A lost message that the user has not been told about.
    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// Ends the conversation. In `countersign/1` the server's close record is awaited: without it,
    /// something may be missing. So is the end of the stream, if no reply has shown that anything
    /// was received.
    pub(super) fn leave(&mut self) -> Result<(), Failure> {
        let is_told = self.config.dialect() == Dialect::Countersign;
        match self.lost.take() {
            None | Some(ClientError::Closed) => {}
            Some(error) if is_told || self.connect.no_reply => return Err(self.failed(&error)),
            Some(_) => {}
        }
        let Some(client) = self.client.take() else { return Ok(()) };
        if !is_told && !self.connect.no_reply {
            return Ok(());
        }
        match self.part(client) {
            // Services of other programs may keep the stream open.
            Err(ClientError::Timeout) if !is_told => Ok(()),
            ended => ended.map_err(|error| self.failed(&error)),
        }
    }

    /// Closes the client's side, and receives what the server still sends.
    fn part(&mut self, mut client: Client) -> Result<(), ClientError> {
        client.set_nonblocking(false)?;
        match client.finish() {
            // What the server sent before it closed the connection can still be read.
            Err(ClientError::Io(error)) if is_broken(&error) => {}
            finished => finished?,
        }
        while let Some(reply) = client.receive()? {
            show(reply, self.is_escaped, &mut self.replies);
        }
        Ok(())
    }

    /// Goes through the handshake and no further.
    pub(super) fn verify(&mut self) -> Result<(), Failure> {
        let mut client = self.dial()?;
        let ended = client.finish().and_then(|()| client.receive().map(|_| ()));
        ended.map_err(|error| self.failed(&error))?;
        stderr().line(match self.config.dialect() {
            Dialect::Countersign | Dialect::Multiprocessing => {
                "the server holds the key and has accepted the client's proof"
            }
            Dialect::Open => "connected; this dialect has no authentication",
            _ => "the proof was sent; the server does not report whether it accepts it",
        });
        Ok(())
    }

    /// Connects, and retries if that was requested and may help.
    fn dial(&mut self) -> Result<Client, Failure> {
        let mut backoff = Backoff::new(self.connect.retry);
        loop {
            let error = match self.connect() {
                Ok(client) => return Ok(client),
                Err(error) => error,
            };
            let failure = Failure::client(&self.connect.address, &error);
            let pause = if is_passing(&error) { backoff.pause()? } else { None };
            let Some(pause) = pause else { return Err(failure) };
            say(&format_args!("{failure}; retrying in {} ms", pause.as_millis()));
            system::sleep(pause);
        }
    }

    fn connect(&mut self) -> Result<Client, ClientError> {
        let ConnectArgs { address, timeout, retry, .. } = self.connect;
        let mut client = Client::connect_within(address, Arc::clone(&self.config), *timeout)?;
        if *retry > 0 {
            // A busy server may say so after its own part of the handshake.
            client.set_timeout(Some(PROBE_TIME));
            loop {
                match client.receive() {
                    Ok(Some(message)) => show(message, self.is_escaped, &mut self.replies),
                    Ok(None) => return Err(ClientError::Closed),
                    Err(ClientError::Timeout) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        client.set_timeout(Some(*timeout));
        Ok(client)
    }

    /// The failure of an established connection.
    fn failed(&self, error: &ClientError) -> Failure {
        let address = &self.connect.address;
        let cut = |how: &dyn Display| {
            Failure::new(Kind::Unavailable, format!("{address}: the connection was lost: {how}"))
        };
        match error {
            ClientError::Io(error) if is_broken(error) => cut(&describe(error)),
            ClientError::Truncated if self.config.dialect() == Dialect::Countersign => {
                cut(&"it ended without a close record")
            }
            other => Failure::client(address, other),
        }
    }

    /// A reply was pending: adds that the message is not sent again, if that might be expected.
    fn explained(&self, failure: Failure) -> Failure {
        match self.connect.retry {
            0 => failure,
            _ => failure.and("the message may have been received, so it is not sent again"),
        }
    }
}

/// Appends a reply as a line: as it is, or escaped so that it can't control a terminal.
fn show(reply: &[u8], is_escaped: bool, lines: &mut Vec<u8>) {
    if is_escaped {
        for chunk in reply.utf8_chunks() {
            lines.extend_from_slice(Escaped(chunk.valid()).to_string().as_bytes());
            lines.extend_from_slice(chunk.invalid().escape_ascii().to_string().as_bytes());
        }
    } else {
        lines.extend_from_slice(reply);
    }
    lines.push(b'\n');
}
/// Whether retrying may help. It never does if the key is the reason.
fn is_passing(error: &ClientError) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound, TimedOut,
    };
    match error {
        // Neither a name nor the file of a Unix socket need be there before their server is.
        ClientError::Address(error) => !matches!(error, AddressError::Malformed(_)),
        ClientError::Io(error) => {
            let unreached =
                [ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound, TimedOut];
            is_broken(error) || unreached.contains(&error.kind())
        }
        ClientError::HandshakeTimeout(_)
        | ClientError::Unanswered
        | ClientError::Timeout
        | ClientError::Closed
        | ClientError::Truncated => true,
        ClientError::Rejected(reason) => *reason == RefusalCode::Busy,
        _ => false,
    }
}

/// Whether the connection is gone, and a message on it unanswered.
fn is_loss(error: &ClientError) -> bool {
    is_passing(error) || matches!(error, ClientError::Io(_))
}

fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}
