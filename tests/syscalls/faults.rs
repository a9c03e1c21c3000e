//! The library that injects faults: built, loaded before libc, switched on and off, and counted.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::home::{Home, skip};

/// The sources of the library.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/syscalls");
const SOURCES: [&str; 3] = ["faults.c", "files.c", "sockets.c"];

/// Faults that end one connection each, or keep it from being made.
pub(crate) const ENDS: &[&str] = &[
    "read-econnreset",
    "read-etimedout",
    "write-econnreset",
    "write-epipe",
    "write-enobufs",
    "write-enomem",
    "shutdown-enotconn",
    "watch-enomem",
    "watch-enospc",
    "random-eio",
    "option-enomem",
    "socket-emfile",
    "socket-enfile",
    "socket-enobufs",
    "socket-enomem",
    "connect-eaddrnotavail",
    "connect-econnrefused",
    "connect-enetunreach",
    "connect-refused-later",
];

/// Accepted connections that were lost before the program had them.
pub(crate) const ABORTED: &[&str] = &["accept-econnaborted", "accept-eproto", "accept-eperm"];

/// What makes accepting pause.
pub(crate) const PAUSES: &[&str] =
    &["accept-emfile", "accept-enfile", "accept-enobufs", "accept-enomem"];

/// The size of the name of a fault in the page, and of its name and its count.
const NAME: usize = 24;
const RECORD: usize = NAME + 8;

/// The faults of one process.
pub(crate) struct Faults {
    /// The page that the process has mapped: whether there are faults, and then, of each fault, its
    /// name and how often it struck.
    page: PathBuf,
}

impl Faults {
    /// Makes a command load the library. The process has no faults until they are switched on.
    pub(crate) fn preload(command: &mut Command, home: &Home, name: &str, seed: u64) -> Self {
        let page = home.path(&format!("{name}.faults"));
        command.env("LD_PRELOAD", library().unwrap());
        command.env("COUNTERSIGN_FAULT_SEED", seed.to_string());
        command.env("COUNTERSIGN_FAULT_PAGE", &page);
        if let Some(only) = std::env::var_os("COUNTERSIGN_FAULT_ONLY") {
            command.env("COUNTERSIGN_FAULT_ONLY", only);
        }
        Self { page }
    }

    /// Lets files in a home have faults too.
    pub(crate) fn with_files(self, command: &mut Command, home: &Home) -> Self {
        command.env("COUNTERSIGN_FAULT_FOLDER", home.path(""));
        self
    }

    /// From now on calls have faults. A process that begins later has them from its start.
    pub(crate) fn arm(&self) {
        self.set(1);
    }

    /// From now on no call has any.
    pub(crate) fn disarm(&self) {
        self.set(0);
    }

    fn set(&self, armed: u64) {
        self.open().write_all_at(&armed.to_ne_bytes(), 0).unwrap();
    }

    fn open(&self) -> File {
        OpenOptions::new().write(true).create(true).truncate(false).open(&self.page).unwrap()
    }

    /// How often each fault struck so far.
    pub(crate) fn counts(&self) -> Counts {
        let page = fs::read(&self.page).unwrap();
        let record = |record: &[u8]| {
            let (name, count) = record.split_at(NAME);
            let name = String::from_utf8(name.to_vec()).unwrap();
            let count = u64::from_ne_bytes(count.try_into().unwrap());
            (name.trim_end_matches('\0').to_owned(), count)
        };
        Counts(page[8..].chunks_exact(RECORD).map(record).collect())
    }
}

/// How often faults struck, by their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// How often these struck, together.
    pub(crate) fn of(&self, names: &[&str]) -> u64 {
        names.iter().map(|name| self.0[*name]).sum()
    }

    pub(crate) fn add(&mut self, others: &Self) {
        for (name, count) in &others.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

/// The library; none where it can't be built or loaded.
pub(crate) fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        skip("only a program for Linux with glibc loads a library before it");
        return None;
    }
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("syscalls.so");
    // Another run beside this one may be loading it.
    let built = library.with_extension(std::process::id().to_string());
    let mut command = Command::new("cc");
    command.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o"]);
    command.arg(&built).args(SOURCES).arg("-ldl").current_dir(FOLDER);
    match command.status() {
        Ok(status) => assert!(status.success(), "the library can't be built"),
        Err(_) => {
            skip("there is no C compiler, cc, here");
            return None;
        }
    }
    fs::rename(built, &library).unwrap();
    Some(library)
}
