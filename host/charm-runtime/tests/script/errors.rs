//! What a charm's author reads of what went wrong: what it was about, in which file, at which line.

use std::time::Duration;

use bg_poller::OutcomeKind;
use serde_json::{Value, json};

use crate::support::{Charm, client, component};

/// One charm for each body, at line 6: what a handler does.
fn charm(body: &str) -> String {
    format!(
        "import {{ Cell, Default, derive, computed, handler, lift, pattern }} from \"commontools\";\n\
         const deep = (n: number): number =>\n  1 + deep(n + 1);\n\
         const later = (fail: () => void) => new Promise<void>((done) => setTimeout(() => {{ fail(); done(); }}, 1));\n\
         const poll = handler<unknown, {{ out: Cell<any>; list: Cell<number[]> }}>(async (_event, {{ out, list }}) => {{\n{body}\n}});\n\
         export default pattern<{{ out: Default<any, null>; list: Default<number[], []> }}>(({{ out, list }}) =>\n\
         ({{ out, list, bgUpdater: poll({{ out, list }}) }}));"
    )
}

/// What recurses without end, and the line that is to blame.
const RECURSION: &[(&str, u32)] = &[
    ("deep(0);", 3),
    ("await null; deep(0);", 6),
    (
        "const f = async () => { await null; deep(0); };\nvoid f(); await new Promise((done) => setTimeout(done, 1e9));",
        6,
    ),
    ("(async () => {\n  try { await Promise.reject(1); } catch { deep(0); }\n})();", 7),
    ("(async () => {\n  try { await 1; } finally { deep(0); }\n})();", 7),
    (
        "(async () => {\n  try { await 1; throw 2; } catch (error) { try { await error; } finally { deep(0); } }\n})();",
        7,
    ),
    ("for await (const x of [1, 2]) deep(x);", 6),
    ("for await (const x of [1, 2]) x;\ndeep(0);", 6),
    ("for await (const x of [1, 2]) break;\ndeep(0);", 6),
    ("await Promise.all([1, 2].map(async () => {\n  await null; deep(0); }));", 7),
    ("await null; Promise.all([1]); Promise.resolve(1).then(() => {}).finally(() => {}); deep(0);", 6),
    (
        "await null; new Promise((done) => done(Promise.resolve(1))); new Promise((done) => done({ then() {} } as any)); deep(0);",
        6,
    ),
    ("async function named() { await null; await null; deep(0); }\nawait named();", 6),
    ("class A { async run() { await null; deep(0); } }\nawait new A().run();", 6),
    ("class A { static async run() { await null; new A(); } constructor() { new A(); } }\nawait A.run();", 6),
    ("const o = { async run() {\n await null; deep(0); } };\nawait o.run();", 7),
    ("const f = async () => await null ?? deep(0);\nf();", 6),
    ("const f = async (): Promise<void> => { await null; await f(); await f(); deep(0); };\ndeep(1); f();", 3),
    ("const f = async (): Promise<void> => { await f(); };\nvoid f();", 6),
    (
        "const f = async () => { await null; return f2(); };\nconst f2 = async (): Promise<void> => { await f2(); };\nvoid f();",
        6,
    ),
    // Async generators.
    ("async function* g() { deep(0); yield 1; }\nfor await (const x of g()) x;", 3),
    ("async function* g() { yield 1; deep(0); }\nfor await (const x of g()) x;", 7),
    ("async function* g() { await null; deep(0); }\nvoid g().next();", 3),
    ("async function* g() { try { yield 1; } finally { deep(0); } }\nfor await (const x of g()) break;", 3),
    ("async function* g() { try { yield 1; } catch { deep(0); } }\nconst i = g(); await i.next(); i.throw(1);", 7),
    ("async function* g(): any { yield* g(); }\nfor await (const x of g()) x;", 6),
    ("class A { async *items() { yield 1; deep(0); } }\nfor await (const x of new A().items()) x;", 7),
    (
        "const o = { [Symbol.asyncIterator]: () => ({ next: async () => { await null; deep(0); } }) } as any;\nfor await (const x of o) x;",
        6,
    ),
    // Promises, microtasks, timers and events.
    ("await Promise.resolve().then(() => deep(0));", 3),
    ("Promise.resolve().then(() => { deep(0); });", 3),
    ("Promise.reject(1).catch(() => { deep(0); });", 3),
    ("Promise.resolve(1).finally(() => { deep(0); });", 3),
    ("const again = (): any => Promise.resolve({ get then() { return deep(0); } });\nawait again();", 3),
    ("await { then(done: any) { deep(0); } };", 3),
    ("new Promise((done) => deep(0));", 3),
    ("await later(() => deep(0));", 3),
    ("setTimeout(() => deep(0), 5);", 3),
    ("const t = setInterval(() => deep(0), 5);", 3),
    ("queueMicrotask(() => deep(0));", 3),
    ("const e = new EventTarget(); e.addEventListener('x', () => { deep(0); }); e.dispatchEvent(new Event('x'));", 3),
    ("const c = new AbortController(); c.signal.addEventListener('abort', () => { deep(0); }); c.abort();", 3),
    // What the engine calls by itself.
    ("const o: any = { get x() { return o.x; } };\no.x;", 6),
    ("const o: any = { set x(v: any) { o.x = v; } };\no.x = 1;", 6),
    ("const o: any = { toString() { return String(o); } };\nout.set(String(o));", 6),
    ("const o: any = { valueOf() { return +o; } };\n+o;", 6),
    ("const o: any = { [Symbol.toPrimitive]() { return `${o}`; } };\n`${o}`;", 6),
    ("const o: any = { toJSON() { return JSON.stringify(o); } };\nout.set(o);", 6),
    ("const o: any = { *[Symbol.iterator]() { yield* [...o]; } };\n[...o];", 6),
    ("const o: any = { [Symbol.iterator]: () => [...o] };\nconst [a] = o;", 6),
    ("const p: any = new Proxy({}, { get: (_t, k) => p[k] });\np.x;", 6),
    ("const p: any = new Proxy({}, { has: (_t, k) => k in p });\n'x' in p;", 6),
    ("const p: any = new Proxy({}, { ownKeys: () => Object.keys(p) });\n({ ...p });", 6),
    ("const p: any = new Proxy(function () {}, { apply: () => p(), construct: () => new p() });\nnew p();", 6),
    ("const f = (): any => 'a'.replace(/a/g, f);\nf();", 6),
    ("const f = (): any => 'a'.replaceAll('a', f);\nf();", 6),
    ("const f = (): any => [2, 1].sort(f);\nf();", 6),
    ("const f = (): any => [2, 1].map(f);\nf();", 6),
    ("const f = (): any => Array.from([1], f);\nf();", 6),
    ("const f = (): any => JSON.parse('[1]', f);\nf();", 6),
    ("const f = (): any => JSON.stringify([1], f);\nf();", 6),
    (
        "class A { [Symbol.hasInstance]: any; static [Symbol.hasInstance](x: any): any { return x instanceof A; } }\n({}) instanceof A;",
        6,
    ),
    ("const f = (): any => Reflect.construct(f2, []); function f2() { f(); }\nf();", 6),
    ("const tag = (t: any): any => tag`${1}`;\ntag``;", 6),
    ("const f = ({ a = f({}) }: any): any => a;\nf({});", 6),
    ("const f = (): any => eval('f()');\nf();", 6),
    ("const f: any = new Function('f', 'return f(f)');\nf(f);", 7),
];

#[tokio::test(flavor = "multi_thread")]
async fn recursion_without_end_is_the_charms_error_wherever_it_is() {
    let component = component(Duration::from_secs(20)).await;
    let mut failed = Vec::new();
    for &(body, line) in RECURSION {
        let deployed = Charm::deploy(&component, "charm.ts", &charm(body), &json!({}), client(None)).await;
        let mut charm = match deployed {
            Ok(charm) => charm,
            Err(failure) => {
                failed.push(format!("{body}: does not deploy: {failure}"));
                continue;
            }
        };
        let Err(failure) = charm.trigger("bgUpdater", json!({})).await else {
            failed.push(format!("{body}: succeeds"));
            continue;
        };
        let stack = failure.stack.clone().unwrap_or_default();
        let is_named = failure.message == "RangeError: the calls are nested too deeply";
        if failure.kind != OutcomeKind::HandlerFailed || !is_named || !stack.contains(&format!("charm.ts:{line}:")) {
            failed.push(format!("{body}: {failure}\n{stack}"));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_and_derived_cells_that_recurse_without_end_fail_as_well() {
    let component = component(Duration::from_secs(20)).await;
    let mut failed = Vec::new();
    for (before, inside, line) in [
        ("deep(0);", "", 2),
        ("await null; deep(0);", "", 3),
        ("deep(0); await null;", "", 2),
        ("for await (const x of [1]) deep(x);", "", 3),
        ("", "const d = derive(out, () => deep(0));", 2),
        ("", "const d = computed(() => deep(0));", 2),
        ("", "const d = lift((x: any) => deep(x))(out);", 2),
        ("", "deep(0); const d = 1;", 2),
    ] {
        let inside = if inside.is_empty() { "const d = 1;" } else { inside };
        let source = format!(
            "import {{ Default, derive, computed, lift, handler, pattern }} from \"commontools\";\n\
             const deep = (n: number): number => 1 + deep(n + 1);\n{before}\n\
             const poll = handler<unknown, {{}}>(() => {{}});\n\
             export default pattern<{{ out: Default<any, null> }}>(({{ out }}) => {{ {inside} return {{ out, d, bgUpdater: poll({{}}) }}; }});"
        );
        match Charm::deploy(&component, "charm.ts", &source, &json!({}), client(None)).await {
            Ok(_) => failed.push(format!("{before}{inside}: deploys")),
            Err(failure) => {
                let stack = failure.stack.clone().unwrap_or_default();
                let is_named = failure.message == "RangeError: the calls are nested too deeply";
                if failure.kind != OutcomeKind::HandlerFailed
                    || !is_named
                    || !stack.contains(&format!("charm.ts:{line}:"))
                {
                    failed.push(format!("{before}{inside}: {failure}\n{stack}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_wait_do_what_they_did() {
    let component = component(Duration::from_secs(20)).await;
    let body = r#"
const seen: unknown[] = [];
const tick = async <T,>(value: T) => { await null; return value; };
const fails = async (why: string) => { await null; throw new Error(why); };
async function* items() { yield 1; yield await tick(2); }
class Counter { n = 0; async add(by = 1) { this.n += await tick(by); return this; } static async make() { return await new Counter().add(2); } }
seen.push(await tick(1), await (await tick(tick))(2), (await Counter.make()).n, await tick(await tick(3)));
try { await fails("a"); } catch (error) { seen.push((error as Error).message, await tick("caught")); } finally { seen.push(await tick("finally")); }
for await (const item of items()) seen.push(item);
for await (const item of [tick("x"), "y"]) { seen.push(item); if (item === "x") continue; }
outer: for (const a of [1, 2]) for await (const b of [a, 3]) { if (b === 2) break outer; seen.push(b); }
try { for await (const _ of (async function* () { yield 1; throw new Error("b"); })()); } catch (error) { seen.push((error as Error).message); }
seen.push(...await Promise.all([1, 2].map(async (n) => await tick(n) * 2)), await (async () => ({ a: 1 }))(), await (async function () { await null; return arguments.length; } as any)(1, 2));
const thisToo = { n: 5, async get() { return (async () => (await tick(this)).n)(); } };
seen.push(await thisToo.get(), (await Promise.allSettled([fails("c"), tick(1)])).map((one) => one.status).join());
const never = new Promise(() => {});
void (async () => { await never; })();
class Base { async hi() { await null; return "base"; } }
class Derived extends Base { async hi() { return `${await super.hi()} derived`; } }
seen.push(await new Derived().hi());
const order: string[] = [];
await Promise.all([(async () => { order.push("a1"); await null; order.push("a2"); await null; order.push("a3"); })(), (async () => { order.push("b1"); await null; order.push("b2"); })()]);
seen.push(order.join());
if (await tick(true)) seen.push("if"); else seen.push("else");
const o = { x: await tick(7), [await tick("k")]: 8 };
seen.push(o, `${await tick("t")}`, (await tick([9]))[0], await tick(null) ?? await tick("d"));
label: { await null; break label; }
switch (await tick(2)) { case await tick(2): seen.push("two"); break; default: seen.push("?"); }
const f = async () => { try { return await tick("r"); } finally { seen.push("f"); } };
seen.push(await f());
out.set(seen);"#;
    let mut charm =
        Charm::deploy(&component, "charm.ts", &charm(body), &json!({}), client(None)).await.expect("a good charm");
    charm.poll().await;
    assert_eq!(
        charm.cell("out"),
        json!([
            1, 2, 2, 3, "a", "caught", "finally", 1, 2, "x", "y", 1, 3, "b", 2, 4, {"a": 1}, 2, 5, "rejected,fulfilled",
            "base derived", "a1,b1,a2,b2,a3", "if", {"x": 7, "k": 8}, "t", 9, "d", "two", "f", "r"
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn async_generators_do_what_the_language_says() {
    let component = component(Duration::from_secs(20)).await;
    let body = r#"
const seen: any[] = [];
const show = (r: any) => seen.push(r.done ? ["done", r.value] : r.value);
async function* counts(): any { try { const got = yield 1; seen.push(got); yield Promise.resolve(2); return "end"; } finally { seen.push("closed"); } }
let i = counts(); show(await i.next()); show(await i.next("sent")); show(await i.next()); show(await i.next());
i = counts(); await i.next(); show(await i.return(Promise.resolve("early"))); show(await i.next());
i = counts(); await i.next(); try { await i.throw(new Error("thrown")); } catch (e) { seen.push((e as Error).message); }
i = counts(); show(await i.return("unstarted")); try { await counts().throw("t"); } catch (e) { seen.push(e); }
i = counts(); (await Promise.all([i.next(), i.next("q"), i.next(), i.next()])).forEach(show);
async function* outer(): any { seen.push(["result", yield* inner()]); yield* [10, Promise.resolve(11)]; }
async function* inner(): any { try { yield "a"; yield "b"; return "r"; } finally { seen.push("inner closed"); } }
for await (const x of outer()) seen.push(x);
const p = outer(); await p.next(); show(await p.return("stop"));
const q = outer(); await q.next(); try { await q.throw("into"); } catch (e) { seen.push(e); }
async function* bad(): any { try { yield Promise.reject("no"); } catch (e) { yield ["caught", e]; } }
for await (const x of bad()) seen.push(x);
async function* uses(this: any, ...args: any[]): any { yield this.n; yield arguments.length; for await (const x of args) yield x; }
for await (const x of uses.call({ n: 4 }, 5, 6)) seen.push(x);
const closing = { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }), return: () => { seen.push("returned"); return {}; } }) };
for await (const x of closing as any) break;
try { for await (const x of 5 as any) x; } catch (e) { seen.push((e as Error).name); }
seen.push(Object.prototype.toString.call(counts()), i[Symbol.asyncIterator]() === i);
out.set(seen);"#;
    let mut charm =
        Charm::deploy(&component, "charm.ts", &charm(body), &json!({}), client(None)).await.expect("a good charm");
    charm.poll().await;
    // As node answers.
    let expected: Value = serde_json::from_str(include_str!("async_generators.json")).expect("JSON");
    assert_eq!(charm.cell("out"), expected);
}

/// Expressions, what V8 answers to each, and what is said of the expression beside.
const NAMES: &[(&str, &str, &str)] = &[
    ("o.missing.part", "Cannot read properties of undefined (reading 'part')", ": o.missing is undefined"),
    ("o.n.part", "Cannot read properties of null (reading 'part')", ": o.n is null"),
    ("u.x", "Cannot read properties of undefined (reading 'x')", ": u is undefined"),
    ("o.list.map((x: any) => x)", "Cannot read properties of undefined (reading 'map')", ": o.list is undefined"),
    (
        "o\n.list\n.map((x: any) => x).length",
        "Cannot read properties of undefined (reading 'map')",
        ": o.list is undefined",
    ),
    ("o.a().b().c", "Cannot read properties of null (reading 'b')", ": o.a() is null"),
    ("o.a().b", "Cannot read properties of null (reading 'b')", ": o.a() is null"),
    ("(await o.a()).b", "Cannot read properties of null (reading 'b')", ": (await o.a()) is null"),
    ("(o.x ?? o.y2).b", "Cannot read properties of undefined (reading 'b')", ": (o.x ?? o.y2) is undefined"),
    ("(o?.x).b", "Cannot read properties of undefined (reading 'b')", ": (o?.x) is undefined"),
    (
        "arr.find((x: any) => x.id === 3).name",
        "Cannot read properties of undefined (reading 'name')",
        ": arr.find((x: any) => x.id === 3) is undefined",
    ),
    ("arr[5].name", "Cannot read properties of undefined (reading 'name')", ": arr[5] is undefined"),
    (
        "arr.map((x: any) => x.name.first)",
        "Cannot read properties of undefined (reading 'first')",
        ": x.name is undefined",
    ),
    ("o.missing[0]", "Cannot read properties of undefined (reading '0')", ": o.missing is undefined"),
    ("u[k]", "Cannot read properties of undefined (reading 'q')", ": u is undefined"),
    ("u['a-b']", "Cannot read properties of undefined (reading 'a-b')", ": u is undefined"),
    ("o[k][0].b", "Cannot read properties of undefined (reading '0')", ": o[k] is undefined"),
    (
        "for (const x of [1]) o.missing.part",
        "Cannot read properties of null or undefined (reading 'part')",
        ": o.missing is null or undefined",
    ),
    (
        "for (const x of [1]) o.list.map(f)",
        "Cannot read properties of undefined (reading 'map')",
        ": o.list is undefined",
    ),
    ("`${u.x}`", "Cannot read properties of undefined (reading 'x')", ": u is undefined"),
    ("f(u.x)", "Cannot read properties of undefined (reading 'x')", ": u is undefined"),
    ("u.n += 1", "Cannot read properties of undefined (reading 'n')", ": u is undefined"),
    ("u.n++", "Cannot read properties of undefined (reading 'n')", ": u is undefined"),
    ("n.b()", "Cannot read properties of null (reading 'b')", ": n is null"),
    ("n.z = 1", "Cannot set properties of null (setting 'z')", ": n is null"),
    ("o.m.z = 1", "Cannot set properties of undefined (setting 'z')", ": o.m is undefined"),
    ("o.m[k] = u", "Cannot set properties of undefined (setting 'q')", ": o.m is undefined"),
    ("JSON.parse(n).a.b", "Cannot read properties of null (reading 'a')", ": JSON.parse(n) is null"),
    (
        "new (class { a: any; constructor() { this.a.b; } })()",
        "Cannot read properties of undefined (reading 'b')",
        ": this.a is undefined",
    ),
    (
        "const m = ({ m() { return (this as any).x; } }).m; m()",
        "Cannot read properties of undefined (reading 'x')",
        ": this is undefined",
    ),
    ("o.y(2)", "o.y is not a function", ""),
    ("o.o.z(1)", "o.o.z is not a function", ""),
    ("u()", "u is not a function", ""),
    ("o[k]()", "o[k] is not a function", ""),
    ("out.get().x.y", "Cannot read properties of null (reading 'x')", ": out.get() is null"),
    ("new Y()", "Y is not a constructor", ""),
    ("new o.y()", "o.y is not a constructor", ""),
    ("'a' in o.missing", "Cannot use 'in' operator to search for 'a' in undefined", ": o.missing is undefined"),
    ("if (!(k in o.n)) f()", "Cannot use 'in' operator to search for 'q' in null", ": o.n is null"),
    ("f instanceof o.missing", "Right-hand side of 'instanceof' is not an object", ": o.missing is undefined"),
    ("f instanceof u", "Right-hand side of 'instanceof' is not an object", ": u is undefined"),
    ("const g = () => later.x; g(); const later: any = 1", "Cannot access 'later' before initialization", ""),
    ("Object.entries(o.nothing)", "Cannot convert undefined or null to object", ": Object.entries(o.nothing)"),
    ("const { x } = u", "Cannot destructure property 'x' of 'u' as it is undefined.", ""),
    ("const { x } = o.missing", "Cannot destructure property 'x' of 'o.missing' as it is undefined.", ""),
    ("const { x } = o.a()", "Cannot destructure property 'x' of 'o.a()' as it is null.", ""),
    ("let x; ({ x } = u)", "Cannot destructure property 'x' of 'u' as it is undefined.", ""),
    ("const g = (a: any = b, b = 1) => a; g()", "Cannot access a variable before initialization", ""),
    ("early; let early: any = 1", "Cannot access 'early' before initialization", ""),
    ("early = 1; let early: any", "Cannot access 'early' before initialization", ""),
    ("{ new Early(); class Early {} }", "Cannot access 'Early' before initialization", ""),
    ("n.z = f()", "Cannot set properties of null (setting 'z')", ": n is null"),
    ("o.m.z = f()", "Cannot set properties of undefined (setting 'z')", ": o.m is undefined"),
    ("for await (const x of o.y) ;", "o.y is not async iterable", ""),
    ("for await (const x of u) ;", "u is not async iterable", ""),
    ("const g = ({ x: { y } }: any) => y; g()", "Cannot destructure 'undefined' as it is undefined.", ""),
    ("const {} = n", "Cannot destructure 'n' as it is null.", ""),
    ("const [a] = u", "u is not iterable", ""),
    ("const [a] = o.o", "o.o is not iterable", ""),
    ("for (const x of o.o) ;", "o.o is not iterable", ""),
    ("for (const x of u) ;", "u is not iterable", ""),
    ("[...o.o]", "o.o is not iterable", ""),
    ("f(...u)", "u is not iterable", ""),
    ("f(...o.y)", "o.y is not iterable", ""),
    ("o.missing?.a.b.c; o?.missing?.(); o.n?.x(); ({ ...u, ...n }); `${u?.x}`; throw new Error('fine')", "fine", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_property_and_the_expression_as_v8_does() {
    let component = component(Duration::from_secs(20)).await;
    let setting = "const o: any = { a: () => null, y: 1, o: {}, n: null }, n: any = null, k: any = 'q', Y: any = 3, arr: any = [{ id: 1 }]; let u: any; const f: any = (...x: any[]) => 1;";
    let mut failed = Vec::new();
    for &(expression, v8, beside) in NAMES {
        let body = format!("{setting}\n{expression};");
        let mut charm = match Charm::deploy(&component, "charm.ts", &charm(&body), &json!({}), client(None)).await {
            Ok(charm) => charm,
            Err(failure) => {
                failed.push(format!("{expression}: does not deploy: {failure}"));
                continue;
            }
        };
        let Err(failure) = charm.trigger("bgUpdater", json!({})).await else {
            failed.push(format!("{expression}: succeeds"));
            continue;
        };
        let line = if v8.contains("map'") && expression.contains('\n') { 9 } else { 7 };
        let stack = failure.stack.clone().unwrap_or_default();
        let is_there = stack.lines().next().is_some_and(|frame| frame.contains(&format!("charm.ts:{line}:")));
        let named = failure.message.split_once("Error: ").map(|(_, named)| named);
        if named != Some(&format!("{v8}{beside}")) || !is_there {
            failed.push(format!(
                "{expression}\n  {}\n  {v8}{beside}\n  {}",
                failure.message,
                stack.lines().next().unwrap_or("")
            ));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
