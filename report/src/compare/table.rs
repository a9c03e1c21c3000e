//! A comparison as a table.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Comparison, ComparisonRow, Difference, FigureKind};
use crate::text::shown;

impl Comparison {
    /// The comparison of runs with these names as text for people.
    #[must_use]
    pub fn text(&self, names: [&str; 2]) -> String {
        let mut out = String::new();
        let interval = self.interval.as_secs_f64();
        for (letter, (name, count)) in ["A", "B"].iter().zip(names.iter().zip(self.intervals)) {
            // Writing to a string succeeds.
            let _ = writeln!(out, "{letter}: {name} ({count} intervals of {interval} s)");
        }
        if !self.parameters.is_empty() {
            out.push_str("\nParameters that differ:\n");
        }
        for (name, values) in &self.parameters {
            let [one, other] = values.each_ref().map(|it| if it.is_empty() { "none" } else { it });
            let _ = writeln!(out, "  {name:<22}{one} / {other}");
        }
        let heads = ["A", "B"].map(|letter| format!("{letter:>20}")).concat();
        let _ = writeln!(out, "\n  {:<10}{heads}{:>10}{:>9}  Verdict", "", "Change", "p");
        self.rows.iter().for_each(|row| out.push_str(&line(row)));
        let _ = write!(out, "\nVerdict: {}", self.conclusion());
        let (alpha, threshold) = (self.strictness.alpha, self.strictness.threshold * 100.0);
        let _ = writeln!(
            out,
            "\nFigures are medians of the intervals, with half of their interquartile range. \
             Tests:\nWelch's t on the ranks of the intervals, and of two proportions for errors; \
             alpha = {alpha} for all\nfigures together. A change counts above {threshold}%, and \
             above what a run differs from itself."
        );
        for warning in &self.warnings {
            let _ = writeln!(out, "Warning: {warning}.");
        }
        out
    }

    /// What all figures together say.
    pub(crate) fn conclusion(&self) -> String {
        let names = |verdict| -> Vec<&str> {
            let rows = self.rows.iter().filter(|row| row.verdict == verdict);
            rows.map(|row| &row.name[..]).collect()
        };
        let (better, worse) = (names(Difference::Better), names(Difference::Worse));
        let variable = names(Difference::TooVariable);
        match (&better[..], &worse[..]) {
            ([], []) if !variable.is_empty() => {
                format!("too variable to tell in {}, otherwise within noise", variable.join(", "))
            }
            ([], []) if self.is_judged() => "within noise".to_owned(),
            ([], []) => "too few intervals to tell".to_owned(),
            (better, []) => format!("B is better in {}", better.join(", ")),
            ([], worse) => format!("B is worse in {}", worse.join(", ")),
            (better, worse) => {
                format!("B is worse in {}, and better in {}", worse.join(", "), better.join(", "))
            }
        }
    }
}

impl Difference {
    /// In a few words.
    pub(crate) fn shown(&self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::WithinNoise => "within noise",
            Self::TooVariable => "too variable to tell",
            Self::NotJudged(reason) => reason,
        }
    }
}

fn line(row: &ComparisonRow) -> String {
    let [one, other] = [0, 1].map(|run| {
        let Some(value) = row.values[run] else { return "-".to_owned() };
        let value = match row.kind {
            FigureKind::Rate => format!("{value:.1}"),
            FigureKind::Time => shown(Duration::try_from_secs_f64(value).unwrap_or_default()),
            FigureKind::Share => format!("{:.3}%", value * 100.0),
        };
        let spread = row.spreads.map(|spreads| format!(" ± {:>2.0}%", spreads[run] * 100.0));
        format!("{value}{}", spread.unwrap_or_default())
    });
    let change = row.change.map(|it| format!("{:+.1}%", it * 100.0)).unwrap_or_default();
    let p = row.p.map(|p| format!("{p:.4}")).unwrap_or_default();
    let verdict = row.verdict.shown();
    let name = &row.name;
    format!("  {name:<10}{one:>20}{other:>20}{change:>10}{p:>9}  {verdict}\n")
}
