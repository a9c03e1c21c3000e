//! The texts of errors: each is one line in the middle of a sentence, and none is there twice.
#![expect(clippy::expect_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Display;
use std::io;
use std::net::UdpSocket;

use countersign::config::ConfigError;
use countersign::session::SendError;
use countersign::{
    Address, AddressError, BindError, CloseReason, Dialect, ForeignProtocol, Framing, KeyRing,
    KeyRingExt as _, ListenerConfig, Refusal, RefusalCode, Server, ServerConfig, TellError,
    services,
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
    let mut refusals: Vec<_> = CloseReason::ALL
        .iter()
        .filter_map(|reason| match reason {
            CloseReason::Refused(refusal) => Some(*refusal),
            _ => None,
        })
        .collect();
    // A server counts it among the ends of streams.
    refusals.push(Refusal::Truncated);
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

#[test]
fn what_a_server_could_not_begin_with_is_told_with_its_cause() {
    let Err(no_key) = Server::bind("127.0.0.1:0", no_keys(), services::Echo) else {
        panic!("a server without a key");
    };
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let listener = ListenerConfig::new(no_keys()).with_socket(datagrams);
    let system = || io::Error::other("what the system says");
    let errors = [
        BindError::from(AddressError::Empty),
        BindError::Address(Address::Unix("/s".into()), system()),
        listener.bind("[::1%no-such-interface]:0").expect_err("there is no such interface"),
        BindError::Socket(system()),
        BindError::from(system()),
        no_key,
    ];
    let texts: BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
    // Both are about the address.
    assert_eq!(texts.len(), errors.len() - 1, "{texts:?}");
    let causes = errors.each_ref().map(|error| error.source().map(ToString::to_string));
    let is_system = |cause: &Option<String>| cause.as_deref() == Some("what the system says");
    assert_eq!(causes.iter().filter(|cause| is_system(cause)).count(), 3, "{causes:?}");
    assert_eq!(errors.iter().filter(|error| error.io_error().is_some()).count(), 3);
    assert_eq!(causes.last(), Some(&None), "the text of a key that is missing says it all");
}

fn no_keys() -> ServerConfig {
    let ring = KeyRing::empty().expect("random bytes");
    ServerConfig::builder(Dialect::Raw).with_keys(ring).build().expect("a configuration")
}

#[test]
fn a_socket_of_datagrams_is_no_listener() {
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let listener = ListenerConfig::new(ServerConfig::open()).with_socket(datagrams);
    let error = Server::new([listener], services::Echo).map(|_| ()).expect_err("not a stream");
    assert_eq!(error.to_string(), "cannot listen with the socket");
    assert!(error.source().is_some(), "{error:?}");
}
