//! The end in C: a process that plays what it is sent.

use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::skip::skip;

/// Builds it. None where there is no compiler.
pub(crate) fn build() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("play-beside");
    let mut command = Command::new("cc");
    command.args(["-std=c99", "-O2", "-DCS_SEAL", "-DCS_RAW", "countersign.c", "tests/play.c"]);
    let options = env::var("CFLAGS").unwrap_or_default();
    command.args(options.split_whitespace());
    let Ok(status) = command.arg("-o").arg(&program).current_dir(folder).status() else {
        skip("there is no C compiler, cc, here");
        return None;
    };
    assert!(status.success(), "the C end can't be built");
    Some(program)
}

/// What one process answers, line by line.
pub(crate) struct Answers {
    child: Child,
    lines: BufReader<ChildStdout>,
    line: String,
}

/// Starts it: where cases go, and where their outcomes come from.
pub(crate) fn start(program: &Path) -> (ChildStdin, Answers) {
    let mut command = Command::new(program);
    command.arg("--print").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (stdin, Answers { child, lines: BufReader::new(stdout), line: String::new() })
}

impl Answers {
    /// The outcome of the next case.
    pub(crate) fn next(&mut self) -> io::Result<&str> {
        self.line.clear();
        self.lines.read_line(&mut self.line)?;
        let line = self.line.strip_suffix('\n');
        line.ok_or_else(|| io::Error::other("the C end has ended"))
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}
