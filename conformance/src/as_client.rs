//! The handshake as the client, against a server that is tested.

use crate::channel::flip;
use crate::hello::{self, CallDefaults, HELLO_MAX, PROOF, SEALING, parse_answer};
use crate::needs::{KeyChoice, Mode};
use crate::player::Player;
use crate::secrets::{HEADER, RecordCipher, Secrets, header, hmac};
use crate::step::{AnswerCheck, CallEdit, ConfirmEdit, RawProofEdit};
use crate::wire::{Mismatch, ReadEvent};

/// The bytes of the server's nonce.
const NONCE: usize = 32;

/// The bytes of an answer without extensions.
const ANSWER_MIN: usize = 26 + PROOF;

impl Player<'_> {
    pub(crate) fn send_call(&mut self, edit: &CallEdit) -> Result<(), Mismatch> {
        self.call = self.composed_call(edit)?;
        self.edit = edit.clone();
        self.max_record = edit.max_record.unwrap_or(hello::MAX_RECORD);
        let call = self.call.clone();
        self.send("call", call);
        Ok(())
    }

    pub(crate) fn composed_call(&self, edit: &CallEdit) -> Result<Vec<u8>, Mismatch> {
        let key = self.key(edit.key)?;
        let mode = self.subject.mode();
        Ok(hello::call(
            edit,
            &CallDefaults {
                flags: if mode == Mode::Off { 0 } else { 3 },
                nonce: self.nonce,
                instance: if edit.instance_of_server { self.other_instance } else { self.instance },
                kid: &key.id,
                aud: self.subject.audience.as_bytes(),
                is_sealed: mode == Mode::Sealed,
            },
        ))
    }

    fn key(&self, choice: KeyChoice) -> Result<crate::keys::TestKey, Mismatch> {
        let missing = || Mismatch::new("a key for this case", "a key file without one");
        self.subject.keys.choose(choice).ok_or_else(missing)
    }

    pub(crate) fn expect_answer(&mut self, check: &AnswerCheck) -> Result<(), Mismatch> {
        const EXPECTED: &str = "the nonce, then an answer";
        // At a shared port it has come before.
        let before = if self.wire.is_nonce_due { NONCE } else { 0 };
        self.wire.await_bytes(before + HEADER, EXPECTED)?;
        let head: [u8; HEADER] = std::array::from_fn(|at| self.wire.inbox[before + at]);
        let length = usize::from(head[2]) << 8 | usize::from(head[3]);
        let is_answer = head[..2] == [0x02, 0x00];
        if !is_answer || length + HEADER > HELLO_MAX || length < ANSWER_MIN {
            return Err(self.wire.mismatch(EXPECTED, ReadEvent::Bytes));
        }
        self.wire.await_bytes(before + HEADER + length, EXPECTED)?;
        if self.wire.is_nonce_due {
            self.take_nonce()?;
        }
        let frame = self.wire.take(HEADER + length, "answer");
        let (unsigned, mac) = frame.split_at(frame.len() - PROOF);
        self.answer = unsigned.to_vec();
        self.check_answer(check)?;
        let secret = self.key(self.edit.key)?.secret;
        let secrets = Secrets::derive(&secret, &self.other_nonce, &self.call, &self.answer);
        let is_proved = mac == secrets.mac_s;
        self.secrets = Some(secrets);
        self.check_proof(is_proved, check, frame.len())
    }

    fn take_nonce(&mut self) -> Result<(), Mismatch> {
        let nonce = self.wire.take(NONCE, "nonce");
        if nonce == self.other_nonce {
            return Err(Mismatch::new("a fresh nonce", "the nonce of the connection before"));
        }
        self.other_nonce = nonce;
        self.wire.is_nonce_due = false;
        Ok(())
    }

    /// The nonce, and nothing behind it.
    pub(crate) fn expect_nonce(&mut self) -> Result<(), Mismatch> {
        self.wire.await_bytes(NONCE, "the server's nonce, at once")?;
        self.take_nonce()?;
        self.wire.expect_silence(self.subject.quiet_time)
    }

    pub(crate) fn send_raw_proof(&mut self, edit: &RawProofEdit) -> Result<(), Mismatch> {
        let mut proof = hmac(&self.key(edit.key)?.secret, &[&self.other_nonce]);
        flip(&mut proof, edit.flip);
        let begin = &edit.begin.0;
        self.send("proof", [begin, &proof[begin.len().min(proof.len())..]].concat());
        self.opened_plain();
        Ok(())
    }

    /// Whether the server has chosen what it may choose, and what the case expects.
    fn check_answer(&mut self, check: &AnswerCheck) -> Result<(), Mismatch> {
        let mut ids: Vec<u16> = self.edit.ext.iter().map(|ext| ext.id).collect();
        let is_sealed = self.subject.mode() == Mode::Sealed && !self.edit.without_suites;
        let suites = match &self.edit.suites {
            Some(suites) => suites.0.clone(),
            None => is_sealed.then_some(hello::CHACHA20_POLY1305).into_iter().collect(),
        };
        ids.extend((!suites.is_empty()).then_some(SEALING));
        ids.extend(self.edit.size.map(|_| 0xfffd));
        let wrong = |came| Mismatch::new("an answer that keeps to the page", came);
        self.server_hello = parse_answer(&self.answer[HEADER..], &ids, &suites).map_err(wrong)?;
        let before = std::mem::replace(&mut self.other_instance, self.server_hello.instance);
        if before != [0; 16] && before != self.other_instance {
            return Err(wrong("an answer with another instance than the one before".to_owned()));
        }
        let flags = self.server_hello.flags;
        let has_records = flags & 1 == 1;
        let offered =
            self.edit.flags.unwrap_or(if self.subject.mode() == Mode::Off { 0 } else { 3 });
        if has_records && offered & 1 == 0 {
            return Err(wrong("an answer that chooses records, which were not offered".to_owned()));
        }
        if let Some(expected) = check.flags.filter(|expected| *expected != flags) {
            let what = format!("an answer with the flags {expected}");
            return Err(Mismatch::new(what, format!("an answer with the flags {flags}")));
        }
        let seals = self.server_hello.suite.is_some();
        if let Some(expected) = check.sealed.filter(|expected| *expected != seals) {
            let text =
                |is: bool| if is { "an answer with a suite" } else { "an answer without one" };
            return Err(Mismatch::new(text(expected), text(seals)));
        }
        Ok(())
    }

    fn check_proof(
        &mut self,
        is_proved: bool,
        check: &AnswerCheck,
        length: usize,
    ) -> Result<(), Mismatch> {
        let usual = self.answer_length.unwrap_or(length);
        if length != usual && (check.decoy || check.same_length) {
            let expected = format!("an answer of {usual} bytes, as the one before");
            return Err(Mismatch::new(expected, format!("an answer of {length} bytes")));
        }
        if !check.decoy {
            self.answer_length = Some(length);
            let expected = "an answer whose mac_s verifies";
            let came = "an answer whose mac_s does not verify";
            return if is_proved { Ok(()) } else { Err(Mismatch::new(expected, came)) };
        }
        let expected = "an answer of a decoy, whose mac_s does not verify";
        let came = "an answer that proves the key";
        if is_proved { Err(Mismatch::new(expected, came)) } else { Ok(()) }
    }

    pub(crate) fn send_confirm(&mut self, edit: &ConfirmEdit) -> Result<(), Mismatch> {
        let secrets = self.secrets.as_ref();
        let zeros = [0; PROOF];
        let mut mac = match (&edit.mac, secrets) {
            (Some(mac), _) => mac.0.clone(),
            (_, Some(secrets)) if edit.reflect => secrets.mac_s.to_vec(),
            (_, secrets) => secrets.map_or(zeros, |secrets| secrets.mac_c).to_vec(),
        };
        flip(&mut mac, edit.flip);
        let length = edit.length.map_or(mac.len(), |length| length as usize);
        let mut frame = [&header(edit.kind.unwrap_or(0x03), length)[..], &mac].concat();
        frame.truncate(edit.only.unwrap_or(usize::MAX));
        // If it comes before the answer, what both ends derive is not known yet.
        self.send("confirm", frame);
        let (has_records, is_sealed) =
            (self.server_hello.flags & 1 == 1, self.server_hello.suite.is_some());
        if let Some(secrets) = self.secrets.clone() {
            self.established(&secrets, has_records, is_sealed);
        }
        Ok(())
    }

    pub(crate) fn expect_accept(&mut self) -> Result<(), Mismatch> {
        const EXPECTED: &str = "an accept";
        let Some(secrets) = self.secrets.clone() else {
            return Err(Mismatch::new(EXPECTED, "a case without an answer"));
        };
        self.wire.await_bytes(HEADER + 17, EXPECTED)?;
        if self.wire.inbox[..HEADER] != header(0x04, 17) {
            return Err(self.wire.mismatch(EXPECTED, ReadEvent::Bytes));
        }
        let accept = self.wire.take(HEADER + 17, "accept");
        let right = RecordCipher::new(&secrets.k_s2c, false).protect(0, 0x04, 17, &[0]);
        if accept[HEADER] != 0 {
            let came = format!("an accept with the status {}", accept[HEADER]);
            return Err(Mismatch::new("an accept with the status 0", came));
        }
        if accept != right {
            let came = "an accept whose tag does not verify";
            return Err(Mismatch::new("an accept whose tag verifies", came));
        }
        Ok(())
    }
}
