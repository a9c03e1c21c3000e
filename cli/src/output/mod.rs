//! What the program writes: stdout and stderr.
//!
//! Writing returns nothing, so a verb can't mistake a reader that has gone or a full disk for its
//! own result. The stream remembers the first failure, and `main` reports it if nothing else has
//! failed. Writes wait for descriptors that don't block. A line that was cut is finished before the
//! next.

mod background;
mod lines;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::BorrowedFd;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use log::warn;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::escape::Escaped;
use super::exit::{Failure, Kind, describe};
pub(crate) use background::{Background, DropReport, ReportDropped};
use lines::{Lines, Written};

/// One of the two streams.
#[derive(Debug)]
pub(crate) struct Stream {
    lines: Mutex<Lines<Descriptor>>,
    descriptor: Descriptor,
    /// The first failure.
    failure: OnceLock<io::Error>,
}

static STDOUT: Stream = Stream::new(Descriptor::Stdout);
static STDERR: Stream = Stream::new(Descriptor::Stderr);

/// Results.
pub(crate) fn stdout() -> &'static Stream {
    &STDOUT
}

/// Messages to the user.
pub(crate) fn stderr() -> &'static Stream {
    &STDERR
}

/// Lines of a server on stdout, which doesn't wait for their reader.
static ANNOUNCED: LazyLock<Background> = LazyLock::new(|| {
    let report = |dropped| {
        if LOG.get().is_some_and(Background::is_full) {
            return DropReport::Deferred;
        }
        warn!("{dropped} lines for stdout were dropped: it was blocked or full");
        DropReport::Written
    };
    Background::new(stdout(), Box::new(report))
});

/// Lines of the log on stderr.
static LOG: OnceLock<Background> = OnceLock::new();

/// The lines of the log. Those that were dropped are reported in this way.
pub(crate) fn log(report: ReportDropped) -> &'static Background {
    LOG.get_or_init(|| Background::new(stderr(), report))
}

/// Writes a line to stdout, and doesn't wait for its reader. What misleads in it is escaped.
pub(crate) fn announce(line: impl Display) {
    ANNOUNCED.write_at_once(format!("{}\n", Escaped(&line.to_string())));
}

/// Waits for the lines that were announced or logged, but not for long.
pub(crate) fn finish() {
    let log = || LOG.get().into_iter().for_each(Background::finish);
    // First, so that there is room for the report on announced lines.
    log();
    ANNOUNCED.finish();
    log();
}

impl Stream {
    const fn new(descriptor: Descriptor) -> Self {
        let lines = Mutex::new(Lines::new(descriptor));
        Self { lines, descriptor, failure: OnceLock::new() }
    }

    /// Writes whole lines as they are: replies, or texts in which all is escaped that needs it.
    pub(crate) fn write(&self, text: impl AsRef<[u8]>) {
        self.written(text.as_ref());
    }

    /// Writes a line, and its end. What misleads in it is escaped, wherever it came from.
    pub(crate) fn line(&self, line: impl Display) {
        self.write(format!("{}\n", Escaped(&line.to_string())));
    }

    /// Writes whole lines, and returns the result.
    fn written(&self, lines: &[u8]) -> Written {
        let written = self.lines.lock().unwrap_or_else(PoisonError::into_inner).write(lines);
        if let Written::Cut(error) | Written::Lost(error) = &written {
            let _ = self.failure.set(copied(error));
        }
        written
    }

    /// Whether something was lost, so that a verb which goes on without end may end.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    /// The result of a command that has otherwise succeeded. A reader that has closed its end is
    /// not an error.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        match self.failure.get() {
            None => Ok(()),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Some(error) => Err(Failure::unwritten(self.descriptor.name(), error)),
        }
    }

    /// Whether it takes something now.
    pub(crate) fn is_ready(&self) -> bool {
        let mut streams = [PollFd::from_borrowed_fd(self.descriptor.fd(), PollFlags::OUT)];
        poll(&mut streams, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.descriptor.fd().is_terminal()
    }

    /// How wide the terminal is, or may be supposed to be.
    pub(crate) fn columns(&self) -> usize {
        self.size().0
    }

    /// The columns and rows of the terminal, or what may be supposed.
    pub(crate) fn size(&self) -> (usize, usize) {
        let size = rustix::termios::tcgetwinsize(self.descriptor.fd());
        let [columns, rows] = size.map_or([0, 0], |size| [size.ws_col, size.ws_row]);
        let known = |size: u16, default| if size > 0 { size.into() } else { default };
        (known(columns, 80), known(rows, 24))
    }

    /// Whether colours are shown there, and wanted.
    pub(crate) fn is_coloured(&self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        self.is_terminal() && !is_set("NO_COLOR")
    }
}

fn copied(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// A descriptor that is waited for where it doesn't block.
#[derive(Debug, Clone, Copy)]
enum Descriptor {
    Stdout,
    Stderr,
}

impl Descriptor {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
        }
    }
}

impl Write for Descriptor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(self.fd(), bytes) {
                Err(Errno::AGAIN) => wait(self.fd(), PollFlags::OUT)?,
                Err(Errno::INTR) => {}
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until a descriptor is ready, or has failed.
fn wait(fd: BorrowedFd<'_>, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(fd, what)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Failure {
    /// Something could not be written.
    pub(crate) fn unwritten(name: impl Display, error: &io::Error) -> Self {
        Self::new(Kind::Output, format!("cannot write to {name}: {}", describe(error)))
    }
}
