//! The pace of the clients of `load`: how long they think, and rates of their own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::home::{Home, Ran};

/// Echoes lines, and says how long each client has waited between a reply and its next message,
/// and on which connection. It answers nothing on those from `mute` on.
fn server(mute: usize) -> (String, Receiver<(usize, Duration)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (waits, waited) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let waits = waits.clone();
            thread::spawn(move || echo(&stream.unwrap(), number, number >= mute, &waits));
        }
    });
    (address, waited)
}

fn echo(stream: &TcpStream, number: usize, is_mute: bool, waits: &Sender<(usize, Duration)>) {
    let mut lines = BufReader::new(stream);
    let (mut line, mut replied) = (Vec::new(), None);
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let waited = replied.map(|replied: Instant| now().duration_since(replied));
        let _ = waits.send((number, waited.unwrap_or_default()));
        replied = Some(now());
        let mut stream = stream;
        if !is_mute && stream.write_all(&line).is_err() {
            break;
        }
        line.clear();
    }
}

#[expect(clippy::disallowed_methods, reason = "the peer measures how long it waits")]
fn now() -> Instant {
    Instant::now()
}

fn load(home: &Home, address: &str, options: &str) -> (Ran, Value) {
    let line = format!("load {address} --dialect open --output json {options}");
    let ran = home.run(&line, "");
    let report = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    (ran, report)
}

#[test]
fn a_client_that_thinks_waits_after_each_reply() {
    let home = Home::new();
    let think = Duration::from_millis(30);
    for (options, replies) in [("-P 1", 1), ("-P 4", 4), ("-P 1 --threads 2", 1)] {
        let (address, waited) = server(usize::MAX);
        let options = format!("-c 2 -n 24 --think 30ms {options}");
        let (ran, report) = load(&home, &address, &options);
        assert_eq!(ran.code, Some(0), "{options}: {ran:?}");
        assert_eq!(report["summary"]["answered"], 24, "{options}");
        assert_eq!(report["parameters"]["thinkSeconds"], 0.03);
        let waits: Vec<_> = waited.try_iter().map(|(_, waited)| waited).collect();
        let long = waits.iter().filter(|waited| **waited >= think).count();
        // Only the first messages of the two clients had no reply before them.
        assert_eq!((waits.len(), long), (24, 24 / replies - 2), "{options}: {waits:?}");
    }
}

#[test]
fn a_client_that_reconnects_thinks_in_between() {
    let home = Home::new();
    let (address, waited) = server(usize::MAX);
    let (ran, report) = load(&home, &address, "-c 1 -n 6 --reconnect --think 30ms");
    assert_eq!((ran.code, waited.try_iter().count()), (Some(0), 6));
    let took = report["summary"]["total"].as_f64().unwrap();
    assert!(took >= 0.15, "{took}");
}

#[test]
fn each_connection_has_a_rate_of_its_own() {
    let home = Home::new();
    // The last of four connections gets no reply, and the others don't send what it owes.
    let (address, sent) = server(3);
    let options = "-c 4 -z 400ms --rate-per-connection 50";
    let (_, report) = load(&home, &address, options);
    let summary = &report["summary"];
    assert_eq!((&summary["due"], &summary["requestedRate"]), (&80.into(), &200.0.into()));
    assert_eq!(report["parameters"]["ratePerConnection"], 50.0);
    let sent: Vec<usize> = sent.try_iter().map(|(number, _)| number).collect();
    let of = |number| sent.iter().filter(|each| **each == number).count();
    assert!((0..3).all(|number| of(number) <= 20) && of(3) == 1, "{sent:?}");
    assert!(summary["answered"].as_u64().unwrap() <= 60, "{report}");
    assert!(summary["neverSent"].as_u64().unwrap() >= 19, "{report}");

    let (address, _sent) = server(usize::MAX);
    let (ran, report) = load(&home, &address, "-c 3 -n 9 --rate-per-connection 2.5 --threads 2");
    assert_eq!((ran.code, &report["summary"]["answered"]), (Some(0), &9.into()));
    assert_eq!(report["summary"]["requestedRate"], 7.5);
    // The third messages are due after 0.8 s and later.
    assert!(report["summary"]["total"].as_f64().unwrap() >= 0.8, "{report}");
}

#[test]
fn paces_that_contradict_each_other_are_refused() {
    let home = Home::new();
    for (options, said) in [
        ("--think 1s -q 5", "'--think <TIME>' cannot be used with '--rate <RATE>'"),
        ("--think 1s --stages 1s@5", "'--think <TIME>' cannot be used with '--stages"),
        ("--rate-per-connection 5 --think 1s", "cannot be used with '--think <TIME>'"),
        ("--rate-per-connection 5 -q 5", "cannot be used with '--rate <RATE>'"),
        ("--rate-per-connection 5 --reconnect", "cannot be used with '--reconnect'"),
        ("--rate-per-connection 0", "write a rate from 0.001 to 1g, like 10 or 0.5"),
        ("--rate-per-connection NaN", "write a rate from 0.001 to 1g, like 10 or 0.5"),
    ] {
        home.run(&format!("load 127.0.0.1:9 {options}"), "").failed(2, &[said]);
    }
}
