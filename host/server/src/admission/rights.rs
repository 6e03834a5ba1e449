//! Step `rights`, once the needed right is known.

use std::sync::Arc;

use bg_charm_api::Actor;
use bg_charm_api::wire::Problem;
use bg_charm_runtime::{LocalRuntime, Needed};
use bg_poller::RuntimeError;

use crate::answer::Failure;

/// Fails unless the actor has the right.
pub(super) async fn check(runtime: &Arc<LocalRuntime>, actor: &Actor, needed: Vec<Needed>) -> Result<(), Failure> {
    let handle = runtime.as_actor(actor.clone());
    for one in needed {
        let space = match &one {
            Needed::Space(space, _) => Some(space.clone()),
            _ => None,
        };
        handle.needs(one).await.map_err(|error| match (error, space) {
            // Once its name is parsed, only a missing space can be invalid.
            (RuntimeError::Invalid(detail), Some(space)) => Failure::from(Problem::no_space(space, detail)),
            (other, _) => other.into(),
        })?;
    }
    Ok(())
}
