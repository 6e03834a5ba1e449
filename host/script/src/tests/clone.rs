//! `structuredClone`.

use serde_json::json;

use super::expect_each;

#[test]
fn what_can_be_cloned_is_and_shares_nothing() {
    expect_each(&[
        (
            "structuredClone({ a: [1, undefined, null, 'x', -0], b: { c: true } })",
            json!({"a": [1, null, null, "x", 0], "b": {"c": true}}),
        ),
        ("(() => { const a = { b: [1] }; const c = structuredClone(a); c.b.push(2); return a.b.length; })()", json!(1)),
        (
            "(() => { const a = { list: [] }; a.self = a; a.list.push(a.list, a); const c = structuredClone(a); return [c.self === c, c.list[0] === c.list, c.list[1] === c, c !== a]; })()",
            json!([true, true, true, true]),
        ),
        ("(() => { const x = {}; const c = structuredClone([x, x]); return c[0] === c[1]; })()", json!(true)),
        (
            "(() => { const m = structuredClone(new Map([[{ k: 1 }, new Set([1, [2]])]])); const [[k, s]] = m; return [m instanceof Map, k, s instanceof Set, [...s]]; })()",
            json!([true, {"k": 1}, true, [1, [2]]]),
        ),
        (
            "(() => { const m = new Map(); m.set('me', m); const c = structuredClone(m); return c.get('me') === c; })()",
            json!(true),
        ),
        (
            "(() => { const d = structuredClone(new Date(5)); return [d instanceof Date, d.getTime()]; })()",
            json!([true, 5]),
        ),
        (
            "(() => { const r = /a+/gi; r.lastIndex = 3; const c = structuredClone(r); return [String(c), c.lastIndex]; })()",
            json!(["/a+/gi", 0]),
        ),
        (
            "(() => { const e = structuredClone(new RangeError('m', { cause: { x: 1 } })); return [e instanceof RangeError, e.message, e.cause, Object.keys(e)]; })()",
            json!([true, "m", {"x": 1}, []]),
        ),
        (
            "(() => { class Mine extends TypeError {} const e = new Mine('m'); e.name = 'Mine'; const c = structuredClone(e); return [c instanceof Mine, c instanceof Error, c.name]; })()",
            json!([false, true, "Error"]),
        ),
        (
            "(() => { const e = structuredClone(new DOMException('m', 'AbortError')); return [e instanceof DOMException, e.name, e.code]; })()",
            json!([true, "AbortError", 20]),
        ),
        (
            "(() => { const b = new Uint8Array([1, 2, 3, 4]); const c = structuredClone({ b: b.subarray(1, 3), whole: b, view: new DataView(b.buffer, 2) }); b.fill(9); return [[...c.b], c.b.buffer === c.whole.buffer, c.view.getUint8(0), c.b.byteOffset]; })()",
            json!([[2, 3], true, 3, 1]),
        ),
        (
            "(() => { const c = structuredClone(new BigInt64Array([5n])); return [c instanceof BigInt64Array, c[0] === 5n]; })()",
            json!([true, true]),
        ),
        ("(() => { const c = structuredClone([, 1]); return [c.length, 0 in c]; })()", json!([2, false])),
        (
            "(() => { class A { x = 1; get y() { return 2; } } const c = structuredClone(new A()); return [c instanceof A, c]; })()",
            json!([false, {"x": 1}]),
        ),
        ("structuredClone({ get a() { return 1; }, [Symbol('s')]: 2 })", json!({"a": 1})),
        ("structuredClone(JSON.parse('{\"__proto__\": 1}'))", json!({"__proto__": 1})),
        ("typeof structuredClone(Object('s')) + structuredClone(5n)", json!("object5")),
    ]);
}

#[test]
fn what_cant_be_cloned_is_a_data_clone_error() {
    expect_each(&[
        ("structuredClone({ f() {} })", json!("DataCloneError: the function f can't be cloned")),
        ("structuredClone(Symbol('x'))", json!("DataCloneError: a symbol can't be cloned")),
        (
            "structuredClone([Promise.resolve()])",
            json!("DataCloneError: an object of the class Promise can't be cloned"),
        ),
        ("structuredClone(new WeakMap())", json!("DataCloneError: an object of the class WeakMap can't be cloned")),
        ("structuredClone(new Headers())", json!("DataCloneError: an object of the class Headers can't be cloned")),
        ("structuredClone({ out })", json!("DataCloneError: a cell (write cell.get()) can't be cloned")),
        (
            "structuredClone(1, { transfer: [new ArrayBuffer(1)] })",
            json!("DataCloneError: `transfer` is not supported here: what is transferred can't be cloned"),
        ),
        (
            "(() => { try { structuredClone(() => {}); } catch (e) { return [e.code, e instanceof DOMException]; } })()",
            json!([25, true]),
        ),
    ]);
}
