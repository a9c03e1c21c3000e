//! What stands in the file: tables of keys, each with its line.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the tables that are listeners.
const LISTENER: &str = "listener";

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConfigFault {
    pub(super) line: usize,
    /// Of what is no TOML.
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

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TomlValue {
    Text(String),
    /// Digits with their sign, and their base.
    Number(String, u32),
    Switch(bool),
    Many(Vec<Self>),
    /// Nothing that an option takes, and what TOML calls it.
    Other(&'static str),
}

/// A key, its value and their line.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: TomlValue,
}

/// The keys of one table, and the line where it begins.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
}

/// A file of keys.
#[derive(Debug)]
pub(super) struct Document {
    /// What stands in front of all tables.
    pub(super) top: Vec<Entry>,
    pub(super) listeners: Vec<Table>,
}

impl Document {
    /// Reads a file's bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Vec<ConfigFault>> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let lines = Lines(&bytes[..error.valid_up_to()]);
            vec![ConfigFault::at(lines.line(error.valid_up_to()), "not valid UTF-8")]
        })?;
        let lines = Lines(bytes);
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors.iter().map(|error| lines.fault(error)).collect());
        }
        let mut document = Self { top: Vec::new(), listeners: Vec::new() };
        let mut faults = Vec::new();
        for (key, value) in table.get_ref() {
            if key.get_ref() == LISTENER {
                match lines.listeners(value) {
                    Some(listeners) => document.listeners = listeners,
                    None => {
                        let text = "write [[listener]] with two brackets; there can be several";
                        faults.push(ConfigFault::at(lines.line(key.span().start), text));
                    }
                }
            } else {
                document.top.push(lines.entry(key, value));
            }
        }
        document.top.sort_by_key(|entry| entry.line);
        if faults.is_empty() { Ok(document) } else { Err(faults) }
    }
}

/// The bytes of a file, in which places are found.
struct Lines<'a>(&'a [u8]);

impl Lines<'_> {
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

    fn listeners(&self, value: &Spanned<DeValue<'_>>) -> Option<Vec<Table>> {
        let tables = value.get_ref().as_array()?;
        tables.iter().map(|table| self.table(table)).collect()
    }

    fn table(&self, value: &Spanned<DeValue<'_>>) -> Option<Table> {
        let table = value.get_ref().as_table()?;
        let mut entries: Vec<_> = table.iter().map(|(key, value)| self.entry(key, value)).collect();
        entries.sort_by_key(|entry| entry.line);
        Some(Table { line: self.line(value.span().start), entries })
    }

    fn entry(&self, key: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>) -> Entry {
        let (line, key) = (self.line(key.span().start), key.get_ref().as_ref().to_owned());
        Entry { key, line, value: toml_value(value.get_ref()) }
    }
}

fn toml_value(value: &DeValue<'_>) -> TomlValue {
    match value {
        DeValue::String(text) => TomlValue::Text(text.clone().into_owned()),
        DeValue::Integer(number) => TomlValue::Number(number.as_str().to_owned(), number.radix()),
        DeValue::Boolean(is_on) => TomlValue::Switch(*is_on),
        DeValue::Array(values) => {
            TomlValue::Many(values.iter().map(|value| toml_value(value.get_ref())).collect())
        }
        DeValue::Float(_) => TomlValue::Other("a float"),
        DeValue::Datetime(_) => TomlValue::Other("a date"),
        DeValue::Table(_) => TomlValue::Other("a table"),
    }
}
