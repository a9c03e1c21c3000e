//! Options: flags beat the environment, and the environment beats the defaults.

use std::os::unix::ffi::OsStrExt as _;

use chrono::{DateTime, FixedOffset, Utc};

use super::home::Home;

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n";

#[test]
fn a_server_and_a_client_can_be_set_up_by_the_environment_alone() {
    let home = Home::new();
    let keys = home.write("keys", KEY.replace("default", "env"));
    let spoken = format!(
        "COUNTERSIGN_DIALECT=hex COUNTERSIGN_FRAMING=length COUNTERSIGN_ONCE=true \
         COUNTERSIGN_KEYS={} COUNTERSIGN_MESSAGE_MAX=2k",
        keys.display()
    );
    let server = home.serve(&format!(
        "{spoken} COUNTERSIGN_BIND=127.0.0.1:0 COUNTERSIGN_SERVICE=echo \
         COUNTERSIGN_LOG_FORMAT=json COUNTERSIGN_LOG_LEVEL=debug serve"
    ));
    let connect = format!("{spoken} connect {}", server.address());
    home.run(&connect, "a\nb\n").printed("a\nb\n");
    let ran = server.stop();
    let said = r#""serves":"echo, dialect hex (sha256), framing length, messages up to 2 KiB""#;
    assert!(ran.err.contains(said), "{}", ran.err);
    assert_eq!(ran.err.matches(r#""msg":"authenticated""#).count(), 2, "{}", ran.err);
}

#[test]
fn several_addresses_in_the_environment_are_several_binds() {
    let home = Home::new();
    let mut command = home.command("serve --dialect open");
    let child = command.env("COUNTERSIGN_BIND", "127.0.0.1:0,127.0.0.1:0").spawn().unwrap();
    let server = super::served::ServerProcess::started(child, 2);
    assert_eq!(server.addresses.len(), 2);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn flags_beat_the_environment() {
    let home = Home::with_keys(KEY);
    let cases = [
        ("COUNTERSIGN_SERVICE=discard", "--service echo", "serves   echo, "),
        ("COUNTERSIGN_DIALECT=open", "--dialect hex", "dialect hex"),
        ("COUNTERSIGN_FRAMING=length", "--dialect raw --framing chunks", "framing chunks"),
        ("COUNTERSIGN_RECORDS=off", "--records allowed", "records allowed, framing lines, mess"),
        ("COUNTERSIGN_AUDIENCE=pump", "--audience shed", " --audience shed"),
        ("COUNTERSIGN_MESSAGE_MAX=1k", "--message-max 3k", "messages up to 3 KiB"),
        ("COUNTERSIGN_MAX_CONNECTIONS=7", "--max-connections 5", "with 5 connections"),
        ("COUNTERSIGN_BIND=127.0.0.1:1", "--bind 127.0.0.1:0", "connect  "),
        ("COUNTERSIGN_KEYS=/nowhere", &format!("--keys {}", home.ring().display()), "(default)"),
    ];
    for (variable, flag, shown) in cases {
        let ran = home.serve(&format!("{variable} serve {flag} --bind=127.0.0.1:0")).stop();
        assert!(ran.err.contains(shown), "{flag}: {}", ran.err);
    }
}

#[test]
fn an_error_names_the_variable_that_it_is_about() {
    let home = Home::with_keys(KEY);
    let file = home.write("garden.toml", "\ndialect = \"multiprocessing\"\n");
    let file = file.display();
    let cases = [
        ("COUNTERSIGN_KEY=nobody ping 127.0.0.1:1", "the environment has COUNTERSIGN_KEY=nobody"),
        (
            "COUNTERSIGN_DIALECT=multiprocessing serve",
            "the environment has COUNTERSIGN_DIALECT=multiprocessing",
        ),
        (&format!("check-config {file}"), &format!("{file}:2 has dialect = \"multiprocessing\"")),
    ];
    for (line, said) in cases {
        home.run(line, "").failed(78, &["there is no key ", &format!("\ncountersign: {said}\n")]);
    }
    // A server that is not there has nothing to do with a key that has a name like that.
    let keys = home.write("server", KEY.replace("default", "server"));
    let (nobody, keys) = (super::free_port::free_address(), keys.display());
    let ran = home.run(&format!("COUNTERSIGN_KEY=server ping {nobody} --keys {keys}"), "");
    ran.failed(69, &["is the server running?\n"]);
    assert!(!ran.err.contains("COUNTERSIGN_KEY"), "{}", ran.err);
    // The path of a file need not be UTF-8, and the address does.
    let mut command = home.command("serve");
    let bytes = |text: &'static [u8]| std::ffi::OsStr::from_bytes(text);
    command.env("COUNTERSIGN_KEYS", bytes(b"/\xff")).arg("--bind").arg(bytes(b"\xff"));
    let ran = super::home::finish(command.spawn().unwrap(), b"");
    ran.failed(2, &["invalid UTF-8 was detected in one or more arguments"]);
    for name in ["COUNTERSIGN_BIND", "COUNTERSIGN_NAME", "COUNTERSIGN_DIALECT"] {
        let mut command = home.command("serve");
        let value = std::ffi::OsStr::from_bytes(b"\xff");
        let ran = super::home::finish(command.env(name, value).spawn().unwrap(), b"");
        ran.failed(2, &[&format!("the value of {name} is not valid UTF-8")]);
    }
}

#[test]
fn a_preset_gives_way_to_every_other_setting() {
    let home = Home::with_keys(KEY);
    let file = home.write(
        "garden.toml",
        "limits = \"small\"\n[[listener]]\nname = \"one\"\nmessage-max = 2048\n\
         [[listener]]\nbind = 9528\nlimits = \"default\"\nmax-connections = 70\n",
    );
    let small = "messages up to 4 KiB; keys";
    let empty = home.write("empty.toml", "");
    let (file, empty) = (file.display(), empty.display());
    let cases = [
        (format!("check-config {empty} --limits small"), vec![small, "KiB, with 64 connections"]),
        (
            format!("COUNTERSIGN_LIMITS=small check-config {empty} --limits default"),
            vec!["messages up to 64 KiB;"],
        ),
        (
            format!("check-config {empty} --limits small --max-connections 7"),
            vec![small, "with 7 connections"],
        ),
        (
            format!("COUNTERSIGN_MESSAGE_MAX=1k check-config {empty} --limits small"),
            vec!["messages up to 1 KiB", "with 64 connections"],
        ),
        (
            format!("check-config {file}"),
            vec!["up to 2 KiB; keys", "with 64 conn", "to 64 KiB; keys", "with 70 connections"],
        ),
    ];
    for (line, expected) in cases {
        let ran = home.run(&line, "");
        assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{line}");
        let mut rest = &ran.out[..];
        for part in expected {
            let Some((_, behind)) = rest.split_once(part) else { panic!("{line}: {}", ran.out) };
            rest = behind;
        }
    }
}

#[test]
fn a_server_with_small_limits_serves_64_clients_and_sends_away_long_messages() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --limits small --service echo");
    let memory = server.err.with("  memory   at most ");
    let words: Vec<&str> = memory.split_whitespace().collect();
    assert_eq!(words[4], "KiB,", "{memory}");
    assert!(words[3].parse::<f64>().unwrap() < 160.0, "{memory}");
    let address = server.address();
    let load = format!("load {address} -c 64 -n 6400 -P 8 --message-max 4096 --size 1000");
    assert_eq!(home.run(&load, "").code, Some(0));
    let line = "x".repeat(4097);
    let longest = &line[1..];
    home.run(&format!("connect {address}"), longest).printed(&format!("{longest}\n"));
    assert_ne!(home.run(&format!("connect {address}"), &line).code, Some(0));
}

#[test]
fn a_switch_in_the_environment_is_off_for_what_means_no() {
    let home = Home::new();
    let serves_once = |value: &str| {
        let server = home.serve(&format!("COUNTERSIGN_ONCE={value} serve --dialect open"));
        server.err.with("  connect  ").ends_with(" --once")
    };
    for (value, once) in
        [("1", true), ("true", true), ("0", false), ("false", false), ("no", false)]
    {
        assert_eq!(serves_once(value), once, "{value}");
    }
}

/// The stamp of a server that was started with this line, as hours east of UTC.
fn stamped_east(line: &str, hours: i32) {
    let home = Home::new();
    let server = home.serve(&format!("{line} --dialect open"));
    let zone = FixedOffset::east_opt(hours * 3600).unwrap();
    let shown = |time: DateTime<Utc>| {
        format!("[{}] time\n", time.with_timezone(&zone).format("%a %b %e %H:%M:%S %Y"))
    };
    let before = shown(Utc::now());
    let ran = home.run(&format!("connect {} --dialect open", server.address()), "time\n");
    let after = shown(Utc::now());
    assert!(ran.out == before || ran.out == after, "{line}: {} is not {after}", ran.out);
}

#[test]
fn stamps_are_in_the_zone_of_tz_or_in_utc() {
    stamped_east("TZ=UTC serve", 0);
    // The sign of such a zone is that of POSIX: it says what brings local time to UTC.
    stamped_east("TZ=AAA-8 serve", 8);
    stamped_east("TZ=BBB+5 serve", -5);
    stamped_east("TZ=AAA-8 serve --utc", 0);
    stamped_east("TZ=AAA-8 COUNTERSIGN_UTC=1 serve", 0);
    if std::path::Path::new("/usr/share/zoneinfo/Asia/Shanghai").exists() {
        stamped_east("TZ=Asia/Shanghai serve", 8);
    } else {
        super::home::skip("there is no zone database here");
    }
}

#[test]
fn a_zone_that_is_not_known_is_warned_about() {
    let home = Home::new();
    for zone in ["Mars/Olympus", "/etc/passwd"] {
        let ran = home.serve(&format!("TZ={zone} serve --dialect open")).stop();
        let said = format!("WARN  unknown time zone {zone} in TZ: it is ignored");
        assert!(ran.err.contains(&said), "{}", ran.err);
    }
    for line in ["TZ=UTC serve", "TZ=AAA-8 serve", "serve", "TZ=Mars/Olympus serve --utc"] {
        let ran = home.serve(&format!("{line} --dialect open")).stop();
        assert!(!ran.err.contains("WARN"), "{line}: {}", ran.err);
    }
}

#[test]
fn a_limit_on_time_is_kept() {
    let home = Home::with_keys(KEY);
    let cases = [
        ("--handshake-timeout 50ms", "refused: handshake-timeout"),
        ("--dialect open --idle-timeout 50ms --log-level debug", "closed: idle-timeout"),
    ];
    for (options, said) in cases {
        let server = home.serve(&format!("serve {options}"));
        let peer = server.dial();
        server.err.with(said);
        drop(peer);
    }
}
