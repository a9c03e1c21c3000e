//! Plays one end of a connection, step by step as a case says.

use std::io;
use std::time::{Duration, Instant};

use countersign::{Address, clock, random};

use crate::case::TestedEnd;
use crate::channel::{BATCH, CLOSE, Channel, PING, RecordChannel, joined};
use crate::hello::{self, ClientParameters, ServerParameters};
use crate::octets::shown;
use crate::secrets::Secrets;
use crate::step::{CallEdit, CaseStep, ExpectStep, RecordEdit, SendStep};
use crate::subject::Subject;
use crate::wire::{Mismatch, ReadEvent, Wire};
use crate::wire_log::code_name;

/// How long what was sent before a reset has to arrive.
const RESET_PAUSE: Duration = Duration::from_millis(50);

/// One end of a connection, and what it remembers.
pub(crate) struct Player<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) wire: Wire,
    /// Where to connect again; none if the kit is the server.
    address: Option<&'a Address>,
    /// The kit's own nonce and instance.
    pub(crate) nonce: [u8; 32],
    pub(crate) instance: [u8; 16],
    /// The client has confirmed, so that its first messages may come at any time.
    pub(crate) is_confirmed: bool,
    /// The kit is the server, and has sent its nonce.
    pub(crate) is_nonce_sent: bool,
    /// The other end's nonce, and its instance as it was heard last.
    pub(crate) other_nonce: Vec<u8>,
    pub(crate) other_instance: [u8; 16],
    /// The call with its magic, and the answer without its proof, as they were sent.
    pub(crate) call: Vec<u8>,
    pub(crate) answer: Vec<u8>,
    /// The call as the case wanted it.
    pub(crate) edit: CallEdit,
    /// The longest record that the kit has said it accepts.
    pub(crate) max_record: u32,
    pub(crate) client_hello: ClientParameters,
    pub(crate) server_hello: ServerParameters,
    pub(crate) secrets: Option<Secrets>,
    channel: Option<Channel>,
    /// The length of an answer that did not come from a decoy.
    pub(crate) answer_length: Option<usize>,
    /// What was sent on this connection, and on the one before.
    sent: Vec<Vec<u8>>,
    previous: Vec<Vec<u8>>,
}

impl<'a> Player<'a> {
    pub(crate) fn new(
        subject: &'a Subject,
        wire: Wire,
        address: Option<&'a Address>,
    ) -> io::Result<Self> {
        Ok(Self {
            subject,
            wire,
            address,
            nonce: random::bytes()?,
            instance: random::bytes()?,
            is_confirmed: false,
            is_nonce_sent: false,
            other_nonce: Vec::new(),
            other_instance: [0; 16],
            call: Vec::new(),
            answer: Vec::new(),
            edit: CallEdit::default(),
            max_record: hello::MAX_RECORD,
            client_hello: ClientParameters::default(),
            server_hello: ServerParameters::default(),
            secrets: None,
            channel: None,
            answer_length: None,
            sent: Vec::new(),
            previous: Vec::new(),
        })
    }

    /// Takes a step, unless the other end does not keep to it.
    pub(crate) fn step(&mut self, step: &CaseStep) -> Result<(), Mismatch> {
        match step {
            CaseStep::Send(send) => self.send_step(send)?,
            CaseStep::Expect(expect) => self.expect_step(expect)?,
            CaseStep::Open => self.open(&CallEdit::default())?,
            CaseStep::OpenWith(call) => self.open(call)?,
            CaseStep::Connect => self.connect()?,
            CaseStep::Hold => self.wire.hold(),
            CaseStep::Release => self.wire.release(false),
            CaseStep::Split => self.wire.release(true),
            CaseStep::Finish => self.wire.finish(),
            CaseStep::Reset => {
                // A reset can destroy what is on its way.
                self.wait(RESET_PAUSE);
                self.wire.reset();
            }
            CaseStep::Wait(millis) => self.wait(Duration::from_millis(*millis)),
            // The command sees to it.
            CaseStep::EndInput => {}
            CaseStep::WaitForDeadline => {
                let time = self.subject.handshake_timeout + Duration::from_millis(500);
                self.wire.expect_silence(time)?;
            }
        }
        Ok(())
    }

    fn wait(&mut self, time: Duration) {
        let until = clock::after(time);
        while clock::monotonic() < until && self.wire.read(until) == ReadEvent::Bytes {}
    }

    /// A handshake without faults.
    fn open(&mut self, call: &CallEdit) -> Result<(), Mismatch> {
        match self.case_end() {
            TestedEnd::Server => {
                self.send_call(call)?;
                self.expect_answer(&Default::default())?;
                self.send_confirm(&Default::default())?;
                self.expect_accept()
            }
            TestedEnd::Client => {
                self.expect_call()?;
                self.send_answer(&Default::default())?;
                self.expect_confirm()?;
                self.send_accept(&Default::default())
            }
        }
    }

    fn case_end(&self) -> TestedEnd {
        if self.address.is_some() { TestedEnd::Server } else { TestedEnd::Client }
    }

    fn connect(&mut self) -> Result<(), Mismatch> {
        let failed = |error: io::Error| Mismatch::new("a connection", error.to_string());
        let Some(address) = self.address else { return Ok(()) };
        let wire = Wire::connect(address, self.subject.timeout).map_err(failed)?;
        self.reconnected(wire).map_err(failed)
    }

    /// Goes on with a new connection, and forgets what belongs to the one before.
    pub(crate) fn reconnected(&mut self, mut wire: Wire) -> io::Result<()> {
        wire.log = std::mem::take(&mut self.wire.log);
        wire.log.note("a new connection");
        self.wire = wire;
        self.nonce = random::bytes()?;
        self.is_nonce_sent = false;
        self.is_confirmed = false;
        self.previous = std::mem::take(&mut self.sent);
        self.channel = None;
        self.secrets = None;
        Ok(())
    }

    /// Sends bytes that may be replayed later.
    pub(crate) fn send(&mut self, what: &str, bytes: Vec<u8>) {
        self.wire.send(what, &bytes);
        self.sent.push(bytes);
    }

    fn send_step(&mut self, send: &SendStep) -> Result<(), Mismatch> {
        match send {
            SendStep::Call(call) => self.send_call(call)?,
            SendStep::Nonce => self.send_nonce(),
            SendStep::Answer(answer) => self.send_answer(answer)?,
            SendStep::Confirm(proof) => self.send_confirm(proof)?,
            SendStep::RawProof(proof) => self.send_raw_proof(proof)?,
            SendStep::Accept(accept) => self.send_accept(accept)?,
            SendStep::Refusal(code) => {
                self.send_nonce();
                self.send("refusal", hello::refusal(*code));
            }
            SendStep::Record(edit) => {
                let peer_max = match self.case_end() {
                    TestedEnd::Server => self.server_hello.max_record,
                    TestedEnd::Client => self.client_hello.max_record,
                };
                let length = edit.over_limit.then_some(peer_max + 1).or(edit.length);
                let record = self.records()?.record(&RecordEdit { length, ..edit.clone() });
                self.send("record", record);
            }
            SendStep::Batch(messages) => {
                let payload = joined(messages.iter().map(|message| &message.0[..]));
                self.send_simple("batch", BATCH, &payload)?;
            }
            SendStep::Ping(bytes) => self.send_simple("ping", PING, &bytes.0)?,
            SendStep::Close if matches!(self.channel, Some(Channel::Plain(_))) => {
                self.wire.finish();
            }
            SendStep::Close => self.send_simple("close", CLOSE, &[])?,
            SendStep::Message(message) => {
                let bytes = self.channel()?.message(&message.0);
                self.send(&format!("the message {}", shown(&message.0)), bytes);
            }
            SendStep::Bytes(bytes) => self.send("bytes", bytes.0.clone()),
            SendStep::Replay(number) => {
                let bytes = self.previous.get(*number).cloned().unwrap_or_default();
                self.send("what was sent on the connection before", bytes);
            }
            SendStep::Again => {
                let record = self.records()?.again();
                self.send("the same record again", record);
            }
            SendStep::Trickle(millis) => self.trickle(Duration::from_millis(*millis))?,
        }
        Ok(())
    }

    /// A call, or an answer, byte after byte.
    fn trickle(&mut self, pause: Duration) -> Result<(), Mismatch> {
        let bytes = match self.case_end() {
            TestedEnd::Server => self.composed_call(&CallEdit::default())?,
            TestedEnd::Client => self.nonce.to_vec(),
        };
        let until = self.handshake_end();
        self.wire.trickle("byte after byte", &bytes, pause, until);
        Ok(())
    }

    fn send_simple(&mut self, what: &str, kind: u8, payload: &[u8]) -> Result<(), Mismatch> {
        let record = self.records()?.simple(kind, payload);
        self.send(what, record);
        Ok(())
    }

    fn expect_step(&mut self, expect: &ExpectStep) -> Result<(), Mismatch> {
        match expect {
            ExpectStep::Nonce => self.expect_nonce(),
            ExpectStep::Answer(check) => self.expect_answer(check),
            ExpectStep::Accept => self.expect_accept(),
            ExpectStep::Refusal(code) => self.expect_refusal(*code),
            ExpectStep::Call => self.expect_call(),
            ExpectStep::Confirm => self.expect_confirm(),
            ExpectStep::Messages(messages) => messages.iter().try_for_each(|message| {
                let (wire, channel) = self.parts()?;
                channel.expect_message(wire, &message.0)
            }),
            ExpectStep::Pong(bytes) => {
                let (wire, channel) = self.parts()?;
                channel.expect_pong(wire, &bytes.0)
            }
            ExpectStep::Close => {
                let (wire, channel) = self.parts()?;
                channel.expect_close(wire)
            }
            ExpectStep::End if self.is_confirmed => {
                let until = self.wire.deadline();
                self.wire.expect_end_of_all(until, "the end of the stream")
            }
            ExpectStep::End => self.wire.expect_end("the end of the stream, and nothing before it"),
            ExpectStep::EndAfter(messages) => {
                let messages: Vec<&[u8]> = messages.iter().map(|message| &message.0[..]).collect();
                let (wire, channel) = self.parts()?;
                channel.expect_end_after(wire, &messages)
            }
            ExpectStep::CloseOrEnd => {
                let (wire, channel) = self.parts()?;
                channel.expect_close_or_end(wire)
            }
            ExpectStep::NoMessage => self.wire.expect_at_most_an_end(self.subject.quiet_time),
            ExpectStep::Silence => self.wire.expect_silence(self.subject.quiet_time),
            ExpectStep::Deadline => self.expect_deadline(),
        }
    }

    /// When the other end must have given up a handshake that is not over.
    fn handshake_end(&self) -> Instant {
        let time = self.subject.handshake_timeout + self.subject.timeout;
        self.wire.began.checked_add(time).unwrap_or(self.wire.began)
    }

    /// A refusal, and then the end.
    fn expect_refusal(&mut self, code: u8) -> Result<(), Mismatch> {
        let name = code_name(code);
        let expected = match self.wire.is_nonce_due {
            true => format!("the nonce, then a refusal with code {code} ({name}), then the end"),
            false => format!("a refusal with code {code} ({name}), then the end of the stream"),
        };
        let before = if self.wire.is_nonce_due { 32 } else { 0 };
        let refusal = hello::refusal(code);
        self.wire.await_bytes(before + refusal.len(), &expected)?;
        if self.wire.inbox[before..][..refusal.len()] != refusal {
            return Err(self.wire.mismatch(&expected, ReadEvent::Bytes));
        }
        self.wire.take(before, "the nonce");
        self.wire.is_nonce_due = false;
        self.wire.take(refusal.len(), "a refusal");
        self.wire.expect_end("the end of the stream after the refusal")
    }

    /// The end within the time limit of the handshake, after a refusal or after nothing.
    fn expect_deadline(&mut self) -> Result<(), Mismatch> {
        let limit = self.subject.handshake_timeout;
        let expected = format!("the end of the stream when the handshake has taken {limit:?}");
        let until = self.handshake_end();
        if self.is_confirmed {
            return self.wire.expect_end_of_all(until, &expected);
        }
        loop {
            match self.wire.read(until) {
                ReadEvent::Bytes => {}
                ReadEvent::End => break,
                ReadEvent::Nothing if clock::monotonic() < until => {}
                ReadEvent::Nothing => {
                    return Err(self.wire.mismatch(&expected, ReadEvent::Nothing));
                }
            }
        }
        let came = std::mem::take(&mut self.wire.inbox);
        let refused = came.ends_with(&hello::refusal(5)) && [5, 37].contains(&came.len());
        let is_fine = came.is_empty() || refused || came.len() == 32;
        if is_fine {
            self.wire.log.came("before the end", &came);
            return Ok(());
        }
        self.wire.inbox = came;
        Err(self.wire.mismatch(&expected, ReadEvent::End))
    }

    /// The handshake is over, with records or without.
    pub(crate) fn established(&mut self, secrets: &Secrets, has_records: bool, is_sealed: bool) {
        let is_server = self.case_end() == TestedEnd::Client;
        self.channel = Some(if has_records {
            let max_in = self.max_record.min((1 << 24) - 1);
            let records = RecordChannel::new(secrets, is_server, is_sealed).with_max_in(max_in);
            Channel::Records(Box::new(records))
        } else {
            Channel::Plain(self.subject.framing)
        });
    }

    /// The handshake is over, in a dialect without records.
    pub(crate) fn opened_plain(&mut self) {
        self.channel = Some(Channel::Plain(self.subject.framing));
    }

    fn channel(&mut self) -> Result<&mut Channel, Mismatch> {
        self.channel.as_mut().ok_or_else(not_open)
    }

    fn parts(&mut self) -> Result<(&mut Wire, &mut Channel), Mismatch> {
        Ok((&mut self.wire, self.channel.as_mut().ok_or_else(not_open)?))
    }

    fn records(&mut self) -> Result<&mut RecordChannel, Mismatch> {
        self.channel()?.records().ok_or_else(not_open)
    }
}

/// A fault of the case, not of the other end.
fn not_open() -> Mismatch {
    Mismatch::new("an open connection with records", "a case that has opened none")
}
