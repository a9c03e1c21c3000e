//! A target that is a name: it is looked up for each connection, and not by the loop.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use super::{Home, KEY};
use crate::free_port::free_port;
use crate::home::{PROGRAM, skip};
use crate::served::{ServerProcess, dial};

/// Listens at this address, and tells everybody its name.
fn named(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    let name = address.split(':').next().unwrap().to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = |mut stream: TcpStream| writeln!(stream, "{name}");
            let _ = stream.and_then(tell);
        }
    });
}

/// A proxy whose system finds names in this file.
fn with_hosts(home: &Home, hosts: &str, line: &str) -> Command {
    let mut command = Command::new("unshare");
    home.prepare(&mut command);
    let mounted = format!("mount --bind {hosts} /etc/hosts && exec {PROGRAM} {line}");
    command.args(["--mount", "--", "sh", "-c", &mounted]);
    command
}

#[test]
fn a_name_is_looked_up_for_each_connection() {
    let home = Home::with_keys(KEY);
    let tried = Command::new("unshare").args(["--mount", "--", "true"]).output();
    if !tried.is_ok_and(|ran| ran.status.success()) {
        return skip("the system lets nobody mount a file here");
    }
    let port = free_port();
    named(&format!("127.0.0.1:{port}"));
    named(&format!("127.0.0.2:{port}"));
    let hosts = home.write("hosts", "127.0.0.1 moving.test\n");
    let line = format!("proxy --role server --listen 127.0.0.1:0 --target moving.test:{port}");
    let server = with_hosts(&home, &hosts.display().to_string(), &line).spawn().unwrap();
    let server = ServerProcess::started(server, 1);
    let client = home.proxy("client", server.address(), "");
    let address = client.address();
    let answer = || {
        let mut answer = String::new();
        BufReader::new(dial(address)).read_line(&mut answer).unwrap();
        answer
    };
    assert_eq!(answer(), "127.0.0.1\n");
    // In place, because the file is mounted as it is.
    fs::write(&hosts, "127.0.0.2 moving.test\n").unwrap();
    assert_eq!(answer(), "127.0.0.2\n");
    // Many at one time share lookups.
    let answers = thread::scope(|scope| {
        let each: Vec<_> = (0..20).map(|_| scope.spawn(answer)).collect();
        each.into_iter().map(|each| each.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(answers, vec!["127.0.0.2\n"; 20]);
    fs::write(&hosts, "").unwrap();
    assert_eq!(answer(), "127.0.0.2\n", "the last that was known");
    server.err.with("WARN  cannot look up the target: ");
}

#[test]
fn a_unix_socket_is_neither_target_nor_listener() {
    let home = Home::with_keys(KEY);
    for (listen, to, said) in [
        ("127.0.0.1:0", "unix:/tmp/a", "a connection to a Unix socket can't be reset"),
        ("unix:/tmp/a", "127.0.0.1:1", "a proxy does not listen on Unix sockets"),
    ] {
        let line = format!("proxy --role server --listen {listen} --target {to}");
        home.run(&line, "").failed(69, &[said, "write HOST:PORT"]);
    }
}
