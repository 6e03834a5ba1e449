//! Integrations that are components.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bg_egress::GateClient;
use bg_identity::{IntegrationId, SpaceReader};
use bg_manifest::Manifest;
use bg_poller::{
    Charm, CharmRef, Fitness, Integration, IntegrationError, IntegrationState, OutcomeKind, Servers, StateChanges,
    StateError,
};
use wasmtime::Store;
use wasmtime::component::Resource;

use crate::bindings::integration::{self as contract, values};
use crate::call::{Call, Function};
use crate::config::Config;
use crate::draft::Draft;
use crate::failure::{CallFailure, Explanation, GuestError, Refusal};
use crate::host::log::Scope;
use crate::host::{self, CallState, IntegrationWorld, OpenCharm, Surroundings};
use crate::load::{LoadError, LoadedComponent, World};
use crate::registrations::Registrations;
use crate::share::Share;
use crate::{Sandbox, text};

/// How many origins are remembered until the loop asks: it does after each poll and each list.
const MOST_SERVERS: usize = 256;

/// The origins that answered an integration's calls well, and those that accepted a request of one.
#[derive(Debug, Default)]
struct WellServers {
    answered: BTreeSet<String>,
    accepted: BTreeSet<String>,
}

/// The inputs of an integration.
pub struct IntegrationSetup {
    /// Its manifest: usually from the component's own [info](LoadedComponent::info).
    pub manifest: Manifest,
    /// What the operator set; the manifest's defaults apply to all other keys.
    pub config: BTreeMap<String, String>,
    /// Its registrations.
    pub registrations: Arc<Registrations>,
    /// Its own state.
    pub state: Arc<dyn IntegrationState>,
    /// Its client of the gate.
    pub http: GateClient,
}

/// An integration that is a component. Each call has its own store.
pub struct IntegrationComponent {
    id: IntegrationId,
    sandbox: Sandbox,
    pre: contract::IntegrationPre<CallState<IntegrationWorld>>,
    config: Arc<BTreeMap<String, String>>,
    registrations: Arc<Registrations>,
    state: Arc<dyn IntegrationState>,
    http: GateClient,
    share: Share,
    /// What the last successful `fetch-charms` wrote to its state, if it is not kept yet.
    unkept: Mutex<StateChanges>,
    /// What its calls say about servers since the loop last asked.
    servers: Mutex<WellServers>,
}

impl IntegrationComponent {
    /// Links a component that was loaded for [`World::Integration`] by the same sandbox.
    pub fn new(sandbox: &Sandbox, loaded: &LoadedComponent, setup: IntegrationSetup) -> Result<Self, LoadError> {
        let linker =
            host::integration_linker(sandbox.engine()).map_err(|error| LoadError::Compile(error.to_string()))?;
        let pre = loaded.link(&linker, World::Integration, contract::IntegrationPre::new)?;
        let IntegrationSetup { manifest, config: configured, registrations, state, http } = setup;
        let id = manifest.integration.id;
        let defaults = manifest.config.into_iter().filter_map(|(key, value)| Some((key, value.default?)));
        let mut config: BTreeMap<_, _> = defaults.collect();
        config.extend(configured);
        let (sandbox, config, share) = (sandbox.clone(), Arc::new(config), Share::new());
        Ok(Self {
            id,
            sandbox,
            pre,
            config,
            registrations,
            state,
            http,
            share,
            unkept: Mutex::default(),
            servers: Mutex::default(),
        })
    }

    async fn begin(
        &self,
        name: &'static str,
        time: Duration,
        charm: Option<&CharmRef>,
        draft: Option<Draft>,
    ) -> Result<Call<IntegrationWorld>, CallFailure> {
        let function = Function { name, time, memory: self.sandbox.limits().integration_memory };
        let around = Surroundings {
            scope: Scope { integration: Some(self.id.clone()), charm: charm.cloned(), ..Scope::default() },
            config: Config::plain(self.config.clone()),
            http: self.http.clone(),
            secrets: Vec::new(),
            says_causes: false,
        };
        let world = IntegrationWorld {
            id: self.id.clone(),
            runtime: self.registrations.runtime().clone(),
            state: self.state.clone(),
            draft,
            unfit: None,
            registrations: self.registrations.clone(),
            registered: None,
            polls: None,
        };
        Call::begin(&self.sandbox, function, around, world).await
    }

    /// A call has succeeded.
    fn note_servers(&self, state: &CallState<IntegrationWorld>) {
        let servers = &mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let Servers { answered, accepted, .. } = state.outbound.failures().servers();
        for (all, of_call) in [(&mut servers.answered, answered), (&mut servers.accepted, accepted)] {
            for origin in of_call {
                if all.len() < MOST_SERVERS {
                    all.insert(origin);
                }
            }
        }
    }

    fn unkept(&self) -> MutexGuard<'_, StateChanges> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the well-formed references, without duplicates, and logs how many were dropped.
    fn accept(&self, answered: &[values::CharmRef]) -> Result<Vec<CharmRef>, IntegrationError> {
        let limit = self.sandbox.limits().charm_refs;
        if answered.len() > limit {
            let message = format!("fetch-charms answered {} charms; the limit is {limit}", answered.len());
            return Err(IntegrationError::new(OutcomeKind::LimitExceeded, message));
        }
        let (mut seen, mut spaces) = (HashSet::with_capacity(answered.len()), SpaceReader::default());
        let mut charms = Vec::with_capacity(answered.len());
        let (mut malformed, mut twice, mut example) = (0_u32, 0_u32, None);
        for charm in answered {
            match host::from_guest(charm, &mut spaces) {
                Ok(charm) if seen.insert(charm.clone()) => charms.push(charm),
                Ok(_) => twice += 1,
                Err(error) => {
                    malformed += 1;
                    example.get_or_insert_with(|| text::one_line(&error.to_string(), 256));
                }
            }
        }
        if malformed > 0 || twice > 0 {
            let example = example.unwrap_or_default();
            tracing::warn!(integration = %self.id, malformed, twice, example, "fetch-charms answered charms that are \
                left out");
        }
        Ok(charms)
    }
}

#[async_trait]
impl Integration for IntegrationComponent {
    fn id(&self) -> &IntegrationId {
        &self.id
    }

    async fn initialize(&self) -> Result<(), IntegrationError> {
        let call = self.begin("initialize", self.sandbox.limits().initialize_time, None, None).await?;
        let pre = self.pre.clone();
        let work = |mut store| async move {
            let end = async {
                let guest = pre.instantiate_async(&mut store).await?;
                Ok(guest.call_initialize(&mut store).await?.map_err(GuestError::from))
            };
            let end = end.await;
            (store, end)
        };
        call.run(&self.share, work).await?;
        Ok(())
    }

    async fn fetch_charms(&self) -> Result<Vec<CharmRef>, IntegrationError> {
        self.unkept().clear();
        let call =
            self.begin("fetch-charms", self.sandbox.limits().fetch_charms_time, None, Some(Draft::default())).await?;
        let pre = self.pre.clone();
        let work = |mut store| async move {
            let end = async {
                let guest = pre.instantiate_async(&mut store).await?;
                Ok(guest.call_fetch_charms(&mut store).await?.map_err(GuestError::from))
            };
            let end = end.await;
            (store, end)
        };
        let (answered, state) = call.run(&self.share, work).await?;
        self.note_servers(&state);
        let charms = self.accept(&answered)?;
        *self.unkept() = state.world.draft.map(Draft::into_changes).unwrap_or_default();
        Ok(charms)
    }

    fn has_unkept_state(&self) -> bool {
        !self.unkept().is_empty()
    }

    async fn keep_state(&self) -> Result<(), StateError> {
        let changes = std::mem::take(&mut *self.unkept());
        self.state.apply(&self.id, &changes).await
    }

    fn take_servers(&self) -> Servers {
        let WellServers { answered, accepted } =
            std::mem::take(&mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner));
        Servers { failed: None, answered: answered.into_iter().collect(), accepted: accepted.into_iter().collect() }
    }

    async fn is_valid_charm(&self, charm: Arc<dyn Charm>) -> Result<Fitness, IntegrationError> {
        let time = self.sandbox.limits().is_valid_charm_time;
        let call = self.begin("is-valid-charm", time, Some(charm.charm_ref()), None).await?;
        let pre = self.pre.clone();
        let work = |mut store: Store<CallState<IntegrationWorld>>| async move {
            let end = async {
                let guest = pre.instantiate_async(&mut store).await?;
                let charm = store.data_mut().table.push(OpenCharm(charm))?;
                // Lent, not given: the guest can't drop it, and the table is dropped with the store.
                let lent = Resource::new_borrow(charm.rep());
                Ok(guest.call_is_valid_charm(&mut store, lent).await?.map_err(GuestError::from))
            };
            let end = end.await;
            (store, end)
        };
        let (is_valid, state) = call.run(&self.share, work).await?;
        self.note_servers(&state);
        let explanation = state.outbound.failures().explain();
        match explanation {
            // The answer depends on the failed request; the integration is not at fault.
            Explanation::Cause(refusal) if !is_valid => {
                let reason = state.world.unfit.map_or_else(String::new, |reason| format!(" ({reason})"));
                let (kind, message) =
                    (refusal.kind(), format!("it finds the charm unfit{reason}, but {}", refusal.text));
                let Refusal { cause, server, .. } = refusal;
                Err(CallFailure { cause: Some(cause), server, ..CallFailure::new(kind, message) }.into())
            }
            _ if is_valid => Ok(Fitness::Fit),
            _ => Ok(Fitness::Unfit(state.world.unfit)),
        }
    }
}

impl From<contract::IntegrationError> for GuestError {
    /// A temporary error counts against no charm.
    fn from(error: contract::IntegrationError) -> Self {
        let (kind, message) = match error {
            contract::IntegrationError::Temporary(message) => (OutcomeKind::Unavailable, message),
            contract::IntegrationError::Permanent(message) => (OutcomeKind::HandlerFailed, message),
        };
        Self { kind, message, stack: None }
    }
}
