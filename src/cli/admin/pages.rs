//! What is served at the admin listener.

use std::sync::Arc;

use countersign::{Peer, Reply, Service};

use super::board::{Board, Look};
use super::http::{ANSWER_HEAD_MAX, Answer, Head, Request};
use super::metrics;
use super::process::Process;
use super::report::Report;
use crate::cli::system;

/// The longest page: enough for 60 listeners and 2,500 keys. It is memory that the system gives
/// when it is used.
pub(super) const PAGE_MAX: usize = 1 << 20;

/// What frames an answer is no part of it.
pub(super) const REPLY_MAX: usize = PAGE_MAX + ANSWER_HEAD_MAX + 64;

const PAGES: &str = "\
/metrics   for Prometheus
/healthz   200 while every loop turns
/readyz    200 while newcomers are served, 503 before and while the program stops
/status    all that is known, as JSON; `countersign status` shows it
";

/// The pages.
#[derive(Debug)]
pub(super) struct Pages {
    board: Arc<Board>,
    /// Only requests are answered that are addressed to an address or to localhost.
    is_guarded: bool,
}

impl Pages {
    pub(super) fn new(board: Arc<Board>, is_guarded: bool) -> Self {
        Self { board, is_guarded }
    }

    fn answer(&self, request: &Request, now: std::time::SystemTime) -> Answer {
        if self.is_guarded && !request.means_this_machine() {
            let text = "this is no host's page: ask for it by an IP address or localhost\n";
            return Answer::text(421, text);
        }
        let look = || self.board.look(system::monotonic());
        let answer = match request.path.as_str() {
            "/" => Answer::text(200, PAGES),
            "/healthz" => health(&look()),
            "/readyz" => readiness(&look()),
            "/metrics" => {
                let body = metrics::page(&look(), &Process::now());
                Answer { status: 200, kind: metrics::KIND, body }
            }
            "/status" => status(&Report::of(&look(), Process::now(), now)),
            _ => Answer::text(404, format!("there is no such page; there are:\n{PAGES}")),
        };
        bounded(answer)
    }
}

/// A page that was cut would be read as if it were whole.
fn bounded(answer: Answer) -> Answer {
    match answer.body.len() {
        ..=PAGE_MAX => answer,
        length => {
            let text = format!(
                "the page would have {length} bytes, and has {PAGE_MAX} at most: there are too \
                 many listeners, or too many keys\n"
            );
            Answer::text(500, text)
        }
    }
}

/// That it answers says that the first loop turns.
fn health(look: &Look) -> Answer {
    match look.stuck {
        None => Answer::text(200, "ok\n"),
        Some((worker, silent)) => {
            let seconds = silent.as_secs();
            Answer::text(503, format!("worker {worker} has not turned for {seconds} s\n"))
        }
    }
}

fn readiness(look: &Look) -> Answer {
    match look.absent {
        _ if look.sum.is_draining => Answer::text(503, "draining\n"),
        0 => Answer::text(200, "ready\n"),
        absent => Answer::text(503, format!("starting: {absent} workers don't serve yet\n")),
    }
}

fn status(report: &Report) -> Answer {
    match serde_json::to_vec_pretty(report) {
        Ok(mut body) => {
            body.push(b'\n');
            Answer { status: 200, kind: "application/json", body }
        }
        Err(error) => Answer::text(500, format!("the report can't be written: {error}\n")),
    }
}

impl Service for Pages {
    /// The request so far.
    type State = Head;

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) -> Head {
        Head::default()
    }

    fn message(&mut self, head: &mut Head, message: &[u8], reply: &mut Reply<'_>) {
        let Some(request) = head.take(message) else { return };
        let (answer, head_alone) = match request {
            Ok(request) => (self.answer(&request, reply.now()), request.head_alone),
            Err(fault) => (Answer::from(fault), false),
        };
        reply.push(&answer.head(reply.now()));
        if !head_alone {
            reply.push(&answer.body);
        }
        // What else arrives is read and dropped, so that it doesn't destroy the answer.
        reply.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use countersign::{Close, Loopback};

    use super::*;
    use crate::cli::admin::snapshot::tests::fixture;
    use crate::cli::admin::snapshot::{Face, Snapshot};

    fn board(snapshot: Option<Snapshot>) -> Arc<Board> {
        let now = system::monotonic();
        let board = Board::new(1, system::wall(), now);
        if let Some(snapshot) = snapshot {
            board.publish(0, snapshot, now);
        }
        Arc::new(board)
    }

    fn asked(pages: &Pages, path: &str, host: &str) -> Answer {
        let request =
            Request { head_alone: false, path: path.to_owned(), host: Some(host.to_owned()) };
        pages.answer(&request, system::wall())
    }

    fn shown(snapshot: Option<Snapshot>, path: &str) -> (u16, String) {
        let answer = asked(&Pages::new(board(snapshot), true), path, "localhost");
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    #[test]
    fn readiness_is_told_before_it_while_it_is_and_when_it_is_over() {
        let draining = Snapshot { is_draining: true, ..Snapshot::default() };
        let cases = [
            (None, 503, "starting: 1 workers don't serve yet\n"),
            (Some(Snapshot::default()), 200, "ready\n"),
            (Some(draining.clone()), 503, "draining\n"),
        ];
        for (snapshot, status, text) in cases {
            assert_eq!(shown(snapshot, "/readyz"), (status, text.to_owned()));
        }
        assert_eq!(shown(Some(draining), "/healthz"), (200, "ok\n".to_owned()));
    }

    #[test]
    fn a_worker_that_is_stuck_is_ill() {
        let now = system::monotonic();
        let board = Board::new(2, system::wall(), now);
        board.publish(0, Snapshot::default(), now);
        board.publish(1, Snapshot::default(), now);
        let answer = health(&board.look(now + Duration::from_secs(60)));
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!((answer.status, &text[..]), (503, "worker 0 has not turned for 60 s\n"));
    }

    #[test]
    fn the_name_of_a_stranger_is_answered_only_where_nobody_is_a_stranger() {
        for (is_guarded, host, status) in
            [(true, "evil.example", 421), (true, "127.0.0.1", 200), (false, "node7", 200)]
        {
            let pages = Pages::new(board(None), is_guarded);
            assert_eq!(asked(&pages, "/metrics", host).status, status, "{host}");
        }
    }

    #[test]
    fn a_page_that_is_too_long_is_an_error_and_not_a_part_of_it() {
        let mut long = fixture();
        long.listeners = vec![long.listeners[0].clone(); 1000];
        for path in ["/metrics", "/status"] {
            let (status, text) = shown(Some(long.clone()), path);
            assert_eq!(status, 500);
            assert!(text.contains("and has 1048576 at most"), "{text}");
        }
        // As many as the bound is for.
        long.listeners.truncate(60);
        let mut face = Face::clone(&long.listeners[0].face);
        face.keys = vec![face.keys[0].clone(); 2500];
        long.listeners[0].face = Arc::new(face);
        for listener in &mut long.listeners[1..] {
            let face = Face::clone(&listener.face);
            listener.face = Arc::new(Face { keys: Vec::new(), ..face });
        }
        for path in ["/metrics", "/status"] {
            assert_eq!(shown(Some(long.clone()), path).0, 200, "{path}");
        }
    }

    /// What goes out for what comes in, as one message, and whether it was the last.
    fn exchanged(request: &[u8]) -> (String, bool) {
        let mut peer = Loopback::new(Pages::new(board(Some(fixture())), true));
        let said: Vec<Vec<u8>> = request.chunks(3).flat_map(|piece| peer.say(piece)).collect();
        let ended = peer.verdict() == Some(Close::Dismissed);
        (String::from_utf8(said.concat()).unwrap(), ended)
    }

    #[test]
    fn what_goes_out_is_the_answer_and_nothing_else() {
        let (got, ended) = exchanged(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && ended, "{head}");
        assert!(head.contains("\r\nContent-Length: 3\r\n"), "{head}");
        assert_eq!(body, "ok\n");
        let (got, ended) = exchanged(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!((got, ended), (format!("{head}\r\n\r\n"), true));
        let (got, ended) = exchanged(b"GET /nowhere HTTP/1.0\r\n\r\n");
        assert!(got.starts_with("HTTP/1.1 404 ") && got.ends_with(PAGES) && ended, "{got}");
        assert_eq!(exchanged(b"GET / HTTP/1.0\r\n"), (String::new(), false));
    }
}
