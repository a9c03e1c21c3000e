//! What the clients of a load do.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use countersign::{Address, ClientConfig, Exchange, Framing, Networks};
use countersign_proto::CHUNK_MAX;

use crate::balancer::ProxyVersion;
use crate::expect::Expect;
use crate::message_list::MessageList;
use crate::rate_schedule::Stage;

/// What the clients of a load do.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use countersign_load::{Load, Plan};
/// use countersign::services::Echo;
/// use countersign::{ClientConfig, Server, ServerConfig};
///
/// let mut server = Server::bind("127.0.0.1:0", ServerConfig::open(), Echo)?;
/// let (address, handle) = (server.addresses()[0].clone(), server.handle());
/// let serving = std::thread::spawn(move || server.run());
///
/// let plan = Plan { connections: 4, depth: 8, count: Some(1000), ..Plan::default() };
/// let load = Load::new(address, ClientConfig::open(), plan)?;
/// let report = load.run(|_| ControlFlow::Continue(()))?;
/// assert_eq!((report.due, report.answered, report.failed()), (1000, 1000, 0));
///
/// handle.drain()?;
/// serving.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Clients at one time.
    pub connections: usize,
    /// Further clients that go through the handshake and send nothing.
    pub idle: usize,
    /// Each client connects, sends one message, receives the reply, closes the connection, and
    /// connects again.
    pub reconnect: bool,
    /// Messages that a client may have unanswered.
    pub depth: usize,
    /// Bytes of a message.
    pub size: usize,
    /// What clients send in place of numbered messages of this size.
    pub messages: Option<MessageList>,
    /// What counts as the right reply to a message.
    pub expect: Expect,
    /// Ends the load when this many messages are answered or have failed.
    pub count: Option<u64>,
    /// Ends when so much time has passed, not counting the warm-up.
    pub duration: Option<Duration>,
    /// At first nothing is measured for so long.
    pub warmup: Duration,
    /// How long each of the report's [intervals](crate::Report::intervals) is, at least a tenth of
    /// a second. Those of a long run are longer. `None` for a report without any.
    pub interval: Option<Duration>,
    /// When messages are due.
    pub arrival: Arrival,
    /// How long a client of a closed loop waits between the replies to all its messages and the
    /// next messages, as a person would.
    pub think: Duration,
    /// Stages with rates of their own, which replace the rate of an open loop. In the warm-up the
    /// rate rises to that with which the first stage begins. Without a count and a duration, the
    /// load ends with the last stage; otherwise the rate with which that stage ends goes on.
    pub stages: Vec<Stage>,
    /// Connections that are begun a second, at most.
    pub connect_rate: Option<f64>,
    /// From dialling until the handshake is over.
    pub connect_timeout: Duration,
    /// Time limit from sending a message until its reply. If a reply takes longer, the client
    /// closes the connection, and its messages count as failed. Zero means no limit: a load that
    /// only its count ends may then never end.
    pub reply_timeout: Duration,
    /// How a client hangs up.
    pub disconnect: Disconnect,
    /// The addresses that clients come from, in turn; with none, the system chooses.
    pub sources: Vec<IpAddr>,
    /// Each connection begins with a header of this version of the PROXY protocol, as a load
    /// balancer sends it.
    pub proxy_header: Option<ProxyVersion>,
    /// The networks whose addresses these headers give as the source, in turn. With none, it is the
    /// address of our own socket; over a Unix socket, the header then says that the connection is
    /// the load balancer's own.
    pub proxy_sources: Networks,
}

/// When messages are due.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Arrival {
    /// As soon as a client may say one: a closed loop, which slows down with the server.
    Closed,
    /// So many a second, evenly: an open loop. A reply's latency counts from when its message was
    /// due, whether or not a client was free to send it then, so that a stall isn't hidden.
    Constant(f64),
    /// So many a second on average, at random (a Poisson process).
    Poisson(f64),
    /// A rate per second, in bursts of this size.
    Burst(f64, u32),
    /// So many a second of each client, evenly, and the clients are evenly out of phase. A message
    /// that is due while its client waits for a reply is late; no other client sends it.
    PerClient(f64),
}

impl Arrival {
    /// The messages a second of an open loop that all clients share.
    pub(super) fn rate(self) -> Option<f64> {
        match self {
            Self::Closed | Self::PerClient(_) => None,
            Self::Constant(rate) | Self::Poisson(rate) | Self::Burst(rate, _) => Some(rate),
        }
    }
}

/// How a client hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Disconnect {
    /// With a close record, where there are records, and the end of the stream, which keeps the
    /// client's port in use for about a minute.
    #[default]
    Fin,
    /// With a reset, which Unix sockets do not have.
    Rst,
}

impl Default for Plan {
    /// 50 clients that send 32 bytes, one at a time, as often as they can, for ten seconds.
    fn default() -> Self {
        Self {
            connections: 50,
            idle: 0,
            reconnect: false,
            depth: 1,
            size: 32,
            messages: None,
            expect: Expect::Echo,
            count: None,
            duration: None,
            warmup: Duration::ZERO,
            interval: None,
            arrival: Arrival::Closed,
            think: Duration::ZERO,
            stages: Vec::new(),
            connect_rate: None,
            connect_timeout: Duration::from_secs(5),
            reply_timeout: Self::REPLY_TIMEOUT,
            disconnect: Disconnect::Fin,
            sources: Vec::new(),
            proxy_header: None,
            proxy_sources: Networks::new(),
        }
    }
}

impl Plan {
    /// How long a load goes on if neither a count nor a duration ends it.
    pub const DURATION: Duration = Duration::from_secs(10);

    /// How long a reply may take by default.
    pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long the load goes on after the warm-up; `None` if only its count ends it.
    #[must_use]
    pub fn lasts(&self) -> Option<Duration> {
        let default = || match self.stages.is_empty() {
            true => Self::DURATION,
            false => self.stages.iter().fold(Duration::ZERO, |all, each| all + each.lasts),
        };
        self.duration.or_else(|| self.count.is_none().then(default))
    }

    /// The bytes of the longest message.
    pub(super) fn longest(&self) -> usize {
        self.messages.as_ref().map_or(self.size, MessageList::longest)
    }

    /// How long a reply may take; `None` for any time.
    #[must_use]
    pub fn replies_within(&self) -> Option<Duration> {
        Some(self.reply_timeout).filter(|limit| !limit.is_zero())
    }

    /// The messages a second of all clients together, in an open loop: of several stages, on
    /// average.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let seconds: f64 = self.stages.iter().map(|stage| stage.lasts.as_secs_f64()).sum();
        let messages: f64 = self.stages.iter().map(Stage::messages).sum();
        if let Arrival::PerClient(rate) = self.arrival {
            return Some(rate * self.connections as f64);
        }
        let of_arrival = self.arrival.rate()?;
        Some(if self.stages.is_empty() { of_arrival } else { messages / seconds })
    }

    /// Whether this can be done with such a protocol, to a server there.
    pub(crate) fn check(&self, config: &ClientConfig, server: &[Address]) -> Result<(), PlanError> {
        let max = config.message_max();
        let positive = |rate: f64| rate.is_finite() && rate > 0.0;
        if self.connections == 0 || self.depth == 0 {
            Err(PlanError::Nobody)
        } else if self.count == Some(0) || self.duration.is_some_and(|time| time.is_zero()) {
            Err(PlanError::Nothing)
        } else if !self.rate().is_none_or(positive)
            || !self.connect_rate.is_none_or(positive)
            || matches!(self.arrival, Arrival::Burst(_, 0))
        {
            Err(PlanError::Rate)
        } else if !self.think.is_zero() && self.arrival != Arrival::Closed {
            Err(PlanError::Think)
        } else if self.reconnect && matches!(self.arrival, Arrival::PerClient(_)) {
            Err(PlanError::PerClient)
        } else if !self.stages.is_empty() && self.arrival.rate().is_none() {
            Err(PlanError::ClosedStages)
        } else if !self.stages.iter().all(Stage::is_valid) {
            Err(PlanError::Stage)
        } else if let Some(number) = self.messages.as_ref().and_then(|all| all.longer_than(max)) {
            Err(PlanError::Message { number, max })
        } else if self.longest() > max || self.longest() == 0 {
            Err(PlanError::Size(max))
        } else if config.framing() == Framing::Chunks
            && (self.depth > 1 || self.longest() > CHUNK_MAX)
        {
            Err(PlanError::Chunks)
        } else if config.exchange() == Exchange::VerifyOnly {
            Err(PlanError::NoReply)
        } else if config.exchange() == Exchange::Once && !(self.reconnect && self.depth == 1) {
            Err(PlanError::Once)
        } else if !self.sources.is_empty() && server.iter().all(|address| address.ip().is_none()) {
            Err(PlanError::Sources)
        } else if !self.sources.iter().all(|source| reaches(*source, server)) {
            Err(PlanError::SourceFamily)
        } else {
            Ok(())
        }
    }
}

/// Whether the server has an address of the family of a source.
fn reaches(source: IpAddr, server: &[Address]) -> bool {
    server.iter().filter_map(Address::ip).any(|server| server.is_ipv4() == source.is_ipv4())
}

/// Why a plan can't be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// No client, or none that may send a message.
    Nobody,
    /// It would end before a message is sent.
    Nothing,
    /// A rate or a burst isn't positive.
    Rate,
    /// A stage has no length, or a rate that is negative.
    Stage,
    /// A closed loop has no rate that could change in stages.
    ClosedStages,
    /// Clients can't pause where messages are due at times of their own.
    Think,
    /// Clients that reconnect for each message have no rate of their own.
    PerClient,
    /// The size of a message is out of range: it has between 1 and this many bytes.
    Size(usize),
    /// A message, counted from 1, is longer than this many bytes.
    Message {
        /// Which one it is.
        number: usize,
        /// The bytes that it may have.
        max: usize,
    },
    /// The framing `chunks` can't delimit messages if several are in flight, or if they are long.
    Chunks,
    /// A protocol that only verifies sends no replies.
    NoReply,
    /// A protocol for one exchange needs clients that reconnect for each message.
    Once,
    /// Over a Unix socket, clients have no source address.
    Sources,
    /// A source is IPv4 and the server IPv6, or the other way round.
    SourceFamily,
    /// There is no loop, or there are more than clients that send messages.
    Loops,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("at least one connection and a depth of one are needed"),
            Self::Nothing => f.write_str("a count and a duration have to be greater than zero"),
            Self::Rate => f.write_str("a rate and a burst have to be greater than zero"),
            Self::Stage => f.write_str("a stage needs a length and a rate that is not negative"),
            Self::ClosedStages => f.write_str("stages need an open loop"),
            Self::Think => {
                f.write_str("a pause between messages needs a closed loop, without a rate")
            }
            Self::PerClient => {
                f.write_str("a rate for each connection needs connections that stay open")
            }
            Self::Size(max) => write!(f, "a message has between 1 and {max} bytes"),
            Self::Message { number, max } => {
                write!(f, "message {number} is too long: it can have at most {max} bytes")
            }
            Self::Chunks => write!(
                f,
                "the framing chunks carries one message at a time, of at most {CHUNK_MAX} bytes"
            ),
            Self::NoReply => f.write_str("a protocol that only verifies sends no replies"),
            Self::Once => {
                f.write_str("a protocol for one exchange needs reconnecting and a depth of one")
            }
            Self::Loops => f.write_str("each thread needs a connection of its own"),
            Self::Sources => f.write_str("clients of a Unix socket have no source address"),
            Self::SourceFamily => f.write_str(
                "the source addresses are of another family than the server's; use IPv4 sources \
                 for an IPv4 server, and IPv6 sources for an IPv6 server",
            ),
        }
    }
}

impl std::error::Error for PlanError {}
