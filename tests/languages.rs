//! The examples of the manual's page on languages, as they stand there, against the program. Those
//! whose tools this machine lacks are skipped, loudly.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/skip.rs"]
mod skip;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use skip::skip;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PAGE: &str = include_str!("../src/manual/languages.md");

/// A process that ends with the test, and the address that it listens on.
struct Listening {
    process: Child,
    address: String,
}

impl Listening {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address =
            lines.find_map(|line| line.unwrap().strip_prefix("listening on ").map(str::to_owned));
        Self { process, address: address.unwrap() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A folder with a key file, and a server that returns each message.
struct Scene {
    folder: PathBuf,
    server: Listening,
}

impl Scene {
    fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// With more options for the server.
    fn with(name: &str, options: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("languages-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for keys in ["keys", "others"] {
            let mut keygen = Command::new(PROGRAM);
            keygen.args(["keygen", "--keys", keys]).current_dir(&folder).stderr(Stdio::null());
            assert!(keygen.stdout(Stdio::null()).status().unwrap().success());
        }
        let mut serve = Command::new(PROGRAM);
        serve.args(["serve", "--service", "echo", "--bind", "127.0.0.1:0", "--keys", "keys"]);
        serve.args(options);
        let server = Listening::start(serve.current_dir(&folder));
        Self { folder, server }
    }

    /// The example of a section, which connects to this server.
    fn example(&self, section: &str) -> String {
        let (_, section) = PAGE.split_once(&format!("\n# {section}\n")).unwrap();
        let (_, block) = section.split_once("\n```").unwrap();
        let (_, block) = block.split_once('\n').unwrap();
        self.here(block.split_once("\n```").unwrap().0)
    }

    fn here(&self, example: &str) -> String {
        let port = self.server.address.rsplit(':').next().unwrap();
        assert!(example.contains("9527"), "{example}");
        example.replace("9527", port)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    /// Runs a command, which has to print the reply.
    fn prints_hello(&self, command: &mut Command) {
        let programs = Path::new(PROGRAM).parent().unwrap().display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        let command = command.env("PATH", path).current_dir(&self.folder);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{command:?}: {errors}");
        assert!(output.status.success(), "{command:?}: {errors}");
    }

    fn runs_javascript(&self, example: &str) {
        fs::create_dir(self.folder.join("node_modules")).unwrap();
        let package = Path::new(ROOT).join("clients/js").canonicalize().unwrap();
        symlink(package, self.folder.join("node_modules/countersign")).unwrap();
        self.write("example.mjs", example);
        self.prints_hello(Command::new("node").arg("example.mjs"));
    }
}

/// Whether a program is here.
fn has(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    let status = command.arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_here = status.is_ok_and(|status| status.success());
    if !is_here {
        skip(&format!("there is no {program} here"));
    }
    is_here
}

fn python(section: &str, interpreter: &str) {
    let scene = Scene::new(section);
    scene.write("example.py", &scene.example(section));
    let sources = Path::new(ROOT).join("clients/python/src");
    let mut command = Command::new(interpreter);
    command.env("PYTHONPATH", &sources).env("MICROPYPATH", &sources);
    scene.prints_hello(command.env("PYTHONDONTWRITEBYTECODE", "1").arg("example.py"));
}

#[test]
fn a_shell() {
    let scene = Scene::new("shell");
    scene.prints_hello(Command::new("sh").args(["-c", &scene.example("A shell")]));
}

#[test]
fn a_proxy_for_what_cannot_be_changed() {
    let scene = Scene::new("proxy");
    let example = PAGE.lines().find(|line| line.starts_with("countersign proxy")).unwrap();
    let example = scene.here(&example.replace("127.0.0.1:9528", "127.0.0.1:0"));
    let mut proxy = Command::new(PROGRAM);
    proxy.args(example.split(' ').skip(1)).current_dir(&scene.folder);
    let proxy = Listening::start(&mut proxy);
    let mut stream = TcpStream::connect(&proxy.address).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"hello");
}

#[test]
fn c() {
    if !has("cc", "--version") {
        return;
    }
    let scene = Scene::new("c");
    symlink(Path::new(ROOT).join("clients"), scene.folder.join("clients")).unwrap();
    scene.prints_hello(Command::new("sh").args(["-c", &scene.example("C")]));
}

#[test]
fn python_and_asyncio() {
    if has("python3", "--version") {
        python("Python", "python3");
        python("asyncio", "python3");
    }
}

/// The example is Python too. That a session runs under MicroPython is shown by `ci/python`.
#[test]
fn micropython() {
    if has("python3", "--version") {
        python("MicroPython", "python3");
    }
    if has("micropython", "-h") {
        python("MicroPython", "micropython");
    }
}

#[test]
fn go() {
    if !has("go", "version") {
        return;
    }
    let scene = Scene::new("go");
    let module = "github.com/countersign/countersign/clients/go";
    let place = Path::new(ROOT).join("clients/go").canonicalize().unwrap();
    let place = place.display();
    scene.write("main.go", &scene.example("Go"));
    let needs = format!("go 1.19\nrequire {module} v0.0.0\nreplace {module} => {place}\n");
    scene.write("go.mod", &format!("module example\n{needs}"));
    scene.prints_hello(Command::new("go").args(["run", "."]).env("GOFLAGS", "-mod=mod"));
}

#[test]
fn javascript() {
    if !has("node", "--version") {
        return;
    }
    let scene = Scene::new("js");
    scene.runs_javascript(&scene.example("JavaScript"));
    let scene = Scene::with("js-sealed", &["--records", "sealed"]);
    let example = scene.example("JavaScript").replace(", keys }", ", keys, sealed: true }");
    scene.runs_javascript(&example);
}

/// Runs a command with these lines as its input. Returns what it prints, or what it complains of.
fn talk(command: &mut Command, lines: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // It may have failed before it reads.
    let _ = process.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = process.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true => Ok(printed),
        false => Err(format!("{printed}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The examples of a client and of a server, in the place of the program's.
fn both_ways(name: &str, client: &[&str], server: &[&str]) {
    let lines = format!("one\n\n{}\n", "x".repeat(10_000));
    let scene = Scene::new(&format!("{name}-both-ways"));
    let command = |words: &[&str], arguments: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(arguments).current_dir(&scene.folder);
        command
    };
    let address = &scene.server.address;
    assert_eq!(talk(&mut command(client, &[address, "keys"]), &lines), Ok(lines.clone()));
    let refused = talk(&mut command(client, &[address, "others"]), &lines).unwrap_err();
    assert!(refused.contains("prove") && refused.lines().count() == 1, "{name}: {refused}");

    let server = Listening::start(&mut command(server, &["127.0.0.1:0", "keys"]));
    let address = &server.address;
    drop(TcpStream::connect(address).unwrap());
    let connect = |keys| command(&[PROGRAM, "connect"], &[address, "--keys", keys]);
    assert!(talk(&mut connect("others"), &lines).is_err(), "{name}");
    assert_eq!(talk(&mut connect("keys"), &lines), Ok(lines.clone()));
    // Batches, and several connections.
    let load = ["-n", "2k", "-c", "4", "-P", "16", "--fail-if", "errors>0"];
    let mut load = command(&[PROGRAM, "load", address, "--keys", "keys"], &load);
    talk(&mut load, "").unwrap();
}

#[test]
fn the_examples_in_go_take_the_place_of_the_program() {
    if !has("go", "version") {
        return;
    }
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-go-examples");
    fs::create_dir_all(&built).unwrap();
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&built).arg("./examples/...");
    assert!(build.current_dir(Path::new(ROOT).join("clients/go")).status().unwrap().success());
    let [client, server] = ["client", "server"].map(|name| built.join(name).display().to_string());
    both_ways("go", &[&client], &[&server]);
}

#[test]
fn the_examples_in_javascript_take_the_place_of_the_program() {
    if has("node", "--version") {
        let examples = Path::new(ROOT).join("clients/js/examples").canonicalize().unwrap();
        let [client, server] = ["client.mjs", "server.mjs"].map(|name| examples.join(name));
        let (client, server) = (client.display().to_string(), server.display().to_string());
        both_ways("js", &["node", &client], &["node", &server]);
    }
}
