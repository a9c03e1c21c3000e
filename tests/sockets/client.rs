//! The blocking client: how it finds its server, how long it waits, and what is left after an
//! error.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign::services::{Discard, Echo};
use countersign::{
    Address, AddressError, Client, ClientError, Dialect, Framing, Limits, Refusal, ToAddresses,
};
use socket2::{Domain, SockRef, Socket, Type};

use crate::both_ends::BothEnds;
use crate::common::{PATIENCE, is_timeout, other_end, speaking};
use crate::server_thread::ServerThread;

const MOMENT: Duration = Duration::from_millis(100);
const SHORT: Duration = Duration::from_millis(10);

/// A name that stands for all of these.
struct Name(Vec<SocketAddr>);

impl ToAddresses for Name {
    fn to_addresses(&self) -> Result<Vec<Address>, AddressError> {
        Ok(self.0.iter().copied().map(Address::Ip).collect())
    }
}

/// An address where nobody listens.
fn absent() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A server whose queue is full, so that nothing answers there.
fn mute() -> (Vec<Socket>, SocketAddr) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let waiting = socket();
        waiting.set_nonblocking(true).unwrap();
        // It may be in progress for ever.
        let _ = waiting.connect(&address);
        sockets.push(waiting);
    }
    (sockets, address.as_socket().unwrap())
}

/// A server that does this with its one client.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

#[test]
fn every_address_of_a_name_is_tried() {
    let ((_queue, mute), absent) = (mute(), absent());
    for dialect in [Dialect::Open, Dialect::Raw, Dialect::Countersign] {
        let protocol = speaking(dialect);
        let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
        let here = server.address;
        for addresses in [vec![absent, here], vec![mute, here], vec![mute, absent, here, mute]] {
            let mut client = Client::connect(Name(addresses), other_end(&protocol)).unwrap();
            assert_eq!(client.address(), &Address::Ip(here));
            assert_eq!(client.ask(b"hello").unwrap(), b"hello");
            let local = SockRef::from(&client.as_fd()).peer_addr().unwrap();
            assert_eq!(local.as_socket(), Some(here));
        }
    }
}

#[test]
fn a_server_that_can_not_be_reached_is_told_from_one_that_does_not_answer() {
    let (_queue, mute) = mute();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let within = |addresses: &[SocketAddr]| {
        let protocol = speaking(Dialect::Raw);
        Client::connect_within(Name(addresses.to_vec()), protocol, MOMENT).unwrap_err()
    };
    let kind = |error| match error {
        ClientError::Io(error) => error.kind(),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(within(&[absent(), absent()])), io::ErrorKind::ConnectionRefused);
    assert_eq!(kind(within(&[mute, mute])), io::ErrorKind::TimedOut);
    assert_eq!(kind(within(&[absent(), mute])), io::ErrorKind::TimedOut);
    let error = within(&[silent.local_addr().unwrap()]);
    assert!(matches!(error, ClientError::HandshakeTimeout(_)), "{error:?}");
    for (text, expected) in [
        ("no.such.name.invalid", io::ErrorKind::NotFound),
        ("fe80::1%no-such-one", io::ErrorKind::NotFound),
        ("127.0.0.1:", io::ErrorKind::InvalidInput),
    ] {
        let error = Client::connect(text, BothEnds::open()).unwrap_err();
        let ClientError::Address(error) = error else { panic!("{text}: {error:?}") };
        assert_eq!(io::Error::from(error).kind(), expected, "{text}");
    }
}

#[test]
fn no_number_makes_a_timeout_panic() {
    let server = ServerThread::start(BothEnds::open(), Limits::default(), Echo);
    for timeout in [Duration::MAX, Duration::from_secs(1 << 40)] {
        let mut client = Client::connect_within(server.address, BothEnds::open(), timeout).unwrap();
        client.set_timeout(Some(timeout));
        assert_eq!(client.ask(b"hello").unwrap(), b"hello");
    }
    let error = Client::connect_within(server.address, BothEnds::open(), Duration::ZERO);
    assert!(matches!(error, Err(ClientError::Io(_))), "{error:?}");
}

#[test]
fn a_timeout_is_for_the_whole_call_however_slowly_it_goes_on() {
    let length = 64 << 20;
    let protocol = BothEnds::open().with_message_max(length);
    // It takes so little at a time that the message would take ten minutes.
    let (leave, staying) = channel::<()>();
    let (address, _) = server(move |mut stream| {
        SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
        while staying.recv_timeout(SHORT) == Err(RecvTimeoutError::Timeout) {
            stream.read_exact(&mut [0; 1024]).unwrap();
        }
    });
    let mut client = Client::connect(address, protocol).unwrap();
    client.set_timeout(Some(3 * MOMENT));
    let error = client.send(&vec![b'x'; length]).unwrap_err();
    assert!(matches!(error, ClientError::Timeout), "{error:?}");
    // Part of it is out, so nothing can follow it.
    for error in [client.send(b"more"), client.finish(), client.ask(b"more").map(|_| ())] {
        assert!(matches!(error, Err(ClientError::Over)), "{error:?}");
    }
    assert!(matches!(client.receive(), Err(ClientError::Timeout)), "what comes is still heard");
    // It may be in a read that the system lets wait for long, so it isn't waited for.
    drop(leave);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_message_has_not_finished() {
    for is_nonblocking in [false, true] {
        let (gone, is_gone) = channel();
        let (address, serving) = server(move |mut stream| {
            is_gone.recv().unwrap();
            let ended = io::copy(&mut stream, &mut io::sink());
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        });
        let mut client = Client::connect(address, BothEnds::open()).unwrap();
        client.set_timeout(Some(MOMENT));
        client.set_nonblocking(is_nonblocking).unwrap();
        let error = loop {
            let sent = client.send(&[b'x'; 50_000]).and_then(|()| client.flush());
            match sent {
                Ok(()) if client.unsent() > 0 => break None,
                Ok(()) => {}
                Err(error) => break Some(error),
            }
        };
        assert!(matches!(error, None | Some(ClientError::Timeout)), "{error:?}");
        assert_eq!(error.is_none(), is_nonblocking);
        drop(client);
        gone.send(()).unwrap();
        serving.join().unwrap();
    }
}

#[test]
fn a_reply_that_drips_is_not_waited_for_beyond_the_timeout() {
    let (leave, staying) = channel::<()>();
    let (address, peer) = server(move |mut stream| {
        while staying.recv_timeout(SHORT) == Err(RecvTimeoutError::Timeout) {
            stream.write_all(b"x").unwrap();
        }
    });
    let mut client = Client::connect(address, BothEnds::open()).unwrap();
    client.set_timeout(Some(MOMENT));
    assert!(matches!(client.ask(b"hello"), Err(ClientError::Timeout)));
    assert!(matches!(client.receive(), Err(ClientError::Timeout)));
    drop(leave);
    peer.join().unwrap();
}

#[test]
fn after_a_timeout_the_late_reply_can_be_received() {
    for framing in [Framing::Lines, Framing::Length] {
        let protocol = BothEnds::open().with_framing(framing);
        let (release, held) = channel();
        let reply = if framing == Framing::Lines { &b"la|te\n"[..] } else { b"\0\0|\0\x04late" };
        let (address, peer) = server(move |mut stream| {
            for part in reply.split(|byte| *byte == b'|') {
                stream.write_all(part).unwrap();
                held.recv_timeout(PATIENCE).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        let mut client = Client::connect(address, protocol).unwrap();
        client.set_timeout(Some(MOMENT));
        assert!(matches!(client.ask(b"hello"), Err(ClientError::Timeout)));
        release.send(()).unwrap();
        client.set_timeout(None);
        assert_eq!(client.receive().unwrap(), Some(&b"late"[..]), "nothing is lost");
        release.send(()).unwrap();
        assert!(client.receive().unwrap().is_none());
        drop(client);
        peer.join().unwrap();
    }
}

#[test]
fn over_is_over() {
    let length = BothEnds::open().with_framing(Framing::Length);
    let (address, peer) = server(|mut stream| {
        // No length, and behind it a message that would be good.
        stream.write_all(b"\x80\0\0\0\0\0\0\x05hello").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut client = Client::connect(address, length).unwrap();
    let error = client.receive().unwrap_err();
    assert!(matches!(error, ClientError::Server(Refusal::BadLength)), "{error:?}");
    for _ in 0..3 {
        assert!(matches!(client.receive(), Err(ClientError::Over)));
        assert!(matches!(client.send(b"hello"), Err(ClientError::Over)));
        assert!(matches!(client.ask(b"hello"), Err(ClientError::Over)));
        assert!(matches!(client.finish(), Err(ClientError::Over)));
    }
    drop(client);
    peer.join().unwrap();
}

#[test]
fn behind_the_good_bye_nothing_is_sent_and_all_is_received() {
    let server = ServerThread::start(speaking(Dialect::Countersign), Limits::default(), Echo);
    let protocol = other_end(&speaking(Dialect::Countersign));
    let mut client = Client::connect(server.address, protocol).unwrap();
    client.send(b"one").unwrap();
    client.finish().unwrap();
    assert!(matches!(client.send(b"two"), Err(ClientError::Over)));
    assert_eq!(client.receive().unwrap(), Some(&b"one"[..]));
    for _ in 0..3 {
        assert!(client.receive().unwrap().is_none(), "an end is no failure");
    }
    drop(client);
    let discarding = ServerThread::start(BothEnds::open(), Limits::default(), Discard);
    let mut client = Client::connect(discarding.address, BothEnds::open()).unwrap();
    client.finish().unwrap();
    assert!(matches!(client.ask(b"two"), Err(ClientError::Over)));
}

#[test]
fn without_waiting_many_messages_are_on_their_way_and_none_is_lost() {
    const MESSAGES: u32 = 100_000;
    for dialect in [Dialect::Open, Dialect::Raw, Dialect::Countersign] {
        let protocol = speaking(dialect);
        let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
        let mut client = Client::connect(server.address, other_end(&protocol)).unwrap();
        client.set_nonblocking(true).unwrap();
        let (mut sent, mut received, mut most) = (0, 0, 0);
        while received < MESSAGES {
            while sent < MESSAGES && client.unsent() < 1 << 14 {
                client.send(format!("message {sent}").as_bytes()).unwrap();
                sent += 1;
                most = most.max(sent - received);
            }
            client.flush().unwrap();
            match client.receive() {
                Ok(Some(reply)) => {
                    assert_eq!(reply, format!("message {received}").as_bytes());
                    received += 1;
                }
                Err(ClientError::Timeout) => thread::yield_now(),
                other => panic!("{dialect}: {other:?}"),
            }
        }
        assert!(most > 100, "{dialect}: {most} at one time");
        // A close record is written like any message, and calls may wait again.
        client.finish().unwrap();
        client.set_nonblocking(false).unwrap();
        client.flush().unwrap();
        assert_eq!(client.receive().unwrap(), None);
        assert_eq!(server.stop().messages, u64::from(MESSAGES));
    }
}

#[test]
fn without_waiting_what_the_socket_refuses_stays_unsent() {
    let (address, served) = server(|mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count(), 800);
        assert!(bytes.iter().all(|byte| b"x\n".contains(byte)));
    });
    let mut client = Client::connect(address, BothEnds::open()).unwrap();
    client.set_nonblocking(true).unwrap();
    for _ in 0..800 {
        client.send(&[b'x'; 60_000]).unwrap();
        client.flush().unwrap();
    }
    client.finish().unwrap();
    while client.unsent() > 0 {
        client.flush().unwrap();
        thread::yield_now();
    }
    client.flush().unwrap();
    served.join().unwrap();
    assert_eq!(client.receive().unwrap(), None);
}

#[test]
fn a_call_that_waits_first_sends_what_was_left_unsent() {
    for dialect in [Dialect::Open, Dialect::Raw, Dialect::Countersign] {
        let protocol = speaking(dialect);
        let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
        let mut client = Client::connect(server.address, other_end(&protocol)).unwrap();
        client.set_timeout(Some(PATIENCE));
        client.set_nonblocking(true).unwrap();
        client.send(b"one").unwrap();
        assert!(client.unsent() > 0, "{dialect}");
        client.set_nonblocking(false).unwrap();
        assert_eq!(client.receive().unwrap(), Some(&b"one"[..]), "{dialect}");
        // To ask without waiting is to write; the reply may be there already.
        client.set_nonblocking(true).unwrap();
        let is_answered = match client.ask(b"two") {
            Ok(reply) => reply == b"two",
            Err(ClientError::Timeout) => false,
            Err(error) => panic!("{dialect}: {error:?}"),
        };
        assert_eq!(client.unsent(), 0, "{dialect}");
        client.set_nonblocking(false).unwrap();
        if !is_answered {
            assert_eq!(client.receive().unwrap(), Some(&b"two"[..]), "{dialect}");
        }
        client.set_nonblocking(true).unwrap();
        client.finish().unwrap();
        client.set_nonblocking(false).unwrap();
        assert_eq!(client.receive().unwrap(), None, "{dialect}");
    }
}

/// A server of `raw` that says nothing more once it has the proof, and leaves after this time.
fn silent(stays: Duration) -> (SocketAddr, JoinHandle<()>) {
    server(move |mut stream| {
        stream.write_all(&[7; 32]).unwrap();
        stream.read_exact(&mut [0; 32]).unwrap();
        stream.set_read_timeout(Some(stays.max(SHORT))).unwrap();
        if !stays.is_zero() {
            // A message that came would be read here.
            let read = stream.read(&mut [0]);
            assert!(read.is_err_and(|error| is_timeout(error.kind())), "nothing is sent");
        }
    })
}

#[test]
fn an_end_that_comes_late_is_no_refusal() {
    let raw = || other_end(&speaking(Dialect::Raw));
    let (address, peer) = silent(Duration::ZERO);
    let mut client = Client::connect(address, raw()).unwrap();
    let error = client.receive().unwrap_err();
    assert!(matches!(error, ClientError::Refused), "{error:?}");
    peer.join().unwrap();
    let late = Duration::from_millis(1200);
    let (address, peer) = silent(late);
    let mut client = Client::connect(address, raw()).unwrap();
    let error = client.receive().unwrap_err();
    assert!(matches!(error, ClientError::Unanswered), "{error:?}");
    assert!(matches!(client.ask(b"hello"), Err(ClientError::Over)));
    peer.join().unwrap();
    // Where nobody looks before there is a message, it isn't sent.
    let (address, peer) = silent(late);
    let mut client = Client::connect(address, raw()).unwrap();
    peer.join().unwrap();
    let error = client.ask(b"hello").unwrap_err();
    assert!(matches!(error, ClientError::Unanswered), "{error:?}");
}

#[test]
fn where_nothing_was_proved_nothing_is_refused() {
    let (address, peer) = server(drop);
    let mut client = Client::connect(address, BothEnds::open()).unwrap();
    peer.join().unwrap();
    let error = client.receive().unwrap_err();
    assert!(matches!(error, ClientError::Unanswered), "{error:?}");
}

#[test]
fn a_challenge_is_no_reply() {
    let python = b"\0\0\0\x3b#CHALLENGE#{sha256}";
    let challenge = [&[0xff; 16][..], &[b'\n'; 8], &[0x80; 8]].concat();
    for (spoken, is_known) in [(&python[..], true), (&challenge, true), (b"hi\n", false)] {
        let spoken = spoken.to_vec();
        let (address, peer) = server(move |mut stream| {
            stream.write_all(&spoken).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let mut client = Client::connect(address, BothEnds::open()).unwrap();
        let told = client.ask(b"hello").map(<[u8]>::to_vec);
        match is_known {
            true => assert!(matches!(told, Err(ClientError::Server(Refusal::Foreign(_))))),
            false => assert_eq!(told.unwrap(), b"hi"),
        }
        drop(client);
        peer.join().unwrap();
    }
}
