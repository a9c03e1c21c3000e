//! Messages that wait until they are written together.

/// Messages, one behind the other.
#[derive(Debug, Default)]
pub(super) struct MessageQueue {
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
}

impl MessageQueue {
    pub(super) fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(self.bytes.len());
    }

    /// The bytes of the messages, and a few for each that will frame it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>()
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_in_their_order() {
        let mut queue = MessageQueue::default();
        for round in [[&b"one"[..], b"", b"three"], [b"", b"", b"x"]] {
            round.iter().for_each(|message| queue.push(message));
            assert_eq!(queue.messages().collect::<Vec<_>>(), round);
            assert!(queue.len() >= round.concat().len() + round.len());
            queue.clear();
            assert_eq!((queue.len(), queue.messages().count()), (0, 0));
        }
    }
}
