//! What `commontools` offers.

use super::{Row, handler, test, whole};

/// The rows of the table.
pub(super) fn rows() -> Vec<Row> {
    [patterns(), handlers(), cells(), derived(), computed(), types(), types_of_types(), people(), rest()]
        .into_iter()
        .flatten()
        .collect()
}

fn patterns() -> Vec<Row> {
    vec![
        whole("`pattern(fn)`", "export default pattern(() => ({ out: Cell.of(1) }));", "1"),
        whole("`pattern(name, fn)`", "export default pattern('A name', () => ({ out: 1 }));", "1"),
        whole(
            "`pattern<Input>(fn)`",
            "export default pattern<{ out: Default<number, 3> }>(({ out }) => ({ out }));",
            "3",
        ),
        whole(
            "`pattern<Input, Output>(fn)`",
            "export default pattern<{ out: Default<number, 3> }, { out: number }>(({ out }) => ({ out }));",
            "3",
        ),
        whole(
            "`pattern((input: Input) => …)`",
            "export default pattern(({ out }: { out: Default<number, 3> }) => ({ out }));",
            "3",
        ),
        whole(
            "`pattern(fn, inputSchema)`",
            "export default pattern(({ out }) => ({ out }), { properties: { out: { default: 3 } } });",
            "3",
        ),
        whole(
            "`recipe(inputSchema, resultSchema, fn)`",
            "export default recipe({ properties: { out: { default: 3 } } }, {}, ({ out }) => ({ out }));",
            "3",
        ),
        whole("`recipe(name, fn)`", "export default recipe('A name', () => ({ out: 4 }));", "4"),
        whole(
            "the input as a whole: `(state) => state.count`",
            "export default pattern<{ count: Default<number, 5> }>((state) => ({ out: state.count }));",
            "5",
        ),
        whole(
            "a pattern within another",
            "const Sub = pattern<{ n: number }>(({ n }) => ({ twice: derive(n, (n) => n * 2) }));\nexport default pattern(() => ({ out: Sub({ n: Cell.of(4) }).twice }));",
            "8",
        ),
        whole(
            "… with defaults of its own for what it is not given",
            "const Sub = pattern<{ n: Default<number, 5>; label: string }>(({ n, label }) => ({ text: str`${label} ${n}` }));\nexport default pattern(() => ({ out: Sub({ label: 'two' }).text }));",
            "\"two 5\"",
        ),
        whole(
            "a result with the name of an input that is something else",
            "export default pattern<{ out: Default<string, ''> }>(({ out: given }) => ({ out: computed(() => given || 'none') }));",
            "\"none\"",
        ),
        whole(
            "`SELF`: the charm's own result",
            "export default pattern<{ n: Default<number, 1> }, { n: number }>(({ n, [SELF]: self }) => ({ n, out: computed(() => [!!self, self.n]) }));",
            "[true, 1]",
        ),
        whole("a default export by name", "const it = pattern(() => ({ out: 1 }));\nexport { it as default };", "1"),
        test("`NAME`, a text or a derived cell", "derived_cells_follow_from_what_they_were_made_of"),
        test(
            "`UI`: made when somebody looks, and a fault in it fails no poll",
            "a_page_is_a_tree_of_what_the_cells_hold_when_somebody_looks",
        ),
    ]
}

fn handlers() -> Vec<Row> {
    const POLL: &str =
        "export default pattern<{ out: Default<number, 1> }>(({ out }) => ({ out, bgUpdater: run({ out }) }));";
    vec![
        whole(
            "`handler<Event, State>(fn)`: a state of type `Cell<T>` is a cell",
            &format!(
                "const run = handler<unknown, {{ out: Cell<number> }}>((_, {{ out }}) => {{ out.set(out.get() + 1); }});\n{POLL}"
            ),
            "2",
        ),
        whole(
            "… of `Writable<T>`, too",
            &format!(
                "const run = handler<unknown, {{ out: Writable<number> }}>((_, {{ out }}) => {{ out.set(out.get() + 1); }});\n{POLL}"
            ),
            "2",
        ),
        whole(
            "… and of any other type its value",
            "const run = handler<unknown, { n: number; out: Cell<string> }>((_, { n, out }) => { out.set(typeof n); });\nexport default pattern(() => { const n = Cell.of(1), out = Cell.of(''); return { out, bgUpdater: run({ n, out }) }; });",
            "\"number\"",
        ),
        whole(
            "`handler((event: Event, state: State) => …)`",
            &format!(
                "const run = handler((_: unknown, {{ out }}: {{ out: Cell<number> }}) => {{ out.set(5); }});\n{POLL}"
            ),
            "5",
        ),
        whole(
            "`handler(eventSchema, stateSchema, fn)` with `asCell`",
            &format!(
                "const run = handler({{}}, {{ properties: {{ out: {{ asCell: true }} }} }}, (_, {{ out }}) => {{ out.set(6); }});\n{POLL}"
            ),
            "6",
        ),
        whole(
            "`handler(fn)` without types: cells",
            &format!("const run = handler((_, {{ out }}) => {{ out.set(7); }});\n{POLL}"),
            "7",
        ),
        whole(
            "defaults of the event's schema",
            &format!(
                "const run = handler<{{ by: Default<number, 8> }}, {{ out: Cell<number> }}>(({{ by }}, {{ out }}) => {{ out.set(by); }});\n{POLL}"
            ),
            "8",
        ),
        whole(
            "`Stream<T>` in a state; `stream.send(event)`",
            "const add = handler<{ n: number }, { out: Cell<number> }>(({ n }, { out }) => { out.set(n); });\nconst run = handler<unknown, { add: Stream<{ n: number }> }>((_, { add }) => { add.send({ n: 9 }); });\nexport default pattern(() => { const out = Cell.of(0); const a = add({ out }); return { out, bgUpdater: run({ add: a }) }; });",
            "9",
        ),
        whole(
            "cells within a state's value: `{ list: Cell<T>[] }`",
            "const run = handler<unknown, { list: Cell<number>[] }>((_, { list }) => { list[1].set(5); });\nexport default pattern(() => { const out = Cell.of([1, 2]); return { out, bgUpdater: run({ list: out }) }; });",
            "[1, 5]",
        ),
        whole(
            "an async handler: the poll waits for it",
            &format!(
                "const run = handler<unknown, {{ out: Cell<number> }}>(async (_, {{ out }}) => {{ await null; out.set(10); }});\n{POLL}"
            ),
            "10",
        ),
        whole(
            "`Cell<T> | null` in a state: a cell, or null",
            "interface Auth { token: Default<string, 't'> }\nconst run = handler<unknown, { a: Writable<Auth> | null; b: Cell<Auth> | null; out: Cell<any> }>((_, { a, b, out }) => { out.set([a!.get().token, b]); });\nexport default pattern<{ a: Auth | null | Default<{}>; b: Auth | null | Default<null>; out: Default<any, null> }>(({ a, b, out }) => ({ a, b, out, bgUpdater: run({ a, b, out }) }));",
            r#"["t", null]"#,
        ),
        whole(
            "`action(fn)`: a handler of what is around it",
            "export default pattern<{ step: Default<number, 2> }>(({ step }) => { const out = new Writable(0); return { out, bgUpdater: action(() => { out.set(out.get() + (step === 2 ? 1 : 0)); }) }; });",
            "1",
        ),
        whole(
            "`action((event) => …)`, with cells that it passes on",
            "const grow = (list: Cell<string[]>, item: string) => list.push(item);\nexport default pattern<{ name: Default<string, 'x'> }>(({ name }) => { const out = new Writable<string[]>([]); const add = action(async (event: { more?: string }) => { await null; grow(out, name.toUpperCase() + (event.more ?? '')); }); return { out, add, bgUpdater: action(() => add.send({ more: '!' })) }; });",
            r#"["X!"]"#,
        ),
        whole(
            "`fetchData`, `derive`, `lift` and `computed` in a handler: they run once it has returned",
            "const run = handler<unknown, { n: Cell<number>; out: Cell<string[]> }>((_, { n, out }) => { out.push('handler'); derive({ n, out }, ({ n, out }) => { out.push(`derived ${n.get()}`); }); n.set(5); });\nexport default pattern(() => { const n = Cell.of(1), out = Cell.of<string[]>([]); return { n, out, bgUpdater: run({ n, out }) }; });",
            r#"["handler", "derived 5"]"#,
        ),
        whole(
            "`stream.send(event)` by the pattern's body or a derived cell",
            "const add = handler<number, { out: Cell<number[]> }>((n, { out }) => { out.push(n); });\nexport default pattern<{ n: Default<number, 3> }>(({ n }) => { const out = Cell.of<number[]>([]); const stream = add({ out }); stream.send(1); computed(() => { stream.send(n); }); return { n, out }; });",
            "[1, 3]",
        ),
        whole(
            "a handler that is returned without a state: not a stream",
            "const edit = handler<{ n: number }, { n: Cell<number> }>(({ n: to }, { n }) => { n.set(to); });\nexport default pattern(() => ({ out: 1, edit }));",
            "1",
        ),
        test(
            "promises and timers that a handler started are waited for; a throw in one fails the poll",
            "every_way_to_go_wrong_is_an_outcome_and_leaves_nothing_behind",
        ),
    ]
}

fn cells() -> Vec<Row> {
    vec![
        handler("`cell.get()`, `set(value)`", "out.set({ a: 1 }); out.set(out.get().a);", "1"),
        handler(
            "`update({ … })`, `update(fn)`",
            "out.set({ a: 1 }); out.update({ b: 2 }); out.update((v) => ({ ...v, c: 3 }));",
            r#"{"a": 1, "b": 2, "c": 3}"#,
        ),
        handler("`push(…items)`", "out.set([]); out.push(1, 2);", "[1, 2]"),
        handler(
            "`key(name)`, and `cell.name` for the same",
            "out.set({ a: { b: 1 } }); out.key('a').key('b').set(2); out.a.c.set(3);",
            r#"{"a": {"b": 2, "c": 3}}"#,
        ),
        handler(
            "`key(a, b, …)`: any number of steps",
            "out.set({ user: { tags: ['x', 'y'] } }); out.set(out.key('user', 'tags', 1).get());",
            "\"y\"",
        ),
        handler(
            "`sample()`, `.for(cause)`, `await cell.sync()`",
            "const n = Cell.of(2).for('n'); await n.sync(); out.set(n.sample());",
            "2",
        ),
        handler(
            "`remove(item)`, `removeAll(item)`, `addUnique(…items)`, `increment(by)`",
            "const list = Cell.of(['a', 'b', 'a', 'a']), n = Cell.of(1); list.remove('a').removeAll('a').addUnique('b', 'c'); n.increment(2); out.set([list.get(), n.get()]);",
            r#"[["b", "c"], 3]"#,
        ),
        handler(
            "`equals(a, b)`: whether two things are of the same place",
            "const list = Cell.of([{ n: 1 }, { n: 1 }]); out.set([equals(list.key(0), list.key(0)), equals(list.key(0), list.key(1)), list.get().findIndex((one) => equals(one, list.key(1)))]);",
            "[true, false, 1]",
        ),
        handler(
            "`valueEqual(a, b)`: whether two things look the same",
            "out.set(valueEqual(Cell.of({ n: [1] }), { n: [1] }));",
            "true",
        ),
        handler("`equals(cell)`", "out.set({ a: 1 }); out.set(out.a.equals(out.key('a')));", "true"),
        handler(
            "`Cell.of(value)`, `new Cell(value)`, `cell(value)`, `Writable.of(value)`, `new Writable.perUser(value)`",
            "out.set([Cell.of(1), new Cell(2), cell(3), Writable.of(4), new Writable.perUser(5), new Writable.perSession(6)].map((c) => c.get()));",
            "[1, 2, 3, 4, 5, 6]",
        ),
        whole(
            "`cell<T>()` with the defaults of its type",
            "export default pattern(() => ({ out: cell<{ n: Default<number, 4> }>() }));",
            r#"{"n": 4}"#,
        ),
        handler(
            "cells in texts and arithmetic: `${cell}`, `cell + 1`",
            "const n = Cell.of(2); out.set([`${n}`, n + 1, n > 1]);",
            r#"["2", 3, true]"#,
        ),
        handler(
            "half a character, as cutting a text may leave: replaced",
            "out.set(['hello 😀'.slice(0, 7)]);",
            "[\"hello \u{fffd}\"]",
        ),
        whole(
            "a cell that is returned again below another name",
            "const run = handler<unknown, { a: Cell<number> }>((_, { a }) => { a.set(2); });\nexport default pattern(() => { const a = Cell.of(1); return { a, out: { inner: [a] }, bgUpdater: run({ a }) }; });",
            r#"{"inner": [2]}"#,
        ),
        test(
            "a cell within another's value is a link, and is followed",
            "cells_within_values_are_links_and_are_followed",
        ),
        test(
            "`ID`: an object with one is a document of its own",
            "objects_with_an_id_are_documents_of_their_own_and_circles_are_an_error",
        ),
        whole(
            "`list.mapWithPattern(pattern, params)`",
            "const Row = pattern<{ element: { n: number }; index: number; params: { by: number } }>(({ element, index, params }) => ({ n: computed(() => element.n * params.by + index) }));\nexport default pattern(() => { const list = Cell.of([{ n: 1 }, { n: 2 }]); return { out: list.mapWithPattern(Row, { by: 10 }) }; });",
            r#"[{"n": 10}, {"n": 21}]"#,
        ),
        whole(
            "`cell.map(fn)` for pages",
            "export default pattern(() => { const list = Cell.of([1, 2]); return { out: list.map((item) => item) }; });",
            "[1, 2]",
        ),
    ]
}

fn derived() -> Vec<Row> {
    vec![
        whole(
            "`derive(input, fn)`: an input is its value",
            "export default pattern<{ n: Default<number, 2> }>(({ n }) => ({ out: derive(n, (n) => n === 2) }));",
            "true",
        ),
        whole(
            "`derive(cell, fn)`: what the pattern made, or its type calls a cell, is a cell",
            "const size = (list: Cell<string[]>) => list.get().length;\nexport default pattern<{ limit: Cell<Default<number, 5>> }>(({ limit }) => { const list = cell<string[]>(['a']); return { out: derive({ list, limit }, ({ list, limit }) => [size(list), limit.get()]) }; });",
            "[1, 5]",
        ),
        whole(
            "… unless the function says otherwise",
            "export default pattern(() => ({ out: derive(Cell.of([1, 2]), (list: number[]) => list.reduce((a, b) => a + b)) }));",
            "3",
        ),
        whole(
            "`derive({ … }, fn)`",
            "export default pattern(() => { const a = Cell.of(1), b = Cell.of(2); return { out: derive({ a, b }, ({ a, b }) => a + b) }; });",
            "3",
        ),
        whole(
            "`derive<In, Out>(…)`",
            "export default pattern(() => ({ out: derive<number, string>(Cell.of(2), (n) => `${n}`) }));",
            "\"2\"",
        ),
        whole(
            "`derive(inputSchema, resultSchema, input, fn)`",
            "export default pattern(() => ({ out: derive({ default: 5 }, {}, Cell.of(), (n) => n + 1) }));",
            "6",
        ),
        whole(
            "`lift(fn)`",
            "const double = lift((n: number) => n * 2);\nexport default pattern(() => ({ out: double(Cell.of(3)) }));",
            "6",
        ),
        whole(
            "`lift<In, Out>(fn)`",
            "const total = lift<{ list: number[] }, number>(({ list }) => list.reduce((a, b) => a + b, 0));\nexport default pattern(() => ({ out: total({ list: Cell.of([1, 2]) }) }));",
            "3",
        ),
        whole(
            "`lift(inputSchema, resultSchema, fn)` with `asCell`",
            "const kind = lift({ properties: { c: { asCell: true } } }, {}, ({ c }) => c instanceof Cell);\nexport default pattern(() => ({ out: kind({ c: Cell.of(1) }) }));",
            "true",
        ),
        whole(
            "`lift(toSchema<T>(), undefined, fn)`",
            "const first = lift(toSchema<{ list: Cell<number[]> }>(), undefined, ({ list }) => list.get()[0]);\nexport default pattern(() => ({ out: first({ list: Cell.of([7]) }) }));",
            "7",
        ),
    ]
}

fn computed() -> Vec<Row> {
    vec![
        whole(
            "`computed(() => …)`: cells of the pattern are values in it",
            "export default pattern(() => { const n = Cell.of(3); return { out: computed(() => n === 3 ? 'three' : 'other') }; });",
            "\"three\"",
        ),
        whole(
            "… and cells where their methods are called",
            "export default pattern(() => { const list = Cell.of([1, 2]); return { out: computed(() => list.get().length) }; });",
            "2",
        ),
        whole(
            "derived cells of derived cells",
            "export default pattern(() => { const n = Cell.of(3); const twice = derive(n, (n) => n * 2); return { out: computed(() => twice + 1) }; });",
            "7",
        ),
        whole(
            "`` str`…` ``",
            "export default pattern(() => { const n = Cell.of(3); return { out: str`${n} of ${derive(n, (n) => n + 1)}` }; });",
            "\"3 of 4\"",
        ),
        whole(
            "`ifElse(condition, then, else)`",
            "export default pattern(() => { const n = Cell.of(0); return { out: ifElse(n, 'some', { none: n }) }; });",
            r#"{"none": 0}"#,
        ),
        whole(
            "a handler changes what derived cells follow from",
            "const run = handler<unknown, { n: Cell<number> }>((_, { n }) => { n.set(5); });\nexport default pattern(() => { const n = Cell.of(1); return { out: derive(n, (n) => n * 10), bgUpdater: run({ n }) }; });",
            "50",
        ),
        test(
            "a derived cell is computed again only when a cell it reads was written",
            "only_what_depends_on_what_was_written_is_computed_again",
        ),
        whole(
            "… and not when a cell was written that it only writes",
            "const run = handler<unknown, { out: Cell<number> }>((_, { out }) => { out.set(50); });\nexport default pattern<{ n: Default<number, 1> }>(({ n }) => { const out = Cell.of(0); computed(() => { out.set(n * 2); }); return { n, out, bgUpdater: run({ out }) }; });",
            "50",
        ),
        test(
            "a derived cell follows what others have written",
            "what_others_have_written_is_followed_by_the_next_call",
        ),
        test(
            "`fetchJson`, `fetchJsonUnchecked`, `fetchText`, `fetchBinary`, whose `bytes` are a list of numbers",
            "each_kind_of_request_of_a_pattern_has_its_result",
        ),
        test("`wish` for the time, in steps: `#now`, `#now/60`", "wishes_for_the_time_have_the_time_of_the_call"),
        test(
            "`wish` for the space's default pattern, `#default`: its lists, which are empty",
            "wishes_for_the_default_pattern_have_its_empty_lists",
        ),
        whole(
            "`assert`, a cell of whether something holds: for the steps of tests, `TESTS`",
            "export default pattern<{ n: Default<number, 1> }>(({ n }) => ({ n, out: assert(() => n === 1) }));",
            "true",
        ),
        test("`when`, `unless`", "when_and_unless_choose_as_and_and_or_do"),
        test(
            "`toCompactDebugString`, `toIndentedDebugString`",
            "values_are_shown_as_json_and_readable_where_json_has_no_form",
        ),
        test(
            "`fetchData({ url, mode, options })`: the poll waits; asked once for each request",
            "fetch_data_asks_once_for_each_request_and_the_poll_waits_for_it",
        ),
        test(
            "what follows from a secret is secret",
            "what_follows_from_a_secret_is_secret_and_nothing_secret_is_put_elsewhere",
        ),
    ]
}

fn types() -> Vec<Row> {
    vec![
        whole(
            "`Default<T, v>`",
            "export default pattern<{ out: Default<{ a: string[] }, { a: ['x'] }> }>(({ out }) => ({ out }));",
            r#"{"a": ["x"]}"#,
        ),
        whole(
            "`T | Default<v>`",
            "export default pattern<{ out: number[] | Default<[1]> }>(({ out }) => ({ out }));",
            "[1]",
        ),
        whole(
            "defaults within objects",
            "interface S { a: Default<number, 1>; b: { c: Default<string, 'x'> } }\nexport default pattern<{ out: S }>(({ out }) => ({ out }));",
            r#"{"a": 1, "b": {"c": "x"}}"#,
        ),
        whole(
            "defaults within the items of a list, wherever it is read",
            "interface Task { title: string; done: Default<boolean, false> }\nconst run = handler<unknown, { tasks: Cell<Task[]>; out: Cell<any> }>((_, { tasks, out }) => { tasks.push({ title: 'a' } as Task); out.set(tasks.get().map((task) => task.done)); });\nexport default pattern<{ tasks: Default<Task[], []>; out: Default<any, null> }>(({ tasks, out }) => ({ tasks, out, bgUpdater: run({ tasks, out }) }));",
            "[false]",
        ),
        whole(
            "cells within a type: what `get()` returns has cells there",
            "interface Settings { limit: Cell<Default<number, 5>> }\nconst run = handler<unknown, { settings: Cell<Settings>; out: Cell<number> }>((_, { settings, out }) => { out.set(settings.get().limit.get()); });\nexport default pattern<{ settings: Settings; out: Default<number, 0> }>(({ settings, out }) => ({ settings, out, bgUpdater: run({ settings, out }) }));",
            "5",
        ),
        whole(
            "`PerSpace<T>`, `PerUser<T>`, `PerSession<T>`: as `T`",
            "import { computed, pattern, type Default, type PerSpace, type PerUser } from 'commonfabric';\nexport default pattern<{ n: PerSpace<number | Default<3>>; m: PerUser<Default<number, 4>> }>(({ n, m }) => ({ out: computed(() => [n * 2, m]) }));",
            "[6, 4]",
        ),
        whole(
            "a schema's `default`, of a part or of the whole",
            "export default recipe({ properties: { out: {} }, default: { out: [2] } }, {}, ({ out }) => ({ out }));",
            "[2]",
        ),
        test(
            "a schema's `type`, `enum`, `required`: inputs that do not fit are refused",
            "inputs_that_do_not_fit_their_types_are_refused_without_telling_their_values",
        ),
        test(
            "`Secret<T>`, `Confidential<T, …>`, `Cfc<T, { confidentiality: […] }>`",
            "every_label_that_is_not_public_makes_a_secret_and_no_way_around_a_type_loses_it",
        ),
        test(
            "a schema's `ifc.classification` and `ifc.confidentiality`",
            "every_label_that_is_not_public_marks_a_secret_wherever_a_schema_has_it",
        ),
        test(
            "`type Secret<T> = T` and `CFC<T, \"secret\">`, as the original's charms declare them",
            "files_that_declare_secrets_as_aliases_for_the_compiler_mean_them",
        ),
        test(
            "literals, arrays, tuples, objects, records, unions, intersections, `keyof`, `T[\"key\"]`",
            "types_become_schemas",
        ),
        test(
            "interfaces, `extends`, aliases, generic ones, enums, types that contain themselves",
            "named_types_of_the_file_are_unfolded_also_generic_and_circular_ones",
        ),
    ]
}

fn types_of_types() -> Vec<Row> {
    vec![
        whole(
            "`Partial`, `Required`, `Readonly`, `Pick`, `Omit`, `Record`",
            "interface S { a: Default<number, 1>; b: Default<number, 2> }\nexport default pattern<{ out: Pick<S, 'b'> & Partial<Omit<S, 'a' | 'b'>>; more: Readonly<Record<string, Required<S>>> }>(({ out }) => ({ out }));",
            r#"{"b": 2}"#,
        ),
        whole(
            "`Default<typeof constant>`, also of other files, and `typeof constant` as a type",
            "const START = { n: 3, kind: 'a' as const };\ntype Kind = (typeof START)['kind'];\nexport default pattern<{ out: { n: number; kind: Kind } | Default<typeof START> }>(({ out }) => ({ out }));",
            r#"{"n": 3, "kind": "a"}"#,
        ),
        whole(
            "`PerSpace<T | Default<v>>`, `PerUser`, `PerSession`: a charm has one user, and one session",
            "import { pattern, type Default, type PerSpace } from 'commonfabric';\nexport default pattern<{ out: PerSpace<number | Default<3>> }>(({ out }) => ({ out }));",
            "3",
        ),
        whole(
            "mapped and conditional types, `Exclude`, `Extract`",
            "type Same<T> = { [K in keyof T]: T[K] };\ntype Item<T> = T extends (infer U)[] ? U : never;\nexport default pattern<{ out: Same<Item<{ a: Default<number, 1> }[]>> }>(({ out }) => ({ out }));",
            r#"{"a": 1}"#,
        ),
        whole(
            "functions and symbols within a cell's type: they are left out",
            "interface Piece { name: Default<string, 'x'>; get?: () => Piece[]; run(): void }\nexport default pattern<{ out: Piece }>(({ out }) => ({ out }));",
            r#"{"name": "x"}"#,
        ),
        test(
            "types in functions with type parameters, where no type of the charm is secret",
            "no_computed_type_loses_a_secret",
        ),
        test("types imported from other files of the charm", "files_import_one_another_with_their_types"),
        whole(
            "`Schema<typeof constant>`",
            "const Item = { type: 'object', properties: { n: { default: 4 } } } as const;\ntype Item = Schema<typeof Item>;\nimport { cell, pattern, type Schema } from 'commontools';\nexport default pattern(() => ({ out: cell<Item>() }));",
            r#"{"n": 4}"#,
        ),
        whole(
            "`schema({ … })`, `toSchema<T>({ … })`",
            "const s = schema({ properties: { out: toSchema<number>({ default: 5 }) } });\nexport default recipe(s, {}, ({ out }) => ({ out }));",
            "5",
        ),
        whole(
            "type-only exports and imports",
            "import { pattern, type Cell } from 'commontools';\nexport type Kept = Cell<number>;\nexport interface Other { a: Kept }\nexport default pattern(() => ({ out: 1 }));",
            "1",
        ),
    ]
}

/// What only a person or a language model calls.
fn people() -> Vec<Row> {
    let pending = |construct, call: &str, reason| {
        whole(construct, &format!("export default pattern(() => ({{ out: {call} }}));"), reason)
    };
    vec![
        pending(
            "`generateText`, `generateObject`, `llm`: pending, with a reason",
            "generateText({ prompt: 'Hello' })",
            r#"{"pending": true, "reason": "generateText() waits for a language model, and this service has none for charms"}"#,
        ),
        pending(
            "`llmDialog`: its streams take events, and nothing comes of them",
            "computed(() => typeof llmDialog({}).addMessage.send)",
            "\"function\"",
        ),
        pending(
            "`wish` for what other charms have: no result, with a reason",
            "wish<number>({ query: '#profile' })",
            r##"{"error": "wish() \"#profile\" finds nothing: this service has no other charms to look through"}"##,
        ),
        pending(
            "`compileAndRun`, `fetchProgram`: pending, with a reason",
            "fetchProgram({ url: 'https://a.example/' })",
            r#"{"pending": true, "reason": "fetchProgram() is not available: charms are compiled when they are deployed"}"#,
        ),
        whole(
            "`navigateTo`: a warning in the charm's log",
            "const open = handler<unknown, { n: Cell<number> }>((_, { n }) => navigateTo(n));\nexport default pattern(() => { const n = Cell.of(1); return { out: n, bgUpdater: open({ n }) }; });",
            "1",
        ),
        whole(
            "`patternTool`, which models call: nothing is stored of it",
            "const Tool = pattern<{ q: string }>(({ q }) => ({ q }));\nexport default pattern(() => ({ out: 1, search: patternTool(Tool) }));",
            "1",
        ),
        whole(
            "`TILE_UI`, `CHIP_UI`: pages, made when somebody looks",
            "export default pattern(() => ({ out: 1, [TILE_UI]: (\n<b>{(() => { throw new Error('a page'); })()}</b>\n), [CHIP_UI]: <i>{(() => { throw new Error('a page'); })()}</i> }));",
            "1",
        ),
        handler("`__cf_data`", "out.set(__cf_data({ a: 1 }));", r#"{"a": 1}"#),
    ]
}

fn rest() -> Vec<Row> {
    vec![
        test("JSX, fragments, and `h`", "jsx_becomes_calls_of_h_which_is_imported_when_the_author_did_not"),
        test(
            "expressions in pages are given the values of cells",
            "computed_cells_and_pages_are_handed_the_values_of_what_they_use",
        ),
        handler(
            "`getRecipeEnvironment()`, `getPatternEnvironment()`: `apiUrl`",
            "out.set(new URL('/api/x', getRecipeEnvironment().apiUrl).href);",
            "\"http://localhost:8000/api/x\"",
        ),
        whole(
            "`/// <cts-enable />`",
            "/// <cts-enable />\nimport { pattern } from 'commontools';\nexport default pattern(() => ({ out: 1 }));",
            "1",
        ),
        handler(
            "`commonfabric/cfc`: atoms, patterns and rules, as data",
            "out.set([cfcAtom.caveat(CFC_CONCEPT_KIND.PromptInfluence, cfcAtom.resource('A')), exchangeRules([exchangeRule({ appliesTo: THIS_POLICY, pre: { integrity: [cfcPattern.hasRole(v('r'), THIS_POLICY.subject, 'reader')] }, post: { dropClause: true } })])[0].pre.integrity[0].space]);",
            r#"[{"type": "https://commonfabric.org/cfc/atom/Caveat", "kind": "https://commonfabric.org/cfc/concepts/prompt-influence", "source": {"type": "https://commonfabric.org/cfc/atom/Resource", "class": "A", "subject": "did:web:commonfabric.org#runtime"}}, {"thisPolicyField": "subject"}]"#,
        ),
        whole(
            "`commonfabric`, the newer name of the module",
            "import { pattern, Writable } from 'commonfabric';\nexport default pattern(() => ({ out: Writable.of(1) }));",
            "1",
        ),
        whole(
            "imports from other files of the charm: `./lib/add`, `.ts`, `.js`, default exports",
            "import { pattern } from 'commontools';\nimport { add } from './lib/add';\nimport two from './lib/twice.js';\nexport default pattern(() => ({ out: add(3, 4) + two }));",
            "9",
        ),
        test("errors in other files, with their places", "modules_import_one_another_and_stacks_tell_their_files"),
    ]
}
