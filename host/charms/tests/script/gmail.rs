//! The Gmail importer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_poller::OutcomeKind;
use bg_sandbox::CharmComponent;
use bg_test_support::{Authorization, FakeGoogle};
use serde_json::{Value, json};

use crate::support::{Charm, client, component, workspace};

/// The importer of that Google's mail, with a token and `more` inputs. It waits for nobody.
async fn importer(component: &Arc<CharmComponent>, google: &FakeGoogle, more: Value) -> Charm {
    let mut inputs = json!({
        "auth": {"token": google.issue_token()},
        "apiBaseUrl": google.base_url(),
        "apiUrl": google.base_url(),
        "patience": {"firstWaitMs": 1},
    });
    let Value::Object(more) = more else { panic!("an object") };
    inputs.as_object_mut().unwrap().extend(more);
    Charm::fixture(component, "gmail.tsx", inputs, client(Some(&google.base_url()))).await
}

fn subjects(charm: &Charm) -> BTreeSet<String> {
    charm.each("emails", "subject").into_iter().collect()
}

fn set(subjects: &[&str]) -> BTreeSet<String> {
    subjects.iter().map(ToString::to_string).collect()
}

/// The paths that were asked for, without queries, and the statuses.
fn asked(google: &FakeGoogle) -> Vec<(String, u16)> {
    let short = |path: String| path.replace("/gmail/v1/users/me/", "").replace("/api/integrations/google-oauth/", "");
    google.take_requests().into_iter().map(|seen| (short(seen.path), seen.status)).collect()
}

fn expected(paths: &[(&str, u16)]) -> Vec<(String, u16)> {
    paths.iter().map(|(path, status)| ((*path).to_owned(), *status)).collect()
}

const BATCH: (&str, u16) = ("/batch/gmail/v1", 200);

#[tokio::test(flavor = "multi_thread")]
async fn the_gmail_importer_lists_then_follows_the_history_and_starts_over_when_that_is_gone() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let first = google.deliver("First", "a@example.com");
    let second = google.deliver("Second", "b@example.com");
    let mut charm = importer(&component, &google, json!({})).await;
    let mut secrets = charm.shape.secrets.clone();
    secrets.sort();
    assert_eq!(secrets, [["auth", "refreshToken"], ["auth", "token"]]);

    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["First", "Second"]));
    assert_eq!(charm.cell("settings")["historyId"], json!(google.history_id().to_string()));
    assert_eq!(charm.cell("status"), json!("2 new, 0 gone, 2 in all"));
    assert_eq!(asked(&google), expected(&[("profile", 200), ("messages", 200), BATCH]));

    // Nothing new: the history alone is asked for.
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("0 new, 0 gone, 2 in all"));
    assert_eq!(asked(&google), expected(&[("history", 200)]));

    google.deliver("Third", "c@example.com");
    google.delete(&first);
    google.label(&second, "UNREAD", false);
    google.label(&second, "STARRED", true);
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Second", "Third"]));
    assert_eq!(charm.cell("status"), json!("1 new, 1 gone, 2 in all"));
    let parts: Vec<_> = google.requests().into_iter().flat_map(|seen| seen.parts).collect();
    assert_eq!(parts.len(), 1, "what is known is not asked for again: {parts:?}");
    assert_eq!(asked(&google), expected(&[("history", 200), ("messages", 200), BATCH]));
    let emails = charm.cell("emails");
    let labels =
        emails.as_array().unwrap().iter().find(|email| email["subject"] == "Second").unwrap()["labelIds"].clone();
    assert_eq!(labels, json!(["CATEGORY_PERSONAL", "INBOX", "STARRED"]));

    // Mail that leaves the inbox is not what the filter finds any more.
    google.label(&second, "INBOX", false);
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Third"]));
    asked(&google);

    google.forget_history();
    google.deliver("Fourth", "d@example.com");
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Third", "Fourth"]));
    assert_eq!(asked(&google), expected(&[("history", 404), ("profile", 200), ("messages", 200), BATCH]));

    google.expire_tokens();
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!(failure.kind, OutcomeKind::HandlerFailed);
    assert!(failure.message.starts_with("GoogleError: Google refused the token (401)"), "{failure:?}");
    let stack = failure.stack.unwrap();
    let source = std::fs::read_to_string(workspace("tests/fixtures/google.ts")).unwrap();
    let thrown = "const error = new GoogleError(";
    let line = 1 + source.lines().position(|line| line.contains(thrown)).unwrap();
    assert!(stack.contains(&format!("google.ts:{line}:")), "the author's line {line}:\n{stack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_mailbox_is_imported_in_batches_and_pages_as_they_come() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    google.limit_pages(100);
    for n in 0..250 {
        google.deliver(&format!("Mail {n}"), "a@example.com");
    }
    let settings = json!({"settings": {"gmailFilterQuery": "in:INBOX", "limit": 240, "historyId": ""}});
    let mut charm = importer(&component, &google, settings).await;
    let began = Instant::now();
    charm.poll().await;
    println!("240 mails: {:?}", began.elapsed());
    assert_eq!(charm.cell("emails").as_array().unwrap().len(), 240);
    let sizes: Vec<usize> = google.requests().iter().map(|seen| seen.parts.len()).collect();
    assert_eq!(sizes, [0, 0, 0, 0, 100, 100, 40]);
    asked(&google);

    // The history has pages as well.
    google.limit_pages(2);
    for n in 0..5 {
        google.deliver(&format!("More {n}"), "a@example.com");
    }
    google.limit_pages(2);
    let settings = json!({"settings": {"gmailFilterQuery": "subject:more", "limit": 3, "historyId": charm.cell("settings")["historyId"]}});
    let mut charm = importer(&component, &google, settings).await;
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["More 2", "More 3", "More 4"]));
    let history = ("history", 200);
    assert_eq!(asked(&google), expected(&[history, history, history, ("messages", 200), ("messages", 200), BATCH]));
    assert_eq!(charm.cell("settings")["historyId"], json!(google.history_id().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_once_and_kept() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    google.deliver("First", "a@example.com");
    let auth =
        json!({"auth": {"token": "ya29.old", "refreshToken": google.issue_refresh_token(), "user": {"email": "me"}}});
    let mut charm = importer(&component, &google, auth).await;
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["First"]));
    assert_eq!(
        asked(&google),
        expected(&[("profile", 401), ("refresh", 200), ("profile", 200), ("messages", 200), BATCH])
    );
    let auth = charm.cell("auth");
    assert!(auth["token"].as_str().unwrap().starts_with("ya29.") && auth["token"] != json!("ya29.old"), "{auth}");
    assert!(auth["expiresAt"].as_u64().unwrap() > 1_700_000_000_000, "{auth}");
    assert_eq!(auth["user"]["email"], json!("me"), "what is not told stays: {auth}");
    // The next poll begins with the new one.
    charm.poll().await;
    let requests = google.take_requests();
    assert!(requests.iter().all(|seen| seen.authorization == Authorization::Accepted), "{requests:?}");
    assert!(!requests.iter().any(|seen| seen.token_leaked), "{requests:?}");

    let mut charm =
        importer(&component, &google, json!({"auth": {"token": "ya29.old", "refreshToken": "1//no"}})).await;
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!(failure.message, "Error: the token could not be renewed (401): sign in again");
    assert_eq!(asked(&google), expected(&[("profile", 401), ("refresh", 401)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_gmail_asks_for_patience_the_poll_goes_on_later_or_keeps_what_it_has() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    for n in 0..150 {
        google.deliver(&format!("Mail {n}"), "a@example.com");
    }
    let settings = || json!({"settings": {"gmailFilterQuery": "in:INBOX", "limit": 150, "historyId": ""}, "patience": {"tries": 3, "firstWaitMs": 1, "totalMs": 40_000}});

    // As long as Gmail says, and as short.
    let mut charm = importer(&component, &google, settings()).await;
    google.refuse_next(2, Some(0));
    google.refuse_next_parts(30);
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("150 new, 0 gone, 150 in all"));
    let parts: Vec<usize> = google.requests().iter().map(|seen| seen.parts.len()).filter(|parts| *parts > 0).collect();
    assert_eq!(parts, [100, 50, 30], "only what was refused is asked for again");
    let profile = |status| ("profile", status);
    assert_eq!(asked(&google)[..3], expected(&[profile(429), profile(429), profile(200)]));

    // Not for longer than the poll has time, nor more often than it may.
    let mut charm = importer(&component, &google, settings()).await;
    google.refuse_next(1, Some(3_600));
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("0 new, 0 gone, 0 in all; not all: Google answered 429 to 1 tries"));
    assert_eq!(asked(&google), expected(&[profile(429)]));
    google.refuse_next_parts(1_000);
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("0 new, 0 gone, 0 in all; not all: Google answered 429 to 3 tries"));
    assert_eq!(asked(&google).len(), 2 + 3 * 2);

    // What came is kept, and the next poll asks for the rest.
    google.refuse_next_parts(100 + 50 + 50);
    charm.trigger("bgUpdater", json!({})).await.unwrap();
    google.refuse_next_parts(0);
    let kept = charm.cell("emails").as_array().unwrap().len();
    assert_eq!(kept, 150, "the third try had them all: {}", charm.cell("status"));
    assert_eq!(charm.cell("settings")["historyId"], json!(google.history_id().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_goes_while_it_is_imported_is_left_out_and_what_came_before_trouble_is_kept() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    for n in 0..150 {
        google.deliver(&format!("Mail {n}"), "a@example.com");
    }
    let more = json!({"settings": {"gmailFilterQuery": "in:INBOX", "limit": 150, "historyId": ""}, "patience": {"tries": 1, "firstWaitMs": 1, "totalMs": 40_000}});
    let mut charm = importer(&component, &google, more).await;
    google.refuse_next_parts(50);
    google.vanish_next(1);
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("99 new, 0 gone, 99 in all; not all: Google answered 429 to 1 tries"));
    assert_eq!(charm.cell("settings")["historyId"], json!(""), "the next poll goes on from here");
    asked(&google);
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("50 new, 0 gone, 149 in all"));
    let parts: Vec<usize> = google.requests().iter().map(|seen| seen.parts.len()).filter(|parts| *parts > 0).collect();
    assert_eq!(parts, [50], "what is known is not asked for again");
}
