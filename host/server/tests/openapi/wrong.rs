//! Values that are wrong, or at the edge of the valid range.

use serde_json::{Value, json};

use crate::random::Random;

/// In place of a parameter, as it is sent.
pub const PARAMETERS: [&str; 30] = [
    "",
    "%00",
    "%ff",
    "%",
    "%zz",
    ".",
    "..",
    "%2e%2e%2f",
    "a/b",
    "a%2Fb",
    "null",
    "true",
    "TRUE",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e3",
    "%2B7",
    "%207",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "%C3%A9",
    "%22",
    "%5B%5D",
    "%5B1%5D",
    "%7B%7D",
    "%27%20OR%201=1--",
];

/// In place of a member of a body, or of the whole of it.
fn values() -> Vec<Value> {
    let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("\0"),
        json!("é\u{202e}"),
        json!("x".repeat(5_000)),
        json!([]),
        json!(["count"]),
        json!({}),
        json!({ "": {} }),
        deep,
    ]
}

/// Bodies that differ from a valid one in one place: another value, no value, an extra member. Each with a description.
pub fn bodies(good: &Value, random: &mut Random) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    places_of(good, String::new(), &mut places);
    let mut all = Vec::new();
    for place in places {
        for value in values() {
            let mut body = good.clone();
            *body.pointer_mut(&place).unwrap() = value;
            all.push((format!("another value at {place:?}"), body));
        }
        let mut body = good.clone();
        if let Some((parent, key)) = place.rsplit_once('/')
            && let Some(object) = body.pointer_mut(parent).and_then(Value::as_object_mut)
        {
            object.remove(&key.replace("~1", "/").replace("~0", "~"));
            all.push((format!("nothing at {place:?}"), body));
        }
        let mut body = good.clone();
        if let Some(object) = body.pointer_mut(&place).and_then(Value::as_object_mut) {
            object.insert(format!("extra{}", random.text()), json!([1]));
            all.push((format!("a member too many at {place:?}"), body));
        }
    }
    all
}

/// The places of a value, whose names are JSON pointers.
fn places_of(value: &Value, here: String, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                places_of(member, format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places_of(item, format!("{here}/{index}"), places);
            }
        }
        _ => {}
    }
    places.push(here);
}

/// Bodies that are not JSON, or not readable.
pub fn texts() -> Vec<Vec<u8>> {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let mut all: Vec<Vec<u8>> =
        ["", " ", "{", "{}{}", "nul", "\u{feff}{}", "{\"a\":1,}", "NaN", "1e999", "\"\\ud800\"", &deep]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
    all.push(b"\"\xff\"".to_vec());
    all
}
