//! `status`, and the states that it and `list` show.

use std::time::Duration;

use bg_test_support::TestHost;
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register, wait_for_success};

fn printed(host: &TestHost, args: &[&str]) -> Value {
    let printed = host.command(args).unwrap().success().unwrap();
    serde_json::from_str(&printed.stdout).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The state of a charm, on which the list and all other commands agree.
fn state(host: &TestHost, charm: &str) -> String {
    let listed = printed(host, &["list", "--json"]);
    let is_it = |entry: &&Value| charm == format!("{}/{}", entry["space"], entry["charmId"]).replace('"', "");
    let state = listed.as_array().unwrap().iter().find(is_it).unwrap()["state"].as_str().unwrap().to_owned();
    assert_eq!(printed(host, &["show", charm, "--json"])["state"], state.as_str());
    let table = host.command(["list"]).unwrap().success().unwrap().stdout;
    let line = table.lines().find(|line| line.starts_with(charm)).unwrap();
    assert!(line.contains(&format!("  {state}  ")), "{state}: {table}");
    state
}

fn count(status: &Value, state: &str) -> u64 {
    let counts = status["states"].as_array().unwrap();
    counts.iter().find(|one| one["state"] == state).unwrap()["registrations"].as_u64().unwrap()
}

#[test]
fn every_state_of_a_registration_is_shown_and_counted() {
    let host = host();
    let broken = host
        .write(
            "broken.tsx",
            std::fs::read_to_string(fixture("counter.tsx"))
                .unwrap()
                .replace("count.set(count.get() + 1)", "throw new Error(\"on purpose\")"),
        )
        .unwrap();
    let good = deploy(&host, &fixture("counter.tsx"), "space-a", &json!({}));
    let [bad, worse] = ["space-b", "space-c"].map(|space| deploy(&host, broken.to_str().unwrap(), space, &json!({})));
    let off = deploy(&host, &fixture("counter.tsx"), "space-d", &json!({}));
    for charm in [&good, &bad, &off] {
        register(&host, charm, "mine");
    }
    register(&host, &worse, "other");
    host.command(["disable", &off]).unwrap().success().unwrap();
    assert_eq!(state(&host, &bad), "running", "it was not polled yet");
    host.command(["run", "--once", "--failures", "1", "--charms", &worse]).unwrap().failure().unwrap();
    host.command(["run", "--once", "--charms", &format!("{good},{bad}")]).unwrap().failure().unwrap();
    for (charm, expected) in
        [(&good, "running"), (&bad, "backing off"), (&worse, "disabled by failures"), (&off, "disabled by hand")]
    {
        assert_eq!(state(&host, charm), expected);
    }

    let status = printed(&host, &["status", "--json"]);
    assert_eq!(status["registrations"], 4);
    for state in ["running", "backing off", "disabled by failures", "disabled by hand"] {
        assert_eq!(count(&status, state), 1, "{status}");
    }
    assert_eq!(status["services"], json!({"polls": null, "serves": null}));
    let newest = &status["failures"][0];
    assert!(newest["status"].as_str().unwrap().contains("on purpose"), "{status}");
    assert_eq!(newest["state"], "backing off");
    assert_eq!(status["disabled"].as_array().unwrap().len(), 2);
    assert_eq!(status["integrations"][0], json!({"integration": "mine", "registrations": 3, "troubled": 2}));
    let polled = &status["polled"][2];
    assert_eq!((&polled["charms"], &polled["failed"]), (&json!(3), &json!(2)));
    let shown = host.command(["status"]).unwrap().success().unwrap().stdout;
    for part in ["registrations  4: 1 running, 1 backing off", "none of this data directory polls", "newest failures"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    // A server's API does not report consecutive failures.
    let mut serve = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    serve.wait_for_line(|line| line.contains("listening on"), SOON).unwrap();
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    assert_eq!(state(&host, &bad), "failing");
    let status = printed(&host, &["status", "--json"]);
    assert_eq!(status["services"]["serves"]["role"], "serve");
    serve.terminate().unwrap().success().unwrap();
}

#[test]
fn it_watches_a_service_until_ctrl_c() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    let mut watch = host.spawn(["status", "--watch"]).unwrap();
    watch.wait_for_line(|line| line.contains("registrations  none"), SOON).unwrap();
    register(&host, &charm, "mine");
    let mut run = host.spawn(["run"]).unwrap();
    wait_for_success(&mut run, &charm);
    let polls = format!("`bg-wasm-host run` (process {}) polls", run.pid());
    watch.wait_for_line(|line| line.contains(&polls), SOON).unwrap();
    watch.wait_for_line(|line| line.contains("1: 1 running"), SOON).unwrap();
    watch.wait_for_line(|line| line.contains("1 in 1 min, 0 of them failed"), SOON).unwrap();
    run.terminate().unwrap().success().unwrap();
    watch.wait_for_line(|line| line.contains("none of this data directory polls"), Duration::from_mins(1)).unwrap();
    let ended = watch.interrupt().unwrap().success().unwrap();
    assert!(ended.stdout.contains("\u{1b}[H\u{1b}[2J"), "{ended}");
}
