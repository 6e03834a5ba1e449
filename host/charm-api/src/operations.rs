//! What people do with spaces and charms, apart from polling.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, CharmRuntime, LogLine, RuntimeError, UnixMillis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccessLevel, Accounts, Acl, DamagedRegistration, RegistrationFilter, Subject};

/// A charm to deploy.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeployRequest {
    /// The name of the source file, which determines its language: `counter.tsx`.
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
    /// The charm whose program this replaces. It keeps its ID and its cells; inputs only initialize new cells.
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

/// A value to set in a cell of a charm.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetRequest {
    /// Where: the cell's name, then object keys or array indices; `-` is the place after an array's last item. Missing
    /// objects on the way are created.
    pub path: Vec<String>,
    /// The value. It may be secret.
    pub value: Value,
    /// Whether to create the cell if it does not exist.
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
    /// False if the same charm existed; its cells are unchanged then.
    pub created: bool,
    /// Whether its program was replaced.
    #[serde(default)]
    pub updated: bool,
    /// Its name for people.
    pub name: Option<String>,
    /// The names of its streams, sorted.
    pub streams: Vec<String>,
    /// Warnings for its author, each with its place in a file: a handler's write contradicts the type of a cell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A charm of a space, summarized.
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

/// A stored line of a charm's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogEntry {
    /// Its place in the log: later lines have greater ones.
    pub cursor: u64,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
}

/// Selects lines of a charm's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// The lines after this place; the newest if `None`.
    pub after: Option<u64>,
    /// The limit. A thousand lines of a charm are kept.
    pub limit: usize,
    /// If there are none, whether to wait for some, up to [20 s](crate::wire::CHANGES_WAIT_SECONDS).
    pub wait: bool,
}

/// A space, summarized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpaceSummary {
    /// Which space.
    pub space: SpaceDid,
    /// The name that its creator gave it, if its key is random.
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
    /// Deploys a charm: runs its `setup` and keeps the resulting cells. If the space does not exist, it is created with
    /// the caller as its owner; on a server that others reach, only the operator creates spaces this way, unless new
    /// spaces are open. The charm's ID is derived from the space, the file's name, the source and the inputs: deploying
    /// the same again results in the same charm, which keeps its cells. With [`DeployRequest::charm`], the program of
    /// that charm is replaced.
    async fn deploy(&self, space: &SpaceDid, request: &DeployRequest) -> Result<Deployed, RuntimeError>;

    /// Deletes a charm with its registration, cells, secrets, log and runs. Nothing of it stays in the database's file.
    /// A handler that runs for it meanwhile ends with [`RuntimeError::NotFound`], and its writes are discarded. Only
    /// the owner of the space, or the service, may delete.
    async fn delete(&self, charm: &CharmRef) -> Result<(), RuntimeError>;

    /// Creates a space with a random key, so that knowing its name does not mean owning it. Names belong to their
    /// callers: others may have spaces of the same name.
    async fn new_space(&self, name: &str) -> Result<SpaceSummary, RuntimeError>;

    /// The spaces that the caller has created or owns, oldest first; for the service, all spaces. With a name, the
    /// caller's space of that name, if it exists.
    async fn spaces(&self, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError>;

    /// Who may do what in a space.
    async fn acl(&self, space: &SpaceDid) -> Result<Acl, RuntimeError>;

    /// Sets the level of a subject; `None` removes it. Returns the new list, which has 100 subjects at most.
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

    /// The charm's page for its present cells: a JSON array of texts and of nodes `{name, props, children}`, with
    /// secrets masked. `None` if it has no page. Its program runs for that, and its writes are discarded.
    async fn page(&self, charm: &CharmRef) -> Result<Option<Value>, RuntimeError>;

    /// Sets a value in a cell, as a handler would: secrets are sealed, quotas apply, and a handler that runs meanwhile
    /// sees the value or runs again.
    async fn set(&self, charm: &CharmRef, request: &SetRequest) -> Result<(), RuntimeError>;

    /// Lines that a charm logged, oldest first. They are stored with the result of the call, so they appear when it has
    /// ended.
    async fn logs(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError>;

    /// Enables all registrations that the filter matches; without a state, all that do not run as they should. Returns
    /// how many. [`RuntimeError::Invalid`] if no registration has the integration or the space that the filter names.
    async fn enable_all(&self, filter: &RegistrationFilter) -> Result<u64, RuntimeError>;

    /// The registrations that cannot be read and that [`registrations`](bg_poller::CharmRuntime::registrations) skips.
    /// Reads all rows.
    async fn damaged(&self) -> Result<Vec<DamagedRegistration>, RuntimeError>;
}

/// Everything that a charm runtime does.
pub trait Runtime: CharmRuntime + Spaces + Accounts {}

impl<T: CharmRuntime + Spaces + Accounts + ?Sized> Runtime for T {}
