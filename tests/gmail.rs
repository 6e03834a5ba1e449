//! The token: it reaches Google, as a bearer token, and nothing else.

use bg_test_support::{Authorization, FakeGoogle, TestHost};
use serde_json::{Value, json};

use crate::common::{SOON, cell, component, deploy, fixture, host, register};

/// Every file below a folder, with its contents.
fn files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Asserts that a text occurs nowhere in the host's files.
pub(crate) fn not_on_disk(host: &TestHost, secret: &str) {
    for (path, bytes) in files(&host.data_dir()) {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a secret is in {path}");
    }
}

struct Setup {
    host: TestHost,
    google: FakeGoogle,
    token: String,
    refresh_token: String,
    charm: String,
}

/// A mailbox charm with a token, registered for an integration.
fn setup(source: &str, integration: &str) -> Setup {
    let host = host();
    let google = FakeGoogle::start().unwrap();
    let (token, refresh_token) = (google.issue_token(), google.issue_refresh_token());
    let inputs = json!({
        "auth": {"token": token, "refreshToken": refresh_token, "user": {"email": google.user()}},
        "settings": {"gmailFilterQuery": "in:INBOX", "limit": 100, "historyId": google.history_id().to_string()},
        "apiBaseUrl": google.base_url(),
    });
    let charm = deploy(&host, &fixture(source), "mail", &inputs);
    std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
    register(&host, &charm, integration);
    Setup { host, google, token, refresh_token, charm }
}

#[test]
fn with_the_grant_the_token_reaches_gmail_and_appears_nowhere_else() {
    let Setup { host, google, token, refresh_token, charm } = setup("gmail.tsx", "gmail");
    let base = google.base_url();
    google.deliver("Hello", "someone@example.com");

    let run = |more: &[&str]| {
        let (set, component) = (format!("gmail.api-base-url={base}"), component("gmail"));
        let common = ["run", "--once", "--log", "trace", "--component", &component, "--set", &set];
        let args: Vec<&str> = common.iter().chain(more).copied().collect();
        host.command(&args).unwrap().success().unwrap()
    };
    // The charm's own handler may call Gmail, too; the integration's requests come first.
    let grants =
        ["--grant", "requested", "--allow-private", &base, "--allow-charm-http", &base, "--log-format", "json"];
    let polled = run(&grants);
    assert!(polled.stderr.contains(&format!("Successfully executed charm {charm}")), "{polled}");
    let asked: Vec<_> = google.take_requests();
    let history: Vec<_> = asked.iter().filter(|request| request.path.ends_with("/history")).collect();
    assert!(!history.is_empty(), "the integration asks for the history: {asked:?}");
    assert!(history.iter().all(|request| request.authorization == Authorization::Accepted), "{asked:?}");

    // Nothing new: the charm is skipped, and only the integration has sent a request, once.
    let quiet = run(&grants);
    assert!(!quiet.stderr.contains("Successfully executed"), "{quiet}");
    let asked = google.take_requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].authorization, Authorization::Accepted);

    for output in [&polled, &quiet] {
        for secret in [&token, &refresh_token] {
            assert!(!output.stderr.contains(secret.as_str()) && !output.stdout.contains(secret.as_str()), "{output}");
        }
    }
    for secret in [&token, &refresh_token] {
        not_on_disk(&host, secret);
    }
    let shown = host.command(["charm", "show", &charm]).unwrap().success().unwrap().stdout;
    assert!(!shown.contains(&token) && shown.contains("(secret)"), "{shown}");
    let emails: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(emails["cells"]["emails"].as_array().map(Vec::len), Some(1), "{shown}");
}

#[test]
fn a_charm_with_an_enormous_value_keeps_no_news_from_the_others() {
    let attempt = bg_abuse::Attempt::begin("validity", "a history ID of 4,000,000 numbers, which the list reads");
    let Setup { host, google, charm, .. } = setup("gmail.tsx", "gmail");
    let base = google.base_url();
    let hostile = deploy(&host, &fixture("gmail.tsx"), "another", &json!({"apiBaseUrl": base}));
    register(&host, &hostile, "gmail");
    let ones = json!({"historyId": vec![1; 4_000_000]}).to_string();
    host.write("ones.json", ones).unwrap();
    host.command(["charm", "set", &hostile, "settings", "@ones.json"]).unwrap().success().unwrap();
    google.deliver("Hello", "someone@example.com");
    let (set, component) = (format!("gmail.api-base-url={base}"), component("gmail"));
    let polled = ["run", "--once", "--component", &component, "--set", &set, "--grant", "requested"];
    let polled = [&polled[..], &["--allow-private", &base, "--allow-charm-http", &base]].concat();
    let polled = host.command(polled).unwrap();
    assert!(polled.stderr.contains(&format!("Successfully executed charm {charm}")), "{polled}");
    assert!(!polled.stderr.contains("fetch-charms wanted"), "{polled}");
    attempt.ended("the other charm is polled");
}

#[test]
fn a_token_is_not_sent_to_another_granted_origin() {
    let attempt = bg_abuse::Attempt::begin(
        "bound-secrets",
        "a charm's apiBaseUrl, set to another granted origin by who may write",
    );
    let Setup { host, google, token, refresh_token, charm } = setup("gmail.tsx", "gmail");
    let other = FakeGoogle::start().unwrap();
    let (base, elsewhere) = (google.base_url(), other.base_url());
    let (set, component) = (format!("gmail.api-base-url={base}"), component("gmail"));
    let origins = ["--allow-private", &base, "--allow-private", &elsewhere, "--allow-charm-http", &base];
    let granted = [&origins[..], &["--allow-charm-http", &elsewhere]].concat();
    let loaded = ["--component", &component, "--set", &set, "--grant", "requested"];
    let mark = format!("auth.token={base}");
    let marked = ["--charm-credential", &mark];
    let move_to = |url: &str| {
        host.command(["charm", "set", &charm, "apiBaseUrl", &json!(url).to_string()]).unwrap().success().unwrap();
    };

    // Bound by its integration's manifest, by the operator's option, and by both.
    for bound in [&loaded[..], &marked, &[&loaded[..], &marked].concat()] {
        // So that the integration names it.
        google.deliver("Hello", "someone@example.com");
        move_to(&elsewhere);
        let args = [&["run", "--once", "--log", "trace"], &granted[..], bound].concat();
        let denied = host.command(&args).unwrap().failure().unwrap();
        assert!(
            denied.stderr.contains("may not send the charm's secret auth.token") && denied.stderr.contains(&base),
            "{denied}"
        );
        assert!(denied.stderr.contains(&format!("--charm-credential auth.token={elsewhere}")), "{denied}");
        for secret in [&token, &refresh_token] {
            assert!(!denied.to_string().contains(secret.as_str()), "{denied}");
            not_on_disk(&host, secret);
        }
        assert!(other.take_requests().is_empty(), "nothing reached it");
        move_to(&base);
        google.deliver("Again", "someone@example.com");
        host.command(&args).unwrap().success().unwrap();
    }
    // Registering it again, for an integration that names no secret, changes nothing.
    register(&host, &charm, "rss");
    move_to(&elsewhere);
    let args = [&["run", "--once", "--integration", "rss"], &granted[..], &loaded].concat();
    let denied = host.command(&args).unwrap().failure().unwrap();
    assert!(denied.stderr.contains("auth.token"), "{denied}");
    assert!(other.take_requests().is_empty());
    attempt.ended("denied, and named by its path");
}

#[test]
fn a_server_binds_tokens_by_its_operators_options() {
    let Setup { host, google, token, charm, .. } = setup("gmail.tsx", "gmail");
    let other = FakeGoogle::start().unwrap();
    let (base, elsewhere) = (google.base_url(), other.base_url());
    let mark = format!("auth.token={base}");
    let config = format!(
        "allow-private = [\"{base}\", \"{elsewhere}\"]\nallow-charm-http = [\"{base}\", \"{elsewhere}\"]\ncharm-credential = [\"{mark}\"]\n"
    );
    let config = host.write("serve.toml", config).unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    let mut server = host.spawn(args).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    google.deliver("Hello", "someone@example.com");
    host.command(["trigger", &charm]).unwrap().success().unwrap();
    host.command(["charm", "set", &charm, "apiBaseUrl", &json!(elsewhere).to_string()]).unwrap().success().unwrap();
    let denied = host.command(["trigger", &charm]).unwrap().failure().unwrap();
    assert!(denied.to_string().contains("may not send the charm's secret auth.token"), "{denied}");
    assert!(other.take_requests().is_empty() && !denied.to_string().contains(&token), "{denied}");
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn a_remote_runtime_gives_the_token_to_the_gate_only() {
    let host = host();
    let google = FakeGoogle::start().unwrap();
    let base = google.base_url();
    let options = ["--allow-private", &base, "--allow-charm-http", &base];
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0", "--log", "trace"].iter().chain(&options)).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let token = google.issue_token();
    let inputs = json!({
        "auth": {"token": token, "refreshToken": google.issue_refresh_token()},
        "settings": {"gmailFilterQuery": "in:INBOX", "limit": 100, "historyId": google.history_id().to_string()},
        "apiBaseUrl": base,
    });
    let charm = deploy(&host, &fixture("gmail.tsx"), "mail", &inputs);
    std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    register(&host, &charm, "gmail");
    google.deliver("Hello", "someone@example.com");

    let (set, component) = (format!("gmail.api-base-url={base}"), component("gmail"));
    let run = ["run", "--once", "--log", "trace", "--component", &component, "--set", &set, "--grant", "requested"];
    let run = host.command(run.iter().chain(&["--allow-private", &base])).unwrap().success().unwrap();
    assert!(run.stderr.contains(&format!("Successfully executed charm {charm}")), "{run}");
    let history = google.requests().into_iter().find(|request| request.path.ends_with("/history")).unwrap();
    assert_eq!(history.authorization, Authorization::Accepted);
    assert_eq!(cell(&host, &charm, "emails").as_array().map(Vec::len), Some(1));

    let server = server.terminate().unwrap().success().unwrap();
    for output in [&run, &server] {
        assert!(!output.to_string().contains(&token), "{output}");
    }
    not_on_disk(&host, &token);
}

#[test]
fn an_expired_token_is_renewed_before_the_poll() {
    let host = host();
    let google = FakeGoogle::start().unwrap();
    let base = google.base_url();
    let token = google.issue_token();
    let inputs = json!({
        "auth": {"token": token, "refreshToken": google.issue_refresh_token(), "expiresAt": 1},
        "apiBaseUrl": base,
    });
    google.expire_tokens();
    google.deliver("Hello", "someone@example.com");
    let charm = deploy(&host, &fixture("gmail.tsx"), "mail", &inputs);
    std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
    register(&host, &charm, "gmail");

    let refresh = google.refresh_url();
    let args =
        ["run", "--once", "--allow-private", &base, "--allow-charm-http", &base, "--oauth-refresh-url", &refresh];
    host.command(args).unwrap().success().unwrap();
    assert_eq!(cell(&host, &charm, "emails").as_array().map(Vec::len), Some(1));
    let renewals =
        |google: &FakeGoogle| google.requests().iter().filter(|seen| seen.path.ends_with("/refresh")).count();
    assert_eq!(renewals(&google), 1);
    host.command(args).unwrap().success().unwrap();
    assert_eq!(renewals(&google), 1, "what is good for long is not renewed again");

    // If no server renews it, the outcome says what to configure.
    let stale = json!({"auth": {"token": token, "refreshToken": "1//none", "expiresAt": 2}, "apiBaseUrl": base});
    let stale = deploy(&host, &fixture("gmail.tsx"), "other", &stale);
    std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
    register(&host, &stale, "gmail");
    let failed = host.command(["run", "--once", "--charms", &stale]).unwrap().failure().unwrap();
    assert!(failed.stderr.contains("--oauth-refresh-url"), "{failed}");
}

#[test]
fn a_token_that_gmail_refuses_is_renewed_by_the_gate_and_the_integration_gets_an_answer() {
    use Authorization::{Absent, Accepted, Refused};
    let Setup { host, google, token, refresh_token, charm } = setup("gmail.tsx", "gmail");
    let (base, refresh) = (google.base_url(), google.refresh_url());
    // Only Gmail's answer shows that it has expired; there is nothing new.
    google.expire_tokens();
    let (set, component) = (format!("gmail.api-base-url={base}"), component("gmail"));
    let args = ["run", "--once", "--log", "trace", "--log-format", "json", "--component", &component, "--set", &set];
    let grants = ["--grant", "requested", "--allow-private", &base, "--oauth-refresh-url", &refresh];
    let run = host.command(args.iter().chain(&grants)).unwrap().success().unwrap();

    let asked: Vec<_> = google.take_requests().into_iter().map(|seen| (seen.method, seen.authorization)).collect();
    let get = |authorization| ("GET".to_owned(), authorization);
    assert_eq!(asked, [get(Refused), ("POST".to_owned(), Absent), get(Accepted)], "{run}");
    // By the answer it knows that the charm has no news.
    assert!(!run.stderr.contains(&format!("Successfully executed charm {charm}")), "{run}");
    assert_eq!(run.stderr.matches("\"allowed: GET").count(), 1, "one line for what the guest asked once: {run}");
    for secret in [&token, &refresh_token] {
        assert!(!run.to_string().contains(secret.as_str()), "{run}");
    }
    assert!(!run.to_string().contains("ya29"), "{run}");
}

#[test]
fn a_charm_that_logs_or_throws_its_own_token_does_not_reveal_it() {
    let host = host();
    let token = "ya29.a-token-of-its-own";
    let inputs = json!({"auth": {"token": token, "refreshToken": "1//none"}});
    let charm = deploy(&host, &fixture("chatty.tsx"), "mail", &inputs);
    std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
    let chatty = host.command(["trigger", &charm]).unwrap().failure().unwrap();
    assert!(chatty.stderr.contains("my token is (secret)"), "{chatty}");
    assert!(chatty.stdout.contains("cannot use (secret)"), "{chatty}");
    let runs = host.command(["runs", &charm, "--json"]).unwrap().success().unwrap();
    assert!(runs.stdout.contains("cannot use (secret)"), "{runs}");
    assert!(!format!("{chatty}{runs}").contains(token), "{chatty}{runs}");
    not_on_disk(&host, token);
}

#[test]
fn a_guest_that_tries_to_get_the_token_does_not() {
    let Setup { host, google, token, refresh_token, charm } = setup("mailbox.tsx", "thief");
    let base = google.base_url();
    // Another integration's charm, with its own token.
    let other_token = google.issue_token();
    let inputs = json!({"auth": {"token": other_token, "refreshToken": "1//other"}});
    let stranger = deploy(&host, &fixture("mailbox.tsx"), "elsewhere", &inputs);
    std::fs::remove_file(host.dir().join("inputs.json")).unwrap();
    register(&host, &stranger, "gmail");

    let set = format!("thief.api-base-url={base}");
    let strangers = format!("thief.strangers={stranger}");
    let component = component("thief");
    let args = [
        "run",
        "--once",
        "--log",
        "trace",
        "--component",
        &component,
        "--set",
        &set,
        "--set",
        &strangers,
        "--grant",
        "requested",
        "--allow-private",
        &base,
        "--charms",
        &charm,
    ];
    let run = host.command(args).unwrap().success().unwrap();
    // It did try, and gets what it is allowed to: a request with its own charm's token succeeds.
    assert!(run.stderr.contains("loot: keys:"), "{run}");
    assert!(run.stderr.contains("request as the charm: Response"), "{run}");
    let requests = google.take_requests();
    let accepted = requests.iter().filter(|request| request.authorization == Authorization::Accepted).count();
    assert_eq!(accepted, 1, "only the request for its own charm has a token: {requests:?}");
    // What it is not allowed to: a foreign charm, two charms at once, its own authorization.
    assert!(!run.stderr.contains("OPENED"), "{run}");
    for refused in ["as a stranger's charm: Response", "as two charms: Response", "authorization: Response"] {
        assert!(!run.stderr.contains(refused), "{refused}: {run}");
    }
    let failing = ["--set", "thief.fail=yes"];
    let failed = host.command(args.iter().chain(&failing)).unwrap();
    assert!(!requests.iter().any(|request| request.token_leaked), "{requests:?}");
    for secret in [&token, &refresh_token, &other_token] {
        for (place, text) in [("output", &run.to_string()), ("error", &failed.to_string())] {
            assert!(!text.contains(secret.as_str()), "a token is in the {place}: {text}");
        }
        not_on_disk(&host, secret);
    }
}
