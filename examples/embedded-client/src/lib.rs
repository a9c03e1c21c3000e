//! A client of `countersign/1` for a machine without an operating system, over whatever its network
//! is: a socket of embassy-net, a modem, a serial line.
//!
//! It needs an allocator, 32 random bytes for each connection, and something that reads and writes.
//! It has no clock: bound each call by the timer of your executor, as with embassy's
//! `with_timeout`. A call that was given up may have sent a part of a message, so drop the client.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::time::Duration;

use countersign_proto::{ClientConfig, Event, NoUsableKeyError, Refusal, SendError, Session};
use embedded_io_async::{Read, Write};

/// How much is read at once. Longer messages are put together in the session.
const INBOX: usize = 256;

/// A connection to a server that has proved that it holds the key.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    session: Session,
    /// The time since 1970, by which the keys are valid. Zero on a machine that doesn't know it.
    now: Duration,
    inbox: [u8; INBOX],
    /// What the session has not processed yet, in the inbox.
    unread: Range<usize>,
    outbox: Vec<u8>,
    /// The message that was received last.
    message: Vec<u8>,
}

/// What the session has found, without its bytes.
enum Found {
    Open,
    Message,
    Control,
    End,
    /// More input is needed.
    Nothing,
}

impl<T: Read + Write> Client<T> {
    /// Authenticates both ends.
    ///
    /// `random` must be unpredictable and never be used again. Keys are valid by the time `now`
    /// since 1970; if they have no dates, zero will do.
    ///
    /// # Errors
    ///
    /// The transport has failed, or one end does not accept the other: see [`Error`].
    pub async fn connect(
        transport: T,
        config: ClientConfig,
        now: Duration,
        random: [u8; 32],
    ) -> Result<Self, Error<T::Error>> {
        let session = Session::client(config, now, random).map_err(Error::Key)?;
        let (inbox, unread) = ([0; INBOX], 0..0);
        let (outbox, message) = (Vec::new(), Vec::new());
        let mut client = Self { transport, session, now, inbox, unread, outbox, message };
        match client.next().await? {
            Found::Open => Ok(client),
            _ => Err(Error::Closed),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The server does not accept a message of this length, or the transport has failed.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Error<T::Error>> {
        self.session.send(message, &mut self.outbox).map_err(Error::Send)?;
        self.flush().await
    }

    /// Waits for a message. None if the server says that none follows.
    ///
    /// # Errors
    ///
    /// The transport has failed, or what has arrived isn't from the server: see [`Error`].
    pub async fn receive(&mut self) -> Result<Option<&[u8]>, Error<T::Error>> {
        loop {
            match self.next().await? {
                Found::Message => return Ok(Some(&self.message)),
                Found::End => return Ok(None),
                _ => {}
            }
        }
    }

    /// Says that no message follows, and waits until the server has said so too. Its messages that
    /// arrive meanwhile are dropped.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub async fn finish(mut self) -> Result<(), Error<T::Error>> {
        self.session.finish(&mut self.outbox);
        self.flush().await?;
        while self.receive().await?.is_some() {}
        Ok(())
    }

    /// Returns the next event, and reads and writes what it takes until then.
    async fn next(&mut self) -> Result<Found, Error<T::Error>> {
        loop {
            let found = self.process();
            // The peer is told also why it was refused.
            self.flush().await?;
            match found.map_err(Error::Refused)? {
                Found::Nothing => self.read().await?,
                found => return Ok(found),
            }
        }
    }

    fn process(&mut self) -> Result<Found, Refusal> {
        let mut input = &self.inbox[self.unread.clone()];
        let event = self.session.process(self.now, &mut input, &mut self.outbox)?;
        let found = match event {
            None => Found::Nothing,
            Some(Event::Open(_)) => Found::Open,
            Some(Event::Message(message)) => {
                self.message.clear();
                self.message.extend_from_slice(message.bytes);
                Found::Message
            }
            Some(Event::Finished | Event::End) => Found::End,
            Some(_) => Found::Control,
        };
        self.unread.start = self.unread.end - input.len();
        Ok(found)
    }

    async fn read(&mut self) -> Result<(), Error<T::Error>> {
        let length = self.transport.read(&mut self.inbox).await.map_err(Error::Transport)?;
        self.unread = 0..length;
        if length == 0 {
            self.session.input_ended().map_err(Error::Refused)?;
            return Err(Error::Closed);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error<T::Error>> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        self.transport.write_all(&self.outbox).await.map_err(Error::Transport)?;
        self.outbox.clear();
        self.transport.flush().await.map_err(Error::Transport)
    }
}

/// Why a client can't go on.
#[derive(Debug)]
pub enum Error<E> {
    /// The transport has failed.
    Transport(E),
    /// None of the keys is valid now.
    Key(NoUsableKeyError),
    /// The server was refused, or has refused the client.
    Refused(Refusal),
    /// The message can't be sent. The connection continues.
    Send(SendError),
    /// The connection has ended.
    Closed,
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(f, "the connection has failed: {error:?}"),
            Self::Key(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Closed => f.write_str("the server has closed the connection"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

#[cfg(test)]
mod tests;
