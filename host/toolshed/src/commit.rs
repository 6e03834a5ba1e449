//! What is written at once.

use crate::encode::encode;
use crate::hash::Hash;
use crate::id::{EntityId, StreamId};
use crate::value::Value;

/// Changes that are made together, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    operations: Vec<Value>,
    reads: Vec<Value>,
    preconditions: Vec<Value>,
    events: Vec<Value>,
    /// What is known of documents after it, since the server does not send it back.
    outcomes: Vec<(EntityId, Option<Value>)>,
}

/// A change of a part of a document. A path leads from the document, so that of its value starts with `value`.
#[derive(Clone, Debug)]
pub enum Patch {
    /// Puts a value where one is.
    Replace(Vec<String>, Value),
    /// Puts a value where none is, or inserts it into a list.
    Add(Vec<String>, Value),
    /// Removes a value.
    Remove(Vec<String>),
    /// Appends to a list, and makes the list if there is none. Nothing that others append meanwhile is lost.
    Append(Vec<String>, Vec<Value>),
    /// The same, for values that are not in the list yet.
    AddUnique(Vec<String>, Vec<Value>),
    /// Removes every element that equals this.
    RemoveByValue(Vec<String>, Value),
}

impl Commit {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a document in place of the one that may be there.
    #[must_use]
    pub fn set(mut self, id: &EntityId, document: Value) -> Self {
        self.outcomes.push((id.clone(), Some(document.clone())));
        self.operations.push(operation("set", id, Some(("value", document))));
        self
    }

    /// Changes parts of a document, in this order.
    #[must_use]
    pub fn patch(mut self, id: &EntityId, patches: impl IntoIterator<Item = Patch>) -> Self {
        let patches: Vec<_> = patches.into_iter().map(Patch::into_value).collect();
        self.operations.push(operation("patch", id, Some(("patches", patches.into()))));
        self
    }

    /// Deletes a document.
    #[must_use]
    pub fn delete(mut self, id: &EntityId) -> Self {
        self.outcomes.push((id.clone(), None));
        self.operations.push(operation("delete", id, None));
        self
    }

    /// Makes the commit depend on a document, or a part of it, being as it was read at `seq`: compare-and-swap.
    #[must_use]
    pub fn if_unchanged(mut self, id: &EntityId, path: &[&str], seq: u64) -> Self {
        let path: Vec<Value> = path.iter().map(|key| (*key).into()).collect();
        self.reads.push(Value::object([("id", Value::from(id)), ("path", path.into()), ("seq", seq.into())]));
        self
    }

    /// Makes the commit depend on a document that was never written.
    #[must_use]
    pub fn if_absent(mut self, id: &EntityId) -> Self {
        self.preconditions.push(Value::object([("kind", "entity-absent".into()), ("id", Value::from(id))]));
        self
    }

    /// Makes the commit depend on the value of a document: this one, or none.
    #[must_use]
    pub fn if_value(mut self, id: &EntityId, value: Option<&Value>) -> Self {
        let hash = value.map_or(Value::Null, |value| Hash::of(&encode(value).into()).bare().into());
        let kind = ("kind", "entity-value-hash".into());
        self.preconditions.push(Value::object([kind, ("id", Value::from(id)), ("valueHash", hash)]));
        self
    }

    /// Appends an event to a stream, whose handler the server runs. An event that has the ID of another is refused.
    ///
    /// `order` is the place of this event among those of this client.
    #[must_use]
    pub fn append(mut self, stream: &StreamId, event_id: &str, payload: Value, order: u64) -> Self {
        let events = stream.events();
        let entry = Value::object([
            ("eventId", event_id.into()),
            ("firedAt", Value::object([("clientSeq", order.into())])),
            ("payload", payload),
            ("stream", stream.to_value()),
        ]);
        self.events.push(Value::object([("id", Value::from(&events)), ("eventId", event_id.into())]));
        self.patch(&events, [Patch::Append(path(["value", "entries"]), vec![entry])])
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn has_preconditions(&self) -> bool {
        !self.preconditions.is_empty()
    }

    pub(crate) fn outcomes(&self) -> &[(EntityId, Option<Value>)] {
        &self.outcomes
    }

    /// The commit as it is sent. It must be the same each time it is sent.
    pub(crate) fn to_value(&self, local_seq: u64) -> Value {
        let reads = Value::object([("confirmed", self.reads.clone().into()), ("pending", Value::List(Vec::new()))]);
        let mut entries =
            vec![("localSeq", local_seq.into()), ("operations", self.operations.clone().into()), ("reads", reads)];
        if !self.preconditions.is_empty() {
            entries.push(("preconditions", self.preconditions.clone().into()));
        }
        if !self.events.is_empty() {
            entries.push(("eventAppends", self.events.clone().into()));
        }
        Value::object(entries)
    }
}

/// A path of keys.
pub fn path<const N: usize>(keys: [&str; N]) -> Vec<String> {
    keys.into_iter().map(str::to_owned).collect()
}

fn operation(op: &str, id: &EntityId, more: Option<(&str, Value)>) -> Value {
    Value::object([("op", op.into()), ("id", Value::from(id))].into_iter().chain(more))
}

impl Patch {
    fn into_value(self) -> Value {
        let (op, path, more) = match self {
            Self::Replace(path, value) => ("replace", path, Some(("value", value))),
            Self::Add(path, value) => ("add", path, Some(("value", value))),
            Self::Remove(path) => ("remove", path, None),
            Self::Append(path, values) => ("append", path, Some(("values", values.into()))),
            Self::AddUnique(path, values) => ("add-unique", path, Some(("values", values.into()))),
            Self::RemoveByValue(path, value) => ("remove-by-value", path, Some(("value", value))),
        };
        Value::object([("op", op.into()), ("path", pointer(&path).into())].into_iter().chain(more))
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &[String]) -> String {
    path.iter().flat_map(|key| ["/".to_owned(), key.replace('~', "~0").replace('/', "~1")]).collect()
}
