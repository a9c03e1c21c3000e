//! How latencies are distributed: the percentile curve, the histogram, and how long connections
//! took to set up.

use countersign_load::{Latencies, Report};

use super::plot::{Axis, Color, Plot};
use super::scale::{Scale, TICKS};
use super::unit::{self, Unit};

/// The resolution of the histograms for short latencies, in nanoseconds.
const RESOLUTION: u64 = 512;

/// Their relative resolution for others.
const STEPS: u64 = 1024;

/// About so many bars has the histogram.
const BARS: f64 = 48.0;

/// The percentiles that have a dot on the curve, as one message in so many.
const DOTS: [(&str, f64); 5] =
    [("p50", 2.0), ("p90", 10.0), ("p99", 100.0), ("p99.9", 1e3), ("p99.99", 1e4)];

/// The largest number of labels on a vertical axis.
const LABELS: usize = 10;

/// Points of a curve that are closer than these parts of the plot are one.
const NEAR: f64 = 0.002;

/// A curve: the latency, in seconds, that all but one message in so many stay within.
#[derive(Debug)]
pub(super) struct Curve {
    points: Vec<(f64, f64)>,
    /// All messages that count.
    judged: f64,
    /// The share of them that was never answered.
    unanswered: f64,
}

impl Curve {
    /// The curve of the messages that were due; `None` if nothing was answered.
    pub(super) fn new(report: &Report) -> Option<Self> {
        let distribution = report.distribution();
        let judged = distribution.total();
        let (fastest, _) = distribution.parts().next().filter(|_| report.answered > 0)?;
        let mut points = vec![(1.0, fastest.as_secs_f64())];
        let mut seen = 0.0;
        for (latency, count) in distribution.parts() {
            // The first message of a step is the first one that took so long.
            points.push((one_in(seen, judged), latency.as_secs_f64()));
            seen += count;
            points.push((one_in(seen, judged), latency.as_secs_f64()));
        }
        // Parts of messages may add up to almost nothing.
        let unanswered = if judged - seen > 0.5 { (judged - seen) / judged } else { 0.0 };
        Some(Self { points, judged, unanswered })
    }

    fn greatest(&self) -> f64 {
        self.points.last().map_or(0.0, |(_, latency)| *latency)
    }

    fn least(&self) -> f64 {
        self.points.first().map_or(0.0, |(_, latency)| *latency)
    }

    /// Where the axis ends: at half a message of all, or well after the last that was answered.
    fn rarest(&self) -> f64 {
        let all = self.judged * 2.0;
        if self.unanswered > 0.0 { all.min(8.0 / self.unanswered) } else { all }
    }

    /// The latency of this percentile, if it was reached.
    fn at(&self, one_in: f64) -> Option<f64> {
        let found = self.points.iter().find(|(place, _)| *place >= one_in * 0.999_999);
        found.map(|(_, latency)| *latency)
    }
}

/// The share of messages up to this rank, as one in so many that is above it.
fn one_in(rank: f64, of: f64) -> f64 {
    // The last message of all has none above it: half a message keeps it on the axis.
    of / (of - rank).max(0.5)
}

/// The percentile curve of one or more runs with their names.
pub(super) fn percentiles(curves: &[(&str, Curve)]) -> Plot {
    let all = || curves.iter().map(|(_, curve)| curve);
    let least = all().map(Curve::least).fold(f64::INFINITY, f64::min);
    let greatest = all().map(Curve::greatest).fold(0.0, f64::max);
    let rarest = all().map(Curve::rarest).fold(0.0, f64::max);
    let x = Axis { scale: Scale::nines(rarest), unit: Unit::Nines, title: "percentile".to_owned() };
    let y = Axis {
        scale: Scale::log(least, greatest, LABELS),
        unit: Unit::Latency,
        title: "latency, logarithmic".to_owned(),
    };
    let mut plot = Plot::new("percentiles", "Latency by percentile", x, y).height(240.0);
    let one = curves.len() == 1;
    for ((name, curve), color) in curves.iter().zip([Color::Blue, Color::Orange]) {
        if curve.unanswered > 0.0 && one {
            let share = Unit::Share.short(curve.unanswered);
            plot.shade_from(1.0 / curve.unanswered, &format!("{share} never answered"));
        }
        plot.curve(color, &thinned(&plot, &curve.points));
        let reached = |(_, place): &(&str, f64)| one && *place <= curve.judged;
        for (name, place) in DOTS.into_iter().filter(reached) {
            let text = |at| format!("{name} {}", Unit::Latency.short(at));
            curve.at(place).iter().for_each(|at| plot.dot(color, (place, *at), &text(*at)));
        }
        if !one {
            plot.legend(color, name);
        }
    }
    plot
}

/// The points without those that could not be seen.
fn thinned(plot: &Plot, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut thinned: Vec<(f64, f64)> = Vec::new();
    let mut last = (-1.0, -1.0);
    for (index, point) in points.iter().enumerate() {
        let place = plot.place(point.0, point.1);
        let is_far = (place.0 - last.0).abs() > NEAR || (place.1 - last.1).abs() > NEAR;
        if is_far || index + 1 == points.len() {
            thinned.push(*point);
            last = place;
        }
    }
    thinned
}

/// The histogram of the replies, in steps of equal ratio; `None` if there was no reply.
pub(super) fn histogram(report: &Report) -> Option<Plot> {
    let replies = &report.reply;
    let total = replies.count();
    if total == 0 {
        return None;
    }
    let scale = Scale::log(shortest(replies), replies.max().as_secs_f64(), TICKS);
    let buckets = buckets(replies, &scale);
    let share = |count: f64| count / total as f64;
    let greatest = buckets.iter().map(|(.., count)| share(*count)).fold(0.0, f64::max);
    let x = Axis { scale, unit: Unit::Latency, title: "latency, logarithmic".to_owned() };
    let title = "share of the replies".to_owned();
    // There is room for texts above the bars.
    let y = Axis { scale: Scale::from_zero(greatest * 1.2), unit: Unit::Share, title };
    let mut plot = Plot::new("histogram", "Latency histogram", x, y).height(240.0);
    for (from, to, count) in buckets {
        let range = Unit::Latency.labels(&[from, to]).join(" to ");
        let replies = match unit::grouped(count.max(1.0)).as_str() {
            "1" => "1 reply".to_owned(),
            many => format!("{many} replies"),
        };
        let hint = format!("{range}: {}, {replies}", Unit::Share.short(share(count)));
        plot.bar(Color::Blue, (from, to), share(count), &hint);
    }
    for (row, (name, quantile)) in (0..).zip([("p50", 0.5), ("p99", 0.99)]) {
        let value = report.reply_within(quantile).map(|within| within.as_secs_f64());
        let text = |value| format!("{name} {}", Unit::Latency.short(value));
        value.iter().for_each(|value| plot.mark(*value, row, &text(*value)));
    }
    Some(plot)
}

/// Steps of equal ratio with the replies in each: from, to, how many. What the steps of the
/// recorded histogram have in common with two of these is divided between them.
fn buckets(replies: &Latencies, scale: &Scale) -> Vec<(f64, f64, f64)> {
    let (from, to) = scale.ends();
    let ratio = (to / from).powf(1.0 / BARS);
    let mut buckets = Vec::new();
    let mut low = from;
    while buckets.len() < 48 {
        buckets.push((low, low * ratio, 0.0));
        low *= ratio;
    }
    for (nanos, count) in replies.recorded() {
        let (begin, end) = (seconds(nanos.saturating_sub(width(nanos))), seconds(nanos));
        for (low, high, sum) in &mut buckets {
            let common = (end.min(*high) - begin.max(*low)).max(0.0);
            *sum += count as f64 * common / (end - begin).max(f64::MIN_POSITIVE);
        }
    }
    buckets.retain(|(.., count)| *count > 0.0);
    buckets
}

/// The width of the recorded step that ends here, in nanoseconds.
fn width(nanos: u64) -> u64 {
    let power = nanos.checked_ilog2().map_or(1, |log| 1_u64 << log);
    (power / STEPS).max(RESOLUTION)
}

/// How long connections took to set up; `None` if none was.
pub(super) fn setup(report: &Report) -> Option<Plot> {
    let phases = [
        ("connect", &report.connect, Color::Green),
        ("handshake", &report.handshake, Color::Orange),
        ("first reply", &report.first_reply, Color::Blue),
    ];
    let phases: Vec<_> = phases.into_iter().filter(|(_, all, _)| all.count() > 0).collect();
    let least = phases.iter().map(|(_, all, _)| shortest(all)).fold(f64::INFINITY, f64::min);
    let greatest = phases.iter().map(|(_, all, _)| all.max().as_secs_f64()).fold(0.0, f64::max);
    let last = phases.len().checked_sub(1)?;
    let x = Axis {
        scale: Scale::log(least, greatest, TICKS),
        unit: Unit::Latency,
        title: "time, logarithmic".to_owned(),
    };
    let title = "line: all connections; box: the middle half; stroke: the median".to_owned();
    let y = Axis { scale: Scale::rows(phases.len()), unit: Unit::Count, title };
    let height = 44.0 * phases.len() as f64;
    let mut plot = Plot::new("setup", "Connection set-up", x, y).height(height);
    for (index, (name, all, color)) in phases.into_iter().enumerate() {
        let at = |quantile| all.at(quantile).as_secs_f64();
        let places = [shortest(all), at(0.25), at(0.5), at(0.75), at(1.0)];
        let [median, slow] = [0.5, 0.99].map(|it| Unit::Latency.short(at(it)));
        let text = format!("p50 {median}, p99 {slow}");
        plot.strip(color, last - index, name, places, &text);
    }
    Some(plot)
}

/// The shortest latency in seconds, which is not zero on a logarithmic axis.
fn shortest(all: &Latencies) -> f64 {
    all.min().as_secs_f64().max(seconds(RESOLUTION))
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
