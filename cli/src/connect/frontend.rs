//! Where messages come from and replies go: a pipe, or a terminal with a prompt.

use std::fmt::Display;
use std::os::fd::BorrowedFd;

use super::input::{Input, Next};
use super::terminal::Terminal;
use crate::escape::Escaped;
use crate::exit::{Failure, Kind, describe};
use crate::output::{stderr, stdout};

/// Where messages come from and replies go.
pub(super) enum Frontend {
    Pipe(Input),
    Prompt(Terminal),
}

impl Frontend {
    pub(super) fn is_prompt(&self) -> bool {
        matches!(self, Self::Prompt(_))
    }

    /// Takes the next message; at the prompt, asks for one if there is none.
    pub(super) fn take(&mut self) -> Result<Next<'_>, Failure> {
        match self {
            Self::Pipe(input) => Ok(input.take()),
            Self::Prompt(terminal) => terminal.take(),
        }
    }

    /// What is readable when [`read`](Self::read) has something to read.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(_) => rustix::stdio::stdin(),
            Self::Prompt(terminal) => terminal.fd(),
        }
    }

    pub(super) fn read(&mut self) -> Result<(), Failure> {
        let unreadable =
            |error| Failure::new(Kind::General, format!("cannot read stdin: {}", describe(&error)));
        match self {
            Self::Pipe(input) => input.read().map_err(unreadable),
            Self::Prompt(terminal) => terminal.read().map_err(unreadable),
        }
    }

    /// Prints whole lines, above the prompt where it is shown.
    pub(super) fn print(&self, lines: &mut Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        match self {
            Self::Pipe(_) => stdout().write(&*lines),
            Self::Prompt(terminal) => terminal.print(stdout(), lines),
        }
        lines.clear();
    }

    /// Tells the user something, above the prompt where it is shown.
    pub(super) fn tell(&self, line: &impl Display) {
        match self {
            Self::Pipe(_) => say(line),
            Self::Prompt(terminal) => terminal.print(stderr(), said(line).as_bytes()),
        }
    }
}

/// A line on stderr, in the form of a failure.
pub(super) fn say(what: &impl Display) {
    stderr().write(said(what));
}

fn said(what: &impl Display) -> String {
    format!("countersign: {}\n", Escaped(&what.to_string()))
}
