//! Patterns, handlers and cells.

use serde_json::json;

use super::Charm;

const COUNTER: &str = r#"
import { pattern, handler, NAME, UI, h } from "commontools";
const add = handler({}, { properties: { count: { asCell: true }, step: { type: "number" } } }, (event, { count, step }) => {
  count.set(count.get() + (event.by ?? step));
});
export default pattern(({ count, step }) => ({
  [NAME]: "Counter",
  [UI]: h("div", null, "Count: ", count, count.map((x) => x), `${count} of ${count.parts.length}`),
  count,
  bgUpdater: add({ count, step }),
}), { properties: { count: { type: "number", default: 0 }, step: { type: "number", default: 2 } } });
"#;

#[test]
fn a_counter_counts() {
    let charm = Charm::new(COUNTER);
    let shape = charm.setup(r#"{"step": 3}"#).expect("a good charm");
    assert_eq!((shape.name.as_deref(), shape.streams), (Some("Counter"), vec!["bgUpdater".to_owned()]));
    assert_eq!(charm.names(), ["count", "step"]);
    charm.handle("bgUpdater", "{}").expect("counts");
    charm.handle("bgUpdater", r#"{"by": 10}"#).expect("counts");
    assert_eq!(charm.cell("count"), json!(13));
}

#[test]
fn a_second_setup_keeps_what_is_stored_unless_inputs_say_otherwise() {
    let charm = Charm::new(COUNTER);
    charm.setup("{}").expect("a good charm");
    charm.handle("bgUpdater", "{}").expect("counts");
    charm.setup(r#"{"step": 5}"#).expect("once more");
    assert_eq!((charm.cell("count"), charm.cell("step")), (json!(2), json!(5)));
}

#[test]
fn every_form_of_pattern_is_understood() {
    let schema = "{ properties: { n: { default: 1 } } }";
    for call in [
        format!("pattern(body, {schema})"),
        format!("pattern('A name', body, {schema}, {{}})"),
        format!("pattern({schema}, body)"),
        format!("recipe({schema}, {{}}, body)"),
        format!("recipe('A name', body, {schema})"),
    ] {
        let charm = Charm::new(&format!(
            "import {{ pattern, recipe }} from 'commontools'; const body = ({{ n }}) => ({{ n }}); export default {call};"
        ));
        let shape = charm.setup("{}").unwrap_or_else(|failure| panic!("{call}: {failure:?}"));
        assert_eq!(charm.cell("n"), json!(1), "{call}");
        assert_eq!(shape.name.is_some(), call.contains("A name"), "{call}");
    }
}

#[test]
fn cells_are_named_by_input_result_or_order() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell, cell, Writable } from "commontools";
const run = handler((_, { hidden, mine, also }) => { hidden.set("h"); mine.set("m"); also.push(1); });
export default pattern(({ given }) => {
  const hidden = Cell.of(0), mine = cell(0), also = new Writable([]);
  return { mine, given, fixed: { a: [1] }, run: run({ hidden, mine, also, given }) };
});"#,
    );
    charm.setup(r#"{"given": "g", "other": true}"#).expect("a good charm");
    assert_eq!(charm.names(), ["__cell/0", "__cell/2", "fixed", "given", "mine", "other"]);
    charm.handle("run", "{}").expect("runs");
    assert_eq!(
        [charm.cell("__cell/0"), charm.cell("mine"), charm.cell("__cell/2"), charm.cell("given")],
        [json!("h"), json!("m"), json!([1]), json!("g")]
    );
    assert_eq!(charm.cell("fixed"), json!({"a": [1]}));
}

#[test]
fn results_that_show_other_cells_follow_them() {
    let charm = Charm::new(
        r#"
import { pattern, handler } from "commontools";
const run = handler((_, { settings }) => settings.key("limit").set(5));
export default pattern(({ settings }) => ({
  limit: settings.limit, all: { inner: [settings], n: 1 }, again: settings, run: run({ settings }),
}), { properties: { settings: { properties: { limit: { default: 1 }, token: { default: "t", ifc: { classification: ["secret"] } } } } } });"#,
    );
    let shape = charm.setup("{}").expect("a good charm");
    assert_eq!(charm.cell("limit"), json!(1));
    charm.handle("run", "{}").expect("runs");
    assert_eq!(charm.cell("limit"), json!(5));
    assert_eq!(charm.cell("all"), json!({"inner": [{"limit": 5, "token": "t"}], "n": 1}));
    assert_eq!(charm.cell("again"), json!({"limit": 5, "token": "t"}));
    let mut secrets = shape.secrets;
    secrets.sort();
    assert_eq!(secrets, [vec!["again", "token"], vec!["all", "inner", "*", "token"], vec!["settings", "token"]]);
}

#[test]
fn every_label_that_is_not_public_marks_a_secret_wherever_a_schema_has_it() {
    for mark in [
        r#"{ classification: ["secret"] }"#,
        r#"{ classification: ["confidential"] }"#,
        r#"{ classification: "topsecret" }"#,
        r#"{ confidentiality: ["secret"] }"#,
        r#"{ confidentiality: "pii" }"#,
        r#"{ confidentiality: ["public", { type: "https://example.com/atom" }] }"#,
        r#"{ confidentiality: [["a", "b"]], integrity: [] }"#,
    ] {
        let secret = format!("{{ type: \"string\", ifc: {mark} }}");
        for (schema, expected) in [
            (secret.clone(), vec!["c"]),
            (format!("{{ properties: {{ a: {secret} }} }}"), vec!["c", "a"]),
            (format!("{{ patternProperties: {{ \"^x\": {secret} }} }}"), vec!["c", "*"]),
            (format!("{{ items: [{{}}, {secret}] }}"), vec!["c", "*"]),
            (format!("{{ unevaluatedProperties: {secret} }}"), vec!["c", "*"]),
            (format!("{{ if: {{}}, then: {{ properties: {{ a: {secret} }} }} }}"), vec!["c", "a"]),
            (format!("{{ dependentSchemas: {{ b: {{ properties: {{ a: {secret} }} }} }} }}"), vec!["c", "a"]),
        ] {
            let charm = Charm::new(&format!(
                "import {{ pattern }} from \"commontools\";\nexport default pattern(({{ c }}) => ({{ c }}), {{ properties: {{ c: {schema} }} }});"
            ));
            assert_eq!(charm.setup("{}").expect("a good charm").secrets, [expected], "{schema}");
        }
    }
    for mark in ["{ confidentiality: [] }", r#"{ confidentiality: ["public"] }"#, r#"{ integrity: ["x"] }"#, "{}"] {
        let charm = Charm::new(&format!(
            "import {{ pattern }} from \"commontools\";\nexport default pattern(({{ c }}) => ({{ c }}), {{ properties: {{ c: {{ ifc: {mark} }} }} }});"
        ));
        assert!(charm.setup("{}").expect("a good charm").secrets.is_empty(), "{mark}");
    }
}

#[test]
fn what_follows_from_what_is_secret_by_its_name_is_secret() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, str, Cell, ID, NAME } from "commontools";
const keep = handler((_, { googleAuth }) => googleAuth.key("accounts").set([{ [ID]: 1, access_token: "u" }]));
export default pattern(({ googleAuth, plaid_auth, authors }) => ({
  [NAME]: str`has ${googleAuth.accessToken}`,
  user: str`for ${googleAuth.user.email}`,
  header: derive(googleAuth.accessToken, (token) => "Bearer " + token),
  deep: derive(plaid_auth.items, (items) => items.length),
  shown: { inner: plaid_auth.items },
  count: derive(authors, (authors) => authors.token),
  keep: keep({ googleAuth }),
}), { properties: {
  googleAuth: { type: "object", properties: {
    accessToken: { type: "string", default: "t" }, user: { type: "object", properties: { email: { type: "string", default: "ann" } } },
  } },
  plaid_auth: { default: { items: [] } }, authors: { default: { token: 1 } },
} });"#,
    );
    let shape = charm.setup("{}").expect("a good charm");
    assert_eq!(shape.name, None);
    let mut secrets: Vec<_> = shape.secrets.iter().map(|path| path.join("/")).collect();
    secrets.sort();
    assert_eq!(secrets, ["deep", "header", "shown/inner/**/<secret>"]);
    charm.handle("keep", "{}").expect("keeps");
    assert_eq!(charm.cell("googleAuth")["accounts"], json!([{"access_token": "u"}]), "no document of its own");
}

#[test]
fn secrets_are_found_in_every_schema_that_speaks_of_a_cell() {
    let secret = r#"{ ifc: { classification: ["secret"] } }"#;
    let charm = Charm::new(&format!(
        r#"
import {{ pattern, handler, Cell }} from "commontools";
const run = handler({{}}, {{ properties: {{ auth: {{ asCell: true, properties: {{ refresh: {secret} }} }} }} }}, () => {{}});
export default pattern(({{ auth, list, map, either }}) => {{
  const key = Cell.of("x", {secret});
  return {{ key, token: auth.token, r: auth.refresh, both: {{ auth }}, first: list.key(0), run: run({{ auth }}) }};
}}, {{ properties: {{
  auth: {{ properties: {{ token: {secret} }} }},
  list: {{ items: {{ properties: {{ t: {secret} }} }} }},
  map: {{ additionalProperties: {secret} }},
  either: {{ anyOf: [{{ type: "null" }}, {{ properties: {{ t: {secret} }} }}] }},
}} }});"#
    ));
    let mut secrets =
        charm.setup("{}").expect("a good charm").secrets.into_iter().map(|path| path.join("/")).collect::<Vec<_>>();
    secrets.sort();
    assert_eq!(
        secrets,
        [
            "auth/refresh",
            "auth/token",
            "both/auth/**/<secret>",
            "both/auth/refresh",
            "both/auth/token",
            "either/t",
            "first/t",
            "key",
            "list/*/t",
            "map/*",
            "r",
            "r/**/<secret>",
            "token"
        ]
    );
}

#[test]
fn a_handler_sees_cells_or_values_as_its_schema_says() {
    for (schemas, expected) in [
        ("", json!(["cell", "cell", "cell"])),
        ("{}, {}, ", json!(["cell", "cell", "cell"])),
        (
            "{}, { properties: { a: { asCell: true }, b: {}, c: { type: 'object' } } }, ",
            json!(["cell", "value", "value"]),
        ),
        (
            "{}, { properties: { c: { properties: { n: { asCell: true } } } } }, ",
            json!(["value", "value", "value with a cell"]),
        ),
    ] {
        let charm = Charm::new(&format!(
            r#"
import {{ pattern, handler, Cell }} from "commontools";
const kind = (x) => x instanceof Cell ? "cell" : x?.n instanceof Cell ? "value with a cell" : "value";
const out = Cell.of();
const run = handler({schemas}(_, {{ a, b, c }}) => {{ console.log(JSON.stringify([a, b, c].map(kind))); }});
export default pattern(() => {{ const a = Cell.of(1), b = Cell.of([1]), c = Cell.of({{ n: 1 }}); return {{ a, b, c, run: run({{ a, b, c }}) }}; }});"#
        ));
        charm.setup("{}").expect("a good charm");
        charm.handle("run", "{}").expect("runs");
        let line = charm.outside.lines.borrow()[0].1.clone();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).expect("JSON"), expected, "{schemas}");
    }
}

#[test]
fn cells_get_set_update_push_and_show_parts() {
    for (body, expected) in [
        ("out.set({ a: 1 }); out.update({ b: 2 });", json!({"a": 1, "b": 2})),
        ("out.set(1); out.update((n) => n + 1);", json!(2)),
        ("out.push(1, 2); out.push({ x: [3] });", json!([1, 2, {"x": [3]}])),
        ("out.key('a').key('b').set(1); out.a.c.set(2);", json!({"a": {"b": 1, "c": 2}})),
        ("out.set([{ n: 1 }]); out.key(0).n.set(2); out.key('1').set(3);", json!([{"n": 2}, 3])),
        ("out.set({ list: [1] }); out.list.push(2); out.list.key(0).set(undefined);", json!({"list": [null, 2]})),
        ("out.set({ a: 1, b: 2 }); out.key('a').set(undefined);", json!({"b": 2})),
        ("const v = [1]; out.set(v); v.push(2); out.get().push(3);", json!([1])),
        ("out.set(undefined);", json!(null)),
        ("out.set({ d: new Date(0), u: undefined, n: NaN });", json!({"d": "1970-01-01T00:00:00.000Z", "n": null})),
        ("out.set([out.get(), out.key('x').get(), out.missing.deep.get() === undefined]);", json!([null, null, true])),
        ("out.set('é😀'); out.set([...out.get()].length);", json!(2)),
        ("out.set({ length: 3 }); out.set(out.length.get());", json!(3)),
        (
            "out.set(JSON.parse('{\"__proto__\": 1}')); out.key('__proto__').set(2); out.set(JSON.stringify(out.get()));",
            json!("{\"__proto__\":2}"),
        ),
        (
            "out.set({ a: 1 }); out.set([out.equals(out), out.a.equals(out.key('a')), out.equals(out.a), await out === out]);",
            json!([true, true, false, true]),
        ),
    ] {
        assert_eq!(
            Charm::with_handler(body).out().unwrap_or_else(|failure| panic!("{body}: {failure:?}")),
            expected,
            "{body}"
        );
    }
}

#[test]
fn misuse_is_an_error_that_says_what_to_do() {
    for (body, expected) in [
        ("out.x = 1;", "TypeError: a cell is not assigned to: write cell.key(\"x\").set(…)"),
        ("out.set(1); out.push(1);", "TypeError: push() needs a cell that holds an array"),
        ("out.update(3);", "TypeError: update() takes"),
        ("out.set(() => 1);", "TypeError: a cell can't hold a function"),
        ("out.set(1n);", "TypeError: "),
        ("const loop = {}; loop.loop = loop; out.set(loop);", "TypeError: "),
        ("handler({});", "TypeError: handler() needs a function"),
    ] {
        let failure = Charm::with_handler(body).out().expect_err(body);
        assert!(failure.message.starts_with(expected), "{body}: {failure:?}");
        assert_eq!(
            failure.stack.as_deref().map(|stack| stack.contains("charm.js:2:")),
            Some(true),
            "{body}: {failure:?}"
        );
    }
}

#[test]
fn what_is_no_charm_is_refused_at_setup() {
    let import = "import { pattern, handler, Cell } from 'commontools';";
    for (source, expected) in [
        (format!("{import} export default 5;"), "TypeError: the default export is not a pattern"),
        (format!("{import} export default pattern({{}});"), "TypeError: pattern() needs a function"),
        (format!("{import} export default pattern(() => {{}});"), "TypeError: a pattern returns an object"),
        (format!("{import} export default pattern(async () => ({{}}));"), "TypeError: a pattern returns an object"),
        (
            format!("{import} export default pattern(() => ({{ f: () => 1 }}));"),
            "TypeError: the pattern returns a function as \"f\"",
        ),
        (format!("{import} export default pattern(() => ({{ '': Cell.of(1) }}));"), "Error: cell \"\": bad name"),
        (
            format!("{import} export default pattern((i) => i, {{ properties: {{ a: {{ $ref: '#/x' }} }} }});"),
            "TypeError: schemas with \"$ref\"",
        ),
        (format!("{import} throw new RangeError('at once');"), "RangeError: at once"),
        (
            "import { teleport } from 'commontools'; export default 1;".into(),
            "SyntaxError: could not find export `teleport`",
        ),
        ("import x from 'lodash'; export default x;".into(), "TypeError: "),
        ("const const".into(), "SyntaxError: "),
        ("await new Promise(() => {}); export default 1;".into(), "Error: the module waits for a promise"),
    ] {
        let failure = Charm::new(&source).setup("{}").expect_err(&source);
        assert!(failure.message.starts_with(expected), "{source}: {failure:?}");
    }
}

#[test]
fn handlers_may_send_events_to_streams_they_were_given() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell } from "commontools";
const add = handler((event, { out }) => out.push(event.n));
const run = handler({}, { properties: { add: { asStream: true } } }, async (_, { add }) => { add.send({ n: 1 }); await null; add.send({ n: 2 }); });
export default pattern(() => { const out = Cell.of([]); const a = add({ out }); return { out, a, run: run({ add: a }) }; });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("run", "{}").expect("runs");
    assert_eq!(charm.cell("out"), json!([1, 2]));
}
