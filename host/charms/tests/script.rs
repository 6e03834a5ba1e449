//! Charms in TypeScript, for real: transpiled, and run by the script component in the sandbox, with the gate before the network.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helper may panic as its test does, and tells times"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_charms::transpile::{EXPORTS, transpile};
use bg_egress::{ClientOptions, Gate, GateClient, GateOptions, Owner};
use bg_manifest::EffectiveGrant;
use bg_poller::{CharmRef, OutcomeKind};
use bg_sandbox::{CallFailure, CallLines, CharmCall, CharmComponent, Limits, Sandbox, SandboxOptions, Shape, World};
use bg_test_support::FakeGoogle;
use serde_json::{Value, json};

/// Where things of the workspace are.
fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The script component in a sandbox of its own, with the time that a call may take. Its compiled code is kept for the next test.
async fn component(charm_time: Duration) -> Arc<CharmComponent> {
    let guests = tokio::task::spawn_blocking(bg_build::ensure_guests).await.unwrap().unwrap();
    let limits = Limits { charm_time, ..Limits::default() };
    let cache = Some(workspace("target/script-test-cache"));
    let sandbox = Sandbox::new(SandboxOptions { limits, cache, ..SandboxOptions::default() }).unwrap();
    let loaded = sandbox.load(std::fs::read(guests.path("script").unwrap()).unwrap(), World::Charm).await.unwrap();
    Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap())
}

/// The charms' way out: to `origin` alone, if any.
fn client(origin: Option<&str>) -> GateClient {
    let mut gate = GateOptions::default();
    let mut options = ClientOptions::new(Owner::Charms);
    if let Some(origin) = origin {
        gate.allow_private.push(origin.parse().unwrap());
        options.grants.push(EffectiveGrant { grant: format!("GET,POST {origin}").parse().unwrap(), credential: None });
    }
    Gate::new(gate).client(options).unwrap()
}

/// A deployed charm.
struct Charm {
    component: Arc<CharmComponent>,
    http: GateClient,
    config: BTreeMap<String, String>,
    cells: BTreeMap<String, String>,
    shape: Shape,
}

impl Charm {
    async fn deploy(
        component: &Arc<CharmComponent>,
        file: &str,
        source: &str,
        inputs: &Value,
        http: GateClient,
    ) -> Result<Self, CallFailure> {
        let module = transpile(file, source).unwrap_or_else(|error| panic!("{error}")).module;
        let config = [("charm.module", module), ("charm.file", file.to_owned())];
        let config = config.map(|(key, value)| (key.to_owned(), value)).into();
        let mut charm =
            Self { component: component.clone(), http, config, cells: BTreeMap::new(), shape: Shape::default() };
        let mut config = charm.config.clone();
        config.insert("charm.inputs".into(), inputs.to_string());
        let (shape, writes) = component.setup(charm.call(config)).await?;
        charm.shape = shape;
        charm.cells.extend(writes);
        Ok(charm)
    }

    async fn fixture(component: &Arc<CharmComponent>, file: &str, inputs: Value, http: GateClient) -> Self {
        let source = std::fs::read_to_string(workspace("tests/fixtures").join(file)).unwrap();
        Self::deploy(component, file, &source, &inputs, http)
            .await
            .unwrap_or_else(|failure| panic!("{file}: {failure:?}"))
    }

    fn call(&self, config: BTreeMap<String, String>) -> CharmCall {
        let space = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo".parse().unwrap();
        CharmCall {
            charm: CharmRef { space, charm: "fid1:test".parse().unwrap() },
            cells: Box::new(self.cells.clone()),
            streams: self.shape.streams.iter().cloned().collect::<BTreeSet<_>>(),
            config: Arc::new(config),
            http: self.http.clone(),
            secrets: Vec::new(),
            log: CallLines::default(),
        }
    }

    async fn trigger(&mut self, stream: &str, event: Value) -> Result<(), CallFailure> {
        let writes = self.component.handle(self.call(self.config.clone()), stream, &event.to_string()).await?;
        self.cells.extend(writes);
        Ok(())
    }

    async fn poll(&mut self) {
        self.trigger("bgUpdater", json!({})).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    }

    fn cell(&self, name: &str) -> Value {
        self.cells.get(name).map_or(Value::Null, |json| serde_json::from_str(json).unwrap())
    }

    /// What each item of a cell has under a key.
    fn each(&self, cell: &str, key: &str) -> Vec<String> {
        let items = self.cell(cell);
        items.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counter_counts() {
    let component = component(Duration::from_secs(20)).await;
    let mut charm = Charm::fixture(&component, "counter.tsx", json!({"count": 5}), client(None)).await;
    assert_eq!(charm.shape.name.as_deref(), Some("Counter"));
    assert_eq!(charm.shape.streams, ["add", "bgUpdater"]);
    assert_eq!(charm.cell("lastPolled"), json!("never"));
    let began = Instant::now();
    for _ in 0..100 {
        charm.poll().await;
    }
    println!("a warm poll of the counter: {:?}", began.elapsed() / 100);
    charm.trigger("add", json!({"by": 10})).await.unwrap();
    assert_eq!(charm.cell("count"), json!(115));
    let polled = charm.cell("lastPolled");
    assert!(polled.as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')), "{polled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gmail_importer_lists_then_follows_the_history_and_starts_over_when_that_is_gone() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let first = google.deliver("First", "a@example.com");
    google.deliver("Second", "b@example.com");
    let inputs = json!({"auth": {"token": google.issue_token()}, "apiBaseUrl": google.base_url()});
    let mut charm = Charm::fixture(&component, "gmail.tsx", inputs, client(Some(&google.base_url()))).await;
    let mut secrets = charm.shape.secrets.clone();
    secrets.sort();
    assert_eq!(secrets, [["auth", "refreshToken"], ["auth", "token"]]);
    let subjects = |charm: &Charm| charm.each("emails", "subject").into_iter().collect::<BTreeSet<_>>();
    let set = |subjects: &[&str]| subjects.iter().map(ToString::to_string).collect::<BTreeSet<_>>();

    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["First", "Second"]));
    assert_eq!(charm.cell("settings")["historyId"], json!(google.history_id().to_string()));
    google.take_requests();

    google.deliver("Third", "c@example.com");
    google.delete(&first);
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Second", "Third"]));
    let asked = google.take_requests();
    assert_eq!(asked.len(), 2, "the history and one message: {asked:?}");

    google.forget_history();
    google.deliver("Fourth", "d@example.com");
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Second", "Third", "Fourth"]));

    google.expire_tokens();
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!(failure.kind, OutcomeKind::HandlerFailed);
    assert!(failure.message.starts_with("GmailError: Gmail refused the token (401)"), "{failure:?}");
    let stack = failure.stack.unwrap();
    let source = std::fs::read_to_string(workspace("tests/fixtures/gmail.tsx")).unwrap();
    let thrown = "throw new GmailError(response.status, path)";
    let line = 1 + source.lines().position(|line| line.contains(thrown)).unwrap();
    assert!(stack.contains(&format!("gmail.tsx:{line}:")), "the author's line {line}:\n{stack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_mailbox_is_imported_over_several_polls() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    for n in 0..100 {
        google.deliver(&format!("Mail {n}"), "a@example.com");
    }
    let inputs = json!({"auth": {"token": google.issue_token()}, "apiBaseUrl": google.base_url()});
    let mut charm = Charm::fixture(&component, "gmail.tsx", inputs, client(Some(&google.base_url()))).await;
    for expected in [48, 96, 100, 100] {
        let began = Instant::now();
        charm.poll().await;
        println!("{expected} mails: {:?}", began.elapsed());
        assert_eq!(charm.cell("emails").as_array().unwrap().len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calendar_importer_follows_its_sync_token() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let lunch = google.add_event("Lunch", 1_800_000_000_000);
    google.add_event("Dinner", 1_800_030_000_000);
    let inputs = json!({"auth": {"token": google.issue_token()}, "apiBaseUrl": google.base_url()});
    let mut charm = Charm::fixture(&component, "calendar.tsx", inputs, client(Some(&google.base_url()))).await;
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Lunch", "Dinner"]);
    google.cancel_event(&lunch);
    google.add_event("Breakfast", 1_700_000_000_000);
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Breakfast", "Dinner"]);
    google.expire_sync_tokens();
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Breakfast", "Dinner"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nosy_charm_is_denied_and_told_so() {
    let component = component(Duration::from_secs(20)).await;
    let google = FakeGoogle::start().unwrap();
    let mut charm = Charm::fixture(&component, "nosy.tsx", json!({}), client(Some(&google.base_url()))).await;
    charm.poll().await;
    assert_eq!(
        charm.each("findings", "outcome"),
        [
            "TypeError: fetch failed: HTTP-request-denied (http://169.254.169.254)",
            "TypeError: fetch failed: HTTP-request-denied (https://other.example)",
        ]
    );
    assert!(google.take_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_go_wrong_is_an_outcome_and_leaves_nothing_behind() {
    use OutcomeKind::{HandlerFailed, OutOfMemory, Timeout};
    let component = component(Duration::from_secs(3)).await;
    let mut charm = Charm::fixture(&component, "faulty.tsx", json!({}), client(None)).await;
    for (stream, kind, message) in [
        ("throws", HandlerFailed, "Error: thrown on purpose"),
        ("rejects", HandlerFailed, "TypeError: rejected on purpose"),
        ("rejectsLate", HandlerFailed, "Error: rejected 500 ms later"),
        ("throwsInTimer", HandlerFailed, "Error: thrown in a timer"),
        ("recurses", HandlerFailed, "RangeError: "),
        ("recursesThroughMap", HandlerFailed, "RangeError: "),
        ("waits", HandlerFailed, "Error: the handler waits for a promise"),
        ("loops", Timeout, ""),
        ("hoards", OutOfMemory, ""),
    ] {
        let failure = charm.trigger(stream, json!({})).await.expect_err(stream);
        assert_eq!(failure.kind, kind, "{stream}: {failure:?}");
        assert!(failure.message.starts_with(message), "{stream}: {failure:?}");
        if kind == HandlerFailed && stream != "waits" {
            let stack = failure.stack.as_deref().unwrap_or_default();
            assert!(stack.contains("faulty.tsx:"), "{stream}: {failure:?}");
        }
        assert_eq!(charm.cell("written"), json!("nothing"), "{stream}");
    }
    charm.trigger("works", json!({})).await.unwrap();
    assert_eq!(charm.cell("written"), json!("by works"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_offers_what_the_transpiler_lets_through() {
    let component = component(Duration::from_secs(20)).await;
    let names = EXPORTS.join(", ");
    let source = format!(
        "import {{ {names} }} from 'commontools';\nconst missing = [{names}].filter((x) => x === undefined).length;\n\
         export default pattern(() => ({{ missing }}));"
    );
    let charm = Charm::deploy(&component, "all.ts", &source, &json!({}), client(None)).await.unwrap();
    assert_eq!(charm.cell("missing"), json!(0));
}

/// What the host's parser lets through, the engine's must be able to read within the guest's stack.
#[tokio::test(flavor = "multi_thread")]
async fn sources_nested_as_deep_as_the_transpiler_allows_run() {
    let component = component(Duration::from_secs(20)).await;
    let expressions = [
        ("[", "]"),
        ("(", ")"),
        ("!", ""),
        ("- ", ""),
        ("() => ", ""),
        ("{a:", "}"),
        ("1 + ", ""),
        ("1 ? 2 : ", ""),
        ("f(", ")"),
        ("`${", "}`"),
        ("new (f)(", ")"),
        ("(() => {", "})"),
        ("(function () {", "})"),
        ("class { a = ", "}"),
        ("a = ", ""),
        ("1 ** ", ""),
        ("typeof ", ""),
        ("[...", "]"),
        ("async () => ", ""),
        ("({a() { return ", "}})"),
        ("1 ?? ", ""),
        ("", ".a"),
        ("", "()"),
        ("", "``"),
    ];
    let statements = [
        ("if (1) ", ";"),
        ("for (;0;) ", ""),
        ("{", "}"),
        ("while (0) ", ""),
        ("l#: {", "}"),
        ("try {", "} catch {}"),
        ("switch (1) { case 1: ", "}"),
        ("function g() {", "}"),
    ];
    let mut failed = Vec::new();
    let expressions = expressions.map(|(open, close)| (open, close, "let a = 1; const x = () => (", ");"));
    for (open, close, before, after) in
        expressions.into_iter().chain(statements.map(|(open, close)| (open, close, "", "")))
    {
        let source = |levels: usize| {
            let opened: String = (0..levels).map(|level| open.replace('#', &level.to_string())).collect();
            format!(
                "import {{ pattern }} from 'commontools';\nfunction f() {{ return f; }}\n\
                 function never() {{ {before}{opened} f{}{after} }}\nexport default pattern(() => ({{ ok: true }}));",
                close.repeat(levels)
            )
        };
        // The deepest that the transpiler takes.
        let (mut fits, mut over) = (1, 1_000);
        while fits + 1 < over {
            let middle = usize::midpoint(fits, over);
            if transpile("deep.js", &source(middle)).is_ok() {
                fits = middle;
            } else {
                over = middle;
            }
        }
        assert!(fits >= 20, "{open}: only {fits} levels: {:?}", transpile("deep.js", &source(fits + 1)).err());
        let failure = Charm::deploy(&component, "deep.js", &source(fits), &json!({}), client(None)).await.err();
        failed.extend(failure.map(|failure| format!("{open}{close}: {fits} levels: {}", failure.message)));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The engine's own functions call back into it, and each way takes another piece of the guest's stack.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_deep_recursion_fails_the_call_alone() {
    let component = component(Duration::from_secs(20)).await;
    let calls = [
        ("plain", "const f = () => f(); f();"),
        ("map", "const f = () => [1].map(f); f();"),
        ("sort", "const f = () => [2, 1].sort(f); f();"),
        ("reduce", "const f = () => [1, 2].reduce(f); f();"),
        ("replace", "const f = () => 'a'.replace(/a/, f); f();"),
        ("from", "const f = () => Array.from([1], f); f();"),
        ("getter", "const o = { get x() { return this.x; } }; o.x;"),
        ("proxy", "const p = new Proxy({}, { get: () => p.x }); p.x;"),
        ("apply", "const f = () => Reflect.apply(f, null, []); f();"),
        ("class", "class A { constructor() { new A(); } } new A();"),
        ("derived", "class A { constructor() { new B(); } } class B extends A {} new B();"),
        ("spread", "const o = { *[Symbol.iterator]() { yield* [...o]; } }; [...o];"),
        ("generator", "function* f() { yield* f(); } f().next();"),
        ("async", "const f = async () => { await f(); }; await f();"),
        ("promise", "const f = () => new Promise(f); f();"),
        ("toJSON", "const o = { toJSON: () => JSON.stringify(o) }; JSON.stringify(o);"),
        ("parse", "JSON.parse('['.repeat(100000));"),
        ("eval", "const f = () => eval('f()'); f();"),
        ("construct", "const f = () => new Function('f', 'f()')(f); f();"),
    ];
    // Of what the engine walks through by itself, not all is measured by it. The sandbox ends that.
    let walks = [
        ("proxies", "let p = {}; for (let n = 0; n < 100000; n++) p = new Proxy(p, {}); p.x;"),
        ("bind", "let f = () => 1; for (let n = 0; n < 100000; n++) f = f.bind(null); f();"),
        ("nested", "let o = {}; for (let n = 0; n < 100000; n++) o = { o }; JSON.stringify(o);"),
        ("flat", "let o = []; for (let n = 0; n < 100000; n++) o = [o]; o.flat(Infinity);"),
        ("join", "let o = []; for (let n = 0; n < 100000; n++) o = [o]; String(o);"),
        ("evals", "(0, eval)('('.repeat(100000));"),
        ("regexp", "new RegExp('('.repeat(100000));"),
        ("match", "/(a|b)*c/.test('ab'.repeat(1000000));"),
    ];
    let cases: String = calls
        .iter()
        .chain(&walks)
        .map(|(kind, body)| format!("{kind}: async () => {{ {body} }},\n"))
        .collect::<Vec<_>>()
        .concat();
    let source = format!(
        "import {{ handler, pattern }} from 'commontools';\nconst kinds = {{\n{cases}}};\n\
         const run = handler(({{ kind }}) => kinds[kind]());\nexport default pattern(() => ({{ run: run({{}}) }}));"
    );
    let mut charm = Charm::deploy(&component, "deep.js", &source, &json!({}), client(None)).await.unwrap();
    for (kind, _) in calls {
        let failure = charm.trigger("run", json!({"kind": kind})).await.expect_err(kind);
        assert_eq!(failure.kind, OutcomeKind::HandlerFailed, "{kind}: {failure:?}");
        assert!(failure.message.starts_with("RangeError: "), "{kind}: {failure:?}");
    }
    for (kind, _) in walks {
        let failure = charm.trigger("run", json!({"kind": kind})).await.expect_err(kind);
        let kinds = [OutcomeKind::HandlerFailed, OutcomeKind::Trapped, OutcomeKind::OutOfMemory];
        assert!(kinds.contains(&failure.kind), "{kind}: {failure:?}");
    }
}
