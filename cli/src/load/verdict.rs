//! What the exit code of a load says.

use countersign_load::{FailureKind, Report};
use countersign_report::Ladder;

use super::threshold::Threshold;
use crate::exit::{Failure, Kind};

/// The verdict on a load of a server, or on a search for the highest rate. A load that nothing has
/// answered has failed in any case.
pub(super) fn verdict(
    address: &str,
    report: &Report,
    ladder: Option<&Ladder>,
    conditions: &[Threshold],
    interrupted: bool,
) -> Result<(), Failure> {
    if interrupted && report.due == 0 && report.connections_failed() == 0 {
        let text = "interrupted before anything was measured".to_owned();
        return Err(Failure::new(Kind::General, text));
    }
    if report.answered == 0 {
        return Err(unanswered(address, report));
    }
    if let Some(ladder) = ladder.filter(|ladder| ladder.found.is_none()) {
        return Err(Failure::new(Kind::General, ladder.conclusion()));
    }
    match conditions.iter().find(|condition| condition.holds(report)) {
        Some(condition) => Err(Failure::new(Kind::General, condition.explained(report))),
        None => Ok(()),
    }
}

/// Why nothing was answered: as most connections say.
fn unanswered(address: &str, report: &Report) -> Failure {
    let failed = report.connections_by_failure().filter(|(_, count)| *count > 0);
    let Some((most, _)) = failed.max_by_key(|(_, count)| *count) else {
        let what = match report.connected + report.open_before {
            _ if report.due == 0 => "no message was due",
            0 => "no handshake was completed",
            _ => "no reply arrived",
        };
        let time = report.elapsed.as_secs_f64();
        let text = format!("{address}: nothing was answered: {what} in {time:.1} s");
        return Failure::new(Kind::Unavailable, text);
    };
    // A server that has refused clients lets the next ones wait.
    let was_refused = report
        .connections_by_failure()
        .any(|(failure, count)| failure == FailureKind::Refused && count > 0);
    let failure = if most == FailureKind::ConnectTimeout && was_refused {
        FailureKind::Refused
    } else {
        most
    };
    let kind = match failure {
        FailureKind::Refused | FailureKind::Busy => Kind::Refused,
        FailureKind::WrongReply | FailureKind::Violation | FailureKind::MessageTooLong => {
            Kind::Protocol
        }
        _ => Kind::Unavailable,
    };
    let (name, remedy) = (failure.name(), remedy(failure));
    Failure::new(kind, format!("{address}: nothing was answered: {name}{remedy}"))
}

/// What helps against a failure, if there is an answer for most cases.
fn remedy(failure: FailureKind) -> &'static str {
    match failure {
        FailureKind::NobodyListens | FailureKind::NoSocket => "; is the server running?",
        FailureKind::PermissionDenied => "; see `countersign serve --unix-mode`",
        FailureKind::NoPort => "; use --close rst, or several addresses with --source",
        FailureKind::NoDescriptor => "; raise the limit on open files, or use fewer clients",
        FailureKind::ConnectTimeout
        | FailureKind::ReplyTimeout
        | FailureKind::Closed
        | FailureKind::Violation => "; do both ends have the same dialect and framing?",
        FailureKind::Refused => "; do both ends have the same key, dialect, framing and --records?",
        FailureKind::MessageTooLong => "; see --size, and --message-max at the server",
        _ => "",
    }
}
