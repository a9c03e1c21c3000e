//! Key files: a line that can't be read is named, and its secret is not; what is read doesn't
//! depend on how lines end, on comments, or on the order of keys.
#![no_main]

use std::error::Error as _;

use countersign::{Key, KeyRing, KeyRingError, KeyRingExt as _};
use libfuzzer_sys::{Corpus, fuzz_target};

/// What no error says of itself. A secret with it is known wherever it occurs.
const MARK: char = '+';

fuzz_target!(|data: &[u8]| -> Corpus {
    // Each takes half a second to derive.
    if data.windows(11).any(|word| word == b"passphrase:") {
        return Corpus::Reject;
    }
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    match KeyRing::parse(data) {
        Ok(ring) => check_ring(&ring, lines),
        Err(error) => check_error(&error, &lines),
    }
    Corpus::Keep
});

fn check_ring(ring: &KeyRing, mut lines: Vec<&[u8]>) {
    let keys = lines.iter().filter(|line| !is_blank(line)).count();
    assert_eq!(ring.keys().count(), keys, "each line is a key");
    let mut expected = shown(ring);
    let ending = match lines.concat().len() % 3 {
        0 => &b"\r\n"[..],
        1 => b"\n\n# comment\n",
        // A byte order mark stands at the front of a file alone.
        _ if lines[0].starts_with(b"\xef\xbb\xbf") => b"\n",
        _ => {
            lines.reverse();
            expected.reverse();
            b"\n"
        }
    };
    let again = KeyRing::parse(&lines.join(ending)).expect("the same keys");
    assert_eq!(shown(&again), expected);
}

fn check_error(error: &KeyRingError, lines: &[&[u8]]) {
    let at = error.line().expect("a text has lines") - 1;
    let cause = error.source().expect("it has a cause").to_string();
    assert!(!cause.is_empty() && !cause.contains('\n'), "{cause:?}");
    let line = String::from_utf8_lossy(lines[at]);
    // Ids are named, even if somebody has written a secret there.
    let secret = line.split_whitespace().nth(1).and_then(|field| field.split_once(':'));
    let is_id = |secret: &str| lines.iter().any(|line| id(line).contains(secret));
    if let Some((_, secret)) = secret.filter(|(_, secret)| secret.contains(MARK)) {
        assert!(is_id(secret) || !cause.contains(secret), "{cause:?} has a secret");
    }
    let before = lines[..at].join(&b"\n"[..]);
    assert!(KeyRing::parse(&before).is_ok(), "an earlier line is at fault");
}

fn id(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

fn is_blank(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    text.is_empty() || text.starts_with('#')
}

/// All that can be known of the keys.
fn shown(ring: &KeyRing) -> Vec<String> {
    let fields = |key: &Key| {
        let dialects: Vec<_> = key.dialects().collect();
        let validity = (key.not_before(), key.not_after());
        format!("{} {} {dialects:?} {} {validity:?}", key.id(), key.fingerprint(), key.audience())
    };
    ring.keys().map(fields).collect()
}
