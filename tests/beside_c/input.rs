//! What an end receives: mostly right, as from a peer that holds the key and keeps to little else;
//! then damaged in some cases, and cut anywhere.

use std::time::Duration;

use countersign::Protection;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::forger::{Forger, frame};
use crate::random::Random;
use crate::records;
use crate::setup::Setup;

const MAGIC: &[u8] = b"\x9ecsgn/1\n";
const SEALING: &[u8] = &[0, 1, 0, 1, 1];

/// The most bytes where there may be no records: a line is not longer than any limit.
const PLAIN_MAX: usize = 900;

/// A stream for this end.
pub(crate) fn draw(random: &mut Random, setup: &Setup) -> Vec<u8> {
    let mut stream = match (setup.is_raw, setup.is_server) {
        (true, _) => raw(random, setup),
        (false, true) => to_server(random, setup),
        (false, false) => to_client(random, setup),
    };
    if random.percent(40) {
        for _ in 0..=random.below(3) {
            damage(random, &mut stream);
        }
    }
    if matches!(setup.protection, Protection::Off | Protection::Allowed) {
        stream.truncate(PLAIN_MAX);
    }
    stream
}

/// Where a stream of this length is cut: the lengths of its pieces.
pub(crate) fn cut(random: &mut Random, mut left: usize) -> Vec<usize> {
    let most = random.pick(&[1, 5, 40, 300, usize::MAX]);
    let mut lengths = Vec::new();
    while left > 0 {
        let is_last = most == usize::MAX || lengths.len() == 150;
        let length = if is_last { left } else { left.min(1 + random.below(most)) };
        lengths.push(length);
        left -= length;
    }
    lengths
}

fn damage(random: &mut Random, stream: &mut Vec<u8>) {
    if stream.is_empty() {
        return;
    }
    let at = random.below(stream.len());
    let end = (at + 1 + random.below(60)).min(stream.len());
    match random.below(7) {
        0 | 1 => stream[at] ^= 1 << random.below(8),
        2 => stream[at] = random.pick(&[0, 1, 0x10, 0x14, 0x7f, 0x80, 0xff]),
        3 => stream.insert(at, random.byte()),
        4 => drop(stream.drain(at..end)),
        5 => {
            let again = stream[at..end].to_vec();
            stream.splice(end..end, again);
        }
        _ => stream.truncate(at),
    }
}

fn text(random: &mut Random) -> Vec<u8> {
    let lines = (0..random.below(5)).map(|_| {
        let length = random.below(30);
        let mut line = random.bytes(length);
        line.extend_from_slice(random.pick(&[&b"\n"[..], b"\r\n", b"\n\n", b""]));
        line
    });
    lines.collect::<Vec<_>>().concat()
}

fn raw(random: &mut Random, setup: &Setup) -> Vec<u8> {
    let mut stream = if setup.is_server {
        let (_, secret) = random.pick(&setup.keys);
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(&setup.random);
        mac.finalize().into_bytes().to_vec()
    } else {
        let python = b"\0\0\0\x3b#CHALLENGE#";
        let front = if random.percent(10) { &python[..] } else { &[] };
        [front, &random.bytes(32 - front.len())].concat()
    };
    stream.extend(text(random));
    stream
}

/// The length of a field, rarely a wrong one.
fn length(random: &mut Random, right: usize) -> usize {
    if random.percent(1) { right.wrapping_add(random.below(3)).wrapping_sub(1) } else { right }
}

fn record_max(random: &mut Random) -> [u8; 4] {
    let usual = [1024, 1025, 4096, 16_384, 0x00ff_ffff, 0x0100_0000, u32::MAX];
    let value = match random.below(150) {
        0 => 1023,
        1 => 0,
        2 => random.word(),
        _ => random.pick(&usual),
    };
    value.to_be_bytes()
}

fn extensions(random: &mut Random, may_seal: bool) -> Vec<u8> {
    let mut list = Vec::new();
    let count = if random.percent(80) { 0 } else { random.below(4) };
    if may_seal {
        let suites = match random.below(20) {
            0 => vec![],
            1 => vec![2, 1],
            2 => vec![2],
            3 => vec![1, 1],
            _ => vec![1],
        };
        list.extend([0, 1, 0, u8::try_from(suites.len()).unwrap()]);
        list.extend(suites);
    }
    for _ in 0..count {
        let size = random.below(6);
        let said = u8::try_from(length(random, size) & 0xff).unwrap();
        list.extend([random.pick(&[0, 0, 0xff]), random.pick(&[1, 2, 3, 7]), 0, said]);
        list.extend(random.bytes(size));
    }
    if random.below(300) == 0 {
        list.push(0);
    }
    list
}

/// Bytes behind a length of one byte.
fn short(random: &mut Random, bytes: &[u8], body: &mut Vec<u8>) {
    body.push(u8::try_from(length(random, bytes.len()) & 0xff).unwrap());
    body.extend_from_slice(bytes);
}

/// Bytes behind a length of two bytes.
fn long(random: &mut Random, bytes: &[u8], body: &mut Vec<u8>) {
    let length = u16::try_from(length(random, bytes.len()) & 0xffff).unwrap();
    body.extend(length.to_be_bytes());
    body.extend_from_slice(bytes);
}

fn name(random: &mut Random, known: &str) -> Vec<u8> {
    match random.below(60) {
        0 => b"stranger".to_vec(),
        1 => vec![],
        2 => vec![b'x'; 64],
        3 => vec![b'x'; 65],
        _ => known.as_bytes().to_vec(),
    }
}

/// A call, and the secret of the key that it names.
fn call(random: &mut Random, setup: &Setup) -> (Vec<u8>, Vec<u8>) {
    let (id, secret) = random.pick(&setup.keys);
    let audience = random.pick(&setup.audiences);
    let mut body = match random.below(40) {
        0 => random.bytes(2),
        1 => vec![0, random.byte()],
        _ => vec![1, 1],
    };
    let flags = match random.below(30) {
        0 => [0, 2],
        1..4 => [0, 0],
        4 => [0x80, 0xff],
        5..12 => [0, 1],
        _ => [0, 3],
    };
    body.extend(flags);
    body.extend(record_max(random));
    body.extend(random.bytes(32));
    body.extend(if random.percent(2) { setup.instance } else { random.array() });
    let (id, audience) = (name(random, &id), name(random, &audience));
    short(random, &id, &mut body);
    short(random, &audience, &mut body);
    let may_seal = flags[1] & 1 != 0
        && random.percent(if setup.protection == Protection::Sealed { 95 } else { 20 });
    let list = extensions(random, may_seal);
    long(random, &list, &mut body);
    ([MAGIC, &frame(1 + u8::from(random.percent(1)), &body)].concat(), secret)
}

fn to_server(random: &mut Random, setup: &Setup) -> Vec<u8> {
    let (mut stream, secret) = call(random, setup);
    // What the server answers is needed to prove anything.
    let (mut answer, mut scout) = (Vec::new(), setup.session());
    let heard = scout.process(Duration::ZERO, &mut &stream[..], &mut answer);
    if heard.is_err() || answer.len() < 32 + 62 {
        return stream;
    }
    let mut forger = Forger::new(&secret, &stream, &answer);
    stream.extend(&forger.confirm);
    let has_records = answer[32 + 7] == 1;
    stream.extend(match has_records || random.percent(5) {
        true => records::draw(random, &mut forger.to_server, setup.record_max),
        false => text(random),
    });
    stream
}

/// What a server says to this call: its nonce, and its hello without the proof.
fn answer(random: &mut Random, setup: &Setup) -> (Vec<u8>, bool) {
    let has_records = match setup.protection {
        Protection::Off => random.percent(3),
        Protection::Allowed => random.percent(50),
        _ => random.percent(97),
    };
    let mut body = vec![random.pick(&[1; 30]), 0, 0, u8::from(has_records)];
    if random.percent(4) {
        let at = random.below(4);
        body[at] = random.byte();
    }
    body.extend(record_max(random));
    body.extend(if random.percent(2) { setup.instance } else { random.array() });
    let seals = random.percent(if setup.protection == Protection::Sealed { 97 } else { 2 });
    let list = match random.below(20) {
        0 => extensions(random, seals),
        _ if seals => SEALING.to_vec(),
        _ => vec![],
    };
    long(random, &list, &mut body);
    let hello = frame(2, &[&body[..], &[0; 32]].concat());
    let unsigned = hello[..hello.len() - 32].to_vec();
    ([random.bytes(32), unsigned].concat(), has_records)
}

fn to_client(random: &mut Random, setup: &Setup) -> Vec<u8> {
    let (mut call, (_, secret)) = (Vec::new(), &setup.keys[0]);
    let mut scout = setup.session();
    let called = scout.process(Duration::ZERO, &mut &[][..], &mut call);
    assert!(called.is_ok_and(|event| event.is_none()));
    let (mut stream, has_records) = answer(random, setup);
    let refusal = frame(5, &[random.pick(&[1, 2, 3, 4, 5, 0, 6, 255])]);
    if random.percent(3) {
        return [&stream[..32], &refusal].concat();
    }
    let mut forger = Forger::new(secret, &call, &[&stream[..], &[0; 32]].concat());
    stream.extend(forger.server_proof);
    if random.percent(3) {
        return [stream, refusal].concat();
    }
    stream.extend(forger.to_client.record(4, &[u8::from(random.percent(2))]));
    stream.extend(match has_records || random.percent(5) {
        true => records::draw(random, &mut forger.to_client, setup.record_max),
        false => text(random),
    });
    stream
}
