//! The clients of `tests/c/host.c`: many, of two keys, one of which is taken away.

use std::fs::Permissions;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use countersign::{Client, ClientConfig, ClientError, KeyRing, KeyRingExt as _};

use crate::program::Listening;

/// How many connections a host gets where nobody says so.
const CONNECTIONS: usize = 200;

/// How long one call may take: a bound on a hang, not on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

const OLD: &str = "old  hex:00112233445566778899aabbccddeeff\n";
const BOTH: &str = "both  hex:0123456789abcdef0123456789abcdef\n";
const NEW: &str = "new  hex:fedcba9876543210fedcba9876543210\n";

/// A file of keys that only its owner can read.
pub(crate) fn key_file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

pub(crate) fn config(keys: &str) -> Arc<ClientConfig> {
    Arc::new(KeyRing::parse(keys.as_bytes()).unwrap().into())
}

fn connections() -> usize {
    std::env::var("COUNTERSIGN_CONNECTIONS").map_or(CONNECTIONS, |text| text.parse().unwrap())
}

fn connect(address: &str, config: &Arc<ClientConfig>) -> Client {
    let mut client = Client::connect_within(address, Arc::clone(config), PATIENCE).unwrap();
    client.set_timeout(Some(PATIENCE));
    client
}

fn ask(client: &mut Client, message: &str) {
    assert_eq!(client.ask(message.as_bytes()).unwrap(), message.as_bytes());
}

/// Whether the server closes a connection in order, which it has told nothing else.
fn is_closed(client: &mut Client) -> bool {
    matches!(client.receive(), Ok(None))
}

/// Runs a host, and visits it with all of its clients.
pub(crate) fn visit(command: &mut Command, how: &str) {
    let name = how.replace(' ', "-");
    command.arg(key_file(&format!("before-{name}"), &[OLD, BOTH].concat()));
    command.arg(key_file(&format!("after-{name}"), &[BOTH, NEW].concat()));
    let mut host = Listening::start(command);
    let address = host.address.clone();
    let (old, both, new) = (config(OLD), config(BOTH), config(NEW));

    let mut first = connect(&address, &both);
    let each = connections() / 2;
    let mut olds: Vec<Client> = (0..each).map(|_| connect(&address, &old)).collect();
    let mut stays: Vec<Client> = (1..each).map(|_| connect(&address, &both)).collect();
    olds.iter_mut().chain(&mut stays).for_each(|client| ask(client, "hello"));
    ask(&mut stays[0], "tell");
    assert_eq!(first.receive().unwrap(), Some(&b"told"[..]));
    ask(&mut stays[1], "close");
    assert!(is_closed(&mut stays[1]));
    // Those that are none: of another protocol, silent, and gone in the handshake.
    let strangers: Vec<TcpStream> =
        (0..each / 10).map(|_| TcpStream::connect(&address).unwrap()).collect();
    strangers.iter().step_by(2).for_each(|mut stream| stream.write_all(b"GET / HTTP\r\n").unwrap());
    drop(strangers);

    ask(&mut first, "keys");
    assert!(olds.iter_mut().all(is_closed), "{how}: their key was taken away");
    drop(olds);
    // A server that does not have the key proves nothing to its holder.
    let refused = Client::connect_within(&address, old, PATIENCE);
    assert!(matches!(refused, Err(ClientError::Unproven)), "{how}: {refused:?}");
    ask(&mut connect(&address, &new), "hello");
    stays.remove(1);
    stays.iter_mut().for_each(|client| ask(client, "hello"));

    ask(&mut first, "drain");
    assert!(stays.iter_mut().all(is_closed) && is_closed(&mut first), "{how}");
    drop((stays, first));
    let text = host.ended();
    assert!(text.contains(&format!("revoked {each}")), "{text}");
    println!("{} connections {how}: {text}", 2 * each);
}
