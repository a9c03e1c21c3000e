//! Servers at Unix sockets: what is typed, what is said, and what is left.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::home::{Home, finish, mode, skip};
use super::served::ServerProcess;
use super::stock::shell;

/// A server at a socket in a home of its own, and what it is called by.
fn serve(home: &Home, options: &str) -> (ServerProcess, String) {
    let address = format!("unix:{}", home.path("s").display());
    let server = home.serve(&format!("serve --service echo --bind {address} {options}"));
    (server, address)
}

#[test]
fn every_dialect_is_served_and_talked_to_by_the_command_of_the_first_screen() {
    let home =
        Home::with_keys("both  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n");
    for dialect in ["countersign/1", "countersign/1+raw", "raw", "hex", "open"] {
        let (server, address) = serve(&home, &format!("--dialect {dialect}"));
        assert_eq!(server.address(), address);
        let line = server.err.with("  connect  ");
        assert!(line.contains(&format!(" connect {address}")), "{line}");
        let mut connect = Command::new("sh");
        home.prepare(&mut connect);
        connect.arg("-c").arg(line.trim_start().strip_prefix("connect ").unwrap());
        finish(connect.spawn().unwrap(), b"one\ntwo\n").printed("one\ntwo\n");
        assert_eq!(server.stop().code, Some(0));
        assert!(!home.path("s").exists(), "{dialect}: the file is still there");
    }
}

#[test]
fn a_path_with_blanks_is_shown_as_a_shell_takes_it() {
    let home = Home::new();
    let mut command = home.command("serve --service echo --dialect open --bind");
    command.arg(format!("unix:{}", home.path("a b").display()));
    let server = ServerProcess::started(command.spawn().unwrap(), 1);
    let line = server.err.with("  connect  ");
    let line = line.trim_start().strip_prefix("connect ").unwrap();
    assert_eq!(shell(&home, &format!("echo a | {line}")), "a\n");
}

#[test]
fn a_server_is_at_a_port_and_at_a_socket_at_once() {
    let home = Home::new();
    let socket = format!("unix:{}", home.path("s").display());
    let server = home.serve(&format!("serve --service echo --bind 127.0.0.1:0 --bind {socket}"));
    for address in &server.addresses {
        home.run(&format!("connect {address}"), "a\n").printed("a\n");
        let report = home.run(&format!("load {address} -n 500 -c 5 --output json"), "").out;
        assert!(report.contains("500"), "{report}");
    }
    assert_eq!(server.addresses[1], socket);
}

#[test]
fn the_mode_says_who_may_connect() {
    let home = Home::new();
    let (server, _) = serve(&home, "--dialect open");
    assert_eq!(mode(home.path("s")), 0o600);
    drop(server);
    // It was killed, and has left its file.
    assert!(fs::metadata(home.path("s")).unwrap().file_type().is_socket());
    let (server, _) = serve(&home, "--dialect open --unix-mode 0660");
    assert_eq!(mode(home.path("s")), 0o660);
    server.stop();
    let wrong = ["rw", "0888", "1777", "-1"];
    for given in wrong {
        let ran = home.run(&format!("serve --unix-mode={given}"), "");
        ran.failed(2, &["write a mode like 0600 or 0660"]);
    }
}

#[test]
fn the_mode_keeps_others_out() {
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let can = format!("{nobody} nc -h 2>&1 | grep -q OpenBSD");
    if !Command::new("sh").arg("-c").arg(can).status().unwrap().success() {
        skip("we can't be somebody else, or there is no nc of OpenBSD here");
        return;
    }
    let home = Home::new();
    for (options, allowed) in [("", false), ("--unix-mode 0606", true)] {
        let (server, _) = serve(&home, &format!("--dialect open {options}"));
        let path = home.path("s").display().to_string();
        let line = format!("printf a | {nobody} nc -N -w 10 -U {path} 2>&1 || true");
        let said = shell(&home, &line);
        assert_eq!(said == "a", allowed, "{options}: {said}");
        assert_eq!(said.contains("Permission denied"), !allowed, "{options}: {said}");
        server.stop();
    }
}

#[test]
fn where_it_cannot_listen_is_69_with_the_remedy() {
    let home = Home::new();
    let (_server, address) = serve(&home, "--dialect open");
    home.write("file", "precious");
    let other = |name: &str| format!("unix:{}", home.path(name).display());
    let cases = [
        (address, "address already in use; another program listens there; stop it or use another"),
        (other("file"), "the existing file is not a socket; move it away, or use another path"),
        (other("no/where"), "no such file or directory; create the directory first"),
        (other(&"x".repeat(200)), "bytes, more than the 107 of a socket"),
        ("unix:".to_owned(), "the path is empty"),
    ];
    for (address, said) in cases {
        let ran = home.run(&format!("serve --dialect open --bind {address}"), "");
        ran.failed(69, &[&format!("countersign: cannot bind {address}: "), said]);
    }
    assert_eq!(fs::read(home.path("file")).unwrap(), b"precious");
}

#[test]
fn a_server_that_is_not_there_is_69_with_the_remedy() {
    let home = Home::new();
    let at = |name: &str| format!("unix:{}", home.path(name).display());
    drop(UnixListener::bind(home.path("stale")).unwrap());
    let cases = [
        (at("none"), "no such file or directory; is the server running?"),
        (at("stale"), "connection refused; is the server running?"),
        (at(&"x".repeat(200)), "bytes, more than the 107 of a socket"),
    ];
    for (address, said) in cases {
        let ran = home.run(&format!("connect {address} --dialect open"), "a\n");
        ran.failed(69, &[&format!("countersign: cannot connect to {address}: "), said]);
    }
    let ran = home.run(&format!("load {} --dialect open -n 1 -c 1", at("none")), "");
    ran.failed(69, &["nothing was answered: no such socket"]);
    let ran = home.run(&format!("load {} --dialect open --source 127.0.0.2", at("none")), "");
    ran.failed(2, &["clients of a Unix socket have no source address"]);
}

#[test]
fn a_client_that_tries_again_finds_a_server_that_comes_late() {
    let home = Home::new();
    let address = format!("unix:{}", home.path("s").display());
    let mut client = home.talk(&format!("connect {address} --dialect open --retry 50"));
    client.err.with("no such file or directory");
    let (_server, _) = serve(&home, "--dialect open");
    client.ask("a", "a");
}

#[test]
fn the_log_calls_a_peer_unix() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more  dialects=raw\n");
    let (server, address) = serve(&home, "--dialect raw --failure-burst 0 --log-level debug");
    home.run(&format!("connect {address} --dialect raw"), "a\n").printed("a\n");
    assert!(server.err.with("authenticated").contains(" peer=unix "));
    let other = home.write("other", "default  text:another-key-altogether  dialects=raw\n");
    let connect = format!("connect {address} --dialect raw --keys {}", other.display());
    home.run(&connect, "a\n").failed(77, &["the same key"]);
    assert!(server.err.with("refused").contains(" peer=unix "));
    assert!(server.err.with("throttled").contains(" address=unix"));
}

#[test]
fn stock_tools_are_served() {
    let home = Home::new();
    let (_server, address) = serve(&home, "--dialect open");
    let path = address.strip_prefix("unix:").unwrap();
    let nc = Command::new("nc").arg("-h").output();
    if nc.is_ok_and(|said| String::from_utf8_lossy(&said.stderr).contains("OpenBSD")) {
        let said = shell(&home, &format!(r"printf 'a\nb\nlast' | nc -N -w 10 -U {path}"));
        assert_eq!(said, "a\nb\nlast");
    } else {
        skip("there is no nc of OpenBSD here");
    }
    if Command::new("socat").arg("-V").output().is_ok() {
        let said = shell(&home, &format!(r"printf 'a\nb\n' | socat -t 10 - UNIX-CONNECT:{path}"));
        assert_eq!(said, "a\nb\n");
    } else {
        skip("there is no socat here");
    }
}
