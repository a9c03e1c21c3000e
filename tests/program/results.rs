//! The results of `load` beside its report: intervals, and the formats of HdrHistogram.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::free_port::free_address;
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

/// The address of a server that takes this time for each reply, which is long beside what a busy
/// machine adds.
fn echo_after(time: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || echo_slowly(stream.unwrap(), time));
        }
    });
    address
}

#[expect(clippy::disallowed_methods, reason = "a server that is slow is what is measured")]
fn echo_slowly(mut stream: TcpStream, time: Duration) {
    let mut bytes = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        thread::sleep(time);
        if stream.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
}

/// Writes a report of a run of a simple load, with these options.
fn save(home: &Home, address: &str, name: &str, options: &str) -> String {
    let path = home.path(name).display().to_string();
    let load = format!("load {address} --dialect open --output json -o {path} {options}");
    home.run(&load, "").printed("");
    path
}

#[test]
fn reports_of_one_load_are_merged_and_others_are_refused() {
    let home = Home::new();
    let server = home.serve("serve --service echo --dialect open");
    let address = server.address();
    let options = "-c 3 -q 1k -z 1500ms --interval 100ms";
    let path = home.path("one.json").display().to_string();
    let load = format!("load {address} --dialect open --output json -o {path} {options}");
    let beside = home.command(&load).spawn().unwrap();
    let other = save(&home, address, "other.json", options);
    assert!(beside.wait_with_output().unwrap().status.success());

    let [merged, log] = ["merged.json", "merged.hlog"].map(|name| home.path(name));
    let shown = [&merged, &log].map(|path| path.display());
    let merge = format!("load merge {path} {other}");
    let line = format!("{merge} --output json -o {} --hlog {}", shown[0], shown[1]);
    home.run(&line, "").printed("");
    let read = |path: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let reports = [Path::new(&path), Path::new(&other), &merged].map(read);
    for name in ["due", "answered", "connected", "bytesReceived"] {
        let [one, other, both] =
            reports.each_ref().map(|report| report["summary"][name].as_u64().unwrap());
        assert_eq!(one + other, both, "{name}");
    }
    assert_eq!(reports[2]["parameters"]["connections"], 6);
    assert_eq!(reports[2]["parameters"]["rate"], 2_000);
    let answered: u64 = reports[2]["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["answered"].as_u64().unwrap())
        .sum();
    assert_eq!(answered, reports[2]["summary"]["answered"].as_u64().unwrap());
    // The result can be read as every other report.
    let text = home.run(&format!("load merge {}", shown[0]), "");
    assert!(text.out.contains(&format!("Answered:     {answered}\n")), "{text:?}");

    let differs = save(&home, address, "differs.json", "-c 3 -q 1k -z 100ms --size 40");
    let apart = save(&home, address, "apart.json", options);
    for (others, code, expected) in [
        (differs, 65, "one.json and "),
        (format!("{other} {path}"), 65, "are the same report; name each report once"),
        (apart, 65, "; only loads of the same time can be merged"),
        (shown[1].to_string(), 65, "not a report that `load --output json` has written (line 1)"),
        ("/nonexistent".to_owned(), 66, "cannot read /nonexistent: no such file"),
    ] {
        let ran = home.run(&format!("load merge {path} {others}"), "");
        ran.failed(code, &[expected]);
    }
    home.run("load merge", "").failed(2, &["required"]);
    home.run(&format!("load -c 5 merge {path}"), "").failed(2, &["cannot be used with"]);
}

#[test]
fn a_comparison_has_a_verdict_and_an_exit_code() {
    let home = Home::new();
    let [quick, slow] = [2, 100].map(|millis| echo_after(Duration::from_millis(millis)));
    let options = "-c 4 -z 2s --interval 100ms";
    let before = save(&home, &quick, "before.json", options);
    let after = save(&home, &slow, "after.json", options);

    let ran = home.run(&format!("load compare {before} {after}"), "");
    assert_eq!((ran.code, &ran.err[..]), (Some(1), ""), "{ran:?}");
    for expected in ["\n  address ", "\n  Replies/s ", "\n  p99.99 ", "Verdict: B is worse in "] {
        assert!(ran.out.contains(expected), "{expected:?} is missing in\n{}", ran.out);
    }
    let page = home.path("both.html");
    let both = format!("load compare {before} {after} --report {}", page.display());
    assert_eq!(home.run(&both, "").out, ran.out);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("B is worse in") && page.contains("id=\"percentiles\""), "{page}");
    let better = home.run(&format!("load compare {after} {before}"), "");
    assert_eq!(better.code, Some(0), "{better:?}");
    assert!(better.out.contains("Verdict: B is better in "), "{better:?}");
    let same = home.run(&format!("load compare {before} {before} --threshold 0"), "");
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.out.contains("Verdict: within noise\n"), "{same:?}");
    // Whatever it is, a change that is ignored is none.
    let ignored = home.run(&format!("load compare {before} {after} --threshold 9999%"), "");
    assert_eq!(ignored.code, Some(0), "{ignored:?}");

    let short = save(&home, &quick, "short.json", "-c 2 -z 300ms");
    let ran = home.run(&format!("load compare {before} {short}"), "");
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.out.contains("Verdict: too few intervals to tell\n"), "{ran:?}");
    home.run(&format!("load compare {before}"), "").failed(2, &["<B.json>"]);
    let text = fs::read_to_string(&before).unwrap().replace("\"reply\":\"HIST", "\"reply\":\"MIST");
    let damaged = home.write("damaged.json", &text).display().to_string();
    for both in [format!("{before} {damaged}"), format!("{damaged} {before}")] {
        let said = format!("{damaged}: the histogram reply is damaged");
        home.run(&format!("load compare {both}"), "").failed(65, &[&said]);
    }
    let line = format!("load compare {before} {after} --threshold");
    home.run(&format!("{line} x"), "").failed(2, &["write a percentage, like 2%"]);
}

#[test]
fn the_server_s_load_is_read_from_its_metrics() {
    let home = Home::new();
    let server = home.serve("serve --dialect open --service echo --admin 127.0.0.1:0");
    let (address, admin) = (server.address(), server.admin());
    let load = |options: &str| {
        home.run(&format!("load {address} --dialect open -c 4 --warmup 200ms {options}"), "")
    };
    let ran = load(&format!("-n 2000 --server-metrics {admin}"));
    assert!(ran.out.contains("\n  Server busy:  ") && ran.code == Some(0), "{ran:?}");
    assert!(ran.out.contains("\n  Connections:  4, of which 4 were open before\n"), "{ran:?}");
    let page = home.path("server.html");
    let options = "--interval 100ms --stages 500ms@100,500ms@100..500 --output json";
    let ran =
        load(&format!("{options} --server-metrics http://{admin}/ --report {}", page.display()));
    let saved: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(saved["summary"]["serverBusy"].as_f64() > Some(0.0), "{}", ran.out);
    assert_eq!(saved["parameters"]["serverMetrics"], format!("http://{admin}/"));
    assert!(saved["intervals"][1]["requestedRate"].as_f64() > Some(99.9), "{}", ran.out);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Server busy") && page.contains(">asked for<"), "{page}");
    // A wrong address shows before the load.
    let nobody = free_address();
    load(&format!("-n 1 --server-metrics {nobody}")).failed(69, &["connection refused"]);
    let other = home.serve("serve --dialect open --service echo --framing chunks");
    load(&format!("-n 1 --server-metrics {}", other.address()))
        .failed(69, &["no answer within the time limit"]);
}
