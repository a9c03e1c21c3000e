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
use std::time::SystemTime;

use countersign::{Event, KeyRing, KeyRingExt as _, Protocol, Refusal, Session};
use rand::TryRng as _;
use rand::rngs::SysRng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut keys = KeyRing::from_file(std::env::args().nth(1).unwrap_or("keys".into()))?;
    keys.set_time(SystemTime::UNIX_EPOCH.elapsed()?);
    let protocol = Protocol::from(keys);
    let listener = TcpListener::bind("127.0.0.1:9527")?;
    for stream in listener.incoming() {
        if let Err(error) = serve(stream?, &protocol) {
            eprintln!("a connection ended: {error}");
        }
    }
    Ok(())
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn serve(mut stream: TcpStream, protocol: &Protocol) -> io::Result<()> {
    let mut session = Session::server(protocol, random()?);
    let (mut inbox, mut length, mut out) = ([0; 4096], 0, Vec::new());
    loop {
        let heard = hear(&mut session, protocol, &inbox[..length], &mut out);
        if let Ok(false) = heard {
            session.say_goodbye(&mut out);
        }
        session.seal(&mut out);
        stream.write_all(&out)?;
        out.clear();
        if !heard.map_err(io::Error::other)? {
            return Ok(());
        }
        length = stream.read(&mut inbox)?;
        if length == 0 {
            if let Some(last) = session.finish(protocol).map_err(io::Error::other)? {
                last.form.frame(last.bytes, &mut out);
            }
            return stream.write_all(&out);
        }
    }
}

/// Answers what was heard. Says whether more is to come.
fn hear(
    session: &mut Session,
    protocol: &Protocol,
    mut input: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, Refusal> {
    while let Some(event) = session.next(protocol, &mut input, out)? {
        match event {
            Event::Open(opened) => {
                println!("let in: {}", opened.key.map_or("-", |key| key.id()));
            }
            Event::Message(message) => message.form.frame(message.bytes, out),
            Event::Finished | Event::End => return Ok(false),
            _ => {}
        }
    }
    Ok(true)
}
