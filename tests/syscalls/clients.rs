//! Honest clients: each keeps account of what it has said and heard on a connection.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use countersign::{Client, ClientConfig, ClientError};

use crate::home::PATIENCE;
use crate::random::Random;

/// The longest message.
const LONGEST: usize = 10_000;

/// What clients have done and seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    /// Connections that the system has made.
    pub(crate) connected: u64,
    /// Those that have ended in the proper way, with all that was to be said and heard.
    pub(crate) finished: u64,
    /// Those that broke.
    pub(crate) broken: u64,
    /// Messages that were sent, of which some may not have arrived.
    pub(crate) sent: u64,
    /// Messages that were answered.
    pub(crate) answered: u64,
}

impl Account {
    pub(crate) fn add(&mut self, other: Self) {
        self.connected += other.connected;
        self.finished += other.finished;
        self.broken += other.broken;
        self.sent += other.sent;
        self.answered += other.answered;
    }
}

/// Connects; nothing if the connection has broken before the system tells of it.
pub(crate) fn connect(address: impl ToSocketAddrs) -> Option<TcpStream> {
    match TcpStream::connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        connected => Some(connected.unwrap()),
    }
}

/// A connection with its own account: the answers are the messages, in their order, from the first.
pub(crate) struct Visit {
    client: Client,
    random: Random,
    pub(crate) account: Account,
}

impl Visit {
    /// Connects; the account alone, if the connection broke in the handshake.
    pub(crate) fn begin(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        random: Random,
    ) -> Result<Self, Account> {
        let account = Account { connected: 1, ..Account::default() };
        let Some(stream) = connect(address) else { return Err(Account { broken: 1, ..account }) };
        match Client::over(stream, address.into(), Arc::clone(config), PATIENCE) {
            Ok(mut client) => {
                client.set_timeout(Some(PATIENCE));
                Ok(Self { client, random, account })
            }
            Err(error) => {
                is_excused(&error);
                Err(Account { broken: 1, ..account })
            }
        }
    }

    /// The message of this number, of which no part can be mistaken for another.
    fn message(&self, number: u64) -> Vec<u8> {
        let mut random = Random::new(number, 0);
        let length = random.up_to(LONGEST);
        let length = random.choose(&[length, length % 100]);
        let mut message = format!("{number} ").into_bytes();
        let first = usize::try_from(number % 25).unwrap();
        message.extend((b'a'..=b'y').cycle().skip(first).take(length));
        message
    }

    fn send(&mut self) -> Result<(), ClientError> {
        let message = self.message(self.account.sent);
        self.account.sent += 1;
        self.client.send(&message)
    }

    fn receive(&mut self) -> Result<(), ClientError> {
        let expected = self.message(self.account.answered);
        let Some(answer) = self.client.receive()? else { return Err(ClientError::Closed) };
        assert!(answer == expected, "the answer to another message, or a part of one");
        self.account.answered += 1;
        Ok(())
    }

    /// Asks one thing, and hears the answer.
    pub(crate) fn ask(&mut self) -> Result<(), ClientError> {
        self.send()?;
        self.receive()
    }

    fn talk(&mut self) -> Result<(), ClientError> {
        let (count, depth) = (self.random.up_to(24), self.random.up_to(8));
        for _ in 0..count {
            self.send()?;
            while self.account.sent - self.account.answered >= depth as u64 {
                self.receive()?;
            }
        }
        while self.account.answered < self.account.sent {
            self.receive()?;
        }
        self.client.finish()?;
        assert_eq!(self.client.receive()?, None, "an answer to nothing");
        Ok(())
    }

    /// Says and hears what is to be said and heard. Returns its account.
    pub(crate) fn end(mut self) -> Account {
        match self.talk() {
            Ok(()) => self.account.finished += 1,
            Err(error) => {
                is_excused(&error);
                self.account.broken += 1;
            }
        }
        self.account
    }
}

/// A connection may break, but neither stand still nor say what it must not.
pub(crate) fn is_excused(error: &ClientError) {
    let is_broken = matches!(
        error,
        ClientError::Io(_)
            | ClientError::Closed
            | ClientError::Truncated
            | ClientError::Refused
            | ClientError::Unanswered
            | ClientError::Rejected(_)
            | ClientError::Over
    );
    assert!(is_broken, "{error:?}");
}

/// Has clients come at the same time, each several times in a row.
pub(crate) fn crowd(address: SocketAddr, config: &Arc<ClientConfig>, seed: u64) -> Account {
    let mut random = Random::new(seed, 0);
    let (clients, visits) = (random.up_to(6) as u64, random.up_to(4) as u64);
    let mut all = Account::default();
    thread::scope(|scope| {
        let client = |client| {
            scope.spawn(move || {
                let mut account = Account::default();
                for visit in 0..visits {
                    let random = Random::new(seed, 1 + client * visits + visit);
                    let begun = Visit::begin(address, config, random);
                    account.add(begun.map_or_else(|broken| broken, Visit::end));
                }
                account
            })
        };
        let clients: Vec<_> = (0..clients).map(client).collect();
        clients.into_iter().for_each(|client| all.add(client.join().unwrap()));
    });
    all
}
