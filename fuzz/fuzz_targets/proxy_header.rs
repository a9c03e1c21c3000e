//! The PROXY header, in front of a connection of the engine: the peer has the address that the
//! header names, however it was cut, and what is kept until then is within the formula of memory.
#![no_main]

use std::net::{Ipv6Addr, SocketAddr};

use countersign::testing::TestServer;
use countersign::{CloseReason, Limits, Listener, Peer, PeerAddress, Reply, ServerConfig, Service};
use countersign_fuzz::choices::pieces;
use libfuzzer_sys::fuzz_target;

/// The balancer, from which all connections come.
const BALANCER: &str = "127.0.0.1:1";

/// What the service has seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    from: Option<PeerAddress>,
    text: Vec<u8>,
    end: Option<CloseReason>,
}

impl Service for Seen {
    type State = ();

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) {
        assert_eq!(self.from.replace(peer.address()), None, "it opens twice");
    }

    fn message(&mut self, (): &mut (), message: &[u8], _reply: &mut Reply<'_>) {
        self.text.extend_from_slice(message);
        self.text.push(b'\n');
    }

    fn close(&mut self, (): (), why: CloseReason) {
        self.end = Some(why);
    }
}

fn seen(stream: &[u8], cut: u8) -> Seen {
    let limits = Limits { connections: 2, ..Limits::small() };
    let listener = Listener::new(ServerConfig::open(), limits);
    let listener = listener.with_proxies("127.0.0.1".parse().unwrap());
    let mut server = TestServer::new([listener], Seen::default()).unwrap();
    let most = server.engine.memory_max().buffered_per_connection;
    let peer = server.connect_from(BALANCER.parse::<SocketAddr>().unwrap(), 0);
    for piece in pieces(stream, cut) {
        server.send(&peer, piece);
        let held = server.engine.bytes_buffered();
        assert!(held <= most, "a connection holds {held} bytes, more than {most}");
    }
    server.finish(&peer);
    std::mem::take(server.engine.service_mut())
}

/// The length of the header and the address that it names, read as plainly as can be. It is only
/// asked of headers that were accepted.
fn named(stream: &[u8]) -> Option<(usize, PeerAddress)> {
    let balancer = BALANCER.parse::<SocketAddr>().ok()?.into();
    if !stream.starts_with(b"PROXY ") {
        let end = 16 + usize::from(u16::from_be_bytes([stream[14], stream[15]]));
        let number = |at: usize| u16::from_be_bytes([stream[at], stream[at + 1]]);
        let address = match stream[12..14] {
            [0x21, 0x11] => {
                SocketAddr::from((*stream[16..].first_chunk::<4>()?, number(24))).into()
            }
            [0x21, 0x21] => {
                let ip = Ipv6Addr::from(*stream[16..].first_chunk::<16>()?);
                SocketAddr::from((ip, number(48))).into()
            }
            [0x21, 0x31] => PeerAddress::Unix,
            _ => balancer,
        };
        return Some((end, address));
    }
    let end = stream.iter().position(|byte| *byte == b'\n')? + 1;
    let line = String::from_utf8_lossy(&stream[..end]);
    let words: Vec<_> = line.split([' ', '\r']).collect();
    match words[..] {
        ["PROXY", "TCP4" | "TCP6", ip, _, port, ..] => {
            let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
            Some((end, address.into()))
        }
        _ => Some((end, balancer)),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    let whole = seen(stream, 0);
    assert_eq!(whole, seen(stream, *cut));
    if let Some(from) = whole.from {
        let (end, address) = named(stream).expect("a header");
        assert_eq!(from, address);
        assert!(end <= 1024, "a header of {end} bytes");
        // A line may end with a CR, and the last one without an LF.
        let without = |text: &[u8]| text.iter().copied().filter(|byte| *byte != b'\r').collect();
        let (sent, heard): (Vec<u8>, Vec<u8>) = (without(&stream[end..]), without(&whole.text));
        assert!(sent.starts_with(heard.strip_suffix(b"\n").unwrap_or_default()));
        assert!(whole.end != Some(CloseReason::Finished) || sent.len() <= heard.len());
    } else {
        assert!(whole.text.is_empty(), "a message before the header");
    }
});
