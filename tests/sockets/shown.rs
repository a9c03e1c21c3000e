//! What `{:?}` shows of what holds secrets, or the bytes of others: how much there is, and no more.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use countersign::services::{Echo, Messages, Processed};
use countersign::session::Event;
use countersign::{
    ClientConfig, Dialect, Limits, Peer, Protection, Reply, Server, Service, Session,
};

use crate::both_ends::BothEnds;
use crate::common::{in_memory, other_end, ring};

const SECRET: &str = "a secret that nobody is shown";
const MESSAGE: &[u8] = b"a message that nobody is shown";

/// Whether bytes can be read in a text: as they are, as numbers, or as digits.
fn shows(text: &str, bytes: &[u8]) -> bool {
    let front = &bytes[..8];
    let numbers = front.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let digits: String = front.iter().map(|byte| format!("{byte:02x}")).collect();
    let as_it_is = str::from_utf8(front).is_ok_and(|front| text.contains(front));
    as_it_is || text.contains(&numbers) || text.contains(&digits)
}

fn check(shown: impl std::fmt::Debug) -> String {
    let text = format!("{shown:?}");
    assert!(!shows(&text, SECRET.as_bytes()) && !shows(&text, MESSAGE), "{text}");
    text
}

/// Both ends of `countersign/1`, in the middle of a message.
fn ends(ends: &BothEnds) -> [Session; 2] {
    let mut server = Session::server(ends.server(), [7; 32]);
    let mut client = Session::client(other_end(ends), Duration::ZERO, [9; 32]).unwrap();
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        client.process(Duration::ZERO, &mut &heard[..], &mut said).unwrap();
        heard.clear();
        let mut input = &said[..];
        while let Some(event) = server.process(Duration::ZERO, &mut input, &mut heard).unwrap() {
            let Event::Open(opened) = event else { panic!("it has sent no message") };
            assert!(check(&opened).contains("Exporter(..)"));
        }
        said.clear();
    }
    client.send(MESSAGE, &mut said).unwrap();
    server.process(Duration::ZERO, &mut &said[..said.len() - 1], &mut heard).unwrap();
    [server, client]
}

#[test]
fn what_is_secret_is_not_shown() {
    let tagged = BothEnds::new(Dialect::Countersign, ring(SECRET));
    for protection in [Protection::Required, Protection::Sealed, Protection::Off] {
        let both = tagged.clone().with_records(protection);
        for session in ends(&both) {
            check(&session);
        }
        check((both.server(), both.client()));
    }
    let server = Server::bind("127.0.0.1:0", tagged.server(), Echo).unwrap();
    assert!(check(&server).contains("connections: 0"));
    let failure = ring(SECRET).add(countersign::Key::new("key", &[7; 16]).unwrap()).unwrap_err();
    assert_eq!(format!("{failure:?}"), failure.to_string(), "what `main` prints");
}

/// What is shown of the messages that have come.
#[derive(Clone, Default)]
struct Heard(Rc<RefCell<String>>);

impl Service for Heard {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, _state: &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}

    fn messages(&mut self, _state: &mut (), messages: Messages<'_>) -> Processed {
        *self.0.borrow_mut() = check(&messages);
        messages.for_each(|_, _| {})
    }
}

#[test]
fn messages_are_shown_by_their_length() {
    let heard = Heard::default();
    let mut server = in_memory(BothEnds::open(), Limits::default(), heard.clone());
    let peer = server.connect();
    server.send(&peer, &[MESSAGE, b"\n"].concat());
    assert_eq!(*heard.0.borrow(), format!("Messages {{ bytes: {}, .. }}", MESSAGE.len() + 1));
    check(ClientConfig::open());
}
