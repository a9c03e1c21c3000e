//! `keygen`: adds a key, and takes none away.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Child;

use super::home::{Home, finish, mode};

/// The secrets of a ring, as they stand there.
fn secrets(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
}

#[test]
fn a_key_is_added_for_its_owner_alone_and_never_shown() {
    let home = Home::new();
    let ran = home.run("keygen garden", "");
    let words: Vec<&str> = ran.out.split_whitespace().collect();
    let ["garden", fingerprint] = words[..] else { panic!("{ran:?}") };
    assert!(fingerprint.len() == 16 && fingerprint.chars().all(|c| c.is_ascii_hexdigit()));
    assert_eq!(ran.err, format!("added to {}\n", home.ring().display()));
    assert_eq!((mode(home.ring()), mode(home.ring().parent().unwrap())), (0o600, 0o700));
    let secrets = secrets(&home.ring_text());
    let secret = secrets[0].strip_prefix("hex:").unwrap();
    assert_eq!(secret.len(), 64);
    for said in [&ran.out, &ran.err] {
        assert!(!said.contains(secret) && !said.contains(&secret[..16]), "{said}");
    }
}

#[test]
fn two_keys_are_never_the_same() {
    let home = Home::new();
    home.run("keygen one", "");
    home.run("keygen two", "");
    let secrets = secrets(&home.ring_text());
    assert_eq!(secrets.len(), 2);
    assert_ne!(secrets[0], secrets[1]);
}

#[test]
fn what_stands_in_the_ring_stays_as_it_is() {
    let home = Home::new();
    let before = "# mine\r\n\r\n\tone  text:sixteen-bytes-and-more  dialects=hex\r\n# no end";
    home.write("keys", before);
    let keys = home.path("keys");
    assert_eq!(home.run(&format!("keygen two --keys {}", keys.display()), "").code, Some(0));
    let after = fs::read_to_string(&keys).unwrap();
    let added = after.strip_prefix(before).unwrap().strip_prefix('\n').unwrap();
    assert!(added.starts_with("two  hex:") && added.ends_with("  dialects=countersign/1\n"));
    assert_eq!(mode(&keys), 0o600);
}

#[test]
fn an_id_that_is_taken_is_refused() {
    let home = Home::new();
    home.run("keygen garden", "");
    let before = home.ring_text();
    let ran = home.run("keygen garden", "");
    ran.failed(65, &["there is already a key garden", "`countersign keys rotate garden`"]);
    assert_eq!(home.ring_text(), before);
}

#[test]
fn what_a_server_without_a_key_is_told_to_do_makes_one() {
    // Ids that are taken are no part of the remedy.
    let rings = ["default  text:sixteen-bytes-and-more  not-after=2020-01-01\n", "# none\n"];
    for (ring, dialect) in rings.into_iter().flat_map(|ring| {
        ["countersign/1", "raw", "hex", "multiprocessing"].map(|dialect| (ring, dialect))
    }) {
        let home = Home::with_keys(ring);
        let named = home.write("named", ring);
        for keys in [String::new(), format!(" --keys {}", named.display())] {
            let serve = format!("serve --dialect {dialect} --bind a.invalid:1{keys}");
            let ran = home.run(&serve, "");
            assert!(matches!(ran.code, Some(65 | 78)), "{ran:?}");
            let remedy = ran.err.split('`').nth(1).unwrap();
            let remedy = remedy.strip_prefix("countersign ").unwrap();
            assert_eq!(home.run(remedy, "").code, Some(0), "{}", ran.err);
            home.run(&serve, "").failed(69, &["a.invalid"]);
        }
    }
}

#[test]
fn an_id_that_could_not_be_read_back_is_refused() {
    let home = Home::new();
    for id in ["", "#hidden", &"x".repeat(65), "two words", "two\nlines"] {
        let mut command = home.command("keygen");
        let ran = finish(command.arg(id).spawn().unwrap(), b"");
        ran.failed(2, &["for '[ID]'", "an id is one printable word of 1 to 64 bytes; choose"]);
        assert!(!home.ring().exists(), "{id}");
        let ran = finish(home.command("keys rotate").arg(id).spawn().unwrap(), b"");
        ran.failed(2, &["for '<ID>'", "an id is one printable word of 1 to 64 bytes; choose"]);
    }
}

#[test]
fn the_dialects_are_those_that_were_asked_for() {
    let home = Home::new();
    assert_eq!(home.run("keygen gate --dialects raw,hex", "").code, Some(0));
    assert!(home.ring_text().ends_with("  dialects=raw,hex\n"));
    for dialect in ["raw", "hex"] {
        let server = home.serve(&format!("serve --service echo --dialect {dialect}"));
        let line = format!("connect {} --dialect {dialect}", server.address());
        home.run(&line, "a\n").printed("a\n");
    }
}

#[test]
fn what_a_key_is_for_stands_behind_it() {
    let home = Home::new();
    let options = "--audience pump --not-before 2027-01-31 --not-after 2099-01-31T12:00:00+01:00";
    assert_eq!(home.run(&format!("keygen guest {options}"), "").code, Some(0));
    let expected = "  dialects=countersign/1  audience=pump  not-before=2027-01-31  \
                    not-after=2099-01-31T12:00:00+01:00\n";
    assert!(home.ring_text().ends_with(expected), "{}", home.ring_text());
    let before = home.ring_text();
    let faults = [
        ("--not-after 2027-02-29", "not-after= takes a date; write it as 2027-01-31"),
        ("--not-before soon", "not-before= takes a date"),
        (
            "--not-before 2027-01-02 --not-after 2027-01-01",
            "the key expires before it becomes valid",
        ),
    ];
    for (options, said) in faults {
        home.run(&format!("keygen other {options}"), "").failed(2, &[said]);
    }
    for (variable, option) in [
        ("COUNTERSIGN_NOT_AFTER", "--not-after <DATE>"),
        ("COUNTERSIGN_NOT_BEFORE", "--not-before <DATE>"),
    ] {
        let ran = home.run(&format!("{variable}=foo keygen other"), "");
        ran.failed(2, &[&format!("'foo' for '{variable}'"), "takes a date"]);
        let (typed, _) = option.split_once(' ').unwrap();
        let ran = home.run(&format!("keygen other {typed} foo"), "");
        ran.failed(2, &[&format!("'foo' for '{option}'"), "takes a date"]);
    }
    let long = "x".repeat(65);
    home.run(&format!("keygen other --audience {long}"), "").failed(2, &["an audience is one"]);
    for value in ["two words", "a\nevil  text:sixteen-bytes-and-more"] {
        for option in ["--audience", "--not-before", "--not-after"] {
            let mut command = home.command("keygen other");
            let ran = finish(command.arg(option).arg(value).spawn().unwrap(), b"");
            ran.failed(2, &["write one word"]);
        }
    }
    assert_eq!(home.ring_text(), before);
}

#[test]
fn of_many_at_once_each_adds_its_key() {
    let home = Home::new();
    // As one that was killed in the middle has left it.
    fs::create_dir_all(home.ring().parent().unwrap()).unwrap();
    home.write(".config/countersign/keys.new", "half of a");
    let children: Vec<Child> =
        (0..50).map(|n| home.command(&format!("keygen key-{n}")).spawn().unwrap()).collect();
    for child in children {
        let ran = finish(child, b"");
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let text = home.ring_text();
    assert!((0..50).all(|n| text.contains(&format!("key-{n}  hex:"))), "{text}");
    assert_eq!((secrets(&text).len(), mode(home.ring())), (50, 0o600));
    assert!(!home.path(".config/countersign/keys.new").exists());
}

#[test]
fn a_ring_that_is_open_to_others_is_left_alone_and_so_is_a_link_to_nowhere() {
    let home = Home::with_keys("one  text:sixteen-bytes-and-more  dialects=raw\n");
    let link = home.path("link");
    symlink(home.path("nowhere"), &link).unwrap();
    home.run(&format!("keygen two --keys {}", link.display()), "").failed(1, &["no such file"]);
    assert!(link.is_symlink());
    fs::set_permissions(home.ring(), Permissions::from_mode(0o644)).unwrap();
    home.run("keygen two", "").failed(65, &["(mode 644)", "`chmod 600` it"]);
    assert_eq!((mode(home.ring()), secrets(&home.ring_text()).len()), (0o644, 1));
    let entries = fs::read_dir(home.ring().parent().unwrap()).unwrap();
    assert_eq!(entries.count(), 1, "no draft stays");
}

#[test]
fn a_draft_that_is_a_link_is_not_followed() {
    let home = Home::with_keys("one  text:sixteen-bytes-and-more  dialects=raw\n");
    let target = home.write("target", "precious");
    symlink(&target, home.path(".config/countersign/keys.new")).unwrap();
    home.run("keygen two", "").failed(1, &["keys.new"]);
    assert_eq!(fs::read_to_string(target).unwrap(), "precious");
}
