use clap::builder::PossibleValue;
use clap::error::ContextKind;
use clap::{Arg, ArgAction, Args as _, CommandFactory as _, FromArgMatches as _, Parser};
use proptest::prelude::*;

use super::*;
use crate::args::environment::in_one_line;

#[derive(Debug, Parser)]
struct Typed {
    #[command(flatten)]
    args: ConfigArgs,
}

/// The settings of a file's text behind what was typed.
fn settings(typed: &str, text: &[u8]) -> Result<Settings, Failure> {
    let argv = ["serve"].into_iter().chain(typed.split_whitespace());
    let command = Typed::command();
    let matches = command.clone().get_matches_from(argv);
    let Typed { args } = Typed::from_arg_matches(&matches).unwrap();
    let origins = Origins::of(&command, &matches);
    let path = Path::new("/etc/countersign/garden.toml");
    let Config { args, .. } = Config::new(None, args, &origins);
    File { path: &Arc::from(path), args: &args }.settings(text)
}

fn read(text: &str) -> Result<Settings, String> {
    settings("", text.as_bytes()).map_err(|failure| failure.to_string())
}

/// The options behind all keys.
fn options() -> Vec<Arg> {
    let command = ConfigArgs::augment_args(Command::new("serve"));
    command.get_arguments().cloned().collect()
}

/// A value for an option, as it is written in a file.
fn sample(arg: &Arg) -> String {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return "true".to_owned();
    }
    let word = match (arg.get_default_values().first(), arg.get_value_names()) {
        (Some(value), _) => value.to_str().unwrap().to_owned(),
        (None, Some([name])) => match name.as_str() {
            "N" => "7".to_owned(),
            "TIME" => "7s".to_owned(),
            "SPEC" => "mute:7".to_owned(),
            "ADDR" => "127.0.0.1:7".to_owned(),
            "CIDR" => "192.0.2.0/24".to_owned(),
            "NAME" => arg.get_possible_values().first().map_or("x", PossibleValue::get_name).into(),
            _ => "x".to_owned(),
        },
        _ => panic!("an option that takes one value: {arg:?}"),
    };
    format!("{word:?}")
}

#[test]
fn every_option_can_stand_in_a_file() {
    let mut whole = String::new();
    for arg in &options() {
        let line = format!("{} = {}\n", arg.get_long().unwrap(), sample(arg));
        assert_eq!(read(&line).map(drop), Ok(()), "{line}");
        whole.push_str(&line);
    }
    assert!(whole.lines().count() > 25, "{whole}");
    assert_eq!(read(&whole).map(drop), Ok(()), "all of them together");
}

#[test]
fn what_is_a_listeners_can_stand_in_its_table_and_nothing_else() {
    let process = ProcessArgs::augment_args(Command::new("process"));
    for arg in &options() {
        let name = arg.get_long().unwrap();
        let text = format!("[[listener]]\n{name} = {}\n", sample(arg));
        let is_process = process.get_arguments().any(|each| each.get_id() == arg.get_id());
        assert_eq!(is_process, schema::PROCESS.contains(&name), "{name}");
        match is_process {
            false => assert_eq!(read(&text).map(drop), Ok(()), "{text}"),
            true => {
                let said = read(&text).unwrap_err();
                assert!(said.starts_with("/etc/countersign/garden.toml:2: "), "{said}");
                assert!(said.contains("move it to the top of the file"), "{said}");
            }
        }
    }
}

#[test]
fn a_value_is_right_or_wrong_as_on_the_command_line() {
    let numbers = ["0", "1", "7", "4k", "1g", "2g", "10m", "11m", "5s", "0s", "1ms", "48d", "49d"];
    let words = ["", "x", "-1", "a b", "echo", "raw", "sha256", "md5", "length", "off", "json"];
    let others =
        ["true", "no", "maybe", "10.0.0.0/8", "10.0.0.1/8", "0660", "9999", "unix", "warn"];
    for arg in options().iter().filter(|arg| !matches!(arg.get_action(), ArgAction::SetTrue)) {
        let name = arg.get_long().unwrap();
        for text in numbers.iter().chain(&words).chain(&others) {
            let typed = Typed::try_parse_from(["serve".to_owned(), format!("--{name}={text}")]);
            let typed = typed.map(drop).map_err(|error| {
                let option = error.get(ContextKind::InvalidArg).map(|arg| format!(" for '{arg}'"));
                let said = in_one_line(&error).replace(&option.unwrap_or_default(), "");
                format!("/etc/countersign/garden.toml:1: {name}: {said}")
            });
            assert_eq!(read(&format!("{name} = {text:?}")).map(drop), typed, "{name} = {text}");
        }
    }
}

#[test]
fn what_has_set_a_value_is_known() {
    let text = "idle-timeout = \"1m\"\ndeny = [\"::1\", \"unix\"]\n[[listener]]\n\
                framing = \"lines\"\nidle-timeout = \"2m\"";
    let settings = settings("--idle-timeout 3m", text.as_bytes()).unwrap();
    let origins = &settings.listeners[0].origins;
    assert_eq!(*origins.source("idle-timeout"), Source::CommandLine);
    assert_eq!(*origins.source("dialect"), Source::Default);
    assert_eq!(origins.written("dialect"), ["countersign/1"]);
    let behind = origins.behind("leave out --framing, --idle-timeout, or --dialect; or --deny");
    let expected = [
        "/etc/countersign/garden.toml:2 has deny = [\"::1\", \"unix\"]",
        "/etc/countersign/garden.toml:4 has framing = \"lines\"",
    ];
    assert_eq!(behind, expected);
}

#[test]
fn a_listener_has_what_stands_at_the_top_unless_it_has_its_own() {
    let text = "bind = \"a:1\"\nname = \"alone\"";
    let settings = read(text).unwrap();
    assert_eq!(settings.listeners.len(), 1, "no table is one listener");
    assert_eq!(
        (&*settings.listeners[0].bind, settings.listeners[0].name.as_deref()),
        (&["a:1".to_owned()][..], Some("alone"))
    );
    let text = "dialect = \"raw\"\nrhel = true\n[[listener]]\nbind = \"a:1\"\n\
                [[listener]]\nbind = [\"b:1\", \"c:1\"]\ndialect = \"open\"\nrhel = false";
    let settings = read(text).unwrap();
    let protocol = |at: usize| {
        let ListenerArgs { protocol: args, bind, .. } = &settings.listeners[at];
        (args.handshake(), args.rhel, bind.join(" "))
    };
    assert_eq!(protocol(0), ("raw", true, "a:1".to_owned()));
    assert_eq!(protocol(1), ("open", false, "b:1 c:1".to_owned()));
}

#[test]
fn what_was_typed_beats_the_file_for_every_listener() {
    let text = "dialect = \"raw\"\n[[listener]]\nbind = \"a:1\"\n[[listener]]\nbind = \"b:1\"\n\
                dialect = \"hex\"";
    let settings = settings("--dialect open", text.as_bytes()).unwrap();
    for listener in &settings.listeners {
        assert_eq!(listener.protocol.handshake(), "open");
    }
}

#[test]
fn paths_are_taken_from_the_directory_of_the_file() {
    let bound = |bind: &str| read(&format!("bind = {bind:?}")).unwrap().listeners[0].bind.join(" ");
    for (written, meant) in [
        ("unix:sock", "unix:/etc/countersign/sock"),
        ("unix:/run/sock", "unix:/run/sock"),
        ("unix:@name", "unix:@name"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ] {
        assert_eq!(bound(written), meant);
    }
    let keys = |text: &str| read(text).unwrap().listeners[0].protocol.keys.clone().unwrap();
    assert_eq!(keys("keys = \"keys\""), Path::new("/etc/countersign/keys"));
    assert_eq!(keys("keys = \"/keys\""), Path::new("/keys"));
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_the_remedy() {
    let cases = [
        (
            "\nidle-timout = \"5s\"",
            "2: unknown key \"idle-timout\"; did you mean \"idle-timeout\"?",
        ),
        (
            "idle_timeout = \"5s\"",
            "1: unknown key \"idle_timeout\"; did you mean \"idle-timeout\"?",
        ),
        ("\"\" = 1", "1: unknown key \"\"; `countersign serve --help` lists the keys"),
        ("xyz.x = 1", "1: unknown key \"xyz\"; `countersign serve --help` lists the keys"),
        ("config = \"x\"", "1: a configuration file can't name another one; remove \"config\""),
        ("help = true", "1: \"help\" can't be set in a file; remove it"),
        (
            "name = \"x\"\n[[listener]]",
            "1: \"name\" belongs to one listener; move it into its [[listener]]",
        ),
        ("name = \"a b\"", "1: name: invalid value 'a b': write a word of up to 64 letters"),
        (
            "idle-timeout = \"soon\"",
            "1: idle-timeout: invalid value 'soon': write a time from 1ms to 48d, like 500ms, 5s \
             or 1h, or 0s for none",
        ),
        ("idle-timeout = 5", "1: idle-timeout: invalid value '5': write a time from 1ms to 48d"),
        (
            "service = \"ech\"",
            "1: service: invalid value 'ech' [possible values: timestamp, echo, \
             discard, sink, size=N, source=N]; a similar value exists: 'echo'",
        ),
        ("utc = \"yes\"", "1: utc: write true or false"),
        ("records = true", "1: records: write a value in quotes"),
        ("buffered-max = 1.5", "1: buffered-max: write text or a whole number, not a float"),
        ("buffered-max = 2018-05-10", "1: buffered-max: write text or a whole number, not a date"),
        ("buffered-max = {}", "1: buffered-max: write text or a whole number, not a table"),
        ("buffered-max = 99999999999999999999", "1: buffered-max: the number is too large"),
        ("buffered-max = [1]", "1: buffered-max: this takes one value, not an array"),
        ("bind = [[\"a:1\"]]", "1: bind: nested arrays are not supported"),
        ("unix-mode = 660", "1: unix-mode: a mode is octal; write it like \"0660\" or 0o660"),
        (
            "[listener]\nbind = \"a:1\"",
            "1: write [[listener]] with two brackets; there can be several",
        ),
        ("listener = [1]", "1: write [[listener]] with two brackets; there can be several"),
        ("bind = \"a:1", "1:12: invalid basic string, expected `\"`"),
        ("\nutc = true\nutc = true", "3:1: duplicate key"),
        (
            "[[listener]]\nbind = \"a:1\"\n[[listener]]\nbind = \"a:1\"",
            "4: the address a:1 is already used on line 2",
        ),
        ("[[listener]]\n[[listener]]", "2: the address 127.0.0.1:9527 is already used on line 1"),
        ("bind = [\"a:1\", \"a:1\"]", "1: the address a:1 is already used on line 1"),
        (
            "[[listener]]\nname = \"x\"\nbind = \"a:1\"\n[[listener]]\nname = \"x\"",
            "4: the name x is already used on line 1",
        ),
    ];
    for (text, said) in cases {
        let error = read(text).unwrap_err();
        let said = format!("/etc/countersign/garden.toml:{said}");
        assert!(error.starts_with(&said), "{error}\n{said}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let error = settings("", b"utc = true\n\xff").unwrap_err().to_string();
    assert_eq!(error, "/etc/countersign/garden.toml:2: not valid UTF-8");
}

#[test]
fn all_that_is_wrong_is_said_at_once_in_the_order_of_the_lines() {
    let text = "utc = 1\nidle-timout = \"5s\"\n[[listener]]\nonce = 1\nlog-level = \"info\"";
    let error = read(text).unwrap_err();
    let lines: Vec<_> = error.lines().filter_map(|line| line.split(':').nth(1)).collect();
    assert_eq!(lines, ["1", "2", "4", "5"], "{error}");
}

#[test]
fn a_mode_is_octal_and_other_numbers_are_what_they_are() {
    let one = |text: &str| read(text).unwrap().listeners.remove(0);
    for text in ["unix-mode = \"0660\"", "unix-mode = 0o660"] {
        assert_eq!(one(text).unix_mode, 0o660, "{text}");
    }
    for text in ["message-max = \"1k\"", "message-max = 1024", "message-max = 0x400"] {
        assert_eq!(one(text).protocol.message_max, 1024, "{text}");
    }
}

#[test]
fn what_is_one_listeners_is_not_typed_for_several() {
    let text = "[[listener]]\nbind = \"a:1\"\n[[listener]]\nbind = \"b:1\"";
    for (typed, said) in
        [("--bind c:1", "--bind applies to one"), ("--name x", "--name applies to one")]
    {
        let error = settings(typed, text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(said) && error.contains("write "), "{error}");
        let one = settings(typed, b"[[listener]]\nbind = \"a:1\"");
        assert!(one.is_ok(), "{typed}");
    }
}

/// Pieces of files, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    let keys: Vec<_> =
        options().iter().filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
    let whole: Vec<_> = options()
        .iter()
        .map(|arg| format!("{} = {}\n", arg.get_long().unwrap(), sample(arg)))
        .collect();
    let signs = [
        "=",
        "\n",
        "[[listener]]\n",
        "[listener]\n",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'''",
        ",",
        "#",
        ".",
        "true",
        "1",
        "0o7",
        "1.5",
        "2018-05-10",
        "\u{feff}",
        "\u{0}",
        "é",
    ];
    prop_oneof![
        3 => proptest::sample::select(whole),
        2 => proptest::sample::select(keys),
        4 => proptest::sample::select(signs.map(str::to_owned).to_vec()),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_file_makes_us_panic(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        if let Err(error) = read(&text) {
            prop_assert!(error.starts_with("/etc/countersign/garden.toml:"), "{error}");
        }
    }

    #[test]
    fn no_bytes_make_us_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = settings("", &bytes);
    }
}

#[test]
fn no_listener_has_the_address_of_the_pages() {
    for (text, said) in [
        (
            "admin = \"127.0.0.1:9527\"\nbind = [\"a:1\", \"127.0.0.1:9527\"]",
            "2: the address 127.0.0.1:9527 is also the --admin address",
        ),
        ("admin = \"127.0.0.1:9527\"", "1: the address 127.0.0.1:9527 is also the --admin address"),
        (
            "admin = \"unix:a\"\n[[listener]]\nbind = \"unix:a\"",
            "3: the address unix:/etc/countersign/a is also the --admin address",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error, format!("/etc/countersign/garden.toml:{said}"));
    }
    assert!(read("admin = \"127.0.0.1:0\"\nbind = \"127.0.0.1:0\"").is_ok());
}
