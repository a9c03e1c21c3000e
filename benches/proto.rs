//! What the protocol costs without a socket: a proof, its verification, a line.
//!
//! `cargo bench --bench proto`, or with `-- --tsv`. Beside each stands what can't be saved: the
//! HMAC alone, or a search for the line feeds alone.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/run.rs"]
mod run;
#[path = "common/spread.rs"]
mod spread;

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use countersign::session::{Event, SessionCore};
use countersign::{ClientConfig, Dialect, Key, KeyRing, KeyRingExt as _, ServerConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use run::Run;
use sha2::Sha256;
use spread::Spread;

const SECRET: &[u8] = b"sixteen bytes or more";
const NONCE: [u8; 32] = [7; 32];

fn main() {
    let run = Run::from_arguments();
    run.row(["what", "ns", "ns of the least", "ratio"]);
    let count = if run.tiny { 100 } else { 100_000 };
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    let hmac = || {
        let mut mac = keyed.clone();
        mac.update(&black_box(NONCE));
        black_box(mac.finalize());
    };
    for dialect in [Dialect::Raw, Dialect::Hex] {
        let key = Key::new("bench", SECRET).unwrap().with_dialect(dialect);
        let ring = KeyRing::from_key(key).unwrap();
        let client = ClientConfig::builder(dialect).with_keys(ring.clone()).build().unwrap();
        let server = ServerConfig::builder(dialect).with_keys(ring).build().unwrap();
        let mut proof = Vec::new();
        let mut prove = || {
            proof.clear();
            let mut session = SessionCore::client(&client, Duration::ZERO, NONCE).unwrap();
            session.next(&client, Duration::ZERO, &mut &black_box(NONCE)[..], &mut proof).unwrap();
        };
        compare(run, &format!("proof, {dialect}"), count, &mut prove, hmac);
        let mut out = Vec::new();
        let mut verify = || {
            out.clear();
            let mut session = SessionCore::server(&server, black_box(NONCE));
            let opened = session.next(&server, Duration::ZERO, &mut &proof[..], &mut out).unwrap();
            assert!(matches!(opened, Some(Event::Open(_))));
        };
        compare(run, &format!("verification, {dialect}"), count, &mut verify, hmac);
    }
    for length in [16, 64, 1024, 16_384] {
        line(run, length);
    }
}

/// A line of so many bytes, in a buffer of 64 KiB of them.
fn line(run: Run, length: usize) {
    let line = [vec![b'x'; length - 1], b"\n".to_vec()].concat();
    let lines = (64 << 10) / length;
    let buffer = line.repeat(lines);
    let config = ServerConfig::open();
    let mut session = SessionCore::server(&config, NONCE);
    session.next(&config, Duration::ZERO, &mut &[][..], &mut Vec::new()).unwrap();
    let mut count = 0;
    let next = || {
        let mut input = &black_box(&buffer)[..];
        while let Ok(Some(event)) =
            session.next(&config, Duration::ZERO, &mut input, &mut Vec::new())
        {
            count += 1;
            black_box(event);
        }
    };
    let search = || {
        for at in memchr::memchr_iter(b'\n', black_box(&buffer)) {
            black_box(at);
        }
    };
    let repeats = if run.tiny { 1 } else { 100 };
    let what = format!("line of {length} bytes");
    compare_each(run, &what, repeats, lines, next, search);
    assert_eq!(count % lines, 0, "every line is found");
}

fn compare(run: Run, what: &str, count: usize, ours: impl FnMut(), least: impl FnMut()) {
    compare_each(run, what, count, 1, ours, least);
}

/// Times both in turn, where each call does so many at once.
fn compare_each(
    run: Run,
    what: &str,
    count: usize,
    each: usize,
    mut ours: impl FnMut(),
    mut least: impl FnMut(),
) {
    let (mut here, mut there, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.repeats() {
        let (one, other) = (nanos(count, &mut ours), nanos(count, &mut least));
        here.push(one / each as f64);
        there.push(other / each as f64);
        ratios.push(one / other);
    }
    let [here, there, ratios] = [(here, 1), (there, 1), (ratios, 2)]
        .map(|(values, digits)| Spread::of(values).shown(digits));
    run.row([what, &here, &there, &ratios]);
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn nanos(count: usize, what: &mut impl FnMut()) -> f64 {
    let began = Instant::now();
    (0..count).for_each(|_| what());
    began.elapsed().as_secs_f64() * 1e9 / count as f64
}
