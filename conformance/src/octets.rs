//! Bytes as a case writes them.

use serde::{Deserialize, Deserializer, de};

/// Bytes as a case writes them: `text`, `hex:0a0b`, or `fill:1008` for as many letters `x`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Octets(pub(crate) Vec<u8>);

impl Octets {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(digits) = text.strip_prefix("hex:") {
            let bytes = base16ct::mixed::decode_vec(digits);
            return bytes.map(Self).map_err(|_| format!("{digits:?} is not hexadecimal"));
        }
        if let Some(count) = text.strip_prefix("fill:") {
            let count = count.parse().map_err(|_| format!("{count:?} is not a number"))?;
            return Ok(Self(vec![b'x'; count]));
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// Bytes for people: as text if they are text, else in hexadecimal digits; cut if they are many.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 160;
    let is_text = !bytes.is_empty()
        && bytes.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\n');
    let start = &bytes[..bytes.len().min(MOST)];
    let start = if is_text {
        format!("{:?}", String::from_utf8_lossy(start))
    } else {
        base16ct::lower::encode_string(start)
    };
    match bytes.len() {
        0 => "no bytes".to_owned(),
        length if length > MOST => format!("{start}… ({length} bytes)"),
        _ => start,
    }
}
