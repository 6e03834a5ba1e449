//! Links between the cells of a charm, as [`document`](crate::document) describes them. Readers follow them; a link
//! never leads out of its charm, and never to a secret.

use bg_poller::Lookup;
use serde_json::Value;

use crate::document::{Document, data_key, target};
use crate::paths::{SecretPaths, at};

/// How many links one answer follows. More are a circle, or made to cost.
const MAX_LINKS: usize = 1_000;

/// How much one answer takes from where links lead, beside what it has itself; bytes. Many links may lead to one large
/// cell. The last of them may go over it by what it leads to.
const MAX_BYTES: usize = 16 << 20;

/// How many links may follow one another on one way.
const MAX_HOPS: usize = 16;

/// Reads what links lead to, without what is secret.
pub struct Reader<'r, E> {
    secrets: &'r SecretPaths,
    /// The value of a cell.
    cell: &'r dyn Fn(&str) -> Result<Option<Document>, E>,
    links: usize,
    /// What is left of [`MAX_BYTES`].
    bytes: usize,
}

impl<'r, E> Reader<'r, E> {
    /// Reads cells by that function. Its first error ends a lookup.
    pub fn new(secrets: &'r SecretPaths, cell: &'r dyn Fn(&str) -> Result<Option<Document>, E>) -> Self {
        Self { secrets, cell, links: 0, bytes: MAX_BYTES }
    }

    /// What is at a path: a cell's name, then keys.
    pub fn lookup(&mut self, path: &[String]) -> Result<Lookup, E> {
        self.lookup_at(path, 0)
    }

    fn lookup_at(&mut self, path: &[String], hops: usize) -> Result<Lookup, E> {
        let Some(name) = path.first() else { return Ok(Lookup::Absent) };
        let Some(document) = (self.cell)(name)? else { return Ok(Lookup::Absent) };
        for end in 1..=path.len() {
            // What is secret is not looked into, not even for where it leads.
            if self.secrets.covers(&path[..end]) {
                break;
            }
            let Some(mut way) = at(document.node(), &path[1..end]).and_then(target) else { continue };
            way.extend_from_slice(&path[end..]);
            return if self.spend(hops) { self.lookup_at(&way, hops + 1) } else { Ok(Lookup::Absent) };
        }
        Ok(match self.secrets.lookup(path, document.node()) {
            Lookup::Value(value) => {
                if hops > 0 {
                    self.bytes = self.bytes.saturating_sub(weight(&value));
                }
                Lookup::Value(self.follow(value, hops)?)
            }
            other => other,
        })
    }

    /// The data that a stored form is, with what its links lead to; null in place of what is secret, or nowhere.
    fn follow(&mut self, value: Value, hops: usize) -> Result<Value, E> {
        if let Some(way) = target(&value) {
            if !self.spend(hops) {
                return Ok(Value::Null);
            }
            return Ok(match self.lookup_at(&way, hops + 1)? {
                Lookup::Value(value) => value,
                Lookup::Secret | Lookup::Absent => Value::Null,
            });
        }
        Ok(match value {
            Value::Array(items) => {
                items.into_iter().map(|item| self.follow(item, hops)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Value::Object(members) => {
                let followed = members
                    .into_iter()
                    .map(|(key, member)| Ok((data_key(&key).to_owned(), self.follow(member, hops)?)));
                Value::Object(followed.collect::<Result<_, E>>()?)
            }
            value => value,
        })
    }

    fn spend(&mut self, hops: usize) -> bool {
        self.links += 1;
        self.links <= MAX_LINKS && hops < MAX_HOPS && self.bytes > 0
    }
}

/// About how many bytes of memory a value takes.
fn weight(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(key, member)| key.len() + weight(member)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    fn link(cell: &str, path: &[&str]) -> Value {
        json!({"/": {"link@1": {"id": format!("of:{cell}"), "path": path}}})
    }

    /// A document of the stored form that a test spells out.
    fn stored(node: Option<&Value>) -> Option<Document> {
        node.map(|node| Document::parse(&node.to_string()).unwrap())
    }

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn links_are_followed_and_no_secret_is_found_behind_one() {
        let cells = json!({
            "mails": [{"subject": "one"}, {"subject": "two"}],
            "latest": link("mails", &["1"]),
            "box": {"inner": {"latest": link("latest", &[]), "list": link("mails", &[])}},
            "auth": {"token": "t0ken", "user": "ann", "list": link("mails", &[])},
            "leak": link("auth", &["token"]),
            "whole": {"auth": link("auth", &[])},
            "through": link("auth", &["list"]),
            "a": link("b", &[]),
            "b": {"a": link("a", &[])},
            "nowhere": [link("gone", &[]), link("mails", &["7"])],
            "data": [{"//": {"link@1": {"id": "of:auth", "path": ["token"]}}}, {"//": 1, "///": 2}],
        });
        let secrets = SecretPaths::new(vec![path("auth.token")]);
        let cell = |name: &str| Ok::<_, Infallible>(stored(cells.get(name)));
        let lookup = |text: &str| Reader::new(&secrets, &cell).lookup(&path(text)).unwrap();
        for (text, expected) in [
            ("latest.subject", Lookup::Value(json!("two"))),
            ("latest", Lookup::Value(json!({"subject": "two"}))),
            ("box", Lookup::Value(json!({"inner": {"latest": {"subject": "two"}, "list": cells["mails"]}}))),
            ("box.inner.latest.subject", Lookup::Value(json!("two"))),
            ("box.inner.list.0.subject", Lookup::Value(json!("one"))),
            ("leak", Lookup::Secret),
            ("whole.auth.token", Lookup::Secret),
            ("whole.auth.user", Lookup::Value(json!("ann"))),
            ("whole", Lookup::Value(json!({"auth": {"user": "ann", "list": cells["mails"]}}))),
            ("through.1.subject", Lookup::Value(json!("two"))),
            ("nowhere", Lookup::Value(json!([null, null]))),
            ("data", Lookup::Value(json!([link("auth", &["token"]), {"/": 1, "//": 2}]))),
            ("data.0./.link@1.id", Lookup::Value(json!("of:auth"))),
            ("data.1./", Lookup::Value(json!(1))),
            ("latest.missing", Lookup::Absent),
            ("missing", Lookup::Absent),
        ] {
            assert_eq!(lookup(text), expected, "{text}");
        }
        // A circle ends.
        assert!(matches!(lookup("a"), Lookup::Value(_)));
        assert_eq!(lookup(&["a"; 40].join(".")), Lookup::Absent);
    }

    #[test]
    fn an_answer_does_not_grow_without_end() {
        // Each leads to the next twice: 2^12 answers, if nobody counted.
        let mut cells = serde_json::Map::new();
        for level in 0..12 {
            let next = format!("c{}", level + 1);
            cells.insert(format!("c{level}"), json!([link(&next, &[]), link(&next, &[])]));
        }
        cells.insert("c12".into(), json!("x"));
        let secrets = SecretPaths::new(Vec::new());
        let cell = |name: &str| Ok::<_, Infallible>(stored(cells.get(name)));
        let Lookup::Value(value) = Reader::new(&secrets, &cell).lookup(&path("c0")).unwrap() else { panic!("a value") };
        assert!(value.to_string().matches('x').count() <= MAX_LINKS);
    }

    #[test]
    fn many_links_to_one_large_cell_make_no_answer_of_all_their_sizes() {
        let large = json!(["x".repeat(1 << 20), 1]);
        let links = vec![link("large", &[]); 300];
        let cells = json!({"large": large, "list": links});
        let secrets = SecretPaths::new(Vec::new());
        let cell = |name: &str| Ok::<_, Infallible>(stored(cells.get(name)));
        let lookup = |text: &str| Reader::new(&secrets, &cell).lookup(&path(text)).unwrap();
        let Lookup::Value(value) = lookup("list") else { panic!("a value") };
        let items = value.as_array().unwrap();
        assert_eq!((items.len(), &items[0], &items[299]), (300, &large, &Value::Null));
        assert!(weight(&value) <= MAX_BYTES + weight(&large) + 300 * weight(&Value::Null));
        // Each answer has its own.
        assert_eq!(lookup("list.299"), Lookup::Value(large.clone()));
    }
}
