//! A report as a person reads it.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::admin::report::{Key, Listener, Report};
use crate::cli::escape::Escaped;
use crate::cli::units;

/// A report as a person reads it, beside the one before if there is one.
#[derive(Debug)]
pub(super) struct Renderer<'a> {
    pub(super) address: &'a str,
    pub(super) report: &'a Report,
    pub(super) before: Option<&'a Report>,
    pub(super) is_coloured: bool,
}

/// How a word is set off.
#[derive(Debug, Clone, Copy)]
enum Tone {
    Bold,
    Good,
    Bad,
}

impl Renderer<'_> {
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        for (place, listener) in self.report.listeners.iter().enumerate() {
            let before = self.before_of(place, listener);
            text.push('\n');
            self.listener(&mut text, listener, before);
        }
        text
    }

    fn head(&self, text: &mut String) {
        let Report { version, pid, workers, reloads, memory, turns, process, .. } = self.report;
        let state = match self.report {
            Report { draining: true, .. } => self.tone(Tone::Bad, "draining"),
            Report { ready: true, .. } => self.tone(Tone::Good, "serving"),
            _ => self.tone(Tone::Bad, "starting"),
        };
        let up = long(self.report.uptime_seconds);
        let title = self.tone(Tone::Bold, &format!("countersign {}", Escaped(version)));
        let threads = counted(*workers as u64, "worker");
        let address = Escaped(self.address);
        // Writing to a string succeeds.
        let _ = writeln!(text, "{title} at {address}: {state}, up {up}, pid {pid}, {threads}");
        let mut loaded = format!(
            "{} done, {} failed, in force since {}",
            reloads.succeeded,
            reloads.failed,
            Escaped(&reloads.in_force_since)
        );
        if let Some(error) = &reloads.last_error {
            let failed = format!("the last failed: {}", Escaped(error));
            let _ = write!(loaded, "; {}", self.tone(Tone::Bad, &failed));
        }
        row(text, "reloads", &loaded);
        let resident = process
            .resident_bytes
            .map_or(String::new(), |bytes| format!(", {} resident", size(bytes)));
        let buffered = format!(
            "{} of {} buffered",
            size(memory.buffered_bytes),
            size(memory.buffered_max_bytes)
        );
        row(text, "memory", &format!("{buffered}, at most {}{resident}", size(memory.limit_bytes)));
        let mut figures = Vec::new();
        figures.extend(process.cpu_seconds.map(|seconds| format!("{seconds:.2} s of processor")));
        figures.extend(process.threads.map(|threads| counted(threads, "thread")));
        if let (Some(open), Some(max)) = (process.open_descriptors, process.max_descriptors) {
            figures.push(format!("{open} of {max} descriptors"));
        }
        if !figures.is_empty() {
            row(text, "process", &figures.join(", "));
        }
        let [p50, p99, max] = [turns.p50_seconds, turns.p99_seconds, turns.max_seconds].map(short);
        let rate = self.rate(|report| report.turns.count);
        let times = format!("half in {p50}, 99 % in {p99}, the longest {max}");
        row(text, "turns", &format!("{}{rate}; {times}", turns.count));
    }

    fn listener(&self, text: &mut String, listener: &Listener, before: Option<&Listener>) {
        let Listener { connections, refused, closed, .. } = listener;
        let name = self.tone(Tone::Bold, &Escaped(&listener.name).to_string());
        let addresses = listener.addresses.iter().map(|each| Escaped(each).to_string());
        let addresses = addresses.collect::<Vec<_>>().join(", ");
        let speaks = format!("{}, {}", Escaped(&listener.dialect), Escaped(&listener.framing));
        let _ = writeln!(text, "{name}: {} at {addresses}, {speaks}", Escaped(&listener.service));
        let rate = |value: fn(&Listener) -> u64| {
            self.per_second(before.map(|before| value(listener).saturating_sub(value(before))))
        };
        let states = format!(
            "{} open, {} in the handshake, {} delayed, {} closing, of {}",
            connections.open,
            connections.handshake,
            connections.delayed,
            connections.closing,
            connections.max
        );
        row(text, "connections", &states);
        let accepted = format!("{}{}", listener.accepted, rate(|of| of.accepted));
        row(text, "accepted", &format!("{accepted}, {} let in", listener.authenticated));
        row(text, "messages", &format!("{}{}", listener.messages, rate(|of| of.messages)));
        let bytes = |name, total, value: fn(&Listener) -> u64| {
            let passed = before.map(|before| value(listener).saturating_sub(value(before)));
            let rate = passed.zip(self.interval()).map_or(String::new(), |(passed, interval)| {
                let rate = u128::from(passed) * 1000 / interval.as_millis().max(1);
                format!(" ({}/s)", size(u64::try_from(rate).unwrap_or(u64::MAX)))
            });
            format!("{} {name}{rate}", size(total))
        };
        let received = bytes("received", listener.received_bytes, |of| of.received_bytes);
        let sent = bytes("sent", listener.sent_bytes, |of| of.sent_bytes);
        row(text, "bytes", &format!("{received}, {sent}"));
        for (name, ends) in [("refused", refused), ("closed", closed)] {
            let ends: Vec<_> =
                ends.iter().map(|(why, count)| format!("{count} {}", Escaped(why))).collect();
            row(text, name, &if ends.is_empty() { "none".to_owned() } else { ends.join(", ") });
        }
        let Listener { buffered_bytes, buffered_max_bytes, .. } = *listener;
        row(
            text,
            "memory",
            &format!("{} of {} buffered", size(buffered_bytes), size(buffered_max_bytes)),
        );
        let pauses = counted(listener.accept_pauses, "pause");
        let failures = counted(listener.accept_failures, "failure");
        if listener.accept_pauses + listener.accept_failures > 0 {
            row(text, "accepting", &self.tone(Tone::Bad, &format!("{pauses}, {failures}")));
        }
        if listener.throttled_networks > 0 {
            let networks = counted(listener.throttled_networks, "network");
            let told = format!("{networks} now, {} greeted late", listener.delayed);
            row(text, "throttled", &self.tone(Tone::Bad, &told));
        }
        for (place, key) in listener.keys.iter().enumerate() {
            row(text, if place == 0 { "keys" } else { "" }, &self.key(key));
        }
    }

    fn key(&self, key: &Key) -> String {
        let Key { id, fingerprint, not_before, not_after, state, .. } = key;
        let state = Escaped(state).to_string();
        let tone = if state == "live" { Tone::Good } else { Tone::Bad };
        let mut line = format!("{} {} ", Escaped(id), Escaped(fingerprint));
        line.push_str(&self.tone(tone, &state));
        if let Some(first) = not_before.as_deref().filter(|_| state == "early") {
            let _ = write!(line, " from {}", Escaped(first));
        }
        if let Some(last) = not_after {
            let _ = write!(line, " until {}", Escaped(last));
        }
        if let (Some(open), Some(all)) = (key.open, key.authenticated) {
            let _ = write!(line, ", {open} open, {all} in all");
        }
        line
    }

    /// The same listener in the report before, if that is one of the same process.
    fn before_of(&self, place: usize, listener: &Listener) -> Option<&Listener> {
        let before = self.same_process()?.listeners.get(place)?;
        (before.name == listener.name).then_some(before)
    }

    fn same_process(&self) -> Option<&Report> {
        let same = |before: &&Report| {
            (before.pid, &before.started) == (self.report.pid, &self.report.started)
        };
        self.before.filter(same)
    }

    fn rate(&self, value: fn(&Report) -> u64) -> String {
        let before = self.same_process();
        self.per_second(before.map(|before| value(self.report).saturating_sub(value(before))))
    }

    fn per_second(&self, passed: Option<u64>) -> String {
        let passed = passed.zip(self.interval());
        passed.map_or(String::new(), |(passed, interval)| {
            format!(" ({:.1}/s)", passed as f64 / interval.as_secs_f64())
        })
    }

    /// The time between the report before and this one.
    fn interval(&self) -> Option<Duration> {
        let seconds = self.report.uptime_seconds - self.same_process()?.uptime_seconds;
        Duration::try_from_secs_f64(seconds).ok().filter(|interval| !interval.is_zero())
    }

    fn tone(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.is_coloured => return text.to_owned(),
            Tone::Bold => 1,
            Tone::Good => 32,
            Tone::Bad => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<12} {value}");
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

/// A time of a moment, in the unit that suits it.
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
    use crate::cli::admin::report::tests::report;
    use crate::cli::version::VERSION;

    fn shown(report: &Report, before: Option<&Report>, is_coloured: bool) -> String {
        Renderer { address: "127.0.0.1:9529", report, before, is_coloured }.text()
    }

    #[test]
    fn all_that_matters_stands_on_it() {
        let (text, version) = (shown(&report(), None, false), VERSION);
        assert!(text.contains("; the last failed: keys:3: no such option\n"), "{text}");
        let lines = [
            &format!("countersign {version} at 127.0.0.1:9529: serving, up 0s, pid "),
            "  reloads      0 done, 1 failed, in force since 2026-09-21T14:13:20Z; ",
            "  memory       2 KiB of 6 MiB buffered, at most 8 MiB",
            "  turns        200; half in 2 µs, 99 % in 4 µs, the longest 7.0 ms",
            "gate: echo at 127.0.0.1:9527, countersign/1, lines",
            "  connections  4 open, 2 in the handshake, 2 delayed, 0 closing, of 200",
            "  accepted     18, 10 let in",
            "  refused      6 wrong-proof",
            "  closed       4 finished",
            "  throttled    2 networks now, 0 greeted late",
            "  keys         garden 9c0e5fa31166ee20 live until 2027-01-15T08:00:00Z, 4 open, 10 in",
            "               shed 97b38ef587995590 live, 0 open, 0 in all",
            "a\"\\n\\é: echo",
        ];
        for line in lines {
            assert!(text.lines().any(|each| each.starts_with(line)), "{line}\n{text}");
        }
        assert!(!text.contains('\x1b') && !text.contains("/s)"), "{text}");
    }

    #[test]
    fn rates_are_between_two_looks_at_one_process() {
        let (before, mut after) = (report(), report());
        after.uptime_seconds = before.uptime_seconds + 2.0;
        let gate = &mut after.listeners[0];
        gate.accepted += 5;
        gate.messages += 3000;
        gate.received_bytes += 4096;
        let text = shown(&after, Some(&before), false);
        for rate in ["23 (2.5/s)", "3154 (1500.0/s)", "4 KiB received (2 KiB/s)", "200 (0.0/s)"] {
            assert!(text.contains(rate), "{rate}\n{text}");
        }
        after.pid += 1;
        let text = shown(&after, Some(&before), false);
        assert!(!text.contains("/s)"), "another process is no base: {text}");
    }

    #[test]
    fn colour_is_there_if_it_is_asked_for_and_none_comes_from_elsewhere() {
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
