//! The search for the highest rate at which a server fulfils conditions.
//!
//! It asks for probes, which are loads in an open loop, and learns from their reports; it runs
//! nothing itself. The rate rises in large steps until a probe fails. Then the range between the
//! highest rate that has passed and the lowest that has failed is narrowed, and at last the rate
//! that was found is held for a longer time.

use std::time::Duration;

use crate::condition::Condition;
use crate::plan::{Arrival, Plan};
use crate::rate_schedule::Stage;
use crate::report::Report;

/// By how much the rate rises from step to step, and falls if the first probe fails.
const STEP: f64 = 4.0;

/// The lowest rate that is tried, whatever the conditions are, and the highest.
const LEAST: f64 = 1.0;
const MOST: f64 = 1e9;

/// A server that answers a smaller share of a rate is overloaded by it, without a doubt: if
/// something else had disturbed it for a moment, it would have caught up. One that answers much
/// less won't before the probe is over.
const OVERLOADED: f64 = 0.95;
const HOPELESS: f64 = 0.6;

/// A load generator that is busy for a greater share of its time is the limit itself.
const BUSY: f64 = 0.9;

/// While the rate rises, a smaller share of the messages is enough that a later probe needs: what
/// such a probe misses, a later one finds.
const SHARE_OF_STEPS: f64 = 0.3;

/// At low rates a probe takes at most so many times as long as others.
const LONGEST: f64 = 10.0;

/// How long a server may take to get rid of what a failed probe has left.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// No probe is ended early before this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Loads that hold the rate that was found, at most.
const HOLDS: u32 = 4;

/// The most probes. A search takes about ten.
const PROBES: usize = 40;

/// How a [`Search`] proceeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchConfig {
    /// The rate of the first probe, in messages a second.
    pub first: f64,
    /// Whether lower rates are tried, if the first fails.
    pub descends: bool,
    /// How close the result is to the lowest rate that fails, as a share of it.
    pub precision: f64,
    /// The time at the start of each probe that isn't measured, in which the rate rises from zero.
    pub warmup: Duration,
    /// How long a probe takes, or longer if a condition needs more messages.
    pub probe: Duration,
    /// How long the rate that was found is held.
    pub hold: Duration,
}

impl Default for SearchConfig {
    /// Probes of three seconds from 1,000 messages a second on, to 2 %, and a hold of ten seconds.
    fn default() -> Self {
        Self {
            first: 1_000.0,
            descends: true,
            precision: 0.02,
            warmup: Duration::from_millis(500),
            probe: Duration::from_secs(3),
            hold: Duration::from_secs(10),
        }
    }
}

/// A load that a search asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// The messages a second of all clients together.
    pub rate: f64,
    /// The time at first that isn't measured, in which the rate rises from zero. It is longer after
    /// a probe that has failed, so that the server gets rid of what that one has left.
    pub warmup: Duration,
    /// How long the rate is kept after that.
    pub lasts: Duration,
    /// Whether it holds the rate that was found.
    pub is_hold: bool,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ProbeResult {
    /// The probe.
    pub probe: Probe,
    /// Replies a second.
    pub reached: f64,
    /// The median latency; `None` if it was never reached.
    pub p50: Option<Duration>,
    /// The 99th percentile of the latency; `None` if it was never reached.
    pub p99: Option<Duration>,
    /// The share of what was tried that went wrong, from 0 to 1.
    pub errors: f64,
    /// How busy the busiest loop of the load generator was, from 0 to 1.
    pub busy: f64,
    /// Whether the rate is one that the server can take, and otherwise why not.
    pub verdict: Verdict,
}

/// What a probe says about its rate.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The rate was reached, and all conditions hold.
    Holds,
    /// The server did not keep up with the rate.
    NotReached,
    /// A condition does not hold: its number, and the value of its figure.
    Fails(usize, f64),
    /// The load generator was busy all the time, so nothing is known about the server.
    GeneratorLimit,
}

/// The search for the highest rate at which conditions hold.
#[derive(Debug, Clone)]
pub struct Search {
    conditions: Vec<Condition>,
    config: SearchConfig,
    results: Vec<ProbeResult>,
    /// The highest rate that has passed, and the lowest that counts as failed.
    passed: Option<f64>,
    failed: Option<f64>,
    /// A rate that has failed once and is to be tried again.
    again: Option<f64>,
    /// The replies a second when the server was last overloaded: near its limit, most likely.
    saturated: Option<f64>,
    /// How much longer the next probe needs until it is measured.
    pause: Duration,
    /// The loads that were to hold a rate.
    holds: u32,
    found: Option<f64>,
    is_over: bool,
}

impl Probe {
    /// The plan of this load, with clients that do what another plan says.
    #[must_use]
    pub fn plan(&self, clients: Plan) -> Plan {
        let rate = self.rate;
        Plan {
            count: None,
            duration: None,
            warmup: self.warmup,
            arrival: match clients.arrival {
                Arrival::Poisson(_) => Arrival::Poisson(rate),
                Arrival::Burst(_, size) => Arrival::Burst(rate, size),
                _ => Arrival::Constant(rate),
            },
            stages: vec![Stage::constant(self.lasts, rate)],
            ..clients
        }
    }
}

impl Search {
    /// A search for the highest rate at which all conditions hold.
    #[must_use]
    pub fn new(conditions: Vec<Condition>, config: SearchConfig) -> Self {
        Self {
            conditions,
            config,
            results: Vec::new(),
            passed: None,
            failed: None,
            again: None,
            saturated: None,
            pause: Duration::ZERO,
            holds: 0,
            found: None,
            is_over: false,
        }
    }

    /// The next load to run; `None` when the search is over.
    #[must_use]
    pub fn next(&self) -> Option<Probe> {
        if self.is_over {
            return None;
        }
        let (rate, is_hold) = match (self.again, self.passed, self.failed) {
            (Some(again), ..) => (again, self.is_holding()),
            (None, None, None) => (self.config.first, false),
            (None, Some(passed), None) if passed < MOST => ((passed * STEP).min(MOST), false),
            (None, Some(passed), None) => (passed, true),
            (None, None, Some(failed)) => (self.below(failed), false),
            (None, Some(passed), Some(_)) if self.is_holding() => (passed, true),
            (None, Some(passed), Some(failed)) => (self.between(passed, failed), false),
        };
        let (config, rate) = (&self.config, rounded(rate));
        let least = if is_hold { config.hold } else { Duration::ZERO };
        let lasts = self.length(rate).max(least);
        Some(Probe { rate, warmup: config.warmup + self.pause, lasts, is_hold })
    }

    /// Takes the report on the last load that [`next`](Self::next) has asked for.
    pub fn record(&mut self, report: &Report) {
        let Some(probe) = self.next() else { return };
        let result = self.judge(probe, report);
        self.results.push(result);
        let rate = probe.rate;
        let has_failed_before = self.again.take().is_some();
        self.holds += u32::from(probe.is_hold);
        if result.verdict == Verdict::Holds {
            self.pause = Duration::ZERO;
            self.passed = Some(rate);
            if probe.is_hold {
                (self.found, self.is_over) = (Some(rate), true);
            }
        } else {
            let (least, most) = PAUSES;
            self.pause = report.reply.max().mul_f64(1.5).clamp(least, most);
            let is_overloaded = result.reached <= OVERLOADED * rate;
            if report.rate_reached() == Some(false) {
                self.saturated = Some(result.reached);
            }
            // A lower rate is tried next, and says more than the same rate once more.
            let is_descending = self.passed.is_none() && self.failed.is_some();
            match is_overloaded || has_failed_before || is_descending {
                false => self.again = Some(rate),
                true if probe.is_hold => {
                    // It passed a shorter probe, but not this one.
                    self.failed = Some(rate);
                    self.passed = Some(rate * (1.0 - self.config.precision));
                }
                true => self.failed = Some(rate),
            }
        }
        let nothing_passes =
            self.passed.is_none() && self.failed.is_some_and(|failed| failed <= self.least());
        let gives_up = self.holds >= HOLDS || self.results.len() >= PROBES;
        self.is_over |= nothing_passes || gives_up;
    }

    /// Whether a probe fails whatever comes, by what one of several loops has to report so far.
    #[must_use]
    pub fn is_hopeless(&self, report: &Report, loops: usize) -> bool {
        let Some(probe) = self.next() else { return false };
        let due = probe.rate * report.elapsed.as_secs_f64() / loops.max(1) as f64;
        let earliest = PATIENCE.max(probe.lasts / 4);
        report.elapsed >= earliest && (report.replies as f64) < HOPELESS * due
    }

    /// The probes so far.
    #[must_use]
    pub fn results(&self) -> &[ProbeResult] {
        &self.results
    }

    /// The conditions that have to hold.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The highest rate that was held; `None` if none was, or if the search isn't over.
    #[must_use]
    pub fn found(&self) -> Option<f64> {
        self.found
    }

    /// The range of the limit: the highest rate that has passed, and the probe at the lowest rate
    /// that has failed.
    #[must_use]
    pub fn range(&self) -> (Option<f64>, Option<&ProbeResult>) {
        let lowest = |result: &&ProbeResult| {
            result.verdict != Verdict::Holds
                && self.failed.is_some_and(|failed| failed <= result.probe.rate)
        };
        let failed = self.results.iter().filter(lowest);
        let failed = failed.min_by(|one, other| one.probe.rate.total_cmp(&other.probe.rate));
        (self.passed, failed)
    }

    /// Whether the limit was narrowed down to a rate, which is held next.
    fn is_holding(&self) -> bool {
        let (Some(passed), Some(failed)) = (self.passed, self.failed) else { return false };
        failed / passed <= 1.0 + self.config.precision * 1.01 || self.holds > 0
    }

    /// The rate below which none is tried: there, even the longest probe would have too few
    /// messages to judge by.
    fn least(&self) -> f64 {
        let longest = self.config.probe.as_secs_f64() * LONGEST;
        let least = (self.messages() / longest).max(LEAST);
        if self.config.descends { least.min(self.config.first) } else { self.config.first }
    }

    /// The messages that the conditions need.
    fn messages(&self) -> f64 {
        self.conditions.iter().map(Condition::messages).fold(0.0, f64::max)
    }

    /// A rate to try when all have failed so far.
    fn below(&self, failed: f64) -> f64 {
        let near = self.saturated.map(|rate| rate * (1.0 - self.config.precision / 2.0));
        let is_new = |rate: &f64| (failed / STEP / STEP..failed / self.apart()).contains(rate);
        let near = near.filter(is_new);
        near.unwrap_or(failed / STEP).max(self.least())
    }

    /// A rate to try between one that has passed and one that has failed: closely below or above
    /// what the server answered when it was overloaded, or else the geometric mean.
    fn between(&self, passed: f64, failed: f64) -> f64 {
        let step = self.config.precision / 2.0;
        let near = [-step, step, 4.0 * step].map(|step| Some(self.saturated? * (1.0 + step)));
        let is_new = |rate: &f64| (passed * self.apart()..failed / self.apart()).contains(rate);
        near.into_iter().flatten().find(is_new).unwrap_or_else(|| (passed * failed).sqrt())
    }

    /// By which factor a rate has to differ from another, for a probe of it to say more.
    fn apart(&self) -> f64 {
        1.0 + self.config.precision / 4.0
    }

    /// How long a probe takes at this rate, so that it has the messages that the conditions need.
    fn length(&self, rate: f64) -> Duration {
        let is_step = self.failed.is_none();
        let needed = self.messages() * if is_step { SHARE_OF_STEPS } else { 1.0 };
        let usual = self.config.probe.as_secs_f64();
        Duration::from_secs_f64((needed / rate).clamp(usual, usual * LONGEST))
    }

    fn judge(&self, probe: Probe, report: &Report) -> ProbeResult {
        let busy = report.busy.iter().copied().fold(0.0, f64::max);
        let failing = (0..).zip(&self.conditions).find(|(_, condition)| !condition.holds(report));
        let is_reached = report.rate_reached() != Some(false);
        let verdict = match failing {
            None if is_reached => Verdict::Holds,
            _ if busy > BUSY => Verdict::GeneratorLimit,
            _ if !is_reached => Verdict::NotReached,
            Some((number, condition)) => Verdict::Fails(number, condition.figure.of(report)),
            None => Verdict::NotReached,
        };
        ProbeResult {
            probe,
            reached: report.replies as f64 / report.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
            p50: report.reply_within(0.5),
            p99: report.reply_within(0.99),
            errors: 1.0 - report.success_rate(),
            busy,
            verdict,
        }
    }
}

/// A rate in four digits, which is exact enough and easier to read.
fn rounded(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 3.0);
    if unit < 1.0 {
        (rate / unit).round() / unit.recip().round()
    } else {
        (rate / unit).round() * unit
    }
}

#[cfg(test)]
mod tests;
