//! `ping --config` and `ping --pid`: a health check that fits whatever is served.

use super::free_port::free_port;
use super::home::Home;
use super::served::ServerProcess;

const KEYS: &str = "default  text:sixteen-bytes-and-more  dialects=countersign/1,raw,hex\n\
                    python   text:other-sixteen-bytes  dialects=multiprocessing\n";

#[test]
fn a_process_is_pinged_as_it_serves() {
    let home = Home::with_keys(KEYS);
    let own = home.write("own", "own  text:of-its-own-sixteen\n").display().to_string();
    for (number, options) in [
        "",
        "--dialect raw",
        "--dialect hex --framing length --message-max 2k",
        "--dialect multiprocessing",
        "--dialect open --service discard",
        "--dialect countersign/1+raw --audience shed,garden",
        "--once --service echo",
        "--verify-only --dialect raw",
        "--verify-only",
        &format!("--keys {own}"),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = home.path(&format!("socket-{number}"));
        let server = home.serve(&format!("serve --bind unix:{} {options}", socket.display()));
        let ping = format!("ping --pid {}", server.id());
        let ran = home.run(&format!("{ping} --quiet"), "");
        assert_eq!((ran.code, &*ran.out), (Some(0), ""), "{options}: {}", ran.err);
        drop(server);
        home.run(&ping, "").failed(69, &["there is no such process"]);
    }
}

#[test]
fn ports_are_those_of_the_command_line_and_the_environment() {
    let home = Home::with_keys(KEYS);
    let [all, exact] = [free_port(), free_port()];
    for bind in [format!("0.0.0.0:{all}"), format!("127.0.0.1:{exact}")] {
        let line = format!("COUNTERSIGN_BIND={bind} serve --proxy-from 127.0.0.1");
        let server = home.serve(&line);
        // The image of a container gives both the same environment.
        let ping = format!("COUNTERSIGN_BIND={bind} ping --pid {}", server.id());
        let ran = home.run(&ping, "");
        assert_eq!(ran.code, Some(0), "{bind}: {}", ran.err);
        assert!(ran.out.starts_with("127.0.0.1:"), "{}", ran.out);
        // A PROXY header is needed, and can be asked for.
        let port = bind.rsplit(':').next().unwrap();
        assert_ne!(home.run(&format!("ping {port}"), "").code, Some(0));
        assert_eq!(home.run(&format!("ping {port} --proxy-header"), "").code, Some(0));
    }
    let server = home.serve("serve");
    let ran = home.run(&format!("ping --pid {}", server.id()), "");
    ran.failed(78, &["any free port"]);
}

#[test]
fn every_listener_of_a_configuration_is_pinged() {
    let home = Home::with_keys(KEYS);
    let text = "keys = \".config/countersign/keys\"\n\
                [[listener]]\nname = \"a\"\nbind = [\"unix:a\", \"unix:b\"]\n\
                audience = \"garden\"\n\
                [[listener]]\nname = \"c\"\nbind = \"unix:c\"\ndialect = \"raw\"\n";
    let file = home.write("served.toml", text).display().to_string();
    let serve = home.command(&format!("serve --config {file}"));
    let server = ServerProcess::started({ serve }.spawn().unwrap(), 3);
    let lines = [
        format!("ping --config {file}"),
        format!("COUNTERSIGN_CONFIG={file} ping"),
        format!("ping --pid {}", server.id()),
    ];
    for line in &lines {
        let ran = home.run(line, "");
        assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 3), "{line}: {}", ran.err);
    }
    // An address beats the variable, and one listener that doesn't serve is a failure.
    let address = format!("unix:{}", home.path("c").display());
    let ran = home.run(&format!("COUNTERSIGN_CONFIG={file} ping {address} --dialect raw"), "");
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 1), "{}", ran.err);
    std::fs::remove_file(home.path("b")).unwrap();
    let ran = home.run(&lines[0], "");
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    ran.failed(69, &["unix:"]);
}

#[test]
fn a_proxy_is_pinged_as_far_as_its_other_end() {
    let home = Home::with_keys(KEYS);
    let [near, far] = [free_port(), free_port()];
    // Its target isn't there, which is no fault of its own.
    let proxy = |role: &str, listen: u16, to: u16| {
        let line =
            format!("proxy --role {role} --listen 127.0.0.1:{listen} --target 127.0.0.1:{to}");
        ServerProcess::started(home.command(&line).spawn().unwrap(), 1)
    };
    let server = proxy("server", far, 9);
    let ran = home.run(&format!("ping --pid {}", server.id()), "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("countersign/1, key default: target not checked"), "{ran:?}");
    drop(server);
    let client = proxy("client", near, far);
    let ran = home.run(&format!("ping --pid {}", client.id()), "");
    assert_ne!(ran.code, Some(0), "nobody is at the other end: {}", ran.out);
}

#[test]
fn options_that_would_do_nothing_are_refused_beside_a_configuration() {
    let home = Home::with_keys(KEYS);
    let text = "keys = \".config/countersign/keys\"\nbind = \"unix:a\"\ndialect = \"raw\"\n";
    let file = home.write("served.toml", text).display().to_string();
    let serve = home.command(&format!("serve --config {file}"));
    let server = ServerProcess::started({ serve }.spawn().unwrap(), 1);
    let process = format!("--pid {}", server.id());
    let config = format!("--config {file}");
    for (source, name) in [(&process, "--pid"), (&config, "--config")] {
        for option in [
            "--dialect hex",
            "--records off",
            "--audience garden",
            "--framing length",
            "--mac sha256",
            "--rhel",
            "--once",
            "--verify-only",
            "--message-max 1k",
            "--keys keys",
            "--message hello",
            "--no-message",
            "--proxy-header",
        ] {
            let ran = home.run(&format!("ping {source} {option}"), "");
            let named = format!("remove {}, or use an ADDRESS", &option.split(' ').next().unwrap());
            ran.failed(2, &[name, &named]);
        }
        // These say how to ping, whatever it is.
        let how = "--key default --count 2 --interval 0s --timeout 30s";
        let ran = home.run(&format!("ping {source} {how}"), "");
        assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2), "{}", ran.err);
        home.run(&format!("ping {source} --quiet"), "").printed("");
        // A variable may be another verb's.
        let environment = "COUNTERSIGN_MESSAGE_MAX=1k COUNTERSIGN_MESSAGE=hello";
        let ran = home.run(&format!("{environment} ping {source}"), "");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    home.run(&format!("ping {process} {config}"), "").failed(2, &["remove --config,"]);
    let ran = home.run(&format!("COUNTERSIGN_CONFIG={file} ping {process}"), "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = home.run(&format!("COUNTERSIGN_CONFIG={file} ping --dialect raw"), "");
    ran.failed(2, &["remove --dialect,", "the environment has COUNTERSIGN_CONFIG="]);
    let address = format!("unix:{}", home.path("a").display());
    let ran = home.run(&format!("COUNTERSIGN_CONFIG={file} ping {address} --dialect raw"), "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn what_serves_nothing_is_not_pinged() {
    let home = Home::new();
    let ran = home.run(&format!("ping --pid {}", std::process::id()), "");
    ran.failed(69, &["neither it nor one of its children is"]);
    home.run("ping --config /no/file", "").failed(66, &["/no/file"]);
}
