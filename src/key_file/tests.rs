//! Whole key files.

use std::time::Duration;

use countersign_proto::{Dialect, Key, KeyRing};

use crate::key_file::KeyRingExt as _;
use crate::os_error::chain;

#[test]
fn a_file_with_every_nicety_is_read() {
    let text = "\u{feff}# keys\r\n\r\n  one\ttext:芝麻开门 dialects=raw\r\n\
                two hex:00ff00FF00ff00ff00ff00ff00ff00ff\n\
                three base64:AAECAwQFBgcICQoLDA0ODw== dialects=hex,raw";
    let ring = KeyRing::parse(text.as_bytes()).unwrap();
    assert_eq!(ring.to_string(), "one, two, three");
    let serving = |dialect| ring.serving(dialect, Duration::ZERO).map(Key::id).collect::<Vec<_>>();
    assert_eq!(serving(Dialect::Raw), ["one", "three"]);
    assert_eq!(serving(Dialect::Hex), ["three"]);
    assert_eq!(serving(Dialect::Open), [""; 0]);
    assert!(ring.key("one").unwrap().is_short());
    assert!(!ring.key("two").unwrap().is_short());
}

#[test]
fn at_most_eight_keys_serve_a_dialect_that_tries_each() {
    let line = |n| format!("k{n} text:secret-{n} dialects=raw not-after=200{n}-01-01\n");
    let eight: String = (0..8).map(line).collect();
    assert!(KeyRing::parse(eight.as_bytes()).is_ok());
    let nine: String = (0..9).map(line).collect();
    let error = chain(&KeyRing::parse(nine.as_bytes()).unwrap_err());
    assert!(error.starts_with("line 9: more than 8 keys are for raw"), "{error}");
    let named: String = (0..99).map(|n| format!("k{n} text:sixteen-bytes-{n:04}\n")).collect();
    assert!(KeyRing::parse(named.as_bytes()).is_ok());
}
