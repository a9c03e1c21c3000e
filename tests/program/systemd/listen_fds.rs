//! Socket activation: whoever starts the program has bound its sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};

use crate::free_port::free_address;
use crate::home::{Home, finish, skip};
use crate::served::{Lines, ServerProcess, ask, dial};

/// A parent that passes sockets of the kinds `tcp`, `any`, `unix:PATH`, `udp` and `bound`, each
/// with a name. It prints nothing, and then it is the program.
const PARENT: &str = r"
import os, socket, sys
names, sockets = [], []
arguments = sys.argv[1:]
cut = arguments.index('--')
for word in arguments[:cut]:
    name, kind = word.split('=')
    names.append(name)
    if kind == 'udp':
        one = socket.socket(type=socket.SOCK_DGRAM)
    elif kind.startswith('unix:'):
        one = socket.socket(socket.AF_UNIX)
        one.bind(kind[5:])
    else:
        one = socket.socket()
        one.bind(('0.0.0.0' if kind == 'any' else '127.0.0.1', 0))
    if kind in ('tcp', 'any') or kind.startswith('unix:'):
        one.listen()
    sockets.append(one)
for number, one in enumerate(sockets):
    os.dup2(one.fileno(), 100 + number)
for number in range(len(sockets)):
    os.dup2(100 + number, 3 + number, inheritable=True)
    os.close(100 + number)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
os.environ.update(LISTEN_FDNAMES=':'.join(names))
os.execvp(arguments[cut + 1], arguments[cut + 1:])
";

/// The program with these sockets.
fn activated(home: &Home, sockets: &str, line: &str) -> Option<Child> {
    let ours = home.command(line);
    let mut command = Command::new("python3");
    home.prepare(&mut command);
    command.arg("-c").arg(PARENT).args(sockets.split_whitespace()).arg("--");
    match command.arg(ours.get_program()).args(ours.get_args()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            skip(&format!("python3: {error}"));
            None
        }
    }
}

#[test]
fn sockets_that_were_passed_are_served_and_nothing_else_is_bound() {
    let home = Home::new();
    let path = home.path("socket");
    let sockets = format!("countersign.socket=tcp countersign.socket=unix:{}", path.display());
    // Another has the port that it would bind.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap();
    let line = format!("serve --dialect open --service echo --bind {bind}");
    let Some(child) = activated(&home, &sockets, &line) else { return };
    let server = ServerProcess::started(child, 2);
    assert_eq!(server.addresses[1], format!("unix:{}", path.display()));
    assert_eq!(ask(&server.dial(), "a"), "a\n");
    let connect = |address: &str| home.run(&format!("connect {address} --dialect open"), "b\n");
    connect(&server.addresses[1]).printed("b\n");
    assert_eq!(server.stop().code, Some(0));
    assert!(path.exists(), "the file is its maker's");
}

#[test]
fn each_listener_gets_the_sockets_of_its_name() {
    let home = Home::new();
    let file = home.write(
        "two.toml",
        "dialect = 'open'\n[[listener]]\nname = 'stamps'\nbind = '127.0.0.1:0'\n\
         [[listener]]\nname = 'echoes'\nbind = '127.0.0.1:0'\nservice = 'echo'\n",
    );
    let line = format!("serve --config {}", file.display());
    // One of them binds for itself.
    for (sockets, is_echo) in [
        ("echoes=tcp stamps=tcp", [false, true]),
        ("echoes=tcp", [false, true]),
        ("x=tcp y=tcp", [false, true]),
        ("stamps=tcp stamps=tcp", [false, false]),
    ] {
        let Some(child) = activated(&home, sockets, &line) else { return };
        let server = ServerProcess::started(child, sockets.matches("stamps").count().max(1) + 1);
        for (address, is_echo) in server.addresses.iter().zip(is_echo) {
            assert_eq!(ask(&dial(address), "a") == "a\n", is_echo, "{sockets}");
        }
        assert_eq!(server.stop().code, Some(0));
    }
    for sockets in ["echoes=tcp other=tcp", "x=tcp y=tcp z=tcp"] {
        let Some(child) = activated(&home, sockets, &line) else { return };
        let said = "a socket named ";
        let remedy = "FileDescriptorName= to the name of a listener (stamps, echoes)";
        finish(child, b"").failed(78, &[said, remedy]);
    }
}

#[test]
fn the_admin_listener_gets_the_sockets_of_its_name() {
    let home = Home::new();
    let line = "serve --dialect open --service echo";
    let Some(child) = activated(&home, "admin=tcp x=tcp", line) else { return };
    let server = ServerProcess::started(child, 1);
    let admin = server.out.next().unwrap();
    let mut page = dial(admin.strip_prefix("admin on ").unwrap());
    page.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    page.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(ask(&server.dial(), "a"), "a\n");
    assert_eq!(server.stop().code, Some(0));
    // What others reach has to be asked for, whoever has bound it.
    let Some(child) = activated(&home, "admin=any x=tcp", line) else { return };
    finish(child, b"").failed(2, &["the socket admin that was passed, at 0.0.0.0:", "exposed"]);
    let line = format!("{line} --admin-exposed");
    let Some(child) = activated(&home, "admin=any x=tcp", &line) else { return };
    assert_eq!(ServerProcess::started(child, 1).stop().code, Some(0));
}

#[test]
fn all_workers_serve_at_a_socket_that_was_passed() {
    let home = Home::new();
    let line = "serve --dialect open --service echo --workers 3";
    let Some(child) = activated(&home, "a=tcp", line) else { return };
    let server = ServerProcess::started(child, 1);
    for _ in 0..50 {
        assert_eq!(ask(&server.dial(), "a"), "a\n");
    }
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn sockets_of_another_process_are_not_ours() {
    let home = Home::new();
    let line = "LISTEN_FDS=1 LISTEN_PID=1 LISTEN_FDNAMES=x serve --dialect open --service echo";
    let server = home.serve(line);
    assert_eq!(ask(&server.dial(), "a"), "a\n");
}

#[test]
fn what_is_no_listener_is_refused_with_the_remedy() {
    let home = Home::new();
    let said = "is not a listening stream socket; in the socket unit, write ListenStream=";
    for (sockets, which) in [
        ("a=udp", "the passed socket 1 (a)"),
        ("a=tcp b=udp", "the passed socket 2 (b)"),
        ("a=bound", "the passed socket 1 (a)"),
    ] {
        let Some(child) = activated(&home, sockets, "serve --dialect open") else { return };
        finish(child, b"").failed(78, &[which, said]);
    }
    // A number that is no descriptor.
    home.run("LISTEN_FDS=1 serve --dialect open", "").failed(78, &[said]);
}

#[test]
fn the_tool_of_systemd_hands_its_sockets_over() {
    let tool = Path::new("/usr/bin/systemd-socket-activate");
    if !tool.exists() {
        return skip("systemd-socket-activate isn't installed");
    }
    let home = Home::new();
    let ours = home.command("serve --dialect open --service echo");
    let mut command = Command::new(tool);
    home.prepare(&mut command);
    let port = free_address();
    command.args(["--listen", &port.to_string(), "--fdname", "default"]);
    for name in ["HOME", "XDG_CONFIG_HOME"] {
        let value = ours.get_envs().find(|(other, _)| *other == name).unwrap().1.unwrap();
        command.arg("--setenv").arg(format!("{name}={}", value.to_str().unwrap()));
    }
    let mut child = command.arg(ours.get_program()).args(ours.get_args()).spawn().unwrap();
    // It listens for us, and starts us when somebody comes.
    let said = Lines::of(child.stderr.take().unwrap());
    said.with("Listening on ");
    let stream = dial(&port.to_string());
    assert_eq!(ask(&stream, "a"), "a\n");
    let server = ServerProcess::started(child, 1);
    assert_eq!(server.address(), port.to_string());
    assert_eq!(server.stop().code, Some(0));
    // Until here: the tool dies if nobody hears what it says.
    drop(said);
}

#[test]
fn a_number_of_sockets_that_cannot_be_meant_is_refused() {
    let home = Home::new();
    let line = "serve --dialect open --bind a.invalid:1";
    for (name, value) in [
        ("LISTEN_FDS", "999999999"),
        ("LISTEN_FDS", "18446744073709551616"),
        ("LISTEN_FDS", "-1"),
        ("LISTEN_FDS", "many"),
        ("LISTEN_FDS_FIRST_FD", "2147483647"),
    ] {
        let said = format!("{name}={value}: write a number from ");
        home.run(&format!("{name}={value} {line}"), "").failed(78, &[&said, "or unset it"]);
        // They are another program's.
        home.run(&format!("LISTEN_PID=1 {name}={value} {line}"), "").failed(69, &["a.invalid"]);
    }
}
