//! Replacing the program of a charm that is there, which keeps its ID and its cells.

use std::collections::BTreeMap;
use std::sync::Arc;

use bg_charm_api::{AccessLevel, Actor, DeployRequest, Deployed};
use bg_identity::CharmId;
use bg_poller::{CharmRef, LogLine, RuntimeError, Scope};
use bg_sandbox::CellWrites;
use bg_transpile::Transpiled;
use rusqlite::Transaction;

use super::deploy::{deployed, new_charm, refusal};
use super::handlers::{Before, input_secrets};
use super::snapshot::Snapshot;
use super::{Handlers, LocalRuntime, access, logs};
use crate::store::{self, Cells, Failure, NewCharm, Sealer, SecretText, StoredCharm, excess};

/// How often `setup` runs when other processes change the charm's cells meanwhile.
const ATTEMPTS: usize = 3;

/// A charm as an update finds it.
struct Present {
    charm: Arc<StoredCharm>,
    cells: Vec<String>,
    secrets: Vec<SecretText>,
}

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
            let Present { charm: stored, cells, secrets } = self.present(actor, charm).await?;
            // What is there stays: inputs are for what the new program adds.
            let mut inputs = request.inputs.clone();
            inputs.retain(|name, _| !cells.contains(name));
            let secrets = [secrets, input_secrets(&inputs)].concat();
            let snapshot = Snapshot::new(self.database.clone(), self.sealer.clone(), Arc::clone(&stored), None);
            let trouble = snapshot.trouble();
            let may_know = self.credential_origins.known(stored.integration.as_deref(), secrets.clone());
            let before = Before { cells: Box::new(snapshot), paths: &stored.secrets, secrets: may_know };
            let set_up = handlers.set_up(charm, &request.file_name, program, &inputs, before);
            let (set_up, log) = set_up.await;
            if trouble.changed()? {
                continue;
            }
            let (shape, writes) = set_up.map_err(|failure| refusal(request, secrets, failure, &log))?;
            let mut new = new_charm(charm.clone(), request, program.clone(), shape);
            new.secrets = new.secrets.with_kept(&stored.secrets);
            let (actor, sealer, known) = (actor.clone(), self.sealer.clone(), known.clone());
            let tenants = self.tenants.clone();
            let replaced = self.database.write(move |tx| {
                let before = store::tenants::holding(tx, &new.charm.space)?;
                let replaced = replace(tx, &sealer, &actor, &stored, &known, &new, writes, log)?;
                tenants.admit(tx, &actor, &new.charm.space, &before)?;
                Ok(replaced)
            });
            let replaced = replaced.await?;
            if let Some(deployed) = replaced {
                self.database.forget_log().await;
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
        let (actor, charm) = (actor.clone(), charm.clone());
        self.database.read(move |tx| may_update(tx, &actor, &charm).map(drop)).await
    }

    async fn present(&self, actor: &Actor, charm: &CharmRef) -> Result<Present, RuntimeError> {
        let (actor, charm, sealer) = (actor.clone(), charm.clone(), self.sealer.clone());
        let read = self.database.read(move |tx| {
            let stored = may_update(tx, &actor, &charm)?;
            let cells = Cells::of(tx, &sealer, &stored);
            let (cells, secrets) = (cells.names()?, cells.secret_texts()?);
            Ok(Present { charm: Arc::new(stored), cells, secrets })
        });
        read.await
    }
}

/// Finds a charm for an actor who may replace its program: the owner of the space, or the service. A new program can read all that is in the
/// charm's cells, and all that comes into them later, such as a token of somebody who signs in; and most spaces let anyone write.
fn may_update(tx: &Transaction<'_>, actor: &Actor, charm: &CharmRef) -> Result<StoredCharm, Failure> {
    let stored = access::charm(tx, actor, charm, AccessLevel::Write)?;
    let purpose = format!(
        "to replace the program of {charm}: a new one can read the secrets that the charm has, or is given later"
    );
    access::owner_or_service(tx, actor, &charm.space, &purpose)?;
    Ok(stored)
}

/// Keeps the new program and what its `setup` wrote, and seals what is secret now. None if the cells were changed meanwhile: then
/// nothing is kept.
#[expect(clippy::too_many_arguments, reason = "all that a transaction of its own thread needs")]
fn replace(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    actor: &Actor,
    before: &StoredCharm,
    known: &CharmId,
    new: &NewCharm,
    writes: CellWrites,
    log: Vec<LogLine>,
) -> Result<Option<Deployed>, Failure> {
    // Once more: access may have been taken away while the setup ran.
    let mut stored = may_update(tx, actor, &new.charm)?;
    if !store::charms::advance(tx, before.row, before.version)? {
        return Ok(None);
    }
    let unfit = |text: String| Err(RuntimeError::Unfit(text).into());
    let old = Cells::of(tx, sealer, &stored);
    let names = old.names()?;
    if let Some(name) = names.iter().find(|name| new.streams.contains(name)) {
        return unfit(format!(
            "{} cannot be updated: {name} is a cell of it, and would become a stream; give the stream another name, or deploy the \
             program as a new charm",
            new.charm
        ));
    }
    if let Some(excess) = excess(tx, stored.row, &writes)? {
        return unfit(format!("{} cannot be updated: {excess}", new.charm));
    }
    let mut texts = BTreeMap::new();
    for name in names {
        if stored.secrets.touches_cell(&name) != new.secrets.touches_cell(&name) {
            texts.extend(old.text(&name)?.map(|text| (name, text)));
        }
    }
    texts.extend(writes);
    let cells = Cells::new(tx, sealer, stored.row, &new.charm, &new.secrets);
    cells.set(&texts)?;
    store::charms::replace(tx, stored.row, known, new)?;
    store::registrations::cells_changed(tx, stored.row)?;
    logs::keep(tx, &cells, stored.row, log)?;
    stored.summary.name.clone_from(&new.name);
    stored.summary.streams.clone_from(&new.streams);
    Ok(Some(Deployed { updated: true, ..deployed(stored) }))
}
