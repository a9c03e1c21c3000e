//! The log: one line for each event on stderr, as text or as JSON.
//!
//! It is a back end of its own for the facade `log`, because no small one does both: write the keys
//! of a record as keys in JSON, and never block the loop if nothing reads stderr.

use std::fmt::{self, Display, Write as _};
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{LevelFilter, Log, Metadata, Record};

use super::escape::{self, Escaped};
use super::output::{self, Background, DropReport};
use super::system;

/// The options of verbs that log.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Logging {
    /// Format of log lines
    #[arg(long = "log-format", value_name = "FORMAT", default_value = "text", value_enum)]
    pub(crate) format: Format,
    /// Which events are logged
    #[arg(long = "log-level", value_name = "LEVEL", default_value = "info", value_enum)]
    pub(crate) level: Level,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// `2018-05-10T22:00:19.123Z WARN refused: wrong-proof peer=… conn=…`
    Text,
    /// A JSON object with ts, level, msg and the fields of the event
    Json,
}

/// Which lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Errors that keep the server from working
    Error,
    /// Also refusals
    Warn,
    /// Also what the server does
    Info,
    /// Also every connection
    Debug,
}

struct Logger {
    format: Format,
    lines: &'static Background,
}

/// Writes the last lines when it is dropped.
pub(crate) struct Guard(&'static Logger);

/// Begins to log.
pub(crate) fn begin(Logging { format, level }: Logging) -> Guard {
    let lost = move |dropped: u64| {
        let line = |text: fmt::Arguments<'_>| {
            let record = Record::builder().level(log::Level::Warn).args(text).build();
            format.line(system::wall(), &record)
        };
        DropReport::Line(line(format_args!(
            "{dropped} lines were dropped: stderr was blocked or full"
        )))
    };
    let logger = Logger { format, lines: output::log(Box::new(lost)) };
    // The facade wants it for as long as the process runs.
    let logger: &'static Logger = Box::leak(Box::new(logger));
    if log::set_logger(logger).is_ok() {
        level.set();
    }
    Guard(logger)
}

impl Level {
    /// Writes lines of these levels from now on.
    pub(crate) fn set(self) {
        log::set_max_level(match self {
            Self::Error => LevelFilter::Error,
            Self::Warn => LevelFilter::Warn,
            Self::Info => LevelFilter::Info,
            Self::Debug => LevelFilter::Debug,
        });
    }
}

impl Guard {
    /// Writes lines as they are, before those of the log.
    pub(crate) fn write(&self, lines: String) {
        self.0.lines.write_at_once(lines);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        output::finish();
    }
}

impl Log for Logger {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.lines.write(self.format.line(system::wall(), record));
    }

    fn flush(&self) {}
}

impl Format {
    fn line(self, time: SystemTime, record: &Record<'_>) -> String {
        let time = humantime::format_rfc3339_millis(time);
        let mut message = record.args().to_string();
        message.push_str(remedy(&message));
        let mut line = match self {
            Self::Text => format!("{time} {:5} {}", record.level(), Escaped(&message)),
            Self::Json => {
                let level = record.level().as_str().to_ascii_lowercase();
                format!(r#"{{"ts":"{time}","level":"{level}","msg":{}"#, escape::json(&message))
            }
        };
        let mut keys = KeyWriter { format: self, line: &mut line };
        // The visitor fails only where writing to a string does.
        let _ = record.key_values().visit(&mut keys);
        line.push_str(if self == Self::Json { "}\n" } else { "\n" });
        line
    }
}

/// The option that helps against a refusal that the library logs, since the library knows no
/// options.
fn remedy(message: &str) -> &'static str {
    if message.starts_with("refused: other-digest:") {
        "; see --mac md5, and --rhel for Red Hat's Pythons"
    } else if message.starts_with("refused: foreign (the PROXY protocol)") {
        "; see --proxy-from"
    } else {
        ""
    }
}

/// Appends the keys of a record.
struct KeyWriter<'a> {
    format: Format,
    line: &'a mut String,
}

impl<'kvs> VisitSource<'kvs> for KeyWriter<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let Self { format, line } = self;
        match format {
            Format::Text => write!(line, " {key}=")?,
            Format::Json => write!(line, ",{}:", escape::json(&key.as_str()))?,
        }
        value.visit(ValueWriter { format: *format, line })
    }
}

/// Appends a value: numbers and booleans as they are, so that a reader of JSON can calculate with
/// them, and everything else as text.
struct ValueWriter<'a> {
    format: Format,
    line: &'a mut String,
}

impl ValueWriter<'_> {
    fn bare(&mut self, value: impl Display) -> Result<(), Error> {
        Ok(write!(self.line, "{value}")?)
    }
}

impl<'v> VisitValue<'v> for ValueWriter<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.visit_str(&value.to_string())
    }

    fn visit_str(&mut self, text: &str) -> Result<(), Error> {
        match self.format {
            Format::Text => self.bare(Escaped(text)),
            Format::Json => self.bare(escape::json(&text)),
        }
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.bare(if self.format == Format::Json { "null" } else { "-" })
    }

    fn visit_u64(&mut self, number: u64) -> Result<(), Error> {
        self.bare(number)
    }

    fn visit_i64(&mut self, number: i64) -> Result<(), Error> {
        self.bare(number)
    }

    fn visit_f64(&mut self, number: f64) -> Result<(), Error> {
        match self.format {
            Format::Text => self.bare(number),
            // What isn't a number there is null.
            Format::Json => self.bare(escape::json(&number)),
        }
    }

    fn visit_bool(&mut self, truth: bool) -> Result<(), Error> {
        self.bare(truth)
    }
}

#[cfg(test)]
mod tests {
    use log::kv::ToValue as _;
    use serde_json::json;

    use super::*;

    fn line(format: Format) -> String {
        let (key, none): (&str, Option<&str>) = ("a\"b\u{1b}\u{9b}\u{202e}", None);
        let keys: [(&str, Value<'_>); 6] = [
            ("peer", "127.0.0.1:9".into()),
            ("key", key.into()),
            ("secs", Value::from(0.25)),
            ("open", Value::from(7_u64)),
            ("draining", Value::from(false)),
            ("worker", none.to_value()),
        ];
        let mut record = Record::builder();
        record.level(log::Level::Warn).key_values(&keys);
        format.line(SystemTime::UNIX_EPOCH, &record.args(format_args!("forged\nline")).build())
    }

    #[test]
    fn a_line_can_neither_be_forged_nor_broken() {
        let text = line(Format::Text);
        let expected = "WARN  forged\\nline peer=127.0.0.1:9 key=a\"b\\u{1b}\\u{9b}\\u{202e} \
                        secs=0.25 open=7 draining=false worker=-\n";
        assert_eq!(text, format!("1970-01-01T00:00:00.000Z {expected}"));
        let text = line(Format::Json);
        assert!(text.trim_end().chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{text:?}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["ts"], "1970-01-01T00:00:00.000Z");
        assert_eq!(json["level"], "warn");
        assert_eq!(json["msg"], "forged\nline");
        assert_eq!(json["key"], "a\"b\u{1b}\u{9b}\u{202e}");
        assert_eq!((&json["secs"], &json["open"]), (&0.25.into(), &7.into()));
        assert_eq!((&json["draining"], &json["worker"]), (&false.into(), &json!(null)));
    }
}
