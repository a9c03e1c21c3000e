//! Without an operating system: the standard input and output of the emulator are the network, and
//! random bytes come from the emulator's host.
//!
//! `ci/bare` connects it to a server.

extern crate alloc;

use alloc::boxed::Box;
use core::error::Error;
use core::time::Duration;

#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
use countersign_proto::{ClientConfig, Dialect, Key, KeyRing, RingSecrets};
use embassy_futures::block_on;
use embedded_client::Client;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;
use semihosting::experimental::random;
use semihosting::io::{self, Read as _, Stdin, Stdout, Write as _};
use semihosting::process::ExitCode;

/// Where a device keeps its own key, which only the server has too.
const KEY: (&str, &[u8]) = ("garden", b"a-key-for-each-device");

/// The longest message that the server may send.
const MESSAGE_MAX: usize = 256;

const MESSAGES: u8 = 200;

#[global_allocator]
static HEAP: emballoc::Allocator<4096> = emballoc::Allocator::new();

#[entry]
fn main() -> ! {
    let code = match block_on(talk()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            semihosting::eprintln!("embedded-client: {error}");
            ExitCode::FAILURE
        }
    };
    code.exit_process()
}

/// Sends messages to a server that returns each.
async fn talk() -> Result<(), Box<dyn Error>> {
    let keys = KeyRing::new(RingSecrets::new(random()?)).with(Key::new(KEY.0, KEY.1)?)?;
    let config = ClientConfig::builder(Dialect::Countersign)
        .with_keys(keys)
        .with_message_max(MESSAGE_MAX)
        .build()?;
    let mut client = Client::connect(Console::open()?, config, Duration::ZERO, random()?).await?;
    for number in 0..MESSAGES {
        let message = [number; 32];
        client.send(&message).await?;
        if client.receive().await? != Some(&message[..]) {
            return Err("the server has not returned what was sent".into());
        }
    }
    Ok(client.finish().await?)
}

/// A board has a random number generator, or derives from a counter in its flash.
fn random<const N: usize>() -> Result<[u8; N], ErrorKind> {
    let mut bytes = [0; N];
    random::fill_bytes(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn failed(_: io::Error) -> ErrorKind {
    ErrorKind::Other
}

/// The network.
struct Console {
    input: Stdin,
    output: Stdout,
}

impl Console {
    fn open() -> Result<Self, ErrorKind> {
        Ok(Self { input: io::stdin().map_err(failed)?, output: io::stdout().map_err(failed)? })
    }
}

impl ErrorType for Console {
    type Error = ErrorKind;
}

impl Read for Console {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        self.input.read(into).map_err(failed)
    }
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.output.write(bytes).map_err(failed)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
