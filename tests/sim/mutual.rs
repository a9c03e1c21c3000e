//! What `countersign/1` adds to a connection: a client that calls first, and bytes of the server's
//! that follow from keys, told a second time by the forger.

use std::time::Duration;

use countersign::session::SessionCore;
use countersign::{ClientConfig, CloseReason, Dialect, Protection};

use crate::excuses::{Check, Excuse};
use crate::forger::{CLOSE, DATA, Forger, frame};
use crate::link::{CHALLENGE, Link};
use crate::oracle::{self, Ending, PAYLOAD_LEAST};
use crate::script::Proof;
use crate::terms::Terms;
use crate::world::World;

const MAGIC: &[u8] = b"\x9ecsgn/1\n";

/// The bytes of a proof.
const CONFIRM: usize = 36;

/// The calls that come to nothing: malformed, of another version, without agreement on records, in
/// a mirror, and none at all.
pub(crate) const BAD_CALLS: u8 = 5;

/// The countersign/1 side of a connection.
#[derive(Debug)]
pub(crate) struct Mutual {
    config: ClientConfig,
    pub(crate) session: SessionCore,
    pub(crate) call: Vec<u8>,
    /// What both derive, once the server's hello was due.
    pub(crate) forger: Option<Forger>,
    /// The conversation goes on in records.
    pub(crate) has_records: bool,
    /// Records are sealed.
    pub(crate) is_sealed: bool,
    /// The server has sent its close record.
    pub(crate) sent_close: bool,
    /// Where a refusal began to be written, and what it says.
    refused_at: Option<usize>,
    pub(crate) refused: Option<u8>,
}

impl Mutual {
    pub(crate) fn new(terms: &Terms, proof: Proof, nonce: [u8; 32]) -> Self {
        let config = match proof {
            Proof::Unknown => terms.stranger.clone(),
            Proof::Elsewhere => terms.elsewhere.clone(),
            _ => terms.signing.clone(),
        };
        let mut session = SessionCore::client(&config, Duration::ZERO, nonce).unwrap();
        let mut call = Vec::new();
        session.next(&config, Duration::ZERO, &mut &[][..], &mut call).unwrap();
        if let Proof::BadCall(fault) = proof {
            spoil(&mut call, fault, terms);
        }
        Self {
            has_records: terms.has_records(),
            is_sealed: terms.is_sealed(),
            config,
            session,
            call,
            forger: None,
            sent_close: false,
            refused_at: None,
            refused: None,
        }
    }

    /// The bytes of a server's nonce and hello.
    fn answer_length(&self) -> usize {
        CHALLENGE + if self.is_sealed { 67 } else { 62 }
    }

    /// The bytes of the handshake.
    pub(crate) fn proof_length(&self) -> usize {
        self.call.len() + CONFIRM
    }
}

/// Makes a call one that must be refused, or not be answered at all.
fn spoil(call: &mut [u8], fault: u8, terms: &Terms) {
    let flags = match terms.config.protection() {
        Protection::Sealed | Protection::Required => 0,
        Protection::Allowed => 2,
        _ => 3,
    };
    match fault {
        0 => call[8] = 0x42,
        1 => call[12..14].fill(2),
        2 => call[15] = flags,
        3 => call[52..68].copy_from_slice(&terms.instance),
        _ => call.fill(b'0'),
    }
}

/// What a refusal of such a call says.
fn refusal_of(fault: u8, protection: Protection) -> Option<u8> {
    match fault {
        0 => Some(4),
        1 => Some(1),
        2 if matches!(protection, Protection::Allowed | Protection::Sealed) => Some(4),
        2 => Some(2),
        _ => None,
    }
}

impl Link {
    pub(crate) fn has_records(&self) -> bool {
        self.mutual.as_ref().is_some_and(|mutual| mutual.has_records)
    }

    /// Whether the proof that the server has read is the right one.
    pub(crate) fn has_confirmed(&self) -> bool {
        let forger = self.mutual.as_ref().and_then(|mutual| {
            mutual.forger.as_ref().filter(|_| self.said.starts_with(&mutual.call))
        });
        forger.is_some_and(|forger| {
            let start = self.account.oracle.proof - CONFIRM;
            self.said.get(start..start + CONFIRM) == Some(&forger.confirm)
        })
    }

    /// Whether the dialect's last word is there where it must be, and nowhere else.
    pub(crate) fn receives_close(&self, why: CloseReason) -> bool {
        use CloseReason::{
            Answered, ClosedByService, Finished, IdleTimeout, Revoked, SessionAge, Stopped,
        };
        let is_due = matches!(
            why,
            Answered | ClosedByService | Finished | IdleTimeout | Revoked | Stopped | SessionAge
        );
        self.mutual.as_ref().is_none_or(|m| !m.has_records || m.sent_close == is_due)
    }

    fn has_called(&self) -> bool {
        self.read >= MAGIC.len() && self.said.starts_with(MAGIC)
    }

    /// Whether the client has failed to prove itself, though it was asked to.
    pub(crate) fn has_failed(&self, is_proved: bool) -> bool {
        if let Some(python) = &self.python {
            return python.has_failed();
        }
        let Some(mutual) = &self.mutual else {
            // What looks like a hello of TLS comes from a stranger, and is no guess.
            let is_guess = !matches!(&self.said[..], [0x16, 3, 0..=4, 0..=0x40, _, 1, ..]);
            return is_guess && self.account.oracle.proof_left == 0 && !is_proved;
        };
        let has_left = self.end_read && self.read == mutual.call.len();
        let is_asked = mutual.forger.is_some() && mutual.refused.is_none_or(|code| code == 2);
        is_asked && (has_left || (self.account.oracle.proof_left == 0 && !is_proved))
    }
}

impl World {
    /// What a client of countersign/1 says next: its call, and once the answer is there the rest.
    pub(crate) fn compose_mutual(&mut self, number: usize) {
        let wrong_bit = self.random.between(0, 8 * (CONFIRM - 4) - 1);
        let leaves = self.random.per_mille(300);
        let Self { links, overheard_confirm, setup, random, .. } = self;
        let link = &mut links[number];
        let Some(mutual) = &mut link.mutual else { return };
        if link.said.is_empty() {
            link.said = mutual.call.clone();
            if matches!(link.script.proof, Proof::BadCall(_)) {
                link.said.extend_from_slice(b"and what is glued to it");
                link.is_composed = true;
            }
            return;
        }
        let answer = mutual.answer_length();
        if link.received < answer {
            return;
        }
        link.is_composed = true;
        let Mutual { config, session, has_records, .. } = mutual;
        let mut said = Vec::new();
        let answered =
            session.next(config, Duration::ZERO, &mut &link.written[..answer], &mut said);
        let is_right = answered.is_ok();
        if !is_right || matches!(link.script.proof, Proof::Wrong | Proof::Replayed) {
            let other = overheard_confirm.clone().unwrap_or_else(|| frame(3, &[7; 32]));
            match link.script.proof {
                Proof::Wrong if is_right => said[4 + wrong_bit / 8] ^= 0x80 >> (wrong_bit % 8),
                // Who holds the key leaves, and so do some who don't.
                Proof::Right => return,
                _ if leaves => return,
                _ => said = other,
            }
        } else {
            *overheard_confirm = Some(said.clone());
        }
        let (whole, rest) = link.script.stream.split_at(link.script.whole);
        if *has_records && is_right {
            let max = setup.listeners[link.listener].config.message_max().max(PAYLOAD_LEAST);
            said = mutual.seal(said, whole, (link.script.packing, max), random);
        } else {
            said.extend_from_slice(whole);
        }
        said.extend_from_slice(rest);
        link.said.extend(said);
    }

    /// Notes as due what the server writes and may write, as far as it shows in what was written.
    pub(crate) fn expect_mutual(&mut self, number: usize) {
        self.look_again(number);
        while self.links[number].written.len() > self.links[number].account.due.len() {
            let Some(due) = self.due_next(number) else { return };
            self.links[number].account.due.extend(due);
        }
    }

    fn due_next(&mut self, number: usize) -> Option<Vec<u8>> {
        let shares_raw = self.terms(number).config.shares_raw();
        let link = &self.links[number];
        let at = link.account.due.len();
        let next = &link.written[at..];
        if at == 0 {
            let front = &next[..next.len().min(CHALLENGE)];
            let place = self.nonces.iter().position(|nonce| nonce.starts_with(front))?;
            let may = shares_raw || link.has_called();
            return may.then(|| self.nonces.swap_remove(place).to_vec());
        }
        if !link.account.owed.is_empty() {
            return self.due_record(number);
        }
        if link.account.opened.is_some() {
            // Whoever has to go has no answer to wait for.
            let must_go = self.must_go(number) && next[0] == CLOSE;
            let pinged = if must_go { None } else { self.answer_ping(number) };
            return match pinged {
                None => self.close_record(number),
                Some(payload) => {
                    self.owe_pong(number, payload);
                    self.due_record(number)
                }
            };
        }
        match next[0] {
            2 if at == CHALLENGE => self.hello(number),
            _ => self.refusal(number, at),
        }
    }

    /// The server's hello, once the whole call was read.
    fn hello(&mut self, number: usize) -> Option<Vec<u8>> {
        let link = &mut self.links[number];
        let (terms, model) = (&self.setup.listeners[link.listener], &self.models[link.listener]);
        let mutual = link.mutual.as_mut()?;
        if link.read < mutual.call.len() || matches!(link.script.proof, Proof::BadCall(_)) {
            return None;
        }
        let record_max = u32::try_from(terms.config.message_max().max(PAYLOAD_LEAST) + 16).unwrap();
        let extension: &[u8] = if terms.is_sealed() { &[0, 5, 0, 1, 0, 1, 1] } else { &[0, 0] };
        let length = u8::try_from(56 + extension.len()).unwrap();
        let mut hello = vec![2, 0, 0, length, 1, 0, 0, mutual.has_records.into()];
        hello.extend_from_slice(&record_max.to_be_bytes());
        hello.extend_from_slice(&terms.instance);
        hello.extend_from_slice(extension);
        let answer = [&link.written[..CHALLENGE], &hello].concat();
        let forger = Forger::new(&terms.secret, &mutual.call, &answer);
        let is_known = matches!(link.script.proof, Proof::Right | Proof::Wrong | Proof::Replayed);
        if is_known && model.revoked.is_none() {
            hello.extend_from_slice(&forger.server_proof);
            link.account.oracle.direction = Some(forger.to_server.clone());
        } else {
            // A decoy's: the client sees that it isn't the key's.
            let answer = mutual.answer_length();
            let shown = link.written.get(answer - 32..answer.min(link.written.len()));
            let shown = shown.unwrap_or_default();
            if link.written.len() >= answer && shown == forger.server_proof {
                return None;
            }
            hello.extend_from_slice(shown);
        }
        mutual.forger = Some(forger);
        Some(hello)
    }

    /// As much of a refusal as was written.
    fn refusal(&mut self, number: usize, at: usize) -> Option<Vec<u8>> {
        let link = &mut self.links[number];
        let may = link.has_called();
        let mutual = link.mutual.as_mut()?;
        if mutual.refused_at.is_none() && at > CHALLENGE && at < mutual.answer_length() {
            // The rest of a decoy's proof.
            let end = link.written.len().min(mutual.answer_length());
            return Some(link.written[at..end].to_vec());
        }
        let start = *mutual.refused_at.get_or_insert(at);
        match at - start {
            _ if !may => None,
            0 => Some(vec![5, 0, 0, 1]),
            4 => {
                mutual.refused = Some(link.written[at]);
                Some(vec![link.written[at]])
            }
            _ => None,
        }
    }

    /// The payload of the first ping that was not answered yet, if it is its turn.
    fn answer_ping(&mut self, number: usize) -> Option<Vec<u8>> {
        let account = &mut self.links[number].account;
        let is_next = matches!(account.oracle.messages.front(), Some((_, Ending::Ping)));
        if !is_next || account.fate.is_some() || account.opened.is_none() {
            return None;
        }
        account.oracle.messages.pop_front().map(|(payload, _)| payload)
    }

    /// All pings that were read are answered now.
    pub(crate) fn owe_pongs(&mut self, number: usize) {
        while let Some(payload) = self.answer_ping(number) {
            self.owe_pong(number, payload);
        }
    }

    fn close_record(&mut self, number: usize) -> Option<Vec<u8>> {
        let mutual = self.links[number].mutual.as_mut()?;
        if !mutual.has_records || std::mem::replace(&mut mutual.sent_close, true) {
            return None;
        }
        Some(mutual.forger.as_mut()?.to_client.record(CLOSE, &[]))
    }

    /// The acceptance, with which the server lets a client in.
    pub(crate) fn owe_acceptance(&mut self, number: usize) {
        let link = &mut self.links[number];
        if let Some(forger) = link.mutual.as_mut().and_then(|mutual| mutual.forger.as_mut()) {
            let acceptance = forger.to_client.record(4, &[0]);
            link.account.due.extend(acceptance);
        }
    }

    /// Notes that this message is due.
    pub(crate) fn owe_message(&mut self, number: usize, ending: Ending, message: &[u8]) {
        let framing = self.terms(number).config.framing();
        let link = &mut self.links[number];
        match link.has_records() {
            true => link.account.owed.push_back((DATA, message.to_vec())),
            false => oracle::frame(framing, ending, message, &mut link.account.due),
        }
    }

    /// Whether a client of countersign/1 that is dropped before it has authenticated was told why.
    pub(crate) fn check_refusal(&mut self, number: usize, is_late: bool, unlucky: bool) {
        let link = &self.links[number];
        let Some(mutual) = &link.mutual else { return };
        let is_read = link.read >= mutual.call.len();
        let is_bad_call = matches!(link.script.proof, Proof::BadCall(_));
        let due = match link.script.proof {
            Proof::BadCall(fault) if is_read => {
                refusal_of(fault, self.terms(number).config.protection())
            }
            _ if link.account.oracle.proof_left == 0 => Some(2),
            _ => None,
        };
        let is_broken = link.reset || link.hung_up || link.socket.blocked.is_some();
        // Of a call that is refused without a word, the last bytes may come when it is late.
        let is_judged = is_bad_call && is_read;
        let is_told = match mutual.refused {
            None => due.is_none() && (is_judged || !(is_late && link.has_called())),
            Some(3) => unlucky,
            Some(5) => is_late,
            told => told == due,
        };
        let is_silent = mutual.refused.is_none();
        let excuses = [
            (Excuse::RefusalUnsent, is_silent && is_broken),
            (Excuse::RefusalDropped, is_silent && unlucky),
            // The header alone may be enough to say no.
            (Excuse::RefusalEarly, !is_silent && is_bad_call && !is_read),
        ];
        if !self.excuses.check(Check::Refusal, is_told, &excuses) {
            let refused = mutual.refused;
            let what = format!("it was told {refused:?}, and {due:?} was due");
            self.fail(Some(number), what);
        }
    }
}

/// The dialect of one client.
pub(crate) fn is_mutual(dialect: Dialect) -> bool {
    dialect == Dialect::Countersign
}
