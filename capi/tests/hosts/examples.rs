//! The examples, with the client and the server of the library in Rust and with each other.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use countersign::services::Echo;
use countersign::{Client, KeyRing, KeyRingExt as _, Server};

use crate::compile::{c, cpp};
use crate::crowd::{config, key_file};
use crate::program::Listening;

const KEYS: &str = "garden  hex:00112233445566778899aabbccddeeff\n";
const WRONG: &str = "garden  hex:00112233445566778899aabbccddeefe\n";
const OTHER: &str = "shed  hex:00112233445566778899aabbccddeefd\n";

/// Runs a client with these lines as its input.
fn lines(client: &Path, address: &str, keys: &Path, text: &str) -> Output {
    let mut command = Command::new(client);
    command.arg(address).arg(keys).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A client that has failed reads nothing.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

/// Has a client of the examples talk to a server.
fn talk(client: &Path, address: &str, keys: &Path) {
    let output = lines(client, address, keys, "one\n\nthree");
    assert_eq!(output.stdout, b"one\n\nthree\n", "{output:?}");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let wrong = key_file(&format!("wrong-at-{address}"), WRONG);
    let output = lines(client, address, &wrong, "one\n");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.starts_with("client: the server did not prove that it holds the key"), "{why}");
    assert_eq!(why.lines().count(), 1, "{why}");
}

#[test]
fn the_client_in_c_talks_to_a_server_in_rust() {
    let Some(client) = c("examples/client.c", &[]) else { return };
    let keys = key_file("keys-of-client", KEYS);
    let ring = KeyRing::from_file(&keys).unwrap();
    let mut server = Server::bind("127.0.0.1:0", ring, Echo).unwrap();
    let (address, handle) = (server.addresses()[0].to_string(), server.handle());
    let serving = thread::spawn(move || server.run());
    talk(&client, &address, &keys);
    handle.stop().unwrap();
    serving.join().unwrap().unwrap();
}

#[test]
fn the_servers_in_c_and_in_cpp_serve_reload_and_drain() {
    let servers = [("c", c("examples/server.c", &[])), ("cpp", cpp("examples/server.cpp"))];
    for (name, server) in servers {
        let (Some(server), Some(client)) = (server, c("examples/client.c", &[])) else { return };
        let keys = key_file(&format!("keys-of-{name}"), KEYS);
        let mut command = Command::new(server);
        let mut server =
            Listening::start(command.arg("127.0.0.1:0").arg(&keys).stderr(Stdio::null()));
        talk(&client, &server.address, &keys);
        let mut client = Client::connect(&server.address, config(KEYS)).unwrap();
        assert_eq!(client.ask(b"hello").unwrap(), b"hello");

        // Its key is taken away, so it is sent away.
        key_file(&format!("keys-of-{name}"), OTHER);
        server.signal("HUP");
        assert!(matches!(client.receive(), Ok(None)), "{name}");
        // Keys that can't be read change nothing.
        key_file(&format!("keys-of-{name}"), "shed");
        server.signal("HUP");
        let mut client = Client::connect(&server.address, config(OTHER)).unwrap();
        assert_eq!(client.ask(b"hello").unwrap(), b"hello");

        server.signal("TERM");
        assert!(matches!(client.receive(), Ok(None)), "{name}");
        drop(client);
        assert_eq!(server.ended(), "", "{name}");
    }
}

#[test]
fn a_program_that_can_not_begin_says_so_in_a_line() {
    for program in [c("examples/server.c", &[]), cpp("examples/server.cpp")] {
        let Some(program) = program else { return };
        let keys = key_file("keys-that-fail", KEYS);
        for (address, keys, expected) in [
            (
                "127.0.0.1:0",
                Path::new("/nowhere"),
                "server: /nowhere: can't be read: no such file or directory\n",
            ),
            ("300.0.0.1:0", &keys, "server: cannot resolve the address: "),
        ] {
            let output = Command::new(&program).arg(address).arg(keys).output().unwrap();
            let why = String::from_utf8(output.stderr).unwrap();
            assert!(why.starts_with(expected) && why.lines().count() == 1, "{why}");
            assert_eq!(output.status.code(), Some(1), "{why}");
        }
    }
}
