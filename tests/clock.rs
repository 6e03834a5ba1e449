//! A wall clock that steps back and forward by a day.

use bg_abuse::Attempt;
use bg_test_support::{Running, SteppedClock, TestHost, available};
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register, wait_for_success};

/// Seconds.
const DAY: i64 = 24 * 60 * 60;

const INTERVAL_MS: u64 = 200;

/// A host whose commands use a simulated clock; `None` without a C compiler.
fn host_with_a_clock() -> Option<(SteppedClock, TestHost)> {
    let host = host();
    let clock = available(SteppedClock::new(host.dir()))?;
    let host = clock.env().into_iter().fold(host, |host, (name, value)| host.env(name, value));
    Some((clock, host))
}

fn json_of(host: &TestHost, args: &[&str]) -> Value {
    let printed = host.command(args).unwrap().success().unwrap();
    serde_json::from_str(&printed.stdout).unwrap()
}

/// How many days a time is from now, by the correct clock.
fn days_from_now(time: &Value) -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let offset = time.as_i64().unwrap() - i64::try_from(now).unwrap();
    (offset + DAY * 500).div_euclid(DAY * 1000)
}

/// The start times of the newest runs of a charm, newest first.
fn starts(host: &TestHost, charm: &str) -> Vec<Value> {
    let runs = json_of(host, &["runs", charm, "--json", "--limit", "100"]);
    runs.as_array().unwrap().iter().map(|run| run["startedAt"].clone()).collect()
}

/// Waits for `count` further successes of the first charm, and returns how many the second had meanwhile.
fn successes(service: &mut Running, count: usize, of: &str, beside: &str) -> usize {
    let (mut awaited, mut meanwhile) = (0, 0);
    while awaited < count {
        let line = service.wait_for_line(|line| line.contains("Successfully executed charm"), SOON).unwrap();
        awaited += usize::from(line.contains(of));
        meanwhile += usize::from(line.contains(beside));
    }
    meanwhile
}

#[test]
fn a_running_service_keeps_its_intervals_when_the_clock_jumps() {
    let Some((clock, host)) = host_with_a_clock() else { return };
    let [one, two, faulty] = &["counter.tsx", "twins.tsx", "faulty.tsx"].map(|source| {
        let charm = deploy(&host, &fixture(source), source, &json!({}));
        register(&host, &charm, "my-test");
        charm
    });
    let interval = format!("{INTERVAL_MS}ms");
    let mut service = host.spawn(["run", "--interval", &interval, "--failures", "1"]).unwrap();
    service.wait_for_line(|line| line.contains("is disabled after 1 failed polls"), SOON).unwrap();
    wait_for_success(&mut service, one);
    wait_for_success(&mut service, two);
    // The clock is right, a day ahead, right, a day behind, and right again.
    let mut expected = vec![0];
    for (days, what) in [
        (1, "forward by a day"),
        (0, "back by a day"),
        (-1, "a day before the right time"),
        (0, "forward to the right time"),
    ] {
        let attempt = Attempt::begin("clock", format!("a running service whose clock steps {what}"));
        let attempt = attempt.of_process(service.pid());
        clock.set(days * DAY).unwrap();
        // By the wall clock, 432,000 polls would be due now, or none for a day.
        let beside = successes(&mut service, 10, one, two);
        assert!((5..=20).contains(&beside), "10 polls of one charm, {beside} of the other, after a step {what}");
        expected.insert(0, days);
        attempt.ended("the rhythm stays");
    }
    service.terminate().unwrap().success().unwrap();

    let starts = starts(&host, one);
    let mut days: Vec<i64> = starts.iter().map(days_from_now).collect();
    // At least an interval passes between two starts, but the recorded start of a poll is a little later: of
    // consecutive polls, the first may be recorded as late as the second starts.
    for same in starts.chunk_by(|a, b| days_from_now(a) == days_from_now(b)) {
        let [first, last] = [same.last(), same.first()].map(|start| start.unwrap().as_u64().unwrap());
        let at_least = INTERVAL_MS * u64::try_from(same.len().saturating_sub(2)).unwrap();
        assert!(last + 5 >= first + at_least, "{} polls in {} ms: {starts:?}", same.len(), last - first);
    }
    days.dedup();
    assert_eq!(days, expected, "newest first: {starts:?}");
    let listed = json_of(&host, &["list", "--json"]);
    let of = |charm: &str| {
        listed.as_array().unwrap().iter().find(|entry| charm.contains(entry["charmId"].as_str().unwrap()))
    };
    assert_eq!(days_from_now(&of(one).unwrap()["lastRun"]), 0, "{listed}");
    assert!(of(faulty).unwrap()["disabledAt"].as_u64().unwrap() > 0, "{listed}");
    assert_eq!(self::starts(&host, faulty).len(), 1);
}

#[test]
fn a_service_started_after_a_step_polls_what_is_due() {
    let Some((clock, host)) = host_with_a_clock() else { return };
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "my-test");
    host.command(["run", "--once", "--interval", "1h"]).unwrap().success().unwrap();
    for (days, interval, what) in [
        // An hour has passed since.
        (1, "1h", "a service that starts after its clock was set forward by a day"),
        // By the recorded time, the next poll is in 25 hours; but it is never later than an interval from now.
        (0, "2s", "a service that starts after its clock was set back by a day"),
    ] {
        clock.set(days * DAY).unwrap();
        let mut service = host.spawn(["run", "--interval", interval]).unwrap();
        let attempt = Attempt::begin("clock", what).of_process(service.pid());
        wait_for_success(&mut service, &charm);
        attempt.ended("what is due is polled");
        service.terminate().unwrap().success().unwrap();
    }
}

/// Waits for `run` to pause with this reason, because its requests are not accepted; corrects the clock, and waits
/// until it continues.
fn refused_until(corrected: impl FnOnce(), service: &mut Running, charm: &str, reason: &str) {
    let paused = service.wait_for_line(|line| line.contains("polling pauses until it answers"), SOON).unwrap();
    for part in ["does not accept the signature", reason, "the clocks of both machines", "no failures are counted"] {
        assert!(paused.contains(part), "{part}: {paused}");
    }
    corrected();
    service.wait_for_line(|line| line.contains("answers again"), SOON).unwrap();
    wait_for_success(service, charm);
}

#[test]
fn signatures_fail_cleanly_while_two_clocks_differ_and_work_again_once_they_are_right() {
    let Some((server_clock, server_host)) = host_with_a_clock() else { return };
    let Some((client_clock, client)) = host_with_a_clock() else { return };
    let mut server = server_host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    let line = server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let url = format!("http://{}", line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap());
    server_host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let charm = deploy(&server_host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&server_host, &charm, "my-test");
    let client = client.env("API_URL", url);
    let mut service = client.spawn(["run", "--interval", "200ms"]).unwrap();
    wait_for_success(&mut service, &charm);
    for (clock, days, whose, reason) in [
        (&client_clock, -1, "the clock of `run` is a day behind", "the signature has expired"),
        (&client_clock, 1, "the clock of `run` is a day ahead", "made in the future"),
        (&server_clock, -1, "the clock of `serve` is a day behind", "made in the future"),
        (&server_clock, 1, "the clock of `serve` is a day ahead", "the signature has expired"),
    ] {
        let attempt = Attempt::begin("clock", whose).of_process(service.pid());
        clock.set(days * DAY).unwrap();
        // A command reports it, too.
        let listed = client.command(["list"]).unwrap().failure().unwrap();
        assert!(listed.stderr.contains(reason) && listed.stderr.contains("clocks of both machines"), "{listed}");
        refused_until(|| clock.set(0).unwrap(), &mut service, &charm, reason);
        attempt.ended("the signature is refused, counts against nobody; goes on once both are right");
    }
    let ended = service.terminate().unwrap().success().unwrap();
    let failed = ended.stderr.lines().filter(|line| line.contains(" failed: "));
    failed.for_each(|line| assert!(line.contains("outcome=Unavailable failures=0"), "{line}"));
    let listed = json_of(&server_host, &["list", "--json"]);
    assert_eq!((&listed[0]["disabledAt"], &listed[0]["lastOutcome"]), (&json!(0), &json!("Success")), "{listed}");
    server.terminate().unwrap().success().unwrap();
}
