//! Failures of the program: a line for the user, and an exit code after sysexits(3).

use std::error::Error as _;
use std::fmt;
use std::io;
use std::process::ExitCode;

pub(crate) use countersign::os_error::{chain, describe};
use countersign::{
    BindError, ClientError, KeyError, KeyFileError, KeyRingError, NoUsableKeyError, Refusal,
};

/// A failure of the program, with the lines that are printed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    kind: Kind,
    /// What is printed. A line may have a line feed inside, from an argument or a file.
    lines: Vec<String>,
    /// Nothing is printed: everything has been reported, or nothing should be.
    is_quiet: bool,
}

/// Exit codes are part of the interface: they are documented, and only added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    General = 1,
    Usage = 2,
    BadFile = 65,
    NoFile = 66,
    Unavailable = 69,
    /// The work is done, but its result could not be written.
    Output = 74,
    Protocol = 76,
    Refused = 77,
    Configuration = 78,
    /// The user has left by Ctrl-C.
    Interrupted = 130,
}

impl Failure {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self::of_all(kind, vec![text.into()])
    }

    /// The user has interrupted the program, so nothing is printed.
    pub(crate) fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted").quiet()
    }

    /// Several failures, with a line each.
    pub(crate) fn of_all(kind: Kind, lines: Vec<String>) -> Self {
        Self { kind, lines, is_quiet: false }
    }

    /// Several failures as one, with the code of the first.
    pub(crate) fn together(failures: Vec<Self>) -> Option<Self> {
        let kind = failures.first()?.kind;
        Some(Self::of_all(kind, failures.into_iter().flat_map(|failure| failure.lines).collect()))
    }

    /// The same, about this place in a configuration file.
    pub(crate) fn at(mut self, place: &impl fmt::Display) -> Self {
        let kind = if self.kind == Kind::Usage { Kind::Configuration } else { self.kind };
        if let Some(first) = self.lines.first_mut() {
            *first = format!("{place}: {first}");
        }
        Self::of_all(kind, self.lines)
    }

    /// The same, with more lines about it.
    pub(crate) fn and_lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// The lines that are printed.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// The failure of a connection to this address.
    pub(crate) fn client(address: &str, error: &ClientError) -> Self {
        let kind = match error {
            ClientError::NoUsableKey(_) => Kind::Configuration,
            ClientError::Address(_)
            | ClientError::Io(_)
            | ClientError::HandshakeTimeout(_)
            | ClientError::Unanswered
            | ClientError::Timeout
            | ClientError::Closed
            | ClientError::Over => Kind::Unavailable,
            ClientError::Refused
            | ClientError::Unproven
            | ClientError::Rejected(_)
            | ClientError::Server(Refusal::Protection) => Kind::Refused,
            ClientError::Truncated | ClientError::Server(_) => Kind::Protocol,
            _ => Kind::General,
        };
        let text = match error {
            ClientError::NoUsableKey(error) => error.to_string(),
            ClientError::Address(error) => {
                format!("cannot connect to {address}: {}", chain(error))
            }
            ClientError::Io(error) => {
                let (why, remedy) = (describe(error), remedy(address, error));
                format!("cannot connect to {address}: {why}{remedy}")
            }
            other => format!("{address}: {}", client(other)),
        };
        Self::new(kind, text)
    }

    /// The same, with this text appended.
    pub(crate) fn and(mut self, text: &str) -> Self {
        if let Some(last) = self.lines.last_mut() {
            *last = format!("{last}; {text}");
        }
        self
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }

    /// The same, without printing anything.
    pub(crate) fn quiet(self) -> Self {
        Self { is_quiet: true, ..self }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }
}

/// The remedy if an address can't be connected to.
fn remedy(address: &str, error: &io::Error) -> &'static str {
    match (error.kind(), address.starts_with("unix:")) {
        (io::ErrorKind::NotFound, true) | (io::ErrorKind::ConnectionRefused, _) => {
            "; is the server running?"
        }
        (io::ErrorKind::ConnectionReset, _) => "; if a proxy is there, does it reach its target?",
        (io::ErrorKind::TimedOut, false) => {
            "; is the address right, and does a firewall let you through?"
        }
        (io::ErrorKind::TimedOut, true) => "; is the server overloaded?",
        (io::ErrorKind::PermissionDenied, true) => "; see `countersign serve --unix-mode`",
        _ => "",
    }
}

/// Why a client has failed, with the remedy in terms of this program's options.
pub(crate) fn client(error: &ClientError) -> String {
    match error {
        ClientError::Server(refusal @ Refusal::OtherDigest) => {
            let remedy = "--mac md5 or --rhel at this end accepts it";
            format!("the server violated the protocol: {refusal}; {remedy}")
        }
        ClientError::Server(refusal @ Refusal::Protection) => {
            format!("{refusal}; use the same --records at both ends")
        }
        ClientError::Server(refusal) if error.source().is_some() => {
            format!(
                "the server violated the protocol: {refusal}; do both ends have the same \
                     dialect?"
            )
        }
        other => chain(other),
    }
}

/// The fault of a key ring, with its place.
pub(crate) fn key_ring(error: &KeyRingError) -> String {
    format!("{error}: {}", said(error.cause()))
}

/// The fault of a key file or of a line in it, with the remedy in terms of this program's options.
pub(crate) fn said(cause: &KeyFileError) -> String {
    const FIRST: &str = "`countersign keygen --keys FILE` adds one on a server; a client needs a \
                         copy of a key's line from there";
    const GOOD: &str = "`countersign keygen ID` makes a key with a good one";
    let text = chain(cause);
    let problem = text.split(';').next().unwrap_or_default();
    match cause {
        KeyFileError::File(fault) if fault.is_missing() => format!("no such file; {FIRST}"),
        KeyFileError::NoKeys => format!("{problem}; {FIRST}"),
        KeyFileError::Key(KeyError::EmptySecret) => format!("{problem}; {GOOD}"),
        KeyFileError::Key(KeyError::TooShort) => {
            format!("{problem}; {GOOD}, or write dialects=raw,hex if it is only for these")
        }
        _ => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Kind::General, describe(&error))
    }
}

impl From<KeyRingError> for Failure {
    fn from(error: KeyRingError) -> Self {
        let kind = match error.cause() {
            KeyFileError::File(fault) if fault.is_missing() => Kind::NoFile,
            _ => Kind::BadFile,
        };
        Self::new(kind, key_ring(&error))
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        match error {
            BindError::NoUsableKey(error) => error.into(),
            other => Self::new(Kind::General, chain(&other)),
        }
    }
}

impl From<NoUsableKeyError> for Failure {
    fn from(error: NoUsableKeyError) -> Self {
        Self::new(Kind::Configuration, error.to_string())
    }
}
