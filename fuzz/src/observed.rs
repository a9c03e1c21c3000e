//! What a session makes of an input, and what must hold for it whatever the input is.

use std::time::Duration;

use countersign::session::Event;
use countersign::{ForeignProtocol, Refusal, Session};
use countersign_proto::Blocks;

use crate::choices::pieces;

/// What a session has told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Open { is_protected: bool },
    Message(Vec<u8>),
    Control,
    Finished,
    End,
}

/// All that can be seen of a session.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub heard: Vec<Heard>,
    pub said: Vec<u8>,
    pub refusal: Option<Refusal>,
}

impl Observed {
    /// Whether it has opened, and with records.
    pub fn opened(&self) -> Option<bool> {
        match self.heard.first() {
            Some(Heard::Open { is_protected }) => Some(*is_protected),
            _ => None,
        }
    }

    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.heard.iter().filter_map(|heard| match heard {
            Heard::Message(bytes) => Some(&bytes[..]),
            _ => None,
        })
    }

    fn hear(&mut self, session: &mut Session, mut input: &[u8]) {
        while self.refusal.is_none() {
            let (heard, echo) = match session.process(Duration::ZERO, &mut input, &mut self.said) {
                Ok(None) => break,
                Ok(Some(Event::Open(opened))) => {
                    (Heard::Open { is_protected: opened.is_protected }, None)
                }
                Ok(Some(Event::Message(message))) => {
                    let bytes = message.bytes.to_vec();
                    (Heard::Message(bytes.clone()), Some((message.form, bytes)))
                }
                Ok(Some(Event::Control)) => (Heard::Control, None),
                Ok(Some(Event::Finished)) => (Heard::Finished, None),
                Ok(Some(Event::End)) => (Heard::End, None),
                Ok(Some(other)) => panic!("an event that nobody knows: {other:?}"),
                Err(refusal) => {
                    self.refusal = Some(named_alike(refusal, self.opened().is_some()));
                    break;
                }
            };
            check_memory(session);
            // The peer may accept less than it sends.
            if let Some((form, message)) = echo {
                let _ = session.reply(form, &message, &mut self.said);
            }
            if heard == Heard::Finished {
                session.finish(&mut self.said);
            }
            self.heard.push(heard);
        }
        check_memory(session);
    }
}

/// How much of another protocol has arrived decides what it is called, and whether it is known for
/// one by what is taken for the length of its first message.
fn named_alike(refusal: Refusal, is_open: bool) -> Refusal {
    match refusal {
        Refusal::MessageTooLong | Refusal::BadLength if !is_open => {
            Refusal::Foreign(ForeignProtocol::Other)
        }
        Refusal::Foreign(_) => Refusal::Foreign(ForeignProtocol::Other),
        other => other,
    }
}

/// What an unfinished frame takes, and one in one piece: the share of a connection in the formula
/// of [`countersign::engine::Engine::memory_max`].
fn check_memory(session: &Session) {
    let frame = session.config().frame_max();
    let (held, most) = (session.bytes_buffered(), Blocks::taken_by(frame) + frame);
    assert!(held <= most, "a session holds {held} bytes, more than {most}");
}

/// Plays a stream to a session, in pieces, up to its end.
pub fn observe(mut session: Session, stream: &[u8], cut: u8) -> Observed {
    let mut observed = Observed::default();
    observed.hear(&mut session, &[]);
    for piece in pieces(stream, cut) {
        observed.hear(&mut session, piece);
    }
    match (observed.refusal, session.input_ended()) {
        (None, Ok(last)) => {
            observed.heard.extend(last.map(|message| Heard::Message(message.bytes.to_vec())));
        }
        (refused, ended) => {
            let is_open = observed.opened().is_some();
            let why = ended.err().map(|why| named_alike(why, is_open));
            assert!(refused.is_none() || refused == why, "{refused:?} has become {why:?}");
            observed.refusal = why;
        }
    }
    // Nothing follows a refusal.
    if observed.refusal.is_some() {
        let (mut more, mut out) = (&[0x10, 0, 0, 16][..], Vec::new());
        let event = session.process(Duration::ZERO, &mut more, &mut out);
        assert!(matches!(event, Ok(None) | Err(_)) && out.is_empty(), "behind a refusal");
    }
    observed
}
