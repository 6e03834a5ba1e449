//! What follows from cells: derived cells, links, requests of a pattern's own, pages.

use serde_json::json;

use super::{Charm, response};

#[test]
fn derived_cells_follow_from_what_they_were_made_of() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, lift, computed, str, ifElse, NAME } from "commontools";
const add = handler((_, { items, name }) => { items.push(items.get().length + 1); name.set("n" + items.get().length); });
const total = lift(({ items }) => items.reduce((sum, item) => sum + item, 0));
export default pattern(({ items, name }) => {
  const count = derive(items, (items) => items.length);
  const sum = total({ items });
  return {
    [NAME]: str`${name} of ${count}`,
    count, sum,
    twice: computed([{ count }, {}], ({ count }) => count * 2),
    text: str`${name}: ${sum}!`,
    state: ifElse(derive(count, (n) => n > 1), { many: count }, "few"),
    first: derive({ items, name }, ({ items, name }) => [items[0] ?? null, name]),
    add: add({ items, name }),
  };
}, { properties: { items: { default: [] }, name: { default: "none" } } });"#,
    );
    let shape = charm.setup("{}").expect("a good charm");
    assert_eq!(shape.name.as_deref(), Some("none of 0"));
    let all = |charm: &Charm| ["count", "sum", "twice", "text", "state", "first"].map(|name| charm.cell(name));
    assert_eq!(all(&charm), [json!(0), json!(0), json!(0), json!("none: 0!"), json!("few"), json!([null, "none"])]);
    charm.handle("add", "{}").expect("adds");
    charm.handle("add", "{}").expect("adds");
    assert_eq!(all(&charm), [json!(2), json!(3), json!(4), json!("n2: 3!"), json!({"many": 2}), json!([1, "n2"])]);
}

#[test]
fn what_others_have_written_is_followed_by_the_next_call() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, str, Cell } from "commontools";
const run = handler((_, { n }) => n.set(n.get() + 1));
const link = handler((_, { list, a }) => list.set([a]));
export default pattern(({ a, auth }) => {
  const n = Cell.of(0), list = Cell.of([]);
  derive(n, (n) => console.log("n " + n));
  return {
    a, n, list, twice: derive(a, (a) => a * 2), deep: str`<${derive(a, (a) => a + 1)}>`, shown: { a }, listed: derive(list, (list) => list.map((one) => one)),
    user: str`for ${auth.user}`, header: str`Bearer ${auth.token}`, run: run({ n }), link: link({ list, a }),
  };
}, { properties: { a: { default: 1 }, auth: { properties: { user: { default: "ann" }, token: { default: "t", ifc: { classification: ["secret"] } } } } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("link", "{}").expect("links");
    let all = || ["twice", "deep", "shown", "listed", "user", "header"].map(|name| charm.cell(name));
    assert_eq!(all(), [json!(2), json!("<2>"), json!({"a": 1}), json!([1]), json!("for ann"), json!("Bearer t")]);
    for (name, value) in [("a", "5"), ("auth", r#"{"user": "ben", "token": "u"}"#)] {
        charm.outside.cells.borrow_mut().insert(name.into(), value.into());
    }
    charm.outside.lines.borrow_mut().clear();
    charm.outside.changed.replace(vec!["a", "auth"]);
    charm.handle("link", "{}").expect("runs");
    assert_eq!(all(), [json!(10), json!("<6>"), json!({"a": 5}), json!([5]), json!("for ben"), json!("Bearer u")]);
    assert!(charm.outside.lines.borrow().is_empty(), "what follows from n is not made again");
    charm.outside.cells.borrow_mut().insert("a".into(), "6".into());
    charm.outside.changed.replace(vec!["*"]);
    charm.handle("run", "{}").expect("runs");
    assert_eq!((charm.cell("twice"), charm.cell("header")), (json!(12), json!("Bearer u")));
}

#[test]
fn only_what_depends_on_what_was_written_is_computed_again() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, Cell } from "commontools";
const set = handler((event, { a }) => a.set(event.a));
export default pattern(() => {
  const a = Cell.of(1), b = Cell.of(1);
  derive(a, (a) => console.log("a " + a));
  derive(b, (b) => console.log("b " + b));
  return { a, b, fromA: derive(a, (a) => a + 1), set: set({ a }) };
});"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("set", r#"{"a": 5}"#).expect("sets");
    let lines: Vec<_> = charm.outside.lines.borrow().iter().map(|(_, line)| line.clone()).collect();
    assert_eq!(lines, ["a 1", "b 1", "a 5"]);
    assert_eq!(charm.cell("fromA"), json!(6));
}

#[test]
fn what_a_derivation_does_wrong_is_the_calls_failure() {
    for (derived, expected) in [
        ("derive(out, (value) => value.missing.part)", "TypeError"),
        ("computed(() => Promise.resolve(1))", "TypeError: a derived cell can't wait for a promise"),
        ("lift(5)", "TypeError: lift() needs a function"),
        ("derive(out)", "TypeError: derive() needs a function"),
        (
            "lift({}, undefined, ({ out }) => { counter.set(counter.get() + 1); return out; })({ out })",
            "RangeError: derived cells don't settle",
        ),
        ("computed(() => { derived.get(); })", "TypeError: a derived cell can't follow from itself"),
    ] {
        let charm = Charm::new(&format!(
            "import {{ pattern, derive, lift, computed, Cell }} from 'commontools';
export default pattern(() => {{ const out = Cell.of({{}}), counter = Cell.of(0); const watch = computed(() => counter.get()); const derived = {derived}; computed(() => derived.get?.() ?? watch.get()); return {{ out, derived }}; }});"
        ));
        let failure = charm.setup("{}").expect_err(derived);
        assert!(failure.message.starts_with(expected), "{derived}: {failure:?}");
    }
    let charm = Charm::new(
        "import { pattern, handler, derive, Cell } from 'commontools';
const run = handler((_, { out }) => out.set(null));
export default pattern(() => { const out = Cell.of([]); return { out, size: derive(out, (out) => out.length), run: run({ out }) }; });",
    );
    charm.setup("{}").expect("a good charm");
    let failure = charm.handle("run", "{}").expect_err("null has no length");
    assert!(failure.stack.is_some_and(|stack| stack.contains("charm.js:3:")), "{}", failure.message);
    assert_eq!(charm.cell("out"), json!([]), "nothing is stored");
    let failure =
        Charm::with_handler("const { derive } = await 0 ?? {}; out.map((x) => x).set(1);").out().expect_err("");
    assert!(failure.message.starts_with("TypeError"), "{failure:?}");
}

#[test]
fn cells_within_values_are_links_and_are_followed() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell } from "commontools";
const link = handler((_, { mails, latest, box }) => {
  mails.push({ subject: "one" }, { subject: "two" });
  latest.set(mails.key(1));
  box.set({ inner: { latest, list: mails } });
});
const change = handler({}, { properties: { latest: { asCell: true }, box: { asCell: true }, mails: {} } }, (_, { latest, box, mails }) => {
  latest.key("subject").set("changed");
  box.key("inner").key("list").push({ subject: "three" });
  console.log(JSON.stringify([latest.get(), box.get(), mails.length, latest.equals(box.inner.latest)]));
});
export default pattern(() => {
  const mails = Cell.of([]), latest = Cell.of(), box = Cell.of();
  return { mails, latest, box, link: link({ mails, latest, box }), change: change({ mails, latest, box }) };
});"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("link", "{}").expect("links");
    assert_eq!(charm.cell("latest"), json!({"/": {"link@1": {"id": "of:mails", "path": ["1"]}}}));
    charm.handle("change", "{}").expect("changes");
    assert_eq!(charm.cell("mails"), json!([{"subject": "one"}, {"subject": "changed"}, {"subject": "three"}]));
    let line = charm.outside.lines.borrow()[0].1.clone();
    let mails = json!([{"subject": "one"}, {"subject": "changed"}, {"subject": "three"}]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON"),
        json!([mails[1], {"inner": {"latest": mails[1], "list": mails}}, 2, true])
    );
}

#[test]
fn objects_with_an_id_are_documents_of_their_own_and_circles_are_an_error() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell, ID } from "commontools";
const add = handler((_, { items }) => {
  items.push({ [ID]: 7, title: "A" });
  items.set([...items.get(), { [ID]: 7, title: "B" }]);
});
const circle = handler((_, { a, b }) => { a.set({ b }); b.set({ a }); console.log(a.get()); });
export default pattern(() => {
  const items = Cell.of([]), a = Cell.of(), b = Cell.of();
  return { items, a, b, add: add({ items }), circle: circle({ a, b }) };
});"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("add", "{}").expect("adds");
    assert_eq!(charm.cell("items#7"), json!({"title": "B"}));
    assert_eq!(charm.cell("items"), json!([{"title": "A"}, {"/": {"link@1": {"id": "of:items#7", "path": []}}}]));
    let failure = charm.handle("circle", "{}").expect_err("a circle");
    assert!(failure.message.contains("go round in a circle"), "{failure:?}");
}

#[test]
fn what_follows_from_a_secret_is_secret_and_nothing_secret_is_put_elsewhere() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, str, computed, fetchData, Cell, ID, NAME } from "commontools";
const keep = handler((_, { auth }) => auth.key("list").push({ [ID]: 1, token: "u" }));
export default pattern(({ auth }) => ({
  [NAME]: str`has ${auth.token}`,
  user: str`for ${auth.user}`,
  header: derive(auth, (auth) => "Bearer " + auth.token),
  nested: derive(str`${auth.token}!`, (text) => text.length),
  data: fetchData({ url: str`https://api.example/${auth.token}` }),
  keep: keep({ auth }),
}), { properties: { auth: { properties: {
  token: { default: "t", ifc: { classification: ["secret"] } }, user: { default: "ann" },
  list: { default: [], items: { properties: { token: { ifc: { classification: ["secret"] } } } } },
} } } });"#,
    )
    .answering(|_| Ok(response(200, "{}")));
    let shape = charm.setup("{}").expect("a good charm");
    assert_eq!(shape.name, None);
    let mut secrets: Vec<_> = shape.secrets.iter().map(|path| path.join("/")).collect();
    secrets.sort();
    assert_eq!(secrets, ["__fetch/0", "auth/list/*/token", "auth/token", "data", "header", "nested"]);
    charm.handle("keep", "{}").expect("keeps");
    assert_eq!(charm.cell("auth")["list"], json!([{"token": "u"}]));
}

#[test]
fn fetch_data_asks_once_for_each_request_and_the_poll_waits_for_it() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, fetchData } from "commontools";
const set = handler((event, { page }) => page.set(event.page));
export default pattern(({ page }) => {
  const { result, error, pending } = fetchData({ url: derive(page, (page) => `/api/${page}`), mode: "json" });
  return { page, result, error, pending, size: derive(result, (result) => result?.size ?? 0), set: set({ page }) };
}, { properties: { page: { default: "a" } } });"#,
    )
    .answering(|request| match request.url.as_str() {
        "http://localhost:8000/api/a" => Ok(response(200, r#"{"size": 1}"#)),
        "http://localhost:8000/api/b" => Ok(response(200, r#"{"size": 2}"#)),
        _ => Ok(response(404, "{}")),
    });
    let state = |charm: &Charm| ["result", "error", "pending", "size"].map(|name| charm.cell(name));
    charm.setup("{}").expect("a good charm");
    assert_eq!(state(&charm), [json!({"size": 1}), json!(null), json!(false), json!(1)]);
    charm.handle("set", r#"{"page": "a"}"#).expect("sets");
    assert_eq!(charm.outside.requests.borrow().len(), 1, "nothing has changed");
    charm.handle("set", r#"{"page": "b"}"#).expect("sets");
    assert_eq!(state(&charm), [json!({"size": 2}), json!(null), json!(false), json!(2)]);
    charm.handle("set", r#"{"page": "c"}"#).expect("sets");
    assert_eq!(state(&charm)[1], json!("Error: 404 Not Found"));
    assert_eq!(charm.outside.requests.borrow().len(), 3);
}

#[test]
fn a_page_is_a_tree_of_what_the_cells_hold_when_somebody_looks() {
    let charm = Charm::new(
        r#"
import { pattern, handler, h, UI, __page, __value } from "commontools";
const add = handler((_, { items }) => items.push({ name: "x" }));
export default pattern(({ items, title }) => ({
  [UI]: __page(() => h("div", { class: "a", onClick: add({ items }) },
    h("h1", null, title, " (", items.length, ")"), null, false,
    items.map((item, index) => h("li", { key: index }, item.name)),
    __value([{ title }, {}], ({ title }) => title === "T" ? h("b", null, "yes") : "no"),
    h(h.fragment, null, h("ct-input", { value: title })))),
  items, add: add({ items }),
}), { properties: { items: { default: [] }, title: { default: "T" } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("add", "{}").expect("adds");
    let node = |name: &str, props: serde_json::Value, children: serde_json::Value| json!({"name": name, "props": props, "children": children});
    assert_eq!(
        charm.page().expect("a page"),
        json!([node(
            "div",
            json!({"class": "a"}),
            json!([
                node("h1", json!({}), json!(["T", " (", "1", ")"])),
                node("li", json!({"key": 0}), json!(["x"])),
                node("b", json!({}), json!(["yes"])),
                node("common-fragment", json!({}), json!([node("ct-input", json!({"value": "T"}), json!([]))])),
            ])
        )])
    );
    assert_eq!(charm.names(), ["items", "title"], "a page is not stored");
    let without = Charm::new("import { pattern } from 'commontools'; export default pattern(() => ({ a: 1 }));");
    assert_eq!(without.page().expect("no page"), json!(null));
}

#[test]
fn modules_import_one_another_and_stacks_tell_their_files() {
    let mut charm = Charm::new(
        "import { pattern, handler, Cell } from 'commontools';
import { fail } from 'lib/fail.ts';
const run = handler(() => fail());
export default pattern(() => ({ run: run({}) }));",
    );
    charm.files.insert(
        "lib/fail.ts".into(),
        "import { deeper } from 'lib/deeper.ts';\nexport const fail = () => deeper();".into(),
    );
    charm.files.insert(
        "lib/deeper.ts".into(),
        "import { fail } from 'lib/fail.ts';\n\nexport function deeper() {\n  throw new Error(typeof fail);\n}".into(),
    );
    charm.setup("{}").expect("a good charm");
    let failure = charm.handle("run", "{}").expect_err("fails");
    assert_eq!(failure.message, "Error: function");
    let stack = failure.stack.expect("a stack");
    for frame in ["(lib/deeper.ts:4:", "(lib/fail.ts:2:", "charm.js:3:"] {
        assert!(stack.contains(frame), "{frame}: {stack}");
    }
}

#[test]
fn inputs_that_do_not_fit_their_types_are_refused_without_telling_their_values() {
    let charm = Charm::new(
        r#"
import { pattern } from "commontools";
export default pattern((inputs) => inputs, { properties: {
  count: { type: "number" }, list: { type: "array", items: { type: "string" } }, either: { anyOf: [{ type: "null" }, { type: "string" }] },
  auth: { type: "object", properties: { token: { type: "string" }, scope: { type: "string", default: "" } }, required: ["token", "scope"] },
  level: { enum: ["a", "b"] },
} });"#,
    );
    for (inputs, expected) in [
        (r#"{"count": "hunter2"}"#, "TypeError: the input count is not a number"),
        (r#"{"list": ["a", 5]}"#, "TypeError: the input list[1] is not a string"),
        (r#"{"list": {}}"#, "TypeError: the input list is not an array"),
        (r#"{"either": 5}"#, "TypeError: the input either is none of what its type allows"),
        (r#"{"auth": {}}"#, "TypeError: the input auth.token is missing"),
        (r#"{"auth": {"token": 1}}"#, "TypeError: the input auth.token is not a string"),
        (r#"{"level": "hunter2"}"#, "TypeError: the input level is not one of [\"a\",\"b\"]"),
    ] {
        let failure = charm.setup(inputs).expect_err(inputs);
        assert!(failure.message.starts_with(expected) && !failure.message.contains("hunter2"), "{failure:?}");
    }
    charm.setup(r#"{"count": 1, "list": [], "either": "x", "auth": {"token": "t"}, "level": "b"}"#).expect("fits");
}
