//! `--workers`: several loops at the same addresses, which stop, reload and fail as one.

use super::home::Home;

const ONE: &str = "one  text:sixteen-bytes-and-more  dialects=raw,countersign/1\n";
const TWO: &str = "two  text:another-sixteen-bytes  dialects=raw,countersign/1\n";

/// Talks to an address so often, and says how often it was let in.
fn let_in(home: &Home, address: &str, keys: &str, times: usize) -> usize {
    let line = format!("connect {address} --keys {}", home.path(keys).display());
    (0..times).filter(|_| home.run(&line, "a\n").code == Some(0)).count()
}

#[test]
fn all_workers_serve_at_one_port_and_stop_as_one() {
    let home = Home::with_keys(ONE);
    home.write("one", ONE);
    let server = home.serve("serve --workers 2 --service echo");
    assert_eq!(let_in(&home, server.address(), "one", 24), 24);
    server.signal("USR1");
    // The lines of the workers come in any order; both have to be read from one stream.
    let status = server.err.with("INFO  status version=");
    assert!(status.contains(" workers=2 "), "{status}");
    let ran = server.stop();
    assert_eq!((ran.code, &ran.out[..]), (Some(0), ""), "{}", ran.err);
    let of = |worker: usize| {
        let line = ran.err.lines().find(|line| line.contains(&format!(" worker={worker} ")));
        let count = line.unwrap().split(" accepted=").nth(1).unwrap();
        count.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(of(0) + of(1), 24, "{}", ran.err);
    assert!(of(0) > 0 && of(1) > 0, "by chance once in 8 million: {}", ran.err);
    assert!(ran.err.contains("stopped; 24 connections, 24 messages"), "{}", ran.err);
}

#[test]
fn a_reload_reaches_every_worker() {
    let home = Home::with_keys(ONE);
    home.write("one", ONE);
    home.write("two", TWO);
    let server = home.serve("serve --workers 3 --service echo");
    home.write(".config/countersign/keys", TWO);
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    assert_eq!(let_in(&home, server.address(), "one", 16), 0);
    assert_eq!(let_in(&home, server.address(), "two", 16), 16);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_unix_socket_is_shared_and_its_file_goes_with_the_server() {
    let home = Home::with_keys(ONE);
    home.write("one", ONE);
    let socket = home.path("sock");
    let address = format!("unix:{}", socket.display());
    let server = home.serve(&format!("serve --workers 2 --service echo --bind {address}"));
    assert_eq!(let_in(&home, &address, "one", 8), 8);
    assert_eq!(server.stop().code, Some(0));
    assert!(!socket.exists());
}

#[test]
fn the_bound_on_memory_is_of_all_workers() {
    let home = Home::new();
    let bound = |workers: &str| {
        let server = home.serve(&format!(
            "serve --dialect open --max-connections 500 --buffered-max 40m --workers {workers}"
        ));
        let line = server.err.with("  memory   at most ");
        assert!(line.contains(" MiB, with 500 connections"), "{line}");
        line.split_whitespace().nth(3).unwrap().parse::<f64>().unwrap()
    };
    let (one, four) = (bound("1"), bound("4"));
    // Each has its part of what connections keep, and tables of its own.
    assert!(four > one && four < one + 8.0, "{one} and {four}");
}

#[test]
fn a_port_that_is_taken_is_no_workers() {
    let home = Home::with_keys(ONE);
    for line in ["serve", "serve --workers 2"] {
        let server = home.serve(line);
        let line = format!("serve --workers 2 --bind {}", server.address());
        home.run(&line, "").failed(69, &["address already in use; another program or"]);
    }
    home.run("serve --workers 0", "").failed(2, &["write a number from 1 to 256"]);
}
