//! The user's key ring: where it is, and adding to it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use countersign::{Dialect, Key, KeyFault, KeyRing};
use etcetera::BaseStrategy as _;
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::exit::{Failure, Kind, plain};

/// The bytes of a fresh secret: as many as the hash has, past which an HMAC gains nothing.
const SECRET: usize = 32;

/// `countersign/keys` in the user's configuration directory.
pub(crate) fn default_path() -> Result<PathBuf, Failure> {
    match etcetera::choose_base_strategy() {
        Ok(base) => Ok(base.config_dir().join("countersign").join("keys")),
        Err(_) => {
            let text = "this user has no home directory; say where the keys are with --keys FILE";
            Err(Failure::new(Kind::Configuration, text))
        }
    }
}

/// Adds a fresh random key to a file, which is made if it isn't there. Returns the key.
///
/// The new file is written beside the old one and then takes its place, so that whoever reads sees
/// one or the other. Its name is also the lock: two at a time would lose a key.
pub(crate) fn add(path: &Path, id: &str, dialects: &[Dialect]) -> Result<Key, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(Kind::General, format!("cannot write {}: {}", path.display(), plain(&error)))
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(cannot)?;
    }
    let draft = Draft::new(path)?;
    let (mut ring, mut text) = existing(path)?;
    let bad =
        |fault: KeyFault| Failure::new(Kind::BadKeyFile, format!("{}: {fault}", path.display()));
    let secret = secret()?;
    let key = Key::new(id, &secret[..]).map_err(bad)?;
    let key = dialects.iter().fold(key, |key, &dialect| key.with_dialect(dialect));
    ring.add(key.clone()).map_err(bad)?;
    let line = line(id, &secret, dialects);
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    draft.replace(path, &[&text, &line]).map_err(cannot)?;
    Ok(key)
}

/// The keys that are there, and the text in which they stand.
fn existing(path: &Path) -> Result<(KeyRing, Zeroizing<Vec<u8>>), Failure> {
    let ring = match KeyRing::from_file(path) {
        Ok(ring) => ring,
        Err(error) => match error.fault() {
            KeyFault::NoKeys => KeyRing::new(),
            KeyFault::File(fault) if fault.kind() == io::ErrorKind::NotFound => {
                return Ok((KeyRing::new(), Zeroizing::new(HEADER.as_bytes().to_vec())));
            }
            _ => return Err(error.into()),
        },
    };
    Ok((ring, Zeroizing::new(fs::read(path)?)))
}

const HEADER: &str = "# Keys, one a line: id  encoding:secret  [dialects=raw,hex]\n";

fn secret() -> io::Result<Zeroizing<[u8; SECRET]>> {
    let mut secret = Zeroizing::new([0; SECRET]);
    SysRng.try_fill_bytes(&mut secret[..]).map_err(io::Error::other)?;
    Ok(secret)
}

fn line(id: &str, secret: &[u8; SECRET], dialects: &[Dialect]) -> Zeroizing<Vec<u8>> {
    let mut digits = Zeroizing::new([0; 2 * SECRET]);
    let digits = base16ct::lower::encode(secret, &mut digits[..]).unwrap_or_default();
    let names: Vec<&str> = dialects.iter().map(|dialect| dialect.name()).collect();
    let options = format!("  dialects={}\n", names.join(","));
    // With room for all of it: a buffer that grows leaves copies behind that nobody wipes.
    let mut line = Zeroizing::new(Vec::with_capacity(id.len() + digits.len() + options.len() + 8));
    for part in [id.as_bytes(), b"  hex:", digits, options.as_bytes()] {
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
                io::ErrorKind::AlreadyExists => "; another keygen is at work, or remove it",
                _ => "",
            };
            let text = format!("cannot make {}: {}{remedy}", path.display(), plain(&error));
            Failure::new(Kind::General, text)
        })?;
        Ok(Self { path, file, placed: false })
    }

    fn replace(mut self, target: &Path, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            self.file.write_all(part)?;
        }
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            // If it can't be removed, the next keygen says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}
