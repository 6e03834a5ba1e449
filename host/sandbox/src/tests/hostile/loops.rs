//! Endless loops.

use std::time::{Duration, Instant};

use bg_poller::Integration;
use bg_poller::OutcomeKind::Timeout;

use super::{Function, initialize, short, tried};
use crate::Limits;
use crate::testing::{self, CoreGuest, Guest};

/// A resource whose destructor loops, and functions that create and drop one.
fn destructor() -> Guest {
    Guest {
        imports: r#"
            (core module $own (func (export "destroy") (param i32) (loop $again (br $again))))
            (core instance $own (instantiate $own))
            (type $thing (resource (rep i32) (dtor (core func $own "destroy"))))
            (core func $make (canon resource.new $thing))
            (core func $destroy (canon resource.drop $thing))"#
            .into(),
        more: r#"(export "make" (func $make)) (export "destroy" (func $destroy))"#.into(),
        items: r#"
            (import "more" "make" (func $make (param i32) (result i32)))
            (import "more" "destroy" (func $destroy (param i32)))"#
            .into(),
        ..initialize("(call $destroy (call $make (i32.const 1)))")
    }
}

/// Straight-line code, without a loop or function entry where it could be interrupted.
fn straight_on(calls: usize) -> Guest {
    // Each passes 16 MiB of text.
    let call = "(call $log (i32.const 0) (i32.const 0) (i32.const 16777216))";
    Guest { pages: 300, ..initialize(&call.repeat(calls)) }
}

#[tokio::test]
async fn a_guest_that_computes_endlessly_ends_in_time_wherever_it_does_so() {
    let again = "(loop $again (br $again))";
    let colour = ("commontools:background/config", "get", "config");
    // The host allocates guest memory for the answer, `blue`.
    let ask = "(call $config (i32.const 1024) (i32.const 6) (i32.const 64))";
    let data = r#"(data (i32.const 1024) "colour")"#;
    let recursion = "(func $f (param i32) (if (local.get 0) (then
        (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1))))))";
    let jumps = format!("(loop $again (block $out (br_table {} (i32.const 7))) (br $again))", "$out ".repeat(10_000));
    let on_memory = |instruction: &str| Guest {
        items: format!(r#"(data $d "{}") (elem $e func 0) (table $t 30000 funcref)"#, "x".repeat(1 << 20)),
        pages: 900,
        ..initialize(&format!("(loop $again {instruction} (br $again))"))
    };
    let cases: Vec<(&str, Function, Vec<u8>)> = vec![
        ("in initialize", Function::Initialize, initialize(again).build()),
        (
            "in fetch-charms",
            Function::FetchCharms,
            Guest { fetch_charms: format!("{again} (i32.const 16)"), ..Guest::default() }.build(),
        ),
        (
            "in is-valid-charm",
            Function::IsValidCharm,
            Guest { is_valid_charm: format!("{again} (i32.const 16)"), ..Guest::default() }.build(),
        ),
        (
            "at start",
            Function::Initialize,
            Guest { items: format!("(func $main {again}) (start $main)"), ..Guest::default() }.build(),
        ),
        ("in a destructor", Function::Initialize, destructor().build()),
        (
            "after its answer",
            Function::Initialize,
            CoreGuest { post_initialize: Some(again.into()), ..CoreGuest::default() }.build(),
        ),
        (
            "when the host asks for memory",
            Function::Initialize,
            CoreGuest { realloc: again.into(), ..CoreGuest::initialize(&[colour], data, ask) }.build(),
        ),
        (
            "by calls only",
            Function::Initialize,
            Guest { items: recursion.into(), ..initialize("(call $f (i32.const 60))") }.build(),
        ),
        ("a jump table of 10,000", Function::Initialize, initialize(&jumps).build()),
        (
            "memory.fill of 56 MiB",
            Function::Initialize,
            on_memory("(memory.fill (i32.const 0) (i32.const 1) (i32.const 58000000))").build(),
        ),
        (
            "memory.copy of 28 MiB",
            Function::Initialize,
            on_memory("(memory.copy (i32.const 0) (i32.const 29000000) (i32.const 29000000))").build(),
        ),
        (
            "memory.init of 1 MiB",
            Function::Initialize,
            on_memory("(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1048576))").build(),
        ),
        ("memory.grow by nothing", Function::Initialize, on_memory("(drop (memory.grow (i32.const 0)))").build()),
        (
            "table.fill",
            Function::Initialize,
            on_memory("(table.fill $t (i32.const 0) (ref.null func) (i32.const 30000))").build(),
        ),
        (
            "table.copy",
            Function::Initialize,
            on_memory("(table.copy (i32.const 0) (i32.const 1) (i32.const 29000))").build(),
        ),
        (
            "table.init",
            Function::Initialize,
            on_memory("(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))").build(),
        ),
        ("straight on: 2,000 log lines of 16 MiB", Function::Initialize, straight_on(2_000).build()),
    ];
    let sandbox = testing::sandbox(short());
    let started = Instant::now();
    for (what, function, component) in cases {
        tried(&sandbox, ("loop", what), component, function, Timeout).await;
    }
    // Takes about 6 s; the bound allows for a busy machine.
    assert!(started.elapsed().as_secs() < 60);
}

#[tokio::test]
async fn straight_line_host_calls_keep_no_thread_from_others() {
    let sandbox = testing::sandbox(short());
    let runtime = testing::runtime_with(&[]);
    let hostile = testing::load_integration(&sandbox, straight_on(2_000).build(), &runtime).await.unwrap();
    let healthy = testing::load_integration(&sandbox, Guest::default().build(), &runtime).await.unwrap();
    let attempt = bg_abuse::Attempt::begin("loop", "straight on, beside a healthy component on one thread");
    let hogging = hostile.initialize();
    tokio::pin!(hogging);
    for _ in 0..3 {
        tokio::select! {
            biased;
            end = &mut hogging => panic!("{end:?} before the healthy call"),
            fine = healthy.initialize() => fine.unwrap(),
        }
    }
    let error = hogging.await.unwrap_err();
    assert_eq!(error.kind, Timeout);
    attempt.ended(error.kind);
}

#[tokio::test]
async fn a_healthy_component_completes_its_calls_beside_eight_hostile_ones_on_one_thread() {
    let attempt = bg_abuse::Attempt::begin("loop", "eight components at once, beside a healthy one");
    let sandbox = testing::sandbox(Limits { initialize_time: Duration::from_mins(10), ..Limits::default() });
    let runtime = testing::runtime_with(&[]);
    let fill = "(loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 58000000)) (br $again))";
    let mut hogs = tokio::task::JoinSet::new();
    for number in 0..8 {
        let body = if number % 2 == 0 { "(loop $again (br $again))" } else { fill };
        let hostile = Guest { pages: 900, ..initialize(body) };
        let hostile = testing::load_integration(&sandbox, hostile.build(), &runtime).await.unwrap();
        hogs.spawn(async move { hostile.initialize().await });
    }
    let healthy = testing::load_integration(&sandbox, Guest::default().build(), &runtime).await.unwrap();
    for _ in 0..100 {
        healthy.initialize().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(hogs.try_join_next().is_none(), "they ran the whole time");
    attempt.ended("100 calls of the healthy one completed meanwhile");
}
