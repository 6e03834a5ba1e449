//! The charms of an integration: its own enabled registrations, and a read-only view of these charms.

use std::sync::Arc;

use bg_identity::{IntegrationId, SpaceReader};
use bg_poller::{
    Charm, CharmRef, CharmRuntime, IntegrationState, Lookup, ParseCharmRefError, Registration, RuntimeError, UnixMillis,
};
use wasmtime::component::Resource;

use super::CallState;
use super::handle::OpenCharm;
use crate::bindings::integration::charms::{self, CharmError};
use crate::bindings::integration::values;
use crate::draft::Draft;
use crate::registrations::{Own, Registrations};
use crate::text;

/// The longest reason why a charm is not fit for polling, in bytes.
const REASON_BYTES: usize = 1024;

/// What only guests of world `integration` have.
pub(crate) struct IntegrationWorld {
    pub(crate) id: IntegrationId,
    pub(crate) runtime: Arc<dyn CharmRuntime>,
    pub(crate) state: Arc<dyn IntegrationState>,
    /// Its writes to its state, if they are not kept at once.
    pub(crate) draft: Option<Draft>,
    pub(crate) registrations: Arc<Registrations>,
    /// The reason why the charm in question is not fit for polling.
    pub(crate) unfit: Option<String>,
    /// Its registrations once it asked for them, or the error: the same for the whole call, however often it asks.
    pub(crate) registered: Option<Result<Arc<Own>, CharmError>>,
    /// The same with the results of their polls.
    pub(crate) polls: Option<Result<Arc<[Registration]>, CharmError>>,
}

impl IntegrationWorld {
    async fn registered(&mut self) -> Result<Arc<Own>, CharmError> {
        if let Some(charms) = &self.registered {
            return charms.clone();
        }
        let charms = self.registrations.fresh().await.map_err(|error| self.for_guest(&error));
        self.registered.insert(charms).clone()
    }

    async fn polls(&mut self) -> Result<Arc<[Registration]>, CharmError> {
        if let Some(polls) = &self.polls {
            return polls.clone();
        }
        let polls = match self.registrations.with_polls().await {
            Ok((charms, registrations)) => {
                // Charms that the guest opens later need no second lookup.
                self.registered.get_or_insert(Ok(charms));
                Ok(registrations.into())
            }
            Err(error) => Err(self.for_guest(&error)),
        };
        self.polls.insert(polls).clone()
    }

    /// Problems of the runtime are for the operator, not for the guest.
    fn for_guest(&self, error: &RuntimeError) -> CharmError {
        if matches!(error, RuntimeError::NotFound(_)) {
            return CharmError::NotFound;
        }
        tracing::warn!(integration = %self.id, %error, "an integration's request to the charm runtime failed");
        CharmError::Unavailable(if error.is_unavailable() {
            "the charm runtime did not answer".into()
        } else {
            "the charm runtime refused".into()
        })
    }
}

impl charms::Host for CallState<IntegrationWorld> {
    async fn registered(&mut self) -> wasmtime::Result<Result<Vec<values::CharmRef>, CharmError>> {
        Ok(self.world.registered().await.map(|charms| charms.list().iter().map(to_guest).collect()))
    }

    async fn registered_with_polls(&mut self) -> wasmtime::Result<Result<Vec<charms::Polls>, CharmError>> {
        Ok(self.world.polls().await.map(|registrations| registrations.iter().map(polls).collect()))
    }

    async fn open(&mut self, charm: values::CharmRef) -> wasmtime::Result<Result<Resource<OpenCharm>, CharmError>> {
        let charm = match from_guest(&charm, &mut SpaceReader::default()) {
            Ok(charm) => charm,
            Err(error) => return Ok(Err(CharmError::Malformed(error.to_string()))),
        };
        match self.world.registered().await {
            Ok(registered) if registered.contains(&charm) => {}
            Ok(_) => return Ok(Err(CharmError::NotFound)),
            Err(error) => return Ok(Err(error)),
        }
        match self.world.runtime.open(&charm).await {
            Ok(charm) => Ok(Ok(self.table.push(OpenCharm(charm))?)),
            Err(error) => Ok(Err(self.world.for_guest(&error))),
        }
    }

    async fn prepare_list(&mut self) -> wasmtime::Result<Result<(), CharmError>> {
        let world = &self.world;
        Ok(world.runtime.prepare_list(&world.id).await.map_err(|error| world.for_guest(&error)))
    }
}

impl charms::HostCharm for CallState<IntegrationWorld> {
    async fn ref_(&mut self, charm: Resource<OpenCharm>) -> wasmtime::Result<values::CharmRef> {
        Ok(to_guest(self.charm(&charm)?.charm_ref()))
    }

    async fn keys(&mut self, charm: Resource<OpenCharm>) -> wasmtime::Result<Result<Vec<String>, CharmError>> {
        let charm = self.charm(&charm)?;
        Ok(charm.keys().await.map_err(|error| self.world.for_guest(&error)))
    }

    async fn has_stream(
        &mut self,
        charm: Resource<OpenCharm>,
        name: String,
    ) -> wasmtime::Result<Result<bool, CharmError>> {
        let charm = self.charm(&charm)?;
        Ok(charm.has_stream(&name).await.map_err(|error| self.world.for_guest(&error)))
    }

    async fn get(
        &mut self,
        charm: Resource<OpenCharm>,
        path: Vec<String>,
    ) -> wasmtime::Result<Result<charms::Lookup, CharmError>> {
        let charm = self.charm(&charm)?;
        Ok(match charm.get(&path).await {
            Ok(Lookup::Value(value)) => self.json(&value).map(charms::Lookup::Value),
            Ok(Lookup::Secret) => Ok(charms::Lookup::Secret),
            Ok(Lookup::Absent) => Ok(charms::Lookup::Absent),
            Err(error) => Err(self.world.for_guest(&error)),
        })
    }

    async fn explain(&mut self, charm: Resource<OpenCharm>, reason: String) -> wasmtime::Result<()> {
        self.charm(&charm)?;
        self.world.unfit = Some(text::one_line(&reason, REASON_BYTES)).filter(|reason| !reason.is_empty());
        Ok(())
    }

    async fn drop(&mut self, charm: Resource<OpenCharm>) -> wasmtime::Result<()> {
        self.table.delete(charm)?;
        Ok(())
    }
}

impl CallState<IntegrationWorld> {
    fn charm(&self, charm: &Resource<OpenCharm>) -> wasmtime::Result<Arc<dyn Charm>> {
        Ok(self.table.get(charm)?.0.clone())
    }

    fn json(&self, value: &serde_json::Value) -> Result<String, CharmError> {
        let text = value.to_string();
        let limit = self.limits.json_bytes;
        if text.len() <= limit {
            return Ok(text);
        }
        Err(CharmError::Unavailable(format!("the value has {} bytes of JSON; the limit is {limit}", text.len())))
    }
}

fn polls(registration: &Registration) -> charms::Polls {
    let time = |at: UnixMillis| (!at.is_never()).then_some(at.0);
    charms::Polls {
        charm: to_guest(&registration.charm),
        last_success: time(registration.last_success),
        last_poll: time(registration.last_run),
        last_outcome: registration.last_outcome.map(|kind| kind.as_str().to_owned()),
    }
}

/// A charm reference in the form of the contract.
pub(crate) fn to_guest(charm: &CharmRef) -> values::CharmRef {
    values::CharmRef { space: charm.space.to_string(), charm_id: charm.charm.to_string() }
}

/// Parses a charm reference from the contract's form.
pub(crate) fn from_guest(charm: &values::CharmRef, spaces: &mut SpaceReader) -> Result<CharmRef, ParseCharmRefError> {
    Ok(CharmRef { space: spaces.read(&charm.space)?, charm: charm.charm_id.parse()? })
}
