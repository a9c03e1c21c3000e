//! How a conversation in `countersign/1` ends: with a close record, or it was cut.

use super::home::Home;
use super::served::ServerProcess;
use super::talk::Talk;

/// A client and a server, which hold a key and have said nothing yet. The server doesn't wait long
/// for those who don't leave.
fn pair(options: &str) -> (Home, ServerProcess, Talk) {
    let home = Home::new();
    let server = home
        .serve(&format!("serve --service echo --drain-timeout 100ms --log-level debug {options}"));
    let client = home.talk(&format!("connect {} {options}", server.address()));
    server.err.with("authenticated");
    (home, server, client)
}

const CUT: &str = ": the connection was lost: ";

#[test]
fn both_ends_say_good_bye() {
    for options in ["", "--records off", "--once"] {
        let (_home, server, mut client) = match options {
            "--once" => {
                let home = Home::new();
                let server = home.serve("serve --service echo --once --log-level debug");
                let client = home.talk(&format!("connect {} --once", server.address()));
                (home, server, client)
            }
            _ => pair(options),
        };
        client.ask("a", "a");
        let ran = client.leave();
        assert_eq!((ran.code, &ran.out[..], &ran.err[..]), (Some(0), "", ""), "{options}");
        let closed = server.err.with("closed: ");
        let how = if options == "--once" { "answered" } else { "finished" };
        assert!(closed.contains(&format!("closed: {how} ")), "{options}: {closed}");
    }
}

#[test]
fn a_server_that_stops_gracefully_is_a_clean_end() {
    for options in ["", "--records off"] {
        let (_home, server, mut client) = pair(options);
        client.ask("a", "a");
        assert_eq!(server.stop().code, Some(0));
        let ran = client.leave();
        assert_eq!((ran.code, &ran.err[..]), (Some(0), ""), "{options}");
    }
}

#[test]
fn a_server_that_has_stopped_is_told_of_when_more_is_said() {
    for said_before in [true, false] {
        for options in ["", "--records off"] {
            let (_home, server, mut client) = pair(options);
            if said_before {
                client.ask("a", "a");
            }
            assert_eq!(server.stop().code, Some(0));
            client.say("b");
            let ran = client.end();
            ran.failed(69, &["the server closed the connection\n"]);
            assert_eq!(ran.out, "");
        }
    }
}

#[test]
fn a_server_that_is_killed_has_cut_the_connection() {
    for said_before in [true, false] {
        let (_home, server, mut client) = pair("");
        if said_before {
            client.ask("a", "a");
        }
        let address = server.address().to_owned();
        server.signal("KILL");
        assert_eq!(server.end().code, None);
        client.leave().failed(69, &[&address, CUT]);
    }
}

#[test]
fn a_message_that_a_killed_server_has_not_answered_is_told_of() {
    let (_home, server, mut client) = pair("");
    client.ask("a", "a");
    let address = server.address().to_owned();
    // While it is held, this arrives.
    server.signal("STOP");
    client.say("b");
    server.signal("KILL");
    assert_eq!(server.end().code, None);
    let ran = client.leave();
    ran.failed(69, &[&address, CUT]);
    assert_eq!(ran.out, "");
}

#[test]
fn without_records_nobody_sees_that_an_end_is_a_cut() {
    let (_home, server, mut client) = pair("--records off");
    client.ask("a", "a");
    server.signal("KILL");
    assert_eq!(server.end().code, None);
    assert_eq!(client.leave().code, Some(0));
}
