//! JSON at the charms' boundary: what a charm may write, and what is shown of it without its secrets.
//!
//! Input: a JSON text. Lines before it that start with `#` are secret paths, such as `#keys.*.token`.

#![no_main]

#[path = "common/json.rs"]
mod json;
// Included as modules, since their crates depend on SQLite, a TypeScript compiler and the engine.
#[path = "../../../host/sandbox/src/json.rs"]
mod sandbox_json;
#[path = "../../../host/store/src/document.rs"]
#[allow(dead_code, reason = "the crate uses the rest")]
mod document;
#[path = "../../../host/store/src/paths.rs"]
#[allow(dead_code, reason = "the crate uses the rest")]
mod paths;
#[path = "../../../host/store/src/secret_names.rs"]
#[allow(dead_code, reason = "the crate uses the rest")]
mod secret_names;
#[path = "../../../host/store/src/secret_rule.rs"]
#[allow(dead_code, reason = "the crate uses the rest")]
mod secret_rule;

use bg_poller::Lookup;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

use document::{Document, data as data_of, target};
use paths::{SecretPaths, at};
use sandbox_json::check;

/// The cell with the document.
const CELL: &str = "cell";
/// Documents with more paths are skipped: every path is compared with every other.
const PATHS: usize = 200;

fuzz_target!(|data: &[u8]| {
    let Ok(mut text) = str::from_utf8(data) else { return };
    let mut declared = Vec::new();
    while let Some((line, rest)) = text.strip_prefix('#').and_then(|text| text.split_once('\n')) {
        declared.push(std::iter::once(CELL).chain(line.split('.')).map(str::to_owned).collect());
        text = rest;
    }
    let Some(value) = read(text) else { return };
    let document = Document::of(value.clone());
    assert_eq!(links(document.node()), 0, "{text:?} is data, and was taken for a link");
    assert_eq!(data_of(document.clone().into_node()), value, "{text:?} does not come back");
    without_secrets(&SecretPaths::new(declared), &value, document.node());
});

/// The number of links in a stored value.
fn links(node: &Value) -> usize {
    match node {
        _ if target(node).is_some() => 1,
        Value::Object(members) => members.values().map(links).sum(),
        Value::Array(items) => items.iter().map(links).sum(),
        _ => 0,
    }
}

/// The value of a text that a charm may write.
fn read(text: &str) -> Option<Value> {
    let accepted = check(text).is_ok();
    let value = serde_json::from_str::<Value>(text);
    assert_eq!(accepted, value.is_ok(), "{text:?}");
    match json::read(text) {
        Ok(read) => {
            let readable = read.depth < json::DEPTH && read.is_finite && !read.has_half_surrogate;
            assert_eq!(accepted, readable, "{text:?}: {:?}", value.err());
        }
        Err(at) => assert!(!accepted, "{text:?} is not JSON at {at}"),
    }
    let value = value.ok()?;
    let printed = value.to_string();
    check(&printed).unwrap_or_else(|error| panic!("{text:?}, printed as {printed:?}: {error}"));
    let again: Value = serde_json::from_str(&printed).expect("it was checked");
    assert_eq!(again, value, "{text:?}, printed as {printed:?}");
    Some(value)
}

/// No output contains a secret. Paths have the keys of the value; links lead into the document that stores it.
fn without_secrets(secrets: &SecretPaths, value: &Value, document: &Value) {
    let mut all = Vec::new();
    collect_paths(value, &mut vec![CELL.to_owned()], &mut all);
    if all.len() >= PATHS {
        return;
    }
    let mask = Value::from("masked");
    let masked = secrets.masked(CELL, document.clone(), &mask);
    let texts = secrets.texts(CELL, document.clone());
    for path in &all {
        let value = at(document, &path[1..]).expect("it is there");
        if secrets.covers(path) {
            // It, or something around it, is masked. A mask has no contents.
            assert!(at(&masked, &path[1..]).is_none_or(|shown| *shown == mask), "{path:?} in {masked}");
            assert_eq!(secrets.lookup(path, document), Lookup::Secret, "{path:?}");
            if let Value::String(text) = value {
                assert!(texts.contains(text), "{path:?} is not among the secret texts");
            }
            continue;
        }
        let Lookup::Value(answer) = secrets.lookup(path, document) else { panic!("{path:?} is hidden") };
        for below in all.iter().filter(|below| below.starts_with(path) && secrets.covers(below)) {
            assert!(at(&answer, &below[path.len()..]).is_none_or(Value::is_null), "{below:?} in {answer}");
        }
        if !all.iter().any(|below| below.starts_with(path) && secrets.covers(below)) {
            assert_eq!(&answer, value, "{path:?} has no secrets");
            assert_eq!(at(&masked, &path[1..]), Some(value), "{path:?} has no secrets");
        }
    }
    assert!(texts.is_empty() || secrets.touches_cell(CELL));
}

fn collect_paths(value: &Value, here: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    if all.len() >= PATHS {
        return;
    }
    all.push(here.clone());
    let mut visit = |key: String, value: &Value| {
        here.push(key);
        collect_paths(value, here, all);
        here.pop();
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, member)| visit(key.clone(), member)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| visit(index.to_string(), item)),
        _ => {}
    }
}
