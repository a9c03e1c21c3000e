//! Signals from the first instruction on: before a verb has begun, to PID 1 of a container, and
//! where what they send to wake the loop is lost.

use std::fmt::Display;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::thread::{sleep, yield_now};
use std::time::Duration;

use super::home::{Home, KillOnDrop, skip};
use super::progress::Progress;
use super::served::{ServerProcess, ask, dial, signal};

/// The two daemons, each at a free port.
const DAEMONS: [&str; 2] = [
    "serve --service echo --bind 127.0.0.1:0",
    "proxy --role server --listen 127.0.0.1:0 --target 127.0.0.1:1",
];

const NUMBERS: [(&str, i32); 4] = [("HUP", 1), ("INT", 2), ("USR1", 10), ("TERM", 15)];

fn number(name: &str) -> i32 {
    NUMBERS.iter().find(|(each, _)| *each == name).unwrap().1
}

/// A ring that takes a second or so to read: its passphrase is stretched.
fn slow_home() -> Home {
    Home::with_keys("default  passphrase:tulip-anvil-ferry-cocoa-plank\n")
}

fn quick_home() -> Home {
    Home::with_keys("default  text:sixteen-bytes-and-more\n")
}

impl KillOnDrop {
    fn new(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    #[track_caller]
    fn end(&mut self) -> ExitStatus {
        until("the end of the process", || self.0.try_wait().unwrap())
    }
}

#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut progress = Progress::since(());
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(progress.continues(()), "waiting for {what}");
        yield_now();
    }
}

#[expect(clippy::disallowed_methods, reason = "a signal at any moment is what is tried here")]
fn pause(millis: u64) {
    sleep(Duration::from_millis(millis));
}

/// Whether a signal is in a set of a process: SigCgt is what it handles, SigIgn what it ignores.
fn has(process: impl Display, set: &str, name: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t"));
    let mask = u64::from_str_radix(mask.unwrap_or("0"), 16).unwrap();
    mask >> (number(name) - 1) & 1 == 1
}

fn handles(pid: u32, name: &str) -> bool {
    has(pid, "SigCgt", name)
}

/// Whether a signal ends a process that has no handler. `nohup` has what it starts ignore SIGHUP,
/// and a script has those in the background ignore SIGINT; so do all that they start.
fn is_fatal(name: &&str) -> bool {
    let is_ignored = has("self", "SigIgn", name);
    if is_ignored {
        skip(&format!("whoever started the tests had them ignore SIG{name}"));
    }
    !is_ignored
}

/// Waits until the process has claimed its signals. What comes before its first instruction, while
/// the system still loads it, it can't help.
#[track_caller]
fn claimed(pid: u32) {
    until("its handlers", || (handles(pid, "HUP") && handles(pid, "USR1")).then_some(()));
}

/// The processor time that a process has used, in ticks.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_daemon_claims_its_signals_before_it_does_anything_else() {
    let home = slow_home();
    for line in DAEMONS {
        let child = home.command(line).spawn().unwrap();
        let pid = child.id();
        claimed(pid);
        let at_first = ticks(pid);
        for name in ["HUP", "USR1", "HUP"] {
            signal(name, pid);
        }
        let server = ServerProcess::started(child, 1);
        let at_last = ticks(pid);
        assert!(at_first * 3 < at_last, "{line}: {at_first} of {at_last} ticks were over");
        assert_eq!(server.stop().code, Some(0), "{line}");
    }
}

#[test]
fn orders_of_the_first_half_second_are_carried_out_and_end_no_daemon() {
    let (quick, slow) = (quick_home(), slow_home());
    let delays = [(0, &slow), (300, &slow), (0, &quick), (1, &quick), (3, &quick), (10, &quick)];
    let delays = [&delays[..], &[(30, &quick), (100, &quick), (500, &quick)]].concat();
    for line in DAEMONS {
        for name in ["HUP", "USR1"] {
            for (delay, home) in &delays {
                let child = home.command(line).spawn().unwrap();
                claimed(child.id());
                pause(*delay);
                signal(name, child.id());
                let server = ServerProcess::started(child, 1);
                dial(server.address());
                server.err.with(if name == "HUP" { "reloaded" } else { "status" });
                let ran = server.stop();
                assert_eq!(ran.code, Some(0), "SIG{name} after {delay} ms: {line}: {}", ran.err);
            }
        }
    }
}

#[test]
fn who_is_told_to_stop_in_the_first_half_second_stops() {
    let home = slow_home();
    for line in DAEMONS {
        for name in ["TERM", "INT"].into_iter().filter(is_fatal) {
            for delay in [0, 1, 3, 10, 30, 100, 250, 500] {
                let mut running = KillOnDrop::new(home.command(line));
                pause(delay);
                signal(name, running.pid());
                let status = running.end();
                let is_right = status.code() == Some(0) || status.signal() == Some(number(name));
                assert!(is_right, "SIG{name} after {delay} ms: {line}: {status}");
            }
        }
    }
}

/// A verb in a namespace of its own, whose first process it is.
struct First {
    outside: KillOnDrop,
    pid: u32,
}

impl First {
    fn new(home: &Home, line: &str) -> Self {
        let mut command = Command::new("unshare");
        home.prepare(&mut command);
        command.args(["--pid", "--fork", "--kill-child", super::home::PROGRAM]);
        command.args(line.split_whitespace());
        let outside = KillOnDrop::new(command);
        let parent = outside.pid();
        let children = format!("/proc/{parent}/task/{parent}/children");
        let child = || fs::read_to_string(&children).ok()?.trim().parse().ok();
        let pid = until("the child of unshare", child);
        // While it is still a copy of its parent, it has none.
        until("a handler for SIGTERM", || handles(pid, "TERM").then_some(()));
        Self { outside, pid }
    }
}

fn may_unshare() -> bool {
    let tried = Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    let may = tried.is_ok_and(|ran| ran.status.success());
    if !may {
        skip("the system lets nobody make a namespace of processes here");
    }
    may
}

/// Verbs that go on for long, against an echo server, its pages, and a port where nobody listens.
fn long_verbs(server: &str, pages: &str) -> [String; 5] {
    [
        format!("load {server} --dialect open -z 10m"),
        format!("ping {server} --dialect open -c 100000"),
        format!("connect {server} --dialect open"),
        "connect 127.0.0.1:1 --dialect open --retry 100000".to_owned(),
        format!("status {pages} --watch"),
    ]
}

#[test]
fn every_verb_ends_by_sigterm_and_sigint_also_as_pid_1() {
    let home = slow_home();
    if !may_unshare() {
        return;
    }
    let server = home.serve("serve --dialect open --service echo --admin 127.0.0.1:0");
    let pages = server.admin();
    for name in ["TERM", "INT"] {
        for line in long_verbs(server.address(), &pages) {
            let mut first = First::new(&home, &line);
            signal(name, first.pid);
            let code = first.outside.end().code();
            let goes_on = ["load", "status"].iter().any(|verb| line.starts_with(verb));
            // Those take the signals over to end in order, once they have begun.
            let is_right = code == Some(128 + number(name)) || (goes_on && code == Some(0));
            assert!(is_right, "SIG{name}: {line}: {code:?}");
        }
        for line in DAEMONS {
            // While it starts.
            let mut first = First::new(&home, line);
            signal(name, first.pid);
            let code = first.outside.end().code();
            assert_eq!(code, Some(128 + number(name)), "SIG{name}: {line}");
        }
    }
}

#[test]
fn every_verb_ends_by_sigterm_and_sigint_as_any_other_process() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo --admin 127.0.0.1:0");
    let pages = server.admin();
    for name in ["TERM", "INT"].into_iter().filter(is_fatal) {
        for line in long_verbs(server.address(), &pages) {
            let mut running = KillOnDrop::new(home.command(&line));
            pause(20);
            signal(name, running.pid());
            let status = running.end();
            let is_right = status.code() == Some(0) || status.signal() == Some(number(name));
            assert!(is_right, "SIG{name}: {line}: {status}");
        }
    }
}

#[test]
fn a_load_that_is_told_to_end_writes_its_report() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo");
    for name in ["TERM", "INT"] {
        let line = format!("load {} --dialect open -z 10m --output json", server.address());
        let child = home.command(&line).spawn().unwrap();
        until("its handlers", || handles(child.id(), name).then_some(()));
        pause(100);
        signal(name, child.id());
        let ran = super::home::finish(child, b"");
        assert_eq!(ran.code, Some(0), "SIG{name}: {}", ran.err);
        assert!(ran.out.contains("\"successRate\""), "{}", ran.out);
    }
}

#[test]
fn a_signal_is_heard_also_where_it_can_not_wake_the_loop() {
    let lost = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=sendto"];
    // The first four only try what kind of descriptor it is, one for each signal.
    let inject = ["-e", "inject=sendto:error=EINTR:when=5+"];
    let tried = Command::new("strace").args(lost).args(inject).arg("true").output();
    if !tried.is_ok_and(|ran| ran.status.success()) {
        return skip("strace isn't there, or may not trace");
    }
    let home = quick_home();
    for line in [DAEMONS[0].to_owned() + " --workers 2", DAEMONS[1].to_owned()] {
        for name in ["TERM", "INT"] {
            let mut command = Command::new("strace");
            home.prepare(&mut command);
            command.args(lost).args(inject).arg(super::home::PROGRAM);
            let child = command.args(line.split_whitespace()).spawn().unwrap();
            let children = format!("/proc/{0}/task/{0}/children", child.id());
            let server = ServerProcess::started(child, 1);
            let pid = fs::read_to_string(children).unwrap().trim().parse().unwrap();
            signal("USR1", pid);
            server.err.with("status");
            signal(name, pid);
            assert_eq!(server.end().code, Some(0), "SIG{name}: {line}");
        }
    }
}

#[test]
fn what_is_no_daemon_ends_by_sighup() {
    if !is_fatal(&"HUP") {
        return;
    }
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo");
    let line = format!("connect {} --dialect open", server.address());
    let mut running = KillOnDrop::new(home.command(&line));
    pause(20);
    signal("HUP", running.pid());
    assert_eq!(running.end().signal(), Some(1));
    assert_eq!(ask(&server.dial(), "a"), "a\n");
}
