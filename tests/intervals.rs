//! How often a charm is polled, and what is stored of its polls.

use bg_test_support::TestHost;
use serde_json::{Value, json};

use crate::common::{deploy, fixture, host, register, wait_for_success};

fn shown(host: &TestHost, charm: &str) -> Value {
    let shown = host.command(["show", charm, "--json"]).unwrap().success().unwrap();
    serde_json::from_str(&shown.stdout).unwrap()
}

#[test]
fn a_charms_own_interval_takes_effect_without_a_restart_within_the_operators_limits() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    let args = ["register", &charm, "--integration", "my-test", "--interval", "2h"];
    host.command(args).unwrap().success().unwrap();
    assert_eq!(shown(&host, &charm)["intervalMs"], 7_200_000);
    let mut service = host.spawn(["run", "--interval", "1h", "--min-interval", "200ms"]).unwrap();
    wait_for_success(&mut service, &charm);
    // The next one would be in two hours.
    let set = host.command(["interval", &charm, "300ms"]).unwrap().success().unwrap();
    assert_eq!(set.stdout.trim(), format!("{charm}: every 300ms, or as often as the service allows"));
    wait_for_success(&mut service, &charm);
    wait_for_success(&mut service, &charm);
    let set = host.command(["interval", &charm, "default"]).unwrap().success().unwrap();
    assert_eq!(set.stdout.trim(), format!("{charm}: as often as the charms of my-test"));
    assert_eq!(shown(&host, &charm)["intervalMs"], Value::Null);
    service.terminate().unwrap().success().unwrap();

    for (value, problem) in [("soon", "or `default`"), ("1ms", "at least 100ms")] {
        let refused = host.command(["interval", &charm, value]).unwrap().failure().unwrap();
        assert!(refused.stderr.contains(problem), "{refused}");
    }
    let unknown = host.command(["interval", &charm.replace("did:key:z6Mk", "did:key:z6Ml"), "5m"]).unwrap();
    unknown.failure().unwrap();
}

#[test]
fn show_prints_the_outcomes_of_all_runs_and_the_history_keeps_the_configured_number() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "my-test");
    let args = ["run", "--interval", "100ms", "--polls", "5", "--keep-runs", "2"];
    host.command(args).unwrap().success().unwrap();
    let counters = shown(&host, &charm)["counters"].clone();
    assert_eq!((&counters["runs"], &counters["failed"]), (&json!(5), &json!(0)));
    let runs = host.command(["runs", &charm, "--json"]).unwrap().success().unwrap();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&runs.stdout).unwrap().len(), 2);
    let text = host.command(["show", &charm]).unwrap().success().unwrap();
    for part in ["runs         5, of which 0 failed", "durations    ", "polled       as often as the charms of my-test"]
    {
        assert!(text.stdout.contains(part), "{part}: {text}");
    }
}
