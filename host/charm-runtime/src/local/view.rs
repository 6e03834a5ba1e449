//! A charm as integrations see it: without its secrets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bg_charm_api::wire::Shape;
use bg_charm_api::{AccessLevel, Actor, CharmSummary};
use bg_poller::{Charm, CharmRef, Lookup, RuntimeError, TokenLife};
use bg_sandbox::Program;
use serde_json::{Value, json};

use super::access;
use super::programs::Programs;
use crate::links::Reader;
use crate::store::{Cells, Database, Failure, Sealer, StoredCharm};

/// How long what was read of a charm counts, if nothing was written here since. Another process may write meanwhile: then it is
/// as if the questions of a poll, which take a few milliseconds in all, had been asked a moment earlier.
const FRESH: Duration = Duration::from_secs(1);

/// Sees the charm as it was when it was opened or later, with the access that its opener then has.
pub(super) struct LocalCharm {
    database: Arc<Database>,
    sealer: Arc<Sealer>,
    programs: Arc<Programs>,
    actor: Actor,
    charm: CharmRef,
    seen: Arc<LastSeen>,
    /// Where polls of the charm find what this one has read, as long as it is there.
    opened: Option<Arc<Opened>>,
}

type LastSeen = Mutex<Option<Seen>>;

/// What was read in one go, since a poll asks several questions, and runs the program then.
#[derive(Clone)]
pub(super) struct Seen {
    at: Instant,
    /// Of [`Database::writes`], before it was read.
    writes: u64,
    pub(super) charm: Arc<StoredCharm>,
    pub(super) program: Arc<Program>,
    /// All of them, unless they are too large for that, or damaged: that is told when one is asked for.
    pub(super) cells: Option<Arc<BTreeMap<String, String>>>,
    /// Who has read it, if that actor may write to the charm, too.
    may_write: Option<Actor>,
}

/// What the charms that are open have read last, for the polls that opened them.
#[derive(Default)]
pub(super) struct Opened(Mutex<HashMap<CharmRef, Weak<LastSeen>>>);

impl Opened {
    /// What was read of a charm that is open, if it still counts and the actor may write there.
    pub(super) fn fresh(&self, database: &Database, charm: &CharmRef, actor: &Actor) -> Option<Seen> {
        let seen = self.lock().get(charm).and_then(Weak::upgrade)?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (seen.may_write.as_ref() == Some(actor) && seen.is_fresh(database.writes(charm))).then_some(seen)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CharmRef, Weak<LastSeen>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn is_fresh(&self, writes: u64) -> bool {
        self.writes == writes && self.at.elapsed() < FRESH
    }
}

impl LocalCharm {
    pub(super) fn new(
        database: Arc<Database>,
        sealer: Arc<Sealer>,
        programs: Arc<Programs>,
        actor: Actor,
        charm: CharmRef,
    ) -> Self {
        Self { database, sealer, programs, actor, charm, seen: Arc::default(), opened: None }
    }

    /// Lets polls of the charm find what this one has read, as long as it is there.
    pub(super) fn open(mut self, opened: &Arc<Opened>) -> Self {
        opened.lock().insert(self.charm.clone(), Arc::downgrade(&self.seen));
        self.opened = Some(opened.clone());
        self
    }

    /// Reads what most questions are about.
    pub(super) async fn look(&self) -> Result<(), RuntimeError> {
        self.seen().await.map(drop)
    }

    async fn seen(&self) -> Result<Seen, RuntimeError> {
        let writes = self.database.writes(&self.charm);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(seen) = seen.filter(|seen| seen.is_fresh(writes)) {
            return Ok(seen);
        }
        let at = Instant::now();
        let (sealer, actor, charm) = (Arc::clone(&self.sealer), self.actor.clone(), self.charm.clone());
        let programs = Arc::clone(&self.programs);
        let read = self.database.read(move |tx| {
            let (stored, acl) = access::charm_and_acl(tx, &actor, &charm, AccessLevel::Read)?;
            let program = programs.of(tx, &stored)?;
            let cells = Cells::of(tx, &sealer, &stored).texts().ok().flatten();
            let may_write = acl.check(&charm.space, &actor, AccessLevel::Write).is_ok().then_some(actor);
            Ok(Seen { at, writes, charm: Arc::new(stored), program, cells: cells.map(Arc::new), may_write })
        });
        let seen = read.await?;
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
        // What is wrong with it is said when it is asked for.
        let expires_at = self.get(&TokenLife::PATH.map(str::to_owned)).await.ok().map(Into::into);
        Ok(Shape { name: name.clone(), keys, streams: streams.clone(), expires_at })
    }
}

impl Drop for LocalCharm {
    fn drop(&mut self) {
        let Some(mut opened) = self.opened.as_ref().map(|opened| opened.lock()) else { return };
        // It may have been opened again since.
        if opened.get(&self.charm).is_some_and(|seen| seen.as_ptr() == Arc::as_ptr(&self.seen)) {
            opened.remove(&self.charm);
        }
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
