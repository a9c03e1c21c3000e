//! A part of a length.

/// The part of a length, from 0 to 1; less than the whole.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
pub(crate) fn part_of(length: usize, part: f64) -> usize {
    ((length as f64 * part) as usize).min(length.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_the_whole() {
        let parts = [(0, 0.9), (1, 0.999), (10, 0.0), (10, 0.55), (10, 0.9999), (1000, 0.5)];
        let parts = parts.map(|(length, part)| part_of(length, part));
        assert_eq!(parts, [0, 0, 0, 5, 9, 500]);
    }
}
