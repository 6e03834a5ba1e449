//! A store in a database of its own, and what is put into it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::Actor;
use bg_identity::{CharmId, Identity, SpaceDid, space_did};
use bg_poller::{CharmRef, LogLevel, LogLine, Outcome, Run, UnixMillis};
use bg_store::paths::SecretPaths;
use bg_store::{
    Cause, Deployment, Deploys as _, Finished, KnownProgram, NewCharm, Registrations as _, StoredCharm, StoredProgram,
    Tenancy,
};
use bg_store_postgres::{OpenError, PostgresOptions, PostgresStore, Target, create};
use bg_test_support::Postgres;

pub(crate) const STREAM: &str = "bgUpdater";

pub(crate) struct Home {
    pub(crate) postgres: &'static Postgres,
    pub(crate) url: String,
    pub(crate) store: PostgresStore,
    key: tempfile::TempDir,
    tenancy: Tenancy,
}

fn options(url: &str, secrets_key: PathBuf, tenancy: Tenancy) -> PostgresOptions {
    let target = Target::parse(url).unwrap();
    PostgresOptions { target, secrets_key, tenancy, owner: None, connections: 4 }
}

impl Home {
    /// None if there is no PostgreSQL.
    pub(crate) async fn new(tenancy: Tenancy) -> Option<Self> {
        let postgres = Postgres::shared()?;
        let (url, key) = (postgres.database(), tempfile::tempdir().unwrap());
        create(&Target::parse(&url).unwrap()).await.unwrap();
        let store = PostgresStore::open(options(&url, key.path().join("secrets.key"), tenancy.clone())).await.unwrap();
        Some(Self { postgres, url, store, key, tenancy })
    }

    /// The same data, as another process has it.
    pub(crate) async fn another(&self) -> PostgresStore {
        self.open_with(self.key.path().join("secrets.key")).await.unwrap()
    }

    pub(crate) async fn open_with(&self, key: PathBuf) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(options(&self.url, key, self.tenancy.clone())).await
    }

    /// A database that may be none of ours.
    pub(crate) async fn open(url: &str) -> Result<PostgresStore, OpenError> {
        let key = tempfile::tempdir().unwrap();
        PostgresStore::open(options(url, key.path().join("secrets.key"), Tenancy::default())).await
    }

    fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    pub(crate) fn psql(&self, statements: &str) -> String {
        self.postgres.psql(self.database(), statements).unwrap()
    }

    pub(crate) fn dump(&self) -> String {
        let output = self.postgres.program("pg_dump").args(["--inserts", self.database()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) async fn deploy(&self, name: &str) -> CharmRef {
        self.deploy_in(&space("a"), name).await
    }

    pub(crate) async fn deploy_in(&self, space: &SpaceDid, name: &str) -> CharmRef {
        self.store.deploy(&Actor::Operator, deployment(space, name, &[("n", "1")])).await.unwrap().charm
    }

    pub(crate) async fn register(&self, charm: &CharmRef) {
        self.store.register(&Actor::Operator, charm, &"mail".parse().unwrap(), &[STREAM]).await.unwrap();
    }

    /// A connection of nobody's, to the same database.
    pub(crate) async fn connection(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Holds the lock of a charm's space, until it is dropped.
    pub(crate) async fn lock_of(&self, charm: &CharmRef) -> tokio_postgres::Client {
        let client = self.connection().await;
        let lock = format!("SELECT pg_advisory_lock(hashtextextended('{}', 0))", charm.space);
        client.batch_execute(&lock).await.unwrap();
        client
    }

    /// Waits until some transaction waits for a lock.
    pub(crate) async fn waits_for_a_lock(&self) {
        while self.psql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The settings of the store's connections: of one that waits for the space, which a function then says.
    pub(crate) async fn settings(&self) -> BTreeMap<String, String> {
        self.psql(
            "CREATE TABLE said (name TEXT, value TEXT); CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO said SELECT name, current_setting(name) FROM pg_settings WHERE name LIKE '%timeout' OR name = \
             'transaction_isolation'; RETURN NULL; END $$; CREATE TRIGGER say AFTER INSERT ON charms EXECUTE FUNCTION \
             say()",
        );
        self.deploy("says").await;
        let said = self.psql("SELECT name, value FROM said");
        said.lines()
            .map(|line| line.split_once('|').unwrap())
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }
}

pub(crate) fn space(name: &str) -> SpaceDid {
    space_did(name)
}

/// The signer with that passphrase, from elsewhere.
pub(crate) fn signer(name: &str) -> Actor {
    Actor::Remote(Identity::from_passphrase(name).did())
}

pub(crate) fn charm(space: &SpaceDid, name: &str) -> CharmRef {
    CharmRef { space: space.clone(), charm: CharmId::for_content(name.as_bytes()) }
}

/// A charm whose cell `auth` is secret.
pub(crate) fn deployment(space: &SpaceDid, name: &str, cells: &[(&str, &str)]) -> Deployment {
    let new = NewCharm {
        charm: charm(space, name),
        file_name: "a.tsx".to_owned(),
        source: format!("// {name}"),
        files: BTreeMap::new(),
        program: StoredProgram { module: format!("module of {name}"), files: BTreeMap::new() },
        name: Some(name.to_owned()),
        streams: vec![STREAM.to_owned()],
        secrets: SecretPaths::new(vec![vec!["auth".to_owned()]]),
    };
    let cells = cells.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Deployment { new, cells, log: Vec::new() }
}

/// Every program is known.
pub(crate) fn known() -> KnownProgram {
    Arc::new(|_| true)
}

/// A charm as a call begins with it.
pub(crate) async fn begin(store: &dyn bg_store::Store, charm: &CharmRef) -> Arc<StoredCharm> {
    Arc::new(store.begin(&Actor::Operator, charm, STREAM, known()).await.unwrap().charm)
}

pub(crate) fn line(text: &str) -> LogLine {
    LogLine { at: UnixMillis::now(), level: LogLevel::Info, text: text.to_owned() }
}

/// A poll that succeeded, and wrote these cells.
pub(crate) fn finished(charm: &Arc<StoredCharm>, writes: &[(&str, &str)]) -> Finished {
    let outcome = Outcome::success();
    let name = charm.summary.charm.clone();
    Finished {
        run: Run { charm: name, started_at: UnixMillis::now(), duration: Duration::from_millis(3), outcome },
        charm: Arc::clone(charm),
        writes: writes.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        log: Vec::new(),
        cause: Cause::Poll,
        runs_kept: 100,
    }
}
