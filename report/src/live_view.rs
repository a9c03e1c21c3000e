//! What is shown of a load while it runs.

use std::time::Duration;

use countersign_load::{Interval, SparseLatencies};

use crate::text::shown;

/// Figures are those of this many last seconds: of one second alone they would jump.
const SPAN: usize = 5;

/// The columns of the names, and of the figure beside a curve.
const NAME: usize = 12;
const FIGURE: usize = 12;

/// The steps of a curve; what is zero has none.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Below these columns and rows, there is one line alone.
const NARROW: usize = 44;
const LOW: usize = 8;

const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// What is shown of a load while it runs.
#[derive(Debug, Clone, Default)]
pub struct LiveView {
    /// The share of the load that is over, from 0 to 1.
    pub done: f64,
    /// How long it has been measured; zero in the warm-up.
    pub elapsed: Duration,
    /// How long it will go on, if that can be said.
    pub left: Option<Duration>,
    /// Messages that were answered, from the start.
    pub answered: u64,
    /// Messages that failed, from the start.
    pub failed: u64,
    /// Completed handshakes, from the start.
    pub connected: u64,
    /// Connections that failed or were lost, from the start.
    pub connections_lost: u64,
    /// The last seconds, one by one.
    pub seconds: Vec<Interval>,
}

/// The figures of the last seconds.
struct Figures {
    seconds: f64,
    rate: f64,
    latency: Option<String>,
    p99: Option<Duration>,
    failed: u64,
}

impl LiveView {
    /// Lines for a terminal of this size, at most as wide; each with the columns that it takes.
    #[must_use]
    pub fn lines(&self, columns: usize, rows: usize, is_coloured: bool) -> Vec<(String, usize)> {
        // A terminal may wrap a line as soon as its last column is taken.
        let columns = columns.saturating_sub(1);
        let lines = match columns < NARROW || rows < LOW {
            true => vec![self.short()],
            false => self.full(columns),
        };
        let cut = |line: String| {
            let line: String = line.chars().take(columns).collect();
            let taken = line.chars().count();
            let is_red = is_coloured && self.failed > 0 && line.starts_with("Errors");
            (if is_red { format!("{RED}{line}{PLAIN}") } else { line }, taken)
        };
        lines.into_iter().map(cut).collect()
    }

    /// One line, for a log.
    #[must_use]
    pub fn line(&self) -> String {
        let figures = self.figures();
        let latency = figures.latency.map_or_else(String::new, |latency| format!(", {latency}"));
        let left = self.left.map_or_else(String::new, |left| format!(", {} left", rounded(left)));
        format!(
            "{}: {:.0} replies/s{latency}, {} failed, {} connections lost{left}",
            rounded(self.elapsed),
            figures.rate,
            self.failed,
            self.connections_lost
        )
    }

    fn short(&self) -> String {
        let figures = self.figures();
        let p99 = figures.p99.map_or_else(String::new, |p99| format!(" p99 {}", shown(p99)));
        let failed =
            if self.failed > 0 { format!(" {} failed", self.failed) } else { String::new() };
        format!("{:.0}%{failed} {:.0}/s{p99}", self.done * 100.0, figures.rate)
    }

    fn full(&self, columns: usize) -> Vec<String> {
        let figures = self.figures();
        let none = || "-".to_owned();
        let curve = |of: &dyn Fn(&Interval) -> f64| {
            curve(self.seconds.iter().map(of), columns.saturating_sub(NAME + FIGURE))
        };
        let rates = curve(&Interval::per_second);
        let latencies =
            curve(&|second| second.reply.at(0.99).map_or(0.0, |latency| latency.as_secs_f64()));
        let p99 = figures.p99.map_or_else(none, shown);
        let errors = match figures.seconds {
            _ if self.elapsed.is_zero() => "the warm-up is not counted".to_owned(),
            ..1.0 => format!("{} in all", self.failed),
            seconds => format!("{} in {seconds:.0} s, {} in all", figures.failed, self.failed),
        };
        vec![
            format!("{:NAME$}{:<FIGURE$.0}{rates}", "Replies/s", figures.rate),
            format!("{:NAME$}{p99:<FIGURE$}{latencies}", "p99"),
            format!("{:NAME$}{}", "Latency", figures.latency.unwrap_or_else(none)),
            format!("{:NAME$}{errors}", "Errors"),
            format!(
                "{:NAME$}{} made, {} lost",
                "Connections", self.connected, self.connections_lost
            ),
            self.bar(columns),
        ]
    }

    /// How far it has come, and how long it will take.
    fn bar(&self, columns: usize) -> String {
        let elapsed = rounded(self.elapsed);
        let times = match self.left {
            Some(left) => format!(" {:3.0}%, {elapsed}, {} left", self.done * 100.0, rounded(left)),
            None => format!(" {:3.0}%, {elapsed}", self.done * 100.0),
        };
        let width = columns.saturating_sub(times.chars().count() + 2);
        let full = (0..width).filter(|step| (*step as f64) < self.done * width as f64).count();
        format!("[{:-<width$}]{times}", "=".repeat(full))
    }

    fn figures(&self) -> Figures {
        let last = &self.seconds[self.seconds.len().saturating_sub(SPAN)..];
        let sum = |of: fn(&Interval) -> u64| last.iter().map(of).sum::<u64>();
        let seconds: f64 = last.iter().map(|second| second.length.as_secs_f64()).sum();
        // In the first second there are only the figures from the start.
        let elapsed = self.elapsed.as_secs_f64();
        let rate = match seconds > 0.0 {
            true => sum(|second| second.answered) as f64 / seconds,
            false if elapsed > 0.0 => self.answered as f64 / elapsed,
            false => 0.0,
        };
        let failed = if seconds > 0.0 { sum(Interval::failed) } else { self.failed };
        let mut reply = SparseLatencies::default();
        last.iter().for_each(|second| reply.merge(&second.reply));
        let at = |share| reply.at(share);
        let latency = at(0.5).zip(at(0.99)).zip(at(1.0)).map(|((half, most), max)| {
            format!("p50 {}, p99 {}, max {}", shown(half), shown(most), shown(max))
        });
        Figures { seconds, rate, latency, p99: at(0.99), failed }
    }
}

/// A curve of the last values, in at most so many columns; the greatest one is at its top.
fn curve(values: impl Iterator<Item = f64>, columns: usize) -> String {
    let values: Vec<f64> = values.collect();
    let last = &values[values.len().saturating_sub(columns)..];
    let top = last.iter().copied().fold(0.0, f64::max);
    let step = |value: &f64| {
        let step = STEPS.iter().zip(1_u8..).find(|(_, number)| {
            *value <= top * f64::from(*number) / STEPS.len() as f64
                || usize::from(*number) == STEPS.len()
        });
        step.filter(|_| *value > 0.0).map_or(' ', |(step, _)| *step)
    };
    last.iter().map(step).collect()
}

/// A time in as many digits as someone who waits wants to read.
fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..600 => format!("{seconds} s"),
        600..36_000 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(answered: u64, micros: u64) -> Interval {
        let mut second = Interval::default();
        second.length = Duration::from_secs(1);
        second.answered = answered;
        second.reply = [(micros * 1_000, answered)].into_iter().filter(|it| it.1 > 0).collect();
        second
    }

    fn view() -> LiveView {
        let rates = [800, 1_600, 0, 3_200, 6_400, 6_400];
        LiveView {
            done: 0.6,
            elapsed: Duration::from_millis(6_100),
            left: Some(Duration::from_millis(3_900)),
            answered: 18_400,
            failed: 12,
            connected: 50,
            connections_lost: 2,
            seconds: rates
                .into_iter()
                .zip([100, 100, 0, 200, 300, 800])
                .map(|(rate, micros)| second(rate, micros))
                .collect(),
        }
    }

    fn text(view: &LiveView, columns: usize, rows: usize) -> Vec<String> {
        view.lines(columns, rows, false).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_view_has_the_figures_of_the_last_seconds_and_curves() {
        let expected = [
            "Replies/s   3520        ▁▂ ▄██",
            "p99         800.0 µs    ▁▁ ▂▃█",
            "Latency     p50 300.0 µs, p99 800.0 µs, max 800.0 µs",
            "Errors      0 in 5 s, 12 in all",
            "Connections 50 made, 2 lost",
            "[===================------------]  60%, 6.1 s, 3.9 s left",
        ];
        assert_eq!(text(&view(), 58, 24), expected);
        let line = "6.1 s: 3520 replies/s, p50 300.0 µs, p99 800.0 µs, max 800.0 µs, 12 failed, \
                    2 connections lost, 3.9 s left";
        assert_eq!(view().line(), line);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_a_small_one_has_one_line() {
        let mut long = view();
        long.seconds = (0..60).map(|number| second(number, 1_000_000 * number)).collect();
        for columns in 0..200 {
            for rows in [0, 1, 7, 8, 50] {
                let lines = long.lines(columns, rows, true);
                let fits = |(line, taken): &(String, usize)| {
                    let bare = line.replace(RED, "").replace(PLAIN, "");
                    bare.chars().count() == *taken && *taken <= columns.saturating_sub(1)
                };
                assert!(lines.iter().all(fits), "{columns}: {lines:?}");
                assert_eq!(lines.len(), if columns <= NARROW || rows < LOW { 1 } else { 6 });
            }
        }
        assert_eq!(text(&view(), 40, 24), ["60% 12 failed 3520/s p99 800.0 µs"]);
        assert_eq!(text(&view(), 10, 24), ["60% 12 fa"]);
    }

    #[test]
    fn errors_are_red_where_there_are_some_and_colours_are_wanted() {
        let red = |view: &LiveView, is_coloured| {
            view.lines(80, 24, is_coloured).iter().filter(|(line, _)| line.contains('\x1b')).count()
        };
        assert_eq!((red(&view(), true), red(&view(), false)), (1, 0));
        assert_eq!(red(&LiveView::default(), true), 0);
    }

    #[test]
    fn before_the_first_second_there_are_the_figures_from_the_start() {
        let mut view = LiveView { answered: 50, ..LiveView::default() };
        assert_eq!(text(&view, 80, 24)[3], "Errors      the warm-up is not counted");
        assert_eq!(text(&view, 80, 24)[0].trim_end(), "Replies/s   0");
        view.elapsed = Duration::from_millis(500);
        assert_eq!(text(&view, 80, 24)[0].trim_end(), "Replies/s   100");
        assert!(view.line().starts_with("0.5 s: 100 replies/s, 0 failed"), "{}", view.line());
    }

    #[test]
    fn a_curve_has_the_last_values_and_its_greatest_at_the_top() {
        let of = |values: &[f64], columns| curve(values.iter().copied(), columns);
        assert_eq!(of(&[], 9), "");
        assert_eq!(of(&[0.0, 0.0], 9), "  ");
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.1, 0.0], 99), "▁▂▃▄▅▆▇█▁ ");
        assert_eq!(of(&[9.0, 1.0, 2.0], 2), "▄█");
        assert_eq!(of(&[9.0], 0), "");
        assert_eq!(of(&[5e-324, 1e-300], 2), "▁█");
    }
}
