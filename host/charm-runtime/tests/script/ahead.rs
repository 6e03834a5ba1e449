//! The engine that was made ahead, and programs that were loaded ahead.

use std::collections::BTreeSet;
use std::time::Duration;

use bg_test_support::FakeGoogle;
use serde_json::json;

use crate::support::{Charm, client, component};

/// The engine is made while the component is built; a call finds it as it was then.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_time_of_chance_or_of_another_call_is_in_the_engine_that_was_made_ahead() {
    let component = component(Duration::from_secs(20)).await;
    let source = "import { Cell, handler, pattern } from 'commontools';\n\
        const early = { random: Math.random(), time: Date.now() };\n\
        const run = handler((event, { seen }) => {\n\
            const left = [globalThis.left, Array.prototype.left, Cell.left].filter((x) => x !== undefined);\n\
            globalThis.left = Array.prototype.left = Cell.left = 1;\n\
            seen.push({ early, late: { random: Math.random(), time: new Date().getTime() }, left: left.length });\n\
        });\n\
        export default pattern(() => { const seen = Cell.of([]); return { seen, run: run({ seen }) }; });";
    let mut charm = Charm::deploy(&component, "ahead.js", source, &json!({}), client(None)).await.unwrap();
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let (mut randoms, mut earliest) = (BTreeSet::new(), now());
    for _ in 0..3 {
        charm.trigger("run", json!({})).await.unwrap();
        let seen = charm.cell("seen").as_array().unwrap().last().unwrap().clone();
        assert_eq!(seen["left"], json!(0), "{seen}");
        for when in ["early", "late"] {
            randoms.insert(seen[when]["random"].to_string());
            let time = u128::from(seen[when]["time"].as_u64().unwrap());
            assert!((earliest..=now()).contains(&time), "{when}: {seen}");
        }
        while now() == earliest {
            std::thread::sleep(Duration::from_millis(1));
        }
        earliest = now();
    }
    assert_eq!(randoms.len(), 6, "{randoms:?}");
}

/// A program is loaded once, and each later call begins with the memory as it was then.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_call_is_in_the_program_that_was_loaded_ahead() {
    let component = component(Duration::from_secs(20)).await;
    let source = "import { Cell, handler, pattern } from 'commontools';\n\
        let calls = 0;\n\
        const kept = [];\n\
        const run = handler((event, { mine, seen }) => {\n\
            calls += 1;\n\
            kept.push(mine.get(), event.mark);\n\
            const left = globalThis.left;\n\
            globalThis.left = event.mark;\n\
            seen.set({ calls, kept, left: left === undefined, random: Math.random() });\n\
        });\n\
        export default pattern(({ mine }) => { const seen = Cell.of(null); return { seen, run: run({ mine, seen }) }; });";
    let mut randoms = BTreeSet::new();
    for (charm, poll) in (0..3).flat_map(|charm| (0..3).map(move |poll| (charm, poll))) {
        let mine = format!("of charm {charm}");
        let mut charm =
            Charm::deploy(&component, "kept.js", source, &json!({"mine": mine}), client(None)).await.unwrap();
        charm.trigger("run", json!({"mark": poll})).await.unwrap();
        let mut seen = charm.cell("seen");
        randoms.insert(seen["random"].take().to_string());
        assert_eq!(seen, json!({"calls": 1, "kept": [mine, poll], "left": true, "random": null}));
    }
    assert_eq!(randoms.len(), 9, "{randoms:?}");
    assert_eq!(component.programs_kept(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_reads_a_cell_runs_again_at_each_call() {
    let component = component(Duration::from_secs(20)).await;
    let source = "import { Cell, handler, pattern } from 'commontools';\n\
        const run = handler(({}, { count, seen, early }) => { seen.push(early); count.set(count.get() + 1); });\n\
        export default pattern(({ count }) => {\n\
            const seen = Cell.of([]);\n\
            return { seen, run: run({ count, seen, early: count.get() }) };\n\
        });";
    let mut charm = Charm::deploy(&component, "early.js", source, &json!({"count": 5}), client(None)).await.unwrap();
    for _ in 0..4 {
        charm.trigger("run", json!({})).await.unwrap();
    }
    assert_eq!(charm.cell("seen"), json!([5, 6, 7, 8]));
    assert_eq!(component.programs_kept(), 1, "the program was, but for its pattern");
}

/// Timers that a program sets in passing are no reason to load it again: their time begins with the call.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_sets_timers_as_it_is_loaded_is_loaded_once() {
    let component = component(Duration::from_secs(20)).await;
    let source = "import { Cell, handler, pattern } from 'commontools';\n\
        let early = 0;\n\
        setInterval(() => { early += 1; }, 60_000);\n\
        setTimeout(() => { early += 1; }, 5);\n\
        const run = handler(async (event, { seen }) => {\n\
            await new Promise((done) => setTimeout(done, event.wait));\n\
            seen.push(early);\n\
        });\n\
        export default pattern(() => {\n\
            const seen = Cell.of([]);\n\
            setInterval(() => {}, 1000);\n\
            return { seen, run: run({ seen }) };\n\
        });";
    let mut charm = Charm::deploy(&component, "timers.js", source, &json!({}), client(None)).await.unwrap();
    for wait in [0, 200, 0] {
        charm.trigger("run", json!({"wait": wait})).await.unwrap();
    }
    let seen = charm.cell("seen");
    assert_eq!(seen.as_array().unwrap().len(), 3, "{seen}");
    assert_eq!(seen[1], json!(1), "{seen}");
    assert_eq!(component.programs_kept(), 1);
}

/// What a program does when it is loaded is done by each call, and by nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_asks_for_something_as_it_is_loaded_is_loaded_by_each_call() {
    let component = component(Duration::from_secs(20)).await;
    let google = FakeGoogle::start().unwrap();
    for early in ["fetch(URL)", "console.log('loaded')", "crypto.randomUUID()", "await null; Date.now()"] {
        let source = format!(
            "import {{ Cell, handler, pattern }} from 'commontools';\n\
            const run = handler((event, {{ count }}) => {{ count.set(count.get() + 1); }});\n\
            const URL = '{}/gmail/v1/users/me/profile';\n\
            {early};\n\
            export default pattern(({{ count }}) => ({{ count, run: run({{ count }}) }}));",
            google.base_url()
        );
        let http = client(Some(&google.base_url()));
        let mut charm = Charm::deploy(&component, "asks.js", &source, &json!({"count": 0}), http).await.unwrap();
        let before = google.requests().len();
        for _ in 0..3 {
            charm.trigger("run", json!({})).await.unwrap();
        }
        assert_eq!(charm.cell("count"), json!(3), "{early}");
        assert_eq!(google.requests().len() - before, if early.starts_with("fetch") { 3 } else { 0 }, "{early}");
    }
    assert_eq!(component.programs_kept(), 0);
}
