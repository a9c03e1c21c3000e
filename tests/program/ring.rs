//! `keys`: what is on the ring, whether it is in order, and a fresh key for an old one.

use std::fs;

use super::home::{Home, mode};

/// A ring with a key of every kind.
const RING: &str = "# mine\n\
    garden  text:sixteen-bytes-and-more  audience=pump\n\
    gate    text:sh0rt-secret  dialects=raw,hex\n\
    old     text:another-of-that-size  not-after=2020-01-31\n\
    later   text:one-more-of-that-size  not-before=2099-01-31\n";

/// The words of each line.
fn fields(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn the_list_has_a_line_for_each_key_and_no_secret() {
    let home = Home::with_keys(RING);
    let ran = home.run("keys list", "");
    assert_eq!((ran.code, &ran.err[..]), (Some(0), ""));
    let lines = fields(&ran.out);
    let heads: Vec<&str> = lines.iter().map(|words| words[0]).collect();
    assert_eq!(heads, ["id", "garden", "gate", "old", "later"]);
    assert_eq!(lines[1][2..], ["countersign/1", "pump", "valid"]);
    assert_eq!(lines[2][2..], ["raw,hex", "-", "valid"]);
    assert_eq!(lines[3][2..], ["countersign/1", "-", "expired", "at", "2020-02-01T00:00:00Z"]);
    assert_eq!(
        lines[4][2..],
        ["countersign/1", "-", "not", "valid", "before", "2099-01-31T00:00:00Z"]
    );
    let json = home.run("keys list --json", "");
    assert_eq!(home.run("COUNTERSIGN_JSON=1 keys list", "").out, json.out);
    for line in &lines[1..] {
        assert!(json.out.contains(&format!("\"fingerprint\": \"{}\"", line[1])), "{}", json.out);
    }
    for secret in ["sixteen", "sh0rt", "another", "one-more"] {
        assert!(!ran.out.contains(secret) && !json.out.contains(secret));
    }
}

#[test]
fn the_fingerprint_is_that_which_keygen_printed() {
    let home = Home::new();
    let printed = home.run("keygen garden", "").out;
    let listed = home.run("keys list", "").out;
    assert_eq!(fields(&printed)[0][..2], fields(&listed)[1][..2]);
}

#[test]
fn a_ring_in_order_is_told_of_and_what_its_owner_should_know_is_warned_of() {
    let home = Home::with_keys(RING);
    let ran = home.run("keys check", "");
    ran.printed(&format!("{}: 4 keys, 2 valid now\n", home.ring().display()));
    let expected = [
        "warning: the key gate is shorter than 16 bytes: anyone who sees a proof can guess it; \
         rotate it",
        "warning: the key old expired at 2020-02-01T00:00:00Z; remove its line",
        "warning: the key later is not valid before 2099-01-31T00:00:00Z",
    ];
    assert_eq!(ran.err.lines().collect::<Vec<_>>(), expected);
    let keys = home.write("keys", "one  text:sixteen-bytes-and-more\n");
    let ran = home.run(&format!("keys check --keys {}", keys.display()), "");
    ran.printed(&format!("{}: 1 key, 1 valid now\n", keys.display()));
    assert_eq!(ran.err, "");
}

#[test]
fn a_ring_that_can_not_be_read_is_refused_as_a_server_would() {
    let home = Home::with_keys("# mine\none  text:sixteen-bytes-and-more\ntwo  text:sh0rt\n");
    for verb in ["keys list", "keys check", "keys rotate one"] {
        let ran = home.run(verb, "");
        ran.failed(65, &["keys: line 3: the secret has fewer than 16 bytes"]);
        assert!(ran.out.is_empty() && !ran.err.contains("sh0rt"), "{ran:?}");
        home.run(&format!("{verb} --keys {}", home.path("a/b").display()), "")
            .failed(66, &["no such file"]);
    }
    assert!(!home.path("a").exists(), "nothing was made");
    assert_eq!(fs::read_dir(home.ring().parent().unwrap()).unwrap().count(), 1, "no draft stays");
}

#[test]
fn a_rotation_adds_a_key_behind_the_old_one_which_runs_out() {
    let home = Home::with_keys(RING);
    let ran = home.run("keys rotate garden --overlap 400d", "");
    let [old, new] = &fields(&ran.out)[..] else { panic!("{ran:?}") };
    let ["garden", print, "valid", "until", end] = old[..] else { panic!("{ran:?}") };
    let ["garden-2", new_print, "valid"] = new[..] else { panic!("{ran:?}") };
    let ring = home.ring().display().to_string();
    let expected = format!(
        "copy the line of garden-2 from {ring} to everyone who holds garden, to replace \
             the line of garden, before {end}\n"
    );
    assert_eq!(ran.err, expected);
    let text = home.ring_text();
    let lines: Vec<&str> = text.lines().collect();
    let before: Vec<&str> = RING.lines().collect();
    assert_eq!(lines[0], before[0]);
    assert_eq!(lines[1], format!("{}  not-after={end}", before[1]));
    assert!(lines[2].starts_with("garden-2  hex:"), "{text}");
    assert!(lines[2].ends_with("  dialects=countersign/1  audience=pump"), "{text}");
    assert_eq!(lines[3..], before[2..]);
    assert_eq!(mode(home.ring()), 0o600);
    let secret = lines[2].split("hex:").nth(1).unwrap().split(' ').next().unwrap();
    assert!(!ran.out.contains(&secret[..16]) && !ran.err.contains(&secret[..16]));
    let listed = home.run("keys list", "").out;
    let listed: Vec<&str> = fields(&listed)[1..3].iter().map(|words| words[1]).collect();
    assert_eq!(listed, [print, new_print]);
    // Once more, and of either: the next id that is free.
    let ran = home.run("keys rotate garden-2", "");
    assert_eq!(fields(&ran.out)[1][0], "garden-3");
    let ran = home.run("keys rotate garden", "");
    assert_eq!(fields(&ran.out)[1][0], "garden-4");
}

#[test]
fn an_end_that_is_earlier_stays_and_a_later_one_is_replaced() {
    // An id and a secret that look like the option are none.
    const KEY: &str = "not-after=2999  text:not-after=2999-01-31";
    let cases = [
        ("", "  not-after=END"),
        (" not-after=2020-01-31", " not-after=2020-01-31"),
        (" not-after=2999-01-31 audience=not-after=1", " not-after=END audience=not-after=1"),
        (" audience=x  not-after=2999-01-31", " audience=x  not-after=END"),
    ];
    for (options, expected) in cases {
        for (ending, rest) in [("", ""), ("\n", ""), (" \r\n", ""), ("\n\n# end", "\n# end")] {
            let home = Home::with_keys(&format!("\u{feff}{KEY}{options}{ending}"));
            let ran = home.run("keys rotate not-after=2999", "");
            assert_eq!(ran.code, Some(0), "{options:?}: {}", ran.err);
            let end = fields(&ran.out)[0].last().copied().unwrap();
            let text = home.ring_text();
            let mut lines = text.lines();
            let old = format!("\u{feff}{KEY}{}", expected.replace("END", end));
            assert_eq!(lines.next().map(str::trim_end), Some(&old[..]));
            assert!(lines.next().unwrap().starts_with("not-after=2999-2  hex:"), "{text:?}");
            assert_eq!(lines.collect::<Vec<_>>().join("\n"), rest);
            assert_eq!(home.run("keys check", "").code, Some(0), "{text:?}");
        }
    }
}

#[test]
fn both_keys_are_taken_while_the_overlap_lasts_and_then_the_new_one_alone() {
    for dialect in ["countersign/1", "raw"] {
        let options = format!("dialects={dialect}");
        let home = Home::with_keys(&format!("gate  text:sixteen-bytes-and-more  {options}\n"));
        let old = home.write("old", home.ring_text());
        home.run("keys rotate gate --overlap 1h", "");
        let lets_in = |id: &str| {
            let server = home.serve(&format!("serve --service echo --dialect {dialect}"));
            let keys = if id == "gate" { old.clone() } else { home.ring() };
            let keys = format!("--key {id} --keys {}", keys.display());
            let line = format!("connect {} --dialect {dialect} {keys}", server.address());
            home.run(&line, "a\n").code
        };
        assert_eq!((lets_in("gate"), lets_in("gate-2")), (Some(0), Some(0)), "{dialect}");
        let ran = home.run("keys rotate gate --overlap 0s", "");
        assert!(ran.out.starts_with("gate ") && ran.out.contains(" expired at 20"), "{}", ran.out);
        assert!(
            ran.err.contains(" to everyone who holds gate, to replace its line; gate is no"),
            "{}",
            ran.err
        );
        assert_eq!((lets_in("gate"), lets_in("gate-2")), (Some(77), Some(0)), "{dialect}");
        home.run(&format!("connect 127.0.0.1:1 --key gate --dialect {dialect}"), "")
            .failed(78, &["the key gate is not yet valid or has expired; change its not-before"]);
    }
}

#[test]
fn a_ring_whose_keys_have_all_run_out_serves_nobody() {
    let home = Home::with_keys("gate  text:sixteen-bytes-and-more  not-after=2020-01-01\n");
    home.run("serve --dialect countersign/1", "")
        .failed(78, &["no key for countersign/1 is valid now", "countersign keygen"]);
}

#[test]
fn what_can_not_be_rotated_stays_as_it_is() {
    let home = Home::with_keys(RING);
    let cases = [
        ("shed", 78, "there is no key shed in the key file; `countersign keys list` shows its"),
        ("later", 2, "isn't valid before 2099-01-31T00:00:00Z; choose a longer --overlap"),
    ];
    for (id, code, said) in cases {
        home.run(&format!("keys rotate {id}"), "").failed(code, &[said]);
    }
    assert_eq!(home.ring_text(), RING);
}

#[test]
fn a_passphrase_is_one_key_at_both_ends() {
    let home = Home::with_keys("gate  passphrase:tulip-anvil-ferry-cocoa-plank  dialects=raw\n");
    let server = home.serve("serve --service echo --dialect raw");
    let connect = format!("connect {} --dialect raw", server.address());
    home.run(&connect, "a\n").printed("a\n");
    let other = home.write("other", home.ring_text().replace("gate", "gone"));
    home.run(&format!("{connect} --keys {}", other.display()), "a\n").failed(77, &[]);
}
