//! Headers of both versions, whole, cut, and such as are none.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2: what it is, how it came, and what stands behind the front.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn ip(address: &str) -> Option<PeerAddress> {
    Some(address.parse::<SocketAddr>().unwrap().into())
}

const IPV4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0x10, 0x68, 0x25, 0x37];

fn ipv6() -> Vec<u8> {
    let source = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    [&source[..], &[0; 15], &[1, 0x10, 0x68, 0x25, 0x37]].concat()
}

/// Headers, and where they say that the connection comes from.
fn headers() -> Vec<(Vec<u8>, Option<PeerAddress>)> {
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_MAX - 16));
    let six = "PROXY TCP6 2001:db8::7 2001:db8::1 4200 9527\r\n";
    let fields = [0x04, 0, 3, 0, 0, 0, 0xe0, 0, 2, 1, 2];
    vec![
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4200 9527\r\n".to_vec(), ip("192.0.2.7:4200")),
        (six.into(), ip("[2001:db8::7]:4200")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
        (longest.into(), None),
        (binary(0x21, 0x11, IPV4), ip("192.0.2.7:4200")),
        (binary(0x21, 0x11, &[IPV4, &fields].concat()), ip("192.0.2.7:4200")),
        (binary(0x21, 0x21, &ipv6()), ip("[2001:db8::7]:4200")),
        (binary(0x21, 0x31, &[b'x'; 216]), Some(PeerAddress::Unix)),
        (binary(0x21, 0x00, &[]), None),
        (binary(0x21, 0x00, &fields), None),
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, IPV4), None),
        (binary(0x20, 0xff, b"anything"), None),
        (binary(0x20, 0x00, &[0; HEADER_MAX - FRONT]), None),
    ]
}

#[test]
fn a_header_is_whole_with_its_last_byte_and_takes_nothing_behind_it() {
    for (header, source) in headers() {
        for cut in 0..header.len() {
            assert_eq!(
                ProxyHeader::read(&header[..cut]),
                ProxyHeader::Partial,
                "{cut} of {header:?}"
            );
        }
        let whole = ProxyHeader::Whole { length: header.len(), source };
        assert_eq!(ProxyHeader::read(&header), whole, "{}", header.escape_ascii());
        for behind in [b"PROXY ".to_vec(), vec![0; 2000], b"\r\n".to_vec()] {
            assert_eq!(ProxyHeader::read(&[&header[..], &behind].concat()), whole);
        }
    }
}

#[test]
fn the_first_byte_that_can_be_in_no_header_ends_it() {
    let too_long = format!("PROXY UNKNOWN {}", "f".repeat(LINE_MAX - 14));
    let length = binary(0x21, 0x11, &[0; HEADER_MAX - FRONT + 1]);
    let cases: &[&[u8]] = &[
        b"\0",
        b"G",
        b"p",
        b"PRO ",
        b"PROXY\t",
        b"PROXY TCP5",
        b"PROXY UD",
        b"PROXY TCP4\t",
        b"PROXY UNKNOWM",
        b"PROXY TCP4 \n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4200 9527\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4200 65536\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4200 9527 1\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 4200 9527\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 4200 9527\r\n",
        b"PROXY TCP4 \xff 10.0.0.1 4200 9527\r\n",
        b"PROXY UNKNOWN\n",
        too_long.as_bytes(),
        b"\r\n\r\n\r",
        b"\r\n\r\n\0\r\nQUIT\n\x11",
        b"\r\n\r\n\0\r\nQUIT\n\x22",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x22",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x32",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x41",
        &length[..FRONT],
        &binary(0x21, 0x11, &IPV4[1..]),
        &binary(0x21, 0x21, &ipv6()[1..]),
        &binary(0x21, 0x31, &[b'x'; 215]),
    ];
    for case in cases {
        let (_, before) = case.split_last().unwrap();
        assert_eq!(ProxyHeader::read(case), ProxyHeader::Malformed, "{}", case.escape_ascii());
        assert_eq!(ProxyHeader::read(before), ProxyHeader::Partial, "{}", before.escape_ascii());
    }
}

/// Streams that look like headers for a while, so that all branches are met.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let header = prop::sample::select(headers()).prop_map(|(header, _)| header);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let behind = prop::collection::vec(any::<u8>(), 0..64);
    let changed = (header, changes, behind).prop_map(|(mut header, changes, behind)| {
        for (place, byte) in changes {
            let place = place.index(header.len());
            header[place] = byte;
        }
        header.extend(behind);
        header
    });
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn what_was_decided_stays_so_whatever_follows_and_never_passes_the_bound(stream in streams()) {
        let mut decided = None;
        for end in 0..=stream.len() {
            let now = ProxyHeader::read(&stream[..end]);
            if let Some(before) = decided {
                prop_assert_eq!(now, before);
            } else if let ProxyHeader::Whole { length, .. } = now {
                prop_assert_eq!(length, end, "it is whole with its last byte");
                let most = if stream[0] == b'P' { LINE_MAX } else { HEADER_MAX };
                prop_assert!(length <= most);
            }
            if now != ProxyHeader::Partial {
                decided = Some(now);
            }
            prop_assert!(decided.is_some() || end < HEADER_MAX);
        }
    }
}
