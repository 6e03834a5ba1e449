//! Links between documents.

use crate::id::EntityId;
use crate::value::Value;

/// A link to a place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The document; without one, the document that the link is in.
    pub id: Option<EntityId>,
    /// The place in the value of the document.
    pub path: Vec<String>,
    /// The space of the document; without one, the space of the link.
    pub space: Option<String>,
    /// Whose the document is: `space` (also without one), `user` or `session`.
    pub scope: Option<String>,
    /// What is known of the value.
    pub schema: Option<Value>,
}

/// The key under which a link has its fields.
const LINK: &str = "link@1";

impl Link {
    /// A link to the whole value of a document.
    pub fn to(id: EntityId) -> Self {
        Self { id: Some(id), path: Vec::new(), space: None, scope: None, schema: None }
    }

    /// The link that a value is; nothing if it is none, or a malformed one.
    pub fn of(value: &Value) -> Option<Self> {
        let envelope = value.as_object().filter(|entries| entries.len() == 1)?.get("/")?;
        let fields = envelope.as_object().filter(|entries| entries.len() == 1)?.get(LINK)?.as_object()?;
        let text = |name| match fields.get(name) {
            None | Some(Value::Undefined) => Some(None),
            Some(value) => value.as_str().map(|text| Some(text.to_owned())),
        };
        let path = match fields.get("path") {
            None | Some(Value::Undefined) => Vec::new(),
            Some(path) => path.as_list()?.iter().map(key).collect::<Option<_>>()?,
        };
        Some(Self {
            id: text("id")?.map(|id| EntityId::new(&id)).transpose().ok()?,
            path,
            space: text("space")?,
            scope: text("scope")?,
            schema: fields.get("schema").cloned(),
        })
    }

    /// The link as a value.
    pub fn to_value(&self) -> Value {
        let path = self.path.iter().map(|key| key.as_str().into()).collect::<Vec<Value>>();
        let optional = [
            ("id", self.id.as_ref().map(Value::from)),
            ("space", self.space.as_deref().map(Value::from)),
            ("scope", self.scope.as_deref().map(Value::from)),
            ("schema", self.schema.clone()),
        ];
        let fields = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Value::object([("/", Value::object([(LINK, Value::object(fields.chain([("path", path.into())])))]))])
    }
}

/// A key of a path, which an older writer may have put as a number.
fn key(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) if number.fract() == 0.0 && (0.0..4e9).contains(number) => Some(number.to_string()),
        _ => None,
    }
}
