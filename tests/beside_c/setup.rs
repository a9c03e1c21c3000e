//! How an end is set up: the same for both.

use countersign::{
    ClientConfig, Dialect, Framing, Key, KeyRing, Protection, RingSecrets, ServerConfig,
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

    /// All fields of a line but the last one.
    pub(crate) fn fields(&self) -> String {
        let records = match self.protection {
            Protection::Sealed => "sealed",
            Protection::Allowed => "allowed",
            Protection::Off => "off",
            _ => "required",
        };
        let of_all = |(id, secret): &KeyOf| -> Vec<String> {
            let key = |audience: &String| {
                [hex(id.as_bytes()), hex(audience.as_bytes()), hex(secret)].join(":")
            };
            self.audiences.iter().map(key).collect()
        };
        let keys: Vec<String> = self.keys.iter().flat_map(of_all).collect();
        [
            self.role(),
            records,
            &hex(&self.instance),
            &hex(&self.decoy),
            &hex(&self.random),
            &(self.record_max + 4).to_string(),
            &keys.join(","),
            &list(&self.say),
            self.closes,
            if self.echoes { "yes" } else { "no" },
            "lines",
            if self.ends { "eof" } else { "-" },
        ]
        .join(" ")
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

    pub(crate) fn server(&self) -> ServerConfig {
        let config = ServerConfig::builder(self.dialect()).with_keys(self.ring());
        let config = config.with_framing(Framing::Lines).with_message_max(self.record_max - 16);
        let config = if self.is_raw { config } else { config.with_records(self.protection) };
        let audiences = self.audiences.iter().filter(|_| !self.is_raw);
        audiences.fold(config, |config, audience| config.with_audience(audience)).build().unwrap()
    }

    pub(crate) fn client(&self) -> ClientConfig {
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

/// Bytes as a word, which is never empty.
pub(crate) fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return ".".to_owned();
    }
    base16ct::lower::encode_string(bytes)
}

/// A list as a word.
pub(crate) fn list(items: &[Vec<u8>]) -> String {
    if items.is_empty() {
        return "-".to_owned();
    }
    items.iter().map(|item| hex(item)).collect::<Vec<_>>().join(",")
}
