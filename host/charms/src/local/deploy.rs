//! From a source to a charm.

use std::sync::Arc;

use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, Outcome, OutcomeKind, RuntimeError};
use bg_sandbox::{CallFailure, CellWrites};
use rusqlite::Transaction;
use serde_json::Value;

use super::handlers::input_secrets;
use super::redact::redact;
use super::{LocalRuntime, access};
use crate::paths::SecretPaths;
use crate::store::{self, Cells, Failure, NewCharm, Sealer, StoredCharm, excess};
use crate::transpile::transpile;
use crate::{AccessLevel, Acl, Actor, DeployRequest, Deployed};

impl LocalRuntime {
    /// Deploys a charm for the actor.
    pub(super) async fn deploy(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        request: &DeployRequest,
    ) -> Result<Deployed, RuntimeError> {
        let handlers = self.handlers()?;
        let module = transpiled(request).await?;
        let charm = self.name(actor, space, request).await?;
        // Two that deploy the same at once would both run its setup, for nothing.
        let _turn = self.turns.take(&charm).await;
        if let Some(deployed) = self.redeploy(&charm, &module).await? {
            return Ok(deployed);
        }

        let set_up = handlers.set_up(&charm, &request.file_name, &module, &request.inputs).await;
        let (shape, cells) = set_up.map_err(|failure| refusal(request, failure))?;
        let mut streams = shape.streams;
        streams.sort();
        streams.dedup();
        let new = NewCharm {
            charm,
            file_name: request.file_name.clone(),
            source: request.source.clone(),
            module,
            name: shape.name,
            streams,
            secrets: SecretPaths::new(shape.secrets),
        };
        let (actor, sealer) = (actor.clone(), Arc::clone(&self.sealer));
        self.database.write(move |tx| store(tx, &sealer, &actor, &new, &cells)).await
    }

    /// The charm's ID, made from what it is. Inputs may hold secrets, so they go into it by way of a keyed digest, from which
    /// nothing can be guessed. Fails if the actor may not deploy there.
    async fn name(&self, actor: &Actor, space: &SpaceDid, request: &DeployRequest) -> Result<CharmRef, RuntimeError> {
        let (sealer, actor, space, request) = (self.sealer.clone(), actor.clone(), space.clone(), request.clone());
        let named = self.database.write(move |tx| {
            may_deploy(tx, &actor, &space)?;
            let inputs = if request.inputs.is_empty() {
                Vec::new()
            } else {
                sealer.digest(tx, Value::Object(request.inputs).to_string().as_bytes())?.to_vec()
            };
            let parts = [space.as_str().as_bytes(), request.file_name.as_bytes(), request.source.as_bytes(), &inputs];
            let content = parts.map(|part| [&(part.len() as u64).to_be_bytes(), part].concat()).concat();
            Ok(CharmRef { space, charm: CharmId::for_content(&content) })
        });
        named.await
    }

    /// What there is, if the same charm was deployed before. Its module is made anew: a later version of the host may make
    /// another from the same source.
    async fn redeploy(&self, charm: &CharmRef, module: &str) -> Result<Option<Deployed>, RuntimeError> {
        let (charm, module) = (charm.clone(), module.to_owned());
        let found = self.database.write(move |tx| match store::charms::find(tx, &charm) {
            Ok(stored) => {
                store::charms::set_module(tx, stored.row, &module)?;
                Ok(Some(deployed(stored, false)))
            }
            Err(Failure::Refused(RuntimeError::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        });
        found.await
    }
}

/// Why it cannot be set up, without what was put in: that may be secret.
fn refusal(request: &DeployRequest, failure: CallFailure) -> RuntimeError {
    let outcome = Outcome::failure(failure.kind, failure.message).with_stack(failure.stack);
    let Outcome { kind, message, stack } = redact(outcome, &input_secrets(&request.inputs));
    let message = message.unwrap_or_default();
    if kind == OutcomeKind::Unavailable {
        return RuntimeError::Unavailable(message);
    }
    let stack = stack.map_or(String::new(), |stack| format!("\n{stack}"));
    RuntimeError::Unfit(format!("{} cannot be set up: {kind}: {message}{stack}", request.file_name))
}

/// The module made from the source, on a thread where that may take its time.
async fn transpiled(request: &DeployRequest) -> Result<String, RuntimeError> {
    let (file_name, source) = (request.file_name.clone(), request.source.clone());
    match tokio::task::spawn_blocking(move || transpile(&file_name, &source)).await {
        Ok(Ok(transpiled)) => Ok(transpiled.module),
        Ok(Err(error)) => Err(RuntimeError::Invalid(error.to_string())),
        Err(error) => {
            Err(RuntimeError::Unavailable(format!("the transpiler of {} ended early: {error}", request.file_name)))
        }
    }
}

/// A new space is anybody's to create who has a name.
fn may_deploy(tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
    if store::spaces::exists(tx, space)? || *actor == Actor::Anonymous {
        access::space(tx, actor, space, AccessLevel::Write)?;
    }
    Ok(())
}

/// Keeps the charm with all its cells, and the space if it is new.
fn store(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    actor: &Actor,
    new: &NewCharm,
    cells: &CellWrites,
) -> Result<Deployed, Failure> {
    // Once more: access may have been taken away, or the space been created by somebody else, while the setup ran.
    may_deploy(tx, actor, &new.charm.space)?;
    let creator = match actor {
        Actor::Did(did) => Some(did),
        Actor::Operator | Actor::Anonymous => None,
    };
    store::spaces::create(tx, &new.charm.space, &Acl::of_new_space(creator))?;
    match store::charms::find(tx, &new.charm) {
        // Another process deployed the same meanwhile.
        Ok(stored) => return Ok(deployed(stored, false)),
        Err(Failure::Refused(RuntimeError::NotFound(_))) => {}
        Err(error) => return Err(error),
    }
    let row = store::charms::insert(tx, new)?;
    if let Some(excess) = excess(tx, row, cells)? {
        return Err(RuntimeError::Unfit(format!("{} cannot be deployed: {excess}", new.file_name)).into());
    }
    Cells::new(tx, sealer, row, &new.charm, &new.secrets).set(cells)?;
    Ok(Deployed { charm: new.charm.clone(), created: true, name: new.name.clone(), streams: new.streams.clone() })
}

fn deployed(stored: StoredCharm, created: bool) -> Deployed {
    let summary = stored.summary;
    Deployed { charm: summary.charm, created, name: summary.name, streams: summary.streams }
}
