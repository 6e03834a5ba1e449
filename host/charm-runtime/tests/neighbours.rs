//! A charm that does what it should not, beside another in the same space that is polled all the while.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helper may panic as its test does, and tells its figures"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bg_abuse::Attempt;
use bg_charm_api::{Actor, DeployRequest, Spaces};
use bg_charm_runtime::{Handlers, LocalHandle, LocalOptions, LocalRuntime};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_identity::space_did;
use bg_poller::OutcomeKind::{self, HandlerFailed, LimitExceeded, OutOfMemory, Timeout};
use bg_poller::{CharmRef, CharmRuntime, Outcome};
use bg_sandbox::{CharmComponent, Limits, Sandbox, SandboxOptions, World};
use serde_json::{Map, json};
use tokio::task::JoinHandle;

/// How long a call may take here. The service's own limit is a minute.
const CALL: Duration = Duration::from_secs(4);

/// What a call that is ended, and the longest poll beside it, may take of that on a machine that is busy with other
/// things.
const PATIENCE: u32 = 10;

/// A charm that is tried.
struct Abuse {
    what: &'static str,
    /// What its handler does, after it has written.
    body: &'static str,
    /// A further statement of its pattern.
    made: &'static str,
    kind: OutcomeKind,
    message: &'static str,
}

const fn fails(what: &'static str, body: &'static str, kind: OutcomeKind, message: &'static str) -> Abuse {
    Abuse { what, body, made: "", kind, message }
}

const ABUSES: &[Abuse] = &[
    fails("an endless loop", "for (;;) {}", Timeout, ""),
    fails("an ArrayBuffer of 1 GiB", "new ArrayBuffer(1 << 30);", HandlerFailed, "RangeError: "),
    fails(
        "1 GiB in ArrayBuffers of 32 MiB",
        "const all = []; for (let n = 0; n < 32; n++) all.push(new ArrayBuffer(32 << 20));",
        HandlerFailed,
        "RangeError: ",
    ),
    fails("a text that doubles", "let text = 'more'; for (;;) text += text;", OutOfMemory, ""),
    fails("an array that doubles", "let list = [1]; for (;;) list = list.concat(list);", OutOfMemory, ""),
    fails("recursion, plain", "const down = (n) => down(n + 1) + 1; down(0);", HandlerFailed, "RangeError: "),
    fails(
        "recursion through map",
        "const down = (list) => list.map(() => down(list)); down([1]);",
        HandlerFailed,
        "RangeError: ",
    ),
    fails(
        "recursion through toJSON",
        "const o = { toJSON: () => JSON.stringify(o) }; JSON.stringify(o);",
        HandlerFailed,
        "RangeError: ",
    ),
    fails(
        "recursion through toString",
        "const down = () => ({ toString: () => `${down()}` }); String(down());",
        HandlerFailed,
        "RangeError: ",
    ),
    fails(
        "recursion through a getter",
        "const o = { get x() { return this.x; } }; o.x;",
        HandlerFailed,
        "RangeError: ",
    ),
    fails(
        "a throw in a timer",
        "setTimeout(() => { throw new Error('thrown in a timer'); }, 50);",
        HandlerFailed,
        "Error: thrown in a timer",
    ),
    fails(
        "a rejection after 500 ms",
        "void new Promise((_, reject) => setTimeout(() => reject(new Error('rejected late')), 500));",
        HandlerFailed,
        "Error: rejected late",
    ),
    fails("a write, then a throw", "throw new Error('thrown');", HandlerFailed, "Error: thrown"),
    Abuse {
        what: "a derived cell that throws",
        body: "",
        made: "const d = derive(written, (written) => { if (written.get() !== 'nothing') throw new Error('derived'); });",
        kind: HandlerFailed,
        message: "Error: derived",
    },
    Abuse {
        what: "derived cells that never settle",
        body: "",
        made: "const d = lift({}, undefined, ({ written }) => { if (written !== 'nothing') more.set((more.get() ?? 0) + 1); })({ written });",
        kind: HandlerFailed,
        message: "RangeError: derived cells don't settle",
    },
    fails(
        "a circle of links",
        "more.set({ written }); written.set({ more }); more.get();",
        HandlerFailed,
        "TypeError: links between cells go round in a circle",
    ),
    fails(
        "18 MiB of writes in one call",
        "list.set(Array.from({ length: 18 }, () => Cell.of('x'.repeat(1 << 20))));",
        HandlerFailed,
        "Error: cell ",
    ),
    fails(
        "600 more cells than there may be, call by call",
        "list.set(Array.from({ length: 600 }, (_, n) => Cell.of(n)));",
        LimitExceeded,
        "",
    ),
    fails(
        "an endless chain of microtasks",
        "const again = () => Promise.resolve().then(again); again();",
        OutOfMemory,
        "",
    ),
    fails("an interval that is never cleared", "setInterval(() => {}, 1);", Timeout, ""),
];

impl Abuse {
    fn source(&self) -> String {
        let Self { what, body, made, .. } = self;
        format!(
            "// {what}\nimport {{ Cell, derive, handler, lift, pattern }} from \"commontools\";\n\
             const fill = handler((_, {{ list }}) => {{ list.set(Array.from({{ length: 600 }}, (_, n) => Cell.of(n))); }});\n\
             const run = handler((_, {{ written, more, list }}) => {{ written.set(\"by it\"); more.set(1); {{ {body} }} }});\n\
             export default pattern(() => {{\n\
             const written = Cell.of(\"nothing\"), more = Cell.of(0), list = Cell.of([]); {made}\n\
             return {{ written, more, list, fill: fill({{ list }}), bgUpdater: run({{ written, more, list }}) }};\n}});\n"
        )
    }
}

const NEIGHBOUR: &str = "import { Cell, Default, derive, handler, pattern } from \"commontools\";\n\
    const poll = handler<unknown, { count: Cell<number> }>((_, { count }) => count.set(count.get() + 1));\n\
    export default pattern<{ count: Default<number, 0> }>(({ count }) => \
    ({ count, twice: derive(count, (n: number) => 2 * n), bgUpdater: poll({ count }) }));\n";

async fn runtime(dir: &Path) -> LocalHandle {
    let guests = tokio::task::spawn_blocking(bg_build::ensure_guests).await.unwrap().unwrap();
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect();
    let limits = Limits { charm_time: CALL, ..Limits::default() };
    let cache = Some(root.join("target/script-test-cache"));
    let sandbox = Sandbox::new(SandboxOptions { limits, cache, ..SandboxOptions::default() }).unwrap();
    let loaded = sandbox.load(std::fs::read(guests.path("script").unwrap()).unwrap(), World::Charm).await.unwrap();
    let http = Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Charms)).unwrap();
    let component = Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap());
    let handlers = Some(Handlers { component, http, api_url: None });
    let options = LocalOptions { handlers, ..LocalOptions::new(dir.join("runtime.db")) };
    Arc::new(LocalRuntime::open(options).unwrap()).as_actor(Actor::Operator)
}

async fn deploy(runtime: &LocalHandle, source: String) -> CharmRef {
    let (files, inputs) = (BTreeMap::new(), Map::new());
    let request = DeployRequest { file_name: "charm.ts".to_owned(), source, files, inputs, charm: None };
    runtime.deploy(&space_did("shared"), &request).await.unwrap().charm
}

async fn poll(runtime: &LocalHandle, charm: &CharmRef, stream: &str) -> Outcome {
    runtime.trigger(charm, stream, &json!({})).await.unwrap()
}

/// Polls of the neighbour, one after the other, until they are ended.
struct Polling {
    ended: Arc<AtomicBool>,
    succeeded: Arc<AtomicUsize>,
    task: JoinHandle<Vec<Duration>>,
}

impl Polling {
    fn begin(runtime: &LocalHandle, charm: &CharmRef) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let succeeded = Arc::new(AtomicUsize::new(0));
        let (runtime, charm, end, count) = (runtime.clone(), charm.clone(), Arc::clone(&ended), Arc::clone(&succeeded));
        let task = tokio::spawn(async move {
            let mut times = Vec::new();
            while !end.load(Ordering::Relaxed) {
                let began = Instant::now();
                let outcome = poll(&runtime, &charm, "bgUpdater").await;
                assert!(outcome.is_success(), "the neighbour: {outcome}");
                times.push(began.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
            }
            times
        });
        Self { ended, succeeded, task }
    }

    fn has_succeeded(&self) -> bool {
        self.succeeded.load(Ordering::Relaxed) > 0
    }

    async fn end(self) -> Vec<Duration> {
        self.ended.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_charm_does_its_neighbour_in_the_space_is_polled_and_nothing_of_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path()).await;
    let neighbour = deploy(&runtime, NEIGHBOUR.to_owned()).await;
    let (mut polls, mut wrong) = (0, Vec::new());
    println!("| abuse | outcome | took | neighbour's polls | longest |\n|---|---|---|---|---|");
    for abuse in ABUSES {
        let charm = deploy(&runtime, abuse.source()).await;
        if abuse.kind == LimitExceeded {
            assert!(poll(&runtime, &charm, "fill").await.is_success());
        }
        let before = runtime.show(&charm).await.unwrap().cells;
        let attempt = Attempt::begin("beside", abuse.what);
        let beside = Polling::begin(&runtime, &neighbour);
        let began = Instant::now();
        let outcome = poll(&runtime, &charm, "bgUpdater").await;
        let took = began.elapsed();
        // What ends sooner than a poll takes is done until one has succeeded beside it.
        while !beside.has_succeeded() {
            let again = poll(&runtime, &charm, "bgUpdater").await;
            assert_eq!(again.kind, outcome.kind, "{}: {again}", abuse.what);
        }
        let times = beside.end().await;

        let Abuse { what, kind, message, .. } = abuse;
        // What grows slowly may be out of time first.
        let expected = outcome.kind == *kind || (*kind, outcome.kind) == (OutOfMemory, Timeout);
        if !expected || !outcome.message.as_deref().unwrap_or_default().starts_with(message) {
            wrong.push(format!("{what}: {outcome}, and not {kind}: {message}"));
        }
        if runtime.show(&charm).await.unwrap().cells != before {
            wrong.push(format!("{what}: something that it wrote is kept"));
        }
        let longest = times.iter().max().copied().unwrap_or_default();
        assert!(took.max(longest) < PATIENCE * CALL, "{what}: it took {took:?}, and a poll beside it {longest:?}");
        polls += times.len();
        let shown = runtime.show(&neighbour).await.unwrap().cells;
        assert_eq!(shown["count"], json!(polls), "{what}: every poll of the neighbour is kept");
        assert_eq!(shown["twice"], json!(2 * polls));
        println!("| {what} | {outcome} | {} ms | {} | {} ms |", took.as_millis(), times.len(), longest.as_millis());
        let neighbours =
            format!("{} polls beside it succeeded, the longest in {} ms", times.len(), longest.as_millis());
        attempt.ended(format!("{}; {neighbours}", outcome.kind));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
