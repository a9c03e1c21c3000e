//! The admin listener: HTTP pages about the program, for monitoring and for people.
//!
//! It is a second server of the library's own, on a thread of its own: without a handshake, with
//! small limits, and with a service that parses what arrives as an HTTP request. The
//! pages show the sum of what the workers publish, which the [`Aggregate`] makes.

mod aggregate;
mod connections;
mod figures;
mod metrics;
mod process;
pub(crate) mod report;
mod routes;
// Without the pages, the types of the server have no values, and nobody can call what needs them.
#[cfg_attr(not(feature = "admin"), path = "absent.rs")]
mod server;
mod thread;

use std::net::SocketAddr;

use countersign::{Address, BindError, ToAddresses as _};

use super::args::admin::AdminArgs;
use super::exit::{Failure, Kind};
use super::ports;
#[cfg(any(feature = "proxy", feature = "serve"))]
pub(crate) use {
    aggregate::{Aggregate, StatsPublisher},
    report::Labels,
    server::Admin,
};

impl AdminArgs {
    /// The address as it is written, if there is one.
    pub(crate) fn address(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    /// The address as it is written, and what it resolves to.
    ///
    /// # Errors
    ///
    /// It can't be resolved, or other machines can reach it and --admin-exposed isn't given.
    pub(crate) fn resolved(&self) -> Result<Option<(&str, Vec<Address>)>, Failure> {
        let Some(address) = self.address() else { return Ok(None) };
        let lookup = address.to_addresses().map_err(BindError::Lookup);
        let addresses = lookup.map_err(|error| cannot_bind(address, &error))?;
        if !addresses.iter().all(|address| is_private(address.ip())) {
            self.check_exposed(&format!("--admin {address}"))?;
        }
        Ok(Some((address, addresses)))
    }

    /// Checks that an address that other machines can reach is allowed.
    fn check_exposed(&self, given: &str) -> Result<(), Failure> {
        let text = format!(
            "{given}: other machines can reach this address, and it has no authentication; use \
             127.0.0.1:PORT or unix:/PATH, or add --admin-exposed"
        );
        if self.admin_exposed { Ok(()) } else { Err(Failure::new(Kind::Usage, text)) }
    }
}

fn cannot_bind(address: &str, error: &BindError) -> Failure {
    ports::cannot_bind(address, error, ports::ANY).at(&"--admin")
}

/// The service of the pages, of a server that has not begun to serve.
#[cfg(fuzzing)]
pub(crate) fn service(checks_host: bool) -> impl countersign::Service {
    let start = (std::time::SystemTime::UNIX_EPOCH, crate::system::monotonic());
    routes::Routes::new(Aggregate::new(Vec::new(), Vec::new(), start).into(), checks_host)
}

/// Whether only this machine can reach it.
fn is_private(ip: Option<SocketAddr>) -> bool {
    ip.is_none_or(|address| address.ip().to_canonical().is_loopback())
}
