//! A charm, read from the documents that it consists of.

use std::collections::BTreeMap;

use bg_identity::CharmId;

use crate::document::{Document, Root};
use crate::error::Error;
use crate::id::{EntityId, StreamId};
use crate::link::Link;
use crate::session::Session;
use crate::value::Value;

/// One charm: what its result names, read when it is asked for.
#[derive(Debug)]
pub struct CharmView<'a> {
    session: &'a Session,
    document: Document,
}

/// What a charm has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A stream, which takes events.
    Stream(StreamId),
    /// A value, with what its links lead to in their places.
    Value(Value),
}

/// The most that one value may be: its values, and the bytes of its texts. Few documents can be linked to each other so
/// that the whole would be larger than any memory.
const MAX_SIZE: usize = 8 << 20;
/// The deepest that a value may nest, over its links. Links may lead in a circle.
const MAX_DEPTH: usize = 200;
/// The most links that are followed to get to one value.
const MAX_HOPS: usize = 32;

impl<'a> CharmView<'a> {
    /// Opens a charm; nothing if there is none.
    pub async fn open(session: &'a Session, charm: &CharmId) -> Result<Option<Self>, Error> {
        let id = Self::document(charm)?;
        let documents = session.query([Root::only(id.clone())]).await?;
        let found = documents.into_iter().find(|document| document.id == id && document.value().is_some());
        Ok(found.map(|document| Self { session, document }))
    }

    /// The document of a charm's result.
    pub fn document(charm: &CharmId) -> Result<EntityId, Error> {
        EntityId::new(&format!("of:{charm}")).map_err(|error| Error::malformed("the name of a charm", error))
    }

    /// The names of its streams and values. What starts with `$` is the original's own.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = self.document.value().and_then(Value::as_object);
        entries.into_iter().flat_map(BTreeMap::keys).map(String::as_str).filter(|key| !key.starts_with('$'))
    }

    /// What is under a name.
    ///
    /// Links to other spaces, to nothing and in circles are [`Value::Undefined`].
    pub async fn key(&self, key: &str) -> Result<Option<Key>, Error> {
        let Some(value) = self.document.value().and_then(|value| value.get(key)) else { return Ok(None) };
        // Only what this name leads to is read: a charm's other names may lead to all there is.
        let schema = Value::object([("type", "object".into()), ("properties", Value::object([(key, true.into())]))]);
        let documents = self.session.query([Root::by_schema(self.document.id.clone(), schema)]).await?;
        let documents = documents.into_iter().map(|document| (document.id.clone(), document)).collect();
        let graph = Graph { documents };
        let here = Place { id: self.document.id.clone(), path: vec![key.to_owned()] };
        let Some((place, found)) = graph.follow(here, value) else { return Ok(Some(Key::Value(Value::Undefined))) };
        if found.get("$stream") == Some(&true.into()) {
            return Ok(Some(Key::Stream(StreamId { id: place.id, path: place.path, scope: "space".to_owned() })));
        }
        let mut left = MAX_SIZE;
        let whole = graph.whole(&place, found, &mut left, 0);
        let whole =
            whole.ok_or_else(|| Error::TooLarge(format!("documents whose links make a value above {MAX_SIZE}")))?;
        Ok(Some(Key::Value(whole)))
    }
}

/// A place in the value of a document.
#[derive(Clone)]
struct Place {
    id: EntityId,
    path: Vec<String>,
}

/// The documents that a name leads to.
struct Graph {
    documents: BTreeMap<EntityId, Document>,
}

impl Graph {
    /// Where a value is, if it is a link, and what is there.
    fn follow<'v>(&'v self, mut place: Place, mut value: &'v Value) -> Option<(Place, &'v Value)> {
        let mut hops = 0;
        while let Some(link) = Link::of(value) {
            hops += 1;
            if hops > MAX_HOPS || link.space.is_some() || link.scope.is_some_and(|scope| scope != "space") {
                return None;
            }
            (place, value) = self.at(link.id.unwrap_or(place.id), link.path, &mut hops)?;
        }
        Some((place, value))
    }

    /// What is at a place, over the links on the way.
    fn at(&self, mut id: EntityId, mut path: Vec<String>, hops: &mut usize) -> Option<(Place, &Value)> {
        'document: loop {
            let mut value = self.documents.get(&id)?.value()?;
            for (place, key) in path.iter().enumerate() {
                if let Some(link) = Link::of(value) {
                    *hops += 1;
                    if *hops > MAX_HOPS || link.space.is_some() {
                        return None;
                    }
                    let rest = path[place..].to_vec();
                    id = link.id.unwrap_or(id);
                    path = link.path.into_iter().chain(rest).collect();
                    continue 'document;
                }
                value = value.at([key.as_str()])?;
            }
            return Some((Place { id, path }, value));
        }
    }

    /// A value with what its links lead to in their places; nothing if it is too large.
    fn whole(&self, place: &Place, value: &Value, left: &mut usize, depth: usize) -> Option<Value> {
        *left = left.checked_sub(size(value))?;
        if depth > MAX_DEPTH {
            return Some(Value::Undefined);
        }
        if Link::of(value).is_some() {
            return match self.follow(place.clone(), value) {
                Some((place, value)) => self.whole(&place, value, left, depth + 1),
                None => Some(Value::Undefined),
            };
        }
        Some(match value {
            Value::List(elements) => {
                let elements = elements.iter().map(|element| self.whole(place, element, left, depth + 1));
                Value::List(elements.collect::<Option<_>>()?)
            }
            Value::Object(entries) => {
                let entries =
                    entries.iter().map(|(key, value)| Some((key.clone(), self.whole(place, value, left, depth + 1)?)));
                Value::Object(entries.collect::<Option<_>>()?)
            }
            simple => simple.clone(),
        })
    }
}

/// What a value takes by itself, without what is in it.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Object(entries) => entries.keys().map(String::len).sum(),
        // Of unknown types, only the state is unknown.
        Value::Tagged(tagged) => crate::encode(tagged.state()).len(),
        _ => 0,
    }
}
