//! What is in the file, and how files of earlier versions are brought up to date.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks a SQLite file as one of ours: `bgwh`, in SQLite's header field for that.
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"bgwh");

/// Each brings the format one number up; a file's format is the number of those it has seen (`PRAGMA user_version`). What has
/// been released is never edited, only added to.
const MIGRATIONS: [&str; 1] = [V1];

/// The newest format that this version knows.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Times are Unix milliseconds, 0 for never. `charms.version` rises with each change of the charm's cells. `poll_states` and
/// `integration_state` stand alone: they also serve a remote runtime, whose charms are not in this file.
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
    // One transaction, so that another process that is just creating the tables is seen before or after, not in between.
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

/// Brings a file of ours, or an empty one, to the newest format: wholly, or not at all.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let seen = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(seen) {
        tx.execute_batch(migration)?;
    }
    if version < newest() {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", newest())?;
    }
    tx.commit()
}
