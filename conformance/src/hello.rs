//! The hellos: put together with whatever is wrong with them, and taken apart strictly.

use crate::secrets::{HEADER, frame, header};
use crate::step::{AnswerEdit, CallEdit, Extension};

pub(crate) const MAGIC: [u8; 8] = [0x9e, 0x63, 0x73, 0x67, 0x6e, 0x2f, 0x31, 0x0a];

/// The longest call and the longest answer.
pub(crate) const HELLO_MAX: usize = 512;

/// The bytes of a proof.
pub(crate) const PROOF: usize = 32;

/// The most that each end accepts as a record, unless a case says otherwise.
pub(crate) const MAX_RECORD: u32 = 16 << 10;

/// The extension that seals records.
pub(crate) const SEALING: u16 = 0x0001;

/// The one suite that there is.
pub(crate) const CHACHA20_POLY1305: u8 = 1;

/// What a call contains where the case changes nothing.
pub(crate) struct CallDefaults<'a> {
    pub(crate) flags: u16,
    pub(crate) nonce: [u8; 32],
    pub(crate) instance: [u8; 16],
    pub(crate) kid: &'a [u8],
    pub(crate) aud: &'a [u8],
    pub(crate) is_sealed: bool,
}

/// A whole call, with its magic.
pub(crate) fn call(edit: &CallEdit, defaults: &CallDefaults<'_>) -> Vec<u8> {
    let mut body = match &edit.body {
        Some(body) => body.0.clone(),
        None => call_body(edit, defaults),
    };
    body.truncate(body.len().saturating_sub(edit.cut));
    body.extend(&edit.extra.0);
    let length = edit.length.map_or(body.len(), |length| length as usize);
    let magic = edit.magic.as_ref().map_or(&MAGIC[..], |magic| &magic.0);
    let mut call = [magic, &header(edit.kind.unwrap_or(0x01), length), &body].concat();
    call.truncate(edit.only.unwrap_or(usize::MAX));
    call
}

fn call_body(edit: &CallEdit, defaults: &CallDefaults<'_>) -> Vec<u8> {
    let kid = edit.kid.as_ref().map_or(defaults.kid, |kid| &kid.0);
    let aud = edit.aud.as_ref().map_or(defaults.aud, |aud| &aud.0);
    let suites = match &edit.suites {
        _ if edit.without_suites => None,
        Some(suites) => Some(suites.0.clone()),
        None => defaults.is_sealed.then(|| vec![CHACHA20_POLY1305]),
    };
    let mut body = vec![edit.ver_min.unwrap_or(1), edit.ver_max.unwrap_or(1)];
    body.extend(edit.flags.unwrap_or(defaults.flags).to_be_bytes());
    body.extend(edit.max_record.unwrap_or(MAX_RECORD).to_be_bytes());
    body.extend(defaults.nonce);
    body.extend(defaults.instance);
    body.push(edit.kid_length.unwrap_or(short(kid)));
    body.extend(kid);
    body.push(edit.aud_length.unwrap_or(short(aud)));
    body.extend(aud);
    let mut ext = extensions(&edit.ext, suites.as_deref());
    if let Some(size) = edit.size {
        // What is there already: magic, headers, the fields, and the length of the extensions.
        let used = MAGIC.len() + HEADER + body.len() + 2 + ext.len() + 4;
        ext.extend(extension(0xfffd, None, &vec![0; size.saturating_sub(used)]));
    }
    body.extend(edit.ext_length.unwrap_or(long(&ext)).to_be_bytes());
    body.extend(ext);
    body
}

/// What an answer contains where the case changes nothing.
pub(crate) struct AnswerDefaults {
    pub(crate) flags: u16,
    pub(crate) instance: [u8; 16],
    pub(crate) is_sealed: bool,
}

/// An answer without its proof: the header counts it.
pub(crate) fn answer(edit: &AnswerEdit, defaults: &AnswerDefaults) -> Vec<u8> {
    let suites = match &edit.suites {
        _ if edit.without_suites => None,
        Some(suites) => Some(suites.0.clone()),
        None => defaults.is_sealed.then(|| vec![CHACHA20_POLY1305]),
    };
    let mut body = vec![edit.ver.unwrap_or(1), edit.status.unwrap_or(0)];
    body.extend(edit.flags.unwrap_or(defaults.flags).to_be_bytes());
    body.extend(edit.max_record.unwrap_or(MAX_RECORD).to_be_bytes());
    body.extend(defaults.instance);
    let ext = extensions(&edit.ext, suites.as_deref());
    body.extend(edit.ext_length.unwrap_or(long(&ext)).to_be_bytes());
    body.extend(ext);
    body.truncate(body.len().saturating_sub(edit.cut));
    body.extend(&edit.extra.0);
    let length = edit.length.map_or(body.len() + PROOF, |length| length as usize);
    [&header(edit.kind.unwrap_or(0x02), length), &body[..]].concat()
}

fn extensions(list: &[Extension], suites: Option<&[u8]>) -> Vec<u8> {
    let suites = suites.map(|suites| extension(SEALING, None, suites));
    let others = list.iter().map(|ext| extension(ext.id, ext.length, &ext.value.0));
    suites.into_iter().chain(others).flatten().collect()
}

fn extension(id: u16, length: Option<u16>, value: &[u8]) -> Vec<u8> {
    let length = length.unwrap_or(long(value));
    [&id.to_be_bytes(), &length.to_be_bytes(), value].concat()
}

fn short(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).unwrap_or(u8::MAX)
}

fn long(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// The body of a hello, from front to back.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize, field: &str) -> Result<&'a [u8], String> {
        let fault = || format!("{field} reaches past the end of the hello");
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(fault)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, count: usize, field: &str) -> Result<u32, String> {
        let bytes = self.take(count, field)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], String> {
        let bytes = self.take(N, field)?;
        Ok(std::array::from_fn(|at| bytes[at]))
    }

    fn counted(&mut self, width: usize, field: &str) -> Result<&'a [u8], String> {
        let count = self.number(width, field)?;
        self.take(count as usize, field)
    }

    /// The extensions by their ids. They come last.
    fn extensions(mut self) -> Result<Vec<(u16, &'a [u8])>, String> {
        let mut ext = Body(self.counted(2, "ext")?);
        let mut found: Vec<(u16, &[u8])> = Vec::new();
        while !ext.0.is_empty() {
            let [high, low] = ext.array("an extension's id")?;
            let id = u16::from_be_bytes([high, low]);
            let value = ext.counted(2, "an extension")?;
            if found.iter().any(|(each, _)| *each == id) {
                return Err(format!("extension {id:#06x} occurs twice"));
            }
            found.push((id, value));
        }
        match self.0.len() {
            0 => Ok(found),
            left => Err(format!("{left} bytes follow the extensions")),
        }
    }
}

/// What a client says in its hello.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientParameters {
    pub(crate) flags: u16,
    pub(crate) max_record: u32,
    pub(crate) nonce: [u8; 32],
    pub(crate) instance: [u8; 16],
    pub(crate) kid: Vec<u8>,
    pub(crate) aud: Vec<u8>,
    pub(crate) suites: Option<Vec<u8>>,
}

/// Takes the body of a call apart, which must be without faults.
pub(crate) fn parse_call(body: &[u8]) -> Result<ClientParameters, String> {
    let mut rest = Body(body);
    let (low, high) = (rest.number(1, "ver_min")?, rest.number(1, "ver_max")?);
    if !(low <= 1 && 1 <= high) {
        return Err(format!("versions {low} to {high}, which don't include 1"));
    }
    let [high, low] = rest.array("flags")?;
    let flags = u16::from_be_bytes([high, low]);
    if flags & 3 == 2 {
        return Err("flags with bit 1 without bit 0".to_owned());
    }
    let max_record = rest.number(4, "max_record")?;
    if max_record < 1024 {
        return Err(format!("max_record {max_record}"));
    }
    let (nonce, instance) = (rest.array("nonce_c")?, rest.array("instance_c")?);
    let (kid, aud) = (rest.counted(1, "kid")?.to_vec(), rest.counted(1, "aud")?.to_vec());
    if !(1..=64).contains(&kid.len()) || aud.len() > 64 {
        return Err(format!("a kid of {} and an aud of {} bytes", kid.len(), aud.len()));
    }
    let ext = rest.extensions()?;
    let suites = ext.iter().find(|(id, _)| *id == SEALING).map(|(_, value)| value.to_vec());
    if let Some(suites) = &suites {
        let is_twice = (1..suites.len()).any(|at| suites[..at].contains(&suites[at]));
        if suites.is_empty() || is_twice || flags & 1 == 0 {
            return Err("a list of suites that is empty, has one twice, or comes without records"
                .to_owned());
        }
    }
    let max_record = max_record.min((1 << 24) - 1);
    Ok(ClientParameters { flags, max_record, nonce, instance, kid, aud, suites })
}

/// What a server says in its hello.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerParameters {
    pub(crate) flags: u16,
    pub(crate) max_record: u32,
    pub(crate) instance: [u8; 16],
    pub(crate) suite: Option<u8>,
}

/// Takes the body of an answer apart, without its proof, which must be without faults. The
/// extensions were offered: these ids, and these suites.
pub(crate) fn parse_answer(
    body: &[u8],
    ids: &[u16],
    suites: &[u8],
) -> Result<ServerParameters, String> {
    let mut rest = Body(body);
    let (ver, status) = (rest.number(1, "ver")?, rest.number(1, "status")?);
    if ver != 1 || status != 0 {
        return Err(format!("version {ver} and status {status}"));
    }
    let [high, low] = rest.array("flags")?;
    let flags = u16::from_be_bytes([high, low]);
    if flags > 1 {
        return Err(format!("flags {flags:#06x}, in which a bit above bit 0 is set"));
    }
    let max_record = rest.number(4, "max_record")?;
    if max_record < 1024 {
        return Err(format!("max_record {max_record}"));
    }
    let instance = rest.array("instance_s")?;
    let ext = rest.extensions()?;
    if let Some((id, _)) = ext.iter().find(|(id, _)| !ids.contains(id)) {
        return Err(format!("extension {id:#06x}, which the client has not offered"));
    }
    let suite = match ext.iter().find(|(id, _)| *id == SEALING) {
        Some((_, [suite])) if suites.contains(suite) && flags & 1 == 1 => Some(*suite),
        Some((_, value)) => return Err(format!("suites {value:?} chosen of {suites:?}")),
        None => None,
    };
    Ok(ServerParameters { flags, max_record: max_record.min((1 << 24) - 1), instance, suite })
}

/// A frame that refuses.
pub(crate) fn refusal(code: u8) -> Vec<u8> {
    frame(0x05, &[code])
}
