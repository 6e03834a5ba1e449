//! Queries and watches.

use bg_toolshed::{Commit, Content, DecodeError, Link, Patch, Root, Tagged, Value, encode, path};

use crate::fake::{Nature, Odd};
use crate::peers::{Server, servers, space};
use crate::{becomes, document, id};

#[tokio::test]
async fn a_document_is_written_read_watched_changed_and_deleted() {
    for server in servers(Nature::default()).await {
        let space = space();
        let session = server.open(&space).await;
        let id = id("a");
        session.watch("a", [Root::only(id.clone())]).await.unwrap();
        assert!(session.document(&id).is_none_or(|found| found.content == Content::Absent), "{}", server.name());

        // What a client writes whole does not come back from the server.
        let committed = session.commit(Commit::new().set(&id, document("one"))).await.unwrap();
        let found = session.query([Root::only(id.clone())]).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].value(), found[0].seq), (Some(&"one".into()), committed.seq));
        let seen = becomes(&session, &id, |document| document.value() == Some(&"one".into())).await;
        assert_eq!(seen.seq, committed.seq);

        // What it changes in part does.
        let patch = Patch::Replace(path(["value"]), "two".into());
        let committed = session.commit(Commit::new().patch(&id, [patch])).await.unwrap();
        let seen = becomes(&session, &id, |document| document.value() == Some(&"two".into())).await;
        assert_eq!(seen.seq, committed.seq);

        // What another client writes does as well.
        let other = server.open(&space).await;
        other.commit(Commit::new().set(&id, document("three"))).await.unwrap();
        becomes(&session, &id, |document| document.value() == Some(&"three".into())).await;
        other.commit(Commit::new().delete(&id)).await.unwrap();
        becomes(&session, &id, |document| document.content == Content::Absent).await;
        assert_eq!(session.query([Root::only(id.clone())]).await.unwrap()[0].content, Content::Absent);
    }
}

#[tokio::test]
async fn links_are_followed_where_they_should_be() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let (list, one, two) = (id("list"), id("one"), id("two"));
        let links = vec![Link::to(one.clone()).to_value(), Link::to(two.clone()).to_value()];
        session
            .commit(Commit::new().set(&list, document(links)).set(&one, document(1)).set(&two, document(2)))
            .await
            .unwrap();
        let with = session.query([Root::with_links(list.clone())]).await.unwrap();
        assert_eq!(with.iter().filter(|document| document.value().is_some()).count(), 3, "{}", server.name());
        let without = session.query([Root::only(list.clone())]).await.unwrap();
        let ids: Vec<_> = without.iter().map(|document| &document.id).collect();
        assert!(ids.contains(&&list) && !ids.contains(&&one), "{}: {ids:?}", server.name());
        let found = without.iter().find(|document| document.id == list).unwrap().value().unwrap();
        let ids: Vec<_> = found.as_list().unwrap().iter().map(|link| Link::of(link).unwrap().id.unwrap()).collect();
        assert_eq!(ids, [one.clone(), two.clone()]);

        // A document that a watched one links to only later is watched from then on, and no longer when it does not.
        session.watch("list", [Root::with_links(list.clone())]).await.unwrap();
        let three = id("three");
        let link = vec![Link::to(three.clone()).to_value()];
        let append = Patch::Append(path(["value"]), link);
        session.commit(Commit::new().set(&three, document(3)).patch(&list, [append])).await.unwrap();
        let other = server.open(&space()).await;
        drop(other);
        session.commit(Commit::new().patch(&three, [Patch::Replace(path(["value"]), 4.into())])).await.unwrap();
        becomes(&session, &three, |document| document.value() == Some(&4.into())).await;
    }
}

#[tokio::test]
async fn a_watch_that_ended_brings_nothing_more_and_others_go_on() {
    for server in servers(Nature::default()).await {
        let space = space();
        let (session, other) = (server.open(&space).await, server.open(&space).await);
        let (a, b) = (id("a"), id("b"));
        session.commit(Commit::new().set(&a, document(1)).set(&b, document(1))).await.unwrap();
        session.watch("a", [Root::only(a.clone())]).await.unwrap();
        session.watch("b", [Root::only(b.clone())]).await.unwrap();
        assert!(session.document(&a).is_some() && session.document(&b).is_some());
        session.unwatch("a").await.unwrap();
        becomes(&session, &a, |document| document.content == Content::Unwatched).await;
        other.commit(Commit::new().set(&a, document(2))).await.unwrap();
        other.commit(Commit::new().set(&b, document(2))).await.unwrap();
        becomes(&session, &b, |document| document.value() == Some(&2.into())).await;
        assert_eq!(session.document(&a).unwrap().content, Content::Unwatched, "{}", server.name());
    }
}

#[tokio::test]
async fn a_session_with_many_watches_at_once_gets_all_of_them() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let ids: Vec<_> = (0..50).map(|number| id(&format!("d{number}"))).collect();
        let commit = ids.iter().fold(Commit::new(), |commit, id| commit.set(id, document(id.as_str())));
        session.commit(commit).await.unwrap();
        let watches = ids.iter().map(|id| session.watch(id.as_str(), [Root::only(id.clone())]));
        for done in futures_util::future::join_all(watches).await {
            done.unwrap();
        }
        for id in &ids {
            assert_eq!(session.document(id).unwrap().value(), Some(&id.as_str().into()), "{}", server.name());
        }
    }
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_went() {
    let big = Value::Tagged(Box::new(Tagged::new("BigInt@1", "AQAAAAAAAAAA".into()).unwrap()));
    let value = Value::object([
        ("undefined", Value::Undefined),
        ("bytes", Value::Bytes(vec![0, 1, 255])),
        ("zero", Value::Number(-0.0)),
        ("large", Value::Number(1e300)),
        ("big", big),
        ("link", Link::to(id("x")).to_value()),
        ("slash", Value::object([("/x", Value::Undefined), ("/y", "z".into())])),
        ("10", "ten".into()),
        ("9", "nine".into()),
        ("text", "ä€😀\u{0}\u{2028}".into()),
        ("stream", Value::object([("$stream", true.into())])),
    ]);
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let id = id("values");
        session.commit(Commit::new().set(&id, document(value.clone()))).await.unwrap();
        let found = session.query([Root::only(id.clone())]).await.unwrap();
        assert_eq!(found[0].value(), Some(&value), "{}", server.name());
        // The server computes the same text of it, or this precondition would not hold.
        let commit = Commit::new().set(&id, document(2)).if_value(&id, Some(&value));
        session.commit(commit).await.unwrap_or_else(|error| panic!("{}: {error}", server.name()));
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_read_does_not_spoil_the_others() {
    let server = servers(Nature::default()).await.swap_remove(0);
    let session = server.open(&space()).await;
    let (good, bad) = (id("good"), id("bad"));
    session.commit(Commit::new().set(&good, document("good")).set(&bad, document("MARK"))).await.unwrap();
    let Server::Fake(fake) = &server else { unreachable!() };
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for poison in [r#"{"/Bytes@1":"*"}"#, r#"{"/x":1}"#, r#""\ud800""#, &deep] {
        let (good_json, poison) = (encode(&good.as_str().into()), poison.to_owned());
        let (good_name, bad_name) = (good.clone(), bad.clone());
        fake.be_odd(move |message| {
            (message.get("type") == Some(&"graph.query".into())).then(|| {
                let request = message.get("requestId").and_then(Value::as_str).unwrap();
                let _ = &good_json;
                Odd::Send(format!(
                    r#"fvj1:{{"type":"response","requestId":"{request}","ok":{{"serverSeq":1,"entities":[{{"branch":"","id":"{bad_name}","seq":1,"document":{{"value":{poison}}}}},{{"branch":"","id":"{good_name}","seq":1,"document":{{"value":"good"}}}}]}}}}"#
                ))
            })
        });
        let found = session.query([Root::only(bad.clone()), Root::only(good.clone())]).await.unwrap();
        let is_unreadable = |error: &DecodeError| {
            matches!(error, DecodeError::Special(_) | DecodeError::Reserved(_) | DecodeError::Json(_))
        };
        assert!(matches!(&found[0].content, Content::Unreadable(error) if is_unreadable(error)), "{:?}", found[0]);
        assert_eq!(found[1].value(), Some(&"good".into()));
    }
}
