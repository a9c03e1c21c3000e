//! What a search for the highest rate has tried.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_load::{ProbeResult, Search, Verdict};
use serde::{Deserialize, Serialize};

use crate::text::shown;

/// What the search for the highest rate has tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ladder {
    /// The conditions that had to hold, as they were given.
    pub conditions: Vec<String>,
    /// The highest rate at which they held; null if they never did.
    pub found: Option<f64>,
    /// Each probe, in order.
    pub probes: Vec<ProbeRecord>,
}

/// One probe of a search.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProbeRecord {
    /// Messages per second that were asked for.
    pub rate_asked: f64,
    /// Replies per second.
    pub rate_reached: f64,
    /// The median latency; null if it was never reached.
    pub p50: Option<f64>,
    /// The 99th percentile of the latency; null if it was never reached.
    pub p99: Option<f64>,
    /// The share of messages that failed, from 0 to 1.
    pub errors: f64,
    /// The share of its time that the load generator was busy, from 0 to 1.
    pub load_busy: f64,
    /// Whether all conditions held.
    pub passed: bool,
    /// Whether the probe held the rate that had been found.
    #[serde(default)]
    pub hold: bool,
    /// Why it failed, or nothing.
    #[serde(default)]
    pub verdict: String,
}

impl Ladder {
    /// What a search with these conditions, as they were given, has tried so far.
    #[must_use]
    pub fn new(search: &Search, conditions: &[&str]) -> Self {
        Self {
            conditions: conditions.iter().map(|&condition| condition.to_owned()).collect(),
            found: search.found(),
            probes: search
                .results()
                .iter()
                .map(|result| ProbeRecord::new(result, search, conditions))
                .collect(),
        }
    }

    /// The result in a few words.
    #[must_use]
    pub fn conclusion(&self) -> String {
        let passed = self.probes.iter().filter(|probe| probe.passed);
        let passed = passed.map(|probe| probe.rate_asked).fold(0.0, f64::max);
        let reached = self.found.unwrap_or(passed);
        let failed = self.probes.iter().filter(|probe| !probe.passed && probe.rate_asked > reached);
        let failed = failed.min_by(|one, other| one.rate_asked.total_cmp(&other.rate_asked));
        let limit = failed.map_or_else(String::new, |probe| {
            format!("; {} failed: {}", per_second(probe.rate_asked), probe.verdict)
        });
        let was_held = self.probes.iter().any(|probe| probe.hold);
        match self.found {
            Some(found) if failed.is_some_and(|probe| probe.verdict == GENERATOR_LIMIT) => {
                format!("at least {}{limit}", per_second(found))
            }
            Some(found) => format!("{}{limit}", per_second(found)),
            None if passed > 0.0 && was_held => {
                format!("{} passed a probe and could not be held{limit}", per_second(passed))
            }
            None if passed > 0.0 => {
                format!("the search ended early: {} passed{limit}", per_second(passed))
            }
            None if self.probes.is_empty() => "the search ended before the first probe".to_owned(),
            None => format!("no rate passed{limit}"),
        }
    }

    /// The result as text for people, and the probes if they are to be shown.
    #[must_use]
    pub fn text(&self, with_probes: bool) -> String {
        let mut out = String::from("Search:\n");
        let lines = self.probes.iter().map(ProbeRecord::line).filter(|_| with_probes);
        let head = with_probes.then(|| ProbeRecord::HEAD.to_owned());
        for line in head.into_iter().chain(lines) {
            // Writing to a string succeeds.
            let _ = writeln!(out, "  {line}");
        }
        let _ = writeln!(out, "  Conditions:   {}", self.conditions.join(", "));
        let _ = writeln!(out, "  Highest rate: {}\n", self.conclusion());
        out
    }
}

/// The verdict on a probe that says nothing about the server.
const GENERATOR_LIMIT: &str = "the load generator was the limit, not the server";

impl ProbeRecord {
    /// The names of what [`line`](Self::line) has.
    pub const HEAD: &str = "   asked/s  reached/s         p50         p99   errors  busy  verdict";

    fn new(result: &ProbeResult, search: &Search, conditions: &[&str]) -> Self {
        Self {
            rate_asked: result.probe.rate,
            rate_reached: result.reached,
            p50: result.p50.map(|latency| latency.as_secs_f64()),
            p99: result.p99.map(|latency| latency.as_secs_f64()),
            errors: result.errors,
            load_busy: result.busy,
            passed: result.verdict == Verdict::Holds,
            hold: result.probe.is_hold,
            verdict: match result.verdict {
                Verdict::Holds => String::new(),
                Verdict::NotReached => "the rate was not reached".to_owned(),
                Verdict::GeneratorLimit => GENERATOR_LIMIT.to_owned(),
                Verdict::Fails(number, value) => {
                    let text = conditions.get(number).copied().unwrap_or_default();
                    let figure = search.conditions().get(number).map(|each| each.figure);
                    let value = figure.map_or_else(String::new, |figure| figure.shown(value));
                    format!("{text} does not hold: it is {value}")
                }
                _ => "failed".to_owned(),
            },
        }
    }

    /// The probe in one line, for people.
    #[must_use]
    pub fn line(&self) -> String {
        let shown = |seconds| shown(Duration::from_secs_f64(seconds));
        let latency = |at: Option<f64>| at.map_or_else(|| "never".to_owned(), shown);
        let verdict = match (self.passed, self.hold) {
            (true, true) => "held",
            (true, false) => "passed",
            (false, _) => &self.verdict,
        };
        format!(
            "{:>10}  {:>9}  {:>10}  {:>10}  {:>6.2}%  {:>3.0}%  {verdict}",
            number(self.rate_asked),
            number(self.rate_reached),
            latency(self.p50),
            latency(self.p99),
            self.errors * 100.0,
            self.load_busy * 100.0,
        )
    }
}

fn per_second(rate: f64) -> String {
    format!("{} messages per second", number(rate))
}

/// A rate, with digits behind the point where they make a difference.
fn number(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.2}") } else { format!("{rate:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(rate_asked: f64, passed: bool) -> ProbeRecord {
        let verdict = if passed { "" } else { "p99<5ms does not hold: it is 8.000 ms" };
        let verdict = verdict.to_owned();
        ProbeRecord { rate_asked, passed, verdict, ..ProbeRecord::default() }
    }

    #[test]
    fn the_conclusion_says_what_is_known_of_the_limit() {
        let ladder = |found, probes| Ladder { found, probes, ..Ladder::default() };
        let hold = |probe| ProbeRecord { hold: true, ..probe };
        let busy = ProbeRecord { verdict: GENERATOR_LIMIT.to_owned(), ..probe(4e3, false) };
        for (ladder, expected) in [
            (
                ladder(Some(1e3), vec![probe(4e3, false), probe(1e3, true), probe(1.02e3, false)]),
                "1000 messages per second; 1020 messages per second failed: p99<5ms does not hold: \
                 it is 8.000 ms",
            ),
            (ladder(None, vec![]), "the search ended before the first probe"),
            // One that has failed by chance below the limit says nothing.
            (
                ladder(Some(2e3), vec![probe(1e3, false), probe(2e3, true)]),
                "2000 messages per second",
            ),
            (
                ladder(Some(1e3), vec![probe(1e3, true), busy]),
                "at least 1000 messages per second; 4000 messages per second failed: the load \
                 generator was the limit, not the server",
            ),
            (
                ladder(None, vec![probe(1e3, true), hold(probe(1e3, false))]),
                "1000 messages per second passed a probe and could not be held",
            ),
            (
                ladder(None, vec![probe(1e3, true)]),
                "the search ended early: 1000 messages per second passed",
            ),
            (
                ladder(None, vec![probe(4.0, false), probe(1.0, false)]),
                "no rate passed; 1.00 messages per second failed: p99<5ms does not hold: it is \
                 8.000 ms",
            ),
        ] {
            assert_eq!(ladder.conclusion(), expected);
        }
    }

    #[test]
    fn a_probe_is_shown_in_its_columns() {
        let slow = ProbeRecord {
            rate_asked: 98_950.0,
            rate_reached: 97_000.4,
            p50: Some(0.000_123),
            errors: 0.015,
            load_busy: 0.5,
            ..probe(0.0, false)
        };
        let lines = [
            ProbeRecord::HEAD.to_owned(),
            slow.line(),
            ProbeRecord { hold: true, p99: Some(1.5), ..probe(39.61, true) }.line(),
        ];
        let expected = [
            "   asked/s  reached/s         p50         p99   errors  busy  verdict",
            "     98950      97000    123.0 µs       never    1.50%   50%  p99<5ms does not hold: \
             it is 8.000 ms",
            "     39.61       0.00       never     1.500 s    0.00%    0%  held",
        ];
        assert_eq!(lines, expected);
    }
}
