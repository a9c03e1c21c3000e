//! The steps of a case: what the kit sends, with what is wrong with it, and what must come.

use serde::Deserialize;

use crate::needs::KeyChoice;
use crate::octets::Octets;

/// One step of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CaseStep {
    Send(SendStep),
    Expect(ExpectStep),
    /// A handshake without faults, in both directions.
    Open,
    /// The same, with these fields in the call.
    OpenWith(CallEdit),
    /// A new connection; what was said on the last one can be replayed.
    Connect,
    /// What follows is sent at the next `release` or `split`, together.
    Hold,
    /// All that was held goes out in one write.
    Release,
    /// All that was held goes out byte by byte.
    Split,
    /// The kit ends its stream, but goes on reading.
    Finish,
    /// The kit resets the connection, after what it has sent has arrived.
    Reset,
    /// Nothing happens for so many milliseconds.
    Wait(u64),
    /// More time than a handshake may take.
    WaitForDeadline,
    /// The client's input ends.
    EndInput,
}

/// What the kit sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SendStep {
    Call(CallEdit),
    /// The nonce alone, before an answer.
    Nonce,
    Answer(AnswerEdit),
    Confirm(ConfirmEdit),
    /// The client's proof in `raw`, after which messages are not protected.
    RawProof(RawProofEdit),
    Accept(AcceptEdit),
    Refusal(u8),
    Record(RecordEdit),
    Batch(Vec<Octets>),
    Ping(Octets),
    Close,
    /// A message, in a record or in the framing without records.
    Message(Octets),
    /// These bytes as they are.
    Bytes(Octets),
    /// What the kit sent on the connection before: the first is number 0.
    Replay(usize),
    /// The last record once more, as it was.
    Again,
    /// One byte every so many milliseconds, of a call, until the other end has had enough.
    Trickle(u64),
}

/// What the other end must do.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExpectStep {
    /// The server's nonce, alone.
    Nonce,
    Answer(AnswerCheck),
    Accept,
    /// A refusal with this code, then the end of the stream.
    Refusal(u8),
    Call,
    Confirm,
    /// These messages in this order, in records of any kind.
    Messages(Vec<Octets>),
    Pong(Octets),
    /// A close record, and then the end of the stream.
    Close,
    /// The end of the stream, and nothing before it.
    End,
    /// The same, but replies to these messages may have been on their way.
    EndAfter(Vec<Octets>),
    /// The end of the stream, before which a close record may come.
    CloseOrEnd,
    /// No message for a moment; the stream may end.
    NoMessage,
    /// Nothing at all, for a moment, and the stream stays open.
    Silence,
    /// The end of the stream within the handshake's time limit, after a refusal or after nothing.
    Deadline,
}

/// A client's call, and what is wrong with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct CallEdit {
    pub(crate) magic: Option<Octets>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<u8>,
    /// The length in the header, whatever follows.
    pub(crate) length: Option<u32>,
    pub(crate) ver_min: Option<u8>,
    pub(crate) ver_max: Option<u8>,
    pub(crate) flags: Option<u16>,
    pub(crate) max_record: Option<u32>,
    /// The server's own instance, as it was heard before.
    pub(crate) instance_of_server: bool,
    /// Which key: the first, the second, one that is expired, …
    pub(crate) key: KeyChoice,
    pub(crate) kid: Option<Octets>,
    pub(crate) kid_length: Option<u8>,
    pub(crate) aud: Option<Octets>,
    pub(crate) aud_length: Option<u8>,
    /// Added to those that the mode needs.
    pub(crate) ext: Vec<Extension>,
    pub(crate) ext_length: Option<u16>,
    /// The suites that are offered, whatever the mode is.
    pub(crate) suites: Option<Octets>,
    /// No suites are offered, whatever the mode is.
    pub(crate) without_suites: bool,
    /// The whole body.
    pub(crate) body: Option<Octets>,
    /// So many bytes are missing at the end of the body.
    pub(crate) cut: usize,
    /// These bytes follow in the body.
    pub(crate) extra: Octets,
    /// An extension fills the call to so many bytes.
    pub(crate) size: Option<usize>,
    /// Only so many bytes of it are sent.
    pub(crate) only: Option<usize>,
}

/// An extension of a hello.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extension {
    pub(crate) id: u16,
    #[serde(default)]
    pub(crate) value: Octets,
    /// The length that is written, whatever follows.
    pub(crate) length: Option<u16>,
}

/// A server's answer, and what is wrong with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct AnswerEdit {
    #[serde(rename = "type")]
    pub(crate) kind: Option<u8>,
    pub(crate) length: Option<u32>,
    pub(crate) ver: Option<u8>,
    pub(crate) status: Option<u8>,
    pub(crate) flags: Option<u16>,
    pub(crate) max_record: Option<u32>,
    pub(crate) instance_of_client: bool,
    pub(crate) key: KeyChoice,
    pub(crate) ext: Vec<Extension>,
    pub(crate) ext_length: Option<u16>,
    /// The suite that is chosen, whatever the mode is.
    pub(crate) suites: Option<Octets>,
    /// No suite is chosen, whatever the mode is.
    pub(crate) without_suites: bool,
    pub(crate) cut: usize,
    pub(crate) extra: Octets,
    /// The lowest bit of this byte is flipped; negative numbers count from the end.
    pub(crate) flip: Option<i64>,
    /// Zeros in place of `mac_s`.
    pub(crate) zeros: bool,
    /// `mac_s` is made over another nonce than the one that is sent.
    pub(crate) other_nonce: bool,
    pub(crate) only: Option<usize>,
}

/// A client's confirm, and what is wrong with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ConfirmEdit {
    #[serde(rename = "type")]
    pub(crate) kind: Option<u8>,
    pub(crate) length: Option<u32>,
    pub(crate) flip: Option<i64>,
    /// The server's proof in place of the client's.
    pub(crate) reflect: bool,
    pub(crate) mac: Option<Octets>,
    pub(crate) only: Option<usize>,
}

/// A client's proof in `raw`, and what is wrong with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct RawProofEdit {
    pub(crate) key: KeyChoice,
    pub(crate) flip: Option<i64>,
    /// It begins with these bytes.
    pub(crate) begin: Octets,
}

/// A server's accept, and what is wrong with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct AcceptEdit {
    #[serde(rename = "type")]
    pub(crate) kind: Option<u8>,
    pub(crate) length: Option<u32>,
    pub(crate) status: Option<u8>,
    pub(crate) number: Option<u64>,
    /// The tag is made with `k_c2s`.
    pub(crate) other_direction: bool,
    pub(crate) flip: Option<i64>,
    pub(crate) only: Option<usize>,
}

/// A record, and what is wrong with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct RecordEdit {
    #[serde(rename = "type")]
    pub(crate) kind: Option<u8>,
    pub(crate) payload: Octets,
    /// The length in the header; the tag is made over it.
    pub(crate) length: Option<u32>,
    /// How far the number is from the right one.
    pub(crate) number: i64,
    /// The number itself.
    pub(crate) number_is: Option<u64>,
    pub(crate) other_direction: bool,
    pub(crate) flip: Option<i64>,
    /// The type that is sent, in place of the one under the tag.
    pub(crate) retyped: Option<u8>,
    /// The length is one above what the other end accepts.
    pub(crate) over_limit: bool,
    /// Tagged where it should be sealed.
    pub(crate) unsealed: bool,
    pub(crate) only: Option<usize>,
}

/// What an answer must be, beyond what every answer must be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct AnswerCheck {
    pub(crate) flags: Option<u16>,
    /// It comes from a decoy: of the same form, with a proof that does not verify.
    pub(crate) decoy: bool,
    /// It is as long as the answer before.
    pub(crate) same_length: bool,
    /// Whether a suite was chosen.
    pub(crate) sealed: Option<bool>,
}
