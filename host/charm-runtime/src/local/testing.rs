//! What the tests here share: a runtime in a folder of its own, and a small program for its charms.

mod guest;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bg_charm_api::{Actor, DeployRequest, Spaces};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_identity::{Did, Identity, SpaceDid, space_did};
use bg_poller::{CharmRef, CharmRuntime, Outcome, RuntimeError};
use bg_sandbox::{CharmComponent, Sandbox, SandboxOptions, World};
use serde_json::{Map, Value, json};

pub(crate) use guest::guest;

use super::{Handlers, LocalHandle, LocalOptions, LocalRuntime};

/// What runs the guest.
pub(crate) async fn handlers(updater: &str) -> Handlers {
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let loaded = sandbox.load(guest(updater), World::Charm).await.unwrap();
    let http = Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Charms)).unwrap();
    Handlers { component: Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap()), http, api_url: None }
}

/// A runtime in a folder of its own.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) runtime: Arc<LocalRuntime>,
}

impl Home {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(options: impl FnOnce(&mut LocalOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut given = LocalOptions::new(dir.path().join("runtime.db"));
        given.handlers = Some(handlers("bgUpdater").await);
        options(&mut given);
        let runtime = Arc::new(LocalRuntime::open(given).unwrap());
        Self { dir, runtime }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir().join("runtime.db")
    }

    /// The same database, as another process has it.
    pub(crate) fn another(&self) -> Arc<LocalRuntime> {
        let mut options = LocalOptions::new(self.database());
        options.handlers.clone_from(&self.runtime.handlers);
        Arc::new(LocalRuntime::open(options).unwrap())
    }

    pub(crate) fn operator(&self) -> LocalHandle {
        self.runtime.as_actor(Actor::Operator)
    }

    /// On behalf of the key of that passphrase.
    pub(crate) fn signed(&self, name: &str) -> LocalHandle {
        self.runtime.as_actor(Actor::Did(did(name)))
    }

    /// Deploys a charm with these inputs, in [`space`].
    pub(crate) async fn deploy(&self, inputs: Value) -> CharmRef {
        self.operator().deploy(&space(), &source("guest.js", inputs)).await.unwrap().charm
    }

    /// The cells of a charm, secrets masked.
    pub(crate) async fn cells(&self, charm: &CharmRef) -> Value {
        json!(self.operator().show(charm).await.unwrap().cells)
    }

    pub(crate) async fn trigger(&self, charm: &CharmRef, stream: &str, event: Value) -> Result<Outcome, RuntimeError> {
        self.operator().polling(true).trigger(charm, stream, &event).await
    }
}

pub(crate) fn did(name: &str) -> Did {
    Identity::from_passphrase(name).did()
}

pub(crate) fn space() -> SpaceDid {
    space_did("my-space")
}

/// A charm's source. The guest takes no notice of it, beside its inputs.
pub(crate) fn source(file_name: &str, inputs: impl Into<Value>) -> DeployRequest {
    let source = "import { pattern } from \"commontools\";\nexport default pattern(() => ({}));\n".to_owned();
    let inputs = match inputs.into() {
        Value::Object(inputs) => inputs,
        _ => Map::new(),
    };
    DeployRequest { file_name: file_name.to_owned(), source, files: BTreeMap::new(), inputs, charm: None }
}
