//! What is installed beside the program: held against the tools that read it, where they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "deploy/openwrt.rs"]
mod openwrt;
#[path = "common/skip.rs"]
mod skip;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::skip::skip;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(deploy(folder)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

fn text(name: &str) -> String {
    fs::read_to_string(deploy(name)).unwrap()
}

/// A directory of this test's own.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Runs a tool to its end. Says loudly that it isn't here.
fn run(tool: &str, options: &[&str]) -> Option<Output> {
    output(Command::new(tool).args(options))
}

fn output(command: &mut Command) -> Option<Output> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Some(output),
        Err(error) => {
            skip(&format!("{}: {error}", command.get_program().display()));
            None
        }
    }
}

fn all(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// A tool has nothing to say about any of these files.
fn accepted(tool: &str, options: &[&str], files: &[PathBuf]) {
    for file in files {
        let Some(output) = run(tool, &[options, &[file.to_str().unwrap()]].concat()) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{tool} {}: {said}", file.display());
    }
}

#[test]
fn the_manual_pages_are_pages() {
    accepted("man", &["--warnings", "-l"], &files("man"));
    accepted("groff", &["-k", "-man", "-Tutf8", "-ww", "-z"], &files("man"));
    // What it calls a warning is a question of style.
    accepted("mandoc", &["-Tlint", "-Werror"], &files("man"));
}

#[test]
fn the_completions_are_scripts() {
    for (shell, name) in
        [("bash", "countersign.bash"), ("zsh", "_countersign"), ("fish", "countersign.fish")]
    {
        accepted(shell, &["-n"], &[deploy("completions").join(name)]);
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

/// The program, with nothing of our environment that it would heed.
fn program(line: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(line.split_whitespace()).env_clear();
    output(&mut command).unwrap()
}

/// What stands behind a name in a unit, each time.
fn values<'u>(unit: &'u str, name: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// The units of services, and what each runs.
const SERVICES: [(&str, &str); 4] = [
    ("countersign.service", "/usr/local/bin/countersign serve --config "),
    ("countersign-proxy@.service", "/usr/local/bin/countersign proxy\n"),
    ("debian/countersign.service", "/usr/bin/countersign serve --config "),
    ("debian/countersign-proxy@.service", "/usr/bin/countersign proxy\n"),
];

/// The units of the services in a directory of their own, with the program, its pages and the
/// sockets where they are now. A template has an instance.
fn units(name: &str) -> Vec<PathBuf> {
    let folder = scratch(name);
    for page in
        ["countersign-serve.1", "countersign-proxy.1", "countersign.toml.5", "countersign-keys.5"]
    {
        let section = page.rsplit('.').next().unwrap();
        let pages = folder.join(format!("man/man{section}"));
        fs::create_dir_all(&pages).unwrap();
        fs::copy(deploy("man").join(page), pages.join(page)).unwrap();
    }
    fs::copy(deploy("countersign.socket"), folder.join("countersign.socket")).unwrap();
    fs::create_dir_all(folder.join("debian")).unwrap();
    let unit = |(file, command): (&str, &str)| {
        let service = text(file);
        assert!(service.contains(&format!("\nExecStart={command}")), "{file}");
        let unit = folder.join(file.replace("@.", "@db."));
        let (program, _) = command.split_once(' ').unwrap();
        fs::write(&unit, service.replace(program, PROGRAM)).unwrap();
        unit
    };
    SERVICES.map(unit).into()
}

#[test]
fn systemd_takes_the_units() {
    let services = units("units");
    let (local, debian) = services.split_at(2);
    let socket = [services[0].with_extension("socket")];
    for units in [&[local, &socket].concat(), debian] {
        let mut verify = Command::new("systemd-analyze");
        verify.env("MANPATH", services[0].with_file_name("man")).arg("verify").args(units);
        let Some(output) = output(&mut verify) else { return };
        let said = all(&output);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
    for (file, _) in SERVICES {
        // What systemd 252 knows.
        let service = text(file);
        assert_eq!(values(&service, "Type"), ["notify"], "{file}");
        assert_eq!(values(&service, "ExecReload"), ["/bin/kill -HUP $MAINPID"], "{file}");
    }
}

#[test]
fn the_services_are_exposed_to_little() {
    for service in units("exposed") {
        let options = ["security", "--offline=true", service.to_str().unwrap()];
        let Some(output) = run("systemd-analyze", &options) else { return };
        let said = all(&output);
        let level = said.lines().find(|line| line.contains("Overall exposure level"));
        let level = level.unwrap_or_else(|| panic!("{said}"));
        println!("{level}");
        let score = level.split_whitespace().find_map(|word| word.parse::<f64>().ok()).unwrap();
        assert!(score <= 2.0, "{said}");
    }
    // Each is as closed as the others.
    let closed = SERVICES.map(|(file, _)| {
        let service = text(file);
        service[service.find("\nUMask=").unwrap()..service.find("\n# Optionally").unwrap()]
            .to_owned()
    });
    assert!(closed.iter().all(|each| *each == closed[0]), "{closed:#?}");
}

#[test]
fn the_units_of_the_debian_package_are_those_for_any_system() {
    let lines = |file: &str| -> BTreeSet<String> {
        let unit = text(file).replace("/usr/local/bin/", "/usr/bin/");
        let lines = unit.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    let proxy = "countersign-proxy@.service";
    assert_eq!(lines(proxy), lines(&format!("debian/{proxy}")));
    let (any, debian) = (lines("countersign.service"), lines("debian/countersign.service"));
    assert_eq!(
        any.difference(&debian).collect::<Vec<_>>(),
        ["DynamicUser=yes", "LoadCredential=keys:/etc/countersign/keys"]
    );
    assert_eq!(
        debian.difference(&any).collect::<Vec<_>>(),
        [
            "Environment=COUNTERSIGN_KEYS=/etc/countersign/keys",
            "Group=countersign",
            "User=countersign"
        ]
    );
    let version = format!("countersign ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(text("debian/changelog").starts_with(&version));
    let scripts = ["postinst", "prerm", "postrm"];
    let scripts = scripts.map(|name| deploy(&format!("debian/{name}")));
    accepted("shellcheck", &[], &scripts);
}

#[test]
fn the_options_of_the_proxy_are_in_order_and_its_unit_leaves_room_for_them() {
    let service = text("countersign-proxy@.service");
    assert_eq!(values(&service, "EnvironmentFile"), ["/etc/countersign/proxy-%i.env"]);
    let keys = scratch("proxy").join("keys");
    assert!(program(&format!("keygen main --keys {}", keys.display())).status.success());
    let variables = text("proxy-db.env");
    let variables = variables.lines().filter(|line| !line.starts_with('#'));
    let mut proxy = Command::new(PROGRAM);
    proxy.arg("proxy").env_clear().envs(variables.map(|line| line.split_once('=').unwrap()));
    // The address may be in use here, or not ours to take.
    proxy
        .args(["--listen", "127.0.0.1:0", "--keys"])
        .arg(keys)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut proxy = proxy.spawn().unwrap();
    let lines = BufReader::new(proxy.stderr.take().unwrap()).lines();
    let said: Vec<String> = lines.map_while(Result::ok).take(2).collect();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    assert!(said[0].contains("to plain 127.0.0.1:5432"), "{said:?}");
    let (_, bound) = said[1].split_once("at most ").unwrap();
    let (bound, _) = bound.split_once(" MiB of memory").unwrap();
    let room = values(&service, "MemoryMax")[0].trim_end_matches('M').parse::<f64>().unwrap();
    assert!(room >= bound.parse::<f64>().unwrap() + 32.0, "{said:?}");
}

#[test]
fn the_configuration_is_in_order_and_the_unit_leaves_room_for_it() {
    let keys = scratch("configuration").join("keys");
    assert!(program(&format!("keygen main --keys {}", keys.display())).status.success());
    let file = deploy("countersign.toml");
    let checked = program(&format!("check-config {} --keys {}", file.display(), keys.display()));
    let said = all(&checked);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{said}");
    let memory = said.lines().find_map(|line| line.strip_prefix("memory: at most ")).unwrap();
    let words: Vec<&str> = memory.split_whitespace().collect();
    let [bound, "MiB,", "with", connections, ..] = words[..] else { panic!("{memory}") };
    let (bound, connections): (f64, u64) = (bound.parse().unwrap(), connections.parse().unwrap());
    let service = text("countersign.service");
    let number =
        |name: &str| values(&service, name)[0].trim_end_matches('M').parse::<u64>().unwrap();
    assert!(number("MemoryMax") as f64 >= bound + 32.0, "{memory}");
    assert!(number("LimitNOFILE") >= connections + 64, "{memory}");
    assert!(text("countersign.toml").contains("\ndrain-timeout = \"5s\"\n"));
    assert!(number("TimeoutStopSec") > 5);
}

#[test]
fn the_sockets_are_those_of_the_configuration() {
    let (socket, configuration) = (text("countersign.socket"), text("countersign.toml"));
    let name = values(&socket, "FileDescriptorName")[0];
    assert!(configuration.contains(&format!("[[listener]]\nname = \"{name}\"\n")));
    for address in values(&socket, "ListenStream") {
        assert!(configuration.contains(&format!("\"{address}\"")), "{address}");
    }
}

#[test]
fn haproxy_takes_its_configuration() {
    accepted("haproxy", &["-q", "-c", "-f"], &[deploy("haproxy.cfg")]);
}

#[test]
fn nginx_takes_its_configuration() {
    let folder = scratch("nginx");
    let file = folder.join("nginx.conf");
    // It opens its logs when it only checks, and they are no place for a test.
    let log = "/var/log/nginx/countersign.log";
    let configuration = text("nginx-stream.conf");
    assert!(configuration.contains(log));
    let here = folder.join("log").display().to_string();
    fs::write(&file, configuration.replace(log, &here)).unwrap();
    let own = format!("pid {}; error_log stderr;", folder.join("pid").display());
    let options = ["-t", "-q", "-e", "stderr", "-c", file.to_str().unwrap(), "-g", &own];
    let Some(output) = run("nginx", &options) else { return };
    let said = all(&output);
    if said.contains("unknown directive \"stream\"") {
        return skip("nginx has no module for streams here");
    }
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// What stands behind an instruction, each time, with its continuations.
fn instructions(file: &str, name: &str) -> Vec<String> {
    let joined = file.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    lines.map(|rest| rest.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_image_is_the_program_alone_and_nobody_in_particular_runs_it() {
    let file = text("Dockerfile");
    accepted("hadolint", &[], &[deploy("Dockerfile")]);
    assert_eq!(instructions(&file, "FROM").last().unwrap(), "scratch");
    // What is served is in a file, which may be another one. A variable would beat that.
    let image = file.rsplit("FROM scratch").next().unwrap();
    let environment = instructions(image, "ENV").join(" ");
    let names = environment.split(' ').map(|each| each.split('=').next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["COUNTERSIGN_CONFIG", "CREDENTIALS_DIRECTORY"]);
    let copied = format!("deploy/container.toml {}", environment[19..].split(' ').next().unwrap());
    assert!(instructions(image, "COPY").contains(&copied), "{copied}");
    let checked = deploy("container.toml").display().to_string();
    let checked = all(&program(&format!("check-config {checked} --dialect open")));
    assert!(checked.starts_with("0.0.0.0:9527: "), "{checked}");
    let user = &instructions(&file, "USER")[0];
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    // Without a shell, a command is a list of words.
    let health = &instructions(&file, "HEALTHCHECK")[0];
    let check = health.split_once("CMD ").unwrap().1.to_owned();
    let commands = [instructions(&file, "CMD"), instructions(&file, "ENTRYPOINT"), vec![check]];
    for command in commands.concat() {
        let words: Vec<String> = serde_json::from_str(&command).unwrap();
        let words = words.iter().map(String::as_str).filter(|word| *word != "/countersign");
        let ran = program(&words.chain(["--help"]).collect::<Vec<_>>().join(" "));
        assert!(ran.status.success(), "{command}: {}", all(&ran));
    }
}

/// Every expression of a dashboard, with the intervals that Grafana puts in and what it chooses.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries = targets.chain(dashboard["annotations"]["list"].as_array().unwrap());
    let texts = queries.map(|query| query["expr"].as_str().unwrap());
    texts.map(|text| text.replace("$__rate_interval", "1m").replace('$', "")).collect()
}

/// The names that expressions and the lists of variables ask for.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("countersign_") || word.starts_with("process_")).collect()
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let manual = include_str!("../src/manual/operations.md");
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        (!metrics(name).is_empty()).then_some((name, cells.next()?))
    };
    let mut known = BTreeSet::new();
    for (name, kind) in manual.lines().filter_map(row) {
        let parts: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        known.extend(parts.iter().map(|part| format!("{name}{part}")));
    }
    assert!(known.len() > 10, "{known:?}");
    let dashboard: Value = serde_json::from_str(&text("grafana.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let lists = variables.iter().filter_map(|variable| variable["definition"].as_str());
    let all = expressions(&dashboard).into_iter().chain(lists.map(str::to_owned));
    let mut asked = BTreeSet::new();
    for text in all {
        let unknown: Vec<&str> =
            metrics(&text).into_iter().filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{text}: {unknown:?}");
        asked.extend(metrics(&text).into_iter().map(str::to_owned));
    }
    assert!(asked.len() > 20, "it shows much of what there is: {asked:?}");
}

#[test]
fn the_dashboard_can_be_imported() {
    let dashboard: Value = serde_json::from_str(&text("grafana.json")).unwrap();
    assert_eq!(dashboard["title"], "countersign");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    assert!(dashboard.get("id").is_none(), "Grafana gives the number");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(
        (&variables[0]["type"], &variables[0]["name"]),
        (&"datasource".into(), &"datasource".into())
    );
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let at = &panel["gridPos"];
        assert!(at["x"].as_u64().unwrap() + at["w"].as_u64().unwrap() <= 24, "{title}");
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
    }
}

#[test]
fn prometheus_understands_what_the_dashboard_asks() {
    let dashboard: Value = serde_json::from_str(&text("grafana.json")).unwrap();
    // As rules, which is what the tool reads; JSON is YAML.
    let rule =
        |(number, expr): (usize, String)| json!({"record": format!("r{number}"), "expr": expr});
    let rules: Vec<Value> = expressions(&dashboard).into_iter().enumerate().map(rule).collect();
    let file = scratch("rules").join("rules.json");
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(&file, groups.to_string()).unwrap();
    let Some(output) = run("promtool", &["check", "rules", file.to_str().unwrap()]) else { return };
    assert!(output.status.success(), "{}", all(&output));
}
