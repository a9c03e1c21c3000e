//! The ends of a connection: which one reads a ring, and so what helps where a key is missing.

use std::path::Path;

use countersign::{Dialect, KeyFileError, KeyRing, KeyRingExt as _};

use super::{default_path, rules};
use crate::escape::quoted;
use crate::exit::{Failure, Kind};

/// The end of a connection that reads a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RingRole {
    /// It makes keys.
    Server,
    /// It has a key of the server's, or is refused.
    Client,
}

impl RingRole {
    /// The keys of a file, for a dialect.
    pub(crate) fn read(self, path: &Path, dialect: Dialect) -> Result<KeyRing, Failure> {
        KeyRing::from_file_with(rules(path), path).map_err(|error| {
            let (kind, text) = match error.cause() {
                KeyFileError::File(fault) if fault.is_missing() => (Kind::NoFile, "no such file"),
                KeyFileError::NoKeys => (Kind::BadFile, "holds no key"),
                _ => return error.into(),
            };
            let remedy = self.remedy(path, dialect, None);
            Failure::new(kind, format!("{}: {text}; {remedy}", path.display()))
        })
    }

    /// How a ring comes by a key for a dialect.
    pub(crate) fn remedy(self, path: &Path, dialect: Dialect, ring: Option<&KeyRing>) -> String {
        let shown = quoted(&path.display().to_string());
        match self {
            Self::Server => {
                let name = if dialect == Dialect::Countersign { "default" } else { dialect.name() };
                let is_free = |id: &String| ring.and_then(|ring| ring.key(id)).is_none();
                let others = (2..).map(|number| format!("{name}-{number}"));
                let id = [name.to_owned()].into_iter().chain(others).find(is_free);
                let is_usual = default_path().is_ok_and(|usual| usual == path);
                let place = if is_usual { String::new() } else { format!(" --keys {shown}") };
                let id = id.unwrap_or_default();
                format!("`countersign keygen {id} --dialects {dialect}{place}` adds a fresh key")
            }
            Self::Client => {
                let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
                let directory = directory.unwrap_or(Path::new("."));
                let directory = quoted(&directory.display().to_string());
                // The whole id, and no pattern: neither garden-2 nor gardens comes along.
                format!(
                    "copy the line of a key over a secure channel from the server's key file, \
                     such as \
                     with `(umask 077; mkdir -p {directory}; ssh SERVER \"awk '\\$1 == \\\"ID\\\"' \
                     FILE\" >>{shown})`"
                )
            }
        }
    }
}
