//! Who may connect, by where they come from. All of 127.0.0.0/8 is ours, so there are addresses
//! enough.

use countersign::services::Echo;
use countersign::{
    Access, CloseReason, Dialect, Limits, ListenerConfig, Networks, Refusal, Server,
};

use crate::both_ends::BothEnds;
use crate::common::{Client, PATIENCE, bracket, id_of, speaking, turn_until};
use crate::server_thread::ServerThread;
use crate::unix_files::Folder;

fn access(allow: Option<&str>, deny: Option<&str>) -> Access {
    let networks =
        |list: Option<&str>| list.map_or_else(Networks::new, |list| list.parse().unwrap());
    Access { allow: networks(allow), deny: networks(deny) }
}

fn denied(server: &ServerThread) -> u64 {
    server.counted().closed(CloseReason::Refused(Refusal::Denied))
}

#[test]
fn who_may_not_connect_hears_nothing_and_all_others_are_served() {
    let protocol = speaking(Dialect::Raw);
    let list = access(Some("127.0.0.0/29"), Some("127.0.0.3"));
    let listener =
        ListenerConfig::new(protocol.clone()).with_access(list).bind("127.0.0.1:0").unwrap();
    let server = ServerThread::start_at(listener, bracket);
    for (host, may) in [(1, true), (3, false), (7, true), (8, false), (2, true)] {
        let mut client = Client::connect_from(host, server.address);
        if may {
            client.prove(&protocol);
            client.say(b"in\n");
            client.expect(b"[in]\n");
        } else {
            assert_eq!(client.hear_all().0, b"", "127.0.0.{host}");
        }
    }
    assert_eq!(denied(&server), 2);
    let counters = server.stop();
    assert_eq!((counters.accepted, counters.authenticated, counters.open()), (5, 3, 0));
}

#[test]
fn who_may_not_connect_costs_no_visitor_its_place() {
    let limits = Limits { unauthenticated: 1, ..Limits::default() };
    let listener = ListenerConfig::new(speaking(Dialect::Raw)).with_limits(limits);
    let listener =
        listener.with_access(access(None, Some("127.0.0.2"))).bind("127.0.0.1:0").unwrap();
    let server = ServerThread::start_at(listener, bracket);
    let mut visitor = Client::connect(server.address);
    assert_eq!(visitor.hears_within(PATIENCE), Some(true));
    // While the server is full, nobody is accepted before the visitor has had its time.
    let mut outsider = Client::connect_from(2, server.address);
    assert_eq!(outsider.hear_all().0, b"");
    assert_eq!(denied(&server), 1);
    assert_eq!(server.stop().closed(CloseReason::Refused(Refusal::TooManyConnections)), 0);
}

#[test]
fn those_of_unix_sockets_have_a_word_of_their_own() {
    let folder = Folder::new();
    let path = format!("unix:{}", folder.path("socket").display());
    let listener = ListenerConfig::new(BothEnds::open()).with_access(access(Some("unix"), None));
    let listener = listener.bind("127.0.0.1:0").unwrap().bind(path.as_str()).unwrap();
    let server = ServerThread::start_at(listener, bracket);
    assert_eq!(Client::connect(server.address).hear_all().0, b"");
    let mut local = Client::connect_unix(folder.path("socket"));
    local.say(b"in\n");
    local.expect(b"[in]\n");
    assert_eq!(denied(&server), 1);
}

#[test]
fn another_list_holds_for_newcomers_and_those_who_are_in_stay() {
    let listener = ListenerConfig::new(BothEnds::open()).bind("127.0.0.1:0").unwrap();
    let mut server = Server::new([listener], Echo).unwrap();
    let address = server.addresses()[0].ip().unwrap();
    let mut inside = Client::connect(address);
    inside.say(b"one\n");
    turn_until(&mut server, |server| server.counters().messages == 1);
    let id = id_of(&server, 0);
    server.replace_access(id, access(None, Some("127.0.0.0/8"))).unwrap();
    let mut outside = Client::connect(address);
    let refused = CloseReason::Refused(Refusal::Denied);
    turn_until(&mut server, |server| server.counters().closed(refused) == 1);
    assert_eq!(outside.hear_all().0, b"");
    inside.say(b"two\n");
    turn_until(&mut server, |server| server.counters().messages == 2);
    inside.expect(b"one\ntwo\n");
}
