//! `countersign connect`: a client at the prompt or in a pipe.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use countersign::{Client, ClientError, Exchange, Framing, Protocol};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::exit::{Failure, Kind};
use super::options::{STAMP_AND_FRAME, Spoken};

/// Talk to a server
///
/// On a terminal it prompts: `quit` or the end of input leaves. In a pipe each line is one message
/// and each reply is printed on a line; it ends when all are answered.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct Connect {
    /// Where the server listens, as HOST:PORT
    address: String,
    /// Sign with the key of this id [default: the first that serves the dialect]
    #[arg(long, value_name = "ID", env = "COUNTERSIGN_KEY")]
    key: Option<String>,
    /// How long connecting, and each reply, may take
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TIMEOUT", default_value = "10s",
          value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    spoken: Spoken,
}

const EXAMPLES: &str = "\
Examples:
  countersign connect 127.0.0.1:9527
  printf 'a\\nb\\n' | countersign connect 127.0.0.1:9527
  countersign connect 127.0.0.1:9527 --dialect open --framing chunks --once";

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
        let mut line = Line { connect: &self, protocol, client: None };
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
                    "quit" => return Ok(()),
                    message => {
                        editor.add_history_entry(message).map_err(failed)?;
                        line.ask(message.as_bytes())?;
                    }
                },
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn pipe(&self, line: &mut Line<'_>) -> Result<(), Failure> {
        let mut input = io::stdin().lock();
        let mut message = Vec::new();
        while input.read_until(b'\n', &mut message)? > 0 {
            let text = message.strip_suffix(b"\n").unwrap_or(&message);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            // A chunk of no bytes is none.
            if !(text.is_empty() && self.spoken.framing == Framing::Chunks) {
                line.ask(text)?;
            }
            message.clear();
        }
        Ok(())
    }
}

/// The line to the server: one connection, or one for each message.
struct Line<'a> {
    connect: &'a Connect,
    protocol: Protocol,
    client: Option<Client>,
}

impl Line<'_> {
    fn client(&mut self) -> Result<&mut Client, Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let Connect { address, timeout, .. } = self.connect;
                let mut client = Client::connect_within(address, self.protocol.clone(), *timeout)
                    .map_err(|error| self.failed(&error))?;
                client.set_timeout(Some(*timeout));
                client
            }
        };
        Ok(self.client.insert(client))
    }

    /// Sends a message and prints the reply.
    fn ask(&mut self, message: &[u8]) -> Result<(), Failure> {
        let most = self.connect.spoken.message_max;
        if message.len() > most {
            return Err(self.failed(&ClientError::TooLong(most)));
        }
        let mut stdout = io::stdout();
        let asked = match self.client()?.ask(message) {
            Ok(reply) => {
                stdout.write_all(reply)?;
                stdout.write_all(b"\n")?;
                Ok(stdout.flush()?)
            }
            Err(error) => Err(error),
        };
        asked.map_err(|error: ClientError| self.failed(&error))?;
        if self.connect.spoken.once {
            self.client = None;
        }
        Ok(())
    }

    /// Proves that we hold the key. The verdict stays with the server, which says no word of it.
    fn verify(&mut self) -> Result<(), Failure> {
        let client = self.client()?;
        let ended = client.finish().and_then(|()| client.receive().map(|_| ()));
        ended.map_err(|error| self.failed(&error))?;
        let text = "the proof was sent; the verdict stays with the server";
        Ok(writeln!(io::stderr(), "{text}")?)
    }

    fn failed(&self, error: &ClientError) -> Failure {
        Failure::client(&self.connect.address, error)
    }
}
