//! `serve` under faults.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use countersign::{ClientConfig, Dialect, Key, KeyRing, KeyRingExt as _, Protection};
use serde_json::Value;

use crate::clients::{Account, Visit, crowd, is_excused};
use crate::faults::{ABORTED, Counts, ENDS, Faults, PAUSES};
use crate::home::Home;
use crate::random::Random;
use crate::schedules::play;
use crate::served::ServerProcess;
use crate::status::{number, settled, sum};

const KEY: &str = "garden text:sixteen-bytes-and-more dialects=countersign/1,raw\n";

/// What the server speaks.
struct Setup {
    options: &'static str,
    config: ClientConfig,
}

impl Setup {
    fn new(random: &mut Random) -> Self {
        let key = Key::new("garden", b"sixteen-bytes-and-more").unwrap();
        let key = key.with_dialect(Dialect::Countersign).with_dialect(Dialect::Raw);
        let ring = KeyRing::from_key(key).unwrap();
        let mutual = ClientConfig::builder(Dialect::Countersign).with_keys(ring.clone());
        let sealed = mutual.clone().with_records(Protection::Sealed);
        let raw = ClientConfig::builder(Dialect::Raw).with_keys(ring);
        let (options, config) = match random.up_to(4) {
            1 => ("--workers 2", mutual),
            2 => ("--records sealed", sealed),
            3 => ("--dialect raw", raw),
            _ => ("", mutual),
        };
        Self { options, config: config.build().unwrap() }
    }
}

/// The server has counted what clients have seen, and what was injected.
fn adds_up(report: &Value, account: &Account, faults: &Counts) {
    let aborted = faults.of(ABORTED);
    let figure = |name: &str| number(&report[name]);
    assert_eq!(figure("accepted") + aborted, account.connected, "connections");
    assert_eq!(figure("accepted"), sum(&report["closed"]) + sum(&report["refused"]), "ends");
    assert_eq!(figure("accept_failures"), aborted + faults.of(&["accept-eintr"]), "{report}");
    assert_eq!(figure("accept_pauses"), faults.of(PAUSES), "{report}");
    assert!((account.answered..=account.sent).contains(&figure("messages")), "messages");
    let unavailable = report["closed"].get("unavailable").map_or(0, number);
    assert_eq!(unavailable, faults.of(&["watch-enomem", "watch-enospc", "random-eio"]));
    assert!(account.broken <= aborted + faults.of(ENDS), "connections broke without a fault");
}

/// Connections that are open when the server is told to stop.
fn stop(server: ServerProcess, faults: &Faults, visits: Vec<Visit>) -> (Account, String) {
    let mut all = Account::default();
    faults.arm();
    let talks: Vec<_> = visits.into_iter().map(|visit| thread::spawn(|| visit.end())).collect();
    server.signal("TERM");
    talks.into_iter().for_each(|talk| all.add(talk.join().unwrap()));
    let ran = server.end();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    (all, ran.err)
}

fn schedule(seed: u64) -> Counts {
    let home = Home::with_keys(KEY);
    let mut random = Random::new(seed, 0);
    let Setup { options, config } = Setup::new(&mut random);
    let config = Arc::new(config);
    // A Unix socket has no faults, so the server counts those of its listener alone.
    let admin = format!("unix:{}", home.path("admin").display());
    let line = format!("serve --service echo --bind 127.0.0.1:0 --admin {admin} {options}");
    let mut command = home.command(&line);
    let faults = Faults::preload(&mut command, &home, "serve", seed);
    let server = ServerProcess::started(command.spawn().unwrap(), 1);
    let address: SocketAddr = server.address().parse().unwrap();
    // It is there from now on.
    server.admin();

    faults.arm();
    let mut account = crowd(address, &config, seed);
    faults.disarm();
    // Nothing of it is left behind.
    let calm = Visit::begin(address, &config, Random::new(seed, 1)).ok().unwrap().end();
    assert_eq!(calm.finished, 1, "a connection broke without faults");
    account.add(calm);
    adds_up(&settled(&home, &admin), &account, &faults.counts());

    let visit = |number: u64| {
        let random = Random::new(seed, 1_000 + number);
        let mut visit = Visit::begin(address, &config, random).ok().unwrap();
        visit.ask().unwrap_or_else(|error| is_excused(&error));
        visit
    };
    let (drained, log) = stop(server, &faults, (0..4).map(visit).collect());
    account.add(drained);
    let accepted = account.connected - faults.counts().of(ABORTED);
    assert!(log.contains(&format!("stopped; {accepted} connections, ")), "{log}");
    faults.counts()
}

#[test]
fn serve_loses_nothing_whatever_system_calls_do() {
    let faults = ["read", "write", "accept", "shutdown", "watch", "wait", "random"];
    play("serve", &faults, schedule);
}
