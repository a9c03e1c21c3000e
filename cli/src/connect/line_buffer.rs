//! A line that is being edited at the prompt, and how it is drawn below what is printed.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

/// A line that is being edited.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    line: String,
    /// Where the cursor is in it, in bytes.
    position: usize,
}

impl LineBuffer {
    pub(super) fn set(&mut self, line: &str, position: usize) {
        self.line.clear();
        self.line.push_str(line);
        self.position = position;
    }

    /// The bytes that erase the prompt and the line, print lines in their place, and draw both
    /// again below.
    pub(super) fn below(&self, lines: &[u8], prompt: &str, columns: usize) -> Vec<u8> {
        let before = self.line.get(..self.position).unwrap_or(&self.line);
        let cursor = prompt.width() + before.width();
        let end = prompt.width() + self.line.width();
        let (row, column) = (cursor / columns, cursor % columns);
        let mut drawn = up(row);
        drawn.push_str("\r\x1b[J");
        let mut drawn = drawn.into_bytes();
        drawn.extend_from_slice(lines);
        drawn.extend_from_slice(prompt.as_bytes());
        drawn.extend_from_slice(self.line.as_bytes());
        if end.is_multiple_of(columns) {
            // A cursor behind the last column is in the next row once something is written there.
            drawn.push(b'\n');
        }
        if cursor != end {
            let mut back = up(end / columns - row);
            back.push('\r');
            if column > 0 {
                let _ = write!(back, "\x1b[{column}C");
            }
            drawn.extend_from_slice(back.as_bytes());
        }
        drawn
    }
}

/// Moves the cursor up by this many rows.
fn up(rows: usize) -> String {
    if rows == 0 { String::new() } else { format!("\x1b[{rows}A") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_anew_below_what_is_printed() {
        let cases = [
            ("", 0, "\r\x1b[Jtold\n>"),
            ("abc", 3, "\r\x1b[Jtold\n>abc"),
            ("abc", 1, "\r\x1b[Jtold\n>abc\r\x1b[2C"),
            ("abc", 0, "\r\x1b[Jtold\n>abc\r\x1b[1C"),
            // Ten columns: the line takes as much as there is, and then more.
            ("abcdefghi", 9, "\x1b[1A\r\x1b[Jtold\n>abcdefghi\n"),
            ("abcdefghi", 8, "\r\x1b[Jtold\n>abcdefghi\n\x1b[1A\r\x1b[9C"),
            ("abcdefghijkl", 12, "\x1b[1A\r\x1b[Jtold\n>abcdefghijkl"),
            ("abcdefghijkl", 9, "\x1b[1A\r\x1b[Jtold\n>abcdefghijkl\r"),
            ("芝麻", 3, "\r\x1b[Jtold\n>芝麻\r\x1b[3C"),
        ];
        for (line, position, expected) in cases {
            let mut buffer = LineBuffer::default();
            buffer.set(line, position);
            let drawn = String::from_utf8(buffer.below(b"told\n", ">", 10)).unwrap();
            assert_eq!(drawn, expected, "{line:?} at {position}");
        }
    }
}
