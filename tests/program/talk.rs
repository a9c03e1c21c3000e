//! A client in a pipe that is held open: one that is spoken to, and spoken to again.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin};
use std::thread;

use super::home::{Home, Ran};
use super::served::{Lines, memory};

/// A client whose input isn't over yet.
pub(crate) struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    pub(crate) out: Lines,
    pub(crate) err: Lines,
}

impl Home {
    pub(crate) fn talk(&self, line: &str) -> Talk {
        let mut child = self.command(line).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Talk { child, stdin, out: Lines::of(out), err: Lines::of(err) }
    }
}

impl Talk {
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Says this, as fast as it is taken, while the caller does something else.
    pub(crate) fn say_all(&self, text: String) {
        let stdin = self.stdin.as_ref().unwrap().as_fd();
        let mut stdin = ChildStdin::from(stdin.try_clone_to_owned().unwrap());
        thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    }

    /// The most memory that it ever had, in KiB.
    #[track_caller]
    pub(crate) fn peak(&self) -> u64 {
        memory(self.child.id(), "VmHWM:")
    }

    /// Says a line and waits for this reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str, reply: &str) {
        self.say(line);
        assert_eq!(self.out.next().as_deref(), Some(reply), "{}", self.err.rest());
    }

    /// Waits until it ends by itself. The result has what it said since it was last asked.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        let (out, err) = (self.out.rest(), self.err.rest());
        Ran { code: self.child.wait().unwrap().code(), out, err }
    }

    /// Ends its input, and waits for its end.
    #[track_caller]
    pub(crate) fn leave(mut self) -> Ran {
        self.stdin = None;
        self.end()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
