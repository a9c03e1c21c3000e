//! The figures of this process. Most come from `/proc`, which only Linux has; elsewhere they are
//! missing.

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The figures of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) virtual_bytes: Option<u64>,
    pub(crate) open_descriptors: Option<u64>,
    pub(crate) max_descriptors: Option<u64>,
    pub(crate) threads: Option<u64>,
}

impl Process {
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |name| field(&status, name).map(|kilobytes| kilobytes * 1024);
        Self {
            cpu_seconds: Some(cpu_seconds()),
            resident_bytes: bytes("VmRSS:"),
            virtual_bytes: bytes("VmSize:"),
            open_descriptors: open_descriptors(),
            max_descriptors: rlimit::Resource::NOFILE.get_soft().ok(),
            threads: field(&status, "Threads:"),
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The processor time of all threads, those that have ended included.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Since Linux 6.2 the size of the directory is their number. Before, they have to be counted,
/// which takes longer the more there are: past a limit the figure is missing.
fn open_descriptors() -> Option<u64> {
    const COUNTED_MAX: usize = 1024;
    let known = fs::metadata("/proc/self/fd").ok()?.len();
    if known > 0 {
        return Some(known);
    }
    let counted = fs::read_dir("/proc/self/fd").ok()?.take(COUNTED_MAX + 1).count();
    // One of them is open only for the count.
    (counted <= COUNTED_MAX).then(|| (counted as u64).saturating_sub(1))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_has_all_figures_and_they_are_likely() {
        let before = Process::now();
        let kept = vec![1_u8; 64 << 20];
        let files: Vec<_> = (0..7).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let after = Process::now();
        assert_eq!((files.len(), kept.iter().map(|&byte| usize::from(byte)).sum()), (7, 64 << 20));
        assert!(after.cpu_seconds.unwrap() >= before.cpu_seconds.unwrap());
        assert!(after.resident_bytes.unwrap() > 32 << 20, "{after:?}");
        assert!(after.virtual_bytes >= after.resident_bytes, "{after:?}");
        // Other tests open files meanwhile, and close them.
        assert!((1..=after.max_descriptors.unwrap()).contains(&after.open_descriptors.unwrap()));
        assert!(after.threads.unwrap() >= 1);
    }
}
