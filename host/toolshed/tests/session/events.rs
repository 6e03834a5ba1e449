//! Events: handled by the server, where it does that.

use bg_toolshed::{Commit, Error, Root, StreamId, Value, path};

use crate::fake::Nature;
use crate::id;
use crate::peers::{servers, space};

fn stream() -> StreamId {
    StreamId { id: id("charm"), path: path(["bgUpdater"]), scope: "space".to_owned() }
}

fn event(name: &str, order: u64) -> Commit {
    Commit::new().append(&stream(), name, Value::object::<&str>([]), order)
}

#[tokio::test]
async fn a_server_that_runs_no_handlers_is_told_by_its_refusal() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let refused = session.commit(event("e1", 1)).await;
        assert!(matches!(refused, Err(Error::NoEvents(_))), "{}: {refused:?}", server.name());
    }
}

#[tokio::test]
async fn an_event_is_appended_once_however_often_it_is_sent() {
    for server in servers(Nature { events: true, ..Nature::default() }).await {
        let space = space();
        let session = server.open(&space).await;
        session.commit(event("e1", 1)).await.unwrap_or_else(|error| panic!("{}: {error}", server.name()));
        session.commit(event("e2", 2)).await.unwrap();
        assert!(matches!(session.commit(event("e1", 3)).await, Err(Error::EventExists(_))), "{}", server.name());
        // Not by another session, as after a restart of this program.
        let other = server.open(&space).await;
        assert!(matches!(other.commit(event("e2", 1)).await, Err(Error::EventExists(_))), "{}", server.name());
        let found = session.query([Root::only(stream().events())]).await.unwrap().remove(0);
        let entries = found.document().and_then(|document| document.at(["value", "entries"])?.as_list()).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.get("eventId").unwrap().as_str().unwrap()).collect();
        assert_eq!(names, ["e1", "e2"], "{}", server.name());
    }
}
