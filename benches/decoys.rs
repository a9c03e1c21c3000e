//! Whether time tells a key that is on the ring from one that isn't (dudect: Reparaz, Balasch and
//! Verbauwhede, 2017).
//!
//! `cargo bench --bench decoys`, or with `-- --tsv`. A server in memory hears calls of two kinds,
//! in an order drawn by lot, each with a wrong proof. A t-test (Welch's) says whether the times
//! of the two kinds differ: above 4.5 they do. The controls answer a stranger early, by all of the
//! handshake or by one hash of it, and must be seen to: what can't be found isn't looked for.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/run.rs"]
mod run;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use countersign::session::SessionCore;
use countersign::{ClientConfig, Dialect, Key, KeyRing, Refusal, RingSecrets, ServerConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use run::Run;
use sha2::Sha256;

/// The most that |t| may be where time tells nothing, and the least where it does.
const QUIET: f64 = 4.5;
const LEAK: f64 = 10.0;

/// The keys on the server's ring.
const KEYS: usize = 32;

/// The fastest part of all times is looked at by itself too, for interruptions only add to a time.
const PARTS: [f64; 4] = [0.25, 0.5, 0.75, 0.9];

/// The samples from which it is taken what those parts are.
const FIRST: usize = 10_000;

fn ring(id: &str, secret: String, seed: u8) -> KeyRing {
    let key = Key::new(id, secret.as_bytes()).unwrap();
    KeyRing::new(RingSecrets::new([seed; 48])).with(key).unwrap()
}

fn secret(id: &str) -> String {
    format!("the secret of {id}, long enough")
}

fn server() -> ServerConfig {
    let mut keys = KeyRing::new(RingSecrets::new([1; 48]));
    for number in 0..KEYS {
        let id = format!("k{number:02}");
        keys.add(Key::new(&id, secret(&id).as_bytes()).unwrap()).unwrap();
    }
    ServerConfig::builder(Dialect::Countersign).with_keys(keys).build().unwrap()
}

/// A call of a client that has this key and means this service.
fn call(id: &str, audience: &str) -> Vec<u8> {
    let config = ClientConfig::builder(Dialect::Countersign).with_keys(ring(id, secret(id), 2));
    let config = config.with_audience(audience).build().unwrap();
    let mut call = Vec::new();
    let mut session = SessionCore::client(&config, Duration::ZERO, [3; 32]).unwrap();
    session.next(&config, Duration::ZERO, &mut &[][..], &mut call).unwrap();
    call
}

/// The server's part of a handshake that fails.
fn refuse(config: &ServerConfig, nonce: [u8; 32], call: &[u8], out: &mut Vec<u8>) -> Refusal {
    out.clear();
    let mut session = SessionCore::server(config, nonce);
    assert!(session.next(config, Duration::ZERO, &mut &call[..], out).unwrap().is_none());
    let mut confirm = [0x55; 36];
    confirm[..4].copy_from_slice(&[3, 0, 0, 32]);
    session.next(config, Duration::ZERO, &mut &confirm[..], out).unwrap_err()
}

fn main() -> ExitCode {
    let run = Run::from_arguments();
    let samples = run.repeats() * if run.tiny { 2_000 } else { 200_000 };
    let server = server();
    let known = call("k00", "");
    run.row(["a known key and", "|t|", "rule", "held"]);
    let mut held = true;
    let mut judge = |what: &str, t: f64, is_quiet: bool| {
        let (rule, holds) = match is_quiet {
            true => (format!("< {QUIET}"), t < QUIET),
            false => (format!("> {LEAK}"), t > LEAK),
        };
        held &= holds;
        run.row([what, &format!("{t:.2}"), &rule, if holds { "yes" } else { "NO" }]);
    };
    let mut out = Vec::with_capacity(1024);
    let others = [
        ("another, as well known", call("k31", "")),
        ("an unknown one", call("k99", "")),
        ("it, for another service", call("k00", "x")),
    ];
    let mut refused = |call: &[u8], nonce| {
        black_box(refuse(&server, nonce, black_box(call), &mut out));
    };
    for (what, other) in &others {
        // A call of another length takes another time, which is no secret: its sender knows it.
        let known = if other.len() == known.len() { &known } else { &call("k99", "x") };
        let t = greatest_t(samples, [known, other], &mut |_, call, nonce| refused(call, nonce));
        judge(what, t, true);
    }
    let calls = [&known[..], &others[1].1];
    let t = greatest_t(samples, calls, &mut |kind, call, nonce| {
        // As if the ring was asked first, and a stranger sent away.
        if !kind {
            refused(call, nonce);
        }
    });
    judge("control: sent away early", t, false);
    let keyed = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
    let t = greatest_t(samples, calls, &mut |kind, call, nonce| {
        refused(call, nonce);
        // As if one proof less was computed for a stranger.
        if !kind {
            let mut mac = keyed.clone();
            mac.update(&black_box(nonce));
            black_box(mac.finalize());
        }
    });
    judge("control: one hash less", t, false);
    if held || run.tiny { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Times both kinds in an order drawn by lot; the greatest |t| of all times and of their parts.
fn greatest_t(
    samples: usize,
    calls: [&[u8]; 2],
    act: &mut impl FnMut(bool, &[u8], [u8; 32]),
) -> f64 {
    let mut lot = 0x9e37_79b9_7f4a_7c15_u64;
    // Both lie in the same place, which has a time of its own.
    let mut place = Vec::with_capacity(1024);
    let mut sample = || {
        lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let kind = lot >> 63 == 1;
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&lot.to_be_bytes());
        place.clear();
        place.extend_from_slice(calls[usize::from(kind)]);
        (kind, nanos(|| act(kind, &place, nonce)))
    };
    let mut first: Vec<f64> = (0..FIRST.min(samples)).map(|_| sample().1).collect();
    first.sort_by(f64::total_cmp);
    let bounds = PARTS.map(|part| first[quantile(first.len(), part)]);
    let mut tests = [Welch::default(); PARTS.len() + 1];
    for _ in 0..samples {
        let (kind, time) = sample();
        for (test, bound) in tests.iter_mut().zip(bounds.into_iter().chain([f64::INFINITY])) {
            if time <= bound {
                test.add(kind, time);
            }
        }
    }
    tests.iter().map(|test| test.t().abs()).fold(0.0, f64::max)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is an index")]
fn quantile(count: usize, part: f64) -> usize {
    (count as f64 * part) as usize
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn nanos(what: impl FnOnce()) -> f64 {
    let began = Instant::now();
    what();
    began.elapsed().as_secs_f64() * 1e9
}

/// Count, mean and sum of squared differences from it, of either kind.
#[derive(Debug, Clone, Copy, Default)]
struct Welch([(f64, f64, f64); 2]);

impl Welch {
    fn add(&mut self, kind: bool, value: f64) {
        let (count, mean, squares) = &mut self.0[usize::from(kind)];
        *count += 1.0;
        let before = value - *mean;
        *mean += before / *count;
        *squares += before * (value - *mean);
    }

    /// The statistic; none differs from none by nothing.
    fn t(&self) -> f64 {
        let [(n, a, x), (m, b, y)] = self.0;
        if n < 2.0 || m < 2.0 {
            return 0.0;
        }
        let error = (x / (n - 1.0) / n + y / (m - 1.0) / m).sqrt();
        if error > 0.0 { (a - b) / error } else { 0.0 }
    }
}
