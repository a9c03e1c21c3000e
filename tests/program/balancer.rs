//! Behind a balancer, a real one where there is one; and who may connect at all.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use socket2::{Domain, Socket, Type};

use super::home::{Home, PATIENCE, skip};
use super::served::{ServerProcess, ask};

/// HAProxy in front of a server, with this option for the server. It ends with this.
struct Balancer {
    child: Child,
    address: SocketAddr,
}

impl Balancer {
    /// None where HAProxy isn't installed.
    fn start(home: &Home, server: &ServerProcess, option: &str) -> Option<Self> {
        Self::with(home, server, option, "")
    }

    /// With an option for its own port, too.
    fn with(home: &Home, server: &ServerProcess, option: &str, bind: &str) -> Option<Self> {
        // It listens with its standard input, so that no other program takes the port before.
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let text = format!(
            "defaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n timeout server 20s\n\
             listen garden\n bind fd@0 {bind}\n server one {} {option}\n",
            server.address()
        );
        let config = home.write("haproxy.cfg", text);
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(config);
        command.stdin(OwnedFd::from(listening)).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            skip("there is no haproxy here");
            return None;
        };
        Some(Self { child, address })
    }

    /// A client that comes from 127.0.0.9.
    fn dial(&self) -> TcpStream {
        dial_from(9, self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Comes from 127.0.0.HOST.
pub(crate) fn dial_from(host: u8, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The server hangs up without a word.
#[track_caller]
fn hears_nothing(mut stream: TcpStream) {
    let mut heard = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut heard);
    assert_eq!(heard, b"");
}

#[test]
fn behind_haproxy_the_log_and_the_lists_know_the_clients_addresses() {
    for option in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"] {
        let home = Home::new();
        let server = home.serve(
            "serve --dialect open --service echo --log-level debug --proxy-from 127.0.0.1 \
             --deny 127.0.0.8",
        );
        let Some(balancer) = Balancer::start(&home, &server, option) else { return };
        let client = balancer.dial();
        assert_eq!(ask(&client, "hello"), "hello\n", "{option}");
        let address = client.local_addr().unwrap();
        server.err.with(&format!("authenticated peer={address} "));
        hears_nothing(dial_from(8, balancer.address));
        let denied = server.err.with("refused: denied");
        assert!(denied.contains(" peer=127.0.0.8:"), "{denied}");
    }
}

#[test]
fn a_load_comes_as_from_a_load_balancer() {
    let home = Home::new();
    let serve = "serve --service echo --dialect open --log-level debug";
    let server = home.serve(&format!("{serve} --proxy-from 127.0.0.1 --deny 10.0.0.9"));
    let address = server.address();
    for version in ["v1", "v2"] {
        let load = format!("load {address} --dialect open -c 4 -n 8 --proxy-header {version}");
        let ran = home.run(&format!("{load} --proxy-source 10.0.0.0/31,2001:db8::/32"), "");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        for peer in ["10.0.0.0:", "10.0.0.1:", "[2001:db8::]:", "[2001:db8::1]:"] {
            server.err.with(&format!("authenticated peer={peer}"));
        }
        assert_eq!(home.run(&load, "").code, Some(0));
        server.err.with("authenticated peer=127.0.0.1:");
        let ran = home.run(&format!("{load} --proxy-source 10.0.0.9"), "");
        ran.failed(77, &["nothing was answered: refused"]);
        server.err.with("refused: denied peer=10.0.0.9:");
    }
    home.run(&format!("load {address} -n 1 --proxy-source unix"), "").failed(2, &["10.0.0.0/8"]);
    home.run(&format!("load {address} -n 1 --proxy-source 10.0.0.9"), "")
        .failed(2, &["--proxy-header"]);
}

#[test]
fn a_load_balancer_at_a_unix_socket_has_clients_or_none() {
    let home = Home::new();
    let server = home.serve(
        "serve --bind unix:s --service echo --dialect open --log-level debug --proxy-from unix",
    );
    for version in ["v1", "v2"] {
        let load = format!("load unix:s --dialect open -c 1 -n 8 --proxy-header {version}");
        assert_eq!(home.run(&load, "").code, Some(0));
        server.err.with("authenticated peer=unix");
        let ran = home.run(&format!("{load} --proxy-source 10.0.0.7"), "");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        server.err.with("authenticated peer=10.0.0.7:1024");
        let ping = format!("ping unix:s --dialect open --proxy-header={version} -q");
        home.run(&ping, "").printed("");
    }
}

#[test]
fn haproxy_accepts_the_headers_of_a_load() {
    let home = Home::new();
    let server =
        home.serve("serve --service echo --dialect open --log-level debug --proxy-from 127.0.0.1");
    let option = "send-proxy-v2";
    let Some(balancer) = Balancer::with(&home, &server, option, "accept-proxy") else { return };
    for version in ["v1", "v2"] {
        let load = format!(
            "load {} --dialect open -c 2 -n 8 --proxy-header {version} --proxy-source 10.0.0.6",
            balancer.address
        );
        let ran = home.run(&load, "");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        server.err.with("authenticated peer=10.0.0.6:");
    }
}

#[test]
fn health_checks_of_haproxy_are_connections_of_its_own() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --log-level debug --proxy-from 127.0.0.1");
    let option = "send-proxy-v2 check-send-proxy check inter 50ms";
    let Some(_balancer) = Balancer::start(&home, &server, option) else { return };
    let line = server.err.with("authenticated");
    assert!(line.contains(" peer=127.0.0.1:"), "{line}");
}

#[test]
fn a_balancer_that_sends_no_header_is_told_of_in_the_log() {
    let home = Home::new();
    let server = home.serve("serve --dialect raw --handshake-timeout 1s --proxy-from 127.0.0.1");
    let Some(balancer) = Balancer::start(&home, &server, "") else { return };
    // It waits for the challenge, as clients of raw do.
    hears_nothing(balancer.dial());
    let line = server.err.with("refused: proxy-header");
    for text in ["send-proxy-v2", " peer=127.0.0.1:"] {
        assert!(line.contains(text), "{line}");
    }
}

#[test]
fn a_header_where_none_is_expected_is_told_of_in_the_log() {
    let home = Home::new();
    let server = home.serve("serve");
    let Some(balancer) = Balancer::start(&home, &server, "send-proxy-v2") else { return };
    hears_nothing(balancer.dial());
    let line = server.err.with("refused: foreign (the PROXY protocol)");
    assert!(line.contains("--proxy-from"), "{line}");
}

#[test]
fn who_calls_a_port_behind_a_balancer_directly_is_told_what_it_may_be() {
    let home = Home::new();
    let server = home.serve("serve --proxy-from 127.0.0.1");
    let address = server.address();
    home.run(&format!("connect {address}"), "hello\n").failed(76, &["without a load balancer,"]);
    server.err.with("refused: proxy-header");
    // Who is no balancer gets not even so far.
    hears_nothing(dial_from(9, address.parse().unwrap()));
    let line = server.err.with("refused: denied");
    assert!(line.contains("it is not one of the load balancers peer=127.0.0.9:"), "{line}");
    // Last, for its many attempts are more than the log has lines for.
    let line = format!("load {address} -n 4 -c 1");
    home.run(&line, "").failed(69, &["nothing was answered: closed"]);
}

#[test]
fn lists_come_by_flags_by_the_environment_and_from_the_file() {
    let home = Home::new();
    let file = home.write("countersign.toml", "allow = [\"127.0.0.0/29\", \"127.0.0.64\"]\n");
    let config = format!("serve --config {}", file.display());
    let cases = [
        ("serve --allow 127.0.0.0/29,127.0.0.64", ""),
        ("serve --allow 127.0.0.0/29 --allow 127.0.0.64", ""),
        ("COUNTERSIGN_ALLOW=127.0.0.0/29,127.0.0.64 serve", ""),
        (&config, ""),
        ("COUNTERSIGN_DENY=127.0.0.3 serve --allow 127.0.0.0/29", ", not from 127.0.0.3"),
    ];
    for (line, denied) in cases {
        let server = home.serve(&format!("{line} --dialect open --service echo"));
        let shown = server.err.with("  from     ");
        assert!(shown.contains("127.0.0.0/29") && shown.ends_with(denied), "{shown}");
        let address = server.address().parse().unwrap();
        assert_eq!(ask(&dial_from(2, address), "in"), "in\n", "{line}");
        hears_nothing(dial_from(8, address));
        assert_eq!(denied.is_empty(), ask_or_nothing(dial_from(3, address)), "{line}");
    }
    fs::remove_file(file).unwrap();
}

/// Whether it is answered.
fn ask_or_nothing(stream: TcpStream) -> bool {
    // Who is denied may find the connection broken already.
    std::io::Write::write_all(&mut &stream, b"in\n").is_ok()
        && matches!((&stream).read(&mut [0; 3]), Ok(3))
}

#[test]
fn who_is_denied_fails_in_one_way_whether_its_call_was_in_time_or_not() {
    let home = Home::new();
    let server = home.serve("serve --deny 127.0.0.1");
    for _ in 0..20 {
        let ran = home.run(&format!("connect {}", server.address()), "hello\n");
        ran.failed(76, &["may this address connect"]);
    }
}

#[test]
fn what_is_no_network_is_refused_with_the_remedy() {
    let home = Home::new();
    let cases = [
        ("--allow 10.0.0.1/8", "write 10.0.0.0/8"),
        ("--deny 10.0.0.0/33", "write a prefix length from 0 to 32"),
        ("--proxy-from balancer.example", "is not a network"),
        // A blank in a script must not let everybody in.
        ("--allow=", "\"\" is not a network"),
        ("--deny= ", "\"\" is not a network"),
        ("--proxy-from=", "\"\" is not a network"),
    ];
    for (options, said) in cases {
        let option = options.split([' ', '=']).next().unwrap();
        home.run(&format!("serve {options}"), "").failed(2, &[said, option]);
    }
}
