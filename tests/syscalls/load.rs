//! `load` under faults, against a server without.

use serde_json::Value;

use crate::faults::{Counts, ENDS, Faults};
use crate::home::{Home, finish};
use crate::random::Random;
use crate::schedules::play;
use crate::status::{number, settled, sum};

const KEY: &str = "default text:sixteen-bytes-and-more\n";

/// What must not happen to a message: a server that answers rightly and at once was misunderstood,
/// or an event was lost.
const INEXCUSABLE: &[&str] =
    &["wrong reply", "protocol violated", "reply timeout", "connect timeout"];

/// How many messages, from how many clients, and how.
fn options(random: &mut Random) -> (u64, String) {
    let (clients, depth) = (random.up_to(8), random.choose(&[1, 2, 16]));
    let count = clients * random.up_to(40);
    let size = random.choose(&[32, 5_000, 40_000]);
    let style = random.choose(&["", "--reconnect", "--rate 2k", "--threads 2", "--close rst"]);
    let threads = if clients == 1 { style.replace("--threads 2", "") } else { style.to_owned() };
    let line = format!("-n {count} -c {clients} -P {depth} --size {size} {threads}");
    (count as u64, line)
}

/// Each message that was due is accounted for, and the server has had those that were answered.
fn adds_up(count: u64, report: &Value, listener: &Value, faults: &Counts) {
    let summary = &report["summary"];
    let [due, answered, failed, aborted, unsent, connected, idle] =
        ["due", "answered", "failed", "aborted", "neverSent", "connected", "lostWithoutMessage"]
            .map(|name| number(&summary[name]));
    assert_eq!(due, count, "{summary}");
    assert_eq!(due, answered + failed + aborted + unsent, "{summary}");
    let (messages, connections) = (&report["errorDistribution"], &report["connectionErrors"]);
    assert_eq!(sum(messages), failed, "{messages} {summary}");
    for reasons in [messages, connections] {
        let wrong = INEXCUSABLE.iter().filter(|reason| !reasons[**reason].is_null());
        assert_eq!(wrong.count(), 0, "{reasons}");
    }
    let broken = sum(connections);
    assert!(broken <= faults.of(ENDS), "{connections} {faults:?}");
    assert!(idle <= broken, "{summary} {connections}");
    assert!(broken > 0 || answered == due, "{summary}");
    let figure = |name: &str| number(&listener[name]);
    assert!((answered..=due).contains(&figure("messages")), "{listener} {summary}");
    assert!(figure("authenticated") <= connected, "{listener} {summary}");
    assert!(connected <= figure("authenticated") + broken, "{listener} {summary}");
}

fn schedule(seed: u64) -> Counts {
    let home = Home::with_keys(KEY);
    let admin = format!("unix:{}", home.path("admin").display());
    let server = home.serve(&format!("serve --service echo --admin {admin}"));
    server.admin();
    let (count, options) = options(&mut Random::new(seed, 0));
    let line = format!("load {} {options} --output json", server.address());
    let mut command = home.command(&line);
    let faults = Faults::preload(&mut command, &home, "load", seed);
    faults.arm();
    let ran = finish(command.spawn().unwrap(), b"");
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    let counts = faults.counts();
    if ran.err.contains("no random bytes can be had") {
        // It needs some before it begins.
        assert!(ran.out.is_empty() && ran.code == Some(65) && counts.of(&["random-eio"]) > 0);
        return counts;
    }
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    adds_up(count, &report, &settled(&home, &admin), &counts);
    assert_eq!(server.stop().code, Some(0));
    counts
}

#[test]
fn load_accounts_for_every_message_whatever_system_calls_do() {
    let faults = ["read", "write", "socket", "option", "connect", "watch", "wait", "random"];
    play("load", &faults, schedule);
}
