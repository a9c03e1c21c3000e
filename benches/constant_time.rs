//! Whether time tells something about a key: which ones are on the ring, and how much of a proof is
//! right (dudect: Reparaz, Balasch and Verbauwhede, 2017).
//!
//! `cargo bench --bench constant_time`, or with `-- --tsv`. A server in memory gets messages of two
//! kinds, in an order drawn by lot. A t-test (Welch's) says whether the times of both differ: above
//! 4.5 they do. The controls are servers that leak, by a step or by one byte, and must
//! be found: a test that finds nothing shows nothing.
//!
//! With `-- --play 0` or `1`, one message of the first or second kind of each row is played, and
//! nothing is timed; with `--play-controls`, so are the controls. For a tool that writes down each
//! instruction and address: `ci/constant-time trace`.
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

/// The keys on the server's ring where they have names, and where all are tried.
const NAMED: usize = 4;
const TRIED: usize = 8;

/// The fastest part of all times is looked at by itself too, for interruptions only add to a time.
const PARTS: [f64; 4] = [0.25, 0.5, 0.75, 0.9];

/// The samples from which it is taken what those parts are.
const FIRST: usize = 10_000;

/// The keys of most tests.
const EPOCH: u64 = 0;

fn key(id: &str, dialect: Dialect, epoch: u64) -> Key {
    let secret = format!("the secret of {id}, long enough, {epoch:016x}");
    Key::new(id, secret.as_bytes()).unwrap().with_dialect(dialect)
}

/// A server with `k00` and so on. Of another epoch are the keys themselves, and the decoy.
fn server(dialect: Dialect, keys: usize, epoch: u64) -> ServerConfig {
    let mut secrets = [1; 48];
    secrets[..8].copy_from_slice(&epoch.to_be_bytes());
    let mut ring = KeyRing::new(RingSecrets::new(secrets));
    for number in 0..keys {
        ring.add(key(&format!("k{number:02}"), dialect, epoch)).unwrap();
    }
    ServerConfig::builder(dialect).with_keys(ring).build().unwrap()
}

fn client(id: &str, dialect: Dialect, audience: &str) -> ClientConfig {
    let keys = KeyRing::new(RingSecrets::new([2; 48])).with(key(id, dialect, EPOCH)).unwrap();
    let config = ClientConfig::builder(dialect).with_keys(keys);
    if audience.is_empty() { config } else { config.with_audience(audience) }.build().unwrap()
}

/// A client's session, and what it says first.
fn begin(config: &ClientConfig) -> (SessionCore, Vec<u8>) {
    let mut session = SessionCore::client(config, Duration::ZERO, [3; 32]).unwrap();
    let mut call = Vec::new();
    session.next(config, Duration::ZERO, &mut &[][..], &mut call).unwrap();
    (session, call)
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

/// A server's session that waits for a proof, and the proofs of two clients.
fn expect_proof(
    server: &ServerConfig,
    clients: [&ClientConfig; 2],
    nonce: [u8; 32],
) -> (SessionCore, [Vec<u8>; 2]) {
    let mut waiting = SessionCore::server(server, nonce);
    let mut challenge = Vec::new();
    let mut begun = clients.map(begin);
    waiting.next(server, Duration::ZERO, &mut &begun[0].1[..], &mut challenge).unwrap();
    let mut proof = |at: usize| {
        let (session, said) = &mut begun[at];
        said.clear();
        session.next(clients[at], Duration::ZERO, &mut &challenge[..], said).map(drop).unwrap();
        said.clone()
    };
    let proofs = [proof(0), proof(1)];
    (waiting, proofs)
}

/// Copies one of two inputs of equal length. Both are read, and all is written alike, so that the
/// caches are the same for both.
fn choose(is_second: bool, inputs: [&[u8]; 2], place: &mut Vec<u8>) {
    assert_eq!(inputs[0].len(), inputs[1].len());
    let mask = black_box(u8::from(is_second).wrapping_neg());
    place.clear();
    place.extend(inputs[0].iter().zip(inputs[1]).map(|(one, other)| one ^ (mask & (one ^ other))));
}

/// Whether a server takes longer for the proof of one of two clients, after `spoil`.
fn proofs(
    mode: Mode,
    server: &ServerConfig,
    clients: [&ClientConfig; 2],
    spoil: impl Fn(bool, &mut [u8]),
    mut after: impl FnMut(bool),
) -> (f64, f64) {
    let mut out = Vec::with_capacity(1024);
    let mut place = Vec::with_capacity(1024);
    mode.compare(|kind, nonce| {
        let (mut session, mut proofs) = expect_proof(server, clients, nonce);
        for (kind, proof) in [false, true].into_iter().zip(&mut proofs) {
            spoil(kind, proof);
        }
        choose(kind, [&proofs[0], &proofs[1]], &mut place);
        out.clear();
        mode.nanos(|| {
            let verdict = session.next(server, Duration::ZERO, &mut &place[..], &mut out);
            black_box(verdict.is_ok());
            after(kind);
        })
    })
}

/// Makes a proof, the last part of what a client says, wrong in its first byte or in its last.
fn spoil(length: usize) -> impl Fn(bool, &mut [u8]) {
    move |is_first, said| {
        let at = said.len() - if is_first { length } else { 1 };
        // Digits stay digits.
        said[at] = if said[at] == b'0' { b'1' } else { b'0' };
    }
}

/// What is done with the two kinds of messages.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// So many of them are timed.
    Times(usize),
    /// One of the second kind is played if `is_second`, otherwise one of the first.
    Play { is_second: bool },
}

/// The table, and whether all of it was as expected.
struct Table {
    run: Run,
    mode: Mode,
    has_controls: bool,
    held: bool,
}

impl Table {
    /// Compares two kinds, and says whether they should differ: controls do.
    fn row(&mut self, what: &str, is_control: bool, compare: impl FnOnce(Mode) -> (f64, f64)) {
        if is_control && !self.has_controls {
            return;
        }
        let (t, nanos) = compare(self.mode);
        if let Mode::Play { .. } = self.mode {
            return;
        }
        let (rule, holds) = match is_control {
            false => (format!("< {QUIET}"), t < QUIET),
            true => (format!("> {LEAK}"), t > LEAK),
        };
        self.held &= holds;
        let cells = [&format!("{nanos:.1}"), &format!("{t:.2}"), &rule];
        self.run.row([what, cells[0], cells[1], cells[2], if holds { "yes" } else { "NO" }]);
    }

    /// A key that is on the ring beside another that a client may name.
    fn names(&mut self) {
        let call = |id, audience| begin(&client(id, Dialect::Countersign, audience)).1;
        let (known, unknown) = (call("k00", ""), call("k99", ""));
        let mut out = Vec::with_capacity(1024);
        let mut refused = |server: &ServerConfig, call: &[u8], nonce| {
            black_box(refuse(server, nonce, black_box(call), &mut out));
        };
        let pairs = [
            ("control: the same id twice", [&known, &known.clone()]),
            ("a known id, another known", [&known, &call("k03", "")]),
            ("a known id, an unknown one", [&known, &unknown]),
            // A call of another length takes another time, which is no secret: its sender knows it.
            ("an unknown id, not for it", [&call("k99", "x"), &call("k00", "x")]),
        ];
        for (what, pair) in pairs {
            self.row(what, false, |mode| {
                calls(mode, pair, |_, server, call, nonce| refused(server, call, nonce))
            });
        }
        self.row("control: sent away early", true, |mode| {
            calls(mode, [&known, &unknown], |is_second, server, call, nonce| {
                // As if the ring was asked first, and a stranger sent away.
                if !is_second {
                    refused(server, call, nonce);
                }
            })
        });
        let keyed = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        self.row("control: one hash less", true, |mode| {
            calls(mode, [&known, &unknown], |is_second, server, call, nonce| {
                refused(server, call, nonce);
                // As if one proof less was computed for a stranger.
                if !is_second {
                    let mut mac = keyed.clone();
                    mac.update(&black_box(nonce));
                    black_box(mac.finalize());
                }
            })
        });
    }

    /// Proofs that are wrong in the first byte or in the last, and by the first key or the last.
    fn proofs(&mut self, dialect: Dialect, keys: usize, length: usize) {
        let server = server(dialect, keys, EPOCH);
        let [first, last] = [0, keys - 1].map(|key| client(&format!("k{key:02}"), dialect, ""));
        self.row(&format!("{dialect}: which byte is wrong"), false, |mode| {
            proofs(mode, &server, [&first; 2], spoil(length), |_| {})
        });
        if dialect == Dialect::Countersign {
            return;
        }
        self.row(&format!("{dialect}: which key it is of"), false, |mode| {
            proofs(mode, &server, [&first, &last], |_, _| {}, |_| {})
        });
        // As if it was compared up to the first byte that differs.
        self.row("control: up to a difference", true, |mode| {
            proofs(mode, &server, [&first; 2], spoil(length), |is_first| {
                let compared = if is_first { 1 } else { length };
                for at in 0..compared {
                    black_box(at);
                }
            })
        });
    }
}

fn main() -> ExitCode {
    let run = Run::from_arguments();
    let mut arguments = std::env::args().skip_while(|argument| !argument.starts_with("--play"));
    let (play, kind) = (arguments.next(), arguments.next());
    let mode = match kind.filter(|_| play.is_some()) {
        // The last bit of 0 or 1, so that the trace is the same up to here.
        Some(kind) => Mode::Play { is_second: kind.as_bytes()[0] & 1 == 1 },
        None => Mode::Times(run.repeats() * if run.tiny { 2_000 } else { 200_000 }),
    };
    let has_controls = play.is_none_or(|play| play == "--play-controls");
    let mut table = Table { run, mode, has_controls, held: true };
    run.row(["what differs", "by ns", "|t|", "rule", "held"]);
    table.names();
    table.proofs(Dialect::Countersign, NAMED, 32);
    table.proofs(Dialect::Raw, TRIED, 32);
    table.proofs(Dialect::Hex, TRIED, 64);
    table.proofs(Dialect::Multiprocessing, TRIED, 32);
    if table.held || run.tiny { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a server takes longer for one of two calls. The keys are others each time: a processor
/// may take a nanosecond longer to hash one key than another, by the same instructions.
fn calls(
    mode: Mode,
    calls: [&Vec<u8>; 2],
    mut act: impl FnMut(bool, &ServerConfig, &[u8], [u8; 32]),
) -> (f64, f64) {
    let mut place = Vec::with_capacity(1024);
    let mut epoch = 0;
    mode.compare(|kind, nonce| {
        epoch += 1;
        let server = server(Dialect::Countersign, NAMED, epoch);
        choose(kind, calls.map(Vec::as_slice), &mut place);
        mode.nanos(|| act(kind, &server, &place, nonce))
    })
}

impl Mode {
    /// Has both kinds timed, for [`greatest_t`], or one played.
    fn compare(self, mut time: impl FnMut(bool, [u8; 32]) -> f64) -> (f64, f64) {
        match self {
            Self::Times(samples) => greatest_t(samples, time),
            Self::Play { is_second } => (time(is_second, [7; 32]), 0.0),
        }
    }

    /// The nanoseconds that something takes. Where it is played for its trace, the clock, whose
    /// trace is never the same, is not asked.
    fn nanos(self, what: impl FnOnce()) -> f64 {
        match self {
            Self::Times(_) => nanos(what),
            Self::Play { .. } => {
                what();
                0.0
            }
        }
    }
}

/// Has both kinds timed in an order drawn by lot; the greatest |t| of all times and of their parts,
/// and the difference of the means there, in nanoseconds.
fn greatest_t(samples: usize, mut time: impl FnMut(bool, [u8; 32]) -> f64) -> (f64, f64) {
    let mut lot = 0x9e37_79b9_7f4a_7c15_u64;
    let mut sample = || {
        lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let kind = lot >> 63 == 1;
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&lot.to_be_bytes());
        (kind, time(kind, nonce))
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
    let ts = tests.iter().map(|test| (test.t().abs(), test.difference().abs()));
    ts.fold((0.0, 0.0), |most, test| if test.0 > most.0 { test } else { most })
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

    /// The difference of the means.
    fn difference(&self) -> f64 {
        self.0[0].1 - self.0[1].1
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
