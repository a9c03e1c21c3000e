//! `proxy` under faults: two of them, between plain programs that keep account of every byte.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use crate::clients::connect;
use crate::faults::{ABORTED, Counts, ENDS, Faults, PAUSES};
use crate::home::{Home, PATIENCE};
use crate::random::Random;
use crate::schedules::play;
use crate::served::ServerProcess;
use crate::status::{number, settled, sum};

const KEY: &str = "default text:sixteen-bytes-and-more\n";

/// The longest stream one way.
const LONGEST: usize = 200_000;

/// One stream: its number, and how many bytes go each way. The client says so at its beginning.
#[derive(Debug, Clone, Copy)]
struct Plan {
    number: u64,
    lengths: [u64; 2],
}

/// How many bytes one end has read, and whether the stream ended in the proper way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Heard {
    bytes: u64,
    is_whole: bool,
}

impl Plan {
    fn new(number: u64, random: &mut Random) -> Self {
        let mut length = || {
            let length = random.up_to(LONGEST);
            random.choose(&[length, length % 1_000]) as u64
        };
        Self { number, lengths: [length(), length()] }
    }

    fn head(&self) -> [u8; 24] {
        let numbers = [self.number, self.lengths[0], self.lengths[1]];
        numbers.map(u64::to_be_bytes).as_flattened().try_into().unwrap()
    }

    fn read(mut stream: &TcpStream) -> io::Result<Self> {
        let mut head = [0; 24];
        stream.read_exact(&mut head)?;
        let number = |at: usize| u64::from_be_bytes(head[at..at + 8].try_into().unwrap());
        Ok(Self { number: number(0), lengths: [number(8), number(16)] })
    }

    /// What goes one way: bytes of which none can be missing, doubled or moved unnoticed.
    fn bytes(&self, way: usize) -> Vec<u8> {
        let length = usize::try_from(self.lengths[way]).unwrap();
        let mut random = Random::new(self.number, way as u64);
        (0..length).map(|_| random.byte()).collect()
    }

    /// Says a head, what goes one way, and the end of it, while it hears what comes the other way.
    fn talk(&self, stream: &TcpStream, way: usize, head: &[u8]) -> Heard {
        let (said, expected) = (self.bytes(way), self.bytes(1 - way));
        let (heard, ended) = exchange(stream, &[head, &said].concat());
        let what = format!("{self:?}, way {way}: {} bytes, {ended:?}", heard.len());
        assert!(expected.starts_with(&heard), "other bytes than were sent: {what}");
        assert!(ended.is_err() || heard == expected, "a part that looks whole: {what}");
        Heard { bytes: heard.len() as u64, is_whole: ended.is_ok() }
    }
}

/// Sends this and the end, and reads until the end. Both on one thread: of two, the one that sends
/// could be told of a reset, and the other of an end.
fn exchange(mut stream: &TcpStream, said: &[u8]) -> (Vec<u8>, io::Result<()>) {
    stream.set_nonblocking(true).unwrap();
    let (mut heard, mut buffer) = (Vec::new(), [0; 1 << 14]);
    let mut unsent = Some(said);
    loop {
        let sent = match unsent {
            Some([]) => stream.shutdown(Shutdown::Write).map(|()| unsent = None),
            Some(bytes) => stream.write(bytes).map(|length| unsent = Some(&bytes[length..])),
            None => Ok(()),
        };
        match sent {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return (heard, Err(error)),
            _ => {}
        }
        let writes = if unsent.is_some() { PollFlags::OUT } else { PollFlags::empty() };
        match stream.read(&mut buffer) {
            Ok(0) if unsent.is_none() => return (heard, Ok(())),
            // The other end has said all, and hears on.
            Ok(0) => wait(stream, writes),
            Ok(length) => heard.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(stream, PollFlags::IN | writes);
            }
            Err(error) => return (heard, Err(error)),
        }
    }
}

/// Waits until a stream is ready; it never stands still for long.
fn wait(stream: &TcpStream, flags: PollFlags) {
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let mut polled = [PollFd::new(stream, flags)];
    assert_ne!(poll(&mut polled, Some(&patience)).unwrap(), 0, "no byte and no end");
}

/// A plain server: what it has heard on each connection that got so far.
fn target() -> (SocketAddr, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heard) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, sender): (_, Sender<Heard>) = (stream.unwrap(), sender.clone());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            thread::spawn(move || {
                let Ok(plan) = Plan::read(&stream) else { return };
                // Nobody asks after a schedule that has failed.
                let _ = sender.send(plan.talk(&stream, 1, &[]));
            });
        }
    });
    (address, heard)
}

/// A proxy and its faults.
struct Proxy {
    process: ServerProcess,
    faults: Faults,
    admin: String,
}

impl Proxy {
    fn start(home: &Home, role: &str, to: &str, options: &str, seed: u64) -> Self {
        let admin = format!("unix:{}", home.path(&format!("{role}.admin")).display());
        let line = format!(
            "proxy --role {role} --listen 127.0.0.1:0 --target {to} --admin {admin} {options}"
        );
        let mut command = home.command(&line);
        let faults = Faults::preload(&mut command, home, role, seed);
        let process = ServerProcess::started(command.spawn().unwrap(), 1);
        process.admin();
        Self { process, faults, admin }
    }

    /// Its report, whose counters agree with what was injected.
    fn report(&self, home: &Home) -> Value {
        let (report, faults) = (settled(home, &self.admin), self.faults.counts());
        let figure = |name: &str| number(&report[name]);
        assert_eq!(figure("accepted"), sum(&report["closed"]) + sum(&report["refused"]), "ends");
        assert_eq!(figure("accept_pauses"), faults.of(PAUSES));
        let failures = faults.of(ABORTED) + faults.of(&["accept-eintr"]);
        // Options of a connection that was waiting before the proxy had begun.
        let options = faults.of(&["option-enomem"]);
        assert!((failures..=failures + options).contains(&figure("accept_failures")), "{report}");
        report
    }

    fn stop(self) -> Counts {
        let counts = self.faults.counts();
        let ran = self.process.stop();
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        counts
    }
}

/// One stream from a client's end.
fn visit(address: &str, plan: Plan) -> Heard {
    connect(address).map_or(Heard::default(), |stream| plan.talk(&stream, 0, &plan.head()))
}

/// Has clients come at the same time. Returns what they have heard.
fn crowd(address: &str, seed: u64) -> Vec<Heard> {
    let mut random = Random::new(seed, 0);
    let clients = random.up_to(8) as u64;
    let plans: Vec<_> = (0..clients).map(|number| Plan::new(number, &mut random)).collect();
    thread::scope(|scope| {
        let visits = plans.into_iter().map(|plan| scope.spawn(move || visit(address, plan)));
        let visits: Vec<_> = visits.collect();
        visits.into_iter().map(|visit| visit.join().unwrap()).collect()
    })
}

fn schedule(seed: u64) -> Counts {
    let home = Home::with_keys(KEY);
    let (address, target) = target();
    let options = Random::new(seed, 0).choose(&["", "--records sealed"]);
    let server = Proxy::start(&home, "server", &address.to_string(), options, seed);
    let client = Proxy::start(&home, "client", server.process.address(), options, !seed);
    let both = [&client, &server];

    both.iter().for_each(|proxy| proxy.faults.arm());
    let mut heard = crowd(client.process.address(), seed);
    both.iter().for_each(|proxy| proxy.faults.disarm());
    let mut counts = Counts::default();
    both.iter().for_each(|proxy| counts.add(&proxy.faults.counts()));
    let broken = heard.iter().filter(|heard| !heard.is_whole).count() as u64;
    assert!(broken <= counts.of(ENDS) + counts.of(ABORTED), "a stream broke without a fault");

    // Nothing of it is left behind.
    let calm = visit(client.process.address(), Plan { number: 1_000, lengths: [999, 999] });
    assert_eq!(calm, Heard { bytes: 999, is_whole: true }, "a stream broke without faults");
    heard.push(calm);
    let reports = both.map(|proxy| proxy.report(&home));
    let aborted = client.faults.counts().of(ABORTED);
    let accepted = number(&reports[0]["accepted"]);
    let options = client.faults.counts().of(&["option-enomem"]);
    let lost = heard.len() as u64 - accepted;
    assert!((aborted..=aborted + options).contains(&lost), "connections: {}", reports[0]);
    // What clients have heard, their proxy has sent them.
    let bytes: u64 = heard.iter().map(|heard| heard.bytes).sum();
    assert!(bytes <= number(&reports[0]["sent_bytes"]), "{bytes}: {}", reports[0]);
    let whole = heard.iter().filter(|heard| heard.is_whole).count();
    let of_target: Vec<_> = target.try_iter().collect();
    let bytes: u64 = of_target.iter().map(|heard| heard.bytes).sum();
    assert!(bytes <= number(&reports[1]["sent_bytes"]), "{bytes}: {}", reports[1]);
    assert!(whole <= of_target.len(), "a stream without a target");

    both.iter().for_each(|proxy| proxy.faults.arm());
    let mut counts = client.stop();
    counts.add(&server.stop());
    counts
}

#[test]
fn proxies_forward_every_byte_in_order_whatever_system_calls_do() {
    let faults =
        ["read", "write", "shutdown", "accept", "socket", "option", "connect", "watch", "wait"];
    play("proxy", &[&faults[..], &["random"]].concat(), schedule);
}
