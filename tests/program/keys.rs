//! Key files as people leave them: each is read, or refused with the reason and the remedy.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::home::{Home, finish};

const KEY: &str = "one  text:sixteen-bytes-and-more  dialects=raw\n";

/// Both ends refuse this file, with this code and these words.
#[track_caller]
fn refused(home: &Home, name: &str, code: i32, said: &[&str]) {
    let path = home.path(name).display().to_string();
    for verb in ["serve --bind 127.0.0.1:0", "connect 127.0.0.1:1"] {
        let ran = home.run(&format!("{verb} --keys {path}"), "");
        ran.failed(code, said);
        assert!(ran.err.starts_with(&format!("countersign: {path}: ")), "{}", ran.err);
        assert_eq!((ran.err.matches('\n').count(), &ran.out[..]), (1, ""), "{}", ran.err);
    }
}

#[test]
fn what_is_no_private_file_is_refused() {
    let home = Home::new();
    refused(&home, "missing", 66, &["no such file"]);
    home.write("keys", KEY);
    symlink(home.path("nowhere"), home.path("dangling")).unwrap();
    refused(&home, "dangling", 66, &["no such file"]);
    fs::create_dir(home.path("directory")).unwrap();
    refused(&home, "directory", 65, &["is not a regular file; name one"]);
    for mode in [0o604, 0o620, 0o660, 0o666, 0o601] {
        fs::set_permissions(home.path("keys"), Permissions::from_mode(mode)).unwrap();
        refused(&home, "keys", 65, &[&format!("(mode {mode:o})"), "`chmod 600` it"]);
    }
}

#[test]
fn what_holds_no_ring_of_keys_is_refused() {
    let home = Home::new();
    let cases: [(&[u8], &str, &str); 15] = [
        (b"", "holds no key", "; "),
        (b"\n# only a comment\n", "holds no key", "; "),
        (b"one\n", "line 1: ", "write `id  hex:00112233"),
        (b"# first\none  secret\n", "line 2: the secret has no encoding", "write hex:, base64:"),
        (b"one  rot13:frperg\n", "line 1: the secret has no encoding", "write hex:"),
        (b"one  hex:0011zz\n", "line 1: the secret is not valid hexadecimal", "correct it"),
        (b"one  base64:!!!!\n", "line 1: the secret is not valid base64", "correct it"),
        (
            b"one  text:\n",
            "line 1: the secret is empty",
            "`countersign keygen ID` makes a key with a good one",
        ),
        (b"one  hex:0000\n", "line 1: the secret is empty", "`countersign keygen ID`"),
        (
            b"one  text:two words\n",
            "line 1: ",
            "write a text: secret with blanks as hex: or base64:",
        ),
        (
            b"one  text:fifteen-bytes-k\n",
            "line 1: the secret has fewer than 16 bytes",
            "`countersign keygen ID` makes a key with a good one, or write dialects=raw,hex",
        ),
        (
            b"one  text:sixteen-bytes-ke  not-after=soon\n",
            "line 1: not-after= takes a date",
            "write it as 2027-01-31",
        ),
        (
            b"one  text:a dialects=raw\none  text:b\n",
            "line 2: the secret has fewer than 16 bytes",
            "dialects=raw,hex",
        ),
        (
            b"one  text:a dialects=raw\none  text:b dialects=raw\n",
            "line 2: the id one is used twice",
            "change one of them",
        ),
        (b"one  text:\xff\n", "line 1: the line is not UTF-8", "write such a secret as hex:"),
    ];
    for (text, fault, remedy) in cases {
        home.write("keys", text);
        refused(&home, "keys", 65, &[fault, remedy]);
    }
}

#[test]
fn a_refusal_never_repeats_a_secret() {
    let home = Home::new();
    let lines =
        ["one  hex:5ec4e7zz", "one  5ec4e7", "one  text:a 5ec4e7", "one  5ec4:e7", "5ec4e7"];
    for line in lines {
        let keys = home.write("keys", line);
        let ran = home.run(&format!("serve --keys {}", keys.display()), "");
        ran.failed(65, &[]);
        assert!(!ran.err.contains("5ec4"), "{}", ran.err);
    }
}

#[test]
fn a_ring_is_read_however_it_was_edited() {
    let home = Home::new();
    let plain = home.write("plain", KEY);
    let server =
        home.serve(&format!("serve --dialect raw --service echo --keys {}", plain.display()));
    let rings = [
        "\u{feff}one  text:sixteen-bytes-and-more  dialects=raw\r\n".to_owned(),
        format!("# comment\r\n\r\n{}", KEY.replace('\n', "\r\n")),
        KEY.trim_end().to_owned(),
        format!("\t{}", KEY.replace("  ", "\t")),
        KEY.replace(
            "text:sixteen-bytes-and-more",
            "hex:7369787465656e2d62797465732d616e642d6d6f7265",
        ),
        KEY.replace("text:sixteen-bytes-and-more", "base64:c2l4dGVlbi1ieXRlcy1hbmQtbW9yZQ=="),
    ];
    for ring in rings {
        let keys = home.write("keys", &ring);
        let line = format!("connect {} --dialect raw --key one", server.address());
        home.run(&format!("{line} --keys {}", keys.display()), "a\n").printed("a\n");
    }
}

#[test]
fn a_short_key_is_warned_about_and_serves() {
    let home = Home::with_keys("short  text:fifteen-bytes-k  dialects=raw\n");
    let server = home.serve("serve --dialect raw --service echo");
    home.run(&format!("connect {} --dialect raw", server.address()), "a\n").printed("a\n");
    let ran = server.stop();
    let warned: Vec<&str> = ran.err.lines().filter(|line| line.contains("WARN")).collect();
    let [line] = warned[..] else { panic!("{}", ran.err) };
    assert!(line.contains("fewer than 16 bytes") && line.ends_with("key=short"), "{line}");
    let home = Home::with_keys("long  text:sixteen-bytes-ke  dialects=raw\n");
    let ran = home.serve("serve --dialect raw").stop();
    assert!(!ran.err.contains("WARN"), "{}", ran.err);
}

#[test]
fn each_key_of_the_ring_is_let_in_and_those_for_another_dialect_are_not() {
    let ring = "one  text:sixteen-bytes-and-more  dialects=raw\n\
                two  text:seventeen-bytes-and-more  dialects=raw\n\
                hex  text:eighteen-bytes-and-more  dialects=hex\n";
    let home = Home::with_keys(ring);
    let server = home.serve("serve --dialect raw --service echo");
    for (line, code) in ring.lines().zip([0, 0, 77]) {
        let keys = home.write("keys", line.replace("dialects=hex", "dialects=raw"));
        let connect = format!("connect {} --dialect raw", server.address());
        let ran = home.run(&format!("{connect} --keys {}", keys.display()), "a\n");
        assert_eq!(ran.code, Some(code), "{line}: {}", ran.err);
    }
}

#[test]
fn a_client_copies_the_line_of_one_key_by_the_command_that_it_is_told() {
    let home = Home::new();
    let secret = |at: usize| format!("hex:{}", format!("{at:02x}").repeat(32));
    let ids = ["gate", "gate-2", "gate.2", "gate+2", "gates", "my-gate", "#", "gatex2"];
    let lines: Vec<_> = (1..).zip(ids).map(|(at, id)| format!("{id}  {}\n", secret(at))).collect();
    let theirs = home.write("theirs", lines.concat());
    // What ssh does with its words: the shell at the other end reads them once more.
    let ssh = home.write("ssh", "#!/bin/sh\nshift\nexec sh -c \"$*\"\n");
    fs::set_permissions(&ssh, Permissions::from_mode(0o755)).unwrap();
    for (id, line) in ids.iter().zip(&lines).filter(|(id, _)| **id != "#") {
        let ours = home.path("client's").join(id);
        let mut connect = home.command("connect 127.0.0.1:1 --keys");
        let told = finish(connect.arg(&ours).spawn().unwrap(), b"");
        told.failed(66, &["ssh SERVER"]);
        let (_, copy) = told.err.split_once("such as with `").unwrap();
        let (copy, _) = copy.rsplit_once('`').unwrap();
        let copy = copy.replace("SERVER \"", "server \"").replace("\"ID\\", &format!("\"{id}\\"));
        let copy = copy.replace("FILE", &theirs.display().to_string());
        let copy = copy.replace("ssh ", &format!("{} ", ssh.display()));
        let mut shell = Command::new("sh");
        home.prepare(&mut shell);
        let ran = finish(shell.args(["-c", &copy]).spawn().unwrap(), b"");
        assert_eq!(ran.code, Some(0), "{copy}: {ran:?}");
        assert_eq!(&fs::read_to_string(&ours).unwrap(), line, "{copy}");
    }
}
