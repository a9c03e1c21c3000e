//! The pages of the admin listener, by path.

use std::sync::Arc;

use countersign::{CloseReason, Peer, Reply, Service};

use super::aggregate::Aggregate;
use super::connections::AdminConnections;
use super::metrics;
use super::process::Process;
use super::report::Report;
use crate::cli::http::{ANSWER_HEAD_MAX, Answer, Head, Request};
use crate::cli::{escape, system};

/// The longest page: enough for 60 listeners and 2,500 keys. The system gives this memory only as
/// it is used.
pub(super) const PAGE_MAX: usize = 1 << 20;

/// A page with its head, and what the framing adds.
pub(super) const REPLY_MAX: usize = PAGE_MAX + ANSWER_HEAD_MAX + 64;

const PAGES: &str = "\
/metrics   for Prometheus
/healthz   200 while every loop turns
/readyz    200 while new connections are served, 503 before and while the program stops
/status    everything, as JSON; `countersign status` shows it
";

/// The service of the admin listener.
#[derive(Debug)]
pub(super) struct Routes {
    aggregate: Arc<Aggregate>,
    /// Only requests that name an IP address or localhost are answered.
    is_guarded: bool,
    pub(super) connections: AdminConnections,
    /// The long pages, as they were last made.
    metrics: Option<Kept>,
    status: Option<Kept>,
}

/// A page, and how often the workers had been asked when it was made.
#[derive(Debug)]
struct Kept {
    generation: u64,
    page: Arc<Answer>,
}

impl Routes {
    pub(super) fn new(aggregate: Arc<Aggregate>, is_guarded: bool) -> Self {
        let connections = AdminConnections::default();
        Self { aggregate, is_guarded, connections, metrics: None, status: None }
    }

    fn answer(&mut self, request: &Request) -> Arc<Answer> {
        if self.is_guarded && !request.means_this_machine() {
            let text = "wrong host: use an IP address or localhost in the URL\n";
            return Answer::text(421, text).into();
        }
        let aggregate = &*self.aggregate;
        match request.path.as_str() {
            "/" => Answer::text(200, PAGES).into(),
            "/healthz" => told(aggregate.health(), "ok").into(),
            "/readyz" => told(aggregate.readiness(), "ready").into(),
            "/metrics" => {
                Kept::page(&mut self.metrics, aggregate.refresh(), || metrics_page(aggregate))
            }
            "/status" => {
                Kept::page(&mut self.status, aggregate.refresh(), || status_page(aggregate))
            }
            _ => Answer::text(404, format!("no such page; the pages are:\n{PAGES}")).into(),
        }
    }
}

impl Kept {
    /// The page of this generation, which is made if it isn't there.
    fn page(
        kept: &mut Option<Self>,
        generation: u64,
        make: impl FnOnce() -> Answer,
    ) -> Arc<Answer> {
        if let Some(kept) = kept.as_ref().filter(|kept| kept.generation == generation) {
            return Arc::clone(&kept.page);
        }
        let page = Arc::new(bounded(make()));
        *kept = Some(Self { generation, page: Arc::clone(&page) });
        page
    }
}

/// A truncated page would be read as if it were whole.
fn bounded(answer: Answer) -> Answer {
    match answer.body.len() {
        ..=PAGE_MAX => answer,
        length => {
            let text = format!(
                "the page would have {length} bytes, more than {PAGE_MAX}: there are too many \
                 listeners or keys\n"
            );
            Answer::text(500, text)
        }
    }
}

fn told(answer: Result<(), String>, yes: &str) -> Answer {
    match answer {
        Ok(()) => Answer::text(200, format!("{yes}\n")),
        Err(why) => Answer::text(503, format!("{why}\n")),
    }
}

fn metrics_page(aggregate: &Aggregate) -> Answer {
    let snapshot = aggregate.snapshot(system::monotonic());
    let body = metrics::page(&snapshot, &Process::now());
    Answer { status: 200, kind: metrics::KIND, body }
}

fn status_page(aggregate: &Aggregate) -> Answer {
    let snapshot = aggregate.snapshot(system::monotonic());
    let report = Report::of(&snapshot, Process::now(), system::wall());
    match serde_json::to_string_pretty(&report) {
        Ok(text) => {
            let body = escape::inside_json(&text) + "\n";
            Answer { status: 200, kind: "application/json", body: body.into_bytes() }
        }
        Err(error) => Answer::text(500, format!("cannot write the report: {error}\n")),
    }
}

/// The state of a connection: its number, and the request so far.
#[derive(Debug)]
pub(super) struct Asker {
    number: u64,
    head: Head,
}

impl Service for Routes {
    type State = Asker;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> Asker {
        let number = self.connections.opened(peer.id(), system::monotonic());
        Asker { number, head: Head::default() }
    }

    fn message(&mut self, asker: &mut Asker, message: &[u8], reply: &mut Reply<'_>) {
        let Some(request) = asker.head.take(message) else { return };
        self.connections.asked(asker.number);
        let (answer, head_alone) = match request {
            Ok(request) => (self.answer(&request), request.head_alone),
            Err(fault) => (Answer::from(fault).into(), false),
        };
        reply.push(&answer.head(reply.now()));
        if !head_alone {
            reply.push(&answer.body);
        }
        // What else arrives is read and dropped: unread input would reset the connection and
        // destroy the answer.
        reply.close();
    }

    fn close(&mut self, asker: Asker, _why: CloseReason) {
        self.connections.closed(asker.number);
    }
}

#[cfg(test)]
mod tests {
    use countersign::Loopback;
    use countersign::stats::{ListenerInfo, Stats};

    use super::*;
    use crate::cli::admin::aggregate::StatsPublisher;
    use crate::cli::admin::aggregate::tests::aggregate;
    use crate::cli::admin::report::tests::stats;

    fn pages(published: &[Stats], is_guarded: bool) -> Routes {
        Routes::new(Arc::new(aggregate(1, published)), is_guarded)
    }

    fn asked(pages: &mut Routes, path: &str, host: &str) -> Arc<Answer> {
        let request =
            Request { head_alone: false, path: path.to_owned(), host: Some(host.to_owned()) };
        pages.answer(&request)
    }

    fn shown(published: &[Stats], path: &str) -> (u16, String) {
        let answer = asked(&mut pages(published, true), path, "localhost");
        (answer.status, String::from_utf8(answer.body.clone()).unwrap())
    }

    #[test]
    fn what_is_well_is_200_and_what_is_not_says_why() {
        assert_eq!(
            shown(&[], "/readyz"),
            (503, "starting: 1 workers don't serve yet\n".to_owned())
        );
        assert_eq!(shown(&[Stats::default()], "/readyz"), (200, "ready\n".to_owned()));
        assert_eq!(shown(&[], "/healthz"), (200, "ok\n".to_owned()));
    }

    #[test]
    fn a_long_page_is_made_once_each_time_that_the_workers_are_asked() {
        let aggregate = Arc::new(aggregate(1, &[stats()]));
        let mut pages = Routes::new(Arc::clone(&aggregate), true);
        for path in ["/metrics", "/status"] {
            let first = asked(&mut pages, path, "localhost");
            StatsPublisher::begin(&aggregate, 0, Stats::default());
            assert!(Arc::ptr_eq(&first, &asked(&mut pages, path, "localhost")), "{path}");
            let kept = if path == "/status" { &mut pages.status } else { &mut pages.metrics };
            kept.as_mut().unwrap().generation -= 1;
            assert_ne!(first.body, asked(&mut pages, path, "localhost").body, "{path}");
            StatsPublisher::begin(&aggregate, 0, stats());
        }
    }

    #[test]
    fn the_name_of_a_stranger_is_answered_only_where_nobody_is_a_stranger() {
        for (is_guarded, host, status) in
            [(true, "evil.example", 421), (true, "127.0.0.1", 200), (false, "node7", 200)]
        {
            let mut pages = pages(&[], is_guarded);
            assert_eq!(asked(&mut pages, "/metrics", host).status, status, "{host}");
        }
    }

    #[test]
    fn a_page_that_is_too_long_is_an_error_and_not_a_part_of_it() {
        let mut long = stats();
        long.listeners = vec![long.listeners[0].clone(); 1000];
        for path in ["/metrics", "/status"] {
            let (status, text) = shown(&[long.clone()], path);
            assert_eq!(status, 500);
            assert!(text.contains("more than 1048576"), "{text}");
        }
        // As many as the bound is for.
        long.listeners.truncate(60);
        let mut info = ListenerInfo::clone(&long.listeners[0].info);
        info.keys.truncate(0);
        let none = Arc::new(info.clone());
        info.keys = vec![long.listeners[0].info.keys[0].clone(); 2500];
        for listener in &mut long.listeners {
            (listener.info, listener.keys) = (Arc::clone(&none), Vec::new());
        }
        long.listeners[0].keys = vec![stats().listeners[0].keys[0]; 2500];
        long.listeners[0].info = Arc::new(info);
        for path in ["/metrics", "/status"] {
            assert_eq!(shown(&[long.clone()], path).0, 200, "{path}");
        }
    }

    /// What goes out for what comes in, as one message, and whether it was the last.
    fn exchanged(request: &[u8]) -> (String, bool) {
        let mut peer = Loopback::new(pages(&[stats()], true));
        let said: Vec<Vec<u8>> = request.chunks(3).flat_map(|piece| peer.say(piece)).collect();
        let ended = peer.verdict() == Some(CloseReason::ClosedByService);
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
