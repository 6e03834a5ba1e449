//! The calendar importer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bg_poller::{Cause, OutcomeKind};
use bg_test_support::{FakeGoogle, Recurrence, Refusal, When};
use serde_json::{Value, json};

use crate::support::{Charm, client, component};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// Unix milliseconds.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// The midnight before now, UTC, Unix milliseconds.
fn today() -> u64 {
    now() / DAY * DAY
}

/// The importer of that Google's calendar, with a token and `more` inputs. It waits for nobody.
async fn importer(google: &FakeGoogle, settings: Value) -> Charm {
    let mut inputs = inputs(google, &json!({"token": google.issue_token()}));
    inputs["settings"] = settings;
    let component = component(Duration::from_mins(1)).await;
    Charm::fixture(&component, "calendar.tsx", inputs, client(Some(&google.base_url()))).await
}

fn settings(charm: &mut Charm, key: &str, value: Value) {
    let mut settings = charm.cell("settings");
    settings[key] = value;
    charm.set("settings", &settings);
}

fn inputs(google: &FakeGoogle, auth: &Value) -> Value {
    let base = google.base_url();
    json!({"auth": auth, "apiBaseUrl": base, "patience": {"tries": 3, "firstWaitMs": 1, "totalMs": 40_000}})
}

/// The queries of the requests for events, and the statuses.
fn asked(google: &FakeGoogle) -> Vec<(String, u16)> {
    google.take_requests().into_iter().map(|seen| (seen.query, seen.status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calendar_importer_follows_its_sync_token() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let lunch = google.add_event("Lunch", today() + DAY);
    let dinner = google.add_event("Dinner", today() + DAY + 8 * HOUR);
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
    google.add_event("Breakfast", today());
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Breakfast", "Dinner"]);
    let queries = asked(&google);
    assert!(queries.len() == 1 && queries[0].0.contains("syncToken=sync"), "what changed alone: {queries:?}");
    assert!(!queries[0].0.contains("timeM"), "{queries:?}");

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
async fn a_refused_token_ends_before_the_next_poll_and_a_busy_google_is_asked_again() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    google.add_event("Lunch", today() + DAY);
    let inputs = inputs(&google, &json!({"token": "ya29.old", "refreshToken": google.issue_refresh_token()}));
    let mut charm = Charm::fixture(&component, "calendar.tsx", inputs, client(Some(&google.base_url()))).await;
    charm.poll().await;
    let mut auth = charm.cell("auth");
    assert_eq!(auth["expiresAt"], json!(1), "so the host renews it: {auth}");
    assert!(charm.cell("status").as_str().unwrap().ends_with("it is renewed before the next poll"));
    auth["token"] = json!(google.issue_token());
    charm.set("auth", &auth);
    google.refuse_next(2, Some(0));
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Lunch"]);
    let statuses: Vec<u16> = asked(&google).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, [401, 429, 429, 200]);
    assert_eq!(charm.cell("auth")["refusedAt"], json!(0));

    // Where a full list is cut short, what was there stays until it is whole.
    google.add_event("Dinner", today() + DAY + 8 * HOUR);
    google.expire_sync_tokens();
    google.rate_limit(true);
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!((failure.kind, failure.cause), (OutcomeKind::Unavailable, Some(Cause::TooManyRequests)), "{failure:?}");
    let text = "Google answered 429 rateLimitExceeded to /calendar/v3/calendars/primary/events: Resource has been exhausted (e.g. check quota).";
    assert!(failure.message.contains(text), "{failure:?}");
    assert_eq!((charm.each("events", "summary"), charm.cell("status")), (vec!["Lunch".to_owned()], json!("1 events")));
    google.rate_limit(false);
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Lunch", "Dinner"]);
    assert_eq!(charm.cell("status"), json!("2 events"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_that_limits_the_rate_is_waited_for_and_one_that_stays_says_what_google_says() {
    let google = FakeGoogle::start().unwrap();
    google.add_event("Lunch", today() + DAY);
    for refusal in [Refusal::RateLimit, Refusal::UserRateLimit] {
        let mut charm = importer(&google, json!({})).await;
        google.refuse_next_as(2, refusal);
        charm.poll().await;
        assert_eq!(charm.each("events", "summary"), ["Lunch"], "{refusal:?}");
        google.refuse_all(Some(refusal));
        let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
        assert_eq!((failure.kind, failure.cause), (OutcomeKind::Unavailable, Some(Cause::TooManyRequests)));
        let text = "127.0.0.1 answered 403 Forbidden, which the charm takes for 429 Too Many Requests";
        assert!(failure.message.contains("Google answered 403") && failure.message.contains(text), "{failure:?}");
        assert_eq!(charm.each("events", "summary"), ["Lunch"], "{refusal:?}");
        google.refuse_all(None);
    }
    let mut charm = importer(&google, json!({})).await;
    google.refuse_all(Some(Refusal::NotConfigured));
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert!(
        failure.message.contains("403 accessNotConfigured") && failure.message.contains("Enable it by visiting"),
        "{failure:?}"
    );
    google.refuse_all(None);
    let token = google.issue_token_for(&["https://www.googleapis.com/auth/gmail.readonly"]);
    let mut auth = charm.cell("auth");
    auth["token"] = json!(token);
    charm.set("auth", &auth);
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert!(failure.message.contains("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_around_now_is_kept_and_never_the_oldest() {
    let google = FakeGoogle::start().unwrap();
    for day in 0..400 {
        google.add_event(&format!("{day}"), today() + day * DAY - 350 * DAY + HOUR);
    }
    let mut charm = importer(&google, json!({})).await;
    charm.poll().await;
    let days: Vec<u64> = charm.each("events", "summary").iter().map(|day| day.parse().unwrap()).collect();
    // What was thirty days ago may have ended a moment before.
    assert!([320, 321].contains(&days[0]) && days.last() == Some(&399), "thirty days back and all ahead: {days:?}");
    // What is new is of today, and comes.
    google.add_event("1000", today() + 23 * HOUR);
    charm.poll().await;
    assert!(charm.each("events", "summary").contains(&"1000".to_owned()));

    // Where there is room for few, the past goes first, then what is furthest ahead.
    settings(&mut charm, "limit", json!(45));
    charm.poll().await;
    let days: Vec<u64> = charm.each("events", "summary").iter().map(|day| day.parse().unwrap()).collect();
    assert!(days.len() == 45 && days.contains(&1000), "{days:?}");
    let ahead = days.iter().filter(|day| **day != 1000).copied().collect::<Vec<_>>();
    assert!(ahead[0] >= 350 && *ahead.last().unwrap() < 399, "{ahead:?}");
    let until = charm.cell("progress")["until"].as_u64().unwrap();
    let next = ahead.last().unwrap() + 1;
    assert_eq!(until, today() + next * DAY - 350 * DAY + HOUR, "it knows up to where it is complete");
    assert!(charm.cell("status").as_str().unwrap().starts_with("45 events until "), "{}", charm.cell("status"));
    // An event beyond that is not here, so that nothing before it is missing.
    google.add_event("2000", until + 100 * DAY);
    charm.poll().await;
    assert!(!charm.each("events", "summary").contains(&"2000".to_owned()));

    // Since time goes on, the window is listed again, and what was there stays meanwhile.
    asked(&google);
    let mut progress = charm.cell("progress");
    assert!(progress["again"].as_u64().unwrap() < until, "before it is over");
    progress["again"] = json!(1);
    charm.set("progress", &progress);
    charm.poll().await;
    let queries = asked(&google);
    assert!(queries[0].0.contains("timeMin=") && !queries[0].0.contains("syncToken"), "{queries:?}");
    assert_eq!(charm.cell("events").as_array().unwrap().len(), 45);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_left_out_for_others_come_back_when_those_are_gone() {
    let google = FakeGoogle::start().unwrap();
    for day in 0..5 {
        google.add_event(&format!("later {day}"), today() + (60 + day) * DAY);
        google.add_event(&format!("before {day}"), today() - (2 + day) * DAY);
    }
    let mut charm = importer(&google, json!({"limit": 10})).await;
    let is_due = |charm: &Charm| charm.cell("progress")["again"].as_u64().unwrap() <= now();
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("10 events"));
    let busy: Vec<String> =
        (0..12).map(|n| google.add_event(&format!("soon {n}"), today() + 2 * DAY + n * HOUR)).collect();
    charm.poll().await;
    assert!(charm.each("events", "summary").iter().all(|event| event.starts_with("soon")), "{}", charm.cell("events"));
    // What is here ends in two days, so the next list comes before that.
    let again = charm.cell("progress")["again"].as_u64().unwrap();
    assert!(again > now() && again < now() + 2 * DAY, "{again}");

    // As long as it is full, nothing else has room.
    google.cancel_event(&busy[11]);
    charm.poll().await;
    assert!(!is_due(&charm) && charm.cell("events").as_array().unwrap().len() == 10);
    for event in &busy[..11] {
        google.cancel_event(event);
    }
    charm.poll().await;
    assert!(is_due(&charm), "{}", charm.cell("progress"));
    charm.poll().await;
    assert_eq!((charm.cell("status"), is_due(&charm)), (json!("10 events"), false));

    // Past events give way first, and come back as well.
    let one = google.add_event("soon", today() + 2 * DAY);
    charm.poll().await;
    assert!(!charm.each("events", "summary").contains(&"before 4".to_owned()));
    google.cancel_event(&one);
    charm.poll().await;
    charm.poll().await;
    assert!(charm.each("events", "summary").contains(&"before 4".to_owned()), "{}", charm.cell("events"));

    // Where everything has room, cancelled events are no reason for a list.
    settings(&mut charm, "limit", json!(50));
    charm.poll().await;
    let one = google.add_event("soon", today() + 2 * DAY);
    charm.poll().await;
    google.cancel_event(&one);
    charm.poll().await;
    assert_eq!((charm.cell("status"), is_due(&charm)), (json!("10 events"), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_compared_as_moments_and_days_end_before_the_next_one() {
    let google = FakeGoogle::start().unwrap();
    let user = google.user();
    let at = |hours: u64, offset: i64| When::At { start_ms: today() + 2 * DAY + hours * HOUR, offset };
    google.add_event_to(user, "17:00Z", at(17, -480), None);
    google.add_event_to(user, "09:00Z", at(9, 60), None);
    google.add_event_to(user, "08:00Z", at(8, 330), None);
    google.add_event_to(user, "holiday", When::Days { start_ms: today() + 2 * DAY, days: 2 }, None);
    // The last day of one was 31 days ago, of the other 30 days ago; it ends today, or ended yesterday.
    google.add_event_to(user, "over", When::Days { start_ms: today() - 32 * DAY, days: 2 }, None);
    google.add_event_to(user, "just", When::Days { start_ms: today() - 32 * DAY, days: 3 }, None);
    let mut charm = importer(&google, json!({})).await;
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["just", "holiday", "08:00Z", "09:00Z", "17:00Z"]);
    let events = charm.cell("events");
    assert!(events[4]["start"].as_str().unwrap().ends_with("T09:00:00-08:00"), "{events}");
    assert_eq!((&events[1]["allDay"], &events[4]["allDay"]), (&json!(true), &json!(false)));
    let day = |event: &Value, key: &str| event[key].as_str().unwrap().len();
    assert_eq!((day(&events[1], "start"), day(&events[1], "end")), (10, 10), "days have no time: {events}");
    assert_ne!(events[1]["start"], events[1]["end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_without_end_and_its_end_are_followed() {
    let google = FakeGoogle::start().unwrap();
    let weekly = Recurrence { every: 7, count: None };
    let series = google.add_event_to(
        google.user(),
        "Weekly",
        When::At { start_ms: today() - 700 * DAY, offset: 0 },
        Some(weekly),
    );
    google.add_event("Once", today() + DAY);
    let mut charm = importer(&google, json!({})).await;
    charm.poll().await;
    let count = charm.cell("events").as_array().unwrap().len();
    assert!((57..=59).contains(&count), "a year ahead and a month back: {count}");
    // A change of it comes with all that Google expands, years ahead.
    google.rename_event(&series, "Every week");
    charm.poll().await;
    assert_eq!(charm.cell("events").as_array().unwrap().len(), count);
    assert!(!charm.each("events", "summary").contains(&"Weekly".to_owned()));
    google.cancel_event(&series);
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_of_17000_instances_ends_slice_by_slice() {
    let google = FakeGoogle::start().unwrap();
    for n in 0..43_u64 {
        let when = When::At { start_ms: today() - 300 * DAY + n * HOUR / 4, offset: 0 };
        google.add_event_to(google.user(), &format!("Daily {n}"), when, Some(Recurrence { every: 1, count: None }));
    }
    for limit in [250, 5_000] {
        let mut charm = importer(&google, json!({"limit": limit})).await;
        let (mut polls, mut requests) = (0, 0);
        loop {
            charm.poll().await;
            polls += 1;
            let asked = asked(&google);
            assert!(asked.len() <= 20 && asked.iter().all(|(_, status)| *status == 200), "{asked:?}");
            requests += asked.len();
            if charm.cell("settings")["syncToken"] != json!("") {
                break;
            }
            assert!(!charm.cell("events").as_array().unwrap().is_empty(), "kept slice by slice");
            assert!(polls < 20, "{}", charm.cell("status"));
        }
        let events = charm.cell("events").as_array().unwrap().len();
        println!(
            "a limit of {limit}: {events} of some 17,000 instances, {polls} polls, {requests} requests: {}",
            charm.cell("status")
        );
        assert_eq!(events, limit);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_calendar_alone_and_what_was_another_ones_goes() {
    let google = FakeGoogle::start().unwrap();
    google.add_calendar("team@example.com");
    google.add_event("Mine", today() + DAY);
    google.add_event_to("team@example.com", "Ours", When::At { start_ms: today() + DAY, offset: 0 }, None);
    let mut charm = importer(&google, json!({})).await;
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Mine"]);
    asked(&google);
    settings(&mut charm, "calendarId", json!("team@example.com"));
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["Ours"]);
    let queries = asked(&google);
    assert!(queries.len() == 1 && !queries[0].0.contains("syncToken"), "{queries:?}");

    // A token that fits nothing, or is too old: the list starts over, in the same poll.
    for token in ["sync0", "something"] {
        settings(&mut charm, "syncToken", json!(token));
        charm.poll().await;
        let statuses: Vec<u16> = asked(&google).into_iter().map(|(_, status)| status).collect();
        assert_eq!(statuses, [400, 200]);
    }
    // Somebody else signs in, and keeps no event of the one before.
    let mut auth = charm.cell("auth");
    auth["user"] = json!({"email": "other@example.com"});
    charm.set("auth", &auth);
    google.refuse_all(Some(Refusal::RateLimit));
    charm.poll().await;
    assert_eq!(charm.cell("events"), json!([]));
    assert!(charm.cell("status").as_str().unwrap().starts_with("0 events; not all"), "{}", charm.cell("status"));
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!(failure.kind, OutcomeKind::Unavailable, "nothing is left to remove: {failure:?}");

    // No calendar of that name: that stays, and says so.
    google.refuse_all(None);
    settings(&mut charm, "calendarId", json!("nobody@example.com"));
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert!(failure.message.contains("404 notFound"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_trouble_is_kept_and_the_list_goes_on_from_there() {
    let google = FakeGoogle::start().unwrap();
    for n in 0..10 {
        google.add_event(&format!("{n}"), today() + DAY + n * HOUR);
    }
    google.limit_pages(3);
    let mut charm = importer(&google, json!({})).await;
    google.refuse_after(2, Refusal::RateLimit);
    charm.poll().await;
    assert_eq!(charm.each("events", "summary"), ["0", "1", "2", "3", "4", "5"]);
    assert!(
        charm.cell("status").as_str().unwrap().starts_with("6 events, more to come; not all"),
        "{}",
        charm.cell("status")
    );
    google.refuse_all(None);
    asked(&google);
    charm.poll().await;
    assert_eq!(charm.cell("events").as_array().unwrap().len(), 10);
    let queries = asked(&google);
    assert!(queries.len() == 2 && queries[0].0.contains("pageToken="), "{queries:?}");
}
