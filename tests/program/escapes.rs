//! Texts of arguments, variables, files and peers: none of them drives a terminal, forges a line or
//! shows itself in another order than it has.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use super::home::{Home, Ran, finish};
use super::served::ServerProcess;

/// An escape sequence by either introducer, marks of direction, ends of lines, and a line of ours.
const BAD: &str = "\u{1b}]0;t\u{7}\u{9b}31m\u{61c}\u{200e}\u{200f}\u{202e}\u{2066}\u{2028}\u{2029}\
                   \u{7f}\r\nforged";

/// What may stand in an id of a key.
const BAD_WORD: &str = "id\u{202e}\u{2066}\u{61c}\u{200f}";

/// Nothing of it reaches the reader as it is.
#[track_caller]
fn is_harmless(what: &str, text: &str) {
    let misleads = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(*c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            || ('\u{2066}'..='\u{2069}').contains(c)
    };
    assert_eq!(text.chars().find(misleads), None, "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("forged")), "{what}: {text}");
}

#[track_caller]
fn ended(what: &str, ran: &Ran) {
    is_harmless(what, &ran.out);
    is_harmless(what, &ran.err);
    assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
}

/// Runs a command in its home, where it may leave files with such names.
fn run(home: &Home, mut command: Command) -> Ran {
    finish(command.current_dir(home.path("")).spawn().unwrap(), b"")
}

/// The options of a verb that take a value.
fn options(home: &Home, verb: &str) -> BTreeSet<String> {
    let help = home.run(&format!("{verb} --help"), "").out;
    let option = |line: &str| {
        let (_, rest) = line.trim_start().split_once("--")?;
        let (name, rest) = rest.split_once([' ', '['])?;
        let takes_one = rest.starts_with('<') || line.contains("[=<");
        (line.trim_start().starts_with('-') && takes_one).then(|| name.to_owned())
    };
    help.lines().filter_map(option).collect()
}

#[test]
fn arguments_and_variables_are_escaped_in_every_error() {
    let home = Home::with_keys("garden text:sixteen-bytes-and-more\n");
    let mut tried = 0;
    // Each would end by itself also where the option is taken.
    for verb in [
        "serve --bind 127.0.0.1:99999",
        "check-config",
        "connect 127.0.0.1:1",
        "keygen garden",
        "keys list",
        "keys check",
        "keys rotate nobody",
        "load 127.0.0.1:1 -n 1",
        "ping 127.0.0.1:1",
        "proxy --role client --listen 127.0.0.1:99999 --target 127.0.0.1:1",
        "status 127.0.0.1:1",
    ] {
        let words: Vec<&str> = verb.split(' ').collect();
        let name = if words[0] == "keys" { words[..2].join(" ") } else { words[0].to_owned() };
        let mut positional = home.command(&name);
        positional.arg(BAD);
        ended(&name, &run(&home, positional));
        for option in options(&home, &name) {
            let mut typed = home.command(verb);
            typed.arg(format!("--{option}={BAD}"));
            ended(&format!("{name} --{option}"), &run(&home, typed));
            let variable = format!("COUNTERSIGN_{}", option.to_uppercase().replace('-', "_"));
            let mut set = home.command(verb);
            set.env(&variable, BAD);
            ended(&format!("{variable} {name}"), &run(&home, set));
            tried += 1;
        }
    }
    assert!(tried > 60, "only {tried} options were found");
}

#[test]
fn names_and_texts_of_files_are_escaped() {
    let home = Home::new();
    let ring = home.write(BAD, format!("{BAD_WORD} text:sixteen-bytes-and-more\n"));
    let with_ring = |verb: &str| {
        let mut command = home.command(verb);
        command.arg("--keys").arg(&ring);
        command
    };
    for verb in ["keys list", "keys list --json", "keys check", "keygen another", "keys check"] {
        let ran = run(&home, with_ring(verb));
        ended(verb, &ran);
        assert_eq!(ran.code, Some(0), "{verb}: {}", ran.err);
        if verb.starts_with("keys list") {
            assert!(ran.out.contains("202e"), "{}", ran.out);
        }
    }
    let mut rotate = with_ring("keys rotate");
    rotate.arg(BAD_WORD);
    ended("keys rotate", &run(&home, rotate));
    for text in [
        format!("{BAD}\n"),
        format!("a {BAD}\n"),
        format!("a text:sixteen-bytes-and-more {BAD_WORD}={BAD}\n"),
        format!("{BAD_WORD} text:short\n"),
        format!("{BAD_WORD} text:sixteen-bytes-and-more\n").repeat(2),
    ] {
        home.write(BAD, &text);
        for verb in ["keys list", "keys check", "serve --bind 127.0.0.1:0", "connect 127.0.0.1:1"] {
            let ran = run(&home, with_ring(verb));
            ended(&format!("{verb}: {text:?}"), &ran);
            assert_ne!(ran.code, Some(0), "{verb}: {text:?}");
        }
    }
    for text in [
        BAD.to_owned(),
        format!("\"{BAD_WORD}\" = 1\n"),
        format!("{BAD_WORD} = 1\n"),
        format!("bind = \"{BAD_WORD}\"\n"),
        format!("[[listener]]\nname = \"{BAD_WORD}\"\nservice = \"{BAD_WORD}\"\n"),
        format!("keys = \"{BAD_WORD}\"\n"),
    ] {
        let file = home.write(&format!("{BAD}.toml"), &text);
        let mut command = home.command("check-config");
        command.arg(&file);
        ended(&format!("{text:?}"), &run(&home, command));
    }
}

#[test]
fn a_server_says_nothing_that_misleads_wherever_its_files_are() {
    let home = Home::new();
    let ring = home.write(BAD, format!("{BAD_WORD} text:sixteen-bytes-and-more\n"));
    let [socket, admin] =
        ["s", "a"].map(|name| format!("unix:{}", home.path(&format!("{name}{BAD}")).display()));
    for format in ["text", "json"] {
        let mut command = home.command("serve --service echo --log-level debug --log-format");
        command.args([format, "--bind", &socket, "--admin", &admin]).arg("--keys").arg(&ring);
        let served = ServerProcess::started(command.spawn().unwrap(), 1);
        is_harmless("where it listens", served.address());
        let told = served.out.with("admin on ");
        is_harmless("where its pages are", &told);
        for verb in ["connect", "ping", "load -n 1"] {
            let mut command = home.command(verb);
            command.arg(&socket).arg("--keys").arg(&ring);
            let ran = finish(command.spawn().unwrap(), b"a\n");
            ended(verb, &ran);
            assert_eq!(ran.code, Some(0), "{verb}: {}", ran.err);
        }
        for more in [&[][..], &["--json"]] {
            let mut command = home.command("status");
            command.arg(&admin).args(more);
            let ran = run(&home, command);
            ended("status", &ran);
            assert!(ran.out.contains("202e"), "{}", ran.out);
        }
        served.signal("HUP");
        served.signal("USR1");
        let ran = served.stop();
        ended(format, &ran);
        assert!(ran.err.contains("202e") && ran.err.contains("authenticated"), "{}", ran.err);
    }
}

#[test]
fn what_a_peer_answers_is_escaped_in_a_status() {
    let home = Home::new();
    let report = "{\"program\":\"countersign\"}".replace("countersign", BAD_WORD);
    let answers = [
        format!("HTTP/1.1 404 {BAD_WORD}\r\n\r\n{BAD}"),
        format!("HTTP/1.1 200 OK\r\n\r\n{report}"),
        format!("HTTP/1.1 200 OK\r\n\r\n{{\"{BAD_WORD}\": \"{BAD_WORD}\""),
        BAD.to_owned(),
    ];
    for answer in answers {
        for verb in ["status", "status --json"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let answer = answer.clone();
            let peer = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Until its request is there, an end would be a reset.
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            });
            let ran = home.run(&format!("{verb} {address}"), "");
            peer.join().unwrap();
            ended(verb, &ran);
            assert_eq!(ran.code, Some(76), "{}", ran.err);
        }
    }
}
