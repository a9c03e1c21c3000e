//! Numbers: whatever is given for one, by an option, a file or the environment, nothing panics.

use std::io::{Read as _, Write as _};

use super::home::Home;
use super::served::{ServerProcess, ask, dial};

/// What help calls a number.
const NAMES: [&str; 5] = ["TIME", "N", "SIZE", "RATE", "DEPTH"];

/// What no option takes for a number.
const SENSELESS: [&str; 6] =
    ["-1", "NaN", "1e99", "400000000000y", "18446744073709551615g", "99999999999999999999s"];

/// The longest times, without an end where that can be.
const LONGEST: &str = r#"
busy-poll = "48d"
handshake-timeout = "48d"
idle-timeout = "0s"
message-timeout = "0s"
write-timeout = "48d"
session-max-age = "0s"
drain-timeout = "48d"
failure-delay = "48d"
failure-decay = "48d"
failure-burst = 4294967295
failure-limit = 4294967295
tcp-user-timeout = "24d"
tcp-keepalive = "9h"
"#;

/// An option that takes a number, and the variable for it, as help shows them.
struct Number {
    option: String,
    variable: String,
}

fn numbers(home: &Home, verb: &str) -> Vec<Number> {
    let help = home.run(&format!("{verb} --help"), "").out;
    let mut numbers: Vec<Number> = Vec::new();
    let mut open = None;
    for line in help.lines().map(str::trim) {
        if line.starts_with('-') {
            let named = line.split_once("--").and_then(|(_, rest)| rest.split_once([' ', '[']));
            let number = named.filter(|(_, value)| {
                NAMES.contains(&value.trim_matches(|c: char| !c.is_ascii_uppercase()))
            });
            open = number.map(|(option, _)| option.to_owned());
        } else if let Some(rest) = line.strip_prefix("[env: ")
            && let Some(option) = open.take()
        {
            let variable = rest.split('=').next().unwrap().to_owned();
            numbers.push(Number { option, variable });
        }
    }
    assert!(!numbers.is_empty(), "{verb}: {help}");
    numbers
}

#[test]
fn what_is_no_number_in_range_is_refused_in_option_and_environment_alike() {
    let home = Home::new();
    let file = home.write("empty.toml", "");
    let check = format!("check-config {}", file.display());
    let verbs = [
        ("serve", "serve --dialect open"),
        ("check-config", &check),
        ("connect", "connect 127.0.0.1:1"),
        ("ping", "ping 127.0.0.1:1"),
        ("load", "load 127.0.0.1:1"),
        ("status", "status 127.0.0.1:1"),
        ("proxy", "proxy --role server --listen 127.0.0.1:0 --target 127.0.0.1:1"),
        ("keys rotate", "keys rotate garden"),
    ];
    for (verb, line) in verbs {
        for Number { option, variable } in numbers(&home, verb) {
            for value in SENSELESS {
                for line in
                    [format!("{line} --{option}={value}"), format!("{variable}={value} {line}")]
                {
                    home.run(&line, "").failed(2, &["invalid value", ": write a "]);
                }
            }
        }
    }
}

#[test]
fn a_file_takes_the_numbers_that_the_options_take() {
    let home = Home::new();
    let name = home.path("garden.toml");
    let check = format!("check-config {}", name.display());
    for Number { option, variable } in numbers(&home, "serve") {
        for value in SENSELESS.into_iter().chain(["0", "0s"]) {
            home.write("garden.toml", "dialect = \"open\"\n");
            let typed = home.run(&format!("{check} --{option}={value}"), "");
            let set = home.run(&format!("{variable}={value} {check}"), "");
            home.write("garden.toml", format!("dialect = \"open\"\n{option} = \"{value}\"\n"));
            let read = home.run(&check, "");
            let codes = (typed.code, set.code, read.code);
            let refused = (Some(2), Some(2), Some(78));
            let expected =
                if typed.code == Some(0) { (Some(0), Some(0), Some(0)) } else { refused };
            assert_eq!(codes, expected, "{option} {value}: {read:?}");
            assert_eq!(read.err.contains(": write a "), codes == refused, "{}", read.err);
        }
    }
}

#[test]
fn no_time_at_all_is_never_or_refused() {
    let home = Home::new();
    let options = "--idle-timeout 0s --message-timeout 0s --session-max-age 0s --tcp-keepalive 0";
    let server = home.serve(&format!("serve --dialect open --service echo {options}"));
    let (slow, other) = (server.dial(), server.dial());
    (&slow).write_all(b"a").unwrap();
    // The loop has turned since the message began, and since either was last heard of.
    for _ in 0..3 {
        assert_eq!(ask(&other, "other"), "other\n");
    }
    assert_eq!(ask(&slow, "b"), "ab\n");
    let line = format!("connect {} --dialect open --timeout 0s", server.address());
    home.run(&line, "a\nb\n").printed("a\nb\n");
    for line in [
        "serve --handshake-timeout 0s",
        "serve --write-timeout 0s",
        "ping 127.0.0.1:1 --timeout 0s",
        "status 127.0.0.1:1 --timeout 0s",
        "status 127.0.0.1:1 --watch 0s",
        "load 127.0.0.1:1 --duration 0s",
        "load 127.0.0.1:1 --connections 0",
    ] {
        home.run(line, "").failed(2, &["invalid value '0", ": write a "]);
    }
}

#[test]
fn the_longest_times_end_no_server_when_they_are_read_again() {
    let home = Home::new();
    let plain = "dialect = \"open\"\nservice = \"echo\"\nbind = \"127.0.0.1:0\"\n";
    let file = home.write("garden.toml", plain);
    let line = format!("serve --config {} --admin 127.0.0.1:0", file.display());
    let server = ServerProcess::started(home.command(&line).spawn().unwrap(), 1);
    let admin = server.admin();
    home.write(
        "garden.toml",
        plain.replace("bind", &format!("{LONGEST}bind")).replace("tcp-", "#"),
    );
    let check = home.run(&format!("check-config {}", file.display()), "");
    assert_eq!(check.code, Some(0), "{check:?}");
    server.signal("HUP");
    server.err.with("reloaded");
    let address = server.address();
    let spoken = "--dialect open --timeout 48d";
    home.run(&format!("connect {address} {spoken} --retry 4294967295"), "a\n").printed("a\n");
    for line in [
        format!("ping {address} {spoken} -c 2 --interval 0s"),
        format!("status {admin} --timeout 48d"),
        format!("load {address} --dialect open -c 1 -n 1 -P 10k -z 48d --connect-timeout 48d"),
        format!("load {address} --dialect open -c 1 -n 9 -q 1g --arrival burst --burst 1g"),
    ] {
        let ran = home.run(&line, "");
        assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{line}");
    }
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_server_that_begins_with_the_greatest_numbers_serves() {
    let home = Home::new();
    let text = format!(
        "{LONGEST}dialect = \"open\"\nservice = \"echo\"\nbind = \"127.0.0.1:0\"\n\
         max-connections = \"10m\"\nmax-unauthenticated = \"10m\"\nmax-per-address = \"10m\"\n\
         buffered-max = \"4294967296g\"\nmessage-max = \"1g\"\n"
    );
    let file = home.write("garden.toml", text);
    let child = home.command(&format!("serve --config {}", file.display())).spawn().unwrap();
    let server = ServerProcess::started(child, 1);
    let peer = dial(server.address());
    assert_eq!(ask(&peer, "a"), "a\n");
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!((&peer).read(&mut [0]).unwrap(), 0);
    assert_eq!(server.stop().code, Some(0));
}
