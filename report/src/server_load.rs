//! How busy the server was, from the processor time that its metrics show.

/// The metric, under the name that all libraries of Prometheus give it.
const METRIC: &str = "process_cpu_seconds_total";

/// The processor time that a server had used, at several times. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerLoad(Vec<(f64, f64)>);

impl ServerLoad {
    /// The processor time in a page of metrics, in seconds; none if the page doesn't have it.
    #[must_use]
    pub fn cpu_seconds(page: &str) -> Option<f64> {
        let sample = |line: &str| {
            let rest = line.strip_prefix(METRIC)?;
            let rest = if rest.starts_with('{') { rest.split_once('}')?.1 } else { rest };
            rest.strip_prefix(' ')?.split_ascii_whitespace().next()?.parse().ok()
        };
        page.lines().find_map(sample).filter(|seconds: &f64| seconds.is_finite())
    }

    /// Notes how much the server had used, later than what was noted before.
    pub fn record(&mut self, time: f64, cpu_seconds: f64) {
        self.0.push((time, cpu_seconds));
    }

    /// How many cores the server has used on average between two times; none if that isn't known
    /// for most of the time, or the server was restarted.
    #[must_use]
    pub fn cores(&self, from: f64, to: f64) -> Option<f64> {
        let (first, last) = (self.0.first()?.0, self.0.last()?.0);
        let (known_from, known_to) = (from.max(first), to.min(last));
        let known = known_to - known_from;
        if known <= 0.0 || known < (to - from) / 2.0 {
            return None;
        }
        let used = self.used(known_to)? - self.used(known_from)?;
        (used >= 0.0).then_some(used / known)
    }

    /// The processor time at a time between two that were noted.
    fn used(&self, time: f64) -> Option<f64> {
        let after = self.0.partition_point(|(at, _)| *at < time);
        let (end, all) = *self.0.get(after)?;
        let Some((start, before)) = after.checked_sub(1).and_then(|at| self.0.get(at)) else {
            return Some(all);
        };
        Some(before + (all - before) * (time - start) / (end - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_from_the_pages_of_any_library() {
        for (page, seconds) in [
            ("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 0.5\n", 0.5),
            ("a 1\nprocess_cpu_seconds_total{a=\"b c\"} 1e2 1800000000\n", 100.0),
        ] {
            assert_eq!(ServerLoad::cpu_seconds(page), Some(seconds), "{page}");
        }
        for page in ["", "process_cpu_seconds 1", "process_cpu_seconds_total NaN", "x\0"] {
            assert_eq!(ServerLoad::cpu_seconds(page), None, "{page}");
        }
    }

    #[test]
    fn the_cores_in_use_are_those_of_the_time() {
        let mut load = ServerLoad::default();
        assert_eq!(load.cores(0.0, 1.0), None);
        for (time, seconds) in [(10.0, 5.0), (11.0, 6.0), (12.0, 6.0), (14.0, 10.0)] {
            load.record(time, seconds);
        }
        let cores = [(10.0, 11.0), (10.5, 11.5), (11.0, 12.0), (10.0, 14.0), (13.0, 15.0)];
        let cores = cores.map(|(from, to)| load.cores(from, to));
        assert_eq!(cores, [1.0, 0.5, 0.0, 1.25, 2.0].map(Some));
        assert_eq!((load.cores(14.0, 15.0), load.cores(0.0, 11.0)), (None, None));
        load.record(15.0, 0.1);
        assert_eq!(load.cores(14.0, 15.0), None, "it was restarted");
    }
}
