//! The service: it checks what it is given, and does what a message's first byte says.

use std::panic::panic_any;

use countersign::{CloseReason, Framing, Peer, Reply, Service};

use crate::oracle::Ending;
use crate::script::Greeting;
use crate::world::{Shared, World};

/// The service: it checks what it is given, and does what a message's first byte says.
pub(crate) struct Checker(pub(crate) Shared);

/// What a panic of the service's carries, so that it can be told from one of the engine's.
#[derive(Debug)]
pub(crate) struct Expected;

/// What the service answers, and whether that is the end.
#[derive(Debug, Default)]
struct Answer {
    messages: Vec<Vec<u8>>,
    fate: Option<CloseReason>,
}

impl Service for Checker {
    /// The number of the link.
    type State = usize;

    fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) -> usize {
        let number = World::number(peer.address());
        let answer = self.0.borrow_mut().open(number, peer);
        answer.give(reply);
        number
    }

    fn message(&mut self, number: &mut usize, message: &[u8], reply: &mut Reply<'_>) {
        let answer = self.0.borrow_mut().message(*number, message);
        answer.give(reply);
    }

    fn close(&mut self, number: usize, why: CloseReason) {
        let is_rough = self.0.borrow_mut().closed(number, why);
        if is_rough {
            panic_any(Expected);
        }
    }
}

impl Answer {
    fn give(&self, reply: &mut Reply<'_>) {
        for (count, message) in (0..).zip(&self.messages) {
            if count % 2 == 0 {
                reply.message(message);
            } else {
                let (front, back) = message.split_at(message.len() / 2);
                reply.push(front);
                reply.push(back);
                reply.end();
            }
        }
        match self.fate {
            Some(CloseReason::ClosedByService) => reply.close(),
            Some(CloseReason::Panicked) => panic_any(Expected),
            _ => {}
        }
    }
}

impl World {
    fn open(&mut self, number: usize, peer: &Peer<'_>) -> Answer {
        self.work += 1;
        let link = &self.links[number];
        let dialect = link.dialect;
        let is_allowed = self.is_proved(number) && link.account.opened.is_none();
        let (is_mutual, has_records) = (link.mutual.is_some(), link.has_records());
        let is_there =
            peer.address() == link.address.into() && peer.listener().index() == link.listener;
        let is_it = is_there && Some(peer.id()) == link.socket.peer;
        if !is_allowed || !is_it || peer.dialect() != dialect {
            self.fail(Some(number), format_args!("{peer:?} is let in"));
        }
        let has_secret = peer.secret(b"label").is_some();
        let is_sealed = self.links[number].mutual.as_ref().is_some_and(|mutual| mutual.is_sealed);
        let protection = (peer.is_protected(), peer.is_sealed());
        if protection != (has_records, is_sealed) || has_secret != is_mutual {
            self.fail(Some(number), format_args!("{peer:?} is let in as if it were another"));
        }
        if dialect.authenticates() != peer.key().is_some() {
            self.fail(Some(number), format_args!("the key is {:?}", peer.key()));
        }
        let max = self.terms(number).limits.reply_max;
        let mut answer = Answer::default();
        match self.links[number].script.greeting {
            Greeting::None => {}
            Greeting::Short => answer.messages.push(b"hello".to_vec()),
            Greeting::Long => answer.messages.push(vec![b'h'; max - 20]),
            Greeting::TooLong => answer.end(vec![b'h'; max + 1], CloseReason::ReplyTooLong),
            Greeting::Dismissal => answer.end(b"no".to_vec(), CloseReason::ClosedByService),
            Greeting::Panic => answer.end(b"oh".to_vec(), CloseReason::Panicked),
        }
        let now = self.now;
        self.links[number].account.opened = Some(now);
        self.say(format_args!("{number} is let in"));
        self.owe_acceptance(number);
        self.owe(number, &answer, Ending::Lf);
        answer
    }

    fn message(&mut self, number: usize, message: &[u8]) -> Answer {
        self.work += 1;
        self.owe_pongs(number);
        let (now, turn) = (self.now, self.turn);
        let is_revoked =
            self.model(number).revoked.is_some() && self.links[number].dialect.authenticates();
        let account = &mut self.links[number].account;
        account.last_message = now;
        account.touched = turn;
        let count = account.count;
        account.count += 1;
        let is_open = account.opened.is_some() && account.closed.is_none();
        let expected = account.oracle.messages.pop_front();
        let Some((_, ending)) = expected.as_ref().filter(|(bytes, _)| bytes == message) else {
            let what = message.escape_ascii().to_string();
            self.fail(Some(number), format_args!("{what} is served, not {expected:?}"));
            return Answer::default();
        };
        if !is_open || account.fate.is_some() || is_revoked {
            let fate = account.fate;
            self.fail(Some(number), format_args!("served before or after: {fate:?}"));
        }
        self.say(format_args!("{number}: message {count} of {} bytes", message.len()));
        let terms = self.terms(number);
        let is_line = terms.config.framing() == Framing::Lines && !self.links[number].has_records();
        let answer = Answer::to(message, count, terms.limits.reply_max, is_line);
        match self.terms(number).injected.mutes {
            true => self.links[number].account.fate = answer.fate,
            false => self.owe(number, &answer, *ending),
        }
        answer
    }

    /// Notes what the server has to write now.
    fn owe(&mut self, number: usize, answer: &Answer, ending: Ending) {
        let account = &mut self.links[number].account;
        (account.fate, account.reply_from) = (answer.fate, account.due_length());
        use CloseReason::{Panicked, ReplyTooLong, ReplyUnsendable};
        if !matches!(answer.fate, Some(ReplyTooLong | ReplyUnsendable | Panicked)) {
            for message in &answer.messages {
                self.owe_message(number, ending, message);
            }
        }
    }

    /// Notes the end. Returns whether the service panics.
    fn closed(&mut self, number: usize, why: CloseReason) -> bool {
        self.work += 1;
        self.say(format_args!("{number} is closed: {why}"));
        self.check_close(number, why);
        let now = self.now;
        let account = &mut self.links[number].account;
        if account.opened.is_none() || account.closed.replace((now, why)).is_some() {
            self.fail(Some(number), format_args!("closed once too often"));
        }
        self.random.per_mille(20)
    }
}

impl Answer {
    fn end(&mut self, message: Vec<u8>, fate: CloseReason) {
        self.messages.push(message);
        self.fate = Some(fate);
    }

    fn to(message: &[u8], count: usize, max: usize, is_line: bool) -> Self {
        let mut answer = Self::default();
        let mut echo = format!("{count}:").into_bytes();
        echo.extend_from_slice(message);
        let room = max - 32;
        match message.first() {
            Some(b'q') => {}
            Some(b'm') => {
                echo.truncate(room / 4);
                answer.messages = vec![echo.clone(), Vec::new(), echo];
            }
            Some(b't') => {
                echo.truncate(room / 2);
                answer.messages = vec![b"t".to_vec(), echo];
            }
            Some(b'b') => {
                echo.resize(room, b'b');
                answer.messages.push(echo);
            }
            Some(b'o') => answer.end(vec![b'o'; max + 1], CloseReason::ReplyTooLong),
            Some(b'c') => {
                echo.truncate(room);
                answer.end(echo, CloseReason::ClosedByService);
            }
            Some(b'p') => answer.end(b"oh".to_vec(), CloseReason::Panicked),
            Some(b'l') if is_line => {
                answer.end(b"l\nl".to_vec(), CloseReason::ReplyUnsendable);
            }
            _ => {
                echo.truncate(room);
                answer.messages.push(echo);
            }
        }
        answer
    }
}
