//! What readers see of cells by the types that they know them by: defaults, cells within values, and what `derive` hands
//! to its function.

use serde_json::{Value, json};

use super::Charm;

/// A charm whose inputs have that schema, and whose handler has that state and body; returns what it leaves in `out`.
fn out_of(inputs: &str, state: &str, body: &str) -> Result<Value, String> {
    let charm = Charm::new(&format!(
        r#"
import {{ pattern, handler, computed, derive, Cell }} from "commontools";
const run = handler({{}}, {{ type: "object", properties: {{ out: {{ asCell: true }}, {state} }} }}, (_, state) => {{ const {{ out }} = state; {body} }});
export default pattern((inputs) => {{ const out = Cell.of(null); return {{ ...inputs, out, run: run({{ ...inputs, out }}) }}; }},
  {{ type: "object", properties: {{ {inputs} }} }});"#
    ));
    charm.setup("{}").map_err(|failure| failure.message)?;
    charm.handle("run", "{}").map_err(|failure| failure.message)?;
    Ok(charm.cell("out"))
}

fn expect_outs(cases: &[(&str, &str, &str, Value)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(inputs, state, body, expected)| {
            let out = out_of(inputs, state, body);
            (out.as_ref() != Ok(expected)).then(|| format!("{body}\n    should be {expected}\n    but is    {out:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The schema of a list of tasks, whose `done` has a default.
const TASKS: &str = r#"type: "array", items: { type: "object", properties: { title: { type: "string" }, done: { type: "boolean", default: false } } }"#;

#[test]
fn defaults_fill_in_what_is_missing_wherever_a_type_is_read() {
    let tasks = format!("tasks: {{ {TASKS}, default: [] }}");
    let cell = format!("tasks: {{ {TASKS}, asCell: true }}");
    let value = format!("tasks: {{ {TASKS} }}");
    expect_outs(&[
        (
            &tasks,
            &cell,
            "state.tasks.push({ title: 'a' }); out.set(state.tasks.get());",
            json!([{"title": "a", "done": false}]),
        ),
        (
            &tasks,
            &cell,
            "state.tasks.set([{}, { done: true }]); out.set(state.tasks.get().map((t) => t.done));",
            json!([false, true]),
        ),
        (
            &tasks,
            &cell,
            "state.tasks.set([{}]); out.set([state.tasks.key(0).get(), state.tasks.key(0, 'done').get()]);",
            json!([{"done": false}, false]),
        ),
        (
            &tasks,
            &cell,
            "state.tasks.set([{}]); out.set(JSON.parse(JSON.stringify(state.tasks)));",
            json!([{"done": false}]),
        ),
        (&tasks, &cell, "state.tasks.set([{}]); out.set(`${state.tasks.key(0).done}`);", json!("false")),
        // What is stored stays as it was written.
        (
            &tasks,
            "tasks: { asCell: true, type: 'array', items: {} }",
            "state.tasks.set([{}]); out.set(state.tasks.get());",
            json!([{}]),
        ),
        // As a value, of what was there before the handler ran.
        (
            "list: { type: 'array', items: { type: 'object', properties: { n: { default: 2 } } }, default: [{}, { n: 3 }] }",
            "list: { type: 'array', items: { type: 'object', properties: { n: { default: 2 } } } }",
            "out.set(state.list.map(({ n }) => n));",
            json!([2, 3]),
        ),
        (&tasks, &value, "out.set(state.tasks);", json!([])),
        // Records, tuples, lists of lists, and unions, of which what fits counts.
        (
            "r: { type: 'object', additionalProperties: { type: 'object', properties: { n: { default: 1 } } }, default: { a: {} } }",
            "r: { type: 'object', asCell: true, additionalProperties: { type: 'object', properties: { n: { default: 1 } } } }",
            "state.r.key('b').set({}); out.set(state.r.get());",
            json!({"a": {"n": 1}, "b": {"n": 1}}),
        ),
        (
            "t: { default: [{}, {}] }",
            "t: { type: 'array', asCell: true, prefixItems: [{ type: 'object', properties: { n: { default: 1 } } }, { type: 'object', properties: { m: { default: 2 } } }] }",
            "out.set(state.t.get());",
            json!([{"n": 1}, {"m": 2}]),
        ),
        (
            "l: { default: [[{}]] }",
            "l: { type: 'array', asCell: true, items: { type: 'array', items: { type: 'object', properties: { n: { default: 1 } } } } }",
            "out.set(state.l.get());",
            json!([[{"n": 1}]]),
        ),
        (
            "u: { default: [{ kind: 'a' }, { kind: 'b' }, 5, null] }",
            "u: { type: 'array', asCell: true, items: { anyOf: [{ type: 'object', properties: { kind: { const: 'a' }, n: { default: 1 } } }, { type: 'object', properties: { kind: { const: 'b' }, m: { default: 2 } } }, { type: 'number' }, { type: 'null' }] } }",
            "out.set(state.u.get());",
            json!([{"kind": "a", "n": 1}, {"kind": "b", "m": 2}, 5, null]),
        ),
        // An object that is missing as a whole has no parts; null is a value.
        (
            "o: { default: {} }",
            "o: { type: 'object', asCell: true, properties: { deep: { type: 'object', properties: { n: { default: 1 } } }, whole: { type: 'object', default: {}, properties: { n: { default: 1 } } }, none: { default: 5 } } }",
            "state.o.set({ none: null }); out.set(state.o.get());",
            json!({"none": null, "whole": {"n": 1}}),
        ),
        // A list that was never set is empty, and one with a default begins with that.
        ("a: {}", "a: { type: 'array', asCell: true, items: {} }", "out.set(state.a.get().length);", json!(0)),
        (
            "b: { default: {} }",
            "b: { type: 'object', asCell: true, properties: { list: { type: 'array', default: ['x'] } } }",
            "state.b.key('list').push('y'); out.set(state.b.get());",
            json!({"list": ["x", "y"]}),
        ),
    ]);
}

#[test]
fn defaults_within_items_are_seen_by_what_is_derived_and_by_pages() {
    let charm = Charm::new(
        &r#"
import { pattern, handler, computed, derive, lift, str, Cell, UI, h } from "commontools";
const add = handler({}, { type: "object", properties: { tasks: { asCell: true, TASKS } } }, (_, { tasks }) => tasks.push({ title: "b" }));
const open = lift({ TASKS }, undefined, (tasks) => tasks.filter((task) => task.done === false).length);
export default pattern(({ tasks }) => ({
  tasks, [UI]: h("ul", null, tasks.map((task) => h("li", null, task.done))),
  open: open(tasks), derived: derive(tasks, (tasks) => tasks.map((task) => task.done)),
  computed: computed([{ tasks }, {}], ({ tasks }) => tasks.map((task) => task.done)), text: str`${tasks}`, first: tasks[0].done,
  add: add({ tasks }),
}), { type: "object", properties: { tasks: { TASKS, default: [] } } });"#
            .replace("TASKS", TASKS),
    );
    charm.setup(r#"{"tasks": [{"title": "a"}]}"#).expect("a good charm");
    let all = || ["open", "derived", "computed", "text", "first"].map(|name| charm.cell(name));
    let text = r#"[{"title":"a","done":false}]"#;
    assert_eq!(all(), [json!(1), json!([false]), json!([false]), json!(text), json!(false)]);
    charm.handle("add", "{}").expect("adds");
    assert_eq!(charm.cell("derived"), json!([false, false]));
    assert_eq!(charm.cell("tasks"), json!([{"title": "a"}, {"title": "b"}]), "what is stored is what was written");
}

#[test]
fn cells_within_a_type_are_cells_wherever_they_are_read() {
    let settings = "settings: { type: 'object', properties: { limit: { asCell: true, type: 'number', default: 5 }, token: { type: 'string', default: '' } } }";
    let cell = settings.replacen("{ ", "{ asCell: true, ", 1);
    expect_outs(&[
        (settings, &cell, "out.set(state.settings.get().limit.get());", json!(5)),
        (settings, settings, "out.set(state.settings.limit.get());", json!(5)),
        (settings, &cell, "state.settings.get().limit.set(6); out.set(state.settings.key('limit').get());", json!(6)),
        (
            settings,
            &cell,
            "state.settings.set({ ...state.settings.get(), token: 't' }); out.set(JSON.parse(JSON.stringify(state.settings)));",
            json!({"limit": 5, "token": "t"}),
        ),
        (
            "list: { default: [{ n: 1 }, { n: 2 }] }",
            "list: { asCell: true, type: 'array', items: { asCell: true, type: 'object' } }",
            "out.set(state.list.get().map((item) => item.key('n').get()));",
            json!([1, 2]),
        ),
        (
            "list: { default: [{ n: 1 }, { n: 2 }] }",
            "list: { asCell: true, type: 'array', items: { asCell: true, type: 'object' } }",
            "state.list.get()[1].set({ n: 3 }); out.set(JSON.parse(JSON.stringify(state.list)));",
            json!([{"n": 1}, {"n": 3}]),
        ),
        (
            "list: { default: [{ in: { n: 1 } }] }",
            "list: { asCell: true, type: 'array', items: { type: 'object', properties: { in: { asCell: true } } } }",
            "out.set(state.list.get()[0].in.key('n').get());",
            json!(1),
        ),
        (
            "r: { default: { a: 1 } }",
            "r: { asCell: true, type: 'object', additionalProperties: { asCell: true, type: 'number' } }",
            "out.set(state.r.get().a.get());",
            json!(1),
        ),
        // A cell that is missing is there all the same.
        (
            "o: { default: {} }",
            "o: { asCell: true, type: 'object', properties: { n: { asCell: true, type: 'number' } } }",
            "const { n } = state.o.get(); n.set(4); out.set(state.o.key('n').get());",
            json!(4),
        ),
    ]);
}

#[test]
fn a_union_of_a_cell_and_something_else_is_what_its_value_is() {
    let either =
        "a: { anyOf: [{ asCell: true, type: 'object', properties: { n: { default: 1 } } }, { type: 'null' }] }";
    expect_outs(&[
        (
            "a: { default: { m: 2 } }",
            either,
            "out.set([state.a.get(), state.a.key('m').get()]);",
            json!([{"m": 2, "n": 1}, 2]),
        ),
        ("a: { default: null }", either, "out.set([state.a === null]);", json!([true])),
        ("a: {}", either, "out.set([state.a === undefined]);", json!([true])),
        ("a: { default: { m: 2 } }", either, "state.a.key('n').set(5); out.set(state.a.get().n);", json!(5)),
        (
            "a: { default: 'text' }",
            "a: { anyOf: [{ asCell: true, type: 'object' }, { type: 'string' }] }",
            "out.set(state.a);",
            json!("text"),
        ),
        (
            "a: { default: 'text' }",
            "a: { anyOf: [{ asCell: true, type: 'object' }, { asCell: true, type: 'string' }] }",
            "out.set(state.a.get());",
            json!("text"),
        ),
        (
            "box: { default: { a: { n: 3 } } }",
            &format!("box: {{ asCell: true, type: 'object', properties: {{ {either} }} }}"),
            "out.set(state.box.get().a.get().n);",
            json!(3),
        ),
        (
            "box: { default: { a: null } }",
            &format!("box: {{ type: 'object', properties: {{ {either} }} }}"),
            "out.set(state.box);",
            json!({"a": null}),
        ),
    ]);
}

#[test]
fn key_takes_any_number_of_steps() {
    expect_outs(&[
        (
            "box: { default: { user: { name: 'Ann', tags: ['x', 'y'] } } }",
            "box: { asCell: true }",
            "const { box } = state; out.set([box.key('user', 'name').get(), box.key('user', 'tags', 1).get(), box.key('user').key('tags', '0').get(), box.key().get().user.name, box.key('none', 'deep').get() === undefined]);",
            json!(["Ann", "y", "x", "Ann", true]),
        ),
        (
            "box: { default: {} }",
            "box: { asCell: true }",
            "state.box.key('a', 'b', 0).set(1); out.set(state.box.get());",
            json!({"a": {"b": [1]}}),
        ),
    ]);
}

#[test]
fn derive_hands_the_cells_that_the_program_calls_so_and_the_values_of_others() {
    let charm = Charm::new(
        r#"
import { pattern, derive, lift, computed, Cell, cell, Writable } from "commontools";
const count = (list) => list.filter(Boolean).length;
const size = (cell) => cell.get().length;
const Inner = pattern(({ typed, plain, any }) => ({
  typed: derive(undefined, undefined, typed, (t) => t.get() + 1), plain: derive(undefined, undefined, plain, (p) => typeof p), any: derive(undefined, undefined, any, (a) => a.get()),
}), { type: "object", properties: { typed: { asCell: true, type: "number" }, plain: { type: "number" } } });
export default pattern(({ typed, plain, box }) => {
  const list = cell(["a"]), flag = Cell.of(true), made = new Writable({ n: { m: 2 } });
  return {
    made: derive(undefined, undefined, list, (list) => list.get().length), passed: derive(undefined, undefined, list, (list) => size(list)), object: derive(undefined, undefined, { list, plain }, ({ list, plain }) => [size(list), plain]),
    array: derive(undefined, undefined, [list, typed], ([list, typed]) => list.get().length + typed.get()), typed: derive(undefined, undefined, typed, (typed) => typed.get()), plain: derive(undefined, undefined, plain, (plain) => plain === 7),
    part: derive(undefined, undefined, made.key("n", "m"), (m) => m.get()), within: derive(undefined, undefined, box.limit, (limit) => limit.get()), whole: derive(undefined, undefined, box, (box) => [box.limit.get(), box.open]),
    derived: derive(undefined, undefined, derive(undefined, undefined, plain, (p) => p + 1), (p) => p === 8), flag: derive(undefined, undefined, flag, (flag) => flag.get() ? "yes" : "no"),
    annotated: derive({ type: "array" }, undefined, list, (list) => list.filter(Boolean).length), lifted: lift((list) => list.filter(Boolean).length)(list),
    // A function by name gets values.
    named: derive(list, count),
    // As a cell was used before it was handed.
    length: derive(undefined, undefined, list, (list) => list.length), filtered: derive(undefined, undefined, list, (list) => list.filter(Boolean)), spread: derive(undefined, undefined, list, (list) => [...list]), sum: derive(undefined, undefined, made, (made) => made.n.m * 2),
    inner: Inner({ typed: plain, plain: list, any: list }),
  };
}, { type: "object", properties: { typed: { asCell: true, type: "number", default: 5 }, plain: { type: "number", default: 7 },
  box: { type: "object", properties: { limit: { asCell: true, type: "number", default: 3 }, open: { default: 4 } } } } });"#,
    );
    charm.setup("{}").expect("a good charm");
    for (name, expected) in [
        ("made", json!(1)),
        ("passed", json!(1)),
        ("object", json!([1, 7])),
        ("array", json!(6)),
        ("plain", json!(true)),
        ("part", json!(2)),
        ("within", json!(3)),
        ("whole", json!([3, 4])),
        ("derived", json!(true)),
        ("flag", json!("yes")),
        ("annotated", json!(1)),
        ("lifted", json!(1)),
        ("named", json!(1)),
        ("length", json!(1)),
        ("filtered", json!(["a"])),
        ("spread", json!(["a"])),
        ("sum", json!(4)),
        ("inner", json!({"typed": 8, "plain": "object", "any": ["a"]})),
    ] {
        assert_eq!(charm.cell(name), expected, "{name}");
    }
}
