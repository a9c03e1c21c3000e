//! Pings, and much of them: each is echoed once and in order, and none makes the server keep more
//! than it may.

use std::time::Duration;

use countersign::{CloseReason, Limits, Refusal, Reply};

use crate::ends::{
    CLIENT_NONCE, End, Heard, SECRET, SERVER_NONCE, Talk, client, in_memory, server,
};
use crate::forger::{CLOSE, DATA, Forger, PING, PONG};
use crate::keys::enter;

fn echo(message: &[u8], reply: &mut Reply<'_>) {
    reply.message(message);
}

#[test]
fn a_ping_comes_back_with_what_it_held_at_either_end() {
    let lengths = [0, 1, 124, 125];
    let mut talk = Talk::with_records();
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    forger.to_client.next = 1;
    for length in lengths {
        let payload = vec![b'p'; length];
        let ping = forger.to_server.record(PING, &payload);
        let said = talk.server.hear(&ping);
        assert_eq!(forger.to_client.open(&said), [(PONG, payload)]);
    }
    let mut from_server = Forger::new(SECRET, &talk.call, &talk.answer);
    from_server.to_client.next = 1;
    for length in lengths {
        let payload = vec![b'p'; length];
        let ping = from_server.to_client.record(PING, &payload);
        let said = talk.client.hear(&ping);
        assert_eq!(from_server.to_server.open(&said), [(PONG, payload)]);
    }
    // Nobody has asked for this one.
    assert_eq!(talk.server.hear(&forger.to_server.record(PONG, b"?")), []);
    assert_eq!(talk.server.heard, [&[Heard::Open][..], &vec![Heard::Control; 5]].concat());
}

#[test]
fn nothing_follows_our_good_bye_and_what_comes_behind_it_is_still_heard() {
    let mut talk = Talk::with_records();
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    forger.to_client.next = 1;
    let said = talk.client.finish();
    assert_eq!(forger.to_server.open(&said), [(CLOSE, Vec::new())]);
    assert_eq!(talk.client.finish(), [], "it is said once");
    let said = [
        forger.to_client.record(PING, b"?"),
        forger.to_client.record(DATA, b"the last reply"),
        forger.to_client.record(CLOSE, b""),
    ];
    assert_eq!(talk.client.hear(&said.concat()), []);
    assert_eq!(talk.client.messages(), [b"the last reply"]);
    assert_eq!((talk.client.refusal, talk.client.end()), (None, Ok(())));
}

#[test]
fn a_flood_of_pings_is_kept_in_bounds_and_every_one_is_echoed() {
    const PINGS: usize = 5_000;
    let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
    let (line, mut forger) = enter(&mut server, SERVER_NONCE);
    line.set_room(0);
    let mut flood = Vec::new();
    for number in 0..PINGS {
        let kind = if number % 100 == 99 { DATA } else { PING };
        flood.extend(forger.to_server.record(kind, number.to_string().as_bytes()));
    }
    // As much as it will read, and it keeps to its sum whatever is on its way.
    server.send(&line, &flood);
    let max = server.engine.memory_max().buffered_per_connection;
    assert!(
        (1..=max).contains(&server.engine.bytes_buffered()),
        "{}",
        server.engine.bytes_buffered()
    );
    assert_eq!(line.written(), []);
    let mut heard = Vec::new();
    for _ in 0..PINGS {
        line.set_room(1000);
        let ready = countersign::engine::Readiness { writable: true, ..Default::default() };
        server.report(&line, ready);
        server.work();
        assert!(server.engine.bytes_buffered() <= max);
        heard.extend(line.take());
    }
    let records = forger.to_client.open(&heard);
    assert_eq!(records.len(), PINGS);
    for (number, (kind, payload)) in records.into_iter().enumerate() {
        assert_eq!(kind, if number % 100 == 99 { DATA } else { PONG });
        assert_eq!(payload, number.to_string().as_bytes());
    }
}

#[test]
fn pings_count_in_a_visit_and_keep_nobody_else_waiting() {
    let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
    let (flooder, mut flood) = enter(&mut server, SERVER_NONCE);
    let (polite, mut other) = enter(&mut server, [7; 32]);
    let mut pings = Vec::new();
    (0..5_000).for_each(|_| pings.extend(flood.to_server.record(PING, b"")));
    server.arrive(&flooder, &pings);
    server.arrive(&polite, &other.to_server.record(DATA, b"please"));
    server.engine.turn(server.now, server.wall).unwrap();
    let said = polite.take();
    assert_eq!(other.to_client.open(&said), [(DATA, b"please".to_vec())]);
    let pongs = flooder.written().len() / 20;
    assert!((1..5_000).contains(&pongs), "{pongs} pongs in one turn");
    server.work();
    let said = flooder.take();
    assert_eq!(flood.to_client.open(&said).len(), 5_000);
}

#[test]
fn a_server_hangs_up_on_what_breaks_the_rules_and_says_nothing_more() {
    type Fault = fn(&mut Forger) -> Vec<u8>;
    let faults: [(Fault, Refusal); 3] = [
        (|forger| forger.to_server.record(PING, &[0; 126]), Refusal::BadRecord),
        (|forger| forger.to_server.record(CLOSE, b"."), Refusal::BadRecord),
        (|forger| forger.to_client.record(DATA, b"x"), Refusal::BadRecord),
    ];
    for (fault, why) in faults {
        let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
        let (line, mut forger) = enter(&mut server, SERVER_NONCE);
        let next = forger.to_client.next;
        let said = [forger.to_server.record(DATA, b"one"), fault(&mut forger)].concat();
        forger.to_client.next = next;
        server.send(&line, &said);
        let heard = line.take();
        assert_eq!(forger.to_client.open(&heard), [(DATA, b"one".to_vec())]);
        assert!(line.is_shut());
        server.pass(Duration::from_secs(2));
        assert_eq!(server.engine.counters().closed(CloseReason::Refused(why)), 1);
    }
}

#[test]
fn a_client_that_waits_for_its_acceptance_may_speak_already() {
    let (mut caller, mut listener) =
        (End::client(&client(), CLIENT_NONCE), End::server(&server(), SERVER_NONCE));
    let answer = listener.hear(&caller.hear(&[]));
    let said = [caller.hear(&answer), caller.say(b"early"), caller.finish()].concat();
    let acceptance = listener.hear(&said);
    assert_eq!(listener.messages(), [b"early"]);
    assert_eq!(listener.heard.last(), Some(&Heard::Finished));
    let said = [acceptance, listener.say(b"reply"), listener.finish()].concat();
    assert_eq!(caller.hear(&said), []);
    assert_eq!(caller.messages(), [b"reply"]);
    assert_eq!((caller.end(), listener.end()), (Ok(()), Ok(())));
}

#[test]
fn a_message_behind_a_ping_has_its_whole_time() {
    let limits = Limits { message_timeout: Duration::from_secs(1), ..Limits::default() };
    let mut server = in_memory(server().build().unwrap(), limits, echo);
    let (line, mut forger) = enter(&mut server, SERVER_NONCE);
    let ping = forger.to_server.record(PING, b"ping");
    let message = forger.to_server.record(DATA, b"slow");
    server.send(&line, &ping[..9]);
    server.pass(Duration::from_millis(900));
    server.send(&line, &[&ping[9..], &message[..9]].concat());
    server.pass(Duration::from_millis(900));
    server.send(&line, &message[9..]);
    let said = line.take();
    let heard = [(PONG, b"ping".to_vec()), (DATA, b"slow".to_vec())];
    assert_eq!(forger.to_client.open(&said), heard);
}
