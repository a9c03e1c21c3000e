// Reads an interval log with npm's hdr-histogram-js. Prints, as a list in JSON, how many values it
// has and the values at each of some percentiles.
const fs = require("fs");
let hdr;
try {
  hdr = require("hdr-histogram-js");
} catch {
  process.exit(77);
}

const reader = new hdr.HistogramLogReader(fs.readFileSync(process.argv[2], "utf8"));
const total = hdr.build({ lowestDiscernibleValue: 1000, highestTrackableValue: 3.6e12 });
for (let interval; (interval = reader.nextIntervalHistogram()); ) {
  total.add(interval);
}
const values = [50, 90, 99, 99.9, 99.99].map((percentile) => total.getValueAtPercentile(percentile));
console.log(JSON.stringify([total.totalCount, ...values]));
