//! How values are written: on an axis, and by themselves.

/// The significant digits of a value by itself.
const DIGITS: i32 = 3;

/// What a value measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds, as microseconds, milliseconds or seconds.
    Latency,
    /// Seconds since the start.
    Elapsed,
    /// A number of things.
    Count,
    /// A share from 0 to 1, as a percentage.
    Share,
    /// A percentile, given as the number of messages of which one is slower.
    Nines,
}

impl Unit {
    /// The labels of an axis.
    pub(super) fn labels(self, ticks: &[f64]) -> Vec<String> {
        let greatest = ticks.last().copied().unwrap_or_default();
        ticks.iter().map(|tick| self.label(*tick, greatest)).collect()
    }

    fn label(self, tick: f64, greatest: f64) -> String {
        match self {
            Self::Elapsed => elapsed(tick, greatest),
            Self::Nines => nines(tick),
            Self::Latency => latency(tick),
            _ => self.short(tick),
        }
    }

    /// A value by itself, to three digits.
    pub(super) fn short(self, value: f64) -> String {
        match self {
            // Shorter ones are not told apart.
            Self::Latency if value > 0.0 && value < 1e-6 => "under 1 µs".to_owned(),
            Self::Latency => latency(value),
            Self::Elapsed => elapsed(value, value),
            Self::Count => count(value),
            Self::Share => format!("{}%", trimmed(rounded(value * 100.0))),
            Self::Nines => nines(value),
        }
    }
}

/// Rounded to the digits that are written.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powf(f64::from(DIGITS - 1) - value.abs().log10().floor());
    (value * scale).round() / scale
}

/// A rounded value without zeros at its end.
fn trimmed(value: f64) -> String {
    let text = match value.abs() {
        0.0 => return "0".to_owned(),
        size if size >= 100.0 => return grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        size if size >= 0.01 => format!("{value:.4}"),
        _ => format!("{value:.6}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A whole number with a comma at each thousand.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

fn latency(seconds: f64) -> String {
    let seconds = rounded(seconds);
    let (value, unit) = match seconds {
        0.0 => return "0".to_owned(),
        under if under < 1e-6 => (seconds * 1e9, "ns"),
        under if under < 1e-3 => (seconds * 1e6, "µs"),
        under if under < 1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    // A division may have made it 0.999999.
    format!("{} {unit}", trimmed(rounded(value)))
}

fn count(value: f64) -> String {
    let value = rounded(value);
    let (value, unit) = match value.abs() {
        size if size >= 1e12 => return format!("{value:.2e}"),
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    format!("{}{unit}", trimmed(rounded(value)))
}

/// Seconds of a run; above two minutes as minutes and seconds, above two hours as hours and
/// minutes.
fn elapsed(seconds: f64, greatest: f64) -> String {
    if greatest <= 1.0 {
        return latency(seconds);
    }
    if greatest < 120.0 {
        return format!("{} s", trimmed(rounded(seconds)));
    }
    let (large, small) = if greatest < 7200.0 { (60.0, 1.0) } else { (3600.0, 60.0) };
    let units = (seconds / small).round();
    let ratio: f64 = large / small;
    format!("{:.0}:{:02.0}", (units / ratio).floor(), units % ratio)
}

/// A time in words: `30 s`, `12 min 30 s`, `3 h 20 min`.
pub(super) fn span(seconds: f64) -> String {
    if seconds < 120.0 {
        return if seconds < 1.0 {
            latency(seconds)
        } else {
            format!("{} s", trimmed(rounded(seconds)))
        };
    }
    let is_long = seconds >= 7200.0;
    let (ratio, unit, names) =
        if is_long { (60.0, 60.0, ("h", "min")) } else { (60.0, 1.0, ("min", "s")) };
    let units = (seconds / unit).round();
    let (whole, rest) = ((units / ratio).floor(), units % ratio);
    let whole = format!("{whole:.0} {}", names.0);
    if rest > 0.0 { format!("{whole} {rest:.0} {}", names.1) } else { whole }
}

/// What the labels of a time axis that ends here are.
pub(super) fn elapsed_title(greatest: f64) -> &'static str {
    match greatest {
        short if short < 120.0 => "time since the start",
        short if short < 7200.0 => "time since the start, minutes:seconds",
        _ => "time since the start, hours:minutes",
    }
}

/// The percentile that one of so many messages exceeds: 1000 is 99.9.
fn nines(one_in: f64) -> String {
    let percent = 100.0 * (1.0 - 1.0 / one_in.max(1.0));
    let text = format!("{percent:.10}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_three_digits_and_their_unit() {
        for (unit, value, expected) in [
            (Unit::Latency, 0.0, "0"),
            (Unit::Latency, 511e-9, "under 1 µs"),
            (Unit::Latency, 1.0235e-6, "1.02 µs"),
            (Unit::Latency, 42.04e-6, "42 µs"),
            (Unit::Latency, 999.7e-6, "1 ms"),
            (Unit::Latency, 0.0123, "12.3 ms"),
            (Unit::Latency, 59.96, "60 s"),
            (Unit::Latency, 1234.0, "1,230 s"),
            (Unit::Count, 7.0, "7"),
            (Unit::Count, 0.25, "0.25"),
            (Unit::Count, 1234.0, "1,230"),
            (Unit::Count, 9999.0, "10k"),
            (Unit::Count, 123_456.0, "123k"),
            (Unit::Count, 9_876_543.0, "9.88M"),
            (Unit::Count, 2.5e9, "2.5G"),
            (Unit::Share, 0.123_45, "12.3%"),
            (Unit::Share, 1.0, "100%"),
            (Unit::Share, 0.000_05, "0.005%"),
            (Unit::Elapsed, 12.0, "12 s"),
            (Unit::Elapsed, 150.0, "2:30"),
        ] {
            assert_eq!(unit.short(value), expected);
        }
    }

    #[test]
    fn the_labels_of_an_axis_have_one_form() {
        let labels = |unit: Unit, ticks: &[f64]| unit.labels(ticks).join(" ");
        assert_eq!(labels(Unit::Elapsed, &[0.0, 600.0, 3600.0]), "0:00 10:00 60:00");
        assert_eq!(labels(Unit::Elapsed, &[0.0, 3600.0, 10800.0]), "0:00 1:00 3:00");
        assert_eq!(labels(Unit::Elapsed, &[0.0, 2.0, 10.0]), "0 s 2 s 10 s");
        assert_eq!(labels(Unit::Elapsed, &[0.0, 0.005, 0.01]), "0 5 ms 10 ms");
        let nines = [1.0, 2.0, 10.0, 100.0, 1e3, 1e6];
        assert_eq!(labels(Unit::Nines, &nines), "0 50 90 99 99.9 99.9999");
        assert_eq!(labels(Unit::Latency, &[5e-7, 1e-6]), "500 ns 1 µs");
        assert_eq!(labels(Unit::Count, &[0.0, 2500.0, 15e3]), "0 2,500 15k");
    }

    #[test]
    fn a_span_has_at_most_two_units() {
        for (seconds, expected) in [
            (0.03, "30 ms"),
            (59.96, "60 s"),
            (150.4, "2 min 30 s"),
            (3600.0, "60 min"),
            (7200.0, "2 h"),
            (100_000.0, "27 h 47 min"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn thousands_are_grouped() {
        for (value, expected) in [
            (0.0, "0"),
            (999.0, "999"),
            (1e3, "1,000"),
            (1_234_567.4, "1,234,567"),
            (-1e3, "-1,000"),
        ] {
            assert_eq!(grouped(value), expected);
        }
    }
}
