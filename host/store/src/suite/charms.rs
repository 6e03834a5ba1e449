//! Charms: deployed, updated, edited, deleted, and by whom.

use bg_charm_api::{AccessLevel, Actor};
use bg_poller::RuntimeError;
use serde_json::json;

use super::Fixture;
use super::scene::{
    begin, cells, deploy, deploy_as, deployment, finished, home, keep, register, registration, runs, signer, space,
    texts, unknown,
};
use crate::document::Document;
use crate::rights::{Needed, Right};
use crate::store::{CellEdit, CellUpdate, EditError, Update};
use crate::tenancy::{Reach, Tenancy};

/// Sets a cell to a number.
fn set(cell: &str, value: u32) -> CellEdit {
    let edit = Box::new(move |_: crate::store::Editor<'_>| Ok(Document::of(json!(value))));
    CellEdit { cell: cell.to_owned(), edit, update: CellUpdate::Set }
}

pub(super) async fn what_is_kept_is_seen_by_every_later_operation_of_every_process(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, other) = (home.store(), home.another().await);
    let all = [&*store, &*other];
    let charm = deploy(all[0], "a", &[("n", "0")]).await;
    for number in 1..=6_u32 {
        // By turns.
        let (writes, reads) = (all[number as usize % 2], all[(number as usize + 1) % 2]);
        let before = [writes.writes(&charm), reads.writes(&charm)];
        writes.edit(&Actor::Operator, &charm, set("n", number)).await.unwrap();
        assert_ne!(writes.writes(&charm), before[0]);
        for store in [writes, reads] {
            assert_eq!(cells(store, &charm).await, texts(&[("n", &number.to_string())]));
            let look = store.look(&Actor::Operator, &charm, unknown()).await.unwrap();
            assert_eq!(look.cells, Some(texts(&[("n", &number.to_string())])));
            assert_eq!(look.charm.version, begin(store, &charm).await.version);
        }
        let integration = format!("integration-{number}");
        register(reads, &charm, &integration).await;
        for store in [writes, reads] {
            assert_eq!(registration(store, &charm).await.integration.as_str(), integration);
            assert_eq!(begin(store, &charm).await.integration, Some(integration.clone()));
        }
    }
}

pub(super) async fn a_program_is_replaced_unless_the_cells_have_changed(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1"), ("open", "\"tok-1\"")]).await;
    let present = store.present(&Actor::Operator, &charm).await.unwrap();
    assert_eq!(present.cells, ["n", "open"]);
    let before = std::sync::Arc::new(present.charm);
    let update = |source: &str| {
        let mut deployment = deployment(&space(), "a", &[("added", "2")]);
        source.clone_into(&mut deployment.new.program.module);
        deployment.new.secrets = crate::paths::SecretPaths::new(vec![vec!["open".to_owned()]]);
        let known_by = bg_identity::CharmId::for_content(source.as_bytes());
        Update { before: std::sync::Arc::clone(&before), known_by, deployment }
    };
    let updated = store.update(&Actor::Operator, update("second")).await.unwrap().unwrap();
    assert_eq!((updated.charm, updated.created, updated.updated), (charm.clone(), false, true));
    let now = texts(&[("added", "2"), ("n", "1"), ("open", "\"tok-1\"")]);
    assert_eq!(cells(store, &charm).await, now);
    let begun = store.begin(&Actor::Operator, &charm, super::scene::STREAM, unknown()).await.unwrap();
    assert_eq!(begun.program.unwrap().module, "second");
    assert_eq!(begun.secrets.len(), 1);
    assert_ne!(begun.charm.program, before.program);
    // It was changed since: by that update.
    assert!(store.update(&Actor::Operator, update("third")).await.unwrap().is_none());
    let begun = store.begin(&Actor::Operator, &charm, super::scene::STREAM, unknown()).await.unwrap();
    assert_eq!((begun.program.unwrap().module, cells(store, &charm).await), ("second".to_owned(), now));
}

pub(super) async fn an_edit_that_is_refused_changes_nothing(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1")]).await;
    let before = begin(store, &charm).await;
    let refused = RuntimeError::Invalid("no".to_owned());
    let error = EditError::Refused(refused.clone());
    let edit = CellEdit {
        cell: "n".to_owned(),
        edit: Box::new(move |found| {
            assert_eq!(found.document, Ok(Some(Document::of(json!(1)))));
            Err(error.clone())
        }),
        update: CellUpdate::Set,
    };
    assert_eq!(store.edit(&Actor::Operator, &charm, edit).await, Err(refused));
    assert_eq!(
        (cells(store, &charm).await, begin(store, &charm).await.version),
        (texts(&[("n", "1")]), before.version)
    );
    // Of a cell that does not exist, the others are named.
    let edit = CellEdit {
        cell: "m".to_owned(),
        edit: Box::new(|found| {
            assert_eq!((found.document, found.names), (Ok(None), vec!["n".to_owned()]));
            Ok(Document::of(json!(2)))
        }),
        update: CellUpdate::Set,
    };
    store.edit(&Actor::Operator, &charm, edit).await.unwrap();
    assert_eq!(cells(store, &charm).await, texts(&[("m", "2"), ("n", "1")]));
    assert_eq!(begin(store, &charm).await.changed, ["m"]);
}

pub(super) async fn a_deleted_charm_leaves_nothing_to_another_of_its_name(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1")]).await;
    register(store, &charm, "mail").await;
    let begun = begin(store, &charm).await;
    keep(store, finished(&begun, &[("n", "2")])).await.unwrap().unwrap();
    let late = begin(store, &charm).await;
    store.delete(&Actor::Operator, &charm).await.unwrap();
    let not_found = RuntimeError::NotFound(charm.clone());
    assert_eq!(store.runs(&Actor::Operator, &charm, 1).await, Err(not_found.clone()));
    assert!(store.registrations(&Actor::Operator).await.unwrap().registrations.is_empty());
    assert_eq!(deploy(store, "a", &[("n", "7")]).await, charm);
    assert_ne!(begin(store, &charm).await.row, late.row);
    assert_eq!(keep(store, finished(&late, &[("n", "8")])).await, Err(not_found));
    assert_eq!(cells(store, &charm).await, texts(&[("n", "7")]));
    assert_eq!(runs(store, &charm).await, []);
    assert_eq!(store.overview_of(&Actor::Operator, &charm).await, Ok(None));
}

pub(super) async fn a_stranger_reads_and_writes_nothing_in_a_private_space(fixture: &dyn Fixture) {
    let reach = Some(Reach::Others { open_spaces: false });
    let home = fixture.home(Tenancy { reach, ..Tenancy::default() }).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[("n", "1")]).await;
    register(store, &charm, "mail").await;
    for actor in [signer("eve"), Actor::Anonymous] {
        let refused = |error: RuntimeError| assert!(matches!(error, RuntimeError::Authorization { .. }), "{error:?}");
        let read = Right::Space(AccessLevel::Read);
        refused(store.cells(&actor, &charm, &read, &["n".to_owned()]).await.unwrap_err());
        refused(store.look(&actor, &charm, unknown()).await.unwrap_err());
        refused(store.begin(&actor, &charm, super::scene::STREAM, unknown()).await.unwrap_err());
        refused(store.present(&actor, &charm).await.unwrap_err());
        refused(store.edit(&actor, &charm, set("n", 2)).await.unwrap_err());
        refused(store.delete(&actor, &charm).await.unwrap_err());
        refused(store.runs(&actor, &charm, 1).await.unwrap_err());
        refused(store.logs(&actor, &charm, None, 1).await.unwrap_err());
        refused(store.registrations(&actor).await.unwrap_err());
        refused(store.remove(&actor, &charm).await.unwrap_err());
        refused(store.check(&actor, &Needed::Charm(charm.clone(), AccessLevel::Read)).await.unwrap_err());
        refused(deploy_as(store, &actor, &space(), "b", &[]).await.unwrap_err());
    }
    assert_eq!(cells(store, &charm).await, texts(&[("n", "1")]));
    assert_eq!(store.charms(&Actor::Operator, &space()).await.unwrap().len(), 1);
}
