//! A charm runtime that is unavailable or slow, restarts, or sends invalid answers: the service waits for it, blames no
//! charm, and continues by itself.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bg_abuse::Attempt;
use bg_test_support::{RawAnswer, RawServer, Running, TestHost};
use serde_json::{Value, json};

use crate::common::{SOON, cell, deploy, fixture, host, register, serve, wait_for_success};

/// Starts it again at the same address. Another process may have that port for a moment.
fn serve_again(host: &TestHost, address: SocketAddr) -> Running {
    for _ in 0..20 {
        let mut server = host.spawn(["serve", "--listen", &address.to_string()]).unwrap();
        if server.wait_for_line(|line| line.contains("listening on http://"), SOON).is_ok() {
            return server;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("the port of {address} stays in use");
}

/// A proxy in front of a server, which can also answer in its place.
struct Proxy {
    server: RawServer,
    mode: Arc<(Mutex<Mode>, Condvar)>,
}

#[derive(Clone)]
enum Mode {
    Forward,
    Answer(RawAnswer),
    /// Nothing, until the mode changes.
    Hang,
}

impl Proxy {
    fn start(to: SocketAddr) -> Self {
        let mode = Arc::new((Mutex::new(Mode::Forward), Condvar::new()));
        let current = mode.clone();
        let server = RawServer::start(move |_| {
            let (mode, changed) = &*current;
            let mut mode = mode.lock().unwrap();
            loop {
                match &*mode {
                    Mode::Forward => return RawAnswer::Forward(to),
                    Mode::Answer(answer) => return answer.clone(),
                    Mode::Hang => mode = changed.wait(mode).unwrap(),
                }
            }
        });
        Self { server: server.unwrap(), mode }
    }

    fn set(&self, mode: Mode) {
        *self.mode.0.lock().unwrap() = mode;
        self.mode.1.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Releases hanging connections.
        self.set(Mode::Answer(RawAnswer::Close));
    }
}

/// A server with registered charms, and a service that polls them through a proxy.
struct World {
    charms: Vec<String>,
    server_host: TestHost,
    client: TestHost,
    _server: Running,
    proxy: Proxy,
}

impl World {
    fn new() -> Self {
        let server_host = host();
        let (server, address) = serve(&server_host, "127.0.0.1:0", &[]);
        let charms = charms(&server_host, 2);
        let proxy = Proxy::start(address);
        let client = host().env("API_URL", format!("http://{}", proxy.server.address()));
        Self { charms, server_host, client, _server: server, proxy }
    }

    fn run(&self) -> Running {
        let mut service = self.client.spawn(["run", "--interval", "200ms", "--failures", "1"]).unwrap();
        wait_for_all(&mut service, &self.charms);
        service
    }

    /// Stops the service; nothing that happened counts against a charm.
    fn assert_nobody_is_blamed(&self, service: Running) {
        let ended = service.terminate().unwrap().success().unwrap();
        assert_nobody_is_blamed(&self.server_host, &self.charms, &ended.stderr);
    }
}

/// Waits until each of these was polled successfully.
fn wait_for_all(service: &mut Running, charms: &[String]) {
    for charm in charms {
        wait_for_success(service, charm);
    }
}

/// Registered charms, each in its own space.
fn charms(host: &TestHost, count: usize) -> Vec<String> {
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let one = |number| {
        let charm = deploy(host, &fixture("twins.tsx"), &format!("space-{number}"), &json!({}));
        register(host, &charm, "my-test");
        charm
    };
    (0..count).map(one).collect()
}

fn assert_nobody_is_blamed(host: &TestHost, charms: &[String], log: &str) {
    for line in log.lines().filter(|line| line.contains(" failed: ")) {
        assert!(line.contains("outcome=Unavailable failures=0"), "{line}");
    }
    assert!(!log.contains("is disabled") && !log.contains("panicked"), "{log}");
    let printed = |args: &[&str]| -> Vec<Value> {
        serde_json::from_str(&host.command(args).unwrap().success().unwrap().stdout).unwrap()
    };
    let listed = printed(&["list", "--json"]);
    assert_eq!(listed.len(), charms.len());
    for entry in listed {
        assert_eq!((&entry["disabledAt"], &entry["status"]), (&json!(0), &json!("Success")), "{entry}");
    }
    for charm in charms {
        let runs = printed(&["runs", charm, "--json", "--limit", "100"]);
        // Answers about a single charm may be in its history; they count against no charm.
        let harmless = |run: &Value| ["Success", "Unavailable"].iter().any(|kind| run["outcome"]["kind"] == *kind);
        assert!(runs.iter().all(harmless), "{runs:?}");
        assert_eq!(cell(host, charm, "first"), cell(host, charm, "second"), "{charm}");
    }
}

#[test]
fn after_any_answer_of_the_runtime_polling_pauses_and_continues_once_it_recovers() {
    let world = World::new();
    let mut service = world.run();
    let page = |status: &str| RawAnswer::new(status, "Content-Type: text/html\r\n", "<!doctype html><p>Hello");
    let redirect = RawAnswer::new("302 Found", "Location: http://127.0.0.1:9/login\r\n", "");
    for (what, answer, said) in [
        ("closed connections", RawAnswer::Close, "does not answer"),
        ("garbage", RawAnswer::Whole(b"\x16\x03\x01\0\x02\xff\x00".to_vec()), "does not answer"),
        ("an HTML page", page("200 OK"), "answers unlike a charm runtime"),
        ("401", page("401 Unauthorized"), "refuses requests (401 Unauthorized)"),
        ("403", page("403 Forbidden"), "refuses requests (403 Forbidden)"),
        ("429", page("429 Too Many Requests"), "asks for fewer requests"),
        ("500", page("500 Internal Server Error"), "fails (500 Internal Server Error)"),
        ("503", page("503 Service Unavailable"), "fails (503 Service Unavailable)"),
        ("a redirect", redirect, "it redirects to"),
    ] {
        let attempt = Attempt::begin("runtime", format!("the service: {what}")).of_process(service.pid());
        world.proxy.set(Mode::Answer(answer));
        let paused = service.wait_for_line(|line| line.contains("polling pauses until it answers"), SOON).unwrap();
        assert!(paused.contains(said) && paused.contains("no failures are counted"), "{what}: {paused}");
        world.proxy.set(Mode::Forward);
        service.wait_for_line(|line| line.contains("answers again after"), SOON).unwrap();
        wait_for_all(&mut service, &world.charms);
        attempt.ended("Unavailable: polling pauses, and goes on by itself");
    }
    world.assert_nobody_is_blamed(service);
}

#[test]
fn a_runtime_that_asks_for_a_pause_is_polled_again_after_it() {
    let world = World::new();
    let mut service = world.run();
    let attempt = Attempt::begin("runtime", "the service: 429 with Retry-After").of_process(service.pid());
    world.proxy.set(Mode::Answer(RawAnswer::new("429 Too Many Requests", "Retry-After: 3\r\n", "")));
    let paused = service.wait_for_line(|line| line.contains("polling pauses until it answers"), SOON).unwrap();
    assert!(paused.contains("fewer requests") || paused.contains("asked for no requests for"), "{paused}");
    // It has recovered at once, but asked for a longer pause.
    world.proxy.set(Mode::Forward);
    service.wait_for_line(|line| line.contains("answers again after"), SOON).unwrap();
    wait_for_all(&mut service, &world.charms);
    attempt.ended("Unavailable: polling goes on after the rest");
    world.assert_nobody_is_blamed(service);
}

#[test]
fn a_slow_runtime_is_waited_for() {
    let world = World::new();
    let mut service = world.run();
    let attempt = Attempt::begin("runtime", "the service: silence for a while").of_process(service.pid());
    world.proxy.set(Mode::Hang);
    // Answers in transit still arrive; then there are none for a while.
    assert!((0..100).any(|_| service.next_line(Duration::from_secs(2)).is_none()));
    world.proxy.set(Mode::Forward);
    wait_for_all(&mut service, &world.charms);
    attempt.ended("waited for");
    world.assert_nobody_is_blamed(service);
}

#[test]
fn an_endless_answer_takes_limited_memory() {
    let world = World::new();
    let mut service = world.run();
    let before = service.peak_kib().unwrap();
    let attempt = Attempt::begin("runtime", "the service: an endless answer").of_process(service.pid());
    let start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"registrations\":[".to_vec();
    let endless = RawAnswer::Endless { start, again: b"[[[[[[[[".repeat(8 * 1024), every: Duration::ZERO };
    world.proxy.set(Mode::Answer(endless));
    let paused = service.wait_for_line(|line| line.contains("polling pauses until it answers"), SOON).unwrap();
    assert!(paused.contains("longer than"), "{paused}");
    world.proxy.set(Mode::Forward);
    service.wait_for_line(|line| line.contains("answers again after"), SOON).unwrap();
    wait_for_all(&mut service, &world.charms);
    let more = (service.peak_kib().unwrap() - before) / 1024;
    // A list of registrations may have 128 MiB.
    assert!(more < 256, "{more} MiB more than before");
    attempt.ended("Unavailable: read up to its limit");
    world.assert_nobody_is_blamed(service);
}

#[test]
fn a_runtime_that_is_killed_in_the_middle_of_polls_and_started_again_is_polled_again() {
    let server_host = host();
    let (mut server, address) = serve(&server_host, "127.0.0.1:0", &[]);
    let charms = charms(&server_host, 4);
    let client = host().env("API_URL", format!("http://{address}"));
    // A poll takes at least 40 ms: of four, spread over an interval of 100 ms, one is nearly always in progress.
    let mut service = client.spawn(["run", "--interval", "100ms", "--failures", "1"]).unwrap();
    for (what, kill) in [("killed", true), ("ended", false)] {
        wait_for_all(&mut service, &charms);
        let attempt = Attempt::begin("runtime", format!("the service: the runtime is {what}, and started again"));
        let attempt = attempt.of_process(service.pid());
        if kill {
            server.kill().unwrap();
        } else {
            server.terminate().unwrap().success().unwrap();
        }
        let paused = service.wait_for_line(|line| line.contains("polling pauses until it answers"), SOON).unwrap();
        assert!(paused.contains("does not answer: "), "{paused}");
        server = serve_again(&server_host, address);
        service.wait_for_line(|line| line.contains("answers again after"), SOON).unwrap();
        wait_for_all(&mut service, &charms);
        attempt.ended("Unavailable: polling pauses, and goes on by itself");
    }
    let ended = service.terminate().unwrap().success().unwrap();
    assert_nobody_is_blamed(&server_host, &charms, &ended.stderr);
    server.terminate().unwrap().success().unwrap();
}
