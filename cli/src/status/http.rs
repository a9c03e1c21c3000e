//! The request for the page `/status`.

use std::fmt::Display;
use std::time::Duration;

use countersign::ClientError;

use crate::admin::report::{PROGRAM, StatusReport};
use crate::exit::{Failure, Kind};
use crate::{fetch, http};

/// The page as text, and the report in it.
#[derive(Debug)]
pub(super) struct StatusPage {
    pub(super) text: String,
    pub(super) report: StatusReport,
}

impl StatusPage {
    /// Requests the page. Gives up as soon as `is_over` says so, and fails then.
    pub(super) fn ask(
        address: &str,
        timeout: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Self, Failure> {
        let answer =
            fetch::get(address, "/status", timeout, is_over).map_err(|error| match error {
                ClientError::Server(refusal) => not_admin(address, &refusal),
                other => fetch::failure(address, &other),
            })?;
        Self::of(&answer).map_err(|why| not_admin(address, &why))
    }

    fn of(answer: &[u8]) -> Result<Self, String> {
        let body = http::body(answer)?;
        let report: StatusReport = serde_json::from_slice(body)
            .map_err(|error| format!("its answer is not a report: {error}"))?;
        match report.program == PROGRAM {
            // It parsed as JSON, so it is valid UTF-8.
            true => Ok(Self { text: String::from_utf8_lossy(body).into_owned(), report }),
            false => Err("its answer comes from another program".into()),
        }
    }
}

fn not_admin(address: &str, why: &dyn Display) -> Failure {
    let text = format!(
        "{address}: not an admin listener of countersign: {why}; use the address of serve's --admin"
    );
    Failure::new(Kind::Protocol, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::report::tests::report;

    fn understood(answer: &str) -> Result<StatusReport, String> {
        StatusPage::of(answer.as_bytes()).map(|page| page.report)
    }

    #[test]
    fn only_a_report_of_countersign_is_accepted() {
        let text = serde_json::to_string(&report()).unwrap();
        let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        assert_eq!(understood(&whole), Ok(report()));
        let other = text.replace("\"program\":\"countersign\"", "\"program\":\"other\"");
        let cases = [
            (String::new(), "it closed the connection"),
            ("220 mail.example ESMTP\r\n".to_owned(), "it doesn't speak HTTP"),
            ("HTTP/1.1 200 OK\r\nA".to_owned(), "it doesn't speak HTTP"),
            ("HTTP/1.0 404 Not Found\r\n\r\n".to_owned(), "answers 404 Not Found"),
            ("HTTP/1.0 404 Not\r\n\r\nno \x1b such\nx".to_owned(), "answers 404 no \u{1b} such"),
            (whole[..whole.len() - 1].to_owned(), "truncated"),
            ("HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}".to_owned(), "not a report"),
            (format!("HTTP/1.1 200 OK\r\n\r\n{other}"), "another program"),
        ];
        for (answer, said) in cases {
            let error = understood(&answer).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
