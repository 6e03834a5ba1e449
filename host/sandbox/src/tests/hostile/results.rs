//! Huge answers and arguments: refused before the host allocates memory for them.

use bg_poller::Integration;
use bg_poller::OutcomeKind::{HandlerFailed, LimitExceeded, Trapped};

use super::{Function, limits, tried};
use crate::testing::{self, CharmGuest, CoreGuest, Guest, charm_call, charm_component, runtime_with};
use crate::{Limits, json};

/// `fetch-charms` returns a list of `count` references at 1024.
fn answers(count: u32, pages: u32) -> Guest {
    let fetch_charms = format!(
        "(i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const {count})) (i32.const 16)"
    );
    Guest { fetch_charms, pages, ..Guest::default() }
}

/// `count` references, both texts of which are the same piece of memory.
fn aliases(count: u32, bytes: u32) -> Guest {
    let mut guest = answers(count, 900);
    guest.fetch_charms = format!(
        "(local $at i32)
        (memory.fill (i32.const 4000000) (i32.const 97) (i32.const {bytes}))
        (local.set $at (i32.const 1024))
        (loop $a
            (i32.store (local.get $at) (i32.const 4000000))
            (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const {bytes}))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $a (i32.lt_u (local.get $at) (i32.const {}))))
        {}",
        1024 + count * 16,
        guest.fetch_charms
    );
    guest
}

#[tokio::test]
async fn a_huge_answer_is_refused_before_the_host_allocates_memory_for_it() {
    let sandbox = testing::sandbox(limits());
    for (what, guest, expected) in [
        ("ten million references, most of them beyond its memory", answers(10_000_000, 1000), Trapped),
        ("3.5 million references", answers(3_500_000, 1000), LimitExceeded),
        ("200,000 references that are the same 20 MB of text", aliases(200_000, 20_000_000), LimitExceeded),
        ("1 GiB of text, beyond its memory", aliases(1, 1 << 30), Trapped),
        ("40 MiB of text", aliases(1, 40 << 20), LimitExceeded),
    ] {
        tried(&sandbox, ("result", what), guest.build(), Function::FetchCharms, expected).await;
    }
}

#[tokio::test]
async fn a_huge_argument_is_refused_before_the_host_allocates_memory_for_it() {
    let log = ("commontools:background/log", "write", "log");
    let set = ("commontools:background/state", "set", "set");
    let fields = ("wasi:http/types", "[static]fields.from-list", "fields");
    let get = ("commontools:background/charms", "[method]charm.get", "get");
    let large = |imports: &[_], body: &str| CoreGuest { pages: 1000, ..CoreGuest::initialize(imports, "", body) };
    let sandbox = testing::sandbox(limits());
    for (what, guest) in [
        ("a log line of 60 MiB", large(&[log], "(call $log (i32.const 0) (i32.const 0) (i32.const 62914560))")),
        (
            "a value of 60 MiB for its state",
            large(&[set], "(call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 62914560) (i32.const 64))"),
        ),
        (
            "four million header fields",
            large(&[fields], "(call $fields (i32.const 65536) (i32.const 4000000) (i32.const 64))"),
        ),
    ] {
        tried(&sandbox, ("result", what), guest.build(), Function::Initialize, LimitExceeded).await;
    }
    let path = CoreGuest {
        imports: testing::owned(&[get]),
        is_valid_charm:
            "(call $get (local.get $charm) (i32.const 65536) (i32.const 7000000) (i32.const 64)) (i32.const 16)".into(),
        pages: 1000,
        ..CoreGuest::default()
    };
    tried(&sandbox, ("result", "a path of seven million names"), path.build(), Function::IsValidCharm, LimitExceeded)
        .await;
}

#[tokio::test]
async fn a_huge_error_text_is_cut() {
    // Err(permanent): the discriminant 1 at 64, the case 1 at 68, the text at 72.
    let body = "(memory.fill (i32.const 65536) (i32.const 97) (i32.const 16000000))
        (i32.store (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) (i32.const 1))
        (i32.store (i32.const 72) (i32.const 65536)) (i32.store (i32.const 76) (i32.const 16000000)) (i32.const 64)";
    let guest = CoreGuest { initialize: body.into(), pages: 300, ..CoreGuest::default() };
    let attempt = bg_abuse::Attempt::begin("result", "an error text of 16 MB");
    let guest =
        testing::load_integration(&testing::sandbox(limits()), guest.build(), &runtime_with(&[])).await.unwrap();
    let error = guest.initialize().await.unwrap_err();
    assert_eq!(error.kind, HandlerFailed);
    assert!(error.message.len() < 5_000);
    attempt.ended(format!("{}, cut to {} bytes", error.kind, error.message.len()));
}

#[tokio::test]
async fn endlessly_nested_json_is_refused_everywhere() {
    let nested = ["[", "{\"a\":"].map(|open| open.repeat(100_000));
    // Traps unless `set` returns an error.
    let handle = "(call $set (i32.const 1024) (i32.const 5) (local.get $event) (local.get $event-len) (i32.const 64))
        (if (i32.eqz (i32.load8_u (i32.const 64))) (then unreachable)) (i32.const 16)";
    let guest = CharmGuest {
        handle: handle.into(),
        items: r#"(data (i32.const 1024) "count")"#.into(),
        ..CharmGuest::default()
    };
    let component = charm_component(Limits::default(), &guest).await;
    for (what, text) in [
        ("arrays nested 100,000 deep", nested[0].clone()),
        ("objects nested 100,000 deep", nested[1].clone()),
        ("the same, complete", format!("{}{}", nested[0], "]".repeat(100_000))),
        ("8 MiB of opening brackets", "[".repeat(8 << 20)),
    ] {
        let attempt = bg_abuse::Attempt::begin("result", what);
        assert!(json::check(&text).is_err());
        assert!(component.handle(charm_call(&[]), "bgUpdater", &text).await.unwrap().is_empty());
        attempt.ended("refused by cells.set");
    }
}
