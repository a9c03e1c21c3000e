//! The counts of the connections of the service `sink`. They are not in the states of these
//! connections, which are as small as those of other services.

/// The counts of all connections.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    counts: Vec<u64>,
    free: Vec<SinkPlace>,
}

/// The place of a count, in three bytes without alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkPlace([u8; 3]);

impl Sinks {
    /// A count for a new connection.
    pub(crate) fn enter(&mut self) -> SinkPlace {
        let place = self.free.pop().unwrap_or_else(|| {
            let [.., a, b, c] = self.counts.len().to_be_bytes();
            SinkPlace([a, b, c])
        });
        *self.count(place) = 0;
        place
    }

    /// The count of a connection.
    pub(crate) fn count(&mut self, place: SinkPlace) -> &mut u64 {
        let index = place.index();
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        &mut self.counts[index]
    }

    /// Frees the count of a connection that has ended.
    pub(crate) fn leave(&mut self, place: SinkPlace) {
        self.free.push(place);
    }
}

impl SinkPlace {
    fn index(self) -> usize {
        let [a, b, c] = self.0.map(usize::from);
        a << 16 | b << 8 | c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_a_count_of_its_own() {
        let mut sinks = Sinks::default();
        let places: Vec<SinkPlace> = (0..70_000).map(|_| sinks.enter()).collect();
        for (bytes, place) in (0..).zip(&places) {
            *sinks.count(*place) += bytes;
        }
        assert!((0..).zip(&places).all(|(bytes, place)| *sinks.count(*place) == bytes));
        sinks.leave(places[300]);
        let next = sinks.enter();
        assert_eq!((next, *sinks.count(next)), (places[300], 0));
    }
}
