//! The handshake as the server, against a client that is tested.

use crate::channel::flip;
use crate::hello::{self, AnswerDefaults, CHACHA20_POLY1305, HELLO_MAX, MAGIC, PROOF, parse_call};
use crate::needs::{KeyChoice, Mode};
use crate::octets::shown;
use crate::player::Player;
use crate::secrets::{HEADER, RecordCipher, Secrets, header};
use crate::step::{AcceptEdit, AnswerEdit};
use crate::wire::{Mismatch, ReadEvent};

impl Player<'_> {
    pub(crate) fn expect_call(&mut self) -> Result<(), Mismatch> {
        const EXPECTED: &str = "a call, before the server says anything";
        self.wire.is_nonce_due = false;
        let start = MAGIC.len() + HEADER;
        self.wire.await_bytes(start, EXPECTED)?;
        let (magic, head) = self.wire.inbox[..start].split_at(MAGIC.len());
        let length = usize::from(head[2]) << 8 | usize::from(head[3]);
        if magic != MAGIC || head[..2] != [0x01, 0x00] || start + length > HELLO_MAX {
            return Err(self.wire.mismatch(EXPECTED, ReadEvent::Bytes));
        }
        self.wire.await_bytes(start + length, EXPECTED)?;
        self.call = self.wire.take(start + length, "call");
        let wrong = |came| Mismatch::new("a call that keeps to the page", came);
        let nonce = self.client_hello.nonce;
        self.client_hello = parse_call(&self.call[start..]).map_err(wrong)?;
        if self.client_hello.nonce == nonce {
            return Err(Mismatch::new("a fresh nonce", "the nonce of the connection before"));
        }
        if self.subject.keys.by_id(&self.client_hello.kid).is_none() {
            let came = format!("a call with the key id {}", shown(&self.client_hello.kid));
            return Err(Mismatch::new("a call with a key id of the key file", came));
        }
        if self.client_hello.aud != self.subject.audience.as_bytes() {
            let expected = format!("a call for the audience {:?}", self.subject.audience);
            let came = format!("a call for the audience {}", shown(&self.client_hello.aud));
            return Err(Mismatch::new(expected, came));
        }
        Ok(())
    }

    pub(crate) fn send_nonce(&mut self) {
        // It precedes an answer and a refusal, once.
        if !self.is_nonce_sent {
            self.is_nonce_sent = true;
            let nonce = self.nonce.to_vec();
            self.send("nonce", nonce);
        }
    }

    pub(crate) fn send_answer(&mut self, edit: &AnswerEdit) -> Result<(), Mismatch> {
        let mode = self.subject.mode();
        let offers_suite =
            self.client_hello.suites.as_ref().is_some_and(|list| list.contains(&CHACHA20_POLY1305));
        let has_records = self.client_hello.flags & 1 == 1 && mode != Mode::Off;
        let is_sealed = has_records && mode == Mode::Sealed && offers_suite;
        let instance =
            if edit.instance_of_client { self.client_hello.instance } else { self.instance };
        let flags = u16::from(has_records);
        self.answer = hello::answer(edit, &AnswerDefaults { flags, instance, is_sealed });
        let secret = match edit.key {
            KeyChoice::First => self.subject.keys.by_id(&self.client_hello.kid).cloned(),
            choice => self.subject.keys.choose(choice),
        };
        let secret = secret.map(|key| key.secret).unwrap_or_default();
        let nonce = if edit.other_nonce { self.client_hello.nonce } else { self.nonce };
        let secrets = Secrets::derive(&secret, &nonce, &self.call, &self.answer);
        let mac = if edit.zeros { [0; PROOF] } else { secrets.mac_s };
        let mut frame = [&self.answer[..], &mac].concat();
        flip(&mut frame, edit.flip);
        frame.truncate(edit.only.unwrap_or(usize::MAX));
        self.server_hello.flags = edit.flags.unwrap_or(flags);
        self.server_hello.suite = (is_sealed && !edit.without_suites).then_some(CHACHA20_POLY1305);
        self.max_record = edit.max_record.unwrap_or(hello::MAX_RECORD);
        self.secrets = Some(secrets);
        self.send_nonce();
        self.send("answer", frame);
        Ok(())
    }

    pub(crate) fn expect_confirm(&mut self) -> Result<(), Mismatch> {
        const EXPECTED: &str = "a confirm";
        self.wire.await_bytes(HEADER + PROOF, EXPECTED)?;
        if self.wire.inbox[..HEADER] != header(0x03, PROOF) {
            return Err(self.wire.mismatch(EXPECTED, ReadEvent::Bytes));
        }
        let confirm = self.wire.take(HEADER + PROOF, "confirm");
        self.is_confirmed = true;
        let is_right = self.secrets.as_ref().is_some_and(|it| confirm[HEADER..] == it.mac_c);
        let (expected, came) =
            ("a confirm whose mac_c verifies", "a confirm whose mac_c does not verify");
        if is_right { Ok(()) } else { Err(Mismatch::new(expected, came)) }
    }

    pub(crate) fn send_accept(&mut self, edit: &AcceptEdit) -> Result<(), Mismatch> {
        let Some(secrets) = self.secrets.clone() else {
            return Err(Mismatch::new("an accept", "a case without an answer"));
        };
        let key = if edit.other_direction { &secrets.k_c2s } else { &secrets.k_s2c };
        let kind = edit.kind.unwrap_or(0x04);
        let length = edit.length.unwrap_or(17) as usize;
        let status = [edit.status.unwrap_or(0)];
        let tagged = RecordCipher::new(key, false);
        let mut frame = tagged.protect(edit.number.unwrap_or(0), kind, length, &status);
        flip(&mut frame, edit.flip);
        frame.truncate(edit.only.unwrap_or(usize::MAX));
        self.send("accept", frame);
        let (has_records, is_sealed) =
            (self.server_hello.flags & 1 == 1, self.server_hello.suite.is_some());
        self.established(&secrets, has_records, is_sealed);
        Ok(())
    }
}
