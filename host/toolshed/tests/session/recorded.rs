//! What this client sends, message by message: recorded, so that a change of it is seen where no original is at hand.

use bg_toolshed::{Commit, Patch, Root, Session, StreamId, Value, decode, encode, path};

use crate::fake::{FakeServer, Nature};
use crate::peers::{config, did};
use crate::{document, id};

#[tokio::test]
async fn this_client_sends_what_was_recorded() {
    let server = FakeServer::start(Nature { events: true, ..Nature::default() }).await;
    let space = bg_identity::space_identity("recorded");
    let session = Session::open(&config(server.address), did(&space)).await.unwrap();
    let (a, b) = (id("a"), id("b"));
    session.watch("both", [Root::only(a.clone()), Root::with_links(b.clone())]).await.unwrap();
    let first = session.commit(Commit::new().set(&a, document(1)).if_absent(&a).if_value(&b, None)).await.unwrap();
    let patches = [
        Patch::Replace(path(["value"]), Value::object([("list", Value::List(Vec::new()))])),
        Patch::Append(path(["value", "list"]), vec![Value::Undefined, Value::Bytes(vec![1, 2])]),
    ];
    session.commit(Commit::new().patch(&a, patches).if_unchanged(&a, &["value"], first.seq)).await.unwrap();
    session.query([Root::only(a.clone())]).await.unwrap();
    let stream = StreamId { id: a.clone(), path: path(["bgUpdater"]), scope: "space".to_owned() };
    session.commit(Commit::new().append(&stream, "event", Value::object::<&str>([]), 1)).await.unwrap();
    session.commit(Commit::new().delete(&a)).await.unwrap();
    session.unwatch("both").await.unwrap();

    let sent: Vec<_> = server.seen_texts().iter().map(|text| encode(&without_chance(decode(text).unwrap()))).collect();
    // Acknowledgements come when they come.
    let sent: Vec<_> = sent.into_iter().filter(|text| !text.contains(r#""type":"session.ack""#)).collect();
    let recorded: Vec<_> = include_str!("recorded.txt").lines().collect();
    assert_eq!(sent, recorded, "\n{}\n", sent.join("\n"));
}

/// A message without what differs each time.
fn without_chance(value: Value) -> Value {
    match value {
        Value::Object(entries) => Value::object(entries.into_iter().map(|(key, value)| {
            let value = match key.as_str() {
                "sessionId" | "challenge" | "iat" | "exp" | "signature" => "*".into(),
                _ => without_chance(value),
            };
            (key, value)
        })),
        Value::List(elements) => Value::List(elements.into_iter().map(without_chance).collect()),
        other => other,
    }
}
