//! Variables: what an empty one means, what they beat, and that an error names them.

use std::process::Command;

use super::home::{Home, PROGRAM, finish};

const KEY: &str = "default  text:sixteen-bytes-and-more\n";

/// Every variable that a verb reads, by its help.
fn variables(verb: &str) -> Vec<String> {
    let mut help = Command::new(PROGRAM);
    let help = help.args(verb.split(' ')).arg("--help").env_clear().output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next());
    names.map(str::to_owned).collect()
}

#[test]
fn an_empty_variable_is_as_if_it_were_not_set() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --admin 127.0.0.1:0");
    let (address, admin) = (server.address().to_owned(), server.admin());
    let file = home.write("empty.toml", "").display().to_string();
    let mut count = 0;
    for (verb, rest) in [
        ("check-config", &*file),
        ("connect", &address),
        ("keygen", "other"),
        ("keys list", ""),
        ("keys check", ""),
        ("keys rotate", "other --overlap 1d"),
        ("load", &format!("{address} -n 10")),
        ("ping", &address),
        ("status", &admin),
    ] {
        let mut command = home.command(&format!("{verb} {rest}"));
        let names = variables(verb);
        count += names.len();
        command.envs(names.iter().map(|name| (name, ""))).env("CREDENTIALS_DIRECTORY", "");
        let ran = finish(command.spawn().unwrap(), b"a\n");
        assert_eq!(ran.code, Some(0), "{verb} {names:?}: {}", ran.err);
    }
    assert!(count > 100, "{count}");
}

#[test]
fn a_daemon_begins_where_all_its_variables_are_empty() {
    let home = Home::with_keys(KEY);
    for (verb, rest) in [
        ("serve", "--bind 127.0.0.1:0"),
        ("proxy", "--role server --listen 127.0.0.1:0 --target 127.0.0.1:9"),
    ] {
        let mut command = home.command(&format!("{verb} {rest}"));
        command.envs(variables(verb).iter().map(|name| (name, "")));
        let server = super::served::ServerProcess::started(command.spawn().unwrap(), 1);
        assert_eq!(server.stop().code, Some(0), "{verb}");
    }
}

#[test]
fn an_error_names_the_variable_that_a_value_came_from() {
    let home = Home::with_keys(KEY);
    let config = home.write("wrong.toml", "workers = 2\n").display().to_string();
    for (line, code, said) in [
        ("COUNTERSIGN_IDLE_TIMEOUT=soon serve", 2, "'soon' for 'COUNTERSIGN_IDLE_TIMEOUT'"),
        ("COUNTERSIGN_DIALECT=none ping a:1", 2, "'none' for 'COUNTERSIGN_DIALECT'"),
        ("COUNTERSIGN_MAX_CONNECTIONS=0 serve", 2, "for 'COUNTERSIGN_MAX_CONNECTIONS'"),
        ("COUNTERSIGN_ROLE=both proxy", 2, "'both' for 'COUNTERSIGN_ROLE'"),
        ("COUNTERSIGN_MESSAGE=a ping a:1 --no-message", 2, "with 'COUNTERSIGN_MESSAGE'"),
        (
            "COUNTERSIGN_FRAMING=lines serve --dialect multiprocessing",
            2,
            "the environment has COUNTERSIGN_FRAMING=lines",
        ),
        ("COUNTERSIGN_KEYS=/no/keys serve", 66, "the environment has COUNTERSIGN_KEYS=/no/keys"),
        (
            "COUNTERSIGN_CONFIG=/no/file serve",
            66,
            "the environment has COUNTERSIGN_CONFIG=/no/file",
        ),
        ("COUNTERSIGN_BIND=a.invalid:1 serve", 69, "the environment has COUNTERSIGN_BIND=a.inval"),
        (
            &format!("COUNTERSIGN_IDLE_TIMEOUT=soon check-config {config}"),
            2,
            "'soon' for 'COUNTERSIGN_IDLE_TIMEOUT'",
        ),
    ] {
        home.run(line, "").failed(code, &[said]);
    }
    // What is typed is at fault itself, and a variable that it beats isn't.
    let ran = home.run("COUNTERSIGN_IDLE_TIMEOUT=1m serve --idle-timeout soon", "");
    ran.failed(2, &["'soon' for '--idle-timeout <TIME>'"]);
    let ran = home.run("COUNTERSIGN_KEYS=/no/keys serve --keys /none", "");
    ran.failed(66, &["/none: "]);
    assert!(!ran.err.contains("COUNTERSIGN"), "{}", ran.err);
}

#[test]
fn a_flag_is_on_or_off_and_nothing_else() {
    let home = Home::with_keys(KEY);
    for (verb, flags) in [
        ("serve", "ADMIN_EXPOSED UTC RHEL ONCE VERIFY_ONLY CLOSE_REVOKED"),
        ("proxy --role server --listen a:1 --target a:2", "ADMIN_EXPOSED CLOSE_REVOKED"),
        ("ping a:1", "NO_MESSAGE QUIET RHEL ONCE VERIFY_ONLY"),
        ("connect a:1", "NO_REPLY RHEL ONCE VERIFY_ONLY"),
        ("load a:1", "RECONNECT RHEL ONCE VERIFY_ONLY"),
        ("status a:1", "JSON"),
        ("keys list", "JSON"),
    ] {
        let flags = flags.split(' ').map(|flag| format!("COUNTERSIGN_{flag}"));
        for flag in flags {
            for value in ["flase", "...", "2"] {
                let ran = home.run(&format!("{flag}={value} {verb}"), "");
                ran.failed(2, &[&format!("'{value}' for '{flag}'")]);
            }
        }
    }
    let lists_json = |line: &str| {
        let ran = home.run(line, "");
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.err);
        ran.out.contains('{')
    };
    for value in ["true", "1", "yes", "on", "ON"] {
        assert!(lists_json(&format!("COUNTERSIGN_JSON={value} keys list")), "{value}");
    }
    for value in ["false", "0", "no", "off", "False"] {
        assert!(!lists_json(&format!("COUNTERSIGN_JSON={value} keys list")), "{value}");
    }
    // A typed flag needs no value, and beats the variable.
    assert!(lists_json("keys list --json"));
    assert!(lists_json("COUNTERSIGN_JSON=off keys list --json"));
}

#[test]
fn a_variable_beats_the_top_of_a_file_and_no_listener_of_it() {
    let home = Home::new();
    let shown = |variables: &str, text: &str| {
        let file = home.write("served.toml", text);
        let ran = home.run(&format!("{variables} check-config {}", file.display()), "");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    };
    let variables = "COUNTERSIGN_BIND=127.0.0.1:7 COUNTERSIGN_SERVICE=echo";
    let top = "bind = \"127.0.0.1:1\"\ndialect = \"open\"\nservice = \"discard\"\n";
    assert!(shown(variables, top).starts_with("127.0.0.1:7: 127.0.0.1:7; echo, "));
    // So are those of a listener that says nothing of it.
    let one = "dialect = \"open\"\n[[listener]]\nname = \"a\"\n";
    assert!(shown(variables, one).starts_with("a: 127.0.0.1:7; echo, "));
    let one = format!("{one}bind = \"unix:/run/a\"\nservice = \"discard\"\n");
    assert!(shown(variables, &one).starts_with("a: unix:/run/a; discard, "));
    let two = format!("{one}[[listener]]\nname = \"b\"\nbind = \"127.0.0.1:2\"\n");
    let two = shown(variables, &two);
    assert!(two.contains("\nb: 127.0.0.1:2; echo, "), "{two}");
    // What is typed beats them all.
    let file = home.write("served.toml", &one);
    let ran = home.run(&format!("check-config {} --service echo", file.display()), "");
    assert!(ran.out.contains("; echo, "), "{ran:?}");
}
