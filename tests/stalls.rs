//! A service that stood still: its charms are not polled together afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use bg_poller::UnixMillis;
use bg_test_support::{Running, TestHost};
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register};

const CHARMS: usize = 24;
const INTERVAL: Duration = Duration::from_secs(3);
/// The polls that a server that stands still holds up: as many as may be under way.
const STUCK: usize = 16;
/// After a stall, polls are watched for this number of intervals.
const INTERVALS: usize = 4;

/// Charms, each in its own space, registered.
fn registered(host: &TestHost) -> Vec<String> {
    let charm = |number| {
        let charm = deploy(host, &fixture("counter.tsx"), &format!("space-{number}"), &json!({}));
        register(host, &charm, "mine");
        charm
    };
    (0..CHARMS).map(charm).collect()
}

fn wait_for_polls(service: &mut Running, count: usize) {
    for _ in 0..count {
        service.wait_for_line(|line| line.contains("Successfully executed charm"), SOON).unwrap();
    }
}

/// When their polls started, since this time, in order.
fn starts_since(host: &TestHost, charms: &[String], since: UnixMillis) -> Vec<u64> {
    let mut starts: Vec<u64> = charms
        .iter()
        .flat_map(|charm| {
            let runs = host.command(["runs", charm, "--json"]).unwrap().success().unwrap().stdout;
            let runs: Vec<Value> = serde_json::from_str(&runs).unwrap();
            runs.into_iter().map(|run| run["startedAt"].as_u64().unwrap())
        })
        .filter(|at| *at >= since.0)
        .collect();
    starts.sort_unstable();
    starts
}

/// How many of them started in each second since.
fn in_each_second(starts: &[u64], since: UnixMillis) -> BTreeMap<u64, usize> {
    starts.iter().fold(BTreeMap::new(), |mut seconds, at| {
        *seconds.entry((at - since.0) / 1_000).or_default() += 1;
        seconds
    })
}

#[test]
fn a_service_that_was_stopped_spreads_its_polls_over_the_interval_when_it_goes_on() {
    let host = host();
    let charms = registered(&host);
    let mut service = host.spawn(["run", "--interval", "3s"]).unwrap();
    wait_for_polls(&mut service, CHARMS);
    service.stop().unwrap();
    // Longer than an interval: all are due by then.
    std::thread::sleep(INTERVAL * 2);
    let goes_on = UnixMillis::now();
    service.go_on().unwrap();
    service.wait_for_line(|line| line.contains("The poll loop stood still for"), SOON).unwrap();
    wait_for_polls(&mut service, CHARMS * 4);
    service.terminate().unwrap().success().unwrap();

    let starts = starts_since(&host, &charms, goes_on);
    println!("polls in each second after the stall: {:?}", in_each_second(&starts, goes_on));
    // None is due before its turn, however slow the machine is: all of them once take almost an interval, each time.
    for (round, starts) in starts.chunks_exact(CHARMS).take(3).enumerate() {
        let took = Duration::from_millis(starts[CHARMS - 1] - starts[0]);
        assert!(took > INTERVAL / 2, "round {round}: {CHARMS} polls within {took:?}");
    }
}

/// The server stands still, and with it all polls that are under way: they end together, long after they were due
/// again.
#[test]
fn polls_that_were_stuck_in_a_server_that_stood_still_do_not_stay_together() {
    let host = host();
    let charms = registered(&host);
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    let line = server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let url = format!("http://{}", line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap());
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let mut service = host.spawn(["run", "--interval", "3s", "--api-url", &url]).unwrap();
    wait_for_polls(&mut service, CHARMS);
    server.stop().unwrap();
    std::thread::sleep(INTERVAL * 2);
    let goes_on = UnixMillis::now();
    server.go_on().unwrap();
    // 16 polls were stuck, one for each place. If they stayed together, 16 would start at once in every interval. A
    // slow machine may bring some together once.
    wait_for_polls(&mut service, CHARMS * (INTERVALS + 1));
    let starts = starts_since(&host, &charms, goes_on);
    println!("polls in each second after the stall: {:?}", in_each_second(&starts, goes_on));
    let mut starts = &starts[..CHARMS * INTERVALS];
    let mut bunches = Vec::new();
    while let Some((first, last)) = starts.first().zip(starts.get(STUCK - 1)) {
        let is_bunch = Duration::from_millis(last - first) <= INTERVAL / 4;
        if is_bunch {
            bunches.push(first - goes_on.0);
        }
        starts = &starts[if is_bunch { STUCK } else { 1 }..];
    }
    let text = format!("{STUCK} polls together, milliseconds after the stall, in {INTERVALS} intervals: {bunches:?}");
    assert!(bunches.len() <= 1, "{text}");
    service.terminate().unwrap().success().unwrap();
    server.terminate().unwrap().success().unwrap();
}
