//! In the place of the server of the pages, in a program that is built without them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use countersign::Address;

use super::aggregate::Aggregate;
use super::thread::AdminThread;
use crate::args::admin::AdminArgs;
use crate::exit::{Failure, Kind};
use crate::ports::Ipv4Ports;

pub(crate) use AbsentAdmin as Admin;

/// A server that there is none of.
pub(crate) enum AbsentAdmin {}

impl AdminArgs {
    /// Refuses to serve pages.
    pub(crate) fn listen(
        &self,
        _: Arc<Aggregate>,
        passed: Vec<OwnedFd>,
        _: &Ipv4Ports,
    ) -> Result<Option<Admin>, Failure> {
        if self.address().is_none() && passed.is_empty() {
            return Ok(None);
        }
        let text = "this program was built without the pages of --admin, its feature `admin`";
        Err(Failure::new(Kind::Usage, text))
    }
}

impl AbsentAdmin {
    pub(crate) fn begin(self) -> io::Result<AdminThread> {
        match self {}
    }

    pub(crate) fn addresses(&self) -> Vec<Address> {
        match *self {}
    }

    pub(crate) fn memory_max(&self) -> usize {
        match *self {}
    }
}
