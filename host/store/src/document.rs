//! A cell's value as it is stored.
//!
//! A link between cells is a capability. Only the program of a charm makes one, by putting a cell into another, and it
//! is stored as `{"/": {"link@1": {"id": "of:<cell>", "path": ["key", …]}}}`: the value is in the cell `<cell>`, below
//! these keys. Data never looks like that where it is stored, since a key of data that consists of slashes alone has
//! one slash more there: `/` is stored as `//`. What a link is thus depends on who made it, never on its shape, and no
//! way of putting data together, piece by piece either, makes one.
//!
//! [`Document`] is the one way from data to what is stored, and back.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// The value of a cell in its stored form. From data, it has no links; from stored text, it may.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document(Value);

/// Where a link leads: a cell's name, then keys.
pub type Way = Vec<String>;

impl Document {
    /// Of data, which may come from anywhere.
    pub fn of(data: Value) -> Self {
        Self(stored(data))
    }

    /// Of the text that is stored.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Self)
    }

    /// Of a value that was stored before data and links were told apart. What has exactly the shape of a link that a
    /// program made, and leads where `is_link` says one may lead, is one.
    pub fn from_before(value: Value, is_link: &impl Fn(&[String]) -> bool) -> Self {
        let is_one = |way: &Way| is_link(way) && value == as_link(way);
        if target(&value).is_some_and(|way| is_one(&way)) {
            return Self(value);
        }
        let part = |part| Self::from_before(part, is_link).0;
        Self(match value {
            Value::Array(items) => items.into_iter().map(part).collect::<Vec<_>>().into(),
            Value::Object(members) => {
                members.into_iter().map(|(key, member)| (stored_key(&key).into_owned(), part(member))).collect()
            }
            value => value,
        })
    }

    /// The text to be stored.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// The stored form itself, for what works on it.
    pub fn node(&self) -> &Value {
        &self.0
    }

    /// The same, to be changed in place with other stored forms.
    pub fn node_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// The same, taken out.
    pub fn into_node(self) -> Value {
        self.0
    }

    /// The document with members of its top level set to data; whatever it was before, it is an object then.
    #[must_use]
    pub fn with_members(self, data: Map<String, Value>) -> Self {
        let mut members = match self.0 {
            Value::Object(members) if link(&members).is_none() => members,
            _ => Map::new(),
        };
        if let Value::Object(data) = Self::of(Value::Object(data)).0 {
            members.extend(data);
        }
        Self(Value::Object(members))
    }
}

/// The data that a stored form is. Links in it, if nobody has followed them, are shown as they are stored.
pub fn data(node: Value) -> Value {
    if target(&node).is_some() { node } else { members_renamed(node, data, |key| data_key(&key).to_owned()) }
}

fn stored(data: Value) -> Value {
    members_renamed(data, stored, |key| stored_key(&key).into_owned())
}

/// The stored form of a link.
fn as_link(way: &[String]) -> Value {
    let (cell, path) = way.split_first().map_or(("", way), |(cell, path)| (cell.as_str(), path));
    json!({"/": {"link@1": {"id": format!("of:{cell}"), "path": path}}})
}

/// Where a stored form leads, if it is a link.
pub fn target(node: &Value) -> Option<Way> {
    link(node.as_object()?)
}

fn link(members: &Map<String, Value>) -> Option<Way> {
    if members.len() != 1 {
        return None;
    }
    let link = members.get("/")?.get("link@1")?;
    let cell = link.get("id")?.as_str()?.strip_prefix("of:")?;
    let keys = link.get("path")?.as_array()?;
    let keys = keys.iter().map(|key| key.as_str().map(str::to_owned));
    std::iter::once(Some(cell.to_owned())).chain(keys).collect()
}

/// How a key of data is stored.
pub fn stored_key(key: &str) -> Cow<'_, str> {
    if has_only_slashes(key) { Cow::Owned(format!("/{key}")) } else { Cow::Borrowed(key) }
}

/// The key of data that a stored one is.
pub fn data_key(key: &str) -> &str {
    if has_only_slashes(key) { &key[1..] } else { key }
}

fn has_only_slashes(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte == b'/')
}

/// The value with its members and items changed, and other names for the members.
fn members_renamed(value: Value, change: fn(Value) -> Value, name: fn(String) -> String) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(change).collect::<Vec<_>>().into(),
        Value::Object(members) => members.into_iter().map(|(key, member)| (name(key), change(member))).collect(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), Just(json!("of:auth")), "[/a]{0,3}".prop_map(Value::from)];
        leaf.prop_recursive(5, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("/{0,3}|a|link@1|id|path", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn links_in(node: &Value) -> usize {
        match node {
            _ if target(node).is_some() => 1,
            Value::Array(items) => items.iter().map(links_in).sum(),
            Value::Object(members) => members.values().map(links_in).sum(),
            _ => 0,
        }
    }

    #[test]
    fn data_in_the_shape_of_a_link_is_none() {
        let shape = json!({"/": {"link@1": {"id": "of:auth", "path": ["token"]}}});
        assert_eq!(target(&shape), Some(vec!["auth".into(), "token".into()]));
        let document = Document::of(json!([shape, {"x": shape}]));
        assert_eq!((links_in(document.node()), links_in(&json!([shape]))), (0, 1));
        assert_eq!(data(document.clone().into_node()), json!([shape, {"x": shape}]));
        assert_eq!(Document::parse(&document.text()).unwrap(), document);
        // What was a link is none any more once members are set in it.
        let merged = Document(shape.clone()).with_members(shape.as_object().unwrap().clone());
        assert_eq!(merged, Document::of(shape));
    }

    #[test]
    fn of_what_was_stored_before_only_what_a_program_can_have_made_stays_a_link() {
        let way = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let [good, secret] = [&["mails", "0"][..], &["auth", "token"]].map(|keys| as_link(&way(keys)));
        let more = json!({"/": {"link@1": {"id": "of:mails", "path": [], "space": "x"}}});
        let beside = json!({"/": {"link@1": {"id": "of:mails", "path": []}, "x": 1}});
        let before = json!({"a": [good, secret, more, beside], "/": good});
        let document = Document::from_before(before.clone(), &|way: &[String]| way[0] == "mails");
        let data = |value: &Value| Document::of(value.clone()).into_node();
        let expected = json!({"a": [good, data(&secret), data(&more), data(&beside)], "//": good});
        assert_eq!(document.node(), &expected);
        assert_eq!(super::data(document.into_node()), before);
    }

    proptest! {
        #[test]
        fn data_comes_back_as_it_was_and_is_never_a_link(value in values()) {
            let document = Document::of(value.clone());
            prop_assert_eq!(links_in(document.node()), 0);
            prop_assert_eq!(data(document.into_node()), value);
        }

        #[test]
        fn no_two_keys_are_stored_as_one(a in "[/a]{0,4}", b in "[/a]{0,4}") {
            prop_assert_eq!(stored_key(&a) == stored_key(&b), a == b);
            let stored = stored_key(&a);
            prop_assert_eq!(data_key(&stored), &a);
            prop_assert!(stored != "/");
        }
    }
}
