//! The user's key ring: where it is, and adding to it.

mod edit;
mod role;

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use countersign::files::FileRules;
use countersign::{Dialect, Key, KeyRing, KeyRingExt as _};
use etcetera::BaseStrategy as _;
use zeroize::Zeroizing;

use super::exit::{Failure, Kind, describe, said};
use super::system;
use super::units::Reader;
pub(crate) use edit::KeyFileEdit;
pub(crate) use role::RingRole;

/// The bytes of a fresh secret: as many as the hash has, past which an HMAC gains nothing.
const SECRET: usize = 32;

/// The file `keys` among the credentials that systemd hands over; else `countersign/keys` in the
/// user's configuration directory.
pub(crate) fn default_path() -> Result<PathBuf, Failure> {
    if let Some(path) = credentials().map(|directory| directory.join(CREDENTIAL))
        && path.exists()
    {
        return Ok(path);
    }
    match etcetera::choose_base_strategy() {
        Ok(base) => Ok(base.config_dir().join("countersign").join("keys")),
        Err(_) => {
            let text = "this user has no home directory; name the key file with --keys FILE";
            Err(Failure::new(Kind::Configuration, text))
        }
    }
}

/// The option that names the key file.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeyFileArg {
    /// The key file [default: countersign/keys in the user's configuration directory]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

impl KeyFileArg {
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        self.keys.clone().map_or_else(default_path, Ok)
    }
}

/// The credential that is a ring: `LoadCredential=keys:/etc/countersign/keys`.
const CREDENTIAL: &str = "keys";

/// Where systemd has put the credentials of its service.
fn credentials() -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    (!directory.is_empty()).then(|| directory.into())
}

/// Whether a ring is a copy that systemd made when it started the service: its directories are
/// called `/run/credentials/UNIT`, and a user's lie below their runtime directory. In a container,
/// secrets come by the same variable and may change.
pub(crate) fn is_copied(path: &Path) -> bool {
    let inside = credentials().filter(|directory| path.parent() == Some(directory));
    inside.is_some_and(|directory| directory.iter().any(|part| part == "credentials"))
}

/// The keys of a file, for the verbs that maintain it.
pub(crate) fn inspect(path: &Path) -> Result<KeyRing, Failure> {
    Ok(KeyRing::from_file_with(MAINTAINED, path)?)
}

/// An administrator maintains the rings of other users, whose servers are in other groups.
const MAINTAINED: FileRules = FileRules::secret().of_any_owner().lent();

/// The rules for a key file. A credential is in a directory that is closed to all others, and
/// systemd grants access to it by an access list.
fn rules(path: &Path) -> FileRules {
    let is_credential = credentials().is_some_and(|directory| path.parent() == Some(&directory));
    if is_credential { FileRules::secret().lent() } else { FileRules::secret() }
}

/// The properties of a new key.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeyOptions {
    /// Dialects that the key is valid for: countersign/1, raw, hex, multiprocessing
    #[arg(long, value_name = "LIST", default_value = "countersign/1", value_delimiter = ',',
          value_parser = dialect)]
    dialects: Vec<Dialect>,
    /// The only audience that the key is valid for
    #[arg(long, value_name = "NAME", value_parser = option("audience"))]
    audience: Option<String>,
    /// The key is valid from this date: 2027-01-31, or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "DATE", value_parser = option("not-before"))]
    not_before: Option<String>,
    /// The key is valid until this date; a day is included to its end
    #[arg(long, value_name = "DATE", value_parser = option("not-after"))]
    not_after: Option<String>,
}

impl KeyOptions {
    /// For a dialect, at any time.
    pub(crate) fn of(dialect: Dialect) -> Self {
        Self { dialects: vec![dialect], audience: None, not_before: None, not_after: None }
    }

    /// For what another key is for, at any time.
    pub(crate) fn like(key: &Key) -> Self {
        let audience = Some(key.audience()).filter(|audience| !audience.is_empty());
        Self {
            dialects: key.dialects().collect(),
            audience: audience.map(str::to_owned),
            not_before: None,
            not_after: None,
        }
    }

    /// As it stands in a key file.
    fn text(&self) -> String {
        let names: Vec<&str> = self.dialects.iter().map(|dialect| dialect.name()).collect();
        let mut options = format!("  dialects={}", names.join(","));
        let others = [
            ("audience", &self.audience),
            ("not-before", &self.not_before),
            ("not-after", &self.not_after),
        ];
        for (name, value) in others {
            if let Some(value) = value {
                // Writing to a string succeeds.
                let _ = write!(options, "  {name}={value}");
            }
        }
        options
    }
}

fn dialect(name: &str) -> Result<Dialect, String> {
    let known = name.parse().ok().filter(|dialect: &Dialect| dialect.authenticates());
    let remedy = "write countersign/1, raw, hex or multiprocessing, separated by commas";
    known.ok_or_else(|| remedy.to_owned())
}

/// Reads the id of a key.
pub(crate) fn id(text: &str) -> Result<String, String> {
    let key = Key::new(text, &[1; SECRET]);
    key.map(|_| text.to_owned()).map_err(|fault| fault.to_string())
}

/// Reads the value of a key's option as a ring does, so that what a ring would refuse is wrong
/// usage and nothing is wrong with the ring.
fn option(name: &'static str) -> impl Reader<String> {
    move |text| {
        let text = word(text)?;
        let read = KeyRing::parse(&line("id", &[1; SECRET], &format!("  {name}={text}")));
        read.map(|_| text).map_err(|error| said(error.cause()))
    }
}

/// More than one word would be read back as something else.
fn word(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
    if is_word { Ok(text.to_owned()) } else { Err("write one word".to_owned()) }
}

/// Adds a fresh random key to a file, which is made if it isn't there. Returns the key.
pub(crate) fn add(path: &Path, id: &str, options: &KeyOptions) -> Result<Key, Failure> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| cannot_write(path, &error))?;
    }
    let mut edit = KeyFileEdit::begin(path)?;
    if !edit.text.is_empty() && !edit.text.ends_with(b"\n") {
        edit.text.push(b'\n');
    }
    let end = edit.text.len();
    let key = edit.insert_fresh(end, id, options)?;
    edit.commit()?;
    Ok(key)
}

/// A ring with a fresh key, such as [`add`] makes a file of.
pub(crate) fn fresh(id: &str, options: &KeyOptions) -> Result<KeyRing, Failure> {
    let secret = secret()?;
    Ok(KeyRing::parse(&line(id, &secret, &options.text()))?)
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Kind::General, format!("cannot write {}: {}", path.display(), describe(error)))
}

fn secret() -> io::Result<Zeroizing<[u8; SECRET]>> {
    let mut secret = Zeroizing::new([0; SECRET]);
    system::fill(&mut secret[..])?;
    Ok(secret)
}

fn line(id: &str, secret: &[u8; SECRET], options: &str) -> Zeroizing<Vec<u8>> {
    let mut digits = Zeroizing::new([0; 2 * SECRET]);
    let digits = base16ct::lower::encode(secret, &mut digits[..]).unwrap_or_default();
    // With room for all of it, again.
    let mut line = Zeroizing::new(Vec::with_capacity(id.len() + digits.len() + options.len() + 8));
    for part in [id.as_bytes(), b"  hex:", digits, options.as_bytes(), b"\n"] {
        line.extend_from_slice(part);
    }
    line
}
