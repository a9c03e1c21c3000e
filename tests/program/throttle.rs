//! Networks that guess: the options that say how many failures they have, and what the log tells of
//! them to a program that watches it.

use std::io::{Read as _, Write as _};
use std::process::Command;

use super::balancer::dial_from;
use super::home::{Home, skip};
use super::logs::offend;

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=raw\n";

const OPERATIONS: &str = include_str!("../../src/manual/operations.md");

const STRICT: &str = "--failure-burst 1 --failure-limit 2 --failure-delay 1ms --failure-decay 1h";

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
        let (_, line) =
            manual(&format!("Z WARN  throttled: new connections {state}")).split_once(' ')?;
        Some(line.replace("127.0.0.1:9527", &listener).replace("192.0.2.7", "127.0.0.1"))
    });
    let said: Vec<_> = told.iter().map(|line| Some(line.split_once(' ')?.1.to_owned())).collect();
    assert_eq!(said, shown, "{}", ran.err);
    assert_eq!(ran.err.matches("refused: wrong-proof").count(), 3, "{}", ran.err);
}

#[test]
fn many_networks_that_are_throttled_give_few_lines() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --dialect raw --failure-burst 0 --failure-delay 1ms");
    let address = server.address().parse().unwrap();
    for host in 2..202 {
        let mut peer = dial_from(host, address);
        peer.read_exact(&mut [0; 32]).unwrap();
        peer.write_all(&[0; 32]).unwrap();
        assert!(matches!(peer.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
    let ran = server.stop();
    let told = ran.err.matches("throttled: new connections are delayed").count();
    assert!((1..200).contains(&told), "{told} lines for 200 networks");
}

/// The filter for fail2ban that is handed out.
const FILTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/fail2ban/countersign.conf");

/// What fail2ban finds in these lines, or Python in its place. None where there is neither.
fn banned(home: &Home, lines: &str) -> Option<String> {
    // What is the date is cut out, and <ADDR> stands for an address.
    const FIND: &str = "import re, sys
expression, = re.findall('^failregex = (.*)', open(sys.argv[1]).read(), re.M)
expression = expression.replace('<ADDR>', r'(?P<address>[0-9a-fA-F:.]+)')
for line in open(sys.argv[2]):
    found = re.search(expression, re.sub(r'^(\\S+Z|\\w+ \\d+ [\\d:]+)', '', line).rstrip())
    if found: print(found['address'])";
    let log = home.write("log", lines);
    let mut python = Command::new("python3");
    let found = python.args(["-c", FIND, FILTER]).arg(&log).output().ok()?;
    let found = String::from_utf8(found.stdout).unwrap();
    match Command::new("fail2ban-regex").args(["-o", "ip"]).arg(&log).arg(FILTER).output() {
        Ok(output) => assert_eq!(String::from_utf8(output.stdout).unwrap(), found),
        Err(_) => skip("there is no fail2ban here, so Python stands in for it"),
    }
    Some(found)
}

#[test]
fn fail2ban_finds_who_is_refused_in_a_file_and_in_the_journal() {
    let home = Home::with_keys(KEY);
    let server = home.serve(&format!("serve --dialect raw {STRICT}"));
    for _ in 0..3 {
        offend(&server);
    }
    let ran = server.stop();
    // Three wrong proofs, the second of which brings a delay and the third the end.
    assert_eq!(ran.err.matches("WARN").count(), 5, "{}", ran.err);
    let Some(found) = banned(&home, &ran.err) else { return skip("there is no python3 here") };
    assert_eq!(found, "127.0.0.1\n", "{}", ran.err);
    // As fail2ban writes an entry of the journal.
    let journal = |line: &str| format!("Nov 24 08:04:30 host countersign[4711]: {line}\n");
    let lines: String = ran.err.lines().filter(|line| line.contains('Z')).map(journal).collect();
    assert_eq!(banned(&home, &lines).unwrap(), "127.0.0.1\n", "{lines}");
}

#[test]
fn without_a_time_to_forgive_nobody_is_throttled() {
    let home = Home::with_keys(KEY);
    let options = "--failure-burst 0 --failure-limit 0 --failure-decay 0s";
    let server = home.serve(&format!("serve --dialect raw {options}"));
    for _ in 0..5 {
        offend(&server);
    }
    let ran = server.stop();
    assert!(!ran.err.contains("throttled"), "{}", ran.err);
}
