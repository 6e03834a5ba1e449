//! Names of documents.

use std::fmt;
use std::sync::Arc;

use bg_identity::{Lines, Most, excerpt, first_hidden};

use crate::hash::Hash;
use crate::value::Value;

/// The name of a document in a space: `of:fid1:…` for a cell, `cid:…` for a document named by its content, `of:did:…`
/// for the access list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(Arc<str>);

/// A text that is not the name of a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not the name of a document: it must have 1 to {MAX_LENGTH} visible characters, with a colon")]
pub struct ParseEntityIdError(String);

/// Far above what the original makes.
const MAX_LENGTH: usize = 512;

impl EntityId {
    /// The name of a document, as it comes in links and answers.
    pub fn new(text: &str) -> Result<Self, ParseEntityIdError> {
        let is_name = text.len() <= MAX_LENGTH && text.contains(':') && first_hidden(text).is_none();
        if is_name {
            Ok(Self(text.into()))
        } else {
            Err(ParseEntityIdError(excerpt(text, Lines::Escaped, Most::Chars(60))))
        }
    }

    /// The document that a cell with this cause has.
    pub fn for_cause(cause: Value) -> Self {
        Self(format!("of:{}", Hash::of(&Value::object([("causal", cause)]))).into())
    }

    /// The access list of a space.
    pub fn access_list(space: &str) -> Self {
        Self(format!("of:{space}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&EntityId> for Value {
    fn from(id: &EntityId) -> Self {
        Self::Text(id.0.as_ref().to_owned())
    }
}

/// Where a stream is: a place in a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// The document.
    pub id: EntityId,
    /// The place in its value.
    pub path: Vec<String>,
    /// Whose the document is: `space`, `user` or `session`.
    pub scope: String,
}

impl StreamId {
    /// The document that has the events of this stream.
    pub fn events(&self) -> EntityId {
        EntityId(format!("of:stream-events:{}", Hash::of(&self.to_value()).bare()).into())
    }

    /// The stream as events name it.
    pub fn to_value(&self) -> Value {
        let path = self.path.iter().map(|key| key.as_str().into()).collect::<Vec<Value>>();
        Value::object([("id", Value::from(&self.id)), ("path", path.into()), ("scope", self.scope.as_str().into())])
    }
}
