//! The rules of the house, held over all sources: floors, home paths, sizes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "house/circles.rs"]
mod circles;
#[path = "house/names.rs"]
mod names;
#[path = "house/parts.rs"]
mod parts;

use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS: usize = 100;
const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;

/// The most names that `use countersign::…` gives without a module.
const ROOT_NAMES: usize = 50;

/// The most lines of code that the program may have, without tests.
const CLI_LINES: usize = 9_500;

/// The crates of the workspace, each a floor of its own that Cargo holds.
const CRATES: [&str; 9] = [
    "proto/src",
    "src",
    "conformance/src",
    "load/src",
    "relay/src",
    "report/src",
    "serve/src",
    "cli/src",
    CAPI,
];

/// The only crate that may be unsafe: C calls it.
const CAPI: &str = "capi/src";

/// The floor of each module of the library; a file names its own floor or lower ones.
const FLOORS: &[(&str, u32)] = &[
    ("clock", 0),
    ("os_error", 0),
    ("files", 0),
    ("unix_time", 0),
    ("key_file", 1),
    ("contract", 1),
    ("faults", 1),
    ("address", 2),
    ("random", 0),
    ("dial", 2),
    ("services", 2),
    ("loopback", 2),
    ("stats", 2),
    ("client", 2),
    ("reactor", 0),
    ("server", 3),
    ("auto_traits", 4),
    ("testing", 4),
];

/// What only some places may use.
const RESERVED: &[(&str, &[&str])] = &[
    ("chrono::", &["src/services/timestamp.rs", "src/key_file/date.rs"]),
    (
        "mio::",
        &[
            "src/dial.rs",
            "src/server/driver.rs",
            "src/server/mio_net.rs",
            "src/server/handle.rs",
            "load/src",
            "relay/src",
        ],
    ),
    (
        "socket2::",
        &[
            "src/address.rs",
            "src/dial.rs",
            "src/server/listener/socket.rs",
            "src/server/mio_net.rs",
            "src/server/listener/socket_file.rs",
            "conformance/src/wire.rs",
            "conformance/src/run.rs",
            "load/src/dial.rs",
            "relay/src/sockets.rs",
            "cli/src/systemd/listen_fds.rs",
        ],
    ),
    ("toml::", &["cli/src/config", "conformance/src/case.rs"]),
    // The options stand below the configuration, and that below the verbs.
    ("crate::config", &["cli/src/serve", "proto/src"]),
    ("crate::serve::", &[]),
    ("httparse::", &["cli/src/http.rs"]),
    ("sd_notify::", &["cli/src/systemd"]),
    ("listenfd::", &["cli/src/systemd"]),
    ("signal_hook::", &["cli/src/signals.rs"]),
    ("proxy_header::", &["load/src/balancer.rs", "src/server/proxy_protocol.rs"]),
    (
        "rustix::",
        &[
            "cli/src/admin/process.rs",
            "cli/src/connect",
            "cli/src/output",
            "cli/src/ring/edit.rs",
            "cli/src/signals.rs",
            "cli/src/system.rs",
            "cli/src/systemd/notify.rs",
            "conformance/src/command.rs",
            "load/src/busy.rs",
            "src/files.rs",
        ],
    ),
    ("rustyline::", &["cli/src/connect/terminal.rs"]),
    ("rand::", &["src/random.rs", "src/faults/random.rs", "load/src/pacer.rs"]),
    // Numbers are read within a range, whoever gives them.
    ("humantime::parse_duration", &["cli/src/units.rs"]),
    ("RangedU64ValueParser", &[]),
    // The sum of a moment and a time saturates.
    ("clock::monotonic() +", &[]),
    // Below the driver, time is an argument; a pipe that keys come by is read before there is one.
    (
        "crate::clock",
        &[
            "src/client.rs",
            "src/client/unanswered.rs",
            "src/client/wait.rs",
            "src/dial.rs",
            "src/files.rs",
            "load/src/generator.rs",
            "src/server/driver.rs",
            "src/server/listener/config.rs",
        ],
    ),
    ("Instant::now", &["src/clock.rs"]),
];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The lines that are code, with their numbers. Comments name what they like.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |(_, line): &(usize, &str)| !line.trim_start().starts_with("//");
        (1..).zip(self.text.lines()).filter(code)
    }

    /// The text without comments, and without what only tests compile: what stands behind an
    /// attribute for tests, up to the brace that the formatter puts into its column.
    fn code_without_tests(&self) -> String {
        let mut code = String::new();
        let (mut is_due, mut brace) = (false, None);
        for (_, line) in self.code() {
            let text = line.trim_start();
            if let Some(end) = &brace {
                brace = if line.starts_with(end) { None } else { brace };
            } else if ["#[cfg(test)]", "#[cfg(all(test,", "#[test]"]
                .iter()
                .any(|each| text.starts_with(each))
            {
                is_due = true;
            } else if is_due && !text.starts_with("#[") {
                is_due = false;
                let is_whole = line.ends_with(';') || line.ends_with('}');
                let indent = &line[..line.len() - text.len()];
                brace = (!is_whole).then(|| format!("{indent}}}"));
            } else if !is_due {
                code.push_str(line);
                code.push('\n');
            }
        }
        code
    }

    fn module(&self) -> &str {
        let path = self.path.strip_prefix("src").unwrap_or(&self.path);
        let first = path.components().next().and_then(|part| part.as_os_str().to_str());
        first.map_or("", |name| name.trim_end_matches(".rs"))
    }

    fn complain(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source { path: path.strip_prefix(root).unwrap().into(), text });
            }
        }
    }
    assert!(sources.len() >= 2, "there are sources");
    sources
}

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn hold(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn a_file_names_its_own_floor_or_lower_ones_by_the_home_path() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        let Some(own) = floor(source.module()) else {
            let exempt = ["lib", "main", "manual"].contains(&source.module());
            assert!(exempt, "{} stands on no floor", source.path.display());
            continue;
        };
        for (number, line) in source.code() {
            for path in line.split("crate::").skip(1) {
                let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
                let named = &path[..end.unwrap_or(path.len())];
                match floor(named) {
                    Some(floor) if floor <= own => {}
                    Some(_) => complaints.push(source.complain(number, "names a higher floor")),
                    None => complaints.push(source.complain(number, "names no home path")),
                }
            }
        }
    }
    hold(complaints);
}

#[test]
fn some_crates_are_used_in_one_place_alone() {
    let mut complaints = Vec::new();
    for source in sources(&CRATES) {
        for (number, line) in source.code() {
            for (used, places) in RESERVED.iter().copied() {
                let begins =
                    |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let names = line.match_indices(used).any(|(at, _)| begins(at));
                if names && !places.iter().any(|place| source.path.starts_with(place)) {
                    complaints.push(source.complain(number, &format!("{used} has its own place")));
                }
            }
        }
    }
    hold(complaints);
}

#[test]
fn lines_functions_and_files_are_short() {
    let mut complaints = Vec::new();
    for source in sources(&[&CRATES[..], &["tests", "benches", "examples"]].concat()) {
        let lines: Vec<&str> = source.text.lines().collect();
        if lines.len() > FILE_LINES {
            complaints.push(source.complain(lines.len(), "the file is too long"));
        }
        for (number, line) in (1..).zip(&lines) {
            if line.chars().count() > COLUMNS {
                complaints.push(source.complain(number, "the line is too long"));
            }
            if let Some(length) = function(&lines[number - 1..]).filter(|n| *n > FUNCTION_LINES) {
                let what = format!("the function has {length} lines");
                complaints.push(source.complain(number, &what));
            }
        }
    }
    hold(complaints);
}

/// Whether a function begins with this line, whoever may call it and however it runs.
fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_before = |word: &str| {
        word.starts_with("pub")
            || word.ends_with(')')
            || word.starts_with('"')
            || ["const", "async", "unsafe", "extern", "default"].contains(&word)
    };
    words.find(|word| !is_before(word)) == Some("fn")
}

#[test]
fn functions_are_known_by_any_of_their_beginnings() {
    let functions = [
        "fn a() {",
        "pub fn a() {",
        "pub(crate) const fn a() {",
        "pub(in crate::server) fn a() {",
        "pub async fn a() {",
        "const fn a() {",
    ];
    let others = ["fnord();", "pub struct A {", "call(|| fn_of(x));", "const A: fn(u8) = b;"];
    assert!(functions.iter().all(|line| is_function(line)));
    assert!(!others.iter().any(|line| is_function(line)));
}

/// The lines that are neither blank, nor comments, nor tests, nor for the fuzzer alone.
fn lines_of_code(source: &Source) -> usize {
    let is_test = |part: std::path::Component<'_>| {
        [Some("tests"), Some("tests.rs"), Some("fuzzing.rs")].contains(&part.as_os_str().to_str())
    };
    let is_code = !source.path.components().any(is_test);
    let code = if is_code { source.code_without_tests() } else { String::new() };
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

#[test]
fn the_program_is_small() {
    let lines: usize = sources(&["cli/src"]).iter().map(lines_of_code).sum();
    assert!(lines <= CLI_LINES, "{lines} lines are more than {CLI_LINES}");
}

#[test]
fn the_library_has_few_names_at_its_root() {
    let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let root = root.unwrap();
    let mut names = Vec::new();
    for reexport in root.split("\npub use ").skip(1) {
        let paths = reexport.split(';').next().unwrap().split([',', '{', '}']).map(str::trim);
        // What stands before a brace is the way there.
        let paths = paths.filter(|path| !path.is_empty() && !path.ends_with("::"));
        names.extend(paths.map(|path| path.rsplit("::").next().unwrap().to_owned()));
    }
    assert!(names.iter().any(|name| name == "Server"), "{names:?}");
    assert!(names.len() <= ROOT_NAMES, "{} names: {names:?}", names.len());
}

/// The lines of the body of a function that begins here, which ends where its indentation does.
fn function(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    let text = first.trim_start();
    if !is_function(text) {
        return None;
    }
    let end = format!("{}}}", &first[..first.len() - text.len()]);
    let body = lines.iter().position(|line| line.ends_with('{'))?;
    lines[body..].iter().position(|line| *line == end).map(|length| length - 1)
}

#[test]
fn lints_are_expected_with_a_reason_and_nothing_is_unsafe_but_what_c_calls() {
    let mut complaints = Vec::new();
    for source in sources(&[&CRATES[..], &["tests", "benches", "examples"]].concat()) {
        let own = source.path == Path::new("tests/house.rs");
        let may_be_unsafe = source.path.starts_with(CAPI);
        for (number, line) in source.code().filter(|_| !own) {
            if line.contains("#[allow") || line.contains("#![allow") {
                complaints.push(source.complain(number, "write #[expect(…, reason = …)]"));
            }
            if !may_be_unsafe && line.contains("unsafe ") {
                complaints.push(source.complain(number, "is unsafe"));
            }
        }
    }
    hold(complaints);
}

#[test]
fn the_protocols_need_no_operating_system() {
    let mut complaints = Vec::new();
    for source in sources(&["proto/src"]).iter().filter(|source| !source.path.ends_with("tests.rs"))
    {
        let is_of_tests = |(_, line): &(usize, &str)| line.ends_with("mod tests {");
        for (number, line) in source.code().take_while(|line| !is_of_tests(line)) {
            if line.contains("std::") {
                complaints.push(source.complain(number, "names std"));
            }
        }
    }
    hold(complaints);
}

/// What a package depends on, whatever its features are.
fn dependencies(package: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join("Cargo.toml");
    let manifest = fs::read_to_string(path).unwrap();
    let section = manifest.split("\n[").find(|part| part.starts_with("dependencies]")).unwrap();
    section
        .lines()
        .filter(|line| line.contains(" = ") && !line.contains("optional = true"))
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[test]
fn the_library_alone_depends_on_little() {
    let protocols = ["base16ct", "hkdf", "hmac", "memchr", "pbkdf2", "sha2", "zeroize"];
    assert_eq!(dependencies("proto"), protocols);
    let library = [
        "countersign-proto",
        "base16ct",
        "base64ct",
        "chrono",
        "libc",
        "memchr",
        "mio",
        "proxy-header",
        "rand",
        "rustix",
        "slab",
        "socket2",
        "zeroize",
    ];
    assert_eq!(dependencies("."), library);
}
