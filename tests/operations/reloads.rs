//! Reloads at random moments, under load.

use std::hash::{BuildHasher as _, RandomState};
use std::thread;
use std::time::Duration;

use super::clients::{Clients, KEY, accepted};
use super::home::Home;

/// A time up to this, which nobody foretells.
fn at_random(most: Duration) -> Duration {
    let nanos = u64::try_from(most.as_nanos()).unwrap();
    Duration::from_nanos(RandomState::new().hash_one(0) % nanos)
}

/// Lets as much time pass: what is tested here is that no moment is a bad one.
fn pass(time: Duration) {
    thread::park_timeout(time);
}

#[test]
fn a_server_that_is_reloaded_a_thousand_times_loses_nothing() {
    let home = Home::with_keys(KEY);
    let keys = home.ring().display().to_string();
    let server = home.serve(&format!("serve --service echo --workers 2 --keys {keys}"));
    let clients = Clients::begin(server.address(), 8);
    clients.wait_for(100);
    for round in 0..1_000 {
        // Every tenth time the file is broken, and the keys that are in force stay.
        let text = if round % 10 == 9 { "garden text:short" } else { KEY };
        home.write("new", text);
        std::fs::rename(home.path("new"), home.ring()).unwrap();
        server.signal("HUP");
        pass(at_random(Duration::from_millis(2)));
    }
    home.write(".config/countersign/keys", KEY);
    server.signal("HUP");
    clients.wait_for(100);
    let answered = clients.end();
    let ran = server.stop();
    assert_eq!(accepted(&ran), answered, "accepted, and answered");
    assert!(ran.err.contains("INFO  reloaded"), "{}", ran.err);
    assert!(ran.err.contains("reload failed"), "{}", ran.err);
}
