//! Access lists: what a key may do is decided by the server, and a refusal is never taken for success.

use std::sync::Arc;

use bg_identity::Identity;
use bg_toolshed::{Commit, EntityId, Error, Root, State, Value};

use crate::fake::Nature;
use crate::peers::{Server, did, open, servers, space};
use crate::{document, id};

fn nature() -> Nature {
    Nature { access: true, ..Nature::default() }
}

/// A space with this access list, which only its own key can make.
async fn space_with(server: &Server, list: &[(&str, &str)]) -> Identity {
    let space = space();
    let mut config = server.config();
    config.identity = Arc::new(Identity::clone(&space));
    let session = open(&config, &space).await.unwrap();
    let own = did(&space);
    let list = list.iter().map(|(who, what)| (*who, (*what).into())).chain([(own.as_str(), "OWNER".into())]);
    let list_id = EntityId::access_list(own.as_str());
    session.commit(Commit::new().set(&list_id, document(Value::object(list)))).await.unwrap();
    space
}

#[tokio::test]
async fn in_a_space_that_nobody_made_yet_a_stranger_writes_nothing_and_its_own_key_makes_it() {
    for server in servers(nature()).await {
        // This is how a fresh server answers for the space of registrations.
        let session = server.open(&space()).await;
        let refused = session.commit(Commit::new().set(&id("a"), document(1))).await;
        assert!(matches!(refused, Err(Error::Denied(_))), "{}: {refused:?}", server.name());
        // The key of a space with a name follows from the name.
        let space = space_with(&server, &[("*", "WRITE")]).await;
        let session = server.open(&space).await;
        session.commit(Commit::new().set(&id("a"), document(1))).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_without_access_is_refused_and_reading_goes_on() {
    for server in servers(nature()).await {
        let space = space_with(&server, &[("*", "READ")]).await;
        let session = server.open(&space).await;
        let refused = session.commit(Commit::new().set(&id("a"), document(1))).await.unwrap_err();
        assert!(matches!(&refused, Error::Denied(message) if message.contains("lacks WRITE")), "{refused}");
        // Who may do what can be read beforehand, so that nothing runs whose writes would be refused.
        let list = EntityId::access_list(did(&space).as_str());
        let found = session.query([Root::only(list)]).await.unwrap().remove(0);
        assert_eq!(found.value().unwrap().get("*"), Some(&"READ".into()), "{}", server.name());
    }
}

#[tokio::test]
async fn a_space_without_any_access_is_refused_at_once() {
    for server in servers(nature()).await {
        let space = space_with(&server, &[]).await;
        let refused = open(&server.config(), &space).await.unwrap_err();
        assert!(matches!(refused, Error::Denied(_)), "{}: {refused}", server.name());
        assert!(!refused.is_transient());
    }
}

#[tokio::test]
async fn a_session_whose_access_is_withdrawn_ends_and_says_so() {
    for server in servers(nature()).await {
        let space = space_with(&server, &[("*", "WRITE")]).await;
        let session = server.open(&space).await;
        session.watch("a", [Root::only(id("a"))]).await.unwrap();
        let mut config = server.config();
        config.identity = Arc::new(Identity::clone(&space));
        let owner = open(&config, &space).await.unwrap();
        let own = did(&space);
        let list = document(Value::object([(own.as_str(), "OWNER".into())]));
        owner.commit(Commit::new().set(&EntityId::access_list(own.as_str()), list)).await.unwrap();
        let ended = session.changed(session.changes(0).version).await.unwrap_err();
        assert!(matches!(ended, Error::Denied(_)), "{ended}");
        assert!(matches!(session.state(), State::Ended(Error::Denied(_))));
        assert!(matches!(session.query([Root::only(id("a"))]).await, Err(Error::Denied(_))));
    }
}

#[tokio::test]
async fn an_owner_that_gives_away_its_access_gets_the_answer_and_then_the_end() {
    for server in servers(nature()).await {
        let space = space_with(&server, &[(server.config().identity.did().as_str(), "OWNER")]).await;
        let session = server.open(&space).await;
        let own = did(&space);
        let list = document(Value::object([(own.as_str(), "OWNER".into())]));
        session.commit(Commit::new().set(&EntityId::access_list(own.as_str()), list)).await.unwrap();
        let ended = session.changed(u64::MAX).await.unwrap_err();
        assert!(matches!(ended, Error::Denied(_)), "{}: {ended}", server.name());
    }
}
