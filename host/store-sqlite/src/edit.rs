//! Edits of single cells.

use bg_charm_api::{AccessLevel, Actor};
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Cause, CellEdit, CellTexts, CellUpdate, EditError, Editor};
use rusqlite::Transaction;

use super::quota::Sizes;
use super::tenancy::Tenants;
use super::{Cells, Failure, Sealer, access, charms, registrations, tenants as holdings};

/// Edits a cell.
pub(crate) fn edit(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    actor: &Actor,
    charm: &CharmRef,
    edit: &CellEdit,
) -> Result<(), Failure> {
    let is_set = edit.update == CellUpdate::Set;
    let held = holdings::holding(tx, &charm.space)?;
    let stored = if is_set { access::charm(tx, actor, charm, AccessLevel::Write)? } else { charms::find(tx, charm)? };
    let cells = Cells::of(tx, sealer, &stored);
    let mut damage = None;
    let document = match cells.value(&edit.cell) {
        Ok(document) => Ok(document),
        Err(failure @ Failure::Damaged(_)) => {
            damage = Some(failure);
            Err(EditError::Damaged)
        }
        Err(failure) => return Err(failure),
    };
    let names = if matches!(document, Ok(None)) { cells.names()? } else { Vec::new() };
    let text = match (edit.edit)(Editor { charm: &stored, document, names }) {
        Ok(document) => document.text(),
        Err(EditError::Refused(error)) => return Err(error.into()),
        Err(EditError::Damaged) => return Err(damage.unwrap_or_else(|| super::cells::damaged(charm, &edit.cell))),
    };
    let writes = CellTexts::from([(edit.cell.clone(), text)]);
    if is_set && let Some(excess) = Sizes::of(tx, stored.row, &writes)?.excess(tx)? {
        return Err(RuntimeError::Unfit(format!("nothing was set: {excess}")).into());
    }
    charms::note_change(tx, &stored, &edit.cell)?;
    cells.set(&writes)?;
    if edit.update == CellUpdate::Renewal(Cause::Poll) {
        // The poll goes on with that token.
        return charms::advance_by_poll(tx, stored.row);
    }
    charms::advance(tx, stored.row, stored.version)?;
    registrations::cells_changed(tx, stored.row)?;
    if is_set { tenants.admit(tx, actor, &charm.space, &held) } else { Ok(()) }
}
