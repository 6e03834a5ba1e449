//! Floods: too much of something.

use bg_poller::Integration;
use bg_poller::OutcomeKind::{LimitExceeded, Trapped};

use super::{Function, initialize, tried, unhurried};
use crate::testing::{self, CoreGuest, capture_log, runtime_with};

const LOG: (&str, &str, &str) = ("commontools:background/log", "write", "log");
const STDOUT: (&str, &str, &str) = ("wasi:cli/stdout", "get-stdout", "open");
const STDERR: (&str, &str, &str) = ("wasi:cli/stderr", "get-stderr", "open");
const WRITE: (&str, &str, &str) = ("wasi:io/streams", "[method]output-stream.blocking-write-and-flush", "write");
const ZEROES: (&str, &str, &str) =
    ("wasi:io/streams", "[method]output-stream.blocking-write-zeroes-and-flush", "zeroes");

/// Sets a title, clears the screen, forges a line, reverses text: 32 bytes.
const RUDE: &str = r"\1b]0;x\07\1b[2J\c2\9b31m\e2\80\aeINFO ok\0a\0d\e2\81\a6\ef\bb\bf";
const RUDE_BYTES: u32 = 36;

/// Does something 10,000 times.
fn times(body: &str) -> String {
    format!(
        "(local $n i32) (local $s i32)
        (loop $a {body}
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $a (i32.lt_u (local.get $n) (i32.const 10000))))"
    )
}

#[tokio::test]
async fn floods_of_lines_are_limited_escaped_and_counted() {
    let items = format!(r#"(data (i32.const 1024) "{RUDE}")"#);
    let print = times(&format!(
        "(if (i32.eqz (local.get $s)) (then (local.set $s (call $open))))
        (call $write (local.get $s) (i32.const 1024) (i32.const {RUDE_BYTES}) (i32.const 64))"
    ));
    let zeroes = times(
        "(if (i32.eqz (local.get $s)) (then (local.set $s (call $open))))
        (call $zeroes (local.get $s) (i64.const 4096) (i32.const 64))",
    );
    let long = times("(call $log (i32.const 4) (i32.const 1024) (i32.const 60000))");
    let sandbox = testing::sandbox(unhurried());
    for (what, guest) in [
        (
            "log lines",
            CoreGuest::initialize(
                &[LOG],
                &*items,
                &times(&format!("(call $log (i32.const 2) (i32.const 1024) (i32.const {RUDE_BYTES}))")),
            ),
        ),
        ("log lines of 60,000 bytes", CoreGuest::initialize(&[LOG], &*items, &long)),
        ("standard output", CoreGuest::initialize(&[STDOUT, WRITE], &*items, &print)),
        ("standard error", CoreGuest::initialize(&[STDERR, WRITE], &*items, &print)),
        ("zeroes without a line break", CoreGuest::initialize(&[STDERR, ZEROES], "", &zeroes)),
    ] {
        let (lines, _guard) = capture_log();
        let attempt = bg_abuse::Attempt::begin("flood", what);
        let guest = testing::load_integration(&sandbox, guest.build(), &runtime_with(&[])).await.unwrap();
        guest.initialize().await.unwrap();
        let lines = lines.of_guests();
        let bytes: usize = lines.iter().map(String::len).sum();
        assert!(lines.len() <= 201, "{what}: {} lines", lines.len());
        assert!(bytes < 100_000, "{what}: {bytes} bytes");
        let bad = |c: char| {
            c.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
                || c == '\u{feff}'
        };
        assert!(!lines.iter().any(|line| line.contains(bad)), "{what}: {lines:?}");
        assert!(lines.last().unwrap().ends_with("were not logged"), "{what}: {:?}", lines.last());
        attempt.ended(format!("{} lines, {bytes} bytes; the rest counted", lines.len()));
    }
}

#[tokio::test]
async fn floods_of_random_bytes_are_limited() {
    let random = ("wasi:random/random", "get-random-bytes", "random");
    let insecure = ("wasi:random/insecure", "get-insecure-random-bytes", "random");
    let sandbox = testing::sandbox(unhurried());
    for (what, import, bytes) in [
        ("2⁶⁴ random bytes", random, "-1"),
        ("1 GiB of random bytes", random, "1073741824"),
        ("2⁶⁴ insecure random bytes", insecure, "-1"),
    ] {
        let guest = CoreGuest::initialize(&[import], "", &format!("(call $random (i64.const {bytes}) (i32.const 64))"));
        tried(&sandbox, ("flood", what), guest.build(), Function::Initialize, LimitExceeded).await;
    }
}

#[tokio::test]
async fn floods_of_header_fields_are_limited() {
    let new = ("wasi:http/types", "[constructor]fields", "new");
    let append = ("wasi:http/types", "[method]fields.append", "append");
    let items = format!(r#"(data (i32.const 1024) "name") (data (i32.const 2048) "{}")"#, "x".repeat(1000));
    let guest = |bytes: u32| {
        let body = format!(
            "(local $f i32) (local.set $f (call $new))
            (loop $a
                (call $append (local.get $f) (i32.const 1024) (i32.const 4) (i32.const 2048) (i32.const {bytes}) (i32.const 64))
                (br $a))"
        );
        CoreGuest::initialize(&[new, append], &*items, &body)
    };
    let sandbox = testing::sandbox(unhurried());
    for (what, guest) in [("header fields of 1,000 bytes", guest(1000)), ("empty header fields", guest(0))] {
        tried(&sandbox, ("flood", what), guest.build(), Function::Initialize, LimitExceeded).await;
    }
}

#[tokio::test]
async fn a_stack_of_a_thousand_rude_names_is_cut_and_escaped() {
    // The guest chooses the names of its functions.
    let items = format!(r#"(func $deeper (@name "{RUDE}{}") (call $deeper))"#, "y".repeat(5_000));
    let mut guest = initialize("(call $deeper)");
    guest.items = items;
    let sandbox = testing::sandbox(unhurried());
    let error = tried(&sandbox, ("flood", "names in a stack"), guest.build(), Function::Initialize, Trapped).await;
    assert!(error.message.len() < 5_000 && !error.message.contains('\u{1b}'), "{error}");
}
