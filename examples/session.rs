//! `Session` alone, over std's sockets: for those who own their sockets, whether in another runtime
//! or on a machine that mio doesn't know.
//!
//! One connection at a time, each message echoed.
//!
//! ```console
//! $ countersign keygen example --keys keys
//! $ cargo run --example session -- keys
//! $ printf 'hello\n' | countersign connect 127.0.0.1:9527 --keys keys
//! ```

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use countersign::{Event, KeyRing, Protocol, Session};
use rand::TryRng as _;
use rand::rngs::SysRng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = KeyRing::from_file(std::env::args().nth(1).unwrap_or("keys".into()))?;
    let protocol = Protocol::from(keys);
    let listener = TcpListener::bind("127.0.0.1:9527")?;
    for stream in listener.incoming() {
        if let Err(error) = serve(stream?, &protocol) {
            eprintln!("a connection ended: {error}");
        }
    }
    Ok(())
}

fn serve(mut stream: TcpStream, protocol: &Protocol) -> io::Result<()> {
    let mut nonce = [0; 32];
    SysRng.try_fill_bytes(&mut nonce).map_err(io::Error::other)?;
    let mut session = Session::server(protocol, nonce);
    let (mut inbox, mut length, mut out) = ([0; 4096], 0, Vec::new());
    loop {
        let mut input = &inbox[..length];
        while let Some(event) =
            session.next(protocol, &mut input, &mut out).map_err(io::Error::other)?
        {
            match event {
                Event::Open(key) => println!("let in: {}", key.map_or("-", |key| key.id())),
                Event::Message(message) => message.form.frame(message.bytes, &mut out),
                _ => return stream.write_all(&out),
            }
        }
        stream.write_all(&out)?;
        out.clear();
        length = stream.read(&mut inbox)?;
        if length == 0 {
            if let Some(last) = session.finish(protocol).map_err(io::Error::other)? {
                last.form.frame(last.bytes, &mut out);
            }
            return stream.write_all(&out);
        }
    }
}
