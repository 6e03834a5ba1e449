//! An integration's own durable state.

use bg_poller::StateError;

use super::{CallState, IntegrationWorld};
use crate::bindings::integration::state;

impl state::Host for CallState<IntegrationWorld> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, state::StateError>> {
        let world = &self.world;
        Ok(world.state.get(&world.id, &key).await.map_err(|error| for_guest(world, error)))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), state::StateError>> {
        let world = &self.world;
        Ok(world.state.set(&world.id, &key, &value).await.map_err(|error| for_guest(world, error)))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), state::StateError>> {
        let world = &self.world;
        Ok(world.state.delete(&world.id, &key).await.map_err(|error| for_guest(world, error)))
    }

    async fn keys(&mut self) -> wasmtime::Result<Result<Vec<String>, state::StateError>> {
        let world = &self.world;
        Ok(world.state.keys(&world.id).await.map_err(|error| for_guest(world, error)))
    }
}

/// What is wrong with the host's store is the operator's to know, not the guest's.
fn for_guest(world: &IntegrationWorld, error: StateError) -> state::StateError {
    match error {
        StateError::TooLarge(what) => state::StateError::TooLarge(what),
        StateError::Unavailable(_) => {
            tracing::warn!(integration = %world.id, %error, "an integration could not reach its state");
            state::StateError::Unavailable("the store did not answer".into())
        }
    }
}
