//! The loopback Google, as a client sees it.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

use bg_test_support::{Authorization, FakeGoogle, HttpReply, request};
use serde_json::Value;

fn get(google: &FakeGoogle, token: &str, target: &str) -> HttpReply {
    let address = google.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    request(address, "GET", target, &[("Authorization", &format!("Bearer {token}"))], b"").unwrap()
}

fn json(google: &FakeGoogle, token: &str, target: &str) -> Value {
    let reply = get(google, token, target);
    assert_eq!(reply.status, 200, "{target}: {}", reply.text());
    reply.json().unwrap()
}

const GMAIL: &str = "/gmail/v1/users/me";
const EVENTS: &str = "/calendar/v3/calendars/primary/events";

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().filter_map(|one| one["id"].as_str()).collect()).unwrap_or_default()
}

#[test]
fn an_empty_mailbox_has_no_messages_field() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    let list = json(&google, &token, &format!("{GMAIL}/messages?q=in:INBOX"));
    assert_eq!(list, serde_json::json!({ "resultSizeEstimate": 0 }));
    let profile = json(&google, &token, &format!("{GMAIL}/profile"));
    assert_eq!(profile["messagesTotal"], 0);
    assert_eq!(profile["historyId"], google.history_id().to_string());
}

#[test]
fn messages_are_listed_newest_first_and_in_pages() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    let first = google.deliver("one", "a@example.com");
    let second = google.deliver("two", "b@example.com");
    let third = google.deliver("three", "a@example.com");
    let page = json(&google, &token, &format!("{GMAIL}/messages?maxResults=2"));
    assert_eq!(ids(&page["messages"]), [third.as_str(), &second]);
    let next = page["nextPageToken"].as_str().unwrap();
    google.deliver("meanwhile", "c@example.com");
    let page = json(&google, &token, &format!("{GMAIL}/messages?maxResults=2&pageToken={next}"));
    assert_eq!(ids(&page["messages"]), [first.as_str()]);
    assert!(page.get("nextPageToken").is_none());
    let found = json(&google, &token, &format!("{GMAIL}/messages?q=from:a@example.com%20subject:%22one%22"));
    assert_eq!(ids(&found["messages"]), [first.as_str()]);
}

#[test]
fn a_message_has_headers_labels_and_a_body() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    let id = google.deliver("Lunch?", "Ann <ann@example.com>");
    let message = json(&google, &token, &format!("{GMAIL}/messages/{id}"));
    assert_eq!(message["id"], id.as_str());
    assert_eq!(message["labelIds"], serde_json::json!(["UNREAD", "CATEGORY_PERSONAL", "INBOX"]));
    assert!(message["internalDate"].as_str().unwrap().parse::<u64>().is_ok());
    let headers = message["payload"]["headers"].as_array().unwrap();
    assert!(headers.contains(&serde_json::json!({ "name": "Subject", "value": "Lunch?" })));
    let only = json(&google, &token, &format!("{GMAIL}/messages/{id}?format=metadata&metadataHeaders=from"));
    let headers = serde_json::json!([{ "name": "From", "value": "Ann <ann@example.com>" }]);
    assert_eq!(only["payload"]["headers"], headers);
    assert_eq!(get(&google, &token, &format!("{GMAIL}/messages/nothing")).status, 404);
}

#[test]
fn history_lists_what_changed_since_an_id() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    google.deliver("before", "a@example.com");
    let start = google.history_id();
    let quiet = json(&google, &token, &format!("{GMAIL}/history?startHistoryId={start}"));
    assert_eq!(quiet, serde_json::json!({ "historyId": start.to_string() }));

    let id = google.deliver("after", "a@example.com");
    google.label(&id, "STARRED", true);
    google.delete(&id);
    let all = json(&google, &token, &format!("{GMAIL}/history?startHistoryId={start}"));
    assert_eq!(all["history"].as_array().unwrap().len(), 3);
    assert_eq!(all["history"][0]["messagesAdded"][0]["message"]["id"], id.as_str());
    assert_eq!(all["history"][1]["labelsAdded"][0]["labelIds"], serde_json::json!(["STARRED"]));
    assert_eq!(all["history"][2]["messagesDeleted"][0]["message"]["id"], id.as_str());
    assert_eq!(all["historyId"], google.history_id().to_string());

    let target = format!("{GMAIL}/history?startHistoryId={start}&historyTypes=messageAdded&labelId=INBOX");
    assert_eq!(json(&google, &token, &target)["history"].as_array().unwrap().len(), 1);

    let page = json(&google, &token, &format!("{GMAIL}/history?startHistoryId={start}&maxResults=2"));
    let next = page["nextPageToken"].as_str().unwrap();
    let rest = json(&google, &token, &format!("{GMAIL}/history?startHistoryId={start}&maxResults=2&pageToken={next}"));
    assert_eq!(rest["history"].as_array().unwrap().len(), 1);
}

#[test]
fn a_history_id_that_is_too_old_or_invalid_is_refused() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    let start = google.history_id();
    google.deliver("mail", "a@example.com");
    google.forget_history();
    for (id, status) in [
        (start.to_string(), 404),
        (google.history_id().to_string(), 200),
        ((google.history_id() + 1).to_string(), 404),
        ("tuesday".to_owned(), 400),
    ] {
        let reply = get(&google, &token, &format!("{GMAIL}/history?startHistoryId={id}"));
        assert_eq!(reply.status, status, "{id}");
    }
    let missing = get(&google, &token, &format!("{GMAIL}/history"));
    assert_eq!(missing.json().unwrap()["error"]["status"], "INVALID_ARGUMENT");
}

#[test]
fn a_calendar_is_synced_by_token_and_in_pages() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    let first = google.add_event("one", 1_800_000_000_000);
    let second = google.add_event("two", 1_700_000_000_000);
    let page = json(&google, &token, &format!("{EVENTS}?maxResults=1"));
    assert_eq!(ids(&page["items"]), [first.as_str()]);
    assert_eq!(page["items"][0]["start"]["dateTime"], "2027-01-15T08:00:00Z");
    assert!(page.get("nextSyncToken").is_none());
    let next = page["nextPageToken"].as_str().unwrap();
    let page = json(&google, &token, &format!("{EVENTS}?maxResults=1&pageToken={next}"));
    assert_eq!(ids(&page["items"]), [second.as_str()]);
    let sync = page["nextSyncToken"].as_str().unwrap().to_owned();

    let quiet = json(&google, &token, &format!("{EVENTS}?syncToken={sync}"));
    assert_eq!(quiet["items"], serde_json::json!([]));
    google.cancel_event(&first);
    let changed = json(&google, &token, &format!("{EVENTS}?syncToken={sync}"));
    assert_eq!(changed["items"][0]["status"], "cancelled");
    assert_eq!(ids(&json(&google, &token, EVENTS)["items"]), [second.as_str()]);

    assert_eq!(get(&google, &token, &format!("{EVENTS}?syncToken={sync}&q=one")).status, 400);
    google.expire_sync_tokens();
    assert_eq!(get(&google, &token, &format!("{EVENTS}?syncToken={sync}")).status, 410);
    assert_eq!(get(&google, &token, "/calendar/v3/calendars/other/events").status, 404);
}

#[test]
fn only_a_token_that_was_issued_and_has_not_expired_is_accepted() {
    let google = FakeGoogle::start().unwrap();
    let address = google.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    let target = format!("{GMAIL}/profile");
    let old = google.issue_token();
    google.expire_tokens();
    assert_eq!(get(&google, &old, &target).status, 401);
    assert_eq!(get(&google, "made-up", &target).status, 401);
    assert_eq!(request(address, "GET", &target, &[], b"").unwrap().status, 401);

    let refresh = google.issue_refresh_token();
    let body = serde_json::json!({ "refreshToken": refresh }).to_string();
    let path = "/api/integrations/google-oauth/refresh";
    let renewed = request(address, "POST", path, &[], body.as_bytes()).unwrap().json().unwrap();
    let fresh = renewed["tokenInfo"]["token"].as_str().unwrap();
    assert_eq!(get(&google, fresh, &target).status, 200);
    assert_eq!(request(address, "POST", path, &[], b"{\"refreshToken\":\"made-up\"}").unwrap().status, 401);

    let authorizations: Vec<Authorization> = google.requests().iter().map(|seen| seen.authorization).collect();
    assert_eq!(
        authorizations,
        [
            Authorization::Refused,
            Authorization::Refused,
            Authorization::Absent,
            Authorization::Absent,
            Authorization::Accepted,
            Authorization::Absent
        ]
    );
    for token in [old.as_str(), &refresh, fresh] {
        assert!(!format!("{:?} {google:?}", google.requests()).contains(token));
    }
}

#[test]
fn a_token_in_the_wrong_place_is_detected_and_not_shown() {
    let google = FakeGoogle::start().unwrap();
    let address = google.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    let token = google.issue_token();
    let encoded: String = token.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"));
    for (target, headers) in [
        (format!("/steal/{token}"), vec![]),
        (format!("/steal?it={encoded}"), vec![]),
        ("/steal".to_owned(), vec![("x-it", token.as_str())]),
    ] {
        request(address, "GET", &target, &headers, b"").unwrap();
    }
    let requests = google.take_requests();
    assert!(requests.iter().all(|seen| seen.token_leaked), "{requests:?}");
    assert!(!format!("{requests:?}").contains(&token));
    assert!(!format!("{requests:?}").contains(&encoded));
    assert!(google.requests().is_empty());
}

#[test]
fn a_rate_limit_and_a_wrong_method_are_googles_errors() {
    let google = FakeGoogle::start().unwrap();
    let token = google.issue_token();
    google.rate_limit(true);
    let reply = get(&google, &token, &format!("{GMAIL}/profile"));
    assert_eq!(reply.status, 429);
    assert_eq!(reply.json().unwrap()["error"]["errors"][0]["reason"], "rateLimitExceeded");
    google.rate_limit(false);
    assert_eq!(get(&google, &token, &format!("{GMAIL}/profile")).status, 200);
    let address = google.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    let authorization = format!("Bearer {token}");
    let target = format!("{GMAIL}/messages");
    assert_eq!(request(address, "DELETE", &target, &[("Authorization", &authorization)], b"").unwrap().status, 405);
}
