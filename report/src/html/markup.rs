//! Text in markup.

use std::fmt::{self, Write as _};

/// A text that may come from a peer, a file or an argument, as part of an element or of an
/// attribute in quotes. Control characters, which markup can't have, and directional marks, which
/// could show a text in another order than it has, are shown as escapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c if misleads(c) => write!(f, "{}", c.escape_default()),
            c => f.write_char(c),
        })
    }
}

fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{2028}' | '\u{2029}'
            // XML has no such characters.
            | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let text = "<script>alert('1' & \"2\")</script>";
        let expected = "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;";
        assert_eq!(Text(text).to_string(), expected);
        assert_eq!(Text("a\0b\u{202e}c\nµ").to_string(), r"a\u{0}b\u{202e}c\nµ");
    }
}
