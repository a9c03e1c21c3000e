//! The first minute: a server is started, and what it prints is all that one needs.

use std::fs;
use std::process::Command;

use super::home::{Home, PROGRAM, finish, mode, skip};

#[test]
fn the_first_serve_makes_a_ring_that_only_its_owner_can_read() {
    let home = Home::new();
    let server = home.serve("serve");
    assert_eq!(mode(home.ring()), 0o600);
    assert_eq!(mode(home.ring().parent().unwrap()), 0o700);
    let text = home.ring_text();
    let keys: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let [key] = keys[..] else { panic!("one key, and not {}", keys.len()) };
    let fields: Vec<&str> = key.split_whitespace().collect();
    let ["default", secret, ref options @ ..] = fields[..] else { panic!("{fields:?}") };
    // Which is also what a key is for that says nothing of it.
    assert!(matches!(options, [] | ["dialects=countersign/1"]), "{options:?}");
    assert_eq!(secret.strip_prefix("hex:").map(str::len), Some(64));
    let ran = server.stop();
    assert!(!ran.err.contains(&secret[4..]) && !ran.out.contains(&secret[4..]));
}

#[test]
fn the_next_serve_leaves_the_ring_as_it_is() {
    let home = Home::new();
    drop(home.serve("serve"));
    let before = fs::read(home.ring()).unwrap();
    let ran = home.serve("serve").stop();
    assert_eq!(fs::read(home.ring()).unwrap(), before);
    assert!(!ran.err.contains("new, with"), "{}", ran.err);
    assert_eq!(fs::read_dir(home.ring().parent().unwrap()).unwrap().count(), 1, "no draft stays");
}

#[test]
fn the_first_screen_says_what_is_served_to_whom_and_for_how_much() {
    let home = Home::new();
    let server = home.serve("serve");
    let address = server.address().to_owned();
    let ran = server.stop();
    let screen: Vec<&str> = ran.err.lines().take(5).collect();
    assert_eq!(screen[0], concat!("countersign ", env!("CARGO_PKG_VERSION")));
    let serves =
        "  serves   timestamp, dialect countersign/1, records required, messages up to 64 KiB";
    assert_eq!(screen[1], serves);
    let ring = home.ring().display().to_string();
    assert!(screen[2].starts_with(&format!("  keys     {ring} (new, with the key default ")));
    assert!(screen[3].starts_with("  memory   at most "), "{}", screen[3]);
    assert!(screen[3].contains("MiB, with ") && screen[3].contains(" connections"));
    assert_eq!(screen[4], format!("  connect  {PROGRAM} connect {address}"));
    assert_eq!(ran.out, "", "stdout has said where it listens, and no more");
}

#[test]
fn the_memory_bound_follows_the_limits() {
    let home = Home::new();
    let bound = |limits: &str| {
        let server = home.serve(&format!("serve --dialect open {limits}"));
        let line = server.err.with("  memory   at most ");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[4].trim_end_matches(','), "MiB", "{line}");
        words[3].parse::<f64>().unwrap()
    };
    let small = bound("--max-connections 500 --buffered-max 1m");
    let large = bound("--max-connections 500 --buffered-max 11m");
    assert!((large - small - 10.0).abs() < 0.2, "{small} and {large}");
}

#[test]
fn the_connect_command_of_the_first_screen_works() {
    let home =
        Home::with_keys("both  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n");
    let keys = home.write("keys", "other  hex:00112233445566778899aabbccddeeff  dialects=hex\n");
    let cases = [
        String::new(),
        "--audience garden --audience shed".to_owned(),
        "--records allowed --framing length".to_owned(),
        "--records off --once".to_owned(),
        "--dialect countersign/1+raw --message-max 1k".to_owned(),
        "--dialect raw".to_owned(),
        "--dialect hex --framing length".to_owned(),
        "--dialect open --framing chunks --once".to_owned(),
        format!("--dialect hex --keys {}", keys.display()),
    ];
    for options in cases {
        let server = home.serve(&format!("serve --service echo {options}"));
        let line = server.err.with("  connect  ");
        let mut shell = Command::new("sh");
        home.prepare(&mut shell);
        let shell = shell.arg("-c").arg(line.trim_start().strip_prefix("connect ").unwrap());
        finish(shell.spawn().unwrap(), b"one\ntwo\n").printed("one\ntwo\n");
    }
}

#[test]
fn stdout_has_one_line_for_each_bind_and_each_is_served() {
    let home = Home::new();
    let server = home.serve("serve --service echo --bind 127.0.0.1:0 --bind 127.0.0.1:0");
    assert_eq!(server.addresses.len(), 2);
    assert_ne!(server.addresses[0], server.addresses[1]);
    for address in &server.addresses {
        home.run(&format!("connect {address}"), "a\n").printed("a\n");
    }
    let ran = server.stop();
    assert_eq!(ran.out, "");
    assert_eq!(ran.err.matches("  connect  ").count(), 2);
}

#[test]
fn an_address_of_ipv6_is_served_and_shown_as_it_is_typed() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        skip("there is no IPv6 here");
        return;
    }
    let home = Home::new();
    let server = home.serve("serve --service echo --bind [::1]:0");
    assert!(server.address().starts_with("[::1]:"), "{}", server.address());
    home.run(&format!("connect {}", server.address()), "a\n").printed("a\n");
}

#[test]
fn the_dialect_open_needs_no_keys_and_makes_none() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo");
    home.run(&format!("connect {} --dialect open", server.address()), "a\n").printed("a\n");
    assert!(!home.ring().exists());
    let ran = server.stop();
    assert!(!ran.err.contains("  keys  "), "{}", ran.err);
}
