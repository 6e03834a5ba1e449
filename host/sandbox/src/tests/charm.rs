//! What charm programs write and report.

use std::collections::BTreeMap;

use bg_poller::OutcomeKind;

use crate::testing::{CharmGuest, charm_call, charm_component};
use crate::{Limits, Shape};

/// Sets the cell `count` (its name at 1024) to the event.
const SET_COUNT: &str =
    "(call $set (i32.const 1024) (i32.const 5) (local.get $event) (local.get $event-len) (i32.const 64))";

fn handler(handle: &str) -> CharmGuest {
    CharmGuest {
        handle: handle.into(),
        items: r#"(data (i32.const 1024) "count") (data (i32.const 1040) "Oops\1b") (data (i32.const 1060) "a.ts:1:2\0ab")"#.into(),
        ..CharmGuest::default()
    }
}

#[tokio::test]
async fn writes_are_returned_on_success() {
    let component = charm_component(Limits::default(), &handler(&format!("{SET_COUNT} (i32.const 16)"))).await;
    let writes = component.handle(charm_call(&[("count", "1")]), "bgUpdater", "{\"n\":2}").await.unwrap();
    assert_eq!(writes, BTreeMap::from([("count".into(), "{\"n\":2}".into())]));
}

#[tokio::test]
async fn a_failed_handler_leaves_no_writes() {
    // Err { message: at 1040, stack: some(at 1060) }.
    let failing = format!(
        "{SET_COUNT}
        (i32.store (i32.const 128) (i32.const 1))
        (i32.store (i32.const 132) (i32.const 1040)) (i32.store (i32.const 136) (i32.const 5))
        (i32.store (i32.const 140) (i32.const 1))
        (i32.store (i32.const 144) (i32.const 1060)) (i32.store (i32.const 148) (i32.const 10))
        (i32.const 128)"
    );
    let component = charm_component(Limits::default(), &handler(&failing)).await;
    let failure = component.handle(charm_call(&[]), "bgUpdater", "{}").await.unwrap_err();
    assert_eq!((failure.kind, &*failure.message), (OutcomeKind::HandlerFailed, "Oops\\u{1b}"));
    assert_eq!(failure.stack.as_deref(), Some("a.ts:1:2\nb"));
}

#[tokio::test]
async fn a_trap_says_where_it_happened() {
    let component = charm_component(Limits::default(), &handler("(unreachable)")).await;
    let failure = component.handle(charm_call(&[]), "bgUpdater", "{}").await.unwrap_err();
    assert_eq!(failure.kind, OutcomeKind::Trapped);
    assert!(failure.message.starts_with("handle: wasm trap"), "{failure}");
    assert!(failure.stack.is_some());
}

#[tokio::test]
async fn a_stored_cell_is_read() {
    // Traps unless `get("count")` is ok(some(text of two bytes)).
    let reading = "(call $get (i32.const 1024) (i32.const 5) (i32.const 64))
        (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 0)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 76)) (i32.const 2)) (then unreachable))
        (i32.const 16)";
    let component = charm_component(Limits::default(), &handler(reading)).await;
    let writes = component.handle(charm_call(&[("count", "42")]), "bgUpdater", "{}").await.unwrap();
    assert!(writes.is_empty());
}

#[tokio::test]
async fn a_refused_write_is_not_kept() {
    // Traps unless `set` returns an error: bad JSON, then a value over the limit.
    let refused = format!("{SET_COUNT} (if (i32.eqz (i32.load8_u (i32.const 64))) (then unreachable)) (i32.const 16)");
    let component = charm_component(Limits { cell_bytes: 10, ..Limits::default() }, &handler(&refused)).await;
    for event in ["{\"no\":", "\"0123456789\""] {
        assert!(component.handle(charm_call(&[]), "bgUpdater", event).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_charm_is_set_up_with_its_shape() {
    // ok { name: some(at 1024), streams: [at 1040], secrets: [] }.
    let setup = "(i32.store (i32.const 132) (i32.const 1))
        (i32.store (i32.const 136) (i32.const 1024)) (i32.store (i32.const 140) (i32.const 7))
        (i32.store (i32.const 144) (i32.const 256)) (i32.store (i32.const 148) (i32.const 1))
        (i32.store (i32.const 256) (i32.const 1040)) (i32.store (i32.const 260) (i32.const 9))
        (i32.const 128)";
    let items = r#"(data (i32.const 1024) "Counter") (data (i32.const 1040) "bgUpdater")"#;
    let guest = CharmGuest { setup: setup.into(), items: items.into(), ..CharmGuest::default() };
    let component = charm_component(Limits::default(), &guest).await;
    let (shape, writes) = component.setup(charm_call(&[])).await.unwrap();
    let expected = Shape { name: Some("Counter".into()), streams: vec!["bgUpdater".into()], secrets: Vec::new() };
    assert_eq!((shape, writes), (expected, BTreeMap::new()));
}

#[tokio::test]
async fn an_empty_name_is_refused() {
    // ok { name: some(""), … }.
    let setup = "(i32.store (i32.const 132) (i32.const 1)) (i32.const 128)";
    let component =
        charm_component(Limits::default(), &CharmGuest { setup: setup.into(), ..CharmGuest::default() }).await;
    let failure = component.setup(charm_call(&[])).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.message), (OutcomeKind::LimitExceeded, "setup: a name has 1 to 256 bytes"));
}
