//! A plot: two axes, marks between them, and what says what the marks are.
//!
//! The coordinate system of the outer SVG is the area between the axes, as wide as the page lets
//! it be: texts and positions are in percent of it, so that a text has the same size on a wide
//! screen and on a phone. Paths are in an inner SVG, which is stretched, and whose lines are not.

use std::fmt::Write as _;

use super::markup::Text;
use super::path::{HEIGHT, Path, WIDTH};
use super::scale::Scale;
use super::unit::Unit;

/// The least distance between the labels of two lines, in pixels.
pub(super) const LINE: f64 = 14.0;

/// What is not zero is at least so high, as a share of the height.
pub(super) const VISIBLE: f64 = 0.008;

/// The colour of a mark, a class of the style sheet. All can be told apart by those who see fewer
/// colours than others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    Blue,
    Green,
    Orange,
    Purple,
    Gray,
    Sky,
    Red,
    Brown,
}

impl Color {
    /// For kinds of one thing, in turn.
    pub(super) const KINDS: [Self; 8] = [
        Self::Red,
        Self::Blue,
        Self::Orange,
        Self::Purple,
        Self::Green,
        Self::Sky,
        Self::Brown,
        Self::Gray,
    ];

    /// The name of its class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Orange => "orange",
            Self::Purple => "purple",
            Self::Gray => "gray",
            Self::Sky => "sky",
            Self::Red => "red",
            Self::Brown => "brown",
        }
    }
}

/// An axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) unit: Unit,
    /// What it measures, in words.
    pub(super) title: String,
}

/// A value of an interval on the horizontal axis; `None` if there is none, which is a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) value: Option<f64>,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot {
    id: &'static str,
    title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// The height between the axes, in pixels.
    pub(super) height: f64,
    /// Where texts beside dots are, in pixels: from, to, and the line that they stand on.
    pub(super) texts: Vec<(f64, f64, f64)>,
    /// Whether the horizontal axis is the time of the run.
    is_timeline: bool,
    /// Paths, in the stretched space.
    paths: String,
    /// Texts and dots, in percent of the plot.
    over: String,
    /// Labels at the right ends of lines: the place from the bottom, the text, the colour.
    ends: Vec<(f64, String, Color)>,
    legend: Vec<(Color, String)>,
}

impl Plot {
    pub(super) fn new(id: &'static str, title: &str, x: Axis, y: Axis) -> Self {
        Self {
            id,
            title: title.to_owned(),
            is_timeline: x.unit == Unit::Elapsed,
            x,
            y,
            height: 200.0,
            texts: Vec::new(),
            paths: String::new(),
            over: String::new(),
            ends: Vec::new(),
            legend: Vec::new(),
        }
    }

    /// Sets the height between the axes, in pixels.
    pub(super) fn height(mut self, pixels: f64) -> Self {
        self.height = pixels;
        self
    }

    /// Adds a line to the legend.
    pub(super) fn legend(&mut self, color: Color, text: &str) {
        self.legend.push((color, text.to_owned()));
    }

    pub(super) fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.scale.place(x), self.y.scale.place(y))
    }

    /// A line through the middle of each interval, with a label at its end. A value without
    /// neighbours is drawn as long as its interval.
    pub(super) fn line(&mut self, color: Color, label: &str, spans: &[Span]) {
        let mut path = Path::default();
        let of = |index: Option<usize>| index.and_then(|at| spans.get(at)?.value);
        for (index, span) in spans.iter().enumerate() {
            let Some(value) = span.value else { continue };
            let (middle, y) = self.place(f64::midpoint(span.from, span.to), value);
            match (of(index.checked_sub(1)), of(Some(index + 1))) {
                (None, None) => {
                    path.move_to(self.x.scale.place(span.from), y);
                    path.line_to(self.x.scale.place(span.to), y);
                }
                (None, _) => path.move_to(middle, y),
                _ => path.line_to(middle, y),
            }
        }
        self.stroke(color, &path);
        self.end_label(color, label, spans);
    }

    /// The outline of steps, and a light area below.
    pub(super) fn steps(&mut self, color: Color, spans: &[Span]) {
        let (mut outline, mut area) = (Path::default(), Path::default());
        let mut is_open = false;
        for span in spans {
            let Some(value) = span.value else {
                is_open = false;
                continue;
            };
            let (from, y) = self.place(span.from, value);
            let to = self.x.scale.place(span.to);
            area.rectangle((from, 0.0), (to, y));
            match is_open {
                true => outline.line_to(from, y),
                false => outline.move_to(from, y),
            }
            outline.line_to(to, y);
            is_open = true;
        }
        self.fill(color, "area", &area);
        self.stroke(color, &outline);
    }

    /// The outline of steps alone.
    pub(super) fn outline(&mut self, color: Color, spans: &[Span]) {
        let mut path = Path::default();
        for (index, span) in spans.iter().enumerate() {
            let (from, y) = self.place(span.from, span.value.unwrap_or_default());
            match index {
                0 => path.move_to(from, y),
                _ => path.line_to(from, y),
            }
            path.line_to(self.x.scale.place(span.to), y);
        }
        self.stroke(color, &path);
    }

    /// Bars from one height to another, for each interval: `(from, to, low, high)`.
    pub(super) fn bars(&mut self, color: Color, bars: &[(f64, f64, f64, f64)]) {
        let mut path = Path::default();
        for (from, to, low, high) in bars.iter().copied().filter(|(_, _, low, high)| high > low) {
            let (from, low) = self.place(from, low);
            let (to, high) = self.place(to, high);
            path.rectangle((from, low), (to, high.max(low + VISIBLE)));
        }
        self.fill(color, "fill", &path);
    }

    /// A curve through points.
    pub(super) fn curve(&mut self, color: Color, points: &[(f64, f64)]) {
        let mut path = Path::default();
        for (index, (x, y)) in points.iter().enumerate() {
            let (x, y) = self.place(*x, *y);
            match index {
                0 => path.move_to(x, y),
                _ => path.line_to(x, y),
            }
        }
        self.stroke(color, &path);
    }

    /// The whole figure: title, legend and plot.
    pub(super) fn figure(&self) -> String {
        let (id, title) = (self.id, Text(&self.title));
        let y_title = Text(&self.y.title);
        let timeline = match self.is_timeline {
            true => format!(" data-end=\"{}\"", self.x.scale.ends().1),
            false => String::new(),
        };
        let placed = format!("class=\"plot\" style=\"height:{}px\"{timeline}", self.height);
        format!(
            "<figure id=\"{id}\">\n<figcaption><h2>{title}</h2></figcaption>\n\
             <p class=\"axis\">{y_title}</p>{}\n{}</figure>\n",
            self.legend_list(),
            self.svg(&placed)
        )
    }

    fn legend_list(&self) -> String {
        let entry = |(color, text): &(Color, String)| {
            format!("<li class=\"{}\">{}</li>", color.class(), Text(text))
        };
        let entries: String = self.legend.iter().map(entry).collect();
        if entries.is_empty() { entries } else { format!("<ul class=\"legend\">{entries}</ul>") }
    }

    /// The plot alone, with these attributes, which set its place and its size.
    pub(super) fn svg(&self, placed: &str) -> String {
        let label = format!("{}: {} over {}", self.title, self.y.title, self.x.title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{}\" {placed}>\n\
             {}<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
             overflow=\"visible\">\n{}</svg>\n{}{}</svg>\n",
            Text(&label),
            self.axes(),
            self.paths,
            self.over,
            self.end_labels(),
        )
    }

    fn axes(&self) -> String {
        let mut out = String::new();
        let y = &self.y;
        for (tick, label) in y.scale.ticks().iter().zip(y.unit.labels(y.scale.ticks())) {
            let at = percent(1.0 - y.scale.place(*tick));
            // Writing to a string succeeds.
            let _ = writeln!(
                out,
                "<line class=\"grid\" x2=\"100%\" y1=\"{at}\" y2=\"{at}\"/><text \
                 text-anchor=\"end\" x=\"-8\" y=\"{at}\" dy=\".32em\">{label}</text>"
            );
        }
        let x = &self.x;
        let labels = x.unit.labels(x.scale.ticks());
        for (index, (tick, label)) in x.scale.ticks().iter().zip(labels).enumerate() {
            let at = percent(x.scale.place(*tick));
            // On a phone there is no room for all.
            let class = if index % 2 == 1 { " class=\"odd\"" } else { "" };
            let _ = writeln!(
                out,
                "<svg x=\"{at}\" y=\"100%\" overflow=\"visible\"{class}><path class=\"tick\" \
                 d=\"M0 0v5\"/><text text-anchor=\"middle\" y=\"18\">{label}</text></svg>"
            );
        }
        let title = Text(&x.title);
        let _ = writeln!(
            out,
            "<line class=\"base\" x2=\"100%\" y1=\"100%\" y2=\"100%\"/>\
             <text text-anchor=\"end\" x=\"100%\" y=\"100%\" dy=\"34\">{title}</text>"
        );
        out
    }

    fn end_label(&mut self, color: Color, label: &str, spans: &[Span]) {
        let last = spans.iter().rev().find_map(|span| span.value);
        if let Some(value) = last.filter(|_| !label.is_empty()) {
            self.ends.push((self.y.scale.place(value), label.to_owned(), color));
        }
    }

    /// The labels at the ends of lines, moved apart where they would lie on each other.
    fn end_labels(&self) -> String {
        let mut ends: Vec<_> = self.ends.iter().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = ends.iter().map(|(place, ..)| place * self.height).collect();
        let places = spread(&wanted, LINE, self.height);
        let mut out = String::new();
        for ((_, label, color), place) in ends.into_iter().zip(places) {
            let (y, class) = (percent(1.0 - place / self.height), color.class());
            let _ = writeln!(
                out,
                "<text class=\"end {class}\" x=\"100%\" y=\"{y}\" dx=\"8\" dy=\".32em\">{}</text>",
                Text(label)
            );
        }
        out
    }

    fn stroke(&mut self, color: Color, path: &Path) {
        self.fill(color, "line", path);
    }

    fn fill(&mut self, color: Color, kind: &str, path: &Path) {
        let (class, text) = (color.class(), path.text());
        if !text.is_empty() {
            let _ = writeln!(self.paths, "<path class=\"{kind} {class}\" d=\"{text}\"/>");
        }
    }

    /// Adds marks in percent of the plot.
    pub(super) fn write(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.over.write_fmt(text);
    }
}

/// Moves ascending places apart until they have this distance, none far from where it was, and all
/// within the height.
fn spread(wanted: &[f64], distance: f64, height: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + distance);
    }
    // Those that were pushed out at the top push the others down.
    let mut most = height;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - distance;
    }
    places
}

/// A share of the plot, as SVG has it.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let x = Axis { scale: Scale::elapsed(10.0), unit: Unit::Elapsed, title: "time".into() };
        let y = Axis { scale: Scale::from_zero(10.0), unit: Unit::Count, title: "replies".into() };
        Plot::new("test", "A <test>", x, y)
    }

    fn spans(values: &[Option<f64>]) -> Vec<Span> {
        let span = |(at, value): (u32, &Option<f64>)| {
            let from = f64::from(at);
            Span { from, to: from + 1.0, value: *value }
        };
        (0..).zip(values).map(span).collect()
    }

    #[test]
    fn an_interval_without_a_value_is_a_gap() {
        let mut plot = plot();
        plot.line(Color::Blue, "p50", &spans(&[Some(10.0), Some(5.0), None, Some(5.0), None]));
        let expected = "<path class=\"line blue\" d=\"M200 0l400 500M1200 500h400\"/>\n";
        assert_eq!(plot.paths, expected);
        assert!(plot.svg("").contains(">p50</text>"));
    }

    #[test]
    fn a_line_without_values_is_not_drawn() {
        let mut plot = plot();
        plot.line(Color::Blue, "p50", &spans(&[None, None]));
        plot.steps(Color::Blue, &spans(&[None]));
        plot.bars(Color::Blue, &[(0.0, 1.0, 0.0, 0.0)]);
        assert!(plot.paths.is_empty() && !plot.svg("").contains("p50"));
    }

    #[test]
    fn labels_do_not_lie_on_each_other() {
        for wanted in [&[0.0, 1.0, 2.0, 3.0][..], &[198.0, 199.0, 200.0], &[50.0, 51.0, 180.0]] {
            let places = spread(wanted, LINE, 200.0);
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{places:?}");
            assert!(places.iter().all(|place| (0.0..=200.0).contains(place)), "{places:?}");
        }
        assert!(spread(&[], LINE, 200.0).is_empty());
    }

    #[test]
    fn texts_beside_dots_do_not_lie_on_each_other() {
        // The curve is level: all dots are on one line, and close.
        let mut plot = plot();
        for at in 1..=6 {
            plot.dot(Color::Blue, (f64::from(at) * 1.5, 5.0), "p99 1.23 ms");
        }
        for (at, (left, right, bottom)) in plot.texts.iter().enumerate() {
            for (other, end, line) in &plot.texts[at + 1..] {
                let meet = left < end && other < right && (bottom - line).abs() < LINE;
                assert!(!meet, "{:?}", plot.texts);
            }
        }
    }

    #[test]
    fn texts_are_escaped() {
        let figure = plot().figure();
        assert!(figure.contains("<h2>A &lt;test&gt;</h2>"), "{figure}");
    }
}
