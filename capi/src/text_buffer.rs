//! Texts in buffers of C.

use std::ffi::c_char;

/// Copies a text to a buffer of C and ends it with a NUL. If it is too long, as many whole
/// characters as fit are copied.
pub(crate) fn fill(buffer: &mut [c_char], text: &str) {
    let Some(room) = buffer.len().checked_sub(1) else { return };
    let length = (0..=room.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    let length = length.unwrap_or_default();
    for (place, byte) in buffer.iter_mut().zip(&text.as_bytes()[..length]) {
        *place = c_char::from_ne_bytes([*byte]);
    }
    buffer[length] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_before_the_character_that_does_not_fit() {
        for (room, expected) in [(0, ""), (1, ""), (2, "a"), (3, "a"), (4, "aä"), (9, "aäb")] {
            let mut buffer = vec![1; room];
            fill(&mut buffer, "aäb");
            let text = buffer.iter().take_while(|&&byte| byte != 0);
            let text: Vec<u8> = text.map(|byte| byte.to_ne_bytes()[0]).collect();
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
