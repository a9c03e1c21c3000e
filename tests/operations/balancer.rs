//! A balancer in front of several servers, which are restarted one after the other.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use countersign::Client;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::clients::{Clients, KEY, accepted, config};
use super::free_port::free_address;
use super::home::{Home, PATIENCE, Ran, finish, skip};
use super::served::ServerProcess;

const SERVERS: usize = 3;

/// HAProxy, ended when it is dropped.
struct Haproxy(Child);

impl Haproxy {
    /// In front of these servers, at an address that is free; none where it isn't installed.
    fn start(home: &Home, servers: &[ServerProcess]) -> Option<(Self, String)> {
        Command::new("haproxy").arg("-v").output().ok()?;
        let address = free_address();
        // The one that is handed out, with the addresses that there are here.
        let mut text = include_str!("../../deploy/haproxy.cfg").to_owned();
        let bind = ("bind :9527".to_owned(), format!("bind {address}"));
        let served = (1..).zip(servers).map(|(number, server)| {
            (format!(" 192.0.2.{number}:9527"), format!(" {}", server.address()))
        });
        for (theirs, ours) in [bind].into_iter().chain(served) {
            assert!(text.contains(&theirs), "{theirs}");
            text = text.replace(&theirs, &ours);
        }
        let configuration = home.write("haproxy.cfg", text);
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(configuration);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some((Self(child), address.to_string()))
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(home: &Home, address: &str) -> ServerProcess {
    let options = "--service echo --proxy-from 127.0.0.1 --log-level debug";
    home.serve(&format!("serve --bind {address} {options}"))
}

/// Carries one connection to the address, as one that comes from this host.
fn relay_from(host: [u8; 4], to: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (here, to) = (listener.local_addr().unwrap(), to.parse::<SocketAddr>().unwrap());
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        far.bind(&SocketAddr::from((host, 0)).into()).unwrap();
        far.connect(&to.into()).unwrap();
        let far = TcpStream::from(far);
        let (mut from, mut into) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || copy(&mut from, &mut into));
        copy(&mut { far }, &mut { near });
    });
    here
}

fn copy(from: &mut TcpStream, into: &mut TcpStream) {
    // Either end may go when it likes.
    let _ = io::copy(from, into);
    let _ = into.shutdown(Shutdown::Write);
}

#[test]
fn servers_behind_haproxy_are_restarted_and_no_message_is_lost_or_doubled() {
    let home = Home::with_keys(KEY);
    let mut servers: Vec<ServerProcess> =
        (0..SERVERS).map(|_| serve(&home, &free_address().to_string())).collect();
    let Some((_haproxy, address)) = Haproxy::start(&home, &servers) else {
        return skip("there is no haproxy here");
    };
    let clients = Clients::begin(&address, 8);
    clients.wait_for(200);
    let load = home.command(&format!("load {address} -c 10 -n 20k --reconnect --output json"));
    let load = { load }.spawn().unwrap();
    let (mut messages, mut logs) = (0, String::new());
    let mut account = |stopped: Ran| {
        messages += accepted(&stopped);
        logs.push_str(&stopped.err);
    };
    for round in 0..2 * SERVERS {
        clients.wait_for(200);
        let number = round % SERVERS;
        let server = servers.remove(number);
        let address = server.address().to_owned();
        account(server.stop());
        servers.insert(number, serve(&home, &address));
    }
    let load = finish(load, b"");
    let report: Value = serde_json::from_str(&load.out).unwrap_or_else(|_| panic!("{load:?}"));
    let loaded = report["summary"]["answered"].as_u64().unwrap();
    let far = relay_from([127, 0, 0, 77], &address).to_string();
    let mut client = Client::connect_within(&*far, config(), PATIENCE).unwrap();
    client.ask(b"from afar").unwrap();
    drop(client);
    let answered = clients.end();
    servers.into_iter().for_each(|server| account(server.stop()));
    assert_eq!(messages, answered + loaded + 1, "accepted, and answered");
    assert!(loaded > 10_000, "most of the load is served: {report}");
    assert!(logs.contains("authenticated peer=127.0.0.77:"), "the log has the client's address");
}
