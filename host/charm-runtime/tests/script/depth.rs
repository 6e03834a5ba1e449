//! Sources and calls that nest deeply.

use std::time::Duration;

use bg_poller::OutcomeKind;
use bg_transpile::transpile;
use serde_json::json;

use crate::support::{Charm, client, component};

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

/// What the engine walks through by itself is not measured by it, but by the sandbox, which knows no lines.
const WALKS: &[(&str, &str)] = &[
    ("proxies", "let p = {}; for (let n = 0; n < 100000; n++) p = new Proxy(p, {}); p.x;"),
    ("handlers", "let p = {}; for (let n = 0; n < 100000; n++) p = new Proxy({}, p); p.x;"),
    ("prototypes", "let p = {}; for (let n = 0; n < 100000; n++) p = Object.create(p); p.x;"),
    ("writes", "let p = {}; for (let n = 0; n < 100000; n++) p = Object.create(p); p.x = 1; p.y;"),
    ("in", "let p = {}; for (let n = 0; n < 100000; n++) p = Object.create(p); 'x' in p;"),
    ("bind", "let f = () => 1; for (let n = 0; n < 100000; n++) f = f.bind(null); f();"),
    ("new", "let F = class {}; for (let n = 0; n < 100000; n++) F = F.bind(null); new F();"),
    ("instances", "let F = class {}; for (let n = 0; n < 100000; n++) F = F.bind(null); ({}) instanceof F;"),
    ("classes", "let F = class {}; for (let n = 0; n < 2000; n++) F = class extends F {}; new F();"),
    ("nested", "let o = {}; for (let n = 0; n < 100000; n++) o = { o }; JSON.stringify(o);"),
    ("lists", "let o = []; for (let n = 0; n < 100000; n++) o = [o]; JSON.stringify(o);"),
    ("generated", "const o = { toJSON: () => ({ o }) }; JSON.stringify(o);"),
    (
        "mirrors",
        "const p = () => new Proxy({}, { get: p, ownKeys: () => ['a'], getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true, value: 1 }) }); JSON.stringify(p());",
    ),
    ("cells", "let o = {}; for (let n = 0; n < 100000; n++) o = { o }; out.set(o);"),
    ("clones", "let o = {}; for (let n = 0; n < 100000; n++) o = { o }; structuredClone(o);"),
    ("logs", "let o = {}; for (let n = 0; n < 100000; n++) o = { o }; console.log(o); deep();"),
    ("thrown", "let o = {}; for (let n = 0; n < 100000; n++) o = { o }; throw o;"),
    ("causes", "let o; for (let n = 0; n < 100000; n++) o = new Error('e', { cause: o }); throw o;"),
    ("revived", "JSON.parse('['.repeat(200) + ']'.repeat(200), (k, v) => [v]); deep();"),
    ("flat", "let o = []; for (let n = 0; n < 100000; n++) o = [o]; o.flat(Infinity);"),
    ("join", "let o = []; for (let n = 0; n < 100000; n++) o = [o]; String(o);"),
    ("concat", "let o = []; for (let n = 0; n < 100000; n++) o = [].concat([o]); `${o}`;"),
    ("evals", "(0, eval)('('.repeat(100000));"),
    ("blocks", "(0, eval)('{'.repeat(100000));"),
    ("chains", "(0, eval)('a' + '.a'.repeat(100000));"),
    ("sums", "(0, eval)('1' + '+1'.repeat(100000)); deep();"),
    ("patterns", "(0, eval)('let ' + '['.repeat(50000) + 'a' + ']'.repeat(50000) + ' = 1');"),
    ("functions", "new Function('return ' + '()=>'.repeat(50000) + '1');"),
    ("regexp", "new RegExp('('.repeat(100000));"),
    ("match", "/(a|b)*c/.test('ab'.repeat(1000000)); deep();"),
    ("arguments", "Math.max(...new Array(10000000).fill(1)); deep();"),
    ("applied", "String.fromCharCode.apply(null, new Array(10000000).fill(65)); deep();"),
    ("promises", "let p = Promise.resolve(); for (let n = 0; n < 100000; n++) p = p.then(() => {}); await p; deep();"),
    (
        "resolved",
        "let p = Promise.resolve(); for (let n = 0; n < 50000; n++) { const q = p; p = new Promise((done) => done(q)); } await p; deep();",
    ),
    (
        "thenables",
        "const t = () => ({ then(done) { done(t()); } }); let n = 0; const u = () => ({ then(done) { done(++n < 10000 ? u() : 1); } }); await u(); deep();",
    ),
    (
        "generators",
        "let g = (function* () { yield 1; })(); for (let n = 0; n < 10000; n++) { const h = g; g = (function* () { yield* h; })(); } g.next();",
    ),
    ("texts", "let s = ''; for (let n = 0; n < 200000; n++) s = 'a' + s + 'b'; s.length; deep();"),
];

/// The engine's own functions call back into it, and each way takes another piece of the guest's stack.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_deep_recursion_fails_the_call_alone() {
    // Far more than any of them takes, also on a busy machine.
    let component = component(Duration::from_mins(5)).await;
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
    let cases: String = calls
        .iter()
        .chain(WALKS)
        .map(|(kind, body)| format!("{kind}: async () => {{ {body} }},\n"))
        .collect::<Vec<_>>()
        .concat();
    let source = format!(
        "import {{ Cell, handler, pattern }} from 'commontools';\nconst deep = () => 1 + deep();\nlet out;\nconst kinds = {{\n{cases}}};\n\
         const run = handler(({{ kind }}, state) => {{ out = state.out; return kinds[kind](); }});\n\
         export default pattern(() => {{ const out = Cell.of(null); return {{ out, run: run({{ out }}) }}; }});"
    );
    let mut charm = Charm::deploy(&component, "deep.js", &source, &json!({}), client(None)).await.unwrap();
    for (kind, _) in calls {
        let failure = charm.trigger("run", json!({"kind": kind})).await.expect_err(kind);
        assert_eq!(failure.kind, OutcomeKind::HandlerFailed, "{kind}: {failure:?}");
        assert!(failure.message.starts_with("RangeError: "), "{kind}: {failure:?}");
    }
    for &(kind, body) in WALKS {
        let failure = charm.trigger("run", json!({"kind": kind})).await.expect_err(kind);
        // Never a trap: that is for what the component does wrong.
        let kinds = [OutcomeKind::HandlerFailed, OutcomeKind::LimitExceeded, OutcomeKind::OutOfMemory];
        println!(
            "{kind}: {failure}, {}",
            failure.stack.as_deref().and_then(|stack| stack.lines().next()).unwrap_or("-")
        );
        assert!(kinds.contains(&failure.kind), "{kind}: {body}: {failure:?}");
        if failure.kind == OutcomeKind::HandlerFailed {
            let stack = failure.stack.unwrap_or_default();
            assert!(
                stack.contains("deep.js:") || ["thrown", "causes"].contains(&kind),
                "{kind}: {}: {stack}",
                failure.message
            );
        }
    }
}
