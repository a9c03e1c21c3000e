//! Listeners whose keys were read and whose options go together: what is left is to bind.

use std::io;
use std::os::unix;

use countersign::{
    Address, Dialect, Key, KeyRing, Limits, Listener, Mac, Protocol, Server, ToAddresses as _,
};

use super::bounds;
use super::listening::{Listening, Made, Missing, cannot_listen};
use super::offer::Offered;
use crate::cli::exit::{Failure, Kind};
use crate::cli::units;

/// A listener that can be bound.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(super) listening: Listening,
    protocol: Protocol,
    pub(super) limits: Limits,
    /// What is served and spoken, in words.
    pub(crate) serves: String,
    /// Where the keys are and which of them serve; none where the dialect needs none.
    pub(crate) keys: Option<String>,
}

impl Ready {
    /// All of them, or all that is wrong with them.
    pub(crate) fn all(listeners: Vec<Listening>, missing: Missing) -> Result<Vec<Self>, Failure> {
        let wanted: Vec<_> = listeners
            .iter()
            .map(|listening| (&listening.bounds, listening.spoken.message_max))
            .collect();
        let limits = bounds::limits(&wanted)?;
        let (mut ready, mut failures) = (Vec::new(), Vec::new());
        for (listening, limits) in listeners.into_iter().zip(limits) {
            let origin = listening.origin.clone();
            match Self::new(listening, limits, missing) {
                Ok(each) => ready.push(each),
                Err(failure) => failures.push(origin.iter().fold(failure, Failure::at)),
            }
        }
        Failure::together(failures).map_or(Ok(ready), Err)
    }

    fn new(listening: Listening, limits: Limits, missing: Missing) -> Result<Self, Failure> {
        if listening.bind.is_empty() {
            return Err(Failure::new(Kind::Usage, "bind: write one address at least"));
        }
        let (ring, made) = listening.ring(missing)?;
        let protocol = listening.protocol(ring)?;
        let serves = serves(&listening);
        let keys = keys(&listening, protocol.keys(), made.as_ref())?;
        Ok(Self { listening, protocol, limits, serves, keys })
    }

    /// What is wrong with its addresses.
    pub(crate) fn unresolved(&self) -> impl Iterator<Item = Failure> {
        self.listening.bind.iter().filter_map(|address| {
            let resolved = address.to_addresses().and_then(|all| match all.first() {
                // What no socket can have for its path.
                Some(Address::Unix(path)) if all[0].file().is_some() => {
                    unix::net::SocketAddr::from_pathname(path).map(drop)
                }
                _ => Ok(()),
            });
            resolved.err().map(|error| self.cannot_listen(address, &error))
        })
    }

    fn cannot_listen(&self, address: &str, error: &io::Error) -> Failure {
        let failure = cannot_listen(address, error);
        self.listening.origin.iter().fold(failure, |failure, origin| failure.at(&origin.of_bind()))
    }

    /// A listener that isn't bound yet.
    fn listener(&self) -> Listener {
        let Self { listening, protocol, limits, .. } = self;
        let listener = Listener::new(protocol.clone())
            .limits(limits.clone())
            .access(listening.sources.access())
            .proxies(listening.sources.proxies())
            .unix_mode(listening.unix_mode);
        match &listening.name {
            Some(name) => listener.named(name),
            None => listener,
        }
    }

    /// The same with all its addresses.
    fn bound(&self) -> Result<Listener, Failure> {
        self.listening.bind.iter().try_fold(self.listener(), |listener, address| {
            listener.bind(address).map_err(|error| self.cannot_listen(address, &error))
        })
    }

    /// All of it in one line.
    pub(crate) fn shown(&self) -> Result<String, Failure> {
        let Self { listening, serves, keys, limits, .. } = self;
        let addresses = listening.bind.join(", ");
        let name = listening.name.as_ref().unwrap_or(&listening.bind[0]);
        let keys = keys.as_deref().unwrap_or("none");
        let memory = units::shown(memory([self])?);
        let most = limits.connections;
        Ok(format!(
            "{name}: {addresses}; {serves}; keys {keys}; at most {memory}, with {most} connections"
        ))
    }
}

/// The server of all of them, which listens.
pub(super) fn server(listeners: &[Ready]) -> Result<Server<Offered>, Failure> {
    let offered = Offered::new(listeners.iter().map(|ready| ready.listening.served()).collect());
    let bound = listeners.iter().map(Ready::bound).collect::<Result<Vec<_>, _>>()?;
    Ok(Server::new(bound, offered)?)
}

/// The most memory that a server of them can use, in bytes.
fn memory<'r>(listeners: impl IntoIterator<Item = &'r Ready>) -> Result<usize, Failure> {
    let unbound = listeners.into_iter().map(Ready::listener);
    Ok(Server::new(unbound, Offered::new(Vec::new()))?.memory_max().total)
}

/// The bound on memory in words.
pub(super) fn bound(listeners: &[Ready], bytes: usize) -> String {
    let memory = units::shown(bytes);
    let connections: usize = listeners.iter().map(|ready| ready.limits.connections).sum();
    format!("at most {memory}, with {connections} connections, whatever peers do")
}

/// The same for a server that doesn't listen.
pub(crate) fn bound_of(listeners: &[Ready]) -> Result<String, Failure> {
    Ok(bound(listeners, memory(listeners)?))
}

/// What is served and spoken, in words.
fn serves(listening: &Listening) -> String {
    let spoken = &listening.spoken;
    let mac = match spoken.dialect() {
        Dialect::Raw | Dialect::Hex => format!(" ({})", spoken.mac.name()),
        Dialect::Multiprocessing if spoken.rhel => " (sha256, and that of Red Hat)".to_owned(),
        Dialect::Multiprocessing if spoken.mac != Mac::Sha256 => {
            format!(" (sha256 and {})", spoken.mac.name())
        }
        Dialect::Multiprocessing => " (sha256)".to_owned(),
        _ => String::new(),
    };
    let (what, dialect) = (listening.what(), spoken.handshake());
    let (framing, longest) = (spoken.framing(), units::shown(spoken.message_max));
    let told_apart = match spoken.records() {
        Some(records) if spoken.may_be_plain() || spoken.dialects().count() > 1 => {
            format!("records {records}, framing {framing}")
        }
        // They have their own ends.
        Some(records) => format!("records {records}"),
        None => format!("framing {framing}"),
    };
    format!("{what}, dialect {dialect}{mac}, {told_apart}, messages up to {longest}")
}

fn keys(
    listening: &Listening,
    ring: &KeyRing,
    made: Option<&Made>,
) -> Result<Option<String>, Failure> {
    let spoken = &listening.spoken;
    if !spoken.dialect().authenticates() {
        return Ok(None);
    }
    let path = spoken.ring_path()?;
    let path = path.display();
    let serves = |key: &&Key| ring.is_live(key) && spoken.dialects().any(|each| key.serves(each));
    let ids = ring.keys().filter(serves).map(Key::id).collect::<Vec<_>>().join(", ");
    Ok(Some(match made {
        Some(Made::Now(print)) => format!("{path} (new, with the key {ids} {print})"),
        Some(Made::Later) => format!("{path} (not there yet; serve makes it)"),
        None => format!("{path} ({ids})"),
    }))
}
