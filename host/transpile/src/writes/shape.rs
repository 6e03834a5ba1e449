//! What is known of a value.

use std::rc::Rc;

use oxc::span::Span;
use serde_json::Value;

use super::budget::Budget;
use super::kind::Kind;
use super::schemas::{at_key, kinds};
use crate::captures;

/// How many alternatives a value may have before nothing is known of it: names stand for copies of what is known.
const MAX_PARTS: usize = 16;

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Unknown,
    /// One that has no parts, which may be known, as may the method that returned it.
    Is {
        kind: Kind,
        value: Option<Rc<Value>>,
        by: Option<&'static str>,
    },
    /// An array, with the first of its items.
    Array(Vec<(Span, Shape)>),
    /// An object, with some of its parts.
    Object(Vec<(String, Span, Shape)>),
    /// One of these.
    Either(Vec<(Span, Shape)>),
    /// One of a type.
    Of(Rc<Value>),
    /// A cell of values of a type.
    Cell(Rc<Value>),
}

impl Shape {
    pub(super) fn is(kind: Kind) -> Self {
        match kind {
            Kind::Array => Self::Array(Vec::new()),
            Kind::Object => Self::Object(Vec::new()),
            kind => Self::Is { kind, value: None, by: None },
        }
    }

    pub(super) fn exactly(value: Value) -> Self {
        Self::Is { kind: Kind::of(&value), value: Some(Rc::new(value)), by: None }
    }

    /// One of these, as far as they are known: no two are the same, and none is one of several itself.
    pub(super) fn either(parts: impl IntoIterator<Item = (Span, Self)>) -> Self {
        let mut flat: Vec<(Span, Self)> = Vec::new();
        for (at, part) in parts {
            let parts = match part {
                Self::Unknown => continue,
                Self::Either(parts) => parts,
                part => vec![(at, part)],
            };
            for (at, part) in parts {
                if flat.iter().any(|(_, other)| *other == part) {
                    continue;
                }
                if flat.len() == MAX_PARTS {
                    return Self::Unknown;
                }
                flat.push((at, part));
            }
        }
        if flat.is_empty() { Self::Unknown } else { Self::Either(flat) }
    }

    /// What a method returned.
    pub(super) fn by(self, method: &'static str) -> Self {
        match self {
            Self::Is { kind, value, .. } => Self::Is { kind, value, by: Some(method) },
            other => other,
        }
    }

    /// What has a type of that schema.
    pub(super) fn of(schema: Rc<Value>) -> Self {
        match schema.as_object() {
            Some(object) if object.contains_key("asCell") => {
                let mut object = object.clone();
                object.remove("asCell");
                Self::Cell(Rc::new(object.into()))
            }
            Some(_) => Self::Of(schema),
            None => Self::Unknown,
        }
    }

    /// What stays known when it has a name: the parts of an object may change.
    pub(super) fn kept(&self) -> Self {
        match self {
            Self::Array(_) => Self::is(Kind::Array),
            Self::Object(_) => Self::is(Kind::Object),
            Self::Either(parts) => Self::either(parts.iter().map(|(at, part)| (*at, part.kept()))),
            other => other.clone(),
        }
    }

    /// What is at a key of it.
    pub(super) fn part(&self, key: &str, budget: &Budget) -> Self {
        match self {
            Self::Of(schema) => Self::of(at_key(schema, key, budget)),
            Self::Cell(schema) if !captures::is_method(key) => match Self::of(at_key(schema, key, budget)) {
                Self::Of(part) | Self::Cell(part) => Self::Cell(part),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// The one kind that it has, as far as it has parts or methods: what may be null is used only where it is not.
    pub(super) fn kind(&self, budget: &Budget) -> Option<Kind> {
        match self {
            Self::Is { kind, .. } => Some(*kind),
            Self::Array(_) => Some(Kind::Array),
            Self::Object(_) => Some(Kind::Object),
            Self::Of(schema) => {
                let mut kinds = kinds(schema, budget)?;
                kinds.retain(|kind| *kind != Kind::Null);
                if let [only] = kinds[..] { Some(only) } else { None }
            }
            Self::Unknown | Self::Either(_) | Self::Cell(_) => None,
        }
    }
}
