//! Histograms as HdrHistogram's libraries exchange them: version 2, compressed, in Base64.

use std::io::Read as _;

use base64ct::{Base64, Encoding as _};
use countersign_load::Latencies;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use crate::error::COUNT_MAX;

/// The shortest latency in the histogram, in nanoseconds.
const SHORTEST: u64 = 1_000;

/// The longest, in nanoseconds, unless there is a longer one: an hour. All histograms of a run have
/// the same bounds then, which some readers need to add them up, and some can't have the longest
/// that [`Latencies`] have.
const LONGEST: u64 = 3_600_000_000_000;

/// How a compressed histogram begins.
const COMPRESSED: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];

/// The bytes of a histogram before its counts.
const HEADER: usize = 40;

/// The most bytes of counts that are read, which is more than all counts of three digits need.
const COUNTS_MAX: usize = 1 << 20;

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
    let bytes = inflated(&Base64::decode_vec(text).ok()?)?;
    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).ok()?;
    if histogram.len() > COUNT_MAX {
        return None;
    }
    let recorded = histogram.iter_recorded();
    let counts = recorded.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()));
    Some(counts.collect())
}

/// A histogram that is no longer compressed. The library that reads it takes as much memory as it
/// says that it needs, so it may not say that it is larger than it is.
fn inflated(compressed: &[u8]) -> Option<Vec<u8>> {
    let (cookie, rest) = compressed.split_first_chunk()?;
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let mut bytes = Vec::new();
    let limit = (HEADER + COUNTS_MAX) as u64 + 1;
    ZlibDecoder::new(rest).take(limit).read_to_end(&mut bytes).ok()?;
    let counts = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
    let counts = usize::try_from(counts).ok()?;
    let is_whole = counts <= COUNTS_MAX && HEADER + counts == bytes.len();
    (*cookie == COMPRESSED && is_whole).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

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

    #[test]
    fn a_histogram_that_needs_more_memory_than_it_can_is_damaged() {
        // The length of the counts as it is claimed, and the counts.
        let histogram = |claimed: u32, counts: &[u8]| {
            let header = [0x1c84_9313, claimed, 0, 3].map(u32::to_be_bytes).concat();
            let bounds = [SHORTEST, LONGEST].map(u64::to_be_bytes).concat();
            let inner = [&header, &bounds, &1f64.to_be_bytes()[..], counts].concat();
            let mut outer = COMPRESSED.to_vec();
            outer.extend([0; 4]);
            ZlibEncoder::new(&inner[..], Compression::best()).read_to_end(&mut outer).unwrap();
            let length = u32::try_from(outer.len() - 8).unwrap();
            outer[4..8].copy_from_slice(&length.to_be_bytes());
            decode(&Base64::encode_string(&outer))
        };
        assert_eq!(histogram(1, &[2]).unwrap().count(), 1);
        let (zeros, many) =
            (vec![0; COUNTS_MAX + 1], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        for (claimed, counts) in [(u32::MAX, &[2][..]), (2, &[2]), (0, &[2]), (8, &many)] {
            assert!(histogram(claimed, counts).is_none(), "{claimed}");
        }
        assert!(histogram(1 + (1 << 20), &zeros).is_none());
    }
}
