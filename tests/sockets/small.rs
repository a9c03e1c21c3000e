//! Small limits: the same messages through buffers of any size, and a whole service in 256 KiB.

use std::time::Duration;

use countersign::services::Echo;
use countersign::session::Event;
use countersign::testing::{MemoryPeer, TestServer};
use countersign::{
    CloseReason, Dialect, Framing, Key, KeyRing, KeyRingExt as _, Limits, ListenerConfig,
    Protection, Server, ServerConfig, Session,
};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use crate::both_ends::BothEnds;
use crate::common::{in_memory, other_end, speaking};

/// The longest message of these tests: more than a block, and than a record must take.
const MESSAGE_MAX: usize = 1_200;

/// Buffers from one byte to more than everything that is said.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![1..4_usize, 1..100_usize, 1..3_000_usize, Just(16 << 10)]
}

fn limits() -> impl Strategy<Value = Limits> {
    (sizes(), sizes()).prop_map(|(read_max, batch_max)| {
        let reply_max = MESSAGE_MAX + 64;
        Limits { read_max, batch_max, reply_max, ..Limits::small() }
    })
}

/// All dialects, with records and without.
fn ends() -> impl Strategy<Value = BothEnds> {
    let python = Key::new("key", b"sixteen bytes or more").unwrap();
    let python = KeyRing::from_key(python.with_dialect(Dialect::Multiprocessing)).unwrap();
    let plain = [Dialect::Countersign, Dialect::Raw, Dialect::Hex, Dialect::Open];
    let framings = [Framing::Lines, Framing::Length];
    let plain = plain
        .into_iter()
        .flat_map(move |dialect| framings.map(|framing| speaking(dialect).with_framing(framing)));
    let records = [Protection::Required, Protection::Sealed];
    let records = records.map(|protection| speaking(Dialect::Countersign).with_records(protection));
    let python = BothEnds::new(Dialect::Multiprocessing, python);
    let all: Vec<_> = plain.chain(records).chain([python]).collect();
    proptest::sample::select(all).prop_map(|ends| ends.with_message_max(MESSAGE_MAX))
}

/// What is said together: in records, a batch.
fn groups() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let byte = || prop_oneof![Just(b'a'), Just(0), Just(0xff)];
    let message = prop_oneof![9 => vec(byte(), 0..40), 1 => vec(byte(), 0..MESSAGE_MAX)];
    vec(vec(message, 1..12), 1..6)
}

/// A client that has authenticated, and its server.
struct Talk {
    server: TestServer<Echo>,
    peer: MemoryPeer,
    session: Session,
    heard: Vec<Vec<u8>>,
}

impl Talk {
    fn begin(ends: &BothEnds, limits: Limits) -> Self {
        let mut server = in_memory(ends, limits, Echo);
        let peer = server.connect();
        let mut session = Session::client(other_end(ends), Duration::ZERO, [7; 32]).unwrap();
        let mut out = Vec::new();
        while session.process(Duration::ZERO, &mut &*peer.take(), &mut out).unwrap().is_none() {
            server.send(&peer, &out);
            out.clear();
        }
        server.send(&peer, &out);
        Self { server, peer, session, heard: Vec::new() }
    }

    /// Takes what the server has written.
    fn hear(&mut self) {
        let (said, mut out) = (self.peer.take(), Vec::new());
        let mut input = &said[..];
        while let Some(event) = self.session.process(Duration::ZERO, &mut input, &mut out).unwrap()
        {
            if let Event::Message(message) = event {
                self.heard.push(message.bytes.to_vec());
            }
        }
        assert_eq!(out, b"", "a client answers nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn buffers_of_any_size_give_the_same_messages(
        ends in ends(),
        limits in limits(),
        groups in groups(),
        cuts in vec(1..2_000_usize, 1..6),
        rooms in vec(prop_oneof![Just(0), 0..500_usize, Just(usize::MAX)], 1..6),
    ) {
        let mut talk = Talk::begin(&ends, limits);
        let memory = talk.server.engine.memory_max();
        let mut said = Vec::new();
        for group in &groups {
            talk.session.send_all(group.iter().map(|message| &message[..]), &mut said).unwrap();
        }
        let (mut cuts, mut rooms) = (cuts.iter().cycle(), rooms.iter().cycle());
        while !said.is_empty() {
            let piece: Vec<u8> = said.drain(..(*cuts.next().unwrap()).min(said.len())).collect();
            talk.server.make_room(&talk.peer, *rooms.next().unwrap());
            talk.server.send(&talk.peer, &piece);
            let held = talk.server.engine.bytes_buffered();
            prop_assert!(held <= memory.buffered_per_connection, "{held} of {memory:?}");
            talk.hear();
        }
        talk.server.make_room(&talk.peer, usize::MAX);
        talk.hear();
        prop_assert_eq!(talk.heard, groups.concat());
        prop_assert_eq!(talk.server.engine.bytes_buffered(), 0);
        prop_assert_eq!(talk.server.engine.counters().open(), 1);
    }

    #[test]
    fn many_peers_keep_no_more_than_their_limits_say(
        ends in ends(),
        limits in limits(),
        buffered_max in 1..20_000_usize,
        steps in vec((0..8_usize, 0..1_500_usize, any::<u8>()), 1..60),
    ) {
        let limits = Limits { connections: 6, unauthenticated: 6, buffered_max, ..limits };
        let mut server = in_memory(&ends, limits, Echo);
        let memory = server.engine.memory_max();
        let mut peers: Vec<MemoryPeer> = Vec::new();
        for (number, length, byte) in steps {
            match peers.get(number) {
                Some(peer) if byte < 200 => server.send(peer, &vec![byte; length]),
                Some(peer) => server.make_room(peer, length),
                None => peers.push(server.connect()),
            }
            if number == 7 {
                server.pass(Duration::from_secs(1));
            }
            prop_assert!(server.engine.counters().open() <= 6);
            let held = server.engine.bytes_buffered();
            prop_assert!(held <= buffered_max.min(memory.buffered), "{held} of {memory:?}");
        }
        prop_assert_eq!(server.engine.counters().closed(CloseReason::Panicked), 0);
    }
}

/// The most memory of a server with small limits, and these.
fn small_server(message_max: usize, limits: Limits) -> usize {
    let ring = KeyRing::from_key(crate::common::key("sixteen bytes or more")).unwrap();
    let config = ServerConfig::builder(Dialect::Countersign).with_keys(ring);
    let config = config.with_message_max(message_max).build().unwrap();
    let listener = ListenerConfig::new(config).with_limits(limits).bind("127.0.0.1:0").unwrap();
    Server::new([listener], Echo).unwrap().memory_max().total
}

#[test]
fn a_whole_service_has_small_limits() {
    let small = small_server(4 << 10, Limits::small());
    println!("{small} bytes");
    assert!(small < 160 << 10, "{small} bytes with messages of 4 KiB");
    let small = small_server(64 << 10, Limits::small());
    assert!(small < 256 << 10, "{small} bytes with messages of 64 KiB");
}

// It says so for 64-bit pointers.
#[cfg(target_pointer_width = "64")]
#[test]
fn each_limit_costs_what_the_documentation_says() {
    /// The bytes of a block, which counts for 1,024.
    const BLOCK: usize = 992;
    let bound = |dialect, message_max, limits: Limits| {
        let ends = speaking(dialect).with_message_max(message_max);
        in_memory(&ends, limits, Echo).engine.memory_max()
    };
    let small = Limits::small;
    let (message_max, dialect) = (4 << 10, Dialect::Countersign);
    let before = bound(dialect, message_max, small());
    // Two buffers have room for what a session says by itself, and one for a message in one piece.
    let Limits { read_max, batch_max, reply_max, .. } = small();
    let buffers = read_max + batch_max + reply_max + 2 * (32 + 512) + message_max + 20;
    assert_eq!(before.fixed, buffers + 64 * 16 + 32 * 95);
    // A batch and the rest of a read, and what one visit can leave unsent.
    assert_eq!(before.buffered_per_connection, (5 + 2 + 6) * 1024);
    let costs = [
        // A limit, what it adds to `fixed`, and what to the bytes that are buffered.
        (Limits { failure_networks: 64 + 16, ..small() }, 16 * 16, 0),
        (Limits { unauthenticated: 32 + 10, ..small() }, 10 * 95, 0),
        (Limits { read_max: small().read_max + BLOCK, ..small() }, BLOCK, 1024),
        (Limits { batch_max: small().batch_max + BLOCK, ..small() }, BLOCK, 1024),
        (Limits { reply_max: small().reply_max + BLOCK, ..small() }, BLOCK, 1024),
        (Limits { buffered_max: small().buffered_max + 100, ..small() }, 0, 100),
    ];
    for (limits, fixed, buffered) in costs {
        let after = bound(dialect, message_max, limits.clone());
        assert_eq!(after.fixed - before.fixed, fixed, "{limits:?}");
        assert_eq!(after.buffered - before.buffered, buffered, "{limits:?}");
        assert_eq!(after.total - before.total, fixed + buffered, "{limits:?}");
        assert_eq!(after.per_connection, before.per_connection);
    }
    let longer = bound(dialect, message_max + BLOCK, small());
    assert_eq!((longer.fixed - before.fixed, longer.buffered - before.buffered), (BLOCK, 1024));
    let more = bound(dialect, message_max, Limits { connections: 65, ..small() });
    assert_eq!(more.total - before.total, before.per_connection);
    let aged = Limits { session_age_max: Some(Duration::from_secs(1)), ..small() };
    let aged = bound(dialect, message_max, aged);
    assert_eq!(aged.per_connection - before.per_connection, 12);
    // An entry with a socket in memory, its timer, two queues, and what blocked bytes come with.
    let open = bound(Dialect::Open, message_max, small());
    assert_eq!(open.per_connection, 252);
    // The keys of its session.
    assert_eq!(before.per_connection - open.per_connection, 560 - 264);
    // One connection can't buffer more than it may.
    let one = bound(dialect, message_max, Limits { connections: 1, ..small() });
    assert_eq!(one.buffered, one.buffered_per_connection);
    assert_eq!(before.buffered, small().buffered_max + before.buffered_per_connection);
}

#[test]
fn a_lowered_limit_leaves_what_was_read() {
    let limits = Limits { read_max: 4_000, batch_max: 1, ..Limits::small() };
    let mut server = in_memory(BothEnds::open(), limits.clone(), Echo);
    let peer = server.connect();
    peer.set_room(1);
    let said = b"line\n".repeat(700);
    server.send(&peer, &said);
    let id = server.engine.listeners()[0].id();
    server.engine.replace_limits(id, Limits { read_max: 1, ..limits }, server.now).unwrap();
    server.make_room(&peer, usize::MAX);
    assert_eq!(peer.written(), said);
}

#[test]
fn raised_limits_make_room_and_lowered_ones_keep_it() {
    let raised = [
        Limits { read_max: 4_000, ..Limits::small() },
        Limits { batch_max: 4_000, ..Limits::small() },
        Limits { reply_max: 8_000, ..Limits::small() },
    ];
    let mut server = in_memory(BothEnds::open(), Limits::small(), Echo);
    let id = server.engine.listeners()[0].id();
    let before = server.engine.memory_max();
    let now = server.now;
    for limits in raised {
        let mut server = in_memory(BothEnds::open(), Limits::small(), Echo);
        server.engine.replace_limits(id, limits.clone(), now).unwrap();
        let fresh = in_memory(BothEnds::open(), limits.clone(), Echo).engine.memory_max();
        assert_eq!(server.engine.memory_max(), fresh, "{limits:?}");
        server.engine.replace_limits(id, Limits::small(), now).unwrap();
        assert_eq!(server.engine.memory_max().fixed, fresh.fixed, "{limits:?}");
    }
    server.engine.replace_limits(id, Limits::small(), now).unwrap();
    assert_eq!(server.engine.memory_max(), before);
}
