//! `countersign keys rotate`: replaces a key; for some time, both keys are valid.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use countersign::Key;

use super::validity;
use crate::exit::{Failure, Kind};
use crate::output::{stderr, stdout};
use crate::ring::{self, KeyFileArg, KeyFileEdit, KeyOptions};
use crate::{system, units};

/// Replace a key with a fresh one, and let the old one expire
///
/// The fresh key is added after the old one, with the same dialects and audience and the next free
/// id: garden, garden-2, garden-3. The old key expires after the overlap, or at its own end if that
/// is earlier. Prints the ids and fingerprints of both keys, but not the keys.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(super) struct RotateArgs {
    /// Id of the key to replace
    #[arg(value_parser = ring::id)]
    id: String,
    /// How long the old key stays valid; use 0s if it has leaked
    #[arg(long, value_name = "TIME", default_value = "7d",
          value_parser = units::time(Duration::ZERO..=OVERLAP_MAX))]
    overlap: Duration,
    #[command(flatten)]
    file: KeyFileArg,
}

const EXAMPLES: &str = "\
Examples:
  countersign keys rotate garden
  countersign keys rotate garden --overlap 30d
  countersign keys rotate garden --overlap 0s     the old key has leaked";

/// The longest overlap: later nobody would remember that the old key is still valid.
const OVERLAP_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

impl RotateArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let now = system::unix_time();
        let path = self.file.path()?;
        let [old, new] = rotate(&path, &self.id, now + self.overlap)?;
        for key in [&old, &new] {
            let shown = format!("{} {} {}", key.id(), key.fingerprint(), validity(key, now));
            stdout().line(shown);
        }
        let (old, new, end) = (old.id(), new.id(), old.not_after().filter(|end| *end > now));
        let path = path.display();
        let copy = format!("copy the line of {new} from {path} to everyone who holds {old}");
        stderr().line(match end.map(units::date) {
            Some(end) => format!("{copy}, to replace the line of {old}, before {end}"),
            None => format!("{copy}, to replace its line; {old} is no longer accepted"),
        });
        Ok(())
    }
}

/// Adds a fresh key for an old one, which expires at this time or earlier. Returns both.
fn rotate(path: &Path, id: &str, until: Duration) -> Result<[Key; 2], Failure> {
    // An edit would create a missing file, where rotating must fail.
    ring::inspect(path)?;
    let mut edit = KeyFileEdit::begin(path)?;
    let old = edit.ring.key(id).cloned().ok_or_else(|| {
        let remedy = "`countersign keys list` shows its keys";
        Failure::new(Kind::Configuration, format!("there is no key {id} in the key file; {remedy}"))
    })?;
    if let Some(beginning) = old.not_before().filter(|beginning| until <= *beginning) {
        let beginning = units::date(beginning);
        let text =
            format!("the key {id} isn't valid before {beginning}; choose a longer --overlap");
        return Err(Failure::new(Kind::Usage, text));
    }
    let fresh = successor(id, |id| edit.ring.key(id).is_none());
    let line = line(&edit.text, id).ok_or_else(|| {
        let text =
            format!("{} was changed by another program meanwhile; try again", path.display());
        Failure::new(Kind::General, text)
    })?;
    let behind = match edit.text[line.end..].iter().position(|&byte| byte == b'\n') {
        Some(rest) => line.end + rest + 1,
        None => {
            edit.text.push(b'\n');
            edit.text.len()
        }
    };
    let new = edit.insert_fresh(behind, &fresh, &KeyOptions::like(&old))?;
    let old = match old.not_after() {
        Some(end) if end <= until => old,
        _ => {
            set_not_after(&mut edit, line, until);
            old.with_not_after(until)
        }
    };
    edit.commit()?;
    Ok([old, new])
}

/// The longest id that a key can have, in bytes.
const ID_MAX: usize = 64;

/// The next free id: garden, garden-2, garden-3. A long id is shortened, so that the number fits.
fn successor(id: &str, is_free: impl Fn(&str) -> bool) -> String {
    let numbered = id.rsplit_once('-').and_then(|(stem, number)| {
        let number = number.parse::<u32>().ok()?;
        (!stem.is_empty()).then_some((stem, u64::from(number)))
    });
    let (stem, number) = numbered.unwrap_or((id, 1));
    let next = (number + 1..).map(|next| {
        let number = format!("-{next}");
        let room = (0..=ID_MAX - number.len()).rev().find(|end| stem.is_char_boundary(*end));
        format!("{}{number}", &stem[..room.unwrap_or_default()])
    });
    next.into_iter().find(|id| is_free(id)).unwrap_or_default()
}

/// The byte order mark that some editors put in front of UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Where the line of a key is, from its beginning to its last option.
fn line(text: &[u8], id: &str) -> Option<Range<usize>> {
    let mut end = if text.starts_with(BOM) { BOM.len() } else { 0 };
    text[end..].split_inclusive(|&byte| byte == b'\n').find_map(|line| {
        let start = end;
        end += line.len();
        let line = str::from_utf8(line).ok()?;
        let fields = fields(line);
        let (first, last) = (fields.first()?, fields.last()?);
        (&line[first.clone()] == id).then_some(start..start + last.end)
    })
}

/// Where the fields of a line are.
fn fields(line: &str) -> Vec<Range<usize>> {
    let mut end = 0;
    let ranges = line.split_inclusive(char::is_whitespace).map(|field| {
        let start = end;
        end += field.len();
        start..start + field.trim_end().len()
    });
    ranges.filter(|range| !range.is_empty()).collect()
}

/// Sets the date on which the key of a line expires.
fn set_not_after(edit: &mut KeyFileEdit, line: Range<usize>, end: Duration) {
    const OPTION: &str = "not-after=";
    let option = format!("{OPTION}{}", units::date(end));
    let text = str::from_utf8(&edit.text[line.clone()]).unwrap_or_default();
    let is_option = |range: &Range<usize>| text[range.clone()].starts_with(OPTION);
    // Behind the id and the secret.
    let old = fields(text).into_iter().skip(2).find(is_option);
    match old {
        Some(old) => edit.replace(line.start + old.start..line.start + old.end, &option),
        None => edit.insert(line.end, format!("  {option}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_id_is_the_first_that_is_free() {
        let cases = [
            ("garden", &[][..], "garden-2"),
            ("garden", &["garden-2"], "garden-3"),
            ("garden-2", &["garden"], "garden-3"),
            ("rack-7", &["rack-8"], "rack-9"),
            ("rack-a", &[], "rack-a-2"),
            ("-1", &[], "-1-2"),
            ("rack-", &[], "rack--2"),
            ("a-99999999999", &[], "a-99999999999-2"),
            ("a-4294967295", &[], "a-4294967296"),
        ];
        for (id, taken, expected) in cases {
            assert_eq!(successor(id, |id| !taken.contains(&id)), expected, "{id}");
        }
        let long = "k".repeat(64);
        let (cut, shorter) = (format!("{}-2", &long[..62]), format!("{}-10", &long[..61]));
        for id in [&long[..62], &long[..63], &long] {
            assert_eq!(successor(id, |_| true), cut);
            assert_eq!(successor(id, |id| id != cut), cut.replace("-2", "-3"));
        }
        assert_eq!(successor(&cut.replace("-2", "-9"), |_| true), shorter);
        assert_eq!(successor(&"é".repeat(32), |_| true), format!("{}-2", "é".repeat(31)));
    }

    #[test]
    fn a_line_is_found_by_its_id_alone() {
        let text = "\u{feff}a  text:b \r\n#b text:b\n\n \tb\ttext:a\u{a0}x=y \r\nbb text:b";
        let found = |id| line(text.as_bytes(), id).map(|range| &text[range]);
        let expected = [
            ("a", Some("a  text:b")),
            ("b", Some(" \tb\ttext:a\u{a0}x=y")),
            ("bb", Some("bb text:b")),
            ("text:b", None),
            ("", None),
        ];
        for (id, expected) in expected {
            assert_eq!(found(id), expected, "{id}");
        }
    }
}
