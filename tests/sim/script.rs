//! What a client is going to do: honest, slow, broken or hostile, all by the same few numbers.

use countersign::{Dialect, Exchange, Framing, ServerConfig};

use crate::batches::Packing;
use crate::forger::{CLOSE, DATA, PING, PONG, frame};
use crate::multiprocessing::{BAD_FRAMES, STEPS};
use crate::mutual::BAD_CALLS;
use crate::random::Random;

/// What a client is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keeps to the protocol and to all deadlines: everything that it is due must reach it.
    Honest,
    /// Keeps to the protocol, with more to say than one turn allows.
    Greedy,
    /// Sends thousands of the shortest messages at once.
    Crumbs,
    /// Drips its bytes.
    Slow,
    /// Connects and says nothing.
    Mute,
    /// Proves nothing, and glues messages to it.
    Impostor,
    /// Ends its stream, or hangs up, or resets, at any byte.
    Broken,
    /// Says much and reads nothing.
    Deaf,
    /// Begins a message that it never ends.
    Endless,
    /// Sends a message one byte too long, or a length that is none.
    Oversize,
}

/// How a client proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Right,
    /// The right one with a bit turned over.
    Wrong,
    /// Another client's.
    Replayed,
    /// Bytes that don't wait for a challenge.
    Early,
    /// In countersign/1: of a key that the server doesn't have, or for another service.
    Unknown,
    Elsewhere,
    /// A call that must be refused before anything is proved.
    BadCall(u8),
    /// In multiprocessing: a message that is wrong, at this step.
    BadFrame(u8, u8),
}

/// What a client does once it has sent what it will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Ends its stream, and reads on.
    HalfClose,
    /// Closes its socket.
    HangUp,
    Reset,
    /// Reads on.
    Stay,
}

/// What the service does when this client comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    None,
    Short,
    /// As long as a reply may be.
    Long,
    TooLong,
    Dismissal,
    Panic,
}

/// What a client is going to do.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) kind: Kind,
    pub(crate) proof: Proof,
    /// What it sends behind the proof.
    pub(crate) stream: Vec<u8>,
    /// How much of the stream is whole records, to be sealed.
    pub(crate) whole: usize,
    /// How it packs messages into records.
    pub(crate) packing: Packing,
    /// How much of proof and stream it sends before its end.
    pub(crate) goal: usize,
    pub(crate) end: End,
    /// The least and the most milliseconds between two of its steps.
    pub(crate) pace: (u64, u64),
    /// The most bytes that it sends in one step.
    pub(crate) send_max: usize,
    /// The most bytes that it reads in one step.
    pub(crate) read_max: usize,
    pub(crate) greeting: Greeting,
}

impl Script {
    pub(crate) fn is_honest(&self) -> bool {
        matches!(self.kind, Kind::Honest | Kind::Greedy | Kind::Crumbs)
    }

    pub(crate) fn draw(
        random: &mut Random,
        (config, dialect, framing): (&ServerConfig, Dialect, Option<Framing>),
        room: (usize, usize),
        fatal: bool,
        is_siege: bool,
    ) -> Self {
        use Kind::{Broken, Crumbs, Deaf, Endless, Greedy, Honest, Impostor, Mute, Oversize, Slow};
        let kind = match random.number() % 100 {
            0 => Crumbs,
            1..=3 => Greedy,
            4..=5 => Deaf,
            6..=60 if is_siege => Impostor,
            _ => random.pick(&[
                Honest, Honest, Honest, Slow, Mute, Impostor, Broken, Broken, Endless, Oversize,
            ]),
        };
        let mut script = Self {
            kind,
            proof: Proof::Right,
            stream: Vec::new(),
            whole: 0,
            packing: Packing::draw(random),
            goal: usize::MAX,
            end: End::HalfClose,
            pace: (0, random.millis(0, 10)),
            send_max: usize::MAX,
            read_max: usize::MAX,
            greeting: greeting(random, fatal),
        };
        let count = random.between(0, 12);
        // What fits through little room in bearable time is little.
        let much = if room.0.min(room.1) < 2_000 { 4_000 } else { 150_000 };
        let mut writer = StreamWriter { random, config, framing, fatal };
        match kind {
            Crumbs => script.stream = writer.crumbs(),
            Greedy => script.stream = writer.many(much),
            Deaf => script.stream = writer.many(much / 2),
            _ => script.stream = writer.some(count),
        }
        let shares_raw = config.shares_raw();
        script.whole = script.stream.len();
        script.spoil(random, config, framing);
        if framing.is_none() {
            script.part(random);
        }
        if dialect == Dialect::Countersign && script.kind == Kind::Impostor {
            let call = random.between(0, usize::from(BAD_CALLS) - 1 - usize::from(shares_raw));
            let call = Proof::BadCall(u8::try_from(call).unwrap());
            script.proof = random.pick(&[
                Proof::Wrong,
                Proof::Replayed,
                Proof::Unknown,
                Proof::Elsewhere,
                call,
                call,
            ]);
        }
        if dialect == Dialect::Multiprocessing && script.kind == Kind::Impostor {
            let mut below =
                |end: u8| u8::try_from(random.between(0, usize::from(end) - 1)).unwrap();
            let bad = Proof::BadFrame(below(STEPS), below(BAD_FRAMES));
            let guesses = [Proof::Wrong, Proof::Replayed, Proof::Unknown, Proof::Early];
            script.proof = if random.per_mille(500) { bad } else { random.pick(&guesses) };
        }
        script
    }

    /// What sets this kind apart from an honest client.
    fn spoil(&mut self, random: &mut Random, config: &ServerConfig, framing: Option<Framing>) {
        match self.kind {
            Kind::Honest | Kind::Greedy | Kind::Crumbs => {
                let is_enough = match config.exchange() {
                    Exchange::Many => false,
                    Exchange::Once if framing.is_none() => false,
                    Exchange::Once if config.framing() == Framing::Lines => {
                        self.stream.contains(&b'\n')
                    }
                    Exchange::Once => !self.stream.is_empty(),
                    _ => true,
                };
                if is_enough && random.per_mille(500) {
                    self.end = End::Stay;
                }
            }
            Kind::Slow => {
                self.pace = (10, random.pick(&[20, 90, 300]));
                self.send_max = random.pick(&[1, 1, 7]);
                self.read_max = random.pick(&[1, 40, usize::MAX]);
                self.end = random.pick(&[End::HalfClose, End::Stay]);
            }
            Kind::Mute => {
                self.goal = random.pick(&[0, 0, 1, 7, 8, 31, 32, 63, 75, 100]);
                self.pace = (20, 60);
                self.end = End::Stay;
            }
            Kind::Impostor => {
                self.proof = random.pick(&[Proof::Wrong, Proof::Replayed, Proof::Early]);
                self.end = random.pick(&[End::HalfClose, End::Stay, End::HangUp]);
            }
            Kind::Broken => {
                self.goal = random.between(0, self.stream.len() + 130);
                self.end = random.pick(&[End::HalfClose, End::HangUp, End::Reset]);
            }
            Kind::Deaf => {
                self.read_max = random.pick(&[0, 0, 1]);
                self.pace = (1, 40);
                self.end = End::Stay;
            }
            Kind::Endless => {
                let mut writer = StreamWriter { random, config, framing, fatal: false };
                writer.endless(&mut self.stream);
                self.end = End::Stay;
                self.pace = (5, 40);
                self.send_max = random.between(1, 100);
            }
            Kind::Oversize => {
                let mut writer = StreamWriter { random, config, framing, fatal: false };
                writer.oversize(&mut self.stream);
            }
        }
    }

    /// Ends a stream of records, more often than not with a close record.
    fn part(&mut self, random: &mut Random) {
        if self.stream.len() == self.whole && (self.is_honest() || random.per_mille(700)) {
            record(CLOSE, &[], &mut self.stream);
            self.whole = self.stream.len();
            // The server ends it, whatever comes of the stream.
            if self.is_honest() && random.per_mille(300) {
                self.end = End::Stay;
            }
        }
    }
}

/// Appends a record, to be sealed.
fn record(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend(frame(kind, &[payload, &[0; 16]].concat()));
}

fn greeting(random: &mut Random, fatal: bool) -> Greeting {
    match random.number() % 40 {
        0..=7 => Greeting::Short,
        8..=9 => Greeting::Long,
        10 if fatal => Greeting::TooLong,
        11 if fatal => Greeting::Dismissal,
        12 if fatal => Greeting::Panic,
        _ => Greeting::None,
    }
}

/// Writes what clients send.
struct StreamWriter<'a> {
    random: &'a mut Random,
    config: &'a ServerConfig,
    /// How messages are told apart; records have no framing.
    framing: Option<Framing>,
    /// Some messages make the service end the connection.
    fatal: bool,
}

impl StreamWriter<'_> {
    fn some(&mut self, count: usize) -> Vec<u8> {
        let mut stream = Vec::new();
        for _ in 0..count {
            let length = self.random.length(self.config.message_max());
            self.message(length, &mut stream);
        }
        if self.random.per_mille(200) && stream.last() == Some(&b'\n') {
            stream.pop();
            // Left alone, the CR of a CRLF would be a byte of the message, perhaps one too many.
            if stream.last() == Some(&b'\r') {
                stream.pop();
            }
        }
        stream
    }

    fn many(&mut self, bytes: usize) -> Vec<u8> {
        let mut stream = Vec::new();
        for _ in 0..bytes / 50 {
            if stream.len() > bytes {
                break;
            }
            let length = self.random.length(self.config.message_max()).max(20);
            self.message(length.min(self.config.message_max()), &mut stream);
        }
        stream
    }

    fn crumbs(&mut self) -> Vec<u8> {
        let mut stream = Vec::new();
        while stream.len() < 18_000 {
            match self.framing {
                Some(Framing::Lines) => stream.push(b'\n'),
                _ => self.frame(b"q", &mut stream),
            }
        }
        stream
    }

    fn message(&mut self, length: usize, out: &mut Vec<u8>) {
        let mut bytes: Vec<u8> =
            (0..length).map(|_| self.random.pick(b"xyz \0\r\xff\xc3")).collect();
        let order = match self.random.number() % 100 {
            0..=5 => b'q',
            6..=11 => b'm',
            12..=15 => b'b',
            16..=19 => b't',
            20 if self.fatal => b'o',
            21 if self.fatal => b'c',
            22 if self.fatal => b'p',
            23 if self.fatal => b'l',
            _ => b'e',
        };
        if let Some(first) = bytes.first_mut() {
            *first = order;
        }
        self.frame(&bytes, out);
    }

    fn frame(&mut self, message: &[u8], out: &mut Vec<u8>) {
        if self.framing.is_none() {
            while self.random.per_mille(80) {
                let length = self.random.pick(&[0, 1, 40, 125]);
                let kind = self.random.pick(&[PING, PING, PONG]);
                record(kind, &vec![b'p'; length], out);
            }
            return record(DATA, message, out);
        }
        if self.framing == Some(Framing::Length) {
            let length = message.len() as u64;
            if self.random.per_mille(100) {
                out.extend_from_slice(&[0xff; 4]);
                out.extend_from_slice(&length.to_be_bytes());
            } else {
                out.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
            }
        }
        out.extend_from_slice(message);
        if self.framing == Some(Framing::Lines) {
            let ending: &[u8] = if self.random.per_mille(300) { b"\r\n" } else { b"\n" };
            out.extend_from_slice(ending);
        }
    }

    fn endless(&mut self, out: &mut Vec<u8>) {
        let max = self.config.message_max();
        if self.framing.is_none() {
            out.extend_from_slice(&[DATA, 0, 4, 0]);
            return out.resize(out.len() + self.random.between(0, 1_000), b'e');
        }
        if self.framing == Some(Framing::Length) {
            out.extend_from_slice(&u32::try_from(max).unwrap().to_be_bytes());
        }
        out.resize(out.len() + self.random.between(1, max) - 1, b'e');
        if self.random.per_mille(300) {
            let long = self.random.between(max, 3 * max);
            out.resize(out.len() + long, b'e');
        }
    }

    fn oversize(&mut self, out: &mut Vec<u8>) {
        let over = self.config.message_max() + 1;
        if self.framing.is_none() {
            return self.unsound(over.max(1009), out);
        }
        if self.config.framing() != Framing::Length || self.random.per_mille(300) {
            return self.frame(&vec![b'e'; over], out);
        }
        let header = self.random.pick(&[-2, i32::MIN, i32::MAX, -1]);
        out.extend_from_slice(&header.to_be_bytes());
        if header == -1 {
            let length = self.random.pick(&[u64::MAX, 1 << 63, 1 << 32, over as u64]);
            out.extend_from_slice(&length.to_be_bytes());
        }
        out.extend_from_slice(b"behind it");
    }

    /// What no record may be, by its header or by its tag.
    fn unsound(&mut self, over: usize, out: &mut Vec<u8>) {
        match self.random.number() % 6 {
            0 => out.extend_from_slice(&frame(DATA, &vec![b'e'; over + 16])[..4]),
            1 => out.extend(frame(0x14, &[0; 16])),
            2 => out.extend(frame(DATA, &[0; 15])),
            3 => out.extend(frame(PING, &[0; 126 + 16])),
            4 => out.extend(frame(CLOSE, &[0; 17])),
            _ => record(DATA, b"with the tag of none", out),
        }
        out.extend_from_slice(b"behind it");
    }
}
