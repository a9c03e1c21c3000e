//! The parameters of a load: the part of a report by which it can be repeated.

use std::time::Duration;

use clap::ValueEnum as _;
use countersign_load::{Arrival, Disconnect, Plan, Report};
use countersign_report::Parameters;
use serde_json::{Value, json};

use super::args::{ArrivalKind, LoadArgs};
use crate::{escape, system, units, version};

/// The parameters of a load that begins now. What was left open is null.
pub(super) fn parameters(load: &LoadArgs, plan: &Plan) -> Parameters {
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
    let find = load.find.conditions();
    let is_search = !find.is_empty();
    let mut all = vec![
        ("version", json!(version::VERSION)),
        ("commit", json!(version::COMMIT)),
        ("start", json!(units::date(system::unix_time()))),
        ("commandLine", json!(command_line())),
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
        ("size", json!(plan.messages.is_none().then_some(plan.size))),
        ("count", json!(plan.count)),
        ("durationSeconds", some_seconds(plan.lasts())),
        ("warmupSeconds", json!(seconds(plan.warmup))),
        ("intervalSeconds", some_seconds(plan.interval)),
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
        ("find", json!(find)),
        ("findPrecision", json!(is_search.then_some(load.find.find_precision))),
        ("probeTimeSeconds", json!(is_search.then(|| seconds(load.find.probe_time)))),
        ("serverMetrics", json!(load.server.server_metrics)),
        ("interrupted", json!(false)),
    ];
    all.extend(load.messages.parameters());
    all.extend(load.clients.parameters());
    all.into_iter().collect()
}

/// What a shell would start this load with.
fn command_line() -> String {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| escape::quoted(&word.to_string_lossy()));
    std::iter::once("countersign".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Adds what only the run has shown.
pub(super) fn learn(parameters: &mut Parameters, report: &Report, interrupted: bool) {
    parameters.set("server", json!(report.server.as_ref().map(ToString::to_string)));
    parameters.set("interrupted", json!(interrupted));
}
