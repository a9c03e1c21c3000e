//! Scales: where a value is on its axis, and which values get a label.

/// The largest number of labels on most axes.
pub(super) const TICKS: usize = 7;

/// The least ratio between the ends of a logarithmic scale: noise is not to look like a mountain.
const RATIO: f64 = 5.0;

/// Steps between labels of a time axis, in seconds, above those of a second and less.
const TIMES: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    10800.0, 21600.0, 43200.0, 86400.0,
];

/// Where a value is on its axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    is_log: bool,
    /// The values with a label, in order.
    ticks: Vec<f64>,
}

impl Scale {
    /// From zero to a round value that is not below the greatest.
    pub(super) fn from_zero(greatest: f64) -> Self {
        let greatest = if greatest > 0.0 && greatest.is_finite() { greatest } else { 1.0 };
        let step = round_step(greatest / (TICKS - 2) as f64);
        let count = (greatest / step - 1e-9).ceil().max(1.0);
        let ticks = multiples(step, count);
        Self { from: 0.0, to: step * count, is_log: false, ticks }
    }

    /// Shares from 0 to 1.
    pub(super) fn whole() -> Self {
        Self { from: 0.0, to: 1.0, is_log: false, ticks: multiples(0.25, 4.0) }
    }

    /// Time from the start of a run to its end, in seconds.
    pub(super) fn elapsed(end: f64) -> Self {
        let end = if end > 0.0 && end.is_finite() { end } else { 1.0 };
        let least = end / TICKS as f64;
        let larger = |step: &f64| *step >= least;
        let step = match least <= TIMES[0] / 2.0 {
            true => round_step(least),
            false => TIMES.into_iter().find(larger).unwrap_or_else(|| round_step(least)),
        };
        let ticks = multiples(step, (end / step + 1e-9).floor());
        Self { from: 0.0, to: end, is_log: false, ticks }
    }

    /// Logarithmic, from a round value to another around what lies between these two, with at most
    /// so many labels.
    pub(super) fn log(least: f64, greatest: f64, labels: usize) -> Self {
        let usable = |value: &f64| *value > 0.0 && value.is_finite();
        let mut from = Some(least).filter(usable).unwrap_or(1.0);
        let mut to = Some(greatest).filter(usable).unwrap_or(from).max(from);
        let lacking = (RATIO / (to / from)).max(1.0).sqrt();
        from = round_below(from / lacking);
        to = round_above(to * lacking);
        Self { from, to, is_log: true, ticks: log_ticks(from, to, labels) }
    }

    /// How rare a percentile's messages are: from 1 (all of them) to one in so many, with labels at
    /// powers of ten, each of which is a nine more.
    pub(super) fn nines(one_in: f64) -> Self {
        let to = one_in.max(10.0);
        let stride = ((to.log10() + 1.0) / (TICKS + 1) as f64).ceil();
        let ticks = powers(1.0, to * (1.0 + 1e-9), stride);
        Self { from: 1.0, to, is_log: true, ticks }
    }

    /// So many rows, without labels.
    pub(super) fn rows(count: usize) -> Self {
        Self { from: 0.0, to: count as f64, is_log: false, ticks: Vec::new() }
    }

    /// Where a value is, as a share of the length of the axis. What is outside is put at an end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.is_log {
            true => (value / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// The values with a label.
    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// The values at both ends.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }
}

fn multiples(step: f64, count: f64) -> Vec<f64> {
    let mut ticks = vec![0.0];
    while (ticks.len() as f64) <= count {
        ticks.push(ticks.len() as f64 * step);
    }
    ticks
}

/// The next of 1, 2, 5, 10, 20, … that isn't below a value.
fn round_step(value: f64) -> f64 {
    round_above(value)
}

fn power_below(value: f64) -> f64 {
    10_f64.powf((value.log10() + 1e-9).floor())
}

fn round_above(value: f64) -> f64 {
    let power = power_below(value);
    let factors = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= value * 0.999_999);
    factors.unwrap_or(10.0) * power
}

fn round_below(value: f64) -> f64 {
    let power = power_below(value);
    let fits = |factor: &f64| factor * power <= value * 1.000_001;
    [5.0, 2.0, 1.0].into_iter().find(fits).unwrap_or(1.0) * power
}

fn log_ticks(from: f64, to: f64, labels: usize) -> Vec<f64> {
    let mut ticks = Vec::new();
    let mut power = power_below(from);
    while power <= to * 1.000_001 {
        let here = [1.0, 2.0, 5.0].map(|factor| factor * power);
        let inside = |tick: &f64| (from * 0.999_999..=to * 1.000_001).contains(tick);
        ticks.extend(here.into_iter().filter(inside));
        power *= 10.0;
    }
    if ticks.len() <= labels {
        return ticks;
    }
    let first = round_power_above(from);
    let decades = (to / first).log10() + 1.0;
    powers(first, to * 1.000_001, (decades / labels as f64).ceil().max(1.0))
}

fn round_power_above(value: f64) -> f64 {
    let power = power_below(value);
    if power >= value * 0.999_999 { power } else { power * 10.0 }
}

/// Powers of ten with so many nines or zeros between them.
fn powers(from: f64, to: f64, stride: f64) -> Vec<f64> {
    let mut ticks = Vec::new();
    let mut tick = from;
    while tick <= to {
        ticks.push(tick);
        tick *= 10_f64.powf(stride);
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(ticks: &[f64], expected: &[f64]) -> bool {
        let pairs = || ticks.iter().zip(expected);
        ticks.len() == expected.len() && pairs().all(|(a, b)| (a - b).abs() <= b.abs() * 1e-9)
    }

    #[test]
    fn an_axis_from_zero_ends_at_a_round_value() {
        for (greatest, expected) in [
            (1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0][..]),
            (4321.0, &[0.0, 1e3, 2e3, 3e3, 4e3, 5e3]),
            (9.9e6, &[0.0, 2e6, 4e6, 6e6, 8e6, 1e7]),
            (0.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (f64::NAN, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ] {
            let scale = Scale::from_zero(greatest);
            assert!(near(scale.ticks(), expected), "{greatest}: {:?}", scale.ticks());
            assert!((scale.ends().1 - expected.last().unwrap()).abs() < 1e-6);
        }
    }

    #[test]
    fn no_axis_has_too_many_labels_or_too_few() {
        let mut value = 1e-7;
        while value < 1e9 {
            for scale in [Scale::from_zero(value), Scale::elapsed(value)] {
                let count = scale.ticks().len();
                assert!((2..=TICKS + 1).contains(&count), "{value}: {:?}", scale.ticks());
                assert!(scale.ends().1 >= value * 0.999_999, "{value}");
            }
            for ratio in [1.0, 1.3, 7.0, 90.0, 3e3, 1e6, 3e8] {
                let scale = Scale::log(value, value * ratio, TICKS);
                let count = scale.ticks().len();
                assert!((1..=TICKS).contains(&count), "{value} {ratio}: {:?}", scale.ticks());
                let (from, to) = scale.ends();
                assert!(from <= value * 1.000_01 && to >= value * ratio * 0.999_99);
            }
            value *= 1.37;
        }
    }

    #[test]
    fn times_have_the_steps_of_a_clock() {
        for (end, expected) in [
            (0.03, &[0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03][..]),
            (10.0, &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
            (90.0, &[0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0]),
            (3600.0, &[0.0, 600.0, 1200.0, 1800.0, 2400.0, 3000.0, 3600.0]),
            (1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ] {
            let scale = Scale::elapsed(end);
            assert!(near(scale.ticks(), expected), "{end}: {:?}", scale.ticks());
        }
    }

    #[test]
    fn logarithmic_labels_are_one_two_five_or_powers() {
        let ticks = |least, greatest| Scale::log(least, greatest, 8).ticks().to_vec();
        assert!(near(&ticks(42e-6, 180e-6), &[20e-6, 50e-6, 100e-6, 200e-6]));
        assert!(near(&ticks(3e-6, 40.0), &[1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]));
        assert!(near(&ticks(1e-3, 1e-3), &[2e-4, 5e-4, 1e-3, 2e-3, 5e-3]));
        assert!(near(Scale::nines(3e4).ticks(), &[1.0, 10.0, 100.0, 1e3, 1e4]));
        assert!(near(Scale::nines(1.0).ticks(), &[1.0, 10.0]));
    }

    #[test]
    fn a_value_has_its_place_and_what_is_outside_an_end() {
        let linear = Scale::from_zero(10.0);
        assert!((linear.place(2.5) - 0.25).abs() < 1e-9);
        let log = Scale::nines(1e4);
        assert!((log.place(100.0) - 0.5).abs() < 1e-9);
        for (value, place) in [(-1.0, 0.0), (1e9, 1.0), (f64::NAN, 0.0), (f64::INFINITY, 1.0)] {
            assert!((linear.place(value) - place).abs() < 1e-9, "{value}");
            assert!((log.place(value) - place).abs() < 1e-9, "{value}");
        }
    }
}
