//! A load that is interrupted, in each of its phases: by one signal, and by a second one.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;

use super::admin::{metric, wait_until};
use super::home::{Home, Ran, finish};
use super::served::{ServerProcess, signal};

const PHASES: [&str; 3] =
    ["--warmup 60s -z 60s", "--stages 60s@100,60s@200", "--find p99<9s -q 100 --probe-time 60s"];

/// Messages that a search sends before it measures, and some more.
const MESSAGES: f64 = 80.0;

/// A load that goes on, and has got replies.
fn started(home: &Home, (server, admin): (&ServerProcess, &str), options: &str) -> Child {
    let labels = format!("{{listener=\"{}\"}}", server.address());
    let messages = || metric(admin, &format!("countersign_messages_total{labels}"));
    let before = messages();
    let line = format!("load {} --dialect open -c 2 {options}", server.address());
    let child = home.command(&line).spawn().unwrap();
    wait_until(|| messages() > before + MESSAGES);
    child
}

fn server(home: &Home) -> (ServerProcess, String) {
    let server = home.serve("serve --dialect open --service echo --admin 127.0.0.1:0");
    let admin = server.admin();
    (server, admin)
}

#[test]
fn one_signal_ends_a_load_with_what_is_known() {
    let home = Home::new();
    let (server, admin) = server(&home);
    let interrupted = |options: &str, name: &str| -> Ran {
        let child = started(&home, (&server, &admin), options);
        signal(name, child.id());
        finish(child, b"")
    };
    for name in ["INT", "TERM"] {
        let [warmup, stages, search] = PHASES.map(|options| interrupted(options, name));
        warmup.failed(1, &["countersign: interrupted before anything was measured\n"]);
        assert_eq!((stages.code, &stages.err[..]), (Some(0), ""), "{name}");
        search.failed(1, &["countersign: the search ended before the first probe\n"]);
        for ran in [warmup, stages, search] {
            assert!(ran.out.contains("\n  interrupted           true\n"), "{ran:?}");
        }
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    let (server, admin) = server(&home);
    for options in PHASES {
        let mut child = started(&home, (&server, &admin), options);
        // A signal that comes before the other was handled is the same one.
        let mut ended = None;
        wait_until(|| {
            signal("INT", child.id());
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        let ended = ended.unwrap();
        // By the signal itself, if it comes before the program has an exit code for it.
        let is_at_once = ended.code() == Some(130) || ended.signal() == Some(2);
        // The report may have been faster than the second signal.
        assert!(is_at_once || ended.code().is_some_and(|code| code < 2), "{options}: {ended:?}");
    }
}

#[test]
fn a_result_that_nobody_reads_does_not_keep_the_program() {
    let home = Home::new();
    let (server, _) = server(&home);
    let fifo = home.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let line =
        format!("load {} --dialect open -n 10 --report {}", server.address(), fifo.display());
    let child = home.command(&line).spawn().unwrap();
    // It waits for a reader of the file before it begins.
    signal("TERM", child.id());
    let ran = finish(child, b"");
    assert_eq!((ran.code, &ran.out[..]), (None, ""), "{ran:?}");
    // A reader that comes gets all of it.
    let child = home.command(&line).spawn().unwrap();
    let page = std::fs::read_to_string(&fifo).unwrap();
    assert!(page.ends_with("</html>\n"), "{page}");
    assert_eq!(finish(child, b"").code, Some(0));
}
