//! What an address may look like, and names that have several.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

use super::free_port::free_port;
use super::home::{Home, skip};
use super::served::{ServerProcess, ask, dial};

const UNKNOWN: &str = "the file of names can't be replaced for one program here";

/// A home where the system knows these names.
fn knowing(names: &str) -> Option<Home> {
    let home = Home::new().knowing(names);
    if home.is_none() {
        skip(UNKNOWN);
    }
    home
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

#[test]
fn what_an_address_leaves_out_is_the_default() {
    let home = Home::new();
    let server = home.serve("serve --service echo --dialect open");
    let port = port(server.address());
    for address in [port, &format!(":{port}"), &format!("localhost:{port}")] {
        home.run(&format!("connect {address} --dialect open"), "a\n").printed("a\n");
        let ran = home.run(&format!("ping {address} --dialect open"), "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let ran = home.run(&format!("load {address} --dialect open -n 10 --output quiet"), "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    for verb in ["connect", "ping", "load"] {
        let ran = home.run(&format!("{verb} --help"), "");
        assert!(ran.out.contains("[default: 127.0.0.1:9527]"), "{}", ran.out);
    }
}

#[test]
fn an_address_may_be_one_of_an_interface() {
    let home = Home::new();
    // The loopback has no such address, so this shows what has become of the text.
    for (address, shown) in [
        ("fe80::1%lo", "[fe80::1%1]:9527"),
        ("[fe80::1%lo]:80", "[fe80::1%1]:80"),
        ("[fe80::1%1]:80", "[fe80::1%1]:80"),
    ] {
        let ran = home.run(&format!("serve --dialect open --bind {address}"), "");
        ran.failed(69, &[&format!("cannot bind {shown}: "), "no interface of this machine"]);
    }
    for verb in ["serve --dialect open --bind", "connect --dialect open", "ping --dialect open"] {
        let ran = home.run(&format!("{verb} [fe80::1%gone]:80"), "");
        ran.failed(69, &["this machine has no interface \"gone\""]);
    }
}

#[test]
fn every_verb_tries_all_addresses_of_a_name() {
    let names = "::1 both.test\n127.0.0.1 both.test localhost\n";
    let Some(home) = knowing(names) else { return };
    let server = home.serve("serve --service echo --dialect open");
    let port = port(server.address());
    home.run(&format!("connect both.test:{port} --dialect open"), "a\n").printed("a\n");
    let ran = home.run(&format!("ping both.test:{port} --dialect open"), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // A source of one family leaves the addresses of the other out.
    for options in ["", "--source 127.0.0.3,127.0.0.4", "--reconnect"] {
        let load = format!("load both.test:{port} --dialect open -n 50 -c 3 --output json");
        let ran = home.run(&format!("{load} {options} --fail-if errors>0"), "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains(&format!(r#""server":"127.0.0.1:{port}""#)), "{}", ran.out);
    }
}

#[test]
fn an_address_that_does_not_answer_does_not_hold_up_another() {
    let names = "127.0.0.1 localhost two.test\n127.0.0.9 two.test\n";
    let Some(home) = knowing(names) else { return };
    let port = free_port();
    let _server =
        home.serve(&format!("serve --service echo --dialect open --bind 127.0.0.9:{port}"));
    // Its queue is full.
    let mute: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&mute.into()).unwrap();
    listener.listen(0).unwrap();
    let _waiting = [(); 4].map(|()| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // It may be in progress for ever.
        let _ = socket.connect(&mute.into());
        socket
    });
    home.run(&format!("connect two.test:{port} --dialect open"), "a\n").printed("a\n");
    let ran = home.run(&format!("ping two.test:{port} --dialect open"), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let load = format!("load two.test:{port} --dialect open -n 50 -c 3 --output quiet");
    let ran = home.run(&format!("{load} --fail-if errors>0"), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // Alone it is told from a server that is there and says nothing.
    let ran = home.run(&format!("ping 127.0.0.1:{port} --dialect open --timeout 300ms"), "");
    ran.failed(69, &["no answer within the time limit; is the address right"]);
}

#[test]
fn a_name_that_becomes_known_is_found_by_those_who_try_again() {
    let Some(home) = knowing("127.0.0.1 localhost\n") else { return };
    let server = home.serve("serve --service echo --dialect open");
    let later = format!("later.test:{}", port(server.address()));
    let ran = home.run(&format!("connect {later} --dialect open"), "a\n");
    ran.failed(69, &[&format!("cannot connect to {later}: cannot resolve later.test: ")]);
    let mut client = home.talk(&format!("connect {later} --dialect open --retry 50"));
    client.say("a");
    let line = client.err.with("; retrying in ");
    assert!(line.contains("cannot resolve later.test"), "{line}");
    home.write("hosts", "127.0.0.1 localhost later.test\n");
    client.ask("b", "a");
    assert_eq!(client.leave().code, Some(0));
}

#[test]
fn one_port_can_be_had_for_both_kinds_of_addresses_in_any_order() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("there is no IPv6 here");
    }
    let home = Home::new();
    let free = free_port();
    let both = ["127.0.0.1", "[::1]"];
    let cases: [(&str, &[&str], &[&str]); 8] = [
        ("", &["[::]"], &both),
        ("", &["0.0.0.0", "[::]"], &both),
        ("", &["[::]", "0.0.0.0"], &both),
        ("", &["127.0.0.1", "[::]"], &both),
        ("", &["[::]", "127.0.0.1"], &both),
        ("--workers 2", &["[::]", "0.0.0.0"], &both),
        (&format!("--admin 0.0.0.0:{free} --admin-exposed"), &["[::]"], &["[::1]"]),
        (&format!("--admin [::]:{free} --admin-exposed"), &["0.0.0.0"], &["127.0.0.1"]),
    ];
    for (options, binds, served) in cases {
        let mut command = home.command("serve --dialect open --service echo");
        command.args(options.split_whitespace());
        for bind in binds {
            command.arg("--bind").arg(format!("{bind}:{free}"));
        }
        let server = ServerProcess::started(command.spawn().unwrap(), binds.len());
        for host in served {
            let peer = dial(&format!("{host}:{free}"));
            assert_eq!(ask(&peer, "a"), "a\n", "{options} {binds:?} {host}");
        }
        assert_eq!(server.stop().code, Some(0));
    }
    for order in [["0.0.0.0", "[::]"], ["[::]", "0.0.0.0"]] {
        let listener = |(name, host): (&str, &str)| {
            format!(
                "[[listener]]\nname = \"{name}\"\nbind = \"{host}:{free}\"\ndialect = \"open\"\n"
            )
        };
        let file = ["one", "two"].into_iter().zip(order).map(listener).collect::<String>();
        let file = home.write("both.toml", file);
        let mut command = home.command("serve --log-level debug --config");
        let server = ServerProcess::started(command.arg(file).spawn().unwrap(), 2);
        let (four, six) = if order[0] == "[::]" { ("two", "one") } else { ("one", "two") };
        for (host, name) in [("127.0.0.1", four), ("[::1]", six)] {
            drop(dial(&format!("{host}:{free}")));
            let line = server.err.with(" authenticated");
            assert!(line.contains(&format!("listener={name}")), "{line}");
        }
    }
}

#[test]
fn all_addresses_of_a_name_are_listened_at() {
    let names =
        "::1 both.test\n127.0.0.1 localhost both.test\n192.0.2.1 left.test\n127.0.0.1 left.test\n";
    let Some(home) = knowing(names) else { return };
    let child = home.command("serve --dialect open --bind both.test:0 --admin both.test:0");
    let server = ServerProcess::started({ child }.spawn().unwrap(), 2);
    assert_eq!(port(&server.addresses[0]), port(&server.addresses[1]));
    let admin = [server.admin(), server.admin()];
    assert_eq!(port(&admin[0]), port(&admin[1]));
    for address in server.addresses.iter().chain(&admin) {
        drop(dial(address));
    }
    // One that this machine hasn't got is told of, and keeps the others from nothing.
    let mut command = home.command("serve --dialect open --bind left.test:0");
    let server = ServerProcess::started(command.spawn().unwrap(), 1);
    server.err.with("WARN  cannot bind 192.0.2.1:0: ");
    drop(dial(server.address()));
}

#[test]
fn a_proxy_listens_at_all_addresses_of_a_name() {
    let names =
        "::1 both.test\n127.0.0.1 localhost both.test\n192.0.2.1 left.test\n127.0.0.1 left.test\n";
    let Some(home) = Home::with_keys("default  text:sixteen-bytes-and-more\n").knowing(names)
    else {
        return skip(UNKNOWN);
    };
    let target = home.serve("serve --service echo --dialect open");
    let proxy = |line: &str, binds| {
        ServerProcess::started(home.command(&format!("proxy {line}")).spawn().unwrap(), binds)
    };
    let far =
        proxy(&format!("--role server --listen both.test:0 --target {}", target.address()), 2);
    assert_eq!(port(&far.addresses[0]), port(&far.addresses[1]));
    for far in &far.addresses {
        let near = format!("--role client --listen both.test:0 --target {far} --admin both.test:0");
        let near = proxy(&near, 2);
        // In turn, so that none of them is forgotten once another was served.
        for address in near.addresses.iter().chain(&near.addresses) {
            assert_eq!(ask(&dial(address), "a"), "a\n", "{address}");
        }
        let admin = [near.admin(), near.admin()];
        let shown = home.run(&format!("status {}", admin[1]), "");
        for address in &near.addresses {
            assert!(shown.out.contains(&**address), "{shown:?}");
        }
    }
    let one = proxy("--role client --listen left.test:0 --target 127.0.0.1:1", 1);
    one.err.with("WARN  cannot bind 192.0.2.1:0: ");
    drop(dial(one.address()));
}

#[test]
fn a_proxy_and_its_admin_pages_can_have_one_port_for_both_kinds_of_addresses() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("there is no IPv6 here");
    }
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    let target = home.serve("serve --service echo --dialect open");
    let line = format!("proxy --role server --listen 127.0.0.1:0 --target {}", target.address());
    let far = ServerProcess::started(home.command(&line).spawn().unwrap(), 1);
    let free = free_port();
    for (listen, admin, served) in
        [("[::]", "0.0.0.0", "[::1]"), ("0.0.0.0", "[::]", "127.0.0.1"), ("[::]", "", "127.0.0.1")]
    {
        let line =
            format!("proxy --role client --listen {listen}:{free} --target {}", far.address());
        let mut command = home.command(&line);
        if !admin.is_empty() {
            command.args(["--admin-exposed", "--admin"]).arg(format!("{admin}:{free}"));
        }
        let near = ServerProcess::started(command.spawn().unwrap(), 1);
        assert_eq!(ask(&dial(&format!("{served}:{free}")), "a"), "a\n", "{listen} {admin}");
        assert_eq!(near.stop().code, Some(0));
    }
    let taken = target.address();
    let ran = home.run(&format!("proxy --role client --listen {taken} --target {taken}"), "");
    ran.failed(69, &[&format!("cannot bind {taken}: "), "use another port"]);
}

#[test]
fn an_ipv4_peer_of_the_wildcard_is_logged_as_one() {
    let home = Home::new();
    let server = home.serve("serve --dialect raw --bind [::]:0 --log-level debug");
    let peer = dial(&format!("127.0.0.1:{}", port(server.address())));
    let address = peer.local_addr().unwrap();
    drop(peer);
    let line = server.err.with("peer=");
    assert!(line.contains(&format!("peer={address} ")), "{line}");
}
