//! The threads of a load.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use countersign_load::{Load, Report};

/// Runs each loop on a thread of its own, and the first on this thread. Returns their reports, in
/// order, when all have ended. If one fails, the others end too: they would measure something else.
pub(super) fn run_all(
    loads: Vec<Load>,
    watch: impl Fn(usize, &Report) -> ControlFlow<()> + Sync,
) -> io::Result<Vec<Report>> {
    let has_failed = AtomicBool::new(false);
    let run = |(number, load): (usize, Load)| {
        let report = load.run(|report| match has_failed.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => watch(number, report),
        });
        has_failed.fetch_or(report.is_err(), Ordering::Relaxed);
        report
    };
    thread::scope(|scope| {
        let mut loads = loads.into_iter().enumerate();
        let first = loads.next();
        let others = loads.map(|(number, load)| {
            let thread = thread::Builder::new().name(format!("load-{number}"));
            thread.spawn_scoped(scope, move || run((number, load)))
        });
        let others: Vec<_> = others.collect();
        has_failed.fetch_or(others.iter().any(Result::is_err), Ordering::Relaxed);
        let first = first.map(&run);
        let panicked = |_| Err(io::Error::other("a thread of the load has panicked"));
        let others = others.into_iter().map(|thread| thread?.join().unwrap_or_else(panicked));
        first.into_iter().chain(others).collect()
    })
}
