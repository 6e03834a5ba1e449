//! Databases of earlier versions: their charms are found, their secrets are read, and nothing stays sealed as it was.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::{Actor, DeployRequest, Deployed, Spaces};
use bg_charm_runtime::{Handlers, KeyError, LocalHandle, LocalOptions, LocalRuntime, OpenError};
use bg_identity::space_did;
use bg_poller::{CharmRef, CharmRuntime, Lookup, RuntimeError};
use bg_transpile::gather;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{client, component, workspace};

/// What `tests/fixtures/databases/b33b44c` was made with.
const GMAIL: &str = "baedreihyihlafhuau2pvruf5t2zqqs6o64n63qjim4qfp4drhauztn7gve";
const LINKS: &str = "baedreifdoqm6ctozdchms42f2gbaduqq3uaqlph24ene4mdw36nysyu35a";
const INBOX: &str = "baedreia5ovjhk3eidx5gj22ttq6g4zkspifwt7dv26ivqb4xblz36jbsuu";
const COUNTER: &str = "baedreida2m2fz2g44xfiw5ielbmdsyhk4r33iicvototposzei4jqfkne4";
const SECRETS: [(&str, &str, &str); 4] = [
    (GMAIL, "token", "old-gmail-token"),
    (GMAIL, "refreshToken", "old-gmail-refresh-token"),
    (LINKS, "token", "old-links-token"),
    (INBOX, "token", "old-inbox-token"),
];

/// A copy of a database of an earlier version.
struct Old {
    dir: tempfile::TempDir,
    charms: PathBuf,
}

impl Old {
    fn new() -> Self {
        let (dir, from) = (tempfile::tempdir().unwrap(), workspace("tests/fixtures/databases/b33b44c"));
        for name in ["runtime.db", "secrets.key"] {
            std::fs::copy(from.join(name), dir.path().join(name)).unwrap();
        }
        Self { dir, charms: from.join("charms") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Result<LocalHandle, OpenError> {
        LocalRuntime::open(LocalOptions::new(self.path("runtime.db"))).map(operator)
    }

    async fn open_with_handlers(&self) -> LocalHandle {
        let component = component(Duration::from_secs(20)).await;
        let handlers = Some(Handlers { component, http: client(None), api_url: None });
        let options = LocalOptions { handlers, ..LocalOptions::new(self.path("runtime.db")) };
        operator(LocalRuntime::open(options).unwrap())
    }

    /// The sealed documents, as they lie in the file.
    fn sealed(&self) -> Vec<Vec<u8>> {
        let database = Connection::open(self.path("runtime.db")).unwrap();
        let mut statement = database.prepare("SELECT document FROM cells WHERE sealed = 1 ORDER BY rowid").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn is_on_disk(&self, bytes: &[u8]) -> bool {
        std::fs::read_dir(self.dir.path()).unwrap().any(|file| {
            let file = std::fs::read(file.unwrap().path()).unwrap();
            file.windows(bytes.len()).any(|window| window == bytes)
        })
    }

    /// What the charm of that source was deployed with, or would be.
    fn request(&self, file: &str, inputs: Value) -> DeployRequest {
        let read = |name: &str| std::fs::read_to_string(self.charms.join(name)).unwrap();
        let source = read(file);
        let files = gather(file, &source, |import| Ok::<_, ()>(Some(read(import.path)))).unwrap();
        let Value::Object(inputs) = inputs else { panic!("{inputs}") };
        DeployRequest { file_name: file.to_owned(), source, files, inputs, charm: None }
    }

    fn requests(&self) -> [(&'static str, DeployRequest); 4] {
        let gmail = std::fs::read(self.charms.join("gmail.json")).unwrap();
        let links = json!({"auth": {"token": "old-links-token", "user": "ann"}});
        [
            (COUNTER, self.request("counter.tsx", json!({}))),
            (GMAIL, self.request("gmail.tsx", serde_json::from_slice(&gmail).unwrap())),
            (LINKS, self.request("links.ts", links)),
            (INBOX, self.request("inbox.ts", json!({"auth": {"token": "old-inbox-token"}}))),
        ]
    }
}

fn operator(runtime: LocalRuntime) -> LocalHandle {
    Arc::new(runtime).as_actor(Actor::Operator)
}

fn charm(id: &str) -> CharmRef {
    CharmRef { space: space_did("old-space"), charm: id.parse().unwrap() }
}

async fn secret(handle: &LocalHandle, id: &str, key: &str) -> Result<String, RuntimeError> {
    let path = ["auth", key].map(str::to_owned);
    handle.secret(&charm(id), &path).await.map(|secret| secret.expose().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_database_has_sealed_is_read_and_sealed_again_and_nothing_is_left_of_it() {
    let old = Old::new();
    let before = old.sealed();
    assert!(before.len() == 3 && before.iter().all(|document| document[0] == 1), "format 1: {before:?}");
    for _ in 0..2 {
        let handle = old.open().unwrap();
        for (id, key, expected) in SECRETS {
            assert_eq!(secret(&handle, id, key).await.unwrap(), expected);
        }
        let view = handle.open(&charm(GMAIL)).await.unwrap();
        let email = ["auth", "user", "email"].map(str::to_owned);
        assert_eq!(view.get(&email).await.unwrap(), Lookup::Value(json!("ann@example.com")));
    }
    let attempt = bg_abuse::Attempt::begin("secrets", "a database whose cells were sealed in format 1");
    let after = old.sealed();
    assert!(after.len() == 3 && after.iter().all(|document| document[0] == 2), "format 2: {after:?}");
    for document in &before {
        // Nonce and beginning of the text: a page of the file ends somewhere in the rest.
        assert!(!old.is_on_disk(&document[1..48]), "a document of format 1 is still on the disk");
    }
    assert!(after.iter().all(|document| old.is_on_disk(&document[1..48])), "the same search finds the new ones");
    attempt.ended("sealed again, and none of the old bytes left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deployed_before_the_upgrade_is_found_by_the_same_deploy_after_it() {
    let old = Old::new();
    let handle = old.open_with_handlers().await;
    let space = space_did("old-space");
    for (id, request) in old.requests() {
        let again = handle.deploy(&space, &request).await.unwrap();
        assert_eq!((again.charm, again.created, again.updated), (charm(id), false, false), "{}", request.file_name);
    }
    assert_eq!(handle.charms(&space).await.unwrap().len(), 4);
    assert!(handle.trigger(&charm(COUNTER), "bgUpdater", &json!({})).await.unwrap().is_success());
    assert_eq!(handle.show(&charm(COUNTER)).await.unwrap().cells["count"], json!(3));

    // Named itself, it has this program already; another takes its place, and is taken from it by the first again.
    let [.., (_, request)] = old.requests();
    let update = |source: String, named: bool| DeployRequest {
        source,
        charm: named.then(|| charm(INBOX).charm),
        ..request.clone()
    };
    let other = format!("{}// changed\n", request.source);
    for (request, is_change) in [
        (update(request.source.clone(), true), false),
        (update(other.clone(), true), true),
        (update(other, true), false),
        (update(request.source.clone(), false), true),
        (update(request.source.clone(), false), false),
    ] {
        let Deployed { charm: found, created, updated, .. } = handle.deploy(&space, &request).await.unwrap();
        assert_eq!((found, created, updated), (charm(INBOX), false, is_change));
    }
    assert_eq!(secret(&handle, INBOX, "token").await.unwrap(), "old-inbox-token");

    let new = old.request("inbox.ts", json!({"auth": {"token": "another"}}));
    assert!(handle.deploy(&space, &new).await.unwrap().created, "other inputs make another charm");
    assert!(!handle.deploy(&space, &new).await.unwrap().created);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_programs_made_are_followed_and_what_strangers_put_there_is_data() {
    let old = Old::new();
    let handle = old.open_with_handlers().await;
    let attempt = bg_abuse::Attempt::begin("secrets", "a link to a secret that an old database has");
    let forged = |key: &str| json!({"/": {"link@1": {"id": "of:auth", "path": [key]}}});
    for polled in [false, true] {
        if polled {
            for _ in 0..2 {
                let outcome = handle.trigger(&charm(INBOX), "bgUpdater", &json!({})).await.unwrap();
                assert!(outcome.is_success(), "{outcome}");
            }
        }
        let links = handle.open(&charm(LINKS)).await.unwrap();
        let note = json!({"title": "the first"});
        for (cell, expected) in [
            ("notes", json!([note])),
            ("latest", json!("the first")),
            ("account", json!({"token": forged("token"), "user": "ann"})),
        ] {
            assert_eq!(links.get(&[cell.to_owned()]).await.unwrap(), Lookup::Value(expected), "{cell}");
        }
        for (cell, title) in [("own", "with an ID"), ("unnamed", "without a name")] {
            let path = [cell, "0", "title"].map(str::to_owned);
            assert_eq!(links.get(&path).await.unwrap(), Lookup::Value(json!(title)), "{cell}");
        }
        let inbox = handle.open(&charm(INBOX)).await.unwrap();
        let Lookup::Value(items) = inbox.get(&["items".to_owned()]).await.unwrap() else { panic!("a value") };
        assert_eq!(items[0], forged("token"), "{items}");
        let shown = json!([handle.show(&charm(INBOX)).await.unwrap(), handle.show(&charm(LINKS)).await.unwrap()]);
        assert!(!shown.to_string().contains("-token\""), "{shown}");
        assert!(!old.is_on_disk(b"old-inbox-token") && !old.is_on_disk(b"old-links-token"));
    }
    attempt.ended("data, given back as it came");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_database_without_its_key_or_with_another_is_not_migrated() {
    let old = Old::new();
    let (key, before) = (old.path("secrets.key"), old.sealed());
    let content = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = old.open().err().unwrap();
    assert_eq!(error.to_string(), KeyError::Missing(key.clone()).to_string());
    assert!(!key.exists(), "no new key takes its place");
    std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
    assert_eq!(old.open().err().unwrap().to_string(), KeyError::Other(key.clone()).to_string());
    assert_eq!(old.sealed(), before);

    std::fs::write(&key, content).unwrap();
    assert_eq!(secret(&old.open().unwrap(), INBOX, "token").await.unwrap(), "old-inbox-token");
    std::fs::remove_file(&key).unwrap();
    assert_eq!(old.open().err().unwrap().to_string(), KeyError::Missing(key.clone()).to_string(), "nor after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cell_of_an_old_database_concerns_its_charm_alone() {
    let old = Old::new();
    let damage = "UPDATE cells SET document = substr(document, 1, length(document) - 1) WHERE sealed = 1 AND charm = \
                  (SELECT row FROM charms WHERE id = ?1)";
    assert_eq!(Connection::open(old.path("runtime.db")).unwrap().execute(damage, [INBOX]), Ok(1));
    let handle = old.open().unwrap();
    for (id, key, expected) in SECRETS {
        let found = secret(&handle, id, key).await;
        if id == INBOX {
            let error = found.unwrap_err().to_string();
            assert!(error.contains(&format!("the sealed cell auth of {} is damaged", charm(INBOX))), "{error}");
        } else {
            assert_eq!(found.unwrap(), expected);
        }
    }
}

/// A backup may lie anywhere, and is opened where it lies.
#[test]
fn the_key_of_an_old_database_may_lie_elsewhere() {
    let old = Old::new();
    let key = old.path("elsewhere");
    std::fs::rename(old.path("secrets.key"), &key).unwrap();
    let options = LocalOptions { secrets_key: Some(key), ..LocalOptions::new(old.path("runtime.db")) };
    LocalRuntime::open(options).unwrap();
    assert!(old.sealed().iter().all(|document| document[0] == 2));
}
