//! The admin listener, which parses HTTP, and the response that `countersign status` reads: each
//! request has one response, which is well-formed, and the same however the request was cut.
#![no_main]

use countersign::testing::TestServer;
use countersign::{Dialect, Framing, Limits, Listener, ServerConfig};
use countersign_fuzz::choices::pieces;
use countersign_verbs::fuzzing::{admin, page};
use libfuzzer_sys::fuzz_target;

/// The longest head of a request, and room for the longest page.
const HEAD_MAX: usize = 8 << 10;
const REPLY_MAX: usize = (1 << 20) + 1024;

/// What is sent to a request.
fn response(request: &[u8], cut: u8, checks_host: bool) -> Vec<u8> {
    let config = ServerConfig::builder(Dialect::Open).with_framing(Framing::Chunks);
    let limits = Limits { reply_max: REPLY_MAX, connections: 2, ..Limits::small() };
    let listener = Listener::new(config.build().unwrap(), limits);
    let mut server = TestServer::new([listener], admin(checks_host)).unwrap();
    let peer = server.connect();
    for piece in pieces(request, cut) {
        server.send(&peer, piece);
    }
    let response = peer.take();
    assert_eq!(response.is_empty(), !peer.is_shut(), "a response is the end");
    assert!(!response.is_empty() || request.len() < HEAD_MAX, "a request without an end");
    response
}

/// The line of the status, if the response is as it should be.
fn status(response: &[u8], is_head: bool) -> String {
    let end = response.windows(4).position(|part| part == b"\r\n\r\n").expect("a head") + 4;
    let (head, body) = response.split_at(end);
    let head = str::from_utf8(head).expect("a head in ASCII");
    let (line, fields) = head.split_once("\r\n").expect("a status");
    let length = fields.split("\r\n").find_map(|field| field.strip_prefix("Content-Length: "));
    let length: usize = length.expect("a length").parse().expect("a number");
    assert!(fields.contains("Connection: close\r\n") && fields.contains("nosniff\r\n"));
    assert!(length == body.len() || (is_head && body.is_empty()), "{line}: {}", body.len());
    assert!(is_head || page(response).is_ok() == line.ends_with(" 200 OK"), "{line}");
    line.to_owned()
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, request)) = data.split_first() else { return };
    // What a server may send that is none of ours.
    let _ = page(request);
    let checks_host = *cut < 128;
    let (whole, pieces) = (response(request, 0, checks_host), response(request, *cut, checks_host));
    assert_eq!(whole.is_empty(), pieces.is_empty());
    if !whole.is_empty() {
        let is_head = request.trim_ascii_start().starts_with(b"HEAD ");
        assert_eq!(status(&whole, is_head), status(&pieces, is_head));
    }
});
