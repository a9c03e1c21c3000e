//! Messages from stdin: one per line, whether stdin blocks or not.

use std::io;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::stdio::stdin;

/// How much one read takes.
const CHUNK: usize = 64 << 10;

/// What comes next from the user or the pipe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Message(&'a [u8]),
    /// Something has to be read first.
    Nothing,
    /// It is longer than a message may be.
    TooLong,
    /// The user leaves.
    End,
    /// The user leaves by an interrupt.
    Interrupted,
}

/// The lines of stdin. It keeps no more of them than one read and the longest message.
#[derive(Debug)]
pub(super) struct Input {
    message_max: usize,
    /// Input, which from `next` on has not been taken yet.
    bytes: Vec<u8>,
    next: usize,
    /// Between `next` and this, no line ends.
    searched: usize,
    is_over: bool,
}

impl Input {
    pub(super) fn new(message_max: usize) -> Self {
        Self { message_max, bytes: Vec::new(), next: 0, searched: 0, is_over: false }
    }

    /// Takes the next line, without its end.
    pub(super) fn take(&mut self) -> Next<'_> {
        let end = match memchr::memchr(b'\n', &self.bytes[self.searched..]) {
            Some(at) => self.searched + at,
            None if self.is_over && self.next == self.bytes.len() => return Next::End,
            None if self.is_over => self.bytes.len(),
            None => {
                self.searched = self.bytes.len();
                let line = without_cr(&self.bytes[self.next..]);
                return if line.len() > self.message_max { Next::TooLong } else { Next::Nothing };
            }
        };
        let line = without_cr(&self.bytes[self.next..end]);
        self.next = (end + 1).min(self.bytes.len());
        self.searched = self.next;
        if line.len() > self.message_max { Next::TooLong } else { Next::Message(line) }
    }

    /// Reads what is there. If stdin blocks, this waits for it.
    pub(super) fn read(&mut self) -> io::Result<()> {
        self.bytes.drain(..self.next);
        self.searched -= self.next;
        self.next = 0;
        self.bytes.reserve(CHUNK);
        match rustix::io::read(stdin(), spare_capacity(&mut self.bytes)) {
            Ok(length) => self.is_over = length == 0,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text that arrives in pieces, and how it goes on.
    fn lines(text: &[u8], piece: usize) -> (Vec<String>, &'static str) {
        let mut input = Input::new(4);
        let mut pieces = text.chunks(piece);
        let mut lines = Vec::new();
        loop {
            match input.take() {
                Next::Message(line) => lines.push(String::from_utf8_lossy(line).into_owned()),
                Next::TooLong => return (lines, "too long"),
                Next::End => return (lines, "over"),
                Next::Nothing => match pieces.next() {
                    Some(piece) => input.bytes.extend_from_slice(piece),
                    None => input.is_over = true,
                },
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn every_cut_of_a_text_gives_the_same_lines() {
        let cases: [(&str, &[&str], &str); 9] = [
            ("", &[], "over"),
            ("a\nb\n", &["a", "b"], "over"),
            ("a\r\n\r\n\nb", &["a", "", "", "b"], "over"),
            ("four\nfour\r\n", &["four", "four"], "over"),
            ("four\r", &["four"], "over"),
            ("a\nfours\nb\n", &["a"], "too long"),
            ("fours", &[], "too long"),
            ("a\rb\n", &["a\rb"], "over"),
            ("four\r\r\n", &[], "too long"),
        ];
        for (text, expected, end) in cases {
            for piece in 1..=text.len().max(1) {
                let (lines, ended) = lines(text.as_bytes(), piece);
                let expected: Vec<String> = expected.iter().map(|line| (*line).into()).collect();
                assert_eq!((lines, ended), (expected, end), "{text:?}");
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_it_ends() {
        let mut input = Input::new(4);
        input.bytes.extend_from_slice(b"five ");
        assert_eq!(input.take(), Next::TooLong);
    }
}
