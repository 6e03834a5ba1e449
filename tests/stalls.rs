//! A service that stood still: its charms are not polled together afterwards.

use std::time::Duration;

use bg_poller::UnixMillis;
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register};

const CHARMS: usize = 24;
const INTERVAL: Duration = Duration::from_secs(3);

#[test]
fn a_service_that_was_stopped_spreads_its_polls_over_the_interval_when_it_goes_on() {
    let host = host();
    let charms: Vec<String> = (0..CHARMS)
        .map(|number| {
            let charm = deploy(&host, &fixture("counter.tsx"), &format!("space-{number}"), &json!({}));
            register(&host, &charm, "mine");
            charm
        })
        .collect();
    let mut service = host.spawn(["run", "--interval", "3s"]).unwrap();
    let wait_for_polls = |service: &mut bg_test_support::Running, count: usize| {
        for _ in 0..count {
            service.wait_for_line(|line| line.contains("Successfully executed charm"), SOON).unwrap();
        }
    };
    wait_for_polls(&mut service, CHARMS);
    service.stop().unwrap();
    // Longer than an interval: all are due by then.
    std::thread::sleep(INTERVAL * 2);
    let goes_on = UnixMillis::now();
    service.go_on().unwrap();
    service.wait_for_line(|line| line.contains("The poll loop stood still for"), SOON).unwrap();
    wait_for_polls(&mut service, CHARMS * 4);
    service.terminate().unwrap().success().unwrap();

    let mut starts: Vec<u64> = charms
        .iter()
        .flat_map(|charm| {
            let runs = host.command(["runs", charm, "--json"]).unwrap().success().unwrap().stdout;
            let runs: Vec<Value> = serde_json::from_str(&runs).unwrap();
            runs.into_iter().map(|run| run["startedAt"].as_u64().unwrap())
        })
        .filter(|at| *at >= goes_on.0)
        .collect();
    starts.sort_unstable();
    let mut seconds = std::collections::BTreeMap::new();
    for at in &starts {
        *seconds.entry((at - goes_on.0) / 1_000).or_insert(0) += 1;
    }
    println!("polls in each second after the stall: {seconds:?}");
    // None is due before its turn, however slow the machine is: all of them once take almost an interval, each time.
    for (round, starts) in starts.chunks_exact(CHARMS).take(3).enumerate() {
        let took = Duration::from_millis(starts[CHARMS - 1] - starts[0]);
        assert!(took > INTERVAL / 2, "round {round}: {CHARMS} polls within {took:?}; {seconds:?}");
    }
}
