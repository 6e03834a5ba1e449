//! The suite of tests that every store must pass, with the store in a SQLite file.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bg_store::suite::{Damage, Fixture, Home, fails_with_each_fault};
use bg_store::{Store, Tenancy, store_suite};
use bg_store_sqlite::{SqliteOptions, SqliteStore};
use rusqlite::Connection;

struct Files;

struct File {
    folder: tempfile::TempDir,
    tenancy: Tenancy,
    store: Arc<SqliteStore>,
}

fn open(database: PathBuf, tenancy: &Tenancy) -> Arc<SqliteStore> {
    let options = SqliteOptions { database, secrets_key: None, tenancy: tenancy.clone(), owner: None };
    Arc::new(SqliteStore::open(options).unwrap())
}

#[async_trait]
impl Fixture for Files {
    async fn home(&self, tenancy: Tenancy) -> Arc<dyn Home> {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path().join("runtime.db"), &tenancy);
        Arc::new(File { folder, tenancy, store })
    }
}

#[async_trait]
impl Home for File {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn another(&self) -> Arc<dyn Store> {
        open(self.folder.path().join("runtime.db"), &self.tenancy)
    }

    async fn damage(&self, what: Damage) {
        let row = "(SELECT row FROM charms WHERE space = ?1 AND id = ?2)";
        let (statement, charm) = match what {
            Damage::Registration(charm) => {
                (format!("UPDATE registrations SET interval_ms = -5 WHERE charm = {row}"), charm)
            }
            Damage::Cell(charm, name) => {
                (format!("UPDATE cells SET document = x'7b' WHERE charm = {row} AND name = '{name}'"), charm)
            }
        };
        let database = Connection::open(self.folder.path().join("runtime.db")).unwrap();
        let changed = database.execute(&statement, [charm.space.as_str(), charm.charm.as_str()]).unwrap();
        assert_eq!(changed, 1);
    }
}

store_suite!(Files);

#[tokio::test]
async fn the_suite_fails_with_each_planted_fault() {
    fails_with_each_fault(Arc::new(Files)).await;
}
