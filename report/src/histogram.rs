//! Histograms as HdrHistogram's libraries exchange them: version 2, compressed, in Base64.

use base64ct::{Base64, Encoding as _};
use countersign_load::Latencies;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

/// The shortest latency in the histogram, in nanoseconds.
const SHORTEST: u64 = 1_000;

/// The longest, in nanoseconds, unless there is a longer one: an hour. All histograms of a run have
/// the same bounds then, which some readers need to add them up, and some can't have the longest
/// that [`Latencies`] have.
const LONGEST: u64 = 3_600_000_000_000;

/// Latencies as the histogram that readers get. `None` if they are too long for any.
pub(crate) fn histogram(latencies: impl Iterator<Item = (u64, u64)>) -> Option<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(SHORTEST, LONGEST, 3).ok()?;
    histogram.auto(true);
    latencies
        .into_iter()
        .try_for_each(|(nanos, count)| histogram.record_n(nanos, count))
        .ok()
        .map(|()| histogram)
}

/// Latencies in nanoseconds as text.
pub(crate) fn encode(latencies: impl Iterator<Item = (u64, u64)>) -> String {
    let mut bytes = Vec::new();
    let written = histogram(latencies)
        .and_then(|histogram| V2DeflateSerializer::new().serialize(&histogram, &mut bytes).ok());
    written.map(|_| Base64::encode_string(&bytes)).unwrap_or_default()
}

/// The latencies in nanoseconds of a text. `None` if it is no histogram.
pub(crate) fn decode(text: &str) -> Option<Latencies> {
    if text.is_empty() {
        return Some(Latencies::default());
    }
    let bytes = Base64::decode_vec(text).ok()?;
    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).ok()?;
    let recorded = histogram.iter_recorded();
    let counts = recorded.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()));
    Some(counts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_read_back_as_they_were_written() {
        let year = 365 * 86_400 * 1_000_000_000;
        for recorded in [vec![], vec![(1, 7)], vec![(70_000, 1_000_000), (3 * year, 2)]] {
            let latencies: Latencies = recorded.into_iter().collect();
            let again = decode(&encode(latencies.recorded())).unwrap();
            assert!(again.recorded().eq(latencies.recorded()), "{latencies:?} and {again:?}");
        }
        for damaged in ["HISTFAAA", "?", "AAAA"] {
            assert!(decode(damaged).is_none(), "{damaged}");
        }
    }
}
