//! Small charms, good and bad ones.

use std::time::{Duration, Instant};

use bg_poller::OutcomeKind;
use bg_test_support::FakeGoogle;
use bg_transpile::{EXPORTS, GLOBALS};
use serde_json::json;

use crate::support::{Charm, client, component};

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

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_has_the_names_that_the_transpiler_lets_through_and_no_others() {
    let component = component(Duration::from_secs(20)).await;
    let source = "import { pattern } from 'commontools';\n\
         export default pattern(() => ({ names: Object.getOwnPropertyNames(globalThis).sort() }));";
    let charm = Charm::deploy(&component, "names.ts", source, &json!({}), client(None)).await.unwrap();
    assert_eq!(charm.cell("names"), json!(GLOBALS));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_wait_declare_functions_as_any_function_may() {
    let component = component(Duration::from_secs(20)).await;
    let source = "import { Cell, handler, pattern } from 'commontools';\n\
        async function twice() { const early = g(), kept = 3; await null; return [early, g.name, typeof h];\n\
            function g() { return 1 } function g() { return h() } function h() { try { return kept } catch { return 2 } } }\n\
        const beside = async () => { const early = typeof x; var x = 1; await null; { var y = 2; } return [early, x, y];\n\
            function x() {} function y() {} };\n\
        const object = { async strict() { 'use strict'; await null; return this === undefined; function a() {} var a; } };\n\
        const { strict } = object;\n\
        async function defaults(a, b = a + 1, [c] = [b]) { await null; return [d(), a];\n\
            function d() { return 0 } function d() { return b + c } }\n\
        const run = handler(async (_, { out }) => {\n\
            const text = new Function('a', `return 'awaiting reply' + a`)(' async');\n\
            out.set([await twice(), await beside(), await strict(), await defaults(5), text]);\n\
        });\n\
        export default pattern(() => { const out = Cell.of(null); return { out, run: run({ out }) }; });";
    let mut charm = Charm::deploy(&component, "twice.js", source, &json!({}), client(None)).await.unwrap();
    charm.trigger("run", json!({})).await.unwrap();
    assert_eq!(
        charm.cell("out"),
        json!([[2, "g", "function"], ["function", 1, 2], true, [12, 5], "awaiting reply async"])
    );
}
