//! Lines that are written whole, or finished later.

use std::io::{self, Write};

/// A writer of whole lines. What is left of one that was cut is written before anything else, so
/// that no line begins inside another.
#[derive(Debug)]
pub(super) struct Lines<W> {
    to: W,
    /// The rest of what was cut.
    rest: Vec<u8>,
}

/// The result of writing lines.
#[derive(Debug)]
pub(super) enum Written {
    Whole,
    /// The beginning was written; the rest is, if that is possible, before the next.
    Cut(io::Error),
    /// Nothing was written.
    Lost(io::Error),
}

impl<W: Write> Lines<W> {
    pub(super) const fn new(to: W) -> Self {
        Self { to, rest: Vec::new() }
    }

    pub(super) fn write(&mut self, lines: &[u8]) -> Written {
        if let Err(error) = self.finish() {
            return Written::Lost(error);
        }
        match write(&mut self.to, lines) {
            (_, Ok(())) => Written::Whole,
            (0, Err(error)) => Written::Lost(error),
            (written, Err(error)) => {
                self.rest.extend_from_slice(&lines[written..]);
                Written::Cut(error)
            }
        }
    }

    /// Finishes what was cut.
    fn finish(&mut self) -> io::Result<()> {
        let (written, done) = write(&mut self.to, &self.rest);
        self.rest.drain(..written);
        done
    }
}

/// Writes as much as is accepted, and returns how much that was.
fn write(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(length) => written += length,
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that has room for so many bytes.
    struct Disk {
        room: usize,
        text: String,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = bytes.len().min(self.room);
            if length == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= length;
            self.text.push_str(str::from_utf8(&bytes[..length]).unwrap());
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_line_begins_inside_another_however_little_room_there_is() {
        for step in 1..=9 {
            let mut lines = Lines::new(Disk { room: 0, text: String::new() });
            let (mut expected, mut number) = (String::new(), 0);
            while number < 100 {
                lines.to.room += step;
                let line = format!("line {number}\n");
                number += 1;
                match lines.write(line.as_bytes()) {
                    Written::Whole | Written::Cut(_) => expected.push_str(&line),
                    Written::Lost(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                    }
                }
            }
            assert!(expected.starts_with(&lines.to.text), "{step}: {:?}", lines.to.text);
            let unwritten = &expected[lines.to.text.len()..];
            assert_eq!(unwritten.as_bytes(), lines.rest, "{step}");
            assert!(!expected.is_empty());
        }
    }
}
