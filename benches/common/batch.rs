//! Clients that work in batches while the server is stopped.
//!
//! How many connections share a turn of the server's loop depends on how far the clients are
//! ahead of the server, and so on the speed of the machine and of the tool that counts. These
//! clients wait until the server sleeps, stop it with SIGSTOP, do one step on every connection, let
//! the server continue, and read all replies. So each turn has the same work on every machine.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use countersign::ClientConfig;
use countersign::session::{Event, SessionCore};
use rustix::process::{Pid, Signal, kill_process};
use socket2::SockRef;

use crate::process::Process;
use crate::progress::{PATIENCE, Progress};

/// The bytes of a message.
const MESSAGE: [u8; 32] = [b'm'; 32];

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// What a batch of clients does, again and again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Each connects, sends one message, reads the reply and ends the connection.
    Connections(End),
    /// Each sends this many messages at once on a connection that stays open, and reads the
    /// replies.
    Messages(usize),
}

/// The clients of one batch.
pub(crate) struct Batch<'p> {
    process: &'p Process,
    config: &'p ClientConfig,
    work: Work,
    /// The number of clients.
    size: usize,
    clients: Vec<Client>,
    inbox: Box<[u8]>,
}

/// One end of a connection.
struct Client {
    stream: TcpStream,
    session: SessionCore,
    /// What the next step sends.
    out: Vec<u8>,
    is_open: bool,
    /// The replies that have not arrived.
    awaited: usize,
}

impl<'p> Batch<'p> {
    pub(crate) fn new(
        process: &'p Process,
        config: &'p ClientConfig,
        size: usize,
        work: Work,
    ) -> Self {
        let inbox = vec![0; 64 << 10].into();
        Self { process, config, work, size, clients: Vec::new(), inbox }
    }

    /// Makes this many connections, or sends this many messages, in whole batches.
    pub(crate) fn run(&mut self, count: u64) {
        let batch = match self.work {
            Work::Connections(_) => self.size,
            Work::Messages(depth) => self.size * depth,
        };
        let batches = count / batch as u64;
        assert_eq!(batches * batch as u64, count, "whole batches");
        if let Work::Messages(_) = self.work {
            self.connect();
            self.exchange();
        }
        for _ in 0..batches {
            match self.work {
                Work::Connections(end) => {
                    self.connect();
                    self.exchange();
                    self.disconnect(end);
                }
                Work::Messages(depth) => {
                    self.clients.iter_mut().for_each(|client| client.say(self.config, depth));
                    self.exchange();
                }
            }
        }
    }

    /// Connects all clients, and sends what each has to send first.
    fn connect(&mut self) {
        self.pause();
        for number in 0..self.size {
            let stream = TcpStream::connect(&self.process.address).unwrap();
            // For a server that hangs.
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut nonce = [0; 32];
            nonce[..8].copy_from_slice(&(number as u64).to_le_bytes());
            let session = SessionCore::client(self.config, Duration::ZERO, nonce).unwrap();
            let mut client =
                Client { stream, session, out: Vec::new(), is_open: false, awaited: 0 };
            client.receive(&[], self.config, self.work);
            client.send();
            self.clients.push(client);
        }
        self.resume();
    }

    /// Reads and sends, step by step, until every reply has arrived and nothing is left to send.
    fn exchange(&mut self) {
        loop {
            for client in self.clients.iter_mut().filter(|client| client.is_waiting()) {
                while client.is_waiting() {
                    let length = client.read(&mut self.inbox);
                    client.receive(&self.inbox[..length], self.config, self.work);
                }
            }
            if self.clients.iter().all(|client| client.out.is_empty()) {
                return;
            }
            self.pause();
            self.clients.iter_mut().for_each(Client::send);
            self.resume();
        }
    }

    /// Ends all connections.
    fn disconnect(&mut self, end: End) {
        self.pause();
        for client in self.clients.drain(..) {
            if end == End::Reset {
                SockRef::from(&client.stream).set_linger(Some(Default::default())).unwrap();
            }
        }
        self.resume();
    }

    /// Waits until the server sleeps. Stops it if there is more than one client; a single client
    /// takes one step at a time, which the server needs no stop for.
    fn pause(&self) {
        self.await_state(|state| state == 'S');
        if self.size > 1 {
            self.signal(Signal::STOP);
            // A tracer shows a stopped process as traced.
            self.await_state(|state| matches!(state, 'T' | 't'));
        }
    }

    fn resume(&self) {
        if self.size > 1 {
            self.signal(Signal::CONT);
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.child.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits until every thread of the server is in such a state.
    fn await_state(&self, is_wanted: impl Fn(char) -> bool) {
        let mut progress = Progress::since(String::new());
        loop {
            let states = self.states();
            if !states.is_empty() && states.chars().all(&is_wanted) {
                return;
            }
            assert!(progress.continues(states.clone()), "the server is in the states {states:?}");
            std::thread::yield_now();
        }
    }

    /// A letter for each thread of the server.
    fn states(&self) -> String {
        let threads = format!("/proc/{}/task", self.process.child.id());
        let stats = fs::read_dir(threads).unwrap().filter_map(|thread| {
            let stat = fs::read_to_string(thread.unwrap().path().join("stat")).ok()?;
            // "1234 (name) S …"
            stat.rsplit_once(") ")?.1.chars().next()
        });
        stats.collect()
    }
}

impl Client {
    /// Whether this client can do nothing before the server has answered.
    fn is_waiting(&self) -> bool {
        self.out.is_empty() && (!self.is_open || self.awaited > 0)
    }

    fn read(&mut self, inbox: &mut [u8]) -> usize {
        let length = self.stream.read(inbox).unwrap();
        assert!(length > 0, "the server has closed a connection");
        length
    }

    /// Processes what was read. A connection that is for one message sends it with its proof.
    fn receive(&mut self, mut input: &[u8], config: &ClientConfig, work: Work) {
        let mut has_opened = false;
        loop {
            match self.session.next(config, Duration::ZERO, &mut input, &mut self.out).unwrap() {
                Some(Event::Open(_)) => (self.is_open, has_opened) = (true, true),
                Some(Event::Message(_)) => self.awaited -= 1,
                _ => break,
            }
        }
        if has_opened && matches!(work, Work::Connections(_)) {
            self.say(config, 1);
            self.session.finish(&mut self.out);
        }
    }

    fn say(&mut self, config: &ClientConfig, messages: usize) {
        let form = self.session.form(config);
        (0..messages).for_each(|_| form.frame(&MESSAGE, &mut self.out));
        self.awaited += messages;
    }

    fn send(&mut self) {
        let sealed = self.session.seal(&mut self.out).unwrap();
        self.out.truncate(sealed);
        self.stream.write_all(&self.out).unwrap();
        self.out.clear();
    }
}
