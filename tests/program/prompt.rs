//! `connect` on a terminal: it prompts, skips what is blank, and leaves on `quit`.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::home::{Home, PATIENCE, PROGRAM, skip};
use super::served::Served;

/// A client on a terminal of its own, which util-linux's script(1) makes.
struct Terminal {
    script: Child,
    bytes: Receiver<Vec<u8>>,
    /// What was shown since it was last asked.
    shown: String,
}

impl Terminal {
    fn open(home: &Home, server: &Served, options: &str) -> Option<Self> {
        let version = Command::new("script").arg("--version").output();
        if !version.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("util-linux")) {
            skip("there is no script(1) of util-linux here, to make a terminal");
            return None;
        }
        let mut command = Command::new("script");
        home.prepare(&mut command);
        command.env("TERM", "xterm").args(["--quiet", "--flush", "--return", "--command"]);
        let connect = format!("{PROGRAM} connect {} {options}", server.address());
        let client = format!("stty cols 200; {connect}");
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
    fn expect(&mut self, text: &str) -> String {
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
    fn type_keys(&mut self, keys: &str) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// All until the client has ended, and its exit code.
    #[track_caller]
    fn end(mut self) -> (String, Option<i32>) {
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
    for keys in ["\x04", "\x03", " quit \r"] {
        let Some(mut terminal) = Terminal::open(&home, &server, "") else { return };
        terminal.expect(">>>");
        terminal.type_keys(keys);
        assert_eq!(terminal.end().1, Some(0), "{keys:?}");
    }
    let ran = server.stop();
    assert!(ran.err.contains("3 connections, 0 messages"), "{}", ran.err);
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
    terminal.expect("the message may have been received, so it isn't sent again");
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
