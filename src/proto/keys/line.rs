//! One line of a key file: `id  encoding:secret  [option=value …]`.

use base64ct::{Base64, Base64Unpadded, Encoding};

use crate::proto::dialect::Dialect;
use crate::proto::keys::fault::KeyFault;
use crate::proto::keys::key::{Key, Secret};

/// The mark that some editors put in front of UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// The lines of a file with their numbers, from 1.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    (1..).zip(text.split(|&byte| byte == b'\n'))
}

/// The key of a line; none in a blank line and in a comment.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Key>, KeyFault> {
    let line = str::from_utf8(line).map_err(|_| KeyFault::NotUtf8)?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut fields = line.split_whitespace();
    let (Some(id), Some(secret)) = (fields.next(), fields.next()) else {
        return Err(KeyFault::NoSecret);
    };
    let key = Key::new(id, &decode(secret)?)?;
    options(key, fields).map(Some)
}

fn decode(secret: &str) -> Result<Secret, KeyFault> {
    let (encoding, text) = secret.split_once(':').ok_or(KeyFault::NoEncoding)?;
    let bytes = match encoding {
        "text" => Ok(text.as_bytes().to_vec()),
        "hex" => {
            base16ct::mixed::decode_vec(text).map_err(|_| KeyFault::BadEncoding("hexadecimal"))
        }
        "base64" => Base64::decode_vec(text)
            .or_else(|_| Base64Unpadded::decode_vec(text))
            .map_err(|_| KeyFault::BadEncoding("base64")),
        _ => Err(KeyFault::NoEncoding),
    };
    bytes.map(Secret::new)
}

/// What an unknown field holds is never repeated: it may be the rest of a secret.
fn options<'a>(mut key: Key, fields: impl Iterator<Item = &'a str>) -> Result<Key, KeyFault> {
    let mut seen = false;
    for field in fields {
        let names = field.strip_prefix("dialects=").ok_or(KeyFault::UnknownOption)?;
        if std::mem::replace(&mut seen, true) {
            return Err(KeyFault::RepeatedOption);
        }
        for name in names.split(',') {
            let dialect = name.parse::<Dialect>().map_err(|_| KeyFault::BadDialects)?;
            if !dialect.authenticates() {
                return Err(KeyFault::BadDialects);
            }
            key = key.with_dialect(dialect);
        }
    }
    Ok(key)
}
