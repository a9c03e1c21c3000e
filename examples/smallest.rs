//! The smallest server, also in memory: whoever holds the key is shouted back at.
//!
//! ```console
//! $ countersign keygen example --keys keys
//! $ cargo run --example smallest -- keys
//! $ printf 'hello\n' | countersign connect 127.0.0.1:9527 --keys keys
//! HELLO
//! ```

use countersign::{KeyRing, KeyRingExt as _, Limits, ListenerConfig, Reply, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = KeyRing::from_file(std::env::args().nth(1).unwrap_or("keys".into()))?;
    let shout = |message: &[u8], reply: &mut Reply<'_>| {
        reply.message(&message.to_ascii_uppercase());
    };
    let listener = ListenerConfig::new(keys).with_limits(Limits::small()).bind("127.0.0.1:9527")?;
    Ok(Server::new([listener], shout)?.run()?)
}
