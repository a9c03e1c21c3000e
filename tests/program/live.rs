//! What `load` shows while it runs: a view on a terminal, lines elsewhere, and nothing on stdout.

use serde_json::Value;

use super::home::{Home, PROGRAM};
use super::prompt::Terminal;
use super::served::ServerProcess;

fn served(home: &Home) -> ServerProcess {
    home.serve("serve --service echo --dialect open")
}

/// The view is removed by moving above it and clearing what is below.
const CLEARED: &str = "A\x1b[J";

#[test]
fn a_terminal_shows_the_last_seconds_and_is_left_clean() {
    let home = Home::new();
    let server = served(&home);
    let report = home.path("report");
    let line = format!(
        "NO_COLOR=1 {PROGRAM} load {} --dialect open -c 4 -z 3s --threads 2 --output json -o {}",
        server.address(),
        report.display()
    );
    let Some(mut terminal) = Terminal::running(&home, &line) else { return };
    for text in ["Replies/s   ", "Latency     p50 ", "Connections 4 made, 0 lost", "[", "left"] {
        terminal.expect(text);
    }
    // A curve, once a second is over.
    terminal.expect("█");
    let (rest, code) = terminal.end();
    assert_eq!(code, Some(0));
    let view = format!("\x1b[6{CLEARED}");
    let (before, after) = rest.rsplit_once(&view).unwrap_or_else(|| panic!("{rest:?}"));
    assert!(before.contains("100%") || before.contains('%'), "{before:?}");
    assert_eq!(after.trim(), "", "nothing is left");
    assert!(!rest.contains("\x1b[31m"), "no colours");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert!(report["summary"]["answered"].as_u64().unwrap() > 0);
}

#[test]
fn a_narrow_terminal_has_one_line() {
    let home = Home::new();
    let server = served(&home);
    let line = format!("stty cols 30; {PROGRAM} load {} --dialect open -z 2s", server.address());
    let Some(mut terminal) = Terminal::running(&home, &line) else { return };
    terminal.expect("/s");
    let shown = terminal.expect(&format!("\x1b[1{CLEARED}"));
    assert!(!shown.contains("Replies/s   "), "{shown:?}");
    let (report, code) = terminal.end();
    assert!(report.trim_start().starts_with("Summary:"), "{report:?}");
    assert_eq!(code, Some(0));
}

#[test]
fn an_interrupt_removes_the_view_and_prints_the_report_in_every_phase() {
    let home = Home::new();
    let server = served(&home);
    for options in ["-z 1h", "-z 1h --warmup 1h", "-n 1000k -q 1", "-z 1h --connect-rate 1"] {
        let line = format!("{PROGRAM} load {} --dialect open {options}", server.address());
        let Some(mut terminal) = Terminal::running(&home, &line) else { return };
        terminal.expect("Connections ");
        terminal.type_keys("\x03");
        terminal.expect(CLEARED);
        let (report, _) = terminal.end();
        assert!(report.contains("  interrupted           true"), "{options}: {report}");
    }
}

#[test]
fn without_a_terminal_there_are_lines_where_they_are_asked_for() {
    let home = Home::new();
    let server = served(&home);
    let load = |options: &str| {
        let line = format!("load {} --dialect open -c 3 -z 1s {options}", server.address());
        home.run(&line, "")
    };
    let ran = load("--progress plain --progress-interval 100ms --output csv");
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(!lines.is_empty() && ran.out.lines().count() == 2, "{ran:?}");
    for line in lines {
        assert!(line.contains(" replies/s") && line.contains(", 0 failed, "), "{line}");
        assert!(!line.contains('\x1b'), "{line}");
    }
    for options in ["", "--progress auto", "--progress never", "--progress plain"] {
        assert_eq!(load(options).err, "", "{options}");
    }
}

#[test]
fn a_terminal_shows_nothing_where_it_is_not_wanted() {
    let home = Home::new();
    let server = served(&home);
    for (before, options) in [("", "--progress never"), ("TERM=dumb ", "")] {
        let line =
            format!("{before}{PROGRAM} load {} --dialect open -z 1s {options}", server.address());
        let Some(terminal) = Terminal::running(&home, &line) else { return };
        let (shown, code) = terminal.end();
        assert_eq!(code, Some(0));
        assert!(shown.starts_with("Summary:") && !shown.contains("\x1b["), "{shown:?}");
    }
}
