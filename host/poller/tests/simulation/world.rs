//! A charm runtime, a store and components that live in simulated time and fail as the dice say. Every poll is shown to
//! the [models](Model), which object if a rule is broken.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::{CharmId, IntegrationId, Secret, space_did};
use bg_poller::testing::Opened;
use bg_poller::{
    Charm, CharmRef, CharmRuntime, Clock, Consequence, Counters, DisabledBy, Fitness, Integration, IntegrationError,
    Outcome, OutcomeKind, PollState, PollStore, Registration, RegistrationChanges, Run, RuntimeError, StoreError,
    UnixMillis,
};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::load::Load;
use crate::model::{Broken, Disabled, Model};
use crate::rng::Rng;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a scene is a list of what happens in it")]
pub struct Scene {
    pub seed: u64,
    /// At most; some of them are registered at first.
    pub charms: usize,
    pub spaces: usize,
    /// The polls after which it ends.
    pub polls: u64,
    pub interval: Duration,
    pub max_concurrent: usize,
    pub per_space: u32,
    pub failures: u32,
    /// Whether the runtime notes times by the clock of the loop.
    pub shares_clock: bool,
    /// Whether somebody sets the wall clock now and then.
    pub clock_is_set: bool,
    /// Whether the process is stopped now and then; whether nothing else happens.
    pub stalls: bool,
    pub calm: bool,
    /// A poll takes less than this, as a rule, …
    pub quick: Duration,
    /// … and in the first space, less than this.
    pub slow: Duration,
}

/// Integrations: the first has no component.
pub const INTEGRATIONS: usize = 4;

pub struct World {
    pub scene: Scene,
    pub began: Instant,
    state: Mutex<State>,
    revision: watch::Sender<u64>,
    wall_ms: AtomicI64,
    pub down: AtomicBool,
    /// A moment in which much is on its way: a good one to be killed in.
    pub delicate: Notify,
}

pub struct State {
    pub rng: Rng,
    pub models: Vec<Model>,
    /// By the numbers of their charms.
    pub registrations: BTreeMap<usize, Registration>,
    numbers: HashMap<CharmRef, usize>,
    /// What has changed, a number of a charm for each revision from the second on.
    changes: Vec<usize>,
    /// That have started.
    pub polls: u64,
    pub load: Load,
    pub broken: Vec<Broken>,
    /// Charms that components leave out.
    pub left_out: BTreeSet<usize>,
    /// Charms whose handlers fail, every time.
    pub poisoned: BTreeSet<usize>,
    /// The process of now; what an earlier one still does counts for nothing.
    pub generation: u64,
    /// What was written: of each charm, its poll state.
    states: HashMap<CharmRef, PollState>,
    pub store_fails: bool,
    /// Since when something may not have been written.
    pub unwritten_since: Option<Instant>,
    /// What has happened to all of them lately.
    pub past: VecDeque<String>,
    /// When polls started that nobody asked for, since the last stall, and of which charms.
    pub starts: Vec<(Instant, usize)>,
}

impl State {
    pub fn note(&mut self, began: Instant, what: &str) {
        if self.past.len() == 10 {
            self.past.pop_front();
        }
        self.past.push_back(format!("{:.3} s: {what}", began.elapsed().as_secs_f64()));
    }
}

pub fn integration(number: usize) -> IntegrationId {
    format!("integration-{number}").parse().unwrap()
}

impl World {
    pub fn new(scene: Scene) -> Arc<Self> {
        let model = |number: usize| {
            let space = number % scene.spaces;
            let charm = CharmRef {
                space: space_did(&format!("space {space}")),
                charm: CharmId::for_content(&number.to_be_bytes()),
            };
            Model::new(charm, space, number % INTEGRATIONS, scene.interval)
        };
        let models: Vec<Model> = (0..scene.charms).map(model).collect();
        let numbers = models.iter().enumerate().map(|(number, model)| (model.charm.clone(), number)).collect();
        let state = State {
            rng: Rng(scene.seed),
            models,
            registrations: BTreeMap::new(),
            numbers,
            changes: Vec::new(),
            polls: 0,
            load: Load::new(&scene),
            broken: Vec::new(),
            left_out: BTreeSet::new(),
            poisoned: BTreeSet::new(),
            generation: 0,
            states: HashMap::new(),
            store_fails: false,
            unwritten_since: None,
            past: VecDeque::new(),
            starts: Vec::new(),
        };
        let (revision, wall_ms) = (watch::Sender::new(1), AtomicI64::new(1_800_000_000_000));
        let (began, down) = (Instant::now(), AtomicBool::new(false));
        Arc::new(Self { scene, began, state: Mutex::new(state), revision, wall_ms, down, delicate: Notify::new() })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Something has changed with the registration of that charm.
    fn bump(&self, state: &mut State, number: usize) {
        state.changes.push(number);
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Sets the wall clock forward or back.
    pub fn step_clock(&self, millis: i64) {
        self.wall_ms.fetch_add(millis, Ordering::Relaxed);
    }

    fn reachable(&self) -> Result<(), RuntimeError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(RuntimeError::unavailable("connection refused"));
        }
        Ok(())
    }

    /// Somebody registers a charm, or enables it.
    pub fn want(&self, number: usize) {
        let now = self.now();
        let mut state = self.state();
        let state = &mut *state;
        let model = &mut state.models[number];
        let old = state.registrations.get(&number);
        let asks = (model.interval != self.scene.interval).then_some(model.interval);
        let registration = Registration {
            charm: model.charm.clone(),
            integration: integration(model.integration),
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: old.map_or(now, |old| next(now, old)),
            last_run: old.map_or(UnixMillis::NEVER, |old| old.last_run),
            disabled_at: UnixMillis::NEVER,
            interval: asks,
            status: String::new(),
            last_success: UnixMillis::NEVER,
            woken_at: old.map_or(UnixMillis::NEVER, |old| old.woken_at),
            last_outcome: None,
            last_blame: None,
            last_cause: None,
            disabled_by: None,
        };
        state.registrations.insert(number, registration);
        model.wanted();
        self.bump(state, number);
    }

    /// Somebody disables it.
    pub fn disable(&self, number: usize) {
        let now = self.now();
        let mut state = self.state();
        let Some(registration) = state.registrations.get_mut(&number) else { return };
        registration.disabled_at = now;
        registration.disabled_by = Some(DisabledBy::Hand);
        "Disabled: by hand".clone_into(&mut registration.status);
        registration.updated_at = next(now, registration);
        state.models[number].disabled_by_hand();
        self.bump(&mut state, number);
    }

    /// What the last poll of a charm lacked is there now, if it was that: what somebody changes is looked at as the
    /// runtime does.
    pub fn fix(&self, number: usize) {
        let now = self.now();
        let mut state = self.state();
        let state = &mut *state;
        let Some(registration) = state.registrations.get_mut(&number) else { return };
        let kind = registration.last_outcome;
        if registration.is_enabled() && kind.is_some_and(|kind| Consequence::of(kind, None).awaits_a_fix()) {
            registration.woken_at = next(now, registration);
            state.models[number].woken(self.scene.shares_clock);
            self.bump(state, number);
        }
    }

    pub fn unregister(&self, number: usize) {
        let mut state = self.state();
        if state.registrations.remove(&number).is_some() {
            state.models[number].unregistered();
            self.bump(&mut state, number);
        }
    }

    pub fn another_interval(&self, number: usize, interval: Duration) {
        let mut state = self.state();
        let Some(registration) = state.registrations.get_mut(&number) else { return };
        registration.interval = (interval != self.scene.interval).then_some(interval);
        state.models[number].set_interval(interval);
        self.bump(&mut state, number);
    }

    fn number(&self, charm: &CharmRef) -> usize {
        self.state().numbers[charm]
    }
}

impl Clock for World {
    fn now(&self) -> UnixMillis {
        let millis = self.wall_ms.load(Ordering::Relaxed) + i64::try_from(self.began.elapsed().as_millis()).unwrap();
        UnixMillis(millis.unsigned_abs())
    }
}

/// The time of a change of a registration: later than its last one, wherever the clock was set.
fn next(now: UnixMillis, registration: &Registration) -> UnixMillis {
    now.max(UnixMillis(registration.changed_at().0 + 1))
}

/// The runtime as one process of the service sees it.
pub struct Process {
    pub world: Arc<World>,
    pub generation: u64,
}

impl Process {
    fn is_dead(&self) -> bool {
        self.world.state().generation != self.generation
    }

    /// A poll has ended: passes that on to the model.
    fn ended(&self, number: usize, kind: OutcomeKind) {
        if self.is_dead() {
            return;
        }
        let mut state = self.world.state();
        let state = &mut *state;
        state.load.ends(state.models[number].space);
        if let Err(broken) = state.models[number].ends(kind, self.world.scene.failures) {
            state.broken.push(broken);
        }
        if matches!(state.models[number].disabled, Disabled::ByLoop(_)) && state.rng.once_in(4) {
            self.world.delicate.notify_one();
        }
    }
}

impl Process {
    fn set_disabled_now(
        &self,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        let (now, number) = (self.world.now(), self.world.number(charm));
        let mut state = self.world.state();
        let state = &mut *state;
        let not_found = || RuntimeError::NotFound(charm.clone());
        let registration = state.registrations.get_mut(&number).ok_or_else(not_found)?;
        registration.updated_at = next(now, registration);
        registration.disabled_at = disabled.map_or(UnixMillis::NEVER, |_| now);
        registration.disabled_by = disabled.map(|(by, _)| by);
        registration.status =
            disabled.map_or("Re-initializing".to_owned(), |(_, reason)| format!("Disabled: {reason}"));
        if disabled.is_none()
            && let Err(broken) = state.models[number].returns()
        {
            state.broken.push(broken);
        }
        let registration = registration.clone();
        self.world.bump(state, number);
        Ok(registration)
    }
}

#[async_trait]
impl CharmRuntime for Process {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        self.world.reachable()?;
        Ok(self.world.state().registrations.values().cloned().collect())
    }

    /// It does not always remember what has changed.
    async fn changes(&self, seen: u64) -> Result<RegistrationChanges, RuntimeError> {
        self.world.reachable()?;
        let state = self.world.state();
        let revision = *self.world.revision.borrow();
        let known = seen.checked_sub(1).and_then(|seen| state.changes.get(usize::try_from(seen).unwrap()..));
        let changed: Option<BTreeSet<usize>> = known.map(|known| known.iter().copied().collect());
        let Some(changed) = changed.filter(|_| !revision.is_multiple_of(10)) else {
            let registrations = state.registrations.values().cloned().collect();
            return Ok(RegistrationChanges { revision: Some(revision), registrations, removed: None });
        };
        let (there, gone): (Vec<usize>, Vec<usize>) =
            changed.into_iter().partition(|number| state.registrations.contains_key(number));
        let registrations = there.iter().map(|number| state.registrations[number].clone()).collect();
        let removed = Some(gone.into_iter().map(|number| state.models[number].charm.clone()).collect());
        Ok(RegistrationChanges { revision: Some(revision), registrations, removed })
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        self.world.reachable()?;
        let mut revision = self.world.revision.subscribe();
        let _ = tokio::time::timeout(Duration::from_secs(20), revision.wait_for(|now| *now != seen)).await;
        self.world.reachable()?;
        Ok(*self.world.revision.borrow())
    }

    fn shares_clock(&self) -> bool {
        self.world.scene.shares_clock
    }

    async fn register(&self, _: &CharmRef, _: &IntegrationId) -> Result<Registration, RuntimeError> {
        unimplemented!()
    }

    /// The loop enables or disables a registration.
    async fn set_disabled(
        &self,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        let take = || self.world.state().rng.up_to(Duration::from_millis(100));
        let (before, after) = (take(), take());
        sleep(before).await;
        self.world.reachable()?;
        let registration = self.set_disabled_now(charm, disabled)?;
        sleep(after).await;
        Ok(registration)
    }

    async fn set_interval(&self, _: &CharmRef, _: Option<Duration>) -> Result<Registration, RuntimeError> {
        unimplemented!()
    }

    async fn remove(&self, _: &CharmRef) -> Result<bool, RuntimeError> {
        unimplemented!()
    }

    async fn record(&self, runs: &[Run]) -> Result<(), RuntimeError> {
        self.world.reachable()?;
        for run in runs {
            let number = self.world.number(&run.charm);
            if let Some(registration) = self.world.state().registrations.get_mut(&number) {
                registration.last_run = registration.last_run.max(run.started_at);
            }
        }
        Ok(())
    }

    async fn runs(&self, _: &CharmRef, _: usize) -> Result<Vec<Run>, RuntimeError> {
        unimplemented!()
    }

    async fn counters(&self, _: &CharmRef) -> Result<Counters, RuntimeError> {
        unimplemented!()
    }

    async fn prepare_list(&self, _: &IntegrationId) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    /// The first thing that a poll does.
    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        let number = self.world.number(charm);
        {
            let mut state = self.world.state();
            let state = &mut *state;
            state.polls += 1;
            state.load.starts(state.models[number].space);
            if !state.models[number].is_wanted() {
                state.starts.push((Instant::now(), number));
            }
            if let Err(broken) = state.models[number].starts() {
                state.broken.push(broken + &state.models[number].past());
            }
        }
        if let Err(error) = self.world.reachable() {
            self.ended(number, OutcomeKind::Unavailable);
            return Err(error);
        }
        Ok(Arc::new(Opened(charm.clone())))
    }

    async fn trigger(&self, charm: &CharmRef, _stream: &str, _event: &Value) -> Result<Outcome, RuntimeError> {
        let (number, started_at) = (self.world.number(charm), self.world.now());
        let (takes, kind) = {
            let mut state = self.world.state();
            let space = state.models[number].space;
            let poisoned = state.poisoned.contains(&number);
            let scene = &self.world.scene;
            let takes = state.rng.up_to(if space == 0 { scene.slow } else { scene.quick });
            let kind = if !scene.calm && state.rng.once_in(if poisoned { 6 } else { 200 }) {
                OutcomeKind::Denied
            } else if poisoned || state.rng.once_in(50) {
                OutcomeKind::HandlerFailed
            } else {
                OutcomeKind::Success
            };
            (takes, kind)
        };
        if !takes.is_zero() {
            sleep(takes).await;
        }
        if let Err(error) = self.world.reachable() {
            self.ended(number, OutcomeKind::Unavailable);
            return Err(error);
        }
        if let Some(registration) = self.world.state().registrations.get_mut(&number) {
            // As the store does: a time that is still to come is one of a clock that was set back since.
            let to_come = registration.last_run > self.world.now();
            registration.last_run = if to_come { started_at } else { registration.last_run.max(started_at) };
            (registration.last_outcome, registration.last_blame) = (Some(kind), kind.usual_blame());
        }
        self.ended(number, kind);
        Ok(if kind == OutcomeKind::Success { Outcome::success() } else { Outcome::failure(kind, "it throws") })
    }

    async fn refresh_auth(&self, _: &CharmRef) -> Result<(), RuntimeError> {
        unimplemented!()
    }

    async fn secret(&self, _: &CharmRef, _: &[String]) -> Result<Secret, RuntimeError> {
        unimplemented!()
    }
}

#[async_trait]
impl PollStore for World {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        Ok(self.state().states.values().cloned().collect())
    }

    async fn save(&self, states: &[PollState]) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.store_fails {
            return Err(StoreError("the disk is full".into()));
        }
        state.states.extend(states.iter().map(|state| (state.charm.clone(), state.clone())));
        Ok(())
    }

    async fn forget(&self, charms: &[CharmRef]) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.store_fails {
            return Err(StoreError("the disk is full".into()));
        }
        for charm in charms {
            state.states.remove(charm);
        }
        Ok(())
    }
}

/// A component: names the charms that are registered for it, less those that are left out, and rarely fails.
pub struct Component {
    pub world: Arc<World>,
    pub number: usize,
    pub id: IntegrationId,
}

#[async_trait]
impl Integration for Component {
    fn id(&self) -> &IntegrationId {
        &self.id
    }

    async fn initialize(&self) -> Result<(), IntegrationError> {
        Ok(())
    }

    async fn fetch_charms(&self) -> Result<Vec<CharmRef>, IntegrationError> {
        let mut state = self.world.state();
        let state = &mut *state;
        if state.rng.once_in(100) {
            state.note(self.world.began, &format!("the list of {} fails", self.number));
            return Err(IntegrationError::new(OutcomeKind::Trapped, "unreachable"));
        }
        let mine =
            |number: &&usize| state.models[**number].integration == self.number && !state.left_out.contains(number);
        Ok(state.registrations.keys().filter(mine).map(|number| state.models[*number].charm.clone()).collect())
    }

    async fn is_valid_charm(&self, _charm: Arc<dyn Charm>) -> Result<Fitness, IntegrationError> {
        Ok(Fitness::Fit)
    }
}
