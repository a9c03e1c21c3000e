//! What holds of any messages, any cut and any order in which two directions take turns.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

use countersign::Protection;

use crate::batches::taken;
use crate::ends::{CLIENT_NONCE, End, Heard, SERVER_NONCE, Talk, both, client, server};
use crate::forger::{BATCH, DATA, PING, batch};
use crate::records::forged;

/// One step of a conversation.
#[derive(Debug, Clone)]
enum Step {
    /// The client, or else the server, says something.
    Say(bool, Vec<u8>),
    /// So many bytes of what is on its way reach the server, or else the client.
    Carry(bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    use proptest::prop_oneof;
    prop_oneof![
        (any::<bool>(), vec(any::<u8>(), 0..200)).prop_map(|(who, said)| Step::Say(who, said)),
        (any::<bool>(), 0_usize..300).prop_map(|(who, length)| Step::Carry(who, length)),
    ]
}

/// What is sent in one record: a batch, a message alone, or no message, which is a ping.
fn groups() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    use proptest::prop_oneof;
    let message = || prop_oneof![9 => vec(any::<u8>(), 0..60), 1 => vec(any::<u8>(), 0..5_000)];
    let many = vec(vec(any::<u8>(), 0..3), 1_000..1_100);
    vec(prop_oneof![9 => vec(message(), 0..12), 1 => many], 1..8)
}

/// What is on its way, and who takes it.
fn carry(way: &mut Vec<u8>, length: usize, to: &mut End, back: &mut Vec<u8>) {
    let rest = way.split_off(length.min(way.len()));
    back.extend(to.hear(way));
    *way = rest;
}

proptest! {
    #[test]
    fn both_ends_hear_what_the_other_has_said(steps in vec(step(), 0..60)) {
        let mut caller = End::client(&client(), CLIENT_NONCE);
        let mut listener = End::server(&server(), SERVER_NONCE);
        let (mut to_server, mut to_client) = (caller.hear(&[]), Vec::new());
        let mut said = [Vec::new(), Vec::new()];
        for step in steps {
            match step {
                Step::Say(true, message) if caller.is_open() => {
                    to_server.extend(caller.say(&message));
                    said[0].push(message);
                }
                Step::Say(false, message) if listener.is_open() => {
                    to_client.extend(listener.say(&message));
                    said[1].push(message);
                }
                Step::Say(..) => {}
                Step::Carry(true, length) => {
                    carry(&mut to_server, length, &mut listener, &mut to_client);
                }
                Step::Carry(false, length) => {
                    carry(&mut to_client, length, &mut caller, &mut to_server);
                }
            }
        }
        for _ in 0..3 {
            carry(&mut to_server, usize::MAX, &mut listener, &mut to_client);
            carry(&mut to_client, usize::MAX, &mut caller, &mut to_server);
        }
        prop_assert_eq!(listener.messages(), said[0].clone());
        prop_assert_eq!(caller.messages(), said[1].clone());
        prop_assert_eq!((caller.refusal, listener.refusal), (None, None));
        prop_assert_eq!(caller.session.bytes_buffered() + listener.session.bytes_buffered(), 0);
    }

    #[test]
    fn a_session_hears_the_same_messages_one_by_one_and_many_at_a_time(
        groups in groups(),
        is_sealed in any::<bool>(),
        lengths in vec(1..9_000_usize, 1..9),
        most in 1..2_000_usize,
    ) {
        let protection = if is_sealed { Protection::Sealed } else { Protection::Required };
        let server = both(protection).1;
        let (mut one_by_one, mut forger) = forged(&server);
        let (End { session, config, .. }, _) = forged(&server);
        let mut stream = Vec::new();
        for group in &groups {
            stream.extend(match &group[..] {
                [] => forger.to_server.record(PING, b"?"),
                [alone] => forger.to_server.record(DATA, alone),
                several => forger.to_server.record(BATCH, &batch(several)),
            });
        }
        let (mut pieces, mut rest) = (Vec::new(), &stream[..]);
        for length in lengths.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*length));
            pieces.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        pieces.iter().for_each(|piece| drop(one_by_one.hear(piece)));
        let at_once = taken(&mut session.into_core(), &config, &pieces, most);
        prop_assert_eq!(one_by_one.messages(), &at_once[..]);
        prop_assert_eq!(at_once, groups.concat());
        prop_assert_eq!(one_by_one.session.bytes_buffered(), 0);
    }

    #[test]
    fn any_change_of_a_stream_leaves_the_front_of_what_was_said(
        messages in vec(vec(any::<u8>(), 0..60), 1..6),
        at in any::<Index>(),
        what in 0..4,
        bytes in vec(any::<u8>(), 1..40),
        cut in any::<Index>(),
    ) {
        let mut talk = Talk::with_records();
        let said: Vec<Vec<u8>> = messages.iter().map(|message| talk.client.say(message)).collect();
        let mut stream = said.concat();
        stream.extend(talk.client.finish());
        let genuine = stream.clone();
        let at = at.index(stream.len());
        let end = (at + bytes.len()).min(stream.len());
        match what {
            0 => stream[at..end].copy_from_slice(&bytes[..end - at]),
            1 => drop(stream.drain(at..end)),
            2 => drop(stream.splice(at..at, bytes)),
            _ => drop(stream.splice(at..at, genuine[at..end].to_vec())),
        }
        let (front, back) = stream.split_at(cut.index(stream.len() + 1));
        talk.server.hear(front);
        talk.server.hear(back);
        let heard = talk.server.messages();
        prop_assert!(messages.iter().zip(&heard).all(|(said, heard)| said == heard));
        prop_assert!(heard.len() <= messages.len());
        let is_finished = talk.server.heard.contains(&Heard::Finished);
        let is_whole = is_finished && talk.server.refusal.is_none();
        // Only the same bytes, or more behind the last, come to a good end.
        prop_assert!(!is_whole || stream.starts_with(&genuine));
        prop_assert!(is_whole || talk.server.refusal.is_some() || talk.server.end().is_err());
    }

    #[test]
    fn noise_opens_nothing_and_is_answered_with_a_refusal_at_most(
        noise in vec(any::<u8>(), 0..600),
        behind in 0..5_usize,
    ) {
        let talk = Talk::with_records();
        let fronts: [&[u8]; 5] =
            [&[], &talk.call[..8], &talk.call[..9], &talk.call[..12], &talk.call];
        let mut listener = End::server(&server(), SERVER_NONCE);
        let said = listener.hear(&[fronts[behind], &noise].concat());
        prop_assert!(!listener.is_open());
        let is_refused = said.len() == 37 && said[32..36] == [5, 0, 0, 1];
        let is_answered = said.starts_with(&talk.answer) && said.len() <= talk.answer.len() + 5;
        prop_assert!(said.is_empty() || is_refused || is_answered);
        let mut caller = End::client(&client(), CLIENT_NONCE);
        caller.hear(&[]);
        prop_assert_eq!(caller.hear(&[&talk.answer[..32], &noise].concat()), []);
        prop_assert!(!caller.is_open());
    }
}
