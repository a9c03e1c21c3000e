//! `countersign keys list`: the keys of a file as a table or as JSON, without their secrets.

use std::time::Duration;

use clap::Args;
use countersign::{Key, KeyRing};
use serde::Serialize;

use super::validity;
use crate::escape::{self, Escaped};
use crate::exit::Failure;
use crate::output::stdout;
use crate::ring::{self, KeyFileArg};
use crate::{system, units};

/// List the keys of the key file, without their secrets
///
/// Two people can compare fingerprints to check that they hold the same key. Dates are in UTC.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(super) struct ListArgs {
    /// Print a JSON array instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: KeyFileArg,
}

const EXAMPLES: &str = "\
Examples:
  countersign keys list
  countersign keys list --keys /etc/countersign/keys --json";

const HEAD: [&str; 5] = ["id", "fingerprint", "dialects", "audience", "validity"];

impl ListArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let ring = ring::inspect(&self.file.path()?)?;
        let now = system::unix_time();
        let text = if self.json { objects(&ring, now) } else { table(&ring, now) };
        stdout().write(text);
        Ok(())
    }
}

fn table(ring: &KeyRing, now: Duration) -> String {
    let head = HEAD.map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(ring.keys().map(|key| row(key, now))).collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2), width(3), 0];
    let line = |row: &[String; 5]| {
        let padded = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}  "));
        format!("{}\n", padded.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(key: &Key, now: Duration) -> [String; 5] {
    let audience = if key.audience().is_empty() { "-" } else { key.audience() };
    let dialects: Vec<&str> = key.dialects().map(|dialect| dialect.name()).collect();
    [
        Escaped(key.id()).to_string(),
        key.fingerprint(),
        dialects.join(","),
        Escaped(audience).to_string(),
        validity(key, now),
    ]
}

fn objects(ring: &KeyRing, now: Duration) -> String {
    let keys: Vec<_> = ring.keys().map(|key| KeyObject::of(key, now)).collect();
    // Texts and numbers can always be written.
    let text = serde_json::to_string_pretty(&keys).unwrap_or_default();
    escape::inside_json(&(text + "\n"))
}

/// A key as an object of JSON.
#[derive(Serialize)]
struct KeyObject<'k> {
    audience: &'k str,
    dialects: Vec<&'static str>,
    fingerprint: String,
    id: &'k str,
    not_after: Option<String>,
    not_before: Option<String>,
    short: bool,
    state: &'static str,
}

impl<'k> KeyObject<'k> {
    fn of(key: &'k Key, now: Duration) -> Self {
        Self {
            audience: key.audience(),
            dialects: key.dialects().map(|dialect| dialect.name()).collect(),
            fingerprint: key.fingerprint(),
            id: key.id(),
            not_after: key.not_after().map(units::date),
            not_before: key.not_before().map(units::date),
            short: key.is_short(),
            state: key.validity_at(now).name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign::KeyRingExt as _;
    use serde_json::{Value, json};

    use super::*;

    const RING: &[u8] = b"garden text:sixteen-bytes-and-more not-after=2027-01-31\n\
        gate text:short dialects=hex,raw audience=door not-after=2026-12-31\n\
        shed text:another-of-that-size not-before=2027-02-01\n";

    /// The noon of 15 January 2027.
    const NOW: Duration = Duration::from_secs(1_800_014_400);

    #[test]
    fn the_table_has_a_line_for_each_key_and_no_secret() {
        let ring = KeyRing::parse(RING).unwrap();
        let table = table(&ring, NOW);
        let expected = "\
id      fingerprint       dialects       audience  validity
garden  ################  countersign/1  -         valid until 2027-02-01T00:00:00Z
gate    ################  raw,hex        door      expired at 2027-01-01T00:00:00Z
shed    ################  countersign/1  -         not valid before 2027-02-01T00:00:00Z
";
        let hidden = |text: String, key: &Key| text.replace(&key.fingerprint(), &"#".repeat(16));
        assert_eq!(ring.keys().fold(table, hidden), expected);
    }

    #[test]
    fn the_objects_say_the_same() {
        let ring = KeyRing::parse(RING).unwrap();
        let text = objects(&ring, NOW);
        let keys: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "id": "gate",
            "fingerprint": ring.key("gate").unwrap().fingerprint(),
            "dialects": ["raw", "hex"],
            "audience": "door",
            "not_before": null,
            "not_after": "2027-01-01T00:00:00Z",
            "state": "expired",
            "short": true,
        });
        assert_eq!(keys[1], expected);
        assert_eq!(
            (&keys[0]["state"], &keys[2]["state"]),
            (&json!("valid"), &json!("not-yet-valid"))
        );
        assert_eq!(keys.as_array().map(Vec::len), Some(3));
    }
}
