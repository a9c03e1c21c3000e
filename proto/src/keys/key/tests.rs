use alloc::vec::Vec;

use super::*;

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

#[test]
fn hmac_sha256_is_that_of_rfc_4231() {
    let key = Key::new("case-2", b"Jefe").unwrap();
    let tag = key.sign(Mac::Sha256, b"what do ya want for nothing?");
    assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let key = Key::new("case-6", &[0xaa; 131]).unwrap();
    let tag = key.sign(Mac::Sha256, b"Test Using Larger Than Block-Size Key - Hash Key First");
    assert_eq!(hex(&tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

#[cfg(feature = "legacy-md5")]
#[test]
fn hmac_md5_is_that_of_rfc_2202() {
    let key = Key::new("case-2", b"Jefe").unwrap();
    let tag = key.sign(Mac::Md5, b"what do ya want for nothing?");
    assert_eq!(hex(&tag[..16]), "750c783e6ab0b503eaa86e310a5db738");
    assert_eq!(tag[16..], [0; 16]);
}

#[test]
fn the_prk_is_what_is_extracted_from_the_secret() {
    let prk = "5c6202c1a070b97805c8ca39afbd316d44ecf926204dd8a17797639bb746dba3";
    let prk = base16ct::lower::decode_vec(prk).unwrap();
    let secret: Vec<u8> = (0..32).collect();
    let key = Key::new("k1", &secret).unwrap();
    assert_eq!(key.prk()[..], prk);
}

#[test]
fn a_key_serves_countersign_alone_unless_it_names_its_dialects() {
    let key = |length| Key::new("key", &vec![1; length]).unwrap();
    let (raw, hex, python) = (Dialect::Raw, Dialect::Hex, Dialect::Multiprocessing);
    let both = vec![Dialect::Countersign, python];
    let cases = [
        (key(16), vec![Dialect::Countersign], true),
        (key(16).with_dialect(raw), vec![raw], true),
        (key(16).with_dialect(hex).with_dialect(raw), vec![raw, hex], true),
        (key(15), vec![], false),
        (key(15).with_dialect(raw), vec![raw], true),
        (key(15).with_dialect(raw).with_dialect(Dialect::Countersign), vec![raw], false),
        (key(15).with_dialect(python), vec![python], true),
        (key(16).with_dialect(python).with_dialect(Dialect::Countersign), both, true),
        (key(16).with_dialect(python).with_dialect(raw), vec![], false),
        (key(16).with_dialect(hex).with_dialect(python), vec![], false),
    ];
    for (key, dialects, fits) in cases {
        assert_eq!(key.dialects().collect::<Vec<_>>(), dialects);
        assert_eq!(key.check().is_ok(), fits, "{dialects:?}");
    }
}

#[test]
fn a_key_tells_when_it_is_valid() {
    let [from, until] = [Duration::from_secs(1), Duration::from_nanos(2_000_000_001)];
    let key = Key::new("key", b"sixteen bytes or more").unwrap();
    assert_eq!((key.not_before(), key.not_after()), (None, None));
    let key = key.with_not_before(from).with_not_after(until);
    assert_eq!((key.not_before(), key.not_after()), (Some(from), Some(until)));
}

#[test]
fn each_mac_has_its_name_and_length() {
    assert_eq!((Mac::Sha256.name(), Mac::Sha256.length()), ("sha256", 32));
    #[cfg(feature = "legacy-md5")]
    assert_eq!((Mac::Md5.name(), Mac::Md5.length()), ("md5", 16));
}

#[test]
fn a_proof_of_another_length_is_wrong() {
    let key = Key::new("key", b"secret").unwrap();
    let tag = key.sign(Mac::Sha256, b"challenge");
    assert!(key.verifies(Mac::Sha256, b"challenge", &tag));
    assert!(!key.verifies(Mac::Sha256, b"challenge", &tag[..31]));
    assert!(!key.verifies(Mac::Sha256, b"challenge", &[&tag[..], b"\0"].concat()));
    assert!(!key.verifies(Mac::Sha256, b"challenge", b""));
}

#[test]
fn fingerprints_tell_keys_apart() {
    let fingerprint = |secret: &[u8]| Key::new("key", secret).unwrap().fingerprint();
    assert_eq!(fingerprint(b"secret").len(), 16);
    assert_ne!(fingerprint(b"secret"), fingerprint(b"secreu"));
    assert_eq!(fingerprint(b"secret"), fingerprint(b"secret\0"), "one key to an HMAC");
}

#[test]
fn a_key_lets_in_the_peers_of_an_older_one_for_the_same_audience() {
    let key = |audience: &str| {
        let key = Key::new("garden", b"sixteen bytes or more").unwrap();
        if audience.is_empty() { key } else { key.with_audience(audience).unwrap() }
    };
    for (old, new, expected) in [
        ("", "", true),
        ("sprinkler", "", true),
        ("sprinkler", "sprinkler", true),
        ("sprinkler", "lamp", false),
        ("", "lamp", false),
    ] {
        assert_eq!(key(old).lets_in_as(&key(new)), expected, "{old:?} {new:?}");
    }
    let others = [
        Key::new("garden", b"another sixteen bytes").unwrap(),
        Key::new("house", b"sixteen bytes or more").unwrap(),
    ];
    assert!(others.iter().all(|other| !key("").lets_in_as(other)));
}

#[test]
fn a_key_serves_a_dialect_that_it_names_however_often_it_does() {
    let key = Key::new("garden", b"sixteen bytes or more").unwrap();
    let key = key.with_dialect(Dialect::Raw).with_dialect(Dialect::Hex);
    let key = key.with_dialect(Dialect::Raw);
    let serves = Dialect::ALL.iter().filter(|dialect| key.serves(**dialect));
    assert_eq!(serves.collect::<Vec<_>>(), [&Dialect::Raw, &Dialect::Hex]);
}
