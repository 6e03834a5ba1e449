//! What integrations return and see.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bg_egress::{CredentialSource as _, Owner, RequestCharm};
use bg_poller::{Fitness, Integration, OutcomeKind};

use crate::testing::{self, Guest, MemoryCharm, capture_log, charm, refs, runtime_with};
use crate::{CharmCredentials, IntegrationComponent, Limits, World};

/// Returns its registrations.
fn echo() -> Guest {
    Guest { fetch_charms: "(call $registered (i32.const 16)) (i32.const 16)".into(), ..Guest::default() }
}

#[tokio::test]
async fn an_integration_sees_its_own_enabled_registrations_only() {
    let runtime = runtime_with(&[
        (charm("a"), "gmail", true),
        (charm("b"), "gmail", false),
        (charm("c"), "gcal", true),
        (charm("d"), "gmail", true),
    ]);
    let sandbox = testing::sandbox(Limits::default());
    let twice = Guest {
        fetch_charms: "(call $registered (i32.const 64)) (call $registered (i32.const 16)) (i32.const 16)".into(),
        ..Guest::default()
    };
    let integration = testing::load_integration(&sandbox, twice.build(), &runtime).await.unwrap();
    let expected = [charm("a"), charm("d")];
    assert_eq!(integration.fetch_charms().await.unwrap(), expected);
    assert_eq!(runtime.listed.load(Ordering::Relaxed), 1, "fetched once per call");
    integration.fetch_charms().await.unwrap();
    assert_eq!(runtime.listed.load(Ordering::Relaxed), 2, "and again in the next");
}

#[tokio::test]
async fn malformed_references_are_dropped_and_counted() {
    let (lines, _guard) = capture_log();
    let good = charm("a");
    let (space, id) = (good.space.to_string(), good.charm.to_string());
    let (items, fetch_charms) = refs(&[
        ("did:key:nonsense", &id),
        (&space, &id),
        (&space, "../../etc/passwd"),
        (&space, &id),
        ("\u{1b}[2J", ""),
    ]);
    let integration = testing::integration(Limits::default(), &Guest { fetch_charms, items, ..Guest::default() }).await;
    assert_eq!(integration.fetch_charms().await.unwrap(), [good]);
    let warnings = lines.all();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("malformed=3 twice=1"), "{}", warnings[0]);
    assert!(!warnings[0].contains('\u{1b}'));
}

#[tokio::test]
async fn too_many_references_are_refused() {
    let good = charm("a");
    let (space, id) = (good.space.to_string(), good.charm.to_string());
    let (items, fetch_charms) = refs(&[(&space, &id), (&space, &id), (&space, &id)]);
    let limits = Limits { charm_refs: 2, ..Limits::default() };
    let integration = testing::integration(limits, &Guest { fetch_charms, items, ..Guest::default() }).await;
    let error = integration.fetch_charms().await.unwrap_err();
    assert_eq!(error.kind, OutcomeKind::LimitExceeded);
    assert_eq!(error.message, "fetch-charms answered 3 charms; the limit is 2");
}

#[tokio::test]
async fn a_charm_is_lent_for_a_check() {
    // Returns the result of `has-stream` with the nine bytes at 1024.
    let guest = Guest {
        items: r#"(data (i32.const 1024) "bgUpdater")"#.into(),
        is_valid_charm:
            "(call $has-stream (local.get $charm) (i32.const 1024) (i32.const 9) (i32.const 32)) (i32.const 32)".into(),
        ..Guest::default()
    };
    let integration = testing::integration(Limits::default(), &guest).await;
    assert_eq!(integration.is_valid_charm(Arc::new(MemoryCharm(charm("a")))).await, Ok(Fitness::Fit));
}

#[tokio::test]
async fn an_error_of_the_integration_is_reported_escaped() {
    for (case, kind) in [(0, OutcomeKind::Unavailable), (1, OutcomeKind::HandlerFailed)] {
        // Err(temporary("no\u{1b}")), or permanent.
        let fetch_charms = format!(
            "(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const {case}))
            (i32.store (i32.const 24) (i32.const 1024)) (i32.store (i32.const 28) (i32.const 3)) (i32.const 16)"
        );
        let guest = Guest { fetch_charms, items: r#"(data (i32.const 1024) "no\1b")"#.into(), ..Guest::default() };
        let error = testing::integration(Limits::default(), &guest).await.fetch_charms().await.unwrap_err();
        assert_eq!((error.kind, &*error.message), (kind, "no\\u{1b}"));
    }
}

#[tokio::test]
async fn the_gate_uses_the_registrations_that_an_integration_has_read() {
    let runtime = runtime_with(&[(charm("a"), "gmail", true)]);
    let (sandbox, setup) = (testing::sandbox(Limits::default()), testing::setup(&runtime));
    let credentials = CharmCredentials::new(setup.registrations.clone());
    let loaded = sandbox.load(echo().build(), World::Integration).await.unwrap();
    let integration = IntegrationComponent::new(&sandbox, &loaded, setup).unwrap();
    assert_eq!(integration.fetch_charms().await.unwrap(), [charm("a")]);
    let (owner, asked) = (Owner::Integration("gmail".parse().unwrap()), RequestCharm::Known(Arc::new(charm("a"))));
    let token = credentials.bearer(&owner, &asked, &"charm.auth.token".parse().unwrap()).await.unwrap();
    assert_eq!(token.expose(), "ya29");
    assert_eq!(runtime.listed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn config_is_the_operators_value_or_the_manifests_default() {
    let (lines, _guard) = capture_log();
    // Logs the value of `colour`: an option at 64, its text at the address in 68.
    let guest = Guest {
        items: r#"(data (i32.const 1024) "colour")"#.into(),
        initialize: "(call $config (i32.const 1024) (i32.const 6) (i32.const 64))
            (call $log (i32.const 2) (i32.load (i32.const 68)) (i32.load (i32.const 72))) (i32.const 16)"
            .into(),
        ..Guest::default()
    };
    let sandbox = testing::sandbox(Limits::default());
    let loaded = sandbox.load(guest.build(), World::Integration).await.unwrap();
    let runtime = runtime_with(&[]);
    for (configured, expected) in [(None, "blue"), (Some("red"), "red")] {
        let mut setup = testing::setup(&runtime);
        setup.config.extend(configured.map(|value| ("colour".to_owned(), value.to_owned())));
        let integration = IntegrationComponent::new(&sandbox, &loaded, setup).unwrap();
        integration.initialize().await.unwrap();
        assert!(lines.of_guests().last().unwrap().ends_with(expected));
    }
}

#[tokio::test]
async fn preparing_the_list_needs_nothing_else() {
    let guest = Guest { initialize: "(call $prepare-list (i32.const 16)) (i32.const 16)".into(), ..Guest::default() };
    let runtime = runtime_with(&[]);
    let sandbox = testing::sandbox(Limits::default());
    testing::load_integration(&sandbox, guest.build(), &runtime).await.unwrap().initialize().await.unwrap();
    assert_eq!(runtime.prepared.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_echo_of_a_hundred_registrations_fits() {
    let registrations: Vec<_> = (0..100).map(|number| (charm(&number.to_string()), "gmail", true)).collect();
    let runtime = runtime_with(&registrations);
    let sandbox = testing::sandbox(Limits::default());
    let integration = testing::load_integration(&sandbox, echo().build(), &runtime).await.unwrap();
    assert_eq!(integration.fetch_charms().await.unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_waited_for_a_permit_finds_room_in_the_pool() {
    let limits = Limits { calls: 1, ..Limits::default() };
    // The store of a call that fails is dropped as a whole.
    let guest = Guest { initialize: "(unreachable)".into(), pages: 64, ..Guest::default() };
    let integration = Arc::new(testing::integration(limits, &guest).await);
    let callers = (0..8).map(|_| {
        let integration = integration.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                assert_eq!(integration.initialize().await.unwrap_err().kind, OutcomeKind::Trapped);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}
