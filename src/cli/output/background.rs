//! Lines that a thread writes, so that who calls never waits for a reader or for a disk.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::Stream;
use super::lines::Written;

/// Lines that may wait to be written.
const WAITING: usize = 1024;

/// How long the end of the program waits for the last lines.
const PARTING: Duration = Duration::from_millis(500);

/// A stream whose lines a thread writes. What it can't take is dropped, line by line, and counted.
pub(crate) struct Background {
    /// To the thread, which begins with the first line.
    lines: OnceLock<SyncSender<Line>>,
    shared: Arc<Shared>,
}

struct Shared {
    stream: &'static Stream,
    /// Lines that were dropped and that nobody was told of.
    dropped: AtomicU64,
    tell: Tell,
}

/// Tells how many lines were dropped, as soon as there is room again: elsewhere, or by the line
/// that it returns.
pub(crate) type Tell = Box<dyn Fn(u64) -> Option<String> + Send + Sync>;

enum Line {
    Text(String),
    /// Everything before this was written: say so.
    End(SyncSender<()>),
}

impl Background {
    pub(crate) fn new(stream: &'static Stream, tell: Tell) -> Self {
        let shared = Shared { stream, dropped: AtomicU64::new(0), tell };
        Self { lines: OnceLock::new(), shared: Arc::new(shared) }
    }

    /// Writes whole lines, if there is room for them.
    pub(crate) fn write(&self, text: String) {
        if self.to_thread().try_send(Line::Text(text)).is_err() {
            self.shared.count(1);
        }
    }

    /// Waits until all is written, but not for long: the program ends also where nobody reads.
    pub(crate) fn finish(&self) {
        let Some(lines) = self.lines.get() else { return };
        let (done, written) = sync_channel(1);
        if lines.try_send(Line::End(done)).is_ok() {
            let _ = written.recv_timeout(PARTING);
        }
    }

    fn to_thread(&self) -> &SyncSender<Line> {
        self.lines.get_or_init(|| {
            let (lines, waiting) = sync_channel(WAITING);
            let shared = Arc::clone(&self.shared);
            // Without the thread nobody takes the lines, and all are dropped.
            let _ = thread::Builder::new().spawn(move || shared.work(&waiting));
            lines
        })
    }
}

impl Shared {
    fn work(&self, waiting: &Receiver<Line>) {
        for line in waiting {
            match line {
                Line::Text(text) => match self.stream.written(text.as_bytes()) {
                    Written::Whole => self.tell(),
                    Written::Cut(_) => {}
                    // Nobody is there to miss it.
                    Written::Lost(error) if error.kind() == ErrorKind::BrokenPipe => {}
                    Written::Lost(_) => self.count(1),
                },
                Line::End(done) => {
                    self.tell();
                    let _ = done.try_send(());
                }
            }
        }
    }

    fn tell(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let line = if dropped > 0 { (self.tell)(dropped) } else { None };
        if let Some(line) = line
            && let Written::Lost(_) = self.stream.written(line.as_bytes())
        {
            self.count(dropped);
        }
    }

    fn count(&self, dropped: u64) {
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
    }
}
