//! The thread that serves the pages.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use countersign::{Handle, Server};
use log::error;

use super::routes::Routes;
use crate::exit::describe;
use crate::system;

/// The thread that serves the pages, until this is dropped.
#[derive(Debug)]
pub(crate) struct AdminThread {
    handle: Handle,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl AdminThread {
    pub(super) fn begin(server: Server<Routes>) -> io::Result<Self> {
        let (handle, is_over) = (server.handle(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&is_over);
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
            if let Err(error) = serve(server, &told) {
                // The clients of the server need no pages.
                error!("the admin listener is closed: {}", describe(&error));
            }
        })?;
        Ok(Self { handle, is_over, thread: Some(thread) })
    }
}

impl Drop for AdminThread {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && self.handle.wake().is_ok()
        {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn serve(mut server: Server<Routes>, is_over: &AtomicBool) -> io::Result<()> {
    while !is_over.load(Ordering::Acquire) {
        let due = server.service().connections.due();
        server.turn(due.map(|due| due.saturating_duration_since(system::monotonic())))?;
        while let Some(peer) = server.service_mut().connections.next_to_evict(system::monotonic()) {
            if !server.dismiss(peer) {
                break;
            }
        }
    }
    Ok(())
}
