//! Which parts of a charm are secret, and values without those. Paths have the keys of data; documents are in their
//! [stored form](crate::document).

use std::sync::LazyLock;

use bg_poller::Lookup;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{data_key, stored_key};
use crate::secret_names::{is_sign_in, names_secret};
use crate::secret_rule::{Reached, Rule};

/// How long a word is that is no secret by itself.
const LONGEST_WORD: usize = 12;

/// What is secret in one charm: what its program declares, by rules for paths that begin with a cell's name,
/// and what is [secret by its name](crate::secret_names) in every charm.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretPaths(Vec<Rule>);

impl SecretPaths {
    /// What a charm declares: `*` is any key or index, `**` any number of them, `<secret>` a key that names a secret.
    /// Empty paths are dropped: they would name nothing.
    pub fn new(declared: Vec<Vec<String>>) -> Self {
        let mut rules: Vec<Rule> = declared.into_iter().filter_map(Rule::new).collect();
        rules.sort();
        rules.dedup();
        Self(rules)
    }

    /// The same, and these cells as a whole.
    #[must_use]
    pub fn with_cells(self, cells: Vec<String>) -> Self {
        let declared = self.0.into_iter().map(Vec::from).chain(cells.into_iter().map(|cell| vec![cell]));
        Self::new(declared.collect())
    }

    /// These, and those of an earlier program: what is secret stays so.
    #[must_use]
    pub fn with_kept(mut self, before: &Self) -> Self {
        self.0.extend(before.0.iter().cloned());
        self.0.sort();
        self.0.dedup();
        self
    }

    /// Whether anything in the cell of that name is secret, so that its document has to be sealed.
    pub fn touches_cell(&self, name: &str) -> bool {
        self.rules(name).any(|rule| rule.next(rule.start(), name).leads_on())
    }

    /// Whether `path` is a secret, or lies within one.
    pub fn covers(&self, path: &[String]) -> bool {
        path.first().is_some_and(|cell| self.rules(cell).any(|rule| rule.along(path).is_none()))
    }

    /// What is at `path`, whose first key is the name of the cell that holds `document`. Secret object members are left
    /// out of a value; secret array items are null, so that the other items keep their indices.
    pub fn lookup(&self, path: &[String], document: &Value) -> Lookup {
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
        self.withhold(path, &mut value, &mut Withhold::LeaveOut);
        Lookup::Value(value)
    }

    /// The whole document of a cell, with `mask` in place of each secret.
    pub fn masked(&self, cell: &str, mut document: Value, mask: &Value) -> Value {
        self.withhold(&[cell.to_owned()], &mut document, &mut Withhold::Mask(mask));
        document
    }

    /// The same for pages, which may show whether there is a secret at all: one that is empty stays.
    pub fn veiled(&self, cell: &str, mut document: Value, mask: &Value) -> Value {
        self.withhold(&[cell.to_owned()], &mut document, &mut Withhold::Veil(mask));
        document
    }

    /// Every secret text in a cell.
    pub fn texts(&self, cell: &str, document: Value) -> Vec<String> {
        self.located(cell, document).into_iter().map(|(_, text)| text).collect()
    }

    /// Every secret text in a cell, with its path.
    pub fn located(&self, cell: &str, document: Value) -> Vec<(Vec<String>, String)> {
        self.collected(cell, document, |_, _| true)
    }

    /// The same, without words that are too common to be hidden wherever they occur: parts of a secret, in an item of a
    /// list, below a key that names no secret, such as the status `confirmed` of a confidential event.
    pub fn telling(&self, cell: &str, document: Value) -> Vec<(Vec<String>, String)> {
        self.collected(cell, document, |path, text| {
            !is_word(text) || !path.iter().any(|key| index(key).is_some()) || path.iter().any(|key| names_secret(key))
        })
    }

    /// Every secret text in a cell, and of the parts of a secret those that are `wanted`.
    fn collected(
        &self,
        cell: &str,
        mut document: Value,
        wanted: fn(&[String], &str) -> bool,
    ) -> Vec<(Vec<String>, String)> {
        let mut texts = Vec::new();
        let mut how = Withhold::Collect { texts: &mut texts, wanted };
        self.withhold(&[cell.to_owned()], &mut document, &mut how);
        texts
    }

    /// The rules for a cell.
    fn rules(&self, cell: &str) -> impl Iterator<Item = &Rule> {
        static BY_NAME: LazyLock<Rule> = LazyLock::new(Rule::by_name);
        self.0.iter().chain(is_sign_in(cell).then(|| &*BY_NAME))
    }

    /// Withholds the secrets of a value at `path`, which begins with the name of a cell.
    fn withhold(&self, path: &[String], value: &mut Value, how: &mut Withhold<'_>) {
        let mut path = path.to_vec();
        for rule in path.first().cloned().iter().flat_map(|cell| self.rules(cell)) {
            match rule.along(&path) {
                None => {
                    // All of it is one secret: there is nothing left for other rules.
                    how.apply(value, &mut path);
                    return;
                }
                Some(reached) => withhold(value, rule, reached, &mut path, how),
            }
        }
    }

    /// Whether a secret stands somewhere on a path that leads further than the document does. What is missing below a
    /// secret is answered as "secret" too, so that its inner shape does not show.
    fn secret_on_the_way(&self, path: &[String], document: &Value) -> bool {
        (1..path.len()).any(|len| self.covers(&path[..len]) && at(document, &path[1..len]).is_some())
    }
}

/// What is at a path of object keys and array indices in a stored form.
pub fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Object(members) => members.get(&*stored_key(key)),
        Value::Array(items) => items.get(index(key)?),
        _ => None,
    })
}

/// An array index in its one spelling: no sign, no leading zeros.
pub fn index(key: &str) -> Option<usize> {
    key.parse().ok().filter(|index: &usize| index.to_string() == key)
}

enum Withhold<'a> {
    LeaveOut,
    Mask(&'a Value),
    Veil(&'a Value),
    Collect { texts: &'a mut Vec<(Vec<String>, String)>, wanted: fn(&[String], &str) -> bool },
}

impl Withhold<'_> {
    fn apply(&mut self, secret: &mut Value, path: &mut Vec<String>) {
        match self {
            Self::LeaveOut => *secret = Value::Null,
            Self::Mask(mask) => *secret = mask.clone(),
            Self::Veil(mask) => {
                if !matches!(secret, Value::Null) && secret.as_str() != Some("") {
                    *secret = mask.clone();
                }
            }
            Self::Collect { texts, .. } if secret.is_string() => {
                texts.extend(secret.as_str().map(|text| (path.clone(), text.to_owned())));
            }
            Self::Collect { texts, wanted } => collect_texts(secret, path, texts, *wanted),
        }
    }
}

/// Withholds what a rule says of a value at `path`, which has come so far in it and is not secret itself.
fn withhold(value: &mut Value, rule: &Rule, reached: Reached, path: &mut Vec<String>, how: &mut Withhold<'_>) {
    if !reached.leads_on() {
        return;
    }
    match value {
        Value::Object(members) => {
            if matches!(how, Withhold::LeaveOut) {
                members.retain(|key, _| !rule.is_met(rule.next(reached, data_key(key))));
            }
            for (key, member) in members {
                withhold_part(data_key(key), member, rule, reached, path, how);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                withhold_part(&at.to_string(), item, rule, reached, path, how);
            }
        }
        _ => {}
    }
}

fn withhold_part(
    key: &str,
    part: &mut Value,
    rule: &Rule,
    reached: Reached,
    path: &mut Vec<String>,
    how: &mut Withhold<'_>,
) {
    let next = rule.next(reached, key);
    path.push(key.to_owned());
    if rule.is_met(next) {
        how.apply(part, path);
    } else {
        withhold(part, rule, next, path, how);
    }
    path.pop();
}

fn collect_texts(
    value: &Value,
    path: &mut Vec<String>,
    texts: &mut Vec<(Vec<String>, String)>,
    wanted: fn(&[String], &str) -> bool,
) {
    if let Value::String(text) = value {
        if wanted(path, text) {
            texts.push((path.clone(), text.clone()));
        }
        return;
    }
    let mut within = |key: String, part: &Value| {
        path.push(key);
        collect_texts(part, path, texts, wanted);
        path.pop();
    };
    match value {
        Value::Number(number) => texts.push((path.clone(), number.to_string())),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| within(at.to_string(), item)),
        Value::Object(members) => members.iter().for_each(|(key, member)| within(key.clone(), member)),
        _ => {}
    }
}

/// Whether a text is a short word of plain letters.
fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD
        && text.bytes().all(|byte| byte.is_ascii_alphabetic())
        && text.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())
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
    fn a_word_within_an_item_is_not_looked_for_unless_it_is_marked_itself_or_by_its_name() {
        let secrets = secrets(&["events", "pins.*", "users.*.pin", "box"]);
        let telling = |cell: &str, document: Value| -> Vec<String> {
            secrets.telling(cell, document).into_iter().map(|(_, text)| text).collect()
        };
        let event = json!({
            "status": "confirmed", "calendar": "primary", "kind": "Meeting", "id": "e17abc", "title": "With Ann", "key": "iPhone",
            "long": "counterintelligence", "password": "sunshine", "apiKey": { "of": "sunset" }, "n": 123_456,
        });
        assert_eq!(
            telling("events", json!([event])),
            ["sunset", "e17abc", "iPhone", "counterintelligence", "123456", "sunshine", "With Ann"]
        );
        // Marked itself, or no item of a list.
        assert_eq!(telling("pins", json!(["sunshine"])), ["sunshine"]);
        assert_eq!(telling("users", json!([{ "pin": "sunshine", "name": "ann" }])), ["sunshine"]);
        assert_eq!(telling("box", json!({ "word": "sunshine" })), ["sunshine"]);
        assert_eq!(telling("auth", json!({ "token": "sunshine" })), ["sunshine"]);
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

    #[test]
    fn what_is_secret_by_its_name_is_so_at_any_depth_of_a_sign_in() {
        let attempt = bg_abuse::Attempt::begin("secrets", "tokens of a sign-in that nobody marked, at any depth");
        let secrets = secrets(&[]);
        let account = json!({
            "accessToken": "a", "id_token": "i", "API-Key": "k", "clientSecret": {"value": "c"}, "tokenType": "Bearer",
            "user": {"email": "e", "password": "p"},
        });
        let open = json!({"tokenType": "Bearer", "user": {"email": "e"}});
        for (at, cell) in [
            ("auth", account.clone()),
            ("plaidAuth.items.0", json!({"items": [account]})),
            ("auth.google", json!({"google": account})),
        ] {
            let name = at.split('.').next().unwrap();
            assert_eq!(secrets.lookup(&path(at), &cell), Lookup::Value(open.clone()), "{at}");
            for (key, expected) in [("accessToken", Lookup::Secret), ("tokenType", Lookup::Value(json!("Bearer")))] {
                assert_eq!(secrets.lookup(&path(&format!("{at}.{key}")), &cell), expected);
            }
            assert_eq!(secrets.lookup(&path(&format!("{at}.clientSecret.value")), &cell), Lookup::Secret);
            let mut texts = secrets.texts(name, cell.clone());
            texts.sort();
            assert_eq!(texts, ["a", "c", "i", "k", "p"]);
            let shown = [secrets.masked(name, cell.clone(), &json!("…")), secrets.veiled(name, cell, &json!("…"))];
            assert!(shown.iter().all(|shown| {
                !["a", "c", "i", "k", "p"].iter().any(|text| shown.to_string().contains(&format!("\"{text}\"")))
            }));
        }
        // Elsewhere a name says nothing.
        let cell = json!({"token": "t"});
        assert_eq!(secrets.lookup(&path("settings"), &cell), Lookup::Value(cell.clone()));
        attempt.ended("no byte of them");
    }

    #[test]
    fn paths_of_any_depth_are_kept_as_texts_beside_those_of_older_versions() {
        let stored = r#"[["auth","token"],["c","**","k"],["list","*","a"],["shown","x","**","<secret>"]]"#;
        let secrets: SecretPaths = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&secrets).unwrap(), stored);
        let cell = json!({"k": 1, "a": {"k": 2}, "b": [{"k": 3, "o": 4}]});
        assert_eq!(secrets.lookup(&path("c"), &cell), Lookup::Value(json!({"a": {}, "b": [{"o": 4}]})));
        assert_eq!(
            secrets.lookup(&path("shown"), &json!({"x": {"token": 1}, "token": 2})),
            Lookup::Value(json!({"x": {}, "token": 2}))
        );
        assert_eq!(secrets.located("c", cell)[0], (path("c.a.k"), "2".to_owned()));
        // However it is made, a rule costs a step for each key.
        let deep = SecretPaths::new(vec![["c", "**", "a"].repeat(40).iter().map(|&key| key.to_owned()).collect()]);
        let nested = (0..100).fold(json!("x"), |inner, _| json!({"a": inner, "c": 1}));
        assert!(matches!(deep.lookup(&path("c"), &nested), Lookup::Value(_)));
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), "[a-c]{1,2}".prop_map(Value::from), (0..3u8).prop_map(Value::from)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c0-2]|token", inner, 0..4)
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
            cell in prop_oneof![Just("c"), Just("auth")],
            declared in prop::collection::vec(prop::collection::vec("[a-c0-2*]|\\*\\*|<secret>", 0..4), 0..3),
        ) {
            let declared: Vec<_> = declared.into_iter().map(|rest| [vec![cell.to_owned()], rest].concat()).collect();
            let secrets = SecretPaths::new(declared);
            let mut paths = Vec::new();
            all_paths(&document, &[cell.to_owned()], &mut paths);
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
