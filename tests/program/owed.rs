//! What a load owes: every message that was due is counted once, whatever the server does.
//!
//! Each server here misbehaves in one way. Each is loaded in all kinds of ways, and the report in
//! JSON has to add up: `due = answered + failed + aborted + never sent`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use super::free_port::free_address;
use super::home::{Home, PATIENCE, Ran, finish};

/// What a server does with a connection, which has a number.
type Act = fn(TcpStream, usize);

/// Serves each connection on a thread of its own, as long as the test program runs.
fn server(act: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, act) = (listener.local_addr().unwrap().to_string(), Arc::new(act));
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let act = Arc::clone(&act);
            thread::spawn(move || act(stream.unwrap(), number));
        }
    });
    address
}

/// Answers lines, as often as it is told, and hands the connection back.
fn echo(stream: TcpStream, times: usize) -> TcpStream {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = Vec::new();
    for _ in 0..times {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(1..) if (&stream).write_all(&line).is_ok() => {}
            _ => break,
        }
    }
    stream
}

/// Reads what comes until the client leaves.
fn listen(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// How servers misbehave.
const SERVERS: [(&str, Act); 10] = [
    ("it is honest", |stream, _| drop(echo(stream, usize::MAX))),
    ("it is mute", |stream, _| listen(stream)),
    ("it doesn't read", |stream, _| {
        thread::park();
        drop(stream);
    }),
    ("it hangs up at once", |stream, _| drop(stream)),
    ("it hangs up in the middle of a batch", |stream, _| {
        echo(stream, 3).shutdown(Shutdown::Both).unwrap_or_default();
    }),
    ("it resets in the middle of a batch", |stream, _| reset(echo(stream, 5))),
    ("it stops answering", |stream, _| listen(echo(stream, 4))),
    ("it answers wrongly", |stream, _| {
        let mut stream = echo(stream, 2);
        let _ = stream.write_all(b"this is not what you said, whatever you said\n");
        listen(stream);
    }),
    ("it answers twice", |mut stream, _| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let doubled = [&line[..], &line].concat();
            if stream.write_all(&doubled).is_err() {
                break;
            }
            line.clear();
        }
    }),
    ("every other connection is mute", |stream, number| match number % 2 {
        0 => drop(echo(stream, usize::MAX)),
        _ => listen(stream),
    }),
];

/// How it is loaded.
const LOADS: [&str; 25] = [
    "-n 40",
    "-n 40 -P 7",
    "-n 40 --reconnect",
    "-n 40 --reconnect --close rst",
    "-n 40 -q 1k",
    "-n 40 -q 1k -P 7 --arrival burst --burst 9",
    "-z 400ms",
    "-z 400ms -P 7 --idle 2",
    "-z 400ms --reconnect -q 200",
    "-z 400ms -q 300 -P 3 --arrival poisson",
    "-z 300ms -q 100 --warmup 200ms",
    "-n 1000k -z 300ms --connect-rate 20",
    "-n 40 --threads 3",
    "-n 40 --rate-per-connection 1k -P 3",
    "-z 400ms --rate-per-connection 100 --threads 3 --idle 2",
    "-z 400ms --rate-per-connection 40 --warmup 200ms",
    "-n 40 --think 5ms -P 7",
    "-z 400ms --think 20ms --warmup 100ms",
    "-n 40 --think 5ms --reconnect",
    "-n 40 -q 1k -P 7 --arrival burst --burst 9 --threads 2",
    "-z 400ms -P 7 --idle 2 --threads 3",
    "-z 400ms -q 300 -P 2 --idle 2 --threads 2",
    "--stages 200ms@100,100ms@0,200ms@0..900 -P 3",
    "--stages 200ms@2k,200ms@100 --warmup 100ms --threads 2 --arrival poisson",
    "--find p50<5s --probe-time 100ms -z 200ms -q 100",
];

#[derive(Debug)]
struct Account {
    due: u64,
    answered: u64,
    failed: u64,
    aborted: u64,
    unsent: u64,
}

/// The account of a report, which adds up.
#[track_caller]
fn account(ran: &Ran, what: &str) -> Account {
    let report: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{what}: {ran:?}"));
    let number = |name: &str| report["summary"][name].as_u64().unwrap();
    let account = Account {
        due: number("due"),
        answered: number("answered"),
        failed: number("failed"),
        aborted: number("aborted"),
        unsent: number("neverSent"),
    };
    let sum = account.answered + account.failed + account.aborted + account.unsent;
    assert_eq!(account.due, sum, "{what}: {account:?}");
    let reasons = report["errorDistribution"].as_object().unwrap().values();
    let failed: u64 = reasons.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(account.failed, failed, "{what}: {report}");
    let success = report["summary"]["successRate"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&success), "{what}: {success} {account:?}");
    if account.answered == 0 {
        let is_interrupted = report["parameters"]["interrupted"] == true;
        assert_eq!(ran.code == Some(1), is_interrupted, "{what}: {ran:?}");
        assert_ne!(ran.code, Some(0), "{what}: {ran:?}");
        assert!(success <= 0.0 && report["latencyPercentiles"]["p10"].is_null(), "{what}");
    }
    account
}

/// A load of a server of the dialect `open`.
fn load(home: &Home, address: &str, options: &str) -> Ran {
    let line = format!("load {address} --dialect open -c 3 --output json {options}");
    home.run(&line, "")
}

#[test]
fn every_message_that_was_due_is_counted_once() {
    let home = Home::new();
    thread::scope(|scope| {
        for (what, act) in SERVERS {
            let home = &home;
            scope.spawn(move || {
                let address = server(act);
                // A machine with much to do may make an honest server wait.
                let is_honest = what == "it is honest";
                let limit = if is_honest { "10s" } else { "200ms" };
                for options in LOADS {
                    let limited = format!("{options} --reply-timeout {limit}");
                    let ran = load(home, &address, &limited);
                    let account = account(&ran, &format!("{what}, {options}"));
                    if let Some(count) = options.strip_prefix("-n 40") {
                        assert_eq!(account.due, 40, "{what}, {count}: {account:?}");
                    }
                    if is_honest {
                        // It may also be late for all of a short load, or not hold what a search
                        // has found.
                        let is_late = account.answered == 0 && options.contains("-z");
                        let is_lost = options.contains("--find") && ran.code == Some(1);
                        assert!(is_late || is_lost || ran.code == Some(0), "{options}: {ran:?}");
                        assert_eq!(account.failed, 0, "{options}: {account:?}");
                    }
                }
            });
        }
    });
}

#[test]
fn a_handshake_that_comes_to_nothing_is_counted_too() {
    let ring = |secret: &str| {
        let key =
            |id: &str, dialects: &str| format!("{id} text:{secret}-{id} dialects={dialects}\n");
        key("new", "countersign/1") + &key("old", "raw,hex") + &key("py", "multiprocessing")
    };
    let home = Home::with_keys(&ring("our-own-secret"));
    let other = home.write("other", ring("another-secret"));
    let serving = |dialect: &str| {
        // Without the throttle, which would let later clients wait.
        let options = "--failure-burst 10k --failure-limit 10k";
        home.serve(&format!("serve --dialect {dialect} --keys {} {options}", other.display()))
    };
    let mute = server(|stream, _| listen(stream));
    let rude = server(|stream, _| drop(stream));
    let noisy = server(|mut stream, _| {
        let _ = stream.write_all(&[b'?'; 5000]);
        listen(stream);
    });
    let absent = free_address().to_string();
    let (_queue, full) = full_queue();
    let socket = format!("unix:{}", home.path("none").display());
    let mut kept = Vec::new();
    thread::scope(|scope| {
        for dialect in ["countersign/1", "raw", "hex", "multiprocessing"] {
            let refusing = serving(dialect);
            let servers = [
                ("mute", mute.clone(), 69),
                ("rude", rude.clone(), 69),
                // A noise may be taken for a challenge, for a refusal or for neither.
                ("noisy", noisy.clone(), 0),
                ("absent", absent.clone(), 69),
                ("a full queue", full.clone(), 69),
                ("no socket", socket.clone(), 69),
                ("another key", refusing.address().to_owned(), 77),
            ];
            for (what, address, code) in servers {
                let home = &home;
                scope.spawn(move || fail_to_connect(home, dialect, what, &address, code));
            }
            kept.push(refusing);
        }
    });
}

/// Loads a server in all ways to which no client gets through.
fn fail_to_connect(home: &Home, dialect: &str, what: &str, address: &str, code: i32) {
    for options in ["-n 6", "-n 6 -q 100", "-n 6 --reconnect", "-z 300ms -q 100"] {
        let what = format!("{dialect}, {what}, {options}");
        let line = format!(
            "load {address} --dialect {dialect} -c 2 --connect-timeout 200ms \
             --reply-timeout 200ms --output json {options}"
        );
        let ran = home.run(&line, "");
        let account = account(&ran, &what);
        assert_eq!(account.answered, 0, "{what}");
        // On a busy machine, the time may be over before anybody was refused.
        let in_time = options.contains("-n") || ran.out.contains(r#""connectionErrors":{""#);
        assert!(code == 0 || !in_time || ran.code == Some(code), "{what}: {ran:?}");
        assert!(!options.contains("-n") || account.due == 6 || options.contains("-q"), "{what}");
    }
}

/// An address where nothing answers, as if a firewall dropped what comes.
fn full_queue() -> (Vec<Socket>, String) {
    queue(0, 4)
}

/// An address where nobody accepts: connections stand until the queue is full, and some do already.
fn queue(length: i32, waiting: usize) -> (Vec<Socket>, String) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(length).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..waiting {
        let waiting = socket();
        waiting.set_nonblocking(true).unwrap();
        // It may be in progress for ever.
        let _ = waiting.connect(&address);
        sockets.push(waiting);
    }
    (sockets, address.as_socket().unwrap().to_string())
}

#[test]
fn a_count_ends_when_only_some_get_a_connection_and_none_an_answer() {
    let home = Home::new();
    for options in ["-n 60", "-n 60 -P 3", "-n 60 --reconnect", "-n 60 --idle 1"] {
        let (_queue, address) = queue(1, 0);
        let timeouts = "--connect-timeout 300ms --reply-timeout 200ms";
        let ran = load(&home, &address, &format!("{options} {timeouts}"));
        let account = account(&ran, options);
        assert_eq!((ran.code, account.answered), (Some(69), 0), "{options}: {ran:?}");
        assert!(account.unsent > 0, "{options}: the rest isn't tried, {account:?}");
    }
}

#[test]
fn a_reply_that_takes_too_long_is_an_error_however_the_load_ends() {
    let home = Home::new();
    // Each connection is answered once.
    let stops = server(|stream, _| listen(echo(stream, 1)));
    for options in ["-n 6 -P 2", "-z 700ms", "-z 700ms -q 100", "-z 700ms -P 4"] {
        let ran = load(&home, &stops, &format!("{options} --reply-timeout 200ms"));
        let account = account(&ran, options);
        assert!(account.answered > 0 && account.failed > 0, "{options}: {account:?}");
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(report["errorDistribution"]["reply timeout"], account.failed, "{options}");
        assert_eq!(report["parameters"]["replyTimeoutSeconds"], 0.2);
    }
    let ran = load(&home, &server(|stream, _| drop(echo(stream, 4))), "-z 100ms");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["parameters"]["replyTimeoutSeconds"], 10.0);
}

#[test]
fn a_count_goes_on_when_each_client_has_waited_in_vain_once() {
    let home = Home::new();
    // The first connections are answered twice, and the others always.
    for (clients, options) in [(1, "-c 1 -n 20"), (3, "-c 3 -n 60"), (3, "-c 3 -n 60 -P 2")] {
        let address = server(move |stream, number| match number {
            _ if number < clients => listen(echo(stream, 2)),
            _ => drop(echo(stream, usize::MAX)),
        });
        let line = format!("load {address} --dialect open {options} --reply-timeout 200ms");
        let ran = home.run(&format!("{line} --output json"), "");
        let account = account(&ran, options);
        assert_eq!((account.unsent, account.aborted), (0, 0), "{options}: {account:?}");
        assert!(account.failed >= clients as u64, "{options}: {account:?}");
    }
}

#[test]
fn a_thread_without_connections_owes_its_share_until_the_end() {
    let home = Home::new();
    // One client is served. That of the other thread tries ten times a second, and never gets in.
    let address = server(|stream, number| match number {
        0 => drop(echo(stream, usize::MAX)),
        _ => drop(stream),
    });
    let line = format!("load {address} --dialect open -c 2 --threads 2 -q 200 -z 1500ms");
    let ran = home.run(&format!("{line} --output json"), "");
    let account = account(&ran, &line);
    assert_eq!(account.due, 300, "{account:?}");
    assert!(account.answered <= 150, "{account:?}");
}

#[test]
fn conditions_are_judged_over_what_was_due() {
    let home = Home::new();
    // It stops for good after 20 messages of each client.
    let stops = server(|stream, _| listen(echo(stream, 20)));
    // The same, also for connections that come later. The load gives up.
    let dies = server(|stream, number| listen(echo(stream, if number < 3 { 20 } else { 0 })));
    let shuts = server(|stream, _| drop(echo(stream, 3)));
    let honest = server(|stream, _| drop(echo(stream, usize::MAX)));
    let mute = server(|stream, _| listen(stream));
    let late = "-q 200 -z 1s";
    let cases = [
        (&stops, late, "p50>5ms", 1),
        (&stops, late, "p99>40d", 1),
        (&stops, late, "max>40d", 1),
        (&stops, late, "p99<40d", 0),
        (&stops, late, "mean>100ms", 1),
        (&stops, late, "success<80%", 1),
        (&stops, late, "errors>20%", 1),
        (&stops, late, "rate<150", 1),
        (&stops, late, "rate>150", 0),
        (&dies, "-n 100 --reply-timeout 200ms", "errors>10%", 1),
        (&shuts, "-n 160 -P 16", "errors>50%", 1),
        (&shuts, "-n 160 -P 16", "success<50%", 1),
        (&shuts, "-n 160 -P 16", "p10>40d", 0),
        (&shuts, "-n 160 -P 16", "p50>40d", 1),
        (&honest, "-n 500", "errors>0", 0),
        (&honest, "-z 300ms", "errors>0", 0),
        (&honest, "-z 300ms", "success<1", 0),
        (&honest, "-n 500", "p100>40d", 0),
        (&honest, "-n 500", "max>0s", 1),
        (&mute, "-z 300ms", "p99>5ms", 69),
        (&mute, "-z 300ms", "p99<5ms", 69),
    ];
    for (address, options, condition, code) in cases {
        let ran = load(&home, address, &format!("{options} --fail-if {condition}"));
        account(&ran, condition);
        assert_eq!(ran.code, Some(code), "{options}, {condition}: {ran:?}");
        if code == 1 {
            assert!(ran.err.contains(&format!("{condition} holds: it is ")), "{}", ran.err);
        }
    }
}

#[test]
fn a_rate_that_was_not_reached_is_said() {
    let home = Home::new();
    let slow = server(|stream, _| {
        let (_never, nothing) = channel::<()>();
        let mut stream = stream;
        for _ in 0..1000 {
            stream = echo(stream, 1);
            let _ = nothing.recv_timeout(Duration::from_millis(30));
        }
    });
    let (stops, honest) = (
        server(|stream, _| listen(echo(stream, 20))),
        server(|stream, _| drop(echo(stream, usize::MAX))),
    );
    for (address, options, reached) in [
        (&slow, "-q 1k -z 1s", Value::Bool(false)),
        (&slow, "-q 1k -n 300", Value::Bool(false)),
        (&stops, "-q 200 -z 1s", Value::Bool(false)),
        (&honest, "-n 100", Value::Null),
    ] {
        let ran = load(&home, address, options);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(report["summary"]["rateReached"], reached, "{options}: {report}");
        let text = home.run(&format!("load {address} --dialect open -c 3 {options}"), "").out;
        assert_eq!(text.contains("asked for: not reached"), reached == false, "{text}");
    }
}

#[test]
fn a_load_that_is_told_to_end_accounts_for_all_that_was_due() {
    let home = Home::new();
    for (signal, options) in [
        ("TERM", "-z 60s"),
        ("INT", "-z 60s -q 100 -P 4"),
        ("TERM", "-n 1000k -P 4"),
        ("INT", "-n 100k -q 1"),
        ("TERM", "-z 60s --warmup 50s"),
        ("INT", "-z 60s -q 100 --threads 3"),
        ("TERM", "-n 1000k -P 4 --threads 2"),
    ] {
        let (answered, heard) = channel();
        let address = server(move |stream, _| {
            let stream = echo(stream, 1);
            let _ = answered.send(());
            drop(echo(stream, usize::MAX));
        });
        let line = format!("load {address} --dialect open -c 3 --output json {options}");
        let child = home.command(&line).spawn().unwrap();
        heard.recv_timeout(PATIENCE).unwrap();
        let mut kill = Command::new("kill");
        let told = kill.arg(format!("-{signal}")).arg(child.id().to_string()).status();
        assert!(told.unwrap().success());
        let ran = finish(child, b"");
        let account = account(&ran, options);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(report["parameters"]["interrupted"], true);
        if options.contains("warmup") {
            assert_eq!(account.due, 0, "nothing counts before the warm-up is over: {account:?}");
            ran.failed(1, &["interrupted before anything was measured"]);
        } else {
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert!(account.answered > 0, "{account:?}");
        }
        if options.contains("1000k") {
            assert_eq!(account.due, 1_000_000);
            assert_eq!(report["summary"]["overdue"], 0, "nobody was late: {report}");
        }
    }
}

#[test]
fn a_report_that_nobody_takes_does_not_keep_a_load_alive() {
    let home = Home::new();
    let (over, is_over) = channel();
    let address = server(move |stream, _| {
        drop(echo(stream, usize::MAX));
        let _ = over.send(());
    });
    let (mut stdout, _unread) = UnixStream::pair().unwrap();
    stdout.set_nonblocking(true).unwrap();
    for piece in [4096, 1] {
        while stdout.write(&[b'-'; 4096][..piece]).is_ok() {}
    }
    stdout.set_nonblocking(false).unwrap();
    let mut command = home.command(&format!("load {address} --dialect open -c 1 -n 10"));
    let mut child = command.stdout(OwnedFd::from(stdout)).stderr(Stdio::null()).spawn().unwrap();
    is_over.recv_timeout(PATIENCE).unwrap();
    // The first one may still come too early, and then a second one is due.
    let mut times = 0;
    while child.try_wait().unwrap().is_none() {
        assert!(times < 300, "it doesn't end");
        times += 1;
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let _ = is_over.recv_timeout(Duration::from_millis(100));
    }
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
}
