//! The gate from the operator's view: what it would decide, what it decides, and warnings about options without effect.

use bg_test_support::{Authorization, FakeGoogle, Finished, TestHost};
use serde_json::{Value, json};

use crate::common::{component, deploy, fixture, host, register};

const MAIL: &str = "https://gmail.googleapis.com/gmail/v1/users/me/history";
const GRANT: &str = "gmail=https://gmail.googleapis.com/gmail/v1/";

/// `egress check …`: its status and output.
fn check(host: &TestHost, args: &[&str]) -> (i32, Finished) {
    let checked = host.command(["egress", "check"].iter().chain(args)).unwrap();
    (checked.status.code().unwrap(), checked)
}

#[test]
fn a_check_shows_the_decision_the_rule_and_the_option_that_would_change_it() {
    let host = host();
    let (gmail, gcal) = (component("gmail"), component("gcal"));
    let cases: [(&[&str], i32, &[&str]); 18] = [
        (&[MAIL, "--component", &gmail], 1, &["denied", "integration gmail", "no-grant", "--allow-http gmail=https"]),
        (
            &[MAIL, "--component", &gmail, "--allow-http", GRANT],
            0,
            &["allowed", "GET https://gmail.googleapis.com/gmail/v1/", "charm.auth.token"],
        ),
        (&[MAIL, "--component", &gmail, "--grant", "requested"], 0, &["allowed"]),
        (
            &[MAIL, "--method", "POST", "--component", &gmail, "--allow-http", GRANT],
            1,
            &["POST is not granted there", "its manifest does not ask for it", "no option allows it"],
        ),
        (
            &["https://evil.example/", "--component", &gmail, "--grant", "requested"],
            1,
            &["no-grant", "no option allows it"],
        ),
        // With several components, one answer each.
        (
            &[MAIL, "--component", &gmail, "--component", &gcal, "--grant", "requested"],
            1,
            &["allowed  GET", "for integration gmail", "denied  GET", "for integration gcal"],
        ),
        // An ambiguous path.
        (
            &["https://gmail.googleapis.com/gmail/v1/../../admin", "--component", &gmail, "--grant", "requested"],
            1,
            &["denied"],
        ),
        // Without a component, everything granted counts as asked for.
        (
            &["https://a.example/v1/x", "--allow-http", "https://a.example/v1/"],
            0,
            &["for any integration", "https://a.example/v1/"],
        ),
        (
            &["https://a.example/v2/x", "--allow-http", "https://a.example/v1/"],
            1,
            &["--allow-http https://a.example/v2/"],
        ),
        (
            &["https://a.example/", "--allow-http", "one=https://a.example/", "--allow-http", "two=https://b.example/"],
            1,
            &[
                "allowed  GET https://a.example/ for integration one",
                "denied  GET https://a.example/ for integration two",
            ],
        ),
        (
            &["https://a.example/", "--allow-charm-http", "https://a.example/"],
            1,
            &["for charms", "for any integration"],
        ),
        (&["https://a.example/"], 1, &["no-grant", "--allow-http https://a.example/"]),
        (
            &["http://127.0.0.1:9/", "--allow-http", "http://127.0.0.1:9/"],
            1,
            &["leads to 127.0.0.1", "--allow-private http://127.0.0.1:9"],
        ),
        (
            &["http://127.0.0.1:9/", "--allow-http", "http://127.0.0.1:9/", "--allow-private", "http://127.0.0.1:9"],
            0,
            &["allowed"],
        ),
        (
            &["http://127.0.0.1:9/"],
            1,
            &["to allow it --allow-http http://127.0.0.1:9/ --allow-private http://127.0.0.1:9\n"],
        ),
        (
            &["http://169.254.169.254/latest/", "--allow-http", "http://a.example/"],
            1,
            &["no-grant", "cloud metadata", "to allow it no option allows it"],
        ),
        (&["https://user@a.example/", "--allow-http", "https://a.example/"], 1, &["denied", "request"]),
        (&["gopher://a.example/", "--allow-http", "https://a.example/"], 1, &["denied"]),
    ];
    for (args, status, shown) in cases {
        let (code, checked) = check(&host, args);
        assert_eq!(code, status, "{args:?}: {checked}");
        for part in shown {
            assert!(checked.stdout.contains(part), "{args:?}: `{part}` is missing: {checked}");
        }
    }
    for args in [
        &[][..],
        &["https://a.example/", "--component", "nowhere.wasm"],
        &["https://a.example/", "--config", "nowhere.toml"],
        &["https://a.example/", "--method", "G T"],
        &["https://a.example/", "--allow-http", "example.com"],
        &["https://a.example/", "--charm-credential", "auth.token=https://a.example/v1/"],
        &["https://a.example/", "--component", &gmail, "--allow-http", "other=https://a.example/"],
        &["https://a.example/", "--set", "gmail.api-base-url=https://a.example"],
    ] {
        let (code, checked) = check(&host, args);
        assert_eq!(code, 2, "{args:?}: {checked}");
    }
}

#[test]
fn a_check_shows_which_secrets_of_charms_may_not_go_there() {
    let host = host();
    let granted = ["--allow-http", "https://a.example/", "--allow-charm-http", "https://a.example/"];
    for (origin, withheld) in [("https://b.example", true), ("https://a.example", false)] {
        let mark = format!("auth.token={origin}");
        let args = [&["https://a.example/"], &granted[..], &["--charm-credential", &mark]].concat();
        let (code, checked) = check(&host, &args);
        assert_eq!(code, 0, "{checked}");
        let reported = checked.stdout.contains("a request that carries a charm's auth.token is denied");
        assert_eq!(reported, withheld, "{checked}");
    }
}

#[test]
fn a_check_reads_the_services_configuration_and_prints_json() {
    let host = host();
    std::fs::copy(component("gmail"), host.dir().join("gmail.wasm")).unwrap();
    let config = format!("components = [\"gmail.wasm\"]\nallow-http = [\"{GRANT}\"]\n");
    host.write("service.toml", config).unwrap();
    let (code, checked) = check(&host, &[MAIL, "--config", "service.toml", "--json"]);
    let answers: Value = serde_json::from_str(&checked.stdout).unwrap();
    let expected = json!([{
        "owner": "integration gmail",
        "allowed": true,
        "rule": "GET https://gmail.googleapis.com/gmail/v1/",
        "credential": "charm.auth.token",
    }]);
    assert_eq!((code, &answers), (0, &expected), "{checked}");

    let (code, checked) = check(&host, &["https://b.example/", "--config", "service.toml", "--json"]);
    let answers: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(
        (code, &answers[0]["allowed"], &answers[0]["rule"]),
        (1, &json!(false), &json!("no-grant")),
        "{checked}"
    );
    assert!(answers[0]["reason"].as_str().unwrap().contains("no grant covers https://b.example"), "{checked}");
}

/// A mailbox charm with a token, and news for it; the options of a run without grants.
fn mailbox(host: &TestHost, google: &FakeGoogle) -> (String, String, Vec<String>) {
    let token = google.issue_token();
    let inputs = json!({
        "auth": {"token": token, "refreshToken": google.issue_refresh_token()},
        "settings": {"gmailFilterQuery": "in:INBOX", "limit": 100, "historyId": google.history_id().to_string()},
        "apiBaseUrl": google.base_url(),
    });
    let charm = deploy(host, &fixture("gmail.tsx"), "mail", &inputs);
    register(host, &charm, "gmail");
    google.deliver("Hello", "someone@example.com");
    let base = google.base_url();
    let set = format!("gmail.api-base-url={base}");
    let options = ["run", "--once", "--component", &component("gmail"), "--set", &set, "--allow-private", &base];
    (charm, token, options.map(str::to_owned).into())
}

#[test]
fn report_mode_says_what_would_be_denied_and_sends_it_without_a_token_and_enforce_mode_denies() {
    let host = host();
    let google = FakeGoogle::start().unwrap();
    let (charm, token, options) = mailbox(&host, &google);
    let run = |more: &[&str]| {
        let args = options.iter().map(String::as_str).chain(more.iter().copied());
        host.command(args).unwrap()
    };

    for more in [&[][..], &["--egress", "enforce"]] {
        let denied = run(more).failure().unwrap();
        assert!(google.take_requests().is_empty(), "{denied}");
        assert!(denied.stderr.contains("denied: GET") && !denied.stderr.contains("would deny"), "{denied}");
        // The charm's own request: its outcome, with the option that would allow it.
        assert!(denied.stderr.contains("outcome=Denied"), "{denied}");
        let listed = host.command(["list", "--json"]).unwrap().success().unwrap().stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed[0]["lastOutcome"], "Denied", "{listed}");
        assert!(listed[0]["status"].as_str().unwrap().contains("--allow-charm-http http://127.0.0.1"), "{listed}");
    }

    host.write("service.toml", "egress = \"report\"\n").unwrap();
    for more in [&["--egress", "report"][..], &["--config", "service.toml"]] {
        google.deliver("Hello again", "someone@example.com");
        let reported = run(more).success().unwrap();
        assert!(reported.stderr.contains(&format!("Successfully executed charm {charm}")), "{reported}");
        assert!(reported.stderr.contains("would deny: GET"), "{reported}");
        assert_eq!(reported.stderr.matches("--egress report: requests that no grant covers").count(), 1, "{reported}");
        assert!(!reported.stderr.contains(&token), "{reported}");
        let asked = google.take_requests();
        // The integration's requests come first: without a grant, the gate attaches no token.
        assert!(asked[0].path.ends_with("/history"), "{asked:?}");
        assert_ne!(asked[0].authorization, Authorization::Accepted, "{asked:?}");
    }
    // The command line overrides the file.
    let denied = run(&["--config", "service.toml", "--egress", "enforce"]).failure().unwrap();
    assert!(google.take_requests().is_empty(), "{denied}");
}

#[test]
fn a_granted_private_address_is_refused_with_the_option_that_allows_it() {
    let host = host();
    let google = FakeGoogle::start().unwrap();
    let (charm, _, _) = mailbox(&host, &google);
    let base = google.base_url();
    let refused = host.command(["run", "--once", "--allow-charm-http", &base]).unwrap().failure().unwrap();
    let option = format!("--allow-private {base}");
    assert!(refused.stderr.contains("outcome=Denied"), "{refused}");
    let shown = host.command(["show", &charm]).unwrap().success().unwrap().stdout;
    let runs = host.command(["runs", &charm]).unwrap().success().unwrap().stdout;
    for (place, text) in [("log", &refused.stderr), ("status", &shown), ("run history", &runs)] {
        assert!(text.contains(&option), "{option} is missing in the {place}: {text}");
    }
    assert!(google.take_requests().is_empty());
}

#[test]
fn grants_without_effect_are_reported_and_a_component_given_twice_is_refused_first() {
    let host = host();
    let gmail = component("gmail");
    let idle = "gmail=https://gmial.googleapis.com/gmail/v1/";
    let args = ["run", "--once", "--component", &gmail, "--allow-http", idle, "--allow-http", GRANT];
    let run = host.command(args).unwrap().success().unwrap();
    assert!(run.stderr.contains(&format!("--allow-http {idle} has no effect")), "{run}");
    assert_eq!(run.stderr.matches("has no effect").count(), 1, "{run}");
    let run = host.command(["run", "--once", "--allow-http", "https://a.example/"]).unwrap().success().unwrap();
    assert!(run.stderr.contains("--allow-http https://a.example/ has no effect"), "{run}");

    let twice =
        host.command(["run", "--once", "--component", &gmail, "--component", &gmail]).unwrap().failure().unwrap();
    assert!(twice.stderr.contains("are both the integration gmail"), "{twice}");
    assert!(!twice.stderr.contains("not granted"), "{twice}");
}
