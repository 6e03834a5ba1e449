//! Documents, and how they are asked for.

use std::sync::Arc;

use crate::decode::{DecodeError, decode_json};
use crate::id::EntityId;
use crate::value::Value;
use crate::wire::Snapshot;

/// What to read: a document, with or without those that its links lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    id: EntityId,
    schema: Value,
}

impl Root {
    /// One document, without those behind its links.
    pub fn only(id: EntityId) -> Self {
        Self { id, schema: false.into() }
    }

    /// One document and all those behind its links, and their links.
    pub fn with_links(id: EntityId) -> Self {
        Self { id, schema: true.into() }
    }

    /// One document and those behind the links at places that a schema describes.
    pub fn by_schema(id: EntityId, schema: Value) -> Self {
        Self { id, schema }
    }

    pub(crate) fn to_value(&self) -> Value {
        let selector = Value::object([("path", Value::List(Vec::new())), ("schema", self.schema.clone())]);
        Value::object([("id", Value::from(&self.id)), ("scope", "space".into()), ("selector", selector)])
    }
}

/// A document at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub id: EntityId,
    /// The number of the commit that it is from. It is what a compare-and-swap compares.
    pub seq: u64,
    /// What it contains.
    pub content: Content,
}

/// What a document contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The whole document: its `value` and what is beside it.
    Present(Arc<Value>),
    /// It does not exist, or was deleted.
    Absent,
    /// It has something that this client does not read.
    Unreadable(DecodeError),
    /// It is no longer among the watched ones.
    Unwatched,
}

impl Document {
    /// The document, if it exists and can be read.
    pub fn document(&self) -> Option<&Value> {
        match &self.content {
            Content::Present(document) => Some(document),
            Content::Absent | Content::Unreadable(_) | Content::Unwatched => None,
        }
    }

    /// Its value, which is the part of the document that charms see.
    pub fn value(&self) -> Option<&Value> {
        self.document()?.get("value")
    }

    /// Of a message. Documents that belong to a user or a session are none of ours.
    pub(crate) fn of(snapshot: &Snapshot<'_>) -> Option<Self> {
        let id = space_id(&snapshot.id, snapshot.scope.as_deref())?;
        let content = match snapshot.doc.map(|json| decode_json(json.get())) {
            None => Content::Absent,
            Some(Ok(document)) => Content::Present(Arc::new(document)),
            Some(Err(error)) => Content::Unreadable(error),
        };
        Some(Self { id, seq: snapshot.seq, content })
    }
}

/// The name of a document that belongs to the space.
pub(crate) fn space_id(id: &str, scope: Option<&str>) -> Option<EntityId> {
    if scope.is_some_and(|scope| scope != "space") { None } else { EntityId::new(id).ok() }
}
