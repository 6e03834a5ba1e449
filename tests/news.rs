//! No news is lost: the service is killed and its component replaced at random moments while polls fail, and in the end
//! every charm has the newest change that was announced to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bg_abuse::Attempt;
use bg_test_support::{Random, RawAnswer, RawRequest, RawServer, TestHost};
use serde_json::{Value, json};

use crate::common::{SOON, cell, component, deploy, host, register};

const CHARMS: usize = 6;

/// Fetches the newest version of the topic that it follows.
const READER: &str = r#"import { Cell, Default, handler, pattern } from "commontools";
interface State { api: string; topic: string; seen: Cell<number> }
const poll = handler<unknown, State>(async (_event, { api, topic, seen }) => {
  const response = await fetch(`${api}/value/${topic}`);
  if (!response.ok) {
    throw new Error(`the feed answers with status ${response.status}`);
  }
  seen.set((await response.json()).version);
});
export default pattern<{ api: Default<string, "">; topic: Default<string, "">; seen: Default<number, 0> }>(
  ({ api, topic, seen }) => ({ api, topic, seen, bgUpdater: poll({ api, topic, seen }) }));
"#;

/// The service behind the charms.
struct Feeds {
    versions: HashMap<String, u64>,
    random: Random,
    /// Whether it sometimes fails.
    is_rough: bool,
    changes: u64,
    not_modified: u64,
    failures: u64,
}

impl Feeds {
    fn answer(&mut self, request: &RawRequest) -> RawAnswer {
        let (path, topic) = request.target.rsplit_once('/').unwrap_or_default();
        let version = self.versions.get(topic).copied().unwrap_or_default();
        let fails = self.is_rough && self.random.chance(if path == "/value" { 40 } else { 10 });
        let etag = format!("\"{version}\"");
        let knows =
            String::from_utf8_lossy(&request.bytes).to_lowercase().contains(&format!("if-none-match: {etag}\r\n"));
        if fails {
            self.failures += 1;
            RawAnswer::new("500 Internal Server Error", "", "not now")
        } else if knows {
            self.not_modified += 1;
            RawAnswer::new("304 Not Modified", "", "")
        } else {
            RawAnswer::new("200 OK", &format!("ETag: {etag}\r\n"), json!({"version": version}).to_string())
        }
    }

    /// Announces a change in one of the feeds.
    fn change(&mut self) {
        let topic = format!("topic-{}", self.random.below(CHARMS));
        *self.versions.entry(topic).or_default() += 1;
        self.changes += 1;
    }
}

/// `NEWS_KILLS` sets the number of kills.
#[test]
fn every_announced_change_reaches_its_charm_despite_kills_and_failures() {
    let kills: usize = std::env::var("NEWS_KILLS").map_or(8, |kills| kills.parse().unwrap());
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let random = Random::new(seed);
    let feeds = Arc::new(Mutex::new(Feeds {
        versions: HashMap::new(),
        random,
        is_rough: true,
        changes: 0,
        not_modified: 0,
        failures: 0,
    }));
    let answers = feeds.clone();
    let server = RawServer::start(move |request| answers.lock().unwrap().answer(request)).unwrap();
    let base = format!("http://{}", server.address());
    let host = host();
    let source = host.write("reader.tsx", READER).unwrap();
    let charms: Vec<String> = (0..CHARMS)
        .map(|number| {
            let inputs = json!({"api": base, "topic": format!("topic-{number}")});
            let charm = deploy(&host, source.to_str().unwrap(), &format!("space-{number}"), &inputs);
            register(&host, &charm, "news");
            charm
        })
        .collect();
    // A copy that can be replaced.
    let news = host.dir().join("news.wasm");
    std::fs::copy(component("news"), &news).unwrap();
    let set = format!("news.api-base-url={base}");
    let allowed = format!("news={base}/feed/");
    let args = [
        "run",
        "--component",
        news.to_str().unwrap(),
        "--set",
        &set,
        "--allow-http",
        &allowed,
        "--allow-private",
        &base,
        "--allow-charm-http",
        &base,
        "--interval",
        "200ms",
        "--failures",
        "1000000",
    ];

    let attempt =
        Attempt::begin("kill", "the service, at random moments, while polls fail and changes are announced once");
    let mut random = Random::new(seed + 1);
    let (mut replaced, mut tries) = (0, 0);
    for _ in 0..kills {
        let mut service = host.spawn(args).unwrap();
        service.wait_for_line(|line| line.contains("enabled charms, each every"), SOON).unwrap();
        for _ in 0..random.below(12) {
            feeds.lock().unwrap().change();
            std::thread::sleep(Duration::from_millis(random.below(150) as u64));
            if random.chance(10) {
                replaced += 1;
                let new = news.with_extension("new");
                std::fs::copy(component("news"), &new).unwrap();
                std::fs::rename(new, &news).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(random.below(400) as u64));
        service.kill().unwrap();
        // Some changes happen while it is down.
        feeds.lock().unwrap().change();
    }

    feeds.lock().unwrap().is_rough = false;
    let _service = host.spawn(args).unwrap();
    let until = Instant::now() + SOON * 4;
    loop {
        tries += 1;
        let found: Vec<Value> = charms.iter().map(|charm| cell(&host, charm, "seen")).collect();
        let newest: Vec<Value> = {
            let feeds = feeds.lock().unwrap();
            let version = |number| feeds.versions.get(&format!("topic-{number}")).copied().unwrap_or_default();
            (0..CHARMS).map(|number| json!(version(number))).collect()
        };
        if found == newest {
            break;
        }
        assert!(Instant::now() < until, "seed {seed}: the charms have {found:?} of {newest:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let Feeds { changes, not_modified, failures, .. } = &*feeds.lock().unwrap();
    println!(
        "{changes} changes, all seen after {tries} looks; {kills} kills, {replaced} new components, {failures} failures, {not_modified} times 304"
    );
    assert!(*failures > 0 && *not_modified > 0);
    attempt.ended(format!("every change is in its charm's cells: {changes} changes, {kills} kills"));
}

/// A list of the service, and the charms that it polls.
fn round(host: &TestHost, base: &str, charms: &[String]) -> (Vec<bool>, String) {
    let (set, allowed) = (format!("news.api-base-url={base}"), format!("news={base}/feed/"));
    let args = ["run", "--once", "--component", &component("news"), "--set", &set, "--allow-http", &allowed];
    let args = [&args[..], &["--allow-private", base, "--allow-charm-http", base]].concat();
    let run = host.command(args).unwrap();
    let polled = |charm: &String| run.stderr.contains(&format!("executed charm {charm}"));
    (charms.iter().map(polled).collect(), run.to_string())
}

#[test]
fn a_path_that_answers_503_silences_its_own_charm_and_no_other_on_that_server() {
    let version = Arc::new(Mutex::new(1));
    let now = version.clone();
    let server = RawServer::start(move |request| {
        let version = now.lock().unwrap();
        if request.target.contains("evil") {
            return RawAnswer::new("503 Service Unavailable", "Retry-After: 3600\r\n", "");
        }
        RawAnswer::new("200 OK", &format!("ETag: \"{version}\"\r\n"), json!({"version": *version}).to_string())
    })
    .unwrap();
    let base = format!("http://{}", server.address());
    let host = host();
    let source = host.write("reader.tsx", READER).unwrap();
    let charms: Vec<String> = ["evil", "evil-too", "good"]
        .iter()
        .map(|topic| {
            let charm = deploy(&host, source.to_str().unwrap(), topic, &json!({"api": base, "topic": topic}));
            register(&host, &charm, "news");
            charm
        })
        .collect();
    for expected in 1..=3 {
        *version.lock().unwrap() = expected;
        let (polled, run) = round(&host, &base, &charms);
        assert_eq!(polled, [false, false, true], "{run}");
        assert_eq!(cell(&host, &charms[2], "seen"), json!(expected), "{run}");
    }
    drop(server);
}
