//! The line to the server: one connection, or one for each message.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use countersign::{Client, ClientError, Dialect, Protocol, Reason};

use super::Connect;
use super::retry::Backoff;
use crate::cli::exit::{Failure, Kind, plain};
use crate::cli::output::{stderr, stdout};
use crate::cli::system;

/// How long is waited for a sign that the connection is over, before a message is sent which
/// couldn't be sent again.
const GLANCE: Duration = Duration::from_millis(1);

/// The line to the server: one connection, or one for each message.
pub(super) struct Line<'a> {
    connect: &'a Connect,
    protocol: Protocol,
    client: Option<Client>,
}

/// What has become of a message.
pub(super) enum Asked {
    /// The reply is printed.
    Answered,
    /// The connection was lost before there was a reply.
    Lost(Failure),
}

impl<'a> Line<'a> {
    pub(super) fn new(connect: &'a Connect, protocol: Protocol) -> Self {
        Self { connect, protocol, client: None }
    }

    /// The connection, which is made if there is none. Where trying again was asked for, one that
    /// is over is replaced as long as nothing is on its way.
    pub(super) fn client(&mut self) -> Result<&mut Client, Failure> {
        let kept = match self.client.take() {
            Some(mut client) if self.connect.retry > 0 => match self.glance(&mut client) {
                Ok(()) => Some(client),
                Err(error) if is_passing(&error) => {
                    say(&format_args!("{}; connecting anew", self.failed(&error)));
                    None
                }
                Err(error) => return Err(self.failed(&error)),
            },
            kept => kept,
        };
        let client = match kept {
            Some(client) => client,
            None => self.dial()?,
        };
        Ok(self.client.insert(client))
    }

    /// Sends a message and prints the reply.
    pub(super) fn ask(&mut self, message: &[u8]) -> Result<Asked, Failure> {
        let most = self.connect.spoken.message_max;
        if message.len() > most {
            return Err(self.failed(&ClientError::TooLong(most)));
        }
        let error = match self.client()?.ask(message) {
            Ok(reply) => {
                print(reply);
                if self.connect.spoken.once {
                    self.leave()?;
                }
                return Ok(Asked::Answered);
            }
            Err(error) => error,
        };
        self.client = None;
        let failure = self.failed(&error);
        if is_loss(&error) { Ok(Asked::Lost(self.explained(failure))) } else { Err(failure) }
    }

    /// Ends the conversation. In `countersign/1` the server's good-bye is waited for: without it,
    /// who knows what was cut off.
    pub(super) fn leave(&mut self) -> Result<(), Failure> {
        let Some(mut client) = self.client.take() else { return Ok(()) };
        if self.protocol.dialect() != Dialect::Countersign {
            return Ok(());
        }
        match client.finish() {
            // What the server said before it hung up can still be read.
            Err(ClientError::Io(error)) if is_broken(&error) => {}
            finished => finished.map_err(|error| self.failed(&error))?,
        }
        while let Some(message) = client.receive().map_err(|error| self.failed(&error))? {
            print(message);
        }
        Ok(())
    }

    /// Goes through the handshake and no further.
    pub(super) fn verify(&mut self) -> Result<(), Failure> {
        let client = self.client()?;
        let ended = client.finish().and_then(|()| client.receive().map(|_| ()));
        ended.map_err(|error| self.failed(&error))?;
        let text = match self.protocol.dialect() {
            Dialect::Countersign | Dialect::Multiprocessing => {
                "the server holds the key, and has taken our proof"
            }
            _ => "the proof was sent; the verdict stays with the server",
        };
        stderr().line(text);
        Ok(())
    }

    /// Connects, again and again if that was asked for and may help.
    fn dial(&self) -> Result<Client, Failure> {
        let mut backoff = Backoff::new(self.connect.retry);
        loop {
            let error = match self.connect() {
                Ok(client) => return Ok(client),
                Err(error) => error,
            };
            let failure = Failure::client(&self.connect.address, &error);
            let pause = if is_passing(&error) { backoff.pause()? } else { None };
            let Some(pause) = pause else { return Err(failure) };
            say(&format_args!("{failure}; trying again in {} ms", pause.as_millis()));
            system::sleep(pause);
        }
    }

    fn connect(&self) -> Result<Client, ClientError> {
        let Connect { address, timeout, retry, .. } = self.connect;
        let mut client = Client::connect_within(address, self.protocol.clone(), *timeout)?;
        client.set_timeout(Some(*timeout));
        if *retry > 0 {
            // A server that has no time for us may say so behind its own part of the handshake.
            self.glance(&mut client)?;
        }
        Ok(client)
    }

    /// Whether the connection still stands, as far as can be seen. Prints what is said unasked.
    fn glance(&self, client: &mut Client) -> Result<(), ClientError> {
        client.set_timeout(Some(GLANCE));
        let seen = loop {
            match client.receive() {
                Ok(Some(message)) => print(message),
                Ok(None) => break Err(ClientError::Closed),
                Err(ClientError::Timeout) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        client.set_timeout(Some(self.connect.timeout));
        seen
    }

    /// A failure of a connection that had come about.
    fn failed(&self, error: &ClientError) -> Failure {
        let address = &self.connect.address;
        let cut = |how: &dyn Display| {
            Failure::new(Kind::Unavailable, format!("{address}: the connection was cut: {how}"))
        };
        match error {
            ClientError::Io(error) if is_broken(error) => cut(&plain(error)),
            ClientError::Cut if self.protocol.dialect() == Dialect::Countersign => {
                cut(&"it ended without a good-bye")
            }
            other => Failure::client(address, other),
        }
    }

    /// A message was on its way: says what becomes of it, to those who might expect otherwise.
    fn explained(&self, failure: Failure) -> Failure {
        match self.connect.retry {
            0 => failure,
            _ => failure.and("the message may have been received, so it isn't sent again"),
        }
    }
}

/// Whether it may be otherwise in a moment. What has to do with the key never is.
fn is_passing(error: &ClientError) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound, TimedOut,
    };
    match error {
        ClientError::Io(error) => {
            // Neither the file of a Unix socket nor a name need be there before their server is.
            let unreached =
                [ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound, TimedOut];
            is_broken(error) || unreached.contains(&error.kind())
        }
        ClientError::HandshakeTimeout
        | ClientError::Timeout
        | ClientError::Closed
        | ClientError::Cut => true,
        ClientError::Rejected(reason) => *reason == Reason::Busy,
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

fn print(reply: &[u8]) {
    stdout().write([reply, b"\n"].concat());
}

/// A line on stderr, in the words that a failure has.
pub(super) fn say(what: &dyn Display) {
    stderr().line(format_args!("countersign: {what}"));
}
