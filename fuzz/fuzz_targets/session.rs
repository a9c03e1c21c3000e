//! A session of any dialect, at either end: what arrives is whatever the fuzzer writes, with the
//! proofs and tags of a peer that holds the key, or of one that doesn't.
#![no_main]

use countersign::{Exchange, Framing};
use countersign_fuzz::{Choices, Heard, Observed, Setup, Signed, observe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Choices(data);
    let setup = Setup::read(&mut input);
    let signed = Signed::new(&setup, input.0);
    let play = |cut| setup.session().map(|session| observe(session, &signed.stream, cut));
    let (Some(whole), Some(cut)) = (play(0), play(setup.cut)) else { return };
    check(&setup, &signed, &whole);
    check(&setup, &signed, &cut);
    // A chunk is what one read returns.
    if setup.framing != Framing::Chunks || whole.opened() != Some(false) {
        assert_eq!(whole, cut, "cut as {}", setup.cut);
    } else if setup.exchange == Exchange::Many {
        let text = |observed: &Observed| observed.messages().collect::<Vec<_>>().concat();
        assert_eq!(text(&whole), text(&cut), "cut as {}", setup.cut);
    }
});

/// What is heard is heard behind a proof, and in records it is what the peer has sent.
fn check(setup: &Setup, signed: &Signed, observed: &Observed) {
    let opens = |heard: &Heard| matches!(heard, Heard::Open { .. });
    assert!(!observed.heard.iter().skip(1).any(opens), "it opens twice");
    let Some(is_protected) = observed.opened() else {
        assert!(observed.heard.is_empty(), "before a proof: {:?}", observed.heard);
        return;
    };
    assert!(signed.has_proof(), "it opens without a proof: {setup:?}");
    if is_protected {
        let mut sent = signed.messages.iter();
        let is_next = |message| sent.next().is_some_and(|sent| sent == message);
        assert!(observed.messages().all(is_next), "a message is forged");
        let is_over = observed.refusal.is_some() || observed.heard.contains(&Heard::End);
        assert!(is_over || sent.next().is_none(), "a message is lost");
    }
}
