//! The first screen: what is served, with which keys and how much memory, and how to connect.

use std::fmt::Write as _;
use std::io;

use countersign::{Address, Dialect, Key, Mac, Server, Service};
use log::info;

use crate::cli::exit::Failure;
use crate::cli::options::{Spoken, quoted};
use crate::cli::units;

/// What the first screen says.
pub(super) struct Screen {
    serves: String,
    /// None where the dialect needs none.
    keys: Option<String>,
    memory: String,
    /// The command that connects, for each listener.
    connect: Vec<String>,
}

impl Screen {
    pub(super) fn new<S: Service>(
        what: &str,
        spoken: &Spoken,
        server: &Server<S>,
        made: Option<&Key>,
    ) -> io::Result<Self> {
        let Spoken { mac, message_max, .. } = spoken;
        let mac = match spoken.dialect() {
            Dialect::Raw | Dialect::Hex => format!(" ({})", mac.name()),
            Dialect::Multiprocessing if spoken.rhel => " (sha256, and that of Red Hat)".to_owned(),
            Dialect::Multiprocessing if *mac != Mac::Sha256 => {
                format!(" (sha256 and {})", mac.name())
            }
            Dialect::Multiprocessing => " (sha256)".to_owned(),
            _ => String::new(),
        };
        let (dialect, framing) = (spoken.handshake(), spoken.framing());
        let longest = units::shown(*message_max);
        let told_apart = match spoken.records() {
            Some(records)
                if spoken.may_be_plain() || server.listeners()[0].protocol().shares_raw() =>
            {
                format!("records {records}, framing {framing}")
            }
            // They have their own ends.
            Some(records) => format!("records {records}"),
            None => format!("framing {framing}"),
        };
        let serves = format!("{what}, dialect {dialect}{mac}, {told_apart}");
        let memory = units::shown(server.memory_max().total);
        let most = server.listeners()[0].limits().connections;
        let program = std::env::args().next().unwrap_or_else(|| "countersign".to_owned());
        let options = spoken.for_the_other_end();
        let connect = |address| format!("{program} connect {}{options}", typed(address));
        Ok(Self {
            serves: format!("{serves}, messages up to {longest}"),
            keys: keys(spoken, server, made)
                .map_err(|error| io::Error::other(error.to_string()))?,
            memory: format!("at most {memory}, with {most} connections, whatever peers do"),
            connect: server.addresses().iter().map(connect).collect(),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("countersign {}\n", env!("CARGO_PKG_VERSION"));
        let mut line = |name: &str, value: &str| {
            // Writing to a string succeeds.
            let _ = writeln!(text, "  {name:<9}{value}");
        };
        line("serves", &self.serves);
        if let Some(keys) = &self.keys {
            line("keys", keys);
        }
        line("memory", &self.memory);
        for connect in &self.connect {
            line("connect", connect);
        }
        text
    }

    /// The same as one line of the log, for a stderr that is read by a program.
    pub(super) fn log(&self) {
        let Self { serves, memory, .. } = self;
        let (keys, connect) = (self.keys.as_deref().unwrap_or("-"), self.connect.join("; "));
        let version = env!("CARGO_PKG_VERSION");
        info!(version, serves, keys, memory, connect; "serving");
    }
}

/// An address as it is typed into a shell.
fn typed(address: &Address) -> String {
    let text = address.to_string();
    match text.strip_prefix("unix:") {
        Some(path) => format!("unix:{}", quoted(path)),
        None => text,
    }
}

fn keys<S: Service>(
    spoken: &Spoken,
    server: &Server<S>,
    made: Option<&Key>,
) -> Result<Option<String>, Failure> {
    if !spoken.dialect().authenticates() {
        return Ok(None);
    }
    let path = spoken.ring_path()?;
    let path = path.display();
    let ring = server.listeners()[0].protocol().keys();
    let serves = |key: &&Key| ring.is_live(key) && spoken.dialects().any(|each| key.serves(each));
    let ids = ring.keys().filter(serves).map(Key::id).collect::<Vec<_>>().join(", ");
    Ok(Some(match made {
        Some(key) => format!("{path} (new, with the key {ids} {})", key.fingerprint()),
        None => format!("{path} ({ids})"),
    }))
}
