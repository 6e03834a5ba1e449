//! Registrations: in order, each once, and with what has changed.

use std::time::Duration;

use bg_charm_api::{Actor, Cursor, RegistrationQuery};
use bg_identity::space_did;
use bg_poller::{CharmRef, Outcome, OutcomeKind, UnixMillis};
use serde_json::json;

use super::scene::{
    begin, deploy, deploy_as, finished, home, keep, page_of, register, registration, run, runs, unknown,
};
use super::{Damage, Fixture};
use crate::document::Document;
use crate::store::{Cause, CellEdit, CellUpdate, Store};

pub(super) async fn pages_have_every_registration_once_in_the_order_of_names(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let mut all = Vec::new();
    for number in 0..8 {
        let space = space_did(["one", "two"][number % 2]);
        let charm = deploy_as(store, &Actor::Operator, &space, &number.to_string(), &[]).await.unwrap();
        register(store, &charm, "mail").await;
        all.push(charm);
    }
    let other = deploy(store, "other", &[]).await;
    register(store, &other, "feed").await;
    all.sort_by(|one, two| (one.space.as_str(), one.charm.as_str()).cmp(&(two.space.as_str(), two.charm.as_str())));
    let page = async |query: &RegistrationQuery| {
        let found = store.overview(&Actor::Operator, query).await.unwrap();
        (found.rows.into_iter().map(|row| row.registration.charm).collect::<Vec<CharmRef>>(), found.more)
    };
    let mut query = page_of("mail");
    let mut found = Vec::new();
    for number in 0..3 {
        let (rows, more) = page(&query).await;
        assert_eq!((rows.len(), more), if number < 2 { (3, true) } else { (2, false) });
        query.cursor = rows.last().cloned().map(Cursor::After);
        found.extend(rows);
    }
    assert_eq!(found, all);
    query.cursor = Some(Cursor::Before(all[4].clone()));
    assert_eq!(page(&query).await, (all[1..4].to_vec(), true));
    query.cursor = Some(Cursor::Before(all[3].clone()));
    assert_eq!(page(&query).await, (all[..3].to_vec(), false));
    let counts = store.registration_counts(&Actor::Operator).await.unwrap();
    assert_eq!(counts.iter().map(|one| one.count).sum::<u64>(), 9);
}

pub(super) async fn a_change_raises_the_revision_and_names_its_charm(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, actor) = (&*home.store(), &Actor::Operator);
    let (one, two) = (deploy(store, "1", &[]).await, deploy(store, "2", &[]).await);
    let mut seen = store.revision(actor).await.unwrap();
    let mut since = async || {
        let now = store.revision(actor).await.unwrap();
        assert!(now > seen, "{now} after {seen}");
        assert_eq!(store.changed(seen).await, Ok(now));
        let (changes, damaged) = store.changes(actor, Some(seen)).await.unwrap();
        assert_eq!((changes.revision, damaged.len()), (Some(now), 0));
        seen = now;
        let there: Vec<CharmRef> = changes.registrations.into_iter().map(|one| one.charm).collect();
        (there, changes.removed)
    };
    let none = || Some(Vec::new());
    register(store, &one, "mail").await;
    assert_eq!(since().await, (vec![one.clone()], none()));
    register(store, &two, "mail").await;
    store.set_interval(actor, &one, Some(Duration::from_secs(7))).await.unwrap();
    assert_eq!(since().await, (vec![one.clone(), two.clone()], none()));
    store.set_disabled(actor, &two, Some((bg_poller::DisabledBy::Hand, "no"))).await.unwrap();
    assert_eq!(since().await, (vec![two.clone()], none()));
    assert_eq!(store.enabled_charms(actor, &"mail".parse().unwrap()).await.unwrap(), std::slice::from_ref(&one));
    assert!(store.remove(actor, &one).await.unwrap());
    assert_eq!(since().await, (vec![], Some(vec![one.clone()])));
    let before = store.revision(actor).await.unwrap();
    // A poll is no change.
    keep(store, finished(&begin(store, &two).await, &[("n", "1")])).await.unwrap().unwrap();
    assert_eq!(store.revision(actor).await.unwrap(), before);
    // Of a number that nobody gave out, all are read.
    let (changes, _) = store.changes(actor, Some(before + 5)).await.unwrap();
    assert_eq!((changes.registrations.len(), changes.removed), (1, None));
}

pub(super) async fn a_run_is_noted_once(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let (one, two) = (deploy(store, "1", &[]).await, deploy(store, "2", &[]).await);
    let gone = deploy(store, "3", &[]).await;
    for charm in [&one, &two, &gone] {
        register(store, charm, "mail").await;
    }
    store.delete(&Actor::Operator, &gone).await.unwrap();
    let noted = [&one, &gone, &two].map(|charm| run(charm, Outcome::failure(OutcomeKind::Timeout, "60 s")));
    for _ in 0..3 {
        store.record(&Actor::Operator, &noted, 10).await.unwrap();
    }
    for (charm, noted) in [(&one, &noted[0]), (&two, &noted[2])] {
        let found = runs(store, charm).await;
        assert_eq!((found.len(), &found[0].outcome), (1, &noted.outcome));
        assert_eq!(store.counters(&Actor::Operator, charm).await.unwrap().runs, 1);
        assert_eq!(registration(store, charm).await.last_outcome, Some(OutcomeKind::Timeout));
    }
}

/// Edits the cell `auth` for that reason.
async fn edit(store: &dyn Store, charm: &CharmRef, update: CellUpdate) {
    let edit = Box::new(|_: crate::store::Editor<'_>| Ok(Document::of(json!({"token": "t"}))));
    let edit = CellEdit { cell: "auth".to_owned(), edit, update };
    store.edit(&Actor::Operator, charm, edit).await.unwrap();
}

pub(super) async fn a_charm_that_waits_is_woken_by_an_edit_and_not_by_its_poll(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let store = &*home.store();
    let charm = deploy(store, "a", &[]).await;
    register(store, &charm, "mail").await;
    store.record(&Actor::Operator, &[run(&charm, Outcome::failure(OutcomeKind::Denied, "no"))], 10).await.unwrap();
    let (before, revision) = (registration(store, &charm).await, store.revision(&Actor::Operator).await.unwrap());
    let version = begin(store, &charm).await.version;
    edit(store, &charm, CellUpdate::Renewal(Cause::Poll)).await;
    assert_eq!(registration(store, &charm).await, before);
    assert_eq!(store.revision(&Actor::Operator).await.unwrap(), revision);
    assert!(begin(store, &charm).await.version > version);
    edit(store, &charm, CellUpdate::Set).await;
    let woken = registration(store, &charm).await;
    assert!(woken.woken_at > before.woken_at && woken.updated_at == before.updated_at, "{woken:?}");
    assert!(store.revision(&Actor::Operator).await.unwrap() > revision);
}

pub(super) async fn a_fix_by_another_process_after_a_poll_has_read_its_cells_wakes_the_charm(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, other) = (&*home.store(), &*home.another().await);
    let charm = deploy(store, "a", &[]).await;
    register(store, &charm, "mail").await;
    let denied = || Outcome::failure(OutcomeKind::Denied, "no");
    let mut poll = finished(&begin(store, &charm).await, &[]);
    edit(other, &charm, CellUpdate::Set).await;
    let before = registration(store, &charm).await;
    // The handler starts only then, with the cells as they were read.
    let edited_at = begin(store, &charm).await.summary.updated_at;
    while UnixMillis::now() <= edited_at {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    poll.run = run(&charm, denied());
    keep(store, poll).await.unwrap().unwrap();
    let woken = registration(store, &charm).await;
    assert!(woken.woken_at > before.woken_at && woken.woken_at >= woken.last_run, "{woken:?}");

    // The next poll has read that. A token that it renews itself is no fix.
    let mut poll = finished(&begin(store, &charm).await, &[]);
    edit(store, &charm, CellUpdate::Renewal(Cause::Poll)).await;
    poll.run = run(&charm, denied());
    let revision = store.revision(&Actor::Operator).await.unwrap();
    keep(store, poll).await.unwrap().unwrap();
    assert_eq!(registration(store, &charm).await.woken_at, woken.woken_at);
    assert_eq!(store.revision(&Actor::Operator).await.unwrap(), revision);
}

pub(super) async fn charms_that_wait_are_woken_by_name(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, actor) = (&*home.store(), &Actor::Operator);
    let mut charms = Vec::new();
    for (name, outcome) in [
        ("named", Outcome::failure(OutcomeKind::Denied, "no")),
        ("other", Outcome::failure(OutcomeKind::Denied, "no")),
        ("works", Outcome::success()),
        ("gone", Outcome::failure(OutcomeKind::Denied, "no")),
    ] {
        let charm = deploy(store, name, &[]).await;
        register(store, &charm, "mail").await;
        store.record(actor, &[run(&charm, outcome)], 10).await.unwrap();
        charms.push(charm);
    }
    let [named, other, works, gone] = <[CharmRef; 4]>::try_from(charms).unwrap();
    store.delete(actor, &gone).await.unwrap();
    let mut before = Vec::new();
    for charm in [&named, &other, &works] {
        before.push(registration(store, charm).await);
    }
    let revision = store.revision(actor).await.unwrap();
    store.wake(&[gone, named.clone(), works.clone()]).await.unwrap();
    let woken = registration(store, &named).await;
    assert!(woken.woken_at > before[0].woken_at, "{woken:?}");
    assert_eq!([registration(store, &other).await, registration(store, &works).await], before[1..]);
    let (changes, _) = store.changes(actor, Some(revision)).await.unwrap();
    assert_eq!(changes.registrations.into_iter().map(|one| one.charm).collect::<Vec<_>>(), [named]);
}

pub(super) async fn a_damaged_row_hides_no_other(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, actor) = (&*home.store(), &Actor::Operator);
    let mut charms = Vec::new();
    for name in ["1", "2", "3"] {
        let charm = deploy(store, name, &[("n", "1"), ("m", "{}")]).await;
        register(store, &charm, "mail").await;
        charms.push(charm);
    }
    let [one, two, three] = <[CharmRef; 3]>::try_from(charms).unwrap();
    home.damage(Damage::Registration(two.clone())).await;
    let found = store.registrations(actor).await.unwrap();
    let listed: Vec<CharmRef> = found.registrations.into_iter().map(|one| one.charm).collect();
    assert_eq!(listed, [one.clone(), three.clone()]);
    assert_eq!(found.damaged.len(), 1);
    assert_eq!(found.damaged[0].charm, two.to_string());
    let (changes, damaged) = store.changes(actor, Some(1)).await.unwrap();
    assert_eq!((changes.registrations.len(), damaged.len()), (2, 1));
    assert_eq!(store.overview(actor, &page_of("mail")).await.unwrap().rows.len(), 2);
    store.remove(actor, &two).await.unwrap();
    register(store, &two, "mail").await;
    assert_eq!(store.registrations(actor).await.unwrap().registrations.len(), 3);

    home.damage(Damage::Cell(two.clone(), "m".to_owned())).await;
    // It is that charm's trouble, and nobody else's.
    let error = store.begin(actor, &two, super::scene::STREAM, unknown()).await.unwrap_err();
    assert!(!error.is_unavailable() && error.to_string().contains("damaged"), "{error}");
    let look = store.look(actor, &two, unknown()).await.unwrap();
    assert_eq!(look.cells, None);
    let at = std::sync::Arc::new(look.charm);
    assert_eq!(store.cell_at(&at, "n").await, Ok(Some(Some("1".to_owned()))));
    assert!(store.cell_at(&at, "m").await.is_err());
    keep(store, finished(&begin(store, &three).await, &[("n", "2")])).await.unwrap().unwrap();
}
