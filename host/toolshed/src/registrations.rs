//! The list of charms that are polled, as the original keeps it.
//!
//! One document of the system space has a list of links, each to a document about one charm. Anybody who may write there
//! puts in it what they like; so what is not a registration is left out and named.

use std::collections::BTreeMap;

use bg_identity::{CharmId, IntegrationId, Lines, Most, SpaceDid, excerpt};

use crate::commit::{Commit, Patch, path};
use crate::document::{Content, Document, Root};
use crate::id::EntityId;
use crate::link::Link;
use crate::value::Value;

/// What the original derives the name of the list from.
const CAUSE: &str = "bgUpdater-2025-03-18";

/// The registrations of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registrations {
    /// Those that can be read, in the order of the list.
    pub entries: Vec<Entry>,
    /// What else is in the list.
    pub skipped: Vec<Skipped>,
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its document.
    pub document: EntityId,
    /// The commit that its document is from.
    pub seq: u64,
    /// The space of the charm.
    pub space: SpaceDid,
    /// The charm.
    pub charm: CharmId,
    /// For which integration.
    pub integration: IntegrationId,
    /// When it was registered, in milliseconds since 1970.
    pub created_at: u64,
    /// When it was last changed by somebody.
    pub updated_at: u64,
    /// Since when it is disabled, if it is.
    pub disabled_at: Option<u64>,
    /// When it was last polled; 0 if never.
    pub last_run: u64,
    /// How that ended, for people.
    pub status: String,
}

/// An element of the list that is no registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its document, if it is a link to one.
    pub document: Option<EntityId>,
    /// Why it is left out.
    pub why: Why,
}

/// Why an element of the list is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is not a link to a document of the system space.
    #[error("it is not a link to a registration")]
    NoLink,
    /// It leads to nothing, or to what was not sent.
    #[error("its document does not exist")]
    NoDocument,
    /// Its document cannot be read.
    #[error("its document cannot be read: {0}")]
    Unreadable(String),
    /// A field is absent, or is not what it must be.
    #[error("its {field} is not one: {problem}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// It leads to the same document as another. After a restart, the original gives out names of documents again, and a
    /// new registration overwrites an old one: a charm is lost.
    #[error("it shares its document with another registration, which has overwritten it")]
    Overwritten,
    /// Another registration is for the same charm.
    #[error("the charm has another registration, which is newer")]
    Again,
}

impl Registrations {
    /// The document that has the list.
    pub fn list() -> EntityId {
        EntityId::for_cause(CAUSE.into())
    }

    /// What to read or watch: the list and the documents of its elements, but nothing that those lead to.
    pub fn root() -> Root {
        let text = || Value::object([("type", "string".into())]);
        let names = ["space", "pieceId", "integration", "status"].map(|name| (name, text()));
        let numbers = ["createdAt", "updatedAt", "disabledAt", "lastRun"];
        let numbers = numbers.map(|name| (name, Value::object([("type", "number".into())])));
        let fields = Value::object(names.into_iter().chain(numbers));
        let items = Value::object([("type", "object".into()), ("properties", fields)]);
        Root::by_schema(Self::list(), Value::object([("type", "array".into()), ("items", items)]))
    }

    /// Reads the list, with its documents from a session.
    pub fn read(get: impl Fn(&EntityId) -> Option<Document>) -> Self {
        let list = get(&Self::list());
        let elements = list.as_ref().and_then(Document::value).and_then(Value::as_list).unwrap_or_default();
        let mut times: BTreeMap<EntityId, usize> = BTreeMap::new();
        let mut found = Self::default();
        for element in elements {
            let id = Link::of(element).filter(|link| link.path.is_empty()).and_then(|link| link.id);
            let Some(id) = id else {
                found.skipped.push(Skipped { document: None, why: Why::NoLink });
                continue;
            };
            let seen = times.entry(id.clone()).or_default();
            *seen += 1;
            if *seen > 1 {
                found.skipped.push(Skipped { document: Some(id), why: Why::Overwritten });
                continue;
            }
            match Entry::read(&id, get(&id)) {
                Ok(entry) => found.entries.push(entry),
                Err(why) => found.skipped.push(Skipped { document: Some(id), why }),
            }
        }
        found.without_repetitions()
    }

    /// Of several registrations of one charm, the newest.
    fn without_repetitions(mut self) -> Self {
        let mut newest: BTreeMap<_, (u64, EntityId)> = BTreeMap::new();
        for entry in &self.entries {
            let this = (entry.updated_at, entry.document.clone());
            let best = newest.entry((entry.space.clone(), entry.charm.clone())).or_insert_with(|| this.clone());
            if this > *best {
                *best = this;
            }
        }
        let is_newest = |entry: &Entry| {
            newest
                .get(&(entry.space.clone(), entry.charm.clone()))
                .is_some_and(|(_, document)| *document == entry.document)
        };
        let (entries, again): (Vec<_>, _) = std::mem::take(&mut self.entries).into_iter().partition(is_newest);
        self.entries = entries;
        let again = again.into_iter().map(|entry| Skipped { document: Some(entry.document), why: Why::Again });
        self.skipped.extend(again);
        self
    }
}

impl Entry {
    /// The document of a registration that this program makes: always the same for a charm, so that it is made once, and
    /// none that the original makes has its name.
    pub fn own_document(space: &SpaceDid, charm: &CharmId) -> EntityId {
        EntityId::for_cause(Value::object([
            ("bg-wasm-host", "registration".into()),
            ("pieceId", charm.as_str().into()),
            ("space", space.as_str().into()),
        ]))
    }

    /// Registers a charm that has no registration. Fails as a precondition if it has, or had, one by this program.
    pub fn register(space: &SpaceDid, charm: &CharmId, integration: &IntegrationId, now: u64) -> Commit {
        let document = Self::own_document(space, charm);
        let value = Value::object([
            ("space", space.as_str().into()),
            ("pieceId", charm.as_str().into()),
            ("integration", integration.as_str().into()),
            ("createdAt", now.into()),
            ("updatedAt", now.into()),
            ("disabledAt", 0.into()),
            ("lastRun", 0.into()),
            ("status", "Initializing".into()),
        ]);
        let list = Patch::AddUnique(path(["value"]), vec![Link::to(document.clone()).to_value()]);
        Commit::new()
            .set(&document, Value::object([("value", value)]))
            .patch(&Registrations::list(), [list])
            .if_absent(&document)
    }

    /// Disables (since a time) or enables a registration, with a status for people.
    pub fn set_disabled(&self, since: Option<u64>, status: &str, now: u64) -> Commit {
        let fields = [("disabledAt", since.unwrap_or(0).into()), ("status", status.into()), ("updatedAt", now.into())];
        self.change(fields)
    }

    /// Notes how a poll ended.
    pub fn record(&self, last_run: u64, status: &str) -> Commit {
        self.change([("lastRun", last_run.into()), ("status", status.into())])
    }

    /// Single fields, so that nothing else that others note in the document is lost; and only if the document is still
    /// that of this charm, since the original may have given its name to another.
    fn change<const N: usize>(&self, fields: [(&str, Value); N]) -> Commit {
        let patches = fields.map(|(name, value)| Patch::Add(path(["value", name]), value));
        let commit = Commit::new().patch(&self.document, patches);
        ["space", "pieceId"]
            .iter()
            .fold(commit, |commit, name| commit.if_unchanged(&self.document, &["value", name], self.seq))
    }

    fn read(id: &EntityId, document: Option<Document>) -> Result<Self, Why> {
        let document = document.ok_or(Why::NoDocument)?;
        if let Content::Unreadable(error) = &document.content {
            return Err(Why::Unreadable(error.to_string()));
        }
        let value = document.value().ok_or(Why::NoDocument)?;
        let text = |field: &'static str| {
            let problem = || Why::Field { field, problem: "it is not a text".to_owned() };
            value.get(field).and_then(Value::as_str).ok_or_else(problem)
        };
        let wrong = |field: &'static str| move |problem: String| Why::Field { field, problem };
        Ok(Self {
            document: id.clone(),
            seq: document.seq,
            space: text("space")?
                .parse()
                .map_err(|error: bg_identity::ParseDidError| error.to_string())
                .map_err(wrong("space"))?,
            charm: text("pieceId")?
                .parse()
                .map_err(|error: bg_identity::ParseCharmIdError| error.to_string())
                .map_err(wrong("pieceId"))?,
            integration: text("integration")?
                .parse()
                .map_err(|error: bg_identity::ParseIntegrationIdError| error.to_string())
                .map_err(wrong("integration"))?,
            created_at: time(value, "createdAt"),
            updated_at: time(value, "updatedAt"),
            disabled_at: Some(time(value, "disabledAt")).filter(|since| *since > 0),
            last_run: time(value, "lastRun"),
            status: excerpt(text("status").unwrap_or_default(), Lines::Escaped, Most::Chars(500)),
        })
    }
}

/// A time, which is 0 if it is absent, encoded as absent, or nonsense.
fn time(value: &Value, field: &str) -> u64 {
    let number = value.get(field).and_then(Value::as_f64).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
    let time = number as u64;
    // Beyond what a date of JavaScript can be, it is no time.
    if time > 8_640_000_000_000_000 { 0 } else { time }
}
