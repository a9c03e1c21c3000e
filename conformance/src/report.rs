//! What the cases have shown, as TAP and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::case::{Case, Cases, VERSION};
use crate::run::{CaseOutcome, Finding};

/// How many cases have passed, failed and were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// The implementation keeps to the page.
    pub passed: usize,
    /// It does not.
    pub failed: usize,
    /// Not run.
    pub skipped: usize,
}

impl Totals {
    /// Of these outcomes.
    #[must_use]
    pub fn of(outcomes: &[CaseOutcome]) -> Self {
        let mut totals = Self::default();
        for outcome in outcomes {
            *match outcome {
                CaseOutcome::Passed => &mut totals.passed,
                CaseOutcome::Failed(_) => &mut totals.failed,
                CaseOutcome::Skipped(_) => &mut totals.skipped,
            } += 1;
        }
        totals
    }
}

/// The outcomes as [TAP](https://testanything.org/tap-version-14-specification.html), version 14.
#[must_use]
pub fn tap(cases: &Cases, outcomes: &[CaseOutcome]) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", outcomes.len());
    let judged = cases.end.name();
    let _ = writeln!(text, "# countersign/1, cases {VERSION}, against the {judged}");
    for ((case, outcome), number) in cases.list.iter().zip(outcomes).zip(1..) {
        let name = format!("{number} - {} {}", case.id, case.title.replace('#', "\\#"));
        let _ = match outcome {
            CaseOutcome::Passed => writeln!(text, "ok {name}"),
            CaseOutcome::Skipped(why) => writeln!(text, "ok {name} # SKIP {why}"),
            CaseOutcome::Failed(finding) => {
                writeln!(text, "not ok {name}\n{}", details(cases, case, finding))
            }
        };
    }
    let Totals { passed, failed, skipped } = Totals::of(outcomes);
    let _ = writeln!(text, "# {passed} passed, {failed} failed, {skipped} skipped");
    text
}

/// What a stranger needs to mend it, as YAML under its line.
fn details(cases: &Cases, case: &Case, finding: &Finding) -> String {
    let mut text = "  ---\n".to_owned();
    let place = cases.place(case);
    let fields = [
        ("expected", &finding.expected),
        ("came", &finding.came),
        ("paragraph", &place),
        ("says", &case.says),
        ("cause", &case.cause),
    ];
    for (name, value) in fields {
        let _ = writeln!(text, "  {name}: {}", quoted(value));
    }
    text.push_str("  wire:\n");
    for entry in finding.log.entries() {
        let _ = writeln!(text, "    - {}: {}", entry.kind.name(), quoted(&entry.text));
    }
    text.push_str("  ...");
    text
}

/// A text in double quotes: what JSON has for it is YAML too.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The outcomes as one JSON document.
#[must_use]
pub fn json(cases: &Cases, outcomes: &[CaseOutcome]) -> String {
    let list = cases.list.iter().zip(outcomes).map(|(case, outcome)| object(cases, case, outcome));
    let Totals { passed, failed, skipped } = Totals::of(outcomes);
    let document = json!({
        "protocol": "countersign/1",
        "casesVersion": VERSION,
        "end": cases.end.name(),
        "summary": { "passed": passed, "failed": failed, "skipped": skipped },
        "cases": list.collect::<Vec<Value>>(),
    });
    format!("{document:#}\n")
}

fn object(cases: &Cases, case: &Case, outcome: &CaseOutcome) -> Value {
    let mut object = json!({
        "id": case.id,
        "title": case.title,
        "paragraph": cases.place(case),
        "says": case.says,
    });
    let more = match outcome {
        CaseOutcome::Passed => json!({ "result": "passed" }),
        CaseOutcome::Skipped(why) => json!({ "result": "skipped", "why": why }),
        CaseOutcome::Failed(finding) => {
            let entries = finding.log.entries().iter();
            let wire = entries.map(|entry| json!({ entry.kind.name(): entry.text }));
            json!({
                "result": "failed",
                "expected": finding.expected,
                "came": finding.came,
                "cause": case.cause,
                "wire": wire.collect::<Vec<Value>>(),
            })
        }
    };
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

/// The cases, a line each, without running any.
#[must_use]
pub fn list(cases: &Cases) -> String {
    let line = |case: &Case| format!("{}  {}\n", case.id, case.title);
    cases.list.iter().map(line).collect()
}
