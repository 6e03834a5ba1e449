//! Hostile calls by the thousand: they leave nothing behind. A separate process, so that no other test affects the
//! counts. `BG_SOAK_CALLS` sets how many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fs};

use bg_egress::{ClientOptions, Gate, GateClient, GateOptions, Owner};
use bg_manifest::{EffectiveGrant, Manifest};
use bg_poller::OutcomeKind::{LimitExceeded, OutOfMemory, Timeout, Trapped, Unavailable};
use bg_poller::{Integration, OutcomeKind};
use bg_sandbox::{IntegrationComponent, IntegrationSetup, Limits, Registrations, Sandbox, SandboxOptions, World};
use tokio::task::JoinSet;

#[path = "../src/testing/contract.rs"]
#[allow(dead_code, reason = "shared with the unit tests")]
mod contract;
#[path = "../src/testing/runtime.rs"]
#[allow(dead_code, reason = "shared with the unit tests")]
mod runtime;
#[path = "../src/testing/server.rs"]
#[allow(dead_code, reason = "shared with the unit tests")]
mod server;
#[path = "../src/testing/web.rs"]
mod web;

use contract::CoreGuest;
use server::Server;

/// The default of `BG_SOAK_CALLS`; the whole test takes about half a minute.
const CALLS: usize = 24_000;
/// Concurrent calls.
const AT_ONCE: usize = 16;
/// How many the sandbox allows.
const PLACES: usize = 32;
/// How much memory may grow: a little more than the allocator keeps for the next call, for all concurrent calls.
const GROWTH_KIB: u64 = 24 * 1024;

/// The resources of the process.
#[derive(Clone, Copy, Debug)]
struct Holds {
    resident_kib: u64,
    files: usize,
    threads: usize,
}

impl Holds {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            files: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: fs::read_dir("/proc/self/task").unwrap().count(),
        }
    }
}

/// One of the hostile components, and how its calls must end; `None` is an answer.
struct Kind {
    name: &'static str,
    component: IntegrationComponent,
    end: Option<OutcomeKind>,
    /// Whether it sends requests.
    sends: bool,
}

fn way_to(server: &Server) -> GateClient {
    let origin = format!("http://{}", server.authority);
    let gate = Gate::new(GateOptions { allow_private: vec![origin.parse().unwrap()], ..GateOptions::default() });
    let grants = vec![EffectiveGrant { grant: format!("{origin}/").parse().unwrap(), credential: None }];
    gate.client(ClientOptions { grants, ..ClientOptions::new(Owner::Integration("soak".parse().unwrap())) }).unwrap()
}

async fn component(sandbox: &Sandbox, guest: &CoreGuest, http: GateClient) -> IntegrationComponent {
    let manifest = "[integration]\nid = \"soak\"\nname = \"Soak\"\nversion = \"0.1.0\"\n";
    let runtime = runtime::runtime_with(&[]);
    let setup = IntegrationSetup {
        manifest: Manifest::parse(manifest).unwrap(),
        config: BTreeMap::new(),
        registrations: Registrations::new("soak".parse().unwrap(), runtime.clone()),
        state: runtime,
        http,
    };
    let loaded = sandbox.load(guest.build(), World::Integration).await.unwrap();
    IntegrationComponent::new(sandbox, &loaded, setup).unwrap()
}

async fn kinds(sandbox: &Sandbox, server: &Server) -> Vec<Kind> {
    const LOG: (&str, &str, &str) = ("commontools:background/log", "write", "log");
    const CLOCK: (&str, &str, &str) = ("wasi:clocks/monotonic-clock", "subscribe-duration", "duration");
    let core = |body: &str| CoreGuest::initialize(&[LOG, CLOCK], "(func $deep (call $deep))", body);
    let web = |path: &str, body: &str| web::visitor(&server.authority, path, body);
    let spin = "(loop $a (br $a))";
    let never = format!("(call $block (call $subscribe-response (call $send (call $request)))) {spin}");
    let drip = format!(
        "(call $skip (call $stream (call $wait (call $send (call $request)))) (i64.const 9) (i32.const 64)) {spin}"
    );
    let guests = [
        ("trap", core("unreachable"), Some(Trapped)),
        ("deep recursion", core("(call $deep)"), Some(Trapped)),
        ("memory", core("(loop $a (drop (memory.grow (i32.const 99))) (br $a))"), Some(OutOfMemory)),
        ("handles", core("(loop $a (drop (call $duration (i64.const -1))) (br $a))"), Some(LimitExceeded)),
        ("log", core("(loop $a (call $log (i32.const 2) (i32.const 0) (i32.const 99)) (br $a))"), Some(Timeout)),
        ("loop", core(spin), Some(Timeout)),
        (
            "written memory",
            core("(memory.fill (i32.const 0) (i32.const 1) (i32.const 131072)) unreachable"),
            Some(Trapped),
        ),
        ("a response that never comes", web("/never", &never), Some(Timeout)),
        ("a body without an end", web("/drip", &drip), Some(Timeout)),
        ("eight requests left behind", web("/never", &"(drop (call $send (call $request)))".repeat(8)), None),
        ("a request that is answered", web("/ok", "(drop (call $wait (call $send (call $request))))"), None),
        ("nothing", CoreGuest::default(), None),
    ];
    let mut kinds = Vec::new();
    for (name, guest, end) in guests {
        let sends = guest.imports.iter().any(|(interface, _, _)| interface == "wasi:http/types");
        kinds.push(Kind { name, component: component(sandbox, &guest, way_to(server)).await, end, sends });
    }
    kinds
}

/// Makes `count` calls, some concurrently, of all kinds in turn.
async fn calls(kinds: &Arc<Vec<Kind>>, count: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (kinds, next) = (kinds.clone(), next.clone());
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                let kind = &kinds[number % kinds.len()];
                let end = kind.component.initialize().await.err().map(|error| error.kind);
                // On a busy machine, time may be up first: the call's, also while its request waits for room, or that
                // of a request, on which these guests trap.
                let is_late = end == Some(Timeout) || (matches!(end, Some(Trapped | Unavailable)) && kind.sends);
                assert!(end == kind.end || is_late, "{}: {end:?}", kind.name);
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
}

/// Waits until no connections are open except those kept for the next request of the one component that ends its
/// requests.
async fn settled(server: &Server) -> Holds {
    for _ in 0..500 {
        if server.open() <= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.open() <= 4, "{} connections are open", server.open());
    // Ended tasks are cleaned up by other tasks.
    tokio::time::sleep(Duration::from_millis(300)).await;
    Holds::now()
}

/// Makes one concurrent call for each permit.
async fn all_places_are_free(sandbox: &Sandbox) {
    let server = Server::start().await;
    let guest = web::visitor(&server.authority, "/never", "(drop (call $wait (call $send (call $request))))");
    // In the function that has time for it.
    let guest = CoreGuest { fetch_charms: guest.initialize.clone(), ..guest };
    let waiting = Arc::new(component(sandbox, &guest, way_to(&server)).await);
    let mut under_way = JoinSet::new();
    for _ in 0..PLACES {
        let waiting = waiting.clone();
        under_way.spawn(async move { waiting.fetch_charms().await });
    }
    for _ in 0..500 {
        if server.open() == PLACES {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} of {PLACES} permits are free", server.open());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_calls_leave_nothing_behind() {
    let count = env::var("BG_SOAK_CALLS").map_or(CALLS, |text| text.parse().expect("BG_SOAK_CALLS is a number"));
    let attempt = bg_abuse::Attempt::begin("cancelled", "hostile calls of twelve kinds in a row");
    let limits = Limits { initialize_time: Duration::from_millis(15), calls: PLACES, ..Limits::default() };
    let sandbox = Sandbox::new(SandboxOptions { limits, ..SandboxOptions::default() }).unwrap();
    let server = Server::start().await;
    let kinds = Arc::new(kinds(&sandbox, &server).await);
    calls(&kinds, count / 6).await;
    let before = settled(&server).await;
    calls(&kinds, count - count / 6).await;
    let after = settled(&server).await;
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    println!("{count} calls, {} connections; before {before:?}, after {after:?}", server.accepted());
    assert!(grown <= GROWTH_KIB, "{grown} KiB more after {count} calls");
    // Up to four connections are kept on each side.
    assert!(after.files <= before.files + 8, "{before:?} {after:?}");
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    drop(kinds);
    assert!(server.is_left_alone().await, "connections of dropped components");
    all_places_are_free(&sandbox).await;
    attempt.ended(format!(
        "{count} calls: {grown} KiB more, {} files and {} threads before, {} and {} after",
        before.files, before.threads, after.files, after.threads
    ));
}
