//! The newest changes of registrations: which revision of them was about which charm.

use std::collections::BTreeSet;

use bg_charm_api::DamagedRegistration;
use bg_identity::SpaceReader;
use bg_poller::{CharmRef, RegistrationChanges};
use rusqlite::Transaction;

use super::registrations::{self, damaged, named_charm, registration};
use super::{Failure, What};

/// How many are remembered. Who has missed more reads all registrations.
const KEPT: u64 = 1_000;

/// A migration. Each change of one registration has a revision, and a row, of its own; what changes many at once has a
/// revision without a row, so that who has not seen it reads all of them.
pub(super) const CREATE: &str = "
CREATE TABLE registration_changes (revision INTEGER PRIMARY KEY, space TEXT NOT NULL, id TEXT NOT NULL) STRICT;
";

/// Notes a change of the registration of the charm in that row.
pub(super) fn note(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    let revision = registrations::advance_revision(tx)?;
    // Of a charm whose name is damaged there is no row, so that all registrations are read.
    tx.prepare_cached(
        "INSERT OR REPLACE INTO registration_changes (revision, space, id) \
         SELECT ?1, space, id FROM charms WHERE row = ?2 AND typeof(space) = 'text' AND typeof(id) = 'text'",
    )?
    .execute((revision, row))?;
    forget(tx, revision)
}

/// The same by the charm's name.
pub(super) fn note_named(tx: &Transaction<'_>, charm: &CharmRef) -> Result<(), Failure> {
    let revision = registrations::advance_revision(tx)?;
    tx.prepare_cached("INSERT OR REPLACE INTO registration_changes (revision, space, id) VALUES (?1, ?2, ?3)")?
        .execute((revision, charm.space.as_str(), charm.charm.as_str()))?;
    forget(tx, revision)
}

fn forget(tx: &Transaction<'_>, revision: u64) -> Result<(), Failure> {
    tx.prepare_cached("DELETE FROM registration_changes WHERE revision <= ?1")?
        .execute([revision.saturating_sub(KEPT)])?;
    Ok(())
}

/// Forgets a charm that is deleted: of it, not even its name is kept. Who has not seen its last changes reads all
/// registrations.
pub(super) fn forget_charm(tx: &Transaction<'_>, row: i64) -> Result<(), Failure> {
    tx.prepare_cached(
        "DELETE FROM registration_changes WHERE (space, id) = (SELECT space, id FROM charms WHERE row = ?1)",
    )?
    .execute([row])?;
    Ok(())
}

/// Notes that the registrations of these charms have changed at once.
pub(super) fn note_all(tx: &Transaction<'_>, rows: &[i64]) -> Result<(), Failure> {
    if rows.len() as u64 >= KEPT {
        registrations::advance_revision(tx)?;
        return Ok(());
    }
    rows.iter().try_for_each(|row| note(tx, *row))
}

/// The registrations that have changed between these revisions, as they are now, and the charms that have none any
/// more; those that cannot be read are skipped, as where all are read. None if not all of the changes are known.
pub(crate) fn since(
    tx: &Transaction<'_>,
    after: u64,
    revision: u64,
) -> Result<Option<(RegistrationChanges, Vec<DamagedRegistration>)>, Failure> {
    let Some(missed) = revision.checked_sub(after).filter(|missed| *missed <= KEPT) else { return Ok(None) };
    let known: u64 = tx
        .prepare_cached("SELECT count(*) FROM registration_changes WHERE revision > ?1 AND revision <= ?2")?
        .query_row([after, revision], |row| row.get(0))?;
    if known != missed {
        return Ok(None);
    }
    let mut statement = tx.prepare_cached(concat!(
        "SELECT ",
        registrations::columns!("l"),
        " FROM registration_changes l LEFT JOIN charms c ON c.space = l.space AND c.id = l.id \
         LEFT JOIN registrations r ON r.charm = c.row WHERE l.revision > ?1 AND l.revision <= ?2"
    ))?;
    let mut rows = statement.query([after, revision])?;
    let (mut spaces, mut seen) = (SpaceReader::default(), BTreeSet::new());
    let (mut changed, mut removed, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        // The charm of a name that is damaged is in no list: who has known it by its name before is to forget that one.
        let Ok(charm) = named_charm(row, &mut spaces) else { return Ok(None) };
        if !seen.insert(charm.clone()) {
            continue;
        }
        let Some(number) = row.get::<_, Option<i64>>(12)? else {
            removed.push(charm);
            continue;
        };
        match registration(row, &mut spaces) {
            Ok(registration) => changed.push((number, registration)),
            Err(Failure::Damaged(What::Column(column))) => {
                bad.push(damaged(row, &column)?);
                removed.push(charm);
            }
            Err(error) => return Err(error),
        }
    }
    changed.sort_unstable_by_key(|(row, registration)| (registration.created_at, *row));
    let registrations = changed.into_iter().map(|(_, registration)| registration).collect();
    Ok(Some((RegistrationChanges { revision: Some(revision), registrations, removed: Some(removed) }, bad)))
}
