//! Our own program at either end, with the proxies between.

use super::{Home, KEY, Target, dial};
use crate::home::Ran;

#[test]
fn our_client_and_server_of_the_dialect_open_do_not_notice() {
    let home = Home::with_keys(KEY);
    for framing in ["lines", "length"] {
        let open = format!("--dialect open --framing {framing}");
        let server = home.serve(&format!("serve --service echo {open}"));
        let chain = home.chain(server.address(), "");
        let said = |address: &str| home.run(&format!("connect {address} {open}"), "a\nb\n芝麻开门");
        said(server.address()).printed("a\nb\n芝麻开门\n");
        said(chain.client.address()).printed("a\nb\n芝麻开门\n");
    }
}

#[test]
fn a_load_through_both_loses_nothing() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo --dialect open");
    let chain = home.chain(server.address(), "");
    let load = |options: &str| -> Ran {
        let address = chain.client.address();
        home.run(&format!("load {address} --dialect open --fail-if errors>0% {options}"), "")
    };
    for options in ["-c 20 -P 16 -n 20000", "-c 20 -n 500 --reconnect"] {
        let ran = load(options);
        assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.err);
    }
}

#[test]
fn a_proxy_beside_the_client_alone_talks_to_our_server_itself() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo");
    let client = home.proxy("client", server.address(), "");
    let stream = dial(client.address());
    // Its messages are the records: this one has its line feed in it.
    assert_eq!(crate::served::ask(&stream, "hello"), "hello\n");
}

#[test]
fn a_far_end_that_takes_short_records_alone_is_given_such() {
    let home = Home::with_keys(KEY);
    let server = home.serve("serve --service echo --message-max 1500");
    let client = home.proxy("client", server.address(), "");
    let sent = super::pattern(3, 100_000);
    let mut stream = client.dial();
    std::io::Write::write_all(&mut stream, &sent).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(super::rest(&stream) == sent);
}

#[test]
fn the_next_address_of_a_name_is_dialled_if_nobody_answers_at_the_first() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    // On many machines the name has ::1 first, where nobody is.
    let to = format!("localhost:{}", target.address.port());
    let chain = home.chain(&to, "");
    assert_eq!(crate::served::ask(&chain.dial(), "hello"), "hello\n");
}
