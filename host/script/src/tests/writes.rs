//! What handlers write where there are links, arrays, and derived cells that follow.

use serde_json::{Value, json};

use super::Charm;

/// The values of `a`, `b`, and what follows from them after each of these handlers has run once, in this order.
fn after(derived: &str, handlers: &[&str]) -> Charm {
    let streams: String = handlers
        .iter()
        .enumerate()
        .map(|(number, body)| format!("h{number}: handler((_, {{ a, b, d }}) => {{ {body} }})({{ a, b, d }}), "))
        .collect::<Vec<_>>()
        .concat();
    let charm = Charm::new(&format!(
        "import {{ pattern, handler, derive, computed, ifElse, Cell }} from 'commontools';\n\
         export default pattern(() => {{ const a = Cell.of(1), b = Cell.of(2); const d = {derived};\n\
         return {{ a, b, d, {streams} }}; }});"
    ));
    charm.setup("{}").expect("a good charm");
    for number in 0..handlers.len() {
        charm.handle(&format!("h{number}"), "{}").unwrap_or_else(|failure| panic!("h{number}: {failure:?}"));
    }
    charm
}

#[test]
fn derived_cells_follow_from_what_links_lead_to() {
    for (derived, handlers, expected) in [
        // Linked in one call, and the target written in another.
        ("derive(a, (a) => a + 1)", &["a.set(b)", "b.set(10)"][..], json!(11)),
        ("derive(a, (a) => a.x.y + 1)", &["b.set({ y: 5 }); a.set({ x: b })", "b.key('y').set(6)"], json!(7)),
        ("a.key('x')", &["a.set({ x: b })", "b.set(3)"], json!(3)),
        // A link that is replaced after somebody followed it.
        ("derive(a, (a) => a + 1)", &["a.set(b); d.get(); a.set(20); d.get()"], json!(21)),
        ("derive(ifElse(derive(a, (a) => a > 1), a, b), (x) => x * 10)", &["d.get(); a.set(7)"], json!(70)),
    ] {
        // A derivation that reads deeper than what the cells begin with.
        let derived = derived.replace("a.x.y", "(a.x?.y ?? 0)");
        let charm = after(&derived, handlers);
        assert_eq!(charm.cell("d"), expected, "{derived}: {handlers:?}");
    }
}

#[test]
fn a_derived_cell_that_failed_fails_whoever_looks_again() {
    let derived = "derive(a, (a) => { if (a > 5) throw new RangeError('large'); return a; })";
    let fails = "a.set(6); let fails = 0; for (let n = 0; n < 2; n++) try { d.get(); } catch { fails++; }";
    let charm = after(derived, &[&format!("{fails} a.set(3); b.set([fails, d.get()]);")]);
    assert_eq!([charm.cell("a"), charm.cell("b"), charm.cell("d")], [json!(3), json!([2, 3]), json!(3)]);

    // Nothing is written after it failed, and the call fails all the same.
    let charm = Charm::new(&charm.module.replace("a.set(3); b.set([fails, d.get()]);", ""));
    charm.setup("{}").expect("a good charm");
    let failure = charm.handle("h0", "{}").expect_err("what follows fails");
    assert!(failure.message.starts_with("RangeError: large"), "{failure:?}");
    assert_eq!([charm.cell("a"), charm.cell("b"), charm.cell("d")], [json!(1), json!(2), json!(1)]);
}

#[test]
fn arrays_have_no_gaps_and_no_keys_but_numbers() {
    for (body, expected) in [
        (
            "out.set([1, 2]); out.key(0).set(undefined); out.set([out.key(0).get() === null, out.get().length]);",
            json!([true, 2]),
        ),
        ("out.set([1]); out.key(3).set(4); out.push(out.get().map(() => 0).length);", json!([1, null, null, 4, 4])),
        ("out.set([1]); out.key(5).set(undefined);", json!([1])),
        (
            "out.key('a').key(1).key('n').set(1); out.key('b').key('n').set(2);",
            json!({"a": [null, {"n": 1}], "b": {"n": 2}}),
        ),
        ("out.key(0).key('n').set(1);", json!([{"n": 1}])),
        ("out.set({ list: 5 }); out.key('list').set(null); out.key('list').push(1);", json!({"list": [1]})),
        (
            "out.set([1]); try { out.key('n').set(2); } catch (e) { out.push(e.message); }",
            json!([1, "this cell holds an array, which has no \"n\": its items have numbers"]),
        ),
    ] {
        let out = Charm::with_handler(body).out();
        assert_eq!(out.unwrap_or_else(|failure| panic!("{body}: {failure:?}")), expected, "{body}");
    }
}

#[test]
fn a_cell_of_nothing_is_null_once_something_links_to_it() {
    let charm = Charm::with_handler("const made = Cell.of(); out.set([made]); out.set({ made, was: out.get() });");
    let out = charm.out().expect("runs");
    assert_eq!(out["was"], json!([null]));
    let name =
        out["made"]["/"]["link@1"]["id"].as_str().and_then(|id| id.strip_prefix("of:")).expect("a link").to_owned();
    assert_eq!((charm.names().contains(&name), charm.cell(&name)), (true, Value::Null));
}

#[test]
fn what_contradicts_the_type_of_a_cell_is_told_once_for_each_place_and_without_its_value() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell } from "commontools";
const run = handler((_, { list, user, either, open, when, maybe, stats, readings }) => {
  list.set(list.get().push(1)); list.set(5);
  list.set([1, "two", "three"]); list.set([]); list.push("four"); list.push(4); list.key(7).set([]);
  user.set({ name: "ann", age: 3 }); user.key("name").set(7); user.set({ name: null }); user.set(undefined); user.update({ name: true });
  either.set("x"); either.set(1); either.set(true); either.set([]); either.set("y");
  open.set({ any: [1] }); when.set(new Date(0)); maybe.set(null); maybe.set({ a: [list] });
  stats.set({ sesame: "open" }); stats.key("sesame").set("open");
  readings.set(Array.from({ length: 1000 }, (_, n) => n < 3 ? { at: "" } : { at: n }));
});
const untyped = handler({}, { type: "object", properties: { bare: { type: "number", asCell: true } } }, (_, { bare }) => { bare.set("x"); bare.set(1); });
const many = handler((_, cells) => { for (const cell of Object.values(cells)) cell.set("x"); });
export default pattern((inputs) => {
  const bare = Cell.of(1), cells = Array.from({ length: 50 }, () => Cell.of(0, { type: "number" }));
  return { ...inputs, bare, run: run(inputs), untyped: untyped({ bare }), many: many({ ...cells }) };
}, { properties: {
  list: { type: "array", items: { type: "number" }, default: [] }, user: { type: "object", properties: { name: { type: "string" } } },
  either: { anyOf: [{ type: "number" }, { enum: ["x"] }, { type: "array" }] }, open: {}, when: { type: "string" }, maybe: { type: "object" },
  stats: { type: "object", additionalProperties: { type: "number" } },
  readings: { type: "array", items: { type: "object", properties: { at: { type: "string" } } } },
} });"#,
    );
    charm.setup("{}").expect("a good charm");
    let told = |stream: &str| {
        charm.outside.lines.borrow_mut().clear();
        charm.handle(stream, "{}").expect("it is stored all the same");
        charm.outside.lines.borrow().iter().map(|(_, line)| line.clone()).collect::<Vec<String>>()
    };
    let expected = [
        "list is a number, and its declared type is array",
        "list[1] is a string, and its declared type is number",
        "user.name is a number, and its declared type is string",
        "either is a boolean, and its declared type is number | \"x\" | array",
        "maybe is null, and its declared type is object",
        "stats.* is a string, and its declared type is number",
        "readings[3].at is a number, and its declared type is string",
    ]
    .map(|what| format!("what was written to {what}; it is stored all the same"));
    assert_eq!(told("run"), expected);
    assert_eq!(told("run"), expected, "again at the next poll");
    assert_eq!([charm.cell("either"), charm.cell("user")["name"].clone()], [json!("y"), json!(true)]);
    assert_eq!(
        told("untyped"),
        ["what was written to bare is a string, and its declared type is number; it is stored all the same"]
    );
    let many = told("many");
    assert_eq!(many.len(), 21, "{many:#?}");
    assert_eq!(many[20], "further writes that contradict their declared types are not told");
}
