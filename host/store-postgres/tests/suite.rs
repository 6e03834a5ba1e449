//! The suite of tests that every store must pass, with the store in PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

use std::sync::Arc;

use async_trait::async_trait;
use bg_store::suite::{Damage, Fixture, Home, fails_with_each_fault};
use bg_store::{Store, Tenancy, store_suite};
use bg_store_postgres::{PostgresOptions, PostgresStore, Target, create};
use bg_test_support::Postgres;

/// Makes a database for each store.
struct Server(&'static Postgres);

struct Database {
    postgres: &'static Postgres,
    url: String,
    key: tempfile::TempDir,
    tenancy: Tenancy,
    store: Arc<PostgresStore>,
}

async fn open(url: &str, key: &tempfile::TempDir, tenancy: &Tenancy) -> Arc<PostgresStore> {
    let options = PostgresOptions {
        target: Target::parse(url).unwrap(),
        secrets_key: key.path().join("secrets.key"),
        tenancy: tenancy.clone(),
        owner: None,
        connections: 4,
    };
    Arc::new(PostgresStore::open(options).await.unwrap())
}

#[async_trait]
impl Fixture for Server {
    async fn home(&self, tenancy: Tenancy) -> Arc<dyn Home> {
        let postgres = self.0;
        let (url, key) = (postgres.database(), tempfile::tempdir().unwrap());
        create(&Target::parse(&url).unwrap()).await.unwrap();
        let store = open(&url, &key, &tenancy).await;
        Arc::new(Database { postgres, url, key, tenancy, store })
    }
}

#[async_trait]
impl Home for Database {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn another(&self) -> Arc<dyn Store> {
        open(&self.url, &self.key, &self.tenancy).await
    }

    async fn damage(&self, what: Damage) {
        let (change, charm) = match what {
            Damage::Registration(charm) => {
                ("UPDATE registrations SET interval_ms = -5 WHERE charm =".to_owned(), charm)
            }
            Damage::Cell(charm, name) => {
                (format!("UPDATE cells SET document = '{{' WHERE name = '{name}' AND charm ="), charm)
            }
        };
        let (space, id) = (charm.space, charm.charm);
        let row = format!("(SELECT row FROM charms WHERE space = '{space}' AND id = '{id}')");
        let database = self.url.rsplit('/').next().unwrap();
        assert_eq!(self.postgres.psql(database, &format!("{change} {row} RETURNING 1")).unwrap(), "1");
    }
}

macro_rules! server {
    () => {
        match Postgres::shared() {
            Some(postgres) => Server(postgres),
            None => return,
        }
    };
}

store_suite!(server!());

#[tokio::test]
async fn the_suite_fails_with_each_planted_fault() {
    fails_with_each_fault(Arc::new(server!())).await;
}
