//! Networks that guess: the options that say how many failures they have, and what the log tells of
//! them to a program that watches it.

use std::io::Read as _;
use std::process::Command;

use super::home::{Home, skip};
use super::logs::offend;

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=raw\n";

const OPERATIONS: &str = include_str!("../../src/manual/operations.md");

const STRICT: &str = "--failures-free 1 --failures-max 2 --failure-delay 1ms --failure-forgiven 1h";

/// The line of the manual that has this text.
fn manual(text: &str) -> &'static str {
    let mut lines = OPERATIONS.lines().filter(|line| line.contains(text));
    let (Some(line), None) = (lines.next(), lines.next()) else { panic!("not one line: {text}") };
    line
}

#[test]
fn the_log_says_once_that_a_network_is_delayed_and_that_it_is_refused() {
    let home = Home::with_keys(KEY);
    let server = home.serve(&format!("serve --dialect raw {STRICT}"));
    for _ in 0..3 {
        offend(&server);
    }
    for _ in 0..3 {
        assert_eq!(server.dial().read(&mut [0; 8]).unwrap(), 0, "it is refused");
    }
    let listener = server.address().to_string();
    let ran = server.stop();
    let told: Vec<&str> = ran.err.lines().filter(|line| line.contains("throttled")).collect();
    let shown = ["are delayed", "are refused"].map(|state| {
        let (_, line) = manual(&format!("Z WARN  throttled: newcomers {state}")).split_once(' ')?;
        Some(line.replace("127.0.0.1:9527", &listener).replace("192.0.2.7", "127.0.0.1"))
    });
    let said: Vec<_> = told.iter().map(|line| Some(line.split_once(' ')?.1.to_owned())).collect();
    assert_eq!(said, shown, "{}", ran.err);
    assert_eq!(ran.err.matches("refused: wrong-proof").count(), 3, "{}", ran.err);
}

#[test]
fn the_manuals_expression_finds_the_address_in_the_line() {
    // As fail2ban does it: what is the date is cut out, and <ADDR> stands for an address.
    const FIND: &str = "import re, sys
expression = sys.argv[1].replace('<ADDR>', r'(?P<address>[0-9a-fA-F:.]+)')
for line in sys.argv[2:]:
    found = re.search(expression, re.sub(r'^\\S+Z', '', line))
    print(found['address'] if found else '-')";
    let home = Home::with_keys(KEY);
    let server = home.serve(&format!("serve --dialect raw {STRICT}"));
    for _ in 0..3 {
        offend(&server);
    }
    let ran = server.stop();
    let (_, expression) = manual("failregex = ").split_once(" = ").unwrap();
    let lines = ran.err.lines().filter(|line| line.contains("WARN"));
    let mut python = Command::new("python3");
    let Ok(output) = python.args(["-c", FIND, expression]).args(lines).output() else {
        return skip("there is no python3 here");
    };
    let found = String::from_utf8(output.stdout).unwrap();
    // Three wrong proofs, the second of which brings a delay and the third the end.
    assert_eq!(found, "-\n-\n-\n-\n127.0.0.1\n", "{}", ran.err);
}

#[test]
fn without_a_time_to_forgive_nobody_is_throttled() {
    let home = Home::with_keys(KEY);
    let options = "--failures-free 0 --failures-max 0 --failure-forgiven 0s";
    let server = home.serve(&format!("serve --dialect raw {options}"));
    for _ in 0..5 {
        offend(&server);
    }
    let ran = server.stop();
    assert!(!ran.err.contains("throttled"), "{}", ran.err);
}
