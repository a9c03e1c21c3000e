//! What a program reports of itself.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::home::Home;
use crate::progress::Progress;

/// What it reports of its only listener.
fn status(home: &Home, admin: &str) -> Value {
    let ran = home.run(&format!("status {admin} --json"), "");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    report["listeners"][0].clone()
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// The sum of counts by reason.
pub(crate) fn sum(reasons: &Value) -> u64 {
    reasons.as_object().unwrap().values().map(number).sum()
}

/// The report once all connections have ended: the server may learn it after its clients, and
/// keeps a report for a second.
pub(crate) fn settled(home: &Home, admin: &str) -> Value {
    let mut progress = Progress::since(String::new());
    loop {
        thread::park_timeout(Duration::from_millis(20));
        let report = status(home, admin);
        let states = report["connections"].as_object().unwrap();
        let open = states.iter().filter(|(state, _)| *state != "max").map(|(_, open)| number(open));
        if open.sum::<u64>() == 0 {
            return report;
        }
        assert!(progress.continues(report.to_string()), "connections without end: {report}");
    }
}
