//! The results of `load` beside its report: intervals, and the formats of HdrHistogram.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::home::{Home, skip};

/// What a reader of interval logs in another language finds in one: how many values it has, and the
/// values at p50, p90, p99, p99.9 and p99.99. `None` where it isn't installed.
fn read(program: &str, script: &str, log: &Path) -> Option<Vec<u64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hdr").join(script);
    // No caches beside the sources.
    let mut command = Command::new(program);
    let ran = command.env("PYTHONDONTWRITEBYTECODE", "1").arg(&script).arg(log).output();
    let Some(ran) = ran.ok().filter(|ran| ran.status.code() != Some(77)) else {
        skip(&format!("there is no {program} here, or not the library of HdrHistogram for it"));
        return None;
    };
    let error = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {error}", script.display());
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn the_intervals_and_the_log_have_all_that_the_report_has() {
    let home = Home::new();
    let server = home.serve("serve --service echo --dialect open");
    let [csv, hgrm, hlog] = ["run.csv", "run.hgrm", "run.hlog"].map(|name| home.path(name));
    let load = format!(
        "load {} --dialect open -c 5 -P 20 -n 20k -q 20k --interval 100ms --output json \
         --intervals {} --hgrm {} --hlog {}",
        server.address(),
        csv.display(),
        hgrm.display(),
        hlog.display()
    );
    let ran = home.run(&load, "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["intervalSeconds"], 0.1);
    let intervals = report["intervals"].as_array().unwrap();
    let sum = |name: &str| intervals.iter().map(|each| each[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!([sum("sent"), sum("answered"), sum("failed")], [20_000, 20_000, 0]);
    assert_eq!(sum("bytesReceived"), report["summary"]["bytesReceived"].as_u64().unwrap());
    assert_eq!(sum("connected"), report["summary"]["connected"].as_u64().unwrap());

    let csv = fs::read_to_string(csv).unwrap();
    assert_eq!(csv.lines().count(), intervals.len() + 1);
    let hgrm = fs::read_to_string(hgrm).unwrap();
    assert!(hgrm.contains("Total count    =        20000]"), "{hgrm}");

    let nanos = |name: &str| {
        let seconds = report["latencyPercentiles"][name].as_f64().unwrap();
        format!("{:.0}", seconds * 1e9).parse::<u64>().unwrap()
    };
    let expected = ["p50", "p90", "p99", "p99.9", "p99.99"].map(nanos);
    for (program, script) in [("python3", "read.py"), ("node", "read.js")] {
        if let Some(found) = read(program, script, &hlog) {
            assert_eq!((found[0], &found[1..]), (20_000, &expected[..]), "{script}");
        }
    }
    // What a plotter shows is what the report says.
    let expected = expected[0] as f64 / 1e6;
    let median = hgrm.lines().find(|line| line.contains(" 0.500000000000 ")).unwrap();
    let median: f64 = median.split_whitespace().next().unwrap().parse().unwrap();
    assert!((median - expected).abs() < 1e-3, "{median} {expected}");
}

#[test]
fn a_result_that_cannot_be_written_is_told_before_the_load() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for option in ["intervals", "hgrm", "hlog"] {
        let line = format!("load {address} --dialect open -n 5 --{option} /nonexistent/file");
        home.run(&line, "").failed(74, &["cannot write to /nonexistent/file: "]);
        assert!(listener.accept().is_err(), "nobody has connected");
    }
    let server = home.serve("serve --service echo --dialect open");
    let load = format!("load {} --dialect open -n 5 --hlog /dev/full", server.address());
    let ran = home.run(&load, "");
    ran.failed(74, &["cannot write to /dev/full: "]);
    assert!(ran.out.contains("Answered:     5"), "the report is there: {ran:?}");
}
