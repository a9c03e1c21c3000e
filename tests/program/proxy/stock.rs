//! Programs that know nothing of us, at either end.

use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use super::{Home, KEY};
use crate::free_port::free_port;
use crate::home::{KillOnDrop, skip};
use crate::stock::shell;

/// Waits until somebody listens there.
fn until_there(port: u16) {
    let (_open, quiet) = UnixStream::pair().unwrap();
    quiet.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    for _ in 0..2000 {
        if TcpStream::connect(format!("127.0.0.1:{port}")).is_ok() {
            return;
        }
        // It has nothing to say, so this takes as long as it may.
        let _ = (&quiet).read(&mut [0]);
    }
    panic!("nobody listens at {port}");
}

#[test]
fn socat_talks_to_socat() {
    if Command::new("socat").arg("-V").output().is_err() {
        skip("there is no socat here");
        return;
    }
    let home = Home::with_keys(KEY);
    let port = free_port();
    let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork");
    let mut socat = Command::new("socat");
    home.prepare(&mut socat);
    let _socat = KillOnDrop(socat.args([&listen, "EXEC:cat"]).spawn().unwrap());
    until_there(port);
    let chain = home.chain(&format!("127.0.0.1:{port}"), "");
    let address = chain.client.address();
    let sum = |line: &str| shell(&home, line);
    let input = "head -c 5000000 /dev/zero | tr '\\0' a";
    let sent = sum(&format!("{input} | cksum"));
    assert_eq!(sum(&format!("{input} | socat -t 20 - TCP:{address} | cksum")), sent);
}

#[test]
fn haproxy_is_carried_in_front_and_behind() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        skip("there is no haproxy here");
        return;
    }
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo --dialect open");
    let (front, back) = (free_port(), free_port());
    let chain = home.chain(&format!("127.0.0.1:{back}"), "");
    let config = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
         listen front\n bind 127.0.0.1:{front}\n server a {}\n\
         listen back\n bind 127.0.0.1:{back}\n server b {}\n",
        chain.client.address(),
        server.address()
    );
    let config = home.write("haproxy.cfg", config);
    let mut haproxy = Command::new("haproxy");
    home.prepare(&mut haproxy);
    let _haproxy = KillOnDrop(haproxy.arg("-db").arg("-f").arg(config).spawn().unwrap());
    until_there(back);
    until_there(front);
    let connect = format!("connect 127.0.0.1:{front} --dialect open");
    home.run(&connect, "a\nb\n").printed("a\nb\n");
    let load = format!("load 127.0.0.1:{front} --dialect open -c 20 -n 5000 --fail-if errors>0%");
    let ran = home.run(&load, "");
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.err);
}
