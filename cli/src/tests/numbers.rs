//! What holds for every number that an option takes: it has a range, and says what `0s` means.

use std::any::TypeId;
use std::time::Duration;

use clap::{Arg, Command};

/// What help calls a number.
const NAMES: [&str; 6] = ["TIME", "N", "SIZE", "RATE", "DEPTH", "SHARE"];

/// The options of all verbs that take a number, each with its verb.
fn numbers(command: &Command) -> Vec<(String, Arg)> {
    let own = command.get_arguments().filter(|arg| is_number(arg));
    let mut all: Vec<_> = own.map(|arg| (command.get_name().to_owned(), arg.clone())).collect();
    command.get_subcommands().for_each(|verb| all.extend(numbers(verb)));
    all
}

/// Whether it is one by its type or by its name, which go together.
fn is_number(arg: &Arg) -> bool {
    let types = [
        TypeId::of::<Duration>(),
        TypeId::of::<usize>(),
        TypeId::of::<u64>(),
        TypeId::of::<u32>(),
        TypeId::of::<u16>(),
        TypeId::of::<i64>(),
        TypeId::of::<f64>(),
    ];
    let parser = arg.get_value_parser();
    let names = arg.get_value_names().unwrap_or_default();
    // A mode is written in octal digits, and has a reader of its own.
    let is_mode = names.iter().any(|name| name == "MODE");
    let by_type = types.into_iter().any(|of| parser.type_id() == of) && !is_mode;
    let by_name = names.iter().any(|name| NAMES.contains(&name.as_str()));
    assert_eq!(by_type, by_name, "--{}: call a number one of {NAMES:?}", arg.get_id());
    by_type
}

/// What clap says of a value.
fn read(arg: &Arg, value: &str) -> Result<(), String> {
    let long = arg.get_long().unwrap();
    // Without the other options, which it may not be combined with.
    let parser = arg.get_value_parser().clone();
    let alone = Command::new("alone")
        .arg(Arg::new(arg.get_id().clone()).long(long.to_owned()).value_parser(parser));
    let read = alone.try_get_matches_from(["alone".to_owned(), format!("--{long}={value}")]);
    read.map(drop).map_err(|error| error.render().to_string())
}

#[test]
fn every_number_has_a_range_and_a_remedy() {
    let all = numbers(&crate::command());
    assert!(all.len() > 30, "{}", all.len());
    let senseless = ["", "-1", "-5s", "NaN", "nan", "inf", "1e99", "0x10", "1.5", "1_000", " 5"];
    let overflowing = [
        "400000000000y",
        "18446744073709551615y",
        "18446744073709551615g",
        "99999999999999999999",
        "99999999999999999999s",
        "18446744073709551616",
    ];
    for (verb, arg) in &all {
        let is_whole = arg.get_value_parser().type_id() != TypeId::of::<f64>();
        let wrong = senseless.into_iter().chain(overflowing);
        for value in wrong.filter(|value| is_whole || *value != "1.5") {
            let said = read(arg, value).expect_err(&format!("{verb} {}: {value}", arg.get_id()));
            assert!(
                said.contains("write a ") || value.is_empty(),
                "{verb} {}: {said}",
                arg.get_id()
            );
        }
    }
}

#[test]
fn help_says_what_0s_means_where_it_is_taken() {
    for (verb, arg) in numbers(&crate::command()) {
        let is_time = arg.get_value_parser().type_id() == TypeId::of::<Duration>();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default = arg.get_default_values().iter().any(|value| value == "0s");
        let said = help.split(' ').any(|word| word == "0s") || default;
        let taken = is_time && read(&arg, "0s").is_ok();
        assert_eq!(taken, said, "{verb} --{}: {help}", arg.get_id());
        assert_eq!(taken, is_time && read(&arg, "0").is_ok(), "{verb} --{}", arg.get_id());
    }
}
