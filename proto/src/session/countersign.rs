//! The steps of a session in `countersign/1`, at either end.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::options::Exchange;
use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::framing::FrameFormat;
use crate::handshake::countersign::frame::{
    self, ACCEPT, CONFIRM, HEADER, HELLO, HELLO_MAX, Header, MAGIC, NONCE, Nonce, PROOF,
    SERVER_HELLO, STATUS,
};
use crate::handshake::countersign::state::{Accepting, CountersignState};
use crate::handshake::countersign::{Negotiated, client, server};
use crate::handshake::{ChallengeState, multiprocessing};
use crate::keys::KeyRing;
use crate::keys::key::{Credential, Key};
use crate::partial_frame::{FrameStatus, front, head};
use crate::records::TAG;
use crate::refusal::{ForeignProtocol, Refusal, RefusalCode};
use crate::role::Role;
use crate::session::event::{Event, Opened};
use crate::session::protected::RecordsState;
use crate::session::session_core::SessionCore;
use crate::session::state::SessionState;

type Advanced<'s> = Result<Option<Event<'s>>, Refusal>;

/// The bytes of the magic and the header behind it.
const FRONT: usize = MAGIC.len() + HEADER;

impl SessionCore {
    /// As a server: awaits a hello, or a proof if `raw` is served too.
    pub(super) fn receive_hello<'s>(
        &'s mut self,
        config: &'s SessionConfig,
        now: Duration,
        (nonce, is_sent): (Nonce, bool),
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Advanced<'s> {
        if let Some(front) = self.foreign(input) {
            if config.shares_raw() {
                self.state = SessionState::Challenge(ChallengeState::AwaitingProof(nonce));
                let verified = self.receive_answer(config, now, &nonce, input);
                return verified.map_err(|why| self.fail(why));
            }
            return Err(self.reject(None, Refusal::Foreign(ForeignProtocol::of(&front)), out));
        }
        let answered = self.answer_hello(config, now, &nonce, is_sent, input, out);
        match answered {
            Ok(Some(pending)) => {
                self.state =
                    SessionState::Countersign(CountersignState::AwaitingProof(Box::new(pending)));
                self.receive_proof(config, now, input, out)
            }
            Ok(None) => Ok(None),
            Err(refusal) => Err(self.reject((!is_sent).then_some(&nonce), refusal, out)),
        }
    }

    /// The first bytes of a peer, if a hello doesn't begin with them.
    fn foreign(&self, input: &[u8]) -> Option<[u8; 16]> {
        let bytes = self.partial.taken().front.iter().chain(input);
        let differs = MAGIC.iter().zip(bytes).any(|(ours, theirs)| ours != theirs);
        differs.then(|| front(self.partial.taken(), input))
    }

    fn answer_hello(
        &mut self,
        config: &SessionConfig,
        now: Duration,
        nonce: &Nonce,
        is_sent: bool,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<server::Pending>, Refusal> {
        let extent = match head::<FRONT>(self.partial.taken(), input) {
            None => FrameStatus::Partial,
            Some([.., kind, a, b, c]) => {
                let header = Header::read([kind, a, b, c]);
                if header.kind != HELLO || FRONT + header.length > HELLO_MAX {
                    return Err(Refusal::Malformed);
                }
                FrameStatus::of(FRONT + header.length - self.partial.taken().length, input)
            }
        };
        let Some(call) = self.partial.take(extent, input, HELLO_MAX) else { return Ok(None) };
        let answered = server::answer(config, now, nonce, is_sent, call, out);
        self.partial.release();
        answered.map(Some)
    }

    /// As a server: awaits the client's proof.
    pub(super) fn receive_proof<'s>(
        &'s mut self,
        config: &'s SessionConfig,
        now: Duration,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Advanced<'s> {
        let header = head(self.partial.taken(), input).map(Header::read);
        let due = Header { kind: CONFIRM, length: PROOF };
        let confirmed = match header {
            Some(header) if header != due => Err(Refusal::Malformed),
            _ => match self.partial.exactly(HEADER + PROOF, input) {
                None => return Ok(None),
                Some(frame) => match self.state.end() {
                    // Since the hello, the ring may have been replaced, or the key may have
                    // expired.
                    SessionState::Countersign(CountersignState::AwaitingProof(pending)) => {
                        let dialect = Dialect::Countersign;
                        let known = |number| config.accepted(Credential { number, dialect }, now);
                        pending.verify(&frame[HEADER..], known, out)
                    }
                    _ => Err(Refusal::Malformed),
                },
            },
        };
        self.partial.release();
        match confirmed {
            Ok((key, negotiated)) => {
                Ok(Some(self.negotiated(config, Role::Server, key, negotiated)))
            }
            Err(refusal) => Err(self.reject(None, refusal, out)),
        }
    }

    /// Appends the code of a refusal, if it has one. Our nonce always precedes it.
    fn reject(&mut self, nonce: Option<&Nonce>, why: Refusal, out: &mut Vec<u8>) -> Refusal {
        if let Some(code) = why.code() {
            server::refuse(nonce, code, out);
        }
        self.fail(why)
    }

    /// As a client: sends the hello.
    pub(super) fn send_hello<'s>(
        &mut self,
        config: &'s SessionConfig,
        now: Duration,
        nonce: Nonce,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Advanced<'s> {
        client::call(config, signing_key(config, now)?, &nonce, out);
        self.state = SessionState::Countersign(CountersignState::AwaitingServerHello(nonce));
        self.receive_server_hello(config, now, &nonce, input, out)
    }

    /// As a client: awaits the server's nonce and hello.
    pub(super) fn receive_server_hello<'s>(
        &mut self,
        config: &'s SessionConfig,
        now: Duration,
        nonce: &Nonce,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Advanced<'s> {
        const FRONT: usize = NONCE + HEADER;
        let extent = match head::<FRONT>(self.partial.taken(), input) {
            None => FrameStatus::Partial,
            Some(front) if multiprocessing::begins(&front) => {
                return Err(Refusal::Foreign(ForeignProtocol::Multiprocessing));
            }
            Some([.., kind, a, b, c]) => {
                let header = Header::read([kind, a, b, c]);
                client::judge(header, SERVER_HELLO, PROOF..=HELLO_MAX - HEADER)?;
                FrameStatus::of(FRONT + header.length - self.partial.taken().length, input)
            }
        };
        let Some(received) = self.partial.take(extent, input, NONCE + HELLO_MAX) else {
            return Ok(None);
        };
        let (ring, key) = signing_key(config, now)?;
        let negotiated = match received[NONCE] {
            frame::REFUSAL => Err(rejected(received)),
            _ => client::confirm(config, (ring, key), nonce, received, out),
        };
        self.partial.release();
        Ok(Some(self.negotiated(config, Role::Client, key, negotiated?)))
    }

    /// Takes the server's acceptance from the input. Returns whether it was there.
    pub(super) fn take_accept(&mut self, input: &mut &[u8]) -> Result<bool, Refusal> {
        let length = match head(self.partial.taken(), input).map(Header::read) {
            None => HEADER + 1 + TAG,
            Some(header) => {
                client::judge(header, ACCEPT, 1 + TAG..=1 + TAG)?;
                HEADER + header.length
            }
        };
        let Some(frame) = self.partial.exactly(length, input) else { return Ok(false) };
        if frame[0] == frame::REFUSAL {
            return Err(rejected(frame));
        }
        let SessionState::Countersign(CountersignState::AwaitingAccept(mut accepting)) =
            self.state.end()
        else {
            return Err(Refusal::Malformed);
        };
        if frame[HEADER] != STATUS {
            return Err(Refusal::Malformed);
        }
        accepting.records.accept(frame)?;
        let Accepting { records, plain } = *accepting;
        self.state = match plain {
            true => SessionState::Established(Role::Client, None),
            false => {
                SessionState::protected(records, Role::Client, None, RecordsState::Established)
            }
        };
        Ok(true)
    }

    /// Continues as was negotiated.
    fn negotiated<'s>(
        &mut self,
        config: &SessionConfig,
        role: Role,
        key: &'s Key,
        negotiated: Negotiated,
    ) -> Event<'s> {
        let Negotiated { records, plain, exporter } = negotiated;
        let credential = Some(key.credential(Dialect::Countersign));
        let is_sealed = records.is_sealed();
        self.state =
            match (role, plain) {
                (Role::Client, _) => SessionState::Countersign(CountersignState::AwaitingAccept(
                    Box::new(Accepting { records, plain }),
                )),
                (Role::Server, false) => {
                    let state = match config.exchange() {
                        Exchange::VerifyOnly => RecordsState::Ending,
                        Exchange::Once | Exchange::Many => RecordsState::Established,
                    };
                    SessionState::protected(records, role, credential, state)
                }
                (Role::Server, true) => SessionState::established(config, role, credential),
            };
        Event::Open(Opened {
            key: Some(key),
            dialect: Dialect::Countersign,
            form: if plain { config.framing().form() } else { FrameFormat::Record },
            is_protected: !plain,
            is_sealed,
            exporter: Some(exporter),
        })
    }
}

/// As a client: our key, and its ring.
fn signing_key(config: &SessionConfig, now: Duration) -> Result<(&KeyRing, &Key), Refusal> {
    let key = config.signing_key(now).ok().flatten();
    config.keys().zip(key).ok_or(Refusal::UnknownKey)
}

/// The reason in a refusal of the server.
fn rejected(frame: &[u8]) -> Refusal {
    Refusal::Rejected(
        frame.last().map_or(RefusalCode::Malformed, |code| RefusalCode::from_byte(*code)),
    )
}
