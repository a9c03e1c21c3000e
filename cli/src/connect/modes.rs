//! The modes of the terminal, which the line editor changes while a line is edited.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::process::getpgrp;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// The modes that the terminal had when they were saved.
pub(super) struct TerminalModes {
    terminal: OwnedFd,
    saved: Termios,
}

impl TerminalModes {
    /// Saves those of the terminal at which lines are edited, if there is one.
    pub(super) fn save() -> Option<Self> {
        let terminal = match File::options().read(true).write(true).open("/dev/tty") {
            Ok(terminal) => terminal.into(),
            Err(_) => stdin().try_clone_to_owned().ok()?,
        };
        let saved = tcgetattr(&terminal).ok()?;
        Some(Self { terminal, saved })
    }

    /// Restores them, unless the terminal belongs to another job now: the attempt to change its
    /// modes would stop the process.
    pub(super) fn restore(self) {
        if tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp()) {
            // Not once all is written, because a stopped terminal writes nothing. One that has hung
            // up has no modes.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.saved);
        }
    }
}
