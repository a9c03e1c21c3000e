//! Parsing a specification of faults.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::faults::distribution::{Distribution, TIME_MAX};
use crate::faults::error::FaultsError;
use crate::faults::kind::FaultKind;
use crate::faults::spec::{Clause, Fault, Faults};

/// The most messages a second that a rate can be.
const RATE_MAX: f64 = 1e9;

/// The longest pieces of replies.
const PIECE_MAX: usize = 1 << 24;

type Parsed<T> = Result<T, FaultsError>;

impl FromStr for Faults {
    type Err = FaultsError;

    /// Parses verbs with semicolons between them; an empty text is no faults.
    fn from_str(text: &str) -> Parsed<Self> {
        let mut faults = Self::none();
        for clause in text.split(';').map(str::trim).filter(|clause| !clause.is_empty()) {
            let clause: Clause = clause.parse()?;
            let kind = clause.fault.kind();
            if faults.clauses.iter().any(|other| other.fault.kind() == kind) {
                return Err(FaultsError(format!("{kind}: is there twice; write it once")));
            }
            faults.clauses.push(clause);
        }
        Ok(faults)
    }
}

impl FromStr for Clause {
    type Err = FaultsError;

    fn from_str(text: &str) -> Parsed<Self> {
        let end = text.find(['=', ':']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let kind = FaultKind::ALL.iter().find(|kind| kind.name() == name.trim());
        let kind = *kind.ok_or_else(|| unknown(name.trim()))?;
        let clause = match rest.strip_prefix('=') {
            Some(value) => with_value(kind, value.trim()),
            None => without_value(kind, rest),
        };
        clause.map_err(|FaultsError(text)| FaultsError(format!("{kind}: {text}")))
    }
}

fn unknown(name: &str) -> FaultsError {
    let names: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
    FaultsError(format!("unknown fault {name:?}; write one of {}", names.join(", ")))
}

fn without_value(kind: FaultKind, percent: &str) -> Parsed<Clause> {
    let fault = match kind {
        FaultKind::Reset => Fault::Reset,
        FaultKind::CloseBefore => Fault::CloseBefore,
        FaultKind::CloseAfter => Fault::CloseAfter,
        FaultKind::Truncate => Fault::Truncate,
        FaultKind::Corrupt => Fault::Corrupt,
        FaultKind::Mute => Fault::Mute,
        FaultKind::Refuse => Fault::Refuse,
        _ => return Err(FaultsError(format!("needs a value; write {kind}={}", example(kind)))),
    };
    Ok(Clause { fault, percent: percent_behind(percent)? })
}

fn with_value(kind: FaultKind, value: &str) -> Parsed<Clause> {
    let distributed = |fault: fn(Distribution) -> Fault| {
        Ok(Clause { fault: fault(distribution(value)?), percent: 100.0 })
    };
    match kind {
        FaultKind::Delay => return distributed(Fault::Delay),
        FaultKind::AcceptDelay => return distributed(Fault::AcceptDelay),
        FaultKind::HandshakeDelay => return distributed(Fault::HandshakeDelay),
        _ => {}
    }
    let (value, percent) = value.split_at(value.find(':').unwrap_or(value.len()));
    let remedy = || FaultsError(format!("write it like {kind}={}", example(kind)));
    let fault = match kind {
        FaultKind::Drip => {
            let (bytes, every) = value.split_once('/').ok_or_else(remedy)?;
            Fault::Drip { bytes: size(bytes)?, every: time(every)? }
        }
        FaultKind::Slice => {
            let (least, most) = value.split_once("..").ok_or_else(remedy)?;
            let (least, most) = (size(least)?, size(most)?);
            if least > most {
                return Err(remedy());
            }
            Fault::Slice { least, most }
        }
        FaultKind::Stall => Fault::Stall(time(value)?),
        FaultKind::Rate => Fault::Rate(rate(value)?),
        _ => return Err(FaultsError(format!("takes no value; write {kind} or {kind}:0.1"))),
    };
    Ok(Clause { fault, percent: percent_behind(percent)? })
}

/// A value as it is written.
fn example(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Drip => "16B/20ms",
        FaultKind::Slice => "7..64B",
        FaultKind::Stall => "1s",
        FaultKind::Rate => "20k",
        _ => "5ms, =150us:10,2ms:5, =normal(5ms,1ms) or =pareto(1ms,1.5)",
    }
}

fn distribution(text: &str) -> Parsed<Distribution> {
    let call = text.split_once('(').and_then(|(name, rest)| {
        let (arguments, percent) = rest.rsplit_once(')')?;
        Some((name.trim(), arguments.split_once(',')?, percent))
    });
    match call {
        Some(("normal", (mean, deviation), percent)) => {
            let (mean, deviation) = (time(mean)?, time(deviation)?);
            Ok(Distribution::Normal { mean, deviation, percent: percent_behind(percent)? })
        }
        Some(("pareto", (least, shape), percent)) => {
            let shape = number(shape, 0.01..=100.0).ok_or_else(|| {
                FaultsError(format!("write an exponent from 0.01 to 100, not {shape:?}"))
            })?;
            let least = time(least)?;
            Ok(Distribution::Pareto { least, shape, percent: percent_behind(percent)? })
        }
        None if !text.contains('(') => table(text),
        _ => Err(FaultsError("write normal(MEAN,DEVIATION) or pareto(LEAST,EXPONENT)".to_owned())),
    }
}

fn table(text: &str) -> Parsed<Distribution> {
    let entry = |text: &str| {
        let (value, percent) = text.split_at(text.find(':').unwrap_or(text.len()));
        Ok((time(value)?, percent_behind(percent)?))
    };
    let table = text.split(',').map(entry).collect::<Parsed<Vec<_>>>()?;
    let sum: f64 = table.iter().map(|(_, percent)| percent).sum();
    if sum > 100.000_001 {
        return Err(FaultsError("the percentages add up to more than 100".to_owned()));
    }
    Ok(Distribution::Table(table))
}

/// The percentage behind a fault: a colon and a number, or nothing for 100.
fn percent_behind(text: &str) -> Parsed<f64> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(100.0);
    }
    let percent = text.strip_prefix(':').map(|text| text.trim().trim_end_matches('%'));
    percent.and_then(|text| number(text, 0.0..=100.0)).ok_or_else(|| {
        FaultsError(format!("write a percentage from 0 to 100 behind a colon, not {text:?}"))
    })
}

fn time(text: &str) -> Parsed<Duration> {
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let nanos = match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => 0.0,
    };
    let number = number(&text[..text.len() - unit.len()], 0.0..=1e15).filter(|_| nanos > 0.0);
    let seconds = number.map(|number| (number * nanos).round() / 1e9);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match time {
        Some(time) if time <= TIME_MAX => Ok(time),
        Some(_) => Err(FaultsError(format!("write a time of at most 24h, not {text:?}"))),
        None => Err(FaultsError(format!("write a time like 150us, 5ms or 0.5s, not {text:?}"))),
    }
}

fn size(text: &str) -> Parsed<usize> {
    let bare = text.trim().trim_end_matches(['B', 'b']);
    let (digits, unit) = match bare.trim_end_matches(['k', 'K']) {
        digits if digits.len() < bare.len() => (digits, 1024),
        digits => (digits, 1),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|bytes| bytes.checked_mul(unit));
    bytes.filter(|bytes| (1..=PIECE_MAX).contains(bytes)).ok_or_else(|| {
        FaultsError(format!("write a length like 16B or 1k, at most 16 MiB, not {text:?}"))
    })
}

fn rate(text: &str) -> Parsed<f64> {
    let text = text.trim();
    let (digits, unit) = match text.char_indices().next_back() {
        Some((end, 'k' | 'K')) => (&text[..end], 1e3),
        Some((end, 'm' | 'M')) => (&text[..end], 1e6),
        _ => (text, 1.0),
    };
    let rate = number(digits, 0.0..=RATE_MAX).map(|number| number * unit);
    rate.filter(|rate| (0.001..=RATE_MAX).contains(rate)).ok_or_else(|| {
        FaultsError(format!("write messages a second, like 500 or 20k, not {text:?}"))
    })
}

/// A decimal number without a sign or an exponent.
fn number(text: &str, range: RangeInclusive<f64>) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = text.parse().ok().filter(|_| is_plain)?;
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let faults = text.parse::<Faults>().map_err(|error| error.to_string())?;
        let shown = faults.to_string();
        assert_eq!(shown.parse(), Ok(faults), "{shown}");
        Ok(shown)
    }

    #[test]
    fn what_is_parsed_is_written_as_the_same() {
        let cases = [
            ("", ""),
            (" ; ", ""),
            ("delay=150us:10,2ms:5,0.5s:1", "delay=150us:10,2ms:5,500ms:1"),
            ("delay=5ms", "delay=5ms"),
            ("delay = 5ms : 10% ; mute", "delay=5ms:10;mute"),
            ("delay=1500ns", "delay=1500ns"),
            ("delay=90m", "delay=5400s"),
            ("delay=normal(5ms,1ms)", "delay=normal(5ms,1ms)"),
            ("delay=normal(5ms, 1ms):10", "delay=normal(5ms,1ms):10"),
            ("delay=pareto(1ms,1.5)", "delay=pareto(1ms,1.5)"),
            ("drip=16B/20ms", "drip=16B/20ms"),
            ("drip=1k/1s:0.5", "drip=1024B/1s:0.5"),
            ("slice=7..64B", "slice=7..64B"),
            ("slice=1..1", "slice=1..1B"),
            ("stall=1s:0.1", "stall=1s:0.1"),
            ("reset:0.1;close-before:0.1;close-after", "reset:0.1;close-before:0.1;close-after"),
            ("truncate:0;corrupt:0.01%;mute:100", "truncate:0;corrupt:0.01;mute"),
            ("rate=20k", "rate=20000"),
            ("rate=0.5", "rate=0.5"),
            ("rate=1.5m:50", "rate=1500000:50"),
            ("accept-delay=5ms:3;handshake-delay=1s", "accept-delay=5ms:3;handshake-delay=1s"),
            ("refuse:1", "refuse:1"),
        ];
        for (text, shown) in cases {
            assert_eq!(parsed(text), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_to_write() {
        let time = |text| format!("write a time like 150us, 5ms or 0.5s, not {text:?}");
        let percent =
            |text| format!("write a percentage from 0 to 100 behind a colon, not {text:?}");
        let cases = [
            ("dely=5ms", "unknown fault \"dely\"; write one of delay, drip, slice".to_owned()),
            ("=5", "unknown fault \"\"".to_owned()),
            ("delay", "delay: needs a value; write delay=5ms, =150us:10,2ms:5".to_owned()),
            ("delay=", format!("delay: {}", time(""))),
            ("delay=5", format!("delay: {}", time("5"))),
            ("delay=-5ms", format!("delay: {}", time("-5ms"))),
            ("delay=infs", format!("delay: {}", time("infs"))),
            ("delay=5ms,,2ms", format!("delay: {}", time(""))),
            ("delay=25h", "delay: write a time of at most 24h, not \"25h\"".to_owned()),
            ("delay=5ms:101", format!("delay: {}", percent(":101"))),
            ("delay=5ms:x", format!("delay: {}", percent(":x"))),
            ("delay=5ms:60,2ms:41", "delay: the percentages add up to more than 100".to_owned()),
            ("delay=5ms,2ms", "delay: the percentages add up to more than 100".to_owned()),
            ("delay=normal(5ms)", "delay: write normal(MEAN,DEVIATION) or pareto(".to_owned()),
            ("delay=gauss(5ms,1ms)", "delay: write normal(MEAN,DEVIATION) or pareto(".to_owned()),
            ("delay=normal(5ms,1ms)10", format!("delay: {}", percent("10"))),
            ("delay=pareto(1ms,0)", "delay: write an exponent from 0.01 to 100, not".to_owned()),
            ("drip=16B", "drip: write it like drip=16B/20ms".to_owned()),
            ("drip=0B/1s", "drip: write a length like 16B or 1k, at most 16 MiB".to_owned()),
            ("slice=64..7B", "slice: write it like slice=7..64B".to_owned()),
            ("stall:1", "stall: needs a value; write stall=1s".to_owned()),
            ("rate=0", "rate: write messages a second, like 500 or 20k, not \"0\"".to_owned()),
            ("rate=1e3", "rate: write messages a second, like 500 or 20k".to_owned()),
            ("rate=9999m", "rate: write messages a second, like 500 or 20k".to_owned()),
            ("rate=20é", "rate: write messages a second, like 500 or 20k".to_owned()),
            ("mute=1", "mute: takes no value; write mute or mute:0.1".to_owned()),
            ("mute:-1", format!("mute: {}", percent(":-1"))),
            ("mute;delay=1s;mute:5", "mute: is there twice; write it once".to_owned()),
        ];
        for (text, begins) in cases {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(&begins), "{text}: {error}");
        }
    }
}
