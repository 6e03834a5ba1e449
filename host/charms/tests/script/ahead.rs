//! The engine that was made ahead.

use std::collections::BTreeSet;
use std::time::Duration;

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
