//! From a source to a charm.

use std::collections::BTreeMap;
use std::sync::Arc;

use bg_identity::{CharmId, Secret, SpaceDid};
use bg_poller::{CharmRef, LogLine, Outcome, OutcomeKind, RuntimeError};
use bg_sandbox::{CallFailure, CellWrites, Shape};
use rusqlite::Transaction;
use serde_json::Value;

use super::handlers::input_secrets;
use super::redact::redact;
use super::transpiler::OwnedSources;
use super::{LocalRuntime, access, logs};
use crate::paths::SecretPaths;
use crate::store::{self, Cells, Failure, NewCharm, Sealer, StoredCharm, excess};
use crate::transpile::Transpiled;
use crate::{AccessLevel, Acl, Actor, DeployRequest, Deployed};

/// How many of the lines that a failed `setup` logged are told.
const LINES_TOLD: usize = 20;

/// A charm that is there already.
enum Found {
    /// With the program that is being deployed.
    Same(Deployed),
    /// With another.
    Other,
}

impl LocalRuntime {
    /// Deploys a charm for the actor, or replaces the program of one.
    pub(super) async fn deploy(
        &self,
        actor: &Actor,
        space: &SpaceDid,
        request: &DeployRequest,
    ) -> Result<Deployed, RuntimeError> {
        let handlers = self.handlers()?;
        // First whether the caller may do that at all: to transpile is the most that a stranger can have done here.
        let named = self.name(actor, space, request).await?;
        let charm = match &request.charm {
            Some(id) => CharmRef { charm: id.clone(), ..named.clone() },
            None => named.clone(),
        };
        if request.charm.is_some() {
            self.check_update(actor, &charm).await?;
        }
        let sources = OwnedSources {
            file_name: request.file_name.clone(),
            source: request.source.clone(),
            files: request.files.clone(),
        };
        let program = self.transpiler.program(sources, self.is_trusted(actor)).await?;
        // Two that deploy the same at once would both run its setup, for nothing.
        let _turn = self.turns.take(&charm).await;
        match self.find(&charm, &named.charm, &program).await? {
            Some(Found::Same(deployed)) => return Ok(deployed),
            Some(Found::Other) => {
                return self.update(handlers, actor, &charm, &named.charm, request, &program).await;
            }
            None if request.charm.is_some() => return Err(RuntimeError::NotFound(charm)),
            None => {}
        }

        let (inputs, secrets) = (&request.inputs, input_secrets(&request.inputs));
        let no_cells = Box::new(BTreeMap::new());
        let set_up = handlers.set_up(&charm, &request.file_name, &program, inputs, no_cells, secrets.clone());
        let (set_up, log) = set_up.await;
        let (shape, cells) = set_up.map_err(|failure| refusal(request, &secrets, failure, &log))?;
        let new = new_charm(charm, request, program, shape);
        let (actor, sealer) = (actor.clone(), Arc::clone(&self.sealer));
        let creator = match &actor {
            Actor::Did(did) => Some(did.clone()),
            Actor::Operator => self.owner.clone(),
            Actor::Anonymous => None,
        };
        let acl = Acl::of_new_space(creator.as_ref());
        self.database.write(move |tx| store(tx, &sealer, &actor, &acl, &new, &cells, log)).await
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
            let first = [space.as_str().as_bytes(), request.file_name.as_bytes(), request.source.as_bytes(), &inputs];
            let further = request.files.iter().flat_map(|(path, source)| [path.as_bytes(), source.as_bytes()]);
            let parts = first.into_iter().chain(further);
            let content =
                parts.flat_map(|part| [&(part.len() as u64).to_be_bytes(), part].concat()).collect::<Vec<u8>>();
            Ok(CharmRef { space, charm: CharmId::for_content(&content) })
        });
        named.await
    }

    /// What there is of that name. If it has the same program, its module is made anew: a later version of the host may make
    /// another from the same source.
    async fn find(
        &self,
        charm: &CharmRef,
        known: &CharmId,
        program: &Transpiled,
    ) -> Result<Option<Found>, RuntimeError> {
        let (charm, known, program) = (charm.clone(), known.clone(), program.clone());
        let found = self.database.write(move |tx| match store::charms::find(tx, &charm) {
            Ok(stored) if store::charms::known_by(tx, stored.row)? == known.as_str() => {
                store::charms::set_modules(tx, stored.row, &program)?;
                Ok(Some(Found::Same(deployed(stored))))
            }
            Ok(_) => Ok(Some(Found::Other)),
            Err(Failure::Refused(RuntimeError::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        });
        found.await
    }
}

/// The charm to be stored, of what its `setup` says.
pub(super) fn new_charm(charm: CharmRef, request: &DeployRequest, program: Transpiled, shape: Shape) -> NewCharm {
    let mut streams = shape.streams;
    streams.sort();
    streams.dedup();
    NewCharm {
        charm,
        file_name: request.file_name.clone(),
        source: request.source.clone(),
        files: request.files.clone(),
        program,
        name: shape.name,
        streams,
        secrets: SecretPaths::new(shape.secrets),
    }
}

/// Why it cannot be set up, without what was put in: that may be secret. What it logged before is part of it, since there is no
/// charm with whose log it could be kept.
pub(super) fn refusal(
    request: &DeployRequest,
    secrets: &[Secret],
    failure: CallFailure,
    log: &[LogLine],
) -> RuntimeError {
    let outcome = Outcome::failure(failure.kind, failure.message).with_stack(failure.stack);
    let Outcome { kind, message, stack } = redact(outcome, secrets);
    let message = message.unwrap_or_default();
    if kind == OutcomeKind::Unavailable {
        return RuntimeError::Unavailable(message);
    }
    let stack = stack.map_or(String::new(), |stack| format!("\n{stack}"));
    let last = log.iter().skip(log.len().saturating_sub(LINES_TOLD));
    let said: String = last.flat_map(|line| ["\nlogged: ", line.text.as_str()]).collect();
    RuntimeError::Unfit(format!("{} cannot be set up: {kind}: {message}{stack}{said}", request.file_name))
}

/// A new space is anybody's to create who has a name.
pub(super) fn may_deploy(tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
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
    acl: &Acl,
    new: &NewCharm,
    cells: &CellWrites,
    log: Vec<LogLine>,
) -> Result<Deployed, Failure> {
    // Once more: access may have been taken away, or the space been created by somebody else, while the setup ran.
    may_deploy(tx, actor, &new.charm.space)?;
    store::spaces::create(tx, &new.charm.space, acl)?;
    match store::charms::find(tx, &new.charm) {
        // Another process deployed the same meanwhile.
        Ok(stored) => return Ok(deployed(stored)),
        Err(Failure::Refused(RuntimeError::NotFound(_))) => {}
        Err(error) => return Err(error),
    }
    let row = store::charms::insert(tx, new)?;
    if let Some(excess) = excess(tx, row, cells)? {
        return Err(RuntimeError::Unfit(format!("{} cannot be deployed: {excess}", new.file_name)).into());
    }
    let stored = Cells::new(tx, sealer, row, &new.charm, &new.secrets);
    stored.set(cells)?;
    logs::keep(tx, &stored, row, log)?;
    let (name, streams) = (new.name.clone(), new.streams.clone());
    Ok(Deployed { charm: new.charm.clone(), created: true, updated: false, name, streams })
}

/// What is said of a charm that was there.
pub(super) fn deployed(stored: StoredCharm) -> Deployed {
    let summary = stored.summary;
    Deployed { charm: summary.charm, created: false, updated: false, name: summary.name, streams: summary.streams }
}
