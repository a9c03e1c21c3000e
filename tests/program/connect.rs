//! `connect` in a pipe: each line is a message, and each reply is a line.

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use super::home::{Home, finish};

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n";

#[test]
fn each_line_of_a_pipe_is_a_message_and_each_reply_is_a_line() {
    let home = Home::with_keys(KEY);
    let cases = [
        ("lines", "a\nb\n", "a\nb\n"),
        ("lines", "a\r\nb\r\n", "a\nb\n"),
        ("lines", "a\nno terminator", "a\nno terminator\n"),
        ("lines", "\n\na\n\n", "\n\na\n\n"),
        ("lines", "", ""),
        ("lines", "芝麻开门\n", "芝麻开门\n"),
        ("lines", "a\rb\n", "a\rb\n"),
        ("length", "a\n\r\n\nb", "a\n\n\nb\n"),
        ("chunks", "a\n\n\r\nb", "a\nb\n"),
    ];
    for framing in ["lines", "length", "chunks"] {
        let spoken = format!("--dialect raw --framing {framing}");
        let server = home.serve(&format!("serve --service echo {spoken}"));
        for (_, input, output) in cases.iter().filter(|case| case.0 == framing) {
            home.run(&format!("connect {} {spoken}", server.address()), input).printed(output);
        }
    }
    // A record carries what a length does.
    let server = home.serve("serve --service echo");
    for (_, input, output) in cases.iter().filter(|case| case.0 != "chunks") {
        home.run(&format!("connect {}", server.address()), input).printed(output);
    }
}

#[test]
fn a_pipe_of_many_long_lines_is_answered_to_the_last() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo");
    let input = format!("{}\n", "x".repeat(65_000)).repeat(50);
    let ran = home.run(&format!("connect {}", server.address()), &input);
    assert!(ran.out == input, "{} of {} bytes; {}", ran.out.len(), input.len(), ran.err);
}

#[test]
fn the_longest_message_comes_back_with_its_stamp() {
    let home = Home::with_keys(KEY);
    for spoken in ["", "--dialect raw", "--dialect raw --framing length"] {
        let server = home.serve(&format!("serve {spoken}"));
        let connect = format!("connect {} {spoken}", server.address());
        let ran = home.run(&connect, "x".repeat(64 << 10));
        assert_eq!((ran.code, ran.out.len()), (Some(0), (64 << 10) + 28), "{}", ran.err);
        let ran = home.run(&connect, "x".repeat((64 << 10) + 1));
        ran.failed(1, &["the message is longer than the limit, 65536 bytes"]);
    }
}

#[test]
fn once_dials_for_each_message() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo --once");
    home.run(&format!("connect {} --once", server.address()), "a\nb\nc\n").printed("a\nb\nc\n");
    let ran = server.stop();
    assert!(ran.err.contains("stopped; 3 connections, 3 messages"), "{}", ran.err);
}

#[test]
fn a_server_that_serves_once_is_told_of_when_more_is_asked() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo --once");
    let ran = home.run(&format!("connect {}", server.address()), "a\nb\n");
    ran.failed(69, &["closed the connection"]);
    assert_eq!(ran.out, "a\n");
}

#[test]
fn verify_only_reports_the_verdict_on_the_servers_stdout() {
    let home = Home::with_keys(KEY);
    let cases = [
        ("countersign/1", "the server holds the key and has accepted the client's proof\n", 77),
        ("hex", "the proof was sent; the server does not report whether it accepts it\n", 0),
    ];
    for (dialect, said, refused) in cases {
        let spoken = format!("--dialect {dialect} --verify-only");
        let server = home.serve(&format!("serve {spoken}"));
        let connect = format!("connect {} {spoken}", server.address());
        let ran = home.run(&connect, "");
        ran.printed("");
        assert_eq!(ran.err, said);
        let verdict = server.out.next().unwrap();
        assert!(verdict.starts_with("verified 127.0.0.1:"), "{verdict}");
        assert!(verdict.ends_with(" key=default"), "{verdict}");
        let other = home.write("other", KEY.replace("sixteen", "another"));
        let ran = home.run(&format!("{connect} --keys {}", other.display()), "");
        assert_eq!((ran.code, &ran.out[..]), (Some(refused), ""), "{}", ran.err);
        server.err.with("WARN  refused: wrong-proof");
        assert_eq!(server.stop().out, "", "nobody else was verified");
    }
}

#[test]
fn where_nothing_is_proved_verify_only_says_so() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --verify-only");
    let ran = home.run(&format!("connect {} --dialect open --verify-only", server.address()), "");
    ran.printed("");
    assert_eq!(ran.err, "connected; this dialect has no authentication\n");
}

#[test]
fn the_key_to_sign_with_can_be_named() {
    let both = "first  text:sixteen-bytes-and-more\nsecond  text:other-bytes-and-as-many\n";
    let home = Home::with_keys(both);
    let server = home.serve("serve --service echo --log-level debug");
    for (option, key) in [("", "first"), ("--key second", "second"), ("--key first", "first")] {
        home.run(&format!("connect {} {option}", server.address()), "a\n").printed("a\n");
        let line = server.err.with("authenticated");
        assert!(line.ends_with(&format!(" key={key}")), "{line}");
    }
    let ran = home.run(&format!("connect {} --key third", server.address()), "a\n");
    ran.failed(78, &["third"]);
}

/// So many lines, and all different.
fn numbered(lines: u32) -> String {
    (0..lines).map(|number| format!("line {number} of many, which all are answered\n")).collect()
}

#[test]
fn many_lines_are_answered_in_order() {
    let home = Home::with_keys(KEY);
    let input = numbered(20_000);
    for options in
        ["", "--dialect raw", "--dialect raw --framing length", "--records off", "--dialect open"]
    {
        let server = home.serve(&format!("serve --service echo {options}"));
        let ran = home.run(&format!("connect {} {options}", server.address()), &input);
        assert_eq!(ran.code, Some(0), "{options}: {}", ran.err);
        assert!(ran.out == input, "{options}: {} of {} bytes", ran.out.len(), input.len());
    }
}

#[test]
fn many_lines_take_no_more_memory_than_one() {
    let home = Home::with_keys(KEY);
    for options in ["", "--dialect raw"] {
        let server = home.serve(&format!("serve --service echo {options}"));
        let mut client = home.talk(&format!("connect {} {options}", server.address()));
        client.ask("first", "first");
        let before = client.peak();
        let lines = 200_000;
        client.say_all(numbered(lines));
        (0..lines).for_each(|_| assert!(client.out.next().is_some()));
        // In KiB, of ten MiB that went through.
        let grown = client.peak() - before;
        assert!(grown < 2048, "{options}: {grown} KiB more");
        assert_eq!(client.leave().code, Some(0));
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_as_it_is_read() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo");
    let client = home.talk(&format!("connect {} --message-max 8", server.address()));
    // What came before it is answered. It has no end, and nor has the input.
    client.say_all("a\nb\n123456789".to_owned());
    assert_eq!(client.out.next().as_deref(), Some("a"));
    assert_eq!(client.out.next().as_deref(), Some("b"));
    client.end().failed(1, &["the message is longer than the limit, 8 bytes"]);
}

#[test]
fn an_stdin_that_does_not_block_is_waited_for() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo");
    let (stdin, mut input) = UnixStream::pair().unwrap();
    stdin.set_nonblocking(true).unwrap();
    let mut command = home.command(&format!("connect {}", server.address()));
    let mut child = command.stdin(OwnedFd::from(stdin)).spawn().unwrap();
    drop(command);
    let out = super::served::Lines::of(child.stdout.take().unwrap());
    for message in ["one", "two"] {
        writeln!(input, "{message}").unwrap();
        assert_eq!(out.next().as_deref(), Some(message));
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_service_that_does_not_answer_gets_all_the_same() {
    let home = Home::with_keys(KEY);
    for options in ["", "--dialect raw", "--dialect hex --framing length", "--dialect open --once"]
    {
        let server = home.serve(&format!("serve --service discard {options}"));
        let connect = format!("connect {} {options} --no-reply --retry 1", server.address());
        home.run(&connect, numbered(2_000)).printed("");
        let ran = server.stop();
        assert!(ran.err.contains(" connections, 2000 messages"), "{options}: {}", ran.err);
    }
}

#[test]
fn replies_that_nobody_waits_for_are_printed() {
    let home = Home::with_keys(KEY);
    for options in ["", "--dialect raw"] {
        let server = home.serve(&format!("serve --service echo {options}"));
        let connect = format!("connect {} {options} --no-reply", server.address());
        home.run(&connect, numbered(2_000)).printed(&numbered(2_000));
    }
}

#[test]
fn without_replies_a_refusal_is_none_the_less_one() {
    let home = Home::with_keys(KEY);
    let other = home.write("other", KEY.replace("sixteen", "another"));
    let server = home.serve("serve --service discard");
    let connect = format!("connect {} --no-reply", server.address());
    let ran = home.run(&format!("{connect} --keys {}", other.display()), "a\n");
    ran.failed(77, &["the same key"]);
}

#[test]
fn a_reader_who_has_seen_enough_ends_it_quietly() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo");
    let mut command = home.command(&format!("connect {}", server.address()));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command.stdout(Stdio::from(writer)).spawn().unwrap();
    drop(command);
    // Nothing comes out of it; what `finish` reads is stderr alone.
    child.stdout = None;
    let err = super::served::Lines::of(child.stderr.take().unwrap());
    let stdin = child.stdin.take();
    stdin.as_ref().unwrap().write_all(b"a\nb\n").unwrap();
    assert_eq!(err.rest(), "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_that_is_not_there_is_told_of_before_anything_is_typed() {
    let home = Home::with_keys(KEY);
    let mut child = home.command("connect 127.0.0.1:1").spawn().unwrap();
    // Held open: whoever waited for input would wait for ever.
    let stdin = child.stdin.take();
    child.stdin = None;
    let err = super::served::Lines::of(child.stderr.take().unwrap());
    let said = err.rest();
    assert!(said.contains("connection refused"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(69));
    drop(stdin);
}

#[test]
fn an_empty_pipe_tells_whether_the_server_is_there_too() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo --once");
    for options in ["", "--once"] {
        home.run(&format!("connect {} {options}", server.address()), "").printed("");
        let ran = home.run(&format!("connect 127.0.0.1:1 {options}"), "");
        ran.failed(69, &["connection refused"]);
    }
    let ran = server.stop();
    assert!(ran.err.contains("stopped; 2 connections, 0 messages"), "{}", ran.err);
}

#[test]
fn a_client_without_a_key_is_told_how_to_bring_it_over() {
    for (ring, code, said) in
        [(None, 66, "no such file; "), (Some("# none\n"), 65, "holds no key; ")]
    {
        let home = Home::new();
        let theirs = home.write("theirs", "garden  text:sixteen-bytes-and-more\n");
        let server = home.serve(&format!("serve --service echo --keys {}", theirs.display()));
        if let Some(text) = ring {
            fs::create_dir_all(home.ring().parent().unwrap()).unwrap();
            home.write(".config/countersign/keys", text);
        }
        for verb in ["ping", "load", "proxy --role client --listen 127.0.0.1:0 --target"] {
            home.run(&format!("{verb} {}", server.address()), "")
                .failed(code, &[said, "ssh SERVER"]);
        }
        let connect = format!("connect {}", server.address());
        let ran = home.run(&connect, "");
        ran.failed(code, &[said, "copy the line of a key over a secure channel"]);
        assert!(!ran.err.contains("keygen"), "a key of its own opens nothing: {}", ran.err);
        assert_eq!(home.ring().exists(), ring.is_some(), "only a server makes one by itself");
        // What it says is done, but for the way to the server.
        let command = ran.err.split('`').nth(1).unwrap().replace("ssh SERVER ", "sh -c ");
        let command = command.replace("ID", "garden").replace("FILE", "~/theirs");
        let mut shell = std::process::Command::new("sh");
        home.prepare(&mut shell);
        assert_eq!(finish(shell.arg("-c").arg(command).spawn().unwrap(), b"").code, Some(0));
        home.run(&connect, "a\n").printed("a\n");
    }
}
