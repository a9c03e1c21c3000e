//! The search, with servers that are computed.
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]

use proptest::prelude::*;

use super::*;
use crate::condition::Figure;

/// A server, and the load generator that loads it.
#[derive(Debug, Clone, Copy)]
struct Model {
    /// The messages a second that the server answers at most.
    limit: f64,
    /// How long a reply takes at a rate that is near zero. It takes longer near the limit.
    latency: f64,
    /// The messages a second that the load generator sends at most.
    generator: f64,
    /// The share of probes in which something else disturbs the server.
    noise: f64,
}

const STEP: Model = Model { limit: 20e3, latency: 0.0, generator: 1e12, noise: 0.0 };

/// Random numbers (SplitMix64).
struct Random(u64);

impl Random {
    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        for factor in [0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB] {
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
        }
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The latencies of a report.
const PARTS: u32 = 200;

impl Model {
    fn run(&self, probe: Probe, random: &mut Random) -> Report {
        let (rate, seconds) = (probe.rate, probe.lasts.as_secs_f64());
        let limit = self.limit.min(self.generator);
        let mut report = Report { elapsed: probe.lasts, ..Report::default() };
        report.rate_asked = Some(rate);
        report.busy = vec![(rate / self.generator).min(1.0)];
        let answered = rate.min(limit) * seconds;
        let late = (rate / limit - 1.0).max(0.0) * seconds;
        report.behind = Duration::from_secs_f64(late.min(seconds));
        if random.share() < self.noise {
            report.behind += probe.lasts.mul_f64(0.02 + 0.28 * random.share());
        }
        let queue = self.latency / (1.0 - rate / limit).max(1e-9);
        for part in 1..=PARTS {
            let upto = |part: u32| (answered * f64::from(part) / f64::from(PARTS)) as u64;
            let latency = 1e-4 + queue.min(1.0) + late * f64::from(part) / f64::from(PARTS);
            report.answer((latency * 1e9) as u64, upto(part) - upto(part - 1));
        }
        report.replies = report.answered;
        report
    }

    fn search(&self, config: SearchConfig, seed: u64) -> Search {
        let figure = Figure::Percentile(99.0);
        let condition = Condition { figure, above: false, bound: 0.005 };
        let mut search = Search::new(vec![condition], config);
        let mut random = Random(seed);
        while let Some(probe) = search.next() {
            search.record(&self.run(probe, &mut random));
        }
        search
    }
}

fn rates(search: &Search) -> Vec<f64> {
    search.results().iter().map(|result| result.probe.rate).collect()
}

#[test]
fn the_rate_rises_in_large_steps_until_a_probe_fails_and_is_then_narrowed_down() {
    let search = STEP.search(SearchConfig::default(), 1);
    let steps = [1e3, 4e3, 16e3, 64e3];
    assert_eq!(rates(&search)[..4], steps);
    let found = search.found().unwrap();
    assert!((19.4e3..=20.2e3).contains(&found), "{:?}", rates(&search));
    assert!(search.results().last().unwrap().probe.is_hold);
    assert!(search.results().len() <= 10, "{:?}", rates(&search));
    let (passed, failed) = search.range();
    assert_eq!(passed, Some(found));
    assert_ne!(failed.unwrap().verdict, Verdict::Holds);
    assert_eq!(search.results()[3].verdict, Verdict::NotReached);
}

#[test]
fn a_server_that_fails_at_every_rate_is_tried_at_the_least_last() {
    let never = Model { limit: 0.01, ..STEP };
    let search = never.search(SearchConfig::default(), 1);
    assert_eq!((search.found(), search.next()), (None, None));
    // At this rate, 30 seconds have a thousand messages.
    assert_eq!(rates(&search), [1_000.0, 250.0, 62.5, 33.33]);
    // If the rate of the first probe was asked for, none below it is tried.
    let config = SearchConfig { first: 5e3, descends: false, ..SearchConfig::default() };
    assert_eq!(rates(&never.search(config, 1)), [5e3]);
}

#[test]
fn a_load_generator_that_is_busy_is_the_limit_and_not_the_server() {
    let always = Model { limit: 1e12, generator: 300e3, ..STEP };
    let search = always.search(SearchConfig::default(), 1);
    let (_, failed) = search.range();
    assert_eq!(failed.unwrap().verdict, Verdict::GeneratorLimit);
    assert!((290e3..=303e3).contains(&search.found().unwrap()), "{:?}", rates(&search));
    // Nothing fails at any rate.
    let always = Model { generator: 1e12, ..always };
    assert_eq!(always.search(SearchConfig::default(), 1).found(), Some(MOST));
}

#[test]
fn a_probe_has_the_messages_that_its_conditions_need() {
    let figure = Figure::Percentile(99.9);
    let conditions = vec![Condition { figure, above: false, bound: 0.005 }];
    let mut search = Search::new(conditions, SearchConfig::default());
    // A step, which needs fewer.
    assert_eq!(search.next().unwrap().lasts, Duration::from_secs(3));
    search.failed = Some(8e3);
    search.passed = Some(1e3);
    let Probe { rate, lasts, .. } = search.next().unwrap();
    assert!((rate * lasts.as_secs_f64() - 10_000.0).abs() < 1.0, "{rate}");
    // But it doesn't take for ever.
    (search.passed, search.failed) = (Some(1.0), Some(2.0));
    assert_eq!(search.next().unwrap().lasts, Duration::from_secs(30));
}

#[test]
fn after_a_failure_the_server_has_time_to_recover() {
    let config = SearchConfig::default();
    let mut search = Search::new(Vec::new(), config);
    let mut report = Report { rate_asked: Some(1e3), behind: config.probe, ..Report::default() };
    for (slowest, pause) in [(1, 250), (400, 600), (30_000, 2_000)] {
        report.answer(slowest * 1_000_000, 1);
        search.record(&report);
        let warmup = search.next().unwrap().warmup.as_millis();
        assert!(warmup.abs_diff(500 + pause) < 3, "{slowest} ms: {warmup} ms");
    }
    search.record(&Report::default());
    assert_eq!(search.next().unwrap().warmup, config.warmup);
    let plan = search.next().unwrap().plan(Plan { depth: 7, ..Plan::default() });
    assert_eq!((plan.depth, plan.warmup, plan.lasts()), (7, config.warmup, Some(config.probe)));
}

#[test]
fn an_overloaded_server_ends_a_probe_early() {
    let search = Search::new(Vec::new(), SearchConfig::default());
    for (seconds, replies, is_hopeless) in
        [(0.9, 0, false), (1.0, 599, true), (1.0, 601, false), (2.0, 1_100, true)]
    {
        let elapsed = Duration::from_secs_f64(seconds);
        let report = Report { elapsed, replies, ..Report::default() };
        assert_eq!(search.is_hopeless(&report, 1), is_hopeless, "{replies} in {seconds} s");
        // Each of several loops has its share.
        let report = Report { replies: replies / 2, ..report };
        assert_eq!(search.is_hopeless(&report, 2), is_hopeless, "{replies} in {seconds} s");
    }
}

#[test]
fn rates_have_four_digits() {
    for (rate, expected) in
        [(98_947.3, 98_950.0), (1.0, 1.0), (39.6123, 39.61), (1e9, 1e9), (0.123_45, 0.1235)]
    {
        assert!((rounded(rate) - expected).abs() < 1e-9 * expected, "{rate}: {}", rounded(rate));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_sharp_limit_is_found_in_few_probes(
        exponent in 1.6_f64..7.0,
        first in 10_f64..100_000.0,
    ) {
        let limit = 10_f64.powf(exponent);
        let config = SearchConfig { first, ..SearchConfig::default() };
        let search = Model { limit, ..STEP }.search(config, 1);
        let found = search.found().unwrap();
        let error = found / limit - 1.0;
        prop_assert!(error.abs() < 0.03, "{found} of {limit}: {:?}", rates(&search));
        prop_assert!(search.results().len() <= 20, "{:?}", rates(&search));
    }

    #[test]
    fn a_limit_of_latency_is_found_where_it_is(
        exponent in 3_f64..6.0,
        latency in 1e-5_f64..4e-3,
        precision in 0.005_f64..0.2,
    ) {
        let model = Model { limit: 10_f64.powf(exponent), latency, ..STEP };
        let config = SearchConfig { precision, ..SearchConfig::default() };
        let search = model.search(config, 1);
        let found = search.found().unwrap_or_else(|| panic!("{:#?}", search.results()));
        // 0.1 ms + latency / (1 - rate / limit) is 5 ms.
        let expected = model.limit * (1.0 - latency / 0.0049);
        let error = found / expected - 1.0;
        prop_assert!((-precision * 1.2..0.005).contains(&error), "{found} of {expected}");
    }

    #[test]
    fn a_search_ends_whatever_its_probes_say(seed in any::<u64>(), noise in 0.0_f64..1.0) {
        let search = Model { noise, ..STEP }.search(SearchConfig::default(), seed);
        prop_assert!(search.results().len() <= PROBES);
        if let Some(found) = search.found() {
            prop_assert!(found <= 20.3e3, "{found}");
        }
    }
}

#[test]
fn the_limits_of_the_goal_are_found_in_19_of_20_noisy_runs() {
    for limit in [2e3, 20e3, 100e3] {
        let model = Model { limit, noise: 0.05, ..STEP };
        let is_good = |seed: &u64| {
            let search = model.search(SearchConfig::default(), *seed);
            let found = search.found().unwrap_or_default();
            (found / limit - 1.0).abs() < 0.03 && search.results().len() <= 16
        };
        let good = (0..60).filter(is_good).count();
        assert!(good >= 57, "{good} of 60 at {limit}");
    }
}
