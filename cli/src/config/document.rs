//! The content of the file: tables of keys, each with its line.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the tables that are listeners.
const LISTENER: &str = "listener";

/// An error in a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConfigFault {
    pub(super) line: usize,
    /// Of a syntax error.
    column: Option<usize>,
    text: String,
}

impl ConfigFault {
    pub(super) fn at(line: usize, text: impl Into<String>) -> Self {
        Self { line, column: None, text: text.into() }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.line)?;
        if let Some(column) = self.column {
            write!(f, "{column}:")?;
        }
        write!(f, " {}", self.text)
    }
}

/// A key, its value and their line.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: DeValue<'t>,
}

/// The keys of one table, and the line where it begins.
#[derive(Debug)]
pub(super) struct Table<'t> {
    pub(super) line: usize,
    pub(super) entries: Vec<Entry<'t>>,
}

/// A file of keys.
#[derive(Debug)]
pub(super) struct Document<'t> {
    /// What stands in front of all tables.
    pub(super) top: Vec<Entry<'t>>,
    pub(super) listeners: Vec<Table<'t>>,
}

impl<'t> Document<'t> {
    /// Parses a file's bytes.
    pub(super) fn parse(bytes: &'t [u8]) -> Result<Self, Vec<ConfigFault>> {
        let positions = Positions(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = positions.line(error.valid_up_to());
            vec![ConfigFault::at(line, "not valid UTF-8")]
        })?;
        let (mut table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors.iter().map(|error| positions.fault(error)).collect());
        }
        let (at, tables) = match table.get_mut().remove_entry(LISTENER) {
            Some((key, value)) => (key.span().start, positions.tables(value)),
            None => (0, Some(Vec::new())),
        };
        let listeners = tables.ok_or_else(|| {
            let text = "write [[listener]] with two brackets; there can be several";
            vec![ConfigFault::at(positions.line(at), text)]
        })?;
        Ok(Self { top: positions.entries(table.into_inner()), listeners })
    }
}

/// The bytes of a file, in which lines and columns are counted.
struct Positions<'t>(&'t [u8]);

impl Positions<'_> {
    /// The number of the line, from 1.
    fn line(&self, at: usize) -> usize {
        self.before(at).iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The place in its line, in bytes from 1.
    fn column(&self, at: usize) -> usize {
        self.before(at).iter().rev().take_while(|byte| **byte != b'\n').count() + 1
    }

    fn before(&self, at: usize) -> &[u8] {
        &self.0[..at.min(self.0.len())]
    }

    fn fault(&self, error: &toml::de::Error) -> ConfigFault {
        let Range { start, .. } = error.span().unwrap_or_default();
        let text = error.message().replace('\n', " ");
        ConfigFault { line: self.line(start), column: Some(self.column(start)), text }
    }

    /// The tables of an array that holds nothing else.
    fn tables<'t>(&self, value: Spanned<DeValue<'t>>) -> Option<Vec<Table<'t>>> {
        let DeValue::Array(tables) = value.into_inner() else { return None };
        let table = |table: Spanned<DeValue<'t>>| {
            let line = self.line(table.span().start);
            let DeValue::Table(table) = table.into_inner() else { return None };
            Some(Table { line, entries: self.entries(table) })
        };
        tables.into_iter().map(table).collect()
    }

    /// The entries in the order of their lines.
    fn entries<'t>(&self, table: DeTable<'t>) -> Vec<Entry<'t>> {
        let mut entries: Vec<_> = table
            .into_iter()
            .map(|(key, value)| Entry {
                line: self.line(key.span().start),
                key: key.into_inner().into_owned(),
                value: value.into_inner(),
            })
            .collect();
        entries.sort_by_key(|entry| entry.line);
        entries
    }
}
