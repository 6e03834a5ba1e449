//! `is-valid-charm` that lies, or takes its whole time limit, called by the real poll loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bg_poller::OutcomeKind::{Invalid, Success, Timeout};
use bg_poller::{CharmRef, Integration, Poller, PollerOptions, Summary};
use tokio_util::sync::CancellationToken;

use crate::testing::{self, CoreGuest, MemoryRuntime, charm, runtime_with};
use crate::{IntegrationComponent, Limits, Registrations, Sandbox, World};

/// Charms of the hostile integration.
const CHARMS: usize = 10_000;
/// Polls of the healthy integration.
const POLLS: usize = 15;

const REGISTERED: (&str, &str, &str) = ("commontools:background/charms", "registered", "registered");
const RANDOM: (&str, &str, &str) = ("wasi:random/random", "get-random-u64", "random");

/// Names all its registrations, and gives this verdict on each.
fn says(is_valid_charm: &str) -> CoreGuest {
    CoreGuest {
        imports: testing::owned(&[REGISTERED, RANDOM]),
        fetch_charms: "(call $registered (i32.const 16)) (i32.const 16)".into(),
        is_valid_charm: is_valid_charm.into(),
        ..CoreGuest::default()
    }
}

async fn named(sandbox: &Sandbox, id: &str, guest: &CoreGuest, runtime: &Arc<MemoryRuntime>) -> Arc<dyn Integration> {
    let loaded = sandbox.load(guest.build(), World::Integration).await.unwrap();
    let mut setup = testing::setup(runtime);
    setup.manifest.integration.id = id.parse().unwrap();
    setup.registrations = Registrations::new(id.parse().unwrap(), runtime.clone());
    Arc::new(IntegrationComponent::new(sandbox, &loaded, setup).unwrap())
}

/// Polls until the healthy integration's charm was polled often enough. Returns what happened to the hostile one's
/// charms.
async fn poll_beside_a_healthy_one(hostile: &CoreGuest, time: Duration) -> (Summary, Arc<MemoryRuntime>) {
    let sandbox = testing::sandbox(Limits { is_valid_charm_time: time, ..Limits::default() });
    let mut registrations: Vec<(CharmRef, &str, bool)> =
        (0..CHARMS).map(|number| (charm(&format!("hostile {number}")), "hostile", true)).collect();
    registrations.push((charm("healthy"), "healthy", true));
    let runtime = runtime_with(&registrations);
    let own = charm("healthy");
    let (items, fetch_charms) = testing::refs(&[(own.space.as_str(), own.charm.as_str())]);
    let healthy = CoreGuest { items, fetch_charms, pages: 4, ..CoreGuest::default() };
    let integrations =
        vec![named(&sandbox, "hostile", hostile, &runtime).await, named(&sandbox, "healthy", &healthy, &runtime).await];
    let shutdown = CancellationToken::new();
    let (polls, stop) = (AtomicUsize::new(0), shutdown.clone());
    let options = PollerOptions {
        interval: Duration::from_secs(2),
        intervals: BTreeMap::from([("healthy".parse().unwrap(), Duration::from_millis(50))]),
        log_interval: Duration::ZERO,
        on_poll: Some(Arc::new(move |event| {
            if event.integration.as_str() == "healthy" {
                assert_eq!(event.outcome.kind, Success);
                if polls.fetch_add(1, Ordering::Relaxed) + 1 == POLLS {
                    stop.cancel();
                }
            }
        })),
        ..PollerOptions::default()
    };
    let poller = Poller::new(runtime.clone(), runtime.clone(), integrations, options);
    let summary = tokio::time::timeout(Duration::from_mins(2), poller.run(shutdown)).await;
    (summary.expect("the healthy charm was not polled").unwrap(), runtime)
}

#[tokio::test]
async fn is_valid_charm_that_takes_its_whole_time_affects_its_own_charms_only() {
    let attempt = bg_abuse::Attempt::begin("validity", "its whole time for each of 10,000 charms");
    let endless = says("(loop $a (br $a)) (i32.const 32)");
    let (summary, runtime) = poll_beside_a_healthy_one(&endless, Duration::from_millis(200)).await;
    assert!(runtime.triggers(&charm("healthy")) >= POLLS);
    assert!(runtime.triggered.lock().unwrap().len() == 1, "none of its charms was triggered");
    assert_eq!(summary.polls - summary.count(Success), summary.count(Timeout) + summary.abandoned);
    attempt.ended(format!("{} polls {Timeout}; the other integration's polls continued", summary.count(Timeout)));
}

#[tokio::test]
async fn is_valid_charm_that_lies_affects_its_own_charms_only() {
    for (what, answer) in [
        ("always true", "(i32.store (i32.const 36) (i32.const 1)) (i32.const 32)"),
        (
            "true and false at random",
            "(i32.store (i32.const 36) (i32.and (i32.const 1) (i32.wrap_i64 (call $random)))) (i32.const 32)",
        ),
    ] {
        let attempt = bg_abuse::Attempt::begin("validity", what);
        let (summary, runtime) = poll_beside_a_healthy_one(&says(answer), Duration::from_secs(5)).await;
        assert!(runtime.triggers(&charm("healthy")) >= POLLS);
        assert_eq!(summary.polls, summary.count(Success) + summary.count(Invalid), "{what}: {summary:?}");
        attempt.ended(format!(
            "{} {Success}, {} {Invalid}, of its own charms",
            summary.count(Success),
            summary.count(Invalid)
        ));
    }
}

#[tokio::test]
async fn an_integration_cannot_have_a_charm_polled_that_is_not_registered_for_it() {
    let others = [charm("theirs"), charm("nobody's")];
    let names: Vec<_> = others.iter().map(|one| (one.space.to_string(), one.charm.to_string())).collect();
    let names: Vec<_> = names.iter().map(|(space, id)| (&**space, &**id)).collect();
    let (items, fetch_charms) = testing::refs(&names);
    let greedy = CoreGuest { items, fetch_charms, pages: 4, ..CoreGuest::default() };
    let attempt = bg_abuse::Attempt::begin("references", "charms of other spaces and integrations");
    let sandbox = testing::sandbox(Limits::default());
    let runtime = runtime_with(&[(charm("own"), "greedy", true), (charm("theirs"), "other", false)]);
    let integrations = vec![named(&sandbox, "greedy", &greedy, &runtime).await];
    let shutdown = CancellationToken::new();
    let options = PollerOptions { interval: Duration::from_millis(50), ..PollerOptions::default() };
    let poller = Poller::new(runtime.clone(), runtime.clone(), integrations, options);
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(600)).await;
        stop.cancel();
    });
    let summary = poller.run(shutdown).await.unwrap();
    assert!(runtime.triggered.lock().unwrap().is_empty());
    assert!(summary.named_unregistered > 0, "{summary:?}");
    attempt.ended("not polled");
}
