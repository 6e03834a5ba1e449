//! The service or the server dies at any moment (`kill -9`), and nothing is lost or half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bg_abuse::Attempt;
use bg_charm_api::{Actor, LogQuery, Spaces};
use bg_charm_client::RemoteRuntime;
use bg_charm_runtime::{LocalHandle, LocalOptions, LocalRuntime};
use bg_identity::Identity;
use bg_poller::{CharmRef, CharmRuntime, RuntimeError};
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register};

/// How often it is killed.
const KILLS: u64 = 20;

/// How many charms are polled meanwhile.
const CHARMS: u64 = 4;

/// Reproducible pseudo-random numbers (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

#[test]
fn killed_at_twenty_random_moments_nothing_registered_is_lost_and_nothing_is_half_written() {
    let host = host();
    let charms: Vec<String> = (0..CHARMS)
        .map(|n| {
            let charm = deploy(&host, &fixture("twins.tsx"), &format!("space-{n}"), &json!({}));
            register(&host, &charm, "my-test");
            charm
        })
        .collect();

    let seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let attempt = Attempt::begin("kill", "20 times at random moments, 4 charms polled every 100 ms");
    let mut before = vec![0; charms.len()];
    let mut during = 0;
    for kill in 0..KILLS {
        let mut service = host.spawn(["run", "--interval", "100ms"]).unwrap();
        // Polling resumes: at least one poll succeeds before the kill.
        service.wait_for_line(|line| line.contains("Successfully executed charm"), SOON).unwrap();
        std::thread::sleep(Duration::from_millis(random.below(150)));
        service.kill().unwrap();

        let listed = host.command(["list", "--json"]).unwrap().success().unwrap().stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), charms.len(), "kill {kill}: {listed}");
        for (charm, before) in charms.iter().zip(&mut before) {
            let shown = host.command(["charm", "show", charm]).unwrap().success().unwrap().stdout;
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let (first, second) = (shown["cells"]["first"].as_u64(), shown["cells"]["second"].as_u64());
            assert_eq!(first, second, "kill {kill}: a half-written state of {charm}");
            let now = first.unwrap();
            assert!(now >= *before, "kill {kill}: {charm} went back from {before} to {now}");
            during += now - *before;
            *before = now;
        }
    }
    assert!(during >= KILLS, "polls in between: {during}");
    assert!(before.iter().all(|count| *count > 0), "every charm was polled: {before:?}");
    attempt.ended(format!("nothing lost, nothing half-written in {during} polls"));
}

/// A charm whose writes, runs and log can be compared: each success increments both cells, and logs the number.
const COUNTING: &str = r#"import { Cell, Default, handler, pattern } from "commontools";
interface State { first: Cell<number>; second: Cell<number> }
const poll = handler<unknown, State>((_event, { first, second }) => {
  first.set(first.get() + 1);
  second.set(second.get() + 1);
  console.log(`${first.get()}`);
});
export default pattern<{ first: Default<number, 0>; second: Default<number, 0> }>(
  ({ first, second }) => ({ first, second, bgUpdater: poll({ first, second }) }));
"#;

/// How many clients trigger each charm concurrently.
const CLIENTS: usize = 2;

/// Triggers a charm as fast as possible until the server is gone, and counts the acknowledged triggers.
async fn trigger_until_it_is_gone(url: &str, charm: &CharmRef, acknowledged: &AtomicU64) {
    let runtime = RemoteRuntime::new(url.parse().unwrap(), Identity::from_passphrase("implicit trust"));
    loop {
        match runtime.trigger(charm, "bgUpdater", &json!({})).await {
            Ok(outcome) => {
                assert!(outcome.is_success(), "{outcome}");
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err(RuntimeError::Unavailable { .. }) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks that everything stored about a charm agrees, at any point of the work, and returns its count.
async fn count_that_all_agree_on(operator: &LocalHandle, charm: &CharmRef) -> u64 {
    let cells = operator.show(charm).await.unwrap().cells;
    let count = cells["first"].as_u64().unwrap();
    assert_eq!(cells["second"], json!(count), "half-written");
    let runs = operator.runs(charm, 1_000).await.unwrap();
    assert!(runs.iter().all(|run| run.outcome.is_success()), "{runs:?}");
    // A hundred runs and a thousand lines are kept; beyond that, the newest line has the count.
    assert_eq!(runs.len() as u64, count.min(100), "a write without its outcome, or an outcome without its write");
    let log = operator.logs(charm, LogQuery { after: None, limit: 1_000, wait: false }).await.unwrap();
    let numbers: Vec<u64> = log.iter().map(|entry| entry.line.text.parse().unwrap()).collect();
    let expected: Vec<u64> = (count.saturating_sub(1_000) + 1..=count).collect();
    assert_eq!(numbers, expected, "one line for each write, in their order");
    count
}

#[test]
fn killed_under_load_the_server_has_kept_everything_acknowledged_and_no_write_without_its_outcome() {
    let host = host();
    let source = host.write("counting.tsx", COUNTING).unwrap();
    let charms: Vec<CharmRef> = (0..CHARMS)
        .map(|n| deploy(&host, source.to_str().unwrap(), &format!("space-{n}"), &json!({})).parse().unwrap())
        .collect();
    let seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let attempt = Attempt::begin("kill", "the server, 20 times at random moments, 8 clients that trigger 4 charms");
    let acknowledged: Vec<AtomicU64> = charms.iter().map(|_| AtomicU64::new(0)).collect();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut unacknowledged = 0;
    for kill in 0..KILLS {
        let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
        let line = server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
        let url = format!("http://{}", line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap());
        let before: u64 = acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).sum();
        let moment = Duration::from_millis(random.below(400));
        std::thread::scope(|scope| {
            for (charm, acknowledged) in charms.iter().zip(&acknowledged) {
                for _ in 0..CLIENTS {
                    scope.spawn(|| {
                        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        tokio.block_on(trigger_until_it_is_gone(&url, charm, acknowledged));
                    });
                }
            }
            // Load is running: something is acknowledged before the kill.
            let until = Instant::now() + SOON;
            while acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>() == before {
                assert!(Instant::now() < until, "kill {kill}: nothing is acknowledged");
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(moment);
            server.kill().unwrap();
        });
        let runtime = LocalRuntime::open(LocalOptions::new(host.data_dir().join("runtime.db"))).unwrap();
        let operator = Arc::new(runtime).as_actor(Actor::Operator);
        for (charm, acknowledged) in charms.iter().zip(&acknowledged) {
            let count = tokio.block_on(count_that_all_agree_on(&operator, charm));
            let known = acknowledged.load(Ordering::SeqCst);
            assert!(count >= known, "kill {kill}: {known} successes of {charm} were acknowledged, {count} are kept");
            // Kept but not acknowledged when the server was killed: from here on it counts as known.
            unacknowledged += count - known;
            acknowledged.store(count, Ordering::SeqCst);
        }
    }
    let all: u64 = acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).sum();
    assert!(acknowledged.iter().all(|count| count.load(Ordering::SeqCst) > 0), "every charm was triggered");
    attempt.ended(format!("{all} successes, {unacknowledged} of them kept and not yet acknowledged: nothing lost"));
}
