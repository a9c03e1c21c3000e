//! How an end is set up: the same for both.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use countersign::{
    ClientConfig, Dialect, Framing, Key, KeyRing, Protection, RingSecrets, ServerConfig, Session,
};

use crate::random::Random;

/// A key: its id, the audiences that it may ask for, and the secret.
pub(crate) type KeyOf = (String, Vec<u8>);

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) is_server: bool,
    pub(crate) is_raw: bool,
    pub(crate) protection: Protection,
    pub(crate) instance: [u8; 16],
    pub(crate) decoy: [u8; 32],
    pub(crate) random: [u8; 32],
    pub(crate) record_max: usize,
    pub(crate) keys: Vec<KeyOf>,
    pub(crate) audiences: Vec<String>,
    pub(crate) say: Vec<Vec<u8>>,
    pub(crate) closes: &'static str,
    pub(crate) echoes: bool,
    pub(crate) ends: bool,
    /// Made once: keys take long to prepare.
    config: OnceCell<Config>,
}

#[derive(Debug, Clone)]
enum Config {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>),
}

impl Setup {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let protections =
            [Protection::Required, Protection::Sealed, Protection::Allowed, Protection::Off];
        let is_raw = random.percent(5);
        let is_server = random.percent(50);
        let protection = if is_raw { Protection::Off } else { random.pick(&protections) };
        // Without records, the end of the stream ends a message, which a framing must know of.
        let has_records = matches!(protection, Protection::Required | Protection::Sealed);
        let messages = if has_records { random.below(4) } else { 0 };
        let say = (0..messages).map(|_| {
            let length = random.pick(&[0, 1, 20, 44, 45, 400]);
            random.bytes(length)
        });
        let say = say.collect();
        Self {
            is_server,
            is_raw,
            protection,
            instance: random.array(),
            decoy: random.array(),
            random: random.array(),
            record_max: random.pick(&[1024, 1025, 2000, 16_384]),
            keys: keys(random, if is_server { 3 } else { 1 }, is_raw),
            audiences: audiences(random, is_server),
            say,
            closes: random.pick(&["first", "answer", "answer", "never"]),
            echoes: random.percent(50),
            ends: has_records && random.percent(30),
            config: OnceCell::new(),
        }
    }

    /// A new session.
    pub(crate) fn session(&self) -> Session {
        match self.config.get_or_init(|| self.config()) {
            Config::Server(config) => Session::server(Arc::clone(config), self.random),
            Config::Client(config) => {
                Session::client(Arc::clone(config), Duration::ZERO, self.random).unwrap()
            }
        }
    }

    pub(crate) fn role(&self) -> &'static str {
        match (self.is_raw, self.is_server) {
            (true, true) => "raw-server",
            (true, false) => "raw-client",
            (false, true) => "server",
            (false, false) => "client",
        }
    }

    /// Adds all fields of a line but the last one.
    pub(crate) fn write(&self, line: &mut Vec<u8>) {
        let records = match self.protection {
            Protection::Sealed => " sealed ",
            Protection::Allowed => " allowed ",
            Protection::Off => " off ",
            _ => " required ",
        };
        line.extend([self.role(), records].concat().into_bytes());
        for bytes in [&self.instance[..], &self.decoy, &self.random] {
            write_hex(bytes, line);
            line.push(b' ');
        }
        line.extend(format!("{} ", self.record_max + 4).into_bytes());
        self.write_keys(line);
        line.push(b' ');
        write_list(self.say.iter().map(Vec::as_slice), line);
        let echoes = if self.echoes { "yes" } else { "no" };
        let ends = if self.ends { "eof" } else { "-" };
        line.extend(format!(" {} {echoes} lines {ends} ", self.closes).into_bytes());
    }

    /// Each key for each audience.
    fn write_keys(&self, line: &mut Vec<u8>) {
        let start = line.len();
        for (id, secret) in &self.keys {
            for audience in &self.audiences {
                if line.len() > start {
                    line.push(b',');
                }
                write_hex(id.as_bytes(), line);
                line.push(b':');
                write_hex(audience.as_bytes(), line);
                line.push(b':');
                write_hex(secret, line);
            }
        }
    }

    fn dialect(&self) -> Dialect {
        if self.is_raw { Dialect::Raw } else { Dialect::Countersign }
    }

    fn ring(&self) -> KeyRing {
        let secrets = [&self.instance[..], &self.decoy].concat();
        let mut ring = KeyRing::new(RingSecrets::new(secrets.try_into().unwrap()));
        for (id, secret) in &self.keys {
            ring.add(Key::new(id, secret).unwrap().with_dialect(self.dialect())).unwrap();
        }
        ring
    }

    fn config(&self) -> Config {
        match self.is_server {
            true => Config::Server(Arc::new(self.server())),
            false => Config::Client(Arc::new(self.client())),
        }
    }

    fn server(&self) -> ServerConfig {
        let config = ServerConfig::builder(self.dialect()).with_keys(self.ring());
        let config = config.with_framing(Framing::Lines).with_message_max(self.record_max - 16);
        let config = if self.is_raw { config } else { config.with_records(self.protection) };
        let audiences = self.audiences.iter().filter(|_| !self.is_raw);
        audiences.fold(config, |config, audience| config.with_audience(audience)).build().unwrap()
    }

    fn client(&self) -> ClientConfig {
        let config = ClientConfig::builder(self.dialect()).with_keys(self.ring());
        let config = config.with_framing(Framing::Lines).with_message_max(self.record_max - 16);
        let config = if self.is_raw { config } else { config.with_records(self.protection) };
        let config = if self.is_raw { config } else { config.with_audience(&self.audiences[0]) };
        config.build().unwrap()
    }
}

fn keys(random: &mut Random, most: usize, is_raw: bool) -> Vec<KeyOf> {
    let long = "k".repeat(64);
    let ids = ["k1", "k", &long];
    let count = 1 + random.below(most);
    let key = |id: &&str| {
        let length = random.pick(&[16, 32, 63, 64, 65, 80]);
        // One key alone, because two of them may be the same.
        let is_short = is_raw && *id == ids[0] && random.percent(20);
        let length = if is_short { 1 } else { length };
        let mut secret = random.bytes(length);
        // Zeros alone are no key.
        secret[0] |= 1;
        ((*id).to_owned(), secret)
    };
    ids[..count].iter().map(key).collect()
}

fn audiences(random: &mut Random, is_server: bool) -> Vec<String> {
    let long = "a".repeat(64);
    let first = random.pick(&["time", "", &long]).to_owned();
    let second = (is_server && random.percent(20)).then(|| "date".to_owned());
    [Some(first), second].into_iter().flatten().collect()
}

/// Adds bytes as a word, which is never empty.
fn write_hex(bytes: &[u8], line: &mut Vec<u8>) {
    if bytes.is_empty() {
        line.push(b'.');
    }
    let start = line.len();
    line.resize(start + 2 * bytes.len(), 0);
    base16ct::lower::encode(bytes, &mut line[start..]).unwrap();
}

/// Adds a list as a word.
pub(crate) fn write_list<'a>(items: impl Iterator<Item = &'a [u8]>, line: &mut Vec<u8>) {
    let start = line.len();
    for item in items {
        if line.len() > start {
            line.push(b',');
        }
        write_hex(item, line);
    }
    if line.len() == start {
        line.push(b'-');
    }
}
