//! How long delays are.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::faults::random::Random;

/// The longest delay.
pub(super) const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long delays are, and how often there is one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Distribution {
    /// Each of these times in so many percent of all cases; in the others there is no delay.
    Table(Vec<(Duration, f64)>),
    /// A normal distribution, in so many percent of all cases. What would be negative is zero.
    Normal {
        /// The mean.
        mean: Duration,
        /// The standard deviation.
        deviation: Duration,
        /// How often there is a delay.
        percent: f64,
    },
    /// A Pareto distribution, in so many percent of all cases: few delays are very long, up to a
    /// day.
    Pareto {
        /// The shortest delay.
        least: Duration,
        /// The exponent of the tail: the smaller, the longer delays become.
        shape: f64,
        /// How often there is a delay.
        percent: f64,
    },
}

impl Distribution {
    /// Draws a delay, if there is one this time.
    pub(super) fn draw(&self, random: &mut Random) -> Option<Duration> {
        match *self {
            Self::Table(ref table) => {
                let drawn = random.unit() * 100.0;
                let mut sum = 0.0;
                let hit = table.iter().find(|(_, percent)| {
                    sum += percent;
                    drawn < sum
                });
                hit.map(|(time, _)| *time)
            }
            Self::Normal { mean, deviation, percent } => random.hits(percent).then(|| {
                // The method of Box and Muller; 1 - u is never 0.
                let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
                let normal = radius * (TAU * random.unit()).cos();
                time(mean.as_secs_f64() + deviation.as_secs_f64() * normal)
            }),
            Self::Pareto { least, shape, percent } => random
                .hits(percent)
                .then(|| time(least.as_secs_f64() * (1.0 - random.unit()).powf(-1.0 / shape))),
        }
    }
}

fn time(seconds: f64) -> Duration {
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(TIME_MAX);
    time.min(TIME_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::part::part_of;

    const DRAWS: usize = 100_000;

    fn drawn(distribution: &Distribution) -> Vec<Duration> {
        let mut random = Random::of(7, 0, 0);
        let mut drawn: Vec<_> =
            (0..DRAWS).map(|_| distribution.draw(&mut random).unwrap_or_default()).collect();
        drawn.sort_unstable();
        drawn
    }

    fn millis(drawn: &[Duration], part: f64) -> f64 {
        drawn[part_of(drawn.len(), part)].as_secs_f64() * 1e3
    }

    #[test]
    fn a_table_has_its_quantiles() {
        let ms = Duration::from_millis;
        let drawn = drawn(&Distribution::Table(vec![(ms(1), 10.0), (ms(2), 5.0), (ms(500), 1.0)]));
        let quantiles = [0.83, 0.85, 0.93, 0.95, 0.985, 0.992].map(|part| millis(&drawn, part));
        assert_eq!(quantiles, [0.0, 1.0, 1.0, 2.0, 2.0, 500.0]);
    }

    #[test]
    fn a_normal_distribution_has_its_mean_and_deviation() {
        let ms = Duration::from_millis;
        let normal = Distribution::Normal { mean: ms(5), deviation: ms(1), percent: 100.0 };
        let drawn = drawn(&normal);
        for (part, expected) in [(0.1587, 4.0), (0.5, 5.0), (0.8413, 6.0), (0.9772, 7.0)] {
            let found = millis(&drawn, part);
            assert!((found - expected).abs() < 0.05, "{part}: {found}");
        }
    }

    #[test]
    fn a_pareto_distribution_has_its_tail_and_an_end() {
        let pareto = |shape| {
            let least = Duration::from_millis(1);
            drawn(&Distribution::Pareto { least, shape, percent: 100.0 })
        };
        let drawn = pareto(1.5);
        assert!(drawn[0] >= Duration::from_millis(1));
        for part in [0.5_f64, 0.9, 0.99] {
            let expected = (1.0 - part).powf(-1.0 / 1.5);
            let found = millis(&drawn, part);
            assert!((found / expected - 1.0).abs() < 0.05, "{part}: {found}, not {expected}");
        }
        assert_eq!(pareto(0.01).last(), Some(&TIME_MAX));
    }
}
