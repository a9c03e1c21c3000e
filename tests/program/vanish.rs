//! Peers that vanish: from one moment on nothing of theirs arrives, and nothing of ours.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::home::{Home, PROGRAM, skip};
use super::served::ServerProcess;

/// A host of our own with a loopback interface, whose packets can be dropped.
struct Host(String);

impl Host {
    /// None where namespaces or a packet filter can't be had.
    fn new() -> Option<Self> {
        let host = Self(format!("countersign-{}", std::process::id()));
        let made = run(Command::new("ip").args(["netns", "add", &host.0]));
        let up = made && run(Command::new("ip").args(["-n", &host.0, "link", "set", "lo", "up"]));
        let filter = up && run(host.command("nft").args(["list", "ruleset"]));
        filter.then_some(host)
    }

    /// A program that runs on it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    fn drop_all_packets(&self) {
        let chain = "add chain inet t c { type filter hook input priority 0; policy drop; }";
        let rules = format!("add table inet t; {chain}");
        assert!(run(self.command("nft").arg(rules)));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        run(Command::new("ip").args(["netns", "delete", &self.0]));
    }
}

fn run(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A client that says something, hears the reply, and goes on as the script says.
fn client(host: &Host, address: &str, script: &str) -> Child {
    let (ip, port) = address.split_once(':').unwrap();
    let begin = format!(
        "import socket,sys\ns=socket.create_connection(('{ip}',{port}))\n\
         s.sendall(b'hello\\n')\nassert s.recv(6)==b'hello\\n'\n{script}\n"
    );
    let mut command = host.command("python3");
    command.args(["-c", &begin]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_peer_that_vanishes_is_given_up_at_the_deadline() {
    let Some(host) = Host::new() else {
        return skip("there are no network namespaces, or no nft, or we may not use them");
    };
    let home = Home::new();
    let mut command = host.command(PROGRAM);
    home.prepare(&mut command);
    command.args(["serve", "--bind", "127.0.0.1:0", "--dialect", "open", "--service", "echo"]);
    command.args(["--idle-timeout", "1s", "--write-timeout", "2s", "--log-level", "debug"]);
    let server = ServerProcess::started(command.spawn().unwrap(), 1);
    // One says nothing more; the other has said much, and takes nothing of the replies.
    let much = "s.setblocking(False)\ntry:\n while 1: s.send(b'x'*999+b'\\n')\n\
                except BlockingIOError: pass";
    let told = "print('told', flush=True)\nsys.stdin.read()";
    let mut clients = [
        client(&host, server.address(), &format!("{much}\n{told}")),
        client(&host, server.address(), told),
    ];
    for client in &mut clients {
        let mut line = String::new();
        BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "told\n");
    }
    host.drop_all_packets();
    // Of the one with replies unsent, the system may lose patience before we do.
    let mut due = vec![&["closed: idle-timeout"][..], &["closed: write-timeout", "closed: reset"]];
    while !due.is_empty() {
        let line = server.err.next().unwrap();
        due.retain(|ways| !ways.iter().any(|way| line.contains(way)));
    }
    for mut client in clients {
        drop(client.stdin.take());
        client.kill().unwrap();
        client.wait().unwrap();
    }
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn the_system_is_told_when_to_look_for_those_who_vanish() {
    if !run(Command::new("strace").args(["-qq", "-o", "/dev/null", "true"])) {
        return skip("there is no strace, or we may not use it");
    }
    let home = Home::new();
    let trace = home.path("trace");
    let cases = [
        ("", ["SO_KEEPALIVE, [1]", "TCP_KEEPIDLE, [60]", "TCP_USER_TIMEOUT, [30000]"]),
        (
            "--tcp-keepalive 10m --tcp-user-timeout 7s",
            ["SO_KEEPALIVE, [1]", "TCP_KEEPIDLE, [600]", "TCP_USER_TIMEOUT, [7000]"],
        ),
        (
            "--tcp-keepalive 0s --write-timeout 9s",
            ["SO_KEEPALIVE, [0]", "SO_KEEPALIVE, [0]", "TCP_USER_TIMEOUT, [9000]"],
        ),
    ];
    for (options, said) in cases {
        let mut command = Command::new("strace");
        home.prepare(&mut command);
        // Detached, so that the child we know is the server itself.
        command.args(["-D", "-f", "-e", "trace=setsockopt", "-o"]).arg(&trace).arg(PROGRAM);
        command.args(["serve", "--bind", "127.0.0.1:0", "--dialect", "open"]);
        let child = command.args(options.split_whitespace()).spawn().unwrap();
        assert_eq!(ServerProcess::started(child, 1).stop().code, Some(0));
        let asked = std::fs::read_to_string(&trace).unwrap();
        for said in said {
            assert!(asked.contains(said), "{options}: {said}: {asked}");
        }
    }
}
