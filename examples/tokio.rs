//! Both ends in an async program, on tokio: a server of its own loop, and a client over any stream.
//!
//! The server is one descriptor, which is readable when there is work, and a deadline. The client
//! is a `Session` over what is `AsyncRead` and `AsyncWrite`. Each of its calls can be dropped while
//! it waits, in a `select!` or a timeout, and nothing is lost: what has arrived and what is yet to
//! be sent stay in the connection.
//!
//! ```console
//! $ countersign keygen example --keys keys
//! $ cargo run --example tokio -- server 127.0.0.1:9527 keys
//! $ printf 'hello\n' | cargo run --example tokio -- client 127.0.0.1:9527 keys
//! ```

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use countersign::services::Echo;
use countersign::session::Event;
use countersign::{ClientConfig, KeyRing, KeyRingExt as _, Server, Service, Session};
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::{timeout, timeout_at};

/// How long a server may take to prove that it holds the key.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, address, keys] = &arguments[..] else {
        return Err("usage: tokio server|client HOST:PORT KEYFILE".into());
    };
    let keys = KeyRing::from_file(keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if role == "server" {
        let server = Server::bind(address.as_str(), keys, Echo)?;
        println!("listening on {}", server.addresses()[0]);
        return Ok(runtime.block_on(serve(server))?);
    }
    runtime.block_on(talk(address, ClientConfig::from(keys)))
}

/// Serves until a `Handle` of the server stops it. Other tasks run whenever it waits.
#[expect(deprecated, reason = "what takes the place of AsyncFd::new is unsafe")]
pub(crate) async fn serve<S: Service>(server: Server<S>) -> io::Result<()> {
    let mut server = AsyncFd::new(server)?;
    while !server.get_ref().is_finished() {
        let due = server.get_ref().deadline();
        let due = due.unwrap_or_else(|| now() + Duration::from_secs(3600));
        match timeout_at(due.into(), server.readable_mut()).await {
            Ok(ready) => {
                let mut ready = ready?;
                ready.get_inner_mut().turn(Some(Duration::ZERO))?;
                ready.clear_ready();
            }
            Err(_) => drop(server.get_mut().turn(Some(Duration::ZERO))?),
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the host has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}

/// Sends each line that it reads, and prints the replies.
async fn talk(address: &str, config: ClientConfig) -> Result<(), Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut server = timeout(HANDSHAKE, Connection::connect(stream, config)).await??;
    while let Some(line) = spawn_blocking(|| io::stdin().lines().next().transpose()).await?? {
        server.send(line.as_bytes()).await?;
        let reply = server.receive().await?.ok_or("the server closed before it replied")?;
        println!("{}", String::from_utf8_lossy(&reply));
    }
    server.finish().await?;
    while server.receive().await?.is_some() {}
    Ok(())
}

/// The client's end of a connection over any stream.
pub(crate) struct Connection<T> {
    stream: T,
    session: Session,
    /// What has arrived, from the first byte that isn't processed.
    inbox: Vec<u8>,
    /// What is to be sent, from the first byte that isn't sent.
    outbox: Vec<u8>,
}

/// What was found in the inbox.
enum Found {
    Open,
    Message(Vec<u8>),
    End,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Authenticates both ends.
    pub(crate) async fn connect(stream: T, config: ClientConfig) -> Result<Self, Failure> {
        let mut nonce = [0; 32];
        SysRng.try_fill_bytes(&mut nonce)?;
        let session = Session::client(config, since_1970()?, nonce)?;
        let mut connection = Self { stream, session, inbox: Vec::new(), outbox: Vec::new() };
        match connection.found().await? {
            Found::Open => Ok(connection),
            Found::Message(_) | Found::End => Err("no handshake took place".into()),
        }
    }

    /// Sends a message. If this is dropped while it waits, the rest goes out with the next call.
    pub(crate) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.session.send(message, &mut self.outbox).map_err(io::Error::other)?;
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// Tells the server that no more messages come. It may still reply.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        self.session.finish(&mut self.outbox);
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// The next message; none if the server has said that it sends no more.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.found().await? {
                Found::Message(message) => return Ok(Some(message)),
                Found::End => return Ok(None),
                Found::Open => {}
            }
        }
    }

    async fn found(&mut self) -> io::Result<Found> {
        loop {
            if let Some(found) = self.process()? {
                return Ok(found);
            }
            if !poll_fn(|cx| self.poll_exchange(cx)).await? {
                self.session.input_ended().map_err(io::Error::other)?;
                return Ok(Found::End);
            }
        }
    }

    /// Takes the next event from the inbox. It appends the answer to a ping, for example.
    fn process(&mut self) -> io::Result<Option<Found>> {
        let mut rest = &self.inbox[..];
        let found = loop {
            let event = self.session.process(since_1970()?, &mut rest, &mut self.outbox);
            match event.map_err(io::Error::other)? {
                Some(Event::Open(_)) => break Some(Found::Open),
                Some(Event::Message(message)) => {
                    break Some(Found::Message(message.bytes.to_vec()));
                }
                Some(Event::Finished | Event::End) => break Some(Found::End),
                Some(_) => {}
                None => break None,
            }
        };
        let processed = self.inbox.len() - rest.len();
        self.inbox.drain(..processed);
        Ok(found)
    }

    /// Sends what can be sent, and is ready when something has arrived: false at the stream's end.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        let mut space = [0; 4096];
        let mut arrived = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut arrived))?;
        self.inbox.extend_from_slice(arrived.filled());
        Poll::Ready(Ok(!arrived.filled().is_empty()))
    }

    /// Ready when all is sent. What was sent leaves the outbox at once, so that nothing goes twice.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outbox))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outbox.drain(..sent);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

fn since_1970() -> io::Result<Duration> {
    SystemTime::UNIX_EPOCH.elapsed().map_err(io::Error::other)
}
