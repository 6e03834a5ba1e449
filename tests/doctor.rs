//! What `doctor` finds, and the fix that it suggests: a row for each problem that an operator may have.

use bg_test_support::{Finished, RawAnswer, RawServer, Running, TestHost};
use serde_json::{Value, json};

use crate::common::{self, SOON, component, deploy, fixture, host, register};

/// For `serve` as well, so that it does not collide with a server on the test machine.
const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn doctor(host: &TestHost, args: &[&str]) -> Finished {
    host.command(["doctor", "--json"].iter().chain(&ANY_PORT).chain(args)).unwrap()
}

/// The rows in that state.
fn rows(found: &Finished, state: &str) -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(&found.stdout).unwrap_or_else(|error| panic!("{error}: {found}"));
    rows.into_iter().filter(|row| row["state"] == state).collect()
}

/// The only row about that check.
#[track_caller]
fn row(found: &Finished, state: &str, check: &str) -> Value {
    let all = rows(found, state);
    all.into_iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("no row {state} {check}: {found}"))
}

#[track_caller]
fn says(row: &Value, part: &str, text: &str) {
    assert!(row[part].as_str().is_some_and(|found| found.contains(text)), "{text}: {row}");
}

/// The rows about registrations, besides the one that they can be read.
const OF_REGISTRATIONS: [&str; 6] =
    ["integrations", "disabled charms", "waiting charms", "updater streams", "OAuth tokens", "other services"];

#[track_caller]
fn says_nothing_of(found: &Finished, checks: &[&str]) {
    let rows: Vec<Value> = serde_json::from_str(&found.stdout).unwrap();
    for check in checks {
        assert!(!rows.iter().any(|row| row["check"] == *check), "{check}: {found}");
    }
}

fn serve(host: &TestHost) -> (Running, String) {
    let (server, address) = common::serve(host, "127.0.0.1:0", &[]);
    (server, format!("http://{address}"))
}

#[test]
fn every_row_is_ok_if_nothing_is_wrong() {
    let host = host();
    let mut run = host.spawn(["run"]).unwrap();
    run.wait_for_line(|line| line.contains("Polling 0 enabled charms"), SOON).unwrap();
    let found = doctor(&host, &[]).success().unwrap();
    for check in [
        "operator's key",
        "data directory",
        "cache directory",
        "database",
        "runtime's place",
        "clock",
        "registrations",
        "charms' engine",
        "components",
        "service",
        "integrations",
        "disabled charms",
        "waiting charms",
        "updater streams",
        "OAuth tokens",
        "other services",
        "pages' buttons",
        "listen address",
    ] {
        row(&found, "ok", check);
    }
    says(&row(&found, "ok", "service"), "found", &format!("`bg-wasm-host run` (process {}) polls", run.pid()));
    assert_eq!(rows(&found, "wrong"), Vec::<Value>::new());
    run.terminate().unwrap().success().unwrap();
}

#[test]
fn a_server_without_access_for_the_operator_is_reported_with_the_command_that_grants_it() {
    let host = host();
    let (serve, url) = serve(&host);
    let found = doctor(&host, &[]).failure().unwrap();
    let denied = row(&found, "wrong", "registrations");
    says(&denied, "found", "AuthorizationError");
    says(&denied, "fix", "bg-wasm-host add-admin-charm");
    says(&row(&found, "ok", "clock"), "found", "that of the charm runtime");
    says(&row(&found, "ok", "pages' buttons"), "found", "origins that --allow-origin names can register charms");
    says_nothing_of(&found, &OF_REGISTRATIONS);
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let address = url.trim_start_matches("http://");
    let found = host.command(["doctor", "--json", "--listen", address]).unwrap().success().unwrap();
    says(&row(&found, "ok", "listen address"), "found", "is used by `bg-wasm-host serve`");
    let idle = row(&found, "weak", "service");
    says(&idle, "fix", "bg-wasm-host run");
    // A process that polls a server has its own lock.
    let mut run = host.spawn(["run"]).unwrap();
    run.wait_for_line(|line| line.contains("Polling 0 enabled charms"), SOON).unwrap();
    says(&row(&doctor(&host, &[]), "ok", "service"), "found", "`bg-wasm-host run`");
    drop(run);
    serve.terminate().unwrap().success().unwrap();
}

#[test]
fn a_run_that_listens_is_found_by_its_address_and_commands_work_without_it() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    let mut run = host.spawn(["run"].iter().chain(&ANY_PORT)).unwrap();
    let line = run.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let url = line.split("listening on ").nth(1).unwrap().to_owned();
    let address = url.trim_start_matches("http://");
    let found = host.command(["doctor", "--json", "--listen", address]).unwrap().success().unwrap();
    says(&row(&found, "ok", "admin page"), "found", &format!("at {url}/admin, which answers"));
    says(
        &row(&found, "ok", "listen address"),
        "found",
        &format!("is used by `bg-wasm-host run` (process {}", run.pid()),
    );
    says(&row(&found, "ok", "pages' buttons"), "found", "origins that --allow-origin names can register charms");
    // Through an API, the operator's key would first need access to the system space.
    says(&row(&found, "ok", "runtime's place"), "found", "the local one in ");
    register(&host, &charm, "my-test");
    let status = host.command(["status", "--json"]).unwrap().success().unwrap().stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["services"]["polls"]["url"], url);
    assert_eq!(status["services"]["serves"], Value::Null);
    let shown = host.command(["status"]).unwrap().success().unwrap().stdout;
    assert!(shown.contains(&format!("admin page     {url}/admin\n")), "{shown}");
    run.terminate().unwrap().success().unwrap();
}

#[test]
fn a_run_whose_server_is_gone_is_reported_with_the_command_that_restarts_it() {
    let host = host();
    let (first, url) = serve(&host);
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let mut run = host.spawn(["run"]).unwrap();
    run.wait_for_line(|line| line.contains("Polling 0 enabled charms"), SOON).unwrap();
    first.terminate().unwrap().success().unwrap();
    let address = url.trim_start_matches("http://");
    let (found, fix) = (
        format!("`bg-wasm-host run` (process {}) polls {url}/, which does not answer: ", run.pid()),
        format!("bg-wasm-host serve --listen {address}"),
    );
    let gone = row(&doctor(&host, &[]).failure().unwrap(), "wrong", "service");
    says(&gone, "found", &found);
    says(&gone, "fix", &fix);
    let shown = host.command(["status"]).unwrap().success().unwrap().stdout;
    assert!(shown.contains(&found) && shown.contains(&format!("; to fix it: {fix}\n")), "{shown}");
    let status = host.command(["status", "--json"]).unwrap().success().unwrap().stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    let elsewhere = &status["services"]["elsewhere"][0];
    assert_eq!((&elsewhere["pid"], &elsewhere["polls"]), (&json!(run.pid()), &json!(format!("{url}/"))), "{status}");

    let (moved, other) = serve(&host);
    let fix = format!("stop that `run`, and start it again without API_URL: it then finds the server at {other}");
    says(&row(&doctor(&host, &[]).failure().unwrap(), "wrong", "service"), "fix", &fix);
    let shown = host.command(["status"]).unwrap().success().unwrap().stdout;
    assert!(shown.contains(&format!("; to fix it: {fix}\n")), "{shown}");
    moved.terminate().unwrap().success().unwrap();

    let mut second = host.spawn(["serve", "--listen", address]).unwrap();
    second.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    says(&row(&doctor(&host, &[]).success().unwrap(), "ok", "service"), "found", ") polls");
    second.terminate().unwrap().success().unwrap();
    run.terminate().unwrap().success().unwrap();
}

#[test]
fn a_silent_runtime_a_taken_port_and_an_invalid_key_file_are_reported() {
    let host = host();
    let found = doctor(&host, &["--api-url", "http://127.0.0.1:9"]).failure().unwrap();
    let away = row(&found, "wrong", "runtime's place");
    says(&away, "found", "http://127.0.0.1:9/, which does not answer: ");
    says(&away, "fix", "bg-wasm-host serve");
    says_nothing_of(&found, &OF_REGISTRATIONS);
    says_nothing_of(&found, &["clock", "pages' buttons"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let found = host.command(["doctor", "--json", "--listen", &address]).unwrap().success().unwrap();
    let taken = row(&found, "weak", "listen address");
    says(&taken, "found", "another program listens");
    says(&taken, "fix", "ss -ltnp");
    let key = host.write("key.pem", "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
    let found = doctor(&host, &["--identity", key.to_str().unwrap()]).failure().unwrap();
    let wrong = row(&found, "wrong", "operator's key");
    says(&wrong, "found", "is not a usable key file");
    says(&wrong, "fix", "bg-wasm-host identity new FILE");
    std::fs::write(host.data_dir().join("runtime.db"), "no database, but long enough to be taken for one".repeat(90))
        .unwrap();
    says(&row(&doctor(&host, &[]).failure().unwrap(), "wrong", "database"), "found", "runtime.db");
}

#[test]
fn components_are_loaded_and_their_manifests_compared_with_the_grants() {
    let host = host();
    let (gmail, pin) = (component("gmail"), format!("gmail={}", "0".repeat(64)));
    let found = doctor(&host, &["--component", &gmail]).success().unwrap();
    let withheld = row(&found, "weak", &format!("component {gmail}"));
    says(&withheld, "found", "gmail 0.1.0 loads (sha256 ");
    says(&withheld, "fix", "--allow-http");
    let found = doctor(&host, &["--component", &gmail, "--grant", "requested"]).success().unwrap();
    says(
        &row(&found, "ok", &format!("component {gmail}")),
        "found",
        "granted: GET https://gmail.googleapis.com/gmail/v1/; not granted: none",
    );
    let found = doctor(&host, &["--component", &gmail, "--sha256", &pin]).failure().unwrap();
    says(&row(&found, "wrong", &format!("component {gmail}")), "found", "is not the component that gmail is pinned to");
    let file = host.write("service.toml", "components = [\"gone.wasm\"]\nfailure = 5\n").unwrap();
    let found = doctor(&host, &["--config", file.to_str().unwrap()]).failure().unwrap();
    let wrong = row(&found, "wrong", "configuration");
    says(&wrong, "found", "did you mean `failures`?");
    says(&wrong, "fix", "bg-wasm-host config check ");
    let config =
        format!("components = [\"{gmail}\"]\ngrant = \"requested\"\n[sha256]\ngcal = \"{}\"\n", "1".repeat(64));
    host.write("service.toml", config).unwrap();
    let found = doctor(&host, &["--config", file.to_str().unwrap()]).failure().unwrap();
    says(&row(&found, "wrong", "pins"), "found", "a pin names gcal");
    row(&found, "ok", &format!("component {gmail}"));
}

#[test]
fn the_fix_for_a_token_that_is_not_renewed_depends_on_the_cause() {
    for (status, body, check, fix) in [
        (
            "400 Bad Request",
            r#"{"error": "invalid_grant"}"#,
            "OAuth tokens",
            "sign in again (`bg-wasm-host oauth login PROVIDER",
        ),
        ("401 Unauthorized", r#"{"error": "invalid_client"}"#, "waiting charms", "correct the OAuth client"),
        (
            "400 Bad Request",
            r#"{"error": "Failed to refresh token"}"#,
            "other services",
            "If it persists, sign in again (`bg-wasm-host oauth login PROVIDER",
        ),
        ("429 Too Many Requests", "", "other services", "raise the quota at the token service"),
        ("503 Service Unavailable", "", "other services", "check the token service, and --oauth-refresh-url"),
        ("", "", "other services", "check the token service, and --oauth-refresh-url"),
    ] {
        let answer = RawAnswer::new(status, "Content-Type: application/json\r\n", body);
        let server =
            RawServer::start(move |_| if status.is_empty() { RawAnswer::Close } else { answer.clone() }).unwrap();
        let host = host();
        let inputs = json!({"auth": {"token": "t", "refreshToken": "r", "expiresAt": 1}});
        let charm = deploy(&host, &fixture("gmail.tsx"), "my-space", &inputs);
        register(&host, &charm, "mine");
        let url = format!("http://{}/", server.address());
        host.command(["run", "--once", "--oauth-refresh-url", &url]).unwrap();
        let found = doctor(&host, &[]);
        for other in ["OAuth tokens", "waiting charms", "other services"] {
            row(&found, if other == check { "weak" } else { "ok" }, other);
        }
        says(&row(&found, "weak", check), "fix", fix);
        let shown = host.command(["show", &charm]).unwrap().success().unwrap().stdout;
        assert!(shown.lines().any(|line| line.starts_with("to fix it    ") && line.contains(fix)), "{shown}");
        for command in ["list", "status"] {
            let printed = host.command([command, "--json"]).unwrap().success().unwrap().stdout;
            assert!(printed.contains(fix), "{command}: {printed}");
        }
    }
}

#[test]
fn registered_charms_without_successful_polls_are_reported_with_the_reason() {
    let host = host();
    let inputs = json!({"auth": {"token": "t", "refreshToken": "r", "expiresAt": 1}});
    let expired = deploy(&host, &fixture("gmail.tsx"), "space-a", &inputs);
    let without = deploy(&host, &fixture("counter.tsx"), "space-b", &json!({}));
    for charm in [&expired, &without] {
        register(&host, charm, "mine");
    }
    host.command(["charm", "deploy", &fixture("no-updater.tsx"), "--update", &without]).unwrap().success().unwrap();
    host.command(["run", "--once"]).unwrap().failure().unwrap();
    let found = doctor(&host, &["--component", &component("gmail"), "--grant", "requested"]).success().unwrap();
    // Nobody has to sign in for that.
    let waiting = row(&found, "weak", "waiting charms");
    says(&waiting, "found", &expired);
    says(&waiting, "fix", "--oauth-refresh-url");
    row(&found, "ok", "OAuth tokens");
    let streams = row(&found, "weak", "updater streams");
    says(&streams, "found", &without);
    says(&streams, "fix", &format!("bg-wasm-host charm deploy FILE --update {without}"));
    says(&row(&found, "weak", "integrations"), "found", "no component for mine (2)");
    let idle = row(&found, "weak", "service");
    says(&idle, "found", "none polls");
    says(&idle, "fix", "bg-wasm-host run");
    says(&row(&found, "ok", "disabled charms"), "found", "none");

    host.command(["run", "--once", "--integration", "mine", "--failures", "1"]).unwrap().failure().unwrap();
    let found = doctor(&host, &[]).success().unwrap();
    let disabled = row(&found, "weak", "disabled charms");
    // The charm without a renewal is not disabled for that: it waits.
    says(&disabled, "found", "one, such as ");
    says(&disabled, "found", "failures in a row");
    says(&disabled, "fix", "bg-wasm-host enable did:key:");
    let shown = host.command(["doctor"].iter().chain(&ANY_PORT)).unwrap().success().unwrap().stdout;
    assert!(shown.contains("; to fix it: bg-wasm-host enable did:key:"), "{shown}");
    host.command(["disable", &expired]).unwrap().success().unwrap();
    says(&row(&doctor(&host, &[]), "weak", "disabled charms"), "found", "one, such as ");
}
