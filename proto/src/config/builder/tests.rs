use core::time::Duration;

use super::*;
use crate::keys::key::Key;
use crate::keys::tests::ring_of;

fn server(dialect: Dialect) -> ConfigBuilder<ServerConfig> {
    ServerConfig::builder(dialect).with_keys(ring_of(1, []))
}

#[test]
fn what_cannot_be_combined_cannot_be_built() {
    use Dialect::{Countersign, Hex, Multiprocessing, Open, Raw};

    let long = "a".repeat(65);
    let cases = [
        (ServerConfig::builder(Raw), ConfigError::NoKeys(Raw)),
        (
            server(Multiprocessing).with_framing(Framing::Lines),
            ConfigError::OwnFraming(Framing::Lines),
        ),
        (
            server(Countersign).with_framing(Framing::Chunks).with_records(Protection::Allowed),
            ConfigError::UnprotectedChunks,
        ),
        (server(Raw).with_records(Protection::Required), ConfigError::NoRecords(Raw)),
        (server(Hex).with_records(Protection::Off), ConfigError::NoRecords(Hex)),
        (server(Open).with_audience("time"), ConfigError::NoAudience(Open)),
        (server(Countersign).with_audience(&long), ConfigError::AudienceTooLong),
        (server(Hex).with_raw(), ConfigError::NoRaw(Hex)),
        (server(Raw).with_rhel(), ConfigError::NoRhel(Raw)),
        (server(Raw).with_message_max(0), ConfigError::MessageMax(0)),
        (server(Raw).with_message_max((1 << 30) + 1), ConfigError::MessageMax((1 << 30) + 1)),
    ];
    for (builder, error) in cases {
        assert_eq!(builder.build().unwrap_err(), error);
    }
}

#[cfg(feature = "legacy-md5")]
#[test]
fn md5_is_for_dialects_that_name_no_hash() {
    use Dialect::{Countersign, Hex, Multiprocessing, Open, Raw};

    let md5 = |dialect| server(dialect).with_mac(Mac::Md5);
    for dialect in [Raw, Hex, Multiprocessing] {
        assert_eq!(md5(dialect).build().unwrap().mac(), Mac::Md5);
    }
    assert!(md5(Countersign).with_raw().build().is_ok());
    for dialect in [Countersign, Open] {
        assert_eq!(md5(dialect).build().unwrap_err(), ConfigError::NoMac(dialect));
    }
    assert_eq!(md5(Multiprocessing).with_rhel().build().unwrap_err(), ConfigError::RhelAndMac);
}

#[test]
fn a_configuration_can_be_changed_by_its_options() {
    let countersign = server(Dialect::Countersign).with_audience(&"a".repeat(64)).with_raw();
    let countersign = countersign.with_records(Protection::Allowed).build().unwrap();
    let changed = countersign.to_builder().with_message_max(1 << 30).build().unwrap();
    assert!(changed.shares_raw() && changed.protection() == Protection::Allowed);
    let open = ServerConfig::open().to_builder().with_framing(Framing::Chunks).build().unwrap();
    assert!(open.framing() == Framing::Chunks && open.keys().is_none());
    assert!(open.with_keys(ring_of(1, [])).keys().is_none());
}

#[test]
fn a_new_ring_takes_the_numbers_of_the_old_one() {
    let key = || Key::new("garden", b"sixteen bytes or more").unwrap();
    let other = || Key::new("other", b"sixteen other bytes").unwrap();
    let old = ServerConfig::from(ring_of(1, [key()]));
    let new = old.with_keys(ring_of(2, [other(), key()]));
    let number = |config: &ServerConfig| config.keys().unwrap().key("garden").unwrap().number();
    assert_eq!(number(&old), number(&new));
}

#[test]
fn a_key_that_serves_nobody_is_told_of_with_the_reason() {
    let at = Duration::from_secs;
    let key = Key::new("garden", b"sixteen bytes or more").unwrap().with_not_after(at(9));
    let ring = ring_of(1, [key]);
    let said = |dialect, now: u64, id: &str| {
        let config = ClientConfig::builder(dialect).with_keys(ring.clone()).with_key(id);
        let error = config.build().unwrap().signing_key(at(now)).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    let cases = [
        (Dialect::Raw, "garden", "there is no key garden for raw; add a key"),
        (Dialect::Countersign, "shed", "there is no key shed for"),
        (Dialect::Countersign, "garden", "the key garden is not yet valid or has expired; change"),
    ];
    for (dialect, id, expected) in cases {
        let said = said(dialect, 9, id);
        assert!(said.starts_with(expected), "{said}");
    }
    let server = ServerConfig::from(ring.clone());
    let said_by_server = server.check_keys(at(9)).unwrap_err().to_string();
    assert!(said_by_server.starts_with("no key for countersign/1 is valid now"));
    assert_eq!(server.check_keys(at(8)), Ok(()));
    assert_eq!(said(Dialect::Countersign, 8, "garden"), "");
}

#[test]
fn a_frame_has_room_for_each_part_of_its_dialect() {
    use Dialect::{Countersign, Hex, Multiprocessing, Open, Raw};

    for (dialect, message_max, expected) in [
        (Countersign, 1, 1_028),
        (Countersign, 2_000, 2_020),
        (Multiprocessing, 1, 260),
        (Multiprocessing, 1_000, 1_012),
        (Raw, 1, 3),
        (Hex, 1_000, 1_002),
        (Open, 1_000, 1_002),
    ] {
        let config = server(dialect).with_message_max(message_max).build().unwrap();
        assert_eq!(config.frame_max(), expected, "{dialect} {message_max}");
    }
}
