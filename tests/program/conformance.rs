//! The conformance kit, against this program: both ends of it keep to the page in every mode.

use serde_json::Value;

use super::home::{Home, PROGRAM, Ran};

/// A key for each thing that a case needs, but for a passphrase, which takes long to derive.
const KEYS: &str = "\
k1 hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
k2 text:a-second-key-of-enough-bytes
old text:a-key-that-is-not-valid-any-more not-after=2020-01-01
seed text:correct-horse dialects=raw
";

/// No time limit is a test's own, but for a hang. `ci/conformance` waits for those of handshakes.
const PATIENT: &str = "--without deadline --timeout 30s";

const MODES: [&str; 4] = ["required", "sealed", "allowed", "off"];

/// The numbers of the last line: passed, failed, skipped.
fn totals(ran: &Ran) -> [usize; 3] {
    let last = ran.out.lines().last().unwrap();
    let mut numbers = last.split(' ').filter_map(|word| word.parse().ok());
    [(); 3].map(|()| numbers.next().unwrap())
}

#[test]
fn the_server_keeps_to_the_page_whatever_its_protection_is() {
    let home = Home::new();
    let keys = home.write("keys", KEYS).display().to_string();
    let own = "serve --service echo --failure-decay 0s --handshake-timeout 1m";
    let mut passed = 0;
    for mode in MODES {
        let server = home.serve(&format!("{own} --records {mode} --keys {keys}"));
        let address = server.address();
        let options = format!("--records {mode} --keys {keys} {PATIENT}");
        let ran = home.run(&format!("conformance --server {address} {options}"), "");
        let [now_passed, failed, _] = totals(&ran);
        assert_eq!((ran.code, failed), (Some(0), 0), "{mode}: {}", ran.out);
        passed += now_passed;
    }
    assert!(passed > 500, "{passed} passed");
}

#[test]
fn the_client_keeps_to_the_page_whatever_its_protection_is() {
    let home = Home::new();
    let keys = home.write("keys", KEYS).display().to_string();
    for mode in MODES {
        let client =
            format!("{PROGRAM} connect \"$1\" --keys \"$2\" --records {mode} --timeout 1m");
        let options = format!("--records {mode} --keys {keys} {PATIENT}");
        let mut command = home.command(&format!("conformance {options}"));
        command.args(["--client", &client]);
        let output = command.output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && out.contains(" 0 failed"), "{mode}: {out}");
    }
}

#[test]
fn what_fails_is_said_with_what_came_and_what_was_expected() {
    let home = Home::new();
    let keys = home.write("keys", KEYS).display().to_string();
    // It is no echo.
    let server = home.serve(&format!("serve --service size=3 --keys {keys}"));
    let line =
        format!("conformance --server {} --keys {keys} --case CS1-1.1-S01", server.address());
    let ran = home.run(&line, "");
    ran.failed(1, &["1 case failed"]);
    let expected = [
        "not ok 1 - CS1-1.1-S01 ",
        "  expected: \"the message \\\"hello\\\"\"",
        "  came: \"the message ",
        "  paragraph: \"protocol.md, paragraph 1.1 (countersign/1)\"",
        "    - sent: \"call: 9e6373676e2f310a",
    ];
    for text in expected {
        assert!(ran.out.contains(text), "{text:?} is missing: {}", ran.out);
    }
    let ran = home.run(&format!("{line} --output json"), "");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &document["summary"]["failed"]), (Some(1), &1.into()));
    let case = &document["cases"][0];
    assert_eq!((&case["id"], &case["result"]), (&"CS1-1.1-S01".into(), &"failed".into()));
    assert!(case["wire"].as_array().unwrap().len() > 5, "{case}");
}

#[test]
fn what_an_implementation_does_without_is_skipped_and_said() {
    let home = Home::new();
    let keys = home.write("keys", KEYS.lines().next().unwrap()).display().to_string();
    let server = home.serve(&format!("serve --service echo --keys {keys}"));
    let line = format!("conformance --server {} --keys {keys}", server.address());
    let cases = "--case CS1-4.1-S09 --case CS1-6.2 --case CS1-8.3 --without deadline";
    let ran = home.run(&format!("{line} {cases}"), "");
    for why in [
        "# SKIP the key file has no second key",
        "# SKIP deadline was declared absent",
        "# SKIP needs --records sealed",
    ] {
        assert!(ran.out.contains(why), "{why:?} is missing: {}", ran.out);
    }
    assert_eq!((ran.code, totals(&ran)), (Some(0), [0, 0, 9]));
}

#[test]
fn the_kit_says_why_it_can_not_run() {
    let home = Home::new();
    let keys = home.write("keys", KEYS).display().to_string();
    let server = "conformance --server 127.0.0.1:1";
    home.run(&format!("{server} --keys {keys}"), "").failed(69, &["127.0.0.1:1", "refused"]);
    home.run(&format!("{server} --keys nowhere"), "").failed(66, &["nowhere"]);
    home.run(&format!("{server} --keys {keys} --case CS2"), "").failed(2, &["no case"]);
    home.run("conformance", "").failed(2, &["--server", "--keys"]);
    let raw = home.write("raw", "seed text:correct-horse dialects=raw\n").display().to_string();
    home.run(&format!("{server} --keys {raw}"), "").failed(78, &["no key for countersign/1"]);
    // The command ends before it connects.
    let ran = home.run(&format!("conformance --client false --keys {keys} --case CS1-1.1-C01"), "");
    ran.failed(1, &["1 case failed"]);
    assert!(ran.out.contains("expected: \"a connection of the client's command"), "{}", ran.out);
}

#[test]
fn all_cases_are_listed() {
    let ran = Home::new().run("conformance --list", "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ids: Vec<&str> = ran.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(ids.len() >= 120 && ids.iter().all(|id| id.starts_with("CS1-")), "{ids:?}");
    let page = include_str!("../../src/manual/conformance.md");
    let [server, client] = ["-S", "-C"].map(|end| ids.iter().filter(|id| id.contains(end)).count());
    let said = format!("{server} for a server and {client} for a");
    assert!(page.contains(&said), "the page does not say {said:?}");
}
