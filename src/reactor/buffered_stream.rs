//! A non-blocking socket with its unsent bytes.

use std::io::{self, ErrorKind, Read, Write};

use crate::reactor::readiness::Readiness;

/// A non-blocking socket with its unsent bytes.
///
/// Its readiness is edge-triggered: an event says that something may be possible that wasn't
/// before, and is not repeated until it was tried in vain. Before there is a socket, nothing
/// arrives, and what is sent waits.
#[derive(Debug)]
pub struct BufferedStream<S> {
    socket: Option<S>,
    /// There may be something to read.
    is_readable: bool,
    /// There may be more to read after a short read: reads stop before urgent data, though it is
    /// read in line like any other byte.
    is_urgent: bool,
    /// The peer has ended its stream: its end follows the bytes that are left to read.
    has_ended: bool,
    /// The connection is broken.
    has_failed: bool,
    /// Output, of which the first `sent` bytes have been sent.
    unsent: Vec<u8>,
    sent: usize,
}

impl<S> Default for BufferedStream<S> {
    /// No socket yet.
    fn default() -> Self {
        Self {
            socket: None,
            is_readable: false,
            is_urgent: false,
            has_ended: false,
            has_failed: false,
            unsent: Vec::new(),
            sent: 0,
        }
    }
}

impl<S> BufferedStream<S> {
    /// A socket of which nothing was reported yet.
    #[must_use]
    pub fn new(socket: S) -> Self {
        Self { socket: Some(socket), ..Self::default() }
    }

    /// Takes a socket that is connected. What waits to be sent stays. What was reported may have
    /// been about other attempts to connect, so this one is read until it has no more.
    pub fn connect(&mut self, socket: S) {
        debug_assert!(self.socket.is_none(), "it is connected once");
        let unsent = std::mem::take(&mut self.unsent);
        *self = Self { is_readable: true, is_urgent: true, unsent, ..Self::new(socket) };
    }

    /// The socket, if there is one.
    #[must_use]
    pub fn socket(&self) -> Option<&S> {
        self.socket.as_ref()
    }

    /// Takes the socket out. What waits to be sent is lost.
    #[must_use]
    pub fn into_socket(self) -> Option<S> {
        self.socket
    }

    /// Records an event.
    pub fn notice(&mut self, readiness: Readiness) {
        self.is_readable |= readiness.readable;
        self.has_ended |= readiness.ended;
        self.is_urgent |= readiness.urgent;
        self.has_failed |= readiness.failed;
    }

    /// Whether the connection is broken. That voids what had arrived before and was not read
    /// (RFC 9293, 3.10.7.4).
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed && self.socket.is_some()
    }

    /// The bytes that wait to be sent.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.unsent.len() - self.sent
    }
}

impl<S: Read + Write> BufferedStream<S> {
    /// Reads once; `None` if there is nothing, 0 at the end of the peer's stream. A short read
    /// means that the socket is empty, which saves a second read, unless the end of the stream or
    /// urgent data has arrived.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    #[inline]
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        while let Some(socket) = self.socket.as_mut().filter(|_| self.is_readable) {
            match socket.read(into) {
                Ok(length) => {
                    self.is_readable = length == into.len() || self.has_ended || self.is_urgent;
                    return Ok(Some(length));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    (self.is_readable, self.is_urgent) = (false, false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Sends bytes behind those that wait. What the socket doesn't take waits too. Returns how many
    /// bytes it took.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = if self.buffered() == 0 { self.write(bytes)? } else { 0 };
        if taken < bytes.len() {
            self.unsent.reserve_exact(bytes.len() - taken);
            self.unsent.extend_from_slice(&bytes[taken..]);
        }
        Ok(taken)
    }

    /// Sends what waits. Returns how many bytes the socket took.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub fn flush(&mut self) -> io::Result<usize> {
        if self.buffered() == 0 {
            return Ok(0);
        }
        // It owns bytes only while it is blocked, and none once the connection is broken.
        let (unsent, sent) = (std::mem::take(&mut self.unsent), std::mem::take(&mut self.sent));
        let taken = self.write(&unsent[sent..])?;
        if sent + taken < unsent.len() {
            (self.unsent, self.sent) = (unsent, sent + taken);
        }
        Ok(taken)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(socket) = &mut self.socket else { return Ok(0) };
        write_until_blocked(bytes, |bytes| socket.write(bytes))
    }
}

/// Writes until all is written or the socket takes no more: only that brings an event later.
/// Returns how many bytes it took.
///
/// # Errors
///
/// The connection is broken.
#[inline]
pub fn write_until_blocked(
    bytes: &[u8],
    mut write: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => written += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// A socket that takes or gives so many bytes at each call; none blocks, and `None` interrupts.
    #[derive(Debug, Default)]
    struct Script {
        is_broken: bool,
        calls: VecDeque<Option<usize>>,
        incoming: VecDeque<u8>,
        taken: Vec<u8>,
    }

    impl Script {
        fn next(&mut self) -> io::Result<usize> {
            match self.calls.pop_front() {
                _ if self.is_broken => Err(ErrorKind::ConnectionReset.into()),
                Some(None) => Err(ErrorKind::Interrupted.into()),
                Some(Some(most)) if most > 0 => Ok(most),
                _ => Err(ErrorKind::WouldBlock.into()),
            }
        }
    }

    impl Read for Script {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = self.next()?.min(into.len());
            self.incoming.read(&mut into[..most])
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let most = self.next()?.min(bytes.len());
            self.taken.extend_from_slice(&bytes[..most]);
            Ok(most)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn calls() -> impl Strategy<Value = Vec<Option<usize>>> {
        prop::collection::vec(prop::option::weighted(0.9, 0..6usize), 0..6)
    }

    #[test]
    fn a_short_read_means_that_a_socket_is_empty() {
        let mut stream = BufferedStream::new(Script::default());
        let (mut into, socket) = ([0; 4], |stream: &mut BufferedStream<Script>, calls: &[_]| {
            let socket = stream.socket.as_mut().unwrap();
            socket.calls.extend(calls);
            socket.incoming.extend(b"eleven byte");
        });
        socket(&mut stream, &[Some(4), None, Some(3)]);
        assert_eq!(stream.read(&mut into).unwrap(), None, "nothing was reported");
        let readable = Readiness { readable: true, ..Readiness::default() };
        stream.notice(readable);
        assert_eq!(stream.read(&mut into).unwrap(), Some(4));
        assert_eq!(stream.read(&mut into).unwrap(), Some(3), "an interrupted call is made again");
        assert_eq!(stream.read(&mut into).unwrap(), None);
        assert!(stream.socket().unwrap().calls.is_empty(), "there was no call for nothing");
        // Behind urgent data there may be more.
        stream.notice(Readiness { urgent: true, ..readable });
        socket(&mut stream, &[Some(2), Some(2), Some(0)]);
        let read = [(); 4].map(|()| stream.read(&mut into).unwrap());
        assert_eq!(read, [Some(2), Some(2), None, None]);
        // A stream that has ended is read to its end.
        stream.notice(Readiness { ended: true, ..readable });
        let left = stream.socket().unwrap().incoming.len();
        socket(&mut stream, &[Some(3), Some(3)]);
        assert_eq!(stream.read(&mut into).unwrap(), Some(3));
        assert_eq!(stream.read(&mut into).unwrap(), Some(3));
        assert_eq!(stream.socket().unwrap().incoming.len(), left + 11 - 6);
        stream.socket.as_mut().unwrap().is_broken = true;
        stream.socket.as_mut().unwrap().calls.push_back(Some(1));
        let error = stream.read(&mut into).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    proptest! {
        #[test]
        fn all_that_is_sent_arrives_once_and_in_order(
            steps in prop::collection::vec((any::<bool>(), 0..8usize, calls()), 1..40)
        ) {
            let mut stream = BufferedStream::new(Script::default());
            let (mut sent, mut counted) = (Vec::new(), 0);
            for (sends, length, calls) in steps {
                stream.socket.as_mut().unwrap().calls = calls.into();
                if sends {
                    let all = (0..=u8::MAX).cycle();
                    let bytes: Vec<u8> = all.skip(sent.len()).take(length).collect();
                    sent.extend_from_slice(&bytes);
                    counted += stream.send(&bytes).unwrap();
                } else {
                    counted += stream.flush().unwrap();
                }
                let taken = &stream.socket().unwrap().taken;
                prop_assert_eq!(&sent[..taken.len()], &taken[..]);
                prop_assert_eq!(counted, taken.len());
                prop_assert_eq!(stream.buffered(), sent.len() - taken.len());
                prop_assert!(stream.buffered() > 0 || stream.unsent.capacity() == 0);
            }
        }
    }

    #[test]
    fn what_is_sent_before_there_is_a_socket_waits_for_it() {
        let mut stream = BufferedStream::default();
        assert_eq!(stream.send(b"early").unwrap(), 0);
        stream.notice(Readiness { failed: true, ..Readiness::default() });
        assert!(!stream.has_failed(), "another attempt has");
        stream.connect(Script { calls: [Some(9)].into(), ..Script::default() });
        assert_eq!((stream.buffered(), stream.flush().unwrap(), stream.buffered()), (5, 5, 0));
        assert!(!stream.has_failed());
        // What has arrived may have been reported before; there may be more behind a short read.
        let socket = stream.socket.as_mut().unwrap();
        socket.calls.extend([Some(2), Some(1)]);
        socket.incoming.extend(b"now");
        let read = [(); 3].map(|()| stream.read(&mut [0; 4]).unwrap());
        assert_eq!(read, [Some(2), Some(1), None]);
        assert_eq!(stream.into_socket().unwrap().taken, b"early");
    }

    #[test]
    fn what_was_reported_once_stays() {
        let mut stream = BufferedStream::new(Script::default());
        stream.notice(Readiness::default());
        assert!(!stream.has_failed());
        stream.notice(Readiness { failed: true, ..Readiness::default() });
        assert!(stream.has_failed());
        stream.notice(Readiness { readable: true, ..Readiness::default() });
        assert!(stream.has_failed());
    }

    #[test]
    fn what_waits_for_a_socket_that_breaks_is_lost() {
        let mut stream = BufferedStream::new(Script::default());
        assert_eq!(stream.send(b"a part of it").unwrap(), 0);
        stream.socket.as_mut().unwrap().calls = [Some(4)].into();
        assert_eq!((stream.flush().unwrap(), stream.buffered()), (4, 8));
        stream.socket.as_mut().unwrap().is_broken = true;
        stream.flush().unwrap_err();
        assert_eq!(stream.buffered(), 0);
        stream.send(b"more").unwrap_err();
        assert_eq!(stream.buffered(), 0);
    }

    #[test]
    fn a_short_read_is_the_last_unless_the_end_or_urgent_data_has_arrived() {
        let readable = Readiness { readable: true, ..Readiness::default() };
        for (readiness, reads_on) in [
            (readable, false),
            (Readiness { ended: true, ..readable }, true),
            (Readiness { urgent: true, ..readable }, true),
        ] {
            let script =
                || Script { calls: [Some(3)].into(), incoming: [7; 3].into(), ..Script::default() };
            let mut stream = BufferedStream::new(script());
            assert_eq!(stream.read(&mut [0; 4]).unwrap(), None, "nothing was reported");
            stream.notice(readiness);
            assert_eq!(stream.read(&mut [0; 4]).unwrap(), Some(3));
            assert_eq!(stream.is_readable, reads_on, "{readiness:?}");
            assert_eq!(stream.read(&mut [0; 4]).unwrap(), None);
            assert!(!stream.is_readable);
        }
    }

    #[test]
    fn a_socket_that_takes_nothing_and_doesnt_block_is_broken() {
        let error = write_until_blocked(b"word", |_| Ok(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
        assert_eq!(write_until_blocked(b"", |_| Ok(0)).unwrap(), 0);
    }
}
