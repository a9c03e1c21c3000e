//! The system's faults: interrupted calls, no descriptors, no randomness. strace injects them.

use std::fs;
use std::net::Shutdown;
use std::time::Duration;

use countersign::{CloseReason, Dialect, KeyRing, Limits, RingSecrets};

use crate::both_ends::BothEnds;
use crate::child::{self, ServingChild};
use crate::common::{CHALLENGE, Client, PATIENCE, bracket, key, now, speaking};
use crate::server_thread::ServerThread;

const SERVE: &str = "faults::serve";

#[test]
#[ignore = "is the server of the tests below, in a process of its own"]
fn serve() {
    if child::is_child() {
        // The ring draws nothing, so that what fails first is drawn for a challenge.
        let ring = KeyRing::new(RingSecrets::new([9; 48]));
        let ring = ring.with(key("sixteen bytes or more")).unwrap();
        let protocol = BothEnds::new(Dialect::Raw, ring);
        child::serve(ServerThread::start(protocol, Limits::default(), bracket));
    }
}

/// A server whose calls fail as strace is told.
fn injured(faults: &[&str], test: &str) -> Option<ServingChild> {
    injured_by(faults, test).map(|words| ServingChild::start(&words, SERVE))
}

/// The words that have it so.
fn injured_by(faults: &[&str], test: &str) -> Option<Vec<String>> {
    if !child::can_run("strace", &["-qq", "-o", "/dev/null", "true"], test) {
        return None;
    }
    let words = ["strace", "-f", "-qq", "-o", "/dev/null"].map(str::to_owned);
    let injections = faults.iter().flat_map(|fault| ["-e".into(), format!("inject={fault}")]);
    Some(words.into_iter().chain(injections).collect())
}

/// Comes in and has messages answered, so many times.
fn converse(served: &ServingChild, times: usize) {
    let protocol = speaking(Dialect::Raw);
    for time in 0..times {
        let mut client = Client::enter(served.address, &protocol);
        for message in 0..3 {
            client.say(format!("{time} {message}\n").as_bytes());
            client.expect(format!("[{time} {message}]\n").as_bytes());
        }
    }
}

#[test]
fn interrupted_calls_are_made_again() {
    const NAME: &str = "interrupted_calls_are_made_again";
    let calls = "epoll_wait,recvfrom,sendto,accept4:error=EINTR:when=10+3";
    let Some(served) = injured(&[calls], NAME) else { return };
    converse(&served, 40);
    let counted = served.stop();
    assert_eq!(counted.of("messages"), 120);
    assert!(counted.of("accept-failures") > 0, "nothing was injected: {counted:?}");
    assert_eq!(counted.closed(CloseReason::Reset), 0);
}

#[test]
fn accepting_goes_on_after_a_want_of_descriptors() {
    const NAME: &str = "accepting_goes_on_after_a_want_of_descriptors";
    let Some(served) = injured(&["accept4:error=EMFILE:when=3+4"], NAME) else { return };
    converse(&served, 20);
    let counted = served.stop();
    assert_eq!(counted.of("accepted"), 20);
    assert!(counted.of("accept-pauses") > 0, "nothing was injected: {counted:?}");
}

#[test]
fn connections_that_are_gone_before_they_are_accepted_do_no_harm() {
    const NAME: &str = "connections_that_are_gone_before_they_are_accepted_do_no_harm";
    let Some(served) = injured(&["accept4:error=ECONNABORTED:when=2+2"], NAME) else { return };
    converse(&served, 20);
    let counted = served.stop();
    assert_eq!(counted.of("accepted"), 20);
    assert!(counted.of("accept-failures") > 0, "nothing was injected: {counted:?}");
    assert_eq!(counted.of("accept-pauses"), 0);
}

#[test]
fn without_randomness_there_is_no_challenge_and_the_server_lives() {
    const NAME: &str = "without_randomness_there_is_no_challenge_and_the_server_lives";
    // Some calls are made for others: by the allocator and by hash tables. Whether they count
    // depends on the version of strace, so the first that is made for a challenge is looked for.
    for first in 1..9 {
        let Some(words) = injured_by(&[&format!("getrandom:error=EIO:when={first}+")], NAME) else {
            return;
        };
        let Some(served) = ServingChild::try_start(&words, SERVE) else { continue };
        let mut inside = Client::connect(served.address);
        if inside.hears_within(PATIENCE) == Some(true) {
            inside.hear(CHALLENGE - 1);
            return exhaust(served, inside);
        }
        assert_eq!(served.stop().closed(CloseReason::Unavailable), 1);
    }
    panic!("nobody was ever challenged");
}

/// Calls until there are no challenges any more, of which one call fetches 128.
fn exhaust(served: ServingChild, mut inside: Client) {
    let mut challenged = 0;
    for _ in 0..200 {
        let mut client = Client::connect(served.address);
        client.0.shutdown(Shutdown::Write).unwrap_or_default();
        let (heard, _) = client.hear_all();
        assert!(heard.is_empty() || heard.len() == CHALLENGE, "{heard:?}");
        assert!(heard.is_empty() || heard.iter().any(|&byte| byte != 0), "a challenge of zeros");
        challenged += u64::from(!heard.is_empty());
    }
    // Who was challenged before is still waited for.
    assert_eq!(inside.hears_within(Duration::from_millis(50)), None);
    let counted = served.stop();
    assert!((1..200).contains(&challenged), "{challenged} were challenged");
    assert_eq!(counted.closed(CloseReason::Unavailable), 200 - challenged);
    assert_eq!(counted.closed(CloseReason::Truncated), challenged);
    assert_eq!(counted.closed(CloseReason::Stopped), 1);
}

#[test]
fn a_socket_that_can_t_be_watched_is_closed_and_the_others_are_served() {
    const NAME: &str = "a_socket_that_can_t_be_watched_is_closed_and_the_others_are_served";
    // The first calls register the waker and the listener.
    let Some(served) = injured(&["epoll_ctl:error=ENOSPC:when=5+3"], NAME) else { return };
    let protocol = speaking(Dialect::Raw);
    let (mut in_vain, mut answered) = (0, 0);
    for _ in 0..30 {
        let mut client = Client::connect(served.address);
        if client.hears_within(PATIENCE) == Some(true) {
            drop(client.hear(CHALLENGE - 1));
            answered += 1;
        } else {
            in_vain += 1;
        }
    }
    assert!(in_vain > 0 && answered > in_vain, "{in_vain} in vain, {answered} answered");
    let mut inside = None;
    for _ in 0..3 {
        let mut client = Client::connect(served.address);
        if client.0.peek(&mut [0]).is_ok_and(|length| length > 0) {
            client.prove(&protocol);
            client.say(b"here\n");
            client.expect(b"[here]\n");
            inside = Some(client);
        }
    }
    assert!(inside.is_some());
    assert!(served.stop().closed(CloseReason::Unavailable) >= in_vain);
}

/// The processor time that a process has used, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The second field, a name in parentheses, may hold blanks; user and system time are 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_descriptors_the_server_waits_quietly_and_then_serves_the_rest() {
    const NAME: &str = "without_descriptors_the_server_waits_quietly_and_then_serves_the_rest";
    if !child::can_run("prlimit", &["--nofile=20:20", "true"], NAME) {
        return;
    }
    let served = ServingChild::start(&["prlimit".into(), "--nofile=20:20".into()], SERVE);
    let protocol = speaking(Dialect::Raw);
    let since = now();
    let mut clients: Vec<Client> = (0..40).map(|_| Client::connect(served.address)).collect();
    // They are accepted in the order in which they came; the first that hears nothing is outside.
    let full = clients.iter_mut().position(|client| {
        client.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let outside = client.0.peek(&mut [0]).is_err();
        client.0.set_read_timeout(Some(PATIENCE)).unwrap();
        if !outside {
            client.prove(&protocol);
            client.say(b"in\n");
            client.expect(b"[in]\n");
        }
        outside
    });
    let mut outside = clients.split_off(full.expect("everybody found a place"));
    assert!(clients.len() > 5, "{} are in", clients.len());
    // Whoever spins takes all of a processor, however busy that is otherwise.
    let before = ticks(served.pid());
    assert_eq!(outside[0].hears_within(Duration::from_millis(500)), None);
    let used = ticks(served.pid()) - before;
    assert!(used <= 5, "{used} ticks in half a second are more than 10 %");
    // Those who are in notice nothing.
    clients[0].say(b"quiet\n");
    clients[0].expect(b"[quiet]\n");
    drop(clients);
    for mut client in outside {
        client.prove(&protocol);
        client.say(b"at last\n");
        client.expect(b"[at last]\n");
    }
    let counted = served.stop();
    assert_eq!(counted.of("accepted"), 40);
    // It tries again ten times a second, and whenever somebody leaves.
    let tries = since.elapsed().as_secs() * 10 + 10 + 40;
    assert!((1..=tries).contains(&counted.of("accept-pauses")), "{counted:?}");
}
