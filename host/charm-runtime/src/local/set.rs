//! Setting a value in a cell, by hand.

use bg_charm_api::{Actor, SetRequest};
use bg_identity::printable;
use bg_poller::{CharmRef, RuntimeError};
use bg_store::document::{Document, stored_key, target};
use bg_store::paths::index;
use bg_store::{CellEdit, CellUpdate, EditError, Editor};
use serde_json::{Map, Value};

use super::LocalRuntime;

/// The longest name of a cell, bytes; charms' programs have the same limit.
const NAME_BYTES: usize = 256;

/// Keys in a path. A document may be nested 128 levels deep, and the value itself may be deep.
const PATH_KEYS: usize = 64;

impl LocalRuntime {
    /// Sets a value for the actor, in the charm's turn: a handler of this process is waited for, and one of another
    /// process finds its cells changed and runs again.
    pub(super) async fn set(&self, actor: &Actor, charm: &CharmRef, request: &SetRequest) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(charm).await?;
        let cell = request.path.first().cloned().unwrap_or_default();
        let request = request.clone();
        let edit = CellEdit { cell, edit: Box::new(move |found| edited(found, &request)), update: CellUpdate::Set };
        self.store.edit(actor, charm, edit).await
    }
}

/// The cell with the value in it.
fn edited(found: Editor<'_>, request: &SetRequest) -> Result<Document, EditError> {
    let SetRequest { path, value, create } = request;
    let charm = &found.charm.summary.charm;
    let Some(name) = path.first() else {
        return Err(RuntimeError::Invalid("the path is empty; it begins with the name of a cell".into()).into());
    };
    if path.len() > PATH_KEYS || name.is_empty() || name.len() > NAME_BYTES {
        let text = format!("a path has at most {PATH_KEYS} keys, and the name of a cell 1 to {NAME_BYTES} bytes");
        return Err(RuntimeError::Invalid(text).into());
    }
    let unfit = |text: String| Err(RuntimeError::Unfit(text).into());
    if found.charm.has_stream(name) {
        return unfit(format!(
            "{name} of {charm} is a stream, which has no value; send it an event: \
             bg-wasm-host charm trigger {charm} --stream {name} --event JSON"
        ));
    }
    let before = match found.document {
        // One that is damaged can be set as a whole.
        Err(EditError::Damaged) if path.len() == 1 => Some(Document::default()),
        document => document?,
    };
    if before.is_none() && !create {
        let names = found.names;
        let names = if names.is_empty() { "none".to_owned() } else { printable(&names.join(", ")).into_owned() };
        return unfit(format!("{charm} has no cell {name:?}; its cells: {names}; --create makes a new one"));
    }
    let missing = before.is_none();
    let mut document = before.unwrap_or_default();
    if let Err(problem) = put(document.node_mut(), missing, path, Document::of(value.clone())) {
        return unfit(format!("nothing was set in {charm}: {problem}"));
    }
    if Document::parse(&document.text()).is_err() {
        return unfit(format!("nothing was set in {charm}: {} would be nested deeper than 128 levels", path.join(".")));
    }
    Ok(document)
}

/// Puts a value where `path` leads in the document of the cell that it begins with; `missing` says that this is a new
/// one. Its errors say where and what is wrong, and show no value.
fn put(document: &mut Value, missing: bool, path: &[String], value: Document) -> Result<(), String> {
    let (mut place, mut made) = (document, missing);
    for (depth, key) in path.iter().enumerate().skip(1) {
        if made {
            *place = Value::Object(Map::new());
        }
        made = false;
        let here = || path[..depth].join(".");
        if let Some(way) = target(place) {
            return Err(format!("{} is a link to another cell; set it there, at {}", here(), way.join(".")));
        }
        place = match place {
            Value::Object(members) => {
                let key = stored_key(key);
                made = !members.contains_key(&*key);
                members.entry(key).or_insert(Value::Null)
            }
            Value::Array(items) => {
                let len = items.len();
                match if key == "-" { Some(len) } else { index(key) } {
                    Some(at) if at < len => &mut items[at],
                    Some(at) if at == len => {
                        made = true;
                        items.push(Value::Null);
                        &mut items[at]
                    }
                    _ => {
                        return Err(format!(
                            "{} is an array of {len} items, which has no {key:?}; - or {len} appends an item",
                            here()
                        ));
                    }
                }
            }
            other => return Err(format!("{} is {}, and neither an object nor an array", here(), kind(other))),
        };
    }
    *place = value.into_node();
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put_at(mut document: Value, path: &str, value: Value) -> Result<Value, String> {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        put(&mut document, false, &path, Document::of(value)).map(|()| document)
    }

    #[test]
    fn a_value_is_put_where_its_path_leads_and_what_is_missing_on_the_way_is_made() {
        let cell = json!({"limit": 10, "tags": ["a", "b"], "user": {"email": "e"}});
        let cases = [
            ("c", json!(1), json!(1)),
            ("c.limit", json!(null), json!({"limit": null, "tags": ["a", "b"], "user": {"email": "e"}})),
            ("c.tags.1", json!("x"), json!({"limit": 10, "tags": ["a", "x"], "user": {"email": "e"}})),
            ("c.tags.2", json!("x"), json!({"limit": 10, "tags": ["a", "b", "x"], "user": {"email": "e"}})),
            ("c.tags.-", json!("x"), json!({"limit": 10, "tags": ["a", "b", "x"], "user": {"email": "e"}})),
            ("c.tags.-.k", json!(1), json!({"limit": 10, "tags": ["a", "b", {"k": 1}], "user": {"email": "e"}})),
            ("c.tags", json!({"/": 1}), json!({"limit": 10, "tags": {"//": 1}, "user": {"email": "e"}})),
            (
                "c.user./",
                json!({"link@1": 1}),
                json!({"limit": 10, "tags": ["a", "b"], "user": {"email": "e", "//": {"link@1": 1}}}),
            ),
            ("c.user.a.b", json!(1), json!({"limit": 10, "tags": ["a", "b"], "user": {"email": "e", "a": {"b": 1}}})),
        ];
        for (path, value, expected) in cases {
            assert_eq!(put_at(cell.clone(), path, value), Ok(expected), "{path}");
        }
        let mut new = Value::Null;
        put(&mut new, true, &["c", "a", "0"].map(str::to_owned), Document::of(json!(1))).unwrap();
        assert_eq!(new, json!({"a": {"0": 1}}));
    }

    #[test]
    fn what_leads_nowhere_is_refused_without_a_value_in_the_message() {
        let linked = json!({"/": {"link@1": {"id": "of:auth", "path": ["user"]}}});
        let cell = json!({"token": "tok-SECRET", "tags": ["a"], "nothing": null, "linked": linked});
        let cases = [
            ("c.token.x", "c.token is a text, and neither an object nor an array"),
            ("c.nothing.x", "c.nothing is null"),
            ("c.linked.email", "c.linked is a link to another cell; set it there, at auth.user"),
            ("c.linked./", "c.linked is a link to another cell"),
            ("c.tags.2", "c.tags is an array of 1 items, which has no \"2\"; - or 1 appends an item"),
            ("c.tags.00", "has no \"00\""),
            ("c.tags.a", "has no \"a\""),
            ("c.tags.0.b", "c.tags.0 is a text"),
        ];
        for (path, expected) in cases {
            let error = put_at(cell.clone(), path, json!(1)).unwrap_err();
            assert!(error.contains(expected) && !error.contains("SECRET"), "{path}: {error}");
        }
    }
}
