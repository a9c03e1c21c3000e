//! An attacker that owns the network (Dolev and Yao, 1983). It hears everything, delivers what it
//! likes, and sends whatever it can make of what it has heard: it replays, reflects, drops and
//! reorders, splices the fields of several sessions, swaps their roles, and has the key of one
//! pair. All that is played to real sessions, of which must hold what the formal model proves.
//!
//! `ATTACKER_CASES=100000` plays more cases than an ordinary run, and `ATTACKER_CASE=813` that one
//! alone. `ci/logic` takes checks out of the protocol, one at a time, and this test must find each.

mod party;
#[path = "../../sim/random.rs"]
#[expect(dead_code, reason = "the simulation draws more")]
mod random;
mod units;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::attacker::party::{Party, Setup};
use crate::attacker::random::Random;
use crate::attacker::units::Unit;

/// The cases of an ordinary run, and the steps of one.
const CASES: u64 = 3_000;
const STEPS: usize = 100;

/// The most connections of a case; each has two ends, one after the other.
const CONNECTIONS: usize = 4;

/// All ends, and the network between them.
#[derive(Default)]
struct Network {
    parties: Vec<Party>,
    /// What each party has sent that the other end of its connection has not received.
    queues: Vec<VecDeque<Unit>>,
    /// All that was ever sent, by whom.
    heard: Vec<(usize, Unit)>,
    /// The messages so far, which are all different.
    messages: u32,
}

impl Network {
    fn connect(&mut self, random: &mut Random) {
        if self.parties.len() < 2 * CONNECTIONS {
            let client = Setup::draw(random);
            let server = client.other_end(random);
            for (setup, is_server) in [(client, false), (server, true)] {
                self.parties.push(Party::new(setup, is_server, random));
                self.queues.push(VecDeque::new());
                self.deliver(self.parties.len() - 1, &[]);
            }
        }
    }

    /// Has a party receive something.
    fn deliver(&mut self, to: usize, bytes: &[u8]) {
        if self.parties[to].is_alive() {
            let units = self.parties[to].receive(bytes);
            self.sent(to, units);
        }
    }

    fn sent(&mut self, by: usize, units: Vec<Unit>) {
        self.heard.extend(units.iter().map(|unit| (by, unit.clone())));
        self.queues[by].extend(units);
    }

    /// Carries the next unit to the other end of the connection, mostly as it is.
    fn carry(&mut self, from: usize, random: &mut Random) {
        let Some(unit) = self.queues[from].pop_front() else { return };
        let unit = match random.between(0, 79) {
            0 => return,
            1 => {
                self.queues[from].push_front(unit.clone());
                unit
            }
            2 => {
                let next = self.queues[from].pop_front();
                self.queues[from].push_front(unit.clone());
                next.unwrap_or(unit)
            }
            3..6 => self.change(&unit, random),
            _ => unit,
        };
        self.deliver(from ^ 1, &unit);
    }

    /// What the attacker makes of a unit.
    fn change(&self, unit: &[u8], random: &mut Random) -> Unit {
        let (_, other) = &self.heard[random.between(0, self.heard.len() - 1)];
        match random.between(0, 7) {
            0 => units::flip(unit, random),
            1 => units::retype(unit, random),
            2 => units::confirm(other),
            3 => other.clone(),
            _ => {
                let heard = self.heard.iter().map(|(_, other)| other);
                let alike: Vec<_> = heard.filter(|other| units::are_alike(unit, other)).collect();
                let other = alike.get(random.between(0, alike.len())).map_or(unit, |other| other);
                units::splice(unit, other, random)
            }
        }
    }

    /// Sends a party something that nobody has sent to it.
    fn inject(&mut self, to: usize, random: &mut Random) {
        let (by, unit) = self.heard[random.between(0, self.heard.len() - 1)].clone();
        let bytes = match random.between(0, 5) {
            0 => unit,
            1 => self.change(&unit, random),
            2 => units::confirm(&unit),
            // All that a party has sent, up to a place.
            3 => {
                let all = self.heard.iter().filter(|(other, _)| *other == by);
                let count = random.between(1, 8);
                all.take(count).flat_map(|(_, unit)| unit.clone()).collect()
            }
            // What it has sent itself.
            4 => {
                let own: Vec<_> = self.heard.iter().filter(|(by, _)| *by == to).collect();
                let Some(last) = own.len().checked_sub(1) else { return };
                own[random.between(0, last)].1.clone()
            }
            _ => self.with_stolen_key(to, &unit),
        };
        self.deliver(to, &bytes);
    }

    /// The proof that a party awaits, with the stolen key. A server's hello is made of one that was
    /// heard.
    fn with_stolen_key(&self, to: usize, unit: &[u8]) -> Unit {
        let party = &self.parties[to];
        let [call, answer, _] = party.handshake();
        if party.is_server {
            return party::stolen(call, answer).map_or_else(Vec::new, |forger| forger.confirm);
        }
        let mut answer = [&[7; 32], unit].concat();
        let Some(forger) = party::stolen(call, &answer) else { return Vec::new() };
        let proof = answer.len() - forger.server_proof.len();
        answer[proof..].copy_from_slice(&forger.server_proof);
        answer
    }

    fn step(&mut self, random: &mut Random) {
        let party = random.between(0, self.parties.len().saturating_sub(1));
        match random.between(0, 99) {
            _ if self.parties.is_empty() => self.connect(random),
            0..8 => self.connect(random),
            8..74 => self.carry(party, random),
            74..92 => {
                let message = (random.between(0, 19) > 0).then(|| {
                    self.messages += 1;
                    self.messages.to_string().into_bytes()
                });
                let units = self.parties[party].speak(message);
                self.sent(party, units);
            }
            92..94 => self.parties[party].cut(),
            _ => self.inject(party, random),
        }
        party::check(&mut self.parties);
    }
}

fn play(case: u64) -> Network {
    let mut random = Random::new(case);
    let mut network = Network::default();
    (0..STEPS).for_each(|_| network.step(&mut random));
    network
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn nobody_on_the_network_gains_anything() {
    if let Some(case) = number("ATTACKER_CASE") {
        drop(play(case));
        return;
    }
    let (mut open, mut messages) = (0, 0);
    for case in 0..number("ATTACKER_CASES").unwrap_or(CASES) {
        let network = catch_unwind(AssertUnwindSafe(|| play(case)));
        let network = network.unwrap_or_else(|panic| {
            eprintln!("to play it again: ATTACKER_CASE={case}");
            resume_unwind(panic)
        });
        open += network.parties.iter().filter(|party| party.end.is_open()).count();
        messages += network.parties.iter().map(|party| party.end.messages().len()).sum::<usize>();
    }
    assert!(open > 0 && messages > 0, "an attacker that lets nothing through shows nothing");
    println!("{open} ends were open, and {messages} messages arrived");
}
