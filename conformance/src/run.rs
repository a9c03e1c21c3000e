//! Runs cases, several at a time, each on connections of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign::{Address, clock};
use socket2::Socket;

use crate::case::{Case, Cases, Exit};
use crate::command::{ClientCommand, CommandEnd};
use crate::needs::Feature;
use crate::octets::shown;
use crate::player::Player;
use crate::step::CaseStep;
use crate::subject::Subject;
use crate::wire::{Mismatch, Wire, listen};
use crate::wire_log::WireLog;

/// Where the implementation is.
#[derive(Debug, Clone)]
pub enum TestTarget {
    /// A server that runs.
    Server(Address),
    /// A client's command, which is run once for each case, and the key file that it is given.
    Client(String, PathBuf),
}

/// What a case has shown.
#[derive(Debug, Clone)]
pub enum CaseOutcome {
    /// The implementation keeps to the page.
    Passed,
    /// It does not, or something hindered it.
    Failed(Finding),
    /// The case can't be run here, and why.
    Skipped(String),
}

/// What went wrong in a case.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What must have come.
    pub expected: String,
    /// What has come in its place.
    pub came: String,
    /// All that was sent and received before.
    pub(crate) log: WireLog,
}

/// Runs the cases, so many at a time, and returns what each has shown, in their order.
pub fn run(cases: &Cases, subject: &Subject, target: &TestTarget, jobs: usize) -> Vec<CaseOutcome> {
    let alone = subject.absent.contains(&Feature::Concurrency);
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![None; cases.list.len()]);
    std::thread::scope(|scope| {
        for _ in 0..if alone { 1 } else { jobs } {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.list.get(at) else { return };
                    let outcome = run_case(case, subject, target);
                    let mut outcomes = outcomes.lock().unwrap_or_else(|broken| broken.into_inner());
                    outcomes[at] = Some(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(|broken| broken.into_inner());
    let not_run = || CaseOutcome::Skipped("it was not run".to_owned());
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(not_run)).collect()
}

/// Whether a server accepts a connection.
///
/// # Errors
///
/// The system's.
pub fn probe(address: &Address, timeout: Duration) -> io::Result<()> {
    Wire::connect(address, timeout).map(drop)
}

fn run_case(case: &Case, subject: &Subject, target: &TestTarget) -> CaseOutcome {
    if let Some(why) = subject.lacks(case) {
        return CaseOutcome::Skipped(why);
    }
    let run = match target {
        TestTarget::Server(address) => against_server(case, subject, address),
        TestTarget::Client(command, keys) => against_client(case, subject, command, keys),
    };
    match run {
        Ok((_, Ok(()))) => CaseOutcome::Passed,
        Ok((log, Err(Mismatch { expected, came }))) => {
            CaseOutcome::Failed(Finding { expected, came, log })
        }
        Err(error) => CaseOutcome::Failed(Finding {
            expected: "a connection".to_owned(),
            came: error.to_string(),
            log: WireLog::default(),
        }),
    }
}

/// How many times the usual time a client's command may take to connect.
const START_FACTOR: u32 = 6;

type Played = io::Result<(WireLog, Result<(), Mismatch>)>;

fn against_server(case: &Case, subject: &Subject, address: &Address) -> Played {
    let wire = Wire::connect(address, subject.timeout)?;
    let mut player = Player::new(subject, wire, Some(address))?;
    let verdict = case.steps.iter().try_for_each(|step| player.step(step));
    Ok((player.wire.log, verdict))
}

fn against_client(case: &Case, subject: &Subject, command: &str, keys: &Path) -> Played {
    let (listener, address) = listen()?;
    let start = || {
        let mut client = ClientCommand::start(command, address, keys)?;
        client.give(&case.lines);
        io::Result::Ok(client)
    };
    let mut client = start()?;
    let Some(socket) = accept(&listener, &mut client, subject)? else {
        return Ok(not_connected(client, subject));
    };
    let mut player = Player::new(subject, Wire::new(socket, subject.timeout), None)?;
    let mut verdict = Ok(());
    for step in &case.steps {
        match step {
            CaseStep::EndInput => client.end_input(),
            CaseStep::Connect => {
                client = start()?;
                let Some(socket) = accept(&listener, &mut client, subject)? else {
                    return Ok(not_connected(client, subject));
                };
                player.reconnected(Wire::new(socket, subject.timeout))?;
            }
            _ => verdict = player.step(step),
        }
        if verdict.is_err() {
            break;
        }
    }
    // The client must see to its end while the kit's socket is still there.
    let ended = client.end(match case.exit {
        Exit::Any => subject.quiet_time,
        _ => subject.timeout,
    });
    let mut log = player.wire.log;
    note_end(&mut log, &ended);
    let verdict = verdict.and_then(|()| judge_end(case, &ended));
    Ok((log, verdict.and_then(|()| expect_no_other(&listener))))
}

/// The connection of a client's command. To start may take it longer than anything that it does
/// later: it may be an interpreter, on a busy machine.
fn accept(
    listener: &Socket,
    client: &mut ClientCommand,
    subject: &Subject,
) -> io::Result<Option<Socket>> {
    let until = clock::after(subject.timeout.saturating_mul(START_FACTOR));
    loop {
        let is_over = client.has_ended() || clock::monotonic() >= until;
        match listener.accept() {
            Ok((socket, _)) => return Ok(Some(socket)),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if is_over => return Ok(None),
            Err(_) => {}
        }
    }
}

fn note_end(log: &mut WireLog, ended: &CommandEnd) {
    let how = ended.status.map_or("it was killed".to_owned(), |status| status.to_string());
    let printed = shown(ended.output.as_bytes());
    log.note(format!("the command ended: {how}; it printed {printed}"));
    log.note(format!("on stderr: {}", shown(ended.errors.as_bytes())));
}

/// A client that has ended has left no other connection behind.
fn expect_no_other(listener: &Socket) -> Result<(), Mismatch> {
    let is_there = listener.set_nonblocking(true).is_ok() && listener.accept().is_ok();
    let came = "a second connection";
    if is_there { Err(Mismatch::new("one connection", came)) } else { Ok(()) }
}

fn not_connected(mut client: ClientCommand, subject: &Subject) -> (WireLog, Result<(), Mismatch>) {
    let has_ended = client.has_ended();
    let ended = client.end(subject.timeout);
    let why = if has_ended { "before the command ended" } else { "in time" };
    let came = format!("none {why}; its errors: {}", shown(ended.errors.as_bytes()));
    let expected = "a connection of the client's command to $COUNTERSIGN_ADDRESS";
    (WireLog::default(), Err(Mismatch::new(expected, came)))
}

/// Whether the command has ended as it must, and has printed what it may.
fn judge_end(case: &Case, ended: &CommandEnd) -> Result<(), Mismatch> {
    let printed: Vec<&str> = ended.output.lines().collect();
    if printed != case.prints {
        let expected = match &case.prints[..] {
            [] => "no reply printed".to_owned(),
            lines => format!("the replies {lines:?} printed"),
        };
        return Err(Mismatch::new(expected, format!("{printed:?} printed")));
    }
    if case.exit == Exit::Any {
        return Ok(());
    }
    let Some(status) = ended.status else {
        return Err(Mismatch::new("the end of the command", "none: it had to be killed"));
    };
    match (case.exit, status.success()) {
        (Exit::Success, true) | (Exit::Failure, false) | (Exit::Any, _) => Ok(()),
        (Exit::Success, false) => Err(Mismatch::new("the exit code 0", status.to_string())),
        (Exit::Failure, true) => Err(Mismatch::new(
            "an exit code other than 0, since the connection has failed",
            "the exit code 0",
        )),
    }
}
