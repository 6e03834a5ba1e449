//! The importers with their integrations: `gmail.tsx` and `gmail.wasm`, `calendar.tsx` and `gcal.wasm`, against a fake
//! Google that behaves like the real one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bg_test_support::{FakeGoogle, Finished, RawAnswer, RawServer, Refusal, SeenRequest, TestHost, When};
use serde_json::{Value, json};

use crate::common::{cell, component, deploy, fixture, host, register};

const HOUR: u64 = 3_600_000;

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

struct Setup {
    host: TestHost,
    google: FakeGoogle,
    integration: &'static str,
    charm: String,
}

impl Setup {
    /// A charm with a token, registered for an integration.
    fn of(source: &str, integration: &'static str) -> Self {
        let (host, google) = (host(), FakeGoogle::start().unwrap());
        let charm = importer(&host, &google, source, integration, "mine");
        Self { host, google, integration, charm }
    }

    /// One round of the service.
    fn run(&self) -> Finished {
        self.try_run().success().unwrap()
    }

    /// The same, whatever comes of it.
    fn try_run(&self) -> Finished {
        let base = self.google.base_url();
        let (set, component) = (format!("{}.api-base-url={base}", self.integration), component(self.integration));
        let args = ["run", "--once", "--component", &component, "--set", &set, "--grant", "requested"];
        let origin = ["--allow-private", &base, "--allow-charm-http", &base];
        self.host.command(args.iter().chain(&origin)).unwrap()
    }

    /// Whether a round polls the charm, and the requests that Google got in it.
    fn polls(&self) -> (bool, Vec<SeenRequest>) {
        let run = self.run();
        let polled = run.stderr.contains(&format!("Successfully executed charm {}", self.charm));
        (polled, self.google.take_requests())
    }

    fn cell(&self, name: &str) -> Value {
        cell(&self.host, &self.charm, name)
    }

    fn each(&self, name: &str, key: &str) -> Vec<String> {
        self.cell(name).as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    }

    fn set(&self, path: &str, value: &Value) {
        self.host.command(["charm", "set", &self.charm, path, &value.to_string()]).unwrap().success().unwrap();
    }
}

fn importer(host: &TestHost, google: &FakeGoogle, source: &str, integration: &str, space: &str) -> String {
    let inputs = json!({
        "auth": {"token": google.issue_token(), "user": {"email": google.user()}},
        "apiBaseUrl": google.base_url(),
        "patience": {"tries": 1, "firstWaitMs": 1, "totalMs": 40_000},
    });
    let charm = deploy(host, &fixture(source), space, &inputs);
    std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
    register(host, &charm, integration);
    charm
}

fn statuses(asked: &[SeenRequest]) -> Vec<u16> {
    asked.iter().map(|seen| seen.status).collect()
}

#[test]
fn gcal_uses_the_parameters_of_the_token_and_makes_the_charm_start_over_when_it_is_refused() {
    let setup = Setup::of("calendar.tsx", "gcal");
    let google = &setup.google;
    google.add_event("Lunch", now() + HOUR);
    assert!(setup.polls().0, "without a token there is nothing to ask with");
    assert_eq!(setup.each("events", "summary"), ["Lunch"]);

    // Quiet: one query, which Google answers, and no poll.
    let (polled, asked) = setup.polls();
    assert!(!polled && statuses(&asked) == [200], "{asked:?}");
    assert!(asked[0].query.contains("singleEvents=true"), "{asked:?}");
    google.add_event("Dinner", now() + 2 * HOUR);
    assert!(setup.polls().0);
    assert_eq!(setup.each("events", "summary"), ["Lunch", "Dinner"]);

    // Too old: 410 for both, and the list again.
    google.expire_sync_tokens();
    let (polled, asked) = setup.polls();
    assert!(polled && statuses(&asked) == [410, 410, 200], "{asked:?}");
    // An invalid token: 400 for both, and the list again.
    setup.set("settings.syncToken", &json!("something"));
    let (polled, asked) = setup.polls();
    assert!(polled && statuses(&asked) == [400, 400, 200], "{asked:?}");
    assert!(!setup.polls().0, "and then it is quiet again");
}

#[test]
fn another_calendar_or_filter_takes_effect_at_once_and_not_at_the_next_change() {
    let setup = Setup::of("calendar.tsx", "gcal");
    let google = &setup.google;
    google.add_calendar("team@example.com");
    google.add_event("Mine", now() + HOUR);
    google.add_event_to("team@example.com", "Ours", When::At { start_ms: now() + HOUR, offset: 0 }, None);
    assert!(setup.polls().0 && !setup.polls().0);
    setup.set("settings.calendarId", &json!("team@example.com"));
    let (polled, asked) = setup.polls();
    assert!(polled && !asked.iter().any(|seen| seen.query.contains("syncToken")), "{asked:?}");
    assert_eq!(setup.each("events", "summary"), ["Ours"]);
    // Time passes: the window is listed again, though nothing has changed.
    assert!(!setup.polls().0);
    setup.set("progress.again", &json!(1));
    assert!(setup.polls().0 && !setup.polls().0);

    let setup = Setup::of("gmail.tsx", "gmail");
    let google = &setup.google;
    let starred = google.deliver("Starred", "a@example.com");
    google.deliver("Other", "a@example.com");
    google.label(&starred, "STARRED", true);
    assert!(setup.polls().0 && !setup.polls().0);
    setup.set("settings.gmailFilterQuery", &json!("is:starred"));
    assert!(setup.polls().0 && !setup.polls().0);
    assert_eq!(setup.each("emails", "subject"), ["Starred"]);
}

#[test]
fn gmail_follows_empty_history_pages_and_names_a_charm_until_its_import_is_complete() {
    let setup = Setup::of("gmail.tsx", "gmail");
    let google = &setup.google;
    for n in 0..120 {
        google.deliver(&format!("Mail {n}"), "a@example.com");
    }
    // The limit per minute is less than the mailbox.
    setup.set("settings.unitsPerMinute", &json!(1_000));
    assert!(setup.polls().0);
    assert_eq!(setup.cell("emails").as_array().unwrap().len(), 49, "{}", setup.cell("status"));
    let (polled, asked) = setup.polls();
    assert!(
        polled && !asked.iter().any(|seen| seen.path.ends_with("/history")),
        "no question: it has more to do: {asked:?}"
    );
    // A minute later, for both.
    setup.set("settings.unitsPerMinute", &json!(5_000));
    assert!(setup.polls().0);
    assert_eq!(setup.cell("status"), json!("51 new, 0 gone, 100 in all"));

    google.begin_history_with_empty_pages(2);
    let (polled, asked) = setup.polls();
    assert!(!polled && statuses(&asked) == [200, 200, 200], "three pages, and nothing new: {asked:?}");
    google.deliver("New", "a@example.com");
    let (polled, asked) = setup.polls();
    assert!(polled, "{asked:?}");
    assert_eq!(setup.each("emails", "subject")[0], "New");
    // More empty pages than it may query: then the charm reads them itself.
    google.begin_history_with_empty_pages(30);
    let (polled, asked) = setup.polls();
    assert!(polled && asked.len() == 1 + 12 + 1, "the charm sees by its profile that there is nothing: {asked:?}");
}

#[test]
fn a_403_for_the_rate_limit_is_asked_for_once_a_charm_and_is_upstreams_fault() {
    for (source, integration) in [("calendar.tsx", "gcal"), ("gmail.tsx", "gmail")] {
        let setup = Setup::of(source, integration);
        for space in ["second", "third"] {
            importer(&setup.host, &setup.google, source, integration, space);
        }
        setup.run();
        setup.google.take_requests();
        for refusal in [Refusal::RateLimit, Refusal::UserRateLimit, Refusal::DailyLimit] {
            setup.google.refuse_all(Some(refusal));
            setup.try_run();
            let asked = setup.google.take_requests();
            assert_eq!(asked.len(), 3 + 3, "{refusal:?}: one question and one request a charm: {asked:?}");
            let list = setup.host.command(["list", "--json"]).unwrap().success().unwrap().stdout;
            for of in serde_json::from_str::<Vec<Value>>(&list).unwrap() {
                let seen = [&of["lastOutcome"], &of["lastBlame"], &of["lastCause"], &of["state"]];
                assert_eq!(seen, ["Unavailable", "upstream", "too-many-requests", "failing"], "{of}");
                assert!(of["status"].as_str().unwrap().contains("Google answered 403"), "{of}");
                assert!(of["fix"].as_str().unwrap().contains("raise the quota"), "{of}");
            }
            setup.google.refuse_all(None);
            setup.host.command(["enable", "--all"]).unwrap().success().unwrap();
            setup.run();
            setup.google.take_requests();
        }
        // Any other refusal concerns only one charm.
        setup.google.refuse_next_as(3, Refusal::MissingScope);
        let run = setup.run();
        assert_eq!(run.stderr.matches("Successfully executed charm").count(), 3, "{run}");
        setup.google.advance(Duration::from_mins(1));
    }
}

/// A token service that gives every charm this answer; `""` is none.
fn token_service(status: &'static str, body: &'static str) -> RawServer {
    RawServer::start(move |_| match status {
        "" => RawAnswer::Close,
        status => RawAnswer::new(status, "Content-Type: application/json\r\n", body),
    })
    .unwrap()
}

#[test]
fn a_token_that_ended_early_is_renewed_by_the_host_and_every_answer_is_judged_as_the_hosts_is() {
    const CASES: [(&str, &str, &str, &str, &str); 9] = [
        ("400 Bad Request", r#"{"error": "Failed to refresh token"}"#, "Unavailable", "upstream", "without a reason"),
        ("400 Bad Request", r#"{"error": "invalid_grant"}"#, "Denied", "credential", "authorize the charm again"),
        ("401 Unauthorized", r#"{"error": "invalid_client"}"#, "Denied", "configuration", "the OAuth client"),
        ("403 Forbidden", "{}", "Unavailable", "upstream", "403 Forbidden"),
        ("408 Request Timeout", "{}", "Unavailable", "upstream", "408 Request Timeout"),
        ("503 Service Unavailable", "{}", "Unavailable", "upstream", "503 Service Unavailable"),
        ("", "", "Unavailable", "upstream", "does not answer"),
        ("200 OK", "<html>", "Unavailable", "upstream", "without a tokenInfo.token"),
        ("200 OK", r#"{"tokenInfo": {}}"#, "Unavailable", "upstream", "without a tokenInfo.token"),
    ];
    let (host, google) = (host(), FakeGoogle::start().unwrap());
    let charms = ["gmail.tsx", "calendar.tsx"].map(|source| {
        let charm = importer(&host, &google, source, "any", source.trim_end_matches(".tsx"));
        let auth = json!({"token": "ya29.revoked", "refreshToken": google.issue_refresh_token(),
            "expiresAt": now() + HOUR, "user": {"email": google.user()}});
        host.command(["charm", "set", &charm, "auth", &auth.to_string()]).unwrap().success().unwrap();
        charm
    });
    let base = google.base_url();
    let run = |refresh_url: &str| {
        let args = ["run", "--once", "--failures", "2", "--oauth-refresh-url", refresh_url, "--allow-private", &base];
        let charms = charms.iter().flat_map(|charm| ["--charms", charm]);
        host.command(args.into_iter().chain(["--allow-charm-http", &base]).chain(charms)).unwrap()
    };
    let registrations = || {
        let list = host.command(["list", "--json"]).unwrap().success().unwrap().stdout;
        serde_json::from_str::<Value>(&list).unwrap().as_array().unwrap().clone()
    };
    // Google refuses the token, which ends for the host by that.
    run(&google.refresh_url());
    for charm in &charms {
        assert_eq!(cell(&host, charm, "auth")["expiresAt"], json!(1));
    }
    for (status, body, outcome, blame, reason) in CASES {
        let service = token_service(status, body);
        let run = run(&format!("http://{}/refresh", service.address()));
        for of in registrations() {
            assert_eq!(
                (&of["lastOutcome"], &of["lastBlame"]),
                (&json!(outcome), &json!(blame)),
                "{status} {body}: {of}"
            );
            assert!(of["status"].as_str().unwrap().contains(reason), "{status} {body}: {of}");
            assert_eq!(of["disabledAt"], json!(0), "{status} {body}: {of}");
        }
        assert!(!run.to_string().contains("ya29"), "{run}");
    }
    // Then it works, and a refresh token that is replaced is kept.
    google.rotate_refresh_tokens(true);
    google.deliver("Hello", "a@example.com");
    let before = charms.each_ref().map(|charm| cell(&host, charm, "status"));
    run(&google.refresh_url());
    for (charm, before) in charms.iter().zip(before) {
        assert_ne!(cell(&host, charm, "status"), before);
        assert!(
            !cell(&host, charm, "status").as_str().unwrap().contains("not all"),
            "{}",
            cell(&host, charm, "status")
        );
    }
    google.expire_tokens();
    run(&google.refresh_url());
    assert!(charms.iter().all(|charm| cell(&host, charm, "auth")["expiresAt"] == json!(1)));
}
