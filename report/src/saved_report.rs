//! The report on a load in JSON, both ways.

use countersign_load::{Intervals, Latencies, Report, Stage};
use serde::{Deserialize, Serialize};

use crate::error::{COUNT_MAX, SECONDS_MAX, SavedReportError, VERSION};
use crate::figures::{Counts, Percentiles, counts, duration, failures, percentiles, seconds};
use crate::histogram::{decode, encode};
use crate::interval_record::{IntervalRecord, interval_records};
use crate::ladder::Ladder;
use crate::parameters::Parameters;
use crate::server_load::ServerLoad;
use crate::text::{BARS, PERCENTILES, mean};

/// The most intervals that are read. A load writes 300 at most.
const INTERVALS_MAX: usize = 10_000;

/// The most threads that are read. A load has 1,024 at most, and several machines can be merged.
const THREADS_MAX: usize = 16_384;

/// The results of a load, as `countersign load --output json` writes them. Times are in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SavedReport {
    /// The version of this form: [`VERSION`](Self::VERSION). Fields are added without a new one.
    pub schema_version: u64,
    /// When the measurement began, after the warm-up: seconds since 1970.
    pub start_time: f64,
    /// The figures of the whole run.
    pub summary: Summary,
    /// Replies by their latency, in ten equal steps: the upper end of each step, and its count.
    pub response_time_histogram: Counts,
    /// Of the messages that were due, from when they were due until the reply.
    pub latency_percentiles: Percentiles,
    /// The same of the first reply on each connection.
    pub first_reply_percentiles: Percentiles,
    /// From dialling until the connection was established.
    pub connect_percentiles: Percentiles,
    /// From then until the handshake was completed.
    pub handshake_percentiles: Percentiles,
    /// Messages that failed, by the kind of failure.
    pub error_distribution: Counts,
    /// Connections that failed or were lost, by the kind of failure.
    pub connection_errors: Counts,
    /// How long each interval is; the last may be shorter.
    #[serde(default)]
    pub interval_seconds: f64,
    /// The run over time, in intervals that follow each other.
    #[serde(default)]
    pub intervals: Vec<IntervalRecord>,
    /// What the search for the highest rate has tried, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
    /// All latencies, by which reports can be merged.
    pub histograms: Histograms,
    /// How the load can be repeated.
    pub parameters: Parameters,
}

/// The figures of a whole run, of which the first six have the keys of oha.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Summary {
    /// The share of what was tried that went right, from 0 to 1.
    pub success_rate: f64,
    /// How long the load took.
    pub total: f64,
    /// The longest latency of a reply.
    pub slowest: Option<f64>,
    /// The shortest latency of a reply.
    pub fastest: Option<f64>,
    /// The mean latency of the replies.
    pub average: Option<f64>,
    /// Replies per second.
    pub requests_per_sec: f64,
    /// Messages per second that an open loop was to send.
    pub requested_rate: Option<f64>,
    /// Whether an open loop has reached that rate.
    pub rate_reached: Option<bool>,
    /// How far an open loop was behind its schedule at the end.
    pub seconds_behind: Option<f64>,
    /// Messages that were due: `answered + failed + aborted + neverSent`.
    pub due: u64,
    /// Messages that were answered correctly.
    pub answered: u64,
    /// Messages that failed.
    pub failed: u64,
    /// Messages in flight when the load ended.
    pub aborted: u64,
    /// Messages that were due and not sent when the load ended.
    pub never_sent: u64,
    /// Aborted and unsent messages that count as never answered.
    pub overdue: u64,
    /// Handshakes that were completed.
    pub connected: u64,
    /// Connections that were open when the measurement began.
    #[serde(default)]
    pub open_before: u64,
    /// Connections that were lost and had no message in flight.
    #[serde(default)]
    pub lost_without_message: u64,
    /// Bytes that were sent.
    pub bytes_sent: u64,
    /// Bytes that were received.
    pub bytes_received: u64,
    /// The share of its time that the load generator was busy, from 0 to 1.
    pub load_busy: f64,
    /// The same of each thread.
    pub load_busy_threads: Vec<f64>,
    /// How many cores the server has used on average, if its metrics were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_busy: Option<f64>,
}

/// Latencies in nanoseconds as HdrHistogram's libraries read them: version 2 of its format,
/// compressed, in Base64. Nothing stands for none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Histograms {
    /// Of all replies.
    pub reply: String,
    /// Of the first reply on each connection.
    pub first_reply: String,
    /// From dialling until the connection was established.
    pub connect: String,
    /// From then until the handshake was completed.
    pub handshake: String,
    /// How long messages without a reply had waited at the end.
    pub waiting: String,
    /// The same of those that count as never answered.
    pub overdue: String,
}

impl SavedReport {
    /// The version of the form that this program writes, and the only one that it reads.
    pub const VERSION: u64 = VERSION;

    /// The report on a load with these parameters.
    #[must_use]
    pub fn new(report: &Report, parameters: Parameters) -> Self {
        let bars = report.reply.bars(BARS).into_iter();
        Self {
            schema_version: Self::VERSION,
            start_time: seconds(report.start),
            summary: Summary::new(report),
            response_time_histogram: bars
                .map(|(end, count)| (seconds(end).to_string(), count))
                .collect(),
            latency_percentiles: percentiles(&PERCENTILES, |share| report.reply_within(share)),
            first_reply_percentiles: recorded(&report.first_reply),
            connect_percentiles: recorded(&report.connect),
            handshake_percentiles: recorded(&report.handshake),
            error_distribution: counts(&report.failures),
            connection_errors: counts(&report.connection_failures),
            interval_seconds: seconds(report.intervals.length()),
            intervals: interval_records(report),
            ladder: None,
            histograms: Histograms {
                reply: encode(report.reply.recorded()),
                first_reply: encode(report.first_reply.recorded()),
                connect: encode(report.connect.recorded()),
                handshake: encode(report.handshake.recorded()),
                waiting: encode(report.waiting.recorded()),
                overdue: encode(report.overdue.recorded()),
            },
            parameters,
        }
    }

    /// Notes what the stages of an open loop asked for in each interval.
    pub fn set_stages(&mut self, stages: &[Stage]) {
        for interval in &mut self.intervals {
            let (start, length) = (duration(interval.start), duration(interval.duration));
            interval.requested_rate = Stage::mean_rate(stages, start, start + length);
        }
    }

    /// Notes how many cores the server has used in each interval.
    pub fn set_server_load(&mut self, server: &ServerLoad) {
        for interval in &mut self.intervals {
            let from = self.start_time + interval.start;
            interval.server_busy = server.cores(from, from + interval.duration);
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    ///
    /// It is not such a report, or of another version, or it has figures that no load can have.
    pub fn from_json(text: &str) -> Result<Self, SavedReportError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            schema_version: u64,
        }
        let Versioned { schema_version } =
            serde_json::from_str(text).map_err(SavedReportError::Json)?;
        match schema_version {
            Self::VERSION => {
                let saved: Self = serde_json::from_str(text).map_err(SavedReportError::Json)?;
                saved.check().map(|()| saved)
            }
            other => Err(SavedReportError::Version(other)),
        }
    }

    /// Checks that all figures can be added to those of other reports.
    fn check(&self) -> Result<(), SavedReportError> {
        let is_time = |seconds: f64| (0.0..=SECONDS_MAX).contains(&seconds);
        let are_counts = |counts: &Counts| counts.values().all(|count| *count <= COUNT_MAX);
        let summary = &self.summary;
        let possible = [
            ("startTime", is_time(self.start_time)),
            ("total", is_time(summary.total)),
            ("secondsBehind", is_time(summary.seconds_behind.unwrap_or_default())),
            ("intervalSeconds", is_time(self.interval_seconds)),
            // Intervals without a length can't be made as long as others.
            ("intervalSeconds", self.intervals.is_empty() || self.interval_seconds >= 1e-9),
            ("number of intervals", self.intervals.len() <= INTERVALS_MAX),
            ("number of loadBusyThreads", summary.load_busy_threads.len() <= THREADS_MAX),
            ("loadBusyThreads", summary.load_busy_threads.iter().all(|share| is_time(*share))),
            ("errorDistribution", are_counts(&self.error_distribution)),
            ("connectionErrors", are_counts(&self.connection_errors)),
            ("due", summary.due <= COUNT_MAX),
            ("answered", summary.answered <= COUNT_MAX),
            ("aborted", summary.aborted <= COUNT_MAX),
            ("neverSent", summary.never_sent <= COUNT_MAX),
            ("connected", summary.connected <= COUNT_MAX),
            ("openBefore", summary.open_before <= COUNT_MAX),
            ("serverBusy", is_time(summary.server_busy.unwrap_or_default())),
            ("lostWithoutMessage", summary.lost_without_message <= COUNT_MAX),
            ("bytesSent", summary.bytes_sent <= COUNT_MAX),
            ("bytesReceived", summary.bytes_received <= COUNT_MAX),
            ("interval", self.intervals.iter().all(IntervalRecord::is_possible)),
        ];
        match possible.iter().find(|(_, is_possible)| !is_possible) {
            Some((name, _)) => Err(SavedReportError::Figure(name)),
            None => Ok(()),
        }
    }

    /// The report in JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        // It has no maps with keys that aren't text, so it can be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The report that this one was made of, without the address of the server. Times are
    /// exact to the nanosecond, latencies to three digits.
    ///
    /// # Errors
    ///
    /// A histogram is damaged, or a kind of failure is unknown.
    pub fn to_report(&self) -> Result<Report, SavedReportError> {
        let summary = &self.summary;
        let read = |name, text: &str| decode(text).ok_or(SavedReportError::Histogram(name));
        let mut report = Report::default();
        report.start = duration(self.start_time);
        report.elapsed = duration(summary.total);
        report.due = summary.due;
        report.answered = summary.answered;
        report.aborted = summary.aborted;
        report.unsent = summary.never_sent;
        report.connected = summary.connected;
        report.open_before = summary.open_before;
        report.bytes_out = summary.bytes_sent;
        report.bytes_in = summary.bytes_received;
        report.busy.clone_from(&summary.load_busy_threads);
        report.server_busy = summary.server_busy;
        report.rate_asked = summary.requested_rate;
        report.behind = duration(summary.seconds_behind.unwrap_or_default());
        let intervals: Result<_, _> =
            self.intervals.iter().map(|each| each.to_interval(report.busy.len().max(1))).collect();
        report.intervals = Intervals::new(duration(self.interval_seconds), intervals?);
        report.failures = failures(&self.error_distribution)?;
        report.connection_failures = failures(&self.connection_errors)?;
        report.lost_without_message = summary.lost_without_message;
        report.reply = read("reply", &self.histograms.reply)?;
        report.first_reply = read("firstReply", &self.histograms.first_reply)?;
        report.connect = read("connect", &self.histograms.connect)?;
        report.handshake = read("handshake", &self.histograms.handshake)?;
        report.waiting = read("waiting", &self.histograms.waiting)?;
        report.overdue = read("overdue", &self.histograms.overdue)?;
        Ok(report)
    }
}

impl Summary {
    fn new(report: &Report) -> Self {
        let replies = |latency| (report.reply.count() > 0).then(|| seconds(latency));
        Self {
            success_rate: report.success_rate(),
            total: seconds(report.elapsed),
            slowest: replies(report.reply.max()),
            fastest: replies(report.reply.min()),
            average: replies(report.reply.mean()),
            requests_per_sec: report.per_second(),
            requested_rate: report.rate_asked,
            rate_reached: report.rate_reached(),
            seconds_behind: report.rate_asked.map(|_| seconds(report.behind)),
            due: report.due,
            answered: report.answered,
            failed: report.failed(),
            aborted: report.aborted,
            never_sent: report.unsent,
            overdue: report.overdue(),
            connected: report.connected,
            open_before: report.open_before,
            lost_without_message: report.lost_without_message,
            bytes_sent: report.bytes_out,
            bytes_received: report.bytes_in,
            load_busy: mean(&report.busy),
            load_busy_threads: report.busy.clone(),
            server_busy: report.server_busy,
        }
    }
}

fn recorded(latencies: &Latencies) -> Percentiles {
    percentiles(&PERCENTILES, |share| (latencies.count() > 0).then(|| latencies.at(share)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use countersign_load::{FailureKind, Interval};

    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.start = Duration::from_millis(1_800_000_000_123);
        report.elapsed = Duration::from_millis(9_999);
        (report.due, report.answered, report.aborted, report.unsent) = (1_010, 1_000, 4, 3);
        (report.connected, report.bytes_out, report.bytes_in) = (50, 1 << 40, 1 << 41);
        report.reply.extend([(20_000, 900), (1_000_000, 99), (900_000_000_000, 1)]);
        report.waiting.record_many(30_000_000_000, 2);
        report.overdue.record_many(40_000_000_000, 1);
        report.failures.add(FailureKind::Closed, 3);
        report.connection_failures.add(FailureKind::Reset, 2);
        report.lost_without_message = 1;
        report.busy = vec![0.25, 0.5];
        (report.server_busy, report.open_before) = (Some(1.5), 50);
        report.rate_asked = Some(1e4);
        report.behind = Duration::from_millis(20);
        let mut interval = Interval::default();
        interval.length = Duration::from_millis(1_500);
        (interval.sent, interval.answered, interval.connected) = (12, 10, 2);
        (interval.bytes_out, interval.bytes_in, interval.connections_lost) = (1, 2, 3);
        interval.failures.add(FailureKind::Busy, 3);
        interval.busy = Duration::from_micros(300);
        interval.reply = [(20_479, 9), (1_000_447, 1)].into_iter().collect();
        report.intervals = Intervals::new(Duration::from_secs(2), vec![interval; 2]);
        report
    }

    #[test]
    fn a_document_is_read_back_as_it_was_written_and_is_the_same_report() {
        for report in [report(), Report::default()] {
            let parameters = Parameters::from_iter([("size", 32.into())]);
            let document = SavedReport::new(&report, parameters.clone());
            let read = SavedReport::from_json(&document.to_json()).unwrap();
            assert_eq!(read, document);
            let again = SavedReport::new(&read.to_report().unwrap(), parameters);
            assert_eq!(again.to_json(), document.to_json());
            assert_eq!(read.to_report().unwrap().intervals, report.intervals);
        }
    }

    /// Others read the file, so a change of it has to be one that is meant.
    #[test]
    fn the_schema_is_the_one_that_is_shipped() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/load.schema.json");
        let schema = schemars::schema_for!(SavedReport);
        let schema = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let shipped = std::fs::read_to_string(path).unwrap();
        assert_eq!(shipped, schema, "run the test with COUNTERSIGN_BLESS=1 if that is meant");
    }

    #[test]
    fn a_document_has_the_keys_of_oha() {
        let json = SavedReport::new(&report(), Parameters::default()).to_json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        for name in ["successRate", "total", "slowest", "fastest", "average", "requestsPerSec"] {
            assert!(json["summary"][name].is_f64(), "{name}: {json}");
        }
        assert_eq!(json["errorDistribution"]["closed"], 3);
        assert!(json["latencyPercentiles"]["p50"].is_f64());
        assert_eq!(json["responseTimeHistogram"].as_object().unwrap().len(), 10);
        let json = SavedReport::new(&Report::default(), Parameters::default()).to_json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["summary"]["answered"], 0);
        assert!(json["latencyPercentiles"]["p99.99"].is_null());
        assert!(json["summary"]["slowest"].is_null());
    }

    #[test]
    fn what_is_no_document_is_refused_with_the_reason() {
        let document = SavedReport::new(&report(), Parameters::default());
        let newer = SavedReport { schema_version: 2, ..document.clone() };
        let damaged = |histogram: &str| {
            let histograms = Histograms { connect: histogram.to_owned(), ..Histograms::default() };
            SavedReport { histograms, ..document.clone() }.to_report().unwrap_err().to_string()
        };
        assert!(damaged("?").contains("histogram connect is damaged"));
        let errors = Counts::from([("bored".to_owned(), 1)]);
        let unknown = SavedReport { error_distribution: errors, ..document.clone() };
        assert!(unknown.to_report().unwrap_err().to_string().contains("\"bored\""));
        let [mut endless, mut late, mut many] = [(); 3].map(|()| document.clone());
        endless.interval_seconds = 0.0;
        late.start_time = 1.8e19;
        many.intervals[1].bytes_sent = u64::MAX;
        for (text, expected) in [
            (&endless.to_json()[..], "no load can have this intervalSeconds"),
            (&late.to_json(), "no load can have this startTime"),
            (&many.to_json(), "no load can have this interval"),
            ("", "not a report"),
            ("{}", "not a report"),
            (r#"{"schemaVersion": 1}"#, "not a report"),
            (&newer.to_json(), "has version 2, and this program reads version 1"),
        ] {
            let error = SavedReport::from_json(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
