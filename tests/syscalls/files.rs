//! Key files and results under faults: each is the old one or the new one, and never a part.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use countersign::{ClientConfig, KeyRing, KeyRingExt as _};
use serde_json::Value;

use crate::clients::crowd;
use crate::faults::{Counts, Faults};
use crate::home::{Home, Ran, finish, mode};
use crate::random::Random;
use crate::schedules::play;
use crate::served::ServerProcess;
use crate::status::number;

const KEY: &str = "default text:sixteen-bytes-and-more\n";

/// What makes the program give up.
const FAILURES: &[&str] = &[
    "file-open-emfile",
    "file-open-eio",
    "file-read-eio",
    "file-write-eio",
    "file-write-enospc",
    "file-fsync-eio",
    "file-truncate-eio",
    "file-chmod-eperm",
    "file-rename-enospc",
    "random-eio",
];

/// Runs a command with faults. Returns what it did and what was injected.
fn run(home: &Home, line: &str, seed: u64) -> (Ran, Counts) {
    let mut command = home.command(line);
    let name = format!("run-{seed}");
    let faults = Faults::preload(&mut command, home, &name, seed).with_files(&mut command, home);
    faults.arm();
    let ran = finish(command.spawn().unwrap(), b"");
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    let counts = faults.counts();
    assert!(ran.code == Some(0) || counts.of(FAILURES) > 0, "it failed without a fault: {ran:?}");
    (ran, counts)
}

/// Adds and replaces keys. Returns what was injected.
fn change_keys(home: &Home, seed: u64) -> Counts {
    let mut all = Counts::default();
    for number in 0..8 {
        let before = home.ring_text();
        let rotates = number % 2 == 1;
        let line = if rotates { "keys rotate default" } else { &format!("keygen key-{number}") };
        let (ran, counts) = run(home, line, seed * 100 + number);
        all.add(&counts);
        let after = home.ring_text();
        // The change is there, and all that failed is to have it outlive a loss of power.
        let is_unsynced = ran.err.contains("cannot be synced");
        match ran.code {
            code if code == Some(0) || is_unsynced => {
                let more = before.lines().filter(|line| !after.lines().any(|each| each == *line));
                let changed = usize::from(rotates);
                assert!(more.count() <= changed, "a key is lost: {before}{after}");
                assert_eq!(after.lines().count(), before.lines().count() + 1, "{before}{after}");
            }
            _ => assert_eq!(after, before, "a change that failed: {}", ran.err),
        }
        assert_eq!(mode(home.ring()), 0o600);
        assert!(KeyRing::from_file(home.ring()).is_ok(), "{after}");
        assert!(!fs::exists(home.ring().with_extension("new")).unwrap(), "{}", ran.err);
    }
    all
}

/// A load whose report is written to a file, and perhaps to standard output instead.
fn save_results(home: &Home, server: &ServerProcess, seed: u64) -> Counts {
    let path = home.path("report.json");
    let line = format!("load {} -n 9 --output json -o {}", server.address(), path.display());
    let (ran, counts) = run(home, &line, seed);
    let report = match ran.code {
        Some(0) => fs::read_to_string(&path).unwrap(),
        Some(74) if !ran.out.is_empty() => ran.out,
        _ => return counts,
    };
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["summary"]["due"], 9);
    counts
}

/// Reloads a server. The keys that are in force stay until new ones are.
fn reload(home: &Home, seed: u64) -> Counts {
    let admin = format!("unix:{}", home.path("admin").display());
    let keys = home.ring().display().to_string();
    let line = format!("serve --service echo --bind 127.0.0.1:0 --admin {admin} --keys {keys}");
    let mut command = home.command(&line);
    let faults = Faults::preload(&mut command, home, "serve", seed).with_files(&mut command, home);
    let server = ServerProcess::started(command.spawn().unwrap(), 1);
    server.admin();
    let address: SocketAddr = server.address().parse().unwrap();
    let (mut failed, reloads) = (0, 6);
    for _ in 0..reloads {
        faults.arm();
        server.signal("HUP");
        let line = server.err.with("reload");
        faults.disarm();
        failed += u64::from(line.contains("reload failed"));
        let config = Arc::new(ClientConfig::from(KeyRing::from_file(home.ring()).unwrap()));
        let account = crowd(address, &config, seed);
        assert_eq!(account.broken, 0, "{line}");
    }
    let counts = faults.counts();
    assert!(failed <= counts.of(FAILURES), "a reload failed without a fault");
    let report: Value =
        serde_json::from_str(&home.run(&format!("status {admin} --json"), "").out).unwrap();
    assert_eq!(number(&report["reloads"]["failed"]), failed);
    assert_eq!(number(&report["reloads"]["succeeded"]), reloads - failed);
    let mut all = save_results(home, &server, seed);
    all.add(&counts);
    assert_eq!(server.stop().code, Some(0));
    all
}

fn schedule(seed: u64) -> Counts {
    let home = Home::with_keys(KEY);
    let mut counts = match Random::new(seed, 0).up_to(2) {
        1 => change_keys(&home, seed),
        _ => Counts::default(),
    };
    counts.add(&reload(&home, seed));
    counts
}

#[test]
fn files_are_old_or_new_whatever_system_calls_do() {
    play("files", &["file"], schedule);
}
