//! Several processes on one database, each as a runtime that shares nothing with the others but the file.

use std::sync::Arc;

use bg_charm_api::{Actor, Spaces};
use bg_poller::{CharmRuntime, RuntimeError};
use serde_json::json;

use crate::local::testing::{Home, source, space};

#[tokio::test]
async fn each_sees_what_the_other_does() {
    let home = Home::new().await;
    let other = home.another().as_actor(Actor::Operator);
    let charm = other.deploy(&space(), &source("guest.js", json!({}))).await.unwrap().charm;
    home.trigger(&charm, "append", json!({})).await.unwrap();
    other.trigger(&charm, "append", &json!({})).await.unwrap();
    assert_eq!(home.cells(&charm).await["log"], "aa");
    assert_eq!(json!(other.show(&charm).await.unwrap().cells), home.cells(&charm).await);
    home.operator().register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    assert_eq!(other.registrations().await.unwrap(), home.operator().registrations().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_write_is_lost_between_them() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let calls = [Arc::clone(&home.runtime), home.another(), home.another()].map(|runtime| {
        let charm = charm.clone();
        tokio::spawn(async move {
            let handle = runtime.as_actor(Actor::Operator);
            let mut kept = 0;
            for _ in 0..15 {
                match handle.trigger(&charm, "append", &json!({})).await {
                    Ok(outcome) => kept += usize::from(outcome.is_success()),
                    Err(RuntimeError::Unavailable { message: text, .. }) => {
                        assert!(text.contains("nothing was kept"), "{text}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            kept
        })
    });
    let mut kept = 0;
    for call in calls {
        kept += call.await.unwrap();
    }
    assert!(kept >= 15, "some of them always come through: {kept}");
    assert_eq!(home.cells(&charm).await["log"], "a".repeat(kept));
    assert_eq!(home.operator().runs(&charm, 100).await.unwrap().len(), kept);
}

#[tokio::test]
async fn the_same_deployed_by_several_at_once_is_one_charm() {
    let home = Home::new().await;
    let deployments = [home.another(), home.another(), Arc::clone(&home.runtime)].map(|runtime| {
        tokio::spawn(async move {
            runtime
                .as_actor(Actor::Operator)
                .deploy(&space(), &source("guest.js", json!({"token": "t"})))
                .await
                .unwrap()
        })
    });
    let mut created = 0;
    for deployment in deployments {
        created += usize::from(deployment.await.unwrap().created);
    }
    assert_eq!(created, 1);
    assert_eq!(home.operator().charms(&space()).await.unwrap().len(), 1);
}
