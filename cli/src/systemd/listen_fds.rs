//! Socket activation: listening sockets that the service manager passes to the program.
//!
//! After sd_listen_fds(3). They listen before the server runs, so no client is refused while it
//! starts, and the process that binds them may have rights that the server does without.

use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::SockRef;

use crate::exit::{Failure, Kind};
use crate::units;

/// The sockets that were passed and have found no listener yet, each with its name.
#[derive(Debug, Default)]
pub(crate) struct ListenFds(Vec<(String, OwnedFd)>);

impl ListenFds {
    /// Takes them, as `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` say. For once, and before
    /// there are threads: two of the variables are removed.
    pub(crate) fn take() -> Result<Self, Failure> {
        check_numbers()?;
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
            let socket = listening(&mut passed, index).ok_or_else(|| no_listener(index, name))?;
            sockets.push((name.to_owned(), socket));
        }
        Ok(Self(sockets))
    }

    /// Those of this name.
    pub(crate) fn named(&mut self, name: &str) -> Vec<OwnedFd> {
        let own = self.0.extract_if(.., |(other, _)| other == name);
        own.map(|(_, socket)| socket).collect()
    }

    /// Those of each of these listeners: by their names, or in order if no name fits. One listener
    /// alone gets all that have no other's name.
    ///
    /// # Errors
    ///
    /// There is a socket that no listener uses.
    pub(crate) fn share(mut self, names: &[Option<&str>]) -> Result<Vec<Vec<OwnedFd>>, Failure> {
        let fits = |(name, _): &(String, OwnedFd)| names.contains(&Some(name));
        if !self.0.iter().any(fits) && (names.len() == 1 || self.0.len() <= names.len()) {
            let mut shares: Vec<Vec<OwnedFd>> = names.iter().map(|_| Vec::new()).collect();
            for (index, (_, socket)) in self.0.into_iter().enumerate() {
                shares[index.min(names.len() - 1)].push(socket);
            }
            return Ok(shares);
        }
        let mut own = |name: &Option<&str>| name.map_or_else(Vec::new, |name| self.named(name));
        let shares = names.iter().map(&mut own).collect();
        match self.0.first() {
            None => Ok(shares),
            Some((name, _)) => Err(not_taken(name, names)),
        }
    }
}

/// More sockets than this are a mistake, and each would be examined.
const PASSED_MAX: u64 = 1024;

/// Whether the variables have numbers that can be meant, if they are for us.
fn check_numbers() -> Result<(), Failure> {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    if variable("LISTEN_PID").is_some_and(|pid| pid != std::process::id().to_string()) {
        return Ok(());
    }
    let descriptors = u64::from(u16::MAX);
    for (name, range) in [("LISTEN_FDS", 0..=PASSED_MAX), ("LISTEN_FDS_FIRST_FD", 3..=descriptors)]
    {
        if let Some(text) = variable(name) {
            units::count::<u32>(range)(&text).map_err(|remedy| {
                let text = format!("{name}={}: {remedy}, or unset it", text.escape_debug());
                Failure::new(Kind::Configuration, text)
            })?;
        }
    }
    Ok(())
}

/// The one at this place, if it is a stream socket that listens.
fn listening(passed: &mut ListenFd, index: usize) -> Option<OwnedFd> {
    let stream = libc::SOCK_STREAM;
    // What it calls AF_INET is IPv6 too.
    let socket = [libc::AF_INET, libc::AF_UNIX].into_iter().find_map(|family| {
        passed.take_custom::<OwnedFd>(index, family, stream, "stream socket").ok().flatten()
    })?;
    SockRef::from(&socket).is_listener().is_ok_and(|listens| listens).then_some(socket)
}

fn no_listener(index: usize, name: &str) -> Failure {
    let text = format!(
        "the passed socket {} ({name}) is not a listening stream socket; in the socket unit, \
         write ListenStream= and Accept=no",
        index + 1
    );
    Failure::new(Kind::Configuration, text)
}

fn not_taken(name: &str, names: &[Option<&str>]) -> Failure {
    let names: Vec<&str> = names.iter().copied().flatten().collect();
    let text = format!(
        "a socket named {name} was passed, but no listener has that name; in the socket unit, set \
         FileDescriptorName= to the name of a listener ({})",
        names.join(", ")
    );
    Failure::new(Kind::Configuration, text)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    /// What was passed under these names.
    fn passed(names: &[&str]) -> ListenFds {
        let socket = || OwnedFd::from(std::os::unix::net::UnixDatagram::unbound().unwrap());
        ListenFds(names.iter().map(|name| ((*name).to_owned(), socket())).collect())
    }

    /// The places of the sockets that each listener gets.
    fn shares(names: &[&str], listeners: &[&str]) -> Result<Vec<Vec<usize>>, String> {
        let passed = passed(names);
        let all: Vec<i32> = passed.0.iter().map(|(_, socket)| socket.as_raw_fd()).collect();
        let place = |socket: &OwnedFd| all.iter().position(|raw| *raw == socket.as_raw_fd());
        let names: Vec<Option<&str>> = listeners.iter().copied().map(Some).collect();
        let shares = passed.share(&names).map_err(|failure| failure.to_string())?;
        Ok(shares.iter().map(|share| share.iter().flat_map(place).collect()).collect())
    }

    #[test]
    fn sockets_go_to_the_listeners_of_their_names_or_in_order() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a [usize]]);
        let cases: [Case<'_>; 8] = [
            (&[], &["a", "b"], &[&[], &[]]),
            (&["x.socket"], &["a"], &[&[0]]),
            (&["x.socket", "y.socket"], &["a"], &[&[0, 1]]),
            (&["x", "x"], &["a", "b"], &[&[0], &[1]]),
            (&["x"], &["a", "b"], &[&[0], &[]]),
            (&["b", "a"], &["a", "b"], &[&[1], &[0]]),
            (&["b", "a", "b"], &["a", "b"], &[&[1], &[0, 2]]),
            (&["b"], &["a", "b"], &[&[], &[0]]),
        ];
        for (names, listeners, expected) in cases {
            assert_eq!(shares(names, listeners).unwrap(), expected, "{names:?} {listeners:?}");
        }
    }

    #[test]
    fn a_socket_that_nobody_takes_is_named_with_the_remedy() {
        for (names, listeners) in [
            (&["a", "x"][..], &["a", "b"][..]),
            (&["x", "y", "z"], &["a", "b"]),
            (&["a", "x"], &["a"]),
        ] {
            let text = shares(names, listeners).unwrap_err();
            assert!(text.contains("a socket named x was passed"), "{text}");
            assert!(text.contains("FileDescriptorName="), "{text}");
        }
    }

    #[test]
    fn those_of_a_name_are_taken_out() {
        let mut passed = passed(&["a", "admin", "a"]);
        assert_eq!(passed.named("admin").len(), 1);
        assert_eq!(passed.share(&[None]).unwrap()[0].len(), 2);
    }
}
