//! Charms that are deployed, and programs that replace others.

use bg_charm_api::{Actor, Deployed};
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Deployment, FoundCharm, IdOf, Names, Present, StoredCharm, StoredProgram, Update, refusals};
use rusqlite::Transaction;

use super::call::keep_lines;
use super::quota::Sizes;
use super::tenancy::Tenants;
use super::{Cells, Failure, Sealer, access, charms, registrations, rights, tenants as holdings};

/// The names of a charm that the actor may deploy.
pub(crate) fn name(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    space: SpaceDid,
    inputs: Option<&str>,
    id_of: &IdOf,
) -> Result<Names, Failure> {
    let Some(inputs) = inputs else {
        let id = id_of(&[]);
        return Ok(Names { charm: CharmRef { space, charm: id.clone() }, id, first_id: None });
    };
    let id = id_of(&sealer.digest(tx, inputs.as_bytes())?);
    let first_id = sealer.first_digest(tx, inputs.as_bytes())?.map(|digest| id_of(&digest));
    let mut charm = CharmRef { space, charm: id.clone() };
    if let Some(first) = first_id.clone().map(|id| CharmRef { charm: id, ..charm.clone() })
        && !charms::exists(tx, &charm)?
        && charms::exists(tx, &first)?
    {
        charm = first;
    }
    Ok(Names { charm, id, first_id })
}

/// What there is of that name. If its program is one that is known by these IDs, its modules are replaced.
pub(crate) fn find(
    tx: &Transaction<'_>,
    charm: &CharmRef,
    known_by: &[CharmId],
    program: &StoredProgram,
) -> Result<Option<FoundCharm>, Failure> {
    match charms::find(tx, charm) {
        Ok(stored) => {
            let present = charms::known_by(tx, stored.row)?;
            if !known_by.iter().any(|known| known.as_str() == present) {
                return Ok(Some(FoundCharm::Other));
            }
            charms::set_modules(tx, stored.row, program)?;
            Ok(Some(FoundCharm::Same(deployed(stored))))
        }
        Err(Failure::Refused(RuntimeError::NotFound(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a charm with all its cells, and makes the space if it is new.
pub(crate) fn deploy(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    actor: &Actor,
    deployment: Deployment,
) -> Result<Deployed, Failure> {
    let Deployment { new, cells, log } = deployment;
    // Once more: access may have been taken away, or the space been created by somebody else, while the setup ran.
    rights::may_deploy(tx, tenants, actor, &new.charm.space)?;
    let before = holdings::holding(tx, &new.charm.space)?;
    tenants.make_space(tx, actor, &new.charm.space)?;
    match charms::find(tx, &new.charm) {
        // Another process deployed the same meanwhile.
        Ok(stored) => return Ok(deployed(stored)),
        Err(Failure::Refused(RuntimeError::NotFound(_))) => {}
        Err(error) => return Err(error),
    }
    let row = charms::insert(tx, &new)?;
    if let Some(excess) = Sizes::of(tx, row, &cells)?.excess(tx)? {
        return Err(RuntimeError::Unfit(format!("{} cannot be deployed: {excess}", new.file_name)).into());
    }
    let stored = Cells::new(tx, sealer, row, &new.charm, &new.secrets);
    stored.set(&cells)?;
    keep_lines(tx, &stored, row, log)?;
    tenants.admit(tx, actor, &new.charm.space, &before)?;
    let (charm, name, streams) = (new.charm, new.name, new.streams);
    Ok(Deployed { charm, created: true, updated: false, name, streams, warnings: Vec::new() })
}

/// Reads a charm whose program the actor may replace.
pub(crate) fn present(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    actor: &Actor,
    charm: &CharmRef,
) -> Result<Present, Failure> {
    let charm = access::may_update(tx, actor, charm)?;
    let cells = Cells::of(tx, sealer, &charm);
    let (cells, secrets) = (cells.names()?, cells.secret_texts()?);
    Ok(Present { charm, cells, secrets })
}

/// Keeps the new program and what its `setup` wrote, and seals what is secret now. None if the cells were changed
/// meanwhile: then nothing is kept.
pub(crate) fn update(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    actor: &Actor,
    update: Update,
) -> Result<Option<Deployed>, Failure> {
    let Update { before, known_by, deployment: Deployment { new, cells: writes, log } } = update;
    let held = holdings::holding(tx, &new.charm.space)?;
    // Once more: access may have been taken away while the setup ran.
    let mut stored = access::may_update(tx, actor, &new.charm)?;
    if !charms::advance(tx, before.row, before.version)? {
        return Ok(None);
    }
    let unfit = |text: String| Err(RuntimeError::Unfit(text).into());
    let old = Cells::of(tx, sealer, &stored);
    let names = old.names()?;
    if let Some(name) = names.iter().find(|name| new.streams.contains(name)) {
        return Err(refusals::becomes_a_stream(&new.charm, name).into());
    }
    if let Some(excess) = Sizes::of(tx, stored.row, &writes)?.excess(tx)? {
        return unfit(format!("{} cannot be updated: {excess}", new.charm));
    }
    let mut texts = bg_store::CellTexts::new();
    for name in names {
        if stored.secrets.touches_cell(&name) != new.secrets.touches_cell(&name) {
            texts.extend(old.text(&name)?.map(|text| (name, text)));
        }
    }
    texts.extend(writes);
    let cells = Cells::new(tx, sealer, stored.row, &new.charm, &new.secrets);
    cells.set(&texts)?;
    charms::replace(tx, stored.row, &known_by, &new)?;
    registrations::cells_changed(tx, stored.row)?;
    keep_lines(tx, &cells, stored.row, log)?;
    stored.summary.name.clone_from(&new.name);
    stored.summary.streams.clone_from(&new.streams);
    tenants.admit(tx, actor, &new.charm.space, &held)?;
    Ok(Some(Deployed { updated: true, ..deployed(stored) }))
}

/// What is said of a charm that was there.
fn deployed(stored: StoredCharm) -> Deployed {
    let summary = stored.summary;
    let (charm, name, streams) = (summary.charm, summary.name, summary.streams);
    Deployed { charm, created: false, updated: false, name, streams, warnings: Vec::new() }
}
