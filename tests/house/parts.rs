//! The table of parts on the page `architecture`: what one must read to trust the server.

use std::process::Command;

/// How many lines the table may be behind, in hundredths of a part. It is not written anew for each
/// change.
const BEHIND: usize = 5;

/// The least that it may be behind, in lines.
const BEHIND_LEAST: usize = 30;

/// The rows of a table whose last column is a number.
fn rows(text: &str) -> Vec<(&str, usize)> {
    let row = |line: &'_ str| {
        let (part, lines) = line.strip_suffix(" |")?.rsplit_once(" | ")?;
        Some((part.len(), lines.replace(',', "").parse().ok()?))
    };
    text.lines().filter_map(|line| row(line).map(|(end, lines)| (&line[..end], lines))).collect()
}

#[test]
fn the_table_of_parts_is_about_what_is_counted() {
    let counted = Command::new(".ci/trusted-core").output().unwrap();
    let (counted, page) = (
        String::from_utf8(counted.stdout).unwrap(),
        std::fs::read_to_string("src/manual/architecture.md").unwrap(),
    );
    let (counted, written) = (rows(&counted), rows(&page));
    assert!(counted.len() > 8, "{counted:?}");
    for (part, lines) in counted {
        let (_, said) = written.iter().find(|(other, _)| *other == part).unwrap_or_else(|| {
            panic!("the page has no row {part}; .ci/trusted-core prints the table")
        });
        let behind = (lines * BEHIND / 100).max(BEHIND_LEAST);
        assert!(
            lines.abs_diff(*said) <= behind,
            "{part}: {said} on the page, {lines} counted; .ci/trusted-core prints the table"
        );
    }
}
