//! The configuration file: what it sets, what beats it, and what is said of a bad one.

use super::home::Home;

const KEY: &str = "default  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n";

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
    let home = Home::with_keys(KEY);
    let full = home.write("full.toml", "service = \"discard\"\nbind = \"127.0.0.1:0\"\n");
    let none = home.write("none.toml", "bind = \"127.0.0.1:0\"\n");
    let (full, none) = (full.display(), none.display());
    let cases = [
        (format!("serve --config {none}"), "timestamp"),
        (format!("serve --config {full}"), "discard"),
        (format!("COUNTERSIGN_CONFIG={full} serve"), "discard"),
        (format!("COUNTERSIGN_SERVICE=echo serve --config {full}"), "echo"),
        (
            format!("COUNTERSIGN_SERVICE=echo serve --config {full} --service timestamp"),
            "timestamp",
        ),
    ];
    for (line, service) in cases {
        let ran =
            super::served::ServerProcess::started(home.command(&line).spawn().unwrap(), 1).stop();
        assert!(ran.err.contains(&format!("  serves   {service}, ")), "{line}: {}", ran.err);
    }
}

#[test]
fn a_switch_of_the_file_is_off_where_the_environment_says_so() {
    let home = Home::new();
    let file = home.write("open.toml", "dialect = \"open\"\nonce = true\nbind = \"127.0.0.1:0\"");
    for (once, is_on) in [("1", true), ("0", false)] {
        let line = format!("COUNTERSIGN_ONCE={once} serve --config {}", file.display());
        let ran =
            super::served::ServerProcess::started(home.command(&line).spawn().unwrap(), 1).stop();
        assert_eq!(ran.err.contains(" --once"), is_on, "{}", ran.err);
    }
}

#[test]
fn what_the_file_says_is_served() {
    let home = Home::new();
    home.write("keys", KEY.replace("default", "filed"));
    let text = "service = \"echo\"\ndialect = \"hex\"\nkeys = \"keys\"\nlog-format = \"json\"\n\
                bind = [\"127.0.0.1:0\", \"unix:sock\"]\nframing = \"length\"\n";
    let file = home.write("garden.toml", text);
    let mut command = home.command(&format!("serve --config {}", file.display()));
    // Its paths are its directory's, wherever the server is started.
    let server =
        super::served::ServerProcess::started(command.current_dir("/").spawn().unwrap(), 2);
    assert_eq!(server.addresses[1], format!("unix:{}", home.path("sock").display()));
    for address in &server.addresses {
        let line = format!("connect {address} --dialect hex --framing length --keys");
        home.run(&format!("{line} {}", home.path("keys").display()), "a\n").printed("a\n");
    }
    let ran = server.stop();
    assert!(ran.err.contains("\"keys\":\"") && ran.err.contains("keys (filed)"), "{}", ran.err);
}

#[test]
fn check_config_shows_each_listener_and_the_bound_on_memory() {
    let home = Home::new();
    home.write("keys", KEY);
    let text = "keys = \"keys\"\nmax-connections = 100\n[[listener]]\nname = \"garden\"\n\
                bind = [\"127.0.0.1:9527\", \"unix:sock\"]\n[[listener]]\nbind = \"[::1]:9528\"\n\
                dialect = \"open\"\nservice = \"echo\"\nmax-connections = 50\n";
    let file = home.write("garden.toml", text);
    let ran = home.run(&format!("check-config {}", file.display()), "");
    assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{ran:?}");
    let lines: Vec<_> = ran.out.lines().collect();
    let [garden, open, memory] = lines[..] else { panic!("{}", ran.out) };
    let (keys, socket) = (home.path("keys"), home.path("sock"));
    let said = format!(
        "garden: 127.0.0.1:9527, unix:{}; timestamp, dialect countersign/1, records required, \
         messages up to 64 KiB; keys {} (default); at most ",
        socket.display(),
        keys.display()
    );
    assert!(garden.starts_with(&said), "{garden}\n{said}");
    assert!(garden.ends_with(" MiB, with 100 connections"), "{garden}");
    let said = "[::1]:9528: [::1]:9528; echo, dialect open, framing lines, messages up to 64 KiB; \
                keys none; at most ";
    assert!(open.starts_with(said) && open.ends_with(" with 50 connections"), "{open}");
    assert!(memory.starts_with("memory: at most "), "{memory}");
    assert!(memory.ends_with(" MiB, with 150 connections, whatever peers do"), "{memory}");
    assert!(!socket.exists(), "nothing was bound");
}

#[test]
fn check_config_takes_the_options_of_serve_and_makes_no_ring() {
    let home = Home::new();
    let file = home.write("garden.toml", "service = \"echo\"\n");
    let file = file.display();
    let ran = home.run(&format!("check-config {file} --service discard --bind 127.0.0.1:7"), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("127.0.0.1:7: 127.0.0.1:7; discard, "), "{}", ran.out);
    assert!(ran.out.contains("keys (does not exist yet; serve creates it);"), "{}", ran.out);
    assert!(!home.ring().exists());
}

#[test]
fn a_bad_configuration_is_78_and_none_is_66() {
    let home = Home::with_keys(KEY);
    let (name, missing) = (home.path("garden.toml"), home.path("none.toml"));
    let (name, missing) = (name.display(), missing.display());
    let cases = [
        ("idle-timout = \"5s\"", "1: unknown key \"idle-timout\"; did you mean \"idle-timeout\"?"),
        ("idle-timeout = \"soon\"", "1: idle-timeout: invalid value 'soon'"),
        ("bind = \"127.0.0.1:1", "1:20: invalid basic string"),
        (
            "\n[[listener]]\ndialect = \"multiprocessing\"\nframing = \"lines\"",
            "2: multiprocessing has",
        ),
        ("bind = []", "1: bind: write at least one address"),
        // Empty lists of sources mean everybody, which nobody means by a blank.
        ("allow = []", "1: allow: write at least one network; 0.0.0.0/0, ::/0 and unix"),
        ("allow = \"\"", "1: allow: invalid value '': \"\" is not a network"),
        ("deny = [\" \"]", "1: deny: invalid value ' ': \"\" is not a network"),
        ("proxy-from = \"\"", "1: proxy-from: invalid value '': \"\" is not a network"),
        ("dialect = \"multiprocessing\"", "1: "),
    ];
    for (text, said) in cases {
        home.write("garden.toml", text);
        for verb in [format!("check-config {name}"), format!("serve --config {name}")] {
            let ran = home.run(&verb, "");
            ran.failed(78, &[&format!("countersign: {name}:{said}")]);
            assert_eq!(ran.out, "");
        }
    }
    // What has set the value that a message is about is said in a line of its own.
    home.write("garden.toml", "dialect = \"multiprocessing\"\nframing = \"lines\"\n");
    for (variables, said) in [
        ("", format!("countersign: {name}:2 has framing = \"lines\"\n")),
        (
            "COUNTERSIGN_FRAMING=chunks ",
            "countersign: the environment has COUNTERSIGN_FRAMING=chunks\n".to_owned(),
        ),
    ] {
        let ran = home.run(&format!("{variables}check-config {name}"), "");
        ran.failed(78, &["; remove --framing\n", &said]);
        assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
    }
    for verb in [format!("check-config {missing}"), format!("serve --config {missing}")] {
        let said = format!("countersign: cannot read {missing}: no such file or directory");
        home.run(&verb, "").failed(66, &[&said]);
    }
}

#[test]
fn all_that_is_wrong_is_said_in_a_line_each() {
    let home = Home::new();
    let file = home.write("garden.toml", "utc = 1\nidle-timout = \"5s\"\nonce = 1\n");
    let ran = home.run(&format!("check-config {}", file.display()), "");
    ran.failed(78, &[":1: utc: ", ":2: unknown key ", ":3: once: "]);
    assert!(ran.err.lines().all(|line| line.starts_with("countersign: ")), "{}", ran.err);
    // So it is where each listener lacks something.
    let text = "[[listener]]\nkeys = \"none\"\n[[listener]]\nkeys = \"no\"\nbind = \"a.invalid:1\"";
    let file = home.write("garden.toml", text);
    let ran = home.run(&format!("check-config {}", file.display()), "");
    ran.failed(66, &[":1: ", "/none: no such file", ":3: ", "/no: no such file"]);
    home.write("none", KEY);
    home.write("no", KEY);
    let ran = home.run(&format!("check-config {}", file.display()), "");
    ran.failed(69, &[":5: cannot bind a.invalid:1: "]);
}

#[test]
fn an_address_is_not_typed_for_several_listeners() {
    let home = Home::new();
    let text = "[[listener]]\nbind = \"127.0.0.1:1\"\n[[listener]]\n";
    let file = home.write("garden.toml", format!("{text}bind = \"127.0.0.1:2\"\n"));
    let silent = home.write("silent.toml", text);
    for (line, said) in [
        (
            format!("serve --config {} --bind 127.0.0.1:3", file.display()),
            "--bind applies to one listener",
        ),
        (
            format!("COUNTERSIGN_BIND=127.0.0.1:3 serve --config {}", silent.display()),
            "COUNTERSIGN_BIND applies to one listener",
        ),
    ] {
        home.run(&line, "").failed(2, &[said, "has 2; write bind in each [[listener]]"]);
    }
}

#[test]
fn the_example_of_the_manual_is_in_order() {
    let home = Home::new();
    let manual = include_str!("../../src/manual/operations.md");
    let example = manual.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let file = home.write("garden.toml", example);
    home.write("keys", KEY);
    home.write("keys-of-python", "python  text:sixteen-bytes-and-more  dialects=multiprocessing\n");
    let line = format!("check-config {}", file.display());
    let ran = home.run(&line, "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 4, "{}", ran.out);
    // What the manual says of mistakes is said.
    let wrong = example.replacen("idle-timeout", "idle-timout", 1).replace("\"1h\"", "\"soon\"");
    home.write("garden.toml", wrong);
    let ran = home.run(&line, "");
    let shown = manual.split("$ countersign check-config garden.toml\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    assert_eq!(ran.err.replace(&format!("{}", file.display()), "garden.toml"), shown);
}

#[test]
fn several_listeners_are_served_on_one_loop_each_in_its_own_way() {
    let home = Home::with_keys(KEY);
    home.write("other", KEY.replace("default", "other").replace("sixteen", "seventeen"));
    let text = "bind = \"127.0.0.1:0\"\n[[listener]]\nname = \"stamps\"\nutc = true\n\
                [[listener]]\nname = \"echo\"\nservice = \"echo\"\ndialect = \"raw\"\n\
                keys = \"other\"\n\
                [[listener]]\nname = \"open\"\nservice = \"echo\"\ndialect = \"open\"\n\
                framing = \"length\"\nbind = [\"127.0.0.1:0\", \"unix:sock\"]\n";
    let file = home.write("garden.toml", text);
    let line = format!("serve --config {}", file.display());
    let server = super::served::ServerProcess::started(home.command(&line).spawn().unwrap(), 4);
    let [stamps, echo, open, socket] = &server.addresses[..] else { panic!("four addresses") };
    let ran = home.run(&format!("connect {stamps}"), "a\n");
    assert!(ran.out.starts_with('[') && ran.out.ends_with("] a\n"), "{ran:?}");
    let other = home.path("other").display().to_string();
    home.run(&format!("connect {echo} --dialect raw --keys {other}"), "a\n").printed("a\n");
    for address in [open, socket] {
        let line = format!("connect {address} --dialect open --framing length");
        home.run(&line, "a\n").printed("a\n");
    }
    // The key of one listener opens no other.
    assert_eq!(home.run(&format!("connect {echo} --dialect raw"), "a\n").code, Some(77));
    let ran = server.stop();
    for name in ["stamps", "echo", "open"] {
        assert!(ran.err.contains(&format!("  listener {name}\n  serves   ")), "{}", ran.err);
    }
    assert_eq!(ran.err.matches("  memory   ").count(), 1, "{}", ran.err);
    assert_eq!(ran.err.matches("  connect  ").count(), 4, "{}", ran.err);
    assert!(ran.err.contains("stopped; 5 connections, 4 messages"), "{}", ran.err);
}
