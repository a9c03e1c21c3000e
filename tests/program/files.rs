//! What may be a ring or a configuration: who owns it, what it is, and how it is changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use super::home::{Home, PROGRAM, Ran, finish, mode, skip};
use super::served::ServerProcess;

const KEY: &str = "one  text:sixteen-bytes-and-more  dialects=countersign/1,raw\n";
const OTHER: &str = "two  text:another-sixteen-bytes  dialects=countersign/1,raw\n";

/// Nobody in particular, and a group of theirs.
const NOBODY: u32 = 65_534;
const GROUP: u32 = 12_345;

fn is_root(home: &Home) -> bool {
    let is_root = fs::metadata(home.write("mine", "")).unwrap().uid() == 0;
    if !is_root {
        skip("only root can give files away and run programs as others");
    }
    is_root
}

fn owner(path: impl AsRef<Path>) -> (u32, u32, u32) {
    let found = fs::metadata(&path).unwrap();
    (found.uid(), found.gid(), mode(path))
}

fn give(path: impl AsRef<Path>, user: u32, group: u32, mode: u32) {
    chown(&path, Some(user), Some(group)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Runs a line of a shell in this home, in which `$CS` is the program.
fn shell(home: &Home, script: &str) -> Ran {
    let mut command = Command::new("bash");
    home.prepare(&mut command);
    finish(command.env("CS", PROGRAM).arg("-c").arg(script).spawn().unwrap(), b"")
}

fn make_fifo(home: &Home, name: &str) {
    let made = Command::new("mkfifo").arg("-m").arg("600").arg(home.path(name)).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_link_to_a_ring_is_followed_anew_at_each_reload() {
    let home = Home::new();
    fs::create_dir(home.path("..1")).unwrap();
    fs::create_dir(home.path("..2")).unwrap();
    home.write("..1/keys", KEY);
    home.write("..2/keys", OTHER);
    symlink("..1", home.path("..data")).unwrap();
    symlink("..data/keys", home.path("keys")).unwrap();
    let keys = home.path("keys").display().to_string();
    let server = home.serve(&format!("serve --service echo --keys {keys}"));
    let connect =
        format!("connect {} --keys {}", server.address(), home.path("..2/keys").display());
    home.run(&connect, "a\n").failed(77, &[]);
    // As Kubernetes does it: a new directory, then a new link to it over the old one.
    symlink("..2", home.path("..new")).unwrap();
    fs::rename(home.path("..new"), home.path("..data")).unwrap();
    fs::remove_dir_all(home.path("..1")).unwrap();
    server.signal("HUP");
    server.err.with("INFO  reloaded");
    home.run(&connect, "a\n").printed("a\n");
    assert!(home.run(&format!("keys check --keys {keys}"), "").out.contains("1 key, 1 valid now"));
}

#[test]
fn a_pipe_is_a_ring_at_start_and_at_reload_the_old_one_is_kept() {
    let home = Home::new();
    home.write("keys", KEY);
    let checked = |script: &str| {
        let ran = shell(&home, script);
        assert_eq!(
            (ran.code, ran.out.contains(": 1 key, 1 valid now")),
            (Some(0), true),
            "{ran:?}"
        );
    };
    checked("$CS keys check --keys <(cat ~/keys)");
    checked("cat ~/keys | $CS keys check --keys /dev/stdin");
    checked("$CS keys check --keys /dev/stdin < ~/keys");
    // Who writes takes its time.
    checked("$CS keys check --keys <(head -c 9 ~/keys; sleep .1; tail -c +10 ~/keys)");
    shell(&home, "head -c 2000000 /dev/zero | $CS keys check --keys /dev/stdin")
        .failed(65, &["/dev/stdin: is larger than 1 MiB; name another file"]);
    shell(&home, ": | $CS keys check --keys /dev/stdin")
        .failed(65, &["no data arrives from this pipe"]);
    let script = "exec $CS serve --service echo --bind 127.0.0.1:0 --keys <(cat ~/keys)";
    let mut command = Command::new("bash");
    home.prepare(&mut command);
    let child = command.env("CS", PROGRAM).arg("-c").arg(script).spawn().unwrap();
    let server = ServerProcess::started(child, 1);
    let connect = format!("connect {} --keys {}", server.address(), home.path("keys").display());
    home.run(&connect, "a\n").printed("a\n");
    server.signal("HUP");
    let said = server.err.with("reload failed: ");
    assert!(said.contains("a pipe can be read only once, so use a regular file"), "{said}");
    assert!(said.contains("the old configuration is kept"), "{said}");
    home.run(&connect, "b\n").printed("b\n");
}

/// Puts a ring into a named pipe whose writer is gone, while a shell keeps it open for reading as
/// descriptor 4.
const FILLED: &str = "exec 3<>~/fifo && cat ~/keys >&3 && exec 4<~/fifo 3>&- && ";

#[test]
fn a_pipe_whose_writer_is_gone_is_a_ring_too() {
    let home = Home::new();
    home.write("keys", KEY);
    make_fifo(&home, "fifo");
    for (line, said) in [
        ("$CS keys check --keys ~/fifo", "1 key, 1 valid now"),
        ("$CS keys check --keys /dev/fd/4", "1 key, 1 valid now"),
        ("$CS keys check --keys /dev/stdin <&4", "1 key, 1 valid now"),
        ("$CS keys list --keys ~/fifo", "one "),
    ] {
        let ran = shell(&home, &format!("{FILLED}{line}"));
        assert_eq!((ran.code, ran.out.contains(said)), (Some(0), true), "{line}: {ran:?}");
    }
    let server = serving_from_pipe(&home);
    let connect = format!("$CS connect {} --keys ~/fifo <<< a", server.address());
    shell(&home, &format!("{FILLED}{connect}")).printed("a\n");
}

/// A server that has read its ring from such a pipe.
fn serving_from_pipe(home: &Home) -> ServerProcess {
    let serve = "exec $CS serve --service echo --bind 127.0.0.1:0 --keys ~/fifo";
    let mut command = Command::new("bash");
    home.prepare(&mut command);
    command.env("CS", PROGRAM).arg("-c").arg(format!("{FILLED}{serve}"));
    ServerProcess::started(command.spawn().unwrap(), 1)
}

#[test]
fn what_is_no_file_neither_blocks_nor_fills_memory() {
    let home = Home::new();
    make_fifo(&home, "fifo");
    fs::create_dir(home.path("directory")).unwrap();
    home.write("large", vec![b'#'; (1 << 20) + 1]);
    home.write(
        "utf-16",
        "utc = true".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
    );
    let path = |name: &str| home.path(name).display().to_string();
    let cases = [
        ("/dev/zero".to_owned(), "is not a regular file; name one", 65),
        (path("directory"), "is not a regular file; name one", 65),
        (path("large"), "is larger than 1 MiB; name another file", 65),
        (path("utf-16"), "is UTF-16 text; save it as UTF-8", 65),
        (path("fifo"), "pipe", 65),
    ];
    for (path, said, code) in cases {
        home.run(&format!("keys check --keys {path}"), "").failed(code, &[&path, said]);
        home.run(&format!("check-config {path}"), "").failed(78, &[&path, said]);
        home.run(&format!("serve --config {path}"), "").failed(78, &[&path, said]);
    }
    let drip = "$CS keys check --keys <(while printf '#'; do sleep 0.1; done)";
    shell(&home, drip).failed(65, &["the end of this pipe did not come within 5 s"]);
    let piped = shell(&home, "$CS check-config <(echo utc = true)");
    piped.failed(78, &["is a pipe, which can't be read again; name a regular file"]);
}

#[test]
fn a_configuration_that_has_become_a_pipe_or_a_device_is_told_of_and_the_old_one_kept() {
    let home = Home::new();
    let text = "dialect = \"open\"\nservice = \"echo\"\nbind = \"127.0.0.1:0\"\n";
    let file = home.write("garden.toml", text);
    let line = format!("serve --config {}", file.display());
    let server = ServerProcess::started(home.command(&line).spawn().unwrap(), 1);
    let connect = format!("connect {} --dialect open", server.address());
    fs::remove_file(&file).unwrap();
    make_fifo(&home, "garden.toml");
    server.signal("HUP");
    server.err.with("reload failed: ");
    fs::remove_file(&file).unwrap();
    symlink("/dev/zero", &file).unwrap();
    server.signal("HUP");
    assert!(server.err.with("reload failed: ").contains("is not a regular file"));
    home.run(&connect, "a\n").printed("a\n");
    fs::remove_file(&file).unwrap();
    home.write("garden.toml", text);
    server.signal("HUP");
    server.err.with("INFO  reloaded");
}

#[test]
fn a_file_that_others_may_write_to_is_refused_with_the_remedy() {
    let home = Home::new();
    let file = home.write("garden.toml", "dialect = \"open\"\n");
    for (mode, is_taken) in [(0o644, true), (0o664, true), (0o666, false), (0o602, false)] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let ran = home.run(&format!("check-config {}", file.display()), "");
        let said = format!("others may write to it (mode {mode:o}); `chmod go-w` it");
        assert_eq!(ran.code, Some(if is_taken { 0 } else { 78 }), "{mode:o}: {ran:?}");
        assert_eq!(ran.err.contains(&said), !is_taken, "{ran:?}");
    }
}

#[test]
fn files_of_another_user_are_not_believed_and_roots_are() {
    let home = Home::new();
    if !is_root(&home) {
        return;
    }
    let ring = home.write("keys", KEY);
    let file = home.write("garden.toml", "keys = \"keys\"\n");
    let check = format!("check-config {}", file.display());
    assert_eq!(home.run(&check, "").code, Some(0));
    give(&file, NOBODY, NOBODY, 0o644);
    home.run(&check, "").failed(78, &["belongs to the user 65534", "`chown` it"]);
    give(&file, 0, GROUP, 0o664);
    home.run(&check, "").failed(78, &["others may write to it (mode 664)"]);
    give(&file, 0, 0, 0o644);
    give(&ring, NOBODY, NOBODY, 0o600);
    home.run(&check, "").failed(65, &["belongs to the user 65534", "`chown` it"]);
    // Who looks after the files of others can do so.
    let keys = ring.display();
    assert_eq!(home.run(&format!("keys list --keys {keys}"), "").code, Some(0));
    assert_eq!(home.run(&format!("keys check --keys {keys}"), "").code, Some(0));
}

/// Runs a verb as nobody in particular, who is in these groups.
fn as_nobody(home: &Home, groups: &str, line: &str) -> Ran {
    let program = home.path("countersign");
    if !program.exists() {
        fs::copy(PROGRAM, &program).unwrap();
        fs::set_permissions(home.path(""), Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("setpriv");
    home.prepare(&mut command);
    command.args(["--reuid", "65534", "--regid", "65534", groups]).arg(program);
    finish(command.args(line.split(' ')).spawn().unwrap(), b"")
}

#[test]
fn root_may_let_a_group_read_that_the_process_is_in() {
    let home = Home::new();
    if !is_root(&home) {
        return;
    }
    let ring = home.write("keys", KEY);
    let line = format!("serve --keys {} --bind a.invalid:1", ring.display());
    let (member, stranger) = ("--groups=12345", "--clear-groups");
    // What is wrong behind the ring is its address.
    give(&ring, 0, GROUP, 0o640);
    as_nobody(&home, member, &line).failed(69, &[]);
    as_nobody(&home, stranger, &line).failed(65, &["permission denied"]);
    for (user, group, mode) in [(0, GROUP, 0o660), (0, GROUP, 0o644), (NOBODY, GROUP, 0o640)] {
        give(&ring, user, group, mode);
        as_nobody(&home, member, &line).failed(65, &["others have access to it"]);
    }
    give(&ring, 0, NOBODY, 0o440);
    as_nobody(&home, stranger, &line).failed(69, &[]);
}

#[test]
fn who_changes_a_ring_keeps_its_owner_group_and_mode_and_a_link_to_it() {
    let home = Home::new();
    if !is_root(&home) {
        return;
    }
    for (user, group, mode) in [(NOBODY, NOBODY, 0o600), (0, GROUP, 0o640), (NOBODY, GROUP, 0o400)]
    {
        let ring = home.write("keys", KEY);
        give(&ring, user, group, mode);
        let _ = fs::remove_file(home.path("link"));
        symlink("keys", home.path("link")).unwrap();
        let link = home.path("link").display().to_string();
        assert_eq!(home.run(&format!("keygen two --keys {link}"), "").code, Some(0));
        assert_eq!(owner(&ring), (user, group, mode));
        assert_eq!(home.run(&format!("keys rotate one --keys {link}"), "").code, Some(0));
        assert_eq!(owner(&ring), (user, group, mode));
        let warnings = home.run(&format!("keys check --keys {link}"), "").err;
        let said = format!("warning: only servers of the user {user} read this file\n");
        assert_eq!(warnings.contains(&said), user != 0, "{warnings}");
        assert!(Path::new(&link).is_symlink());
        assert_eq!(fs::read_to_string(&ring).unwrap().lines().count(), 3);
    }
    // Who can't keep them leaves the ring as it is.
    fs::create_dir(home.path("shared")).unwrap();
    give(home.path("shared"), NOBODY, NOBODY, 0o700);
    let ring = home.write("shared/keys", KEY);
    give(&ring, 0, NOBODY, 0o440);
    let ran = as_nobody(&home, "--clear-groups", &format!("keygen two --keys {}", ring.display()));
    ran.failed(1, &["cannot keep its owner 0:65534", "run this as root"]);
    assert_eq!((owner(&ring), &fs::read_to_string(&ring).unwrap()[..]), ((0, NOBODY, 0o440), KEY));
    assert!(!home.path("shared/keys.new").exists());
}

/// Adds a key under strace, with this option. Returns the calls that change files for good.
fn keygen_traced(home: &Home, option: &str) -> (Ran, Vec<String>) {
    let trace = home.path("trace");
    let mut command = Command::new("strace");
    home.prepare(&mut command);
    command.args(["-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2", option, "-o"]);
    command.arg(&trace).args([PROGRAM, "keygen", "two", "--keys"]).arg(home.ring());
    let ran = finish(command.spawn().unwrap(), b"");
    let trace = fs::read_to_string(trace).unwrap();
    (ran, trace.lines().filter(|line| line.contains('(')).map(str::to_owned).collect())
}

#[test]
fn a_ring_that_was_changed_outlives_a_loss_of_power_or_is_said_not_to() {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        return skip("strace isn't there, or may not trace");
    }
    let fails = "its folder cannot be synced: input/output error; a loss of power may undo that";
    for (fault, code, said) in [("", 0, "added to"), ("EINVAL", 0, "added to"), ("EIO", 1, fails)] {
        let home = Home::with_keys(KEY);
        let fault =
            if fault.is_empty() { "-qq" } else { &format!("-einject=fsync:error={fault}:when=2") };
        let (ran, calls) = keygen_traced(&home, fault);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.err.contains(said), "{}", ran.err);
        let [file, rename, folder] = &calls[..] else { panic!("{calls:#?}") };
        let path = home.ring().parent().unwrap().display().to_string();
        assert!(file.contains("fsync(") && file.contains(&format!("{path}/keys.new>")), "{file}");
        assert!(rename.contains("rename"), "{rename}");
        assert!(folder.contains("fsync(") && folder.contains(&format!("{path}>")), "{folder}");
        assert_eq!(home.ring_text().lines().count(), 2);
    }
}
