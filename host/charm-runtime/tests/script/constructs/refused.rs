//! What is refused, and what is an error of the charm's.

use super::{Expect, Row, fails, fails_whole, in_handler, refused};

/// The rows of the table.
pub(super) fn rows() -> Vec<Row> {
    [module(), syntax(), types(), names(), errors()].into_iter().flatten().collect()
}

const REST: &str = "\nexport default pattern(() => ({}));";

fn module() -> Vec<Row> {
    let imports = |name: &str| format!("import {{ pattern, {name} }} from 'commontools';\n{name}();{REST}");
    let mut rows: Vec<Row> = [
        ("`sqliteDatabase`", "sqliteDatabase", "\"commontools\" has no \"sqliteDatabase\" here; it has"),
        ("`streamData`", "streamData", "\"commontools\" has no \"streamData\" here"),
        ("any other name that `commontools` does not have", "teleport", "\"commontools\" has no \"teleport\" here"),
    ]
    .into_iter()
    .map(|(construct, name, message)| refused(construct, &imports(name), 1, message))
    .collect();
    let import = |line: &str| format!("import {{ pattern }} from 'commontools';\n{line}{REST}");
    rows.extend([
        refused(
            "a package, by any name: `lodash`, `npm:…`, `https://…`, `node:fs`",
            &import("import _ from 'npm:lodash';"),
            2,
            "the package \"npm:lodash\" is not available",
        ),
        refused(
            "a file that is not there",
            &import("import { a } from './gone';"),
            2,
            "there is no file \"./gone\" beside this one",
        ),
        refused(
            "`import * as ct from \"commontools\"`",
            &import("import * as ct from 'commontools';"),
            2,
            "import from \"commontools\" by name",
        ),
        refused("`import(…)`", &import("const x = import('./lib/add');"), 2, "`import(…)` is not available to charms"),
        refused(
            "`import x = …`, `export =`",
            &import("import x = require('x');"),
            2,
            "`import … = …` is not available to charms",
        ),
        refused(
            "no default export",
            "import { pattern } from 'commontools';\nexport const it = pattern(() => ({}));",
            2,
            "a charm needs an `export default pattern(…)`",
        ),
        refused("syntax errors", &import("const = 1;"), 2, "Unexpected token"),
    ]);
    rows
}

fn syntax() -> Vec<Row> {
    [
        ("`using`, `await using`", "using x = { [Symbol.dispose]() {} };", "`using` is not available to charms"),
        ("`accessor`", "class A { accessor n = 1; }", "`accessor` is not available to charms"),
        ("decorators", "@out class A {}", "decorators are not available to charms"),
        ("the flag `v` of regular expressions", "/[a&&b]/v.test('a');", "the flag `v` of regular expressions"),
    ]
    .into_iter()
    .map(|(construct, code, message)| refused(construct, &in_handler(code), 2, message))
    .collect()
}

fn types() -> Vec<Row> {
    let state = |ty: &str| {
        format!(
            "class Account {{}}\nconst value = Number('1');\nconst f = handler<unknown, {{ kept: Cell<{ty}> }}>(() => {{}});{REST}"
        )
    };
    [
        ("a cell of functions or symbols alone", "() => void", "a cell can't hold a function"),
        ("`Date`, `Map`, `Set`, `URL`, … in a cell's type", "Date", "a cell holds JSON, and `Date` is none"),
        ("a class in a cell's type", "Account", "an object of the class `Account` would not come back as one"),
        ("`bigint` in a cell's type", "bigint", "a bigint is no JSON"),
        ("a type that no file declares", "Missing", "the type `Missing` is declared in none of the charm's files"),
        ("`import('…').T` as a type", "import('x').T", "the type `import(…)` is not understood here"),
        ("an intersection that no value fits", "string & number", "an intersection of what no value can be at once"),
        (
            "`Default<T, v>` with a value that is neither spelled out nor a constant of literals",
            "Default<number, typeof value>",
            "a default is spelled out as literals",
        ),
    ]
    .into_iter()
    .map(|(construct, ty, message)| refused(construct, &state(ty), 4, message))
    .collect()
}

fn names() -> Vec<Row> {
    [
        (
            "`window`, `document`, `navigator`, `location`, `DOMParser`, …",
            "document.title",
            "charms run on the server, where there is no page",
        ),
        (
            "`localStorage`, `sessionStorage`, `indexedDB`, `caches`",
            "localStorage.x",
            "what a charm keeps, it keeps in cells",
        ),
        ("`process`, `Deno`, `Bun`, `require`", "process.env", "charms see nothing of the machine"),
        ("`Buffer`", "Buffer.from('x')", "use Uint8Array, TextEncoder, atob and btoa"),
        ("`XMLHttpRequest`, `WebSocket`, `EventSource`", "new WebSocket('wss://x')", "use fetch()"),
        (
            "`FormData`, `FileReader`, `ReadableStream`",
            "new FormData()",
            "bodies are texts, URLSearchParams, bytes or Blobs",
        ),
        (
            "`WebAssembly`, `SharedArrayBuffer`, `Atomics`, `Worker`",
            "new SharedArrayBuffer(1)",
            "a charm is one thread of JavaScript",
        ),
        ("any other name that nobody declares", "undeclared()", "it is neither declared in this file nor imported"),
    ]
    .into_iter()
    .map(|(construct, code, message)| refused(construct, &in_handler(code), 2, message))
    .collect()
}

fn errors() -> Vec<Row> {
    let whole = |construct, code: &str, message| fails_whole(construct, &in_handler(code), message);
    let row =
        |construct, code: &str, message| Row { construct, source: in_handler(code), expect: Expect::Fails(message) };
    vec![
        fails(
            "a schema with `$ref`",
            "export default pattern(() => ({ out: Cell.of(1, { $ref: '#/x' }) }));",
            "schemas with \"$ref\" are not supported; write the schema out",
        ),
        fails_whole("a default export that is no pattern", "export default 5;", "the default export is not a pattern"),
        fails_whole(
            "an async pattern",
            "export default pattern(async () => ({}));",
            "a pattern returns an object of its cells and streams",
        ),
        fails_whole(
            "a function in a pattern's result",
            "export default pattern(() => ({ out: () => 1 }));",
            "wrap it in handler(…) and call that with its state",
        ),
        fails_whole(
            "a promise in a derived cell",
            "export default pattern(() => ({ out: computed(async () => 1) }));",
            "a derived cell can't wait for a promise",
        ),
        fails_whole(
            "derived cells that change what they follow from, without end",
            "const grow = lift({ properties: { n: { asCell: true } } }, {}, ({ n }) => n.set(n.get() + 1).get());\nexport default pattern(() => ({ out: grow({ n: Cell.of(0) }) }));",
            "derived cells don't settle",
        ),
        row("assigning to a cell's property", "out.x = 1;", "a cell is not assigned to: write cell.key(\"x\").set(…)"),
        row(
            "a `Map`, `Set`, `Promise`, `RegExp` or `Error` in a cell",
            "out.set({ inner: new Map() });",
            "a cell can't hold a Map: it holds JSON",
        ),
        row(
            "`delete cell.name`",
            "delete out.x;",
            "nothing is deleted from a cell: write cell.key(\"x\").set(undefined)",
        ),
        row(
            "writing a derived cell",
            "const d = derive(out, (v: any) => v); d.set(1);",
            "a derived cell can't be written",
        ),
        row("a function, a symbol or a bigint in a cell", "out.set(() => 1);", "a cell can't hold a function"),
        fails_whole(
            "links that go round in a circle",
            "const run = handler<unknown, { a: Cell<any>; b: Cell<any> }>((_, { a, b }) => { a.set([b]); b.set([a]); a.get(); });\nexport default pattern(() => { const a = Cell.of<any>(), b = Cell.of<any>(); return { a, b, bgUpdater: run({ a, b }) }; });",
            "links between cells go round in a circle",
        ),
        row("streams as bodies: `response.body`", "new Response('x').body;", "body"),
        row("`TextDecoder` of another encoding than UTF-8", "new TextDecoder('latin1');", "latin1"),
        row(
            "`Intl.Segmenter`, `Intl.DisplayNames`, `Intl.DurationFormat`, `formatRange()`",
            "new Intl.Segmenter('en');",
            "Intl.Segmenter is not supported here",
        ),
        row(
            "options of `Intl` that are not here: `dayPeriod`, other calendars and collations, `roundingIncrement`",
            "new Date().toLocaleString('en', { dayPeriod: 'short' });",
            "Intl.DateTimeFormat: the option dayPeriod is not supported here",
        ),
        row(
            "`crypto.subtle` beside `digest`",
            "await crypto.subtle.generateKey({ name: 'HMAC' }, true, ['sign']);",
            "crypto.subtle.generateKey() is not available to charms",
        ),
        whole(
            "a promise that nothing is left to settle",
            "await new Promise(() => {});",
            "the handler waits for a promise that nothing is left to settle",
        ),
        row("calls that nest too deeply", "const down = () => down() + 1; down();", "the calls are nested too deeply"),
        row("async code that is made of a text", "new Function('return (async () => 1)()')();", "can't be async here"),
    ]
}
