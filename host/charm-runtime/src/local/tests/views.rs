//! What is read of a charm in one go, and what is read when it is asked for.

use bg_poller::{CharmRuntime, Lookup};
use serde_json::json;

use crate::local::testing::Home;

fn path(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

#[tokio::test]
async fn an_open_charm_shows_what_is_written_here_at_once() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let view = home.operator().open(&charm).await.unwrap();
    for written in ["a", "aa", "aaa"] {
        home.trigger(&charm, "append", json!({})).await.unwrap();
        assert_eq!(view.get(&path(&["log"])).await.unwrap(), Lookup::Value(json!(written)));
    }
    assert!(view.has_stream("append").await.unwrap() && !view.has_stream("log").await.unwrap());
    assert!(view.keys().await.unwrap().contains(&"log".to_owned()));
}

#[tokio::test]
async fn cells_too_large_to_be_read_at_once_are_the_same_to_handlers_and_views() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    for size in [10, 100_000, 10] {
        let event = json!({"text": "x".repeat(size)});
        assert!(home.trigger(&charm, "bgUpdater", event.clone()).await.unwrap().is_success());
        assert!(home.trigger(&charm, "copy", json!({})).await.unwrap().is_success());
        let view = home.operator().open(&charm).await.unwrap();
        assert_eq!(view.get(&path(&["copied"])).await.unwrap(), Lookup::Value(event.clone()), "{size}");
        assert_eq!(view.get(&path(&["copied", "text"])).await.unwrap(), Lookup::Value(event["text"].clone()), "{size}");
        assert_eq!(view.get(&path(&["missing"])).await.unwrap(), Lookup::Absent, "{size}");
        assert!(view.keys().await.unwrap().contains(&"copied".to_owned()), "{size}");
    }
}

#[tokio::test]
async fn links_between_cells_too_large_to_be_read_at_once_are_followed() {
    let home = Home::new().await;
    let large = "x".repeat(100_000);
    let link = |cell: &str| json!({"/": {"link@1": {"id": format!("of:{cell}"), "path": []}}});
    let charm = home.deploy(json!({})).await;
    let database = rusqlite::Connection::open(home.database()).unwrap();
    let stored = [("large", json!(large)), ("small", json!([link("large")])), ("list", json!([link("small"), 1]))];
    for (name, value) in stored {
        let written = database.execute(
            "INSERT INTO cells (charm, name, sealed, document) SELECT row, ?2, 0, ?3 FROM charms WHERE id = ?1",
            (charm.charm.as_str(), name, value.to_string().into_bytes()),
        );
        assert_eq!(written.unwrap(), 1);
    }
    let view = home.operator().open(&charm).await.unwrap();
    assert_eq!(view.get(&path(&["list"])).await.unwrap(), Lookup::Value(json!([[large], 1])));
    assert_eq!(view.get(&path(&["list", "0", "0"])).await.unwrap(), Lookup::Value(json!(large)));
}
