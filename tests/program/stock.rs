//! Stock tools as peers of the dialect `open`.

use std::process::Command;

use super::free_port::free_address;
use super::home::{Home, finish, skip};

#[track_caller]
pub(crate) fn shell(home: &Home, line: &str) -> String {
    let mut shell = Command::new("sh");
    home.prepare(&mut shell);
    let ran = finish(shell.arg("-c").arg(line).spawn().unwrap(), b"");
    assert_eq!(ran.code, Some(0), "{line}: {}", ran.err);
    ran.out
}

#[test]
fn nc_is_served_line_by_line() {
    let nc = Command::new("nc").arg("-h").output();
    if !nc.is_ok_and(|said| String::from_utf8_lossy(&said.stderr).contains("OpenBSD")) {
        // Others have no option to end the stream and read on.
        skip("there is no nc of OpenBSD here");
        return;
    }
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo");
    let address = server.address().replace(':', " ");
    let said = |text: &str| shell(&home, &format!("printf '{text}' | nc -N -w 10 {address}"));
    assert_eq!(said(r"a\nb\n"), "a\nb\n");
    assert_eq!(said(r"a\r\nb\r\nlast"), "a\r\nb\r\nlast");
}

#[test]
fn socat_is_served_line_by_line_and_once() {
    if Command::new("socat").arg("-V").output().is_err() {
        skip("there is no socat here");
        return;
    }
    let home = Home::new();
    let server = home.serve("serve --dialect open");
    let address = server.address();
    let out = shell(&home, &format!(r"printf 'a\nb\n' | socat -t 10 - TCP:{address}"));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with('[') && lines[0].ends_with("] a"), "{out}");
    assert!(lines[1].starts_with('[') && lines[1].ends_with("] b"), "{out}");
    let server = home.serve("serve --dialect open --service echo --once");
    let address = server.address();
    assert_eq!(shell(&home, &format!(r"printf 'a\nb\n' | socat -t 10 - TCP:{address}")), "a\n");
}

#[test]
fn our_client_is_served_by_socat() {
    if Command::new("socat").arg("-V").output().is_err() {
        skip("there is no socat here");
        return;
    }
    let home = Home::new();
    let free = free_address();
    let listen = format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr", free.port());
    let mut socat = Command::new("socat");
    home.prepare(&mut socat);
    let mut socat = socat.args([&listen, "EXEC:cat"]).spawn().unwrap();
    let connect = format!("connect {free} --dialect open");
    // It listens soon.
    let mut ran = home.run(&connect, "a\nb\n");
    for _ in 0..1000 {
        if ran.code != Some(69) {
            break;
        }
        ran = home.run(&connect, "a\nb\n");
    }
    ran.printed("a\nb\n");
    socat.kill().unwrap();
    socat.wait().unwrap();
}
