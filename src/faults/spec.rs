//! Which faults a listener injects.

use std::fmt;
use std::time::Duration;

use crate::faults::distribution::Distribution;
use crate::faults::kind::FaultKind;

/// Which faults a listener injects; by default none.
///
/// It is written as verbs with semicolons between them, each with the percentage of messages, or of
/// connections, that it applies to. Without one it applies to all:
///
/// | verb | what the server does |
/// | --- | --- |
/// | `delay=150us:10,0.5s:1` | sends 10 % of the replies 150 µs later, and 1 % half a second |
/// | `delay=normal(5ms,1ms)` | the same, with a normal distribution: its mean and deviation |
/// | `delay=pareto(1ms,1.5)` | the same, with a Pareto distribution: the least, and its exponent |
/// | `drip=16B/20ms` | sends 16 bytes of a reply every 20 ms |
/// | `slice=7..64B` | sends a reply in pieces of 7 to 64 bytes |
/// | `stall=1s:0.1` | stops for a second inside a reply |
/// | `reset:0.1` | resets the connection in place of a reply |
/// | `close-before:0.1` | closes the connection when a message has arrived |
/// | `close-after:0.1` | closes the connection after a reply |
/// | `truncate:0.1` | sends the first part of a reply, and closes the connection |
/// | `corrupt:0.01` | flips one bit of a reply, but none that delimits messages |
/// | `mute:0.1` | does not send a reply |
/// | `rate=20k` | answers 20,000 messages a second; the others wait |
/// | `accept-delay=5ms` | waits before it sends or reads anything; times as for `delay` |
/// | `handshake-delay=5ms` | answers a proof late; times as for `delay` |
/// | `refuse:1` | closes a new connection at once |
///
/// ```
/// use countersign::faults::Faults;
///
/// let faults: Faults = "delay=5ms:10; drip=16B/20ms:0.5; rate=20k".parse()?;
/// assert_eq!(faults.to_string(), "delay=5ms:10;drip=16B/20ms:0.5;rate=20000");
/// let error = "delay=5".parse::<Faults>().unwrap_err();
/// assert_eq!(error.to_string(), "delay: write a time like 150us, 5ms or 0.5s, not \"5\"");
/// # Ok::<(), countersign::faults::FaultsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    pub(super) clauses: Vec<Clause>,
}

/// One kind of fault, and how often it happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clause {
    pub(super) fault: Fault,
    /// For those that have no distribution.
    pub(super) percent: f64,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    Delay(Distribution),
    Drip {
        bytes: usize,
        every: Duration,
    },
    Slice {
        least: usize,
        most: usize,
    },
    Stall(Duration),
    Reset,
    CloseBefore,
    CloseAfter,
    Truncate,
    Corrupt,
    Mute,
    /// Messages a second.
    Rate(f64),
    AcceptDelay(Distribution),
    HandshakeDelay(Distribution),
    Refuse,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether there are no faults.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The share of one of several servers that share the work: it answers its part of the rate.
    #[must_use]
    pub fn divided(&self, servers: usize) -> Self {
        let mut divided = self.clone();
        for clause in &mut divided.clauses {
            if let Fault::Rate(rate) = &mut clause.fault {
                *rate /= servers.max(1) as f64;
            }
        }
        divided
    }
}

impl Fault {
    pub(super) fn kind(&self) -> FaultKind {
        match self {
            Self::Delay(_) => FaultKind::Delay,
            Self::Drip { .. } => FaultKind::Drip,
            Self::Slice { .. } => FaultKind::Slice,
            Self::Stall(_) => FaultKind::Stall,
            Self::Reset => FaultKind::Reset,
            Self::CloseBefore => FaultKind::CloseBefore,
            Self::CloseAfter => FaultKind::CloseAfter,
            Self::Truncate => FaultKind::Truncate,
            Self::Corrupt => FaultKind::Corrupt,
            Self::Mute => FaultKind::Mute,
            Self::Rate(_) => FaultKind::Rate,
            Self::AcceptDelay(_) => FaultKind::AcceptDelay,
            Self::HandshakeDelay(_) => FaultKind::HandshakeDelay,
            Self::Refuse => FaultKind::Refuse,
        }
    }
}

impl fmt::Display for Faults {
    /// The text that is parsed as the same faults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, clause) in self.clauses.iter().enumerate() {
            let semicolon = if place == 0 { "" } else { ";" };
            write!(f, "{semicolon}{clause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault.kind())?;
        match &self.fault {
            Fault::Delay(times) | Fault::AcceptDelay(times) | Fault::HandshakeDelay(times) => {
                return write!(f, "={times}");
            }
            Fault::Drip { bytes, every } => write!(f, "={bytes}B/{}", Time(*every)),
            Fault::Slice { least, most } => write!(f, "={least}..{most}B"),
            Fault::Stall(time) => write!(f, "={}", Time(*time)),
            Fault::Rate(rate) => write!(f, "={rate}"),
            _ => Ok(()),
        }?;
        write!(f, "{}", Percent(self.percent))
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => {
                for (place, (time, percent)) in table.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma}{}{}", Time(*time), Percent(*percent))?;
                }
                Ok(())
            }
            Self::Normal { mean, deviation, percent } => {
                write!(f, "normal({},{}){}", Time(*mean), Time(*deviation), Percent(*percent))
            }
            Self::Pareto { least, shape, percent } => {
                write!(f, "pareto({},{shape}){}", Time(*least), Percent(*percent))
            }
        }
    }
}

/// A percentage behind a fault, unless it is 100.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 100.0 { write!(f, ":{}", self.0) } else { Ok(()) }
    }
}

/// A time in the largest unit that leaves nothing over.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];
        let fits = units.into_iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
        let (name, unit) = fits.unwrap_or(("ns", 1));
        write!(f, "{}{name}", nanos / unit)
    }
}
