//! Signals, from the program's first instruction on.
//!
//! [`claim`] comes first, because a signal may arrive at any time: from then on SIGHUP and SIGUSR1
//! don't end a daemon, and SIGINT and SIGTERM end every verb. A verb that has more to do before it
//! ends takes the latter over, when it is able to.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::low_level::{self, emulate_default_handler, pipe};

use super::system;

/// The verbs that run until they are told to stop.
const DAEMONS: [&str; 2] = ["serve", "proxy"];

/// The longest that a loop sleeps without checking its signals. What a signal sends to wake the
/// loop can be lost, and the loop's own sleep isn't interrupted if another thread runs the handler.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The signals by which a user, a terminal or a supervisor ends a program.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// A flag that a signal handler raises.
#[derive(Debug, Default)]
struct Flag(Arc<AtomicBool>);

impl Flag {
    fn raise_on(&self, signal: i32) -> io::Result<()> {
        flag::register(signal, Arc::clone(&self.0)).map(drop)
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn lower(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// The signals that were claimed, until the verb takes them over.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    /// SIGHUP and SIGUSR1 raise these in a daemon. Any other verb leaves both to the system.
    reload: Flag,
    status: Flag,
    is_daemon: bool,
    /// While it is set, SIGINT and SIGTERM end the process through the program's own handlers.
    ends: Arc<AtomicBool>,
}

/// Claims the signals for the verb that the command line begins with.
///
/// # Errors
///
/// The system has no room for a handler.
pub(crate) fn claim() -> io::Result<Claimed> {
    // The command line isn't parsed yet: that takes a moment, in which a signal may come.
    let verb = std::env::args_os().nth(1);
    let is_daemon = verb.is_some_and(|verb| is_daemon(&verb));
    let claimed = Claimed { is_daemon, ..Claimed::default() };
    if is_daemon {
        claimed.reload.raise_on(SIGHUP)?;
        claimed.status.raise_on(SIGUSR1)?;
    }
    // The kernel gives no signal to PID 1 of a container that has no handler for it.
    if std::process::id() == 1 {
        claimed.ends.store(true, Ordering::Release);
        for signal in [SIGINT, SIGTERM] {
            let code = 128 + signal;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&claimed.ends))?;
        }
    }
    Ok(claimed)
}

fn is_daemon(verb: &OsStr) -> bool {
    DAEMONS.iter().any(|daemon| verb == *daemon)
}

impl Claimed {
    /// Makes SIGINT and SIGTERM raise a flag from now on, instead of ending the program. The verb
    /// has to check it often. While the flag is raised, either signal ends the program: what the
    /// verb still does may take for ever.
    pub(crate) fn into_stop_flag(self) -> io::Result<Arc<AtomicBool>> {
        let stop = Flag::default();
        for signal in [SIGINT, SIGTERM] {
            // Before the flag is raised by the same signal.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.0))?;
        }
        self.raise_to_stop(&stop)?;
        Ok(stop.0)
    }

    /// Runs this before a signal ends the program, which then still ends by the signal. It runs on
    /// a thread of its own, whatever the others wait for.
    pub(crate) fn before_the_end(self, undo: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (mut woken, waking) = UnixStream::pair()?;
        let flags = ENDING.map(|signal| (signal, Flag::default()));
        for (signal, flag) in &flags {
            // The flag comes first, so that the thread that is woken finds it raised.
            flag.raise_on(*signal)?;
            pipe::register(*signal, waking.try_clone()?)?;
        }
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if woken.read_exact(&mut [0]).is_err() {
                return;
            }
            undo();
            if let Some((signal, _)) = flags.iter().find(|(_, flag)| flag.is_raised()) {
                end_by(*signal);
            }
        })?;
        self.ends.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes every signal of the verb raise a flag and write to the returned socket: this wakes the
    /// loop, which then checks the flags. The loop has to check them once in [`POLL_INTERVAL`] too.
    pub(crate) fn watch(self) -> io::Result<(Signals, UnixStream)> {
        let (woken, mut waking) = UnixStream::pair()?;
        waking.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        // The flags come first, so that a loop that is woken finds them raised.
        let stop = Flag::default();
        self.raise_to_stop(&stop)?;
        let others = [SIGHUP, SIGUSR1].into_iter().filter(|_| self.is_daemon);
        for signal in [SIGINT, SIGTERM].into_iter().chain(others) {
            pipe::register(signal, waking.try_clone()?)?;
        }
        let Self { reload, status, .. } = self;
        let signals = Signals { stop, reload, status, woken: woken.try_clone()? };
        if signals.is_pending() {
            // Before there was anything to wake.
            waking.write_all(b"!")?;
        }
        Ok((signals, woken))
    }

    fn raise_to_stop(&self, stop: &Flag) -> io::Result<()> {
        [SIGINT, SIGTERM].into_iter().try_for_each(|signal| stop.raise_on(signal))?;
        // Not before: a signal in between ends the program, and none is lost.
        self.ends.store(false, Ordering::Release);
        Ok(())
    }
}

/// Ends the program by a signal, so that its parent sees that. PID 1 can't be ended by one of its
/// own.
fn end_by(signal: i32) {
    if std::process::id() != 1 {
        // It returns only where it doesn't know the signal.
        let _ = emulate_default_handler(signal);
    }
    low_level::exit(128 + signal);
}

/// The signals of a verb that runs until it is told to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    stop: Flag,
    reload: Flag,
    status: Flag,
    /// Something arrives here with each signal.
    woken: UnixStream,
}

/// The signals that were received since this was last asked; each counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SignalSet {
    pub(crate) stop: bool,
    pub(crate) reload: bool,
    pub(crate) status: bool,
}

impl Signals {
    /// Whether [`take`](Self::take) has a signal to return.
    pub(crate) fn is_pending(&self) -> bool {
        [&self.stop, &self.reload, &self.status].into_iter().any(Flag::is_raised)
    }

    /// Waits until a time, or until a signal comes.
    pub(crate) fn wait_until(&self, time: Instant) -> io::Result<()> {
        while !self.is_pending() {
            let left = time.saturating_duration_since(system::monotonic());
            if left.is_zero() {
                break;
            }
            let left = Timespec::try_from(left.min(POLL_INTERVAL)).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.woken, PollFlags::IN)], Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The signals since this was last asked.
    pub(crate) fn take(&self) -> SignalSet {
        if !self.is_pending() {
            return SignalSet::default();
        }
        // What has arrived is taken: by a full socket, a signal that another thread gets would wake
        // nobody. It is taken before the flags are lowered: one in between wakes us once too often.
        while (&self.woken).read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        SignalSet {
            stop: self.stop.lower(),
            reload: self.reload.lower(),
            status: self.status.lower(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_are_verbs() {
        for daemon in DAEMONS {
            let command = crate::command();
            assert!(command.find_subcommand(daemon).is_some(), "{daemon}");
            assert!(is_daemon(OsStr::new(daemon)));
        }
        assert!(!is_daemon(OsStr::new("connect")));
    }
}
