//! What went over the wire in a case, in words and in bytes.

use crate::octets::shown;

/// What a case has seen, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct WireLog(Vec<LogEntry>);

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) kind: EntryKind,
    pub(crate) text: String,
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Sent,
    Came,
    Noted,
}

impl WireLog {
    pub(crate) fn sent(&mut self, what: &str, bytes: &[u8]) {
        self.add(EntryKind::Sent, format!("{what}: {}", hex(bytes)));
    }

    pub(crate) fn came(&mut self, what: &str, bytes: &[u8]) {
        self.add(EntryKind::Came, format!("{what}: {}", hex(bytes)));
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.add(EntryKind::Noted, what.into());
    }

    pub(crate) fn entries(&self) -> &[LogEntry] {
        &self.0
    }

    fn add(&mut self, kind: EntryKind, text: String) {
        self.0.push(LogEntry { kind, text });
    }
}

impl EntryKind {
    /// The word for it in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Came => "came",
            Self::Noted => "then",
        }
    }
}

/// All bytes that a reader may want to compare, unless they are very many.
fn hex(bytes: &[u8]) -> String {
    const MOST: usize = 600;
    if bytes.len() <= MOST {
        return base16ct::lower::encode_string(bytes);
    }
    let start = base16ct::lower::encode_string(&bytes[..MOST]);
    format!("{start}… ({} bytes)", bytes.len())
}

/// What has arrived, as far as it can be told without its place in the protocol.
pub(crate) fn described(mut bytes: &[u8], is_nonce_due: bool) -> String {
    let mut parts = Vec::new();
    if is_nonce_due && bytes.len() >= 32 {
        parts.push("the nonce".to_owned());
        bytes = &bytes[32..];
    }
    while let Some((head, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        let Some(name) = kind_name(head[0]) else { break };
        let Some(body) = rest.get(..length) else {
            parts.push(format!("the start of {name} of {length} bytes"));
            bytes = &[];
            break;
        };
        parts.push(match (head[0], body) {
            (0x05, [code]) => format!("a refusal with code {code} ({})", code_name(*code)),
            _ => format!("{name} of {length} bytes"),
        });
        bytes = &rest[length..];
    }
    if !bytes.is_empty() {
        parts.push(format!("bytes that are no frame: {}", shown(bytes)));
    }
    parts.join(", then ")
}

fn kind_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0x01 => "a hello",
        0x02 => "an answer",
        0x03 => "a confirm",
        0x04 => "an accept",
        0x05 => "a refusal",
        0x10 => "a data record",
        0x11 => "a ping",
        0x12 => "a pong",
        0x13 => "a close record",
        0x14 => "a batch",
        _ => return None,
    })
}

/// The meaning of a refusal's code.
pub(crate) fn code_name(code: u8) -> &'static str {
    match code {
        1 => "version",
        2 => "refused",
        3 => "busy or stopping",
        4 => "malformed",
        5 => "timed out",
        _ => "which the page does not know",
    }
}
