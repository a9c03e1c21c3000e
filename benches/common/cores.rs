//! A core for the server, and another for the generator.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

/// The core of the servers and that of the generator, where this process may use two.
fn cores() -> Option<[u32; 2]> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    // "0-1,4"
    let mut cores = list.trim().split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let numbers = first.parse::<u32>().ok().zip(last.parse::<u32>().ok());
        numbers.into_iter().flat_map(|(first, last)| first..=last)
    });
    Some([cores.next()?, cores.next()?])
}

/// The cores, for as long as this process may use both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores(Option<[u32; 2]>);

impl Cores {
    /// Keeps this process, which generates the load, on a core of its own. Says so if there is none
    /// or `taskset` is not installed: then the system distributes them.
    pub(crate) fn split() -> Self {
        let cores = cores().filter(|[_, generator]| {
            let mut command = Command::new("taskset");
            command.args(["-pc", &generator.to_string(), &std::process::id().to_string()]);
            command.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
        });
        if cores.is_none() {
            println!("# The server and the generator are not kept on a core each.");
        }
        Self(cores)
    }

    /// A command that runs a server on its core.
    pub(crate) fn server(self, program: impl AsRef<OsStr>) -> Command {
        let Some([server, _]) = self.0 else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.args(["-c", &server.to_string()]).arg(program);
        command
    }
}
