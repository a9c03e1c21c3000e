//! The signals to a verb which runs until it is told to stop.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// What somebody wants of us.
#[derive(Debug)]
pub(crate) struct Signals {
    stop: Flag,
    reload: Flag,
    status: Flag,
    /// Something arrives here with each signal.
    woken: UnixStream,
}

#[derive(Debug, Default)]
struct Flag(Arc<AtomicBool>);

impl Flag {
    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn lower(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// What signals have come since this was last asked; each counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Come {
    pub(crate) stop: bool,
    pub(crate) reload: bool,
    pub(crate) status: bool,
}

impl Signals {
    /// Has SIGINT and SIGTERM raise a flag, and something arrive at the socket: it wakes the loop
    /// that looks at the flag.
    pub(crate) fn heed() -> io::Result<(Self, UnixStream)> {
        Self::of(&[])
    }

    /// The same, and SIGHUP and SIGUSR1 too.
    pub(crate) fn heed_all() -> io::Result<(Self, UnixStream)> {
        Self::of(&[SIGHUP, SIGUSR1])
    }

    fn of(others: &[i32]) -> io::Result<(Self, UnixStream)> {
        let (stop, reload, status) = (Flag::default(), Flag::default(), Flag::default());
        let (woken, waking) = UnixStream::pair()?;
        waking.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        for &signal in [SIGINT, SIGTERM].iter().chain(others) {
            let raised = match signal {
                SIGHUP => &reload,
                SIGUSR1 => &status,
                _ => &stop,
            };
            // In this order: whoever is woken finds the flag raised.
            flag::register(signal, Arc::clone(&raised.0))?;
            pipe::register(signal, waking.try_clone()?)?;
        }
        let signals = Self { stop, reload, status, woken: woken.try_clone()? };
        Ok((signals, woken))
    }

    /// Whether a signal to stop has come since this was last asked.
    pub(crate) fn come(&self) -> bool {
        self.all().stop
    }

    /// What has come since this was last asked.
    pub(crate) fn all(&self) -> Come {
        if ![&self.stop, &self.reload, &self.status].into_iter().any(Flag::is_raised) {
            return Come::default();
        }
        // What has arrived is taken: by a full socket, a signal that another thread gets would wake
        // nobody. It is taken before the flags are lowered: one in between wakes us once too often.
        while (&self.woken).read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        Come { stop: self.stop.lower(), reload: self.reload.lower(), status: self.status.lower() }
    }
}
