//! The steps of a session in `countersign/1`, at either end.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::dialect::Dialect;
use crate::framing::FrameFormat;
use crate::handshake::countersign::frame::{
    self, ACCEPT, CONFIRM, HEADER, HELLO, HELLO_MAX, Header, MAGIC, SERVER_HELLO,
};
use crate::handshake::countersign::{NONCE, Negotiated, Nonce, PROOF, STATUS, client, server};
use crate::handshake::multiprocessing;
use crate::keys::KeyRing;
use crate::keys::key::{Credential, Key};
use crate::partial_frame::{FrameStatus, front, head};
use crate::protocol::{Exchange, Protocol};
use crate::records::{Record, Records, TAG};
use crate::refusal::{ForeignProtocol, Refusal, RefusalCode};
use crate::role::Role;
use crate::session::event::{Event, Message, Opened};
use crate::session::{Session, Stage, ends_with_one};

/// A client that has proved itself, and awaits the server's word.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) records: Records,
    pub(super) plain: bool,
}

/// A conversation in records.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) records: Records,
    pub(super) role: Role,
    /// The peer's key, at a server.
    pub(super) key: Option<Credential>,
    pub(super) course: Course,
}

/// How far a conversation in records has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Talking,
    /// What the connection was for is done; the caller hasn't been told yet.
    Ending,
    /// Nothing more is expected of the peer.
    Over,
    /// A record was not the one that must come next, or not well-formed.
    Failed(Refusal),
}

type Step<'s> = Result<Option<Event<'s>>, Refusal>;

/// The bytes of the magic and the header behind it.
const FRONT: usize = MAGIC.len() + HEADER;

impl Session {
    /// As a server: awaits a call, or, where `raw` is served too, anything that is none.
    pub(super) fn called<'s>(
        &'s mut self,
        protocol: &'s Protocol,
        (nonce, is_sent): (Nonce, bool),
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Step<'s> {
        if let Some(front) = self.stranger(input) {
            if protocol.shares_raw() {
                self.stage = Stage::Challenged(nonce);
                return self.verify(protocol, &nonce, input);
            }
            return Err(self.reject(None, Refusal::Foreign(ForeignProtocol::of(&front)), out));
        }
        let answered = self.answer_call(protocol, &nonce, is_sent, input, out);
        match answered {
            Ok(Some(pending)) => {
                self.stage = Stage::Confirming(Box::new(pending));
                self.confirm(protocol, input, out)
            }
            Ok(None) => Ok(None),
            Err(refusal) => Err(self.reject((!is_sent).then_some(&nonce), refusal, out)),
        }
    }

    /// The first bytes of a peer, if they can't be those of a call.
    fn stranger(&self, input: &[u8]) -> Option<[u8; 16]> {
        let bytes = self.partial.taken().front.iter().chain(input);
        let differs = MAGIC.iter().zip(bytes).any(|(ours, theirs)| ours != theirs);
        differs.then(|| front(self.partial.taken(), input))
    }

    fn answer_call(
        &mut self,
        protocol: &Protocol,
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
        let answered = server::answer(protocol, nonce, is_sent, call, out);
        self.partial.release();
        answered.map(Some)
    }

    /// As a server: awaits the client's proof.
    pub(super) fn confirm<'s>(
        &'s mut self,
        protocol: &'s Protocol,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Step<'s> {
        let header = head(self.partial.taken(), input).map(Header::read);
        let due = Header { kind: CONFIRM, length: PROOF };
        let confirmed = match header {
            Some(header) if header != due => Err(Refusal::Malformed),
            _ => match self.partial.exactly(HEADER + PROOF, input) {
                None => return Ok(None),
                Some(frame) => match self.stage.end() {
                    // The ring may have been replaced since the call, or the key may have run out.
                    Stage::Confirming(pending) => {
                        let dialect = Dialect::Countersign;
                        let known = |number| protocol.accepted(Credential { number, dialect });
                        pending.verify(&frame[HEADER..], known, out)
                    }
                    _ => Err(Refusal::Malformed),
                },
            },
        };
        self.partial.release();
        match confirmed {
            Ok((key, negotiated)) => Ok(Some(self.agree(protocol, Role::Server, key, negotiated))),
            Err(refusal) => Err(self.reject(None, refusal, out)),
        }
    }

    /// Appends the word for a refusal, where there is one. Our nonce, if it isn't out yet, always
    /// precedes it.
    fn reject(&mut self, nonce: Option<&Nonce>, why: Refusal, out: &mut Vec<u8>) -> Refusal {
        if let Some(code) = why.code() {
            server::refuse(nonce, code, out);
        }
        self.fail(why)
    }

    /// As a client: calls.
    pub(super) fn call<'s>(
        &mut self,
        protocol: &'s Protocol,
        nonce: Nonce,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Step<'s> {
        client::call(protocol, signing_key(protocol)?, &nonce, out);
        self.stage = Stage::Calling(nonce);
        self.hear(protocol, &nonce, input, out)
    }

    /// As a client: awaits the server's nonce and hello.
    pub(super) fn hear<'s>(
        &mut self,
        protocol: &'s Protocol,
        nonce: &Nonce,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Step<'s> {
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
        let Some(heard) = self.partial.take(extent, input, NONCE + HELLO_MAX) else {
            return Ok(None);
        };
        let (ring, key) = signing_key(protocol)?;
        let negotiated = match heard[NONCE] {
            frame::REFUSAL => Err(rejected(heard)),
            _ => client::confirm(protocol, (ring, key), nonce, heard, out),
        };
        self.partial.release();
        Ok(Some(self.agree(protocol, Role::Client, key, negotiated?)))
    }

    /// As a client: awaits the server's word, and then goes on.
    pub(super) fn accept<'s, 'i: 's>(
        &'s mut self,
        protocol: &'s Protocol,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Step<'s> {
        match self.take_word(input) {
            Ok(true) => self.next(protocol, input, out),
            Ok(false) => Ok(None),
            Err(why) => Err(self.fail(why)),
        }
    }

    /// Takes the server's word that it accepts us. Says whether it is there.
    fn take_word(&mut self, input: &mut &[u8]) -> Result<bool, Refusal> {
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
        let Stage::Accepting(mut accepting) = self.stage.end() else {
            return Err(Refusal::Malformed);
        };
        if frame[HEADER] != STATUS {
            return Err(Refusal::Malformed);
        }
        accepting.records.accept(frame)?;
        let Accepting { records, plain } = *accepting;
        self.stage = match plain {
            true => Stage::Talking(Role::Client, None),
            false => Guarded::begin(records, Role::Client, None, Course::Talking),
        };
        Ok(true)
    }

    /// Goes on as was negotiated.
    fn agree<'s>(
        &mut self,
        protocol: &Protocol,
        role: Role,
        key: &'s Key,
        negotiated: Negotiated,
    ) -> Event<'s> {
        let Negotiated { records, plain, exporter } = negotiated;
        let credential = Some(key.credential(Dialect::Countersign));
        self.stage = match (role, plain) {
            (Role::Client, _) => Stage::Accepting(Box::new(Accepting { records, plain })),
            (Role::Server, false) => {
                let course = match protocol.exchange() {
                    Exchange::VerifyOnly => Course::Ending,
                    Exchange::Once | Exchange::Many => Course::Talking,
                };
                Guarded::begin(records, role, credential, course)
            }
            (Role::Server, true) => Stage::talking(protocol, role, credential),
        };
        Event::Open(Opened {
            key: Some(key),
            dialect: Dialect::Countersign,
            form: if plain { protocol.framing().form() } else { FrameFormat::Record },
            is_protected: !plain,
            exporter: Some(exporter),
        })
    }

    /// Takes the next record.
    pub(super) fn record<'s, 'i: 's>(
        &'s mut self,
        protocol: &Protocol,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Step<'s> {
        let Self { stage: Stage::Guarded(guarded), partial } = self else { return Ok(None) };
        match guarded.course {
            Course::Talking => {}
            Course::Ending => {
                guarded.course = Course::Over;
                return Ok(Some(Event::End));
            }
            Course::Over => {
                *input = &[];
                return Ok(None);
            }
            Course::Failed(why) => return Err(why),
        }
        let Guarded { records, role, course, .. } = &mut **guarded;
        // After a fault there is no good-bye, and nothing more is heard.
        let mut failed = |why| {
            *course = Course::Failed(why);
            why
        };
        let extent = Records::scan(partial.taken(), input, protocol.record_payload_max());
        let extent = extent.map_err(&mut failed)?;
        let Some(frame) = partial.take(extent, input, protocol.frame_max()) else {
            return Ok(None);
        };
        let record = records.open(frame).map_err(failed)?;
        Ok(Some(match record {
            Record::Data(bytes) => {
                if ends_with_one(protocol, *role) {
                    *course = Course::Ending;
                }
                Event::Message(Message { bytes, form: FrameFormat::Record })
            }
            Record::Ping(payload) => {
                records.echo(payload, out);
                Event::Control
            }
            Record::Pong(_) => Event::Control,
            Record::Close => Event::Finished,
        }))
    }
}

impl Guarded {
    /// What has ended the conversation, if it was not ended in order.
    pub(super) fn failure(&self) -> Option<Refusal> {
        match self.course {
            Course::Failed(why) => Some(why),
            Course::Talking | Course::Ending | Course::Over => None,
        }
    }

    /// Whether the end of the stream is no loss.
    pub(super) fn is_over(&self) -> bool {
        self.course == Course::Over || self.records.heard_close()
    }

    fn begin(records: Records, role: Role, key: Option<Credential>, course: Course) -> Stage {
        Stage::Guarded(Box::new(Self { records, role, key, course }))
    }
}

/// The key that we prove as a client, and the ring that it is on.
fn signing_key(protocol: &Protocol) -> Result<(&KeyRing, &Key), Refusal> {
    let key = protocol.signing_key().ok().flatten();
    protocol.keys().zip(key).ok_or(Refusal::UnknownKey)
}

/// What a refusal of the server's says.
fn rejected(frame: &[u8]) -> Refusal {
    Refusal::Rejected(
        frame.last().map_or(RefusalCode::Malformed, |code| RefusalCode::from_byte(*code)),
    )
}
