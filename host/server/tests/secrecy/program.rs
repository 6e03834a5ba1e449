//! Generated charms, as their authors write them: with secrets, and with nothing that gives one away on purpose.
//!
//! What a handler reads out of a secret cell by itself, and writes elsewhere, is its author's doing, so no handler here
//! does that. They put cells (secret ones, too) into others, read what links lead to, derive whatever they like, log
//! and throw their secrets, and send their token where it belongs.

use bg_test_support::Random;

/// The streams of a charm.
pub(crate) const HANDLERS: usize = 4;

/// How many derived cells a charm has.
const DERIVED: usize = 4;

/// The declared cells, with their types and secrets.
pub(crate) const SCHEMA: &str = r#"{ type: "object", properties: {
  auth: { type: "object", default: { token: "", refreshToken: "", user: "ann", list: [] }, properties: { token: { type: "string", ifc: { classification: ["secret"] } } } },
  vault: { ifc: { classification: ["secret"] }, default: {} },
  keys: { type: "array", default: [], items: { type: "object", properties: { k: { type: "string", ifc: { classification: ["confidential"] } } } } },
  items: { default: [] }, box: { default: {} }, note: { default: null },
} }"#;

/// Cells, secret ones and others, and parts of them.
const CELLS: [&str; 18] = [
    "auth",
    "auth.token",
    "auth.refreshToken",
    "auth.user",
    "auth.list",
    "vault",
    "vault.deep",
    "vault.deep.key('key')",
    "keys",
    "keys.key(0)",
    "keys.key(0).k",
    "items",
    "items.key(0)",
    "box",
    "box.a",
    "box.a.token",
    "note",
    "made",
];

/// Those that no schema calls secret.
const OPEN: [&str; 3] = ["items", "box", "note"];

/// What is made of a value.
const FUNCTIONS: [&str; 8] = [
    "(v) => v",
    "(v) => JSON.stringify(v)",
    "(v) => btoa(encodeURIComponent(JSON.stringify(v) ?? ''))",
    "(v) => (JSON.stringify(v) ?? '').split('').reverse().join('')",
    "(v) => (JSON.stringify(v) ?? '').split('')",
    "(v) => [...(JSON.stringify(v) ?? '')].map((c) => '%' + c.charCodeAt(0).toString(16).padStart(2, '0')).join('')",
    "(v) => ({ v, again: [v] })",
    "(v) => Object.entries(v ?? {})",
];

fn cell(random: &mut Random) -> String {
    (*random.pick(&CELLS)).to_owned()
}

fn function(random: &mut Random) -> &'static str {
    random.pick::<&str>(&FUNCTIONS)
}

fn open(random: &mut Random) -> &'static str {
    random.pick::<&str>(&OPEN)
}

/// The source of a charm that talks to `host`.
pub(crate) fn source(random: &mut Random, host: &str) -> String {
    let made = match random.below(5) {
        0 => "null".to_owned(),
        1 => cell_in_body(random),
        2 => format!("{{ a: {}, list: [{}] }}", cell_in_body(random), cell_in_body(random)),
        3 => format!("[{}]", cell_in_body(random)),
        _ => "{}".to_owned(),
    };
    let early = match random.below(5) {
        0 => format!("made.set({{ x: {} }});", cell_in_body(random)),
        1 => format!("made.set({{}}); made.key('y').set({});", cell_in_body(random)),
        2 => format!("made.set([]); made.push({}, {{ z: {} }});", cell_in_body(random), cell_in_body(random)),
        3 => format!("made.set(({})({}.get()));", function(random), cell_in_body(random)),
        _ => String::new(),
    };
    let derived: String =
        (0..DERIVED).map(|number| format!("  const d{number} = {};\n", derived(random, number, host))).collect();
    let returned: String = (0..DERIVED).filter(|_| random.chance(70)).map(|number| format!("d{number}, ")).collect();
    let group = if random.chance(50) {
        format!("group: {{ a: {}, list: [{}] }},", cell(random), cell(random))
    } else {
        String::new()
    };
    let handlers: String = (0..HANDLERS).map(|number| handler(random, number)).collect();
    let bound = "{ auth, vault, keys, items, box, note, made, d0, d1, d2, d3 }";
    let streams: String = (0..HANDLERS).map(|number| format!("h{number}: h{number}({bound}), ")).collect();
    let (title, shown, text) = (function(random), cell(random), cell(random));
    format!(
        r#"import {{ Cell, computed, derive, fetchData, h, handler, ID, ifElse, lift, NAME, pattern, str, UI }} from "commontools";
const HOST = "{host}";
{handlers}
export default pattern<any>(({{ auth, vault, keys, items, box, note }}: any) => {{
  const made: any = Cell.of<any>({made});
  {early}
{derived}  return {{
    [NAME]: str`charm ${{{}}}`,
    [UI]: <div title={{({title})({shown})}}>{{{text}}} {{JSON.stringify({shown})}}</div>,
    auth, vault, keys, items, box, note, made, {returned}{group}
    {streams}bgUpdater: h0({bound}),
  }};
}}, {SCHEMA} as any);
"#,
        cell(random)
    )
}

/// A cell that is there before `made` is.
fn cell_in_body(random: &mut Random) -> String {
    loop {
        let cell = cell(random);
        if cell != "made" {
            return cell;
        }
    }
}

fn derived(random: &mut Random, number: usize, host: &str) -> String {
    let input = |random: &mut Random| {
        if number > 0 && random.chance(30) { format!("d{}", random.below(number)) } else { cell(random) }
    };
    let [a, b, c] = [(); 3].map(|()| input(random));
    let f = function(random);
    match random.below(9) {
        0 => format!("derive({a}, {f})"),
        1 => format!("derive({{ a: {a}, b: {b} }}, ({{ a, b }}: any) => ({f})([a, b]))"),
        2 => format!("str`${{{a}}} and ${{{b}}}`"),
        3 => format!("ifElse({a}, {b}, {c})"),
        4 => format!("lift({f})({a})"),
        5 => format!("computed(() => ({f})([{a}.get?.(), {b}]))"),
        6 => format!("derive({a}, (v: any) => v ? ({f})(v.token ?? v) : 0)"),
        7 => format!(
            "fetchData({{ url: derive({}, (v: any) => '{host}/data?' + encodeURIComponent(JSON.stringify(v))) }})",
            open(random)
        ),
        _ => format!("derive({}, {f})", open(random)),
    }
}

fn handler(random: &mut Random, number: usize) -> String {
    let count = 1 + random.below(4);
    // With a schema, a part of the state is handed in as values, or as the cells that links lead to.
    if random.chance(25) {
        let f = function(random);
        return match random.below(3) {
            0 => format!(
                "const h{number}: any = handler<any, any>({{}} as any, {{ type: 'object', properties: {{ box: {{ type: 'object', properties: {{ a: {{ asCell: true }} }} }}, note: {{ asCell: true }} }} }} as any, (_: any, {{ box, note }}: any) => {{ note.set([box?.a?.get?.(), ({f})(box?.a?.token?.get?.()), box?.a]); }});\n"
            ),
            1 => format!(
                "const h{number}: any = handler<any, any>({{}} as any, {{ type: 'object', properties: {{ items: {{ type: 'array', items: {{ asCell: true }} }}, note: {{ asCell: true }} }} }} as any, (_: any, {{ items, note }}: any) => {{ note.set((items ?? []).map((one: any) => ({f})(one?.get?.()))); }});\n"
            ),
            _ => format!(
                "const h{number}: any = handler<any, any>({{}} as any, {{ type: 'object', properties: {{ box: {{}}, items: {{}}, note: {{ asCell: true }} }} }} as any, (_: any, {{ box, items, note }}: any) => {{ note.set(({f})([box, items])); }});\n"
            ),
        };
    }
    let body: String = (0..count).map(|_| format!("  {}\n", statement(random))).collect();
    format!(
        "const h{number}: any = handler<any, any>(async (event: any, {{ auth, vault, keys, items, box, note, made, d0, d1, d2, d3 }}: any) => {{\n{body}}});\n"
    )
}

fn statement(random: &mut Random) -> String {
    let (to, from, other) = (open(random), open(random), open(random));
    let (f, secret) = (function(random), any_cell(random));
    match random.below(26) {
        0 => format!("{to}.set({from}.get());"),
        1 => format!("{to}.set(({f})({from}.get()));"),
        2 => "box.set(event);".to_owned(),
        3 => "box.key('a').set(event);".to_owned(),
        4 => "box.key('/').set(event?.['/'] ?? event);".to_owned(),
        5 => "items.set([]); items.push(event, { event });".to_owned(),
        6 => format!("{to}.set(JSON.parse(JSON.stringify({from}.get() ?? null)));"),
        7 => format!("{to}.set({{ a: {secret}, list: [{secret}] }});"),
        8 => format!("box.set({{}}); box.key('a').set({secret});"),
        9 => format!("items.set([]); items.push({secret}, {{ [ID]: 7, a: {secret}, event }});"),
        10 => format!("note.set(Cell.of({secret}));"),
        11 => format!("note.set([Cell.of({{ a: {secret} }}), {{ toJSON: () => ({{ '/': event?.['/'], {from}: {from}.get() }}) }}]);"),
        12 => "note.set([box.a.token.get(), box.key('a').get(), box.a.list.get(), box.list.get()]);".to_owned(),
        13 => format!("note.set(({f})(box.a.get()));"),
        14 => format!("{to}.set([{from}.get(), {other}.get(), items.key(0).get()]);"),
        15 => format!("{to}.set(`${{JSON.stringify({from})}} ${{{other}}}`);"),
        16 => "try { const r = await fetch(HOST + '/echo', { method: 'POST', body: JSON.stringify([items, box, note]) }); items.set([await r.json()]); } catch (e) { note.set(String(e)); }".to_owned(),
        17 => "try { await fetch(HOST + '/send', { headers: { authorization: 'Bearer ' + auth.token.get() } }); } catch (e) { note.set(String(e)); }".to_owned(),
        18 => "try { const r = await fetch(HOST + '/link'); box.set(await r.json()); } catch (e) { note.set(String(e)); }".to_owned(),
        19 => format!("console.log({from}.get(), {other});"),
        20 => "console.log(auth.get(), vault.get(), keys.get(), auth.token.get());".to_owned(),
        21 => "if (event?.fail) throw new Error(JSON.stringify([auth.get(), vault.get()]));".to_owned(),
        22 => format!("box.update({{ b: {secret}, c: event }});"),
        23 => format!("{secret}.set(event?.value ?? 'x');"),
        24 => "auth.key('list').push(event, box); auth.key('user').set(event?.value ?? 'bob');".to_owned(),
        _ => format!("note.set({{ now: {from}.get(), cell: {secret}, same: {secret}.equals?.({from}) }});"),
    }
}

/// Cells that a handler may put elsewhere.
fn any_cell(random: &mut Random) -> String {
    if random.chance(25) { format!("d{}", random.below(DERIVED)) } else { cell(random) }
}
