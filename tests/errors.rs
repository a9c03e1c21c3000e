//! The texts of errors: each is one line in the middle of a sentence, and none is there twice.

use std::collections::BTreeSet;
use std::fmt::Display;

use countersign::config::ConfigError;
use countersign::session::SendError;
use countersign::{
    CloseReason, Dialect, ForeignProtocol, Framing, Refusal, RefusalCode, TellError,
};

fn check<E: Display>(errors: &[E]) {
    let mut texts = BTreeSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
        assert!(!text.ends_with('.'), "the caller ends the sentence: {text:?}");
        assert!(texts.insert(text.clone()), "two have the same text: {text:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_is_told_with_the_remedy() {
    let errors = [
        ConfigError::NoKeys(Dialect::Raw),
        ConfigError::OwnFraming(Framing::Lines),
        ConfigError::UnprotectedChunks,
        ConfigError::NoRecords(Dialect::Hex),
        ConfigError::NoAudience(Dialect::Open),
        ConfigError::AudienceTooLong,
        ConfigError::NoRaw(Dialect::Hex),
        ConfigError::NoRhel(Dialect::Raw),
        ConfigError::RhelAndMac,
        ConfigError::NoMac(Dialect::Countersign),
        ConfigError::MessageMax(0),
    ];
    check(&errors);
    for error in errors {
        assert!(error.to_string().contains("; "), "what is to be done? {error}");
    }
}

#[test]
fn what_a_peer_did_is_told_in_one_line() {
    let refusals: Vec<_> = CloseReason::ALL
        .iter()
        .filter_map(|reason| match reason {
            CloseReason::Refused(refusal) => Some(*refusal),
            _ => None,
        })
        .collect();
    assert!(refusals.len() > 10 && refusals.contains(&Refusal::WrongProof));
    check(&refusals);
    check(&[
        RefusalCode::Version,
        RefusalCode::Refused,
        RefusalCode::Busy,
        RefusalCode::Malformed,
        RefusalCode::TimedOut,
        RefusalCode::Other(9),
    ]);
    check(&[
        ForeignProtocol::Tls,
        ForeignProtocol::Http,
        ForeignProtocol::Proxy,
        ForeignProtocol::Multiprocessing,
        ForeignProtocol::Countersign,
        ForeignProtocol::Hex,
        ForeignProtocol::Raw,
        ForeignProtocol::Other,
    ]);
}

#[test]
fn what_was_not_sent_is_told_with_the_reason() {
    check(&[SendError::NotOpen, SendError::Unframeable, SendError::TooLong]);
    check(&[TellError::Gone, TellError::Full, TellError::TooLong, TellError::Unsendable]);
}

#[test]
fn a_word_that_is_no_dialect_is_told_with_those_that_are() {
    let error = "telnet".parse::<Dialect>().map(|_| ()).map_err(|error| error.to_string());
    let text = error.err().unwrap_or_default();
    for dialect in Dialect::ALL {
        assert!(text.contains(dialect.name()), "{text}: {dialect}");
    }
}
