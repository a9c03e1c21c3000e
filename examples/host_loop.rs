//! The server inside a host's own loop: the host has a poll, and other things to do.
//!
//! The poll watches the server's descriptor like any other. When the descriptor is readable, or the
//! server's deadline has come, the server has a turn, and never waits in it.
//!
//! ```console
//! $ cargo run --example host_loop
//! $ printf 'hello\n' | nc -N 127.0.0.1 9527
//! ```

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use countersign::services::Timestamp;
use countersign::{Server, ServerConfig};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

const SERVER: Token = Token(0);

#[expect(clippy::disallowed_methods, reason = "the host has a clock of its own")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut server = Server::bind("127.0.0.1:9527", ServerConfig::open(), Timestamp::local())?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    let descriptor = server.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), SERVER, Interest::READABLE)?;

    let tick = Duration::from_secs(10);
    let mut next_tick = Instant::now() + tick;
    while !server.is_finished() {
        // Asked before every wait: while more is ready than a turn takes, the deadline has passed.
        let due = server.deadline().map_or(next_tick, |deadline| deadline.min(next_tick));
        match poll.poll(&mut events, Some(due.saturating_duration_since(Instant::now()))) {
            // A signal that the host handles, or a debugger: no reason to end.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }

        // A turn that finds nothing to do costs one system call.
        server.turn(Some(Duration::ZERO))?;

        if Instant::now() >= next_tick {
            next_tick += tick;
            println!("{} connections are open", server.counters().open());
        }
    }
    Ok(())
}
