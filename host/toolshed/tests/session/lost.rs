//! Connections that are lost.

use std::time::Duration;

use bg_toolshed::{Commit, Committed, Content, Error, Patch, Root, Session, State, Value, path};

use crate::fake::{FakeServer, Nature, Odd};
use crate::peers::{Proxy, Server, config, did, servers, space};
use crate::{becomes, document, id};

#[tokio::test]
async fn watches_continue_over_a_lost_connection_and_nothing_that_changed_meanwhile_is_missed() {
    for server in servers(Nature::default()).await {
        let space = space();
        let proxy = Proxy::to(server.address()).await;
        let session = Session::open(&config(proxy.address), did(&space)).await.unwrap();
        let other = server.open(&space).await;
        let (a, b) = (id("a"), id("b"));
        session.watch("both", [Root::only(a.clone()), Root::only(b.clone())]).await.unwrap();
        other.commit(Commit::new().set(&a, document(1)).set(&b, document(1))).await.unwrap();
        becomes(&session, &a, |document| document.value() == Some(&1.into())).await;
        for round in 2..5_u32 {
            proxy.cut(None);
            other.commit(Commit::new().set(&a, document(round))).await.unwrap();
            if round == 4 {
                // As after half a minute without the session.
                if let Server::Fake(fake) = &server {
                    fake.forget_sessions();
                }
            }
            proxy.cut(Some(server.address()));
            becomes(&session, &a, |document| document.value() == Some(&round.into())).await;
            let again = Commit::new().patch(&b, [Patch::Replace(path(["value"]), round.into())]);
            // The other session of the fake was forgotten, too, and opens itself again.
            other.commit(again).await.unwrap();
            becomes(&session, &b, |document| document.value() == Some(&round.into())).await;
        }
        assert_eq!(session.state(), State::Live);
    }
}

#[tokio::test]
async fn what_a_server_sent_into_a_connection_that_was_lost_is_not_missed() {
    for server in servers(Nature::default()).await {
        let space = space();
        let proxy = Proxy::to(server.address()).await;
        let session = Session::open(&config(proxy.address), did(&space)).await.unwrap();
        let other = server.open(&space).await;
        let a = id("a");
        session.watch("a", [Root::only(a.clone())]).await.unwrap();
        other.watch("a", [Root::only(a.clone())]).await.unwrap();
        let writer = server.open(&space).await;
        proxy.swallow(true);
        writer.commit(Commit::new().set(&a, document("sent into nothing"))).await.unwrap();
        // When another session has it, the server has sent it to this one as well, and takes it for known.
        becomes(&other, &a, |document| document.value().is_some()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.swallow(false);
        proxy.cut(Some(server.address()));
        becomes(&session, &a, |document| document.value() == Some(&"sent into nothing".into())).await;
    }
}

#[tokio::test]
async fn requests_of_a_moment_without_a_connection_are_answered_when_it_is_back() {
    for server in servers(Nature::default()).await {
        let space = space();
        let proxy = Proxy::to(server.address()).await;
        let mut config = config(proxy.address);
        config.limits.reconnect = Duration::from_secs(60);
        let session = Session::open(&config, did(&space)).await.unwrap();
        session.commit(Commit::new().set(&id("a"), document(1))).await.unwrap();
        proxy.cut(None);
        let query = async { session.query([Root::only(id("a"))]).await };
        let back = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            proxy.cut(Some(server.address()));
        };
        let (found, ()) = tokio::join!(query, back);
        assert_eq!(found.unwrap()[0].value(), Some(&1.into()), "{}", server.name());
    }
}

#[tokio::test]
async fn calls_to_a_server_that_is_away_end_soon_and_name_the_reason() {
    for server in servers(Nature::default()).await {
        let proxy = Proxy::to(server.address()).await;
        let mut config = config(proxy.address);
        config.limits.reconnect = Duration::from_millis(50);
        let session = Session::open(&config, did(&space())).await.unwrap();
        proxy.cut(None);
        while session.state() == State::Live {
            tokio::task::yield_now().await;
        }
        let error = session.query([Root::only(id("a"))]).await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { .. }) && error.is_transient(), "{error}");
        let error = session.commit(Commit::new().set(&id("a"), document(1))).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "nothing was sent, so nothing is unknown: {error}");
    }
    let nobody = config("127.0.0.1:9".parse().unwrap());
    assert!(matches!(Session::open(&nobody, did(&space())).await, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_made_once() {
    let server = FakeServer::start(Nature::default()).await;
    let session = Session::open(&config(server.address), did(&space())).await.unwrap();
    let list = id("list");
    session.commit(Commit::new().set(&list, document(Vec::new()))).await.unwrap();
    let mut times = 0;
    server.be_odd(move |message| {
        let is_commit = message.get("type") == Some(&"transact".into());
        times += usize::from(is_commit);
        (is_commit && times <= 3).then_some(Odd::DoAndHangup)
    });
    let append = Commit::new().patch(&list, [Patch::Append(path(["value"]), vec!["once".into()])]);
    let committed = session.commit(append).await.unwrap();
    assert_eq!(committed, Committed { seq: 2, was_repeated: true });
    let found = session.query([Root::only(list)]).await.unwrap().remove(0);
    assert_eq!(found.value(), Some(&Value::List(vec!["once".into()])));
    let sent = server.seen("transact");
    assert!(sent.len() > 3 && sent[1..].windows(2).all(|pair| pair[0].get("commit") == pair[1].get("commit")));
}

#[tokio::test]
async fn a_commit_over_a_connection_that_is_cut_at_any_time_is_made_once() {
    for server in servers(Nature::default()).await {
        let space = space();
        let proxy = Proxy::to(server.address()).await;
        let list = id("list");
        let reader = server.open(&space).await;
        reader.commit(Commit::new().set(&list, document(Vec::new()))).await.unwrap();
        for number in 0..16_u32 {
            let session = Session::open(&config(proxy.address), did(&space)).await.unwrap();
            let commit = Commit::new().patch(&list, [Patch::Append(path(["value"]), vec![number.into()])]);
            let cut = async {
                tokio::time::sleep(Duration::from_micros(u64::from(number) * 300)).await;
                proxy.cut(Some(server.address()));
            };
            let (committed, ()) = tokio::join!(session.commit(commit), cut);
            committed.unwrap_or_else(|error| panic!("{}: {error}", server.name()));
        }
        let found = reader.query([Root::only(list)]).await.unwrap().remove(0);
        let found: Vec<_> = found.value().unwrap().as_list().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
        assert_eq!(found, (0..16).map(f64::from).collect::<Vec<_>>(), "{}", server.name());
    }
}

#[tokio::test]
async fn what_a_server_forgot_is_forgotten_here() {
    // Both run without a disk: a restart loses everything, and counts from the start.
    for (before, after) in servers(Nature::default()).await.into_iter().zip(servers(Nature::default()).await) {
        let space = space();
        let proxy = Proxy::to(before.address()).await;
        let session = Session::open(&config(proxy.address), did(&space)).await.unwrap();
        let (kept, lost) = (id("kept"), id("lost"));
        session.watch("both", [Root::only(kept.clone()), Root::only(lost.clone())]).await.unwrap();
        for number in 0..5 {
            session.commit(Commit::new().set(&kept, document(number)).set(&lost, document(number))).await.unwrap();
        }
        let new = after.open(&space).await;
        new.commit(Commit::new().set(&kept, document("new"))).await.unwrap();
        proxy.cut(Some(after.address()));
        drop(before);
        becomes(&session, &kept, |document| document.value() == Some(&"new".into())).await;
        becomes(&session, &lost, |document| document.document().is_none()).await;
        new.commit(Commit::new().set(&kept, document("newer"))).await.unwrap();
        becomes(&session, &kept, |document| document.value() == Some(&"newer".into())).await;
        assert!(matches!(session.document(&lost).unwrap().content, Content::Absent | Content::Unwatched));
    }
}

#[tokio::test]
async fn a_session_that_is_dropped_has_no_connection_left() {
    let server = FakeServer::start(Nature::default()).await;
    let proxy = Proxy::to(server.address).await;
    let session = Session::open(&config(proxy.address), did(&space())).await.unwrap();
    drop(session);
    proxy.cut(Some(server.address));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(proxy.count(), 1, "it does not connect again");
}
