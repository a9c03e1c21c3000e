//! Callers that don't authenticate: how many there may be, who gives way, and who is throttled.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::{Home, KEY, Target, breaks};
use crate::home::PATIENCE;
use crate::served::{ServerProcess, ask};

/// A connection from this address of the machine's own.
fn dial_from(host: u8, to: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&to.parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// A number of the proxy's state, as it says it.
fn says(server: &ServerProcess, field: &str) -> u64 {
    server.signal("USR1");
    let status = server.err.with("INFO  status ");
    let words = status.split(' ').find_map(|word| word.strip_prefix(field)?.strip_prefix('='));
    words.unwrap().parse().unwrap()
}

#[test]
fn a_silent_crowd_of_one_address_keeps_nobody_else_out() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let limits = "--max-connections 8 --max-per-address 2 --handshake-timeout 10m";
    let server = home.proxy("server", &target.to(), limits);
    let crowd: Vec<_> = (0..40).map(|_| dial_from(2, server.address())).collect();
    let client = home.proxy("client", server.address(), "");
    for _ in 0..3 {
        assert_eq!(ask(&client.dial(), "hello"), "hello\n");
    }
    server.err.with("WARN  refused: too-many-connections peer=127.0.0.2:");
    assert_eq!(says(&server, "handshake"), 2);
    drop(crowd);
}

#[test]
fn who_has_waited_longest_gives_way_once_all_places_are_taken() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let limits = "--max-connections 3 --max-unauthenticated 3 --max-per-address 3";
    let server = home.proxy("server", &target.to(), &format!("{limits} --handshake-timeout 10s"));
    let mut first = dial_from(2, server.address());
    first.write_all(b"\x9ecsgn/1\n").unwrap();
    let others = [3, 4].map(|host| dial_from(host, server.address()));
    let client = home.proxy("client", server.address(), "");
    let stream = client.dial();
    assert_eq!(ask(&stream, "hello"), "hello\n");
    server.err.with("WARN  refused: too-many-connections peer=127.0.0.2:");
    let mut heard = Vec::new();
    first.read_to_end(&mut heard).unwrap();
    assert_eq!(heard[32..], [5, 0, 0, 1, 3], "behind the nonce: busy");
    // Those who have authenticated give way to nobody.
    drop(others);
    assert_eq!(ask(&stream, "hello"), "hello\n");
    assert_eq!(says(&server, "authenticated"), 1);
}

#[test]
fn wrong_proofs_delay_and_then_refuse_those_of_their_network() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let limits = "--failure-burst 1 --failure-limit 3 --failure-delay 300ms";
    let server = home.proxy("server", &target.to(), limits);
    let ring = home.write("ring", "default  text:another-key-altogether\n");
    let wrong = format!("--keys {}", ring.display());
    let wrong = home.proxy("client", server.address(), &wrong);
    let right = home.proxy("client", server.address(), "");
    for _ in 0..2 {
        breaks(&wrong.dial(), b"hello");
        server.err.with("WARN  refused: wrong-proof");
    }
    server.err.with("WARN  throttled: new connections are delayed address=127.0.0.1");
    assert_eq!(ask(&right.dial(), "hello"), "hello\n");
    for _ in 0..2 {
        breaks(&wrong.dial(), b"hello");
    }
    server.err.with("WARN  throttled: new connections are refused address=127.0.0.1");
    breaks(&right.dial(), b"hello");
    assert_eq!(says(&server, "throttled"), 1);
    // Another network is another matter.
    let mut stranger = dial_from(2, server.address());
    stranger.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    server.err.with("WARN  refused: foreign");
}

#[test]
fn a_flood_of_silent_callers_does_not_keep_an_honest_one_waiting() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let server = home.proxy("server", &target.to(), "--max-unauthenticated 200");
    let client = home.proxy("client", server.address(), "");
    let address = server.address();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut flood = std::collections::VecDeque::new();
            let over = || stopped.recv_timeout(Duration::from_millis(2)).is_ok();
            for host in (2..250).cycle().take_while(|_| !over()) {
                flood.push_back(dial_from(host, address));
                // Twice as many as there are places. Those that go have been evicted.
                if flood.len() > 400 {
                    flood.pop_front();
                }
            }
        });
        let mut is_crowded = false;
        let mut honest = 0;
        while !is_crowded || honest < 20 {
            assert_eq!(ask(&client.dial(), "hello"), "hello\n");
            honest += 1;
            is_crowded |=
                server.err.ready().any(|line| line.contains("refused: too-many-connections"));
        }
        stop.send(()).unwrap();
    });
}

#[test]
fn a_caller_of_ipv4_is_one_also_where_the_proxy_listens_at_both() {
    let home = Home::with_keys(KEY);
    let line = "proxy --role server --listen [::]:0 --target 127.0.0.1:1";
    let server = ServerProcess::started(home.command(line).spawn().unwrap(), 1);
    let port = server.address().rsplit_once(':').unwrap().1;
    let mut stranger = dial_from(2, &format!("127.0.0.1:{port}"));
    stranger.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    server.err.with("WARN  refused: foreign peer=127.0.0.2:");
}
