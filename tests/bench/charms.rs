//! What the measurements use: the sandbox, the components, and charms in a database.

use std::path::Path;
use std::sync::Arc;

use bg_charm_api::{Actor, DeployRequest, Spaces as _};
use bg_charm_runtime::{Handlers, LocalOptions, LocalRuntime};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_poller::{CharmRef, CharmRuntime};
use bg_sandbox::{
    CharmComponent, IntegrationComponent, IntegrationSetup, LoadedComponent, Registrations, Sandbox, SandboxOptions,
    World,
};
use bg_test_support::charm_source;
use serde_json::{Value, json};

/// A charm that takes 50 s for each poll; only this benchmark needs it.
pub(crate) const SLOW: &str = "slow.tsx";
/// The integration that validates charms.
pub(crate) const GMAIL: &str = "gmail";

/// The parts that take time to create.
pub(crate) struct Bench {
    pub(crate) dist: bg_build::Dist,
    sandbox: Sandbox,
    handlers: Handlers,
    gmail: Arc<LoadedComponent>,
    gate: Gate,
}

impl Bench {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let dist = bg_build::ensure_guests()?;
        let sandbox = Sandbox::new(SandboxOptions::default())?;
        let script = sandbox.load(std::fs::read(dist.path("script")?)?, World::Charm).await?;
        let gmail = sandbox.load(std::fs::read(dist.path(GMAIL)?)?, World::Integration).await?;
        let gate = Gate::new(GateOptions::default());
        let handlers = Handlers {
            component: Arc::new(CharmComponent::new(&sandbox, &script)?),
            http: gate.client(ClientOptions::new(Owner::Charms))?,
            api_url: None,
        };
        Ok(Self { dist, sandbox, handlers, gmail, gate })
    }

    /// A charm runtime in a database file, as the service has it.
    pub(crate) fn runtime(&self, database: &Path) -> anyhow::Result<Arc<LocalRuntime>> {
        let options = LocalOptions { handlers: Some(self.handlers.clone()), ..LocalOptions::new(database.to_owned()) };
        Ok(Arc::new(LocalRuntime::open(options)?))
    }

    /// The integration, with nothing granted.
    pub(crate) fn gmail(&self, runtime: &Arc<LocalRuntime>) -> anyhow::Result<IntegrationComponent> {
        let setup = IntegrationSetup {
            manifest: self
                .gmail
                .info()
                .manifest
                .clone()
                .ok_or_else(|| anyhow::anyhow!("gmail.wasm has no manifest"))?,
            config: [("api-base-url".to_owned(), "https://gmail.googleapis.com".to_owned())].into(),
            registrations: Registrations::new(GMAIL.parse()?, Arc::new(runtime.as_actor(Actor::Operator))),
            state: Arc::new(runtime.poll_store()),
            http: self.gate.client(ClientOptions::new(Owner::Integration(GMAIL.parse()?)))?,
        };
        Ok(IntegrationComponent::new(&self.sandbox, &self.gmail, setup)?)
    }
}

/// Deploys a charm of the examples or of the tests, or the slow one, into a space, with a token, and registers it.
/// `number` distinguishes charms of the same space and source.
pub(crate) async fn deploy(
    runtime: &Arc<LocalRuntime>,
    file: &str,
    space: &str,
    integration: &str,
    number: u32,
) -> anyhow::Result<CharmRef> {
    let source = if file == SLOW {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/bench").join(file)
    } else {
        charm_source(file)
    };
    let token = format!("not a token, but number {number}");
    let Value::Object(inputs) = json!({"auth": {"token": token, "refreshToken": ""}}) else { unreachable!() };
    let source = std::fs::read_to_string(source)?;
    let files = std::collections::BTreeMap::new();
    let request = DeployRequest { file_name: file.to_owned(), source, files, inputs, charm: None };
    let runtime = runtime.as_actor(Actor::Operator);
    let charm = runtime.deploy(&bg_identity::space_did(space), &request).await?.charm;
    runtime.register(&charm, &integration.parse()?).await?;
    Ok(charm)
}
