//! Programs that leave much more garbage than a call has memory.

use std::time::Duration;

use serde_json::json;

use crate::support::{Charm, client, component};

/// Loops without an `await`. Each allocates twice the memory of a call, or more, and keeps little of it.
const LOOPS: &[(&str, &str)] = &[
    ("arrays", "for (let n = 0; n < 300; n++) x = new Array(100000).fill(n);"),
    ("literals", "for (let n = 0; n < 5; n++) { x = []; for (let m = 0; m < 300000; m++) x.push([n]); }"),
    (
        "pushed",
        "for (let n = 0; n < 60; n++) { x = []; for (let m = 0; m < 100000; m++) x.push(m); x.circle = { x }; }",
    ),
    ("texts", "for (let n = 0; n < 300; n++) x = { text: 'é'.repeat(500000) + n };"),
    (
        "joined",
        "const list = new Array(1000).fill('abcdefghij'.repeat(100)); for (let n = 0; n < 300; n++) x = { text: list.join(n) };",
    ),
    ("objects", "for (let n = 0; n < 4; n++) { x = {}; for (let m = 0; m < 100000; m++) x['key' + m] = { n, m }; }"),
    (
        "circles",
        "for (let n = 0; n < 100; n++) { const bytes = new Uint8Array(3 << 20), circle = { bytes }; circle.circle = circle; }",
    ),
    ("bytes", "for (let n = 0; n < 1000; n++) x = new Uint8Array(1 << 20);"),
    ("large", "for (let n = 0; n < 40; n++) x = new Uint8Array(30 << 20);"),
    ("numbers", "for (let n = 0; n < 1000; n++) x = new Float64Array(1 << 17);"),
    ("buffers", "for (let n = 0; n < 300; n++) x = new ArrayBuffer(1 << 20).slice(1);"),
    ("maps", "for (let n = 0; n < 10; n++) { x = new Map(); for (let m = 0; m < 100000; m++) x.set(m, 'v' + m); }"),
    ("closures", "for (let n = 0; n < 300; n++) { const text = 'é'.repeat(500000); x = () => text; }"),
    (
        "parsed",
        "const json = JSON.stringify(new Array(20000).fill({ a: 1 })); for (let n = 0; n < 50; n++) x = JSON.parse(json);",
    ),
    (
        "mapped",
        "const list = new Array(50000).fill(1); for (let n = 0; n < 200; n++) x = list.map((one) => one + n).slice(1);",
    ),
    ("split", "const text = 'word '.repeat(100000); for (let n = 0; n < 50; n++) x = text.split(' ');"),
];

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_collected_before_the_memory_is_full() {
    let component = component(Duration::from_mins(2)).await;
    let cases = LOOPS.iter().map(|(kind, body)| format!("{kind}() {{ let x; {body} return x !== undefined; }},\n"));
    let cases = cases.collect::<Vec<_>>().concat();
    let source = format!(
        "import {{ Cell, handler, pattern }} from 'commontools';\nconst kinds = {{\n{cases}}};\n\
         const run = handler(({{ kind }}, {{ out }}) => out.set(kinds[kind]()));\n\
         export default pattern(() => {{ const out = Cell.of(null); return {{ out, run: run({{ out }}) }}; }});"
    );
    let mut charm = Charm::deploy(&component, "garbage.js", &source, &json!({}), client(None)).await.unwrap();
    let mut failed = Vec::new();
    for &(kind, body) in LOOPS {
        let began = std::time::Instant::now();
        let outcome = charm.trigger("run", json!({"kind": kind})).await;
        println!("{kind}: {:?}", began.elapsed());
        if let Err(failure) = outcome {
            failed.push(format!("{kind}: {body}: {failure:?}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
