//! `countersign/1` under attack, in memory: a network that flips, cuts, replays, reflects and
//! relays, and peers that hold the key and keep to nothing else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod attacker;
mod batches;
mod ends;
mod forger;
mod handshake;
#[path = "../common/in_memory.rs"]
mod in_memory;
mod interrupted;
mod keys;
mod order;
mod pings;
mod properties;
mod records;
mod sealed;
mod strangers;
