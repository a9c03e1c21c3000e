//! HTTP: as much of RFC 9110 and 9112 as the pages need, and `countersign status`, which asks for
//! one of them.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::SystemTime;

use httparse::{EMPTY_HEADER, Status};

/// The longest head of a request.
pub(crate) const HEAD_MAX: usize = 8 << 10;

/// The most header fields of a request.
const FIELDS_MAX: usize = 64;

/// The longest head of a response.
pub(crate) const RESPONSE_HEAD_MAX: usize = 512;

/// What has arrived of a request. What follows the head is ignored: no page takes a body.
#[derive(Debug, Default)]
pub(crate) struct RequestHead(Vec<u8>);

/// A request whose head is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The method is HEAD: the response has no body.
    pub(crate) is_head: bool,
    pub(crate) path: String,
    /// The host that the request names, without a port; HTTP/1.0 may leave it out.
    pub(crate) host: Option<String>,
}

/// Why a request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestError {
    Malformed,
    Method,
    TargetTooLong,
    HeadTooLong,
    Version,
}

impl RequestHead {
    /// Takes what has arrived. Returns the request once its head is whole, however it was split on
    /// its way.
    pub(crate) fn take(&mut self, more: &[u8]) -> Option<Result<Request, RequestError>> {
        let room = HEAD_MAX - self.0.len();
        self.0.extend_from_slice(&more[..more.len().min(room)]);
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(&self.0) {
            Ok(Status::Complete(_)) => Some(Request::of(&request)),
            Ok(Status::Partial) if self.0.len() < HEAD_MAX => None,
            Ok(Status::Partial) => Some(Err(self.too_long())),
            Err(httparse::Error::TooManyHeaders) => Some(Err(RequestError::HeadTooLong)),
            Err(httparse::Error::Version) if self.names_a_version() => {
                Some(Err(RequestError::Version))
            }
            Err(_) => Some(Err(RequestError::Malformed)),
        }
    }

    fn too_long(&self) -> RequestError {
        let line_ended = self.0.trim_ascii_start().contains(&b'\n');
        if line_ended { RequestError::HeadTooLong } else { RequestError::TargetTooLong }
    }

    /// Whether the request line names a version, though one that isn't supported.
    fn names_a_version(&self) -> bool {
        let mut words = self.0.trim_ascii_start().split(|byte| *byte == b' ');
        words.nth(2).is_some_and(|word| word.starts_with(b"HTTP/"))
    }
}

impl Request {
    fn of(request: &httparse::Request<'_, '_>) -> Result<Self, RequestError> {
        let is_head = match request.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Err(RequestError::Method),
        };
        let target = request.path.unwrap_or_default();
        // RFC 9112, 3.2.2: a host in the target overrides the header field.
        let (named, target) = match target.strip_prefix("http://") {
            Some(rest) => {
                let (host, _) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
                (Some(host), &rest[host.len()..])
            }
            None => (None, target),
        };
        let mut hosts =
            request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
        let host = hosts.next().map(|field| str::from_utf8(field.value).unwrap_or("?"));
        // 3.2: there is at most one, and HTTP/1.1 requires it.
        if hosts.next().is_some() || (host.is_none() && request.version == Some(1)) {
            return Err(RequestError::Malformed);
        }
        let path = target.split(['?', '#']).next().unwrap_or_default();
        Ok(Self {
            is_head,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            host: named.or(host).map(|host| without_port(host).to_owned()),
        })
    }

    /// Whether the request names this machine by an IP address or as localhost. A web page that
    /// makes a browser ask by its own host name (DNS rebinding) is rejected.
    pub(crate) fn means_this_machine(&self) -> bool {
        self.host.as_deref().is_none_or(|host| {
            let ip = host.trim_start_matches('[').trim_end_matches(']');
            host.is_empty()
                || host.eq_ignore_ascii_case("localhost")
                || ip.parse::<IpAddr>().is_ok()
        })
    }
}

/// The host of `host:port`. An IPv6 address has colons too, and brackets if a port follows.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            if name.ends_with(']') || !name.contains(':') { name } else { host }
        }
        _ => host,
    }
}

/// A response, without the header fields that all responses have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: Vec<u8>,
}

/// Plain text, and nothing else.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

impl Response {
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        Self { status, kind: TEXT, body: text.into().into_bytes() }
    }

    /// The head with the blank line that ends it.
    pub(crate) fn head(&self, now: SystemTime) -> Vec<u8> {
        let Self { status, kind, body } = self;
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            414 => "URI Too Long",
            421 => "Misdirected Request",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "Internal Server Error",
        };
        let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let (date, length) = (httpdate::fmt_http_date(now), body.len());
        let mut head = Vec::with_capacity(RESPONSE_HEAD_MAX);
        // Writing to a vector succeeds.
        let _ = write!(
            head,
            "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n{allow}Connection: close\r\n\r\n"
        );
        debug_assert!(head.len() <= RESPONSE_HEAD_MAX, "no part of it is a peer's");
        head
    }
}

impl From<RequestError> for Response {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Malformed => Self::text(400, "not an HTTP request\n"),
            RequestError::Method => Self::text(405, "only GET and HEAD are supported\n"),
            RequestError::TargetTooLong => Self::text(414, "the request target is too long\n"),
            RequestError::HeadTooLong => Self::text(431, "the request head is longer than 8 KiB\n"),
            RequestError::Version => Self::text(505, "only HTTP/1.0 and HTTP/1.1 are supported\n"),
        }
    }
}

/// The body of a response with the code 200; otherwise what is wrong with the response.
pub(crate) fn body(bytes: &[u8]) -> Result<&[u8], String> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let head = match response.parse(bytes) {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) if bytes.is_empty() => return Err("it closed the connection".into()),
        _ => return Err("it doesn't speak HTTP".into()),
    };
    let body = &bytes[head..];
    if let Some(code) = response.code.filter(|code| *code != 200) {
        let text = String::from_utf8_lossy(body);
        let first = text.lines().next().or(response.reason).unwrap_or_default();
        return Err(format!("it answers {code} {first}").trim_end().to_owned());
    }
    let length = |field: &httparse::Header<'_>| {
        let number = str::from_utf8(field.value).ok()?;
        field.name.eq_ignore_ascii_case("content-length").then(|| number.parse().ok())?
    };
    let expected: Option<usize> = response.headers.iter().find_map(length);
    match expected.is_none_or(|length| length == body.len()) {
        true => Ok(body),
        false => Err("its answer was truncated".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The result of a request that arrives in pieces of this length.
    fn in_pieces(text: &[u8], length: usize) -> Option<Result<Request, RequestError>> {
        let mut head = RequestHead::default();
        text.chunks(length).find_map(|piece| head.take(piece))
    }

    /// Checks that the result is the same wherever the request is split.
    #[track_caller]
    fn parsed(text: impl AsRef<[u8]>) -> Option<Result<Request, RequestError>> {
        let text = text.as_ref();
        let whole = in_pieces(text, text.len().max(1));
        for length in [1, 2, 3, 7, 1024] {
            assert_eq!(in_pieces(text, length), whole, "in pieces of {length}");
        }
        for at in (0..text.len()).step_by((text.len() / 500).max(1)) {
            let mut head = RequestHead::default();
            let taken = head.take(&text[..at]).or_else(|| head.take(&text[at..]));
            assert_eq!(taken, whole, "cut at {at}");
        }
        whole
    }

    fn page(path: &str, host: Option<&str>) -> Option<Result<Request, RequestError>> {
        let (path, host) = (path.to_owned(), host.map(str::to_owned));
        Some(Ok(Request { is_head: false, path, host }))
    }

    #[test]
    fn a_request_is_the_same_however_it_is_split() {
        let cases = [
            (
                "GET /metrics HTTP/1.1\r\nHost: localhost:9529\r\n\r\n",
                "/metrics",
                Some("localhost"),
            ),
            ("GET / HTTP/1.0\r\n\r\n", "/", None),
            ("GET /a?b=c HTTP/1.1\nhost: [::1]:9529\n\n", "/a", Some("[::1]")),
            ("\r\nGET /a HTTP/1.1\r\nA: b\r\nHost:127.0.0.1\r\n\r\nbody", "/a", Some("127.0.0.1")),
            ("GET http://h:1/status?x HTTP/1.1\r\nHost: i\r\n\r\n", "/status", Some("h")),
            ("GET http://h HTTP/1.1\r\nHost: i\r\n\r\n", "/", Some("h")),
        ];
        for (text, path, host) in cases {
            assert_eq!(parsed(text), page(path, host), "{text:?}");
        }
        let head = parsed("HEAD /x HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert!(head.is_head);
        assert_eq!(parsed("GET / HTTP/1.1\r\nHost: a\r\n"), None);
    }

    /// Pieces of requests, right and wrong.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            "GET",
            "HEAD",
            "PRI",
            " ",
            "/",
            "/metrics",
            "http://h:1",
            "?x",
            " HTTP/1.",
            "HTTP/",
            "0",
            "1",
            "2",
            "\r\n",
            "\n",
            "\r",
            "Host:",
            "Host: a\r\n",
            "a: b\r\n",
            ":",
            "\r\n\r\n",
        ];
        let known =
            prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec());
        prop_oneof![8 => known, 1 => prop::collection::vec(any::<u8>(), 0..4)]
    }

    proptest! {
        #[test]
        fn input_is_parsed_the_same_however_it_is_split(
            pieces in prop::collection::vec(piece(), 0..12)
        ) {
            parsed(pieces.concat());
        }
    }

    #[test]
    fn each_kind_of_wrong_request_has_its_error() {
        let cases: [(&[u8], RequestError); 15] = [
            (
                b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
                RequestError::Method,
            ),
            (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Method),
            (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Method),
            (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", RequestError::Version),
            (b"GET / HTTP/1.2\r\n\r\n", RequestError::Version),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RequestError::Version),
            (b"hello you there\r\n", RequestError::Malformed),
            (b"GET /\r\n", RequestError::Malformed),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", RequestError::Malformed),
            (b"\0\0\0\0\0\0", RequestError::Malformed),
            (b"GET / HTTP/1.1\r\n\r\n", RequestError::Malformed),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", RequestError::Malformed),
            (b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", RequestError::Malformed),
            (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", RequestError::Malformed),
            (b"GET / HTTP/1.1\rX", RequestError::Malformed),
        ];
        for (text, error) in cases {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(parsed(text), Some(Err(error)), "{shown:?}");
        }
    }

    #[test]
    fn a_head_is_rejected_past_its_limit_and_not_before() {
        let filled = |length: usize| {
            let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length - rest))
        };
        assert_eq!(parsed(filled(HEAD_MAX)), page("/", Some("a")));
        assert_eq!(parsed(filled(HEAD_MAX + 1)), Some(Err(RequestError::HeadTooLong)));
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_MAX));
        assert_eq!(parsed(long), Some(Err(RequestError::TargetTooLong)));
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1));
        assert_eq!(parsed(many), Some(Err(RequestError::HeadTooLong)));
        let fields = format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX));
        assert_eq!(parsed(fields), page("/", None));
        // An endless run of blank lines is an error too.
        assert_eq!(parsed("\r\n".repeat(HEAD_MAX)), Some(Err(RequestError::TargetTooLong)));
    }

    #[test]
    fn only_an_ip_address_or_localhost_means_this_machine() {
        let means = |host: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            in_pieces(text.as_bytes(), 999).unwrap().unwrap().means_this_machine()
        };
        for host in ["localhost", "LOCALHOST:9529", "127.0.0.1:1", "10.0.0.1", "[::1]:9529", "::1"]
        {
            assert!(means(host), "{host}");
        }
        for host in ["evil.example", "evil.example:9529", "localhost.evil.example:1", "127.0.0.1.x"]
        {
            assert!(!means(host), "{host}");
        }
        assert!(in_pieces(b"GET / HTTP/1.0\r\n\r\n", 99).unwrap().unwrap().means_this_machine());
    }

    #[test]
    fn a_response_head_has_all_fields() {
        let now = SystemTime::UNIX_EPOCH;
        let head = String::from_utf8(Response::text(200, "ok\n").head(now)).unwrap();
        let expected = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\
                        Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
                        Connection: close\r\n\r\n";
        assert_eq!(head, expected);
        let head = String::from_utf8(Response::from(RequestError::Method).head(now)).unwrap();
        assert!(head.contains("\r\nAllow: GET, HEAD\r\n"), "{head}");
    }
}
