//! Cases as data: what is sent, what must come, and the sentence of the page that says so.
//!
//! The files are `tests/vectors/conformance-1/*.toml`. They are read here, and nothing in them is
//! known to the rest by name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::needs::{Feature, ListenerKind, Mode, PlainFraming};
use crate::step::CaseStep;

/// The version of the cases: the second number grows when one is added or mended, the first is the
/// protocol's.
pub const VERSION: &str = "1.3";

const FILES: [&str; 2] =
    [include_str!("../cases/server.toml"), include_str!("../cases/client.toml")];

/// The end of a connection that a case judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestedEnd {
    /// The kit connects, and plays the client.
    Server,
    /// The kit listens, and plays the server.
    Client,
}

impl TestedEnd {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Such as `CS1-2.5-S03`: protocol and version, paragraph, end, and number in the paragraph.
    pub id: String,
    /// What a conforming implementation does.
    pub title: String,
    /// What the paragraph says, word for word.
    pub says: String,
    /// What else of the page it shows, word for word.
    #[serde(default)]
    pub also: Vec<String>,
    /// Where to look first if it fails.
    pub cause: String,
    /// The protections with which it can be run; all but `off` if there are none.
    #[serde(default)]
    pub(crate) modes: Vec<Mode>,
    /// How messages are delimited, if that matters.
    #[serde(default)]
    pub(crate) framing: Option<PlainFraming>,
    /// The kind of listener that it is for.
    #[serde(default)]
    pub(crate) listener: ListenerKind,
    /// What it needs beyond the protections.
    #[serde(default)]
    pub(crate) needs: Vec<Feature>,
    /// The lines that a client gets to send.
    #[serde(default)]
    pub(crate) lines: Vec<String>,
    /// What a client must print, if it must print that exactly.
    #[serde(default)]
    pub(crate) prints: Vec<String>,
    /// How a client ends.
    #[serde(default)]
    pub(crate) exit: Exit,
    pub(crate) steps: Vec<CaseStep>,
}

/// How a client's command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Exit {
    #[default]
    Success,
    /// With another code than 0.
    Failure,
    /// In any way, or not by itself.
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    end: TestedEnd,
    /// The titles of the page's sections, by their numbers.
    sections: BTreeMap<String, String>,
    case: Vec<Case>,
}

/// The cases of one end, and the sections that they are from.
#[derive(Debug, Clone)]
pub struct Cases {
    /// The end that they judge.
    pub end: TestedEnd,
    /// The titles of the page's sections, by their numbers.
    pub sections: BTreeMap<String, String>,
    /// In the order of the page.
    pub list: Vec<Case>,
}

impl Cases {
    /// Those for an end.
    ///
    /// # Errors
    ///
    /// Their file can't be read: a fault of this crate.
    pub fn of(end: TestedEnd) -> Result<Self, String> {
        let text = FILES[usize::from(end == TestedEnd::Client)];
        // In two steps: types that are read from TOML at once are 100 KB more.
        let value: Value = toml::from_str(text).map_err(|error| error.to_string())?;
        let file: File = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if file.end != end {
            return Err(format!("the cases are not for a {}", end.name()));
        }
        Ok(Self { end, sections: file.sections, list: file.case })
    }

    /// Only those whose id begins with one of these.
    #[must_use]
    pub fn only(mut self, beginnings: &[String]) -> Self {
        let is_one = |case: &Case| beginnings.iter().any(|begin| case.id.starts_with(begin));
        self.list.retain(|case| beginnings.is_empty() || is_one(case));
        self
    }

    /// Where a case is from: `protocol.md, paragraph 2.5 (The hellos)`.
    #[must_use]
    pub fn place(&self, case: &Case) -> String {
        let paragraph = case.paragraph();
        let section = paragraph.split('.').next().unwrap_or_default();
        let title = self.sections.get(section).map_or("", String::as_str);
        format!("protocol.md, paragraph {paragraph} ({title})")
    }
}

impl Case {
    /// The paragraph of the page that it is from.
    #[must_use]
    pub fn paragraph(&self) -> &str {
        self.id.split('-').nth(1).unwrap_or_default()
    }
}
