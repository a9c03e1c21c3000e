//! The parameters of a load: the part of a report by which it can be repeated.

use std::time::Duration;

use clap::ValueEnum as _;
use countersign_load::{Arrival, Disconnect, Plan, Report};
use serde_json::{Value, json};

use super::args::{ArrivalKind, LoadArgs};
use crate::escape::Escaped;
use crate::{system, units, version};

/// The parameters of a load: names as in JSON, and values. What was left open is null.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(&'static str, Value)>);

impl Parameters {
    /// Those of a load that begins now.
    pub(super) fn of(load: &LoadArgs, plan: &Plan) -> Self {
        let args = &load.protocol;
        let seconds = |time: Duration| time.as_secs_f64();
        let some_seconds = |time: Option<Duration>| json!(time.map(seconds));
        let is_open = plan.arrival != Arrival::Closed;
        let is_burst = is_open && load.arrival == ArrivalKind::Burst;
        let spacing = load.arrival.to_possible_value().filter(|_| is_open);
        let arrival = spacing.map(|value| value.get_name().to_owned());
        let sources: Vec<String> = load.source.iter().map(ToString::to_string).collect();
        let stages: Vec<&str> = load.stages.stages.iter().map(|each| each.text()).collect();
        let conditions: Vec<&str> = load.fail_if.iter().map(|each| each.text()).collect();
        let mut all = vec![
            ("version", json!(version::VERSION)),
            ("commit", json!(version::COMMIT)),
            ("start", json!(units::date(system::unix_time()))),
            ("address", json!(load.address)),
            ("server", Value::Null),
            ("dialect", json!(args.dialect().name())),
            ("records", json!(args.records())),
            ("audience", json!(args.audience())),
            ("framing", json!(args.framing().name())),
            ("mac", json!(args.mac.name())),
            ("once", json!(args.once)),
            ("key", json!(load.key)),
            ("connections", json!(plan.connections)),
            ("threads", json!(load.threads)),
            ("idle", json!(plan.idle)),
            ("pipeline", json!(plan.depth)),
            ("size", json!(plan.size)),
            ("count", json!(plan.count)),
            ("durationSeconds", some_seconds(plan.lasts())),
            ("warmupSeconds", json!(seconds(plan.warmup))),
            ("rate", json!(load.rate)),
            ("stages", json!(stages)),
            ("arrival", json!(arrival)),
            ("burst", json!(is_burst.then_some(load.burst))),
            ("reconnect", json!(plan.reconnect)),
            ("close", json!(if plan.disconnect == Disconnect::Rst { "rst" } else { "fin" })),
            ("source", json!(sources)),
            ("connectRate", json!(load.connect_rate)),
            ("connectTimeoutSeconds", json!(seconds(plan.connect_timeout))),
            ("replyTimeoutSeconds", some_seconds(plan.replies_within())),
            ("failIf", json!(conditions)),
            ("interrupted", json!(false)),
        ];
        all.extend(load.clients.parameters());
        Self(all)
    }

    /// Adds what only the run has shown.
    pub(super) fn learn(&mut self, report: &Report, interrupted: bool) {
        self.set("server", json!(report.server.as_ref().map(ToString::to_string)));
        self.set("interrupted", json!(interrupted));
    }

    fn set(&mut self, name: &str, to: Value) {
        if let Some((_, value)) = self.0.iter_mut().find(|(each, _)| *each == name) {
            *value = to;
        }
    }

    /// As an object.
    pub(super) fn json(&self) -> Value {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// Those that have a value, as text.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&'static str, String)> {
        let shown = self.0.iter().map(|(name, value)| (*name, text(value)));
        shown.filter(|(_, text)| !text.is_empty())
    }

    /// All, with the names that columns have.
    pub(super) fn columns(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(name, value)| (snake_case(name), text(value)))
    }
}

/// A value without the marks of JSON; nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => Escaped(text).to_string(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_shown_as_it_was_given() {
        let mut parameters = Parameters(vec![
            ("connectRate", Value::Null),
            ("source", json!(["127.0.0.2", "127.0.0.3"])),
            ("address", json!("a\nb")),
            ("size", json!(32)),
            ("server", Value::Null),
        ]);
        parameters.set("server", json!("127.0.0.1:1"));
        let shown: Vec<String> =
            parameters.shown().map(|(name, text)| format!("{name}={text}")).collect();
        let expected =
            ["source=127.0.0.2,127.0.0.3", r"address=a\nb", "size=32", "server=127.0.0.1:1"];
        assert_eq!(shown, expected);
        assert_eq!(parameters.columns().next(), Some(("connect_rate".to_owned(), String::new())));
    }
}
