//! Accounts: whose grant is kept, who renews it, and which charms have it.

use std::time::Duration;

use bg_charm_api::Actor;
use bg_identity::Secret;
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use serde_json::{Map, json};

use super::Fixture;
use super::scene::{cells, deploy, home};
use crate::accounts::{Account, Grant, Link, OAuthClient, SignIn, Turn};
use crate::document::Document;
use crate::store::{CellEdit, CellUpdate, EditError, Store};

/// Longer than a case takes.
const TIME: Duration = Duration::from_mins(10);

fn grant(name: &str) -> Grant {
    Grant {
        access_token: Secret::new(format!("access-{name}")),
        refresh_token: Some(Secret::new(format!("refresh-{name}"))),
        token_type: "Bearer".to_owned(),
        expires_in: Some(3_600),
        expires_at: Some(UnixMillis::now() + Duration::from_hours(1)),
        scopes: vec!["mail".to_owned()],
        user: Map::new(),
    }
}

async fn sign_in(store: &dyn Store, subject: &str, name: &str) -> Account {
    let sign_in = SignIn {
        provider: "google".to_owned(),
        subject: subject.to_owned(),
        label: format!("{subject}@example.com"),
        client: "client-1".to_owned(),
        grant: grant(name),
    };
    store.sign_in(sign_in).await.unwrap()
}

/// The refresh token that an account has, with its generation.
async fn kept(store: &dyn Store, account: &str) -> (u64, String) {
    let (generation, grant) = store.grant(account).await.unwrap().unwrap();
    (generation, grant.refresh_token.unwrap().expose().to_owned())
}

fn link(account: &Account, charm: &CharmRef, handle: u8) -> Link {
    Link {
        account: account.id.clone(),
        charm: charm.clone(),
        cell: "auth".to_owned(),
        token_field: "token".to_owned(),
        handle: [handle; 32],
        written: account.generation,
    }
}

fn set(text: &str) -> CellEdit {
    let text = text.to_owned();
    let edit = Box::new(move |_: crate::store::Editor<'_>| Ok(Document::of(json!({ "token": text.clone() }))));
    CellEdit { cell: "auth".to_owned(), edit, update: CellUpdate::Set }
}

fn refused() -> CellEdit {
    let error = EditError::Refused(RuntimeError::Invalid("no".to_owned()));
    CellEdit { edit: Box::new(move |_| Err(error.clone())), ..set("") }
}

pub(super) async fn a_client_is_replaced_with_its_secret(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, other) = (&*home.store(), &*home.another().await);
    let client = |provider: &str, id: &str, secret: Option<&str>| OAuthClient {
        provider: provider.to_owned(),
        id: id.to_owned(),
        secret: secret.map(|secret| Secret::new(secret.to_owned())),
        set_at: UnixMillis(7),
    };
    assert!(store.client("google").await.unwrap().is_none());
    for (id, secret) in [("a", Some("secret-a")), ("b", None), ("c", Some("secret-c"))] {
        store.set_client(client("google", id, secret)).await.unwrap();
        let found = other.client("google").await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.secret.as_ref().map(Secret::expose)), (id, secret));
    }
    store.set_client(client("airtable", "d", None)).await.unwrap();
    let all = other.clients().await.unwrap();
    let all: Vec<_> = all.iter().map(|one| (one.provider.as_str(), one.id.as_str(), one.set_at.0)).collect();
    assert_eq!(all, [("airtable", "d", 7), ("google", "c", 7)]);
}

pub(super) async fn a_grant_replaces_only_the_one_that_it_was_made_from(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, other) = (&*home.store(), &*home.another().await);
    let account = sign_in(store, "ann", "1").await;
    let second = sign_in(store, "bob", "b").await;
    assert_ne!(account.id, second.id);
    assert_eq!(kept(other, &account.id).await, (account.generation, "refresh-1".to_owned()));
    // Two processes have renewed the same one.
    assert!(store.keep_grant(&account.id, account.generation, grant("2")).await.unwrap());
    assert!(!other.keep_grant(&account.id, account.generation, grant("late")).await.unwrap());
    assert!(!other.fail_renewal(&account.id, account.generation, "late", "invalid_grant", true).await.unwrap());
    let now = other.account(&account.id).await.unwrap().unwrap();
    assert!(now.generation > account.generation && now.ended_at.is_none() && now.error.is_none(), "{now:?}");
    assert_eq!(kept(other, &account.id).await, (now.generation, "refresh-2".to_owned()));
    // It ends, and a sign-in brings it back, with the same name.
    assert!(store.fail_renewal(&account.id, now.generation, "x", "invalid_grant", true).await.unwrap());
    let ended = other.account(&account.id).await.unwrap().unwrap();
    assert!(ended.ended_at.is_some() && ended.error.as_deref() == Some("invalid_grant"), "{ended:?}");
    let again = sign_in(other, "ann", "3").await;
    assert_eq!((&again.id, again.ended_at, again.error.as_deref()), (&account.id, None, None));
    assert!(!store.keep_grant(&account.id, now.generation, grant("older")).await.unwrap());
    assert_eq!(kept(store, &account.id).await, (again.generation, "refresh-3".to_owned()));
    assert_eq!(kept(store, &second.id).await, (second.generation, "refresh-b".to_owned()));
    assert_eq!(store.accounts().await.unwrap().len(), 2);
    assert!(!store.keep_grant("google-77", 1, grant("nobody")).await.unwrap());
}

pub(super) async fn one_process_at_a_time_renews_an_account(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, other) = (&*home.store(), &*home.another().await);
    let account = sign_in(store, "ann", "1").await;
    let take = async |store: &dyn Store, generation: u64, owner: &str, time: Duration| match store
        .take_renewal(&account.id, generation, owner, time)
        .await
        .unwrap()
    {
        Turn::Yours { grant, .. } => grant.refresh_token.unwrap().expose().to_owned(),
        Turn::Anothers { until } => {
            assert!(until > UnixMillis::now());
            "another's".to_owned()
        }
        Turn::Over => "over".to_owned(),
    };
    let first = account.generation;
    assert_eq!(take(store, first, "one", TIME).await, "refresh-1");
    assert_eq!(take(other, first, "two", TIME).await, "another's");
    assert_eq!(take(store, first, "one", TIME).await, "refresh-1", "its own");
    // It failed for a moment.
    assert!(store.fail_renewal(&account.id, first, "one", "503", false).await.unwrap());
    assert_eq!(take(other, first, "two", Duration::from_millis(1)).await, "refresh-1");
    while take(store, first, "one", TIME).await != "refresh-1" {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(store.keep_grant(&account.id, first, grant("2")).await.unwrap());
    // Who has waited finds that it is done.
    assert_eq!(take(other, first, "two", TIME).await, "over");
    let second = other.account(&account.id).await.unwrap().unwrap().generation;
    assert_eq!(take(other, second, "two", TIME).await, "refresh-2");
    assert!(other.fail_renewal(&account.id, second, "two", "invalid_grant", true).await.unwrap());
    assert_eq!(take(store, second, "one", TIME).await, "over");
}

pub(super) async fn a_link_and_its_cell_change_together(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, other) = (&*home.store(), &*home.another().await);
    let account = sign_in(store, "ann", "1").await;
    let charm = deploy(store, "a", &[("auth", "{}")]).await;
    let token = async || cells(other, &charm).await["auth"].clone();
    assert!(store.attach(link(&account, &charm, 1), refused()).await.is_err());
    assert_eq!((other.links(&charm).await.unwrap(), token().await), (vec![], "{}".to_owned()));
    store.attach(link(&account, &charm, 1), set("1")).await.unwrap();
    let linked = other.links(&charm).await.unwrap();
    assert_eq!((linked.as_slice(), token().await.as_str()), (&[link(&account, &charm, 1)][..], r#"{"token":"1"}"#));
    assert_eq!(other.link_by_handle(&[1; 32]).await.unwrap(), linked.first().cloned());
    assert_eq!(other.link_by_handle(&[2; 32]).await.unwrap(), None);
    assert_eq!(other.account(&account.id).await.unwrap().unwrap().links, linked);

    assert!(store.fill(&linked[0], 9, refused()).await.is_err());
    assert_eq!((&other.links(&charm).await.unwrap(), token().await.as_str()), (&linked, r#"{"token":"1"}"#));
    store.fill(&linked[0], 9, set("9")).await.unwrap();
    // One that comes late does not take it back.
    store.fill(&linked[0], 8, set("8")).await.unwrap();
    assert_eq!(other.links(&charm).await.unwrap()[0].written, 9);

    // Another account takes its place; what the first one would write is refused.
    let second = sign_in(store, "bob", "b").await;
    store.attach(link(&second, &charm, 2), set("b")).await.unwrap();
    assert!(other.fill(&linked[0], 10, set("10")).await.is_err());
    other.detach(&linked[0], set("")).await.unwrap();
    assert_eq!((other.links(&charm).await.unwrap().len(), token().await.as_str()), (1, r#"{"token":"b"}"#));
    assert!(other.detach(&link(&second, &charm, 2), refused()).await.is_err());
    assert_eq!(store.links(&charm).await.unwrap().len(), 1);
    other.detach(&link(&second, &charm, 2), set("")).await.unwrap();
    assert_eq!((store.links(&charm).await.unwrap(), token().await.as_str()), (vec![], r#"{"token":""}"#));
}

pub(super) async fn an_account_and_a_charm_that_are_removed_leave_no_link(fixture: &dyn Fixture) {
    let home = home(fixture).await;
    let (store, other) = (&*home.store(), &*home.another().await);
    let (first, second) = (sign_in(store, "ann", "1").await, sign_in(store, "bob", "2").await);
    let (one, two) = (deploy(store, "1", &[("auth", "{}")]).await, deploy(store, "2", &[("auth", "{}")]).await);
    for (account, charm, handle) in [(&first, &one, 1), (&second, &two, 2)] {
        store.attach(link(account, charm, handle), set("x")).await.unwrap();
    }
    assert!(store.remove_account(&first.id).await.unwrap());
    assert!(!other.remove_account(&first.id).await.unwrap());
    assert!(other.grant(&first.id).await.unwrap().is_none() && other.links(&one).await.unwrap().is_empty());
    assert_eq!(other.link_by_handle(&[1; 32]).await.unwrap(), None);
    store.delete(&Actor::Operator, &two).await.unwrap();
    let left = other.accounts().await.unwrap();
    assert_eq!(left.iter().map(|one| (one.id.as_str(), one.links.len())).collect::<Vec<_>>(), [(&*second.id, 0)]);
    // Its name is not given to another one.
    assert!(store.remove_account(&second.id).await.unwrap());
    let third = sign_in(store, "cat", "3").await;
    assert!(third.id != first.id && third.id != second.id, "{third:?}");
}
