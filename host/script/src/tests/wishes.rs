//! What a service can answer of what the original answers by its other charms and builtins.

use serde_json::{Value, json};

use super::{Charm, response};

/// What a charm's results hold, made of that pattern's body.
fn results<const N: usize>(body: &str, names: [&str; N]) -> [Value; N] {
    let charm = Charm::new(&format!(
        r#"
import {{ pattern, computed, when, unless, wish, Cell, toCompactDebugString, toIndentedDebugString }} from "commontools";
export default pattern(() => {{ {body} }});"#
    ));
    charm.setup("{}").expect("a good charm");
    names.map(|name| charm.cell(name))
}

#[test]
fn wishes_for_the_time_have_the_time_of_the_call() {
    let [now, minute, query, none, coarse, old] = results(
        r##"
const now = wish({ query: "#now" }), minute = wish({ query: "#now/60" }), query = wish({ query: Cell.of("#now/3600") });
return { now: now.result, minute: minute.result, query: query.result, none: wish({ query: "#now/0" }).error,
  coarse: computed([{ now }, {}], ({ now }) => now.result % 1000), old: wish("#now") };"##,
        ["now", "minute", "query", "none", "coarse", "old"],
    );
    // The clock of this host is at 1,700,000,000.123 s.
    assert_eq!((now, minute), (json!(1_700_000_000_000_u64), json!(1_699_999_980_000_u64)));
    assert_eq!((query, coarse), (json!(1_699_999_200_000_u64), json!(0)));
    assert_eq!(old, json!({"result": 1_700_000_000_000_u64}));
    assert!(none.as_str().expect("a reason").contains("finds nothing"), "{none}");
}

#[test]
fn wishes_for_the_default_pattern_have_its_empty_lists() {
    let [pieces, mentionable, path, missing] = results(
        r##"
const { allPieces } = wish({ query: "#default" }).result;
return { pieces: computed([{ allPieces }, {}], ({ allPieces }) => allPieces.filter((piece) => piece.title).length),
  mentionable: wish("#default/backlinksIndex/mentionable").result, path: wish({ query: "#default", path: ["allCharms"] }).result,
  missing: wish("#default/elsewhere").error };"##,
        ["pieces", "mentionable", "path", "missing"],
    );
    assert_eq!([pieces, mentionable, path], [json!(0), json!([]), json!([])]);
    assert_eq!(missing, "wish() finds no \"elsewhere\" in the space's default pattern");
}

#[test]
fn when_and_unless_choose_as_and_and_or_do() {
    let [all] = results(
        r#"
const yes = Cell.of("yes"), no = Cell.of(0), n = Cell.of(7);
return { all: computed([{ a: when(yes, n), b: when(no, n), c: unless(yes, n), d: unless(no, n) }, {}], (all) => all) };"#,
        ["all"],
    );
    assert_eq!(all, json!({"a": 7, "b": 0, "c": "yes", "d": 7}));
}

#[test]
fn values_are_shown_as_json_and_readable_where_json_has_no_form() {
    let [compact, short, indented, circle] = results(
        r#"
const around = { n: 1 };
around.around = around;
const value = { a: [1, "two", null, undefined], b: {}, c: 5n, d: -Infinity, e: new Date(0), f: Cell.of({ in: true }) };
return { compact: toCompactDebugString(value), short: toCompactDebugString(value, { maxLength: 10 }),
  indented: toIndentedDebugString({ a: [1, []], b: {} }), circle: toCompactDebugString(around) };"#,
        ["compact", "short", "indented", "circle"],
    );
    let expected =
        r#"{"a":[1,"two",null,undefined],"b":{},"c":5n,"d":-Infinity,"e":"1970-01-01T00:00:00.000Z","f":{"in":true}}"#;
    assert_eq!(compact, expected);
    assert_eq!((short, circle), (json!("{\"a\":[1..."), json!("{\"n\":1,\"around\":<circle>}")));
    assert_eq!(indented, "{\n  \"a\": [\n    1,\n    []\n  ],\n  \"b\": {}\n}");
}

#[test]
fn each_kind_of_request_of_a_pattern_has_its_result() {
    let charm = Charm::new(
        r#"
import { pattern, fetchJson, fetchJsonUnchecked, fetchText, fetchBinary } from "commontools";
const options = { method: "POST", body: { a: 1 }, mutexTimeoutMs: 30_000 };
export default pattern(() => ({
  json: fetchJson({ url: "https://a.example/1", options }).result, unchecked: fetchJsonUnchecked({ url: "https://a.example/2" }).result,
  text: fetchText({ url: "https://a.example/3" }).result, binary: fetchBinary({ url: "https://a.example/4" }).result,
  wrong: fetchJson({ url: "https://a.example/text" }).error, none: fetchText({ url: "" }),
}));"#,
    )
    .answering(|request| Ok(response(200, if request.url.ends_with("text") { "a text" } else { "[1, 2]" })));
    charm.setup("{}").expect("a good charm");
    let [json, unchecked, text] = ["json", "unchecked", "text"].map(|name| charm.cell(name));
    assert_eq!([json, unchecked, text], [json!([1, 2]), json!([1, 2]), json!("[1, 2]")]);
    let binary = charm.cell("binary");
    assert_eq!(binary["bytes"], json!(b"[1, 2]"));
    assert!(binary["mediaType"].as_str().expect("a type").contains('/'), "{binary}");
    assert!(charm.cell("wrong").as_str().expect("an error").contains("SyntaxError"), "{}", charm.cell("wrong"));
    assert_eq!(charm.cell("none")["pending"], json!(false));
    let requests = charm.outside.requests.borrow();
    let first = requests.iter().find(|request| request.url.ends_with("/1")).expect("sent");
    assert_eq!(requests.len(), 5);
    assert_eq!((first.method.as_str(), first.body.as_deref()), ("POST", Some(&b"{\"a\":1}"[..])));
}
