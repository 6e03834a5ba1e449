//! How late the polls of a healthy integration are while eight copies of a hostile one run all the time. Uses the real
//! poll loop, the real sandbox, and a charm runtime in memory. Runs each hostile kind, and none before and after, in
//! one run. `cargo bench --bench lateness` prints a table.

#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_manifest::Manifest;
use bg_poller::{CharmRef, Integration, Poller, PollerOptions};
use bg_sandbox::{IntegrationComponent, IntegrationSetup, Registrations, Sandbox, SandboxOptions, World};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[path = "../src/testing/guests.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod guests;
#[path = "../src/testing/runtime.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod runtime;

use guests::Guest;
use runtime::{MemoryCharm, MemoryRuntime, charm, runtime_with};

/// Charms of the healthy integration.
const CHARMS: usize = 10;
const INTERVAL: Duration = Duration::from_millis(200);
/// How long each kind is measured.
const PHASE: Duration = Duration::from_secs(10);
const COPIES: usize = 8;
/// Concurrent calls of each copy: together they take all permits of a service, as under the poll loop.
const CALLS_OF_EACH: usize = 2;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    // Built like the program's own runtime.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async { tokio::spawn(measure()).await? })
}

async fn measure() -> Result<(), Failure> {
    println!("{:<34} {:>26} {:>26}", "", "late, ms", "poll took, ms");
    println!("{:<34} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "median", "p99", "most", "median", "p99", "most");
    let wide = "(local $n i32) (loop $a (local.set $n (i32.add (local.get $n) (i32.const 1)))";
    let flood = "(loop $a (call $log (i32.const 2) (i32.const 0) (i32.const 60000)) (br $a))";
    // Some 7 ms of work, then a trap: no tick ever interrupts it.
    let short = format!("{wide} (br_if $a (i32.lt_u (local.get $n) (i32.const 8000000)))) unreachable");
    let straight = "(call $log (i32.const 0) (i32.const 0) (i32.const 16777216))".repeat(2_000);
    let bomb = "(loop $a (drop (memory.grow (i32.const 1))) (memory.fill (i32.const 0) (i32.const 1)
        (i32.mul (memory.size) (i32.const 65536))) (br $a))";
    let fill = "(loop $a (memory.fill (i32.const 0) (i32.const 1) (i32.const 65000000)) (br $a))";
    let kinds: [(&str, Option<(u32, &str)>); 8] = [
        ("nothing hostile", None),
        ("endless loops", Some((2, "(loop $a (br $a))"))),
        ("memory.fill of 62 MiB in a loop", Some((1_000, fill))),
        ("memory that grows and is written", Some((2, bomb))),
        ("log floods", Some((2, flood))),
        ("16 MiB log lines, straight on", Some((300, &straight))),
        ("7 ms of work and a trap, for ever", Some((2, &short))),
        ("nothing hostile, again", None),
    ];
    for (name, hostile) in kinds {
        phase(name, hostile).await?;
    }
    Ok(())
}

async fn phase(name: &str, hostile: Option<(u32, &str)>) -> Result<(), Failure> {
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let mut hogs = JoinSet::new();
    if let Some((pages, body)) = hostile {
        let guest = Guest { is_valid_charm: format!("{body} (i32.const 32)"), pages, ..Guest::default() }.build();
        for copy in 0..COPIES {
            let integration = Arc::new(load(&sandbox, &format!("hostile-{copy}"), &guest, &runtime_with(&[])).await?);
            for _ in 0..CALLS_OF_EACH {
                let integration = integration.clone();
                hogs.spawn(async move {
                    loop {
                        // However it ends, it is called again at once.
                        let _ = integration.is_valid_charm(Arc::new(MemoryCharm(charm("x")))).await;
                        tokio::task::yield_now().await;
                    }
                });
            }
        }
    }
    let measured = polls(&sandbox).await?;
    hogs.abort_all();
    let (mut late, mut took): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
    let count = late.len();
    let [late, took] = [&mut late, &mut took].map(|times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times[(count - 1) * share / 100];
        format!("{:>8.1} {:>8.1} {:>8.1}", at(50), at(99), at(100))
    });
    println!("{name:<34} {late} {took}   of {count}");
    Ok(())
}

/// Polls healthy charms for a while. Returns, in milliseconds, how late each poll started and how long it took.
async fn polls(sandbox: &Sandbox) -> Result<Vec<(f64, f64)>, Failure> {
    let charms: Vec<CharmRef> = (0..CHARMS).map(|number| charm(&number.to_string())).collect();
    let registrations: Vec<_> = charms.iter().map(|charm| (charm.clone(), "healthy", true)).collect();
    let runtime = runtime_with(&registrations);
    let names: Vec<_> = charms.iter().map(|charm| (charm.space.to_string(), charm.charm.to_string())).collect();
    let names: Vec<_> = names.iter().map(|(space, id)| (&**space, &**id)).collect();
    let (items, fetch_charms) = guests::refs(&names);
    let healthy = Guest { items, fetch_charms, pages: 4, ..Guest::default() }.build();
    let healthy: Arc<dyn Integration> = Arc::new(load(sandbox, "healthy", &healthy, &runtime).await?);
    let due: Mutex<HashMap<CharmRef, u64>> = Mutex::default();
    let measured: Arc<Mutex<Vec<(f64, f64)>>> = Arc::default();
    let polls = measured.clone();
    let options = PollerOptions {
        interval: INTERVAL,
        log_interval: Duration::ZERO,
        on_poll: Some(Arc::new(move |event| {
            let mut due = due.lock().expect("no thread panics while holding it");
            if let Some(due) = due.get(&event.charm) {
                let late = event.started_at.0.saturating_sub(*due);
                let took = event.duration.as_secs_f64() * 1e3;
                #[allow(clippy::cast_precision_loss, reason = "milliseconds of a few seconds")]
                polls.lock().expect("no thread panics while holding it").push((late as f64, took));
            }
            if let Some(next) = event.next_due {
                due.insert(event.charm.clone(), next.0);
            }
        })),
        ..PollerOptions::default()
    };
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::time::sleep(PHASE).await;
        stop.cancel();
    });
    Poller::new(runtime.clone(), runtime, vec![healthy], options).run(shutdown).await?;
    Ok(std::mem::take(&mut *measured.lock().expect("no thread panics while holding it")))
}

async fn load(
    sandbox: &Sandbox,
    id: &str,
    component: &[u8],
    runtime: &Arc<MemoryRuntime>,
) -> Result<IntegrationComponent, Failure> {
    let manifest = format!("[integration]\nid = \"{id}\"\nname = \"{id}\"\nversion = \"0.1.0\"\n");
    let setup = IntegrationSetup {
        manifest: Manifest::parse(&manifest)?,
        config: BTreeMap::new(),
        registrations: Registrations::new(id.parse()?, runtime.clone()),
        state: runtime.clone(),
        http: Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Integration(id.parse()?)))?,
    };
    let loaded = sandbox.load(component.to_owned(), World::Integration).await?;
    Ok(IntegrationComponent::new(sandbox, &loaded, setup)?)
}
