//! The example for async programs: both of its ends on one thread, and calls that are dropped while
//! they wait.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../examples/tokio.rs"]
#[expect(dead_code, reason = "a test takes the place of main")]
mod example;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use countersign::services::Echo;
use countersign::{ClientConfig, Handle, Key, KeyRing, KeyRingExt as _, Server};
use example::{Connection, Failure, serve};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, yield_now};

fn ring(secret: &[u8]) -> KeyRing {
    KeyRing::from_key(Key::new("example", secret).unwrap()).unwrap()
}

const SECRET: &[u8] = b"sixteen bytes, or more";

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// A server on this thread.
fn start() -> (JoinHandle<io::Result<()>>, Handle, std::net::SocketAddr) {
    let server = Server::bind("127.0.0.1:0", ring(SECRET), Echo).unwrap();
    let (handle, address) = (server.handle(), server.addresses()[0].ip().unwrap());
    (tokio::task::spawn_local(serve(server)), handle, address)
}

#[test]
fn many_clients_and_the_server_share_a_thread() {
    run(async {
        let (serving, handle, address) = start();
        let clients = (0..50).map(|number| {
            tokio::task::spawn_local(async move {
                let stream = TcpStream::connect(address).await?;
                let config = ClientConfig::from(ring(SECRET));
                let mut client = Connection::connect(stream, config).await?;
                for round in 0..20 {
                    let message = format!("{round} of {number}");
                    client.send(message.as_bytes()).await?;
                    assert_eq!(client.receive().await?.unwrap(), message.as_bytes());
                }
                client.finish().await?;
                assert_eq!(client.receive().await?, None);
                Ok::<(), Failure>(())
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap().unwrap();
        }
        handle.drain().unwrap();
        serving.await.unwrap().unwrap();
    });
}

/// A stream that takes and gives one byte at a time, and waits before each.
struct Slow<T> {
    stream: T,
    reads: u64,
    writes: u64,
}

/// Whether nothing is ready yet, which is so every other time.
fn is_pending(count: &mut u64, cx: &Context<'_>) -> bool {
    *count += 1;
    let is_pending = *count % 2 == 1;
    if is_pending {
        cx.waker().wake_by_ref();
    }
    is_pending
}

impl<T: AsyncRead + Unpin> AsyncRead for Slow<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if is_pending(&mut self.reads, cx) {
            return Poll::Pending;
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut one))?;
        to.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Slow<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match is_pending(&mut self.writes, cx) {
            true => Poll::Pending,
            false => Pin::new(&mut self.stream).poll_write(cx, &from[..1]),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The result of a call; none if it waits, and then it is dropped.
async fn polled_once<F: Future>(call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Each call is dropped when it first waits, and made again, hundreds of times a message.
#[test]
fn calls_that_are_dropped_lose_nothing_and_send_nothing_twice() {
    run(async {
        let (serving, handle, address) = start();
        let stream = TcpStream::connect(address).await.unwrap();
        let slow = Slow { stream, reads: 0, writes: 0 };
        let config = ClientConfig::from(ring(SECRET));
        let mut client = Connection::connect(slow, config).await.unwrap();
        let messages = [&b"one"[..], b"", &[b'x'; 300]];
        let mut dropped = 0;
        for message in messages {
            // What a dropped call has not sent goes out with the next.
            dropped += usize::from(polled_once(client.send(message)).await.is_none());
        }
        for message in messages {
            let reply = loop {
                match polled_once(client.receive()).await {
                    Some(reply) => break reply.unwrap().unwrap(),
                    None => dropped += 1,
                }
                yield_now().await;
            };
            assert_eq!(reply, message);
        }
        assert!(dropped > 300, "{dropped} calls were dropped");
        drop(client);
        handle.stop().unwrap();
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_wrong_key_and_a_stream_that_is_cut_off_are_errors() {
    run(async {
        let (serving, handle, address) = start();
        let wrong = ClientConfig::from(ring(b"another sixteen bytes"));
        let stream = TcpStream::connect(address).await.unwrap();
        let error = Connection::connect(stream, wrong).await.err().unwrap();
        assert!(error.to_string().contains("proof"), "{error}");
        handle.stop().unwrap();
        serving.await.unwrap().unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        drop(listener.accept().await.unwrap());
        let cut = Connection::connect(stream, ClientConfig::from(ring(SECRET))).await;
        let error = cut.err().unwrap().to_string();
        assert!(error.contains("stream") || error.contains("reset"), "{error}");
    });
}
