//! A conversation in records over sockets: how it ends, and what a peer that doesn't read gets.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use countersign::services::Echo;
use countersign::{
    ClientError, CloseReason, Dialect, Exchange, Limits, Peer, PeerId, Protection, Refusal, Reply,
    Server, Service, TellError,
};

use crate::both_ends::BothEnds;
use crate::caller::{Caller, Heard, with_records};
use crate::common::{Client, End, PATIENCE, bracket, other_end, speaking};
use crate::server_thread::ServerThread;

fn protocol() -> BothEnds {
    with_records(speaking(Dialect::Countersign))
}

#[test]
fn who_says_good_bye_gets_all_replies_and_a_good_bye() {
    for is_shut_too in [false, true] {
        let server = ServerThread::start(protocol(), Limits::default(), bracket);
        let mut caller = Caller::enter(server.address, &protocol());
        let records: Vec<u8> =
            (0..3000).flat_map(|n: u32| caller.record(&n.to_be_bytes())).collect();
        caller.wire.say(&records);
        caller.finish();
        if is_shut_too {
            caller.wire.finish();
        }
        for number in 0..3000_u32 {
            caller.expect(&[b"[", &number.to_be_bytes()[..], b"]"].concat());
        }
        caller.expect_goodbye();
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!((counters.closed(CloseReason::Finished), counters.messages), (1, 3000));
    }
}

#[test]
fn who_ends_the_stream_without_a_good_bye_is_cut_and_hears_none() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    for cut in [0, 1, 20] {
        let mut caller = Caller::enter(server.address, &protocol());
        caller.say(b"whole");
        let record = caller.record(b"another");
        caller.wire.say(&record[..cut]);
        caller.wire.finish();
        caller.expect(b"[whole]");
        assert_eq!(caller.hear(), Heard::End(End::Fin, Err(Refusal::Truncated)));
    }
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::Truncated), 3);
    assert_eq!(counters.messages, 3);
}

/// A service that closes upon a word.
fn dismissing(message: &[u8], reply: &mut Reply<'_>) {
    reply.message(message);
    if message == b"last" {
        reply.close();
    }
}

#[test]
fn every_end_of_our_own_accord_is_a_good_bye_and_then_the_end_of_the_stream() {
    let quick = Limits { idle_timeout: Duration::from_millis(200), ..Limits::default() };
    let cases: [(Exchange, Limits, &[u8], CloseReason); 4] = [
        (Exchange::Many, Limits::default(), b"last", CloseReason::ClosedByService),
        (Exchange::Many, quick, b"one", CloseReason::IdleTimeout),
        (Exchange::Once, Limits::default(), b"one", CloseReason::Answered),
        (Exchange::Many, Limits::default(), b"one", CloseReason::Stopped),
    ];
    for (exchange, limits, said, why) in cases {
        let protocol = protocol().with_exchange(exchange);
        let server = ServerThread::start(protocol.clone(), limits, dismissing);
        let mut caller = Caller::enter(server.address, &protocol);
        caller.say(said);
        caller.expect(said);
        if why == CloseReason::Stopped {
            server.handle.drain().unwrap();
        }
        caller.expect_goodbye();
        // It waits for ours, so that nothing on its way to us is lost.
        caller.finish();
        drop(caller);
        assert_eq!(server.stop().closed(why), 1, "{why}");
    }
    let verify = protocol().with_exchange(Exchange::VerifyOnly);
    let server = ServerThread::start(verify.clone(), Limits::default(), bracket);
    let mut caller = Caller::enter(server.address, &verify);
    caller.expect_goodbye();
    drop(caller);
    assert_eq!(server.stop().closed(CloseReason::Answered), 1);
}

#[test]
fn what_has_arrived_before_a_stop_is_answered_in_records_too() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let mut callers: Vec<Caller> =
        (0..20).map(|_| Caller::enter(server.address, &protocol())).collect();
    server.until("in", |counters| counters.authenticated == 20);
    for caller in &mut callers {
        let records: Vec<u8> =
            (0..500).flat_map(|n: u16| caller.record(&n.to_be_bytes())).collect();
        let half = caller.record(b"half");
        caller.wire.say(&[&records, &half[..9]].concat());
    }
    server.handle.drain().unwrap();
    for caller in &mut callers {
        for number in 0..500_u16 {
            caller.expect(&[b"[", &number.to_be_bytes()[..], b"]"].concat());
        }
        caller.expect_goodbye();
    }
    drop(callers);
    let counters = server.stop();
    assert_eq!((counters.closed(CloseReason::Stopped), counters.messages), (20, 10_000));
}

#[test]
fn a_fault_ends_it_at_once_behind_the_replies_to_what_came_before() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    for at in [0, 1, 4, 10, 20] {
        let mut caller = Caller::enter(server.address, &protocol());
        let mut said = [caller.record(b"one"), caller.record(b"two")].concat();
        let first = 23;
        said[first + at] ^= 0x80;
        let behind = caller.record(b"three");
        caller.wire.say(&[said, behind].concat());
        caller.expect(b"[one]");
        // No close record: that would say that all is well.
        assert!(matches!(caller.hear(), Heard::End(_, Err(Refusal::Truncated))));
    }
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.messages, 5);
    let refused = counters.closed(CloseReason::Refused(Refusal::BadRecord))
        + counters.closed(CloseReason::Refused(Refusal::MessageTooLong));
    assert_eq!(refused, 5);
}

/// With tags, and sealed.
fn protocols() -> [BothEnds; 2] {
    [Protection::Required, Protection::Sealed].map(|each| protocol().with_records(each))
}

/// The type of a batch.
const BATCH: u8 = 0x14;

#[test]
fn a_malformed_batch_ends_it_at_once_and_nothing_of_it_is_answered() {
    let faults: [&[u8]; 5] = [
        b"",
        b"\0\0",
        b"\0\0\x03two\0\0\x06three",
        b"\0\0\x03two\0\0\x05threefour",
        b"\0\0\x03two\xff\xff\xff",
    ];
    for protocol in protocols() {
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        for payload in faults {
            let mut caller = Caller::enter(server.address, &protocol);
            let said =
                [caller.record(b"one"), caller.record_of(BATCH, payload), caller.record(b"behind")];
            caller.wire.say(&said.concat());
            caller.expect(b"[one]");
            assert!(matches!(caller.hear(), Heard::End(_, Err(Refusal::Truncated))));
        }
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::BadRecord)), 5);
        assert_eq!(counters.messages, 5);
    }
}

#[test]
fn a_batch_of_the_longest_record_is_answered_and_one_byte_more_is_refused() {
    for protocol in protocols() {
        let length = |message: &[u8], reply: &mut Reply<'_>| {
            reply.message(&message.len().to_be_bytes());
        };
        let server = ServerThread::start(protocol.clone(), Limits::default(), length);
        let mut caller = Caller::enter(server.address, &protocol);
        let longest = [b"\0\0\0\0\xff\xfa", &[b'x'; 0xfffa][..]].concat();
        assert_eq!(longest.len(), 64 << 10);
        let record = caller.record_of(BATCH, &longest);
        caller.wire.say(&record);
        caller.expect(&0_usize.to_be_bytes());
        caller.expect(&0xfffa_usize.to_be_bytes());
        // A tag has 16 bytes, and the header says enough.
        caller.wire.say(&[BATCH, 1, 0, 17]);
        assert!(matches!(caller.hear(), Heard::End(_, Err(Refusal::Truncated))));
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::MessageTooLong)), 1);
    }
}

#[test]
fn batches_of_many_messages_are_answered_in_order_however_they_are_cut() {
    const MESSAGES: u32 = 30_000;
    for protocol in protocols() {
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        let mut caller = Caller::enter(server.address, &protocol);
        let said = caller.batch((0..MESSAGES).map(u32::to_be_bytes));
        // Far less than a record for each.
        assert!(said.len() < 8 * MESSAGES as usize, "{} bytes", said.len());
        let mut twin = caller.wire.twin();
        let sender = thread::spawn(move || said.chunks(7_777).for_each(|part| twin.say(part)));
        for number in 0..MESSAGES {
            caller.expect(&[b"[", &number.to_be_bytes()[..], b"]"].concat());
        }
        sender.join().unwrap();
        caller.finish();
        caller.expect_goodbye();
        drop(caller);
        let counters = server.stop();
        assert_eq!(counters.messages, MESSAGES.into());
        assert!(counters.bytes_out < 12 * u64::from(MESSAGES), "{counters:?}");
    }
}

#[test]
fn a_bit_that_is_turned_over_in_a_batch_loses_all_of_it() {
    for protocol in protocols() {
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        for at in [0, 3, 4, 10, 20, 30] {
            let mut caller = Caller::enter(server.address, &protocol);
            let first = caller.record(b"first");
            let mut batch = caller.batch([b"one", b"two"].iter());
            batch[at] ^= 1;
            let said = [first, batch, caller.record(b"behind")].concat();
            caller.wire.say(&said);
            caller.expect(b"[first]");
            assert!(matches!(caller.hear(), Heard::End(_, Err(Refusal::Truncated))), "{at}");
        }
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!(counters.messages, 6);
    }
}

#[test]
fn a_peer_that_reads_late_gets_every_record_in_order() {
    const MESSAGES: u32 = 20_000;
    let large = |message: &[u8], reply: &mut Reply<'_>| {
        reply.message(&[message, &[b'x'; 500]].concat());
    };
    let limits = Limits { write_timeout: PATIENCE * 2, ..Limits::default() };
    let server = ServerThread::start(protocol(), limits, large);
    let mut caller = Caller::enter(server.address, &protocol());
    let records: Vec<u8> =
        (0..MESSAGES).flat_map(|number| caller.record(&number.to_be_bytes())).collect();
    let mut twin = caller.wire.twin();
    let sender = thread::spawn(move || twin.say(&records));
    // The server stops reading, and keeps little, while 10 MB of replies wait to be taken.
    let stuck = server.until("stuck", |counters| counters.messages > 100);
    assert!(stuck.messages < MESSAGES.into());
    for number in 0..MESSAGES {
        caller.expect(&[&number.to_be_bytes()[..], &[b'x'; 500]].concat());
    }
    sender.join().unwrap();
    caller.finish();
    caller.expect_goodbye();
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::Finished), 1);
}

/// Remembers who came last.
struct Doorman(mpsc::Sender<PeerId>);

impl Service for Doorman {
    type State = ();

    fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) {
        self.0.send(peer.id()).unwrap();
        assert!(peer.is_protected() && peer.secret(b"label").is_some());
        reply.message(b"welcome");
    }

    fn message(&mut self, (): &mut (), message: &[u8], reply: &mut Reply<'_>) {
        reply.message(message);
    }
}

/// Has the server work until it has done this.
fn turn<S: Service>(server: &mut Server<S>, is_so: impl Fn(&Server<S>) -> bool) {
    while !is_so(server) {
        server.turn(Some(PATIENCE)).unwrap();
    }
}

#[test]
fn what_is_told_comes_in_records_among_the_replies() {
    let (coming, came) = mpsc::channel();
    let mut server = Server::bind("127.0.0.1:0", protocol(), Doorman(coming)).unwrap();
    let address = server.addresses()[0].ip().unwrap();
    let entering = thread::spawn(move || Caller::enter(address, &protocol()));
    turn(&mut server, |server| server.counters().authenticated == 1);
    let mut caller = entering.join().unwrap();
    let peer = came.recv().unwrap();
    caller.expect(b"welcome");
    for round in 0..3_u64 {
        server.tell(peer, b"by the way").unwrap();
        caller.expect(b"by the way");
        caller.say(b"and");
        turn(&mut server, |server| server.counters().messages > round);
        caller.expect(b"and");
    }
    // Longer than the peer takes, of which nothing is sent.
    let long = vec![b'x'; (64 << 10) + 1];
    assert_eq!(server.tell(peer, &long), Err(TellError::TooLong));
    caller.finish();
    turn(&mut server, |server| server.counters().open() == 0);
    assert_eq!(server.tell(peer, b"too late"), Err(TellError::Gone));
    caller.expect_goodbye();
}

#[test]
fn a_reply_that_the_peer_does_not_take_is_never_sent() {
    let of_that_length = |message: &[u8], reply: &mut Reply<'_>| {
        let length = str::from_utf8(message).unwrap().parse().unwrap();
        reply.message(&vec![b'x'; length]);
    };
    // The least that an end may take is a payload of 1,008 bytes.
    let small = protocol().with_message_max(4);
    let server = ServerThread::start(protocol(), Limits::default(), of_that_length);
    let cases = [(vec![1008, 1009, 5], 1), (vec![5, 1008, 1010], 2), (vec![9000], 0)];
    for (parts, (said, heard)) in cases.iter().flat_map(|case| [(false, case), (true, case)]) {
        let mut caller = Caller::call(server.address, &small);
        caller.prove();
        let mut records: Vec<u8> =
            said.iter().flat_map(|length| caller.record(length.to_string().as_bytes())).collect();
        // A close record in the same segment is not answered: a reply is missing.
        if parts {
            records.extend(caller.close_record());
        }
        caller.wire.say(&records);
        for length in &said[..*heard] {
            caller.expect(&vec![b'x'; *length]);
        }
        assert_eq!(caller.hear(), Heard::End(End::Fin, Err(Refusal::Truncated)), "{said:?}");
    }
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::ReplyTooLong), 6);
}

#[test]
fn the_library_s_own_client_comes_to_a_clean_end() {
    let server = ServerThread::start(protocol(), Limits::default(), Echo);
    let keys = crate::common::ring("sixteen bytes or more");
    let mut client = countersign::Client::connect(server.address, BothEnds::from(keys)).unwrap();
    assert_eq!(client.ask(b"one\ntwo\r").unwrap(), b"one\ntwo\r");
    for _ in 0..100 {
        client.send(b"").unwrap();
    }
    client.finish().unwrap();
    for _ in 0..100 {
        assert_eq!(client.receive().unwrap(), Some(&b""[..]));
    }
    assert_eq!(client.receive().unwrap(), None);
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::Finished), 1);
}

#[test]
fn messages_that_a_client_sends_without_waiting_share_records() {
    const MESSAGES: usize = 1_000;
    for protection in [Protection::Required, Protection::Sealed] {
        let protocol = protocol().with_records(protection);
        let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
        let mut client =
            countersign::Client::connect(server.address, other_end(&protocol)).unwrap();
        client.set_nonblocking(true).unwrap();
        for number in 0..MESSAGES {
            client.send(format!("message {number}").as_bytes()).unwrap();
        }
        assert!(matches!(client.send(&[0; (64 << 10) + 1]), Err(ClientError::TooLong(_))));
        assert!(client.unsent() > 9 * MESSAGES);
        client.flush().unwrap();
        client.finish().unwrap();
        client.set_nonblocking(false).unwrap();
        for number in 0..MESSAGES {
            let reply = client.receive().unwrap();
            assert_eq!(reply, Some(format!("message {number}").as_bytes()));
        }
        assert_eq!(client.receive().unwrap(), None);
        assert_eq!(client.unsent(), 0);
        let counters = server.stop();
        assert_eq!(counters.messages, MESSAGES as u64);
        // Both ways; a record for each would take 20 bytes more than its message.
        let least = (MESSAGES * "message 000".len()) as u64;
        for bytes in [counters.bytes_in, counters.bytes_out] {
            assert!((least..least * 3 / 2).contains(&bytes), "{bytes} bytes, {protection:?}");
        }
    }
}

#[test]
fn a_connection_may_break_at_any_byte_of_a_record() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    for cut in 0..=30 {
        let mut caller = Caller::enter(server.address, &protocol());
        let record = caller.record(b"ten bytes.");
        caller.wire.say(&record[..cut]);
        let Caller { wire, .. } = caller;
        wire.reset();
    }
    let mut caller = Caller::enter(server.address, &protocol());
    caller.say(b"still there?");
    caller.expect(b"[still there?]");
    drop(Client::connect(server.address));
    let counters = server.until("one alone", |counters| counters.open() == 1);
    assert_eq!(counters.closed(CloseReason::Refused(Refusal::BadRecord)), 0);
    assert!(counters.closed(CloseReason::Reset) >= 31, "{counters:?}");
}
