//! What people do with spaces and charms, beside polling.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, CharmRuntime, LogLine, RuntimeError, UnixMillis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccessLevel, Acl, DamagedRegistration, RegistrationFilter, Subject};

/// A charm to be deployed.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeployRequest {
    /// The name of the source file, which tells its language: `counter.tsx`.
    #[schemars(regex(pattern = r"[^/]\.(ts|tsx|js|jsx|mts|mjs)$"))]
    pub file_name: String,
    /// Its text.
    pub source: String,
    /// The texts of the other files that it imports, by their paths, relative to its folder: `lib/client.ts`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Initial values of cells, in place of the pattern's defaults. They may hold secrets.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// The charm whose program this is to replace. It keeps its ID and its cells; inputs are for cells that it does not have yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charm: Option<CharmId>,
}

/// Without the inputs' values, which may hold secrets.
impl fmt::Debug for DeployRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployRequest")
            .field("file_name", &self.file_name)
            .field("inputs", &self.inputs.keys().collect::<Vec<_>>())
            .field("charm", &self.charm)
            .finish_non_exhaustive()
    }
}

/// A value to be set in a cell of a charm.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetRequest {
    /// Where: the cell's name, then object keys or array indices; `-` is the place after an array's last item. Objects that are
    /// missing on the way are made.
    pub path: Vec<String>,
    /// What. It may be secret.
    pub value: Value,
    /// Whether the cell is made if there is none of that name.
    #[serde(default)]
    pub create: bool,
}

/// Without the value, which may be secret.
impl fmt::Debug for SetRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, create, .. } = self;
        f.debug_struct("SetRequest").field("path", path).field("create", create).finish_non_exhaustive()
    }
}

/// A charm that is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// Which charm.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// False if the same charm was there before; then its cells are as they were.
    pub created: bool,
    /// Whether it was there with another program, which was replaced.
    #[serde(default)]
    pub updated: bool,
    /// Its name for people.
    pub name: Option<String>,
    /// The names of its streams, sorted.
    pub streams: Vec<String>,
    /// What its author should look at, each with its place in a file: what a handler writes contradicts the type of a cell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One charm of a space, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CharmSummary {
    /// Which charm.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// Its name for people.
    pub name: Option<String>,
    /// The name of its source file.
    pub file_name: String,
    /// The names of its streams, sorted.
    pub streams: Vec<String>,
    /// When it was deployed.
    pub created_at: UnixMillis,
    /// When one of its cells was last written.
    pub updated_at: UnixMillis,
}

/// A whole charm, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CharmShow {
    /// What it is.
    #[serde(flatten)]
    pub summary: CharmSummary,
    /// Its cells by name, with `(secret)` in place of each secret.
    pub cells: BTreeMap<String, Value>,
}

/// A line of a charm's log, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogEntry {
    /// Its place in the log: later lines have greater ones.
    pub cursor: u64,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
}

/// Which lines of a charm's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Those after this place, or the newest.
    pub after: Option<u64>,
    /// How many at most; nothing waits for none. A thousand lines of a charm are kept.
    pub limit: usize,
    /// If there are none, whether to wait for some, up to [20 s](crate::wire::CHANGES_WAIT_SECONDS).
    pub wait: bool,
}

/// A space, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpaceSummary {
    /// Which space.
    pub space: SpaceDid,
    /// The name that its maker gave it, if its key is random.
    pub name: Option<String>,
    /// How many charms it has.
    pub charms: u64,
    /// The bytes of their programs, cells, logs and runs, and 64 for each of these.
    pub bytes: u64,
    /// What anyone who signs requests may do there; nothing if null.
    pub anyone: Option<AccessLevel>,
}

/// Spaces, their access lists and their charms.
#[async_trait]
pub trait Spaces: Send + Sync {
    /// Deploys a charm: runs its `setup` and keeps the cells which that made. A space that is not there is created, with the
    /// caller as its owner; where others reach the server, only by its operator, unless that opens new spaces. The charm's ID is made from the space, the file's name, the source and the inputs: deploying the
    /// same again is the same charm, which keeps its cells. With [`DeployRequest::charm`], the program of that charm is replaced.
    async fn deploy(&self, space: &SpaceDid, request: &DeployRequest) -> Result<Deployed, RuntimeError>;

    /// Deletes a charm with all that belongs to it: its registration, cells, secrets, log and runs. Nothing of it stays in the database's
    /// file. A handler that runs for it meanwhile ends with [`RuntimeError::NotFound`], and nothing that it wrote is kept. It takes the
    /// owner of the space, or the service.
    async fn delete(&self, charm: &CharmRef) -> Result<(), RuntimeError>;

    /// Makes a space whose key is random, so that who knows its name does not own it. Its name is the caller's own: others may have
    /// spaces of the same name.
    async fn new_space(&self, name: &str) -> Result<SpaceSummary, RuntimeError>;

    /// The spaces that the caller has made or owns, oldest first; all of them, for the service. With a name, the space to which the
    /// caller gave it, if there is one.
    async fn spaces(&self, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError>;

    /// Who may do what in a space.
    async fn acl(&self, space: &SpaceDid) -> Result<Acl, RuntimeError>;

    /// Grants a subject a level, or nothing, in place of what it had. Answers the list as it is then. A list
    /// names 100 subjects at most.
    async fn set_acl(
        &self,
        space: &SpaceDid,
        subject: &Subject,
        level: Option<AccessLevel>,
    ) -> Result<Acl, RuntimeError>;

    /// The charms of a space, oldest first.
    async fn charms(&self, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError>;

    /// A whole charm, without its secrets.
    async fn show(&self, charm: &CharmRef) -> Result<CharmShow, RuntimeError>;

    /// The charm's page as its cells are now, for people to look at: a JSON array of texts and of nodes `{name, props, children}`, with
    /// secrets masked. None if it has none. Its program runs for that, and nothing that it writes is kept.
    async fn page(&self, charm: &CharmRef) -> Result<Option<Value>, RuntimeError>;

    /// Sets a value in a cell, as a handler would: what is secret in the cell is sealed, its quota holds, and a handler that
    /// runs meanwhile sees it or runs again.
    async fn set(&self, charm: &CharmRef, request: &SetRequest) -> Result<(), RuntimeError>;

    /// Lines that a charm logged, oldest first. They are kept with what came of the call, so they show when it has ended.
    async fn logs(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError>;

    /// Enables all registrations that the filter matches; without a state, all that do not run as they should. Returns
    /// how many. [`RuntimeError::Invalid`] if no registration has the integration or the space that the filter names.
    async fn enable_all(&self, filter: &RegistrationFilter) -> Result<u64, RuntimeError>;

    /// The registrations that cannot be read, which [`registrations`](bg_poller::CharmRuntime::registrations) passes over. Reads all.
    async fn damaged(&self) -> Result<Vec<DamagedRegistration>, RuntimeError>;
}

/// All that a charm runtime does.
pub trait Runtime: CharmRuntime + Spaces {}

impl<T: CharmRuntime + Spaces + ?Sized> Runtime for T {}
