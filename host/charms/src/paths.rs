//! Which parts of a charm are secret, and values without those. Paths have the keys of data; documents are in their
//! [stored form](crate::document).

use bg_poller::Lookup;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{data_key, stored_key};

/// What is secret in every charm, whether its source says so or not: in the `auth` cell that Common Tools' OAuth button fills.
const ALWAYS: [&[&str]; 2] = [&["auth", "token"], &["auth", "refreshToken"]];

/// Any key or index.
const ANY: &str = "*";

/// The paths of what is secret in one charm: a cell's name, then object keys or array indices; `*` is any of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretPaths(Vec<Vec<String>>);

impl SecretPaths {
    /// What a charm declares, and what is always secret. Empty paths are dropped: they would name nothing.
    pub(crate) fn new(declared: Vec<Vec<String>>) -> Self {
        let always = ALWAYS.iter().map(|path| path.iter().map(|&key| key.to_owned()).collect());
        let mut paths: Vec<Vec<String>> = declared.into_iter().filter(|path| !path.is_empty()).chain(always).collect();
        paths.sort();
        paths.dedup();
        Self(paths)
    }

    /// These, and those of an earlier program in the cells that are kept: what is secret stays so until it is computed anew.
    pub(crate) fn with_kept(mut self, before: &Self, is_kept: impl Fn(&str) -> bool) -> Self {
        self.0.extend(before.0.iter().filter(|path| path[0] == ANY || is_kept(&path[0])).cloned());
        self.0.sort();
        self.0.dedup();
        self
    }

    /// Whether anything in the cell of that name is secret, so that its document has to be sealed.
    pub(crate) fn touches_cell(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| key_matches(&pattern[0], name))
    }

    /// Whether `path` is a secret, or lies within one.
    pub(crate) fn covers(&self, path: &[String]) -> bool {
        self.0.iter().any(|pattern| {
            pattern.len() <= path.len() && pattern.iter().zip(path).all(|(pattern, key)| key_matches(pattern, key))
        })
    }

    /// What is at `path`, whose first key is the name of the cell that holds `document`. Secret object members are left out
    /// of a value; secret array items are null, so that the other items keep their indices.
    pub(crate) fn lookup(&self, path: &[String], document: &Value) -> Lookup {
        let Some(value) = at(document, &path[1..]) else {
            return if self.covers(path) && self.secret_on_the_way(path, document) {
                Lookup::Secret
            } else {
                Lookup::Absent
            };
        };
        if self.covers(path) {
            return Lookup::Secret;
        }
        let mut value = value.clone();
        for rest in self.below(path) {
            withhold(&mut value, rest, &mut Withhold::LeaveOut);
        }
        Lookup::Value(value)
    }

    /// The whole document of a cell, with `mask` in place of each secret.
    pub(crate) fn masked(&self, cell: &str, mut document: Value, mask: &Value) -> Value {
        for rest in self.below(&[cell.to_owned()]) {
            withhold(&mut document, rest, &mut Withhold::Mask(mask));
        }
        if self.covers(&[cell.to_owned()]) { mask.clone() } else { document }
    }

    /// The same for pages, which may tell whether there is a secret at all: one that is empty stays.
    pub(crate) fn veiled(&self, cell: &str, mut document: Value, mask: &Value) -> Value {
        let name = [cell.to_owned()];
        if self.covers(&name) {
            Withhold::Veil(mask).apply(&mut document);
            return document;
        }
        for rest in self.below(&name) {
            withhold(&mut document, rest, &mut Withhold::Veil(mask));
        }
        document
    }

    /// Every secret text in a cell.
    pub(crate) fn texts(&self, cell: &str, mut document: Value) -> Vec<String> {
        let mut texts = Vec::new();
        if self.covers(&[cell.to_owned()]) {
            collect_texts(&document, &mut texts);
        } else {
            for rest in self.below(&[cell.to_owned()]) {
                withhold(&mut document, rest, &mut Withhold::Collect(&mut texts));
            }
        }
        texts
    }

    /// What is left of the patterns that reach further than `path`.
    fn below<'a>(&'a self, path: &'a [String]) -> impl Iterator<Item = &'a [String]> {
        self.0.iter().filter_map(move |pattern| {
            let reaches =
                pattern.len() > path.len() && pattern.iter().zip(path).all(|(pattern, key)| key_matches(pattern, key));
            reaches.then(|| &pattern[path.len()..])
        })
    }

    /// Whether a secret stands somewhere on a path that leads further than the document does. What is missing below a secret
    /// is answered as "secret" too, so that its inner shape does not show.
    fn secret_on_the_way(&self, path: &[String], document: &Value) -> bool {
        (1..path.len()).any(|len| self.covers(&path[..len]) && at(document, &path[1..len]).is_some())
    }
}

fn key_matches(pattern: &str, key: &str) -> bool {
    pattern == ANY || pattern == key
}

/// What is at a path of object keys and array indices in a stored form.
pub(crate) fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Object(members) => members.get(&*stored_key(key)),
        Value::Array(items) => items.get(index(key)?),
        _ => None,
    })
}

/// An array index in its one spelling: no sign, no leading zeros.
pub(crate) fn index(key: &str) -> Option<usize> {
    key.parse().ok().filter(|index: &usize| index.to_string() == key)
}

enum Withhold<'a> {
    LeaveOut,
    Mask(&'a Value),
    Veil(&'a Value),
    Collect(&'a mut Vec<String>),
}

impl Withhold<'_> {
    fn apply(&mut self, secret: &mut Value) {
        match self {
            Self::LeaveOut => *secret = Value::Null,
            Self::Mask(mask) => *secret = mask.clone(),
            Self::Veil(mask) => {
                if !matches!(secret, Value::Null) && secret.as_str() != Some("") {
                    *secret = mask.clone();
                }
            }
            Self::Collect(texts) => collect_texts(secret, texts),
        }
    }
}

/// Withholds what a pattern, relative to `value`, says.
fn withhold(value: &mut Value, pattern: &[String], how: &mut Withhold<'_>) {
    let Some((first, rest)) = pattern.split_first() else {
        how.apply(value);
        return;
    };
    match value {
        Value::Object(members) if rest.is_empty() && matches!(how, Withhold::LeaveOut) => {
            members.retain(|key, _| !key_matches(first, data_key(key)));
        }
        Value::Object(members) => {
            for (_, member) in members.iter_mut().filter(|(key, _)| key_matches(first, data_key(key))) {
                withhold(member, rest, how);
            }
        }
        Value::Array(items) => {
            for (_, item) in items.iter_mut().enumerate().filter(|(at, _)| first == ANY || index(first) == Some(*at)) {
                withhold(item, rest, how);
            }
        }
        _ => {}
    }
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect_texts(member, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn secrets(texts: &[&str]) -> SecretPaths {
        SecretPaths::new(texts.iter().map(|text| path(text)).collect())
    }

    #[test]
    fn a_lookup_answers_values_without_their_secrets() {
        let cell = json!({
            "token": "t", "user": {"email": "e", "pin": 1}, "keys": [{"k": "a", "n": 1}, {"k": "b"}], "codes": ["x", "y"],
        });
        let secrets = secrets(&["c.token", "c.user.pin", "c.keys.*.k", "c.codes.*"]);
        let attempt = bg_abuse::Attempt::begin("secrets", "of a cell: by parents, members and arrays around them");
        let cases = [
            ("c", Lookup::Value(json!({"user": {"email": "e"}, "keys": [{"n": 1}, {}], "codes": [null, null]}))),
            ("c.user", Lookup::Value(json!({"email": "e"}))),
            ("c.user.email", Lookup::Value(json!("e"))),
            ("c.keys.0", Lookup::Value(json!({"n": 1}))),
            ("c.keys.00", Lookup::Absent),
            ("c.keys.2", Lookup::Absent),
            ("c.token", Lookup::Secret),
            ("c.token.length", Lookup::Secret),
            ("c.user.pin", Lookup::Secret),
            ("c.keys.1.k", Lookup::Secret),
            ("c.keys.7.k", Lookup::Absent),
            ("c.codes.1", Lookup::Secret),
            ("c.nothing", Lookup::Absent),
        ];
        for (at, expected) in cases {
            assert_eq!(secrets.lookup(&path(at), &cell), expected, "{at}");
        }
        attempt.ended("no byte of them");
    }

    #[test]
    fn a_cell_may_be_secret_as_a_whole() {
        let secrets = secrets(&["key"]);
        assert_eq!(secrets.lookup(&path("key"), &json!({"a": 1})), Lookup::Secret);
        assert_eq!(secrets.lookup(&path("key.a"), &json!({"a": 1})), Lookup::Secret);
        assert_eq!(secrets.masked("key", json!({"a": "x"}), &json!("…")), json!("…"));
        assert_eq!(secrets.texts("key", json!({"a": "x", "b": [1, "y"]})), ["x", "1", "y"]);
    }

    #[test]
    fn an_oauth_token_is_secret_in_every_charm() {
        let secrets = secrets(&[]);
        let auth = json!({"token": "t", "refreshToken": "r", "expiresAt": 1});
        assert_eq!(secrets.lookup(&path("auth"), &auth), Lookup::Value(json!({"expiresAt": 1})));
        assert_eq!(
            secrets.masked("auth", auth.clone(), &json!("…")),
            json!({"token": "…", "refreshToken": "…", "expiresAt": 1})
        );
        assert_eq!(secrets.texts("auth", auth), ["r", "t"]);
        assert!(secrets.touches_cell("auth") && !secrets.touches_cell("emails"));
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), "[a-c]{1,2}".prop_map(Value::from), (0..3u8).prop_map(Value::from)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c0-2]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn all_paths(value: &Value, here: &[String], paths: &mut Vec<Vec<String>>) {
        paths.push(here.to_vec());
        let with = |key: String| [here, &[key]].concat();
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, member)| all_paths(member, &with(key.clone()), paths));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| all_paths(item, &with(at.to_string()), paths));
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_answer_holds_a_secret_and_none_hides_more(
            document in documents(),
            declared in prop::collection::vec(prop::collection::vec("[a-c0-2*]", 0..3), 0..3),
        ) {
            let declared = declared.into_iter().map(|rest| [vec!["c".to_owned()], rest].concat()).collect();
            let secrets = SecretPaths::new(declared);
            let mut paths = Vec::new();
            all_paths(&document, &["c".to_owned()], &mut paths);
            for whole in &paths {
                match secrets.lookup(whole, &document) {
                    Lookup::Absent => prop_assert!(false, "{whole:?} is there"),
                    Lookup::Secret => prop_assert!(secrets.covers(whole)),
                    Lookup::Value(answer) => {
                        for below in paths.iter().filter(|below| below.starts_with(whole)) {
                            let secret = secrets.covers(below);
                            let found = at(&answer, &below[whole.len()..]);
                            let hidden = found.is_none_or(Value::is_null);
                            let original_null = at(&document, &below[1..]).is_some_and(Value::is_null);
                            prop_assert!(if secret { hidden } else { !hidden || original_null }, "{below:?} in {answer}");
                        }
                    }
                }
            }
        }
    }
}
