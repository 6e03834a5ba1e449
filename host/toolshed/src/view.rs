//! The watched documents, as far as is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::document::{Content, Document, space_id};
use crate::error::Error;
use crate::id::EntityId;
use crate::limits::Limits;
use crate::value::Value;
use crate::wire::{self, Snapshot, Sync};

/// Each document once, with the time of its last change. A slow reader misses steps, but never the last one.
#[derive(Default)]
pub(crate) struct View {
    documents: BTreeMap<EntityId, Entry>,
    bytes: usize,
    version: u64,
}

struct Entry {
    document: Document,
    bytes: usize,
    version: u64,
}

impl View {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn get(&self, id: &EntityId) -> Option<Document> {
        self.documents.get(id).map(|entry| entry.document.clone())
    }

    /// What changed after a version.
    pub(crate) fn since(&self, version: u64) -> Vec<Document> {
        let changed = self.documents.values().filter(|entry| entry.version > version);
        changed.map(|entry| entry.document.clone()).collect()
    }

    /// Takes what changed.
    pub(crate) fn apply(&mut self, sync: &Sync<'_>, limits: &Limits) -> Result<(), Error> {
        for snapshot in &sync.upserts {
            self.put_snapshot(snapshot, limits)?;
        }
        for removed in &sync.removes {
            if let Some(id) = space_id(&removed.id, removed.scope.as_deref()) {
                self.forget(&id);
            }
        }
        Ok(())
    }

    /// Takes all that is watched, in place of what was known.
    pub(crate) fn replace(&mut self, sync: &Sync<'_>, limits: &Limits) -> Result<(), Error> {
        let kept: BTreeSet<_> =
            sync.upserts.iter().filter_map(|upsert| space_id(&upsert.id, upsert.scope.as_deref())).collect();
        let gone: Vec<_> = self.documents.keys().filter(|id| !kept.contains(id)).cloned().collect();
        for id in &gone {
            self.forget(id);
        }
        // A server that lost its data counts from the start again.
        for entry in self.documents.values_mut() {
            entry.document.seq = 0;
        }
        self.apply(sync, limits)
    }

    /// Takes what this client wrote itself, which the server does not send back.
    pub(crate) fn wrote(&mut self, id: &EntityId, document: Option<&Value>, seq: u64) {
        let Some(entry) = self.documents.get(id) else { return };
        if entry.document.content == Content::Unwatched || entry.document.seq > seq {
            return;
        }
        let content = document.map_or(Content::Absent, |document| Content::Present(Arc::new(document.clone())));
        let bytes = entry.bytes;
        self.put(Document { id: id.clone(), seq, content }, bytes);
    }

    fn put_snapshot(&mut self, snapshot: &Snapshot<'_>, limits: &Limits) -> Result<(), Error> {
        let Some(document) = Document::of(snapshot) else { return Ok(()) };
        if self.documents.get(&document.id).is_some_and(|entry| entry.document.seq > document.seq) {
            return Ok(());
        }
        self.put(document, snapshot.doc.map_or(0, |json| json.get().len()));
        if self.documents.len() > limits.documents {
            return Err(Error::TooLarge(format!("more documents than the limit of {}", limits.documents)));
        }
        if self.bytes > limits.document_bytes {
            return Err(Error::TooLarge(format!(
                "documents of more bytes than the limit of {}",
                limits.document_bytes
            )));
        }
        Ok(())
    }

    fn put(&mut self, document: Document, bytes: usize) {
        let before = self.documents.get(&document.id);
        self.bytes = self.bytes - before.map_or(0, |entry| entry.bytes) + bytes;
        let version = match before {
            Some(entry) if entry.document.content == document.content => entry.version,
            _ => {
                self.version += 1;
                self.version
            }
        };
        self.documents.insert(document.id.clone(), Entry { document, bytes, version });
    }

    fn forget(&mut self, id: &EntityId) {
        if self.documents.contains_key(id) {
            self.put(Document { id: id.clone(), seq: 0, content: Content::Unwatched }, 0);
        }
    }
}

/// The documents that a message brings, as a session takes them: for tests of any messages at all.
#[doc(hidden)]
pub fn documents_in(message: &str, limits: &Limits) -> Result<Vec<Document>, Error> {
    let mut view = View::default();
    if let Some(effect) = wire::message(message)?.effect {
        view.apply(&effect, limits)?;
    }
    Ok(view.since(0))
}
