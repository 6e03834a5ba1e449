//! A generated charm's TypeScript.

use serde_json::Value;

use crate::program::{Bound, CellDef, Cond, Derive, Expr, Handler, Origin, Pattern, Ref, Spot, Step, Stmt};

const PRELUDE: &str = r#"import { Cell, computed, Default, derive, handler, ifElse, lift, pattern, str, Stream } from "commontools";

const data = (v: any): any => v === undefined ? null : JSON.parse(JSON.stringify(v));
const kind = (v: any): any => {
  const w = data(v);
  return w === null ? "null" : Array.isArray(w) ? "array" : typeof w;
};
const size = (v: any): any => {
  const w = data(v);
  return typeof w === "string" ? [...w].length : w !== null && typeof w === "object" ? Object.keys(w).length : 0;
};
const total = (w: any): number =>
  typeof w === "number" ? w : w !== null && typeof w === "object" ? Object.values(w).reduce((n: number, x) => n + total(x), 0) : 0;
const sum = (v: any): any => total(data(v)) % 1000003;
const spell = (w: any): string =>
  Array.isArray(w)
    ? `[${w.map(spell).join(",")}]`
    : w !== null && typeof w === "object"
    ? `{${Object.keys(w).sort().map((key) => `${JSON.stringify(key)}:${spell(w[key])}`).join(",")}}`
    : JSON.stringify(w);
const canon = (v: any): any => {
  const text = spell(data(v));
  return [...text].length > 60 ? `long ${[...text].length}` : text;
};
const first = (v: any): any => {
  const w = data(v);
  return Array.isArray(w) ? w[0] ?? null : w !== null && typeof w === "object" ? w.n ?? null : w;
};
const same = (v: any): any => v;
const wrap = (v: any): any => ({ was: v, n: 1 });
const strict = (v: any): any => {
  if (sum(v) > 300) throw new RangeError("too much");
  return sum(v);
};
const look = (v: any, f: any): any => {
  const isCell = typeof v?.get === "function";
  return [isCell, f(isCell ? v.get() : v), v?.n];
};
const small = (v: any): any => v === undefined || JSON.stringify(v).length <= 400 ? v : 0;
"#;

/// The charm's only file.
pub(crate) fn source(pattern: &Pattern) -> String {
    let handlers: String = pattern.handlers.iter().enumerate().map(|(number, one)| handler(number, one)).collect();
    let inputs = pattern.cells.iter().enumerate().filter(|(_, cell)| !matches!(cell.origin, Origin::Of { .. }));
    let (types, names): (Vec<_>, Vec<_>) =
        inputs.map(|(number, cell)| (input(number, cell), format!("c{number}"))).unzip();
    let made = pattern.cells.iter().enumerate().filter_map(|(number, cell)| match cell.origin {
        Origin::Of { .. } => Some(format!("  const c{number} = Cell.of<any>({});\n", cell.initial)),
        _ => None,
    });
    let derived =
        pattern.derived.iter().enumerate().map(|(number, one)| format!("  const d{number} = {};\n", derive(&one.what)));
    let body: String = made.chain(derived).collect();
    let returned = pattern.cells.iter().enumerate().filter(|(_, cell)| cell.origin == Origin::Of { returned: true });
    let streams: Vec<_> = pattern.handlers.iter().enumerate().map(|(number, one)| stream(number, one)).collect();
    // Those that send to others come first, but those are made before.
    let made_streams: String = streams.iter().rev().map(String::as_str).collect();
    let shown: String = returned
        .map(|(number, _)| format!("c{number}, "))
        .chain(
            pattern
                .derived
                .iter()
                .enumerate()
                .filter(|(_, one)| one.returned)
                .map(|(number, _)| format!("d{number}, ")),
        )
        .chain((0..streams.len()).map(|number| format!("h{number}: s{number}, ")))
        .collect();
    format!(
        "{PRELUDE}{handlers}export default pattern<{{ {} }}>(({{ {} }}) => {{\n{body}{made_streams}  return {{ {shown}}};\n}});\n",
        types.concat(),
        names.join(", ")
    )
}

fn input(number: usize, cell: &CellDef) -> String {
    let ty = type_of(&cell.initial);
    match cell.origin {
        Origin::Default => format!("c{number}: Default<{ty}, {}>; ", cell.initial),
        _ => format!("c{number}: {ty}; "),
    }
}

fn type_of(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(_) => "any[]".into(),
        Value::Object(members) => {
            let members: Vec<_> = members.iter().map(|(key, part)| format!("{key}: {}; ", type_of(part))).collect();
            format!("{{ {}}}", members.concat())
        }
    }
}

fn name(of: Ref) -> String {
    match of {
        Ref::Cell(number) => format!("c{number}"),
        Ref::Derived(number) => format!("d{number}"),
    }
}

fn keys(path: &[Step]) -> String {
    let key = |step: &Step| match step {
        Step::Key(key) => format!(".key({key:?})"),
        Step::Index(index) => format!(".key({index})"),
    };
    path.iter().map(key).collect()
}

fn derive(what: &Derive) -> String {
    match what {
        Derive::One(f, x) => format!("derive({}, {})", name(*x), f.name()),
        Derive::Two(f, x, g, y) => {
            let (f, g) = (f.name(), g.name());
            format!("derive({{ x: {}, y: {} }}, ({{ x, y }}: any) => [{f}(x), {g}(y)])", name(*x), name(*y))
        }
        Derive::Handed(f, x, g, y) => {
            let (f, g) = (f.name(), g.name());
            format!("derive({{ x: {}, y: {} }}, ({{ x, y }}) => [look(x, {f}), look(y, {g})])", name(*x), name(*y))
        }
        Derive::Lift(f, x) => format!("lift((x: any) => {}(x))({})", f.name(), name(*x)),
        Derive::LiftTwo(f, x, g, y) => {
            let (f, g) = (f.name(), g.name());
            format!("lift(({{ x, y }}: any) => [{f}(x), {g}(y)])({{ x: {}, y: {} }})", name(*x), name(*y))
        }
        Derive::Computed(f, x, g, y) => {
            format!("computed(() => [{}({}), {}({})])", f.name(), name(*x), g.name(), name(*y))
        }
        Derive::ComputedGet(f, x) => format!("computed(() => {}({}.get()))", f.name(), name(*x)),
        Derive::Str(x, y) => format!("str`${{{}}} and ${{{}}}!`", name(*x), name(*y)),
        Derive::IfElse(condition, yes, no) => format!("ifElse({}, {}, {})", name(*condition), name(*yes), name(*no)),
        Derive::Part(cell, path) => format!("c{cell}{}", keys(path)),
        Derive::Group(parts) => {
            let parts: Vec<_> = parts.iter().map(|&part| format!("{}: [{}], ", name(part), name(part))).collect();
            format!("{{ {}}}", parts.concat())
        }
    }
}

fn stream(number: usize, handler: &Handler) -> String {
    let state = handler.state.iter().enumerate().map(|(var, bound)| match bound {
        Bound::Cell(of) | Bound::Value(of) => format!("v{var}: {}, ", name(*of)),
        Bound::Stream(to) => format!("v{var}: s{to}, "),
    });
    format!("  const s{number} = run{number}({{ {}}});\n", state.collect::<String>())
}

fn handler(number: usize, handler: &Handler) -> String {
    let types = handler.state.iter().enumerate().map(|(var, bound)| match bound {
        Bound::Cell(_) => format!("v{var}: Cell<any>; "),
        Bound::Value(_) => format!("v{var}: any; "),
        Bound::Stream(_) => format!("v{var}: Stream<any>; "),
    });
    let types: String = types.collect();
    let vars: Vec<_> = (0..handler.state.len()).map(|var| format!("v{var}")).collect();
    let is_async = if handler.is_async { "async " } else { "" };
    format!(
        "const run{number} = handler<any, {{ {types}}}>({is_async}(event, {{ {} }}) => {{\n{}}});\n",
        vars.join(", "),
        block(&handler.body, handler.state.len(), 1)
    )
}

fn block(body: &[Stmt], vars: usize, depth: usize) -> String {
    let lines = body.iter().map(|one| format!("{}{}\n", "  ".repeat(depth), stmt(one, vars, depth)));
    lines.collect::<Vec<_>>().concat()
}

fn stmt(of: &Stmt, vars: usize, depth: usize) -> String {
    let inner = |body: &[Stmt], vars: usize| format!("{{\n{}{}}}", block(body, vars, depth + 1), "  ".repeat(depth));
    match of {
        Stmt::Set(to, value) => format!("{}.set({});", spot(to), expr(value)),
        Stmt::Update(to, members) => format!("{}.update({});", spot(to), object(members)),
        Stmt::Increase(to, by) => format!("{}.update((x: any) => (sum(x) + {by}) % 1000003);", spot(to)),
        Stmt::Append(to, item) => {
            format!("{}.update((x: any) => [...(Array.isArray(x) ? x : []).slice(-3), {}]);", spot(to), expr(item))
        }
        Stmt::Push(to, items) => format!("{}.push({});", spot(to), list(items)),
        Stmt::If(condition, yes, no) => {
            format!("if ({}) {} else {}", cond(condition), inner(yes, vars), inner(no, vars))
        }
        Stmt::Send(var, event) => format!("v{var}.send({});", expr(event)),
        Stmt::Tick => "await null;".into(),
        Stmt::Timer => "await new Promise((done: any) => setTimeout(done, 0));".into(),
        Stmt::Later(body) => format!("setTimeout(() => {}, 0);", inner(body, vars)),
        Stmt::Throw => "throw new Error(\"thrown\");".into(),
        Stmt::Reject => "await Promise.reject(new Error(\"rejected\"));".into(),
        Stmt::RejectUnheard => "void Promise.reject(new Error(\"unheard\"));".into(),
        Stmt::Try(body, caught) => format!("try {} catch {}", inner(body, vars), inner(caught, vars)),
        Stmt::Fresh(initial, body) => {
            let pad = "  ".repeat(depth + 1);
            let body = block(body, vars + 1, depth + 1);
            format!("{{\n{pad}const v{vars} = Cell.of<any>({});\n{body}{}}}", expr(initial), "  ".repeat(depth))
        }
    }
}

fn spot(of: &Spot) -> String {
    format!("v{}{}", of.var, keys(&of.path))
}

fn cond(of: &Cond) -> String {
    match of {
        Cond::Even(value) => format!("sum({}) % 2 === 0", expr(value)),
        Cond::Missing(value) => format!("({}) == null", expr(value)),
        Cond::Equal(one, other) => format!("{}.equals({})", spot(one), spot(other)),
    }
}

fn list(items: &[Expr]) -> String {
    items.iter().map(expr).collect::<Vec<_>>().join(", ")
}

fn object(members: &[(String, Expr)]) -> String {
    let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}: {}", expr(value))).collect();
    format!("{{ {} }}", members.join(", "))
}

fn expr(of: &Expr) -> String {
    match of {
        Expr::Undefined => "undefined".into(),
        Expr::Json(value) => value.to_string(),
        Expr::Event(None) => "event".into(),
        Expr::Event(Some(key)) => format!("event?.{key}"),
        Expr::Bound(var) => format!("small(v{var})"),
        Expr::Get(from) => format!("small({}.get())", spot(from)),
        Expr::Add(one, other) => format!("(sum({}) + sum({})) % 1000003", expr(one), expr(other)),
        Expr::Call(f, value) => format!("{}({})", f.name(), expr(value)),
        Expr::List(items) => format!("[{}]", list(items)),
        Expr::Object(members) => object(members),
        Expr::Link(to) => spot(to),
    }
}
