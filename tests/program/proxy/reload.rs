//! Keys that are read again: SIGHUP, under streams that are carried.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::{Home, KEY, Target, breaks, is_reset, rest};
use crate::served::ServerProcess;

/// Carries a few bytes there and back.
#[track_caller]
fn carries(mut stream: &TcpStream) {
    stream.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

#[track_caller]
fn reloads(proxy: &ServerProcess) {
    proxy.signal("HUP");
    proxy.err.with("INFO  reloaded");
}

#[test]
fn keys_are_read_again_under_a_stream_that_goes_on() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "");
    let stream = chain.dial();
    carries(&stream);
    // One more key, which the client signs with from now on.
    home.write(".config/countersign/keys", format!("new  text:another-sixteen-bytes\n{KEY}"));
    reloads(&chain.server);
    carries(&stream);
    reloads(&chain.client);
    carries(&stream);
    carries(&chain.dial());
    chain.server.err.with("key=new");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&stream), b"", "it ends in order");
}

#[test]
fn whose_key_has_gone_is_cut_unless_it_is_said_otherwise() {
    for (option, is_cut) in [("", true), ("--close-revoked no", false)] {
        let home = Home::with_keys(KEY);
        let target = Target::echo();
        let server = home.proxy("server", &target.to(), option);
        let client = home.proxy("client", server.address(), "");
        let stream = client.dial();
        carries(&stream);
        home.write(".config/countersign/keys", "new  text:another-sixteen-bytes\n");
        server.signal("HUP");
        if is_cut {
            server.err.with("INFO  closing 1 connections whose keys are no longer valid");
            is_reset(&stream);
            assert!(target.ended().is_err());
        } else {
            server.err.with("INFO  reloaded");
            carries(&stream);
        }
        // Newcomers need the new key in any case.
        breaks(&client.dial(), b"hello");
        reloads(&client);
        carries(&client.dial());
    }
}

#[test]
fn a_ring_that_can_not_be_used_leaves_the_old_one_in_force() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let chain = home.chain(&target.to(), "");
    for ring in ["default  text:\n", "default  text:sixteen-bytes-and-more  dialects=raw\n"] {
        home.write(".config/countersign/keys", ring);
        for proxy in [&chain.server, &chain.client] {
            proxy.signal("HUP");
            proxy.err.with("ERROR reload failed: ");
        }
        carries(&chain.dial());
    }
    chain.server.signal("USR1");
    let status = chain.server.err.with("INFO  status ");
    for field in [" role=server ", " reloads=0 ", " reloads_failed=2 ", " draining=false "] {
        assert!(status.contains(field), "{field}: {status}");
    }
}

#[test]
fn a_stream_whose_key_runs_out_is_cut_then() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let server = home.proxy("server", &target.to(), "");
    let client = home.proxy("client", server.address(), "");
    let stream = client.dial();
    carries(&stream);
    // A moment that is over, as soon as it is read.
    let line = KEY.trim_end().to_owned() + "  not-after=2020-01-01\n";
    let other = "other  text:another-sixteen-bytes\n";
    home.write(".config/countersign/keys", format!("{line}{other}"));
    server.signal("HUP");
    server.err.with("whose keys are no longer valid");
    is_reset(&stream);
}
