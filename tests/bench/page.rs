//! The admin page, while all charms are polled: how long it takes, how large it is, and what it costs the service.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bg_test_support::{memory, processor_time, request};

use crate::database::Filled;
use crate::report::Report;
use crate::scenes::{number, start, totals};

const TOKEN: &str = "the-token-of-this-bench";
/// How often each page is requested.
const TIMES: usize = 20;
/// How many pages are open at the same time, and how long.
const OPEN: usize = 5;
const WATCHED: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_mins(2);

pub(crate) fn measure(filled: &Filled, report: &mut Report) -> anyhow::Result<()> {
    let host = filled.host()?.env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let mut service = start(&host, "error,poller::totals=info", &["--listen", "127.0.0.1:0"])?;
    let line = service.wait_for_line(|line| line.contains("adminPage"), SOON)?;
    let said: serde_json::Value = serde_json::from_str(&line)?;
    let page = said["adminPage"].as_str().context("no address")?;
    let address: SocketAddr = page.trim_start_matches("http://").split('/').next().context("no address")?.parse()?;
    while number(&totals(&mut service, SOON)?, "polls")? < f64::from(filled.size.charms) {}
    let before = memory(service.pid(), "VmRSS")?;

    let name = format!("{} registrations", filled.size.charms);
    let middle = next_page(address, "/admin")?;
    for (what, target) in [
        ("the first page", "/admin"),
        ("a page further on", middle.as_str()),
        ("one integration", "/admin?integration=gmail"),
        ("those that fail: none", "/admin?state=failing"),
        ("a text that is nowhere", "/admin?search=nothing-has-this"),
        ("metrics", "/metrics"),
    ] {
        let (mut times, mut size) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let began = Instant::now();
            let reply = request(address, "GET", target, &[("Authorization", &format!("Bearer {TOKEN}"))], b"")?;
            times.push(began.elapsed());
            ensure!(reply.status == 200, "{target}: {}", reply.text());
            size = reply.body.len();
        }
        report.times(&format!("{name}, {what}"), &times, None);
        report.add("  size", "KiB", vec![f64::from(u32::try_from(size)?) / 1_024.0], None);
    }

    let began = Instant::now();
    let processor = processor_time(service.pid())?;
    let watching: Vec<_> = (0..OPEN).map(|_| std::thread::spawn(move || watch(address))).collect();
    let mut received = Vec::new();
    for one in watching {
        let bytes = one.join().map_err(|_| anyhow::anyhow!("a watcher panicked"))??;
        received.push(bytes / WATCHED.as_secs_f64() / 1_024.0);
    }
    let used = processor_time(service.pid())?.saturating_sub(processor);
    report.add(&format!("{name}, {OPEN} pages open: sent to each, a second"), "KiB", received, None);
    let processors = used.as_secs_f64() / began.elapsed().as_secs_f64();
    report.add("  processors used, polling included", "", vec![processors], None);
    let last = totals(&mut service, SOON)?;
    report.add("  lateness since the start, p99", "ms", vec![number(&last, "late_p99_ms")?], None);
    report.add("  resident before any page", "MiB", vec![before], None);
    report.add("  resident after all", "MiB", vec![memory(service.pid(), "VmRSS")?], None);
    report.add("  the most", "MiB", vec![memory(service.pid(), "VmHWM")?], None);
    service.terminate()?.success()?;
    Ok(())
}

/// The address of the page after that one.
fn next_page(address: SocketAddr, target: &str) -> anyhow::Result<String> {
    let reply = request(address, "GET", target, &[("Authorization", &format!("Bearer {TOKEN}"))], b"")?;
    let text = reply.text();
    let link = text.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok(link.context("no next page")?.replace("&#38;", "&"))
}

/// Reads the events of the first page for a while; returns the number of bytes.
fn watch(address: SocketAddr) -> anyhow::Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /admin/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (until, mut buffer, mut bytes) = (Instant::now() + WATCHED, vec![0; 1 << 16], 0_u32);
    while Instant::now() < until {
        match stream.read(&mut buffer) {
            Ok(0) => anyhow::bail!("the server ended it"),
            Ok(many) => bytes += u32::try_from(many)?,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(f64::from(bytes))
}
