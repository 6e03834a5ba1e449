//! What an integration may not see: secrets, and what belongs to others.

use std::fmt::Write as _;
use std::sync::Arc;

use bg_poller::OutcomeKind::HandlerFailed;
use bg_poller::{CharmRef, Integration, IntegrationState};

use super::limits;
use crate::testing::{self, CoreGuest, Lines, MemoryCharm, capture_log, charm, runtime_with};
use crate::{IntegrationComponent, Registrations, World};

const GET: (&str, &str, &str) = ("commontools:background/charms", "[method]charm.get", "get");
const KEYS: (&str, &str, &str) = ("commontools:background/charms", "[method]charm.keys", "keys");
const LOG: (&str, &str, &str) = ("commontools:background/log", "write", "log");

/// Traps if `ya29`, with which the secret begins, occurs anywhere in its memory.
const SEARCH: &str = "(loop $search
        (if (i32.eq (i32.load (local.get $at)) (i32.const 0x39326179)) (then unreachable))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $search (i32.lt_u (local.get $at) (i32.const 131000))))";

/// The names of a path, as the list at 256.
fn path(names: &[&str]) -> (String, String) {
    let (mut items, mut body, mut at) = (String::new(), String::new(), 1024);
    for (index, name) in names.iter().enumerate() {
        write!(items, r#"(data (i32.const {at}) "{name}")"#).unwrap();
        write!(body, "(i32.store (i32.const {}) (i32.const {at}))", 256 + index * 8).unwrap();
        write!(body, "(i32.store (i32.const {}) (i32.const {}))", 260 + index * 8, name.len()).unwrap();
        at += name.len() + 1;
    }
    (items, body)
}

#[tokio::test]
async fn no_byte_of_a_secret_reaches_an_integration() {
    let sandbox = testing::sandbox(limits());
    for names in [
        &["auth", "token"][..],
        &["auth"],
        &["auth", "token", "0"],
        &["auth", "*"],
        &["auth", ""],
        &["auth", "..", "auth", "token"],
        &["auth.token"],
        &["auth/token"],
        &["AUTH", "TOKEN"],
        &["auth", "token", "length"],
        &["link", "token"],
        &["0", "token"],
        &[],
    ] {
        let (lines, _guard) = capture_log();
        let (items, list) = path(names);
        let attempt = bg_abuse::Attempt::begin("secrets", format!("charm.get of [{}]", names.join(", ")));
        // A value at 76 is logged, and returned to the host as an error's text: Err(permanent).
        let is_valid_charm = format!(
            "(local $at i32) {list}
            (call $get (local.get $charm) (i32.const 256) (i32.const {}) (i32.const 64))
            (call $keys (local.get $charm) (i32.const 96))
            {SEARCH}
            (if (i32.eqz (i32.load8_u (i32.const 68))) (then
                (call $log (i32.const 2) (i32.load (i32.const 72)) (i32.load (i32.const 76)))))
            (call $drop (local.get $charm))
            (i32.store (i32.const 160) (i32.const 1)) (i32.store (i32.const 164) (i32.const 1))
            (i32.store (i32.const 168) (i32.load (i32.const 72))) (i32.store (i32.const 172) (i32.load (i32.const 76)))
            (return (i32.const 160))",
            names.len()
        );
        let guest =
            CoreGuest { imports: testing::owned(&[GET, KEYS, LOG]), items, is_valid_charm, ..CoreGuest::default() };
        let guest = testing::load_integration(&sandbox, guest.build(), &runtime_with(&[])).await.unwrap();
        let error = guest.is_valid_charm(Arc::new(MemoryCharm(charm("a")))).await.unwrap_err();
        assert_eq!(error.kind, HandlerFailed, "{names:?}: {error}");
        let logged = lines.of_guests();
        assert_eq!(logged.len(), usize::from(names == ["auth"]), "only what is not secret has a value");
        assert!(!logged.join("\n").contains("ya29") && !error.message.contains("ya29"), "{names:?}");
        attempt.ended("no byte of it");
    }
}

async fn named(id: &str, guest: &CoreGuest, runtime: &Arc<testing::MemoryRuntime>) -> IntegrationComponent {
    let sandbox = testing::sandbox(limits());
    let loaded = sandbox.load(guest.build(), World::Integration).await.unwrap();
    let mut setup = testing::setup(runtime);
    setup.manifest.integration.id = id.parse().unwrap();
    setup.registrations = Registrations::new(id.parse().unwrap(), runtime.clone());
    setup.config.insert("account".into(), format!("of-{id}"));
    IntegrationComponent::new(&sandbox, &loaded, setup).unwrap()
}

fn open(charm: &CharmRef) -> (String, String) {
    let (space, id) = (charm.space.to_string(), charm.charm.to_string());
    let body = format!(
        "(call $open (i32.const 1024) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const 64))
        (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 0)) (then unreachable))",
        space.len(),
        1024 + space.len(),
        id.len()
    );
    (format!(r#"(data (i32.const 1024) "{space}{id}")"#), body)
}

fn says(lines: &Lines, text: &str) -> bool {
    lines.of_guests().iter().any(|line| line.contains(text))
}

#[tokio::test]
async fn an_integration_sees_nothing_of_another() {
    let runtime = runtime_with(&[
        (charm("mine"), "gmail", true),
        (charm("theirs"), "gcal", true),
        (charm("off"), "gmail", false),
    ]);
    let theirs = "gcal".parse().unwrap();
    runtime.set(&theirs, "key", b"theirs").await.unwrap();
    let state_get = ("commontools:background/state", "get", "state-get");
    let state_keys = ("commontools:background/state", "keys", "state-keys");
    let config = ("commontools:background/config", "get", "config");
    let registered = ("commontools:background/charms", "registered", "registered");

    let attempt = bg_abuse::Attempt::begin("neighbours", "its state");
    // Traps unless `get` is ok(none) and `keys` is ok([]).
    let body = "(call $state-get (i32.const 1024) (i32.const 3) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable)) (if (i32.load8_u (i32.const 68)) (then unreachable))
        (call $state-keys (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable)) (if (i32.load (i32.const 72)) (then unreachable))";
    let guest = CoreGuest::initialize(&[state_get, state_keys], r#"(data (i32.const 1024) "key")"#, body);
    named("gmail", &guest, &runtime).await.initialize().await.unwrap();
    assert_eq!(
        named("gcal", &guest, &runtime).await.initialize().await.unwrap_err().kind,
        bg_poller::OutcomeKind::Trapped
    );
    attempt.ended("not visible");

    let attempt = bg_abuse::Attempt::begin("neighbours", "its configuration");
    let (lines, _guard) = capture_log();
    let body = "(call $config (i32.const 1024) (i32.const 7) (i32.const 64))
        (call $log (i32.const 2) (i32.load (i32.const 68)) (i32.load (i32.const 72)))";
    let guest = CoreGuest::initialize(&[config, LOG], r#"(data (i32.const 1024) "account")"#, body);
    named("gmail", &guest, &runtime).await.initialize().await.unwrap();
    assert!(says(&lines, "of-gmail") && !says(&lines, "of-gcal"));
    attempt.ended("not visible");

    let attempt = bg_abuse::Attempt::begin("neighbours", "its registrations");
    let guest = CoreGuest {
        imports: testing::owned(&[registered]),
        fetch_charms: "(call $registered (i32.const 16)) (i32.const 16)".into(),
        ..CoreGuest::default()
    };
    assert_eq!(named("gmail", &guest, &runtime).await.fetch_charms().await.unwrap(), [charm("mine")]);
    attempt.ended("not visible");

    for (what, other) in
        [("its charms", charm("theirs")), ("a charm of nobody", charm("none")), ("a disabled charm", charm("off"))]
    {
        let attempt = bg_abuse::Attempt::begin("neighbours", what);
        let (items, body) = open(&other);
        let guest = CoreGuest::initialize(&[("commontools:background/charms", "open", "open")], items, &body);
        named("gmail", &guest, &runtime).await.initialize().await.unwrap();
        attempt.ended("not-found");
    }
}
