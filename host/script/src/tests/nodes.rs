//! What runs when something else has: derived cells that write, nodes that handlers make, events at setup; and the names
//! of inputs and results.

use serde_json::{Value, json};

use super::{Charm, response};

#[test]
fn a_derived_cell_follows_what_it_reads_and_not_what_it_only_writes() {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, derive, Cell } from "commontools";
const set = handler((event, { total, last, log, n, flag }) => {
  if ("total" in event) total.set(event.total);
  if ("last" in event) last.set(event.last);
  if ("log" in event) log.push(event.log);
  if ("n" in event) n.set(event.n);
  if ("flag" in event) flag.set(event.flag);
});
export default pattern(() => {
  const n = Cell.of(1), flag = Cell.of(false), total = Cell.of(0), last = Cell.of(0), log = Cell.of([]), runs = Cell.of(0);
  const write = computed([{ n, flag }, { total, log }], ({ n, flag, total, log }) => { console.log("total"); total.set(n * 2); if (flag) log.push("flag"); });
  derive(undefined, undefined, { last, n }, ({ last, n }) => { last.set(n); last.update((value) => value + 1); });
  const both = computed([{}, { total, n }], ({ total, n }) => { total.set(n.get() * 2); return total.get(); });
  return { n, flag, total, last, log, runs, both, write, follows: derive(total, (total) => total + 100), set: set({ total, last, log, n, flag }) };
});"#,
    );
    charm.setup("{}").expect("a good charm");
    let all = || ["total", "last", "log", "both", "follows"].map(|name| charm.cell(name));
    assert_eq!(all(), [json!(2), json!(2), json!([]), json!(2), json!(102)]);
    charm.outside.lines.borrow_mut().clear();
    // What somebody else wrote stays, what follows from it follows, and nothing is logged of what was undone.
    charm.handle("set", r#"{"last": 7, "log": "mine"}"#).expect("sets");
    assert_eq!((charm.cell("last"), charm.cell("log")), (json!(7), json!(["mine"])));
    assert!(charm.outside.lines.borrow().is_empty(), "{:?}", charm.outside.lines.borrow());
    // `n` is read.
    charm.handle("set", r#"{"n": 5}"#).expect("sets");
    assert_eq!(all(), [json!(10), json!(6), json!(["mine"]), json!(10), json!(110)]);
    assert_eq!(charm.outside.lines.borrow().len(), 1);
    charm.handle("set", r#"{"flag": true}"#).expect("sets");
    assert_eq!(charm.cell("log"), json!(["mine", "flag"]));
    charm.handle("set", r#"{"n": 6, "log": "more"}"#).expect("sets");
    assert_eq!(charm.cell("log"), json!(["mine", "flag", "more", "flag"]));
    // By others, too.
    charm.outside.cells.borrow_mut().insert("last".into(), "50".into());
    charm.outside.changed.replace(vec!["last"]);
    charm.handle("set", "{}").expect("runs");
    assert_eq!(charm.cell("last"), json!(50));
}

#[test]
fn what_a_derived_cell_writes_is_kept_when_what_it_reads_was_written_first() {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, Cell } from "commontools";
const set = handler((_, { total, list }) => { total.set(1); list.set([{ n: 1 }]); });
export default pattern(() => {
  const total = Cell.of(0), list = Cell.of([]), seen = Cell.of(null), sub = Cell.of({});
  computed([{}, { total, seen }], ({ total, seen }) => { seen.set(total.get()); total.set(0); });
  computed([{}, { list, sub }], ({ list, sub }) => { sub.key("size").set(list.get().length); sub.key("by", "name").set(1); });
  return { total, list, seen, sub, set: set({ total, list }) };
});"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("set", "{}").expect("sets");
    let all = ["total", "seen", "sub"].map(|name| charm.cell(name));
    // The second time, it sees what it has written itself.
    assert_eq!(all, [json!(0), json!(0), json!({"size": 1, "by": {"name": 1}})]);
}

#[test]
fn what_a_derived_cell_reads_beside_what_it_writes_makes_it_secret_all_the_same() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, Cell } from "commontools";
const set = handler((event, { auth, flag }) => { flag.set(true); });
export default pattern(({ auth, flag }) => {
  const token = derive(flag, (flag) => { if (!flag) return ""; auth.key("user").set("ben"); return auth.get().token; });
  const whole = derive(flag, (flag) => { if (!flag) return ""; auth.set({ token: "n3w" }); return auth.get().token; });
  return { auth, flag, token, whole, set: set({ auth, flag }) };
}, { properties: { auth: { default: { token: "t0ken" }, properties: { token: { ifc: { classification: ["secret"] } } } }, flag: { default: false } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("set", "{}").expect("sets");
    assert_eq!([charm.cell("token"), charm.cell("whole")], [Value::Null, Value::Null]);
}

#[test]
fn nodes_that_a_handler_makes_run_once_it_has_returned() {
    let charm = Charm::new(
        r#"
import { pattern, handler, derive, lift, computed, fetchData, str, Cell } from "commontools";
const poll = handler({}, { type: "object", properties: { url: { type: "string" }, out: { asCell: true }, n: { asCell: true }, order: { asCell: true } } }, (_, { url, out, n, order }) => {
  const page = fetchData({ url, mode: "text" });
  order.push("handler");
  derive(undefined, undefined, { page, out }, ({ page, out }) => { order.push("derive"); if (page.result) out.set(String(page.result)); });
  lift(({ n }) => { order.push("lift " + n); })({ n });
  n.set(5);
  return computed([{}, { n, order }], ({ n, order }) => { order.push("computed " + n.get()); });
});
const two = handler({}, { type: "object", properties: { out: { asCell: true } } }, (_, { out }) => {
  const first = fetchData({ url: "https://a.example/1" }), second = fetchData({ url: str`https://a.example/${derive(first, (first) => first.result?.next ?? "")}` });
  derive(undefined, undefined, { first, second, out }, ({ first, second, out }) => { if (second.result) out.set([first.result, second.result]); });
});
export default pattern(({ url }) => {
  const out = Cell.of(""), n = Cell.of(1), order = Cell.of([]);
  return { url, out, n, order, poll: poll({ url, out, n, order }), two: two({ out }) };
}, { properties: { url: { default: "https://a.example/feed" } } });"#,
    )
    .answering(|request| {
        let body = match request.url.rsplit('/').next() {
            Some("1") => r#"{"next": 2}"#,
            Some("2") => r#"{"last": true}"#,
            _ => "a feed",
        };
        Ok(response(200, body))
    });
    charm.setup("{}").expect("a good charm");
    charm.handle("poll", "{}").expect("polls");
    assert_eq!(charm.cell("out"), json!("a feed"));
    let order = charm.cell("order");
    let order: Vec<&str> = order.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(order, ["handler", "derive", "lift 5", "computed 5", "derive"]);
    let names = charm.names();
    assert!(!names.iter().any(|name| name.starts_with("__")), "nothing of them is kept: {names:?}");
    charm.handle("two", "{}").expect("polls");
    assert_eq!(charm.cell("out"), json!([{"next": 2}, {"last": true}]));
    assert_eq!(charm.outside.requests.borrow().iter().filter(|request| request.url.ends_with('/')).count(), 1);
}

#[test]
fn events_that_are_sent_at_setup_or_by_derived_cells_are_handled_when_all_is_set_up() {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, action, Cell } from "commontools";
const add = handler((event, { list }) => { list.push(event); });
const set = handler((_, { n }) => n.set(n.get() + 1));
export default pattern(() => {
  const list = Cell.of([]), n = Cell.of(1), stream = add({ list });
  stream.send("body");
  computed([{ n }, {}], ({ n }) => stream.send({ n }));
  return { list, n, stream, size: computed([{}, { list }], ({ list }) => list.get().length), set: set({ n }) };
});"#,
    );
    charm.setup("{}").expect("a good charm");
    assert_eq!((charm.cell("list"), charm.cell("size")), (json!(["body", {"n": 1}]), json!(2)));
    charm.handle("set", "{}").expect("sets");
    assert_eq!((charm.cell("list"), charm.cell("size")), (json!(["body", {"n": 1}, {"n": 2}]), json!(3)));
    charm.handle("stream", "\"mine\"").expect("adds");
    assert_eq!(charm.cell("list"), json!(["body", {"n": 1}, {"n": 2}, "mine"]), "the body does not send again");
}

#[test]
fn derived_cells_that_send_events_without_end_are_an_error() {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, Cell } from "commontools";
const add = handler((_, { n }) => { n.set(n.get() + 1); });
export default pattern(() => {
  const n = Cell.of(1), stream = add({ n });
  computed([{ n }, {}], ({ n }) => stream.send({ n }));
  return { n, stream };
});"#,
    );
    let failure = charm.setup("{}").expect_err("it never ends");
    assert!(failure.message.starts_with("RangeError: derived cells don't settle"), "{failure:?}");
}

#[test]
fn an_action_is_a_handler_of_what_is_around_it() {
    let charm = Charm::new(
        r#"
import { pattern, action, computed, Cell, Writable } from "commontools";
const grow = (list, item) => list.push(item);
export default pattern(({ step, title }) => {
  const n = new Writable(0), list = new Writable([]);
  const add = action([{ step, title, list }, { n }], ({ step, title, list, n }) => async (event) => {
    n.set(n.get() + (event?.by ?? step));
    await null;
    grow(list, title === "T" ? title.length : typeof title);
  });
  return { step, title, n, list, add, both: action(() => { n.set(-1); add.send({ by: 1 }); }), bgUpdater: add };
}, { properties: { step: { default: 2 }, title: { default: "T" } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("bgUpdater", "{}").expect("polls");
    charm.handle("add", r#"{"by": 5}"#).expect("adds");
    assert_eq!((charm.cell("n"), charm.cell("list")), (json!(7), json!([1, 1])));
    charm.handle("both", "{}").expect("runs");
    assert_eq!((charm.cell("n"), charm.cell("list")), (json!(0), json!([1, 1, 1])));
}

#[test]
fn results_and_inputs_have_names_of_their_own() {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, derive, str, Cell } from "commontools";
const set = handler((event, { photo }) => photo.set(event.to));
export default pattern(({ photo, count, label }) => {
  console.log("label " + label);
  return { photo: computed([{ photo }, {}], ({ photo }) => photo || "none"), count: { of: count }, label: str`<${label}>`, text: `${label}`, set: set({ photo }) };
}, { properties: { photo: { default: "" }, count: { default: 3 }, label: { default: "l" } } });"#,
    );
    charm.setup(r#"{"label": "given"}"#).expect("a good charm");
    let all = || ["photo", "count", "label", "text"].map(|name| charm.cell(name));
    assert_eq!(all(), [json!("none"), json!({"of": 3}), json!("<given>"), json!("given")]);
    charm.handle("set", r#"{"to": "a.png"}"#).expect("sets");
    assert_eq!(all(), [json!("a.png"), json!({"of": 3}), json!("<given>"), json!("given")]);
    assert_eq!((charm.cell("__input/photo"), charm.cell("__input/label")), (json!("a.png"), json!("given")));
    let lines: Vec<_> = charm.outside.lines.borrow().iter().map(|(_, line)| line.clone()).collect();
    assert_eq!(lines, ["label given", "label given"], "once for each call, and never of a result");
}

#[test]
fn self_is_the_charms_own_result() {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, SELF, Cell } from "commontools";
const Node = pattern(({ name, parent, [SELF]: self }) => ({ name, has: computed([{ self }, {}], ({ self }) => self.name), parent }), { properties: { name: {}, parent: {} } });
const show = handler((_, { out, self }) => out.set(self.n.get() + self.get().label));
export default pattern(({ n, [SELF]: self }) => {
  const out = Cell.of(null);
  return { n, label: "l", out, has: computed([{ self }, {}], ({ self }) => !!self), node: Node({ name: "inner", parent: null }), show: show({ out, self }) };
}, { properties: { n: { default: 1 } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    assert_eq!((charm.cell("has"), charm.cell("node")["has"].clone()), (json!(true), json!("inner")));
    charm.handle("show", "{}").expect("shows");
    assert_eq!(charm.cell("out"), json!("1l"));
}

#[test]
fn a_pattern_maps_a_list() {
    let charm = Charm::new(
        r#"
import { pattern, handler, computed, derive, Cell } from "commontools";
const Row = pattern(({ element, index, params }) => ({ text: derive({ element, index, params }, ({ element, index, params }) => `${index}: ${element.name} of ${params.of}`) }),
  { properties: { element: { type: "object", properties: { name: { type: "string", default: "nobody" } } }, index: { type: "number" }, params: {} } });
const add = handler((event, { list }) => list.push(event));
export default pattern(({ of }) => {
  const list = Cell.of([{ name: "a" }, {}]);
  return { of, list, rows: list.mapWithPattern(Row, { of }), add: add({ list }) };
}, { properties: { of: { default: "all" } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    let texts = |charm: &Charm| {
        charm.cell("rows").as_array().expect("a list").iter().map(|row| row["text"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&charm), ["0: a of all", "1: nobody of all"]);
    charm.handle("add", r#"{"name": "c"}"#).expect("adds");
    assert_eq!(texts(&charm), ["0: a of all", "1: nobody of all", "2: c of all"]);
}

#[test]
fn what_makes_handlers_or_patterns_may_be_returned_and_is_no_stream() {
    let charm = Charm::new(
        r#"
import { pattern, handler, lift, Cell } from "commontools";
const edit = handler((event, { n }) => n.set(event.n));
export default pattern(({ n }) => ({ n, edit, bound: edit.with({ n }), inner: pattern(() => ({})), lifted: lift((n) => n) }), { properties: { n: { default: 0 } } });"#,
    );
    let shape = charm.setup("{}").expect("a good charm");
    assert_eq!(shape.streams, ["bound"]);
    assert_eq!(charm.names(), ["n"]);
}

#[test]
fn cells_in_events_are_cells_where_the_handlers_type_says_so() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell } from "commontools";
const take = handler({ type: "object", properties: { item: { asCell: true, type: "object" }, list: { type: "array" }, by: { default: 2 } } }, undefined, ({ item, list, by }, { out }) => {
  item.key("n").set(item.get().n + by);
  out.set([item.get(), list]);
});
const run = handler((_, { items, take }) => { take.send({ item: items.key(0), list: items }); });
export default pattern(({ auth }) => {
  const out = Cell.of(null), items = Cell.of([{ n: 1 }]), took = take({ out });
  return { auth, out, items, took, run: run({ items, take: took }) };
}, { properties: { auth: { default: { token: "t0ken" } } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    charm.handle("run", "{}").expect("runs");
    assert_eq!((charm.cell("out"), charm.cell("items")), (json!([{"n": 3}, [{"n": 1}]]), json!([{"n": 3}])));
    // From outside come values, of which cells are made.
    charm.handle("took", r#"{"item": {"n": 5}, "list": [], "by": 1}"#).expect("takes");
    assert_eq!((charm.cell("out"), charm.cell("items")), (json!([{"n": 6}, []]), json!([{"n": 3}])));
}
