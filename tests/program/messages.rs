//! `load --messages` and `--expect`: messages of a file, and services that are not ours.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use super::home::{Home, skip};

/// Answers each line by what this makes of it, and tells the lines of each connection when it ends.
fn server(answer: fn(&str) -> String) -> (String, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (told, all) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let told = told.clone();
            thread::spawn(move || told.send(converse(&stream.unwrap(), answer)));
        }
    });
    (address, all)
}

fn converse(stream: &TcpStream, answer: fn(&str) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut reading, mut writing) = (BufReader::new(stream), stream);
    let mut line = String::new();
    while reading.read_line(&mut line).is_ok_and(|read| read > 0) {
        let bare = line.trim_end_matches('\n').to_owned();
        if writing.write_all(format!("{}\n", answer(&bare)).as_bytes()).is_err() {
            break;
        }
        lines.push(bare);
        line.clear();
    }
    lines
}

/// The options, with the files of --messages where they are.
fn at(home: &Home, options: &str) -> String {
    options.replace("--messages ", &format!("--messages {}/", home.path("").display()))
}

fn lines_of_two(all: &Receiver<Vec<String>>) -> [Vec<String>; 2] {
    [all.recv().unwrap(), all.recv().unwrap()]
}

#[test]
fn each_client_goes_through_the_lines_of_a_file() {
    let home = Home::new();
    for (text, options) in [
        ("one\ntwo\nthree\n", "-P 1"),
        ("one\r\ntwo\r\nthree", "-P 5"),
        ("one\ntwo\nthree\n", "--threads 2"),
    ] {
        home.write("lines", text);
        let (address, all) = server(str::to_owned);
        let load = format!("load {address} --dialect open -c 2 -n 16 --messages lines {options}");
        let load = at(&home, &load);
        let ran = home.run(&format!("{load} --rate-per-connection 1k --output json"), "");
        assert_eq!(ran.code, Some(0), "{options}: {}", ran.err);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        let parameters = &report["parameters"];
        assert!(parameters["messages"].as_str().unwrap().ends_with("/lines"));
        assert!(parameters["size"].is_null() && parameters["expect"] == "echo");
        assert_eq!(parameters["messagesOrder"], "sequential");
        for lines in lines_of_two(&all) {
            let expected: Vec<&str> =
                ["one", "two", "three"].into_iter().cycle().take(lines.len()).collect();
            assert!(lines.len() >= 3 && lines == expected, "{options}: {lines:?}");
        }
    }
    let many: String = (0..100).map(|number| format!("message {number}\n")).collect();
    home.write("many", many);
    let (address, all) = server(str::to_owned);
    let options = "-c 2 -n 200 --messages many --messages-order random --rate-per-connection 2k";
    let load = at(&home, &format!("load {address} --dialect open {options}"));
    assert_eq!(home.run(&load, "").code, Some(0));
    let [one, other] = lines_of_two(&all);
    assert!(one[..20] != other[..20], "they differ");
    let different: HashSet<_> = one.iter().collect();
    assert!((30..100).contains(&different.len()), "{}", different.len());
}

#[test]
fn a_file_serves_every_dialect_and_framing() {
    let key = |id: &str| format!("{id} text:our-own-long-secret-{id} dialects=");
    let keys = [("new", "countersign/1"), ("old", "raw,hex"), ("py", "multiprocessing")];
    let keys: String = keys.map(|(id, dialects)| key(id) + dialects + "\n").concat();
    let home = Home::with_keys(&keys);
    home.write("lines", "GET a\nGET a longer one\n");
    home.write("blocks", b"\0\0\0\x03a\nb\0\0\0\x05hello");
    for (options, file) in [
        ("--dialect countersign/1", "lines"),
        ("--dialect countersign/1 --framing length", "blocks"),
        ("--dialect countersign/1 --records off", "lines"),
        ("--dialect raw", "lines"),
        ("--dialect hex --framing length", "blocks"),
        ("--dialect open --framing chunks", "lines"),
        ("--dialect multiprocessing", "blocks"),
    ] {
        let server = home.serve(&format!("serve {options}"));
        let depth = if options.contains("chunks") { 1 } else { 3 };
        let load = format!(
            "load {} {options} -c 2 -n 40 -P {depth} --messages {file} --output json",
            server.address()
        );
        let ran = home.run(&at(&home, &load), "");
        assert_eq!(ran.code, Some(0), "{options}: {}", ran.err);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(report["summary"]["answered"], 40, "{options}");
    }
}

#[test]
fn a_file_that_is_no_list_of_messages_is_refused_before_the_load() {
    let home = Home::new();
    home.write("none", "");
    home.write("gap", "a\n\nb\n");
    home.write("long", format!("short\n{}\n", "x".repeat(70_000)));
    home.write("cut", b"\0\0\0\x01a\0\0\0\x09b");
    home.write("text", "hello\n");
    for (options, code, said) in [
        ("--messages none", 65, "none: there is no message in it"),
        ("--messages gap", 65, "gap: message 2 is empty"),
        ("--messages long", 65, "long: message 2 is too long: it can have at most 65536 bytes"),
        ("--messages long --message-max 5", 65, "message 2 is too long"),
        ("--messages cut --framing length", 65, "cut: message 2 is truncated; write four bytes"),
        ("--messages text --framing length", 65, "text: message 1 is truncated"),
        ("--messages missing", 66, "missing: no such file"),
        ("--messages .", 65, ".: "),
        ("--messages long --framing chunks --message-max 1m", 2, "at most 1024 bytes"),
        ("--expect echoes", 2, "write echo, prefix, none or regex:PATTERN"),
        ("--expect regex:(", 2, "not a regular expression: "),
    ] {
        let load = format!("load 127.0.0.1:9 --dialect open -n 5 {options}");
        let ran = home.run(&at(&home, &load), "");
        ran.failed(code, &[said]);
        assert_eq!(ran.out, "", "{options}");
    }
}

/// A service in Python that reverses lines.
struct Reverser {
    child: Child,
    address: String,
}

impl Reverser {
    fn start() -> Option<Self> {
        let code = "import socketserver\n\
                    class Handler(socketserver.StreamRequestHandler):\n\
                    \x20   def handle(self):\n\
                    \x20       for line in self.rfile:\n\
                    \x20           self.wfile.write(line[:-1][::-1] + b'\\n')\n\
                    class Server(socketserver.ThreadingTCPServer):\n\
                    \x20   daemon_threads = True\n\
                    server = Server(('127.0.0.1', 0), Handler)\n\
                    print(server.server_address[1], flush=True)\n\
                    server.serve_forever()\n";
        let mut command = Command::new("python3");
        command.args(["-c", code]).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            skip("there is no python3 here");
            return None;
        };
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Some(Self { child, address: format!("127.0.0.1:{}", port.trim()) })
    }
}

impl Drop for Reverser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_service_that_is_not_ours_is_measured_by_what_it_must_reply() {
    let home = Home::new();
    let Some(reverser) = Reverser::start() else { return };
    home.write("lines", "abc\nlevel\n");
    let load = |options: &str| {
        let address = &reverser.address;
        let load = format!("load {address} --dialect open -c 2 -n 40 {options}");
        home.run(&at(&home, &load), "")
    };
    for (options, code) in [
        ("", 76),
        ("--expect prefix", 76),
        ("--expect none", 0),
        ("--expect none -P 8", 0),
        ("--expect regex:^[0-9a-z]{32}$", 0),
        ("--expect regex:^[0-9a-z]{31}$", 76),
        ("--messages lines --expect regex:^(cba|level)$ -P 4", 0),
        ("--messages lines --expect regex:^(cba|level)$ --reconnect", 0),
    ] {
        let ran = load(options);
        assert_eq!(ran.code, Some(code), "{options}: {}", ran.err);
    }
}

#[test]
fn a_reply_may_go_on_after_the_message() {
    let home = Home::new();
    let (address, _all) = server(|line| format!("{line}, was said"));
    let load = |options: &str| {
        home.run(&format!("load {address} --dialect open -c 2 -n 20 -P 4 {options}"), "").code
    };
    assert_eq!(load("--expect prefix"), Some(0));
    assert_eq!(load("--expect echo"), Some(76));
    // Two replies for each message are one too many.
    let (twice, _all) = server(|line| format!("{line}\n{line}"));
    let options = "-c 1 -n 5 --expect none --fail-if errors>0";
    let ran = home.run(&format!("load {twice} --dialect open {options}"), "");
    ran.failed(1, &["errors>0 holds"]);
    assert!(ran.out.contains("protocol violated"), "{}", ran.out);
    // None is one too few.
    let server = home.serve("serve --dialect open --service discard");
    let options = "--dialect open -c 1 -n 5 --expect none --reply-timeout 200ms";
    home.run(&format!("load {} {options}", server.address()), "").failed(69, &["reply timeout"]);
}
