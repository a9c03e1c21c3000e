//! `countersign status`: what it shows, and what it says of those who are no admin listener.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use super::free_port::free_address;
use super::home::{Home, finish, skip};
use super::served::{Lines, signal};

const KEY: &str = "default  text:sixteen-bytes-and-more\n";

#[test]
fn it_shows_the_server_and_its_listeners() {
    let home = Home::with_keys(KEY);
    let served = home.serve("serve --admin 127.0.0.1:0 --service echo");
    let admin = served.admin();
    home.run(&format!("connect {}", served.address()), "a\n").printed("a\n");
    // As the banner writes it, too.
    for address in [admin.clone(), format!("http://{admin}"), format!("http://{admin}/")] {
        let ran = home.run(&format!("status {address}"), "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for text in [
            &format!("countersign {} at {address}: serving, ", env!("CARGO_PKG_VERSION")),
            &format!("{0}: echo at {0}, countersign/1, records\n", served.address()),
            "  accepted     1, 1 authenticated\n",
            "  messages     1\n",
            "  closed       1 finished\n",
            "  keys         default ",
        ] {
            assert!(ran.out.contains(text), "{text}: {}", ran.out);
        }
        assert!(!ran.out.contains('\x1b'), "a pipe has no colours");
    }
}

/// The pages are shown under an address alone, and the request has the one that was connected to.
#[test]
fn every_way_to_write_the_address_shows_the_page() {
    let home = Home::new();
    let mut cases = Vec::new();
    let v4 = home.serve("serve --admin 127.0.0.1:0 --dialect open");
    let admin = v4.admin();
    let port = admin.rsplit_once(':').unwrap().1.to_owned();
    let written = ["", ":", "127.1:", "localhost:"];
    cases.extend(written.map(|host| format!("{host}{port}")));
    let v6 = TcpListener::bind("[::1]:0").is_ok();
    let v6 = v6.then(|| home.serve("serve --admin [::1]:0 --dialect open"));
    if let Some(served) = &v6 {
        let admin = served.admin();
        let port = admin.rsplit_once(':').unwrap().1;
        cases.extend(["[::1]", "[::1%1]"].map(|host| format!("{host}:{port}")));
    }
    for address in cases {
        let ran = home.run(&format!("status {address}"), "");
        assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{address}");
        assert!(ran.out.contains(": serving, "), "{address}: {}", ran.out);
    }
}

#[test]
fn json_is_the_report_as_it_is() {
    let home = Home::with_keys(KEY);
    let path = home.path("admin.sock");
    let served = home.serve(&format!("serve --admin unix:{}", path.display()));
    let ran = home.run(&format!("status {} --json", served.admin()), "");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["program"], "countersign");
    assert_eq!(report["ready"], true);
    assert_eq!(report["listeners"][0]["addresses"][0], served.address());
    let fingerprint = home.run("keys list --json", "").out;
    let fingerprint: Value = serde_json::from_str(&fingerprint).unwrap();
    assert_eq!(report["listeners"][0]["keys"][0]["fingerprint"], fingerprint[0]["fingerprint"]);
    assert!(!ran.out.contains("sixteen"), "no secret is in it");
}

#[test]
fn watching_asks_again_until_a_signal_ends_it_without_a_word() {
    let home = Home::new();
    let served = home.serve("serve --admin 127.0.0.1:0 --dialect open");
    let line = format!("status {} --watch 20ms", served.admin());
    let mut child = home.command(&line).spawn().unwrap();
    let lines = Lines::of(child.stdout.take().unwrap());
    for _ in 0..3 {
        lines.with("countersign ");
    }
    // From the second look on there are rates.
    lines.with("  messages     0 (0.0/s)");
    signal("INT", child.id());
    lines.rest();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

#[test]
fn watching_waits_as_long_as_it_says_and_survives_a_restart() {
    let home = Home::new();
    let path = home.path("admin.sock");
    let line = format!("serve --admin unix:{} --dialect open", path.display());
    let first = home.serve(&line);
    // Ctrl-C ends a wait of any length.
    let admin = first.admin();
    let mut patient = home.command(&format!("status {admin} --watch 1h")).spawn().unwrap();
    let patient_lines = Lines::of(patient.stdout.take().unwrap());
    patient_lines.with("countersign ");
    let mut child = home.command(&format!("status {admin} --watch 50ms")).spawn().unwrap();
    let lines = Lines::of(child.stdout.take().unwrap());
    let complaints = Lines::of(child.stderr.take().unwrap());
    lines.with(&format!("pid {}", first.pid()));
    drop(first);
    complaints.with("retrying");
    let second = home.serve(&line);
    lines.with(&format!("pid {}", second.pid()));
    for child in [&child, &patient] {
        signal("INT", child.id());
    }
    lines.rest();
    let rest = patient_lines.rest();
    assert_eq!(rest.matches("countersign ").count(), 0, "it asked once: {rest}");
    for mut child in [child, patient] {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let rest = complaints.rest();
    assert_eq!(rest.matches("retrying").count(), 0, "an outage is told once: {rest}");
}

/// A server that takes the question and never answers doesn't keep Ctrl-C waiting.
#[test]
fn a_signal_ends_the_wait_for_an_answer_too() {
    let home = Home::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = format!("status {} --watch --timeout 1h", silent.local_addr().unwrap());
    let child = home.command(&line).spawn().unwrap();
    let (mut stream, _) = silent.accept().unwrap();
    assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    signal("INT", child.id());
    assert_eq!(finish(child, b"").code, Some(0));
}

#[test]
fn what_cannot_be_reached_is_69_and_what_is_something_else_is_76() {
    let home = Home::new();
    let nowhere = free_address();
    home.run(&format!("status {nowhere}"), "").failed(
        69,
        &[
            "cannot connect",
            "connection \
                       refused",
        ],
    );
    home.run("status unix:/nowhere/at/all", "").failed(69, &["is the server running?"]);
    home.run("status no.such.name.invalid:1", "").failed(69, &["cannot resolve"]);
    home.run("status here:there", "").failed(69, &["write HOST:PORT or unix:/PATH"]);
    // The system takes the connection, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = home.run(&format!("status {} --timeout 50ms", silent.local_addr().unwrap()), "");
    ran.failed(69, &["no answer within the time limit"]);
    assert!(!ran.err.contains("cannot connect"), "{}", ran.err);
    let served = home.serve("serve");
    let ran = home.run(&format!("status {}", served.address()), "");
    ran.failed(76, &["not an admin listener of countersign", "the address of serve's --admin"]);
}

#[test]
fn the_page_of_another_program_is_76() {
    let home = Home::new();
    let answers = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "its answer is not a report"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "its answer was truncated"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "it doesn't speak HTTP"),
    ];
    for (answer, said) in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            // Until its request is there, an end would be a reset.
            let mut request = BufReader::new(&stream);
            let mut line = String::new();
            while request.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
        });
        home.run(&format!("status {address}"), "").failed(76, &[said]);
        other.join().unwrap();
    }
}

#[test]
fn pythons_own_server_of_files_is_76() {
    let home = Home::new();
    let mut command = Command::new("python3");
    home.prepare(&mut command);
    command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]);
    command.current_dir(home.path("")).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return skip("there is no python3 here") };
    let said = Lines::of(child.stdout.take().unwrap()).next();
    let said = said.unwrap_or_default();
    let Some(port) = said.split_whitespace().nth(5) else {
        child.wait().unwrap();
        return skip("there is no python3 here");
    };
    let ran = home.run(&format!("status 127.0.0.1:{port}"), "");
    child.kill().unwrap();
    child.wait().unwrap();
    ran.failed(76, &["it answers 404", "the address of serve's --admin"]);
}

#[test]
fn the_time_between_two_looks_may_be_left_out() {
    let home = Home::new();
    let ran = finish(home.command("status 127.0.0.1:1 --watch").spawn().unwrap(), b"");
    ran.failed(69, &["cannot connect"]);
    home.run("status 127.0.0.1:1 --watch soon", "").failed(2, &["--watch", "like 500ms"]);
    let ran = home.run("status --watch 127.0.0.1:1", "");
    ran.failed(2, &["write the address before --watch, or --watch=1s"]);
    home.run("status --watch=1s 127.0.0.1:1", "").failed(69, &["cannot connect"]);
}
