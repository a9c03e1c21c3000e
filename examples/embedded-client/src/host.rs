//! On an operating system, over sockets of tokio: sends each line of the input, and prints the
//! replies.
//!
//! ```console
//! $ countersign serve --keys keys --bind 127.0.0.1:9527
//! $ printf 'hello\n' | cargo run -p countersign-embedded-client -- 127.0.0.1:9527 keys
//! ```

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use countersign::{ClientConfig, KeyRing, KeyRingExt as _};
use embedded_client::Client;
use embedded_io_adapters::tokio_1::FromTokio;
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::net::TcpStream;
use tokio::time::timeout;

type Failure = Box<dyn std::error::Error>;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(keys), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: embedded-client ADDR KEYFILE");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|on| on.block_on(talk(&address, &keys))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embedded-client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn talk(address: &str, keys: &str) -> Result<(), Failure> {
    let config = ClientConfig::from(KeyRing::from_file(keys)?);
    let now = SystemTime::UNIX_EPOCH.elapsed()?;
    let mut random = [0; 32];
    SysRng.try_fill_bytes(&mut random)?;

    let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    let connect = Client::connect(FromTokio::new(stream), config, now, random);
    let mut client = timeout(PATIENCE, connect).await??;
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        client.send(&line?).await?;
        let reply = timeout(PATIENCE, client.receive()).await??;
        output.write_all(reply.ok_or("the server has ended the conversation")?)?;
        output.write_all(b"\n")?;
    }
    Ok(timeout(PATIENCE, client.finish()).await??)
}
