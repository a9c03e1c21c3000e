//! The load generator: what it counts, and that an open loop shows a stall that a closed one hides.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/both_ends.rs"]
mod both_ends;
#[path = "common/free_port.rs"]
mod free_port;
#[path = "common/progress.rs"]
mod progress;
#[path = "common/server_thread.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod server_thread;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use countersign::services::{Echo, Timestamp};
use countersign::{
    Dialect, Exchange, Framing, Key, KeyRing, KeyRingExt as _, Limits, Protection, Reply, Service,
};
use countersign_load::{
    Arrival, Disconnect, FailureKind, Load, LoadError, Plan, PlanError, Report,
};

use crate::both_ends::BothEnds;
use crate::free_port::free_address;
use crate::server_thread::ServerThread;

fn serve<S: Service + Send + 'static>(protocol: &BothEnds, service: S) -> ServerThread {
    let limits = Limits { connections: 500, ..Limits::default() };
    ServerThread::start(protocol.clone(), limits, service)
}

/// A ring of its own each time: whoever shares one with the server is the server itself.
fn keyed(dialect: Dialect, secret: &[u8]) -> BothEnds {
    let key = Key::new("key", secret).unwrap().with_dialect(dialect);
    BothEnds::new(dialect, KeyRing::from_key(key).unwrap())
}

fn run(address: SocketAddr, protocol: &BothEnds, plan: Plan) -> Report {
    let load = Load::new(address, protocol.clone(), plan).unwrap();
    load.run(|_| ControlFlow::Continue(())).unwrap()
}

/// Each dialect with each framing, and `countersign/1` also with plain messages.
fn all_that_is_spoken() -> Vec<(Dialect, Framing, Protection)> {
    let mut all = Vec::new();
    for framing in Framing::ALL.iter().copied() {
        all.extend(
            Dialect::ALL.iter().copied().map(|dialect| (dialect, framing, Protection::Required)),
        );
        if framing != Framing::Chunks {
            let plain = [Protection::Allowed, Protection::Off];
            all.extend(plain.map(|protection| (Dialect::Countersign, framing, protection)));
        }
    }
    all
}

#[test]
fn every_message_is_answered_in_every_dialect_framing_and_shape() {
    for spoken in all_that_is_spoken() {
        let (dialect, framing, protection) = spoken;
        let keyed = || keyed(dialect, b"sixteen bytes or more");
        let protocol = || match dialect {
            Dialect::Countersign => keyed().with_framing(framing).with_records(protection),
            // It has a framing of its own.
            Dialect::Multiprocessing => keyed(),
            _ => keyed().with_framing(framing),
        };
        let server = serve(&protocol(), Timestamp::utc());
        let depth = if framing == Framing::Chunks { 1 } else { 7 };
        let plan = Plan { connections: 5, depth, count: Some(1001), ..Plan::default() };
        for reconnect in [false, true] {
            let report = run(server.address, &protocol(), Plan { reconnect, ..plan.clone() });
            let counts = (report.answered, report.failed(), report.aborted);
            assert_eq!(counts, (1001, 0, 0), "{spoken:?} {reconnect}");
            assert_eq!(report.connected, if reconnect { 1001 } else { 5 });
            assert_eq!(report.reply.count(), 1001);
            assert_eq!(report.first_reply.count(), report.connected);
        }
    }
}

#[test]
fn records_take_the_bytes_that_they_take_and_no_more() {
    let sent = |protection| {
        let protocol = || {
            let keyed = keyed(Dialect::Countersign, b"sixteen bytes or more");
            keyed.with_framing(Framing::Length).with_records(protection)
        };
        let server = serve(&protocol(), Echo);
        let plan = Plan { connections: 1, size: 100, count: Some(50), ..Plan::default() };
        let report = run(server.address, &protocol(), plan);
        assert_eq!((report.answered, report.failed()), (50, 0));
        (report.bytes_out, report.bytes_in)
    };
    // A header of 4 bytes each, with a tag of 16; a close record is such a record too. It may be
    // sent before the report is made, or after.
    let (plain, plain_back) = sent(Protection::Off);
    let (records, records_back) = sent(Protection::Required);
    assert!([50 * 16, 50 * 16 + 20].contains(&(records - plain)), "{records} and {plain}");
    assert_eq!(records_back - plain_back, 50 * 16);
}

#[test]
fn a_load_that_ends_in_the_middle_of_a_message_has_not_finished() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let duration = Some(Duration::from_millis(300));
    let plan = Plan { connections: 1, depth: 1000, size: 50_000, duration, ..Plan::default() };
    let report = run(address, &BothEnds::open(), plan);
    assert_eq!(report.aborted, 1000);
    // A message that was cut would look whole if the stream ended in an orderly way.
    let ended = listener.accept().unwrap().0.read_to_end(&mut Vec::new());
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_load_with_the_servers_own_ring_is_refused_as_talking_to_oneself() {
    let protocol = keyed(Dialect::Countersign, b"sixteen bytes or more");
    let server = serve(&protocol, Echo);
    let plan = Plan { connections: 1, count: Some(3), ..Plan::default() };
    let report = run(server.address, &protocol, plan);
    assert_eq!(report.answered, 0);
    assert!(report.failed() > 0);
}

#[test]
fn the_longest_message_is_answered_though_the_stamp_makes_its_reply_longer() {
    for dialect in [Dialect::Countersign, Dialect::Open] {
        for framing in [Framing::Lines, Framing::Length] {
            let keyed = || keyed(dialect, b"sixteen bytes or more").with_framing(framing);
            let protocol = || keyed().with_message_max(2000);
            let server = serve(&protocol(), Timestamp::utc());
            let plan = Plan { size: 2000, count: Some(100), ..Plan::default() };
            let report = run(server.address, &protocol(), plan.clone());
            assert_eq!((report.answered, report.failed()), (100, 0), "{dialect} {framing}");
            let plan = Plan { size: 2001, ..plan };
            let error = Load::new(server.address, protocol(), plan).unwrap_err();
            assert!(matches!(error, LoadError::Plan(PlanError::Size(2000))), "{error}");
        }
    }
}

#[test]
fn a_message_that_the_server_takes_in_no_record_is_not_sent() {
    let protocol =
        || keyed(Dialect::Countersign, b"sixteen bytes or more").with_message_max(1 << 30);
    // By what the server says, and by what a record's length can tell.
    for (taken, size) in [(2000, 2001), (1 << 30, 17 << 20)] {
        let server = serve(&protocol().with_message_max(taken), Echo);
        let plan = Plan { connections: 1, depth: 2, size, count: Some(2), ..Plan::default() };
        let report = run(server.address, &protocol(), plan);
        assert_eq!((report.answered, report.failures(FailureKind::MessageTooLong) > 0), (0, true));
    }
}

#[test]
fn one_exchange_a_connection_is_loaded_by_connecting_anew() {
    for dialect in [Dialect::Countersign, Dialect::Open] {
        let protocol = || keyed(dialect, b"sixteen bytes or more").with_exchange(Exchange::Once);
        let server = serve(&protocol(), Echo);
        let plan = Plan { reconnect: true, count: Some(300), size: 1, ..Plan::default() };
        for disconnect in [Disconnect::Fin, Disconnect::Rst] {
            let report = run(server.address, &protocol(), Plan { disconnect, ..plan.clone() });
            assert_eq!((report.answered, report.failed()), (300, 0), "{dialect}");
        }
        let persistent = Plan::default();
        let error = Load::new(server.address, protocol(), persistent).unwrap_err();
        assert!(matches!(error, LoadError::Plan(PlanError::Once)), "{error}");
    }
}

#[test]
fn a_wrong_reply_is_counted_as_one() {
    let protocol = BothEnds::open();
    let mut count = 0;
    let sometimes_wrong = move |message: &[u8], reply: &mut Reply<'_>| {
        count += 1;
        if count % 10 == 0 { reply.message(b"what?") } else { reply.message(message) }
    };
    let server = serve(&protocol, sometimes_wrong);
    let plan = Plan { connections: 1, count: Some(100), ..Plan::default() };
    let report = run(server.address, &protocol, plan);
    assert_eq!((report.answered, report.failures(FailureKind::WrongReply)), (90, 10));
    assert_eq!(report.failed(), 10);
}

#[test]
fn an_unasked_reply_violates_the_protocol() {
    let protocol = BothEnds::open();
    let twice = |message: &[u8], reply: &mut Reply<'_>| {
        reply.message(message);
        reply.message(message);
    };
    let server = serve(&protocol, twice);
    let plan = Plan { connections: 1, count: Some(3), ..Plan::default() };
    let report = run(server.address, &protocol, plan);
    // The message is answered; the connection is not trusted any further.
    let lost: Vec<_> = report.connections_by_failure().filter(|(_, count)| *count > 0).collect();
    assert!(matches!(lost[..], [(FailureKind::Violation, 1..)]), "{report:?}");
    assert!(report.success_rate() < 1.0, "{report:?}");
}

#[test]
fn refusals_are_told_from_connections_that_do_not_come_about() {
    let plan = Plan { connections: 2, count: Some(10), ..Plan::default() };
    for dialect in [Dialect::Countersign, Dialect::Raw, Dialect::Hex] {
        let server = serve(&keyed(dialect, b"the key of the server"), Echo);
        let report = run(server.address, &keyed(dialect, b"another key than that"), plan.clone());
        assert_eq!(report.answered, 0, "{dialect}");
        assert!(report.failed() > 0, "{dialect}");
        assert_eq!(report.failures(FailureKind::Refused), report.failed(), "{dialect}");
    }

    // A server that has no use for records refuses after its nonce.
    let wrong = || keyed(Dialect::Countersign, b"another key than that");
    let server = serve(&wrong().with_records(Protection::Off), Echo);
    let report = run(server.address, &wrong(), plan.clone());
    assert_eq!((report.answered, report.failures(FailureKind::Refused)), (0, report.failed()));

    let wrong = wrong();
    let nobody = free_address();
    let report = run(nobody, &wrong, plan.clone());
    assert_eq!(
        (report.answered, report.failures(FailureKind::NobodyListens)),
        (0, report.failed())
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect_timeout = Duration::from_millis(1);
    let plan = Plan { connect_timeout, ..plan };
    let report = run(silent.local_addr().unwrap(), &wrong, plan);
    assert_eq!(report.failures(FailureKind::ConnectTimeout), report.failed());
}

#[test]
fn a_server_that_is_cut_off_behind_our_proof_has_not_refused_it() {
    // In countersign/1 a refusal is said; in raw nobody could tell it from this.
    for (dialect, failure) in
        [(Dialect::Countersign, FailureKind::Closed), (Dialect::Raw, FailureKind::Refused)]
    {
        let protocol = || keyed(dialect, b"sixteen bytes or more");
        let server = serve(&protocol(), Echo);
        let (wire, upstream) = (TcpListener::bind("127.0.0.1:0").unwrap(), server.address);
        let address = wire.local_addr().unwrap();
        thread::spawn(move || {
            // Up to the client's proof all is carried, and nothing that comes after it.
            for client in wire.incoming() {
                let (mut client, mut server) =
                    (client.unwrap(), TcpStream::connect(upstream).unwrap());
                let mut bytes = [0; 1024];
                if dialect == Dialect::Countersign {
                    let called = client.read(&mut bytes).unwrap();
                    server.write_all(&bytes[..called]).unwrap();
                }
                let length = server.read(&mut bytes).unwrap();
                client.write_all(&bytes[..length]).unwrap();
                let proved = client.read(&mut bytes).unwrap();
                assert!(proved > 0);
            }
        });
        let plan = Plan { connections: 1, count: Some(1), ..Plan::default() };
        let report = run(address, &protocol(), plan);
        assert_eq!(report.answered, 0, "{dialect}");
        assert!(report.failures(failure) > 0, "{dialect}");
        assert_eq!(report.failures(failure), report.failed(), "{dialect}");
    }
}

#[test]
fn an_open_loop_says_as_many_as_are_due_and_holds_idle_ones_beside() {
    let protocol = || keyed(Dialect::Countersign, b"sixteen bytes or more");
    let server = serve(&protocol(), Echo);
    for arrival in [Arrival::Constant(2000.0), Arrival::Poisson(2000.0), Arrival::Burst(2000.0, 50)]
    {
        let plan = Plan {
            connections: 3,
            idle: 100,
            depth: 100,
            count: Some(200),
            arrival,
            sources: vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()],
            ..Plan::default()
        };
        let report = run(server.address, &protocol(), plan);
        assert_eq!((report.answered, report.failed()), (200, 0), "{arrival:?}");
        assert!(report.elapsed >= Duration::from_millis(50), "{arrival:?} {:?}", report.elapsed);
    }
}

#[test]
fn several_loops_do_together_what_the_plan_says() {
    let protocol = || keyed(Dialect::Countersign, b"sixteen bytes or more");
    let server = serve(&protocol(), Echo);
    let arrivals = [Arrival::Closed, Arrival::Constant(9_000.0), Arrival::Burst(9_000.0, 50)];
    for arrival in arrivals {
        let sources = vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
        let count = Some(1_001);
        let interval = Some(Duration::from_millis(100));
        let plan = Plan { connections: 7, depth: 5, count, arrival, sources, ..Plan::default() };
        let plan = Plan { interval, ..plan };
        let loads = Load::split(server.address, protocol(), plan.clone(), 3).unwrap();
        let run = |load: Load| thread::spawn(|| load.run(|_| ControlFlow::Continue(())));
        let threads: Vec<_> = loads.into_iter().map(run).collect();
        let reports = threads.into_iter().map(|thread| thread.join().unwrap().unwrap());
        let reports: Vec<Report> = reports.collect();
        let due: Vec<u64> = reports.iter().map(|report| report.due).collect();
        assert_eq!(due, [334, 334, 333], "{arrival:?}");

        let report = Report::merged(reports);
        assert_eq!((report.due, report.answered, report.failed()), (1001, 1001, 0), "{arrival:?}");
        assert_eq!((report.reply.count(), report.busy.len()), (1001, 3));
        let intervals = || report.intervals.iter().map(|(_, each)| each);
        let replies: u64 = intervals().map(|each| each.reply.count()).sum();
        assert_eq!((intervals().map(|each| each.answered).sum(), replies), (1001_u64, 1001));
        let (sent, bytes): (Vec<_>, Vec<_>) =
            intervals().map(|each| (each.sent, each.bytes_in)).unzip();
        assert_eq!((sent.iter().sum(), bytes.iter().sum()), (1001_u64, report.bytes_in));
        assert_eq!(report.rate_asked, plan.rate());
        // In an open loop, one client may send all that is due before another has connected.
        assert!(report.connected <= 7, "{arrival:?}");
        if arrival != Arrival::Closed {
            let last = Duration::from_millis(105);
            assert!(report.elapsed >= last, "{arrival:?} {:?}", report.elapsed);
        }
    }
    for loops in [0, 51] {
        let error = Load::split(server.address, protocol(), Plan::default(), loops).unwrap_err();
        assert!(matches!(error, LoadError::Plan(PlanError::Loops)), "{error}");
    }
}

#[test]
fn the_warm_up_is_left_out_and_what_is_on_its_way_is_no_failure() {
    let protocol = BothEnds::open();
    let server = serve(&protocol, Echo);
    let plan = Plan {
        warmup: Duration::from_millis(100),
        duration: Some(Duration::from_millis(200)),
        ..Plan::default()
    };
    let report = run(server.address, &protocol, plan);
    assert_eq!((report.connected, report.failed()), (0, 0), "they connected before");
    assert!(report.answered > 0 && report.aborted <= 50);
}

/// How long a server stands still.
const STALL: Duration = Duration::from_millis(200);

/// An echo that stands still for once, before it answers this message.
fn stalls_before(number: u64) -> impl FnMut(&[u8], &mut Reply<'_>) + Send + 'static {
    let mut count = 0;
    move |message, reply| {
        count += 1;
        if count == number {
            stall();
        }
        reply.message(message);
    }
}

#[expect(clippy::disallowed_methods, reason = "a server that stands still is what is measured")]
fn stall() {
    thread::sleep(STALL);
}

#[test]
fn an_open_loop_shows_a_stall_that_a_closed_loop_hides() {
    let count = 2_000;
    let report = |plan: Plan| {
        let server = serve(&BothEnds::open(), stalls_before(700));
        let plan = Plan { connections: 1, count: Some(count), ..plan };
        run(server.address, &BothEnds::open(), plan)
    };
    let slow = STALL / 2;
    // A hundred messages are due in the first half of the stall, however quick the machine is, and
    // each waits for longer than the other half. The 80 slowest are among them, or as slow.
    let arrival = Arrival::Constant(1_000.0);
    let open = report(Plan { arrival, depth: 1_000, ..Plan::default() });
    // On a busy machine an open loop may never catch up; then this was never reached.
    let within = open.reply_within(0.96).unwrap_or(Duration::MAX);
    assert!(within >= slow, "{within:?}");
    // One message is on its way at a time, so no two waits overlap, and few of them can be long.
    let closed = report(Plan::default());
    let most = closed.elapsed.as_millis() / slow.as_millis();
    let share = 1.0 - most as f64 / count as f64;
    // A latency is recorded to three digits.
    let within = closed.reply_within(share).unwrap();
    assert!(share <= 0.0 || within <= slow.mul_f64(1.001), "{within:?} of {:?}", closed.elapsed);
}

#[test]
fn a_server_that_hangs_up_is_no_end_of_the_load() {
    // The first connection is closed as soon as it speaks; later ones are echoed by hand.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut bytes = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    if number == 0 || stream.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    let plan = Plan { connections: 1, count: Some(20), ..Plan::default() };
    let report = run(address, &BothEnds::open(), plan);
    assert_eq!((report.answered, report.failed()), (19, 1), "{report:?}");
}

#[test]
fn a_server_that_hangs_up_in_the_handshake_has_failed_each_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for dialect in Dialect::ALL.iter().copied() {
        let keyed = keyed(dialect, b"sixteen bytes or more");
        // The message of a connection of its own is due before it can be said.
        let plan = Plan { connections: 2, count: Some(4), reconnect: true, ..Plan::default() };
        let report = run(address, &keyed, plan);
        assert_eq!((report.answered, report.failed()), (0, 4), "{dialect}");
    }
}
