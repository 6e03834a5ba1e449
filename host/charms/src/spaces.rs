//! What people do with spaces and charms, beside polling.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bg_identity::SpaceDid;
use bg_poller::{CharmRef, CharmRuntime, RuntimeError, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccessLevel, Acl, Subject};

/// A charm to be deployed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeployRequest {
    /// The name of the source file, which tells its language: `counter.tsx`.
    pub file_name: String,
    /// Its text.
    pub source: String,
    /// Initial values of cells, in place of the pattern's defaults. They may hold secrets.
    #[serde(default)]
    pub inputs: Map<String, Value>,
}

/// Without the inputs' values, which may hold secrets.
impl fmt::Debug for DeployRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployRequest")
            .field("file_name", &self.file_name)
            .field("inputs", &self.inputs.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A charm that is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// Which charm.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// False if the same charm was there before; then its cells are as they were.
    pub created: bool,
    /// Its name for people.
    pub name: Option<String>,
    /// The names of its streams, sorted.
    pub streams: Vec<String>,
}

/// One charm of a space, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CharmShow {
    /// What it is.
    #[serde(flatten)]
    pub summary: CharmSummary,
    /// Its cells by name, with [`SECRET_MASK`](bg_identity::SECRET_MASK) in place of each secret.
    pub cells: BTreeMap<String, Value>,
}

/// Spaces, their access lists and their charms.
#[async_trait]
pub trait Spaces: Send + Sync {
    /// Deploys a charm: runs its `setup` and keeps the cells which that made. A space that is not there is created, with the
    /// caller as its owner. The charm's ID is made from the space, the file's name, the source and the inputs: deploying the
    /// same again is the same charm, which keeps its cells.
    async fn deploy(&self, space: &SpaceDid, request: &DeployRequest) -> Result<Deployed, RuntimeError>;

    /// Who may do what in a space.
    async fn acl(&self, space: &SpaceDid) -> Result<Acl, RuntimeError>;

    /// Grants a subject a level, or nothing, in place of what it had. Answers the list as it is then.
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
}

/// All that a charm runtime does.
pub trait Runtime: CharmRuntime + Spaces {}

impl<T: CharmRuntime + Spaces + ?Sized> Runtime for T {}
