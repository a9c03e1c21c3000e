//! When the next key of a ring expires.

use std::time::Duration;

use countersign_proto::KeyRing;

/// When the next key of a ring expires. This date is checked once per turn, and the keys only when
/// it is reached.
#[derive(Debug)]
pub(in crate::server) struct Expiry {
    next: Option<Duration>,
    /// The time of the last turn.
    seen: Duration,
}

impl Expiry {
    /// Of a ring that no turn has looked at: the next key is the first that ever expires.
    pub(in crate::server) fn of(ring: Option<&KeyRing>) -> Self {
        let seen = Duration::ZERO;
        Self { next: ring.and_then(|ring| ring.next_expiry(seen)), seen }
    }

    /// Whether a key has expired since the last call, at this time of day.
    pub(in crate::server) fn passes(&mut self, wall: Duration, ring: Option<&KeyRing>) -> bool {
        let has_come = self.next.is_some_and(|end| end <= wall);
        // A clock that was set back makes keys valid again, which will expire again.
        if has_come || wall < self.seen {
            self.next = ring.and_then(|ring| ring.next_expiry(wall));
        }
        self.seen = wall;
        has_come
    }

    /// The time until then.
    pub(in crate::server) fn time_left(&self, wall: Duration) -> Option<Duration> {
        self.next.map(|end| end.saturating_sub(wall))
    }
}

#[cfg(test)]
mod tests {
    use countersign_proto::Key;

    use super::*;
    use crate::key_file::KeyRingExt as _;

    #[test]
    fn every_end_is_seen_once_and_again_when_the_clock_was_set_back() {
        let at = Duration::from_secs;
        let mut ring = KeyRing::empty().unwrap();
        for (id, end) in [("a", Some(20)), ("b", None), ("c", Some(10)), ("d", Some(30))] {
            let key = Key::new(id, format!("the secret of {id}!!").as_bytes()).unwrap();
            let key = end.into_iter().fold(key, |key, end| key.with_not_after(at(end)));
            ring.add(key).unwrap();
        }
        let mut expiry = Expiry::of(Some(&ring));
        for (second, has_expired, left) in [
            (9, false, Some(1)),
            (10, true, Some(10)),
            (11, false, Some(9)),
            (15, false, Some(5)),
            (5, false, Some(5)),
            (12, true, Some(8)),
            (40, true, None),
            (41, false, None),
            (25, false, Some(5)),
            (30, true, None),
        ] {
            assert_eq!(expiry.passes(at(second), Some(&ring)), has_expired, "at {second}");
            assert_eq!(expiry.time_left(at(second)), left.map(Duration::from_secs), "at {second}");
        }
        assert!(!Expiry::of(None).passes(at(99), None));
    }
}
