//! What is pinged: an address, or everything that a configuration or a process serves.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

use countersign::{Address, ClientConfig, Dialect, ToAddresses as _};
use countersign_load::ProxyVersion;

use crate::args::listener::ListenerArgs;
use crate::args::protocol::{ProtocolArgs, STAMP_AND_FRAME};
use crate::exit::{Failure, Kind, chain, describe};

/// Something that is to be pinged.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) config: Arc<ClientConfig>,
    pub(super) check: Check,
    /// The PROXY header that is sent first: a listener behind a load balancer requires one.
    pub(super) header: Option<ProxyVersion>,
}

/// What a command line of `serve` or `proxy` serves.
pub(crate) enum Served {
    Listeners(Vec<ListenerArgs>),
    /// Where it listens, and what is spoken there.
    Proxy(String, ClientConfig),
}

/// How far a ping goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// Both ends have proved that they hold the key.
    ///
    /// With a message, the service behind it has answered that too.
    Proof(Option<String>),
    /// A message has been answered; in these dialects that is all that can be known.
    Answer(String),
    /// The other end has proved that it holds the key; what is behind it isn't asked.
    Handshake,
    /// The proof was sent. Its result is not reported.
    Verdict,
    /// The connection has stayed for a moment.
    Stay,
}

/// What is sent where a message is needed and none was given.
const MESSAGE: &str = "ping";

impl Check {
    /// As far as something is proved, unless it was asked for more or less.
    pub(super) fn of(args: &ProtocolArgs, message: Option<String>, no_message: bool) -> Self {
        let proves = matches!(args.dialect(), Dialect::Countersign | Dialect::Multiprocessing);
        match message {
            message if proves => Self::Proof(message),
            Some(message) => Self::Answer(message),
            None if args.verify_only => Self::Verdict,
            None if no_message => Self::Stay,
            None => Self::Answer(MESSAGE.to_owned()),
        }
    }
}

impl Target {
    /// A server at an address, which speaks this.
    pub(super) fn new(address: String, args: &ProtocolArgs, check: Check) -> Result<Self, Failure> {
        // The reply to the longest message is longer still.
        let config = Arc::new(args.client_config(None, STAMP_AND_FRAME)?);
        Ok(Self { address, config, check, header: None })
    }

    /// All that is served by a command line of `serve` or `proxy`.
    pub(super) fn all_of(served: Served) -> Result<Vec<Self>, Failure> {
        match served {
            Served::Listeners(listeners) => {
                let targets: Result<Vec<_>, _> = listeners.iter().map(Self::of_listener).collect();
                Ok(targets?.into_iter().flatten().collect())
            }
            Served::Proxy(listen, config) => {
                let config = Arc::new(config);
                let is_plain = config.dialect() == Dialect::Open;
                let check = if is_plain { Check::Stay } else { Check::Handshake };
                let all = reachable(&listen)?;
                let target = |address: Address| Self {
                    address: address.to_string(),
                    config: Arc::clone(&config),
                    check: check.clone(),
                    header: None,
                };
                Ok(all.into_iter().map(target).collect())
            }
        }
    }

    fn of_listener(listener: &ListenerArgs) -> Result<Vec<Self>, Failure> {
        let args = listener.protocol.clone().into_client();
        // A service that answers nothing is sent no message.
        let check = Check::of(&args, None, !listener.answers());
        let mut targets = Vec::new();
        for bind in &listener.bind {
            for address in reachable(bind)? {
                let target = Self::new(address.to_string(), &args, check.clone())?;
                let header = listener.access.has_proxies().then_some(ProxyVersion::V2);
                targets.push(Self { header, ..target });
            }
        }
        Ok(targets)
    }
}

/// The command line of a process that is this program, or of a child of it that is: in a container,
/// an init may be process 1.
pub(super) fn argv_of(pid: u32) -> Result<Vec<OsString>, Failure> {
    let failed =
        |why: &str| Failure::new(Kind::Unavailable, format!("cannot ping process {pid}: {why}"));
    let own = cmdline(pid).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if Path::new("/proc/self").exists() => {
            failed("there is no such process")
        }
        io::ErrorKind::NotFound => failed("its command line is in /proc, which is not mounted"),
        _ => failed(&describe(&error)),
    })?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children =
        children.split_whitespace().filter_map(|child| cmdline(child.parse().ok()?).ok());
    let is_ours = |argv: &Vec<OsString>| {
        Path::new(&argv[0]).file_name().is_some_and(|name| name == "countersign")
    };
    let ours = [own].into_iter().chain(children).find(is_ours);
    ours.ok_or_else(|| failed("neither it nor one of its children is countersign"))
}

fn cmdline(pid: u32) -> io::Result<Vec<OsString>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline"))?;
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes).split(|byte| *byte == 0);
    Ok(words.map(|word| OsString::from_vec(word.to_vec())).collect())
}

/// Where a listener that is bound like this can be reached from here.
fn reachable(bind: &str) -> Result<Vec<Address>, Failure> {
    let mut addresses = bind.to_addresses().map_err(|error| {
        Failure::new(Kind::Unavailable, format!("cannot find {bind}: {}", chain(&error)))
    })?;
    for address in &mut addresses {
        let Address::Ip(ip) = address else { continue };
        if ip.port() == 0 {
            let text = format!(
                "{bind} means any free port, which is unknown here; use a fixed \
                                port"
            );
            return Err(Failure::new(Kind::Configuration, text));
        }
        *ip = match *ip {
            SocketAddr::V4(any) if any.ip().is_unspecified() => {
                (Ipv4Addr::LOCALHOST, any.port()).into()
            }
            SocketAddr::V6(any) if any.ip().is_unspecified() => {
                (Ipv6Addr::LOCALHOST, any.port()).into()
            }
            other => other,
        };
    }
    Ok(addresses)
}
