//! What a client sends: the messages that wait, and the output that is ready.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::time::Instant;

use crate::client::wait::retried;
use crate::client::{Client, ClientError};
use crate::dial;

impl Client {
    /// How much of the output waits to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Makes dropping the socket reset the connection.
    pub(super) fn reset_on_close(&self) {
        dial::reset_on_close(&self.stream);
    }

    /// Makes room for more output.
    pub(super) fn make_room(&mut self) {
        // What was written is dropped once that moves no more bytes than it frees.
        if self.sent >= self.unwritten() {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Moves the messages that were sent since the last time to the output, where they share
    /// records.
    pub(super) fn pack(&mut self) -> Result<(), ClientError> {
        self.make_room();
        // They were checked one by one. What fails here is a session that has ended.
        let packed = self.session.send_all(self.queue.messages(), &mut self.out);
        self.queue.clear();
        packed.map_err(|_| ClientError::Over)
    }

    /// Writes the output. If that fails, part of a message may have been sent, so nothing may
    /// follow it.
    pub(super) fn flush_until(&mut self, deadline: Option<Instant>) -> Result<(), ClientError> {
        if self.queue.len() > 0 && !self.is_unsendable {
            self.pack()?;
        }
        while self.unwritten() > 0 && !self.is_unsendable {
            let written = retried(self.is_nonblocking, deadline, |left| {
                self.stream.set_write_timeout(left)?;
                self.stream.write(&self.out[self.sent..])
            });
            match written {
                Ok(length) => self.sent += length,
                Err(ClientError::Timeout) if self.is_nonblocking => return Ok(()),
                Err(error) => {
                    self.reset_on_close();
                    self.is_unsendable = true;
                    self.out.clear();
                    self.queue.clear();
                    self.sent = 0;
                    return Err(error);
                }
            }
        }
        self.make_room();
        if !self.finished {
            return Ok(());
        }
        match self.stream.shutdown(Shutdown::Write) {
            // The server has closed the connection; its last messages can still be received.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            ended => Ok(ended?),
        }
    }
}
