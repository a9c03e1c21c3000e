//! `countersign connect`: a client at the prompt or in a pipe.

mod args;
mod conversation;
mod frontend;
mod input;
mod line_buffer;
mod modes;
mod retry;
mod terminal;
mod wait;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use countersign::Exchange;
use rustix::event::PollFlags;

use super::args::protocol::STAMP_AND_FRAME;
use super::exit::Failure;
use super::output::stdout;
use super::signals::Claimed;
use super::system;
pub(crate) use args::ConnectArgs;
use conversation::{Conversation, Sent};
use frontend::Frontend;
use input::{Input, Next};
use terminal::Terminal;
use wait::wait;

impl ConnectArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        // The reply to the longest message is longer still.
        let config = self.protocol.client_config(self.key.as_deref(), STAMP_AND_FRAME)?;
        let prompt = if io::stdin().is_terminal() { Terminal::open(signals)? } else { None };
        let mut connection = Conversation::new(&self, config, prompt.is_some());
        if self.protocol.exchange() == Exchange::VerifyOnly {
            return connection.verify();
        }
        if self.protocol.exchange() == Exchange::Many {
            // A server that can't be reached is reported before anything is typed.
            connection.open()?;
        }
        let mut frontend = match prompt {
            Some(terminal) => Frontend::Prompt(terminal),
            None => Frontend::Pipe(Input::new(self.protocol.message_max)),
        };
        let done = converse(&mut connection, &mut frontend);
        // Replies are shown, whatever came after them.
        frontend.print(connection.replies());
        done
    }
}

/// Sends what comes from the frontend, and prints what comes from the server.
fn converse(connection: &mut Conversation<'_>, frontend: &mut Frontend) -> Result<(), Failure> {
    let mut verdict = None;
    loop {
        let mut is_dry = false;
        while verdict.is_none() && !is_dry && connection.has_room() {
            match frontend.take()? {
                Next::Message(message) => match connection.send(message)? {
                    Sent::Queued => {}
                    Sent::Refused(failure) if frontend.is_prompt() => frontend.tell(&failure),
                    Sent::Refused(failure) => verdict = Some(Err(failure)),
                },
                Next::TooLong => verdict = Some(Err(connection.too_long())),
                Next::Nothing => is_dry = true,
                Next::End => {
                    // A server that can't be reached is reported even if nothing is sent.
                    verdict = Some(if frontend.is_prompt() { Ok(()) } else { connection.reach() });
                }
                Next::Interrupted => verdict = Some(Err(Failure::interrupted())),
            }
        }
        connection.go_on()?;
        frontend.print(connection.replies());
        if let Some(notice) = connection.take_notice().filter(|_| frontend.is_prompt()) {
            frontend.tell(&notice);
        }
        if stdout().has_failed() {
            return Ok(());
        }
        match verdict {
            Some(verdict) if connection.is_done() => return end(connection, frontend, verdict),
            None if !is_dry && connection.has_room() => {}
            _ => wait_for(connection, frontend, is_dry && verdict.is_none())?,
        }
    }
}

/// Ends the conversation and returns the result: a failure of sending comes first.
fn end(
    connection: &mut Conversation<'_>,
    frontend: &Frontend,
    verdict: Result<(), Failure>,
) -> Result<(), Failure> {
    let left = connection.leave();
    // At the prompt all replies have been seen, so it doesn't matter whether the server is still
    // there.
    if frontend.is_prompt() { verdict } else { verdict.and(left) }
}

/// Waits until the server has sent something, or the frontend has input if that is wanted.
fn wait_for(
    connection: &Conversation<'_>,
    frontend: &mut Frontend,
    is_wanted: bool,
) -> Result<(), Failure> {
    let deadline = connection.deadline();
    let mut time = deadline.map(|it| it.saturating_duration_since(system::monotonic()));
    if connection.has_more() {
        time = Some(Duration::ZERO);
    }
    let from_source = is_wanted.then(|| (frontend.fd(), PollFlags::IN));
    let interests: Vec<_> = from_source.into_iter().chain(connection.interest()).collect();
    let is_ready = wait(&interests, time)?;
    if is_wanted && is_ready { frontend.read() } else { Ok(()) }
}
