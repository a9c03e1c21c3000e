//! The prompt: a thread that edits lines, and what is printed above the line that it edits.
//!
//! This is the only file that knows the line editor. The editor's own printer for other threads
//! stops while input is buffered, as during a paste. So the editor reports here what it shows, and
//! that is drawn again below what was printed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustyline::completion::Completer;
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ColorMode, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    Helper, KeyEvent, Movement, RepeatCount,
};

use super::input::Next;
use super::line_buffer::LineBuffer;
use super::modes::TerminalModes;
use crate::exit::{Failure, Kind};
use crate::output::{Stream, stderr, stdout};
use crate::signals::Claimed;

/// What the prompt shows.
const PROMPT: &str = ">>>";

/// A terminal with a prompt.
pub(super) struct Terminal {
    /// Asks the editor for a line.
    asks: Sender<()>,
    is_asking: bool,
    typed: Receiver<Result<String, ReadlineError>>,
    /// Something arrives here with each line that was typed.
    woken: PipeReader,
    /// What was typed and not taken: a paste is several messages.
    messages: VecDeque<String>,
    /// The message that was taken last.
    message: String,
    /// Why no line follows.
    end: Option<ReadlineError>,
    shown: ShownLine,
}

/// The line that is shown while it is edited.
#[derive(Clone, Default)]
struct ShownLine(Arc<Mutex<Option<LineBuffer>>>);

impl ShownLine {
    fn lock(&self) -> MutexGuard<'_, Option<LineBuffer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminal {
    /// Opens the terminal; none if the prompt could only be shown on an stdout that isn't a
    /// terminal. A signal that ends the program restores the modes of the terminal.
    pub(super) fn open(signals: Claimed) -> Result<Option<Self>, Failure> {
        let is_plain = is_plain();
        let is_apart = !is_plain && File::options().write(true).open("/dev/tty").is_ok();
        if !stdout().is_terminal() && !is_apart {
            return Ok(None);
        }
        if let Some(modes) = TerminalModes::save() {
            signals.before_the_end(|| modes.restore())?;
        }
        // The terminal itself, wherever stdout leads. A paste is taken line by line, as if typed.
        let config = Config::builder().behavior(Behavior::PreferTerm).bracketed_paste(false);
        // Without colours it would not tell what it shows.
        let config = config.color_mode(ColorMode::Forced).build();
        let mut editor = Editor::with_config(config).map_err(|error| failed(&error))?;
        let interrupt = EventHandler::Conditional(Box::new(Interrupt));
        editor.bind_sequence(KeyEvent::ctrl('C'), interrupt);
        let shown = ShownLine::default();
        editor.set_helper(Some(EditorHooks(shown.clone())));
        let (asks, asked) = channel();
        let (typing, typed) = channel();
        let (woken, wakes) = io::pipe()?;
        let shown_there = if is_plain { ShownLine::default() } else { shown.clone() };
        let mut editing = EditorThread { editor, shown: shown_there, wakes };
        thread::Builder::new().spawn(move || editing.run(&asked, &typing))?;
        Ok(Some(Self {
            asks,
            is_asking: false,
            typed,
            woken,
            messages: VecDeque::new(),
            message: String::new(),
            end: None,
            shown,
        }))
    }

    /// Takes the next message, and asks for one if there is none.
    pub(super) fn take(&mut self) -> Result<Next<'_>, Failure> {
        if let Some(message) = self.messages.pop_front() {
            if message == "quit" {
                return Ok(Next::End);
            }
            self.message = message;
            return Ok(Next::Message(self.message.as_bytes()));
        }
        match self.end.take() {
            None if self.is_asking => Ok(Next::Nothing),
            None => {
                self.is_asking = self.asks.send(()).is_ok();
                if self.is_asking { Ok(Next::Nothing) } else { Ok(Next::End) }
            }
            Some(ReadlineError::Eof) => Ok(Next::End),
            Some(ReadlineError::Interrupted) => Ok(Next::Interrupted),
            Some(error) => Err(failed(&error)),
        }
    }

    /// What is readable when something was typed.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }

    pub(super) fn read(&mut self) -> io::Result<()> {
        if self.woken.read(&mut [0])? == 0 {
            self.end = Some(ReadlineError::Eof);
        }
        while let Ok(typed) = self.typed.try_recv() {
            self.is_asking = false;
            match typed {
                Ok(text) => {
                    let messages = text.lines().map(str::trim).filter(|line| !line.is_empty());
                    self.messages.extend(messages.map(str::to_owned));
                }
                Err(error) => self.end = Some(error),
            }
        }
        Ok(())
    }

    /// Prints lines, above the prompt where both are on the terminal.
    pub(super) fn print(&self, stream: &Stream, lines: &[u8]) {
        match &*self.shown.lock() {
            Some(line) if stream.is_terminal() => {
                stream.write(line.below(lines, PROMPT, stream.columns()));
            }
            _ => stream.write(lines),
        }
    }
}

/// Whether the terminal can only show lines: then the editor doesn't edit.
fn is_plain() -> bool {
    std::env::var("TERM").is_ok_and(|name| ["dumb", "cons25", "emacs"].contains(&&*name))
}

/// The editor, in its thread.
struct EditorThread {
    editor: Editor<EditorHooks, DefaultHistory>,
    shown: ShownLine,
    wakes: PipeWriter,
}

impl EditorThread {
    /// Lets a line be typed whenever one is requested.
    fn run(&mut self, asked: &Receiver<()>, typing: &Sender<Result<String, ReadlineError>>) {
        while let Ok(()) = asked.recv() {
            let typed = self.line();
            let is_last = typed.is_err();
            if typing.send(typed).is_err() || self.wakes.write_all(&[0]).is_err() || is_last {
                return;
            }
        }
    }

    fn line(&mut self) -> Result<String, ReadlineError> {
        loop {
            *self.shown.lock() = Some(LineBuffer::default());
            let typed = self.editor.readline(PROMPT);
            *self.shown.lock() = None;
            match typed {
                Ok(typed) if typed.trim().is_empty() => {}
                Ok(typed) => {
                    self.editor.add_history_entry(typed.trim())?;
                    return Ok(typed);
                }
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    let text = "what was typed is discarded: a key sent a byte that is not UTF-8";
                    stderr().line(format_args!("countersign: {text}"));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Receives from the editor what it shows. Nothing is completed, hinted or coloured.
struct EditorHooks(ShownLine);

impl Highlighter for EditorHooks {
    /// Called before each change is shown. The whole line is drawn then, so that text printed in
    /// between does no harm.
    fn highlight_char(&self, line: &str, position: usize, _kind: CmdKind) -> bool {
        if let Some(shown) = &mut *self.0.lock() {
            shown.set(line, position);
        }
        true
    }
}

impl Completer for EditorHooks {
    type Candidate = String;
}

impl Hinter for EditorHooks {
    type Hint = String;
}

impl Validator for EditorHooks {}

impl Helper for EditorHooks {}

/// Ctrl-C: drops a line that was begun, and leaves where there is none.
struct Interrupt;

impl ConditionalEventHandler for Interrupt {
    fn handle(
        &self,
        _event: &Event,
        _count: RepeatCount,
        _is_positive: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let is_begun = !context.line().is_empty();
        Some(if is_begun { Cmd::Kill(Movement::WholeBuffer) } else { Cmd::Interrupt })
    }
}

fn failed(error: &ReadlineError) -> Failure {
    Failure::new(Kind::General, error.to_string())
}
