//! A client of `countersign/1` that goes through its stages when it is told to.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use countersign::session::{Event, SessionCore};
use countersign::{ClientConfig, Protection, Refusal};

use crate::both_ends::BothEnds;
use crate::common::{Client, End, other_end};

/// Both ends in records.
pub(crate) fn with_records(protocol: BothEnds) -> BothEnds {
    protocol.with_records(Protection::Required)
}

/// Whether the server's hello has the extension by which it seals.
fn is_sealed(config: &ClientConfig) -> bool {
    config.protection() == Protection::Sealed
}

/// A client of `countersign/1`.
pub(crate) struct Caller {
    pub(crate) wire: Client,
    config: ClientConfig,
    session: SessionCore,
    /// What was read and not looked at yet.
    inbox: Vec<u8>,
}

/// What a caller hears next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Message(Vec<u8>),
    /// The server's close record.
    Finished,
    Refused(Refusal),
    /// The end of the stream, and whether it is one that nothing was lost by.
    End(End, Result<(), Refusal>),
}

impl Caller {
    /// Connects, and calls.
    pub(crate) fn call(address: SocketAddr, protocol: &BothEnds) -> Self {
        Self::call_over(Client::connect(address), protocol)
    }

    pub(crate) fn call_over(mut wire: Client, protocol: &BothEnds) -> Self {
        let config = other_end(protocol);
        let mut session = SessionCore::client(&config, Duration::ZERO, [7; 32]).unwrap();
        let mut call = Vec::new();
        session.next(&config, Duration::ZERO, &mut &[][..], &mut call).unwrap();
        wire.say(&call);
        Self { wire, config, session, inbox: Vec::new() }
    }

    /// Connects, and goes through the handshake.
    pub(crate) fn enter(address: SocketAddr, protocol: &BothEnds) -> Self {
        let mut caller = Self::call(address, protocol);
        caller.prove();
        caller
    }

    /// Hears the server's hello, and answers it.
    pub(crate) fn prove(&mut self) {
        let answer = self.wire.hear(if is_sealed(&self.config) { 99 } else { 94 });
        let mut confirm = Vec::new();
        self.session.next(&self.config, Duration::ZERO, &mut &answer[..], &mut confirm).unwrap();
        assert_eq!(self.session.seal(&mut confirm), Ok(confirm.len()));
        self.wire.say(&confirm);
    }

    /// A message, ready to be sent.
    pub(crate) fn record(&mut self, message: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        self.session.form(&self.config).frame(message, &mut record);
        assert_eq!(self.session.seal(&mut record), Ok(record.len()));
        record
    }

    /// A record of this type, with a right tag, ready to be sent.
    pub(crate) fn record_of(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        self.session.form(&self.config).frame(payload, &mut record);
        record[0] = kind;
        assert_eq!(self.session.seal(&mut record), Ok(record.len()));
        record
    }

    /// Messages that are sent together, ready to be sent.
    pub(crate) fn batch<M: AsRef<[u8]>>(&mut self, messages: impl Iterator<Item = M>) -> Vec<u8> {
        let (form, mut records) = (self.session.form(&self.config), Vec::new());
        messages.for_each(|message| form.frame(message.as_ref(), &mut records));
        let ready = self.session.seal(&mut records).unwrap();
        records.truncate(ready);
        records
    }

    pub(crate) fn say(&mut self, message: &[u8]) {
        let record = self.record(message);
        self.wire.say(&record);
    }

    /// A close record, ready to be sent.
    pub(crate) fn close_record(&mut self) -> Vec<u8> {
        let mut record = Vec::new();
        self.session.finish(&mut record);
        assert_eq!(self.session.seal(&mut record), Ok(record.len()));
        record
    }

    pub(crate) fn finish(&mut self) {
        let record = self.close_record();
        self.wire.say(&record);
    }

    /// Waits for what comes next.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            let mut input = &self.inbox[..];
            let heard = match self.session.next(
                &self.config,
                Duration::ZERO,
                &mut input,
                &mut Vec::new(),
            ) {
                Ok(Some(Event::Message(message))) => Some(Heard::Message(message.bytes.to_vec())),
                Ok(Some(Event::Finished)) => Some(Heard::Finished),
                Ok(event) => {
                    assert!(event.is_none(), "{event:?}");
                    None
                }
                Err(refusal) => Some(Heard::Refused(refusal)),
            };
            let taken = self.inbox.len() - input.len();
            self.inbox.drain(..taken);
            if let Some(heard) = heard {
                return heard;
            }
            if let Err(end) = self.read() {
                let ended =
                    self.session.input_ended(&self.config).map(|rest| assert_eq!(rest, None));
                return Heard::End(end, ended);
            }
        }
    }

    fn read(&mut self) -> Result<(), End> {
        let mut bytes = [0; 16 << 10];
        match self.wire.0.read(&mut bytes) {
            Ok(0) => Err(End::Fin),
            Ok(length) => {
                self.inbox.extend_from_slice(&bytes[..length]);
                Ok(())
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                Err(End::Reset)
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, message: &[u8]) {
        assert_eq!(self.hear(), Heard::Message(message.to_vec()));
    }

    /// Hears the server's close record, and the end of its stream.
    #[track_caller]
    pub(crate) fn expect_goodbye(&mut self) {
        assert_eq!(self.hear(), Heard::Finished);
        assert_eq!(self.hear(), Heard::End(End::Fin, Ok(())));
    }
}
