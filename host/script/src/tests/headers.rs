//! Headers.

use serde_json::json;

use super::{Charm, expect_each};
use crate::host::Response;

#[test]
fn headers_are_combined_sorted_and_found_in_any_case() {
    expect_each(&[
        ("[...new Headers([['B', '2'], ['a', ' 1\\t'], ['b', '3']])]", json!([["a", "1"], ["b", "2, 3"]])),
        (
            "(() => { const h = new Headers({ A: '1' }); h.set('a', '2'); h.delete('zz'); const seen = []; h.forEach((v, k) => seen.push(k + v)); return seen; })()",
            json!(["a2"]),
        ),
        ("new Headers({ A: 'x' }).get('a') + new Headers({ a: '' }).get('A') + new Headers().get('a')", json!("xnull")),
        ("[new Headers({ A: '' }).has('a'), new Headers().has('a')]", json!([true, false])),
        (
            "(() => { const h = new Headers([['a', '1'], ['b', '2'], ['a', '3']]); h.set('a', '4'); return [...h]; })()",
            json!([["a", "4"], ["b", "2"]]),
        ),
        ("[...new Headers(new Headers({ x: '1' })).keys()]", json!(["x"])),
        ("[...new Headers({ x: '1', y: 'é' }).values()]", json!(["1", "é"])),
        ("Object.prototype.toString.call(new Headers())", json!("[object Headers]")),
    ]);
}

#[test]
fn cookies_that_are_set_stay_apart() {
    expect_each(&[
        ("new Headers([['Set-Cookie', 'a=1'], ['set-cookie', 'b=2, c']]).getSetCookie()", json!(["a=1", "b=2, c"])),
        ("new Headers([['Set-Cookie', 'a=1'], ['set-cookie', 'b=2']]).get('set-cookie')", json!("a=1, b=2")),
        (
            "[...new Headers([['set-cookie', 'z'], ['x', '1'], ['set-cookie', 'a'], ['x', '2']])]",
            json!([["set-cookie", "z"], ["set-cookie", "a"], ["x", "1, 2"]]),
        ),
        ("new Headers({ cookie: 'x' }).getSetCookie()", json!([])),
    ]);
}

#[test]
fn names_and_values_that_no_header_has_are_type_errors_which_do_not_show_the_value() {
    expect_each(&[
        ("new Headers({ 'a b': 'x' })", json!("TypeError: Headers: \"a b\" is no name of a header")),
        ("new Headers().get('')", json!("TypeError: Headers: \"\" is no name of a header")),
        ("new Headers().has('é')", json!("TypeError: Headers: \"é\" is no name of a header")),
        (
            "new Headers({ a: 'secret\\nb: c' })",
            json!("TypeError: Headers: the value of a has a line break or a zero in it"),
        ),
        (
            "new Headers({ a: 'secret\\0' })",
            json!("TypeError: Headers: the value of a has a line break or a zero in it"),
        ),
        ("new Headers({ a: '\\r\\n x \\r\\n' }).get('a')", json!("x")),
        (
            "new Headers({ a: 'secret\u{20ac}' })",
            json!("TypeError: Headers: the value of a has a character over 255 in it"),
        ),
        ("new Headers([['a']])", json!("TypeError: Headers: each item is a pair of a name and a value")),
        ("new Headers(5)", json!("TypeError: Headers: expected an object, a list of pairs, or Headers")),
        ("new Headers(null)", json!("TypeError: Headers: expected an object, a list of pairs, or Headers")),
    ]);
}

#[test]
fn headers_that_came_can_be_read_and_not_changed() {
    let charm = Charm::with_handler(
        "const { headers } = await fetch('https://a.example'); let error; try { headers.set('a', 'b'); } catch (e) { error = e.name; } const own = new Headers(headers); own.set('a', 'b'); out.set([headers.getSetCookie(), headers.get('X-Latin'), error, [...own.keys()]]);",
    )
    .answering(|_| {
        let headers = [("Set-Cookie", "a=1"), ("set-cookie", "b"), ("x-latin", "é")];
        Ok(Response {
            status: 200,
            headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
            body: Vec::new(),
        })
    });
    assert_eq!(
        charm.out().expect("runs"),
        json!([["a=1", "b"], "é", "TypeError", ["a", "set-cookie", "set-cookie", "x-latin"]])
    );
}
