//! Lines that a thread writes, so that the caller never waits for a reader or a disk.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::pipe::PIPE_BUF;

use super::Stream;
use super::lines::Written;

/// Lines that may wait to be written.
const QUEUE_MAX: usize = 1024;

/// How long the end of the program waits for a line that isn't taken.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);

/// A stream whose lines a thread writes. What it can't take is dropped, line by line, and counted.
pub(crate) struct Background {
    /// The thread begins with the first line.
    is_begun: OnceLock<()>,
    shared: Arc<Shared>,
}

struct Shared {
    stream: &'static Stream,
    queue: Mutex<Queue>,
    /// A line was added, or is done with.
    changed: Condvar,
    report: ReportDropped,
}

#[derive(Default)]
struct Queue {
    /// The first of them is being written.
    lines: VecDeque<String>,
    /// Lines that were dropped and not yet reported.
    dropped: u64,
}

/// Reports how many lines were dropped, as soon as there is room again.
pub(crate) type ReportDropped = Box<dyn Fn(u64) -> DropReport + Send + Sync>;

/// How dropped lines are reported.
pub(crate) enum DropReport {
    /// By this line, in the stream itself.
    Line(String),
    /// In another stream, where it was written.
    Written,
    /// Later: the other stream has no room.
    Deferred,
}

impl Background {
    pub(crate) fn new(stream: &'static Stream, report: ReportDropped) -> Self {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { stream, queue, changed, report });
        Self { is_begun: OnceLock::new(), shared }
    }

    /// Writes whole lines at once, if the stream takes them without a wait, or else as
    /// [`write`](Self::write) does: as long as there is a single thread, the C library spares
    /// every system call its preparation for a cancelled one.
    pub(crate) fn write_at_once(&self, text: String) {
        let is_idle = self.is_begun.get().is_none();
        if is_idle && text.len() <= PIPE_BUF && self.shared.stream.is_ready() {
            self.shared.put(&text);
        } else {
            self.write(text);
        }
    }

    /// Writes whole lines, if there is room for them.
    pub(crate) fn write(&self, text: String) {
        self.is_begun.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            // Without the thread nobody takes the lines, and all are dropped.
            let _ = thread::Builder::new().spawn(move || shared.work());
        });
        self.shared.add(text, QUEUE_MAX);
    }

    /// Whether it drops the next line.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.lock().lines.len() >= QUEUE_MAX
    }

    /// Waits until all lines are written, as long as there is progress: the program ends even if
    /// nothing reads the stream.
    pub(crate) fn finish(&self) {
        if self.is_begun.get().is_none() {
            return;
        }
        // Nothing, behind all: what was dropped before is reported then.
        self.shared.add(String::new(), usize::MAX);
        let mut queue = self.shared.lock();
        while !queue.lines.is_empty() {
            let left = queue.lines.len();
            let is_stuck = |queue: &mut Queue| queue.lines.len() == left;
            let waited = self.shared.changed.wait_timeout_while(queue, FINISH_TIMEOUT, is_stuck);
            let (after, time) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = after;
            if time.timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, text: String, most: usize) {
        let mut queue = self.lock();
        if queue.lines.len() >= most {
            queue.dropped += 1;
        } else {
            queue.lines.push_back(text);
            self.changed.notify_all();
        }
    }

    fn work(&self) {
        loop {
            let queue = self.changed.wait_while(self.lock(), |queue| queue.lines.is_empty());
            let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
            let line = queue.lines.front_mut().map(std::mem::take).unwrap_or_default();
            drop(queue);
            self.put(&line);
            self.lock().lines.pop_front();
            self.changed.notify_all();
        }
    }

    fn put(&self, line: &str) {
        match self.stream.written(line.as_bytes()) {
            Written::Whole => self.report_dropped(),
            Written::Cut(_) => {}
            // Nobody is there to miss it.
            Written::Lost(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Written::Lost(_) => self.lock().dropped += u64::from(!line.is_empty()),
        }
    }

    fn report_dropped(&self) {
        let dropped = std::mem::take(&mut self.lock().dropped);
        if dropped == 0 {
            return;
        }
        let is_reported = match (self.report)(dropped) {
            DropReport::Line(line) => {
                !matches!(self.stream.written(line.as_bytes()), Written::Lost(_))
            }
            DropReport::Written => true,
            DropReport::Deferred => false,
        };
        if !is_reported {
            self.lock().dropped += dropped;
        }
    }
}
