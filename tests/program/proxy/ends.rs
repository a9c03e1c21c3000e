//! How a stream ends: each way by itself, and never whole when it isn't.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::admin::wait_until;
use crate::free_port::free_address;

use super::{Home, KEY, PATIENCE, Target, breaks, dial, is_reset, rest};

#[test]
fn either_end_may_be_the_first_to_have_said_all() {
    let home = Home::with_keys(KEY);
    // It hears everything before it says anything.
    let target = Target::new(|mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard)?;
        writeln!(stream, "{} bytes", heard.len())
    });
    let chain = home.chain(&target.to(), "");
    let mut stream = chain.dial();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&stream), b"5 bytes\n");
    target.ended().unwrap();
    // It says everything before it hears anything.
    let target = Target::new(|mut stream| {
        stream.write_all(b"all that I have to say")?;
        stream.shutdown(Shutdown::Write)?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard)?;
        assert_eq!(heard, b"and I heard it");
        Ok(())
    });
    let chain = home.chain(&target.to(), "");
    let mut stream = chain.dial();
    assert_eq!(rest(&stream), b"all that I have to say");
    stream.write_all(b"and I heard it").unwrap();
    drop(stream);
    target.ended().unwrap();
    for proxy in [chain.client, chain.server] {
        proxy.err.with("closed: finished");
    }
}

#[test]
fn a_proxy_that_is_killed_leaves_no_stream_that_looks_whole() {
    let home = Home::with_keys(KEY);
    for killed in ["client", "server"] {
        let target = Target::echo();
        let chain = home.chain(&target.to(), "");
        let mut stream = chain.dial();
        stream.write_all(b"half of").unwrap();
        stream.read_exact(&mut [0; 7]).unwrap();
        let (dead, alive) = match killed {
            "client" => (&chain.client, &chain.server),
            _ => (&chain.server, &chain.client),
        };
        dead.signal("KILL");
        // Its own plain leg, and the one behind the other proxy.
        is_reset(&stream);
        assert_eq!(target.ended().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        alive.err.with("closed: the countersign/1 connection failed");
    }
}

#[test]
fn a_proxy_that_is_killed_while_bytes_go_both_ways_ends_neither_in_order() {
    let home = Home::with_keys(KEY);
    for killed in ["client", "server"] {
        let heard: [Arc<AtomicU64>; 2] = Default::default();
        let of_target = Arc::clone(&heard[0]);
        let target = Target::new(move |stream| flow(&stream, &of_target));
        let chain = home.chain(&target.to(), "");
        let (stream, of_client) = (chain.dial(), Arc::clone(&heard[1]));
        let flowing = thread::spawn(move || flow(&stream, &of_client));
        let proxy = if killed == "client" { &chain.client } else { &chain.server };
        wait_until(|| heard.iter().all(|heard| heard.load(Ordering::Relaxed) > 1 << 20));
        proxy.signal("KILL");
        for ended in [flowing.join().unwrap(), target.ended()] {
            let kind = ended.unwrap_err().kind();
            let is_broken = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
            assert!(is_broken.contains(&kind), "{killed}: {kind}");
        }
    }
}

/// Sends without end, and reads until the end. Says how that was, and meanwhile how much it read.
/// On one thread: of two, the one that sends could be told of a reset, and the other of an end.
fn flow(mut stream: &TcpStream, heard: &AtomicU64) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut buffer = [7; 1 << 14];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => drop(heard.fetch_add(length as u64, Ordering::Relaxed)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => return Err(error),
        }
        match stream.write(&buffer) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

#[test]
fn urgent_data_is_carried_in_line_and_holds_nothing_up() {
    let home = Home::with_keys(KEY);
    let target = Target::new(|mut stream| {
        let mut heard = [0; 12];
        stream.read_exact(&mut heard)?;
        let (first, rest) = heard.split_at(4);
        stream.write_all(first)?;
        socket2::SockRef::from(&stream).send_out_of_band(b"!")?;
        stream.write_all(rest)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let chain = home.chain(&target.to(), "");
    let mut stream = chain.dial();
    for part in [&b"one"[..], b"two", b"six"] {
        stream.write_all(part).unwrap();
        socket2::SockRef::from(&stream).send_out_of_band(b";").unwrap();
    }
    let mut heard = [0; 13];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"one;!two;six;");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&stream), b"");
    target.ended().unwrap();
}

#[test]
fn an_urgent_byte_between_the_proxies_is_no_more_than_a_byte() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let server = home.proxy("server", &target.to(), "");
    let mut stranger = server.dial();
    socket2::SockRef::from(&stranger).send_out_of_band(b"G").unwrap();
    stranger.write_all(b"ET / HTTP/1.1\r\n").unwrap();
    server.err.with("refused: foreign");
}

#[test]
fn a_plain_end_that_breaks_breaks_the_other_one() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "");
    let mut stream = chain.dial();
    stream.write_all(b"half of").unwrap();
    stream.read_exact(&mut [0; 7]).unwrap();
    reset(stream);
    assert_eq!(target.ended().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    chain.client.err.with("closed: the plain connection failed");
    chain.server.err.with("closed: the countersign/1 connection failed");
    // And the other way round.
    let target = Target::new(|mut stream| {
        stream.read_exact(&mut [0; 7])?;
        stream.write_all(b"half of")?;
        reset(stream);
        Ok(())
    });
    let chain = home.chain(&target.to(), "");
    let mut stream = chain.dial();
    stream.write_all(b"half of").unwrap();
    is_reset(&stream);
    target.ended().unwrap();
}

#[test]
fn a_ping_through_a_proxy_without_its_target_hints_at_that() {
    let home = Home::with_keys(KEY);
    let proxy = home.proxy("server", &free_address().to_string(), "");
    let ran = home.run(&format!("ping {}", proxy.address()), "");
    ran.failed(69, &["connection reset by peer; if a proxy is there, does it reach"]);
}

fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

/// What a middleman does with what the client's proxy says to the server's.
#[derive(Clone)]
enum Meddling {
    /// Ends the stream behind so many bytes.
    End(usize),
    /// Changes a bit of this byte.
    Change(usize),
    /// Sends these bytes so many times.
    Send(Range<usize>, usize),
}

impl Meddling {
    /// What becomes of the byte at this place; none if the stream ends before it.
    fn meddle(&self, at: usize, byte: u8, kept: &mut Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::End(end) => (at < *end).then(|| vec![byte]),
            Self::Change(place) => Some(vec![if at == *place { byte ^ 4 } else { byte }]),
            Self::Send(part, times) if part.contains(&at) => {
                kept.push(byte);
                let times = if kept.len() == part.len() { *times } else { 0 };
                Some(kept.repeat(times))
            }
            Self::Send(..) => Some(vec![byte]),
        }
    }
}

/// Stands between the proxies.
struct Middleman {
    address: String,
    /// A second record has come, or the end.
    passed: Receiver<()>,
}

fn middleman(to: String, meddling: Meddling) -> Middleman {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (pass, passed) = channel();
    thread::spawn(move || {
        let (caller, _) = listener.accept().unwrap();
        let called = dial(&to);
        let (from, back) = (called.try_clone().unwrap(), caller.try_clone().unwrap());
        thread::spawn(move || {
            let _ = io::copy(&mut &from, &mut &back);
            back.shutdown(Shutdown::Both)
        });
        let mut kept = Vec::new();
        for (at, byte) in BufReader::new(&caller).bytes().enumerate() {
            let Ok(byte) = byte else { break };
            let Some(sent) = meddling.meddle(at, byte, &mut kept) else { break };
            if (&called).write_all(&sent).is_err() {
                break;
            }
            if at + 1 == FIRST + 2 * RECORD {
                let _ = pass.send(());
            }
        }
        drop(pass);
        let _ = called.shutdown(Shutdown::Write);
        let _ = io::copy(&mut &caller, &mut io::sink());
    });
    Middleman { address, passed }
}

/// A record of six bytes.
const RECORD: usize = 4 + 6 + 16;

/// Where a client's first record begins: behind the magic, its hello with the id of this key, and
/// its proof.
const FIRST: usize = 8 + (4 + 60 + "default".len()) + (4 + 32);

#[test]
fn who_meddles_with_the_stream_gets_nothing_through_and_both_ends_know() {
    let home = Home::with_keys(KEY);
    let second = FIRST + RECORD;
    let cases = [
        (Meddling::End(second), "lacks its end"),
        (Meddling::End(second + 3), "lacks its end"),
        (Meddling::Change(second + 4), "bad-record"),
        (Meddling::Change(second + 1), "message-too-long"),
        (Meddling::Send(second..second + RECORD, 2), "bad-record"),
        (Meddling::Send(second..second + RECORD, 0), "bad-record"),
    ];
    for (meddling, said) in cases {
        let target = Target::echo();
        let server = home.proxy("server", &target.to(), "");
        let between = middleman(server.address().to_owned(), meddling);
        let client = home.proxy("client", &between.address, "");
        let mut stream = client.dial();
        stream.write_all(b"first;").unwrap();
        let mut back = [0; 6];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"first;");
        stream.write_all(b"second").unwrap();
        // Where the stream was ended before, there is no word of it.
        let _ = between.passed.recv_timeout(PATIENCE);
        // Where a record is missing, the next one shows it.
        breaks(&stream, b"third;");
        server.err.with(said);
        assert_eq!(target.ended().unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{said}");
    }
}
