//! A deployed charm, and what it runs in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bg_egress::{ClientOptions, Gate, GateClient, GateOptions, Owner};
use bg_manifest::EffectiveGrant;
use bg_poller::CharmRef;
use bg_sandbox::{CallFailure, CallLines, CharmCall, CharmComponent, Limits, Sandbox, SandboxOptions, Shape, World};
use bg_test_support::charm_source;
use bg_transpile::{Sources, Transpiled, gather, transpile, transpile_files};
use serde_json::{Value, json};

/// Where things of the workspace are.
pub(crate) fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The script component in a sandbox of its own, with the time that a call may take. Its compiled code is kept for the
/// next test.
pub(crate) async fn component(charm_time: Duration) -> Arc<CharmComponent> {
    let guests = tokio::task::spawn_blocking(bg_build::ensure_guests).await.unwrap().unwrap();
    // How long loading ahead takes says something of the machine only.
    let limits = Limits { charm_time, preload_time: charm_time, ..Limits::default() };
    let cache = Some(workspace("target/script-test-cache"));
    let sandbox = Sandbox::new(SandboxOptions { limits, cache, ..SandboxOptions::default() }).unwrap();
    let loaded = sandbox.load(std::fs::read(guests.path("script").unwrap()).unwrap(), World::Charm).await.unwrap();
    Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap())
}

/// The charms' way out: to `origin` alone, if any.
pub(crate) fn client(origin: Option<&str>) -> GateClient {
    let mut gate = GateOptions::default();
    let mut options = ClientOptions::new(Owner::Charms);
    if let Some(origin) = origin {
        gate.allow_private.push(origin.parse().unwrap());
        options.grants.push(EffectiveGrant { grant: format!("GET,POST {origin}").parse().unwrap(), credential: None });
    }
    Gate::new(gate).client(options).unwrap()
}

/// A deployed charm.
pub(crate) struct Charm {
    component: Arc<CharmComponent>,
    http: GateClient,
    config: BTreeMap<String, String>,
    cells: BTreeMap<String, String>,
    pub(crate) shape: Shape,
}

impl Charm {
    pub(crate) async fn deploy(
        component: &Arc<CharmComponent>,
        file: &str,
        source: &str,
        inputs: &Value,
        http: GateClient,
    ) -> Result<Self, CallFailure> {
        let program = transpile(file, source).unwrap_or_else(|error| panic!("{error}"));
        Self::of_program(component, file, program, inputs, http).await
    }

    pub(crate) async fn of_program(
        component: &Arc<CharmComponent>,
        file: &str,
        program: Transpiled,
        inputs: &Value,
        http: GateClient,
    ) -> Result<Self, CallFailure> {
        let files = json!(program.files).to_string();
        let config = [("charm.module", program.module), ("charm.file", file.to_owned()), ("charm.files", files)];
        let config = config.map(|(key, value)| (key.to_owned(), value)).into();
        let mut charm =
            Self { component: component.clone(), http, config, cells: BTreeMap::new(), shape: Shape::default() };
        let mut config = charm.config.clone();
        config.insert("charm.inputs".into(), inputs.to_string());
        let (shape, writes) = component.setup(charm.call(config)).await?;
        charm.config.insert("charm.secrets".into(), json!(shape.secrets).to_string());
        charm.shape = shape;
        charm.cells.extend(writes);
        Ok(charm)
    }

    pub(crate) async fn fixture(component: &Arc<CharmComponent>, file: &str, inputs: Value, http: GateClient) -> Self {
        let source = std::fs::read_to_string(charm_source(file)).unwrap();
        Self::changed_fixture(component, file, source, inputs, http).await
    }

    /// A fixture with another text in place of its first file's.
    pub(crate) async fn changed_fixture(
        component: &Arc<CharmComponent>,
        file: &str,
        source: String,
        inputs: Value,
        http: GateClient,
    ) -> Self {
        let path = charm_source(file);
        let folder = path.parent().unwrap();
        let files = gather(file, &source, |import| Ok::<_, ()>(std::fs::read_to_string(folder.join(import.path)).ok()))
            .unwrap();
        let program = transpile_files(&Sources { file_name: file, source: &source, files: &files });
        Self::of_program(component, file, program.unwrap_or_else(|error| panic!("{error}")), &inputs, http)
            .await
            .unwrap_or_else(|failure| panic!("{file}: {failure:?}"))
    }

    fn call(&self, config: BTreeMap<String, String>) -> CharmCall {
        let space = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo".parse().unwrap();
        CharmCall {
            charm: CharmRef { space, charm: "fid1:test".parse().unwrap() },
            cells: Box::new(self.cells.clone()),
            streams: self.shape.streams.iter().cloned().collect::<BTreeSet<_>>(),
            program: Arc::default(),
            config: Arc::new(config),
            http: self.http.clone(),
            secrets: Vec::new(),
            log: CallLines::default(),
        }
    }

    pub(crate) async fn trigger(&mut self, stream: &str, event: Value) -> Result<(), CallFailure> {
        let writes = self.component.handle(self.call(self.config.clone()), stream, &event.to_string()).await?;
        self.cells.extend(writes);
        Ok(())
    }

    pub(crate) async fn poll(&mut self) {
        self.trigger("bgUpdater", json!({})).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    }

    /// Sets a cell from outside.
    pub(crate) fn set(&mut self, name: &str, value: &Value) {
        self.cells.insert(name.into(), value.to_string());
    }

    pub(crate) fn cell(&self, name: &str) -> Value {
        self.cells.get(name).map_or(Value::Null, |json| serde_json::from_str(json).unwrap())
    }

    /// What each item of a cell has under a key.
    pub(crate) fn each(&self, cell: &str, key: &str) -> Vec<String> {
        let items = self.cell(cell);
        items.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    }
}
