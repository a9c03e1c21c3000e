//! Notifications to the service manager: that the program serves, reloads, stops, and is alive.
//!
//! After sd_notify(3), with a socket of our own: with one that blocks, the loop would wait for a
//! manager that is stuck. What finds no room there is kept and sent later.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use log::warn;
use rustix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;

use crate::exit::describe;
use crate::reload::Reloads;
use crate::system;

/// The maximum number of waiting messages. If the manager accepts none of these, it is stuck.
const WAITING: usize = 16;

/// How long until a message is tried again that found no room.
const AGAIN: Duration = Duration::from_millis(100);

/// Notifies the service manager of a daemon, in whose loop it has its turns. It does nothing if no
/// service manager has asked for it.
#[derive(Debug, Default)]
pub(crate) struct SdNotify {
    to: Option<To>,
    /// The interval of watchdog notifications, and when the next is due.
    alive: Option<(Duration, Instant)>,
    /// What found no room, and when it is tried again.
    waiting: VecDeque<String>,
    again: Option<Instant>,
    /// A lost message has been logged.
    has_failed: bool,
    /// The manager knows that the program stops; reloads don't matter any more.
    is_stopping: bool,
}

#[derive(Debug)]
struct To {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl SdNotify {
    /// Tells the manager that `NOTIFY_SOCKET` names that new connections are served from now on.
    /// `WATCHDOG_USEC` and `WATCHDOG_PID` say how often it has to hear that we are alive.
    pub(crate) fn ready() -> Self {
        let mut notify = Self::default();
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return notify;
        };
        match To::open(&name) {
            Ok(to) => notify.to = Some(to),
            Err(error) => notify.failed(&error),
        }
        let first = |most| (interval(most), system::monotonic());
        notify.alive = sd_notify::watchdog_enabled().map(first);
        notify.serving("serving");
        notify
    }

    fn serving(&mut self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload has begun.
    pub(crate) fn reloading(&mut self) {
        if self.is_stopping {
            return;
        }
        // The crate's own stamp overflows after 35 minutes where the system's seconds have 32 bits.
        let now = clock_gettime(ClockId::Monotonic);
        let stamp = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec / 1_000);
        self.tell(&[NotifyState::Reloading, NotifyState::MonotonicUsec(stamp)]);
    }

    /// A reload has ended.
    pub(crate) fn reloaded(&mut self, reloads: &Reloads) {
        if !self.is_stopping {
            self.serving(match reloads.last_succeeded {
                true => "serving",
                false => "serving; the last reload failed, see the log",
            });
        }
    }

    /// When [`turn`](Self::turn) has something to do next.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.to.as_ref()?;
        self.alive.map(|(_, next)| next).into_iter().chain(self.again).min()
    }

    /// Tells what has happened since the last turn: that no new connections are served any more,
    /// that the loops turn, when that is due and they do, and what found no room before. It is for
    /// a loop itself to call: one that is stuck is not alive.
    pub(crate) fn turn(
        &mut self,
        is_draining: bool,
        stopping: &str,
        are_alive: impl FnOnce() -> bool,
    ) {
        if is_draining && !self.is_stopping {
            self.is_stopping = true;
            self.tell(&[NotifyState::Stopping, NotifyState::Status(stopping)]);
        }
        // The clock is read only for those who have asked.
        let Some(due) = self.due() else { return };
        let now = system::monotonic();
        if now < due {
            return;
        }
        if self.again.take_if(|again| *again <= now).is_some() {
            self.send();
        }
        if let Some((interval, next)) = &mut self.alive
            && *next <= now
        {
            *next = now + *interval;
            // What still waits says as much when it comes.
            if (self.is_stopping || are_alive()) && self.waiting.is_empty() {
                self.tell(&[NotifyState::Watchdog]);
            }
        }
    }

    fn tell(&mut self, states: &[NotifyState<'_>]) {
        if self.to.is_none() {
            return;
        }
        if self.waiting.len() == WAITING {
            self.failed(&io::ErrorKind::WouldBlock.into());
            self.waiting.pop_front();
        }
        self.waiting.push_back(states.iter().map(|state| format!("{state}\n")).collect());
        self.send();
    }

    /// Sends what waits, as far as there is room.
    fn send(&mut self) {
        let Some(To { socket, address }) = &self.to else { return };
        while let Some(message) = self.waiting.front() {
            match socket.send_to_addr(message.as_bytes(), address) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.again = Some(system::monotonic() + AGAIN);
                }
                Err(error) => {
                    self.failed(&error);
                    return self.waiting.clear();
                }
                Ok(_) => drop(self.waiting.pop_front()),
            }
        }
    }

    /// Says it once. A server that its manager can't hear serves all the same.
    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_failed, true) {
            warn!("cannot notify the service manager: {}", describe(error));
        }
    }
}

impl To {
    /// A path, or an abstract name, which begins with `@`.
    fn open(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }
}

/// How often to notify the watchdog: three times in its period, so that one late notification does
/// no harm.
fn interval(most: Duration) -> Duration {
    (most / 3).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(to: &str, most: Duration) -> SdNotify {
        let alive = Some((interval(most), system::monotonic()));
        SdNotify { to: Some(To::open(OsStr::new(to)).unwrap()), alive, ..SdNotify::default() }
    }

    fn heard(manager: &UnixDatagram) -> Vec<String> {
        let mut heard = Vec::new();
        let mut buffer = [0; 1024];
        while let Ok(length) = manager.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        heard
    }

    /// A manager that listens at a name of its own, which is no file.
    fn manager(name: &str) -> (UnixDatagram, String) {
        let name = format!("countersign-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        manager.set_nonblocking(true).unwrap();
        (manager, format!("@{name}"))
    }

    #[test]
    fn without_a_manager_nothing_is_due() {
        let mut notify = SdNotify::default();
        notify.serving("serving");
        notify.turn(false, "", || true);
        assert_eq!((notify.due(), notify.waiting.len()), (None, 0));
    }

    #[test]
    fn a_manager_that_takes_nothing_hears_it_all_later_and_in_order() {
        let (manager, name) = manager("late");
        let mut notify = notify(&name, Duration::from_secs(3600));
        // Until its queue is full.
        let mut told = 0;
        while notify.waiting.is_empty() {
            notify.serving("again");
            told += 1;
        }
        notify.reloading();
        notify.turn(true, "draining", || true);
        assert!(notify.due().is_some());
        assert_eq!(heard(&manager).len() + notify.waiting.len(), told + 2);
        notify.again = Some(system::monotonic());
        notify.turn(false, "", || true);
        let heard = heard(&manager);
        assert_eq!(heard[0], "READY=1\nSTATUS=again\n");
        let stamp = heard[1].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(stamp.trim_end().parse::<u64>().unwrap() > 0);
        assert_eq!(heard[2], "STOPPING=1\nSTATUS=draining\n");
        assert!(!notify.has_failed);
    }

    #[test]
    fn what_waits_is_bounded_and_the_latest_stays() {
        let (manager, name) = manager("bounded");
        let mut notify = notify(&name, Duration::from_secs(3600));
        for number in 0..2000 {
            notify.serving(&number.to_string());
        }
        assert_eq!((notify.waiting.len(), notify.has_failed), (WAITING, true));
        let mut last = None;
        while !notify.waiting.is_empty() {
            last = heard(&manager).pop();
            notify.send();
        }
        let last = heard(&manager).pop().or(last).unwrap();
        assert_eq!(last, "READY=1\nSTATUS=1999\n");
    }

    #[test]
    fn a_manager_that_is_gone_is_no_harm() {
        let (manager, name) = manager("gone");
        drop(manager);
        let mut notify = notify(&name, Duration::from_secs(3600));
        notify.serving("serving");
        notify.turn(false, "", || true);
        assert!(notify.has_failed && notify.waiting.is_empty());
    }

    #[test]
    fn the_loop_is_told_of_when_that_is_due_and_not_before() {
        let (manager, name) = manager("alive");
        let mut notify = notify(&name, Duration::from_secs(3600));
        for _ in 0..3 {
            notify.turn(false, "", || true);
        }
        assert_eq!(heard(&manager), ["WATCHDOG=1\n"]);
        let soon = Some((Duration::from_secs(1200), system::monotonic()));
        notify.alive = soon;
        notify.turn(false, "", || false);
        assert!(heard(&manager).is_empty(), "another loop is stuck");
        let due = notify.due().unwrap().saturating_duration_since(system::monotonic());
        assert!(due < Duration::from_secs(1800), "less than half of what ends us");
        assert_eq!(interval(Duration::ZERO), Duration::from_millis(1));
    }
}
