//! The services that the program has.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

use super::choice::NamedValueParser;
use crate::units;

/// A service, by the name that is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltinService {
    Timestamp,
    Echo,
    Discard,
    Sink,
    /// Replies of so many bytes.
    Size(usize),
    /// So many bytes a second.
    Source(u64),
}

/// The longest reply of the service `size`.
const SIZE_MAX: usize = 8 << 20;

/// More bytes a second than a core can send.
const SOURCE_MAX: usize = 256 << 20;

impl BuiltinService {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Echo => "echo",
            Self::Discard => "discard",
            Self::Sink => "sink",
            Self::Size(_) => "size",
            Self::Source(_) => "source",
        }
    }

    /// The longest message that it sends of its own, if it does.
    pub(crate) fn reply_max(self) -> usize {
        match self {
            Self::Size(bytes) => bytes,
            // What is sent together.
            Self::Source(_) => 16 << 10,
            _ => 0,
        }
    }
}

fn services() -> Vec<(BuiltinService, PossibleValue)> {
    let value =
        |service: BuiltinService, help| (service, PossibleValue::new(service.name()).help(help));
    vec![
        value(BuiltinService::Timestamp, "returns each message with the time in front"),
        value(BuiltinService::Echo, "returns each message"),
        value(BuiltinService::Discard, "drops each message"),
        value(BuiltinService::Sink, "drops each message, and returns the bytes of all at the end"),
    ]
}

/// Reads the name of a service, with its number where it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceParser;

impl TypedValueParser for ServiceParser {
    type Value = BuiltinService;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<BuiltinService, Error> {
        let bytes = |text: &str, most| units::size(1..=most)(text);
        let read = match value.to_str().and_then(|text| text.split_once('=')) {
            Some(("size", text)) => bytes(text, SIZE_MAX).map(BuiltinService::Size),
            Some(("source", text)) => {
                bytes(text, SOURCE_MAX).map(|rate| BuiltinService::Source(rate as u64))
            }
            _ => return NamedValueParser(named).parse_ref(command, arg, value),
        };
        read.map_err(|remedy| refused(command, arg, value, remedy))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(named().into_iter().map(|(_, value)| value)))
    }
}

/// All names. Those with a number are there for the help: they are read before.
fn named() -> Vec<(BuiltinService, PossibleValue)> {
    let mut all = services();
    let size = PossibleValue::new("size=N").help("returns N bytes for each message");
    let source = PossibleValue::new("source=N").help("sends N bytes a second");
    all.extend([(BuiltinService::Size(1), size), (BuiltinService::Source(1), source)]);
    all
}

/// The error for a number, as clap writes it for others.
fn refused(command: &Command, arg: Option<&Arg>, value: &OsStr, remedy: String) -> Error {
    let parse = move |_: &str| -> Result<BuiltinService, String> { Err(remedy.clone()) };
    let refused = TypedValueParser::parse_ref(&parse, command, arg, value);
    refused.err().unwrap_or_else(|| Error::new(ErrorKind::InvalidValue))
}
