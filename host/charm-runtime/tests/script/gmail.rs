//! The Gmail importer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bg_poller::{Blame, Cause, OutcomeKind};
use bg_sandbox::CharmComponent;
use bg_test_support::{Authorization, Broken, FakeGoogle, RawAnswer, RawServer, Refusal, charm_source};
use serde_json::{Value, json};

use crate::support::{Charm, client, component};

/// The importer of that Google's mail, with a token and `more` inputs. It waits for nobody.
async fn importer(component: &Arc<CharmComponent>, google: &FakeGoogle, more: Value) -> Charm {
    let mut inputs = json!({
        "auth": {"token": google.issue_token()},
        "apiBaseUrl": google.base_url(),
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

const PROFILE: (&str, u16) = ("profile", 200);
const BATCH: (&str, u16) = ("/batch/gmail/v1", 200);

/// How many requests each batch held.
fn batches(google: &FakeGoogle) -> Vec<usize> {
    google.requests().iter().map(|seen| seen.parts.len()).filter(|parts| *parts > 0).collect()
}

/// A minute goes by, for the fake as for what the charm has noted of its quota.
fn after_a_minute(google: &FakeGoogle, charm: &mut Charm) {
    google.advance(Duration::from_mins(1));
    let mut progress = charm.cell("progress");
    progress["spent"] = json!([]);
    charm.set("progress", &progress);
}

fn deliver(google: &FakeGoogle, count: usize) -> Vec<String> {
    (0..count).map(|n| google.deliver(&format!("Mail {n}"), "a@example.com")).collect()
}

fn settings(limit: usize) -> Value {
    json!({"settings": {"gmailFilterQuery": "in:INBOX", "limit": limit, "historyId": ""}})
}

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
    assert_eq!(asked(&google), expected(&[PROFILE, ("messages", 200), BATCH]));

    // Nothing new: the profile alone is asked for, which has the history ID.
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("0 new, 0 gone, 2 in all"));
    assert_eq!(asked(&google), expected(&[PROFILE]));

    google.deliver("Third", "c@example.com");
    google.delete(&first);
    google.label(&second, "UNREAD", false);
    google.label(&second, "STARRED", true);
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Second", "Third"]));
    assert_eq!(charm.cell("status"), json!("1 new, 1 gone, 2 in all"));
    let parts: Vec<_> = google.requests().into_iter().flat_map(|seen| seen.parts).collect();
    assert_eq!(parts.len(), 1, "what is known is not asked for again: {parts:?}");
    assert_eq!(asked(&google), expected(&[PROFILE, ("history", 200), ("messages", 200), BATCH]));
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
    assert_eq!(asked(&google), expected(&[PROFILE, ("history", 404), ("messages", 200), BATCH]));

    google.expire_tokens();
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.cause.map(bg_poller::Cause::blame)),
        (OutcomeKind::Denied, Some(Blame::Credential))
    );
    assert!(failure.message.starts_with("GoogleError: Google refused the token (401)"), "{failure:?}");
    let stack = failure.stack.unwrap();
    let source = std::fs::read_to_string(charm_source("google.ts")).unwrap();
    let thrown = "return new GoogleError(status, what, reasons, help, response)";
    let line = 1 + source.lines().position(|line| line.contains(thrown)).unwrap();
    assert!(stack.contains(&format!("google.ts:{line}:")), "the author's line {line}:\n{stack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_histories_have_pages_and_batches_have_no_more_than_google_advises() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    google.limit_pages(100);
    deliver(&google, 250);
    let mut charm = importer(&component, &google, settings(240)).await;
    charm.poll().await;
    assert_eq!(charm.cell("emails").as_array().unwrap().len(), 240);
    let sizes: Vec<usize> = google.requests().iter().map(|seen| seen.parts.len()).collect();
    assert_eq!(sizes, [0, 0, 0, 0, 50, 50, 50, 50, 40]);
    asked(&google);

    google.limit_pages(2);
    after_a_minute(&google, &mut charm);
    for n in 0..5 {
        google.deliver(&format!("More {n}"), "a@example.com");
    }
    charm.set("settings", &{
        let mut settings = charm.cell("settings");
        settings["gmailFilterQuery"] = json!("subject:more");
        settings["limit"] = json!(3);
        settings
    });
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["More 2", "More 3", "More 4"]));
    let history = ("history", 200);
    let list = ("messages", 200);
    assert_eq!(asked(&google), expected(&[PROFILE, history, history, history, list, list, BATCH]));
    assert_eq!(charm.cell("settings")["historyId"], json!(google.history_id().to_string()));
}

/// What the host does before a poll, with a token that has ended.
fn renew(google: &FakeGoogle, charm: &mut Charm) {
    let mut auth = charm.cell("auth");
    assert_eq!(auth["expiresAt"], json!(1), "{auth}");
    auth["token"] = json!(google.issue_token());
    auth["expiresAt"] = json!(4_000_000_000_000_u64);
    charm.set("auth", &auth);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_too_early_is_the_hosts_to_renew_and_one_that_is_refused_again_needs_a_sign_in() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    google.deliver("First", "a@example.com");
    let auth = json!({"token": "ya29.old", "refreshToken": google.issue_refresh_token(),
        "expiresAt": 4_000_000_000_000_u64, "user": {"email": "me"}});
    let mut charm = importer(&component, &google, json!({"auth": auth})).await;
    for _ in 0..2 {
        charm.poll().await;
        let status = charm.cell("status").as_str().unwrap().to_owned();
        assert!(
            status.contains("Google refused the token (401)") && status.ends_with("before the next poll"),
            "{status}"
        );
        assert_eq!(asked(&google), expected(&[("profile", 401)]), "the refresh token is sent nowhere");
        renew(&google, &mut charm);
        charm.poll().await;
        assert_eq!(subjects(&charm), set(&["First"]));
        assert_eq!(charm.cell("auth")["user"]["email"], json!("me"));
        let requests = google.take_requests();
        assert!(requests.iter().all(|seen| seen.authorization == Authorization::Accepted), "{requests:?}");
        assert!(!requests.iter().any(|seen| seen.token_leaked), "{requests:?}");
        google.expire_tokens();
    }

    // The host has not renewed it yet, or it has, and Google refuses the new one as well: that may be an incident.
    charm.poll().await;
    fails(&mut charm, Cause::ServerFails, "it is renewed soon").await;
    renew(&google, &mut charm);
    google.expire_tokens();
    fails(&mut charm, Cause::ServerFails, "it was renewed; if that does not help").await;
    let mut auth = charm.cell("auth");
    assert!(auth["refusedAt"].as_u64().unwrap() > 1_600_000_000_000, "{auth}");
    // If it lasts: waiting for a sign-in, not for another renewal.
    auth["refusedAt"] = json!(auth["refusedAt"].as_u64().unwrap() - 600_000);
    auth["token"] = json!("ya29.another");
    charm.set("auth", &auth);
    let needs_sign_in = |failure: bg_sandbox::CallFailure| {
        assert_eq!(
            (failure.kind, failure.cause.map(bg_poller::Cause::blame)),
            (OutcomeKind::Denied, Some(Blame::Credential)),
            "{failure:?}"
        );
        assert!(failure.message.contains("Google refused the token (401)"), "{failure:?}");
    };
    needs_sign_in(charm.trigger("bgUpdater", json!({})).await.unwrap_err());
    // Without a refresh token, nothing can be renewed.
    let mut charm = importer(&component, &google, json!({"auth": {"token": "ya29.old"}})).await;
    needs_sign_in(charm.trigger("bgUpdater", json!({})).await.unwrap_err());
    // A sign-in begins with a token that was never refused.
    charm.set("auth", &json!({"token": "ya29.other", "refreshToken": "1//other", "user": {"email": "me"}}));
    charm.poll().await;
    renew(&google, &mut charm);

    // One that ends in the middle of a batch, too; what came is kept.
    charm.poll().await;
    google.refuse_next_parts_as(1, Refusal::Unauthorized);
    google.deliver("Second", "a@example.com");
    google.deliver("Third", "a@example.com");
    charm.poll().await;
    assert!(charm.cell("status").as_str().unwrap().starts_with("1 new, 0 gone, 2 in all, 1 to come; not all"));
    renew(&google, &mut charm);
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["First", "Second", "Third"]));
}

/// What a server answers to every request.
type Answer = fn() -> RawAnswer;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_charms_fault_is_not_blamed_on_it() {
    use RawAnswer as Raw;
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    deliver(&google, 60);
    let mut charm = importer(&component, &google, json!({})).await;
    charm.poll().await;
    let (settings, emails) = (charm.cell("settings"), charm.cell("emails"));

    // Nothing there, no answer, half of one, and one that is not Google's. What is here stays.
    let html: Answer = || Raw::new("200 OK", "Content-Type: text/html\r\n", "<html>Sign in to this network</html>");
    let half: Answer = || Raw::Whole(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"historyId\"".to_vec());
    let answers: [(Option<Answer>, Blame, &str); 7] = [
        (None, Blame::Upstream, "fetch failed"),
        (Some(|| Raw::Close), Blame::Upstream, "fetch failed"),
        (Some(|| Raw::new("408 Request Timeout", "", "")), Blame::Upstream, "Google answered 408"),
        (Some(|| Raw::new("403 Forbidden", "", "<html>Blocked</html>")), Blame::Configuration, "Google answered 403"),
        (Some(half), Blame::Upstream, "fetch failed"),
        (Some(html), Blame::Upstream, "with something else than JSON"),
        (Some(|| Raw::new("200 OK", "", "null")), Blame::Upstream, "with something else than JSON"),
    ];
    for (n, (answer, blame, text)) in answers.into_iter().enumerate() {
        let server = RawServer::start(move |_| answer.map_or(Raw::Close, |answer| answer())).unwrap();
        let base = format!("http://{}", server.address());
        if answer.is_none() {
            drop(server);
        }
        for file in ["gmail.tsx", "calendar.tsx"] {
            let mut inputs =
                json!({"auth": {"token": "ya29.good"}, "apiBaseUrl": base, "patience": {"firstWaitMs": 1}});
            if file == "gmail.tsx" {
                inputs["settings"] = settings.clone();
                inputs["emails"] = emails.clone();
                inputs["progress"] = charm.cell("progress");
            }
            let mut charm = Charm::fixture(&component, file, inputs, client(Some(&base))).await;
            let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
            let kind = if blame == Blame::Upstream { OutcomeKind::Unavailable } else { OutcomeKind::Denied };
            assert_eq!((failure.kind, failure.cause.map(Cause::blame)), (kind, Some(blame)), "{file} {n}: {failure:?}");
            assert!(failure.message.contains(text), "{file} {n}: {failure:?}");
            if file == "gmail.tsx" {
                assert_eq!(charm.cell("emails"), emails, "{n}");
                assert_eq!(charm.cell("settings")["historyId"], settings["historyId"], "{n}");
            }
        }
    }

    // The operator's project, the administrator of a domain, and what the sign-in allowed: each says so, and is waited for.
    for (refusal, blame, text) in [
        (Refusal::NotConfigured, Blame::Configuration, "Enable it by visiting"),
        (Refusal::DomainPolicy, Blame::Configuration, "The domain administrators have disabled"),
        (Refusal::MissingScope, Blame::Credential, "Sign in again and allow all that is asked for."),
    ] {
        google.refuse_all(Some(refusal));
        for file in ["gmail.tsx", "calendar.tsx"] {
            let inputs = json!({"auth": {"token": google.issue_token()}, "apiBaseUrl": google.base_url()});
            let mut charm = Charm::fixture(&component, file, inputs, client(Some(&google.base_url()))).await;
            let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.cause.map(bg_poller::Cause::blame)),
                (OutcomeKind::Denied, Some(blame)),
                "{file}: {failure:?}"
            );
            assert!(failure.message.contains(text), "{file}: {failure:?}");
        }
    }
    // An account without a mailbox waits as well.
    google.refuse_all(Some(Refusal::NoMailbox));
    let mut charm = importer(&component, &google, json!({})).await;
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!((failure.kind, failure.cause), (OutcomeKind::Denied, Some(Cause::Forbidden)), "{failure:?}");
    assert!(failure.message.contains("Mail service not enabled"), "{failure:?}");
    google.refuse_all(None);

    // A setting that is wrong is named, with the way to set it.
    for file in ["gmail.tsx", "calendar.tsx"] {
        for base in ["", "not a url"] {
            let inputs = json!({"auth": {"token": google.issue_token()}, "apiBaseUrl": base});
            let mut charm = Charm::fixture(&component, file, inputs, client(Some(&google.base_url()))).await;
            let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
            assert_eq!(failure.kind, OutcomeKind::HandlerFailed, "{failure:?}");
            assert!(failure.message.contains("charm set CHARM apiBaseUrl"), "{failure:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_gmail_asks_for_patience_the_poll_goes_on_later_or_keeps_what_it_has() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    deliver(&google, 150);
    let inputs = || {
        let mut inputs = settings(150);
        inputs["patience"] = json!({"tries": 3, "firstWaitMs": 1, "totalMs": 40_000});
        inputs
    };

    // As long as Gmail says, and as short.
    let mut charm = importer(&component, &google, inputs()).await;
    google.refuse_next(2, Some(0));
    google.refuse_next_parts(30);
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("150 new, 0 gone, 150 in all"));
    assert_eq!(batches(&google), [50, 25, 25, 25, 25, 25, 5], "what was refused is asked for again, with less at once");
    let profile = |status| ("profile", status);
    assert_eq!(asked(&google)[..3], expected(&[profile(429), profile(429), profile(200)]));

    // Not for longer than the poll has time, nor more often than it may.
    google.advance(Duration::from_mins(1));
    let mut charm = importer(&component, &google, inputs()).await;
    google.refuse_next(1, Some(3_600));
    let refused = "Google answered 429 rateLimitExceeded to";
    let text = "Resource has been exhausted (e.g. check quota).";
    fails(&mut charm, Cause::TooManyRequests, &format!("{refused} /gmail/v1/users/me/profile: {text}")).await;
    assert_eq!(asked(&google), expected(&[profile(429)]));
    google.refuse_next_parts(1_000);
    fails(&mut charm, Cause::TooManyRequests, "127.0.0.1 answered 200 OK, which the charm takes for 429").await;
    assert_eq!(batches(&google), [50, 25, 13]);
    asked(&google);
    assert_eq!((charm.cell("emails"), charm.cell("status")), (json!([]), json!("")));

    // If something came, the poll is a success, and what is missing is known: nothing is listed again.
    google.refuse_next_parts(0);
    google.set_units_a_minute(1_000);
    charm.poll().await;
    let status = charm.cell("status").as_str().unwrap().to_owned();
    assert!(status.contains(" to come; not all: Google answered 403 rateLimitExceeded"), "{status}");
    asked(&google);
    google.set_units_a_minute(6_000);
    after_a_minute(&google, &mut charm);
    charm.poll().await;
    assert!(charm.cell("status").as_str().unwrap().ends_with("150 in all"), "{}", charm.cell("status"));
    let asked = asked(&google);
    assert!(asked[1..].iter().all(|request| *request == expected(&[BATCH])[0]), "{asked:?}");
}

/// A poll to which nothing came: it fails for something elsewhere, and keeps nothing.
async fn fails(charm: &mut Charm, cause: Cause, text: &str) {
    let before = ["emails", "settings", "progress", "status"].map(|name| charm.cell(name));
    let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
    assert_eq!((failure.kind, failure.cause), (OutcomeKind::Unavailable, Some(cause)), "{failure:?}");
    assert!(failure.message.contains(text), "{text}: {failure:?}");
    assert_eq!(["emails", "settings", "progress", "status"].map(|name| charm.cell(name)), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_that_limits_the_rate_is_waited_for_as_a_429_is_alone_and_in_a_batch() {
    let component = component(Duration::from_mins(1)).await;
    for refusal in [Refusal::TooManyRequests, Refusal::RateLimit, Refusal::UserRateLimit, Refusal::Backend] {
        let google = FakeGoogle::start().unwrap();
        deliver(&google, 20);
        let mut charm = importer(&component, &google, settings(20)).await;
        google.refuse_next_as(1, refusal);
        google.refuse_next_parts_as(12, refusal);
        charm.poll().await;
        assert_eq!(charm.cell("status"), json!("20 new, 0 gone, 20 in all"), "{refusal:?}");
        assert_eq!(batches(&google), [20, 12], "{refusal:?}");

        // If it lasts, and nothing comes, the poll fails, for Google's sake.
        google.deliver("Late", "a@example.com");
        google.refuse_all(Some(refusal));
        let cause = if refusal == Refusal::Backend { Cause::ServerFails } else { Cause::TooManyRequests };
        fails(&mut charm, cause, "Google answered").await;
        google.refuse_all(None);
        charm.poll().await;
        assert_eq!(charm.cell("status"), json!("1 new, 1 gone, 20 in all"), "{refusal:?}");
    }
    // What is used up for the day is not asked for again in this poll.
    let google = FakeGoogle::start().unwrap();
    let mut charm = importer(&component, &google, json!({})).await;
    google.refuse_all(Some(Refusal::DailyLimit));
    fails(&mut charm, Cause::TooManyRequests, "Daily Limit Exceeded").await;
    assert_eq!(asked(&google), expected(&[("profile", 403)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_stays_says_what_google_says() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    google.deliver("First", "a@example.com");
    for (refusal, reason, text) in [
        (
            Refusal::NotConfigured,
            "403 accessNotConfigured SERVICE_DISABLED",
            "Enable it by visiting https://console.developers",
        ),
        (Refusal::DomainPolicy, "403 domainPolicy", "The domain administrators have disabled Gmail apps."),
    ] {
        let mut charm = importer(&component, &google, json!({})).await;
        google.refuse_all(Some(refusal));
        let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
        assert!(failure.message.contains(reason) && failure.message.contains(text), "{failure:?}");
        google.refuse_all(None);
    }
    for scopes in [&["email"][..], &["https://www.googleapis.com/auth/gmail.metadata"]] {
        let auth = json!({"auth": {"token": google.issue_token_for(scopes)}});
        let mut charm = importer(&component, &google, auth).await;
        let failure = charm.trigger("bgUpdater", json!({})).await.unwrap_err();
        let text = "ACCESS_TOKEN_SCOPE_INSUFFICIENT to /gmail/v1/users/me/";
        assert!(failure.message.contains(text), "{failure:?}");
        let text = "Request had insufficient authentication scopes. Sign in again and allow all that is asked for.";
        assert!(failure.message.contains(text), "{failure:?}");
        assert!(failure.message.ends_with(" answered 403 Forbidden)"), "{failure:?}");
    }
    // One that comes in the middle keeps what came, and fails the next poll.
    deliver(&google, 60);
    let mut charm = importer(&component, &google, json!({})).await;
    google.refuse_next_parts_as(11, Refusal::DomainPolicy);
    charm.poll().await;
    assert!(
        charm.cell("status").as_str().unwrap().starts_with("39 new, 0 gone, 39 in all, 22 to come; not all"),
        "{}",
        charm.cell("status")
    );
    google.refuse_all(Some(Refusal::DomainPolicy));
    charm.trigger("bgUpdater", json!({})).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_skipped_and_noted_and_the_others_come() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let ids = deliver(&google, 6);
    google.break_message(&ids[0], Some(Broken::Date));
    google.break_message(&ids[1], Some(Broken::Garbled));
    google.break_message(&ids[2], Some(Broken::Status(400)));
    google.break_message(&ids[3], Some(Broken::Status(404)));
    let mut charm = importer(&component, &google, json!({})).await;
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("3 new, 0 gone, 3 in all, 2 unreadable"));
    // The one whose date is none has the rest of what it says.
    assert_eq!(charm.each("emails", "subject"), ["Mail 5", "Mail 4", "Mail 0"]);
    assert_eq!(charm.each("emails", "date")[2], "");
    let skipped = charm.cell("progress")["skipped"].clone();
    assert_eq!((&skipped[0]["id"], &skipped[1]["id"]), (&json!(ids[2]), &json!(ids[1])), "{skipped}");
    assert!(skipped[0]["why"].as_str().unwrap().contains("400 failedPrecondition"), "{skipped}");

    // They are not asked for again at each poll.
    google.take_requests();
    google.deliver("Next", "a@example.com");
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("1 new, 0 gone, 4 in all, 2 unreadable"));
    assert_eq!(batches(&google), [2], "the new one, and the one that was gone");

    // One that Gmail cannot give out now holds up none of the others, and is asked for again.
    let late = deliver(&google, 3);
    google.break_message(&late[2], Some(Broken::Status(503)));
    charm.poll().await;
    let status = charm.cell("status").as_str().unwrap().to_owned();
    assert!(
        status.starts_with("2 new, 0 gone, 6 in all, 1 to come, 2 unreadable; not all: Google answered 503"),
        "{status}"
    );
    // If it is the only one that is missing, that is no failure of the poll.
    charm.poll().await;
    let status = charm.cell("status").as_str().unwrap().to_owned();
    assert!(
        status.starts_with("0 new, 0 gone, 6 in all, 1 to come, 2 unreadable; not all: Google answered 503"),
        "{status}"
    );
    google.refuse_next_as(1_000, Refusal::Backend);
    fails(&mut charm, Cause::ServerFails, "Google answered 503").await;
    google.refuse_next_as(0, Refusal::Backend);
    google.break_message(&late[2], None);
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("1 new, 0 gone, 7 in all, 2 unreadable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_with_empty_pages_records_of_several_changes_and_gaps_are_followed() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let ids = deliver(&google, 4);
    let mut charm = importer(&component, &google, json!({})).await;
    charm.poll().await;
    google.begin_history_with_empty_pages(3);
    google.put_changes_together(3);
    google.limit_pages(3);
    google.label(&ids[0], "STARRED", true);
    google.label(&ids[1], "UNREAD", false);
    google.delete(&ids[2]);
    google.touch(&ids[3]);
    google.label(&ids[0], "STARRED", false);
    google.label(&ids[0], "IMPORTANT", true);
    google.deliver("New", "a@example.com");
    google.take_requests();
    charm.poll().await;
    assert_eq!(charm.cell("status"), json!("1 new, 1 gone, 4 in all"));
    let histories = asked(&google).iter().filter(|(path, _)| path == "history").count();
    assert_eq!(histories, 3 + 3);
    let emails = charm.cell("emails");
    let labels =
        |id: &String| emails.as_array().unwrap().iter().find(|email| email["id"] == **id).unwrap()["labelIds"].clone();
    assert_eq!(labels(&ids[0]), json!(["CATEGORY_PERSONAL", "IMPORTANT", "INBOX", "UNREAD"]));
    assert_eq!(labels(&ids[1]), json!(["CATEGORY_PERSONAL", "INBOX"]));
    assert_eq!(charm.cell("settings")["historyId"], json!(google.history_id().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_more_pages_than_a_poll_can_read_goes_on_in_the_next_one() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let ids = deliver(&google, 5);
    let mut charm = importer(&component, &google, json!({})).await;
    charm.poll().await;
    google.limit_pages(1);
    for n in 0..14 {
        google.label(&ids[n % 5], &format!("LABEL_{n}"), true);
    }
    google.take_requests();
    for pages in [10, 4, 0] {
        charm.poll().await;
        let asked = asked(&google);
        assert_eq!(asked.iter().filter(|(path, _)| path == "history").count(), pages, "{asked:?}");
        assert_eq!(charm.cell("emails").as_array().unwrap().len(), 5, "none is lost meanwhile");
    }
    let labels = charm.cell("emails").to_string();
    assert!((0..14).all(|n| labels.contains(&format!("LABEL_{n}\""))), "{labels}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_filter_limit_or_mailbox_counts_at_the_next_poll() {
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let ids = deliver(&google, 3);
    let mut charm = importer(&component, &google, json!({})).await;
    charm.poll().await;
    let change = |charm: &mut Charm, key: &str, value: Value| {
        let mut settings = charm.cell("settings");
        settings[key] = value;
        charm.set("settings", &settings);
    };
    google.label(&ids[1], "STARRED", true);
    charm.poll().await;
    google.take_requests();
    change(&mut charm, "gmailFilterQuery", json!("is:starred"));
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Mail 1"]));
    assert_eq!(asked(&google), expected(&[PROFILE, ("messages", 200)]), "what is known is not fetched again");
    change(&mut charm, "gmailFilterQuery", json!("in:INBOX"));
    change(&mut charm, "limit", json!(2));
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Mail 1", "Mail 2"]));
    assert_eq!(batches(&google), [1]);

    // Somebody else signs in. The history ID that is kept is one that the other mailbox has, too.
    let other = FakeGoogle::start().unwrap();
    other.be("other@example.com");
    deliver(&other, 1);
    other.deliver("Other", "b@example.com");
    other.deliver("Another", "b@example.com");
    other.label(&other.deliver("Last", "b@example.com"), "INBOX", false);
    assert_eq!(other.history_id(), google.history_id() + 7, "it has all that the first one has");
    let mut auth = charm.cell("auth");
    auth["token"] = json!(other.issue_token());
    let inputs = json!({
        "auth": auth, "settings": charm.cell("settings"), "progress": charm.cell("progress"),
        "emails": charm.cell("emails"),
    });
    let mut charm = importer(&component, &other, inputs).await;
    charm.poll().await;
    assert_eq!(subjects(&charm), set(&["Another", "Other"]), "nothing of the first account's mail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_import_of_ten_thousand_messages_ends_newest_first_and_within_the_quota() {
    const MESSAGES: usize = 10_000;
    let component = component(Duration::from_mins(1)).await;
    let google = FakeGoogle::start().unwrap();
    let ids = deliver(&google, MESSAGES);
    let mut charm = importer(&component, &google, settings(MESSAGES)).await;
    let (mut polls, mut requests, mut most, mut refused) = (0_usize, 0, 0, 0);
    loop {
        charm.poll().await;
        polls += 1;
        let asked = google.take_requests();
        most = most.max(asked.len());
        requests += asked.len();
        refused += asked
            .iter()
            .filter(|seen| seen.status != 200 || seen.parts.iter().any(|part| !part.ends_with("200")))
            .count();
        let progress = charm.cell("progress");
        let left = usize::try_from(progress["left"].as_u64().unwrap()).unwrap();
        // Kept slice by slice, the newest first.
        if polls <= 3 {
            let emails = charm.cell("emails");
            let kept: BTreeSet<&str> =
                emails.as_array().unwrap().iter().map(|email| email["id"].as_str().unwrap()).collect();
            let newest: BTreeSet<&str> = ids[left..].iter().map(String::as_str).collect();
            assert!(kept == newest && !kept.is_empty(), "{} kept, {left} to come", kept.len());
        }
        if left == 0 {
            break;
        }
        assert!(polls < 100, "{progress}");
        after_a_minute(&google, &mut charm);
    }
    assert_eq!(charm.cell("emails").as_array().unwrap().len(), MESSAGES);
    let (units, most_a_minute) = google.units();
    println!(
        "10,000 messages: {polls} polls a minute apart, {requests} requests (at most {most} a poll), {refused} refused, {units} units, at most {most_a_minute} a minute"
    );
    assert_eq!(refused, 0);
    assert!(most <= 64 && most_a_minute <= 6_000);

    // A poll that comes sooner than the quota allows takes what is left, and asks for no more.
    let more = deliver(&google, 300);
    charm.set("settings", &settings(MESSAGES + 300)["settings"]);
    let mut progress = charm.cell("progress");
    progress["spent"] = json!([]);
    charm.set("progress", &progress);
    google.advance(Duration::from_mins(1));
    charm.poll().await;
    charm.poll().await;
    let left = charm.cell("progress")["left"].as_u64().unwrap();
    let (_, most_a_minute) = google.units();
    assert!(left > 0 && most_a_minute <= 6_000, "{left} of {} are left, {most_a_minute} units a minute", more.len());
}
