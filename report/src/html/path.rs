//! The outline of a mark, in few characters: whole steps relative to the last point.

use std::fmt::Write as _;

/// The width of the space in which paths are drawn. It is stretched over the plot.
pub(super) const WIDTH: f64 = 4000.0;

/// Its height.
pub(super) const HEIGHT: f64 = 1000.0;

/// The outline of a mark. Places are shares of the width, and of the height from the bottom.
#[derive(Debug, Default)]
pub(super) struct Path {
    text: String,
    /// Where the last step ended, and where its part of the path began.
    at: (i64, i64),
    start: (i64, i64),
    /// Where the text of the last step begins, if that went to the right alone, and how far.
    level: Option<(usize, i64)>,
    /// Whether a part has begun and has no line yet.
    is_begun: bool,
}

impl Path {
    /// Begins a new part.
    pub(super) fn move_to(&mut self, x: f64, y: f64) {
        self.at = point(x, y);
        self.start = self.at;
        (self.level, self.is_begun) = (None, true);
        let (x, y) = self.at;
        self.write(format_args!("M{x} {y}"));
    }

    /// Draws a straight line. A part without a length is a dot.
    pub(super) fn line_to(&mut self, x: f64, y: f64) {
        let to = point(x, y);
        let (right, down) = (to.0 - self.at.0, to.1 - self.at.1);
        self.at = to;
        if (right, down) == (0, 0) && !self.is_begun {
            return;
        }
        let level = self.level.take();
        match (right, down) {
            (right, 0) => {
                let (begin, before) = level.unwrap_or((self.text.len(), 0));
                self.text.truncate(begin);
                self.write(format_args!("h{}", before + right));
                self.level = Some((begin, before + right));
            }
            (0, down) => self.write(format_args!("v{down}")),
            (right, down) if down < 0 => self.write(format_args!("l{right}{down}")),
            (right, down) => self.write(format_args!("l{right} {down}")),
        }
        self.is_begun = false;
    }

    /// Draws a rectangle between two corners.
    pub(super) fn rectangle(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.move_to(from.0, from.1);
        self.line_to(from.0, to.1);
        self.line_to(to.0, to.1);
        self.line_to(to.0, from.1);
        self.text.push('z');
        (self.at, self.level) = (self.start, None);
    }

    /// What the attribute `d` has.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn write(&mut self, step: std::fmt::Arguments<'_>) {
        // Writing to a string succeeds.
        let _ = self.text.write_fmt(step);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a place is at most a few thousand")]
fn point(x: f64, y: f64) -> (i64, i64) {
    ((x * WIDTH).round() as i64, ((1.0 - y) * HEIGHT).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_relative_and_rounding_does_not_add_up() {
        let mut path = Path::default();
        path.move_to(0.0, 0.0);
        for step in 1..=300 {
            path.line_to(f64::from(step) / 300.0, f64::from(step % 2));
        }
        let steps = path.text().strip_prefix("M0 1000l").unwrap().split('l');
        let right = |step: &str| {
            let end = step[1..].find([' ', '-']).unwrap() + 1;
            step[..end].parse::<i64>().unwrap()
        };
        assert_eq!(steps.map(right).sum::<i64>(), 4000);
    }

    #[test]
    fn steps_on_one_level_are_one() {
        let mut path = Path::default();
        path.move_to(0.0, 0.0);
        for (x, y) in [(0.25, 0.0), (0.25, 0.0), (0.5, 0.0), (0.5, 1.0), (0.75, 1.0), (1.0, 1.0)] {
            path.line_to(x, y);
        }
        assert_eq!(path.text(), "M0 1000h2000v-1000h2000");
    }

    #[test]
    fn rectangles_end_where_they_began_and_a_dot_has_no_length() {
        let mut path = Path::default();
        path.rectangle((0.5, 0.0), (0.75, 0.5));
        path.move_to(0.25, 1.0);
        path.line_to(0.25, 1.0);
        assert_eq!(path.text(), "M2000 1000v-500h1000v500zM1000 0h0");
    }
}
