//! What the manager is told: that it serves when it does, that it stops, and that it is alive.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use crate::free_port::free_address;
use crate::home::{Home, PATIENCE, skip};
use crate::served::{ServerProcess, ask, dial};

/// A service manager, as far as it is told something.
struct Manager(UnixDatagram);

impl Manager {
    fn new(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next notice.
    #[track_caller]
    fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.0.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Nothing has come.
    #[track_caller]
    fn heard_nothing(&self) {
        self.0.set_nonblocking(true).unwrap();
        let heard = self.0.recv(&mut [0; 1024]);
        assert_eq!(heard.unwrap_err().kind(), ErrorKind::WouldBlock);
        self.0.set_nonblocking(false).unwrap();
    }

    /// All that was told until it ended.
    fn rest(&self) -> Vec<String> {
        self.0.set_nonblocking(true).unwrap();
        let mut rest = Vec::new();
        let mut buffer = [0; 1024];
        while let Ok(length) = self.0.recv(&mut buffer) {
            rest.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        rest
    }
}

/// Killed when the test is over, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line with the manager's socket in front.
fn notifying(home: &Home, line: &str) -> String {
    format!("NOTIFY_SOCKET={} {line}", home.path("notify").display())
}

#[test]
fn the_manager_hears_that_it_serves_when_it_does_and_that_it_stops_when_that_begins() {
    let home = Home::new();
    let manager = Manager::new(&home);
    // On a port that was free a moment ago: nobody listens before it does.
    let port = free_address();
    let bind = format!("--bind {port}");
    let line = format!("serve --dialect open --service echo {bind} --drain-timeout 1h");
    let server = home.serve(&notifying(&home, &line));
    assert_eq!(manager.next(), "READY=1\nSTATUS=serving\n");
    let peer = dial(&port.to_string());
    assert_eq!(ask(&peer, "a"), "a\n");
    manager.heard_nothing();
    server.signal("TERM");
    assert!(manager.next().starts_with("STOPPING=1\nSTATUS=stopping"));
    drop(peer);
    assert_eq!(server.end().code, Some(0));
    assert!(manager.rest().is_empty(), "each is told once");
}

#[test]
fn a_reload_is_told_of_with_the_time_when_it_began_and_with_its_end() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let file = home.write("one.toml", "dialect = 'open'\n");
    let line = format!("serve --config {} --bind 127.0.0.1:0", file.display());
    let server = home.serve(&notifying(&home, &line));
    assert_eq!(manager.next(), "READY=1\nSTATUS=serving\n");
    let mut last = 0;
    for (text, status) in [
        ("dialect = 'open'\n", "serving"),
        ("dialect = 'none'\n", "serving; the last reload failed, see the log"),
        ("dialect = 'open'\n", "serving"),
    ] {
        home.write("one.toml", text);
        server.signal("HUP");
        let notice = manager.next();
        let stamp = notice.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let stamp: u64 = stamp.trim_end().parse().unwrap();
        assert!(stamp > last, "{stamp} is later than {last}");
        last = stamp;
        assert_eq!(manager.next(), format!("READY=1\nSTATUS={status}\n"));
    }
    server.signal("TERM");
    assert!(manager.next().starts_with("STOPPING=1\n"));
    assert_eq!(server.end().code, Some(0));
    assert!(manager.rest().is_empty());
}

#[test]
fn a_proxy_tells_its_manager_what_a_server_does() {
    let home = Home::with_keys("default  text:sixteen-bytes-and-more\n");
    for role in ["server", "client"] {
        let manager = Manager::new(&home);
        let line = format!("proxy --role {role} --listen 127.0.0.1:0 --target 127.0.0.1:1");
        let line = format!("WATCHDOG_USEC=3000000 {line}");
        let proxy = home.command(&notifying(&home, &line)).spawn().unwrap();
        assert_eq!(manager.next(), "READY=1\nSTATUS=serving\n");
        assert_eq!(manager.next(), "WATCHDOG=1\n");
        let proxy = ServerProcess::started(proxy, 1);
        proxy.signal("HUP");
        let next = || Some(manager.next()).filter(|notice| notice != "WATCHDOG=1\n");
        let heard = || std::iter::from_fn(|| Some(next())).flatten().next().unwrap();
        assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(heard(), "READY=1\nSTATUS=serving\n");
        std::fs::rename(home.ring(), home.path("ring")).unwrap();
        proxy.signal("HUP");
        assert!(heard().starts_with("RELOADING=1\n"));
        assert_eq!(heard(), "READY=1\nSTATUS=serving; the last reload failed, see the log\n");
        std::fs::rename(home.path("ring"), home.ring()).unwrap();
        proxy.signal("TERM");
        assert!(heard().starts_with("STOPPING=1\nSTATUS=stopping"));
        assert_eq!(proxy.end().code, Some(0));
        drop(manager);
        std::fs::remove_file(home.path("notify")).unwrap();
    }
}

#[test]
fn who_can_not_serve_does_not_say_so() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = format!("--bind {}", taken.local_addr().unwrap());
    home.run(&notifying(&home, &format!("serve --dialect open {bind}")), "").failed(69, &[]);
    manager.heard_nothing();
}

#[test]
fn ready_is_told_before_the_first_turn_only_once_all_listen() {
    let home = Home::new();
    for _ in 0..10 {
        let manager = Manager::new(&home);
        let port = free_address();
        let line = format!("serve --dialect open --bind 127.0.0.1:0 --bind {port}");
        let child = home.command(&notifying(&home, &line)).spawn().unwrap();
        let ready = manager.next();
        // At once, and the last that was bound.
        assert!(TcpStream::connect(port).is_ok(), "{ready}");
        assert!(ready.starts_with("READY=1\n"), "{ready}");
        assert_eq!(ServerProcess::started(child, 2).stop().code, Some(0));
        drop(manager);
        std::fs::remove_file(home.path("notify")).unwrap();
    }
}

/// The pings of a server of so many workers, while the thread of this name is held up in its poll,
/// and when it goes on.
fn stops_turning(workers: u32, thread: &str) {
    let home = Home::new();
    let manager = Manager::new(&home);
    let line = format!("WATCHDOG_USEC=150000 serve --dialect open --workers {workers}");
    let server = home.serve(&notifying(&home, &line));
    assert!(manager.next().starts_with("READY=1\n"));
    for _ in 0..5 {
        assert_eq!(manager.next(), "WATCHDOG=1\n");
    }
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let name = |task: &Path| std::fs::read_to_string(task.join("comm")).unwrap();
    let mut tasks = tasks.map(|task| task.unwrap().path());
    let task = tasks.find(|task| name(task).trim_end() == thread).unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "inject=epoll_wait:delay_enter=30000000"]);
    let held = strace.arg("-p").arg(task.file_name().unwrap()).spawn();
    let Ok(held) = held.map(Killed) else { return skip("there is no strace here") };
    manager.0.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    let mut last = 0;
    while manager.0.recv(&mut [0; 64]).is_ok() {
        last += 1;
        assert!(last < 300, "it is stuck and says that it is alive");
    }
    manager.0.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(held);
    assert_eq!(manager.next(), "WATCHDOG=1\n");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_loop_that_turns_says_so_and_one_that_is_stuck_does_not() {
    stops_turning(1, "countersign");
}

#[test]
fn no_loop_says_that_all_turn_while_another_is_stuck() {
    for thread in ["countersign", "worker 1"] {
        stops_turning(2, thread);
    }
}

#[test]
fn a_watchdog_of_another_process_is_not_ours() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let line = "WATCHDOG_USEC=3000 WATCHDOG_PID=1 serve --dialect open --service echo";
    let server = home.serve(&notifying(&home, line));
    assert!(manager.next().starts_with("READY=1\n"));
    assert_eq!(ask(&server.dial(), "a"), "a\n");
    manager.heard_nothing();
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_manager_that_can_not_be_reached_is_told_of_once_and_no_harm() {
    let home = Home::new();
    let line = notifying(&home, "WATCHDOG_USEC=3000 serve --dialect open --service echo");
    let server = home.serve(&line);
    server.err.with("WARN  cannot notify the service manager: no such file");
    assert_eq!(ask(&server.dial(), "a"), "a\n");
    let ran = server.stop();
    assert_eq!((ran.code, ran.err.matches("cannot notify").count()), (Some(0), 0), "{}", ran.err);
}
