//! Keys that systemd hands over as a credential.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use crate::home::{Home, skip};
use crate::served::ServerProcess;

/// A directory of credentials with a ring of this mode.
fn credentials(home: &Home, mode: u32) -> String {
    let directory = home.path("credentials");
    fs::create_dir_all(&directory).unwrap();
    let ring = home.write("credentials/keys", "lent  text:sixteen-bytes-and-more\n");
    fs::set_permissions(ring, Permissions::from_mode(mode)).unwrap();
    format!("CREDENTIALS_DIRECTORY={}", directory.display())
}

#[test]
fn keys_among_the_credentials_come_before_those_of_the_user() {
    let home = Home::with_keys("mine  text:another-sixteen-bytes\n");
    let credentials = credentials(&home, 0o400);
    let server = home.serve(&format!("{credentials} serve --service echo"));
    server.err.with("credentials/keys (lent)");
    let connect = format!("connect {}", server.address());
    home.run(&format!("{credentials} {connect}"), "a\n").printed("a\n");
    home.run(&connect, "a\n").failed(77, &[]);
    // Who names a file means it, and a directory without a ring has none.
    let mine = format!("keys list --keys {}", home.ring().display());
    assert!(home.run(&format!("{credentials} {mine}"), "").out.contains("mine"));
    let elsewhere = home.run("CREDENTIALS_DIRECTORY=/nowhere keys list", "");
    assert!(elsewhere.out.contains("mine"), "{elsewhere:?}");
}

#[test]
fn a_reload_says_that_a_credential_stays_as_it_was() {
    let home = Home::with_keys("mine  text:another-sixteen-bytes\n");
    let credentials = credentials(&home, 0o400);
    // A container's secrets come by the same variable, and may change.
    fs::create_dir(home.path("secrets")).unwrap();
    home.write("secrets/keys", "lent  text:sixteen-bytes-and-more\n");
    let secrets = format!("CREDENTIALS_DIRECTORY={}", home.path("secrets").display());
    for (environment, is_copied) in [(&*credentials, true), (&secrets, false), ("", false)] {
        let bind = "serve --bind 127.0.0.1:0";
        let listen = "proxy --role server --listen 127.0.0.1:0 --target 127.0.0.1:1";
        for verb in [bind, listen] {
            let command = home.command(&format!("{environment} {verb}")).spawn();
            let server = ServerProcess::started(command.unwrap(), 1);
            server.signal("HUP");
            let said = server.err.with("INFO  reloaded");
            assert_eq!(said.contains("restart the service to change them"), is_copied, "{said}");
        }
    }
}

#[test]
fn a_ring_that_systemd_lends_by_an_access_list_is_closed_to_others() {
    let home = Home::new();
    // The mask of the list stands in the place of the group.
    let credentials = credentials(&home, 0o440);
    let ring = home.path("credentials/keys");
    // What is wrong behind the ring is the address.
    let serve = "serve --bind a.invalid:1";
    if fs::metadata(&ring).unwrap().uid() != 0 {
        home.run(&format!("{credentials} {serve}"), "").failed(65, &["mode 440"]);
        return skip("only root has files that are root's");
    }
    chown(&ring, None, Some(12_345)).unwrap();
    let named = format!("{serve} --keys {}", ring.display());
    home.run(&named, "").failed(65, &["mode 440"]);
    home.run(&format!("{credentials} {serve}"), "").failed(69, &[]);
    fs::set_permissions(&ring, Permissions::from_mode(0o444)).unwrap();
    home.run(&format!("{credentials} {serve}"), "").failed(65, &["mode 444"]);
}
