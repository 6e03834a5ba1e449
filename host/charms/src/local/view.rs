//! A charm as integrations see it: without its secrets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bg_poller::{Charm, CharmRef, Lookup, RuntimeError};
use serde_json::{Value, json};

use super::access;
use crate::api::Shape;
use crate::links::Reader;
use crate::store::{Cells, Database, Failure, Sealer, StoredCharm};
use crate::{AccessLevel, Actor, CharmSummary};

/// How long what was read of a charm counts, if nothing was written here since. Another process may write meanwhile: then it is
/// as if the questions of a poll, which take a few milliseconds in all, had been asked a moment earlier.
const FRESH: Duration = Duration::from_secs(1);

/// Sees the charm as it was when it was opened or later, with the access that its opener then has.
pub(super) struct LocalCharm {
    database: Arc<Database>,
    sealer: Arc<Sealer>,
    actor: Actor,
    charm: CharmRef,
    seen: Mutex<Option<Seen>>,
}

/// What was read in one go, since a poll asks several questions.
#[derive(Clone)]
struct Seen {
    at: Instant,
    /// Of [`Database::writes`], before it was read.
    writes: u64,
    charm: Arc<StoredCharm>,
    /// All of them, unless they are too large for that, or damaged: that is told when one is asked for.
    cells: Option<Arc<BTreeMap<String, String>>>,
}

impl LocalCharm {
    pub(super) fn new(database: Arc<Database>, sealer: Arc<Sealer>, actor: Actor, charm: CharmRef) -> Self {
        Self { database, sealer, actor, charm, seen: Mutex::default() }
    }

    /// Reads what most questions are about.
    pub(super) async fn look(&self) -> Result<(), RuntimeError> {
        self.seen().await.map(drop)
    }

    async fn seen(&self) -> Result<Seen, RuntimeError> {
        let writes = self.database.writes();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(seen) = seen.filter(|seen| seen.writes == writes && seen.at.elapsed() < FRESH) {
            return Ok(seen);
        }
        let at = Instant::now();
        let read = self.read(|charm, cells| Ok((charm.clone(), cells.texts().ok().flatten())));
        let (charm, cells) = read.await?;
        let seen = Seen { at, writes, charm: Arc::new(charm), cells: cells.map(Arc::new) };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
        Ok(seen)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StoredCharm, &Cells<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let (sealer, actor, charm) = (Arc::clone(&self.sealer), self.actor.clone(), self.charm.clone());
        let read = self.database.read(move |tx| {
            let stored = access::charm(tx, &actor, &charm, AccessLevel::Read)?;
            work(&stored, &Cells::of(tx, &sealer, &stored))
        });
        read.await
    }

    /// What the charm is made of.
    pub(super) async fn shape(&self) -> Result<Shape, RuntimeError> {
        let seen = self.seen().await?;
        let mut keys = match &seen.cells {
            Some(cells) => cells.keys().cloned().collect(),
            None => self.read(|_, cells| cells.names()).await?,
        };
        let CharmSummary { name, streams, .. } = &seen.charm.summary;
        keys.extend(streams.iter().cloned());
        keys.sort();
        keys.dedup();
        Ok(Shape { name: name.clone(), keys, streams: streams.clone() })
    }
}

#[async_trait]
impl Charm for LocalCharm {
    fn charm_ref(&self) -> &CharmRef {
        &self.charm
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        Ok(self.shape().await?.keys)
    }

    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError> {
        Ok(self.seen().await?.charm.has_stream(name))
    }

    async fn get(&self, path: &[String]) -> Result<Lookup, RuntimeError> {
        let Some(name) = path.first() else { return Ok(Lookup::Absent) };
        let Seen { charm, cells, .. } = self.seen().await?;
        if charm.has_stream(name) {
            return Ok(stream(&path[1..]));
        }
        let Some(cells) = cells else {
            let path = path.to_vec();
            let read =
                self.read(move |charm, cells| Reader::new(&charm.secrets, &|name| cells.value(name)).lookup(&path));
            return read.await;
        };
        let value = |name: &str| cells.get(name).map(|text| Cells::parsed(&self.charm, name, text)).transpose();
        Reader::new(&charm.secrets, &value).lookup(path).map_err(|failure| self.database.failed(failure))
    }
}

/// What Common Tools keeps where a stream is.
fn stream(path: &[String]) -> Lookup {
    match path {
        [] => Lookup::Value(json!({"$stream": true})),
        [key] if key == "$stream" => Lookup::Value(Value::Bool(true)),
        _ => Lookup::Absent,
    }
}
