//! `countersign connect`: a client at the prompt or in a pipe.

mod line;
mod retry;

use std::io::{self, BufRead as _, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use countersign::{Exchange, Framing};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::exit::{Failure, Kind};
use super::options::{SERVER, STAMP_AND_FRAME, Spoken};
use super::output::stdout;
use super::units;
use line::{Asked, Line};

/// Talk to a server
///
/// On a terminal it prompts: `quit` or the end of input leaves. In a pipe each line is one message
/// and each reply is printed on a line; it ends when all are answered.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct Connect {
    /// Where the server listens: HOST:PORT, HOST, PORT or unix:/PATH
    #[arg(default_value = SERVER)]
    address: String,
    /// Sign with the key of this id [default: the first that serves the dialect]
    #[arg(long, value_name = "ID", env = "COUNTERSIGN_KEY")]
    key: Option<String>,
    /// How long connecting, and each reply, may take; 0s is without end
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TIMEOUT", default_value = "10s",
          value_parser = units::time_or_never(units::SOME_TIME))]
    timeout: Duration,
    /// Try again so many times while the server can't be reached or is busy
    ///
    /// A pause is a random time: at first up to 100 ms, then up to twice as much each time, and
    /// never more than 10 s. There is no second try after a refusal that has to do with the key.
    /// A connection that was lost between two messages is made anew, but no message is sent again
    /// that may have been received.
    #[arg(long, value_name = "N", env = "COUNTERSIGN_RETRY", default_value = "0",
          value_parser = units::count::<u32>(0..=u64::from(u32::MAX)))]
    retry: u32,
    #[command(flatten)]
    spoken: Spoken,
}

const EXAMPLES: &str = "\
Examples:
  countersign connect 127.0.0.1:9527
  printf 'a\\nb\\n' | countersign connect 127.0.0.1:9527
  countersign connect 127.0.0.1:9527 --retry 10
  countersign connect unix:/run/garden.sock
  countersign connect 127.0.0.1:9527 --dialect open --framing chunks --once
  countersign connect 127.0.0.1:9528 --dialect multiprocessing";

/// What the prompt shows.
const PROMPT: &str = ">>>";

impl Connect {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let protocol = self.spoken.protocol(self.spoken.ring()?)?;
        // The reply to the longest message is longer still.
        let mut protocol = protocol.with_message_max(self.spoken.message_max + STAMP_AND_FRAME);
        if let Some(id) = &self.key {
            protocol = protocol.with_key(id);
        }
        let mut line = Line::new(&self, protocol);
        if self.spoken.exchange() == Exchange::VerifyOnly {
            return line.verify();
        }
        if self.spoken.exchange() == Exchange::Many {
            // A server that isn't there is told of before anything is typed.
            line.client()?;
        }
        if io::stdin().is_terminal() { self.prompt(&mut line) } else { self.pipe(&mut line) }
    }

    fn prompt(&self, line: &mut Line<'_>) -> Result<(), Failure> {
        let failed = |error: ReadlineError| Failure::new(Kind::General, error.to_string());
        let mut editor = DefaultEditor::new().map_err(failed)?;
        loop {
            match editor.readline(PROMPT) {
                Ok(typed) => match typed.trim() {
                    "" => {}
                    "quit" => break,
                    message => {
                        editor.add_history_entry(message).map_err(failed)?;
                        match line.ask(message.as_bytes())? {
                            Asked::Answered => {}
                            Asked::Lost(failure) if self.retry > 0 => line::say(&failure),
                            Asked::Lost(failure) => return Err(failure),
                        }
                    }
                },
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => break,
                Err(error) => return Err(failed(error)),
            }
        }
        // All replies were seen, so it is no matter whether the server is still there.
        let _ = line.leave();
        Ok(())
    }

    fn pipe(&self, line: &mut Line<'_>) -> Result<(), Failure> {
        let mut input = io::stdin().lock();
        let mut message = Vec::new();
        while input.read_until(b'\n', &mut message)? > 0 {
            let text = message.strip_suffix(b"\n").unwrap_or(&message);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            // A chunk of no bytes is none.
            if !(text.is_empty() && self.spoken.framing() == Framing::Chunks)
                && let Asked::Lost(failure) = line.ask(text)?
            {
                return Err(failure);
            }
            if stdout().has_failed() {
                return Ok(());
            }
            message.clear();
        }
        line.leave()
    }
}
