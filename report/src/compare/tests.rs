//! Runs whose difference is known.

use countersign_load::FailureKind;
use serde_json::json;

use super::*;
use crate::parameters::Parameters;

/// Numbers between 0 and 1 that look random.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }
}

/// A run of so many intervals, whose latency is that much slower, with some noise.
fn run(seed: u64, intervals: usize, slower: f64) -> Report {
    let mut noise = Noise(seed);
    let mut report = Report::default();
    let intervals = (0..intervals).map(|_| {
        let factor = slower * (1.0 + 0.02 * (noise.next() - 0.5));
        let mut interval = Interval::default();
        interval.length = Duration::from_secs(1);
        interval.answered = Duration::from_secs_f64(20_000e-9 / factor).subsec_nanos().into();
        let nanos = |times: f64| Duration::from_secs_f64(factor * times / 1e3).subsec_nanos();
        let counts = [(nanos(1.0).into(), interval.answered - 500), (nanos(3.0).into(), 500)];
        interval.reply = counts.into_iter().collect();
        report.answered += interval.answered;
        interval
    });
    let intervals = Intervals::new(Duration::from_secs(1), intervals.collect());
    report.intervals = intervals;
    report.busy = vec![0.5];
    report
}

fn saved(report: &Report) -> SavedReport {
    SavedReport::new(report, Parameters::from_iter([("pipeline", json!(16))]))
}

fn compare(one: &Report, other: &Report) -> Comparison {
    Comparison::new([&saved(one), &saved(other)], Strictness::default()).unwrap()
}

fn verdict<'c>(comparison: &'c Comparison, name: &str) -> &'c Difference {
    &comparison.rows.iter().find(|row| row.name == name).unwrap().verdict
}

#[test]
fn runs_of_the_same_are_within_noise_and_slower_ones_are_worse() {
    let mut different = 0;
    for seed in 0..6 {
        let comparison = compare(&run(seed, 10, 1.0), &run(seed + 100, 10, 1.0));
        let is_noise =
            |row: &ComparisonRow| !matches!(row.verdict, Difference::Better | Difference::Worse);
        different += usize::from(!comparison.rows.iter().all(is_noise));
        assert!(comparison.is_judged());

        let slower = compare(&run(seed, 10, 1.0), &run(seed + 100, 10, 1.05));
        assert!(slower.is_worse(), "{}", slower.text(["a", "b"]));
        assert_eq!(*verdict(&slower, "p50"), Difference::Worse);
        assert_eq!(*verdict(&slower, "Replies/s"), Difference::Worse);
        let faster = compare(&run(seed, 10, 1.05), &run(seed + 100, 10, 1.0));
        assert!(!faster.is_worse(), "{}", faster.text(["a", "b"]));
        assert_eq!(*verdict(&faster, "p50"), Difference::Better);
    }
    assert!(different == 0, "{different} of 6");
}

/// How many of a hundred pairs of runs are called different, of which the second is that much
/// slower. A run has noise of its own, neighbouring intervals are alike, and each interval has
/// noise: of half a percent, and of two percent.
fn different_of_100(intervals: u32, slower: f64) -> usize {
    let mut noise = Noise(9527);
    let mut run = |slower: f64| -> Vec<Interval> {
        let mut normal = || (0..12).map(|_| noise.next()).sum::<f64>() - 6.0;
        let (of_run, mut before) = (0.005 * normal(), 0.0);
        let interval = |_| {
            before = 0.4 * before + 0.02 * normal();
            let factor = slower * (1.0 + of_run + before).max(0.5);
            let answered = Duration::from_secs_f64(20_000e-9 / factor).subsec_nanos();
            let nanos = |times: f64| Duration::from_secs_f64(factor * times / 1e3).subsec_nanos();
            let tail = nanos(3.0 + normal() / 2.0).into();
            let mut interval = Interval::default();
            interval.length = Duration::from_secs(1);
            interval.answered = answered.into();
            let most = interval.answered - 500;
            interval.reply = [(nanos(1.0).into(), most), (tail, 500)].into_iter().collect();
            interval
        };
        (0..intervals).map(interval).collect()
    };
    let is_different = |_: &i32| {
        let runs = [run(1.0), run(slower)];
        let runs = runs.each_ref().map(|run| run.iter().collect());
        let rows = judged(over_time(&runs).collect(), Strictness::default());
        rows.iter().any(|row| matches!(row.verdict, Difference::Better | Difference::Worse))
    };
    (0..100).filter(is_different).count()
}

#[test]
fn of_a_hundred_pairs_at_most_five_verdicts_are_wrong() {
    for intervals in [29, 59] {
        let [same, slower] = [1.0, 1.05].map(|slower| different_of_100(intervals, slower));
        assert!(same <= 5 && slower >= 95, "{intervals} intervals: {same} and {slower}");
    }
}

#[test]
fn a_run_that_differs_from_itself_shows_no_difference() {
    let mut drifting = run(1, 10, 1.0);
    let later = run(2, 10, 1.1);
    let halves = drifting.intervals.iter().take(5).chain(later.intervals.iter().take(5));
    let halves = halves.map(|(_, interval)| interval.clone()).collect();
    drifting.intervals = Intervals::new(Duration::from_secs(1), halves);
    let comparison = compare(&run(3, 10, 1.1), &drifting);
    assert_eq!(*verdict(&comparison, "Replies/s"), Difference::WithinNoise);
}

#[test]
fn a_large_change_that_may_be_chance_is_too_variable_to_tell() {
    // Of four intervals, so many are three times as slow as the others.
    let of_two = |seed: u64, slow: usize| {
        let [mut mixed, slower] =
            [(seed, 1.0), (seed + 1, 3.0)].map(|(seed, by)| run(seed, 10, by));
        let all = |of: &Report| of.intervals.iter().map(|(_, it)| it.clone()).collect::<Vec<_>>();
        let mut intervals = all(&mixed);
        for (at, interval) in all(&slower).into_iter().enumerate().filter(|(at, _)| at % 4 < slow) {
            intervals[at] = interval;
        }
        mixed.intervals = Intervals::new(Duration::from_secs(1), intervals);
        mixed
    };
    let comparison = compare(&of_two(1, 2), &of_two(5, 1));
    assert_eq!(*verdict(&comparison, "Replies/s"), Difference::TooVariable);
    assert!(!comparison.is_worse());
    let text = comparison.text(["a", "b"]);
    assert!(text.contains("Verdict: too variable to tell in Replies/s, "), "{text}");
    let strictness = Strictness { threshold: 9.0, ..Strictness::default() };
    let saved = [saved(&of_two(1, 2)), saved(&of_two(5, 1))];
    let comparison = Comparison::new([&saved[0], &saved[1]], strictness).unwrap();
    assert_eq!(*verdict(&comparison, "Replies/s"), Difference::WithinNoise);
}

#[test]
fn a_change_that_is_too_small_does_not_count() {
    let (one, other) = (run(1, 200, 1.0), run(2, 200, 1.01));
    let row = compare(&one, &other).rows.remove(0);
    assert!(row.p.unwrap() < 0.001 && row.verdict == Difference::WithinNoise, "{row:?}");
    let strictness = Strictness { threshold: 0.005, ..Strictness::default() };
    let comparison = Comparison::new([&saved(&one), &saved(&other)], strictness).unwrap();
    assert_eq!(*verdict(&comparison, "Replies/s"), Difference::Worse);
}

#[test]
fn what_can_not_be_judged_is_told() {
    let mut short = run(1, 7, 1.0);
    short.busy = vec![0.95];
    let comparison = compare(&short, &run(2, 10, 1.5));
    assert!(!comparison.is_judged() && !comparison.is_worse());
    let text = comparison.text(["before.json", "after.json"]);
    for expected in [
        "A: before.json (6 intervals of 1 s)\n",
        "Verdict: too few intervals to tell\n",
        "Warning: A has 6 intervals to compare, besides the first one, and 7 are needed;",
        "Warning: in A, the load generator was the limit, not the server.\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
    }
    let comparison = compare(&Report::default(), &Report::default());
    assert!(!comparison.is_judged() && !comparison.is_worse());
    // Of ten thousand replies, one is above p99.99, and here are fewer.
    let mut few = run(1, 10, 1.0);
    let intervals = few.intervals.iter().map(|(_, each)| {
        let mut each = each.clone();
        each.reply = [(1_000_000, 5_000)].into_iter().collect();
        each
    });
    few.intervals = Intervals::new(Duration::from_secs(1), intervals.collect());
    let comparison = compare(&few, &few);
    assert_eq!(*verdict(&comparison, "p99.9"), Difference::WithinNoise);
    assert!(matches!(verdict(&comparison, "p99.99"), Difference::NotJudged(_)));
}

#[test]
fn more_errors_are_worse_and_a_lost_connection_is_one() {
    let one = run(1, 10, 1.0);
    for (failed, expected) in [(16, Difference::WithinNoise), (1_600, Difference::Worse)] {
        let mut other = run(2, 10, 1.0);
        other.failures.add(FailureKind::Closed, failed);
        assert_eq!(*verdict(&compare(&one, &other), "Errors"), expected);
    }
}

#[test]
fn intervals_are_compared_at_the_same_length() {
    let one = run(1, 40, 1.0);
    let mut other = run(2, 40, 1.0);
    other.intervals.double();
    let comparison = compare(&one, &other);
    assert_eq!((comparison.intervals, comparison.interval.as_secs()), ([19, 19], 2));
    assert!(!comparison.is_worse());
}

#[test]
fn parameters_that_differ_are_told() {
    let report = run(1, 10, 1.0);
    let of = |records: &str, start: u64| {
        let parameters = [("start", json!(start)), ("records", json!(records))];
        SavedReport::new(&report, Parameters::from_iter(parameters))
    };
    let [one, other] = [of("off", 1), of("required", 2)];
    let comparison = Comparison::new([&one, &other], Strictness::default()).unwrap();
    let expected = [("records".to_owned(), ["off".to_owned(), "required".to_owned()])];
    assert_eq!(comparison.parameters, expected);
    let text = comparison.text(["a", "b"]);
    assert!(text.contains("  records               off / required\n"), "{text}");
    assert!(text.contains("Verdict: within noise\n"), "{text}");
}
