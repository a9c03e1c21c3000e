//! `connect` on a terminal: it prompts, skips what is blank, and leaves on `quit`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::home::{Home, PATIENCE, PROGRAM, skip};
use super::served::{ServerProcess, signal};

/// A client on a terminal of its own, which util-linux's script(1) makes.
pub(crate) struct Terminal {
    script: Child,
    bytes: Receiver<Vec<u8>>,
    /// What was shown since it was last asked.
    shown: String,
}

impl Terminal {
    fn open(home: &Home, server: &ServerProcess, options: &str) -> Option<Self> {
        Self::at(home, server.address(), options)
    }

    fn at(home: &Home, address: &str, options: &str) -> Option<Self> {
        Self::running(home, &format!("{PROGRAM} connect {address} {options}"))
    }

    /// A terminal where a shell runs this.
    pub(crate) fn running(home: &Home, line: &str) -> Option<Self> {
        let version = Command::new("script").arg("--version").output();
        if !version.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("util-linux")) {
            skip("there is no script(1) of util-linux here, to make a terminal");
            return None;
        }
        let mut command = Command::new("script");
        home.prepare(&mut command);
        command.env("TERM", "xterm").args(["--quiet", "--flush", "--return", "--command"]);
        let client = format!("stty cols 200; {line}");
        let mut script = command.arg(client).arg("/dev/null").spawn().unwrap();
        let mut out = script.stdout.take().unwrap();
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { script, bytes, shown: String::new() })
    }

    /// Waits until this is shown, and returns all that was shown up to it.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(text) {
                return self.shown.drain(..at + text.len()).collect();
            }
            let Ok(bytes) = self.bytes.recv_timeout(PATIENCE) else {
                panic!("{text:?} is not shown: {:?}", self.shown);
            };
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    #[track_caller]
    pub(crate) fn type_keys(&mut self, keys: impl AsRef<[u8]>) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_ref()).unwrap();
    }

    /// All until the client has ended, and its exit code.
    #[track_caller]
    pub(crate) fn end(mut self) -> (String, Option<i32>) {
        while let Ok(bytes) = self.bytes.recv_timeout(PATIENCE) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        (std::mem::take(&mut self.shown), self.script.wait().unwrap().code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn it_prompts_skips_what_is_blank_and_leaves_on_quit() {
    let home = Home::new();
    let server = home.serve("serve");
    let Some(mut terminal) = Terminal::open(&home, &server, "") else { return };
    terminal.expect(">>>");
    terminal.type_keys("芝麻开门\r");
    let shown = terminal.expect("] 芝麻开门");
    assert!(shown.contains('['), "a stamp is in front: {shown:?}");
    for keys in ["\r", "  \t \r"] {
        terminal.expect(">>>");
        terminal.type_keys(keys);
    }
    terminal.expect(">>>");
    terminal.type_keys("  again  \r");
    terminal.expect("] again");
    terminal.expect(">>>");
    terminal.type_keys("quit\r");
    assert_eq!(terminal.end().1, Some(0));
    let ran = server.stop();
    assert!(ran.err.contains("1 connections, 2 messages"), "{}", ran.err);
}

#[test]
fn the_end_of_input_and_an_interrupt_leave_as_well() {
    let home = Home::new();
    let server = home.serve("serve");
    for (keys, code) in [("\x04", 0), ("\x03", 130), (" quit \r", 0), ("half\x03\x03", 130)] {
        let Some(mut terminal) = Terminal::open(&home, &server, "") else { return };
        terminal.expect(">>>");
        terminal.type_keys(keys);
        assert_eq!(terminal.end().1, Some(code), "{keys:?}");
    }
    let ran = server.stop();
    assert!(ran.err.contains("4 connections, 0 messages"), "{}", ran.err);
}

#[test]
fn an_interrupt_drops_what_was_begun_and_no_more() {
    let home = Home::new();
    let server = home.serve("serve --service echo");
    let Some(mut terminal) = Terminal::open(&home, &server, "") else { return };
    terminal.expect(">>>");
    terminal.type_keys("half\x03whole\r");
    terminal.expect("\nwhole");
    terminal.type_keys("quit\r");
    assert_eq!(terminal.end().1, Some(0));
    let ran = server.stop();
    assert!(ran.err.contains("1 connections, 1 messages"), "{}", ran.err);
}

#[test]
fn a_key_that_sends_no_text_discards_what_was_typed_and_no_more() {
    let home = Home::new();
    let server = home.serve("serve --service echo");
    for name in ["xterm", "dumb"] {
        let line = format!("TERM={name} {PROGRAM} connect {}", server.address());
        let Some(mut terminal) = Terminal::running(&home, &line) else { return };
        terminal.expect(">>>");
        terminal.type_keys(b"caf\xe9\n");
        terminal.expect("\ncountersign: what was typed is discarded: a key sent a byte that is");
        terminal.type_keys("\ncaf\u{e9}\n");
        terminal.expect("\ncaf\u{e9}\r\n");
        terminal.type_keys("quit\n");
        assert_eq!(terminal.end().1, Some(0), "{name}");
    }
}

#[test]
fn a_paste_of_three_lines_is_three_messages() {
    let home = Home::new();
    // Some terminals mark a paste, and then its lines end as they did where they were copied.
    for keys in ["one\rtwo\rthree\r", "\x1b[200~one\ntwo\nthree\x1b[201~\r"] {
        let server = home.serve("serve --service echo --framing length");
        let Some(mut terminal) = Terminal::open(&home, &server, "--framing length") else { return };
        terminal.expect(">>>");
        terminal.type_keys(keys);
        for reply in ["\none\r", "\ntwo\r", "\nthree\r"] {
            terminal.expect(reply);
        }
        terminal.type_keys("quit\r");
        assert_eq!(terminal.end().1, Some(0));
        let ran = server.stop();
        assert!(ran.err.contains("1 connections, 3 messages"), "{keys:?}: {}", ran.err);
    }
}

/// A server of the dialect open that takes one client, and does with it what it is told to.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    address
}

/// Takes a line.
fn line(stream: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn what_a_server_says_cannot_drive_the_terminal() {
    let home = Home::new();
    let address = server(|mut stream| {
        line(&stream);
        stream.write_all(b"\x1b]0;title\x07\xc2\x9b2J\xff\xe2\x80\xae\xe8\x8a\x9d\n").unwrap();
        line(&stream);
    });
    let Some(mut terminal) = Terminal::at(&home, &address, "--dialect open") else { return };
    terminal.expect(">>>");
    terminal.type_keys("x\r");
    terminal.expect("\n\\u{1b}]0;title\\u{7}\\u{9b}2J\\xff\\u{202e}芝\r");
    terminal.type_keys("quit\r");
    assert_eq!(terminal.end().1, Some(0));
}

#[test]
fn what_a_server_says_by_itself_is_shown_at_once_above_the_prompt() {
    let home = Home::new();
    let (tell, told) = channel::<&str>();
    let address = server(move |mut stream| {
        told.iter().for_each(|lines| stream.write_all(lines.as_bytes()).unwrap());
    });
    let Some(mut terminal) = Terminal::at(&home, &address, "--dialect open --no-reply") else {
        return;
    };
    terminal.expect(">>>");
    tell.send("news\nmore\n").unwrap();
    // The prompt makes room for it, and stands below.
    terminal.expect("\x1b[Jnews\r\nmore\r\n>>>");
    // So does a line that was begun.
    terminal.type_keys("half");
    terminal.expect(">>>half");
    tell.send("late\n").unwrap();
    terminal.expect("\x1b[Jlate\r\n>>>half");
    terminal.type_keys("\x03");
    drop(tell);
    // It has nothing to say any more.
    terminal.expect("closed the connection");
    terminal.type_keys("\x03");
    assert_eq!(terminal.end().1, Some(130));
}

#[test]
fn without_replies_to_wait_for_the_prompt_is_there_at_once() {
    let home = Home::new();
    let server = home.serve("serve --service discard");
    let Some(mut terminal) = Terminal::open(&home, &server, "--no-reply --timeout 0s") else {
        return;
    };
    for message in ["one", "two", "three"] {
        terminal.expect(">>>");
        terminal.type_keys(format!("{message}\r"));
        terminal.expect(&format!(">>>{message}\r"));
    }
    terminal.type_keys("quit\r");
    assert_eq!(terminal.end().1, Some(0));
    let ran = server.stop();
    assert!(ran.err.contains("1 connections, 3 messages"), "{}", ran.err);
}

#[test]
fn a_redirected_stdout_has_the_replies_and_the_terminal_the_prompt() {
    let home = Home::new();
    let server = home.serve("serve --service echo");
    let file = home.path("replies");
    let options = format!("> {}", file.display());
    let Some(mut terminal) = Terminal::open(&home, &server, &options) else { return };
    for message in ["one", "two\u{e9}"] {
        terminal.expect(">>>");
        terminal.type_keys(format!("{message}\r"));
    }
    terminal.type_keys("quit\r");
    assert_eq!(terminal.end().1, Some(0));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\u{e9}\n");
}

#[test]
fn a_server_that_is_gone_ends_the_prompt_with_a_word() {
    let home = Home::new();
    let server = home.serve("serve --drain-timeout 1ms");
    let Some(mut terminal) = Terminal::open(&home, &server, "") else { return };
    terminal.expect(">>>");
    terminal.type_keys("time\r");
    terminal.expect("] time");
    terminal.expect(">>>");
    assert_eq!(server.stop().code, Some(0));
    terminal.type_keys("more\r");
    let (shown, code) = terminal.end();
    assert!(shown.contains("countersign: "), "{shown:?}");
    assert_eq!(code, Some(69), "{shown:?}");
}

#[test]
fn with_retry_the_prompt_goes_on_with_the_next_line() {
    let home = Home::new();
    let server = home.serve("serve");
    let Some(mut terminal) = Terminal::open(&home, &server, "--retry 9 --timeout 500ms") else {
        return;
    };
    terminal.expect(">>>");
    server.signal("STOP");
    terminal.type_keys("lost\r");
    terminal.expect("timed out");
    terminal.expect("the message may have been received, so it is not sent again");
    terminal.expect(">>>");
    server.signal("CONT");
    terminal.type_keys("next\r");
    let shown = terminal.expect("] next");
    assert!(!shown.contains("] lost"), "the reply of another connection: {shown:?}");
    terminal.expect(">>>");
    terminal.type_keys("quit\r");
    assert_eq!(terminal.end().1, Some(0));
    let ran = server.stop();
    assert!(ran.err.contains("2 connections, 2 messages"), "{}", ran.err);
}

#[test]
fn a_signal_that_ends_it_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let server = home.serve("serve");
    let [before, after, pid] = ["before", "after", "pid"].map(|name| home.path(name));
    for (name, keys, code) in [("TERM", "", 143), ("HUP", "half", 129), ("QUIT", "", 131)] {
        let line = format!(
            "ulimit -c 0; stty -g >{}; sh -c 'echo $$ >{}; exec {PROGRAM} connect {}'; code=$?; \
             stty -g >{}; exit $code",
            before.display(),
            pid.display(),
            server.address(),
            after.display(),
        );
        let Some(mut terminal) = Terminal::running(&home, &line) else { return };
        terminal.expect(">>>");
        terminal.type_keys(keys);
        terminal.expect(keys);
        let pid = std::fs::read_to_string(&pid).unwrap();
        signal(name, pid.trim().parse().unwrap());
        let (shown, ended) = terminal.end();
        assert_eq!(ended, Some(code), "{name}: {shown:?}");
        let modes = [&before, &after].map(|file| std::fs::read_to_string(file).unwrap());
        assert!(!modes[0].is_empty());
        assert_eq!(modes[0], modes[1], "{name}");
    }
}
