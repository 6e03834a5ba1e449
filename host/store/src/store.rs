//! The trait that a store implements.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::{
    AccessLevel, Acl, Actor, CharmSummary, DamagedRegistration, Deployed, LogEntry, RegistrationCount,
    RegistrationFilter, RegistrationPage, RegistrationQuery, RegistrationRow, SpaceSummary, Subject,
};
use bg_identity::http_signature::FastClock;
use bg_identity::{CharmId, IntegrationId, SpaceDid};
use bg_poller::{
    CharmRef, Counters, DisabledBy, LogLine, Outcome, PollState, Registration, RegistrationChanges, Run, RuntimeError,
};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::charm::{AllCells, CellTexts, NewCharm, ProgramDigest, SecretText, StoredCharm, StoredProgram};
use crate::document::Document;
use crate::rights::{Needed, Right};

/// Answers whether the caller has the program with that digest already, so that it need not be read.
pub type KnownProgram = Arc<dyn Fn(&ProgramDigest) -> bool + Send + Sync>;

/// Makes the ID of a charm from the digest of its inputs.
pub type IdOf = Box<dyn Fn(&[u8]) -> CharmId + Send>;

/// What a poll asks of a charm.
#[derive(Clone, Debug)]
pub struct Look {
    /// The charm.
    pub charm: StoredCharm,
    /// Whether the caller may write to it.
    pub may_write: bool,
    /// Its program, unless the caller has it.
    pub program: Option<StoredProgram>,
    /// All cells, unless they are too large to be read ahead, or one is damaged: that is reported when it is read.
    pub cells: Option<CellTexts>,
}

/// What a call of a charm begins with.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The charm.
    pub charm: StoredCharm,
    /// Its program, unless the caller has it.
    pub program: Option<StoredProgram>,
    /// All cells, unless they are too large to be read ahead.
    pub cells: Option<CellTexts>,
    /// Every secret text in the cells.
    pub secrets: Vec<SecretText>,
}

/// On whose account something is done with a charm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is part of a poll of the charm, which goes on with the result.
    Poll,
    /// A caller wants it, and sends what polls send.
    Update,
    /// A caller wants it: a charm whose last poll failed for reasons elsewhere may go on with the result.
    Somebody,
}

/// What a call of a charm has done, to be kept.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The charm as the call found it.
    pub charm: Arc<StoredCharm>,
    /// How it ended.
    pub run: Run,
    /// What it wrote.
    pub writes: CellTexts,
    /// What it logged.
    pub log: Vec<LogLine>,
    /// Why it was called.
    pub cause: Cause,
    /// How many runs of a charm are kept.
    pub runs_kept: u32,
}

/// The names of a charm that is to be deployed.
#[derive(Clone, Debug)]
pub struct Names {
    /// The charm, under the ID that it has or will have.
    pub charm: CharmRef,
    /// The ID made from its program and inputs. The charm may have an older one.
    pub id: CharmId,
    /// The same as earlier versions made it, which named inputs by another digest, if the store is of their time.
    pub first_id: Option<CharmId>,
}

/// A charm that is there already.
#[derive(Clone, Debug)]
pub enum FoundCharm {
    /// With the program that is to be deployed.
    Same(Deployed),
    /// With another.
    Other,
}

/// A charm to be stored, with what its `setup` wrote and logged.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The charm.
    pub new: NewCharm,
    /// Its cells.
    pub cells: CellTexts,
    /// What was logged.
    pub log: Vec<LogLine>,
}

/// A charm whose program is to be replaced.
#[derive(Clone, Debug)]
pub struct Present {
    /// The charm.
    pub charm: StoredCharm,
    /// The names of its cells.
    pub cells: Vec<String>,
    /// Every secret text in them.
    pub secrets: Vec<SecretText>,
}

/// A program that replaces another.
#[derive(Clone, Debug)]
pub struct Update {
    /// The charm as the `setup` of the new program found it.
    pub before: Arc<StoredCharm>,
    /// The ID that a charm made from the new program would have.
    pub known_by: CharmId,
    /// The new program, and what its `setup` wrote and logged.
    pub deployment: Deployment,
}

/// What a charm was deployed from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The charm.
    pub charm: StoredCharm,
    /// The text of its first file.
    pub source: String,
    /// Those of its others, by their paths.
    pub files: BTreeMap<String, String>,
    /// Every secret text in its cells.
    pub secrets: Vec<SecretText>,
}

/// Why a cell is edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellUpdate {
    /// The caller sets it. Quotas hold.
    Set,
    /// Its token was renewed, on that account. There are no rights to check, and no quotas: the old one is gone.
    Renewal(Cause),
}

/// A cell as it is found in the transaction that edits it.
#[derive(Debug)]
pub struct Editor<'e> {
    /// Its charm.
    pub charm: &'e StoredCharm,
    /// The value, if there is such a cell; an error if it is damaged.
    pub document: Result<Option<Document>, EditError>,
    /// The names of the charm's cells, if there is no such cell.
    pub names: Vec<String>,
}

/// Why a cell is not edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// It is damaged: the store reports how.
    Damaged,
    /// The edit refuses it.
    Refused(RuntimeError),
}

impl From<RuntimeError> for EditError {
    fn from(error: RuntimeError) -> Self {
        Self::Refused(error)
    }
}

/// Makes the new value of a cell from the one that is there. It has no side effects: a store may call it again.
pub type Edit = Box<dyn Fn(Editor<'_>) -> Result<Document, EditError> + Send>;

/// A change of one cell.
pub struct CellEdit {
    /// The name of the cell.
    pub cell: String,
    /// Makes its value.
    pub edit: Edit,
    /// Why.
    pub update: CellUpdate,
}

/// Registrations that were read.
#[derive(Clone, Debug, Default)]
pub struct FoundRegistrations {
    /// Oldest first.
    pub registrations: Vec<Registration>,
    /// Those that cannot be read. They hide none of the others.
    pub damaged: Vec<DamagedRegistration>,
}

/// What is kept in a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The key that made it; none for the operator.
    pub creator: Option<String>,
    /// Charms.
    pub charms: u64,
    /// Bytes of the programs, cells, logs and runs of these.
    pub bytes: u64,
}

/// Spaces, and who may do what in them. A part of [`Store`].
#[async_trait]
pub trait Spaces: Send + Sync {
    /// Fails unless the actor is allowed that. [`Needed::OwnKey`] is not for a store to say: it passes.
    async fn check(&self, actor: &Actor, needed: &Needed) -> Result<(), RuntimeError>;

    /// The access list of a space.
    async fn acl(&self, actor: &Actor, space: &SpaceDid) -> Result<Acl, RuntimeError>;

    /// Sets the level of a subject, or removes it; answers the list. Wakes the charms that may have waited for it.
    async fn set_acl(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        subject: &Subject,
        level: Option<AccessLevel>,
    ) -> Result<Acl, RuntimeError>;

    /// Makes a space with a random key, of that name.
    async fn new_space(&self, actor: &Actor, name: &str) -> Result<SpaceSummary, RuntimeError>;

    /// The spaces that the actor may know of, or the one to which the actor gave that name.
    async fn spaces(&self, actor: &Actor, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError>;
}

/// Charms: their cells, their calls and what these leave. A part of [`Store`].
#[async_trait]
pub trait Charms: Send + Sync {
    /// The charms of a space, oldest first.
    async fn charms(&self, actor: &Actor, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError>;

    /// All that a poll asks of a charm, for an actor who may read it.
    async fn look(&self, actor: &Actor, charm: &CharmRef, known: KnownProgram) -> Result<Look, RuntimeError>;

    /// The names of a charm's cells, sorted by bytes.
    async fn cell_names(&self, actor: &Actor, charm: &CharmRef) -> Result<Vec<String>, RuntimeError>;

    /// A charm with all its cells. A damaged one has no text; the log says what is wrong with it.
    async fn all_cells(&self, actor: &Actor, charm: &CharmRef) -> Result<(StoredCharm, AllCells), RuntimeError>;

    /// A charm with some of its cells: those of one version. A text may not be JSON.
    async fn cells(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        right: &Right,
        names: &[String],
    ) -> Result<(StoredCharm, CellTexts), RuntimeError>;

    /// The names of the cells of this version of a charm, sorted by bytes. None if there is another version by now.
    async fn cell_names_at(&self, charm: &Arc<StoredCharm>) -> Result<Option<Vec<String>>, RuntimeError>;

    /// The JSON text of a cell in this version of a charm, if there is such a cell. None if there is another version by
    /// now.
    async fn cell_at(&self, charm: &Arc<StoredCharm>, name: &str) -> Result<Option<Option<String>>, RuntimeError>;

    /// Edits a cell. Wakes its charm, unless that was part of its poll.
    async fn edit(&self, actor: &Actor, charm: &CharmRef, edit: CellEdit) -> Result<(), RuntimeError>;

    /// Begins a call: reads what it needs, for an actor who may write to the charm. Fails if the charm has no such
    /// stream.
    async fn begin(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        stream: &str,
        known: KnownProgram,
    ) -> Result<Begun, RuntimeError>;

    /// Keeps calls that have ended: of each the cells, the run, the log and the registration's state together, or
    /// nothing. They succeed and fail each for itself. Answers how each ended, in their order; none if the cells of its
    /// charm were changed since it began.
    async fn keep(&self, finished: Vec<Finished>) -> Vec<Result<Option<Outcome>, RuntimeError>>;

    /// Lines of a charm's log: the first `limit` after a cursor, or the newest; oldest first.
    async fn logs(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogEntry>, RuntimeError>;

    /// The newest runs of a charm, newest first.
    async fn runs(&self, actor: &Actor, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError>;

    /// The counters of a registered charm.
    async fn counters(&self, actor: &Actor, charm: &CharmRef) -> Result<Counters, RuntimeError>;
}

/// Charms as they are deployed, replaced and deleted. A part of [`Store`].
#[async_trait]
pub trait Deploys: Send + Sync {
    /// Names a charm that the actor may deploy. `inputs` are its inputs as JSON, if there are any. They may be secret,
    /// so that the ID has a keyed digest of them, from which nothing can be guessed.
    async fn name(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        inputs: Option<String>,
        id_of: IdOf,
    ) -> Result<Names, RuntimeError>;

    /// Looks for a charm that is to be deployed. If its program is known by one of these IDs, its modules are replaced:
    /// a later version of the host may make others from the same source.
    async fn find(
        &self,
        charm: &CharmRef,
        known_by: &[CharmId],
        program: &StoredProgram,
    ) -> Result<Option<FoundCharm>, RuntimeError>;

    /// Fails if the actor may not have another charm in that space.
    async fn admit_charm(&self, actor: &Actor, space: &SpaceDid) -> Result<(), RuntimeError>;

    /// Stores a charm with all its cells, and makes the space if it does not exist.
    async fn deploy(&self, actor: &Actor, deployment: Deployment) -> Result<Deployed, RuntimeError>;

    /// Reads a charm whose program the actor may replace.
    async fn present(&self, actor: &Actor, charm: &CharmRef) -> Result<Present, RuntimeError>;

    /// Replaces the program of a charm. None if its cells were changed since the `setup` read them: then nothing is
    /// kept.
    async fn update(&self, actor: &Actor, update: Update) -> Result<Option<Deployed>, RuntimeError>;

    /// What a charm was deployed from.
    async fn sources(&self, actor: &Actor, charm: &CharmRef) -> Result<Sources, RuntimeError>;

    /// Deletes a charm with all that belongs to it, for its owner or the service. What it held is not left in the
    /// store's files.
    async fn delete(&self, actor: &Actor, charm: &CharmRef) -> Result<(), RuntimeError>;
}

/// Registrations, and the runs and states of what is polled. A part of [`Store`].
#[async_trait]
pub trait Registrations: Send + Sync {
    /// A number that rises with every change of a registration that is not made by polls.
    async fn revision(&self, actor: &Actor) -> Result<u64, RuntimeError>;

    /// A revision other than `seen`, or after some seconds the same. While somebody waits for it, charms whose writes
    /// found no room are woken once there is room again.
    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError>;

    /// Wakes these charms, if they wait: what they wait for is there. Those that do not exist are passed over.
    async fn wake(&self, charms: &[CharmRef]) -> Result<(), RuntimeError>;

    /// The registrations that have changed since the revision `after`, or all of them if that is not known; with their
    /// revision, and those that cannot be read.
    async fn changes(
        &self,
        actor: &Actor,
        after: Option<u64>,
    ) -> Result<(RegistrationChanges, Vec<DamagedRegistration>), RuntimeError>;

    /// All registrations.
    async fn registrations(&self, actor: &Actor) -> Result<FoundRegistrations, RuntimeError>;

    /// The charms of the enabled registrations of an integration, oldest first.
    async fn enabled_charms(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<CharmRef>, RuntimeError>;

    /// The enabled registrations of an integration, oldest first.
    async fn enabled(&self, actor: &Actor, integration: &IntegrationId) -> Result<Vec<Registration>, RuntimeError>;

    /// The charms in the list cell of an integration; none if there is no such cell.
    async fn list(&self, actor: &Actor, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, RuntimeError>;

    /// Makes the list cell of an integration, unless it exists.
    async fn prepare_list(&self, actor: &Actor, integration: &IntegrationId) -> Result<(), RuntimeError>;

    /// A page of registrations, in the order of their charms' names.
    async fn overview(&self, actor: &Actor, query: &RegistrationQuery) -> Result<RegistrationPage, RuntimeError>;

    /// The row of one charm; none if it is not registered.
    async fn overview_of(&self, actor: &Actor, charm: &CharmRef) -> Result<Option<RegistrationRow>, RuntimeError>;

    /// How many registrations are in each state, for each integration.
    async fn registration_counts(&self, actor: &Actor) -> Result<Vec<RegistrationCount>, RuntimeError>;

    /// How many registrations [`enable_all`](Self::enable_all) would enable.
    async fn count_to_enable(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError>;

    /// Enables the registrations that a filter lets through; answers how many.
    async fn enable_all(&self, actor: &Actor, filter: &RegistrationFilter) -> Result<u64, RuntimeError>;

    /// Registers a charm, or enables its registration again and moves it to that integration. Anyone may. The charm
    /// must have one of these streams.
    async fn register(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        integration: &IntegrationId,
        streams: &[&str],
    ) -> Result<Registration, RuntimeError>;

    /// Disables a registration, or enables it.
    async fn set_disabled(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError>;

    /// Sets the interval of a registration; none is the service's.
    async fn set_interval(
        &self,
        actor: &Actor,
        charm: &CharmRef,
        interval: Option<Duration>,
    ) -> Result<Registration, RuntimeError>;

    /// Removes a registration; false if there is none.
    async fn remove(&self, actor: &Actor, charm: &CharmRef) -> Result<bool, RuntimeError>;

    /// Notes runs, each once, and keeps as many of each charm as that. Runs of charms that do not exist are skipped.
    async fn record(&self, actor: &Actor, runs: &[Run], kept: u32) -> Result<(), RuntimeError>;

    /// Notes which charms fail and which do not any more, as a poll loop in another process remembers it.
    async fn note_failing(&self, failing: Vec<PollState>, recovered: Vec<CharmRef>) -> Result<(), RuntimeError>;

    /// Wakes the charms that wait for a fix: the configuration may have it.
    async fn wake_waiting(&self) -> Result<(), RuntimeError>;
}

/// Spaces, charms, cells, registrations and runs.
///
/// Each operation is one transaction: it checks the rights of the actor, and is kept whole, durably, or not at all. It
/// runs to its end also if the caller stops waiting. What it kept is seen by every later operation. Data that is
/// damaged concerns its own charm alone.
#[async_trait]
pub trait Store: Spaces + Charms + Deploys + Registrations + Accounts {
    /// Until when signers with fast clocks may have made requests that an earlier process accepted.
    async fn fast_clocks(&self) -> Result<FastClock, RuntimeError>;

    /// Raises such a time.
    async fn keep_fast_clock(&self, is_operator: bool, until: u64) -> Result<(), RuntimeError>;

    /// Commits from now on, for [`commit_or`](Self::commit_or).
    fn commits(&self) -> watch::Receiver<u64>;

    /// Waits until something is committed that `commits` has not seen, by any process, or until that time.
    async fn commit_or(&self, commits: &mut watch::Receiver<u64>, until: Instant) -> Result<(), RuntimeError>;

    /// A number that has changed once this process may have written something of that charm: what was read before may
    /// be outdated.
    fn writes(&self, charm: &CharmRef) -> u64;

    /// The bytes that the store takes.
    fn size(&self) -> u64;

    /// The error of a cell whose text is not JSON.
    fn damaged_cell(&self, charm: &CharmRef, name: &str) -> RuntimeError;
}
