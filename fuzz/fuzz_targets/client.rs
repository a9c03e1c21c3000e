//! The blocking client, whose server is hostile, or holds the key and sends what the fuzzer has
//! written: no call panics or hangs, and in records messages are those that were signed.
#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use countersign::{Address, Client, Dialect, Protection};
use countersign_fuzz::{Choices, Setup, Signed};
use libfuzzer_sys::fuzz_target;

/// The call of `countersign/1`, from the setup's key and audience.
const CALL: usize = 78;

/// No call waits for longer: the server has ended its stream long before.
const HANG: Duration = Duration::from_secs(10);

/// A connection to serve.
type Job = (Setup, Vec<u8>, UnixStream);
type Served = (Signed, UnixStream);

/// A thread that serves one connection after the other, and tells what it has sent. Its socket it
/// leaves open: what the client still sends to one that is closed would fail.
static SERVER: LazyLock<Mutex<(SyncSender<Job>, Receiver<Served>)>> = LazyLock::new(|| {
    let (give, jobs) = sync_channel::<Job>(1);
    let (tell, told) = sync_channel(1);
    thread::spawn(move || {
        jobs.iter()
            .try_for_each(|(setup, stream, socket)| tell.send(serve(&setup, &stream, socket)))
    });
    Mutex::new((give, told))
});

fn serve(setup: &Setup, stream: &[u8], mut socket: UnixStream) -> Served {
    let mut call = Vec::new();
    if setup.dialect == Dialect::Countersign {
        let length = if setup.protection == Protection::Sealed { CALL + 5 } else { CALL };
        call.resize(length, 0);
        socket.read_exact(&mut call).expect("a call");
    }
    let signed = Signed::to_client(setup, &call, stream);
    // The client may be gone.
    let _ = socket.write_all(&signed.stream).and_then(|()| socket.shutdown(Shutdown::Write));
    (signed, socket)
}

fuzz_target!(|data: &[u8]| {
    let mut input = Choices(data);
    let setup = Setup { is_server: false, shares_raw: false, ..Setup::read(&mut input) };
    let Ok(config) = setup.client() else { return };
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.0.send((setup, input.0.to_vec(), theirs)).expect("the server");
    let stream = TcpStream::from(OwnedFd::from(ours));
    let client = Client::over(stream, Address::Unix("/fuzz".into()), config, HANG);
    let (signed, _socket) = server.1.recv().expect("the server");
    let Ok(mut client) = client else { return };
    assert!(signed.has_proof(), "it connects without a proof: {setup:?}");
    let is_protected = setup.dialect == Dialect::Countersign
        && matches!(setup.protection, Protection::Sealed | Protection::Required);
    client.set_timeout(Some(HANG));
    // It may be too long for the server, or the server may be gone.
    let _ = client.send(b"hello");
    let mut sent = signed.messages.iter();
    while let Ok(Some(message)) = client.receive() {
        let is_next = sent.next().is_some_and(|sent| sent == message);
        assert!(is_next || !is_protected, "a message is forged");
    }
    let _ = client.ask(b"again");
    let _ = client.finish();
    assert!(!matches!(client.receive(), Ok(Some(_))), "a message behind the end");
});
