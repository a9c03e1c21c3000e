//! The time stamp is that of `ctime()`, in every zone: Python's is the witness.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use countersign::Limits;
use countersign::services::Timestamp;

use crate::both_ends::BothEnds;
use crate::child;
use crate::common::in_memory;

/// Zones with something odd about them: halves and quarters of hours, summer time of half an hour,
/// of winter and of the south, a day left out, a rule without a file.
const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "EST5EDT,M3.2.0,M11.1.0",
];

/// Seconds since 1970: a sample of the years until 2037, and every ten minutes of the months in
/// which clocks change.
fn sample() -> Vec<u64> {
    let years = (0..67_u64 * 365).map(|day| day * 86_400 + day * 7919 % 86_400);
    let spring = (1_709_250_000..1_712_620_000).step_by(600);
    let autumn = (1_726_800_000..1_731_200_000).step_by(600);
    let apia = (1_325_200_000..1_325_300_000).step_by(600);
    years.chain(spring).chain(autumn).chain(apia).collect()
}

#[test]
fn the_stamp_is_python_s_in_every_zone() {
    const NAME: &str = "the_stamp_is_python_s_in_every_zone";
    if !child::can_run("python3", &["--version"], NAME) {
        return;
    }
    for zone in ZONES {
        let output = child::command(&[], "zones::stamps").env("TZ", zone).output().unwrap();
        assert!(output.status.success(), "{zone}: {}", String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8(output.stdout).unwrap();
        let ours = text.lines().filter(|line| line.starts_with('['));
        let witness = witness(zone);
        let mut compared = 0;
        for ((time, ours), theirs) in sample().into_iter().zip(ours).zip(witness.lines()) {
            assert_eq!(ours, format!("[{theirs}] x"), "{zone} at {time}");
            compared += 1;
        }
        assert_eq!(compared, sample().len(), "{zone}");
    }
}

#[test]
#[ignore = "needs a zone of its own, which the test above gives it"]
fn stamps() {
    if !child::is_child() {
        return;
    }
    let mut server = in_memory(BothEnds::open(), Limits::default(), Timestamp::local());
    let line = server.connect();
    for time in sample() {
        server.wall = UNIX_EPOCH + Duration::from_secs(time);
        server.send(&line, b"x\n");
    }
    println!("\n{}", str::from_utf8(&line.written()).unwrap());
}

/// What Python makes of the sample.
fn witness(zone: &str) -> String {
    const SCRIPT: &str = "import sys, time\nfor line in sys.stdin: print(time.ctime(int(line)))";
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .env("TZ", zone)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let times = sample().iter().fold(String::new(), |mut times, time| {
        writeln!(times, "{time}").unwrap();
        times
    });
    let mut stdin = python.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(times.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    feeder.join().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
