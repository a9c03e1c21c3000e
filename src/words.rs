//! The system's words for an error.

use std::io;

/// The text of an error without its number, which helps nobody in a message for people.
pub(crate) fn of(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = error.raw_os_error().and_then(|_| text.rfind('(')) {
        text.truncate(text[..end].trim_end().len());
    }
    text.make_ascii_lowercase();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_words_and_no_number() {
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        assert_eq!(of(&denied), "permission denied");
        assert_eq!(of(&io::Error::other("Own words (two)")), "own words (two)");
    }
}
