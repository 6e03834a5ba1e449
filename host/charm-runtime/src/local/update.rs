//! Replacing the program of a charm that is there, which keeps its ID and its cells.

use std::sync::Arc;

use bg_charm_api::{Actor, DeployRequest, Deployed};
use bg_identity::CharmId;
use bg_poller::{CharmRef, RuntimeError, Scope};
use bg_store::{Deployment, Needed, Present, Update};
use bg_transpile::Transpiled;

use super::deploy::{new_charm, refusal};
use super::handlers::{Before, input_secrets};
use super::snapshot::Snapshot;
use super::{Handlers, LocalRuntime};

/// How often `setup` runs when other processes change the charm's cells meanwhile.
const ATTEMPTS: usize = 3;

impl LocalRuntime {
    /// Replaces the program of `charm` by that of a request, which `known` stands for. In the charm's turn.
    pub(super) async fn update(
        &self,
        handlers: &Handlers,
        actor: &Actor,
        charm: &CharmRef,
        known: &CharmId,
        request: &DeployRequest,
        program: &Transpiled,
    ) -> Result<Deployed, RuntimeError> {
        for _ in 0..ATTEMPTS {
            let Present { charm: stored, cells, secrets } = self.store.present(actor, charm).await?;
            let stored = Arc::new(stored);
            // What is there stays: inputs are for what the new program adds.
            let mut inputs = request.inputs.clone();
            inputs.retain(|name, _| !cells.contains(name));
            let secrets = [secrets, input_secrets(&inputs)].concat();
            let snapshot = Snapshot::new(Arc::clone(&self.store), Arc::clone(&stored), None);
            let trouble = snapshot.trouble();
            let may_know = self.credential_origins.known(stored.integration.as_deref(), secrets.clone());
            let before = Before { cells: Box::new(snapshot), paths: &stored.secrets, secrets: may_know };
            let set_up = handlers.set_up(charm, &request.file_name, program, &inputs, before);
            let (set_up, log) = set_up.await;
            if trouble.changed()? {
                continue;
            }
            let (shape, writes) = set_up.map_err(|failure| refusal(request, secrets, failure, &log))?;
            let mut new = new_charm(charm.clone(), request, program, shape);
            new.secrets = new.secrets.with_kept(&stored.secrets);
            let deployment = Deployment { new, cells: writes, log };
            let update = Update { before: stored, known_by: known.clone(), deployment };
            if let Some(deployed) = self.store.update(actor, update).await? {
                return Ok(deployed);
            }
        }
        let text = format!(
            "another process changed the cells of {charm} while its new program was set up, {ATTEMPTS} times in a row; \
             nothing was changed"
        );
        Err(RuntimeError::unavailable_in(Scope::Charm, text))
    }

    /// Fails unless the actor may replace the charm's program.
    pub(super) async fn check_update(&self, actor: &Actor, charm: &CharmRef) -> Result<(), RuntimeError> {
        self.store.check(actor, &Needed::Update(charm.clone())).await
    }
}
