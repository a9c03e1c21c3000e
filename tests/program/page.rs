//! The page of `load --report`: it is written where it must be, makes no request, and shows every
//! plot whole, in a browser.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::home::{Home, skip};

/// What a page says of itself in its title: how many requests it has made, whether the numbers
/// under the pointer are shown, and whether something is wider than the window; and of each plot
/// its name, whether it is there in full, whether it has texts, and how many of them are outside of
/// the window or lie on each other.
const SCRIPT: &str = "<script>
addEventListener('load', () => {
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 \
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  const plots = [...document.querySelectorAll('svg.plot')].map(plot => {
    const box = plot.getBoundingClientRect();
    const texts = [...plot.querySelectorAll('text')].map(text => text.getBoundingClientRect())
      .filter(text => text.width > 0);
    const bad = texts.filter((text, at) => text.left < 0 || text.right > innerWidth
      || texts.slice(at + 1).some(other => meet(text, other)));
    const isWhole = box.width > 200 && box.height > 80;
    return [plot.closest('figure').id, isWhole, texts.length > 5, bad.length].join(':');
  });
  const requests = performance.getEntriesByType('resource').length;
  const plot = document.querySelector('svg.plot');
  const {left, width, top} = plot.getBoundingClientRect();
  plot.dispatchEvent(new PointerEvent('pointermove', {clientX: left + width / 2, clientY: top}));
  const hint = document.querySelector('#hint');
  const hints = hint.style.display === 'block' && hint.textContent.includes('p99: ');
  const isWide = document.documentElement.scrollWidth > innerWidth;
  document.title = ['requests', requests, 'hints', hints, 'wide', isWide, ...plots].join(' ');
});
</script>";

/// The title of a page once a browser has shown it in a window of this width.
fn title(home: &Home, page: &str, width: u32) -> Option<String> {
    let file = home.write("shown.html", page);
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    browser.arg(format!("--user-data-dir={}", home.path("browser").display()));
    browser.arg(format!("--window-size={width},900")).arg("--dump-dom");
    let ran = browser.arg(format!("file://{}", file.display())).output().ok()?;
    let dom = String::from_utf8_lossy(&ran.stdout);
    let title = dom.split_once("<title>")?.1.split_once("</title>")?.0;
    Some(title.to_owned())
}

fn measured(home: &Home, options: &str) -> String {
    let server = home.serve("serve --service echo --dialect open");
    let file = home.path("page.html");
    let load = format!("load {} --dialect open -c 5 {options}", server.address());
    let ran = home.run(&format!("{load} --output quiet --report {}", file.display()), "");
    ran.printed("");
    fs::read_to_string(file).unwrap()
}

#[test]
fn a_page_makes_no_request_and_shows_every_plot() {
    let home = Home::new();
    let page = measured(&home, "-q 2k -z 1500ms --interval 100ms --reconnect");
    let probing = page.replace("</body>", &format!("{SCRIPT}</body>"));
    for width in [500, 800, 1300] {
        let Some(shown) = title(&home, &probing, width) else {
            return skip("there is no chromium here");
        };
        let plots = ["throughput", "latency", "connections", "busy", "percentiles", "histogram"];
        let plots = plots.map(|plot| format!("{plot}:true:true:0")).join(" ");
        let expected = format!("requests 0 hints true wide false {plots} setup:true:true:0");
        assert_eq!(shown, expected, "in a window of {width} pixels");
    }
    // Even if a text became an element, the policy of the page forbids what it asks for.
    let (address, asked) = counting_server();
    let asking = probing.replace("<h1>", &format!("<img src='http://{address}/'/><h1>"));
    assert!(title(&home, &asking, 800).unwrap().starts_with("requests 1 "));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let lawless = asking.replace("default-src 'none'", "default-src *").replace("data:", "*");
    assert!(title(&home, &lawless, 800).unwrap().starts_with("requests 1 "));
    assert!(asked.load(Ordering::Relaxed) > 0, "without the policy, it is asked for");
}

/// Where a server listens that closes each connection, and how many there were.
fn counting_server() -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        listener.incoming().for_each(|_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
    });
    (address, count)
}

#[test]
fn a_page_that_cannot_be_written_is_told_before_the_load() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let ran = home.run(&format!("load {address} --dialect open --report /nonexistent/page"), "");
    ran.failed(74, &["cannot write to /nonexistent/page: "]);
    assert!(listener.accept().is_err(), "nobody has connected");
}

#[test]
fn a_page_repeats_the_command_and_has_no_secret() {
    let home = Home::with_keys("default  text:a-secret-of-the-ring\n");
    let server = home.serve("serve --service echo");
    let file = home.path("page.html");
    let load =
        format!("load {} -n 10 --output quiet --report {}", server.address(), file.display());
    home.run(&load, "").printed("");
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.contains(&format!("<pre>countersign {load}</pre>")), "{page}");
    assert!(!page.contains("a-secret-of-the-ring"));
    assert!(Path::new(&file).metadata().unwrap().len() < 100_000);
}
