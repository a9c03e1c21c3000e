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
use std::sync::Arc;
use std::time::SystemTime;

use countersign::session::Event;
use countersign::{KeyRing, KeyRingExt as _, ServerConfig, Session};
use rand::TryRng as _;
use rand::rngs::SysRng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = KeyRing::from_file(std::env::args().nth(1).unwrap_or("keys".into()))?;
    let config = Arc::new(ServerConfig::from(keys));
    let listener = TcpListener::bind("127.0.0.1:9527")?;
    for stream in listener.incoming() {
        if let Err(error) = serve(stream?, Arc::clone(&config)) {
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

fn serve(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut session = Session::server(config, random()?);
    let (mut inbox, mut length, mut out) = ([0; 4096], 0, Vec::new());
    loop {
        let answered = answer(&mut session, &inbox[..length], &mut out);
        stream.write_all(&out)?;
        out.clear();
        if !answered? {
            return Ok(());
        }
        length = stream.read(&mut inbox)?;
        if length == 0 {
            if let Some(last) = session.input_ended().map_err(io::Error::other)? {
                let (form, reply) = (last.form, last.bytes.to_vec());
                session.reply(form, &reply, &mut out).map_err(io::Error::other)?;
            }
            return stream.write_all(&out);
        }
    }
}

/// Answers what has arrived. Returns whether more may come.
fn answer(session: &mut Session, mut input: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_err(io::Error::other)?;
    while let Some(event) = session.process(now, &mut input, out).map_err(io::Error::other)? {
        match event {
            Event::Open(opened) => {
                println!("authenticated: {}", opened.key.map_or("-", |key| key.id()));
            }
            Event::Message(message) => {
                let (form, reply) = (message.form, message.bytes.to_vec());
                session.reply(form, &reply, out).map_err(io::Error::other)?;
            }
            Event::Finished | Event::End => {
                session.finish(out);
                return Ok(false);
            }
            _ => {}
        }
    }
    Ok(true)
}
