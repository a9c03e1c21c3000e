//! Known answers come from Python 3.12's `multiprocessing.connection`: `_create_response` with the
//! key `00 01 … 1f`.

use super::*;
use crate::config::client::ClientConfig;
use crate::config::server::ServerConfig;
use crate::handshake::multiprocessing::frame::scan;
use crate::keys::tests::ring_of;
use crate::partial_frame::{FrameStatus, Taken};
use crate::refusal::ForeignProtocol;

const NONCE: [u8; CHALLENGE] = *b"\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf\
                                  \xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc\xbd\xbe\xbf";

fn key() -> Key {
    let secret: Vec<u8> = (0..32).collect();
    Key::new("py", &secret).unwrap().with_dialect(Dialect::Multiprocessing)
}

fn config() -> ServerConfig {
    ServerConfig::builder(Dialect::Multiprocessing).with_keys(ring_of(1, [key()])).build().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// What is said, without its header.
fn said(out: &[u8]) -> &[u8] {
    let (header, message) = out.split_first_chunk::<4>().unwrap();
    assert_eq!(u32::from_be_bytes(*header) as usize, message.len());
    message
}

/// The answer to a challenge.
fn answered(config: &ServerConfig, challenge: &[u8]) -> Result<String, Refusal> {
    let (mut out, message) = (Vec::new(), [MARK, challenge].concat());
    answer(config, Role::Client, &key(), &message, &mut out).map(|()| hex(said(&out)))
}

/// Whether a proof is taken that answers our challenge.
fn verified(config: &ServerConfig, role: Role, proof: &[u8]) -> Result<(), Refusal> {
    let mut out = Vec::new();
    let key = verify(config, Duration::ZERO, role, &NONCE, proof, &mut out).map(Key::id);
    assert_eq!(key.map(|_| said(&out)), key.map(|_| WELCOME), "{out:?}");
    key.map(|id| assert_eq!(id, "py"))
}

fn decoded(digits: &str) -> Vec<u8> {
    base16ct::lower::decode_vec(digits).unwrap()
}

#[test]
fn a_challenge_is_sealed_by_its_side_and_answered_as_python_does() {
    let cases = [
        (
            Role::Server,
            "2525d1db57227413",
            "d759b2e37ef59fa765f5a7d6a1373c823db6dbaab7bace3da474f9c38efebe6e",
        ),
        (
            Role::Client,
            "e02f58e9827c6694",
            "9e550436f81ff6f053720915bcce2d9d9d6498e6f02a36650bb0b065d5eaa81a",
        ),
    ];
    for (role, seal, tag) in cases {
        let mut out = Vec::new();
        write_challenge(role, &NONCE, &mut out);
        let expected = [b"#CHALLENGE#{sha256}", &NONCE[..], &decoded(seal)].concat();
        assert_eq!(said(&out), expected);
        assert_eq!(said(&out).len(), 59);
        let proof = [SHA256, &decoded(tag)].concat();
        assert_eq!(verified(&config(), role, &proof), Ok(()));
        let (mut answer, other) = (Vec::new(), [Role::Client, Role::Server][role as usize]);
        super::answer(&config(), other, &key(), said(&out), &mut answer).unwrap();
        assert_eq!(said(&answer), proof);
        let reflected = super::answer(&config(), role, &key(), said(&out), &mut answer);
        assert_eq!(reflected, Err(Refusal::Reflected), "our own, from another connection");
    }
}

#[test]
fn what_is_longer_than_256_bytes_or_negative_is_judged_by_its_header() {
    let cases: [(i32, Result<FrameStatus, Refusal>); 8] = [
        (0, Ok(FrameStatus::Whole(4))),
        (3, Ok(FrameStatus::Whole(7))),
        (256, Ok(FrameStatus::Partial)),
        (257, Err(Refusal::MessageTooLong)),
        (i32::MAX, Err(Refusal::MessageTooLong)),
        (-1, Err(Refusal::BadLength)),
        (-2, Err(Refusal::BadLength)),
        (i32::MIN, Err(Refusal::BadLength)),
    ];
    for (length, expected) in cases {
        let bytes = [&length.to_be_bytes()[..], b"abc"].concat();
        assert_eq!(scan(Taken::default(), &bytes), expected, "{length}");
        let split = scan(bytes[..3].into(), &bytes[3..]);
        let left = expected.map(|extent| match extent {
            FrameStatus::Whole(length) => FrameStatus::Whole(length - 3),
            FrameStatus::Partial => FrameStatus::Partial,
        });
        assert_eq!(split, left, "{length}, cut");
        assert_eq!(scan(bytes[..2].into(), &bytes[2..3]), Ok(FrameStatus::Partial));
    }
    let strangers: [(&[u8], ForeignProtocol); 3] = [
        (b"\x16\x03\x01\x02\0\x01", ForeignProtocol::Tls),
        (b"GET / HTTP/1.1\r\n", ForeignProtocol::Http),
        (b"PROXY TCP4 192.0.2.1", ForeignProtocol::Proxy),
    ];
    for (bytes, opening) in strangers {
        assert_eq!(scan(Taken::default(), bytes), Err(Refusal::Foreign(opening)));
    }
}

#[test]
fn a_challenge_without_the_right_name_is_answered_where_that_was_asked_for_alone() {
    use Refusal::{Malformed, OtherDigest};
    let numbers: Vec<u8> = (0..20).collect();
    let in_disguise = [SHA256, &[0; 12]].concat();
    let cases: [(&[u8], Refusal); 12] = [
        (&numbers, OtherDigest),
        (&in_disguise, OtherDigest),
        (&numbers[..19], Malformed),
        (&numbers[..16], Malformed),
        (b"{sha256}", Malformed),
        (b"", Malformed),
        (b"{md5}and-enough-bytes-of-it", OtherDigest),
        (b"{sha384}and-enough-bytes-of-it", OtherDigest),
        (b"{sha3_256}and-enough-bytes-of-it", OtherDigest),
        (b"{sha256and-enough-bytes-of-it", Malformed),
        (b"{sha256 }-and-enough-bytes", OtherDigest),
        (b"no name, and enough bytes", Malformed),
    ];
    for (challenge, refusal) in cases {
        assert_eq!(answered(&config(), challenge), Err(refusal), "{}", challenge.escape_ascii());
    }
    let mut out = Vec::new();
    let unmarked = answer(&config(), Role::Client, &key(), &[SHA256, &[1; 40]].concat(), &mut out);
    assert_eq!((unmarked, &out[..]), (Err(Malformed), &b""[..]));
    let rhel = config().to_builder().with_rhel().build().unwrap();
    let tag = "0cd438c0f4f44637ddeba146b3b3a5f8b001fa08df58015ae8c37c942f929fba";
    assert_eq!(answered(&rhel, &numbers).as_deref(), Ok(tag));
    assert_eq!(answered(&rhel, b"{md5}and-enough-bytes-of-it"), Err(OtherDigest));
}

#[cfg(feature = "legacy-md5")]
#[test]
fn md5_is_given_and_taken_where_it_was_asked_for() {
    let numbers: Vec<u8> = (0..20).collect();
    let md5 = config().to_builder().with_mac(Mac::Md5).build().unwrap();
    let named = [MD5, &[0; 30]].concat();
    let cases: [(&[u8], &str); 3] = [
        (&numbers, "7e57151ba744ee63c52e1497fbef19d0"),
        (&[SHA256, &[0; 12]].concat(), "0fb644fcfbae0a6c8911b58300b6a8a7"),
        (&named, "cca3580916817064ba2575a687f0e518"),
    ];
    for (challenge, tag) in cases {
        assert_eq!(answered(&md5, challenge).as_deref(), Ok(tag));
    }
    let others = answered(&md5, b"{sha384}and-enough-bytes-of-it");
    assert_eq!(others, Err(Refusal::OtherDigest), "MD5 stands in for no digest with a name");
    let proof = decoded("60b3fb65b53d5e60e1957faa3ba3ffb6");
    assert_eq!(verified(&md5, Role::Server, &proof), Ok(()));
    assert_eq!(verified(&config(), Role::Server, &proof), Err(Refusal::OtherDigest));
    let named = [MD5, &proof].concat();
    assert_eq!(verified(&md5, Role::Server, &named), Err(Refusal::OtherDigest));
    let rhel = config().to_builder().with_rhel().build().unwrap();
    assert_eq!(verified(&rhel, Role::Server, &proof), Err(Refusal::OtherDigest));
}

#[test]
fn a_proof_has_one_form_and_that_of_red_hat_on_request() {
    use Refusal::{Malformed, OtherDigest, WrongProof};
    let tag = key().sign(Mac::Sha256, &challenge_text(Role::Server, &NONCE));
    let right = [SHA256, &tag].concat();
    let mut wrong = right.clone();
    wrong[39] ^= 1;
    let cases: [(&[u8], Refusal); 11] = [
        (&wrong, WrongProof),
        (&right[..39], Malformed),
        (&[&right[..], b"x"].concat(), Malformed),
        (&tag, OtherDigest),
        (&tag[..31], Malformed),
        (&tag[..16], OtherDigest),
        (&right[..20], OtherDigest),
        (&[b"{sha384}", &tag[..]].concat(), OtherDigest),
        (&[b"{SHA256}", &tag[..]].concat(), OtherDigest),
        (b"#WELCOME#", Malformed),
        (b"", Malformed),
    ];
    for (proof, refusal) in cases {
        let verified = verified(&config(), Role::Server, proof);
        assert_eq!(verified, Err(refusal), "{}", proof.escape_ascii());
    }
    let rhel = config().to_builder().with_rhel().build().unwrap();
    assert_eq!(verified(&rhel, Role::Server, &tag), Ok(()));
    assert_eq!(verified(&rhel, Role::Server, &right), Ok(()));
    assert_eq!(verified(&rhel, Role::Server, &wrong[8..]), Err(WrongProof));
}

#[test]
fn a_server_tries_every_key_and_a_client_means_one() {
    let mut ring = ring_of(1, []);
    for id in ["a", "b", "c"] {
        let key = Key::new(id, id.as_bytes()).unwrap();
        ring.add(key.with_dialect(Dialect::Multiprocessing)).unwrap();
    }
    let config = ClientConfig::builder(Dialect::Multiprocessing)
        .with_keys(ring)
        .with_key("b")
        .build()
        .unwrap();
    for id in ["a", "b", "c"] {
        let proof = |role| {
            let tag = config
                .keys()
                .unwrap()
                .key(id)
                .unwrap()
                .sign(Mac::Sha256, &challenge_text(role, &NONCE));
            [SHA256, &tag].concat()
        };
        let verify = |role| {
            verify(&config, Duration::ZERO, role, &NONCE, &proof(role), &mut Vec::new())
                .map(Key::id)
                .ok()
        };
        assert_eq!(verify(Role::Server), Some(id));
        assert_eq!(verify(Role::Client), Some(id).filter(|id| *id == "b"));
    }
}
