//! Escaping of text that may come from a peer, a file or an argument.
//!
//! Everything that is written to a terminal, a log or a report in JSON is escaped here: control
//! characters could control a terminal or forge a line, and directional marks could show a text in
//! another order than it has.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// A text for a terminal or a line of the log: characters that would not be shown as they are
/// become escapes, `\n` or `\u{202e}`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match misleads(c) {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

/// Each line of a text, escaped.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", Escaped(line))).collect()
}

/// A value in JSON, on one line; null if it can't be written.
pub(crate) fn json(value: &impl Serialize) -> String {
    inside_json(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
}

/// The same value with such characters escaped as JSON escapes them. JSON has them nowhere but in
/// its strings, apart from line feeds and tabs between them, and these have escapes already.
pub(crate) fn inside_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' | '\t' | '\n' | '\r' => safe.push(c),
            c if misleads(c) => {
                // All of them lie in the basic plane, where one unit is enough.
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Whether a character does anything else than be shown in its place.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // The Arabic letter mark, the marks, embeddings and overrides, and the isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Which end a line, or a paragraph, for some readers.
            | '\u{2028}' | '\u{2029}'
        )
}

/// Quoted so that a shell reads it as one word.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind, beside what may be shown.
    const BAD: &str = "\0\u{7}\t\n\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\
        \u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";

    #[test]
    fn what_misleads_is_shown_as_an_escape_and_nothing_else_is() {
        for bad in BAD.chars() {
            let text = format!("a{bad}b");
            let shown = Escaped(&text).to_string();
            assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{shown:?}");
            assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{shown}");
            let written = json(&text);
            assert!(written.chars().all(|c| c.is_ascii_graphic()), "{written:?}");
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
        let good = "芝麻开门 é שלום 'quoted' \"twice\" \u{200d} 🙂";
        assert_eq!(Escaped(good).to_string(), good);
        assert_eq!(json(&good), serde_json::to_string(good).unwrap());
        assert_eq!(Escaped("\n\u{9b}\u{202e}").to_string(), "\\n\\u{9b}\\u{202e}");
    }

    #[test]
    fn a_report_is_the_same_value_and_keeps_its_lines() {
        let value = serde_json::json!({ BAD: [BAD, 1, null], "b": {} });
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let safe = inside_json(&pretty);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        assert_eq!(safe.lines().count(), pretty.lines().count());
        assert!(safe.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()), "{safe:?}");
    }
}
