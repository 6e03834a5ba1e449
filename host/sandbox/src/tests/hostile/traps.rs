//! Traps: what a guest does wrong by itself.

use std::fmt::Write as _;

use bg_poller::OutcomeKind::Trapped;

use super::{Function, initialize, limits, tried};
use crate::testing::{self, CoreGuest, Guest, capture_log};

const LOG: (&str, &str, &str) = ("commontools:background/log", "write", "log");
const CONFIG: (&str, &str, &str) = ("commontools:background/config", "get", "config");
const DURATION: (&str, &str, &str) = ("wasi:clocks/monotonic-clock", "subscribe-duration", "duration");
const BLOCK: (&str, &str, &str) = ("wasi:io/poll", "[method]pollable.block", "block");
const POLL: (&str, &str, &str) = ("wasi:io/poll", "poll", "poll");
const DROP_POLLABLE: (&str, &str, &str) = ("wasi:io/poll", "[resource-drop]pollable", "drop-pollable");
const STDOUT: (&str, &str, &str) = ("wasi:cli/stdout", "get-stdout", "stdout");
const DROP_STREAM: (&str, &str, &str) = ("wasi:io/streams", "[resource-drop]output-stream", "drop-stream");
const WRITE: (&str, &str, &str) = ("wasi:io/streams", "[method]output-stream.blocking-write-and-flush", "write");
const ZEROES: (&str, &str, &str) = ("wasi:io/streams", "[method]output-stream.write-zeroes", "zeroes");
const EXIT: (&str, &str, &str) = ("wasi:cli/exit", "exit", "exit");

#[tokio::test]
async fn a_fault_within_a_guest_is_a_trap() {
    let (lines, _guard) = capture_log();
    let with = |items: &str, body: &str| Guest { items: items.into(), ..initialize(body) };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("unreachable", initialize("unreachable").build()),
        ("endless recursion", with("(func $deeper (call $deeper))", "(call $deeper)").build()),
        ("a frame of 50,000 locals, deep", with(&deep(50_000), "(drop (call $deep (i64.const 1)))").build()),
        ("out of bounds", initialize("(drop (i32.load (i32.const -4)))").build()),
        ("division by zero", initialize("(drop (i32.div_u (i32.const 1) (i32.const 0)))").build()),
        ("a conversion of NaN to an integer", initialize("(drop (i32.trunc_f32_s (f32.const nan)))").build()),
        ("a call of nothing", with("(table 1 funcref)", "(call_indirect (i32.const 0))").build()),
        (
            "a call of another type",
            with("(func $f (param i32)) (table funcref (elem $f))", "(call_indirect (i32.const 0))").build(),
        ),
        ("at start", with("(func $main unreachable) (start $main)", "").build()),
        ("after its answer", CoreGuest { post_initialize: Some("unreachable".into()), ..CoreGuest::default() }.build()),
    ];
    let sandbox = testing::sandbox(limits());
    for (what, component) in cases {
        let error = tried(&sandbox, ("trap", what), component, Function::Initialize, Trapped).await;
        assert!(error.message.starts_with("initialize: wasm trap"), "{what}: {error}");
    }
    assert_eq!(lines.of_guests(), [""; 0]);
}

/// A recursive function with large frames: many values live across the call.
fn deep(locals: usize) -> String {
    let locals = locals.min(2_000);
    let (mut sets, mut sum) = (String::new(), String::from("(call $deep (local.get 0))"));
    for local in 1..=locals {
        write!(sets, "(local.set {local} (i64.mul (local.get 0) (i64.load (i32.const {}))))", local * 8).unwrap();
        sum = format!("(i64.add {sum} (local.get {local}))");
    }
    format!("(func $deep (param i64) (result i64) (local {}) {sets} {sum})", "i64 ".repeat(locals))
}

#[tokio::test]
async fn misuse_of_the_host_is_a_trap() {
    let ask = "(call $config (i32.const 1024) (i32.const 6) (i32.const 64))";
    let colour = r#"(data (i32.const 1024) "colour")"#;
    let asking = |realloc: &str, imports: &[_]| CoreGuest {
        realloc: realloc.into(),
        ..CoreGuest::initialize(imports, colour, ask)
    };
    let does = |imports: &[_], body: &str| CoreGuest::initialize(imports, r#"(data (i32.const 1024) "\ff\fe")"#, body);
    let answers = |address: &str| CoreGuest { initialize: address.into(), ..CoreGuest::default() };
    let checks = |body: &str| CoreGuest { is_valid_charm: body.into(), ..CoreGuest::default() };
    let cases = [
        ("realloc that traps", asking("unreachable", &[CONFIG])),
        ("realloc that returns an address beyond memory", asking("(return (i32.const -16))", &[CONFIG])),
        ("realloc that calls the host", asking("(call $log (i32.const 0) (i32.const 0) (i32.const \
            0))", &[CONFIG, LOG])),
        ("text that is not UTF-8", does(&[LOG], "(call $log (i32.const 0) (i32.const 1024) (i32.const 2))")),
        ("text beyond memory", does(&[LOG], "(call $log (i32.const 0) (i32.const -2) (i32.const 9))")),
        ("text of 4 GiB", does(&[LOG], "(call $log (i32.const 0) (i32.const 0) (i32.const -1))")),
        ("a level that does not exist", does(&[LOG], "(call $log (i32.const 9) (i32.const 0) (i32.const 0))")),
        ("an answer's address beyond memory", does(&[CONFIG], "(call $config (i32.const 0) (i32.const 0) (i32.const \
            -8))")),
        ("an answer's address that is odd", does(&[CONFIG], "(call $config (i32.const 0) (i32.const 0) (i32.const \
            65))")),
        ("its answer beyond memory", answers("(i32.const -16)")),
        ("its answer at an odd address", answers("(i32.const 17)")),
        ("its answer of an unknown case", answers("(i32.store (i32.const 64) (i32.const 7)) (i32.const 64)")),
        ("a handle that it never had", does(&[BLOCK], "(call $block (i32.const 77))")),
        ("a handle of another kind", does(&[BLOCK, STDOUT], "(call $block (call $stdout))")),
        (
            "a handle that it gave back",
            does(&[DURATION, DROP_POLLABLE], "(local $p i32) (local.set $p (call $duration (i64.const 1)))
                (call $drop-pollable (local.get $p)) (call $drop-pollable (local.get $p))"),
        ),
        (
            "standard output closed twice",
            does(&[STDOUT, DROP_STREAM], "(local $s i32) (local.set $s (call $stdout))
                (call $drop-stream (local.get $s)) (call $drop-stream (local.get $s))"),
        ),
        (
            "standard output used after it was closed",
            does(&[STDOUT, DROP_STREAM, WRITE], "(local $s i32) (local.set $s (call $stdout))
                (call $drop-stream (local.get $s)) (call $write (local.get $s) (i32.const 0) (i32.const 1) (i32.const 64))"),
        ),
        ("more than 4096 bytes at once", does(&[STDOUT, WRITE], "(call $write (call $stdout) (i32.const 0) (i32.const \
            4097) (i32.const 64))")),
        ("2⁶⁴ zeroes", does(&[STDOUT, ZEROES], "(call $zeroes (call $stdout) (i64.const -1) (i32.const 64))")),
        ("waiting for nothing", does(&[POLL], "(call $poll (i32.const 0) (i32.const 0) (i32.const 64))")),
        ("ending the program", does(&[EXIT], "(call $exit (i32.const 0))")),
        ("the lent charm kept", checks("(return (i32.const 16))")),
        ("the lent charm given back twice", checks("(call $drop (local.get $charm)) (i32.const 16)")),
        ("the lent charm used as a clock", CoreGuest {
            imports: testing::owned(&[BLOCK]), ..checks("(call $block (local.get $charm)) (i32.const 16)")
        }),
    ];
    let sandbox = testing::sandbox(limits());
    for (what, guest) in cases {
        let function = if what.starts_with("the lent") { Function::IsValidCharm } else { Function::Initialize };
        tried(&sandbox, ("trap", what), guest.build(), function, Trapped).await;
    }
}
