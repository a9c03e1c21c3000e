"""Reads an interval log with PyPI's hdrhistogram. Prints, as a list in JSON, how many values it has
and the values at each of some percentiles."""

import json
import sys

try:
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader
except ImportError:
    sys.exit(77)

# The bounds of the histograms in the log.
total = HdrHistogram(1000, 3_600_000_000_000, 3)
reader = HistogramLogReader(sys.argv[1], total)
while (interval := reader.get_next_interval_histogram()) is not None:
    total.add(interval)
percentiles = [50, 90, 99, 99.9, 99.99]
values = [total.get_value_at_percentile(percentile) for percentile in percentiles]
print(json.dumps([total.get_total_count(), *values]))
