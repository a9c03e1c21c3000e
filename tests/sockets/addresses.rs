//! What listeners are bound to: all addresses of a name, and `[::]` beside IPv4.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use countersign::services::Echo;
use countersign::{
    Access, Address, AddressError, BindError, CloseReason, ListenerConfig, Peer, Refusal, Reply,
    Server, Service,
};

use crate::both_ends::BothEnds;
use crate::common::{Client, chain, kind_of, turn_until};
use crate::free_port::free_port;

/// Answers each message with the address of its peer.
struct WhereFrom;

impl Service for WhereFrom {
    type State = String;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> String {
        peer.address().to_string()
    }

    fn message(&mut self, from: &mut String, _message: &[u8], reply: &mut Reply<'_>) {
        reply.message(from.as_bytes());
    }
}

fn open() -> ListenerConfig {
    ListenerConfig::new(BothEnds::open())
}

/// Whether there is IPv6 here; tells of it if not.
fn has_ipv6(test: &str) -> bool {
    let is_there = TcpListener::bind("[::1]:0").is_ok();
    if !is_there {
        eprintln!("SKIP {test}: there is no IPv6 here");
    }
    is_there
}

/// The port of the address that a listener was bound to first.
fn port(listener: &ListenerConfig) -> u16 {
    let first = listener.share().unwrap().remove(0);
    TcpListener::from(first).local_addr().unwrap().port()
}

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().unwrap())
}

/// Where a server takes this peer to come from.
fn seen<S: Service>(server: &mut Server<S>, address: SocketAddr) -> (String, SocketAddr) {
    let mut client = Client::connect(address);
    client.say(b"?\n");
    let before = server.counters().messages;
    turn_until(server, |server| server.counters().messages > before);
    let local = client.0.local_addr().unwrap();
    let reply = client.hear(local.to_string().len() + 1);
    (String::from_utf8(reply).unwrap().trim_end().to_owned(), local)
}

#[test]
fn the_wildcard_of_ipv6_goes_with_ipv4_at_its_port_in_either_order() {
    if !has_ipv6("the_wildcard_of_ipv6_goes_with_ipv4_at_its_port_in_either_order") {
        return;
    }
    let (six, four) = (Ipv6Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
    for four in [four, Ipv4Addr::LOCALHOST] {
        let (six, four) = (IpAddr::from(six), IpAddr::from(four));
        let both = |order: [IpAddr; 2], port: u16| {
            let bind = |listener: ListenerConfig, ip| listener.bind(SocketAddr::new(ip, port));
            order.into_iter().try_fold(open(), bind).unwrap()
        };
        let (port_of_six, port_of_four) = (free_port(), free_port());
        let listeners = [both([six, four], port_of_six), both([four, six], port_of_four)];
        let mut server = Server::new(listeners, Echo).unwrap();
        for (listener, port) in [(0, port_of_six), (1, port_of_four)] {
            for host in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
                let mut client = Client::connect(SocketAddr::new(host, port));
                client.say(b"hello\n");
                let before = server.counters().messages;
                turn_until(&mut server, |server| server.counters().messages > before);
                assert_eq!(client.hear(6), b"hello\n");
            }
            assert_eq!(server.listeners()[listener].counters().accepted, 2);
        }
    }
}

#[test]
fn two_listeners_share_a_port_where_the_one_at_the_wildcard_is_ipv6_alone() {
    if !has_ipv6("two_listeners_share_a_port_where_the_one_at_the_wildcard_is_ipv6_alone") {
        return;
    }
    let port = free_port();
    let six = open().with_ipv6_only(true).bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    let six = six.unwrap();
    let four = open().bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).unwrap();
    let server = Server::new([six, four], Echo).unwrap();
    assert_eq!(server.addresses().len(), 2);
    // By itself it isn't, and says that the port may be this program's own.
    let port = free_port();
    let _both = open().bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).unwrap();
    let error = open().bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).unwrap_err();
    assert_eq!(kind_of(&error), io::ErrorKind::AddrInUse);
    assert!(chain(&error).contains("or another listener uses the port"), "{error}");
}

#[test]
fn an_ipv4_peer_of_the_wildcard_is_one_of_ipv4_to_all() {
    if !has_ipv6("an_ipv4_peer_of_the_wildcard_is_one_of_ipv4_to_all") {
        return;
    }
    let deny = Access { deny: "127.0.0.2".parse().unwrap(), ..Access::default() };
    let listener = open().with_access(deny).bind("[::]:0").unwrap();
    let port = port(&listener);
    let mut server = Server::new([listener], WhereFrom).unwrap();
    for host in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let (seen, local) = seen(&mut server, SocketAddr::new(host, port));
        assert_eq!(seen, local.to_string());
    }
    let _denied = Client::connect_from(2, (Ipv4Addr::LOCALHOST, port).into());
    let denied = CloseReason::Refused(Refusal::Denied);
    turn_until(&mut server, |server| server.counters().closed(denied) == 1);
}

#[test]
fn all_addresses_of_a_name_are_bound_at_one_port() {
    if !has_ipv6("all_addresses_of_a_name_are_bound_at_one_port") {
        return;
    }
    let name = [ip("127.0.0.1:0"), ip("[::1]:0"), ip("127.0.0.2:0")];
    let mut server = Server::new([open().bind(name.to_vec()).unwrap()], WhereFrom).unwrap();
    let addresses = server.addresses();
    let bound: Vec<SocketAddr> = addresses.iter().filter_map(Address::ip).collect();
    assert_eq!(bound.len(), 3);
    for (bound, address) in bound.iter().zip(name) {
        assert_eq!(
            (bound.ip(), bound.port()),
            (address.ip().unwrap().ip(), addresses[0].ip().unwrap().port())
        );
        let (seen, local) = seen(&mut server, *bound);
        assert_eq!(seen, local.to_string());
    }
}

#[test]
fn an_address_that_is_no_interfaces_is_left_out_beside_others_alone() {
    // It is kept for documentation.
    let absent = ip("192.0.2.1:0");
    let listener = open().bind(vec![absent.clone(), ip("127.0.0.1:0")]).unwrap();
    let server = Server::new([listener], Echo).unwrap();
    let [Address::Ip(bound)] = server.addresses()[..] else { panic!("one is left") };
    assert_eq!(bound.ip(), Ipv4Addr::LOCALHOST);
    for name in [vec![absent.clone()], vec![absent.clone(), absent]] {
        let error = open().bind(name).unwrap_err();
        assert_eq!(kind_of(&error), io::ErrorKind::AddrNotAvailable, "{error}");
    }
    let error = open().bind(Vec::<Address>::new()).unwrap_err();
    assert!(matches!(error, BindError::Lookup(AddressError::Empty)), "{error:?}");
    // One that is taken is no such address: somebody else is meant to have it.
    let taken = Address::Ip(bound);
    let error = open().bind(vec![ip("127.0.0.2:0"), taken]).unwrap_err();
    assert_eq!(kind_of(&error), io::ErrorKind::AddrInUse, "{error}");
}
