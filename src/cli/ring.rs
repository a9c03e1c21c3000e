//! The user's key ring: where it is, and adding to it.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use countersign::{Dialect, Key, KeyFault, KeyRing, KeyRingError};
use etcetera::BaseStrategy as _;
use zeroize::Zeroizing;

use super::exit::{Failure, Kind, plain};
use super::system;

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
            let text = "this user has no home directory; say where the keys are with --keys FILE";
            Err(Failure::new(Kind::Configuration, text))
        }
    }
}

/// The credential that is a ring: `LoadCredential=keys:/etc/countersign/keys`.
const CREDENTIAL: &str = "keys";

/// Where systemd has put the credentials of its service.
fn credentials() -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    (!directory.is_empty()).then(|| directory.into())
}

/// The keys of a file.
pub(crate) fn read(path: &Path) -> Result<KeyRing, Failure> {
    match KeyRing::from_file(path) {
        Err(error) if matches!(error.fault(), KeyFault::Exposed(LENT)) && is_lent(path) => {
            let text = Zeroizing::new(fs::read(path)?);
            let named = |error: KeyRingError| format!("{}: {error}", path.display());
            KeyRing::parse(&text).map_err(|error| Failure::new(Kind::BadKeyFile, named(error)))
        }
        ring => Ok(ring?),
    }
}

/// The mode of a credential that systemd lends by an access list. The list's mask stands where the
/// group's bits do, and says nothing of the group.
const LENT: u32 = 0o440;

/// Whether it is a credential, and the system's own: the directory is closed to all others.
fn is_lent(path: &Path) -> bool {
    let is_the_systems = |found: fs::Metadata| found.uid() == 0 && found.is_file();
    let inside = credentials().is_some_and(|directory| path.parent() == Some(&directory));
    inside && fs::symlink_metadata(path).is_ok_and(is_the_systems)
}

/// What a fresh key is for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Purpose {
    /// The dialects that the key serves: countersign/1, raw, hex, multiprocessing
    #[arg(long, value_name = "LIST", env = "COUNTERSIGN_DIALECTS",
          default_value = "countersign/1", value_delimiter = ',', value_parser = dialect)]
    dialects: Vec<Dialect>,
    /// The one service that the key lets into, by the name that both ends know it by
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_AUDIENCE", value_parser = word)]
    audience: Option<String>,
    /// From when on the key is taken: 2027-01-31, or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "DATE", env = "COUNTERSIGN_NOT_BEFORE", value_parser = word)]
    not_before: Option<String>,
    /// Until when the key is taken; a day counts to its end
    #[arg(long, value_name = "DATE", env = "COUNTERSIGN_NOT_AFTER", value_parser = word)]
    not_after: Option<String>,
}

impl Purpose {
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
    fn options(&self) -> String {
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
    let remedy = "write countersign/1, raw, hex or multiprocessing, with commas between them";
    known.ok_or_else(|| remedy.to_owned())
}

/// What isn't one word would be read back as something else.
fn word(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
    if is_word { Ok(text.to_owned()) } else { Err("write one word".to_owned()) }
}

/// Adds a fresh random key to a file, which is made if it isn't there. Returns the key.
pub(crate) fn add(path: &Path, id: &str, purpose: &Purpose) -> Result<Key, Failure> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| cannot_write(path, &error))?;
    }
    let mut change = Change::begin(path)?;
    if !change.text.is_empty() && !change.text.ends_with(b"\n") {
        change.text.push(b'\n');
    }
    let end = change.text.len();
    let key = change.insert_fresh(end, id, purpose)?;
    change.commit()?;
    Ok(key)
}

/// A ring with a fresh key, such as [`add`] makes a file of.
pub(crate) fn fresh(id: &str, purpose: &Purpose) -> Result<KeyRing, Failure> {
    let secret = secret()?;
    Ok(KeyRing::parse(&line(id, &secret, &purpose.options()))?)
}

/// A change of a file of keys.
///
/// The new file is written beside the old one and then takes its place, so that whoever reads sees
/// one or the other. Its name is also the lock: two at a time would lose a key.
pub(crate) struct Change<'p> {
    path: &'p Path,
    draft: Draft,
    /// The keys.
    pub(crate) ring: KeyRing,
    /// What the file will be.
    pub(crate) text: Zeroizing<Vec<u8>>,
}

impl<'p> Change<'p> {
    pub(crate) fn begin(path: &'p Path) -> Result<Self, Failure> {
        let draft = Draft::new(path)?;
        let (ring, text) = existing(path)?;
        Ok(Self { path, draft, ring, text })
    }

    /// Adds a fresh random key, and its line at this place in the text.
    pub(crate) fn insert_fresh(
        &mut self,
        at: usize,
        id: &str,
        purpose: &Purpose,
    ) -> Result<Key, Failure> {
        let path = self.path.display();
        let bad = |fault: &KeyFault| Failure::new(Kind::BadKeyFile, format!("{path}: {fault}"));
        let secret = secret()?;
        // An id that isn't one would be read back as something else.
        Key::new(id, &secret[..]).map_err(|fault| bad(&fault))?;
        let line = line(id, &secret, &purpose.options());
        let fresh = KeyRing::parse(&line).map_err(|error| bad(error.fault()))?;
        let key = fresh.keys().next().ok_or_else(|| bad(&KeyFault::NoKeys))?;
        self.ring.add(key.clone()).map_err(|fault| bad(&fault))?;
        self.insert(at, &line);
        Ok(key.clone())
    }

    /// Puts another text in the place of a part.
    pub(crate) fn replace(&mut self, part: Range<usize>, text: &str) {
        self.text.drain(part.clone());
        self.insert(part.start, text.as_bytes());
    }

    /// Puts bytes into the text at a place in it.
    pub(crate) fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        self.text[at..].rotate_right(bytes.len());
    }

    pub(crate) fn commit(self) -> Result<(), Failure> {
        let replaced = self.draft.replace(self.path, &self.text);
        replaced.map_err(|error| cannot_write(self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Kind::General, format!("cannot write {}: {}", path.display(), plain(error)))
}

/// The keys that are there, and the text in which they stand.
fn existing(path: &Path) -> Result<(KeyRing, Zeroizing<Vec<u8>>), Failure> {
    let mut text = Zeroizing::new(Vec::new());
    let ring = match KeyRing::from_file(path) {
        Ok(ring) => ring,
        Err(error) => match error.fault() {
            KeyFault::NoKeys => KeyRing::new(),
            KeyFault::File(fault) if fault.kind() == io::ErrorKind::NotFound => {
                text.extend_from_slice(HEADER.as_bytes());
                return Ok((KeyRing::new(), text));
            }
            _ => return Err(error.into()),
        },
    };
    let mut file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    text.reserve_exact(length + ROOM);
    file.read_to_end(&mut text)?;
    Ok((ring, text))
}

/// More than a change adds. A buffer that grows leaves copies behind that nobody wipes.
const ROOM: usize = 1024;

const HEADER: &str = "# Keys, one a line: id  encoding:secret  [option=value ...]\n";

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

/// A file that is being written beside the one that it will replace.
struct Draft {
    path: PathBuf,
    file: File,
    /// It has taken the other's place, and its name is free for the next.
    placed: bool,
}

impl Draft {
    fn new(target: &Path) -> Result<Self, Failure> {
        let mut name = target.as_os_str().to_owned();
        name.push(".new");
        let path = PathBuf::from(name);
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = created.map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::AlreadyExists => "; another is changing the ring, or remove it",
                _ => "",
            };
            let text = format!("cannot make {}: {}{remedy}", path.display(), plain(&error));
            Failure::new(Kind::General, text)
        })?;
        Ok(Self { path, file, placed: false })
    }

    fn replace(mut self, target: &Path, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            // If it can't be removed, the next change says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}
