//! A charm as integrations see it: without its secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bg_charm_api::wire::Shape;
use bg_charm_api::{AccessLevel, Actor, CharmSummary};
use bg_poller::{Charm, CharmRef, Lookup, RuntimeError, TokenLife};
use bg_sandbox::Program;
use bg_store::links::Reader;
use bg_store::{BadCell, CellTexts, Look, Right, Store, StoredCharm};
use serde_json::{Value, json};

use super::lookup::{lookup, parsed};
use super::programs::Programs;

/// How long what was read of a charm counts, if nothing was written here since. Another process may write meanwhile:
/// then it is as if the questions of a poll, which take a few milliseconds in all, had been asked a moment earlier.
const FRESH: Duration = Duration::from_secs(1);

/// Sees the charm as it was when it was opened or later, with the access that its opener then has.
pub(super) struct LocalCharm {
    store: Arc<dyn Store>,
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
    /// Of [`Store::writes`], before it was read.
    writes: u64,
    pub(super) charm: Arc<StoredCharm>,
    pub(super) program: Arc<Program>,
    /// All of them, unless they are too large for that, or damaged: the read of that cell reports it.
    pub(super) cells: Option<Arc<CellTexts>>,
    /// Who has read it, if that actor may write to the charm, too.
    may_write: Option<Actor>,
}

/// What the charms that are open have read last, for the polls that opened them.
#[derive(Default)]
pub(super) struct Opened(Mutex<HashMap<CharmRef, Weak<LastSeen>>>);

impl Opened {
    /// What was read of a charm that is open, if it still counts and the actor may write there.
    pub(super) fn fresh(&self, store: &dyn Store, charm: &CharmRef, actor: &Actor) -> Option<Seen> {
        let seen = self.lock().get(charm).and_then(Weak::upgrade)?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (seen.may_write.as_ref() == Some(actor) && seen.is_fresh(store.writes(charm))).then_some(seen)
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
    pub(super) fn new(store: Arc<dyn Store>, programs: Arc<Programs>, actor: Actor, charm: CharmRef) -> Self {
        Self { store, programs, actor, charm, seen: Arc::default(), opened: None }
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
        let writes = self.store.writes(&self.charm);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(seen) = seen.filter(|seen| seen.is_fresh(writes)) {
            return Ok(seen);
        }
        let (at, search) = (Instant::now(), self.programs.search());
        let Look { charm, may_write, program, cells } =
            self.store.look(&self.actor, &self.charm, search.known()).await?;
        let program = search.program(&charm, program.as_ref())?;
        let may_write = may_write.then(|| self.actor.clone());
        let seen = Seen { at, writes, charm: Arc::new(charm), program, cells: cells.map(Arc::new), may_write };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
        Ok(seen)
    }

    /// What is at a path, of a charm whose cells are too large to be read ahead.
    async fn lookup(&self, path: &[String]) -> Result<Result<Lookup, BadCell>, RuntimeError> {
        let right = &Right::Space(AccessLevel::Read);
        let read = |names: Vec<String>| async move { self.store.cells(&self.actor, &self.charm, right, &names).await };
        lookup(path, read).await
    }

    /// What the charm is made of.
    pub(super) async fn shape(&self) -> Result<Shape, RuntimeError> {
        let seen = self.seen().await?;
        let mut keys = match &seen.cells {
            Some(cells) => cells.keys().cloned().collect(),
            None => self.store.cell_names(&self.actor, &self.charm).await?,
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
        let found = match cells {
            None => self.lookup(path).await?,
            Some(cells) => {
                let cell = |name: &str| parsed(name, cells.get(name).map(String::as_str));
                Reader::new(&charm.secrets, &cell).lookup(path)
            }
        };
        found.map_err(|BadCell(name)| self.store.damaged_cell(&self.charm, &name))
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
