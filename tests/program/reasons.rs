//! The manual's table of why connections end.

use countersign::CloseReason;

const OPERATIONS: &str = include_str!("../../src/manual/operations.md");

#[test]
fn every_reason_is_explained_in_the_manual_once() {
    let (_, section) = OPERATIONS.split_once("\n# Why connections end\n").unwrap();
    let (section, _) = section.split_once("\n# ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let explained: Vec<&str> = rows.flat_map(|(names, _)| names.split(['`', ',', ' '])).collect();
    let explained: Vec<&str> = explained.into_iter().filter(|name| !name.is_empty()).collect();
    for why in CloseReason::ALL.iter().copied() {
        let times = explained.iter().filter(|name| **name == why.name()).count();
        assert_eq!(times, 1, "{why}: {explained:?}");
    }
    assert_eq!(explained.len(), CloseReason::ALL.len(), "{explained:?}");
}
