//! From a source to a charm.

use std::collections::BTreeMap;
use std::sync::Arc;

use bg_charm_api::{AccessLevel, Actor, DeployRequest, Deployed};
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, LogLine, Outcome, OutcomeKind, RuntimeError};
use bg_sandbox::{CallFailure, CellWrites, Shape};
use bg_transpile::Transpiled;
use rusqlite::Transaction;
use serde_json::Value;

use super::handlers::{Before, input_secrets};
use super::redact::redact;
use super::tenants::Tenants;
use super::transpiler::OwnedSources;
use super::{LocalRuntime, access, logs};
use crate::paths::SecretPaths;
use crate::store::{self, Cells, Failure, NewCharm, Sealer, SecretText, StoredCharm, excess};

/// How many of the lines that a failed `setup` logged are told.
const LINES_TOLD: usize = 20;

/// What a charm that is deployed is called.
struct Names {
    /// The charm, under the ID that it has or will have.
    charm: CharmRef,
    /// The ID made from its program and inputs. The charm may have an older one.
    id: CharmId,
    /// The same, as versions made it that named inputs by another digest, if the database is of their time.
    first_id: Option<CharmId>,
}

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
            Some(id) => CharmRef { charm: id.clone(), ..named.charm.clone() },
            None => named.charm.clone(),
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
        let warnings = program.warnings.iter().map(ToString::to_string).collect();
        let with_warnings = |deployed| Deployed { warnings, ..deployed };
        // Two that deploy the same at once would both run its setup, for nothing.
        let _turn = self.turns.take(&charm).await?;
        let Names { id, first_id, .. } = named;
        let known = [Some(id.clone()), first_id];
        match self.find(&charm, known, &program).await? {
            Some(Found::Same(deployed)) => return Ok(with_warnings(deployed)),
            Some(Found::Other) => {
                return self.update(handlers, actor, &charm, &id, request, &program).await.map(with_warnings);
            }
            None if request.charm.is_some() => return Err(RuntimeError::NotFound(charm)),
            None => {}
        }

        let (tenants, named) = (Arc::clone(&self.tenants), actor.clone());
        let into = space.clone();
        self.database.read(move |tx| tenants.admit_charm(tx, &named, &into)).await?;
        let (inputs, secrets) = (&request.inputs, input_secrets(&request.inputs));
        let no_cells = Box::new(BTreeMap::new());
        let known = self.credential_origins.known(None, secrets.clone());
        let paths = SecretPaths::default();
        let before = Before { cells: no_cells, paths: &paths, secrets: known };
        let set_up = handlers.set_up(&charm, &request.file_name, &program, inputs, before);
        let (set_up, log) = set_up.await;
        let (shape, cells) = set_up.map_err(|failure| refusal(request, secrets, failure, &log))?;
        let new = new_charm(charm, request, program, shape);
        let (actor, sealer, tenants) = (actor.clone(), Arc::clone(&self.sealer), Arc::clone(&self.tenants));
        let stored = self.database.write(move |tx| store(tx, &sealer, &tenants, &actor, &new, &cells, log));
        stored.await.map(with_warnings)
    }

    /// The charm's ID, made from what it is. Inputs may hold secrets, so they go into it by way of a keyed digest, from which
    /// nothing can be guessed. Fails if the actor may not deploy there.
    async fn name(&self, actor: &Actor, space: &SpaceDid, request: &DeployRequest) -> Result<Names, RuntimeError> {
        let (sealer, actor, space, request) = (self.sealer.clone(), actor.clone(), space.clone(), request.clone());
        let tenants = Arc::clone(&self.tenants);
        let named = self.database.write(move |tx| {
            may_deploy(tx, &tenants, &actor, &space)?;
            if request.inputs.is_empty() {
                let id = id_of(&space, &request, &[]);
                return Ok(Names { charm: CharmRef { space, charm: id.clone() }, id, first_id: None });
            }
            let inputs = Value::Object(request.inputs.clone()).to_string();
            let id = id_of(&space, &request, &sealer.digest(tx, inputs.as_bytes())?);
            let first_digest = sealer.first_digest(tx, inputs.as_bytes())?;
            let first_id = first_digest.map(|digest| id_of(&space, &request, &digest));
            let mut charm = CharmRef { space, charm: id.clone() };
            if let Some(first) = first_id.clone().map(|id| CharmRef { charm: id, ..charm.clone() })
                && !store::charms::exists(tx, &charm)?
                && store::charms::exists(tx, &first)?
            {
                charm = first;
            }
            Ok(Names { charm, id, first_id })
        });
        named.await
    }

    /// What there is of that name. If its program is one that is `known` by these IDs, its module is made again: a later version of the
    /// host may make another from the same source.
    async fn find(
        &self,
        charm: &CharmRef,
        known: [Option<CharmId>; 2],
        program: &Transpiled,
    ) -> Result<Option<Found>, RuntimeError> {
        let (charm, program) = (charm.clone(), program.clone());
        let found = self.database.write(move |tx| match store::charms::find(tx, &charm) {
            Ok(stored) => {
                let present = store::charms::known_by(tx, stored.row)?;
                if !known.iter().flatten().any(|known| known.as_str() == present) {
                    return Ok(Some(Found::Other));
                }
                store::charms::set_modules(tx, stored.row, &program)?;
                Ok(Some(Found::Same(deployed(stored))))
            }
            Err(Failure::Refused(RuntimeError::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        });
        found.await
    }
}

/// The ID of a charm that is made from that program, and from inputs with that digest, in that space.
fn id_of(space: &SpaceDid, request: &DeployRequest, inputs: &[u8]) -> CharmId {
    let first = [space.as_str().as_bytes(), request.file_name.as_bytes(), request.source.as_bytes(), inputs];
    let further = request.files.iter().flat_map(|(path, source)| [path.as_bytes(), source.as_bytes()]);
    let parts = first.into_iter().chain(further);
    let content = parts.flat_map(|part| [&(part.len() as u64).to_be_bytes(), part].concat()).collect::<Vec<u8>>();
    CharmId::for_content(&content)
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
    secrets: Vec<SecretText>,
    failure: CallFailure,
    log: &[LogLine],
) -> RuntimeError {
    let outcome = Outcome::failure(failure.kind, failure.message).with_stack(failure.stack);
    let secrets: Vec<_> = secrets.into_iter().map(|secret| secret.text).collect();
    let Outcome { kind, message, stack, .. } = redact(outcome, &secrets);
    let message = message.unwrap_or_default();
    if kind == OutcomeKind::Unavailable {
        return RuntimeError::unavailable(message);
    }
    let stack = stack.map_or(String::new(), |stack| format!("\n{stack}"));
    let last = log.iter().skip(log.len().saturating_sub(LINES_TOLD));
    let said: String = last.flat_map(|line| ["\nlogged: ", line.text.as_str()]).collect();
    RuntimeError::Unfit(format!("{} cannot be set up: {kind}: {message}{stack}{said}", request.file_name))
}

/// Fails unless the actor may deploy into a space, or may make it where it is not there.
pub(super) fn may_deploy(
    tx: &Transaction<'_>,
    tenants: &Tenants,
    actor: &Actor,
    space: &SpaceDid,
) -> Result<(), Failure> {
    if store::spaces::exists(tx, space)? || *actor == Actor::Anonymous {
        return access::space(tx, actor, space, AccessLevel::Write);
    }
    tenants.may_make(actor, space)
}

/// Keeps the charm with all its cells, and the space if it is new.
fn store(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    actor: &Actor,
    new: &NewCharm,
    cells: &CellWrites,
    log: Vec<LogLine>,
) -> Result<Deployed, Failure> {
    // Once more: access may have been taken away, or the space been created by somebody else, while the setup ran.
    may_deploy(tx, tenants, actor, &new.charm.space)?;
    let before = store::tenants::holding(tx, &new.charm.space)?;
    tenants.make_space(tx, actor, &new.charm.space)?;
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
    tenants.admit(tx, actor, &new.charm.space, &before)?;
    let (name, streams) = (new.name.clone(), new.streams.clone());
    Ok(Deployed { charm: new.charm.clone(), created: true, updated: false, name, streams, warnings: Vec::new() })
}

/// What is said of a charm that was there.
pub(super) fn deployed(stored: StoredCharm) -> Deployed {
    let summary = stored.summary;
    let (charm, name, streams) = (summary.charm, summary.name, summary.streams);
    Deployed { charm, created: false, updated: false, name, streams, warnings: Vec::new() }
}
