//! The options of `countersign connect`.

use std::time::Duration;

use clap::Args;

use crate::args::protocol::{ProtocolArgs, SERVER};
use crate::units;

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
    pub(super) address: String,
    /// Id of the key to authenticate with [default: the first key for the dialect]
    #[arg(long, value_name = "ID")]
    pub(super) key: Option<String>,
    /// Time limit for connecting, and for each reply; 0s means no limit
    #[arg(long, value_name = "TIME", default_value = "10s",
          value_parser = units::time_or_never(units::SOME_TIME))]
    pub(super) timeout: Duration,
    /// Retry up to N times while the server can't be reached or is busy
    ///
    /// The pause before each attempt is random: at first up to 100 ms, then up to twice as long
    /// each time, and at most 10 s. A refusal because of the key is not retried. A connection that
    /// was lost between two messages is opened again, but a message that may have been received is
    /// not sent again.
    #[arg(long, value_name = "N", default_value = "0",
          value_parser = units::count::<u32>(0..=u64::from(u32::MAX)))]
    pub(super) retry: u32,
    /// Don't wait for replies, for a service that doesn't answer each message
    ///
    /// Messages from the server are still printed. In a pipe, it ends when the server closes the
    /// connection or sends nothing for --timeout. In raw, hex and open, you then can't tell whether
    /// the server has accepted the messages.
    #[arg(long)]
    pub(super) no_reply: bool,
    #[command(flatten)]
    pub(super) protocol: ProtocolArgs,
}

const EXAMPLES: &str = "\
Examples:
  countersign connect 127.0.0.1:9527
  printf 'a\\nb\\n' | countersign connect 127.0.0.1:9527
  countersign connect 127.0.0.1:9527 --retry 10
  countersign connect unix:/run/garden.sock
  countersign connect 127.0.0.1:9527 --dialect open --framing chunks --once
  countersign connect 127.0.0.1:9528 --dialect multiprocessing";
