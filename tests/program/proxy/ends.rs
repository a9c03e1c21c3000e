//! How a stream ends: each way by itself, and never whole when it isn't.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

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
        if killed == "server" {
            chain.server.signal("KILL");
            is_reset(&stream);
            chain.client.err.with("WARN  cut: the far end's stream lacks its end");
        } else {
            chain.client.signal("KILL");
            assert_eq!(target.ended().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            chain.server.err.with("WARN  cut: the far end's stream lacks its end");
        }
    }
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
    chain.client.err.with("closed: the plain end broke");
    chain.server.err.with("closed: the far end broke");
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
