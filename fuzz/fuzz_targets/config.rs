//! The configuration file of `serve`: an error has its line, and comments and the ends of lines
//! change nothing.
#![no_main]

use countersign_verbs::fuzzing::config;
use libfuzzer_sys::fuzz_target;

const PATH: &str = "/etc/garden.toml";

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|byte| *byte == b'\n').count();
    let parsed = config(PATH, text);
    match &parsed {
        Ok(listeners) => assert!(*listeners > 0),
        Err(faults) => {
            assert!(!faults.is_empty());
            let place = |fault: &String| -> Option<usize> {
                let rest = fault.strip_prefix(PATH)?.strip_prefix(':')?;
                rest.split_once(':')?.0.parse().ok()
            };
            for fault in faults {
                let line = place(fault);
                assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{fault:?}");
            }
        }
    }
    assert_eq!(config(PATH, text), parsed);
    if parsed.is_ok() {
        let more = [text, b"\n# comment\n\n"].concat();
        assert_eq!(config(PATH, &more), parsed, "with a comment behind it");
    }
});
