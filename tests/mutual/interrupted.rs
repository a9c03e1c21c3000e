//! Batches of which a part was handed on when something else happens: what was answered is sent in
//! order, nothing is answered twice, and what is left over keeps no memory.

use std::time::Duration;

use countersign::testing::{MemoryPeer, TestServer};
use countersign::{CloseReason, Limits, Protection, Reply, Service};

use crate::ends::{SERVER_NONCE, both, in_memory, ring};
use crate::forger::{BATCH, CLOSE, DATA, Forger, PING, PONG, batch};
use crate::keys::call_as;

/// More than one visit answers, and more than a connection keeps unsent.
const MESSAGES: usize = 5_000;

fn said() -> Vec<Vec<u8>> {
    (0..MESSAGES).map(|number| number.to_string().into_bytes()).collect()
}

fn echo(message: &[u8], reply: &mut Reply<'_>) {
    reply.message(message);
}

/// Has `act` happen while a server keeps the rest of a batch, however the batch lay in its input
/// and whether or not records are sealed. Then the peer reads; it has sent `behind` the batch.
fn interrupted<S: Service>(
    service: impl Fn() -> S,
    behind: &[(u8, &[u8])],
    act: impl Fn(&mut TestServer<S>, &MemoryPeer),
    check: impl Fn(&TestServer<S>, &MemoryPeer, &[(u8, Vec<u8>)]),
) {
    for protection in [Protection::Required, Protection::Sealed] {
        for cut in [0, 1, 5_000] {
            let (client, protocol) = both(protection);
            let mut server = in_memory(protocol.build().unwrap(), Limits::default(), service());
            let (peer, mut forger) = call_as(&mut server, &client, SERVER_NONCE);
            server.send(&peer, &forger.confirm.clone());
            assert_eq!(peer.take(), forger.to_client.record(4, &[0]));
            peer.set_room(0);
            let mut stream = forger.to_server.record(BATCH, &batch(&said()));
            for (kind, payload) in behind {
                stream.extend(forger.to_server.record(*kind, payload));
            }
            server.send(&peer, &stream[..cut]);
            server.send(&peer, &stream[cut..]);
            assert!(server.engine.bytes_buffered() > 0);
            act(&mut server, &peer);
            let heard = read(&mut server, &peer, &mut forger);
            check(&server, &peer, &heard);
        }
    }
}

/// The records that a peer is sent once it reads.
fn read<S: Service>(
    server: &mut TestServer<S>,
    peer: &MemoryPeer,
    forger: &mut Forger,
) -> Vec<(u8, Vec<u8>)> {
    let mut heard = Vec::new();
    loop {
        server.make_room(peer, 5_000);
        match peer.take() {
            part if part.is_empty() => return forger.to_client.open(&heard),
            part => heard.extend(part),
        }
    }
}

/// The messages in these records, and the types of the records that hold none.
fn unpacked(records: &[(u8, Vec<u8>)]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut messages, mut others) = (Vec::new(), Vec::new());
    for (kind, payload) in records {
        match *kind {
            DATA => messages.push(payload.clone()),
            BATCH => {
                let mut rest = &payload[..];
                while let [a, b, c, behind @ ..] = rest {
                    let length = u32::from_be_bytes([0, *a, *b, *c]).try_into().unwrap();
                    messages.push(behind[..length].to_vec());
                    rest = &behind[length..];
                }
            }
            other => others.push(other),
        }
    }
    (messages, others)
}

#[test]
fn a_server_that_drains_answers_all_of_a_batch() {
    interrupted(
        || echo,
        &[(PING, b"?"), (DATA, b"behind")],
        |server, _| {
            let now = server.now;
            server.engine.drain(now);
            server.work();
        },
        |server, peer, heard| {
            let (messages, others) = unpacked(heard);
            assert_eq!(messages, [&said()[..], &[b"behind".to_vec()]].concat());
            assert_eq!(others, [PONG, CLOSE]);
            assert!(peer.is_shut());
            assert_eq!(server.engine.bytes_buffered(), 0);
        },
    );
}

#[test]
fn what_is_left_of_a_batch_is_not_answered_once_its_key_is_revoked() {
    interrupted(
        || echo,
        &[(DATA, b"behind")],
        |server, _| {
            let id = server.engine.listeners()[0].id();
            server
                .engine
                .replace_keys(id, ring("other", b"another key for others", [3; 48]))
                .unwrap();
            let (now, wall) = (server.now, server.wall);
            assert_eq!(server.engine.close_revoked(now, wall), 1);
            server.work();
        },
        |server, peer, heard| {
            let (messages, _) = unpacked(heard);
            assert!(messages.len() < MESSAGES && !messages.is_empty());
            assert_eq!(messages, said()[..messages.len()]);
            assert_eq!(server.engine.counters().messages, messages.len() as u64);
            assert!(peer.is_shut());
            assert_eq!(server.engine.bytes_buffered(), 0);
        },
    );
}

#[test]
fn a_message_of_the_host_comes_behind_the_replies_that_were_written_before_it() {
    interrupted(
        || echo,
        &[],
        |server, peer| {
            let (now, wall, id) = (server.now, server.wall, peer.id().unwrap());
            // There may be no room for it as long as the peer doesn't read.
            let _ = server.engine.tell(id, b"told", now, wall);
            server.make_room(peer, 20_000);
            server.engine.tell(id, b"told", server.now, server.wall).ok();
        },
        |server, _, heard| {
            let (messages, others) = unpacked(heard);
            let replies: Vec<_> = messages.into_iter().filter(|m| m != b"told").collect();
            assert_eq!((replies, others), (said(), vec![]));
            assert_eq!(server.engine.bytes_buffered(), 0);
        },
    );
}

#[test]
fn the_end_of_the_stream_waits_for_the_replies_to_a_batch() {
    interrupted(
        || echo,
        &[(CLOSE, b"")],
        |server, peer| server.finish(peer),
        |server, _, heard| {
            let (messages, others) = unpacked(heard);
            assert_eq!((messages, others), (said(), vec![CLOSE]));
            assert_eq!(server.engine.counters().closed(CloseReason::Finished), 1);
            assert_eq!(server.engine.bytes_buffered(), 0);
        },
    );
    // Without a close record it is no loss of what was whole.
    interrupted(
        || echo,
        &[],
        |server, peer| server.finish(peer),
        |server, _, heard| {
            assert_eq!(unpacked(heard), (said(), vec![]));
            assert_eq!(server.engine.counters().closed(CloseReason::Truncated), 1);
            assert_eq!(server.engine.bytes_buffered(), 0);
        },
    );
}

#[test]
fn a_peer_that_does_not_read_the_replies_to_a_batch_is_closed_in_time() {
    interrupted(
        || echo,
        &[(DATA, b"behind")],
        |server, _| {
            server.pass(Limits::default().write_timeout + Duration::from_secs(1));
        },
        |server, peer, heard| {
            assert!(peer.is_closed() && heard.is_empty());
            assert_eq!(server.engine.counters().closed(CloseReason::WriteTimeout), 1);
            assert_eq!(server.engine.bytes_buffered(), 0);
        },
    );
}

#[test]
fn a_service_that_panics_in_a_batch_loses_that_reply_and_what_follows() {
    interrupted(
        || {
            |message: &[u8], reply: &mut Reply<'_>| {
                assert!(message != b"4000", "as is tested here");
                reply.message(message);
            }
        },
        &[(DATA, b"behind")],
        |_, _| {},
        |server, peer, heard| {
            let (messages, _) = unpacked(heard);
            assert_eq!(messages, said()[..4_000]);
            assert!(peer.is_shut());
            assert_eq!(server.engine.bytes_buffered(), 0);
        },
    );
}
