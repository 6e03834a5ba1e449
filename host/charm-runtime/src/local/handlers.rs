//! Charms' programs, in the sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bg_egress::{GateClient, KnownSecret};
use bg_identity::{Secret, printable};
use bg_poller::{CharmRef, LogLevel, LogLine, UnixMillis};
use bg_sandbox::{CallFailure, CallLines, CellReader, CellWrites, CharmCall, CharmComponent, Program, Shape};
use bg_store::paths::SecretPaths;
use bg_store::{SecretText, StoredCharm};
use bg_transpile::Transpiled;
use serde_json::{Map, Value, json};
use url::Url;

use super::snapshot::Snapshot;

/// What a component of world `charm` finds under these keys of its `config`.
mod key {
    /// The charm's module, as [`transpile`](bg_transpile::transpile) made it.
    pub(super) const MODULE: &str = "charm.module";
    /// The name of its source file, for stacks.
    pub(super) const FILE: &str = "charm.file";
    /// A JSON object of the modules of its further files, by their paths. Only if there are some.
    pub(super) const FILES: &str = "charm.files";
    /// How much memory a call may take, in bytes.
    pub(super) const MEMORY: &str = "charm.memory";
    /// Where the charm runtime's API is.
    pub(super) const API_URL: &str = "charm.api-url";
    /// A JSON array of the paths of what is secret: the name of a cell, then keys; `*` is any of them. At `setup`, of
    /// what is secret in every charm, or was in this one.
    pub(super) const SECRETS: &str = "charm.secrets";
    /// A JSON array of the names of cells that others have written since the last call; `*` is any of them. Only if
    /// there are some.
    pub(super) const CHANGED: &str = "charm.changed";
    /// A JSON object of initial values. At `setup` only.
    pub(super) const INPUTS: &str = "charm.inputs";
}

/// What runs charms' handlers.
#[derive(Clone)]
pub struct Handlers {
    /// The component that evaluates charms' modules.
    pub component: Arc<CharmComponent>,
    /// The charms' way out to HTTP.
    pub http: GateClient,
    /// The URL of the charm runtime's API, for `getRecipeEnvironment()`; the original's default
    /// if none.
    pub api_url: Option<Url>,
}

/// What a charm has before its `setup` runs.
pub(super) struct Before<'b> {
    /// Its cells.
    pub(super) cells: Box<dyn CellReader>,
    /// What is secret in them.
    pub(super) paths: &'b SecretPaths,
    /// The texts of that, and those that are put in.
    pub(super) secrets: Vec<KnownSecret>,
}

impl Handlers {
    /// The same for polls.
    pub(super) fn for_polls(&self) -> Self {
        Self { http: self.http.for_polls(), ..self.clone() }
    }

    /// Runs a charm's `setup` over what it has; answers what it logged, too, whatever came of it.
    pub(super) async fn set_up(
        &self,
        charm: &CharmRef,
        file_name: &str,
        program: &Transpiled,
        inputs: &Map<String, Value>,
        before: Before<'_>,
    ) -> (Result<(Shape, CellWrites), CallFailure>, Vec<LogLine>) {
        let Before { cells, paths, secrets } = before;
        let log = CallLines::default();
        let mut config = self.config(file_name, paths);
        config.insert(key::INPUTS.to_owned(), Value::Object(inputs.clone()).to_string());
        let call = CharmCall {
            charm: charm.clone(),
            cells,
            streams: BTreeSet::new(),
            program: Arc::new(self::program(&program.module, &program.files)),
            config: Arc::new(config),
            http: self.http.clone(),
            secrets,
            log: log.clone(),
        };
        let result = self.component.setup(call).await;
        (result, [warnings(program), log.take()].concat())
    }

    /// Runs the handler of a stream; returns what it logged, too, however it ends, and which servers answered it.
    pub(super) async fn handle(
        &self,
        charm: &StoredCharm,
        program: &Arc<Program>,
        cells: Snapshot,
        secrets: Vec<KnownSecret>,
        stream: &str,
        event: &str,
    ) -> (Result<CellWrites, CallFailure>, CallLines) {
        let log = CallLines::default();
        let mut call = self.call(charm, program, Box::new(cells), secrets, log.clone());
        if !charm.changed.is_empty() {
            Arc::make_mut(&mut call.config).insert(key::CHANGED.to_owned(), json!(charm.changed).to_string());
        }
        let result = self.component.handle(call, stream, event).await;
        (result, log)
    }

    /// Makes a charm's page, as JSON.
    pub(super) async fn page(
        &self,
        charm: &StoredCharm,
        program: &Transpiled,
        cells: Box<dyn CellReader>,
        secrets: Vec<KnownSecret>,
    ) -> Result<Option<String>, CallFailure> {
        self.component
            .page(self.call(
                charm,
                &Arc::new(self::program(&program.module, &program.files)),
                cells,
                secrets,
                CallLines::default(),
            ))
            .await
    }

    fn call(
        &self,
        charm: &StoredCharm,
        program: &Arc<Program>,
        cells: Box<dyn CellReader>,
        secrets: Vec<KnownSecret>,
        log: CallLines,
    ) -> CharmCall {
        CharmCall {
            charm: charm.summary.charm.clone(),
            cells,
            streams: charm.summary.streams.iter().cloned().collect(),
            program: Arc::clone(program),
            config: Arc::new(self.config(&charm.summary.file_name, &charm.secrets)),
            http: self.http.clone(),
            secrets,
            log,
        }
    }

    fn config(&self, file_name: &str, secrets: &SecretPaths) -> BTreeMap<String, String> {
        let mut config = BTreeMap::from([
            (key::SECRETS.to_owned(), json!(secrets).to_string()),
            (key::FILE.to_owned(), file_name.to_owned()),
            (key::MEMORY.to_owned(), self.component.memory().to_string()),
        ]);
        config.extend(self.api_url.as_ref().map(|url| (key::API_URL.to_owned(), url.to_string())));
        config
    }
}

/// The program as its component finds it.
pub(super) fn program(module: &str, files: &BTreeMap<String, String>) -> Program {
    let files = (!files.is_empty()).then(|| (key::FILES.to_owned(), json!(files).to_string()));
    Program::new([(key::MODULE.to_owned(), module.to_owned())].into_iter().chain(files).collect())
}

/// What the transpiler warns of, as lines of the charm's log.
fn warnings(program: &Transpiled) -> Vec<LogLine> {
    let line = |text| LogLine { at: UnixMillis::now(), level: LogLevel::Warn, text };
    program.warnings.iter().map(|warning| line(printable(&warning.to_string()).into_owned())).collect()
}

/// Every text in the inputs of a charm. Which of them are secret is known only once it is set up.
pub(super) fn input_secrets(inputs: &Map<String, Value>) -> Vec<SecretText> {
    let every_cell = SecretPaths::new(vec![vec!["*".to_owned()]]);
    let located = inputs.iter().flat_map(|(name, value)| every_cell.located(name, value.clone()));
    located.map(|(path, text)| SecretText { path, text: Secret::new(text) }).collect()
}
