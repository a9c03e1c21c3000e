//! How the session under test is set up.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use countersign::config::{ConfigBuilder, ConfigError};
use countersign::{
    ClientConfig, Dialect, Exchange, Framing, Key, KeyRing, Mac, Protection, RingSecrets,
    ServerConfig, Session,
};

use crate::choices::Choices;

/// The secret that both ends hold: that of the test vectors, whose bytes are the seeds.
pub const SECRET: [u8; 32] = {
    let mut secret = [0; 32];
    let mut at = 0;
    while at < secret.len() {
        secret[at] = at as u8;
        at += 1;
    }
    secret
};

/// That of the clients of `raw`, where they share a port.
pub(crate) const RAW_SECRET: [u8; 32] = [0x5a; 32];

/// The random bytes of the session.
pub const NONCE: [u8; 32] = [0xa5; 32];

/// The ids of the keys: one for the dialect, and one for `raw` at the same port.
pub(crate) const ID: &str = "k1";
const RAW_ID: &str = "raw";

/// The audiences of a server of `countersign/1`. A client asks for the first.
pub(crate) const AUDIENCES: [&str; 2] = ["time", ""];

/// One end, and what the peer can do.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub is_server: bool,
    pub dialect: Dialect,
    /// A server of `countersign/1` serves `raw` too.
    pub shares_raw: bool,
    pub protection: Protection,
    pub framing: Framing,
    pub mac: Mac,
    pub is_rhel: bool,
    pub exchange: Exchange,
    pub message_max: usize,
    /// How many proofs and records of the peer are signed. It holds no key if none is.
    pub signs: usize,
    /// How the input is cut.
    pub cut: u8,
}

impl Setup {
    /// Takes it from the front of an input: a byte for each field, in their order.
    pub fn read(input: &mut Choices<'_>) -> Self {
        use Dialect::{Countersign, Hex, Multiprocessing, Open, Raw};
        let is_server = input.pick(&[true, false]);
        let (dialect, shares_raw) = input.pick(&[
            (Countersign, false),
            (Raw, false),
            (Hex, false),
            (Multiprocessing, false),
            (Open, false),
            (Countersign, true),
        ]);
        let protection = input.pick(Protection::ALL);
        let framing = input.pick(&[Framing::Lines, Framing::Length, Framing::Chunks]);
        let (mac, is_rhel) =
            input.pick(&[(Mac::Sha256, false), (Mac::Md5, false), (Mac::Sha256, true)]);
        Self {
            is_server,
            dialect,
            shares_raw: shares_raw && is_server,
            protection,
            framing: if dialect == Multiprocessing { Framing::Length } else { framing },
            mac,
            is_rhel,
            exchange: input.pick(&[Exchange::Many, Exchange::Once, Exchange::VerifyOnly]),
            message_max: input.pick(&[1, 100, 1008, 3000, 1 << 16]),
            signs: input.below(256),
            cut: input.byte(),
        }
    }

    /// Begins the session. None if the options can't be combined.
    pub fn session(&self) -> Option<Session> {
        match self.is_server {
            true => Some(Session::server(self.server().ok()?, NONCE)),
            false => Session::client(self.client().ok()?, Duration::ZERO, NONCE).ok(),
        }
    }

    /// The keys of an end. To make them takes longer than all the rest, since the stack is wiped.
    fn ring(&self, instance: u8) -> KeyRing {
        thread_local!(static RINGS: RefCell<HashMap<(Dialect, bool, u8), KeyRing>> = RefCell::default());
        let make = || {
            let mut ring = KeyRing::new(RingSecrets::new([instance; 48]));
            ring.add(Key::new(ID, &SECRET).unwrap().with_dialect(self.dialect)).unwrap();
            if self.shares_raw {
                let raw = Key::new(RAW_ID, &RAW_SECRET).unwrap();
                ring.add(raw.with_dialect(Dialect::Raw)).unwrap();
            }
            ring
        };
        let of = (self.dialect, self.shares_raw, instance);
        RINGS.with_borrow_mut(|rings| rings.entry(of).or_insert_with(make).clone())
    }

    fn server(&self) -> Result<ServerConfig, ConfigError> {
        let mut config = self.options(ServerConfig::builder(self.dialect), 1);
        if self.shares_raw {
            config = config.with_raw();
        }
        let audiences = AUDIENCES.iter().filter(|_| self.dialect == Dialect::Countersign);
        audiences.fold(config, |config, name| config.with_audience(name)).build()
    }

    /// The configuration of a client.
    pub fn client(&self) -> Result<ClientConfig, ConfigError> {
        let config = self.options(ClientConfig::builder(self.dialect), 2);
        match self.dialect {
            Dialect::Countersign => config.with_audience(AUDIENCES[0]).build(),
            _ => config.build(),
        }
    }

    fn options<C>(&self, config: ConfigBuilder<C>, instance: u8) -> ConfigBuilder<C> {
        let config = config
            .with_keys(self.ring(instance))
            .with_framing(self.framing)
            .with_mac(self.mac)
            .with_exchange(self.exchange)
            .with_message_max(self.message_max);
        let config = if self.is_rhel { config.with_rhel() } else { config };
        match self.dialect {
            Dialect::Countersign => config.with_records(self.protection),
            _ => config,
        }
    }
}
