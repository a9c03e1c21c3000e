//! The signals that stop a verb which runs until it is told to.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// Whether somebody wants us to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    raised: Arc<AtomicBool>,
}

impl Signals {
    /// Has SIGINT and SIGTERM raise a flag, and something arrive at the socket: it wakes the loop
    /// that looks at the flag, and nobody has to read it.
    pub(crate) fn heed() -> io::Result<(Self, UnixStream)> {
        let raised = Arc::new(AtomicBool::new(false));
        let (woken, waking) = UnixStream::pair()?;
        waking.set_nonblocking(true)?;
        for signal in [SIGINT, SIGTERM] {
            // In this order: whoever is woken finds the flag raised.
            flag::register(signal, Arc::clone(&raised))?;
            pipe::register(signal, waking.try_clone()?)?;
        }
        Ok((Self { raised }, woken))
    }

    /// Whether a signal has come since this was last asked.
    pub(crate) fn come(&self) -> bool {
        self.raised.swap(false, Ordering::AcqRel)
    }
}
