//! The admin listener: its pages, and who can't harm whom.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign::{Client, ClientConfig, Dialect, Key, KeyRing, KeyRingExt as _};

use super::home::{Home, PATIENCE, mode, skip};
use super::progress::Progress;
use super::served::{ServerProcess, ask, dial};

const KEY: &str = "default  text:sixteen-bytes-and-more  not-after=2100-01-01\n";

/// An answer: its status, its head and its body.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Says this and hears all until the end.
#[track_caller]
fn said(address: &str, request: &str) -> Got {
    let mut stream = dial(address);
    stream.write_all(request.as_bytes()).unwrap();
    heard(stream)
}

#[track_caller]
fn heard(mut stream: impl std::io::Read) -> Got {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, head: head.to_owned(), body: body.to_owned() }
}

#[track_caller]
pub(crate) fn get(address: &str, path: &str) -> Got {
    said(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

/// What a line of `/metrics` has for its value.
#[track_caller]
pub(crate) fn metric(address: &str, name: &str) -> f64 {
    let body = get(address, "/metrics").body;
    assert!(!body.is_empty());
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}: {body}")).parse().unwrap()
}

/// Looks again and again, not for ever.
#[track_caller]
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let mut progress = Progress::since(());
    while !is_so() {
        assert!(progress.continues(()), "it never came about");
    }
}

fn serve(home: &Home, options: &str) -> (ServerProcess, String) {
    let served = home.serve(&format!("serve --admin 127.0.0.1:0 {options}"));
    let admin = served.admin();
    (served, admin)
}

#[test]
fn every_page_is_there_and_says_how_long_it_is() {
    let home = Home::with_keys(KEY);
    let (_served, admin) = serve(&home, "");
    let pages = get(&admin, "/").body;
    let names: Vec<&str> = pages.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["/metrics", "/healthz", "/readyz", "/status"]);
    for name in names {
        let got = get(&admin, name);
        assert_eq!(got.status, 200, "{name}: {}", got.body);
        for field in [
            format!("Content-Length: {}", got.body.len()),
            "Connection: close".to_owned(),
            "Cache-Control: no-store".to_owned(),
        ] {
            assert!(got.head.lines().any(|line| line == field), "{field}: {}", got.head);
        }
        let head = said(&admin, &format!("HEAD {name} HTTP/1.0\r\n\r\n"));
        assert_eq!((head.status, &head.body[..]), (200, ""), "{name}");
    }
    assert_eq!(get(&admin, "/readyz").body, "ready\n");
    for (request, status) in [
        ("GET /nothing HTTP/1.0\r\n\r\n", 404),
        ("POST /metrics HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody", 405),
        ("GET / HTTP/3.0\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        ("what is this\r\n", 400),
    ] {
        assert_eq!(said(&admin, request).status, status, "{request:?}");
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let home = Home::new();
    let (_served, admin) = serve(&home, "--dialect open");
    let mut stream = dial(&admin);
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(heard(stream).body, "ok\n");
}

#[test]
fn the_numbers_are_those_of_what_has_happened() {
    let home = Home::with_keys(KEY);
    let (served, admin) = serve(&home, "--service echo");
    let address = served.address();
    let listener = format!("listener=\"{address}\"");
    let labels = format!("{{{listener}}}");
    home.run(&format!("connect {address}"), "a\nb\n").printed("a\nb\n");
    let other = home.write("other", "default text:another-sixteen-bytes\n");
    home.run(&format!("connect {address} --keys {}", other.display()), "").failed(77, &[]);
    let value = |name: &str| metric(&admin, &format!("countersign_{name}"));
    let wrong = format!("refused_total{{{listener},reason=\"wrong-proof\"}}");
    wait_until(|| value(&wrong) == 1.0);
    assert_eq!(value(&format!("connections_accepted_total{labels}")), 2.0);
    assert_eq!(value(&format!("connections_authenticated_total{labels}")), 1.0);
    assert_eq!(value(&format!("messages_total{labels}")), 2.0);
    assert_eq!(value(&format!("closed_total{{{listener},reason=\"finished\"}}")), 1.0);
    let expiry = value(&format!("key_expiry_timestamp_seconds{{{listener},key=\"default\"}}"));
    assert_eq!(expiry, 4_102_531_200.0, "the day counts whole");
    let stream = dial(address);
    let states = || {
        let of = |state| value(&format!("connections{{{listener},state=\"{state}\"}}"));
        ["handshake", "open"].map(of).iter().sum::<f64>()
    };
    wait_until(|| states() == 1.0);
    drop(stream);
}

#[test]
fn what_all_workers_do_is_one_sum() {
    let home = Home::with_keys(KEY);
    let (served, admin) = serve(&home, "--workers 3 --service echo");
    wait_until(|| get(&admin, "/readyz").body == "ready\n");
    assert_eq!(metric(&admin, "countersign_workers"), 3.0);
    for _ in 0..16 {
        home.run(&format!("connect {}", served.address()), "a\n").printed("a\n");
    }
    let name = format!("countersign_messages_total{{listener=\"{}\"}}", served.address());
    wait_until(|| metric(&admin, &name) == 16.0);
    assert_eq!(get(&admin, "/healthz").body, "ok\n");
    let ran = served.stop();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn how_a_reload_went_and_what_is_in_force_is_told() {
    let home = Home::with_keys(KEY);
    let (served, admin) = serve(&home, "");
    let report =
        || -> serde_json::Value { serde_json::from_str(&get(&admin, "/status").body).unwrap() };
    let ids = |report: &serde_json::Value| -> Vec<String> {
        let keys = report["listeners"][0]["keys"].as_array().unwrap();
        keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    };
    let value = |name: &str| metric(&admin, &format!("countersign_config_{name}"));
    home.write(".config/countersign/keys", "what is this\n");
    served.signal("HUP");
    served.err.with("reload failed: ");
    wait_until(|| value("last_reload_successful") == 0.0);
    assert_eq!(value("reloads_total{result=\"failure\"}"), 1.0);
    let told = report();
    assert!(told["reloads"]["last_error"].as_str().unwrap().contains("keys"), "{told}");
    assert_eq!(ids(&told), ["default"], "the old ring is in force");
    home.write(".config/countersign/keys", format!("{KEY}shed text:another-sixteen-bytes\n"));
    served.signal("HUP");
    served.err.with("reloaded");
    wait_until(|| value("last_reload_successful") == 1.0);
    assert_eq!(value("reloads_total{result=\"success\"}"), 1.0);
    let told = report();
    assert_eq!(told["reloads"]["last_error"], serde_json::Value::Null);
    assert_eq!(told["reloads"]["in_force_since"], told["reloads"]["last"]);
    assert_eq!(ids(&told), ["default", "shed"]);
}

#[test]
fn connections_are_counted_by_the_key_that_their_peers_hold() {
    let home = Home::new();
    let ring = |more: &str| {
        let old = "old text:sixteen-bytes-and-more";
        home.write("ring", format!("{old} dialects=raw\n{more}"))
    };
    let new = "new\u{202e} text:another-sixteen-bytes dialects=raw\n";
    let path = ring(new);
    let options = format!("--dialect raw --service echo --workers 2 --keys {}", path.display());
    let (served, admin) = serve(&home, &options);
    let address = served.address().to_owned();
    let connect = |id: &str, secret: &[u8]| {
        let key = Key::new(id, secret).unwrap().with_dialect(Dialect::Raw);
        let config = ClientConfig::builder(Dialect::Raw)
            .with_keys(KeyRing::from_key(key).unwrap())
            .build()
            .unwrap();
        let mut client = Client::connect(&address[..], config).unwrap();
        assert_eq!(client.ask(b"in").unwrap(), b"in");
        client
    };
    let counts = |key: &str| {
        let value = |name: &str| {
            let labels = format!("{{listener=\"{address}\",key=\"{key}\"}}");
            metric(&admin, &format!("countersign_key_connections{name}{labels}"))
        };
        (value(""), value("_authenticated_total"))
    };
    let mut olds: Vec<_> = (0..5).map(|_| connect("old", b"sixteen-bytes-and-more")).collect();
    let news: Vec<_> = (0..3).map(|_| connect("new", b"another-sixteen-bytes")).collect();
    olds.truncate(2);
    // What misleads in an id is escaped, and the backslash of that as the format has it.
    wait_until(|| counts("old") == (2.0, 5.0) && counts("new\\\\u{202e}") == (3.0, 3.0));
    // A reload changes nothing about those that stay, and takes with it those that go.
    ring("");
    served.signal("HUP");
    served.err.with("reloaded");
    wait_until(|| counts("old") == (2.0, 5.0));
    wait_until(|| !get(&admin, "/metrics").body.contains("key=\"new"));
    ring(new);
    served.signal("HUP");
    served.err.with("reloaded");
    let _again = connect("new", b"another-sixteen-bytes");
    wait_until(|| get(&admin, "/metrics").body.contains("key=\"new"));
    wait_until(|| counts("new\\\\u{202e}") == (1.0, 1.0));
    let ran = home.run(&format!("status {admin}"), "");
    assert!(ran.out.contains("  keys         old "), "{}", ran.out);
    assert!(ran.out.contains(" valid, 2 open, 5 in all\n"), "{}", ran.out);
    assert!(ran.out.contains("new\\u{202e} ") && ran.out.contains(", 1 open, 1 in all\n"));
    drop(news);
    drop(olds);
}

/// Whether a program takes the page for what it is, if there is such a program.
fn takes(program: &str, arguments: &[&str], page: &str) -> Option<bool> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(said.is_empty() || !output.status.success(), "{}", String::from_utf8_lossy(&said));
    if !output.status.success() {
        panic!("{program}: {}", String::from_utf8_lossy(&said));
    }
    Some(true)
}

#[test]
fn other_peoples_parsers_take_the_page() {
    let home = Home::with_keys(KEY);
    let (_served, admin) = serve(&home, "");
    let page = get(&admin, "/metrics");
    assert!(page.head.contains("Content-Type: text/plain; version=0.0.4"), "{}", page.head);
    let parser = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/metrics.py");
    if takes("python3", &["-B", parser], &page.body).is_none() {
        skip("there is no python3 here");
    }
    if takes("promtool", &["check", "metrics"], &page.body).is_none() {
        skip("there is no promtool here; it comes with Debian's package prometheus");
    }
}

#[test]
fn other_machines_reach_it_only_if_that_is_asked_for() {
    let home = Home::new();
    let line = "serve --dialect open --bind 127.0.0.1:0 --admin 0.0.0.0:0";
    let cases = ["add --admin-exposed", "127.0.0.1:PORT or unix:/PATH"];
    home.run(line, "").failed(2, &cases);
    home.run("serve --dialect open --bind 127.0.0.1:0 --admin [::]:0", "").failed(2, &cases);
    let served = home.serve(&format!("{line} --admin-exposed"));
    let admin = served.admin().replace("0.0.0.0", "127.0.0.1");
    let got = said(&admin, "GET /healthz HTTP/1.1\r\nHost: node7.example:9529\r\n\r\n");
    assert_eq!(got.status, 200);
    let nowhere = "serve --dialect open --bind 127.0.0.1:0 --admin nowhere";
    home.run(nowhere, "").failed(69, &["--admin: cannot bind"]);
}

#[test]
fn a_configuration_file_can_open_it_and_is_checked_for_it() {
    let home = Home::with_keys(KEY);
    let listeners = "[[listener]]\nname = 'gate'\nbind = '127.0.0.1:0'\n\
                     [[listener]]\nname = 'shed'\nbind = '127.0.0.1:0'\nservice = 'echo'\n";
    let path = home.write("garden.toml", format!("admin = '0.0.0.0:0'\n{listeners}"));
    let ran = home.run(&format!("check-config {}", path.display()), "");
    ran.failed(78, &["garden.toml: --admin 0.0.0.0:0: other machines can reach this address"]);
    home.write("garden.toml", format!("admin = '127.0.0.1:0'\n{listeners}"));
    assert_eq!(home.run(&format!("check-config {}", path.display()), "").code, Some(0));
    let line = format!("serve --config {}", path.display());
    let served = ServerProcess::started(home.command(&line).spawn().unwrap(), 2);
    let admin = served.admin();
    home.run(&format!("connect {}", served.addresses[1]), "a\n").printed("a\n");
    for (name, messages) in [("gate", 0.0), ("shed", 1.0)] {
        let name = format!("countersign_messages_total{{listener=\"{name}\"}}");
        assert_eq!(metric(&admin, &name), messages, "{name}");
    }
}

#[test]
fn it_can_be_a_unix_socket_of_ones_own() {
    let home = Home::new();
    let path = home.path("admin.sock");
    let admin = format!("--admin unix:{}", path.display());
    let served = home.serve(&format!("serve --dialect open {admin}"));
    assert_eq!(served.admin(), format!("unix:{}", path.display()));
    assert_eq!(mode(&path), 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(heard(stream).body, "ready\n");
    assert_eq!(served.stop().code, Some(0));
    assert!(!path.exists(), "the file goes with the server");
    let served = home.serve(&format!("serve --dialect open {admin} --admin-unix-mode 0660"));
    assert_eq!((served.admin().len(), mode(&path)), (path.display().to_string().len() + 5, 0o660));
}

#[test]
fn who_is_read_by_machines_every_second_says_nothing_about_it() {
    let home = Home::new();
    let (served, admin) = serve(&home, "--dialect open");
    for _ in 0..50 {
        assert_eq!(get(&admin, "/metrics").status, 200);
        assert_eq!(said(&admin, "\x16\x03\x01 garbage\r\n").status, 400);
    }
    let ran = served.stop();
    let log: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("20")).collect();
    let expected = |line: &&str| line.contains("stopping; ") || line.contains("stopped; ");
    assert!(log.iter().all(expected), "{log:#?}");
    assert!(ran.err.contains("stopped; 0 connections"), "none of the pages': {}", ran.err);
}

#[test]
fn readiness_ends_with_the_order_to_stop_and_the_pages_with_the_last_connection() {
    let home = Home::new();
    let (served, admin) =
        serve(&home, "--dialect open --service echo --framing chunks --drain-timeout 20s");
    // It doesn't take what it is owed, so the server can't end yet.
    let mut stuck = served.dial();
    stuck.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while stuck.write_all(&[b'x'; 64 << 10]).is_ok() {}
    served.signal("TERM");
    served.err.with("stopping; 1 connections are open");
    let ready = get(&admin, "/readyz");
    assert_eq!((ready.status, &ready.body[..]), (503, "draining\n"));
    assert_eq!(get(&admin, "/healthz").status, 200);
    assert_eq!(metric(&admin, "countersign_draining"), 1.0);
    drop(stuck);
    assert_eq!(served.end().code, Some(0));
    assert!(TcpStream::connect(&admin).is_err(), "it ends with the program");
}

/// Those who have no request, or have one and take no answer.
fn intruders(admin: &str, each: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for number in 0..each {
        let (silent, mut dripping, mut greedy) = (dial(admin), dial(admin), dial(admin));
        dripping.write_all(&b"GET /"[..1 + number % 4]).unwrap();
        greedy.write_all(b"GET /status HTTP/1.1\r\n").unwrap();
        all.extend([silent, dripping, greedy]);
    }
    all
}

#[test]
fn who_occupies_every_place_gets_rid_of_it_and_the_next_one_is_answered() {
    let home = Home::new();
    let (served, admin) = serve(&home, "--dialect open --service echo");
    let occupants = intruders(&admin, 11);
    assert!(occupants.len() > 32, "more than there are places");
    // None of it keeps anybody from being served.
    assert_eq!(ask(&served.dial(), "hello"), "hello\n");
    assert_eq!(get(&admin, "/healthz").body, "ok\n");
    for mut occupant in occupants {
        // An end, or a reset for what was never read.
        let _ = occupant.read_to_end(&mut Vec::new()).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        });
    }
}

#[test]
fn nobody_waits_for_a_place_that_is_held_in_silence() {
    let home = Home::new();
    let options = "--dialect open --workers 2 --log-level debug";
    let (served, admin) = serve(&home, options);
    for round in 0..8 {
        let silent: Vec<TcpStream> = (0..96).map(|_| dial(&admin)).collect();
        let pages = [("/healthz", "ok\n"), ("/readyz", "ready\n")];
        for (page, said) in pages {
            assert_eq!(get(&admin, page).body, said, "round {round}");
        }
        assert!(get(&admin, "/status").body.contains("\"program\": \"countersign\""));
        drop(silent);
    }
    let ran = served.stop();
    let ends = |reason: &str| {
        let of_admin = |line: &&str| line.contains("listener=admin ") && line.contains(reason);
        ran.err.lines().filter(of_admin).count()
    };
    assert!(ends("closed: closed-by-service") > 24, "{}", ran.err);
    assert_eq!(ends("closed: idle-timeout"), 0, "a place was had without waiting for its end");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a page holds for a time, so the test takes it")]
fn the_long_pages_are_made_once_a_second_at_most() {
    let home = Home::new();
    let keys: String = (0..400).map(|n| format!("key-{n} text:sixteen-bytes-{n:08}\n")).collect();
    home.write("keys", keys);
    let keys = home.path("keys");
    let (_served, admin) = serve(&home, &format!("--workers 2 --keys {}", keys.display()));
    let begun = Instant::now();
    let bodies: std::collections::HashSet<String> =
        (0..100).map(|_| get(&admin, "/status").body).collect();
    let most = begun.elapsed().as_secs() + 2;
    assert!(bodies.len() as u64 <= most, "{} in {most} s", bodies.len());
}

#[test]
fn a_byte_now_and_then_keeps_no_place_for_ever() {
    let home = Home::new();
    let (_served, admin) = serve(&home, "--dialect open");
    let mut stream = dial(&admin);
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    // It never is silent for as long as would end it.
    wait_until(|| {
        let read = stream.write_all(b"x").and_then(|()| stream.read(&mut [0]));
        read.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |length| length == 0)
    });
}

#[test]
fn scrapes_and_garbage_cost_the_others_nothing_that_a_load_can_see() {
    let home = Home::with_keys(KEY);
    let (served, admin) = serve(&home, "--service echo");
    let client = home.write("client", KEY);
    let load = format!(
        "load {} -c 8 -z 2s --keys {} --fail-if errors>0",
        served.address(),
        client.display()
    );
    let name = format!("countersign_messages_total{{listener=\"{}\"}}", served.address());
    let mut load = home.command(&load).spawn().unwrap();
    let unread = intruders(&admin, 4);
    let mut before = 0.0;
    let mut pages = 0;
    while load.try_wait().unwrap().is_none() {
        let messages = metric(&admin, &name);
        assert!(messages >= before, "{messages} after {before}");
        before = messages;
        pages += 1;
        said(&admin, "\x16\x03\x01\x02\0\x01\0\r\n\r\n");
    }
    let output = load.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(pages > 5 && before > 0.0, "{pages} pages, {before} messages");
    drop(unread);
    let ran = served.stop();
    assert!(!ran.err.contains("WARN"), "{}", ran.err);
}
