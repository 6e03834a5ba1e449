//! The calendar importer.

use std::time::Duration;

use bg_test_support::FakeGoogle;
use serde_json::{Value, json};

use crate::support::{Charm, client, component};

fn inputs(google: &FakeGoogle, auth: &Value) -> Value {
    let base = google.base_url();
    json!({"auth": auth, "apiBaseUrl": base, "apiUrl": base, "patience": {"tries": 3, "firstWaitMs": 1, "totalMs": 40_000}})
}

/// The queries of the requests for events, and the statuses.
fn asked(google: &FakeGoogle) -> Vec<(String, u16)> {
    google.take_requests().into_iter().map(|seen| (seen.query, seen.status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calendar_importer_follows_its_sync_token() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let lunch = google.add_event("Lunch", 1_800_000_000_000);
    let dinner = google.add_event("Dinner", 1_800_030_000_000);
    let inputs = inputs(&google, &json!({"token": google.issue_token()}));
    let mut charm = Charm::fixture(&component, "calendar.tsx", inputs, client(Some(&google.base_url()))).await;
    google.limit_pages(1);
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Lunch", "Dinner"]);
    assert_eq!(charm.cell("status"), json!("2 events"));
    let queries = asked(&google);
    assert_eq!(queries.len(), 2, "two pages: {queries:?}");
    assert!(!queries[0].0.contains("Token") && queries[1].0.contains("pageToken="), "{queries:?}");
    google.limit_pages(250);

    google.cancel_event(&lunch);
    google.add_event("Breakfast", 1_700_000_000_000);
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Breakfast", "Dinner"]);
    let queries = asked(&google);
    assert!(queries.len() == 1 && queries[0].0.contains("syncToken=sync"), "what changed alone: {queries:?}");

    // What was cancelled while the token was too old is not told of.
    google.cancel_event(&dinner);
    google.expire_sync_tokens();
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Breakfast"]);
    let statuses: Vec<u16> = asked(&google).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, [410, 200]);
    charm.poll().await;
    assert!(asked(&google)[0].0.contains("syncToken="), "and from then on again what changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_and_a_busy_google_is_asked_again() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    google.add_event("Lunch", 1_800_000_000_000);
    let inputs = inputs(&google, &json!({"token": "ya29.old", "refreshToken": google.issue_refresh_token()}));
    let mut charm = Charm::fixture(&component, "calendar.tsx", inputs, client(Some(&google.base_url()))).await;
    google.refuse_next(2, Some(0));
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Lunch"]);
    let statuses: Vec<u16> = asked(&google).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, [401, 200, 429, 429, 200]);
    assert_ne!(charm.cell("auth")["token"], json!("ya29.old"));

    // Where a full list is cut short, what was there stays until it is whole.
    google.add_event("Dinner", 1_800_030_000_000);
    google.expire_sync_tokens();
    google.rate_limit(true);
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("1 events; not all: Google answered 429 to 3 tries"));
    google.rate_limit(false);
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Lunch", "Dinner"]);
    assert_eq!(charm.cell("status"), json!("2 events"));
}
