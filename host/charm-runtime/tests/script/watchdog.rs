//! The watchdog.

use std::time::Duration;

use bg_poller::OutcomeKind;
use bg_test_support::FakeSite;
use serde_json::json;

use crate::support::{Charm, client, component};

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_down_is_news_and_no_failure() {
    let component = component(Duration::from_mins(1)).await;
    let site = FakeSite::start().unwrap();
    site.put("/", "text/html", "hello");
    let inputs = json!({"url": site.url("/"), "keep": 3});
    let mut charm = Charm::fixture(&component, "watchdog.tsx", inputs, client(Some(&site.base_url()))).await;
    charm.poll().await;
    let up = charm.cell("current");
    assert_eq!((&up["up"], &up["status"], &up["error"]), (&json!(true), &json!(200), &json!("")));
    assert!(up["latencyMs"].as_u64().is_some(), "{up}");
    assert_eq!(charm.cell("downSince"), json!(""));

    site.set_status("/", 503);
    charm.poll().await;
    let down = charm.cell("current");
    assert_eq!(
        (&down["up"], &down["status"], &down["error"]),
        (&json!(false), &json!(503), &json!("503 Service Unavailable"))
    );
    assert_eq!(charm.cell("downSince"), down["at"]);
    // It is down since then, however often it is looked at, and in whatever way it is down.
    site.set_status("/", 404);
    charm.poll().await;
    assert_eq!(charm.cell("current")["error"], json!("404 Not Found"));
    assert_eq!(charm.cell("downSince"), down["at"]);

    site.put("/", "text/html", "hello again");
    charm.poll().await;
    assert_eq!(charm.cell("downSince"), json!(""));
    let history = charm.cell("history");
    let statuses: Vec<_> = history.as_array().unwrap().iter().map(|check| &check["status"]).collect();
    assert_eq!(statuses, [200, 404, 503], "newest first, and no more than it keeps");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_does_not_answer_is_left_alone_after_the_timeout() {
    let component = component(Duration::from_mins(1)).await;
    let site = FakeSite::start().unwrap();
    site.be_silent("/");
    let inputs = json!({"url": site.url("/"), "timeoutMs": 50});
    let mut charm = Charm::fixture(&component, "watchdog.tsx", inputs, client(Some(&site.base_url()))).await;
    charm.poll().await;
    let down = charm.cell("current");
    assert_eq!((&down["up"], &down["status"]), (&json!(false), &json!(0)));
    assert_eq!(down["error"], json!("no answer within 50 ms"));
    assert!(down["latencyMs"].as_u64().unwrap() >= 50, "{down}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_is_down_and_a_denied_address_is_a_failure() {
    let component = component(Duration::from_mins(1)).await;
    // A port that was free a moment ago.
    let base = FakeSite::start().unwrap().base_url();
    let inputs = json!({"url": base});
    let mut charm = Charm::fixture(&component, "watchdog.tsx", inputs.clone(), client(Some(&base))).await;
    charm.poll().await;
    let down = charm.cell("current");
    assert_eq!(down["status"], json!(0));
    assert!(down["error"].as_str().unwrap().contains("destination-unavailable"), "{down}");

    let mut charm = Charm::fixture(&component, "watchdog.tsx", inputs, client(None)).await;
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!(failure.kind, OutcomeKind::Denied);
    assert_eq!(charm.cell("history"), json!([]));
}
