//! The init script for OpenWrt, under functions that stand in for those of uci and procd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{PROGRAM, accepted, all, deploy, output, scratch, text};

/// A router: its configuration, its keys, and what the script has written.
struct Router {
    folder: PathBuf,
    shell: &'static [&'static str],
}

/// The shells that the script has to run in. busybox has the one that OpenWrt has.
const SHELLS: [&[&str]; 2] = [&["dash"], &["busybox", "ash"]];

impl Router {
    /// One for each shell that is here.
    fn all(name: &str) -> impl Iterator<Item = Self> {
        let is_here = |shell: &&'static [&'static str]| {
            output(Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"])).is_some()
        };
        SHELLS
            .into_iter()
            .filter(is_here)
            .map(move |shell| Self { folder: scratch(&format!("{name}-{}", shell[0])), shell })
    }

    fn has(&self, sections: &str) {
        fs::write(self.folder.join("uci"), sections).unwrap();
    }

    /// What the script does when it is told this.
    fn told(&self, action: &str) -> Output {
        let mut command = Command::new(self.shell[0]);
        command.args(&self.shell[1..]).arg(stubs()).arg(deploy("openwrt/files/countersign.init"));
        command.arg(&self.folder).arg(PROGRAM).arg(action);
        output(&mut command).unwrap()
    }

    /// The calls of procd when it starts.
    fn started(&self) -> String {
        let started = self.told("start_service");
        assert!(started.status.success(), "{}", all(&started));
        String::from_utf8(started.stdout).unwrap()
    }

    fn toml(&self) -> String {
        fs::read_to_string(self.folder.join("run/countersign.toml")).unwrap()
    }
}

fn stubs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/deploy/openwrt.sh")
}

/// A string as `uci export` quotes it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[test]
fn the_init_script_is_one() {
    accepted("shellcheck", &[], &[deploy("openwrt/files/countersign.init")]);
    accepted("shellcheck", &[], &[stubs()]);
}

#[test]
fn the_sections_that_are_installed_serve_when_they_are_enabled() {
    for router in Router::all("openwrt-first") {
        let sections = text("openwrt/files/countersign.config");
        router.has(&sections);
        assert!(!router.started().contains("open|"), "nothing is enabled");
        router.has(&sections.replace("enabled '0'", "enabled '1'"));
        let calls = router.started();
        let folder = router.folder.display();
        let toml = format!("{folder}/run/countersign.toml");
        for call in [
            "open|server".to_owned(),
            format!("set|command|{PROGRAM}|serve|--config|{toml}"),
            format!("set|file|{folder}/etc/keys"),
            format!("append|file|{toml}"),
            "set|reload_signal|HUP".to_owned(),
            "set|user|countersign".to_owned(),
            "set|limits|nofile=4096 4096".to_owned(),
            "jail|countersign|log".to_owned(),
            "open|proxy-db".to_owned(),
            format!("set|command|{PROGRAM}|proxy"),
            "append|env|COUNTERSIGN_TARGET=db.example:9528".to_owned(),
            "append|env|COUNTERSIGN_MAX_CONNECTIONS=100".to_owned(),
        ] {
            assert!(calls.lines().any(|line| line == call), "{call}: {calls}");
        }
        assert!(!calls.contains("ENABLED"), "{calls}");
        assert_eq!(calls.matches("close\n").count(), 2, "{calls}");
        assert_eq!(
            router.toml(),
            "# Made of /etc/config/countersign.\n\
             limits = \"small\"\nmax-connections = \"200\"\n\n\
             [[listener]]\nname = \"main\"\nbind = [\"127.0.0.1:9527\"]\n\
             service = \"timestamp\"\n"
        );
        let trigger = router.told("service_triggers");
        assert_eq!(all(&trigger), "trigger|countersign\n");
    }
}

/// Values that would be something else if they were written as they are.
const HOSTILE: [&str; 7] = [
    "a \"quoted\" word",
    "it's",
    "back\\slash\\",
    "two\nlines\n",
    "]\n[[listener]]\nbind = \"0.0.0.0:1\"\n",
    "$(touch /tmp/x) `id` ${HOME} ; # *",
    "é\u{7f}\t\u{1}",
];

#[test]
fn values_stay_values_whatever_is_in_them() {
    for router in Router::all("openwrt-hostile") {
        for value in HOSTILE {
            // A path may be anything: it is read again from what the script has written.
            let keys = router.folder.join(format!("etc/{}", value.replace('/', "_")));
            fs::create_dir_all(keys.parent().unwrap()).unwrap();
            let made = Command::new(PROGRAM).args(["keygen", "main", "--keys"]).arg(&keys).output();
            assert!(made.unwrap().status.success());
            router.has(&format!(
                "config listener 'one'\n\toption keys {keys}\n\toption utc 'on'\n\
                 config countersign 'server'\n\toption enabled '1'\n\
                 config listener 'off'\n\toption enabled '0'\n\tlist bind {}\n",
                quoted(value),
                keys = quoted(keys.to_str().unwrap()),
            ));
            let calls = router.started();
            assert!(calls.contains("open|server\n"), "{value:?}: {calls}");
            let toml = router.toml();
            assert_eq!(toml.lines().count(), 6, "{toml}");
            assert_eq!(toml.matches("\n[[listener]]\n").count(), 1, "{toml}");
            assert!(toml.ends_with("utc = true\n"), "{toml}");
            fs::remove_file(router.folder.join("run/countersign.toml")).unwrap();
        }
    }
}

#[test]
fn a_value_that_is_refused_leaves_the_configuration_before_it() {
    for router in Router::all("openwrt-refused") {
        let server = "config countersign 'server'\n\toption enabled '1'\n";
        router.has(&format!("{server}config listener 'one'\n\tlist allow '10.0.0.0/8'\n"));
        router.started();
        let before = router.toml();
        for value in HOSTILE.into_iter().chain(["echo\"\nallow = \"0.0.0.0/0"]) {
            let value = quoted(value);
            router.has(&format!("{server}config listener 'one'\n\toption service {value}\n"));
            let refused = router.told("start_service");
            let said = all(&refused);
            assert!(refused.status.success() && said.contains("open|server\n"), "{said}");
            assert!(said.contains("\nlog|countersign: ") && said.contains(":5: "), "{said}");
            assert_eq!(router.toml(), before);
        }
        // On a router that has never served, there is nothing to go back to.
        fs::remove_file(router.folder.join("run/countersign.toml")).unwrap();
        assert!(!router.started().contains("open|"));
    }
}

#[test]
fn the_package_builds_the_program_for_routers() {
    let makefile = text("openwrt/Makefile");
    let version = format!("PKG_VERSION:={}\n", env!("CARGO_PKG_VERSION"));
    assert!(makefile.contains(&version));
    assert!(makefile.contains("\nCARGO_PKG_PROFILE:=small\n"));
    assert!(makefile.contains("\nRUST_PKG_FEATURES:=serve,proxy,keys\n"));
    for file in fs::read_dir(deploy("openwrt/files")).unwrap() {
        let name = file.unwrap().file_name();
        assert!(makefile.contains(&format!("./files/{}", name.display())), "{}", name.display());
    }
}
