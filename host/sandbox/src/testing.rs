//! What the tests here share: the captured log; a charm runtime in memory; small components.

mod contract;
mod guests;
mod log;
mod runtime;
mod server;
pub(crate) mod web;

pub(crate) use contract::{Contract, CoreGuest, WASI, owned};
pub(crate) use guests::{CharmGuest, Guest, refs};
pub(crate) use log::{Lines, capture_log};
pub(crate) use runtime::{MemoryCharm, MemoryRuntime, charm, runtime_with, runtime_with_polls};
pub(crate) use server::Server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bg_egress::{AuditHook, ClientOptions, Gate, GateClient, GateOptions, Owner};
use bg_manifest::{EffectiveGrant, Manifest};

use crate::{
    CallLines, CharmCall, CharmComponent, IntegrationComponent, IntegrationSetup, Limits, LoadError, Registrations,
    Sandbox, SandboxOptions, World,
};

pub(crate) fn sandbox(limits: Limits) -> Sandbox {
    Sandbox::new(SandboxOptions { limits, ..SandboxOptions::default() }).unwrap()
}

/// A manifest with one config key, whose default is `blue`.
pub(crate) fn manifest() -> Manifest {
    Manifest::parse(
        "[integration]\nid = \"gmail\"\nname = \"Gmail\"\nversion = \"0.1.0\"\n[config.colour]\ndefault = \
        \"blue\"\ndescription = \"x\"\n",
    )
    .unwrap()
}

/// A client of the gate without any grant.
pub(crate) fn no_http(owner: Owner) -> GateClient {
    Gate::new(GateOptions::default()).client(ClientOptions::new(owner)).unwrap()
}

/// A client of the gate that may reach one server. `audit` is called with each request.
pub(crate) fn http_to(server: &Server, audit: Option<AuditHook>) -> GateClient {
    let origin = format!("http://{}", server.authority);
    let gate = Gate::new(GateOptions { allow_private: vec![origin.parse().unwrap()], audit, ..GateOptions::default() });
    let grants = vec![EffectiveGrant { grant: format!("{origin}/").parse().unwrap(), credential: None }];
    let owner = Owner::Integration("gmail".parse().unwrap());
    gate.client(ClientOptions { grants, ..ClientOptions::new(owner) }).unwrap()
}

pub(crate) fn setup(runtime: &Arc<MemoryRuntime>) -> IntegrationSetup {
    IntegrationSetup {
        manifest: manifest(),
        config: BTreeMap::new(),
        registrations: Registrations::new("gmail".parse().unwrap(), runtime.clone()),
        state: runtime.clone(),
        http: no_http(Owner::Integration("gmail".parse().unwrap())),
    }
}

pub(crate) async fn load_integration(
    sandbox: &Sandbox,
    component: Vec<u8>,
    runtime: &Arc<MemoryRuntime>,
) -> Result<IntegrationComponent, LoadError> {
    let loaded = sandbox.load(component, World::Integration).await?;
    IntegrationComponent::new(sandbox, &loaded, setup(runtime))
}

/// An integration in its own sandbox, with nothing registered.
pub(crate) async fn integration(limits: Limits, guest: &Guest) -> IntegrationComponent {
    load_integration(&sandbox(limits), guest.build(), &runtime_with(&[])).await.unwrap()
}

pub(crate) async fn charm_component(limits: Limits, guest: &CharmGuest) -> CharmComponent {
    let sandbox = sandbox(limits);
    let loaded = sandbox.load(guest.build(), World::Charm).await.unwrap();
    CharmComponent::new(&sandbox, &loaded).unwrap()
}

pub(crate) fn charm_call(cells: &[(&str, &str)]) -> CharmCall {
    let cells: BTreeMap<String, String> = cells.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    CharmCall {
        charm: charm("a"),
        cells: Box::new(cells),
        streams: BTreeSet::from(["bgUpdater".to_owned()]),
        program: Arc::default(),
        config: Arc::default(),
        http: no_http(Owner::Charms),
        secrets: Vec::new(),
        log: CallLines::default(),
    }
}
