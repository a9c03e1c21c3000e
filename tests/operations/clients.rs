//! Clients who keep account: each message is theirs alone, and each answer must be to the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign::{Client, ClientConfig, ClientError, Key, KeyRing, KeyRingExt as _};

use super::home::{PATIENCE, Ran};
use super::progress::Progress;

pub(crate) const KEY: &str = "garden text:sixteen-bytes-and-more\n";

/// The other end of `KEY`.
pub(crate) fn config() -> ClientConfig {
    let key = Key::new("garden", b"sixteen-bytes-and-more").unwrap();
    ClientConfig::from(KeyRing::from_key(key).unwrap())
}

/// The messages on one connection, after which the client comes anew.
const MESSAGES: u64 = 20;

/// Clients at an address of an echo service.
pub(crate) struct Clients {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Clients {
    /// So many clients, who ask until they are told that it is over.
    pub(crate) fn begin(address: &str, clients: u64) -> Self {
        let (is_over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = (0..clients).map(|client| {
            let (is_over, answered) = (is_over.clone(), answered.clone());
            let address = address.to_owned();
            thread::spawn(move || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    // Whoever finds nobody, or is told to go, comes again.
                    let _ = visit(&address, client, &mut number, &answered);
                }
            })
        });
        let clients = clients.collect();
        Self { is_over, answered, clients }
    }

    /// The messages that were answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more were answered.
    #[track_caller]
    pub(crate) fn wait_for(&self, more: u64) {
        let until = self.answered() + more;
        let mut progress = Progress::since(self.answered());
        while self.answered() < until {
            thread::park_timeout(Duration::from_millis(1));
            assert!(progress.continues(self.answered()), "nothing is answered any more");
        }
    }

    /// Has them come to their end. Returns the messages that were answered.
    #[track_caller]
    pub(crate) fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        self.answered.load(Ordering::Relaxed)
    }
}

/// Comes once, and asks one thing after the other. No number is ever used again, so an answer that
/// is late, lost or doubled shows.
fn visit(
    address: &str,
    client: u64,
    number: &mut u64,
    answered: &AtomicU64,
) -> Result<(), ClientError> {
    let mut stream = Client::connect_within(address, config(), PATIENCE)?;
    for _ in 0..MESSAGES {
        *number += 1;
        let said = format!("{client}:{number}");
        let heard = stream.ask(said.as_bytes())?;
        assert_eq!(heard, said.as_bytes(), "an answer to another question");
        answered.fetch_add(1, Ordering::Relaxed);
    }
    stream.finish()
}

/// The messages that a server has accepted, by what it says in the end.
#[track_caller]
pub(crate) fn accepted(ran: &Ran) -> u64 {
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let line = ran.err.lines().find(|line| line.contains("stopped; ")).unwrap();
    let count = line.split(", ").last().and_then(|part| part.split(' ').next());
    count.unwrap().parse().unwrap()
}
