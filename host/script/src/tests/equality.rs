//! Whether two things are the same.

use serde_json::json;

use super::{Charm, expect_each_of};

#[test]
fn things_are_equal_if_they_are_of_the_same_place_and_never_for_their_looks() {
    let charm = |body: &str| {
        Charm::new(&format!(
            r#"
import {{ pattern, handler, equals, valueEqual, Cell, Writable }} from "commontools";
const run = handler({{}}, {{ type: "object", properties: {{ out: {{ asCell: true }}, list: {{ asCell: true }}, linked: {{ asCell: true }}, item: {{}}, items: {{}} }} }}, async (_, {{ out, list, linked, item, items }}) => {{
  list.set([{{ n: 1 }}, {{ n: 1 }}, {{ n: {{ m: 2 }} }}, "text", "text"]); linked.set(list.key(1)); {body} }});
export default pattern(() => {{
  const out = Cell.of(null), list = Cell.of([{{ n: 1 }}]), linked = Cell.of(null);
  return {{ out, list, linked, run: run({{ out, list, linked, item: list.key(0), items: list }}) }};
}});"#
        ))
    };
    expect_each_of(
        charm,
        &[
            ("equals(list.key(0), list.key(0))", json!(true)),
            ("equals(list.key(0), list.key(1))", json!(false)),
            ("list.key(2, 'n').equals(list.key(2).key('n'))", json!(true)),
            ("Cell.equals(linked, list.key(1)) && Writable.equals(linked.key('n'), list.key(1, 'n'))", json!(true)),
            ("equals(list, list.get())", json!(true)),
            ("list.get().map((one) => equals(one, list.key(1)))", json!([false, true, false, false, false])),
            ("equals(list.get()[0], list.get()[0])", json!(true)),
            ("equals(list.get()[0], list.get()[1])", json!(false)),
            ("equals(list.get()[2].n, list.key(2).get().n)", json!(true)),
            ("equals(linked.get(), list.get()[1])", json!(true)),
            ("equals(item, items[0])", json!(true)),
            ("equals(Cell.of({ n: 1 }), Cell.of({ n: 1 }))", json!(false)),
            ("equals(Cell.of({ n: 1 }), { n: 1 })", json!(false)),
            ("equals({ n: 1 }, { n: 1 })", json!(false)),
            (
                "[equals(null, null), equals(undefined, null), equals(1, 1), equals('a', 'b')]",
                json!([true, false, true, false]),
            ),
            (
                "valueEqual(list.key(0), { n: 1 }) && valueEqual([NaN], [NaN]) && !valueEqual([1], { 0: 1 })",
                json!(true),
            ),
            ("list.remove(list.key(1)).get().length", json!(4)),
            ("list.remove('text').removeAll('text').get().length", json!(2)),
            ("list.remove(list.get()[0]).get()[0]", json!({"n": {"m": 2}})),
            ("list.remove({ n: { m: 2 } }).get().length", json!(1)),
        ],
    );
}

#[test]
fn lists_grow_by_what_is_not_in_them_and_numbers_by_what_is_added() {
    let charm =
        |body: &str| Charm::with_handler(&format!("const list = Cell.of(['a', {{ n: 1 }}]), n = Cell.of(); {body}"));
    expect_each_of(
        charm,
        &[
            ("list.addUnique('a', 'b', { n: 1 }, { n: 2 }, 'b').get()", json!(["a", {"n": 1}, "b", {"n": 2}])),
            ("list.removeByValue({ n: 1 }).get()", json!(["a", "b", {"n": 2}])),
            ("[n.increment().get(), n.increment(-3).get()]", json!([1, -2])),
            ("list.increment()", json!("TypeError: increment() needs a cell that holds a number")),
            ("n.removeAll(1)", json!("TypeError: this needs a cell that holds an array")),
            ("(await n.sync()) === n && (await n.pull())", json!(-2)),
            ("n.sample() + n.for('a cause').get()", json!(-4)),
            ("[new Cell.perUser(1).get(), Cell.perSession.of(2).get(), new Cell.perSpace(3).get()]", json!([1, 2, 3])),
        ],
    );
}

#[test]
fn an_item_by_its_id_is_a_document_beside_its_list() {
    let charm = Charm::new(
        r#"
import { pattern, handler, Cell } from "commontools";
const vote = handler((event, { votes }) => {
  const mine = votes.elementById(event.who);
  mine.set({ who: event.who, color: event.color });
  votes.addUnique(mine);
});
const leave = handler((event, { votes }) => votes.removeByValue(votes.elementById(event.who)));
export default pattern(() => { const votes = Cell.of([]); return { votes, size: votes.length, vote: vote({ votes }), leave: leave({ votes }), colors: votes.map((one) => one.color) }; });"#,
    );
    charm.setup("{}").expect("a good charm");
    for event in [
        r#"{"who": "ann", "color": "red"}"#,
        r#"{"who": "ben", "color": "red"}"#,
        r#"{"who": "ann", "color": "green"}"#,
    ] {
        charm.handle("vote", event).expect("votes");
    }
    assert_eq!((charm.cell("colors"), charm.cell("size")), (json!(["green", "red"]), json!(2)));
    charm.handle("leave", r#"{"who": "ann"}"#).expect("leaves");
    assert_eq!(charm.cell("colors"), json!(["red"]));
}
