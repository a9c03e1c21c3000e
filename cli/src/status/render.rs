//! A report as text for a terminal.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::admin::report::{ConnectionsReport, KeyReport, ListenerReport, StatusReport};
use crate::escape::Escaped;
use crate::units;

/// The report as a person reads it; with rates if there is an earlier report of the same process.
pub(super) fn render(
    address: &str,
    report: &StatusReport,
    before: Option<&StatusReport>,
    is_coloured: bool,
) -> String {
    let is_same = |it: &&StatusReport| (it.pid, &it.started) == (report.pid, &report.started);
    let before = before.filter(is_same);
    let passed = before.map(|before| report.uptime_seconds - before.uptime_seconds);
    let interval = passed.and_then(|passed| Duration::try_from_secs_f64(passed).ok());
    let interval = interval.filter(|interval| !interval.is_zero());
    let mut renderer = Renderer { text: String::new(), interval, is_coloured };
    renderer.head(address, report, before);
    for (place, listener) in report.listeners.iter().enumerate() {
        let before = before.and_then(|before| before.listeners.get(place));
        renderer.listener(listener, before.filter(|before| before.name == listener.name));
    }
    renderer.text
}

/// The lines so far.
struct Renderer {
    text: String,
    /// The time between the earlier report and this one.
    interval: Option<Duration>,
    is_coloured: bool,
}

/// How a word is highlighted: the codes of ECMA-48.
#[derive(Debug, Clone, Copy)]
enum Style {
    Bold = 1,
    Good = 32,
    Bad = 33,
}

impl Renderer {
    fn head(&mut self, address: &str, report: &StatusReport, before: Option<&StatusReport>) {
        let StatusReport { version, pid, reloads, memory, turns, process, .. } = report;
        let state = match report {
            StatusReport { draining: true, .. } => self.styled(Style::Bad, "draining"),
            StatusReport { ready: true, .. } => self.styled(Style::Good, "serving"),
            _ => self.styled(Style::Bad, "starting"),
        };
        let title = self.styled(Style::Bold, format_args!("countersign {}", Escaped(version)));
        let (address, up) = (Escaped(address), long(report.uptime_seconds));
        let workers = counted(report.workers, "worker");
        // Writing to a string succeeds.
        let _ = writeln!(self.text, "{title} at {address}: {state}, up {up}, pid {pid}, {workers}");
        let (done, failed) = (reloads.succeeded, reloads.failed);
        let since = reloads.in_force_since;
        let mut line = format!("{done} done, {failed} failed, in force since {since}");
        if let Some(error) = &reloads.last_error {
            line.push_str("; ");
            line += &self.styled(Style::Bad, format_args!("the last failed: {}", Escaped(error)));
        }
        self.row("reloads", line);
        let mut line = buffered(memory.buffered_bytes, memory.buffered_max_bytes);
        let _ = write!(line, ", at most {}", size(memory.limit_bytes));
        if let Some(bytes) = process.resident_bytes {
            let _ = write!(line, ", {} resident", size(bytes));
        }
        self.row("memory", line);
        let descriptors = process.open_descriptors.zip(process.max_descriptors);
        let figures = [
            process.cpu_seconds.map(|seconds| format!("{seconds:.2} s of CPU time")),
            process.threads.map(|threads| counted(threads, "thread")),
            descriptors.map(|(open, max)| format!("{open} of {max} descriptors")),
        ];
        let figures = joined(figures.into_iter().flatten());
        if !figures.is_empty() {
            self.row("process", figures);
        }
        let [p50, p99, max] = [turns.p50_seconds, turns.p99_seconds, turns.max_seconds].map(short);
        let rate = self.rate(turns.count, before.map(|before| before.turns.count));
        self.row("turns", format_args!("{}{rate}; p50 {p50}, p99 {p99}, max {max}", turns.count));
    }

    fn listener(&mut self, listener: &ListenerReport, before: Option<&ListenerReport>) {
        let name = self.styled(Style::Bold, Escaped(&listener.name));
        let addresses = joined(listener.addresses.iter().map(|each| Escaped(each)));
        let [service, dialect, framing] =
            [&listener.service, &listener.dialect, &listener.framing].map(|text| Escaped(text));
        let _ = writeln!(self.text, "\n{name}: {service} at {addresses}, {dialect}, {framing}");
        let ConnectionsReport { delayed, handshake, open, closing, max } = &listener.connections;
        self.row(
            "connections",
            format_args!(
                "{open} open, {handshake} in the handshake, {delayed} delayed, {closing} closing, \
                 of {max}"
            ),
        );
        let (now, before) = (&listener.figures, before.map(|before| &before.figures));
        let rate = self.rate(now.accepted, before.map(|it| it.accepted));
        let (accepted, authenticated) = (now.accepted, now.authenticated);
        self.row("accepted", format_args!("{accepted}{rate}, {authenticated} authenticated"));
        let rate = self.rate(now.messages, before.map(|it| it.messages));
        self.row("messages", format_args!("{}{rate}", now.messages));
        let received =
            self.bytes(now.received_bytes, "received", before.map(|it| it.received_bytes));
        let sent = self.bytes(now.sent_bytes, "sent", before.map(|it| it.sent_bytes));
        self.row("bytes", format_args!("{received}, {sent}"));
        for (name, reasons) in [("refused", &listener.refused), ("closed", &listener.closed)] {
            let reasons = reasons.iter().map(|(why, count)| format!("{count} {}", Escaped(why)));
            let reasons = joined(reasons);
            self.row(name, if reasons.is_empty() { "none" } else { &reasons });
        }
        if !listener.faults.is_empty() {
            let verbs = listener.faults.iter();
            let verbs = verbs.map(|(verb, count)| format!("{count} {}", Escaped(verb)));
            self.row("faults", self.styled(Style::Bad, joined(verbs)));
        }
        self.row("memory", buffered(now.buffered_bytes, now.buffered_max_bytes));
        if now.accept_pauses + now.accept_failures > 0 {
            let pauses = counted(now.accept_pauses, "pause");
            let failures = counted(now.accept_failures, "failure");
            self.row("accepting", self.styled(Style::Bad, format_args!("{pauses}, {failures}")));
        }
        if now.throttled_networks > 0 {
            let networks = counted(now.throttled_networks, "network");
            let text = format!("{networks} now, {} delayed", counted(now.delayed, "connection"));
            self.row("throttled", self.styled(Style::Bad, text));
        }
        for (place, key) in listener.keys.iter().enumerate() {
            self.row(if place == 0 { "keys" } else { "" }, self.key(key));
        }
    }

    fn key(&self, key: &KeyReport) -> String {
        let state = Escaped(&key.state).to_string();
        let style = if state == "valid" { Style::Good } else { Style::Bad };
        let (id, fingerprint) = (Escaped(&key.id), Escaped(&key.fingerprint));
        let mut line = format!("{id} {fingerprint} {}", self.styled(style, &state));
        if let Some(first) = key.not_before.filter(|_| state == "not-yet-valid") {
            let _ = write!(line, " from {first}");
        }
        if let Some(last) = key.not_after {
            let _ = write!(line, " until {last}");
        }
        if let (Some(open), Some(all)) = (key.open, key.authenticated) {
            let _ = write!(line, ", {open} open, {all} in all");
        }
        line
    }

    /// How often something has happened in a second since the earlier report.
    fn rate(&self, now: u64, before: Option<u64>) -> String {
        let tenths = self.tenths_per_second(now, before);
        tenths.map_or(String::new(), |tenths| format!(" ({}.{}/s)", tenths / 10, tenths % 10))
    }

    /// The bytes that were sent or received, and how many in a second since the earlier report.
    fn bytes(&self, now: u64, what: &str, before: Option<u64>) -> String {
        let tenths = self.tenths_per_second(now, before);
        let rate = tenths.map_or(String::new(), |tenths| format!(" ({}/s)", size(tenths / 10)));
        format!("{} {what}{rate}", size(now))
    }

    fn tenths_per_second(&self, now: u64, before: Option<u64>) -> Option<u64> {
        let millis = u64::try_from(self.interval?.as_millis()).ok()?.max(1);
        Some(now.saturating_sub(before?).saturating_mul(10_000) / millis)
    }

    fn row(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.text, "  {name:<12} {value}");
    }

    fn styled(&self, style: Style, text: impl Display) -> String {
        match self.is_coloured {
            true => format!("\x1b[{}m{text}\x1b[0m", style as u8),
            false => text.to_string(),
        }
    }
}

fn joined(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn buffered(bytes: u64, max: u64) -> String {
    format!("{} of {} buffered", size(bytes), size(max))
}

fn counted(count: u64, name: &str) -> String {
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

fn size(bytes: u64) -> String {
    units::shown(usize::try_from(bytes).unwrap_or(usize::MAX / 16))
}

/// A time of days or of seconds, to the second.
fn long(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    humantime::format_duration(Duration::from_secs(whole)).to_string()
}

/// A short time, in the unit that suits it.
fn short(seconds: f64) -> String {
    match seconds {
        ..1e-3 => format!("{:.0} µs", seconds * 1e6),
        1e-3..1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::report::tests::report;
    use crate::version::VERSION;

    fn shown(report: &StatusReport, before: Option<&StatusReport>, is_coloured: bool) -> String {
        render("127.0.0.1:9529", report, before, is_coloured)
    }

    #[test]
    fn a_report_is_shown_whole() {
        let (text, version) = (shown(&report(), None, false), VERSION);
        assert!(text.contains("; the last failed: keys:3: no such option\n"), "{text}");
        let lines = [
            &format!("countersign {version} at 127.0.0.1:9529: serving, up 0s, pid "),
            "  reloads      0 done, 1 failed, in force since 2026-09-21T14:13:20Z; ",
            "  memory       2 KiB of 6 MiB buffered, at most 8 MiB",
            "  turns        200; p50 2 µs, p99 4 µs, max 7.0 ms",
            "main: echo at 127.0.0.1:9527, countersign/1, lines",
            "  connections  4 open, 2 in the handshake, 2 delayed, 0 closing, of 200",
            "  accepted     18, 10 authenticated",
            "  refused      6 wrong-proof",
            "  closed       4 finished",
            "  faults       2 delay",
            "  throttled    2 networks now, 0 connections delayed",
            "  keys         garden 9c0e5fa31166ee20 valid until 2027-01-15T08:00:00Z, 4 open, 10",
            "               shed 97b38ef587995590 valid, 0 open, 0 in all",
            "a\"\\n\\é: echo",
        ];
        for line in lines {
            assert!(text.lines().any(|each| each.starts_with(line)), "{line}\n{text}");
        }
        assert!(!text.contains('\x1b') && !text.contains("/s)"), "{text}");
    }

    #[test]
    fn rates_are_between_two_reports_of_one_process() {
        let (before, mut after) = (report(), report());
        after.uptime_seconds = before.uptime_seconds + 2.0;
        let main = &mut after.listeners[0];
        main.figures.accepted += 5;
        main.figures.messages += 3000;
        main.figures.received_bytes += 4096;
        let text = shown(&after, Some(&before), false);
        for rate in ["23 (2.5/s)", "3154 (1500.0/s)", "4 KiB received (2 KiB/s)", "200 (0.0/s)"] {
            assert!(text.contains(rate), "{rate}\n{text}");
        }
        after.pid += 1;
        let text = shown(&after, Some(&before), false);
        assert!(!text.contains("/s)"), "another process is no base: {text}");
    }

    #[test]
    fn colours_are_optional_and_none_come_from_the_report() {
        let mut report = report();
        report.draining = true;
        report.listeners[0].keys[0].id = "\x1b[31mred\n".to_owned();
        report.listeners[0].service = "\x07".to_owned();
        let text = shown(&report, None, false);
        assert!(!text.contains(['\x1b', '\x07']), "{text:?}");
        assert!(text.contains("\\u{1b}[31mred\\n") && text.contains(": draining, "), "{text}");
        let text = shown(&report, None, true);
        assert!(text.contains("\x1b[33mdraining\x1b[0m"), "{text:?}");
    }

    #[test]
    fn times_are_written_in_the_unit_that_suits_them() {
        for (seconds, text) in [(4e-6, "4 µs"), (0.0071, "7.1 ms"), (1.5, "1.50 s"), (0.0, "0 µs")]
        {
            assert_eq!(short(seconds), text);
        }
        assert_eq!(long(90061.9), "1day 1h 1m 1s");
        assert_eq!(long(-1.0), "0s");
    }
}
