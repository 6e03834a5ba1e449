//! The revision of the registrations, and their newest changes: which revision was about which charm.

use super::error::Failure;
use super::session::Session;
use super::values::{Columns as _, number, texts};

/// How many are remembered. Who has missed more reads all registrations.
pub(crate) const KEPT: u64 = 1_000;

/// A number that rises with every registration, removal, enabling, disabling and other interval; not with what polls
/// note.
pub(crate) async fn revision(session: &Session) -> Result<u64, Failure> {
    let row = session.query_one("SELECT number FROM meta WHERE key = 'registrations_revision'", &[]).await?;
    row.map_or(Ok(0), |row| row.unsigned(0))
}

/// Raises the revision by one for each of these changes, and notes which charm it was about; what changes many at once
/// has a revision without a name, so that who has not seen it reads all registrations. So has one without a charm.
/// Answers the revision.
pub(crate) async fn note(session: &Session, changed: &[(String, String)]) -> Result<u64, Failure> {
    let named: &[(String, String)] = if changed.len() as u64 >= KEPT { &[] } else { changed };
    let count = number(named.len().max(1) as u64);
    let (spaces, ids) =
        (texts(named.iter().map(|(space, _)| space.as_str())), texts(named.iter().map(|(_, id)| id.as_str())));
    let row = session.query_one(NOTE, &[&count, &spaces, &ids, &number(KEPT)]).await?;
    row.map_or(Ok(0), |row| row.unsigned(0))
}

const NOTE: &str = "WITH revision AS (UPDATE meta SET number = number + $1 WHERE key = 'registrations_revision' \
                    RETURNING number), named AS (INSERT INTO registration_changes (revision, space, id) SELECT (SELECT \
                    number FROM revision) - $1 + at, space, id FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS \
                    changed (space, id, at) WHERE id <> ''), old AS (DELETE FROM registration_changes WHERE revision <= \
                    (SELECT number FROM revision) - $4) SELECT number FROM revision";

/// Forgets a charm that is deleted: of it, not even its name is kept. Who has not seen its last changes reads all
/// registrations.
pub(crate) async fn forget_charm(session: &Session, space: &str, id: &str) -> Result<(), Failure> {
    let (space, id) = (super::values::text(space), super::values::text(id));
    session.execute("DELETE FROM registration_changes WHERE space = $1 AND id = $2", &[&space, &id]).await?;
    Ok(())
}
