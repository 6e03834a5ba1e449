//! Endless objects: tables, instances, handles of the host's resources.

use bg_poller::OutcomeKind::LimitExceeded;

use super::{Function, initialize, tried, tried_with, unhurried};
use crate::testing::{self, CoreGuest, Guest, charm, runtime_with, web};
use crate::{Allocation, Sandbox, SandboxOptions, World};

#[tokio::test]
async fn handles_of_each_kind_are_limited() {
    let loops = |imports: &[_], body: &str| CoreGuest::initialize(imports, "", &format!("(loop $a {body} (br $a))"));
    let http = |items: &str, body: &str| {
        let mut guest = web::visitor("127.0.0.1:1", "/", &format!("(loop $a {body} (br $a))"));
        guest.items.push_str(items);
        guest
    };
    let duration = ("wasi:clocks/monotonic-clock", "subscribe-duration", "duration");
    let stdout = ("wasi:cli/stdout", "get-stdout", "stdout");
    let stdin = ("wasi:cli/stdin", "get-stdin", "stdin");
    let network = ("wasi:sockets/instance-network", "instance-network", "network");
    let options = ("wasi:http/types", "[constructor]request-options", "options");
    let cases = [
        ("pollables", loops(&[duration], "(drop (call $duration (i64.const -1)))")),
        ("output streams", loops(&[stdout], "(drop (call $stdout))")),
        ("input streams", loops(&[stdin], "(drop (call $stdin))")),
        ("networks", loops(&[network], "(drop (call $network))")),
        ("request options", loops(&[options], "(drop (call $options))")),
        ("fields", http("", "(drop (call $new-fields))")),
        (
            "full fields",
            http(
                r#"(data (i32.const 1200) "name")"#,
                "(local.set $f (call $new-fields))
                (call $append (local.get $f) (i32.const 1200) (i32.const 4) (i32.const 2048) (i32.const 16000) (i32.const 64))",
            ),
        ),
        ("requests", http("", "(drop (call $request))")),
        (
            "requests with part of a body each",
            http(
                "",
                "(call $write (call $upload (call $request)) (i32.const 0) (i32.const 4096) (i32.const 64))",
            ),
        ),
        ("pending responses", http("", "(drop (call $send (call $request)))")),
    ];
    let sandbox = testing::sandbox(unhurried());
    for (what, mut guest) in cases {
        // Values of header fields contain no zeros.
        guest.items = format!(r#"{} (data (i32.const 2048) "{}")"#, guest.items, "x".repeat(16_000));
        guest.initialize = format!("(local $f i32) {}", guest.initialize);
        tried(&sandbox, ("objects", what), guest.build(), Function::Initialize, LimitExceeded).await;
    }
}

#[tokio::test]
async fn open_charms_are_limited() {
    let registered = charm("a");
    let (space, id) = (registered.space.to_string(), registered.charm.to_string());
    let items = format!(r#"(data (i32.const 1024) "{space}{id}")"#);
    let body = format!(
        "(loop $a (call $open (i32.const 1024) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const 64)) (br $a))",
        space.len(),
        1024 + space.len(),
        id.len()
    );
    let guest = CoreGuest::initialize(&[("commontools:background/charms", "open", "open")], items, &body).build();
    let runtime = runtime_with(&[(registered, "gmail", true)]);
    let hostile = testing::load_integration(&testing::sandbox(unhurried()), guest, &runtime).await.unwrap();
    tried_with(&hostile, ("objects", "open charms"), Function::Initialize, LimitExceeded).await;
}

/// A component with `count` instances of a core module that contains this.
fn instances(count: usize, module: &str) -> Guest {
    let instances = "(core instance (instantiate $extra))".repeat(count);
    Guest { imports: format!("(core module $extra {module}) {instances}"), ..Guest::default() }
}

#[tokio::test]
async fn the_numbers_of_instances_memories_and_tables_are_limited() {
    let sandbox = |allocation| {
        Sandbox::new(SandboxOptions { limits: unhurried(), allocation, ..SandboxOptions::default() }).unwrap()
    };
    let on_demand = sandbox(Allocation::OnDemand);
    let pool = sandbox(Allocation::Pool);
    for (what, guest) in [
        ("900 core instances", instances(900, "")),
        ("20 memories", instances(20, "(memory 1)")),
        ("20 tables", instances(20, "(table 1 funcref)")),
    ] {
        tried(&on_demand, ("objects", what), guest.build(), Function::Initialize, LimitExceeded).await;
        if pool.allocation() == Allocation::Pool {
            let attempt = bg_abuse::Attempt::begin("objects", format!("{what}, for a pool"));
            let error = pool.load(guest.build(), World::Integration).await.err().unwrap();
            attempt.ended(format!("not loaded: {error}"));
        }
    }
}

#[tokio::test]
async fn the_sum_of_all_tables_is_limited() {
    let grown = Guest {
        items: "(table 0 funcref)".into(),
        ..initialize("(loop $again (drop (table.grow (ref.null func) (i32.const 1000))) (br $again))")
    };
    let initial = Guest { items: "(table 30000 funcref) (table 30000 funcref)".into(), ..Guest::default() };
    let sandbox = testing::sandbox(unhurried());
    for (what, guest) in [("one table that grows", grown), ("two tables, large from the start", initial)] {
        let error = tried(&sandbox, ("objects", what), guest.build(), Function::Initialize, LimitExceeded).await;
        assert!(error.message.contains("40000 elements"), "{error}");
    }
}

/// What the host keeps for a handle is limited, too: there may be a thousand handles.
#[tokio::test]
async fn a_request_that_is_kept_takes_little_of_the_host() {
    let text = "a".repeat(4096);
    let sixteen_mib = 1 << 24;
    // Traps unless it is refused. The text begins at 64 KiB; the guest fills what lies beyond the first page.
    let refused = |call: &str| {
        let body = format!(
            "(local $r i32) (local.set $r (call $request))
            (memory.fill (i32.const 65536) (i32.const 97) (i32.const {sixteen_mib}))
            (i32.store8 (i32.const 65536) (i32.const 47))
            (if (i32.eqz {call}) (then unreachable))"
        );
        let mut guest = web::visitor("127.0.0.1:1", "/", &body);
        guest.pages = 300;
        guest.items = format!(r#"{} (data (i32.const 65536) "{text}")"#, guest.items);
        guest
    };
    let sandbox = testing::sandbox(unhurried());
    let runtime = runtime_with(&[]);
    for (what, call) in [
        (
            "a method of 16 MiB",
            "(call $set-method (local.get $r) (i32.const 9) (i32.const 65537) (i32.const 16777215))",
        ),
        (
            "a host name of 16 MiB",
            "(call $set-authority (local.get $r) (i32.const 1) (i32.const 65537) (i32.const 16777215))",
        ),
        ("a path of 60 KiB", "(call $set-path (local.get $r) (i32.const 1) (i32.const 65536) (i32.const 60000))"),
    ] {
        let attempt = bg_abuse::Attempt::begin("objects", what);
        let guest = testing::load_integration(&sandbox, refused(call).build(), &runtime).await.unwrap();
        bg_poller::Integration::initialize(&guest).await.unwrap();
        attempt.ended("refused");
    }
}
