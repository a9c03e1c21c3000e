//! `countersign connect`: a client at the prompt or in a pipe.

mod conversation;
mod frontend;
mod input;
mod line_buffer;
mod modes;
mod retry;
mod terminal;

use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use clap::Args;
use countersign::Exchange;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::args::protocol::{ProtocolArgs, SERVER, STAMP_AND_FRAME};
use super::escape::Escaped;
use super::exit::Failure;
use super::output::{stderr, stdout};
use super::signals::Claimed;
use super::{system, units};
use conversation::{Conversation, Sent};
use frontend::Frontend;
use input::{Input, Next};
use terminal::Terminal;

/// Connect to a server and exchange messages
///
/// On a terminal it shows a prompt; `quit` or the end of input leaves it. Ctrl-C deletes the line,
/// or leaves if the line is empty. In a pipe, each line is one message, and each reply is printed
/// on one line. Many messages can be in flight; it ends when all are answered. On a terminal,
/// control characters in replies are escaped.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct ConnectArgs {
    /// Address of the server: HOST:PORT, HOST, PORT or unix:/PATH
    #[arg(default_value = SERVER)]
    address: String,
    /// Id of the key to authenticate with [default: the first key for the dialect]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Time limit for connecting, and for each reply; 0s means no limit
    #[arg(long, value_name = "TIME", default_value = "10s",
          value_parser = units::time_or_never(units::SOME_TIME))]
    timeout: Duration,
    /// Retry up to N times while the server can't be reached or is busy
    ///
    /// The pause before each attempt is random: at first up to 100 ms, then up to twice as long
    /// each time, and at most 10 s. A refusal because of the key is not retried. A connection that
    /// was lost between two messages is opened again, but a message that may have been received is
    /// not sent again.
    #[arg(long, value_name = "N", default_value = "0",
          value_parser = units::count::<u32>(0..=u64::from(u32::MAX)))]
    retry: u32,
    /// Don't wait for replies, for a service that doesn't answer each message
    ///
    /// Messages from the server are still printed. In a pipe, it ends when the server closes the
    /// connection or sends nothing for --timeout. In raw, hex and open, you then can't tell whether
    /// the server has accepted the messages.
    #[arg(long)]
    no_reply: bool,
    #[command(flatten)]
    protocol: ProtocolArgs,
}

const EXAMPLES: &str = "\
Examples:
  countersign connect 127.0.0.1:9527
  printf 'a\\nb\\n' | countersign connect 127.0.0.1:9527
  countersign connect 127.0.0.1:9527 --retry 10
  countersign connect unix:/run/garden.sock
  countersign connect 127.0.0.1:9527 --dialect open --framing chunks --once
  countersign connect 127.0.0.1:9528 --dialect multiprocessing";

impl ConnectArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        let protocol = self.protocol.client_protocol()?;
        // The reply to the longest message is longer still.
        let mut protocol = protocol.with_message_max(self.protocol.message_max + STAMP_AND_FRAME);
        if let Some(id) = &self.key {
            protocol = protocol.with_key(id);
        }
        let prompt = if io::stdin().is_terminal() { Terminal::open(signals)? } else { None };
        let mut connection = Conversation::new(&self, protocol, prompt.is_some());
        if self.protocol.exchange() == Exchange::VerifyOnly {
            return connection.verify();
        }
        if self.protocol.exchange() == Exchange::Many {
            // A server that isn't there is told of before anything is typed.
            connection.open()?;
        }
        let mut frontend = match prompt {
            Some(terminal) => Frontend::Prompt(terminal),
            None => Frontend::Pipe(Input::new(self.protocol.message_max)),
        };
        let done = converse(&mut connection, &mut frontend);
        // What was answered is shown, whatever came after it.
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
                    // Whoever has sent nothing hears all the same that the server isn't there.
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

/// Leaves, and says how it went: what kept us from sending more comes first.
fn end(
    connection: &mut Conversation<'_>,
    frontend: &Frontend,
    verdict: Result<(), Failure>,
) -> Result<(), Failure> {
    let left = connection.leave();
    // At the prompt all replies were seen, so it is no matter whether the server is still there.
    if frontend.is_prompt() { verdict } else { verdict.and(left) }
}

/// Waits until the server, or the frontend where that is wanted, has something for us.
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

/// Waits until one of these descriptors is ready, or for so long. Says whether the first is.
fn wait(interests: &[(BorrowedFd<'_>, PollFlags)], time: Option<Duration>) -> io::Result<bool> {
    let mut fds: Vec<_> =
        interests.iter().map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    match poll(&mut fds, time.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fds.first().is_some_and(|fd| !fd.revents().is_empty()))
}

/// A line on stderr, in the words that a failure has.
fn say(what: &impl Display) {
    stderr().write(said(what));
}

fn said(what: &impl Display) -> String {
    format!("countersign: {}\n", Escaped(&what.to_string()))
}
