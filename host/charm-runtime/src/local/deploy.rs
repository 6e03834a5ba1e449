//! From a source to a charm.

use std::collections::BTreeMap;

use bg_charm_api::{Actor, DeployRequest, Deployed};
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, LogLine, Outcome, OutcomeKind, RuntimeError};
use bg_sandbox::{CallFailure, Shape};
use bg_store::paths::SecretPaths;
use bg_store::redact::redact;
use bg_store::{Deployment, FoundCharm, Names, NewCharm, SecretText, StoredProgram};
use bg_transpile::Transpiled;
use serde_json::Value;

use super::LocalRuntime;
use super::handlers::{Before, input_secrets};
use super::transpiler::OwnedSources;

/// How many of the lines that a failed `setup` logged are reported.
const LINES_REPORTED: usize = 20;

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
        let known_by: Vec<CharmId> = [id.clone()].into_iter().chain(first_id).collect();
        match self.store.find(&charm, &known_by, &stored_program(&program)).await? {
            Some(FoundCharm::Same(deployed)) => return Ok(with_warnings(deployed)),
            Some(FoundCharm::Other) => {
                return self.update(handlers, actor, &charm, &id, request, &program).await.map(with_warnings);
            }
            None if request.charm.is_some() => return Err(RuntimeError::NotFound(charm)),
            None => {}
        }

        self.store.admit_charm(actor, space).await?;
        let (inputs, secrets) = (&request.inputs, input_secrets(&request.inputs));
        let no_cells = Box::new(BTreeMap::new());
        let known = self.credential_origins.known(None, secrets.clone());
        let paths = SecretPaths::default();
        let before = Before { cells: no_cells, paths: &paths, secrets: known };
        let set_up = handlers.set_up(&charm, &request.file_name, &program, inputs, before);
        let (set_up, log) = set_up.await;
        let (shape, cells) = set_up.map_err(|failure| refusal(request, secrets, failure, &log))?;
        let new = new_charm(charm, request, &program, shape);
        self.store.deploy(actor, Deployment { new, cells, log }).await.map(with_warnings)
    }

    /// The charm's ID, made from what it is. Inputs may hold secrets, so they go into it by way of a keyed digest, from
    /// which nothing can be guessed. Fails if the actor may not deploy there.
    async fn name(&self, actor: &Actor, space: &SpaceDid, request: &DeployRequest) -> Result<Names, RuntimeError> {
        let inputs = (!request.inputs.is_empty()).then(|| Value::Object(request.inputs.clone()).to_string());
        let (place, request) = (space.clone(), request.clone());
        self.store.name(actor, space, inputs, Box::new(move |digest| id_of(&place, &request, digest))).await
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
pub(super) fn new_charm(charm: CharmRef, request: &DeployRequest, program: &Transpiled, shape: Shape) -> NewCharm {
    let mut streams = shape.streams;
    streams.sort();
    streams.dedup();
    NewCharm {
        charm,
        file_name: request.file_name.clone(),
        source: request.source.clone(),
        files: request.files.clone(),
        program: stored_program(program),
        name: shape.name,
        streams,
        secrets: SecretPaths::new(shape.secrets),
    }
}

/// The modules of a program, as they are stored.
fn stored_program(program: &Transpiled) -> StoredProgram {
    StoredProgram { module: program.module.clone(), files: program.files.clone() }
}

/// Why it cannot be set up, without what was put in: that may be secret. What it logged before is part of it, since
/// there is no charm with whose log it could be kept.
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
    let last = log.iter().skip(log.len().saturating_sub(LINES_REPORTED));
    let said: String = last.flat_map(|line| ["\nlogged: ", line.text.as_str()]).collect();
    RuntimeError::Unfit(format!("{} cannot be set up: {kind}: {message}{stack}{said}", request.file_name))
}
