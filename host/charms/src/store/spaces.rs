//! Spaces and their access lists.

use bg_identity::SpaceDid;
use bg_poller::UnixMillis;
use rusqlite::Transaction;

use super::Failure;
use crate::{AccessLevel, Acl, Subject};

/// Whether the space is there.
pub(crate) fn exists(tx: &Transaction<'_>, space: &SpaceDid) -> Result<bool, Failure> {
    Ok(tx.prepare_cached("SELECT 1 FROM spaces WHERE did = ?1")?.exists([space.as_str()])?)
}

/// Creates a space with that access list, unless it is there.
pub(crate) fn create(tx: &Transaction<'_>, space: &SpaceDid, acl: &Acl) -> Result<(), Failure> {
    let created = tx
        .prepare_cached("INSERT INTO spaces (did, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((space.as_str(), UnixMillis::now().0))?;
    if created > 0 {
        for (subject, level) in &acl.0 {
            set_acl(tx, space, subject, Some(*level))?;
        }
    }
    Ok(())
}

/// The access list of a space; empty if there is no such space.
pub(crate) fn acl(tx: &Transaction<'_>, space: &SpaceDid) -> Result<Acl, Failure> {
    let mut statement = tx.prepare_cached("SELECT subject, level FROM acl WHERE space = ?1")?;
    let mut rows = statement.query([space.as_str()])?;
    let mut acl = Acl::default();
    while let Some(row) = rows.next()? {
        let (subject, level): (String, String) = (row.get(0)?, row.get(1)?);
        let damaged = || Failure::Damaged(format!("the access list of {space}"));
        acl.0.insert(subject.parse().map_err(|_| damaged())?, level.parse().map_err(|_| damaged())?);
    }
    Ok(acl)
}

/// Gives a subject a level, or nothing, in place of what it had.
pub(crate) fn set_acl(
    tx: &Transaction<'_>,
    space: &SpaceDid,
    subject: &Subject,
    level: Option<AccessLevel>,
) -> Result<(), Failure> {
    match level {
        Some(level) => tx
            .prepare_cached(
                "INSERT INTO acl (space, subject, level) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (space, subject) DO UPDATE SET level = excluded.level",
            )?
            .execute((space.as_str(), subject.to_string(), level.as_str()))?,
        None => tx
            .prepare_cached("DELETE FROM acl WHERE space = ?1 AND subject = ?2")?
            .execute((space.as_str(), subject.to_string()))?,
    };
    Ok(())
}
