//! Commits and what they depend on.

use bg_toolshed::{Commit, Error, Patch, Root, Value, path};

use crate::fake::Nature;
use crate::peers::{servers, space};
use crate::{document, id};

#[tokio::test]
async fn compare_and_swap_refuses_what_was_read_before_another_wrote() {
    for server in servers(Nature::default()).await {
        let space = space();
        let (session, other) = (server.open(&space).await, server.open(&space).await);
        let id = id("a");
        let first = session.commit(Commit::new().set(&id, document(1))).await.unwrap();
        other.commit(Commit::new().set(&id, document(2)).if_unchanged(&id, &["value"], first.seq)).await.unwrap();
        let stale = session.commit(Commit::new().set(&id, document(3)).if_unchanged(&id, &["value"], first.seq)).await;
        let Err(Error::Conflict { retry_after: Some(after), .. }) = stale else {
            panic!("{}: {stale:?}", server.name())
        };
        let now = session.query([Root::only(id.clone())]).await.unwrap().remove(0);
        assert_eq!(now.value(), Some(&2.into()), "{}: nothing was written", server.name());
        assert_eq!(now.seq, after);
        session.commit(Commit::new().set(&id, document(3)).if_unchanged(&id, &["value"], now.seq)).await.unwrap();
    }
}

#[tokio::test]
async fn a_document_under_a_name_of_our_own_is_made_once() {
    // A registration that the original makes gets a name that returns after each restart, and replaces another. A name
    // that is the hash of what is registered, and must be absent, cannot.
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let id = id("bg-wasm-host registration of a charm");
        let register = || Commit::new().set(&id, document("registered")).if_absent(&id);
        session.commit(register()).await.unwrap();
        let again = session.commit(register()).await;
        assert!(
            matches!(&again, Err(Error::Precondition { precondition, .. }) if precondition == "receipt-exists"),
            "{}: {again:?}",
            server.name()
        );
        // Not after it was deleted, either.
        session.commit(Commit::new().delete(&id)).await.unwrap();
        assert!(matches!(session.commit(register()).await, Err(Error::Precondition { .. })), "{}", server.name());
    }
}

#[tokio::test]
async fn a_precondition_on_a_value_holds_for_that_value_alone() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let id = id("a");
        let to = |value: u32| Commit::new().set(&id, document(value));
        session.commit(to(1).if_value(&id, None)).await.unwrap();
        assert!(matches!(session.commit(to(2).if_value(&id, None)).await, Err(Error::Conflict { .. })));
        assert!(matches!(session.commit(to(2).if_value(&id, Some(&2.into()))).await, Err(Error::Conflict { .. })));
        session.commit(to(2).if_value(&id, Some(&1.into()))).await.unwrap();
    }
}

#[tokio::test]
async fn each_kind_of_patch_does_what_it_says() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let id = id("a");
        let value = Value::object([("list", Value::List(vec![1.into()])), ("gone", 1.into()), ("a/b~c", 1.into())]);
        session.commit(Commit::new().set(&id, document(value))).await.unwrap();
        let at = |key| path(["value", key]);
        let patches = [
            Patch::Append(at("list"), vec![1.into(), 2.into()]),
            Patch::AddUnique(at("list"), vec![2.into(), 3.into()]),
            Patch::RemoveByValue(at("list"), 1.into()),
            Patch::Append(at("new"), vec!["first".into()]),
            Patch::Remove(at("gone")),
            Patch::Add(at("added"), Value::Undefined),
            Patch::Replace(at("a/b~c"), 2.into()),
        ];
        session.commit(Commit::new().patch(&id, patches)).await.unwrap();
        let found = session.query([Root::only(id.clone())]).await.unwrap().remove(0);
        let expected = Value::object([
            ("list", Value::List(vec![2.into(), 3.into()])),
            ("new", Value::List(vec!["first".into()])),
            ("added", Value::Undefined),
            ("a/b~c", 2.into()),
        ]);
        assert_eq!(found.value(), Some(&expected), "{}", server.name());
    }
}

#[tokio::test]
async fn appends_of_two_clients_at_once_are_both_kept() {
    for server in servers(Nature::default()).await {
        let space = space();
        let (one, other) = (server.open(&space).await, server.open(&space).await);
        let id = id("list");
        let append = |value: u32| Commit::new().patch(&id, [Patch::Append(path(["value"]), vec![value.into()])]);
        one.commit(Commit::new().set(&id, document(Vec::new()))).await.unwrap();
        let commits = (0..20)
            .map(|number| if number % 2 == 0 { one.commit(append(number)) } else { other.commit(append(number)) });
        for done in futures_util::future::join_all(commits).await {
            done.unwrap();
        }
        let found = one.query([Root::only(id.clone())]).await.unwrap().remove(0);
        let mut numbers: Vec<_> =
            found.value().unwrap().as_list().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
        numbers.sort_by(f64::total_cmp);
        assert_eq!(numbers, (0..20).map(f64::from).collect::<Vec<_>>(), "{}", server.name());
    }
}

#[tokio::test]
async fn a_commit_that_is_none_is_refused_by_name_and_the_session_goes_on() {
    for server in servers(Nature::default()).await {
        let Err(error) = server.open(&space()).await.commit(Commit::new().patch(&id("a"), [])).await else { continue };
        assert!(matches!(error, Error::Refused { .. }), "{}: {error}", server.name());
    }
}

#[tokio::test]
async fn preconditions_are_checked_in_a_commit_that_changes_nothing_else() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let (there, absent) = (id("there"), id("absent"));
        session.commit(Commit::new().set(&there, document(1))).await.unwrap();
        session.commit(Commit::new().if_absent(&absent)).await.unwrap();
        let refused = session.commit(Commit::new().if_absent(&there)).await;
        assert!(matches!(refused, Err(Error::Precondition { .. })), "{}: {refused:?}", server.name());
    }
}

#[tokio::test]
async fn a_document_without_a_value_counts_as_one_that_has_none() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let id = id("a");
        session.commit(Commit::new().set(&id, Value::object([("schema", true.into())]))).await.unwrap();
        session.commit(Commit::new().set(&id, document(1)).if_value(&id, None)).await.unwrap();
        let refused = session.commit(Commit::new().set(&id, document(2)).if_value(&id, None)).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{}: {refused:?}", server.name());
    }
}
