//! Charms, from documents as the original lays them out.

use bg_identity::CharmId;
use bg_toolshed::{CharmView, Commit, Error, Key, Link, StreamId, Value, path};

use crate::fake::Nature;
use crate::peers::{servers, space};
use crate::{document, id};

fn link(id: &bg_toolshed::EntityId, path: &[&str]) -> Value {
    Link { path: path.iter().map(|key| (*key).to_owned()).collect(), ..Link::to(id.clone()) }.to_value()
}

fn charm() -> CharmId {
    format!("fid1:{}0", "A".repeat(42)).parse().unwrap()
}

fn stream() -> Value {
    Value::object([("$stream", true.into())])
}

#[tokio::test]
async fn a_charm_is_opened_with_its_keys_streams_and_values() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        assert!(CharmView::open(&session, &charm()).await.unwrap().is_none(), "{}", server.name());
        let result = CharmView::document(&charm()).unwrap();
        let (cells, updater, item, circle) = (id("cells"), id("updater"), id("item"), id("circle"));
        let foreign = Link { space: Some("did:key:z6MkOther".to_owned()), ..Link::to(cells.clone()) }.to_value();
        let value = Value::object([
            ("$NAME", "Counter".into()),
            ("$UI", Value::object([("type", "vnode".into())])),
            ("plain", 7.into()),
            ("count", link(&cells, &["count"])),
            ("items", link(&cells, &["items"])),
            ("first", link(&cells, &["items", "0", "title"])),
            ("bgUpdater", link(&updater, &[])),
            ("inside", stream()),
            ("circle", link(&circle, &[])),
            ("nowhere", link(&id("nowhere"), &[])),
            ("foreign", foreign),
        ]);
        let argument = link(&cells, &[]);
        let commit = Commit::new()
            .set(&result, Value::object([("value", value), ("argument", argument)]))
            .set(&cells, document(Value::object([("count", 3.into()), ("items", Value::List(vec![link(&item, &[])]))])))
            .set(&item, document(Value::object([("title", "one".into())])))
            .set(&updater, document(stream()))
            .set(&circle, document(Value::object([("again", link(&circle, &[]))])));
        session.commit(commit).await.unwrap();

        let view = CharmView::open(&session, &charm()).await.unwrap().unwrap();
        let keys: Vec<_> = view.keys().collect();
        assert_eq!(keys, ["bgUpdater", "circle", "count", "first", "foreign", "inside", "items", "nowhere", "plain"]);
        let value = async |key: &str| view.key(key).await.unwrap();
        assert_eq!(value("plain").await, Some(Key::Value(7.into())), "{}", server.name());
        assert_eq!(value("count").await, Some(Key::Value(3.into())), "{}", server.name());
        let items = Value::List(vec![Value::object([("title", "one".into())])]);
        assert_eq!(value("items").await, Some(Key::Value(items)), "{}", server.name());
        assert_eq!(value("first").await, Some(Key::Value("one".into())), "{}", server.name());
        assert_eq!(value("nowhere").await, Some(Key::Value(Value::Undefined)));
        assert_eq!(value("foreign").await, Some(Key::Value(Value::Undefined)));
        assert_eq!(value("absent").await, None);
        let at = |id: &bg_toolshed::EntityId, path: Vec<String>| {
            Some(Key::Stream(StreamId { id: id.clone(), path, scope: "space".to_owned() }))
        };
        assert_eq!(value("bgUpdater").await, at(&updater, Vec::new()), "{}", server.name());
        assert_eq!(value("inside").await, at(&result, path(["inside"])), "{}", server.name());
        assert!(matches!(value("circle").await, Some(Key::Value(Value::Object(_)))), "{}", server.name());
    }
}

#[tokio::test]
async fn documents_that_multiply_each_other_are_refused() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let levels: Vec<_> = (0..20).map(|level| id(&format!("level {level}"))).collect();
        let result = CharmView::document(&charm()).unwrap();
        let mut commit = Commit::new().set(&result, document(Value::object([("bomb", link(&levels[0], &[]))])));
        for pair in levels.windows(2) {
            commit = commit.set(&pair[0], document(Value::List(vec![link(&pair[1], &[]); 10])));
        }
        session.commit(commit.set(&levels[19], document("x".repeat(1000)))).await.unwrap();
        let view = CharmView::open(&session, &charm()).await.unwrap().unwrap();
        let refused = view.key("bomb").await;
        assert!(matches!(refused, Err(Error::TooLarge(_))), "{}", server.name());
    }
}
