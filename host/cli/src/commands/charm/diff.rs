//! What has changed between two states of a charm's cells.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::args::CellPath;
use crate::{layout, output};

/// How much of a value, and of a path, is shown to people, characters.
const SHOWN: usize = 200;

/// Two arrays whose lengths have a larger product are compared item by item, in their order: finding out what moved would take
/// long, and people look at small ones.
const COMPARED: usize = 1_000_000;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Change {
    /// Where: the cell's name, then object keys or array indices. The index of an item that is gone is what it was.
    path: Vec<String>,
    /// What was there; nothing if it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// What is there; nothing if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// For people: `count: 0 -> 1`, `emails.0: + {…}`, `old: - 1`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, before, after } = self;
        write!(f, "{}: ", layout::cut(&output::printable(&CellPath(path.clone()).to_string()), SHOWN))?;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "{} -> {}", shown(before), shown(after)),
            (None, Some(after)) => write!(f, "+ {}", shown(after)),
            (Some(before), None) => write!(f, "- {}", shown(before)),
            (None, None) => Ok(()),
        }
    }
}

fn shown(value: &Value) -> String {
    let text = output::printable(&value.to_string());
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// All differences, in the order of the cells' names.
pub(super) fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&mut Vec::new(), before, after, &mut changes);
    changes
}

fn compare(path: &mut Vec<String>, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                within(path, key.clone(), |path| match new.get(key) {
                    Some(now) => compare(path, value, now, changes),
                    None => changes.push(Change { path: path.clone(), before: Some(value.clone()), after: None }),
                });
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                within(path, key.clone(), |path| {
                    changes.push(Change { path: path.clone(), before: None, after: Some(value.clone()) });
                });
            }
        }
        (Value::Array(old), Value::Array(new)) => compare_items(path, old, new, changes),
        _ => changes.push(Change { path: path.clone(), before: Some(before.clone()), after: Some(after.clone()) }),
    }
}

fn within(path: &mut Vec<String>, key: String, work: impl FnOnce(&mut Vec<String>)) {
    path.push(key);
    work(path);
    path.pop();
}

/// Items that were added or are gone, or that changed in their place.
fn compare_items(path: &mut Vec<String>, old: &[Value], new: &[Value], changes: &mut Vec<Change>) {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let same_end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(old, new)| old == new);
    let end = same_end.count();
    let (old, new) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    if old.len() == new.len() || old.len().saturating_mul(new.len()) > COMPARED {
        for at in 0..old.len().max(new.len()) {
            within(path, (start + at).to_string(), |path| match (old.get(at), new.get(at)) {
                (Some(before), Some(after)) => compare(path, before, after, changes),
                (before, after) => {
                    changes.push(Change { path: path.clone(), before: before.cloned(), after: after.cloned() });
                }
            });
        }
        return;
    }
    for (at, before, after) in edits(old, new) {
        within(path, (start + at).to_string(), |path| {
            changes.push(Change { path: path.clone(), before: before.cloned(), after: after.cloned() });
        });
    }
}

type Edit<'a> = (usize, Option<&'a Value>, Option<&'a Value>);

/// The items that are not part of the longest common subsequence, each with its index: of what is gone among the old, of what
/// was added among the new ones.
fn edits<'a>(old: &'a [Value], new: &'a [Value]) -> Vec<Edit<'a>> {
    let width = new.len() + 1;
    // lengths[i * width + j]: of the longest common subsequence of old[i..] and new[j..].
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut edits = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) {
            edits.push((i, Some(&old[i]), None));
            i += 1;
        } else {
            edits.push((j, None, Some(&new[j])));
            j += 1;
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(before: &Value, after: &Value) -> Vec<String> {
        diff(before, after).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_difference_is_told_by_its_path() {
        let before = json!({"count": 0, "old": 1, "same": [1], "settings": {"limit": 1, "a.b": true}, "kind": 1});
        let after = json!({"count": 1, "same": [1], "settings": {"limit": 2, "a.b": false}, "kind": "x", "new": null});
        let expected = [
            "count: 0 -> 1",
            "kind: 1 -> \"x\"",
            "old: - 1",
            "/settings/a.b: true -> false",
            "settings.limit: 1 -> 2",
            "new: + null",
        ];
        assert_eq!(lines(&before, &after), expected);
        assert_eq!(lines(&before, &before), [""; 0]);
    }

    #[test]
    fn items_of_arrays_are_found_again_where_they_moved() {
        let cases = [
            (json!([1, 2]), json!([9, 1, 2]), vec!["c.0: + 9"]),
            (json!([1, 2]), json!([1, 2, 3]), vec!["c.2: + 3"]),
            (json!([1, 2, 3]), json!([1, 3]), vec!["c.1: - 2"]),
            (json!([1, 2, 3]), json!([7, 1, 8, 3, 9]), vec!["c.0: + 7", "c.1: - 2", "c.2: + 8", "c.4: + 9"]),
            (json!([{"n": 1}, 2]), json!([{"n": 5}, 2]), vec!["c.0.n: 1 -> 5"]),
            (json!([]), json!([1]), vec!["c.0: + 1"]),
            (json!([1]), json!([]), vec!["c.0: - 1"]),
        ];
        for (before, after, expected) in cases {
            assert_eq!(lines(&json!({"c": before}), &json!({"c": after})), expected, "{before} {after}");
        }
    }

    #[test]
    fn large_arrays_take_no_square_of_memory_and_long_values_are_cut() {
        let old: Vec<Value> = (0..5_000).map(Value::from).collect();
        let new: Vec<Value> = (1..6_000).map(|n| Value::from(n * 2)).collect();
        assert!(!lines(&json!({"c": old}), &json!({"c": new})).is_empty());
        let [line] = lines(&json!({"c": 1}), &json!({"c": "x".repeat(1_000_000)})).try_into().unwrap();
        assert!(line.len() < 300 && line.ends_with("… (1000002 bytes)"), "{line}");
    }
}
