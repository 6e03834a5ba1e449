//! Who keeps how much, which spaces are open, and the names of spaces whose key is random.

use bg_charm_api::{AccessLevel, SpaceSummary, Subject};
use bg_identity::{Did, Identity, SpaceDid, SpaceReader};
use bg_store::{Holding, Listed, key_of_space, sound};
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, Transaction};

use super::column::{Columns as _, said};
use super::{Failure, Sealer};

/// What is kept in a space; nothing if it is not there.
pub(crate) fn holding(tx: &Transaction<'_>, space: &SpaceDid) -> Result<Holding, Failure> {
    let mut statement = tx.prepare_cached("SELECT creator, charms, bytes FROM holdings WHERE space = ?1")?;
    let found = statement.query_row([space.as_str()], |row| {
        Ok(Holding { creator: row.get(0)?, charms: row.get(1)?, bytes: row.get(2)? })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// Notes who made a space.
pub(crate) fn set_creator(tx: &Transaction<'_>, space: &SpaceDid, creator: &Did) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE holdings SET creator = ?2 WHERE space = ?1")?
        .execute((space.as_str(), creator.as_str()))?;
    Ok(())
}

/// How many spaces a key has made, and how many bytes they take.
pub(crate) fn kept_by(tx: &Transaction<'_>, creator: &str) -> Result<(u64, u64), Failure> {
    let mut statement =
        tx.prepare_cached("SELECT count(*), coalesce(sum(bytes), 0) FROM holdings WHERE creator = ?1")?;
    Ok(statement.query_row([creator], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// The bytes of the database's file that are in use.
pub(crate) fn database_bytes(tx: &Transaction<'_>) -> Result<u64, Failure> {
    let number = |name| tx.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((number("page_count")?.saturating_sub(number("freelist_count")?)).saturating_mul(number("page_size")?))
}

const OPENS_SPACES: &str = "opens_spaces";

/// Notes whether anyone who signs may write in new spaces.
pub(crate) fn set_opens_spaces(tx: &Transaction<'_>, opens: bool) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value \
         WHERE value <> excluded.value",
    )?
    .execute((OPENS_SPACES, opens))?;
    Ok(())
}

/// Whether anyone who signs may write in new spaces, as the last server had it; as in the original where there was
/// none.
pub(crate) fn opens_spaces(tx: &Transaction<'_>) -> Result<bool, Failure> {
    let mut statement = tx.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([OPENS_SPACES], |row| row.get(0)).optional()?.unwrap_or(true))
}

/// Spaces, oldest first.
pub(crate) fn list(tx: &Transaction<'_>, listed: &Listed<'_>) -> Result<Vec<SpaceSummary>, Failure> {
    let (condition, first, second) = match listed {
        Listed::All => ("?1 = ?1 AND ?2 = ?2", "", ""),
        Listed::Of(did) => (
            "s.did IN (SELECT space FROM holdings WHERE creator = ?1 UNION \
             SELECT space FROM acl WHERE subject = ?1 AND level = 'OWNER') AND ?2 = ?2",
            did.as_str(),
            "",
        ),
        Listed::Named { owner, name } => ("n.owner = ?1 AND n.name = ?2", *owner, *name),
    };
    let mut statement = tx.prepare_cached(&format!(
        "SELECT s.did, n.name, h.charms, h.bytes, a.level FROM spaces s \
         LEFT JOIN holdings h ON h.space = s.did LEFT JOIN space_names n ON n.space = s.did \
         LEFT JOIN acl a ON a.space = s.did AND a.subject = '*' WHERE {condition} ORDER BY s.created_at, s.did"
    ))?;
    let mut rows = statement.query((first, second))?;
    let (mut spaces, mut reader) = (Vec::new(), SpaceReader::default());
    while let Some(row) = rows.next()? {
        spaces.extend(sound(summary(row, &mut reader), || "the list of spaces".to_owned())?);
    }
    Ok(spaces)
}

fn summary(row: &Row<'_>, spaces: &mut SpaceReader) -> Result<SpaceSummary, Failure> {
    let space = row.parse(0, |text| spaces.read(text).ok())?;
    let anyone = match row.get_ref(4)? {
        ValueRef::Null => None,
        _ => Some(row.parse(4, said)?),
    };
    Ok(SpaceSummary { space, name: row.column(1)?, charms: row.column(2)?, bytes: row.column(3)?, anyone })
}

/// The keys that may write to a space by their own names, other than those of `*`.
pub(crate) fn writers(tx: &Transaction<'_>, space: &SpaceDid) -> Result<Vec<Did>, Failure> {
    let acl = super::spaces::acl(tx, space)?;
    let writers = acl.0.into_iter().filter(|(_, level)| *level >= AccessLevel::Write);
    Ok(writers.filter_map(|(subject, _)| if let Subject::Did(did) = subject { Some(did) } else { None }).collect())
}

/// Gives a new space its name, and keeps its key, sealed.
pub(crate) fn name(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    owner: &str,
    name: &str,
    key: &Identity,
) -> Result<(), Failure> {
    let space = SpaceDid::from(key.did());
    let (charm, cell) = key_of_space(&space);
    let document = sealer.seal(tx, &charm, cell, &key.to_pem())?;
    tx.prepare_cached("INSERT INTO space_names (owner, name, space, key) VALUES (?1, ?2, ?3, ?4)")?.execute((
        owner,
        name,
        space.as_str(),
        document,
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bg_identity::space_did;
    use rusqlite::Connection;

    use super::super::{open, spaces};
    use super::*;
    use bg_charm_api::Acl;

    /// What the triggers should have counted, from the rows.
    const COUNTED: &str = "SELECT h.space, h.charms, h.bytes,
        (SELECT count(*) FROM charms c WHERE c.space = h.space),
        (SELECT coalesce(sum(64 + length(CAST(file_name AS BLOB)) + length(CAST(source AS BLOB)) + length(CAST(module AS BLOB))
            + length(CAST(coalesce(name, '') AS BLOB)) + length(CAST(streams AS BLOB)) + length(CAST(secrets AS BLOB))
            + length(CAST(further_sources AS BLOB)) + length(CAST(further_modules AS BLOB))), 0) FROM charms c WHERE c.space = h.space)
        + (SELECT coalesce(sum(64 + length(CAST(x.name AS BLOB)) + length(document)), 0)
            FROM cells x JOIN charms c ON c.row = x.charm WHERE c.space = h.space)
        + (SELECT coalesce(sum(64 + length(CAST(text AS BLOB))), 0)
            FROM logs x JOIN charms c ON c.row = x.charm WHERE c.space = h.space)
        + (SELECT coalesce(sum(64 + length(CAST(coalesce(message, '') AS BLOB)) + length(CAST(coalesce(stack, '') AS BLOB))), 0)
            FROM runs x JOIN charms c ON c.row = x.charm WHERE c.space = h.space)
        FROM holdings h";

    /// Fails unless what is counted is what is there; answers all bytes.
    fn check(connection: &Connection) -> u64 {
        let mut statement = connection.prepare(COUNTED).unwrap();
        let rows = statement.query_map([], |row| {
            let space: String = row.get(0)?;
            let [charms, bytes, charms_there, bytes_there] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
            Ok((space, (charms, bytes), (charms_there, bytes_there)))
        });
        let mut all = 0;
        for row in rows.unwrap() {
            let (space, counted, there): (String, (u64, u64), (u64, u64)) = row.unwrap();
            assert_eq!(counted, there, "{space}");
            all += counted.1;
        }
        all
    }

    const CHARM: &str =
        "INSERT INTO charms (row, space, id, file_name, source, module, name, streams, secrets, created_at, updated_at)
        VALUES (?1, ?2, ?3, 'é.tsx', 'source é', 'module', ?4, '[]', '[]', 0, 0)";

    #[test]
    fn what_is_counted_is_what_is_there_whatever_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = open::writer(&dir.path().join("a.db")).unwrap();
        let tx = connection.transaction().unwrap();
        for space in ["a", "b"] {
            spaces::create(&tx, &space_did(space), &Acl::default()).unwrap();
        }
        for (row, space, name) in [(1, "a", Some("A")), (2, "a", None), (3, "b", Some("ü"))] {
            tx.execute(CHARM, (row, space_did(space).as_str(), format!("c{row}"), name)).unwrap();
        }
        tx.commit().unwrap();
        let empty = check(&connection);
        for statement in [
            "INSERT INTO cells VALUES (1, 'é', 0, x'0102'), (1, 'b', 1, x'00ff00'), (3, 'c', 0, zeroblob(100000))",
            "INSERT INTO cells VALUES (1, 'é', 0, x'010203') ON CONFLICT (charm, name) DO UPDATE SET document = \
             excluded.document",
            "UPDATE cells SET document = zeroblob(5) WHERE name = 'c'",
            "UPDATE cells SET document = zeroblob(70000)",
            "INSERT INTO logs (charm, at, level, text) VALUES (1, 0, 'info', 'Größe'), (3, 0, 'info', '')",
            "INSERT INTO runs (charm, started_at, duration_ms, kind, message, stack) VALUES (1, 0, 0, 'Success', \
             NULL, 'é'), (3, 0, 0, 'x', 'm', NULL)",
            "UPDATE charms SET source = 'longer source', name = NULL, further_modules = '{\"a\":1}'",
            "UPDATE charms SET version = version + 1",
            "DELETE FROM logs WHERE charm = 1",
            "DELETE FROM runs",
            "DELETE FROM cells WHERE name = 'b'",
        ] {
            assert!(connection.execute(statement, []).unwrap() > 0, "{statement}");
            assert!(check(&connection) > empty, "{statement}");
        }
        connection.execute("DELETE FROM charms WHERE row = 3", []).unwrap();
        check(&connection);
        let left = |table: &str| -> i64 {
            connection
                .query_row(&format!("SELECT count(*) FROM {table} WHERE charm = 3"), [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(["cells", "logs", "runs", "registrations"].map(left), [0; 4]);
        connection.execute("DELETE FROM charms", []).unwrap();
        assert_eq!(check(&connection), 0);
        let last: i64 =
            connection.query_row("SELECT value FROM meta WHERE key = 'last_charm_row'", [], |row| row.get(0)).unwrap();
        assert_eq!(last, 3);
        connection.execute("DELETE FROM spaces", []).unwrap();
        assert_eq!(connection.query_row("SELECT count(*) FROM holdings", [], |row| row.get::<_, i64>(0)), Ok(0));
    }

    #[test]
    fn the_key_of_a_named_space_is_sealed_and_is_that_of_its_did() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = open::writer(&dir.path().join("a.db")).unwrap();
        let sealer = Sealer::new(dir.path().join("secrets.key"));
        let key = Identity::generate().unwrap();
        let space = SpaceDid::from(key.did());
        let tx = connection.transaction().unwrap();
        spaces::create(&tx, &space, &Acl::default()).unwrap();
        name(&tx, &sealer, "", "notes", &key).unwrap();
        let document: Vec<u8> = tx.query_row("SELECT key FROM space_names", [], |row| row.get(0)).unwrap();
        let body = key.to_pem().lines().nth(1).unwrap().to_owned();
        assert!(!document.windows(16).any(|window| window == &body.as_bytes()[..16]));
        let (charm, cell) = key_of_space(&space);
        let text = sealer.unseal(&tx, &charm, cell, &document).unwrap();
        assert_eq!(text, *key.to_pem());
        let found = list(&tx, &Listed::Named { owner: "", name: "notes" }).unwrap();
        assert_eq!(found.iter().map(|found| &found.space).collect::<Vec<_>>(), [&space]);
        assert!(list(&tx, &Listed::Named { owner: "somebody", name: "notes" }).unwrap().is_empty());
    }
}
