//! The texts of errors.

use std::error::Error;
use std::io;

/// The text of an error, without its number: messages for people have no use for that.
#[must_use]
pub fn describe(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = error.raw_os_error().and_then(|_| text.rfind('(')) {
        text.truncate(text[..end].trim_end().len());
    }
    text.make_ascii_lowercase();
    text
}

/// The text of an error and of all that it comes from.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let text = error.downcast_ref::<io::Error>().map_or_else(|| error.to_string(), describe);
    match error.source() {
        // An error that came by way of std's is in its text already.
        Some(source) if !error.is::<io::Error>() => format!("{text}: {}", chain(source)),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_text_and_no_number() {
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        assert_eq!(describe(&denied), "permission denied");
        assert_eq!(describe(&io::Error::other("Own text (two)")), "own text (two)");
    }
}
