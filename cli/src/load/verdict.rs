//! What the exit code of a load says.

use countersign_load::{Failure as Lost, Report};

use super::threshold::Threshold;
use crate::exit::{Failure, Kind};

/// The verdict on a load of a server. A load that nothing has answered has failed in any case.
pub(super) fn verdict(
    address: &str,
    report: &Report,
    conditions: &[Threshold],
) -> Result<(), Failure> {
    if report.answered == 0 {
        return Err(unanswered(address, report));
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
        let what = match report.connected {
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
        .any(|(failure, count)| failure == Lost::Refused && count > 0);
    let failure = if most == Lost::ConnectTimeout && was_refused { Lost::Refused } else { most };
    let kind = match failure {
        Lost::Refused | Lost::Busy => Kind::Refused,
        Lost::WrongReply | Lost::Violation | Lost::MessageTooLong => Kind::Protocol,
        _ => Kind::Unavailable,
    };
    let (name, remedy) = (failure.name(), remedy(failure));
    Failure::new(kind, format!("{address}: nothing was answered: {name}{remedy}"))
}

/// What helps against a failure, if there is an answer for most cases.
fn remedy(failure: Lost) -> &'static str {
    match failure {
        Lost::NobodyListens | Lost::NoSocket => "; is the server running?",
        Lost::PermissionDenied => "; see `countersign serve --unix-mode`",
        Lost::NoPort => "; use --close rst, or several addresses with --source",
        Lost::NoDescriptor => "; raise the limit on open files, or use fewer clients",
        Lost::ConnectTimeout | Lost::ReplyTimeout | Lost::Closed | Lost::Violation => {
            "; do both ends have the same dialect and framing?"
        }
        Lost::Refused => "; do both ends have the same key, dialect and framing?",
        Lost::MessageTooLong => "; see --size, and --message-max at the server",
        _ => "",
    }
}
