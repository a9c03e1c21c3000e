//! Marks that are placed one by one: dots, bars, rules, and texts beside them.

use super::markup::Text;
use super::plot::{Color, LINE, Plot, VISIBLE, percent};

/// How wide a letter is at most, on average, in pixels.
const LETTER: f64 = 6.6;

/// The width of a plot on a phone, in pixels.
const NARROW: f64 = 250.0;

impl Plot {
    /// A bar with a text that is shown when the pointer is on it.
    pub(super) fn bar(&mut self, color: Color, range: (f64, f64), value: f64, hint: &str) {
        let (from, top) = self.place(range.0, value);
        let to = self.x.scale.place(range.1);
        let top = if value > 0.0 { top.max(VISIBLE) } else { 0.0 };
        let [x, y, width, height] = [from, 1.0 - top, to - from, top].map(percent);
        let (class, hint) = (color.class(), Text(hint));
        self.write(format_args!(
            "<rect class=\"bar {class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
             height=\"{height}\"><title>{hint}</title></rect>\n"
        ));
    }

    /// A dot on a rising curve, and a text where no other text is, and where the curve isn't: below
    /// on the right, or above on the left.
    pub(super) fn dot(&mut self, color: Color, at: (f64, f64), text: &str) {
        let (x, y) = self.place(at.0, at.1);
        let (anchor, dx, dy) = self.free_place((x, y), text.chars().count() as f64 * LETTER);
        let (x, y, class, text) = (percent(x), percent(1.0 - y), color.class(), Text(text));
        self.write(format_args!(
            "<circle class=\"dot {class}\" cx=\"{x}\" cy=\"{y}\" r=\"3.5\"/>\
             <text class=\"value\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{y}\" dx=\"{dx}\" \
             dy=\"{dy}\">{text}</text>\n"
        ));
    }

    /// Where a text of this length goes beside a dot in a plot that isn't wide: its end at the dot,
    /// and how far it is right of the dot and below it.
    fn free_place(&mut self, (x, y): (f64, f64), length: f64) -> (&'static str, f64, f64) {
        let (x, y) = (x * NARROW, (1.0 - y) * self.height);
        let below = [("start", 7.0, 14.0), ("end", -7.0, -6.0)];
        let others = [("start", 7.0, 28.0), ("end", -7.0, -20.0), ("start", 7.0, 42.0)];
        let places = below.into_iter().chain(others);
        let text = |(anchor, dx, dy): (&str, f64, f64)| {
            let left = if anchor == "end" { x + dx - length } else { x + dx };
            (left, y + dy)
        };
        let is_free = |place: &(&str, f64, f64)| {
            let (left, bottom) = text(*place);
            let is_inside = left >= 0.0 && left + length <= NARROW && bottom < self.height;
            let meets = |(other, end, line): &(f64, f64, f64)| {
                left < *end && *other < left + length && (bottom - line).abs() < LINE
            };
            is_inside && !self.texts.iter().any(meets)
        };
        let place = places.clone().find(is_free).unwrap_or(below[0]);
        let (left, bottom) = text(place);
        self.texts.push((left, left + length, bottom));
        place
    }

    /// A probe: a dot if it passed, and a cross if it failed.
    pub(super) fn probe(&mut self, color: Color, at: (f64, f64), passed: bool) {
        let (x, y) = self.place(at.0, at.1);
        let (x, y, class) = (percent(x), percent(1.0 - y), color.class());
        match passed {
            true => self.write(format_args!(
                "<circle class=\"dot {class}\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>\n"
            )),
            false => self.write(format_args!(
                "<svg x=\"{x}\" y=\"{y}\" overflow=\"visible\"><path class=\"cross {class}\" \
                 d=\"M-4-4l8 8m0-8l-8 8\"/></svg>\n"
            )),
        }
    }

    /// How something is distributed, in a row of its own counted from the bottom: a line from the
    /// first value to the last, a box between the second and the fourth, a stroke at the third.
    pub(super) fn strip(
        &mut self,
        color: Color,
        row: usize,
        name: &str,
        values: [f64; 5],
        text: &str,
    ) {
        let at = |share: f64| percent(1.0 - self.y.scale.place(row as f64 + share));
        let [middle, top, bottom, above] = [0.35, 0.55, 0.15, 0.75].map(at);
        let [least, low, median, high, most] = values.map(|value| self.x.scale.place(value));
        let (width, height) = (percent(high - low), percent(self.y.scale.place(0.4)));
        let [least, low, median, most] = [least, low, median, most].map(percent);
        let (class, text) = (color.class(), Text(text));
        self.write(format_args!(
            "<text text-anchor=\"end\" x=\"-8\" y=\"{middle}\" dy=\".32em\">{name}</text>\
             <line class=\"line {class}\" x1=\"{least}\" x2=\"{most}\" y1=\"{middle}\" \
             y2=\"{middle}\"/><rect class=\"box {class}\" x=\"{low}\" width=\"{width}\" \
             y=\"{top}\" height=\"{height}\"/><line class=\"median {class}\" x1=\"{median}\" \
             x2=\"{median}\" y1=\"{top}\" y2=\"{bottom}\"/><text class=\"value\" \
             x=\"{least}\" y=\"{above}\" dy=\".32em\">{text}</text>\n"
        ));
    }

    /// A dashed horizontal line with a text above its right end.
    pub(super) fn level(&mut self, value: f64, text: &str) {
        let y = percent(1.0 - self.y.scale.place(value));
        self.write(format_args!(
            "<line class=\"rule\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
             <text class=\"value\" text-anchor=\"end\" x=\"100%\" y=\"{y}\" dx=\"-4\" \
             dy=\"-5\">{}</text>\n",
            Text(text)
        ));
    }

    /// A dashed vertical line with a text at its top.
    pub(super) fn mark(&mut self, value: f64, row: u32, text: &str) {
        let place = self.x.scale.place(value);
        let (anchor, dx) = if place > 0.75 { ("end", -4) } else { ("start", 4) };
        let (x, dy) = (percent(place), 10 + 14 * row);
        self.write(format_args!(
            "<line class=\"rule\" x1=\"{x}\" x2=\"{x}\" y2=\"100%\"/>\
             <text class=\"value\" text-anchor=\"{anchor}\" x=\"{x}\" dx=\"{dx}\" \
             dy=\"{dy}\">{}</text>\n",
            Text(text)
        ));
    }

    /// A shaded part on the right, from a value to the end of the axis, with a text in it.
    pub(super) fn shade_from(&mut self, value: f64, text: &str) {
        let place = self.x.scale.place(value);
        let (x, width) = (percent(place), percent(1.0 - place));
        self.write(format_args!(
            "<rect class=\"shade\" x=\"{x}\" width=\"{width}\" height=\"100%\"/>\
             <text class=\"value\" text-anchor=\"end\" x=\"100%\" y=\"100%\" dx=\"-4\" \
             dy=\"-8\">{}</text>\n",
            Text(text)
        ));
    }
}
