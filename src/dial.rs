//! Connecting to a server that may have several addresses, without blocking.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{SockRef, Socket, Type};

use crate::address::Address;
use crate::clock;

/// How long one attempt has the network to itself: the "Connection Attempt Delay" of RFC 8305,
/// section 5, which also says how short it may be.
const DELAY: Duration = Duration::from_millis(250);
const DELAY_MIN: Duration = Duration::from_millis(10);

/// The pause before a Unix socket whose queue was full is tried again.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);

/// An attempt to connect to the first of several addresses that answers.
///
/// The addresses are tried in their order, as in RFC 8305 ("Happy Eyeballs"): the next attempt
/// begins as soon as one has failed, or has not succeeded within 250 ms, or within its share of the
/// time limit if that is shorter. Attempts continue in parallel. The first that succeeds wins, and
/// the others are closed.
///
/// It never blocks and reads no clock. A loop calls [`turn`](Self::turn) at first, whenever one of
/// the sockets is ready, and when a turn is [due](Self::due):
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use countersign::ToAddresses;
/// use countersign::engine::Dial;
///
/// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let addresses = server.local_addr()?.to_addresses()?;
/// let mut dial = Dial::new(addresses, Instant::now(), Duration::from_secs(5));
/// let (stream, address) = loop {
///     // Here a loop would have its poll watch the new socket for input and output.
///     if let Some(connected) = dial.turn(Instant::now(), |_socket| Ok(()))? {
///         break connected;
///     }
///     // Here it would wait for an event, and no longer than until `dial.due()`.
/// };
/// assert_eq!(address.ip(), Some(stream.peer_addr()?));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Dial {
    addresses: Arc<[Address]>,
    /// The address that sockets are bound to first.
    source: Option<IpAddr>,
    /// The number of the address that is tried next.
    next: usize,
    /// When it is tried, unless an attempt fails before.
    begins: Instant,
    /// The time from one attempt to the next.
    delay: Duration,
    /// When the time limit is over; never, if the clock can't represent that.
    deadline: Option<Instant>,
    /// The attempts that are under way, the oldest first.
    attempts: Vec<Attempt>,
    /// The error if all attempts fail.
    failure: Option<io::Error>,
}

/// A socket that is being connected.
#[derive(Debug)]
struct Attempt {
    socket: TcpStream,
    address: Address,
}

impl Dial {
    /// Will connect to one of these addresses until `now + timeout`. Nothing is done yet.
    #[must_use]
    pub fn new(addresses: impl Into<Arc<[Address]>>, now: Instant, timeout: Duration) -> Self {
        let addresses = addresses.into();
        let share = timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        Self {
            addresses,
            source: None,
            next: 0,
            begins: now,
            delay: share.clamp(DELAY_MIN, DELAY),
            deadline: now.checked_add(timeout),
            attempts: Vec::new(),
            failure: None,
        }
    }

    /// Makes the connection come from this address of this machine. Addresses of the other family
    /// can't be reached then.
    #[must_use]
    pub fn with_source(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Begins the attempts that are due at `now`, and returns the connection once there is one: its
    /// socket doesn't block, and may be a Unix socket in spite of its type, which is a descriptor
    /// and the calls that all streams have in common.
    ///
    /// `watch` is called with each new socket. A loop registers it there for input and output, once
    /// and for all, and perhaps edge-triggered: then it has to read and to write at once when the
    /// connection is there, since what has been reported of the socket is past.
    ///
    /// # Errors
    ///
    /// All attempts have failed, or [`TimedOut`](io::ErrorKind::TimedOut): the time is over. Drop
    /// the dial then. Errors of `watch` are returned as they are.
    pub fn turn(
        &mut self,
        now: Instant,
        mut watch: impl FnMut(BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<Option<(TcpStream, Address)>> {
        if let Some(connected) = self.settle(now) {
            return Ok(Some(connected));
        }
        while self.next < self.addresses.len() && self.begins <= now && !self.is_over(now) {
            let Some((attempt, is_connected)) = self.begin(now) else { continue };
            watch(attempt.socket.as_fd())?;
            if is_connected {
                self.attempts.clear();
                return Ok(Some((attempt.socket, attempt.address)));
            }
            self.attempts.push(attempt);
        }
        if self.is_over(now) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within the time limit"));
        }
        if self.attempts.is_empty() && self.next == self.addresses.len() {
            let nowhere = || io::Error::from(io::ErrorKind::AddrNotAvailable);
            return Err(self.failure.take().unwrap_or_else(nowhere));
        }
        Ok(None)
    }

    /// When the next turn is due, if no socket is ready before; never, with `None`.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let begins = (self.next < self.addresses.len()).then_some(self.begins);
        [begins, self.deadline].into_iter().flatten().min()
    }

    /// Blocks until the connection is there, by the system's clock. Its socket blocks too.
    ///
    /// # Errors
    ///
    /// As for [`turn`](Self::turn).
    pub fn wait(mut self) -> io::Result<(TcpStream, Address)> {
        let mut poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let mut events = Events::with_capacity(16);
        loop {
            let now = clock::monotonic();
            let connected = self.turn(now, |socket| {
                registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(0), Interest::WRITABLE)
            });
            if let Some((stream, address)) = connected? {
                stream.set_nonblocking(false)?;
                return Ok((stream, address));
            }
            let left = self.due().map(|due| due.saturating_duration_since(now));
            match poll.poll(&mut events, left) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Begins to connect to the next address, and returns whether that has succeeded at once. If it
    /// fails at once, the address after it is due.
    fn begin(&mut self, now: Instant) -> Option<(Attempt, bool)> {
        let address = self.addresses[self.next].clone();
        match begin(&address, self.source) {
            Ok((socket, is_connected)) => {
                self.next += 1;
                self.begins = now.checked_add(self.delay).unwrap_or(now);
                Some((Attempt { socket, address }, is_connected))
            }
            // Only a Unix socket does so: no event reports that its server has room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.begins = now.checked_add(QUEUE_PAUSE).unwrap_or(now);
                None
            }
            Err(error) => {
                self.next += 1;
                self.fail(error, now);
                None
            }
        }
    }

    /// Takes the attempt that has succeeded, if one has, and drops those that have failed.
    fn settle(&mut self, now: Instant) -> Option<(TcpStream, Address)> {
        let mut at = 0;
        while let Some(attempt) = self.attempts.get(at) {
            match is_connected(&attempt.socket) {
                Ok(true) => {
                    let Attempt { socket, address } = self.attempts.swap_remove(at);
                    self.attempts.clear();
                    return Some((socket, address));
                }
                Ok(false) => at += 1,
                Err(error) => {
                    self.attempts.remove(at);
                    self.fail(error, now);
                }
            }
        }
        None
    }

    /// Records that an attempt has failed, so that the next one begins. Of several failures the
    /// last one is returned, but that of a server is preferred to that of an address family that
    /// this machine lacks.
    fn fail(&mut self, error: io::Error, now: Instant) {
        self.begins = self.begins.min(now);
        if self.failure.as_ref().is_none_or(is_local) || !is_local(&error) {
            self.failure = Some(error);
        }
    }
}

/// Begins to connect, and returns whether that has succeeded at once. Otherwise the socket becomes
/// writable then.
fn begin(address: &Address, source: Option<IpAddr>) -> io::Result<(TcpStream, bool)> {
    let system = address.to_system()?;
    let socket = Socket::new(system.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if address.ip().is_some() {
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
    }
    match socket.connect(&system) {
        Ok(()) => Ok((socket.into(), true)),
        // An interrupted call goes on all the same (POSIX).
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => {
            Ok((socket.into(), false))
        }
        Err(error) => Err(error),
    }
}

/// Makes dropping a socket reset its connection.
pub(crate) fn reset_on_close(socket: &TcpStream) {
    // If this fails, the connection is only closed.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Whether a socket is connected by now.
fn is_connected(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    // This type reports the address of a Unix socket as an error.
    match SockRef::from(socket).peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the failure is this machine's, and no server was reached.
fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | NetworkUnreachable)
        || matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// An address where a server listens, and one where none does.
    fn present() -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().into();
        (listener, address)
    }

    fn absent() -> Address {
        present().1
    }

    /// A server whose queue is full: nothing answers there.
    fn mute() -> (Vec<Socket>, Address) {
        let socket = || Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let waiting = socket();
            waiting.set_nonblocking(true).unwrap();
            // It may be in progress for ever.
            let _ = waiting.connect(&address);
            sockets.push(waiting);
        }
        (sockets, address.as_socket().unwrap().into())
    }

    fn turn(dial: &mut Dial, now: Instant) -> io::Result<Option<Address>> {
        dial.turn(now, |_| Ok(())).map(|connected| connected.map(|(_, address)| address))
    }

    /// Has turns at one and the same time until something comes of it.
    fn settled(dial: &mut Dial, now: Instant) -> io::Result<Address> {
        let began = clock::monotonic();
        loop {
            if let Some(address) = turn(dial, now)? {
                return Ok(address);
            }
            assert!(clock::monotonic() < began + 30 * SECOND, "nothing comes of it");
            thread::yield_now();
        }
    }

    /// Has turns at one and the same time until the last of all attempts has failed.
    fn until_the_last_fails(dial: &mut Dial, now: Instant) {
        let (all, began) = (dial.addresses.len(), clock::monotonic());
        while dial.next < all || dial.attempts.len() == all {
            assert_eq!(turn(dial, now).unwrap(), None);
            assert!(clock::monotonic() < began + 30 * SECOND, "it does not fail");
            thread::yield_now();
        }
    }

    #[test]
    fn after_a_failure_the_next_address_is_tried_at_once() {
        let now = clock::monotonic();
        let (_server, here) = present();
        let addresses = [absent(), absent(), here.clone(), absent()];
        let mut dial = Dial::new(addresses, now, SECOND);
        assert_eq!(settled(&mut dial, now).unwrap(), here);
        assert!(dial.attempts.is_empty());
    }

    #[test]
    fn a_server_that_does_not_answer_holds_the_next_up_for_no_longer_than_its_share() {
        let now = clock::monotonic();
        let ((_queue, mute), (_server, here)) = (mute(), present());
        for (timeout, share) in [(10 * SECOND, DELAY), (SECOND / 10, SECOND / 20)] {
            let mut dial = Dial::new([mute.clone(), here.clone()], now, timeout);
            assert_eq!(turn(&mut dial, now).unwrap(), None);
            assert_eq!(dial.due(), Some(now + share));
            assert_eq!(turn(&mut dial, now + share - Duration::from_nanos(1)).unwrap(), None);
            assert_eq!(dial.attempts.len(), 1);
            assert_eq!(settled(&mut dial, now + share).unwrap(), here);
            assert!(dial.attempts.is_empty(), "those that have lost are closed");
        }
    }

    #[test]
    fn an_attempt_goes_on_while_others_begin() {
        let now = clock::monotonic();
        let ((queue, slow), (_other, mute)) = (mute(), mute());
        let mut dial = Dial::new([slow.clone(), mute, absent()], now, 10 * SECOND);
        for begun in 0..3 {
            assert_eq!(turn(&mut dial, now + DELAY * begun).unwrap(), None);
        }
        // The third fails, and the others go on.
        until_the_last_fails(&mut dial, now + DELAY * 2);
        // Its queue has room now, and the system repeats the call in a second.
        let listener: TcpListener = queue.into_iter().next().unwrap().into();
        thread::spawn(move || listener.incoming().for_each(drop));
        assert_eq!(settled(&mut dial, now + DELAY * 3).unwrap(), slow);
    }

    #[test]
    fn it_ends_when_its_time_is_over_or_all_have_failed() {
        let now = clock::monotonic();
        let (_queue, mute) = mute();
        let mut dial = Dial::new([mute, absent()], now, SECOND);
        assert_eq!(turn(&mut dial, now).unwrap(), None);
        until_the_last_fails(&mut dial, now + DELAY);
        assert_eq!(dial.due(), Some(now + SECOND));
        let error = turn(&mut dial, now + SECOND).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // What a server did counts more than what this machine can't do.
        let other_family = Address::Ip("[::1]:1".parse().unwrap());
        for addresses in [vec![absent(), other_family.clone()], vec![other_family, absent()]] {
            let source = "127.0.0.1".parse().unwrap();
            let mut dial = Dial::new(addresses, now, SECOND).with_source(source);
            let error = settled(&mut dial, now).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
        }
        for timeout in [Duration::ZERO, Duration::MAX] {
            let error = settled(&mut Dial::new([], now, timeout), now).unwrap_err();
            let over = [io::ErrorKind::TimedOut, io::ErrorKind::AddrNotAvailable];
            assert_eq!(error.kind(), over[usize::from(timeout > SECOND)]);
        }
    }

    #[test]
    fn a_unix_socket_whose_queue_is_full_is_tried_again() {
        let name = format!("countersign-dial-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        SockRef::from(&listener).listen(0).unwrap();
        let address = Address::Unix(path.clone());
        let now = clock::monotonic();
        let dial = || Dial::new([address.clone()], now, SECOND);
        assert_eq!(turn(&mut dial(), now).unwrap(), Some(address.clone()));
        let mut waiting = dial();
        assert_eq!(turn(&mut waiting, now).unwrap(), None);
        assert_eq!(waiting.due(), Some(now + QUEUE_PAUSE));
        drop(listener.accept().unwrap());
        assert_eq!(turn(&mut waiting, now + QUEUE_PAUSE).unwrap(), Some(address.clone()));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_loop_is_given_every_socket_to_watch() {
        let now = clock::monotonic();
        let ((_queue, mute), (_server, here)) = (mute(), present());
        let mut dial = Dial::new([mute, here], now, SECOND);
        let mut watched = 0;
        let mut watch = |_: BorrowedFd<'_>| {
            watched += 1;
            Ok(())
        };
        assert!(dial.turn(now, &mut watch).unwrap().is_none());
        while dial.turn(now + DELAY, &mut watch).unwrap().is_none() {}
        assert_eq!(watched, 2);
        let mut dial = Dial::new([present().1], now, SECOND);
        let error = dial.turn(now, |_| Err(io::Error::other("no room"))).unwrap_err();
        assert_eq!(error.to_string(), "no room");
    }
}
