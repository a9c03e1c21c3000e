//! The help texts: short when asked in short, and beginning with examples when asked at length.

use super::home::{Home, skip};

/// The verbs that the program's own help lists, the program itself first.
fn verbs(home: &Home) -> Vec<String> {
    let mut verbs = vec![String::new()];
    let mut seen = 0;
    while let Some(verb) = verbs.get(seen).cloned() {
        let help = home.run(&format!("{verb} -h"), "").out;
        let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        let lines = listed.lines().take_while(|line| !line.is_empty());
        // A description that takes a second line is further in.
        let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let names = names.filter(|name| !name.is_empty() && *name != "help");
        verbs.extend(names.map(|name| format!("{verb} {name}").trim().to_owned()));
        seen += 1;
    }
    assert!(verbs.len() > 10, "only {verbs:?} were found");
    verbs
}

#[test]
fn help_is_longer_than_h_and_begins_with_examples() {
    let home = Home::new();
    for verb in verbs(&home) {
        let (short, long) =
            (home.run(&format!("{verb} -h"), ""), home.run(&format!("{verb} --help"), ""));
        assert_eq!((short.code, long.code), (Some(0), Some(0)), "{verb}");
        assert!(long.out.starts_with("Examples:\n  countersign "), "{verb}: {}", long.out);
        assert!(!short.out.contains("Examples:"), "{verb}: {}", short.out);
        assert!(long.out.lines().count() > short.out.lines().count(), "{verb}");
        assert_eq!((&short.err[..], &long.err[..]), ("", ""));
    }
    assert!(home.run("-h", "").out.lines().count() <= 24, "it fits a small terminal");
}

#[test]
fn no_line_of_help_is_wider_than_a_page() {
    let home = Home::new();
    for verb in verbs(&home) {
        for help in ["-h", "--help"] {
            for line in home.run(&format!("{verb} {help}"), "").out.lines() {
                assert!(line.chars().count() <= 100, "{verb} {help}: {line}");
            }
        }
    }
}

#[test]
fn every_option_is_read_from_the_variable_of_its_name() {
    let home = Home::new();
    let mut options = 0;
    for verb in &verbs(&home)[1..] {
        let help = home.run(&format!("{verb} --help"), "").out;
        for section in help.split("\n      --").skip(1) {
            // An option whose value is optional stands there with it: `name[=<VALUE>]`.
            let name = section.split([' ', '\n', '[']).next().unwrap();
            let variable = format!("COUNTERSIGN_{}", name.to_uppercase().replace('-', "_"));
            assert!(section.contains(&format!("[env: {variable}=]")), "{verb} --{name}");
            options += 1;
        }
    }
    assert!(options > 20, "only {options} were found");
}

#[test]
fn every_example_of_the_help_is_understood() {
    let home = Home::new();
    for verb in verbs(&home) {
        let help = home.run(&format!("{verb} --help"), "").out;
        let examples = help.split("\n\n").next().unwrap().lines().skip(1);
        for example in examples {
            let command = example.rsplit("| ").next().unwrap().trim().replace('\'', "");
            let line = command.split("   ").next().unwrap().strip_prefix("countersign ").unwrap();
            // What is wrong with the line is said before help is given.
            let ran = home.run(&format!("{line} --help"), "");
            assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{example}");
        }
    }
}

#[test]
fn no_option_stands_under_a_heading_that_is_not_its_own() {
    let help = Home::new().run("serve -h", "").out;
    let (general, limits) = (help.find("\nOptions:").unwrap(), help.find("\nLimits:").unwrap());
    let spoken = help.find("\nProtocol").unwrap();
    let at = |option: &str| help.find(&format!("  --{option} ")).unwrap();
    for option in ["bind", "service", "log-format", "log-level"] {
        assert!((general..spoken).contains(&at(option)), "--{option}");
    }
    for option in ["max-connections", "buffered-max"] {
        assert!(at(option) > limits, "--{option}");
    }
}

#[test]
fn the_version_is_short_with_a_small_v_and_tells_of_the_build_at_length() {
    const SHORT: &str = concat!("countersign ", env!("CARGO_PKG_VERSION"), "\n");
    let home = Home::new();
    home.run("-V", "").printed(SHORT);
    let ran = home.run("--version", "");
    let rest = ran.out.strip_prefix(SHORT).unwrap();
    let names: Vec<&str> = rest.lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!((ran.code, &names[..]), (Some(0), &["commit", "target"][..]));
}

#[test]
fn the_commit_is_the_one_that_is_checked_out() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let git = std::process::Command::new("git").args(["-C", root, "rev-parse", "HEAD"]).output();
    let commit = String::from_utf8(git.map(|git| git.stdout).unwrap_or_default()).unwrap();
    let out = Home::new().run("--version", "").out;
    let named = out.lines().find_map(|line| line.strip_prefix("commit ")).unwrap();
    if commit.is_empty() || !std::path::Path::new(root).join(".git").exists() {
        skip("this is no checkout");
    } else if std::env::var_os("COUNTERSIGN_COMMIT").is_some() {
        skip("the commit is given");
    } else {
        assert_eq!(named, &commit[..12]);
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn the_readme_shows_what_a_server_prints() {
    let home = Home::new();
    let server = home.serve("serve");
    let shown = |start| {
        include_str!("../../README.md").lines().find(|line| line.starts_with(start)).unwrap()
    };
    assert_eq!(server.err.with("  serves ").trim_end(), shown("  serves "));
    let [printed, shown] =
        [server.err.with("  memory "), shown("  memory ").to_owned()].map(|line| {
            let (number, rest) =
                line.trim_end().split_once("at most ").unwrap().1.split_once(' ').unwrap();
            (number.parse::<f64>().unwrap(), rest.to_owned())
        });
    assert_eq!(printed.1, shown.1);
    // A debug build takes a little more.
    assert!((printed.0 / shown.0 - 1.0).abs() < 0.01, "{} is {} here", shown.0, printed.0);
}

#[test]
fn every_command_of_the_readme_is_understood() {
    let home = Home::new();
    let mut commands = 0;
    for line in include_str!("../../README.md").lines() {
        let command = line.trim_start_matches("$ ").trim_start_matches("target/release/");
        let Some(options) = command.strip_prefix("countersign ") else { continue };
        if line.starts_with("$ ") {
            // A shell takes its comments and quotes away; no argument here has blanks in it.
            let options = options.split('#').next().unwrap().replace('\'', "");
            let ran = home.run(&format!("{options} --help"), "");
            assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{line}");
            commands += 1;
        }
    }
    assert!(commands >= 8, "only {commands} were found");
}
