//! The report of `load`: where it goes, what is in it, and why nothing was answered.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use serde_json::Value;

use super::free_port::free_address;
use super::home::{Home, skip};
use super::served::ServerProcess;

fn served(home: &Home) -> ServerProcess {
    home.serve("serve --service echo --dialect open")
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_load() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for file in ["/nonexistent/report", "/"] {
        let ran = home.run(&format!("load {address} --dialect open -n 5 -o {file}"), "");
        ran.failed(74, &[&format!("cannot write to {file}: ")]);
        assert_eq!(ran.out, "");
        assert!(listener.accept().is_err(), "nobody has connected");
    }
}

#[test]
fn a_report_that_its_file_does_not_take_is_not_lost() {
    let home = Home::new();
    let server = served(&home);
    let load = format!("load {} --dialect open -n 5 --output json", server.address());
    let ran = home.run(&format!("{load} -o /dev/full"), "");
    ran.failed(74, &["cannot write to /dev/full: ", "the report is on stdout instead"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["summary"]["answered"], 5);
    // The verdict stands beside it.
    let ran = home.run(&format!("{load} -o /dev/full --fail-if max>0s"), "");
    ran.failed(1, &["max>0s holds", "cannot write to /dev/full"]);
}

#[test]
fn a_report_replaces_the_last_one_when_there_is_a_report() {
    let home = Home::new();
    let server = served(&home);
    let file = home.write("report", "x".repeat(100_000));
    let path = file.display();
    let load = format!("load {} --dialect open -n 5 --output json -o {path}", server.address());
    home.run(&format!("{load} --size 1g"), "").failed(2, &[]);
    home.run(&format!("{load} --source 203.0.113.9"), "").failed(69, &[]);
    assert_eq!(fs::read_to_string(&file).unwrap().len(), 100_000, "nothing was measured");
    home.run(&load, "").printed("");
    let report: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(report["summary"]["answered"], 5);
}

#[test]
fn a_report_has_the_form_that_was_asked_for_and_thresholds_set_the_exit_code() {
    let home = Home::new();
    let server = served(&home);
    let load = |options: &str| {
        let address = server.address();
        home.run(&format!("load {address} --dialect open -n 500 {options}"), "")
    };
    let text = load("");
    assert_eq!((text.code, &text.err[..]), (Some(0), ""), "no bar in a pipe");
    for part in ["Success rate: 100.00%", "Answered:     500", "Percentiles:", "99.99%"] {
        assert!(text.out.contains(part), "{part} is missing in\n{}", text.out);
    }
    assert_eq!(load("--output csv").out.lines().count(), 2);
    load("--output quiet --fail-if errors>0").printed("");
    load("--output quiet --fail-if max>0ms").failed(1, &["max>0ms holds"]);
}

#[test]
fn a_report_says_what_was_asked_for() {
    let home = Home::new();
    let server = served(&home);
    let address = server.address();
    let load = format!(
        "load {address} --dialect open --framing length -c 3 -P 2 -n 50 -q 10k --arrival burst \
         --burst 5 --size 40 --close rst --source 127.0.0.2,127.0.0.3 --connect-rate 1k \
         --reply-timeout 0s --fail-if errors>0,p99>40d"
    );
    let server = home.serve("serve --service echo --dialect open --framing length");
    let load = load.replace(address, server.address());
    let json = home.run(&format!("{load} --output json"), "");
    let report: Value = serde_json::from_str(&json.out).unwrap();
    let parameters = &report["parameters"];
    for (name, expected) in [
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("address", server.address().into()),
        ("server", server.address().into()),
        ("dialect", "open".into()),
        ("framing", "length".into()),
        ("connections", 3.into()),
        ("pipeline", 2.into()),
        ("count", 50.into()),
        ("rate", 10_000.into()),
        ("arrival", "burst".into()),
        ("burst", 5.into()),
        ("size", 40.into()),
        ("close", "rst".into()),
        ("source", vec!["127.0.0.2", "127.0.0.3"].into()),
        ("connectRate", 1000.into()),
        ("replyTimeoutSeconds", Value::Null),
        ("durationSeconds", Value::Null),
        ("failIf", vec!["errors>0", "p99>40d"].into()),
        ("interrupted", false.into()),
    ] {
        assert_eq!(parameters[name], expected, "{name}");
    }
    assert!(parameters["start"].as_str().unwrap().ends_with('Z'));
    let text = home.run(&load, "").out;
    for line in ["Due:          50\n", "Never sent:   0\n", "  arrival               burst\n"] {
        assert!(text.contains(line), "{line:?} is missing: {text}");
    }
    let csv = home.run(&format!("{load} --output csv"), "").out;
    let (names, values) = csv.trim_end().split_once('\n').unwrap();
    assert!(names.contains(",never_sent,") && names.contains(",connect_timeout_seconds,"));
    assert!(values.contains(r#","127.0.0.2,127.0.0.3","#), "{values}");
}

#[test]
fn several_threads_load_several_workers_as_one() {
    let home = Home::new();
    let server = home.serve("serve --service echo --dialect open --workers 2");
    let load = |options: &str| {
        let address = server.address();
        home.run(&format!("load {address} --dialect open -c 5 --idle 1 -n 1001 {options}"), "")
    };
    let ran = load("-P 3 --threads 2 --output json");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let summary = &report["summary"];
    let counts = ["due", "answered", "failed"].map(|name| summary[name].as_u64());
    assert_eq!(counts, [1001, 1001, 0].map(Some), "{report}");
    // An idle client may still be in its handshake when the last reply arrives.
    assert!((5..=6).contains(&summary["connected"].as_u64().unwrap()), "{report}");
    assert_eq!(summary["loadBusyThreads"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["parameters"]["threads"], 2);
    let bars = report["responseTimeHistogram"].as_object().unwrap().values();
    assert_eq!(bars.map(|count| count.as_u64().unwrap()).sum::<u64>(), 1001, "{report}");

    let text = load("--threads 5").out;
    assert!(text.contains("% of 5 cores ("), "{text}");
    load("--threads 6").failed(2, &["each thread needs a connection of its own"]);
}

#[test]
fn each_reason_that_nothing_was_answered_has_its_remedy() {
    let home = Home::new();
    let absent = free_address();
    let stale = home.path("stale");
    drop(UnixListener::bind(&stale).unwrap());
    let load = |address: &str, options: &str| {
        home.run(&format!("load {address} --dialect open -n 3 -c 2 {options}"), "")
    };
    let unix = |name: &str| format!("unix:{}", home.path(name).display());
    let server = served(&home);
    load(&absent.to_string(), "").failed(69, &["connection refused; is the server running?"]);
    load(&unix("none"), "").failed(69, &["no such socket; is the server running?"]);
    load(&unix("stale"), "").failed(69, &["connection refused; is the server running?"]);
    let foreign = load(server.address(), "--source 203.0.113.9");
    foreign.failed(69, &["clients can't use the source address 203.0.113.9: it isn't an address"]);
    assert!(!foreign.err.contains("port"), "{}", foreign.err);
    load(server.address(), "--source ::1").failed(2, &["of another family than the server's"]);
    load(&unix("stale"), "--source 127.0.0.1").failed(2, &["have no source address"]);
}

#[test]
fn a_server_with_few_descriptors_says_how_many_it_serves() {
    let home = Home::new();
    let mut shell = std::process::Command::new("prlimit");
    home.prepare(&mut shell);
    shell.args(["--nofile=60:60", super::home::PROGRAM]);
    shell.args(["serve", "--dialect", "open", "--bind", "127.0.0.1:0"]);
    let Ok(child) = shell.spawn() else { return skip("there is no prlimit here") };
    let server = ServerProcess::started(child, 1);
    server.err.with("60 descriptors allow for 1 connections; raise ulimit -n");
    server.err.with(", with 1 connections, whatever peers do");
}

#[test]
fn a_load_without_descriptors_still_reports() {
    let home = Home::new();
    let server = served(&home);
    let load = format!("load {} --dialect open -c 40 -z 300ms --output json", server.address());
    let mut shell = std::process::Command::new("prlimit");
    home.prepare(&mut shell);
    shell.args(["--nofile=24:24", super::home::PROGRAM]).args(load.split_whitespace());
    let Ok(child) = shell.spawn() else { return skip("there is no prlimit here") };
    let ran = super::home::finish(child, b"");
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_default();
    assert!(report["connectionErrors"]["too many open files"].is_u64(), "{ran:?}");
    assert!(report["summary"]["answered"].as_u64().unwrap() > 0, "{ran:?}");
}
