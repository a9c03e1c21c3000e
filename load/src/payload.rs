//! The messages of the clients, and the expected replies.
//!
//! Each message of a client begins with its number, as far as there is room for it, so that a reply
//! that was lost, doubled or exchanged is seen.

/// The digits of a number.
const DIGITS: usize = 16;

/// What stands in front of a message in the service `timestamp`: `[Thu May 10 22:00:19 2018] `.
pub(super) const STAMP: &str = "[Www Mmm dd hh:mm:ss yyyy] ";

/// The messages of all clients: all alike but for their numbers.
#[derive(Debug)]
pub(super) struct Payload {
    /// What stands behind the number.
    rest: Vec<u8>,
    /// The digits that there is room for.
    digits: usize,
}

impl Payload {
    pub(super) fn new(size: usize) -> Self {
        let digits = size.min(DIGITS);
        let rest = (b'a'..=b'z').cycle().take(size - digits).collect();
        Self { rest, digits }
    }

    /// Appends the message of this number.
    pub(super) fn write(&self, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&digits(number)[DIGITS - self.digits..]);
        out.extend_from_slice(&self.rest);
    }

    /// Whether this answers the message of this number: itself, or itself behind a time stamp.
    pub(super) fn answers(&self, number: u64, reply: &[u8]) -> bool {
        let size = self.digits + self.rest.len();
        let Some((stamp, message)) = reply.len().checked_sub(size).map(|at| reply.split_at(at))
        else {
            return false;
        };
        let (front, rest) = message.split_at(self.digits);
        let stamped = stamp.is_empty()
            || (stamp.len() == STAMP.len() && stamp.starts_with(b"[") && stamp.ends_with(b"] "));
        stamped && front == &digits(number)[DIGITS - self.digits..] && rest == self.rest
    }
}

/// A number in hexadecimal digits, which is quicker than in decimal ones.
fn digits(number: u64) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    for (digit, shift) in digits.iter_mut().zip((0..64).step_by(4).rev()) {
        *digit = b"0123456789abcdef"[(number >> shift & 0xf) as usize];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_the_message_itself_or_behind_a_stamp() {
        for size in [1, 15, 16, 17, 100] {
            let payload = Payload::new(size);
            let mut message = Vec::new();
            payload.write(0x1f, &mut message);
            assert_eq!(message.len(), size);
            let stamped = [b"[Thu May 10 22:00:19 2018] ", &message[..]].concat();
            assert!(payload.answers(0x1f, &message) && payload.answers(0x1f, &stamped));
            assert!(!payload.answers(0x1e, &message), "another number");
            assert!(!payload.answers(0x1f, &message[1..]), "cut");
            assert!(!payload.answers(0x1f, &stamped[1..]), "a cut stamp");
            let mut wrong = message.clone();
            wrong[size - 1] ^= 1;
            assert!(!payload.answers(0x1f, &wrong), "another last byte");
        }
    }
}
