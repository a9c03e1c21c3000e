//! The pages of the admin listener, by path.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign::{CloseReason, Peer, Reply, Service};

use super::aggregate::Aggregate;
use super::connections::AdminConnections;
use super::metrics;
use super::process::Process;
use super::report::StatusReport;
use crate::http::{RESPONSE_HEAD_MAX, Request, RequestHead, Response};
use crate::{escape, system};

/// The longest page: enough for 60 listeners and 2,500 keys. The system gives this memory only as
/// it is used.
pub(super) const PAGE_MAX: usize = 1 << 20;

/// A page with its head, and what the framing adds.
pub(super) const REPLY_MAX: usize = PAGE_MAX + RESPONSE_HEAD_MAX + 64;

const PAGES: &str = "\
/metrics   for Prometheus
/healthz   200 while every loop turns
/readyz    200 while new connections are served, 503 before and while the program stops
/status    everything, as JSON; `countersign status` shows it
";

/// The service of the admin listener.
pub(super) struct Routes {
    aggregate: Arc<Aggregate>,
    /// Only requests that name an IP address or localhost are answered.
    checks_host: bool,
    pub(super) connections: AdminConnections,
    /// The long pages by their paths: as they were last made, and how often the workers had been
    /// asked by then.
    cached: BTreeMap<&'static str, (u64, Arc<Response>)>,
}

impl Routes {
    pub(super) fn new(aggregate: Arc<Aggregate>, checks_host: bool) -> Self {
        let connections = AdminConnections::default();
        Self { aggregate, checks_host, connections, cached: BTreeMap::new() }
    }

    fn response(&mut self, request: &Request) -> Arc<Response> {
        if self.checks_host && !request.means_this_machine() {
            let text = "wrong host: use an IP address or localhost in the URL\n";
            return Response::text(421, text).into();
        }
        let aggregate = &*self.aggregate;
        match request.path.as_str() {
            "/" => Response::text(200, PAGES).into(),
            "/healthz" => health_page(aggregate.health(), "ok").into(),
            "/readyz" => health_page(aggregate.readiness(), "ready").into(),
            "/metrics" => self.long_page("/metrics", metrics_page),
            "/status" => self.long_page("/status", status_page),
            _ => Response::text(404, format!("no such page; the pages are:\n{PAGES}")).into(),
        }
    }

    /// A page that is made once each time that the workers are asked.
    fn long_page(
        &mut self,
        path: &'static str,
        make: fn(&StatusReport) -> Response,
    ) -> Arc<Response> {
        let generation = self.aggregate.refresh();
        if let Some((made, page)) = self.cached.get(path)
            && *made == generation
        {
            return Arc::clone(page);
        }
        let report = self.aggregate.report(Process::now(), system::unix_time());
        let page = Arc::new(bounded(make(&report)));
        self.cached.insert(path, (generation, Arc::clone(&page)));
        page
    }
}

/// A truncated page would be read as if it were whole.
fn bounded(response: Response) -> Response {
    match response.body.len() {
        ..=PAGE_MAX => response,
        length => {
            let text = format!(
                "the page would have {length} bytes, more than {PAGE_MAX}: there are too many \
                 listeners or keys\n"
            );
            Response::text(500, text)
        }
    }
}

fn health_page(response: Result<(), String>, yes: &str) -> Response {
    match response {
        Ok(()) => Response::text(200, format!("{yes}\n")),
        Err(why) => Response::text(503, format!("{why}\n")),
    }
}

fn metrics_page(report: &StatusReport) -> Response {
    Response { status: 200, kind: metrics::KIND, body: metrics::page(report) }
}

fn status_page(report: &StatusReport) -> Response {
    match serde_json::to_string_pretty(report) {
        Ok(text) => {
            let body = escape::inside_json(&text) + "\n";
            Response { status: 200, kind: "application/json", body: body.into_bytes() }
        }
        Err(error) => Response::text(500, format!("cannot write the report: {error}\n")),
    }
}

/// The state of a connection: its number, and the request so far.
#[derive(Debug)]
pub(super) struct AdminConnection {
    number: u64,
    head: RequestHead,
}

impl Service for Routes {
    type State = AdminConnection;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> AdminConnection {
        let number = self.connections.opened(peer.id(), system::monotonic());
        AdminConnection { number, head: RequestHead::default() }
    }

    fn message(&mut self, connection: &mut AdminConnection, message: &[u8], reply: &mut Reply<'_>) {
        let Some(request) = connection.head.take(message) else { return };
        self.connections.requested(connection.number);
        let (response, is_head) = match request {
            Ok(request) => (self.response(&request), request.is_head),
            Err(error) => (Response::from(error).into(), false),
        };
        reply.push(&response.head(reply.now()));
        if !is_head {
            reply.push(&response.body);
        }
        // What else arrives is read and dropped: unread input would reset the connection and
        // destroy the response.
        reply.close();
    }

    fn close(&mut self, connection: AdminConnection, _why: CloseReason) {
        self.connections.closed(connection.number);
    }
}

#[cfg(test)]
mod tests {
    use countersign::Loopback;
    use countersign::stats::{ListenerInfo, Stats};

    use super::*;
    use crate::admin::aggregate::StatsPublisher;
    use crate::admin::aggregate::tests::aggregate;
    use crate::admin::report::tests::stats;

    fn pages(published: &[Stats], checks_host: bool) -> Routes {
        Routes::new(Arc::new(aggregate(1, published)), checks_host)
    }

    fn requested(pages: &mut Routes, path: &str, host: &str) -> Arc<Response> {
        let request =
            Request { is_head: false, path: path.to_owned(), host: Some(host.to_owned()) };
        pages.response(&request)
    }

    fn shown(published: &[Stats], path: &str) -> (u16, String) {
        let response = requested(&mut pages(published, true), path, "localhost");
        (response.status, String::from_utf8(response.body.clone()).unwrap())
    }

    #[test]
    fn a_health_page_is_200_or_says_why_not() {
        assert_eq!(shown(&[], "/readyz"), (503, "starting: 0 of 1 workers are ready\n".to_owned()));
        assert_eq!(shown(&[Stats::default()], "/readyz"), (200, "ready\n".to_owned()));
        assert_eq!(shown(&[], "/healthz"), (200, "ok\n".to_owned()));
    }

    #[test]
    fn a_long_page_is_made_once_each_time_that_the_workers_are_asked() {
        let aggregate = Arc::new(aggregate(1, &[stats()]));
        let mut pages = Routes::new(Arc::clone(&aggregate), true);
        for path in ["/metrics", "/status"] {
            let first = requested(&mut pages, path, "localhost");
            StatsPublisher::begin(&aggregate, 0, Stats::default());
            assert!(Arc::ptr_eq(&first, &requested(&mut pages, path, "localhost")), "{path}");
            pages.cached.get_mut(path).unwrap().0 -= 1;
            assert_ne!(first.body, requested(&mut pages, path, "localhost").body, "{path}");
            StatsPublisher::begin(&aggregate, 0, stats());
        }
    }

    #[test]
    fn a_foreign_host_name_is_answered_only_where_other_machines_connect() {
        for (checks_host, host, status) in
            [(true, "evil.example", 421), (true, "127.0.0.1", 200), (false, "node7", 200)]
        {
            let mut pages = pages(&[], checks_host);
            assert_eq!(requested(&mut pages, "/metrics", host).status, status, "{host}");
        }
    }

    #[test]
    fn a_page_that_is_too_long_is_an_error() {
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

    /// The response to a request, and whether the connection is closed after it.
    fn exchanged(request: &[u8]) -> (String, bool) {
        let mut peer = Loopback::new(pages(&[stats()], true));
        let said: Vec<Vec<u8>> = request.chunks(3).flat_map(|piece| peer.say(piece)).collect();
        let ended = peer.verdict() == Some(CloseReason::ClosedByService);
        (String::from_utf8(said.concat()).unwrap(), ended)
    }

    #[test]
    fn a_connection_gets_one_response_and_is_closed() {
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
