//! The exchanges of the protocol's page, with all that lies between key and record.

use serde_json::Value;

use super::*;
use crate::handshake::countersign::frame::{self, HEADER, Header, MAGIC};
use crate::handshake::countersign::hello::{Hello, ServerHello};
use crate::keys::key::Key;
use crate::records::{BATCH, DATA, Record, Records, TAG, batch};
use crate::refusal::Refusal;

struct Set(Value);

impl Set {
    fn all() -> Vec<Self> {
        let file = include_str!("../../../../../tests/vectors/countersign-1.json");
        let file: Value = serde_json::from_str(file).unwrap();
        file["sets"].as_array().unwrap().iter().cloned().map(Self).collect()
    }

    fn hex(&self, name: &str) -> Vec<u8> {
        unhex(self.0[name].as_str().unwrap())
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.hex(name).try_into().unwrap()
    }

    fn number<N: TryFrom<u64, Error: std::fmt::Debug>>(&self, name: &str) -> N {
        N::try_from(self.0[name].as_u64().unwrap()).unwrap()
    }

    fn is_sealed(&self) -> bool {
        self.0.get("seal_s2c").is_some()
    }

    fn key(&self) -> Key {
        Key::new(str::from_utf8(&self.hex("kid")).unwrap(), &self.hex("key")).unwrap()
    }

    fn schedule(&self) -> Schedule {
        let said = transcript(&self.array("sg"), &self.hex("ch"), &self.hex("sh_unsigned"));
        Schedule::new(self.key().prk(), said)
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    base16ct::lower::decode_vec(digits).unwrap()
}

#[test]
fn the_hellos_are_those_of_the_page() {
    for set in Set::all() {
        let (kid, aud, ext) = (set.hex("kid"), set.hex("aud"), set.hex("client_ext"));
        let hello = Hello {
            flags: set.number("client_flags"),
            record_max: set.number("client_max_record"),
            nonce: set.array("nonce_c"),
            instance: set.array("instance_c"),
            key_id: &kid,
            audience: &aud,
            extensions: &ext,
        };
        let (mut call, mut body) = (MAGIC.to_vec(), Vec::new());
        hello.write(&mut body);
        assert_eq!(Hello::read(&body), Ok(hello));
        frame::write(frame::HELLO, &body, &mut call);
        assert_eq!(call, set.hex("ch"));
        let answered = set.hex("server_ext");
        let ours = ServerHello {
            flags: set.number("server_flags"),
            record_max: set.number("server_max_record"),
            instance: set.array("instance_s"),
            extensions: &answered,
        };
        let mut body = Vec::new();
        ours.write(&mut body);
        body.extend(set.hex("mac_s"));
        assert_eq!(ServerHello::read(&body, &ext), Ok((ours, &set.array("mac_s"))));
        let mut frame = Vec::new();
        frame::write(frame::SERVER_HELLO, &body, &mut frame);
        assert_eq!(frame, set.hex("sh"));
        assert_eq!(frame[..frame.len() - PROOF], set.hex("sh_unsigned"));
    }
}

#[test]
fn the_keys_and_proofs_are_those_of_the_page() {
    for set in Set::all() {
        assert_eq!(set.key().prk()[..], set.hex("prk"));
        let schedule = set.schedule();
        assert_eq!(schedule.transcript[..], set.hex("th"));
        let names = ["ks_fin", "kc_fin", "k_s2c", "k_c2s", "exporter"];
        for (name, key) in names.into_iter().zip(schedule.okm.chunks(KEY)) {
            assert_eq!(key, set.hex(name), "{name}");
        }
        assert_eq!(schedule.server_proof()[..], set.hex("mac_s"));
        assert_eq!(schedule.client_proof(&set.array("mac_s"))[..], set.hex("mac_c"));
        assert_eq!(schedule.exporter().secret(b"label"), hmac(&set.array("exporter"), &[b"label"]));
    }
}

#[test]
fn the_records_are_those_of_the_page() {
    let mut played = 0;
    // Those of the fourth set are sealed.
    let sets = Set::all();
    let sets = sets.iter().filter(|set| cfg!(feature = "seal") || !set.is_sealed());
    for set in sets {
        let schedule = set.schedule();
        let ends = || {
            let records =
                |ours, theirs| Records::new(ours, theirs, 1 << 20).with_sealing(set.is_sealed());
            let server = records(schedule.to_client(), schedule.to_server());
            (server, records(schedule.to_server(), schedule.to_client()))
        };
        let record = |kind: u8, payload: &[u8]| {
            let header = Header { kind, length: payload.len() + TAG };
            [&header.bytes(), payload, &[0; TAG]].concat()
        };
        let (mut server, mut client) = ends();
        let mut out = record(frame::ACCEPT, &[0]);
        assert_eq!(server.seal(&mut out), Ok(out.len()));
        assert_eq!(out, set.hex("sf"));
        client.accept(&out).unwrap();
        for said in set.0["sent"].as_array().unwrap() {
            let text = |name: &str| unhex(said[name].as_str().unwrap());
            let kind = u8::try_from(said["type"].as_u64().unwrap()).unwrap();
            let (server, client) = ends();
            let (mut from, mut to) = match said["from"].as_str() {
                Some("client") => (client, server),
                _ => (server, client),
            };
            // The acceptance has a number, too, and no seal.
            let mut earlier = said["seq"].as_u64().unwrap();
            if said["from"] == "server" {
                let mut acceptance = record(frame::ACCEPT, &[0]);
                from.seal_next(&mut acceptance);
                to.accept(&acceptance).unwrap();
                earlier -= 1;
            }
            for end in [&mut from, &mut to] {
                end.start_sending();
                end.start_receiving();
            }
            for _ in 0..earlier {
                let mut earlier = record(DATA, b"");
                from.seal_next(&mut earlier);
                opened(&mut to, &mut earlier).unwrap();
            }
            let (mut rest, mut out) = (&text("payload")[..], Vec::new());
            while kind == BATCH
                && let Some((message, behind)) = batch::split(rest)
            {
                out.extend(record(DATA, message));
                rest = behind;
            }
            if kind != BATCH {
                out = record(kind, rest);
            }
            let ready = from.seal(&mut out).unwrap();
            assert_eq!(out[..ready], text("record"));
            opened(&mut to, &mut out[..ready]).unwrap();
            assert_eq!(out[HEADER..ready - TAG], text("payload"));
            played += 1;
        }
    }
    assert_eq!(played, if cfg!(feature = "seal") { 8 } else { 5 });
}

fn opened<'a>(records: &mut Records, record: &'a mut [u8]) -> Result<Record<'a>, Refusal> {
    if records.is_sealed() { records.unseal(record) } else { records.open(record) }
}
