//! `load --stages`: a rate that changes.

use serde_json::Value;

use super::home::Home;

#[test]
fn stages_have_their_messages_and_no_other_option_says_how_many() {
    let home = Home::new();
    let server = home.serve("serve --service echo --dialect open");
    let load = |options: &str| {
        home.run(&format!("load {} --dialect open -c 8 {options}", server.address()), "")
    };
    let stages = "--stages 300ms@1k,300ms@0,200ms@0..3k --output json";
    for (options, slack) in [("", 1), ("--warmup 200ms --threads 3", 3), ("--arrival poisson", 200)]
    {
        let ran = load(&format!("{stages} {options}"));
        let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
        let due = report["summary"]["due"].as_u64().unwrap();
        assert!(due.abs_diff(600) <= slack, "{options}: {report}");
        assert_eq!(report["summary"]["requestedRate"], 750.0, "{options}");
        assert_eq!(report["parameters"]["durationSeconds"], 0.8, "{options}");
        assert_eq!(report["parameters"]["stages"][1], "300ms@0", "{options}");
    }
    for (options, remedy) in [
        ("--stages 1s@1k -q 5", "cannot be combined with -q; each stage has its own rate"),
        ("--stages 1s@1k -n 5", "cannot be combined with -n; the load ends with the last stage"),
        ("--stages 1s@1k -z 5s", "cannot be combined with -z; the load ends with the last stage"),
        ("--stages 1k@1s", "write a time from 1ms to 48d"),
        ("--stages 10s", "write 10s@1k, or 10s@1k..5k for a ramp"),
    ] {
        load(options).failed(2, &[remedy]);
    }
    load("--stages 100ms@0").failed(2, &["have to be greater than zero"]);
}
