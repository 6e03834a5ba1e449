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
        let kinds =
            [OutcomeKind::HandlerFailed, OutcomeKind::LimitExceeded, OutcomeKind::Trapped, OutcomeKind::OutOfMemory];
        assert!(kinds.contains(&failure.kind), "{kind}: {failure:?}");
    }
}
