//! What was not known to be secret when it was stored, and is now.
//!
//! Versions of this program differ in what they know to be secret by its name. A database notes by which rules it was
//! sealed; when it is opened by other ones, it is sealed again, once.

use std::collections::BTreeMap;

use bg_identity::SpaceReader;
use bg_poller::CharmRef;
use bg_store::{What, sound};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use serde_json::Value;

use super::charms::charm_ref;
use super::{Cells, Failure, Sealer};
use bg_store::paths::SecretPaths;
use bg_store::secret_names::RULES;

/// Shorter texts are found in too many places where they mean something else.
const SHORTEST: usize = 8;

/// In place of a secret.
const MASK: &str = "(secret)";

/// Columns of texts that may quote a charm's cells, with the one that names the charm's row.
const QUOTES: [(&str, &str, &str); 6] = [
    ("runs", "charm", "message"),
    ("runs", "charm", "stack"),
    ("logs", "charm", "text"),
    ("registrations", "charm", "status"),
    ("registrations", "charm", "failure"),
    ("charms", "row", "name"),
];

/// Where a database notes the rules that it was sealed by, or [`UNFORGOTTEN`].
const NOTE: &str = "secret_rules";

/// Everything is sealed, and clear texts may still stand in free pages.
const UNFORGOTTEN: i64 = 0;

/// Seals what today's rules call secret, if the database was sealed by other ones. Answers whether
/// [`forget_clear_texts`] is next, once the transaction is committed.
pub(crate) fn seal_by_todays_rules(tx: &Transaction<'_>, sealer: &Sealer) -> Result<bool, Failure> {
    let noted =
        tx.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([NOTE], |row| row.get(0)).optional()?;
    match noted {
        Some(Sql::Integer(RULES)) => return Ok(false),
        Some(Sql::Integer(UNFORGOTTEN)) => return Ok(true),
        _ => {}
    }
    let changed = seal_what_is_secret_now(tx, sealer)?;
    note(tx, if changed { UNFORGOTTEN } else { RULES })?;
    Ok(changed)
}

/// Leaves nothing of what was sealed behind, neither in free pages nor in the write-ahead log. A reader in another
/// process may keep some of the log: that goes with a later checkpoint.
pub(crate) fn forget_clear_texts(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("VACUUM")?;
    note(connection, RULES)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn note(connection: &Connection, rules: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute((NOTE, rules))
        .map(drop)
}

/// Seals every cell in which something is secret by today's rules, and which lies in the clear. What else holds such a
/// secret's text in the clear is not left so: cells that were made from it are secret as a whole from then on, and runs
/// and logs have it masked. Answers whether something was changed.
fn seal_what_is_secret_now(tx: &Transaction<'_>, sealer: &Sealer) -> Result<bool, Failure> {
    let mut changed = false;
    for (row, charm, secrets) in charms(tx)? {
        let one = seal_charm(tx, sealer, row, &charm, secrets);
        changed |= sound(one, || format!("the cells of {charm}"))?.unwrap_or_default();
    }
    Ok(changed)
}

fn charms(tx: &Transaction<'_>) -> Result<Vec<(i64, CharmRef, SecretPaths)>, Failure> {
    let mut statement = tx.prepare("SELECT row, space, id, secrets FROM charms ORDER BY row")?;
    let mut rows = statement.query([])?;
    let (mut spaces, mut charms) = (SpaceReader::default(), Vec::new());
    while let Some(row) = rows.next()? {
        charms.extend(sound(with_secrets(row, &mut spaces), || "the charms".to_owned())?);
    }
    Ok(charms)
}

fn with_secrets(row: &Row<'_>, spaces: &mut SpaceReader) -> Result<(i64, CharmRef, SecretPaths), Failure> {
    let (space, id, secrets): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let charm = charm_ref(&space, &id, spaces)?;
    let secrets = serde_json::from_str(&secrets)
        .map_err(|error| Failure::Damaged(What::OfCharm(format!("what is secret in {charm} ({error})"))))?;
    Ok((row.get(0)?, charm, secrets))
}

fn seal_charm(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    row: i64,
    charm: &CharmRef,
    mut secrets: SecretPaths,
) -> Result<bool, Failure> {
    let mut names = tx.prepare_cached("SELECT name FROM cells WHERE charm = ?1 AND sealed = 0")?;
    let names = names.query_map([row], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    if !names.iter().any(|name| secrets.touches_cell(name)) {
        return Ok(false);
    }
    let (mut clear, mut seal, mut texts) = (clear_cells(tx, row, charm)?, BTreeMap::new(), Vec::new());
    for name in names.into_iter().filter(|name| secrets.touches_cell(name)) {
        let Some(text) = clear.remove(&name) else { continue };
        texts.extend(secrets.texts(&name, Cells::parsed(charm, &name, &text)?.into_node()));
        seal.insert(name, text);
    }
    texts.retain(|text| text.len() >= SHORTEST);
    let mut copies = Vec::new();
    for (name, text) in clear {
        if holds(Cells::parsed(charm, &name, &text)?.node(), &texts) {
            copies.push(name.clone());
            seal.insert(name, text);
        }
    }
    if !copies.is_empty() {
        secrets = secrets.with_cells(copies);
        let text = serde_json::to_string(&secrets)
            .map_err(|error| Failure::Damaged(What::OfCharm(format!("what is secret in {charm} ({error})"))))?;
        tx.execute("UPDATE charms SET secrets = ?2 WHERE row = ?1", (row, text))?;
    }
    Cells::new(tx, sealer, row, charm, &secrets).set(&seal)?;
    mask_quotes(tx, row, &texts)?;
    Ok(true)
}

/// The cells of a charm that are not sealed.
fn clear_cells(tx: &Transaction<'_>, row: i64, charm: &CharmRef) -> Result<BTreeMap<String, String>, Failure> {
    let mut statement = tx.prepare_cached("SELECT name, document FROM cells WHERE charm = ?1 AND sealed = 0")?;
    let mut rows = statement.query([row])?;
    let mut cells = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let text = String::from_utf8(row.get(1)?)
            .map_err(|_| Failure::Damaged(What::OfCharm(format!("the cell {name} of {charm}"))))?;
        cells.insert(name, text);
    }
    Ok(cells)
}

/// Whether one of the texts stands somewhere in a value.
fn holds(value: &Value, texts: &[String]) -> bool {
    match value {
        Value::String(value) => texts.iter().any(|text| value.contains(text)),
        Value::Array(items) => items.iter().any(|item| holds(item, texts)),
        Value::Object(members) => {
            members.iter().any(|(key, member)| texts.iter().any(|text| key.contains(text)) || holds(member, texts))
        }
        _ => false,
    }
}

fn mask_quotes(tx: &Transaction<'_>, row: i64, texts: &[String]) -> Result<(), Failure> {
    for (table, charm, column) in QUOTES {
        let mut statement = tx.prepare_cached(&format!(
            "UPDATE {table} SET {column} = replace({column}, ?2, ?3) WHERE {charm} = ?1 AND instr({column}, ?2) > 0"
        ))?;
        for text in texts {
            statement.execute((row, text, MASK))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use rusqlite::TransactionBehavior;

    use super::*;
    use crate::{charms, open};

    fn texts_in(dir: &std::path::Path, needle: &str) -> usize {
        let files = std::fs::read_dir(dir).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.map(|bytes| bytes.windows(needle.len()).filter(|window| *window == needle.as_bytes()).count()).sum()
    }

    #[test]
    fn what_lies_in_the_clear_and_is_secret_now_is_sealed_with_its_copies_and_nothing_of_it_stays_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut connection = open::writer(&path).unwrap();
        let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") };
        // As a version before this one has written it: nothing is marked, and a value was overwritten once.
        let cells = [
            ("auth", r#"{"accessToken": "older-SECRET-0", "user": "ann"}"#),
            ("auth", r#"{"accessToken": "access-SECRET-1", "user": "ann"}"#),
            ("header", r#"["Bearer access-SECRET-1"]"#),
            ("mails", r#"[{"subject": "hello"}]"#),
        ];
        connection.execute("INSERT INTO spaces VALUES (?1, 1)", [charm.space.as_str()]).unwrap();
        connection
            .execute(
                "INSERT INTO charms (row, space, id, file_name, source, module, name, streams, secrets, created_at, \
                 updated_at) VALUES (5, ?1, ?2, 'a.tsx', 's', 'm', 'for access-SECRET-1', '[]', \
                 '[[\"auth\",\"token\"]]', 1, 1)",
                (charm.space.as_str(), charm.charm.as_str()),
            )
            .unwrap();
        for (name, document) in cells {
            connection.execute("DELETE FROM cells WHERE name = ?1", [name]).unwrap();
            connection.execute("INSERT INTO cells VALUES (5, ?1, 0, ?2)", (name, document.as_bytes())).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO logs (charm, at, level, text) VALUES (5, 1, 'info', 'sent access-SECRET-1 off');
                 INSERT INTO runs (row, charm, started_at, duration_ms, kind, message, stack)
                 VALUES (1, 5, 1, 1, 'HandlerFailed', '401 for access-SECRET-1', 'at access-SECRET-1');",
            )
            .unwrap();
        assert!(texts_in(dir.path(), "SECRET") >= 5);

        let sealer = Sealer::new(dir.path().join("secrets.key"));
        let seal = |connection: &mut Connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
            let forget = seal_by_todays_rules(&tx, &sealer).unwrap();
            tx.commit().unwrap();
            forget
        };
        assert!(seal(&mut connection));
        assert!(seal(&mut connection), "also if the process ended before it had forgotten them");
        forget_clear_texts(&connection).unwrap();
        assert!(!seal(&mut connection), "once");
        assert_eq!(texts_in(dir.path(), "SECRET"), 0);
        assert!(texts_in(dir.path(), "hello") > 0, "what is not secret is found by the same search");

        let tx = connection.transaction().unwrap();
        let stored = charms::find(&tx, &charm).unwrap();
        let cells = Cells::of(&tx, &sealer, &stored);
        let value = |name: &str| cells.value(name).unwrap().unwrap();
        assert_eq!(value("auth").node()["accessToken"], "access-SECRET-1");
        assert_eq!(value("header").node()[0], "Bearer access-SECRET-1");
        assert!(stored.secrets.covers(&["header".to_owned()]) && !stored.secrets.touches_cell("mails"));
        assert_eq!(stored.summary.name.as_deref(), Some("for (secret)"));
        let log: String = tx.query_row("SELECT text FROM logs", [], |row| row.get(0)).unwrap();
        assert_eq!(log, "sent (secret) off");
    }
}
