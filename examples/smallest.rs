//! The smallest server: whoever holds the key is shouted back at.
//!
//! ```console
//! $ countersign keygen example --keys keys
//! $ cargo run --example smallest -- keys
//! $ printf 'hello\n' | countersign connect 127.0.0.1:9527 --keys keys
//! HELLO
//! ```

use countersign::{KeyRing, KeyRingExt as _, Reply, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = KeyRing::from_file(std::env::args().nth(1).unwrap_or("keys".into()))?;
    let shout = |message: &[u8], reply: &mut Reply<'_>| {
        reply.message(&message.to_ascii_uppercase());
    };
    Ok(Server::bind("127.0.0.1:9527", keys, shout)?.run()?)
}
