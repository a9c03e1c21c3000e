//! The admin pages of a proxy: those of a server.

use super::{Home, KEY, Target};
use crate::admin::{get as got, wait_until};
use crate::served::ask;

/// The status and the body of a page.
#[track_caller]
fn get(address: &str, path: &str) -> (u16, String) {
    let got = got(address, path);
    (got.status, got.body)
}

#[test]
fn a_proxy_has_the_pages_of_a_server() {
    let home = Home::with_keys(KEY);
    let target = Target::echo();
    let server = home.proxy("server", &target.to(), "--admin 127.0.0.1:0 --drain-timeout 1h");
    let client = home.proxy("client", server.address(), "--admin 127.0.0.1:0");
    let stream = client.dial();
    assert_eq!(ask(&stream, "hello"), "hello\n");
    for (proxy, service) in [(&client, "proxy beside clients"), (&server, "proxy beside a server")]
    {
        let admin = proxy.admin();
        assert_eq!(get(&admin, "/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(get(&admin, "/readyz"), (200, "ready\n".to_owned()));
        let (_, metrics) = get(&admin, "/metrics");
        for line in [
            "countersign_connections_accepted_total{listener=\"proxy\"} 1",
            "countersign_connections{listener=\"proxy\",state=\"open\"} 1",
            "countersign_received_bytes_total{listener=\"proxy\"} 6",
            "countersign_sent_bytes_total{listener=\"proxy\"} 6",
        ] {
            assert!(metrics.lines().any(|each| each == line), "{line}: {metrics}");
        }
        let (_, status) = get(&admin, "/status");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let listener = &status["listeners"][0];
        assert_eq!(listener["service"], service);
        assert_eq!(listener["addresses"][0], proxy.address());
        assert_eq!(listener["keys"][0]["id"], "default");
        let shown = home.run(&format!("status {admin}"), "");
        assert!(shown.code == Some(0) && shown.out.contains(service), "{shown:?}");
        if service.ends_with("server") {
            proxy.signal("TERM");
            wait_until(|| get(&admin, "/readyz") == (503, "draining\n".to_owned()));
        }
    }
    drop(stream);
    assert_eq!(server.end().code, Some(0));
}
