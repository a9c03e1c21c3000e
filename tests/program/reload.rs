//! SIGHUP: keys and limits are taken anew, all or nothing, and who is in stays.

use std::io::{Read as _, Write as _};

use std::time::{Duration, SystemTime};

use countersign::{Client, ClientConfig, Dialect, Key, KeyRing, KeyRingExt as _};

use super::admin::{get, wait_until};
use super::home::{Home, finish};
use super::served::{ServerProcess, ask};

const ONE: &str = "one  text:sixteen-bytes-and-more  dialects=raw,countersign/1\n";
const TWO: &str = "two  text:another-sixteen-bytes  dialects=raw,countersign/1\n";

/// Whether the key of a file is let in.
fn is_let_in(home: &Home, server: &ServerProcess, keys: &str) -> bool {
    let line = format!("connect {} --keys {}", server.address(), home.path(keys).display());
    let ran = home.run(&line, "a\n");
    assert!(matches!(ran.code, Some(0 | 77)), "{ran:?}");
    ran.code == Some(0)
}

fn home() -> Home {
    let home = Home::with_keys(ONE);
    home.write("one", ONE);
    home.write("two", TWO);
    home
}

#[test]
fn keys_are_read_again_and_who_is_in_stays() {
    let home = home();
    let server = home.serve("serve --service echo");
    assert!(is_let_in(&home, &server, "one") && !is_let_in(&home, &server, "two"));
    let mut inside = home.command(&format!("connect {}", server.address())).spawn().unwrap();
    let mut typed = inside.stdin.take().unwrap();
    typed.write_all(b"a\n").unwrap();
    let mut heard = [0; 2];
    inside.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
    home.write(".config/countersign/keys", format!("{TWO}{ONE}"));
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    assert!(is_let_in(&home, &server, "two") && is_let_in(&home, &server, "one"));
    typed.write_all(b"b\n").unwrap();
    inside.stdin = Some(typed);
    finish(inside, b"c\n").printed("b\nc\n");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn who_holds_a_key_that_has_gone_is_closed_unless_told_otherwise() {
    for (option, stays) in [("", false), ("--close-revoked no", true)] {
        let home = home();
        let server = home.serve(&format!("serve --service echo {option}"));
        let mut inside = home.command(&format!("connect {}", server.address())).spawn().unwrap();
        let mut typed = inside.stdin.take().unwrap();
        typed.write_all(b"a\n").unwrap();
        inside.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
        home.write(".config/countersign/keys", TWO);
        server.signal("HUP");
        server.err.with("INFO  reloaded");
        assert!(is_let_in(&home, &server, "two") && !is_let_in(&home, &server, "one"));
        inside.stdin = Some(typed);
        let ran = finish(inside, b"b\n");
        assert_eq!(ran.out == "b\n", stays, "{ran:?}");
    }
}

const SECRET: &[u8] = b"sixteen-bytes-and-more";
const PYTHONS: &[u8] = b"sixteen-bytes-of-python";

/// What a client of a dialect needs to know to be let in with this key.
fn client(dialect: Dialect, id: &str, secret: &[u8]) -> ClientConfig {
    let key = Key::new(id, secret).unwrap().with_dialect(dialect);
    // A listener that names no service takes those who name none.
    ClientConfig::builder(dialect).with_keys(KeyRing::from_key(key).unwrap()).build().unwrap()
}

/// A server with a listener for each dialect, and the dialects in which clients come there.
fn server_of_all_dialects(home: &Home, options: &str) -> (ServerProcess, Vec<Dialect>) {
    let dialects = [
        ("countersign/1", Dialect::Countersign),
        ("countersign/1+raw", Dialect::Countersign),
        ("countersign/1+raw", Dialect::Raw),
        ("raw", Dialect::Raw),
        ("hex", Dialect::Hex),
        ("multiprocessing", Dialect::Multiprocessing),
    ];
    let mut text = format!(
        "keys = \"ring\"\nservice = \"echo\"\nworkers = 2\nlog-level = \"debug\"\n\
         admin = \"127.0.0.1:0\"\n{options}\n"
    );
    for (spoken, _) in dialects {
        text.push_str("[[listener]]\nbind = \"127.0.0.1:0\"\n");
        text.push_str(&format!("dialect = \"{spoken}\"\n"));
        if spoken == "multiprocessing" {
            text.push_str("framing = \"length\"\n");
        }
    }
    let line = format!("serve --config {}", home.write("garden.toml", text).display());
    let server = ServerProcess::started(home.command(&line).spawn().unwrap(), dialects.len());
    (server, dialects.map(|(_, dialect)| dialect).into())
}

/// The ring of which one key changes, and the others don't.
fn ring(changed: &str, python: &str) -> String {
    format!(
        "{changed}\n{python}\nother text:the-secret-of-the-other dialects=raw,hex,countersign/1\n\
         snake text:the-secret-of-a-snake dialects=multiprocessing\n"
    )
}

/// Takes what the file of keys says now.
fn reload(home: &Home, server: &ServerProcess, ring: &str) {
    home.write("ring", ring);
    server.signal("HUP");
    server.err.with("INFO  reloaded");
}

const GARDEN: &str = "garden text:sixteen-bytes-and-more dialects=raw,hex,countersign/1";
const PYTHON: &str = "python text:sixteen-bytes-of-python dialects=multiprocessing";

/// Changes of the two keys, each with the dialects whose clients could come again as they did.
fn changes() -> Vec<(&'static str, String, Vec<Dialect>)> {
    use Dialect::{Countersign, Hex, Multiprocessing, Raw};
    let all = || vec![Countersign, Raw, Hex, Multiprocessing];
    let both = |option: &str| ring(&format!("{GARDEN} {option}"), &format!("{PYTHON} {option}"));
    let garden = |from, to| GARDEN.replace(from, to);
    let python = |from, to| PYTHON.replace(from, to);
    vec![
        ("nothing", ring(GARDEN, PYTHON), all()),
        ("another secret", ring(&garden("more", "less"), &python("of", "in")), vec![]),
        ("another id", ring(&garden("garden", "park"), &python("python ", "p ")), vec![]),
        ("run out", both("not-after=2020-01-01"), vec![]),
        ("not yet", both("not-before=2100-01-01"), vec![]),
        ("until later", both("not-after=2100-01-01"), all()),
        ("another audience", both("audience=shed"), vec![]),
        ("fewer", ring(&garden("raw,hex,", ""), PYTHON), vec![Countersign, Multiprocessing]),
        (
            "others",
            ring(&garden(",countersign/1", ""), &python("=m", "=countersign/1,m")),
            vec![Raw, Hex, Multiprocessing],
        ),
        (
            "not Python's",
            ring(GARDEN, &python("multiprocessing", "countersign/1")),
            vec![Countersign, Raw, Hex],
        ),
        ("gone", ring("", ""), vec![]),
    ]
}

#[test]
fn those_go_who_could_not_come_again_and_the_others_stay_in_every_dialect() {
    let home = Home::new();
    home.write("ring", ring(GARDEN, PYTHON));
    let (server, dialects) = server_of_all_dialects(&home, "");
    // By either worker, perhaps.
    let places = || (0..dialects.len()).chain(0..dialects.len());
    let connect = |at: usize, others: &[u8], pythons: &[u8], ids: [&str; 2]| {
        let config = match dialects[at] {
            Dialect::Multiprocessing => client(dialects[at], ids[1], pythons),
            dialect => client(dialect, ids[0], others),
        };
        let mut client = Client::connect(&server.addresses[at][..], config).unwrap();
        assert_eq!(client.ask(b"in").unwrap(), b"in");
        client
    };
    for (what, changed, stays) in changes() {
        reload(&home, &server, &ring(GARDEN, PYTHON));
        let mut changing: Vec<_> =
            places().map(|at| connect(at, SECRET, PYTHONS, ["garden", "python"])).collect();
        let mut others: Vec<_> = places()
            .map(|at| {
                let ids = ["other", "snake"];
                connect(at, b"the-secret-of-the-other", b"the-secret-of-a-snake", ids)
            })
            .collect();
        reload(&home, &server, &changed);
        for (at, client) in places().zip(&mut changing) {
            let stayed = client.ask(b"still").is_ok_and(|reply| reply == b"still");
            assert_eq!(stayed, stays.contains(&dialects[at]), "{what}: {} at {at}", dialects[at]);
        }
        for (at, client) in places().zip(&mut others) {
            assert_eq!(client.ask(b"still").unwrap(), b"still", "{what}: {}", dialects[at]);
        }
    }
    let ran = server.stop();
    let named = |line: &&str| line.contains("closed: revoked") && line.contains(" key=garden");
    assert!(ran.err.lines().any(|line| named(&line)), "the log names a key that has gone");
}

/// A key that runs out so soon that a test can wait for it.
#[expect(clippy::disallowed_methods, reason = "the server has no other clock")]
fn ring_that_runs_out() -> String {
    let end = SystemTime::now() + Duration::from_secs(2);
    let end = chrono::DateTime::<chrono::Utc>::from(end).to_rfc3339();
    ring(&format!("{GARDEN} not-after={end}"), &format!("{PYTHON} not-after={end}"))
}

#[test]
fn who_is_in_goes_when_its_key_runs_out_unless_told_otherwise() {
    for (options, stays) in [("", false), ("close-revoked = false", true)] {
        let home = Home::new();
        home.write("ring", ring_that_runs_out());
        let (server, dialects) = server_of_all_dialects(&home, options);
        let admin = server.out.next().unwrap().strip_prefix("admin on ").unwrap().to_owned();
        let open = || {
            let page = get(&admin, "/status").body;
            let report: serde_json::Value = serde_json::from_str(&page).unwrap();
            let listeners = report["listeners"].as_array().unwrap();
            let open = listeners.iter().map(|each| each["connections"]["open"].as_u64().unwrap());
            (open.sum::<u64>(), report["listeners"][0]["keys"][0]["state"].clone())
        };
        let mut clients: Vec<_> = (0..dialects.len())
            .map(|at| {
                let config = match dialects[at] {
                    Dialect::Multiprocessing => client(dialects[at], "python", PYTHONS),
                    dialect => client(dialect, "garden", SECRET),
                };
                Client::connect(&server.addresses[at][..], config).unwrap()
            })
            .collect();
        // The loops have nothing to do meanwhile but what they are asked here.
        wait_until(|| open().1 == "expired");
        for client in &mut clients {
            assert_eq!(client.ask(b"still").is_ok(), stays, "{options}");
        }
        wait_until(|| open().0 == if stays { 6 } else { 0 });
    }
}

#[test]
fn what_is_wrong_changes_nothing_and_is_said() {
    let home = home();
    let config = |more: &str| {
        let text = format!("bind = \"127.0.0.1:0\"\nservice = \"echo\"\nkeys = \"keys\"\n{more}");
        home.write("garden.toml", text)
    };
    home.write("keys", ONE);
    let line = format!("serve --config {}", config("").display());
    let server = ServerProcess::started(home.command(&line).spawn().unwrap(), 1);
    let cases = [
        ("garden.toml", "idle-timout = 1", "garden.toml:4: unknown key \"idle-timout\""),
        ("garden.toml", "idle-timeout = \"soon\"", "garden.toml:4: idle-timeout: invalid value"),
        ("garden.toml", "limits = \"small\"", "limits cannot be changed by a reload; restart"),
        ("garden.toml", "unix-mode = \"0660\"", "unix-mode cannot be changed by a reload; restart"),
        (
            "garden.toml",
            "workers = 2",
            "garden.toml: workers cannot be changed by a reload; restart the server",
        ),
        ("garden.toml", "[[listener]]\n[[listener]]\nbind = \"a:1\"", "2 listeners instead of 1"),
        ("keys", "two", "keys: line 1"),
        ("keys", "two  text:another-sixteen-bytes  dialects=hex", "countersign/1"),
    ];
    for (file, text, said) in cases {
        // Right but for one thing: nothing of it may be taken.
        home.write("keys", format!("{ONE}{TWO}"));
        match file {
            "keys" => drop(home.write("keys", text)),
            _ => drop(config(text)),
        }
        server.signal("HUP");
        let line = server.err.with("ERROR reload failed: ");
        assert!(line.contains(said), "{line}\n{said}");
        assert!(line.ends_with("; the old configuration is kept"), "{line}");
        assert!(is_let_in(&home, &server, "one") && !is_let_in(&home, &server, "two"), "{text}");
        config("");
    }
    std::fs::remove_file(home.path("garden.toml")).unwrap();
    server.signal("HUP");
    assert!(server.err.with("reload failed: ").contains("garden.toml: no such file"));
    config("idle-timeout = \"50ms\"");
    home.write("keys", format!("{ONE}{TWO}"));
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    assert!(is_let_in(&home, &server, "two"));
    server.signal("USR1");
    let status = server.err.with("INFO  status ");
    assert!(status.contains(" reloads=1 reloads_failed=9 "), "{status}");
    assert!(status.contains(" reload_error=-"), "{status}");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn limits_hold_for_newcomers_after_a_reload() {
    let home = Home::new();
    let config = |idle: &str| {
        let text =
            format!("bind = \"127.0.0.1:0\"\nservice = \"echo\"\ndialect = \"open\"\n{idle}");
        home.write("garden.toml", text)
    };
    let line = format!("serve --config {}", config("log-level = \"debug\"").display());
    let server = ServerProcess::started(home.command(&line).spawn().unwrap(), 1);
    config("idle-timeout = \"50ms\"\nlog-level = \"debug\"");
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    let mut peer = server.dial();
    assert_eq!(ask(&peer, "a"), "a\n");
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0, "the stream ends by itself");
    server.err.with("closed: idle-timeout");
}

#[test]
fn who_may_connect_is_read_again_and_by_which_balancer_is_not() {
    let home = home();
    let config = |more: &str| {
        let text = format!("bind = \"127.0.0.1:0\"\nservice = \"echo\"\n{more}");
        home.write("garden.toml", text)
    };
    let line = format!("serve --config {} --workers 2", config("").display());
    let server = ServerProcess::started(home.command(&line).spawn().unwrap(), 1);
    assert!(is_let_in(&home, &server, "one"));
    let connect = format!("connect {}", server.address());
    config("deny = \"127.0.0.0/8\"");
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    // By either worker.
    assert!((0..8).all(|_| home.run(&connect, "a\n").code == Some(76)));
    config("allow = [\"127.0.0.1\", \"unix\"]");
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    assert!((0..8).all(|_| is_let_in(&home, &server, "one")));
    config("proxy-from = \"127.0.0.1\"");
    server.signal("HUP");
    server.err.with("proxy-from cannot be changed by a reload; restart the server");
    assert!(is_let_in(&home, &server, "one"));
}

#[test]
fn a_status_has_a_line_for_the_process_and_one_for_each_listener() {
    let home = Home::with_keys(ONE);
    let text = "[[listener]]\nname = \"garden\"\nbind = \"127.0.0.1:0\"\n[[listener]]\n\
                name = \"open\"\nbind = \"127.0.0.1:0\"\ndialect = \"open\"\nservice = \"echo\"";
    let file = home.write("garden.toml", text);
    let line = format!("serve --config {}", file.display());
    let server = ServerProcess::started(home.command(&line).spawn().unwrap(), 2);
    let peer = super::served::dial(&server.addresses[1]);
    assert_eq!(ask(&peer, "a"), "a\n");
    server.signal("USR1");
    let process = server.err.with("INFO  status version=");
    assert!(process.contains(" workers=1 ") && process.contains(" draining=false "), "{process}");
    let garden = server.err.with("listener=garden ");
    assert!(garden.contains(" keys=one ") && garden.contains(" accepted=0 "), "{garden}");
    let open = server.err.with("listener=open ");
    for said in [" open=1 ", " accepted=1 ", " messages=1 ", " received=2 ", " sent=2 "] {
        assert!(open.contains(said), "{said}: {open}");
    }
}
