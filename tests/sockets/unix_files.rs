//! The files of Unix sockets: who may use them, what they replace, and when they are gone.

use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign::{Address, BindError, Limits, ListenerConfig, Server};

use crate::both_ends::BothEnds;
use crate::common::{Client, End, bracket, chain, kind_of};
use crate::server_thread::ServerThread;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder for sockets, removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("countersign-sockets-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn address(&self, name: &str) -> Address {
        Address::Unix(self.path(name))
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a test that failed harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Bound = Server<fn(&[u8], &mut countersign::Reply<'_>)>;

fn bind(address: &Address) -> Result<Bound, BindError> {
    Server::bind(address, BothEnds::open(), bracket as fn(&[u8], &mut countersign::Reply<'_>))
}

fn kind(path: &Path) -> FileType {
    fs::symlink_metadata(path).unwrap().file_type()
}

#[test]
fn only_the_owner_may_connect_unless_told_otherwise() {
    let folder = Folder::new();
    let listener = ListenerConfig::new(BothEnds::open()).bind(folder.address("own")).unwrap();
    let listener = listener.with_unix_mode(0o666).bind(folder.address("all")).unwrap();
    let listener = listener.with_unix_mode(0o660).bind(folder.address("group")).unwrap();
    let server = Server::new([listener], bracket).unwrap();
    for (name, mode) in [("own", 0o600), ("all", 0o666), ("group", 0o660)] {
        let found = fs::metadata(folder.path(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{name}");
        assert!(found.file_type().is_socket());
    }
    drop(server);
    assert!(folder.is_empty());
}

#[test]
fn a_file_goes_with_its_server_however_that_ends() {
    let folder = Folder::new();
    let address = folder.address("socket");
    drop(bind(&address).unwrap());
    assert!(folder.is_empty(), "it never ran");
    drop(ListenerConfig::new(BothEnds::open()).bind(&address).unwrap());
    assert!(folder.is_empty(), "it was never built");
    let mut server = bind(&address).unwrap();
    server.handle().stop().unwrap();
    server.run().unwrap();
    assert!(folder.is_empty(), "it was stopped at once");
}

#[test]
fn a_graceful_stop_removes_the_file_before_the_last_connection_is_over() {
    let folder = Folder::new();
    let limits = Limits { drain_timeout: Duration::from_secs(60), ..Limits::default() };
    let addresses = vec![folder.address("socket")];
    let server = ServerThread::start_also_at(addresses, BothEnds::open(), limits, bracket);
    let mut client = Client::connect_unix(folder.path("socket"));
    client.say(b"first\n");
    client.expect(b"[first]\n");
    client.say(b"last\n");
    server.handle.drain().unwrap();
    assert_eq!(client.hear_all(), (b"[last]\n".to_vec(), End::Fin));
    assert!(folder.is_empty());
    // The successor needn't wait for those who are still there.
    let successor = bind(&folder.address("socket")).unwrap();
    drop(client);
    server.stop();
    assert!(kind(&folder.path("socket")).is_socket(), "it is the successor's now");
    drop(successor);
    assert!(folder.is_empty());
}

#[test]
fn what_a_dead_server_has_left_is_replaced() {
    let folder = Folder::new();
    // Std's listener leaves its file behind, as one that is killed does.
    drop(UnixListener::bind(folder.path("socket")).unwrap());
    assert!(kind(&folder.path("socket")).is_socket());
    let addresses = vec![folder.address("socket")];
    let server =
        ServerThread::start_also_at(addresses, BothEnds::open(), Limits::default(), bracket);
    let mut client = Client::connect_unix(folder.path("socket"));
    client.say(b"a\n");
    client.expect(b"[a]\n");
    drop(server);
    assert!(folder.is_empty());
}

#[test]
fn a_socket_that_somebody_listens_at_is_in_use() {
    let folder = Folder::new();
    let address = folder.address("socket");
    let server = bind(&address).unwrap();
    let error = bind(&address).unwrap_err();
    assert_eq!(kind_of(&error), ErrorKind::AddrInUse);
    let said = format!("cannot bind {address}: address already in use; another program listens");
    assert!(chain(&error).starts_with(&said), "{error}");
    assert!(kind(&folder.path("socket")).is_socket(), "the first one's is still there");
    drop(server);
    // One that has no time for newcomers lives too.
    let full = UnixListener::bind(folder.path("socket")).unwrap();
    socket2::SockRef::from(&full).listen(0).unwrap();
    let _waiting = Client::connect_unix(folder.path("socket"));
    assert_eq!(kind_of(&bind(&address).unwrap_err()), ErrorKind::AddrInUse);
}

#[test]
fn a_file_of_another_kind_is_never_touched() {
    let folder = Folder::new();
    fs::write(folder.path("file"), "precious").unwrap();
    fs::create_dir(folder.path("folder")).unwrap();
    drop(UnixListener::bind(folder.path("stale")).unwrap());
    symlink(folder.path("stale"), folder.path("link")).unwrap();
    symlink(folder.path("nothing"), folder.path("dangling")).unwrap();
    for name in ["file", "folder", "link", "dangling"] {
        let before = kind(&folder.path(name));
        let error = bind(&folder.address(name)).unwrap_err();
        assert_eq!(kind_of(&error), ErrorKind::AlreadyExists, "{name}: {error}");
        assert!(chain(&error).contains("not a socket; move it away"), "{name}: {error}");
        assert_eq!(kind(&folder.path(name)), before, "{name}");
    }
    assert_eq!(fs::read(folder.path("file")).unwrap(), b"precious");
    assert!(!folder.path("nothing").exists());
}

#[test]
fn a_file_that_another_has_put_in_the_place_is_left_alone() {
    let folder = Folder::new();
    let server = bind(&folder.address("socket")).unwrap();
    fs::write(folder.path("other"), "").unwrap();
    fs::rename(folder.path("other"), folder.path("socket")).unwrap();
    drop(server);
    assert!(kind(&folder.path("socket")).is_file());
}

#[test]
fn a_path_that_no_socket_can_have_is_an_error_in_words() {
    let folder = Folder::new();
    let cases = [
        ("x".repeat(200), ErrorKind::InvalidInput, "bytes, more than the"),
        ("no/such/folder".to_owned(), ErrorKind::NotFound, "create the directory first"),
    ];
    for (name, kind, said) in cases {
        let address = folder.address(&name);
        let error = bind(&address).unwrap_err();
        assert_eq!(kind_of(&error), kind);
        assert!(chain(&error).starts_with(&format!("cannot bind {address}: ")), "{error}");
        assert!(chain(&error).contains(said), "{error}");
    }
    assert!(folder.is_empty());
}

#[test]
fn the_file_of_a_listener_from_elsewhere_is_not_ours() {
    let folder = Folder::new();
    let own = UnixListener::bind(folder.path("socket")).unwrap();
    let mode = kind(&folder.path("socket"));
    let server = Server::from_std(own, BothEnds::open(), bracket).unwrap();
    assert_eq!(server.addresses(), [folder.address("socket")]);
    drop(server);
    assert_eq!(kind(&folder.path("socket")), mode);
}
