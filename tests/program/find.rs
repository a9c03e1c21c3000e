//! `load --find`: the highest rate at which conditions hold.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use countersign::clock::monotonic;
use serde_json::Value;

use super::free_port::free_address;
use super::home::{Home, PATIENCE, finish};

/// An echo of lines, which answers so many a second at most, and each after a time. It tells when
/// it accepts a connection.
fn server(rate: u32, latency: Duration) -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let free = Arc::new(Mutex::new(monotonic()));
    let (accepted, connections) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = accepted.send(());
            let free = Arc::clone(&free);
            thread::spawn(move || serve(&stream.unwrap(), rate, latency, &free));
        }
    });
    (address, connections)
}

fn serve(stream: &TcpStream, rate: u32, latency: Duration, free: &Mutex<Instant>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = Vec::new();
    let (_never, nothing) = channel::<()>();
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let turn = {
            let mut free = free.lock().unwrap();
            *free = monotonic().max(*free + Duration::from_secs(1) / rate);
            *free + latency
        };
        let _ = nothing.recv_timeout(turn.saturating_duration_since(monotonic()));
        let mut stream = stream;
        if stream.write_all(&line).is_err() {
            break;
        }
        line.clear();
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text:?}"))
}

#[test]
fn the_search_shows_its_probes_and_reports_on_the_rate_that_was_held() {
    let home = Home::new();
    let (address, _) = server(200, Duration::ZERO);
    let search = format!(
        "load {address} --dialect open -c 20 --find p50<400ms --probe-time 500ms -z 600ms \
         --find-precision 20%"
    );
    let ran = home.run(&format!("{search} --output json"), "");
    let report = json(&ran.out);
    let ladder = &report["ladder"];
    assert_eq!(ladder["conditions"][0], "p50<400ms");
    let probes = ladder["probes"].as_array().unwrap();
    // The first asks for five times what the server can do.
    assert_eq!((&probes[0]["rateAsked"], &probes[0]["passed"]), (&1000.0.into(), &false.into()));
    assert_eq!(probes[0]["verdict"], "the rate was not reached");
    assert_eq!(ran.err.lines().count(), 1 + probes.len(), "{}", ran.err);
    assert!(ran.err.starts_with("   asked/s  reached/s "), "{}", ran.err);
    // On a busy machine, it may be that none is held.
    let Some(found) = ladder["found"].as_f64() else { return assert_eq!(ran.code, Some(1)) };
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(found < 260.0, "{ladder}");
    let requested = report["summary"]["requestedRate"].as_f64().unwrap();
    assert!((requested - found).abs() < 1e-6, "{requested} {found}");
    assert_eq!(probes.last().unwrap()["hold"], true);
    assert_eq!(report["parameters"]["find"][0], "p50<400ms");
}

#[test]
fn a_search_that_finds_no_rate_fails() {
    let home = Home::new();
    let (slow, _) = server(100_000, Duration::from_millis(20));
    let search = |address: &str, options: &str| {
        let options = format!("--dialect open --probe-time 300ms {options}");
        home.run(&format!("load {address} {options}"), "")
    };
    // The rate of -q is the lowest.
    let ran = search(&slow, "-q 100 --find p50<5ms,errors<1%");
    ran.failed(
        1,
        &["no rate passed; 100 messages per second failed: p50<5ms does not hold: it is "],
    );
    assert!(ran.out.starts_with("Search:\n     asked/s  reached/s "), "{}", ran.out);
    assert!(ran.out.contains("  Conditions:   p50<5ms, errors<1%\n"), "{}", ran.out);
    assert_eq!(ran.out.matches("\n         100 ").count(), 2, "it is tried twice: {}", ran.out);
    // A server that isn't there is no matter of rates.
    let absent = free_address().to_string();
    search(&absent, "--find p50<5ms").failed(69, &["connection refused; is the server running?"]);
    let quiet = search(&slow, "-q 100 --find p50<5ms --output quiet");
    assert_eq!((quiet.code, &quiet.out[..], quiet.err.lines().count()), (Some(1), "", 1));
    for (options, remedy) in [
        ("--find p50>5ms", "write what has to hold: 'p99<5ms'"),
        ("--find rate<5", "the search finds the rate"),
        ("--find p50<5ms -n 10", "cannot be used with"),
        ("--find p50<5ms --stages 1s@5", "cannot be used with"),
        ("--find p50<5ms --find-precision 0", "write a share from 0.5% to 50%"),
    ] {
        search(&slow, options).failed(2, &[remedy]);
    }
}

#[test]
fn an_option_that_would_do_nothing_is_refused() {
    let home = Home::new();
    for (options, missing) in [
        ("--arrival burst", "<--rate <RATE>|--stages <TIME@RATE>|--find <CONDITION>>"),
        ("-q 9 --burst 5", "--arrival <NAME>"),
        ("-q 9 --probe-time 5s", "--find <CONDITION>"),
        ("-q 9 --find-precision 5%", "--find <CONDITION>"),
    ] {
        let ran = home.run(&format!("load 127.0.0.1:9 --dialect open {options}"), "");
        ran.failed(2, &["required arguments were not provided", missing]);
    }
    for options in ["-n 1 --probe-time 5s", "--stages 1s@9 --find-precision 5%"] {
        let ran = home.run(&format!("load 127.0.0.1:9 --dialect open {options}"), "");
        ran.failed(2, &["cannot be used with"]);
    }
}

#[test]
fn a_search_that_is_told_to_end_reports_what_is_known() {
    let home = Home::new();
    let (address, connections) = server(1_000_000, Duration::ZERO);
    let line = format!(
        "load {address} --dialect open -c 8 --find p50<40s -q 50 --probe-time 300ms -z 60s \
         --output json"
    );
    let child = home.command(&line).spawn().unwrap();
    // One of them is in the second probe, when the first has passed.
    (0..9).for_each(|_| connections.recv_timeout(PATIENCE).unwrap());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ran = finish(child, b"");
    let report = json(&ran.out);
    assert_eq!((ran.code, &report["ladder"]["found"]), (Some(1), &Value::Null));
    assert_eq!(report["parameters"]["interrupted"], true);
    // The report is of the last load that has passed.
    assert_eq!(report["summary"]["rateReached"], true, "{report}");
    let summary = |name: &str| report["summary"][name].as_u64().unwrap();
    let sum = ["answered", "failed", "aborted", "neverSent"].map(summary).iter().sum::<u64>();
    assert_eq!(summary("due"), sum);
}
