//! Which names there are.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Charm, expect_each};

/// What a charm finds without an import. The transpiler has the same list.
const GLOBALS: &[&str] = &include!("../../../transpile/src/globals.in");

#[test]
fn the_globals_are_these_and_no_others() {
    let found = Charm::with_handler("out.set(Object.getOwnPropertyNames(globalThis));").out().expect("runs");
    let found: BTreeSet<&str> = found.as_array().expect("a list").iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(found, GLOBALS.iter().copied().collect());
}

#[test]
fn what_is_of_a_page_or_of_another_runtime_is_not_there() {
    let names = [
        "window",
        "self",
        "document",
        "localStorage",
        "WebSocket",
        "XMLHttpRequest",
        "Deno",
        "process",
        "Buffer",
        "require",
        "Worker",
        "FormData",
        "ReadableStream",
        "EventSource",
        "WebAssembly",
        "SharedArrayBuffer",
        "Atomics",
        "Temporal",
        "navigator",
        "location",
        "alert",
        "module",
        "global",
    ];
    expect_each(&names.map(|name| (name, json!(format!("ReferenceError: {name} is not defined")))));
}

#[test]
fn what_every_browser_has_of_old_is_there() {
    expect_each(&[
        (
            "['abcdef'.substr(-3, 2), escape('ä b'), unescape('%E4'), ' a'.trimLeft()]",
            json!(["de", "%E4%20b", "ä", "a"]),
        ),
        ("({ __proto__: { x: 1 } }).x + [].__proto__.constructor.name", json!("1Array")),
    ]);
}

#[test]
fn globals_can_be_replaced_and_are_not_listed() {
    expect_each(&[
        (
            "(() => { const real = fetch; globalThis.fetch = 5; const seen = fetch; globalThis.fetch = real; return seen; })()",
            json!(5),
        ),
        ("Object.keys(globalThis)", json!([])),
        (
            "[URL.name, Response.name, AbortController.name, fetch.name, setTimeout.name, structuredClone.name]",
            json!(["URL", "Response", "AbortController", "fetch", "setTimeout", "structuredClone"]),
        ),
        (
            "[typeof URLSearchParams.of, typeof Headers.received, Object.keys(Response), Object.getPrototypeOf(Response).internals]",
            json!(["undefined", "undefined", [], null]),
        ),
    ]);
}
