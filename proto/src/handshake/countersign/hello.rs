//! The two hellos: what each end offers, and its identity.
//!
//! A body must be used up exactly. Unknown extensions are skipped, but their form is checked, and
//! they are part of the transcript like everything else.

use alloc::vec::Vec;

use crate::handshake::countersign::frame::{NONCE, PROOF, STATUS, VERSION};
use crate::keys::fault::ID_MAX;
use crate::refusal::Refusal;

/// The client offers records; the server has chosen them.
pub(crate) const RECORDS: u16 = 1;

/// The client requires records.
pub(crate) const RECORDS_REQUIRED: u16 = 2;

/// The length of a record that every end must accept at least.
pub(crate) const RECORD_LEAST: u32 = 1024;

/// The extension by which both ends agree to seal records. Its value is a list of suites, one byte
/// each.
pub(crate) const SEALING: [u8; 2] = [0, 1];

/// The suite ChaCha20-Poly1305.
pub(crate) const CHACHA20_POLY1305: u8 = 1;

/// The extension with this suite: what a client that seals offers, and its server answers.
pub(crate) const SEALING_EXTENSION: [u8; 5] = [SEALING[0], SEALING[1], 0, 1, CHACHA20_POLY1305];

/// The longest audience.
pub(crate) const AUDIENCE_MAX: usize = 64;

/// The bytes of a server's hello without extensions and without the proof.
pub(crate) const SERVER_HELLO_BARE: usize = 1 + 1 + 2 + 4 + INSTANCE + 2;

/// The bytes that distinguish the key ring of one program from that of another.
pub(crate) const INSTANCE: usize = 16;

/// The hello of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hello<'a> {
    pub(crate) flags: u16,
    /// The longest record that the client accepts.
    pub(crate) record_max: u32,
    pub(crate) nonce: [u8; NONCE],
    pub(crate) instance: [u8; INSTANCE],
    pub(crate) key_id: &'a [u8],
    /// The audience that the client asks for.
    pub(crate) audience: &'a [u8],
    pub(crate) extensions: &'a [u8],
}

impl<'a> Hello<'a> {
    /// Reads the body of a client's hello.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let mut rest = Rest(body);
        let [least, most] = rest.array()?;
        if least > most {
            return Err(Refusal::Malformed);
        }
        if !(least..=most).contains(&VERSION) {
            return Err(Refusal::Version);
        }
        let hello = Self {
            flags: u16::from_be_bytes(rest.array()?),
            record_max: u32::from_be_bytes(rest.array()?),
            nonce: rest.array()?,
            instance: rest.array()?,
            key_id: rest.short()?,
            audience: rest.short()?,
            extensions: rest.long()?,
        };
        rest.is_used_up()?;
        let forms = [
            (1..=ID_MAX).contains(&hello.key_id.len()),
            hello.audience.len() <= AUDIENCE_MAX,
            hello.record_max >= RECORD_LEAST,
            // A client that requires records must offer them.
            hello.flags & RECORDS_REQUIRED == 0 || hello.flags & RECORDS != 0,
        ];
        if forms.contains(&false) {
            return Err(Refusal::Malformed);
        }
        extensions(hello.extensions, |_| true)?;
        if let Some(suites) = value(hello.extensions, SEALING) {
            let is_twice = |(at, suite)| suites[..at].contains(suite);
            let has_records = hello.flags & RECORDS != 0;
            if suites.is_empty() || !has_records || suites.iter().enumerate().any(is_twice) {
                return Err(Refusal::Malformed);
            }
        }
        Ok(hello)
    }

    /// Whether the client offers to seal records as we do.
    pub(crate) fn offers_sealing(&self) -> bool {
        value(self.extensions, SEALING).is_some_and(|suites| suites.contains(&CHACHA20_POLY1305))
    }

    /// Appends the body.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[VERSION, VERSION]);
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.record_max.to_be_bytes());
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.instance);
        for short in [self.key_id, self.audience] {
            out.push(u8::try_from(short.len()).unwrap_or_default());
            out.extend_from_slice(short);
        }
        out.extend(u16::try_from(self.extensions.len()).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(self.extensions);
    }
}

/// The hello of a server, without its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerHello<'a> {
    pub(crate) flags: u16,
    /// The longest record that the server accepts.
    pub(crate) record_max: u32,
    pub(crate) instance: [u8; INSTANCE],
    pub(crate) extensions: &'a [u8],
}

impl<'a> ServerHello<'a> {
    /// Reads the body of a server's hello, and the proof after it. The server may only answer the
    /// extensions that were `offered` in the client's hello.
    pub(crate) fn read(body: &'a [u8], offered: &[u8]) -> Result<(Self, &'a [u8; PROOF]), Refusal> {
        let (body, proof) = body.split_last_chunk().ok_or(Refusal::Malformed)?;
        let mut rest = Rest(body);
        let [version, status] = rest.array()?;
        if version != VERSION {
            return Err(Refusal::Version);
        }
        if status != STATUS {
            return Err(Refusal::Malformed);
        }
        let hello = Self {
            flags: u16::from_be_bytes(rest.array()?),
            record_max: u32::from_be_bytes(rest.array()?),
            instance: rest.array()?,
            extensions: rest.long()?,
        };
        rest.is_used_up()?;
        if hello.flags & !RECORDS != 0 || hello.record_max < RECORD_LEAST {
            return Err(Refusal::Malformed);
        }
        extensions(hello.extensions, |id| value(offered, id).is_some())?;
        Ok((hello, proof))
    }

    /// The suites that the server has chosen to seal records: one, if the extension is well-formed.
    pub(crate) fn suites(&self) -> Option<&[u8]> {
        value(self.extensions, SEALING)
    }

    /// Appends the body, without the proof.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[VERSION, STATUS]);
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.record_max.to_be_bytes());
        out.extend_from_slice(&self.instance);
        out.extend(u16::try_from(self.extensions.len()).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(self.extensions);
    }
}

/// Checks the form of extensions: none reaches past the end, no id occurs twice, and the other end
/// may use each of them.
fn extensions(list: &[u8], may: impl Fn([u8; 2]) -> bool) -> Result<(), Refusal> {
    let mut rest = Rest(list);
    while !rest.0.is_empty() {
        let earlier = &list[..list.len() - rest.0.len()];
        let id = rest.array()?;
        rest.long()?;
        if !may(id) || value(earlier, id).is_some() {
            return Err(Refusal::Malformed);
        }
    }
    Ok(())
}

/// The value of an extension, if it is among these, whose form was checked.
fn value(list: &[u8], id: [u8; 2]) -> Option<&[u8]> {
    let mut rest = Rest(list);
    loop {
        let other = rest.array().ok()?;
        let value = rest.long().ok()?;
        if other == id {
            return Some(value);
        }
    }
}

/// The part of a body that has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        self.0.split_off(..length).ok_or(Refusal::Malformed)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Refusal::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    /// Bytes after a length of one byte.
    fn short(&mut self) -> Result<&'a [u8], Refusal> {
        let [length] = self.array()?;
        self.take(length.into())
    }

    /// Bytes after a length of two bytes.
    fn long(&mut self) -> Result<&'a [u8], Refusal> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(length.into())
    }

    fn is_used_up(&self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::Malformed) }
    }
}
