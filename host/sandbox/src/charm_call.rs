//! One call of a charm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bg_egress::{GateClient, KnownSecret};
use bg_poller::CharmRef;

use crate::Sandbox;
use crate::call::{Call, Function};
use crate::cells::{CellReader, Cells};
use crate::config::{Config, Program};
use crate::failure::CallFailure;
use crate::host::log::Scope;
use crate::host::{CallLines, CharmWorld, Surroundings};
use crate::image::Memory;

/// What one call of a charm runs with.
pub struct CharmCall {
    /// Which charm it is, for logs and for the gate's audit.
    pub charm: CharmRef,
    /// Its cells as they are now.
    pub cells: Box<dyn CellReader>,
    /// The names of its streams, which no cell may have. Empty while it is set up.
    pub streams: BTreeSet<String>,
    /// The program, which finds itself by `config`.
    pub program: Arc<Program>,
    /// What else it may ask for by `config`.
    pub config: Arc<BTreeMap<String, String>>,
    /// Its way to the network.
    pub http: GateClient,
    /// What it knows that the log may not: their texts are masked in what it logs. Requests carry them only to where they may go.
    pub secrets: Vec<KnownSecret>,
    /// Gets what it logs, whether it succeeds or not.
    pub log: CallLines,
}

impl CharmCall {
    pub(crate) async fn begin(
        self,
        sandbox: &Sandbox,
        function: Function,
        memory: Memory,
        says_causes: bool,
    ) -> Result<Call<CharmWorld>, CallFailure> {
        let Self { charm, cells, streams, program, config, http, secrets, log } = self;
        let config = Config { program, own: config };
        let texts = secrets.iter().map(|secret| secret.text.clone()).collect();
        let scope = Scope { integration: None, charm: Some(charm), secrets: texts, lines: Some(log) };
        let around = Surroundings { scope, config, http, secrets, says_causes };
        Call::begin(sandbox, function, around, CharmWorld { cells: Cells::new(cells, streams), memory }).await
    }
}
