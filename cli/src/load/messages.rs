//! The options of `countersign load` that say what is sent, and what must come back.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use countersign::Framing;
use countersign_load::{Expect, MessageList, MessageOrder, PatternError, Plan};
use serde_json::{Value, json};

use super::input;
use crate::exit::{Failure, Kind};

/// What is sent, and what must come back.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct MessageArgs {
    /// File with the messages to send, in place of numbered ones of --size
    ///
    /// Each line is a message. With --framing length and in multiprocessing, the file has blocks as
    /// on the wire: four bytes of length, big-endian, and a message. Each client goes through the
    /// messages by itself, and begins again after the last one.
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
    /// With --messages: the order in which each client sends them
    #[arg(long, value_name = "ORDER", default_value = "sequential", value_enum)]
    messages_order: OrderKind,
    /// The reply that each message must get: echo, prefix, none or regex:PATTERN
    ///
    /// echo is the message itself, or the message behind a time stamp, as from the services of this
    /// program. prefix is a reply that begins with the message. regex:PATTERN is a reply in which
    /// the pattern matches, such as 'regex:^OK'; it takes the load generator more time. none is any
    /// reply. In each case every message must get one reply, in order: a service that sends no
    /// replies, or several for a message, cannot be measured.
    #[arg(long, value_name = "REPLY", default_value = "echo")]
    expect: ExpectArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderKind {
    /// One after the other
    Sequential,
    /// At random, but alike in each run
    Random,
}

/// What is expected, and how it was written.
#[derive(Debug, Clone)]
struct ExpectArg {
    text: String,
    expect: Expect,
}

impl MessageArgs {
    /// The plan, with what is sent and expected. A message has at most `max` bytes.
    pub(super) fn apply(&self, plan: Plan, framing: Framing, max: usize) -> Result<Plan, Failure> {
        let messages = self.messages.as_deref().map(|path| self.read(path, framing, max));
        Ok(Plan { messages: messages.transpose()?, expect: self.expect.expect.clone(), ..plan })
    }

    fn read(&self, path: &Path, framing: Framing, max: usize) -> Result<MessageList, Failure> {
        let failed = |kind, text: String| Failure::new(kind, format!("{}: {text}", path.display()));
        let bytes = input::bytes(path).map_err(|(kind, text)| failed(kind, text))?;
        let order = match self.messages_order {
            OrderKind::Sequential => MessageOrder::Sequential,
            OrderKind::Random => MessageOrder::Random,
        };
        let messages = match framing {
            Framing::Length => MessageList::from_blocks(bytes, order),
            _ => MessageList::from_lines(bytes, order),
        };
        let messages = messages.map_err(|error| failed(Kind::BadFile, error.to_string()))?;
        match messages.longer_than(max) {
            None => Ok(messages),
            Some(number) => {
                let text = format!(
                    "message {number} is too long: it can have at most {max} bytes; see \
                     --message-max"
                );
                Err(failed(Kind::BadFile, text))
            }
        }
    }

    /// The parameters of a report.
    pub(super) fn parameters(&self) -> Vec<(&'static str, Value)> {
        let order = self.messages_order.to_possible_value();
        let order = order.filter(|_| self.messages.is_some());
        let order = order.map(|order| order.get_name().to_owned());
        vec![
            ("messages", json!(self.messages.as_deref().map(Path::to_string_lossy))),
            ("messagesOrder", json!(order)),
            ("expect", json!(self.expect.text)),
        ]
    }
}

impl FromStr for ExpectArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expect = match text {
            "echo" => Expect::Echo,
            "prefix" => Expect::Prefix,
            "none" => Expect::Any,
            _ => {
                let pattern = text.strip_prefix("regex:");
                let pattern = pattern.ok_or("write echo, prefix, none or regex:PATTERN")?;
                Expect::Pattern(pattern.parse().map_err(|error: PatternError| error.to_string())?)
            }
        };
        Ok(Self { text: text.to_owned(), expect })
    }
}
