//! The commands of the manual's page on load tests: each runs, and prints what the page shows.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::home::{Home, PROGRAM, Ran, finish};
use super::served::ServerProcess;

const PAGE: &str = include_str!("../../src/manual/load.md");

/// Where the servers of the page listen.
const ADDRESS: &str = "127.0.0.1:9527";

/// Where the metrics of one are.
const ADMIN: &str = "127.0.0.1:9529";

/// A command of the page, and the lines that it prints there.
struct Shown {
    command: &'static str,
    output: Vec<&'static str>,
}

/// The commands in the page's blocks for a console, in order.
fn commands() -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    let blocks = PAGE.split("```console\n").skip(1);
    for line in blocks.flat_map(|block| block.split("```").next().unwrap_or("").lines()) {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push(Shown { command, output: Vec::new() }),
            None => commands.last_mut().unwrap().output.push(line),
        }
    }
    commands
}

/// The command with an address of its own, and with less to do.
fn shortened(command: &str, address: &str) -> String {
    let mut command = command.replace(ADDRESS, address);
    for (long, short) in [
        // Both of two loads that are merged run at the same time.
        ("-z 5s --output json", "-n 3k --output json"),
        ("-z 10s --output json", "-n 1200 --interval 100ms --output json"),
        (
            "--find 'p90<20ms' -z 5s",
            "--find 'p90<9s' --find-precision 50% --probe-time 100ms -z 300ms",
        ),
        ("--stages 5s@500,10s@500..3k,5s@500", "--stages 100ms@500,200ms@500..3k,100ms@500"),
        ("--warmup 1s", "--warmup 100ms"),
        // Counts instead of times: a busy machine takes longer, and still gets there.
        ("-z 10s", "-n 500"),
        ("-z 5s", "-n 100"),
        ("-z 1m", "-n 500"),
        ("'p99>50ms'", "'p99>60s'"),
        // Fewer messages need more faults.
        ("reset:0.1; mute:0.02; corrupt:0.1", "reset:5; mute:3; corrupt:5"),
        ("delay=1s:0.05", "delay=100ms:1"),
    ] {
        command = command.replace(long, short);
    }
    command
}

fn run(home: &Home, command: &str) -> Ran {
    let mut shell = Command::new("sh");
    home.prepare(&mut shell);
    let path = std::env::var("PATH").unwrap_or_default();
    let program = Path::new(PROGRAM).parent().unwrap().display();
    shell.env("PATH", format!("{program}:{path}")).current_dir(home.path(""));
    finish(shell.arg("-c").arg(command).spawn().unwrap(), b"")
}

/// The options of a server, without the quotes that a shell would remove.
fn serve(home: &Home, command: &str) -> ServerProcess {
    let mut arguments = Vec::new();
    for (index, part) in command.split('\'').enumerate() {
        match index % 2 {
            0 => arguments.extend(part.split_whitespace().map(str::to_owned)),
            _ => arguments.push(part.to_owned()),
        }
    }
    let mut server = home.command("");
    server.args(&arguments[1..]).args(["--bind", "127.0.0.1:0"]);
    ServerProcess::started(server.spawn().unwrap(), 1)
}

/// What a line says beside its figures: its words, without numbers, units, bars and dots.
fn labels(line: &str) -> Vec<&str> {
    let texts = line.split_whitespace().map(|it| it.trim_matches(|c: char| !c.is_alphanumeric()));
    let is_figure = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let units = ["", "ms", "µs", "s", "ns"];
    texts.filter(|word| !units.contains(word) && !is_figure(word)).collect()
}

/// Every line that the page shows was printed, in this order, with whatever figures.
fn compare(command: &str, output: &[&str], printed: &str) {
    let mut lines = printed.lines();
    for line in output {
        let starts_with_a_figure = line.trim_start().starts_with(|it: char| it.is_ascii_digit());
        if *line == "…" || starts_with_a_figure && line.contains(' ') {
            continue;
        }
        let is_code = line.parse::<i32>().is_ok();
        let found = lines.any(|printed| {
            // A rate that a busy machine did not reach has more to say.
            if is_code { printed == *line } else { labels(printed).starts_with(&labels(line)) }
        });
        assert!(found, "{command}\nthe page shows {line:?}, and it printed\n{printed}");
    }
}

#[test]
fn each_command_of_the_tutorial_prints_what_the_page_shows() {
    let home = Home::new();
    let mut server = None;
    let (mut address, mut admin) = (String::new(), None);
    let commands = commands();
    assert!(commands.len() > 20, "the page has lost its commands");
    for shown in &commands {
        if shown.command.starts_with("countersign serve") {
            // The one before stops, as the page tells its readers.
            drop(server.take());
            let command = shown.command.replace(ADMIN, "127.0.0.1:0");
            let started = serve(&home, &shortened(&command, ADDRESS));
            started.address().clone_into(&mut address);
            admin = shown.command.contains(ADMIN).then(|| started.admin());
            server = Some(started);
            continue;
        }
        let command = shown.command.replace(ADMIN, admin.as_deref().unwrap_or(ADMIN));
        let ran = run(&home, &shortened(&command, &address));
        let output = format!("{}{}", ran.err, ran.out);
        // Two loads of one build may differ, and a busy machine may hold no rate.
        let may_differ = ["load compare", "--find"].iter().any(|it| shown.command.contains(it));
        let code = ran.code.unwrap_or(-1);
        assert!(code == 0 || may_differ && code < 2, "{}: {code}\n{output}", shown.command);
        let certain = if may_differ { 1 } else { shown.output.len() };
        compare(shown.command, &shown.output[..certain], &output);
    }
    for name in ["stages.csv", "run.csv", "run.hgrm", "run.hlog", "run.html", "both.html"] {
        assert!(fs::metadata(home.path(name)).is_ok_and(|file| file.len() > 0), "{name}");
    }
}
