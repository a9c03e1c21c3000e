//! One line of a key file: `id  encoding:secret  [option=value …]`.

use base64ct::{Base64, Base64Unpadded, Encoding};
use countersign_proto::{Dialect, Key};

use zeroize::Zeroizing;

use crate::key_file::date;
use crate::key_file::error::KeyFileError;

/// The byte order mark that some editors put in front of UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// The lines of a file with their numbers, from 1.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    (1..).zip(text.split(|&byte| byte == b'\n'))
}

/// The key of a line; none for a blank line or a comment.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Key>, KeyFileError> {
    let line = str::from_utf8(line).map_err(|_| KeyFileError::NotUtf8)?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut fields = line.split_whitespace();
    let (Some(id), Some(secret)) = (fields.next(), fields.next()) else {
        return Err(KeyFileError::NoSecret);
    };
    options(key(id, secret)?, fields).map(Some)
}

fn key(id: &str, secret: &str) -> Result<Key, KeyFileError> {
    let (encoding, text) = secret.split_once(':').ok_or(KeyFileError::NoEncoding)?;
    let bytes = match encoding {
        "passphrase" => return Ok(Key::from_passphrase(id, text.as_bytes())?),
        "text" => Ok(text.as_bytes().to_vec()),
        "hex" => {
            base16ct::mixed::decode_vec(text).map_err(|_| KeyFileError::BadEncoding("hexadecimal"))
        }
        "base64" => Base64::decode_vec(text)
            .or_else(|_| Base64Unpadded::decode_vec(text))
            .map_err(|_| KeyFileError::BadEncoding("base64")),
        _ => Err(KeyFileError::NoEncoding),
    };
    Ok(Key::new(id, &bytes.map(Zeroizing::new)?)?)
}

/// The content of an unknown field is never repeated: it may be the rest of a secret.
fn options<'a>(mut key: Key, fields: impl Iterator<Item = &'a str>) -> Result<Key, KeyFileError> {
    let mut seen = Vec::new();
    for field in fields {
        let name;
        (name, key) = match field.split_once('=') {
            Some((name @ "dialects", names)) => (name, dialects(key, names)?),
            Some((name @ "audience", service)) => (name, key.with_audience(service)?),
            Some((name @ "not-before", date)) => {
                let date = date::beginning(date).ok_or(KeyFileError::BadDate("not-before"))?;
                (name, key.with_not_before(date))
            }
            Some((name @ "not-after", date)) => {
                let date = date::end(date).ok_or(KeyFileError::BadDate("not-after"))?;
                (name, key.with_not_after(date))
            }
            _ => return Err(KeyFileError::UnknownOption),
        };
        if seen.contains(&name) {
            return Err(KeyFileError::RepeatedOption(name.into()));
        }
        seen.push(name);
    }
    Ok(key)
}

fn dialects(key: Key, names: &str) -> Result<Key, KeyFileError> {
    names.split(',').try_fold(key, |key, name| {
        let known = name.parse().ok().filter(|dialect: &Dialect| dialect.authenticates());
        known.map(|dialect| key.with_dialect(dialect)).ok_or(KeyFileError::BadDialects)
    })
}

#[cfg(test)]
mod tests {
    use countersign_proto::KeyRing;

    use crate::key_file::KeyRingExt as _;
    use crate::os_error::chain;

    #[test]
    fn a_faulty_line_is_named_with_a_remedy_and_without_its_secret() {
        let cases = [
            ("key", "line 1: a key needs an id and a secret"),
            ("key s3cret", "line 1: the secret has no encoding"),
            ("key rot13:s3cret", "line 1: the secret has no encoding"),
            ("key hex:s3cret", "line 1: the secret is not valid hexadecimal"),
            ("key hex:abc", "line 1: the secret is not valid hexadecimal"),
            ("key base64:s3!cret", "line 1: the secret is not valid base64"),
            ("key text:", "line 1: the secret is empty"),
            ("key hex:", "line 1: the secret is empty"),
            ("key hex:0000", "line 1: the secret is empty"),
            ("key passphrase:", "line 1: the secret is empty"),
            ("key text:s3 cret", "line 1: options are dialects=, audience=, not-before="),
            ("key text:s3 cret=raw", "line 1: options are dialects="),
            (
                "key text:s3cret",
                "line 1: the secret has fewer than 16 bytes, too few for countersign",
            ),
            ("key text:s3cret-of-15-b dialects=countersign/1", "line 1: the secret has fewer"),
            ("key text:s3cret dialects=raw,countersign/1", "line 1: the secret has fewer"),
            ("key text:s3cret dialects=rot13", "line 1: dialects= takes"),
            ("key text:s3cret dialects=", "line 1: dialects= takes"),
            ("key text:s3cret dialects=raw,", "line 1: dialects= takes"),
            ("key text:s3cret dialects=open", "line 1: dialects= takes"),
            ("key text:s3cret dialects=raw dialects=hex", "line 1: dialects= is given twice"),
            (
                "key text:s3cret dialects=raw,multiprocessing",
                "line 1: a Python program can be tricked",
            ),
            ("key text:s3cret audience=", "line 1: an audience is one printable word"),
            ("key text:s3cret audience=a\u{7}b", "line 1: an audience is one printable word"),
            ("key text:s3cret audience=a audience=b", "line 1: audience= is given twice"),
            ("key text:s3cret not-before=s3cret", "line 1: not-before= takes a date"),
            ("key text:s3cret not-after=2027-02-29", "line 1: not-after= takes a date"),
            (
                "key text:s3cret not-after=2027-01-01 not-after=s3",
                "line 1: not-after= takes a date",
            ),
            (
                "key text:s3cret not-after=2027-01-01 not-after=2027-01-01",
                "line 1: not-after= is given twice",
            ),
            (
                "k text:s3cret dialects=raw not-before=2027-01-02 not-after=2027-01-01",
                "line 1: the key expires before it becomes valid",
            ),
            ("k text:s3cret dialects=raw\nk text:other-secret-of-size", "line 2: the id k is used"),
            ("a text:s3cret dialects=raw\n\u{feff}b text:other-secret-of-size", "line 2: an id is"),
            ("a text:s3cret dialects=raw\nb text:s3cret dialects=raw", "line 2: the key"),
            ("a text:s3cret dialects=raw\nb hex:73336372657400 dialects=hex", "line 2: the key"),
        ];
        for (text, expected) in cases {
            let message = chain(&KeyRing::parse(text.as_bytes()).unwrap_err());
            assert!(message.starts_with(expected), "{text:?}: {message}");
            assert!(message.contains(';'), "{text:?} has no remedy: {message}");
            assert!(!message.contains("s3"), "{message}");
        }
        let binary = KeyRing::parse(b"ok text:fine dialects=raw\nkey text:\xff");
        let binary = chain(&binary.unwrap_err());
        assert!(binary.starts_with("line 2: the line is not UTF-8"), "{binary}");
    }

    #[test]
    fn ids_are_one_printable_word_of_at_most_64_bytes() {
        assert!(
            KeyRing::parse(format!("{} text:secret dialects=raw", "k".repeat(64)).as_bytes())
                .is_ok()
        );
        for id in ["k".repeat(65), "a\u{7}b".into()] {
            let error = KeyRing::parse(format!("{id} text:secret").as_bytes()).unwrap_err();
            assert!(chain(&error).starts_with("line 1: an id is"), "{error:?}");
        }
    }
}
