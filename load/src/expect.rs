//! What counts as the right reply.

use std::error::Error;
use std::fmt;
use std::str::{self, FromStr};

use regex_lite::Regex;

/// What counts as the right reply to a message.
///
/// Replies come in the order of the messages, one for each. A service that sends no replies, or
/// several for a message, can't be measured.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Expect {
    /// The message itself, or the message behind a time stamp as the service `timestamp` puts it.
    #[default]
    Echo,
    /// What begins with the message.
    Prefix,
    /// What matches a regular expression.
    Pattern(Pattern),
    /// Whatever comes.
    Any,
}

/// A regular expression that a reply must match somewhere. A reply that isn't UTF-8 matches none.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// The error for a text that is not a regular expression.
#[derive(Debug)]
pub struct PatternError(regex_lite::Error);

impl Pattern {
    pub(super) fn matches(&self, reply: &[u8]) -> bool {
        str::from_utf8(reply).is_ok_and(|reply| self.0.is_match(reply))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Regex::new(text).map(Self).map_err(PatternError)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a regular expression: {}", self.0)
    }
}

impl Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_searched_for_in_replies_of_text() {
        for (pattern, reply, matches) in [
            ("^OK", &b"OK 7"[..], true),
            ("OK$", b"OK 7", false),
            ("[0-9]+", b"OK 7", true),
            ("", b"", true),
            (".", b"\xff", false),
        ] {
            let read: Pattern = pattern.parse().unwrap();
            assert_eq!(read.matches(reply), matches, "{pattern} {reply:?}");
        }
        let error = "(".parse::<Pattern>().unwrap_err().to_string();
        assert!(error.starts_with("not a regular expression: "), "{error}");
    }
}
