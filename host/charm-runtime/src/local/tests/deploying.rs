use bg_charm_api::{AccessLevel, Acl, Spaces, Subject};
use bg_identity::{space_did, system_space};
use bg_poller::{CharmRuntime, Lookup, RuntimeError};
use serde_json::json;

use crate::local::testing::{Home, did, source, space};
use crate::{LocalOptions, LocalRuntime};

#[tokio::test]
async fn a_charm_is_there_with_its_cells_streams_and_name() {
    let home = Home::new().await;
    let deployed = home.operator().deploy(&space(), &source("guest.js", json!({"user": "ann"}))).await.unwrap();
    assert!(deployed.created);
    assert_eq!(deployed.name.as_deref(), Some("Guest"));
    assert_eq!(deployed.streams, ["append", "bgUpdater", "copy", "fail", "hang", "trap"]);

    let charm = home.operator().open(&deployed.charm).await.unwrap();
    let streams = deployed.streams.iter().cloned();
    let mut keys: Vec<String> = streams.chain(["auth".into(), "log".into()]).collect();
    keys.sort();
    assert_eq!(charm.keys().await.unwrap(), keys);
    assert!(charm.has_stream("bgUpdater").await.unwrap() && !charm.has_stream("auth").await.unwrap());
    let cases = [
        (vec!["auth", "user"], Lookup::Value(json!("ann"))),
        (vec!["log"], Lookup::Value(json!(""))),
        (vec!["bgUpdater"], Lookup::Value(json!({"$stream": true}))),
        (vec!["bgUpdater", "x"], Lookup::Absent),
        (vec!["nothing"], Lookup::Absent),
        (vec![], Lookup::Absent),
    ];
    for (path, expected) in cases {
        let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
        assert_eq!(charm.get(&path).await.unwrap(), expected, "{path:?}");
    }
    let [summary] = home.operator().charms(&space()).await.unwrap().try_into().unwrap();
    assert_eq!((summary.charm, summary.file_name.as_str()), (deployed.charm, "guest.js"));
}

#[tokio::test]
async fn the_same_deployed_again_is_the_same_charm_and_keeps_its_cells() {
    let home = Home::new().await;
    let charm = home.deploy(json!({"user": "ann"})).await;
    home.trigger(&charm, "append", json!({})).await.unwrap();

    let again = home.operator().deploy(&space(), &source("guest.js", json!({"user": "ann"}))).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.charm, charm);
    assert_eq!(home.cells(&charm).await["log"], "a");

    let others = [
        (space(), source("guest.js", json!({"user": "ben"}))),
        (space(), source("guest.js", json!({}))),
        (space(), source("other.js", json!({"user": "ann"}))),
        (space_did("other-space"), source("guest.js", json!({"user": "ann"}))),
    ];
    for (space, request) in others {
        let other = home.operator().deploy(&space, &request).await.unwrap();
        assert!(other.created);
        assert_ne!(other.charm.charm, charm.charm, "{request:?}");
    }
}

#[tokio::test]
async fn a_new_space_belongs_to_who_created_it_and_anyone_may_write() {
    let home = Home::new().await;
    home.signed("ann").deploy(&space(), &source("guest.js", json!({}))).await.unwrap();
    let acl = home.signed("ben").acl(&space()).await.unwrap();
    assert_eq!(acl, Acl::of_new_space(Some(&did("ann"))));
    home.signed("ben").deploy(&space(), &source("other.js", json!({}))).await.unwrap();

    // One that the operator's own process creates belongs to whom that is said to be.
    let owned = Home::with(|options| options.owner = Some(did("operator"))).await;
    owned.deploy(json!({})).await;
    assert_eq!(owned.operator().acl(&space()).await.unwrap(), Acl::of_new_space(Some(&did("operator"))));

    home.deploy(json!({})).await;
    let error = home.operator().set_acl(&space_did("nowhere"), &Subject::Anyone, Some(AccessLevel::Read)).await;
    assert!(matches!(error, Err(RuntimeError::Invalid(_))), "{error:?}");
    assert_eq!(home.operator().acl(&system_space()).await.unwrap(), Acl::default());
}

#[tokio::test]
async fn what_cannot_be_deployed_leaves_nothing_behind() {
    let home = Home::new().await;
    let mut broken = source("guest.ts", json!({}));
    broken.source = "export default (".into();
    let error = home.operator().deploy(&space(), &broken).await.unwrap_err();
    assert!(matches!(&error, RuntimeError::Invalid(text) if text.contains("guest.ts:1:")), "{error:?}");
    // A cell of that size is refused by the sandbox, and so the guest traps.
    let large = source("guest.js", json!({"user": "x".repeat(9 << 20)}));
    let error = home.operator().deploy(&space(), &large).await.unwrap_err();
    assert!(
        matches!(&error, RuntimeError::Unfit(text) if text.starts_with("guest.js cannot be set up: ")),
        "{error:?}"
    );
    assert!(home.operator().charms(&space()).await.is_err(), "not even the space is created");
}

#[tokio::test]
async fn without_a_component_charms_can_be_looked_at_but_not_run() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let bare = std::sync::Arc::new(LocalRuntime::open(LocalOptions::new(home.database())).unwrap());
    let bare = bare.as_actor(bg_charm_api::Actor::Operator);
    assert!(bare.open(&charm).await.unwrap().has_stream("bgUpdater").await.unwrap());
    bare.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let error = bare.trigger(&charm, "bgUpdater", &json!({})).await.unwrap_err();
    assert!(error.to_string().contains("script.wasm"), "{error}");
}
