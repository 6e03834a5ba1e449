//! Spaces and their access lists.

use bg_charm_api::{AccessLevel, Acl, Subject};
use bg_identity::{Did, SpaceDid};
use bg_poller::UnixMillis;
use bg_store::What;
use rusqlite::{Rows, Transaction};

use super::Failure;

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
    entries(statement.query([space.as_str()])?, space)
}

/// What the access list of a space says of a caller: its entries for anyone, and for that key. Every request asks for
/// them, so the rest is not read.
pub(crate) fn acl_for(tx: &Transaction<'_>, space: &SpaceDid, caller: Option<&Did>) -> Result<Acl, Failure> {
    let mut statement =
        tx.prepare_cached("SELECT subject, level FROM acl WHERE space = ?1 AND subject IN ('*', ?2)")?;
    entries(statement.query((space.as_str(), caller.map(Did::as_str)))?, space)
}

fn entries(mut rows: Rows<'_>, space: &SpaceDid) -> Result<Acl, Failure> {
    let mut acl = Acl::default();
    while let Some(row) = rows.next()? {
        let (subject, level): (String, String) = (row.get(0)?, row.get(1)?);
        let damaged = || Failure::Damaged(What::OfSpace(format!("the access list of {space}")));
        acl.0.insert(subject.parse().map_err(|_| damaged())?, level.parse().map_err(|_| damaged())?);
    }
    Ok(acl)
}

/// Whether the access list of a space names that subject.
pub(crate) fn has_subject(tx: &Transaction<'_>, space: &SpaceDid, subject: &Subject) -> Result<bool, Failure> {
    let mut statement = tx.prepare_cached("SELECT 1 FROM acl WHERE space = ?1 AND subject = ?2")?;
    Ok(statement.exists((space.as_str(), subject.to_string()))?)
}

/// How many subjects the access list of a space names.
pub(crate) fn subjects(tx: &Transaction<'_>, space: &SpaceDid) -> Result<u64, Failure> {
    let mut statement = tx.prepare_cached("SELECT count(*) FROM acl WHERE space = ?1")?;
    Ok(statement.query_row([space.as_str()], |row| row.get(0))?)
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

#[cfg(test)]
mod tests {
    use bg_identity::{Identity, space_did};

    use super::super::open;
    use super::*;

    #[test]
    fn a_check_of_access_reads_the_entries_of_anyone_and_the_caller_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = open::writer(&dir.path().join("a.db")).unwrap();
        let tx = connection.transaction().unwrap();
        let (space, did) = (space_did("a"), |name: &str| Identity::from_passphrase(name).did());
        let of = |entries: &[(Subject, AccessLevel)]| Acl(entries.iter().cloned().collect());
        let anyone = (Subject::Anyone, AccessLevel::Read);
        let [ann, ben] = ["ann", "ben"].map(|name| (Subject::Did(did(name)), AccessLevel::Write));
        create(&tx, &space, &of(&[anyone.clone(), ann.clone(), ben.clone()])).unwrap();
        // A reader of this one fails.
        tx.execute("INSERT INTO acl (space, subject, level) VALUES (?1, 'damaged', 'READ')", [space.as_str()]).unwrap();
        assert!(acl(&tx, &space).is_err());
        for (caller, entries) in [
            (Some(did("ann")), vec![anyone.clone(), ann]),
            (Some(did("ben")), vec![anyone.clone(), ben]),
            (Some(did("zoe")), vec![anyone.clone()]),
            (None, vec![anyone]),
        ] {
            assert_eq!(acl_for(&tx, &space, caller.as_ref()).unwrap(), of(&entries), "{caller:?}");
        }
        // The list's key is found in its index.
        let plan: String = tx
            .query_row(
                "EXPLAIN QUERY PLAN SELECT subject, level FROM acl WHERE space = ?1 AND subject IN ('*', ?2)",
                ["a", "b"],
                |row| row.get("detail"),
            )
            .unwrap();
        assert!(plan.contains("space=? AND subject=?"), "{plan}");
    }
}
