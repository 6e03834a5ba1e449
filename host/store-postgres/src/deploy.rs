//! Charms that are deployed, programs that replace others, and edits of single cells.

use bg_charm_api::{AccessLevel, Actor, Deployed};
use bg_identity::{CharmId, SpaceDid};
use bg_poller::{CharmRef, LogLine, RuntimeError};
use bg_seal::{Key, NAMED_BY_FIRST_DIGESTS};
use bg_store::{
    Cause, CellEdit, CellTexts, CellUpdate, Deployment, EditError, Editor, FoundCharm, IdOf, Names, Present,
    StoredCharm, StoredProgram, Update, redact, refusals,
};

use super::access::Found;
use super::cells::{self, Cells};
use super::error::Failure;
use super::logs::Lines;
use super::session::Session;
use super::tenants::Tenants;
use super::values::text;
use super::{charms, registrations, spaces};

/// The names of a charm that the actor may deploy.
pub(crate) async fn name(
    session: &Session,
    key: &Key,
    space: SpaceDid,
    inputs: Option<&str>,
    id_of: IdOf,
) -> Result<Names, Failure> {
    let Some(inputs) = inputs else {
        let id = id_of(&[]);
        return Ok(Names { charm: CharmRef { space, charm: id.clone() }, id, first_id: None });
    };
    let id = id_of(&key.digest(inputs.as_bytes()));
    let is_of_that_time = session.exists("SELECT 1 FROM meta WHERE key = $1", &[&text(NAMED_BY_FIRST_DIGESTS)]).await?;
    let first_id = is_of_that_time.then(|| id_of(&key.first_digest(inputs.as_bytes())));
    let mut charm = CharmRef { space, charm: id.clone() };
    if let Some(first) = first_id.clone().map(|id| CharmRef { charm: id, ..charm.clone() })
        && !charms::exists(session, &charm).await?
        && charms::exists(session, &first).await?
    {
        charm = first;
    }
    Ok(Names { charm, id, first_id })
}

/// A charm, if there is one.
async fn there(session: &Session, charm: &CharmRef) -> Result<Option<StoredCharm>, Failure> {
    match Found::charm(session, &Actor::Operator, charm).await?.any() {
        Ok(stored) => Ok(Some(stored)),
        Err(Failure::Refused(RuntimeError::NotFound(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What there is of that name. If its program is one that is known by these IDs, its modules are replaced.
pub(crate) async fn find(
    session: &Session,
    charm: &CharmRef,
    known_by: &[CharmId],
    program: &StoredProgram,
) -> Result<Option<FoundCharm>, Failure> {
    let Some(stored) = there(session, charm).await? else { return Ok(None) };
    let present = charms::known_by(session, stored.row).await?;
    if !known_by.iter().any(|known| known.as_str() == present) {
        return Ok(Some(FoundCharm::Other));
    }
    charms::set_modules(session, stored.row, program).await?;
    Ok(Some(FoundCharm::Same(deployed(stored))))
}

/// Stores a charm with all its cells, and makes the space if it is new.
pub(crate) async fn deploy(
    session: &Session,
    key: &Key,
    tenants: &Tenants,
    actor: &Actor,
    deployment: Deployment,
) -> Result<Deployed, Failure> {
    let Deployment { new, cells, log } = deployment;
    let space = &new.charm.space;
    // Once more: access may have been taken away, or the space been created by somebody else, while the setup ran.
    tenants.may_deploy(&Found::space(session, actor, space).await?, actor, space)?;
    let before = spaces::holding(session, space).await?;
    tenants.make_space(session, actor, space).await?;
    // Another process may have deployed the same meanwhile.
    if let Some(stored) = there(session, &new.charm).await? {
        return Ok(deployed(stored));
    }
    let row = charms::insert(session, &new).await?;
    let stored = Cells::new(session, key, row, &new.charm, &new.secrets);
    if let Some(excess) = stored.sizes(&cells).await?.excess(&new.charm) {
        return Err(RuntimeError::Unfit(format!("{} cannot be deployed: {excess}", new.file_name)).into());
    }
    stored.set(&cells).await?;
    keep_lines(session, &stored, row, log).await?;
    tenants.admit(session, actor, space, &before).await?;
    let (charm, name, streams) = (new.charm, new.name, new.streams);
    Ok(Deployed { charm, created: true, updated: false, name, streams, warnings: Vec::new() })
}

/// Reads a charm whose program the actor may replace.
pub(crate) async fn present(session: &Session, key: &Key, actor: &Actor, charm: &CharmRef) -> Result<Present, Failure> {
    let charm = Found::charm(session, actor, charm).await?.to_update(charm)?;
    let cells = Cells::of(session, key, &charm);
    let (cells, secrets) = (cells.names().await?, cells.secret_texts().await?);
    Ok(Present { charm, cells, secrets })
}

/// Keeps the new program and what its `setup` wrote, and seals what is secret now. None if the cells were changed
/// meanwhile: then nothing is kept.
pub(crate) async fn update(
    session: &mut Session,
    key: &Key,
    tenants: &Tenants,
    actor: &Actor,
    update: Update,
) -> Result<Option<Deployed>, Failure> {
    let Update { before, known_by, deployment: Deployment { new, cells: writes, log } } = update;
    let held = spaces::holding(session, &new.charm.space).await?;
    // Once more: access may have been taken away while the setup ran.
    let mut stored = Found::charm(session, actor, &new.charm).await?.to_update(&new.charm)?;
    if !charms::advance(session, before.row, before.version).await? {
        return Ok(None);
    }
    let old = Cells::of(session, key, &stored);
    let names = old.names().await?;
    if let Some(name) = names.iter().find(|name| new.streams.contains(name)) {
        return Err(refusals::becomes_a_stream(&new.charm, name).into());
    }
    if let Some(excess) = old.sizes(&writes).await?.excess(&new.charm) {
        return Err(RuntimeError::Unfit(format!("{} cannot be updated: {excess}", new.charm)).into());
    }
    let mut texts = CellTexts::new();
    for name in names {
        if stored.secrets.touches_cell(&name) != new.secrets.touches_cell(&name) {
            texts.extend(old.text(&name).await?.map(|text| (name, text)));
        }
    }
    texts.extend(writes);
    let cells = Cells::new(session, key, stored.row, &new.charm, &new.secrets);
    cells.set(&texts).await?;
    charms::replace(session, stored.row, &known_by, &new).await?;
    keep_lines(session, &cells, stored.row, log).await?;
    registrations::cells_changed(session, &[stored.row]).await?;
    stored.summary.name.clone_from(&new.name);
    stored.summary.streams.clone_from(&new.streams);
    tenants.admit(session, actor, &new.charm.space, &held).await?;
    Ok(Some(Deployed { updated: true, ..deployed(stored) }))
}

/// What is said of a charm that was there.
fn deployed(stored: StoredCharm) -> Deployed {
    let summary = stored.summary;
    let (charm, name, streams) = (summary.charm, summary.name, summary.streams);
    Deployed { charm, created: false, updated: false, name, streams, warnings: Vec::new() }
}

/// Keeps lines, without what is secret by now.
async fn keep_lines(session: &Session, cells: &Cells<'_>, row: i64, mut lines: Vec<LogLine>) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let secrets: Vec<_> = cells.secret_texts().await?.into_iter().map(|secret| secret.text).collect();
    redact::lines(&mut lines, &secrets);
    let mut kept = Lines::default();
    kept.add(row, &lines);
    kept.keep(session).await
}

/// Edits a cell.
pub(crate) async fn edit(
    session: &mut Session,
    key: &Key,
    tenants: &Tenants,
    actor: &Actor,
    charm: &CharmRef,
    edit: CellEdit,
) -> Result<(), Failure> {
    let is_set = edit.update == CellUpdate::Set;
    let held = spaces::holding(session, &charm.space).await?;
    let found = Found::charm(session, actor, charm).await?;
    let stored = if is_set { found.with(AccessLevel::Write)? } else { found.any()? };
    let cells = Cells::of(session, key, &stored);
    let mut damage = None;
    let document = match cells.value(&edit.cell).await {
        Ok(document) => Ok(document),
        Err(failure @ Failure::Damaged(_)) => {
            damage = Some(failure);
            Err(EditError::Damaged)
        }
        Err(failure) => return Err(failure),
    };
    let names = if matches!(document, Ok(None)) { cells.names().await? } else { Vec::new() };
    let text = match (edit.edit)(Editor { charm: &stored, document, names }) {
        Ok(document) => document.text(),
        Err(EditError::Refused(error)) => return Err(error.into()),
        Err(EditError::Damaged) => return Err(damage.unwrap_or_else(|| cells::damaged(charm, &edit.cell))),
    };
    let writes = CellTexts::from([(edit.cell.clone(), text)]);
    if is_set && let Some(excess) = cells.sizes(&writes).await?.excess(charm) {
        return Err(RuntimeError::Unfit(format!("nothing was set: {excess}")).into());
    }
    charms::note_change(session, &stored, &edit.cell).await?;
    cells.set(&writes).await?;
    if edit.update == CellUpdate::Renewal(Cause::Poll) {
        // The poll goes on with that token.
        return charms::advance_by_poll(session, stored.row).await;
    }
    charms::advance(session, stored.row, stored.version).await?;
    registrations::cells_changed(session, &[stored.row]).await?;
    if is_set { tenants.admit(session, actor, &charm.space, &held).await } else { Ok(()) }
}
