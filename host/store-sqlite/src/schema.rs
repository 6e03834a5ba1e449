//! What is in the file, and how files of earlier versions are brought up to date.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::old_links::tell_links_from_data;
use super::programs::digest_all;
use super::seal::reseal;
use super::{Failure, Sealer, accounts, changes};

/// Marks a SQLite file as one of ours: `bgwh`, in SQLite's header field for that.
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"bgwh");

/// Each brings the format one number up; a file's format is the number of those it has seen (`PRAGMA user_version`).
/// What has been released is never edited, only added to.
const MIGRATIONS: &[Migration] = &[
    Migration::Sql(V1),
    Migration::Sql(V2),
    Migration::Sql(V3),
    Migration::Sql(V4),
    Migration::Code(reseal),
    Migration::Code(tell_links_from_data),
    Migration::Sql(TENANTS),
    Migration::Sql(OWED),
    Migration::Sql(CHANGED),
    Migration::Sql(BLAME),
    Migration::Sql(WOKEN),
    Migration::Code(digest_all),
    Migration::Sql(changes::CREATE),
    Migration::Sql(CAUSE),
    Migration::Sql(accounts::CREATE),
];

/// How a file is brought one format up. All run in the same transaction.
enum Migration {
    /// By statements.
    Sql(&'static str),
    /// By code, for what takes the secrets key, or is not SQLite's to know.
    Code(fn(&Transaction<'_>, &Sealer) -> Result<(), Failure>),
}

/// The newest format that this version knows.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Times are Unix milliseconds, 0 for never. `charms.version` rises with each change of the charm's cells.
/// `poll_states` and `integration_state` stand alone: they also serve a remote runtime, whose charms are not in this
/// file.
const V1: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('registrations_revision', 1);

CREATE TABLE spaces (did TEXT PRIMARY KEY, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE acl (
    space TEXT NOT NULL REFERENCES spaces (did) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('READ', 'WRITE', 'OWNER')),
    PRIMARY KEY (space, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE charms (
    row INTEGER PRIMARY KEY,
    space TEXT NOT NULL REFERENCES spaces (did) ON DELETE CASCADE,
    id TEXT NOT NULL,
    file_name TEXT NOT NULL,
    source TEXT NOT NULL,
    module TEXT NOT NULL,
    name TEXT,
    streams TEXT NOT NULL,
    secrets TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (space, id)
) STRICT;

CREATE TABLE cells (
    charm INTEGER NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    name TEXT NOT NULL,
    sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)),
    document BLOB NOT NULL,
    UNIQUE (charm, name)
) STRICT;

CREATE TABLE registrations (
    charm INTEGER PRIMARY KEY REFERENCES charms (row) ON DELETE CASCADE,
    integration TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_run INTEGER NOT NULL DEFAULT 0,
    disabled_at INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL
) STRICT;
CREATE INDEX registrations_by_integration ON registrations (integration);

CREATE TABLE integration_lists (integration TEXT PRIMARY KEY, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    row INTEGER PRIMARY KEY,
    charm INTEGER NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    started_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    message TEXT,
    stack TEXT
) STRICT;
CREATE INDEX runs_by_charm ON runs (charm, row);

CREATE TABLE poll_states (
    space TEXT NOT NULL,
    charm TEXT NOT NULL,
    next_due INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    disabled_at INTEGER NOT NULL,
    PRIMARY KEY (space, charm)
) STRICT, WITHOUT ROWID;

CREATE TABLE integration_state (
    integration TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (integration, key)
) STRICT;
";

/// What charms log, in the order in which it was kept: a row's number is its cursor, and is not used again, so that who
/// follows the log misses no line. `charms.program` is the ID that a charm made from its present program would have:
/// that of another program, once it was updated in place; none if it never was. What a charm imports from its other
/// files is in JSON objects by path: `further_sources` and, made of these, `further_modules`.
const V2: &str = "
ALTER TABLE charms ADD COLUMN program TEXT;
ALTER TABLE charms ADD COLUMN further_sources TEXT NOT NULL DEFAULT '{}';
ALTER TABLE charms ADD COLUMN further_modules TEXT NOT NULL DEFAULT '{}';

CREATE TABLE logs (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    charm INTEGER NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX logs_by_charm ON logs (charm, row);
";

/// `interval_ms` is what a registration asks for; 0 is no interval of its own. What follows it says what all its runs
/// came to, of which the history has the newest only; `last_kind` saves a look into the history for each row of a list.
/// `poll_states.updated_at` is the change of the registration that the loop knew of.
const V3: &str = "
ALTER TABLE registrations ADD COLUMN interval_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN last_kind TEXT;
ALTER TABLE registrations ADD COLUMN runs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN total_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN min_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN max_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN last_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN failed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN failure TEXT;
ALTER TABLE poll_states ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE registrations SET
    last_kind = (SELECT kind FROM runs WHERE runs.charm = registrations.charm ORDER BY row DESC LIMIT 1),
    last_ms = coalesce((SELECT duration_ms FROM runs WHERE runs.charm = registrations.charm ORDER BY row DESC LIMIT 1), 0),
    (runs, failed, total_ms, min_ms, max_ms) =
        (SELECT count(*), count(*) FILTER (WHERE kind <> 'Success'), coalesce(sum(min(duration_ms, 4294967295)), 0),
            coalesce(min(duration_ms), 0), coalesce(max(duration_ms), 0)
         FROM runs WHERE runs.charm = registrations.charm);
UPDATE registrations SET (failed_at, failure) =
    (SELECT started_at, kind || coalesce(': ' || message, '') FROM runs
     WHERE runs.charm = registrations.charm AND kind <> 'Success' ORDER BY row DESC LIMIT 1) WHERE failed > 0;
DROP INDEX registrations_by_integration;
";

/// For looking through registrations by their charms' names: these lie behind the programs in their rows.
const V4: &str = "CREATE INDEX charms_named ON charms (space, id, name);";

/// Since when a charm is owed a poll; and when the last poll of a registration that succeeded started, which is looked
/// up in the history once.
const OWED: &str = "
ALTER TABLE poll_states ADD COLUMN owed_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN last_success INTEGER NOT NULL DEFAULT 0;
UPDATE registrations SET last_success = coalesce(
    (SELECT max(started_at) FROM runs WHERE runs.charm = registrations.charm AND kind = 'Success'), 0);
";

/// Who keeps how much. `holdings` has what the charms of each space take: the bytes of their programs, cells, logs and
/// runs, and 64 for each row. Triggers count, so that no statement can forget to, in the transaction that changes
/// something; of documents they read the lengths only. `creator` is the key that made the space; none is the operator,
/// or unknown: then nothing is charged to anybody. `space_names` are of spaces with a random key, which is sealed;
/// `owner` is the key that made them, empty for the operator.
///
/// A row of `charms` that is deleted takes all that belongs to it along, and its number is not used again: a handler
/// that still runs for it would write to another charm.
const TENANTS: &str = "
CREATE TABLE holdings (
    space TEXT PRIMARY KEY REFERENCES spaces (did) ON DELETE CASCADE,
    creator TEXT,
    charms INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX holdings_by_creator ON holdings (creator) WHERE creator IS NOT NULL;

CREATE TABLE space_names (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    space TEXT NOT NULL UNIQUE REFERENCES spaces (did) ON DELETE CASCADE,
    key BLOB NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX acl_by_subject ON acl (subject, level);

INSERT INTO holdings (space) SELECT did FROM spaces;
UPDATE holdings SET charms = counted.charms, bytes = counted.bytes FROM (
    SELECT c.space AS space, count(*) AS charms, sum(
        64 + octet_length(c.file_name) + octet_length(c.source) + octet_length(c.module) + coalesce(octet_length(c.name), 0)
        + octet_length(c.streams) + octet_length(c.secrets) + octet_length(c.further_sources) + octet_length(c.further_modules)
        + (SELECT coalesce(sum(64 + octet_length(name) + length(document)), 0) FROM cells WHERE charm = c.row)
        + (SELECT coalesce(sum(64 + octet_length(text)), 0) FROM logs WHERE charm = c.row)
        + (SELECT coalesce(sum(64 + coalesce(octet_length(message), 0) + coalesce(octet_length(stack), 0)), 0) FROM runs WHERE charm = c.row)
    ) AS bytes FROM charms c GROUP BY c.space
) AS counted WHERE counted.space = holdings.space;

CREATE TRIGGER space_added AFTER INSERT ON spaces BEGIN
    INSERT INTO holdings (space) VALUES (NEW.did);
END;

CREATE TRIGGER charm_added AFTER INSERT ON charms BEGIN
    UPDATE holdings SET charms = charms + 1, bytes = bytes
        + 64 + octet_length(NEW.file_name) + octet_length(NEW.source) + octet_length(NEW.module) + coalesce(octet_length(NEW.name), 0)
        + octet_length(NEW.streams) + octet_length(NEW.secrets) + octet_length(NEW.further_sources) + octet_length(NEW.further_modules)
    WHERE space = NEW.space;
END;
CREATE TRIGGER charm_changed
AFTER UPDATE OF file_name, source, module, name, streams, secrets, further_sources, further_modules ON charms BEGIN
    UPDATE holdings SET bytes = bytes
        + octet_length(NEW.file_name) + octet_length(NEW.source) + octet_length(NEW.module) + coalesce(octet_length(NEW.name), 0)
        + octet_length(NEW.streams) + octet_length(NEW.secrets) + octet_length(NEW.further_sources) + octet_length(NEW.further_modules)
        - octet_length(OLD.file_name) - octet_length(OLD.source) - octet_length(OLD.module) - coalesce(octet_length(OLD.name), 0)
        - octet_length(OLD.streams) - octet_length(OLD.secrets) - octet_length(OLD.further_sources) - octet_length(OLD.further_modules)
    WHERE space = NEW.space;
END;
CREATE TRIGGER charm_removed BEFORE DELETE ON charms BEGIN
    DELETE FROM registrations WHERE charm = OLD.row;
    DELETE FROM cells WHERE charm = OLD.row;
    DELETE FROM logs WHERE charm = OLD.row;
    DELETE FROM runs WHERE charm = OLD.row;
    DELETE FROM poll_states WHERE space = OLD.space AND charm = OLD.id;
    UPDATE holdings SET charms = charms - 1, bytes = bytes
        - 64 - octet_length(OLD.file_name) - octet_length(OLD.source) - octet_length(OLD.module) - coalesce(octet_length(OLD.name), 0)
        - octet_length(OLD.streams) - octet_length(OLD.secrets) - octet_length(OLD.further_sources) - octet_length(OLD.further_modules)
    WHERE space = OLD.space;
    INSERT INTO meta (key, value) VALUES ('last_charm_row', OLD.row)
        ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value);
END;

CREATE TRIGGER cell_added AFTER INSERT ON cells BEGIN
    UPDATE holdings SET bytes = bytes + 64 + octet_length(NEW.name) + length(NEW.document)
    WHERE space = (SELECT space FROM charms WHERE row = NEW.charm);
END;
CREATE TRIGGER cell_changed BEFORE UPDATE OF document ON cells BEGIN
    UPDATE holdings SET bytes = bytes + length(NEW.document)
        - (SELECT length(document) FROM cells WHERE charm = OLD.charm AND name = OLD.name)
    WHERE space = (SELECT space FROM charms WHERE row = OLD.charm);
END;
CREATE TRIGGER cell_removed BEFORE DELETE ON cells BEGIN
    UPDATE holdings SET bytes = bytes - 64 - octet_length(OLD.name)
        - (SELECT length(document) FROM cells WHERE charm = OLD.charm AND name = OLD.name)
    WHERE space = (SELECT space FROM charms WHERE row = OLD.charm);
END;

CREATE TRIGGER line_added AFTER INSERT ON logs BEGIN
    UPDATE holdings SET bytes = bytes + 64 + octet_length(NEW.text) WHERE space = (SELECT space FROM charms WHERE row = NEW.charm);
END;
CREATE TRIGGER line_removed BEFORE DELETE ON logs BEGIN
    UPDATE holdings SET bytes = bytes - 64 - octet_length(OLD.text) WHERE space = (SELECT space FROM charms WHERE row = OLD.charm);
END;

CREATE TRIGGER run_added AFTER INSERT ON runs BEGIN
    UPDATE holdings SET bytes = bytes + 64 + coalesce(octet_length(NEW.message), 0) + coalesce(octet_length(NEW.stack), 0)
    WHERE space = (SELECT space FROM charms WHERE row = NEW.charm);
END;
CREATE TRIGGER run_removed BEFORE DELETE ON runs BEGIN
    UPDATE holdings SET bytes = bytes - 64 - coalesce(octet_length(OLD.message), 0) - coalesce(octet_length(OLD.stack), 0)
    WHERE space = (SELECT space FROM charms WHERE row = OLD.charm);
END;
";

/// `changed` has the names of cells that others than the charm's handlers have written, and that nothing has followed
/// yet.
const CHANGED: &str = "ALTER TABLE charms ADD COLUMN changed TEXT NOT NULL DEFAULT '[]';";
/// Who is to blame for what a run came to, and who disabled a registration. Until then, that it was the poll loop was
/// recognized by the text of the reason alone.
const BLAME: &str = "
ALTER TABLE runs ADD COLUMN blame TEXT;
ALTER TABLE registrations ADD COLUMN last_blame TEXT;
ALTER TABLE registrations ADD COLUMN disabled_by TEXT CHECK (disabled_by IN ('hand', 'failures'));
UPDATE registrations SET disabled_by = CASE
    WHEN status GLOB 'Disabled: [0-9]*' AND (ltrim(substr(status, 11), '0123456789') = ' failures in a row'
        OR ltrim(substr(status, 11), '0123456789') GLOB ' failures in a row:*')
    THEN 'failures' ELSE 'hand' END WHERE disabled_at <> 0;
UPDATE registrations SET last_blame = CASE last_kind WHEN 'Denied' THEN 'configuration' WHEN 'Unavailable' THEN 'upstream' ELSE 'charm' END
    WHERE last_kind <> 'Success';
";

/// `woken_at` is when something last changed that the charm may have waited for. Until then that was noted as a change
/// of `updated_at`, which also clears the charm's failures.
const WOKEN: &str = "ALTER TABLE registrations ADD COLUMN woken_at INTEGER NOT NULL DEFAULT 0;";

/// What exactly was the cause of what a run came to.
const CAUSE: &str = "
ALTER TABLE runs ADD COLUMN cause TEXT;
ALTER TABLE registrations ADD COLUMN last_cause TEXT;
";

/// What a file is, before anything is changed in it.
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// One of ours, in this format.
    Ours(i64),
    /// Something else; says what.
    Foreign(String),
}

/// Looks into the file without changing it.
pub(super) fn inspect(connection: &mut Connection) -> rusqlite::Result<Found> {
    // One transaction, so that another process that is just creating the tables is seen before or after, not in
    // between.
    let tx = connection.transaction()?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = tx.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (APPLICATION_ID, version @ 1.., 1..) => Found::Ours(version),
        (0, 0, 0) => Found::Empty,
        (APPLICATION_ID, ..) => Found::Foreign(format!("its format is {version}, which no bg-wasm-host has made")),
        _ => Found::Foreign("it is a SQLite database of another program".to_owned()),
    })
}

/// Brings a file of ours, or an empty one, to the newest format: wholly, or not at all. Answers whether there was
/// anything to do.
pub(super) fn migrate(connection: &mut Connection, sealer: &Sealer) -> Result<bool, Failure> {
    let tx = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let seen = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(seen) {
        match migration {
            Migration::Sql(statements) => tx.execute_batch(statements)?,
            Migration::Code(migrate) => migrate(&tx, sealer)?,
        }
    }
    let is_older = version < newest();
    if is_older {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", newest())?;
    }
    tx.commit()?;
    Ok(is_older)
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    /// Something in every table of the first format.
    const FILLED: &str = "
        INSERT INTO meta VALUES ('key_fingerprint', x'0102');
        UPDATE meta SET value = 7 WHERE key = 'registrations_revision';
        INSERT INTO spaces VALUES ('did:key:s', 1);
        INSERT INTO acl VALUES ('did:key:s', '*', 'WRITE');
        INSERT INTO charms VALUES (5, 'did:key:s', 'c', 'a.tsx', 'source', 'module', 'A', '[]', '[]', 9, 1, 2);
        INSERT INTO cells VALUES (5, 'count', 0, x'3431');
        INSERT INTO cells VALUES (5, 'auth', 1, x'ff00');
        INSERT INTO registrations VALUES (5, 'gmail', 1, 2, 3, 0, 'Success');
        INSERT INTO integration_lists VALUES ('gmail', 1);
        INSERT INTO runs VALUES (2, 5, 1, 9223372036854775807, 'Trapped', 'unreachable', NULL);
        INSERT INTO runs VALUES (3, 5, 1, 2, 'Success', NULL, NULL);
        INSERT INTO poll_states VALUES ('did:key:s', 'c', 1, 2, 3);
        INSERT INTO integration_state VALUES ('gmail', 'k', x'00');";

    /// The rows of every table, as text; of each, the columns of the first format.
    fn content(connection: &Connection) -> Vec<String> {
        let tables = [
            "meta",
            "spaces",
            "acl",
            "cells",
            "(SELECT charm, integration, created_at, updated_at, last_run, disabled_at, status FROM registrations)",
            "integration_lists",
            "(SELECT row, charm, started_at, duration_ms, kind, message, stack FROM runs)",
            "(SELECT space, charm, next_due, failures, disabled_at FROM poll_states)",
            "integration_state",
            "(SELECT row, space, id, file_name, source, module, name, streams, secrets, version, created_at, updated_at \
             FROM charms)",
        ];
        let rows = tables.map(|table| {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| {
                (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect::<rusqlite::Result<Vec<_>>>()
            });
            rows.unwrap().map(|row| format!("{table}: {:?}", row.unwrap())).collect::<Vec<_>>()
        });
        rows.concat()
    }

    #[test]
    fn a_file_of_the_first_format_is_brought_up_to_date_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let first = Connection::open(&path).unwrap();
        first.execute_batch(V1).unwrap();
        first.execute_batch(FILLED).unwrap();
        first.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        first.pragma_update(None, "user_version", 1).unwrap();
        let before = content(&first);
        assert!(before.len() >= 12, "{before:?}");
        drop(first);

        let migrated = open::writer(&path).unwrap();
        assert_eq!(content(&migrated), before);
        let version: i64 = migrated.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, newest());
        migrated.execute("INSERT INTO logs (charm, at, level, text) VALUES (5, 1, 'info', 'x')", []).unwrap();
        let program: Option<String> = migrated.query_row("SELECT program FROM charms", [], |row| row.get(0)).unwrap();
        assert_eq!(program, None);
        let counted = migrated
            .query_row("SELECT last_kind, failure, last_ms, runs, failed, total_ms FROM registrations", [], |row| {
                let texts: [String; 2] = [row.get(0)?, row.get(1)?];
                Ok((texts, [row.get(2)?, row.get(3)?, row.get(4)?, row.get::<_, i64>(5)?]))
            })
            .unwrap();
        let texts = ["Success", "Trapped: unreachable"].map(str::to_owned);
        assert_eq!(counted, (texts, [2, 2, 1, i64::from(u32::MAX) + 2]));
        let holding = migrated.query_row("SELECT creator, charms, bytes FROM holdings", [], |row| {
            Ok((row.get::<_, Option<String>>(0)?, [row.get::<_, i64>(1)?, row.get(2)?]))
        });
        // The texts of the charm, of two cells, two runs and a line, and 64 for each of the six.
        assert_eq!(holding.unwrap(), (None, [1, 26 + 7 + 6 + 11 + 1 + 6 * 64]));
        drop(migrated);
        // Once more, and nothing is done again.
        assert_eq!(content(&open::writer(&path).unwrap()), before);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let first = Connection::open(&path).unwrap();
        first.execute_batch(V1).unwrap();
        // The name is taken by something that is not ours.
        first.execute_batch("CREATE TABLE logs (x)").unwrap();
        first.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        first.pragma_update(None, "user_version", 1).unwrap();
        drop(first);
        assert!(open::writer(&path).is_err());
        let found = Connection::open(&path).unwrap();
        let version: i64 = found.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 1);
        assert!(found.prepare("SELECT program FROM charms").is_err());
    }
}
