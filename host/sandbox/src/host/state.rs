//! An integration's own durable state.

use bg_poller::StateError;

use super::{CallState, IntegrationWorld};
use crate::bindings::integration::state;
use crate::draft::Draft;

impl state::Host for CallState<IntegrationWorld> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, state::StateError>> {
        let world = &self.world;
        if let Some(value) = world.draft.as_ref().and_then(|draft| draft.get(&key)) {
            return Ok(Ok(value.clone()));
        }
        Ok(world.state.get(&world.id, &key).await.map_err(|error| for_guest(world, error)))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), state::StateError>> {
        Ok(write(&mut self.world, key, Some(value)).await)
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), state::StateError>> {
        Ok(write(&mut self.world, key, None).await)
    }

    async fn keys(&mut self) -> wasmtime::Result<Result<Vec<String>, state::StateError>> {
        let world = &self.world;
        if let Some(keys) = world.draft.as_ref().and_then(Draft::keys) {
            return Ok(Ok(keys));
        }
        Ok(world.state.keys(&world.id).await.map_err(|error| for_guest(world, error)))
    }
}

/// Sets or removes a key; in the draft, if the call's writes are kept later.
async fn write(world: &mut IntegrationWorld, key: String, value: Option<Vec<u8>>) -> Result<(), state::StateError> {
    let written = match (&mut world.draft, value) {
        (Some(draft), value) => draft.write(&*world.state, &world.id, key, value).await,
        (None, Some(value)) => world.state.set(&world.id, &key, &value).await,
        (None, None) => world.state.delete(&world.id, &key).await,
    };
    written.map_err(|error| for_guest(world, error))
}

/// Problems of the host's store are for the operator, not for the guest.
fn for_guest(world: &IntegrationWorld, error: StateError) -> state::StateError {
    match error {
        StateError::TooLarge(what) => state::StateError::TooLarge(what),
        StateError::Unavailable(_) => {
            tracing::warn!(integration = %world.id, %error, "an integration could not reach its state");
            state::StateError::Unavailable("the store did not answer".into())
        }
    }
}
