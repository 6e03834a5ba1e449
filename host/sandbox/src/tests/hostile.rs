//! Hostile guests: each ends with its kind of outcome, and holds up nothing else.

mod floods;
mod loops;
mod objects;
mod privacy;
mod references;
mod results;
mod traps;
mod validity;
mod versions;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use bg_abuse::Attempt;
use bg_poller::OutcomeKind::{LimitExceeded, OutOfMemory, Timeout, Trapped};
use bg_poller::{Integration, IntegrationError, OutcomeKind};

use crate::testing::{self, Guest, capture_log, charm, integration, runtime_with};
use crate::{Allocation, IntegrationComponent, Limits, Sandbox, SandboxOptions, World};

/// Short, since some tests wait for it to pass; long enough for a healthy call on a busy machine.
const TIME: Duration = Duration::from_millis(1500);

fn limits() -> Limits {
    Limits { initialize_time: TIME, fetch_charms_time: TIME, is_valid_charm_time: TIME, ..Limits::default() }
}

/// For calls that must meet another limit first, on a busy machine as well.
fn unhurried() -> Limits {
    let time = TIME * 20;
    Limits { initialize_time: time, fetch_charms_time: time, is_valid_charm_time: time, ..limits() }
}

/// For calls that must time out.
fn short() -> Limits {
    let time = TIME / 5;
    Limits { initialize_time: time, fetch_charms_time: time, is_valid_charm_time: time, ..limits() }
}

/// One of the three functions that an integration exports.
#[derive(Clone, Copy, Debug)]
enum Function {
    Initialize,
    FetchCharms,
    IsValidCharm,
}

/// Tries a function of an integration, which must end as `expected`, and records the attempt under a row's name and a
/// description.
async fn tried_with(
    integration: &IntegrationComponent,
    (row, what): (&str, &str),
    function: Function,
    expected: OutcomeKind,
) -> IntegrationError {
    let attempt = Attempt::begin(row, what);
    let end = match function {
        Function::Initialize => integration.initialize().await,
        Function::FetchCharms => integration.fetch_charms().await.map(drop),
        Function::IsValidCharm => {
            integration.is_valid_charm(Arc::new(testing::MemoryCharm(charm("a")))).await.map(drop)
        }
    };
    let error = end.expect_err(what);
    assert_eq!(error.kind, expected, "{what}: {error}");
    attempt.ended(error.kind);
    error
}

/// The same for a component with nothing registered.
async fn tried(
    sandbox: &Sandbox,
    row: (&str, &str),
    component: Vec<u8>,
    function: Function,
    expected: OutcomeKind,
) -> IntegrationError {
    let integration = testing::load_integration(sandbox, component, &runtime_with(&[])).await;
    let integration = integration.unwrap_or_else(|error| panic!("{}: {error}", row.1));
    tried_with(&integration, row, function, expected).await
}

fn initialize(body: &str) -> Guest {
    Guest { initialize: format!("{body} (i32.const 16)"), ..Guest::default() }
}

async fn failure(limits: Limits, guest: &Guest) -> IntegrationError {
    integration(limits, guest).await.initialize().await.unwrap_err()
}

/// A guest that imports a clock and can wait for it.
fn sleeper() -> Guest {
    Guest {
        imports: r#"
            (import "wasi:io/poll@0.2.12" (instance $poll
                (export "pollable" (type $p (sub resource)))
                (export "[method]pollable.block" (func (param "self" (borrow $p))))))
            (alias export $poll "pollable" (type $pollable))
            (import "wasi:clocks/monotonic-clock@0.2.12" (instance $clock
                (alias outer 1 $pollable (type $p))
                (export "pollable" (type (eq $p)))
                (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
            (core func $block (canon lower (func $poll "[method]pollable.block")))
            (core func $subscribe (canon lower (func $clock "subscribe-duration")))"#
            .into(),
        more: r#"(export "block" (func $block)) (export "subscribe" (func $subscribe))"#.into(),
        items: r#"
            (import "more" "block" (func $block (param i32)))
            (import "more" "subscribe" (func $subscribe (param i64) (result i32)))"#
            .into(),
        ..Guest::default()
    }
}

#[tokio::test]
async fn an_endless_loop_ends_in_time_and_others_run_meanwhile() {
    let sandbox = testing::sandbox(limits());
    let runtime = runtime_with(&[]);
    let endless = initialize("(loop $again (br $again))");
    let endless = testing::load_integration(&sandbox, endless.build(), &runtime).await.unwrap();
    let healthy = testing::load_integration(&sandbox, Guest::default().build(), &runtime).await.unwrap();
    // One thread for both.
    let looping = endless.initialize();
    tokio::pin!(looping);
    for _ in 0..3 {
        tokio::select! {
            biased;
            end = &mut looping => panic!("{end:?} before the healthy call"),
            fine = healthy.initialize() => fine.unwrap(),
        }
    }
    let error = looping.await.unwrap_err();
    assert_eq!(error.kind, Timeout);
    assert_eq!(error.message, "initialize took longer than 1500 ms");
}

#[tokio::test]
async fn the_sum_of_all_memories_is_limited() {
    // 64 MiB are 1,024 pages.
    let bomb = initialize("(loop $again (drop (memory.grow (i32.const 16))) (br $again))");
    let mut several = initialize(
        "(drop (memory.grow $a (i32.const 400))) (drop (memory.grow $b (i32.const 400)))
         (if (i32.eq (memory.grow $c (i32.const 400)) (i32.const -1)) (then unreachable))",
    );
    several.items = "(memory $a 0) (memory $b 0) (memory $c 0)".into();
    let initial = Guest { pages: 1025, ..Guest::default() };
    let initial_sum = Guest { items: "(memory 600) (memory 600)".into(), ..Guest::default() };
    for allocation in [Allocation::Pool, Allocation::OnDemand] {
        // Without a pool, a growing memory is moved each time, which takes a while.
        let limits = Limits { initialize_time: Duration::from_mins(1), ..limits() };
        let options = SandboxOptions { limits, allocation, ..SandboxOptions::default() };
        let sandbox = Sandbox::new(options).unwrap();
        for (name, guest) in [
            ("one memory that grows", &bomb),
            ("several memories, under the limit each", &several),
            ("one memory, over it from the start", &initial),
            ("several memories, over it together from the start", &initial_sum),
        ] {
            let what = format!("{name}, {allocation:?}");
            let error = tried(&sandbox, ("memory", &what), guest.build(), Function::Initialize, OutOfMemory).await;
            assert_eq!(error.message, "initialize wanted more than 64 MiB of memory", "{what}");
        }
    }
}

#[tokio::test]
async fn a_guest_that_makes_do_with_less_memory_continues() {
    let modest = initialize("(drop (memory.grow (i32.const 2000))) (drop (memory.grow (i32.const 100)))");
    integration(limits(), &modest).await.initialize().await.unwrap();
}

#[tokio::test]
async fn traps_say_where_they_happened() {
    let (lines, _guard) = capture_log();
    let mut deep = initialize("(call $deeper)");
    deep.items = "(func $deeper (call $deeper))".into();
    for (guest, text) in [
        (initialize("unreachable"), "unreachable"),
        (deep, "stack"),
        (initialize("(i32.load (i32.const -4)) drop"), "out of bounds"),
    ] {
        let error = failure(limits(), &guest).await;
        assert_eq!(error.kind, Trapped);
        assert!(error.message.contains(text), "{error}");
    }
    assert_eq!(lines.of_guests(), [""; 0]);
}

#[tokio::test]
async fn an_instance_is_never_used_again() {
    let mut once = initialize("(if (global.get $used) (then unreachable)) (global.set $used (i32.const 1))");
    once.items = "(global $used (mut i32) (i32.const 0))".into();
    let once = integration(limits(), &once).await;
    once.initialize().await.unwrap();
    once.initialize().await.unwrap();
}

/// wasmtime's messages for limits that have no error type.
#[tokio::test]
async fn limits_are_recognized_by_wasmtimes_messages() {
    let too_much = Guest {
        // Two million references would take 96 MB in the host.
        fetch_charms: "(i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const 2000000))
            (i32.const 16)"
            .into(),
        pages: 600,
        ..Guest::default()
    };
    let error = integration(limits(), &too_much).await.fetch_charms().await.unwrap_err();
    assert_eq!(error.kind, LimitExceeded, "{error}");
    // Two instances where one is allowed; the same for tables and memories.
    let on_demand = |limits| SandboxOptions { limits, allocation: Allocation::OnDemand, ..SandboxOptions::default() };
    let table = Guest { items: "(table 1 funcref) (table 1 funcref)".into(), ..Guest::default() };
    for limits in [Limits { instances: 1, ..limits() }, Limits { tables: 1, ..limits() }] {
        let sandbox = Sandbox::new(on_demand(limits)).unwrap();
        let guest = testing::load_integration(&sandbox, table.build(), &runtime_with(&[])).await.unwrap();
        let error = guest.initialize().await.unwrap_err();
        assert_eq!(error.kind, LimitExceeded, "{error}");
    }
    let mut handles = sleeper();
    handles.initialize = "(loop $again (drop (call $subscribe (i64.const 1))) (br $again)) (i32.const 16)".into();
    // The host's own table of resources does not interfere here.
    let error = failure(Limits { resources: 10, ..limits() }, &handles).await;
    assert_eq!(error.kind, LimitExceeded, "{error}");
}

#[tokio::test]
async fn with_a_pool_a_component_that_can_never_run_is_refused_on_loading() {
    let sandbox = testing::sandbox(Limits { instances: 1, ..limits() });
    let error = sandbox.load(Guest::default().build(), World::Integration).await.err();
    match sandbox.allocation() {
        Allocation::Pool => assert!(error.unwrap().to_string().contains("instances")),
        Allocation::OnDemand => assert!(error.is_none()),
    }
}

#[tokio::test]
async fn randomness_is_bounded() {
    let guest = |bytes: u32| Guest {
        imports: r#"
            (import "wasi:random/random@0.2.0" (instance $random
                (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
            (core func $random (canon lower (func $random "get-random-bytes")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#
            .into(),
        more: r#"(export "random" (func $random))"#.into(),
        items: r#"(import "more" "random" (func $random (param i64 i32)))"#.into(),
        initialize: format!("(call $random (i64.const {bytes}) (i32.const 512)) (i32.const 16)"),
        ..Guest::default()
    };
    integration(limits(), &guest(65_536)).await.initialize().await.unwrap();
    let error = failure(limits(), &guest(65_537)).await;
    assert_eq!(error.kind, LimitExceeded);
    assert!(error.message.contains("65537 random bytes"), "{error}");
}

#[tokio::test]
async fn a_log_flood_is_limited_and_escaped() {
    let (lines, _guard) = capture_log();
    let mut flood = initialize(
        "(loop $again
            (call $log (i32.const 2) (i32.const 1024) (i32.const 6))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 10000))))",
    );
    flood.initialize = format!("(local $n i32) {}", flood.initialize);
    flood.items = r#"(data (i32.const 1024) "\1b[31m\0a")"#.into();
    integration(limits(), &flood).await.initialize().await.unwrap();
    let lines = lines.of_guests();
    assert_eq!(lines.len(), 201);
    assert_eq!(lines[0], "guest INFO integration=gmail \\u{1b}[31m\\n");
    assert_eq!(lines[200], "guest WARN integration=gmail 9800 more lines (58800 bytes) were not logged");
}

#[tokio::test]
async fn printing_is_logged_and_exiting_ends_the_call() {
    let (lines, _guard) = capture_log();
    let imports = r#"
        (import "wasi:io/error@0.2.3" (instance $ioerror (export "error" (type (sub resource)))))
        (alias export $ioerror "error" (type $ioerror))
        (import "wasi:io/streams@0.2.3" (instance $streams
            (alias outer 1 $ioerror (type $e))
            (export "output-stream" (type $out (sub resource)))
            (type $se (variant (case "last-operation-failed" (own $e)) (case "closed")))
            (export "stream-error" (type $serr (eq $se)))
            (export "[method]output-stream.blocking-write-and-flush"
                (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $serr)))))))
        (alias export $streams "output-stream" (type $out))
        (import "wasi:cli/stderr@0.2.3" (instance $stderr
            (alias outer 1 $out (type $o))
            (export "output-stream" (type $o2 (eq $o)))
            (export "get-stderr" (func (result (own $o2))))))
        (import "wasi:cli/exit@0.2.3" (instance $exit (export "exit" (func (param "status" (result))))))
        (core func $get-stderr (canon lower (func $stderr "get-stderr")))
        (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core func $exit (canon lower (func $exit "exit")))"#;
    let more = r#"(export "stderr" (func $get-stderr)) (export "write" (func $write)) (export "exit" (func $exit))"#;
    let items = r#"
        (import "more" "stderr" (func $stderr (result i32)))
        (import "more" "write" (func $write (param i32 i32 i32 i32)))
        (import "more" "exit" (func $exit (param i32)))
        (data (i32.const 1024) "panicked at main.rs\nnote: x")"#;
    let initialize = "(call $write (call $stderr) (i32.const 1024) (i32.const 27) (i32.const 2048))
        (call $exit (i32.const 1)) (i32.const 16)";
    let guest = Guest {
        initialize: initialize.into(),
        items: items.into(),
        imports: imports.into(),
        more: more.into(),
        ..Guest::default()
    };
    let error = failure(limits(), &guest).await;
    assert_eq!((error.kind, &*error.message), (Trapped, "initialize ended the program, with status 1"));
    assert_eq!(
        lines.of_guests(),
        ["guest WARN integration=gmail panicked at main.rs", "guest WARN integration=gmail note: x"]
    );
}

#[tokio::test]
async fn many_hostile_calls_release_every_permit() {
    let sandbox = testing::sandbox(Limits { calls: 2, initialize_time: Duration::from_millis(50), ..limits() });
    let runtime = runtime_with(&[]);
    let bodies = ["unreachable", "(loop $again (br $again))", "(loop $a (drop (memory.grow (i32.const 99))) (br $a))"];
    let mut components: Vec<IntegrationComponent> = Vec::new();
    for body in bodies {
        components.push(testing::load_integration(&sandbox, initialize(body).build(), &runtime).await.unwrap());
    }
    let mut ends: Vec<OutcomeKind> = Vec::new();
    for round in 0..12 {
        ends.push(components[round % 3].initialize().await.unwrap_err().kind);
    }
    assert_eq!(ends, [Trapped, Timeout, OutOfMemory].repeat(4));
    let healthy = testing::load_integration(&sandbox, Guest::default().build(), &runtime).await.unwrap();
    healthy.initialize().await.unwrap();
}
