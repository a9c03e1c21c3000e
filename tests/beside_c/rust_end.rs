//! The end of this library.

use std::time::Duration;

use base16ct::lower::encode_string;
use countersign::session::{Event, SendError};
use countersign::{Refusal, RefusalCode, Session};

use crate::setup::Setup;

/// The outcome, what was sent, and the messages: as `play.c` prints them.
pub(crate) fn play<'a>(setup: &Setup, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut end = End { setup, session: setup.session(), played: Played::default() };
    end.hear(&[]);
    for piece in pieces {
        if end.played.refusal.is_none() {
            end.hear(piece);
        }
    }
    end.finished()
}

#[derive(Debug, Default)]
struct Played {
    is_open: bool,
    has_records: bool,
    is_closed: bool,
    refusal: Option<Refusal>,
    out: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

struct End<'a> {
    setup: &'a Setup,
    session: Session,
    played: Played,
}

/// What an event asks for, without what it borrows.
enum Due {
    Nothing,
    Open,
    Echo(Vec<u8>),
    Finish,
}

impl End<'_> {
    fn hear(&mut self, mut input: &[u8]) {
        let Self { setup, session, played } = self;
        loop {
            let due = match session.process(Duration::ZERO, &mut input, &mut played.out) {
                Ok(None) => return,
                Err(refusal) => {
                    played.refusal = Some(refusal);
                    return;
                }
                Ok(Some(Event::Open(opened))) => {
                    played.is_open = true;
                    played.has_records = opened.is_protected;
                    Due::Open
                }
                Ok(Some(Event::Message(message))) => {
                    played.messages.push(message.bytes.to_vec());
                    Due::Echo(message.bytes.to_vec())
                }
                Ok(Some(Event::Finished)) => Due::Finish,
                Ok(Some(_)) => Due::Nothing,
            };
            match due {
                Due::Open => {
                    let say = setup.say.iter().map(Vec::as_slice);
                    session.send_all(say, &mut played.out).unwrap();
                    if setup.closes == "first" {
                        session.finish(&mut played.out);
                    }
                }
                // Refused where it is too long for the peer, or where we have sent our close.
                Due::Echo(message) if setup.echoes && played.has_records => {
                    let sent = session.send(&message, &mut played.out);
                    assert!(matches!(sent, Ok(()) | Err(SendError::TooLong | SendError::NotOpen)));
                }
                Due::Finish if setup.closes != "never" => {
                    played.is_closed = true;
                    session.finish(&mut played.out);
                }
                Due::Echo(_) | Due::Finish | Due::Nothing => {}
            }
        }
    }

    fn finished(mut self) -> String {
        let is_cut = self.setup.ends && self.session.input_ended().is_err();
        let played = &self.played;
        let outcome = match played.refusal {
            Some(refusal) => self.outcome(refusal),
            None if is_cut => "truncated",
            None if played.is_closed => "closed",
            None if played.is_open => "open",
            None => "waiting",
        };
        let messages: String =
            played.messages.iter().map(|message| encode_string(message) + ",").collect();
        format!("{outcome} {} {messages}", encode_string(&played.out))
    }

    /// What the vectors call it.
    fn outcome(&self, refusal: Refusal) -> &'static str {
        use Refusal::{Foreign, WrongAudience, WrongProof};
        use Refusal::{
            Malformed, OtherDigest, Protection, Reflected, Rejected, UnknownKey, Version,
        };
        let (is_server, is_open) = (self.setup.is_server, self.played.is_open);
        match refusal {
            Foreign(_) | OtherDigest | WrongProof if self.setup.is_raw && is_server => {
                "refused:refused"
            }
            Foreign(_) | Reflected => "silent",
            WrongProof if !is_server && !is_open => "unproved",
            Rejected(RefusalCode::Version) => "refused:version",
            Rejected(RefusalCode::Refused) => "refused:refused",
            Rejected(RefusalCode::Busy) => "refused:busy",
            Rejected(RefusalCode::Malformed) => "refused:malformed",
            Rejected(RefusalCode::TimedOut) => "refused:timeout",
            Rejected(_) => "refused:unknown",
            Version if is_server => "refused:version",
            Malformed if is_server => "refused:malformed",
            UnknownKey | WrongAudience | WrongProof | Protection if is_server => "refused:refused",
            _ => "violation",
        }
    }
}
