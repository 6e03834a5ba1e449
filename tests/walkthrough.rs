//! The original's walk-through, as in the README, and the service without a server.

use bg_test_support::request;
use serde_json::{Value, json};

use crate::common::{SOON, cell, component, deploy, fixture, host, register, serve, wait_for_success};

const SYSTEM_SPACE: &str = "did:key:z6Mkfuw7h6jDwqVb6wimYGys14JFcyTem4Kqvdj9DjpFhY88";

#[test]
fn the_originals_walk_through_works_without_a_restart() {
    let host = host();
    let (server, address) = serve(&host, "127.0.0.1:0", &[]);

    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    assert!(charm.starts_with("did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo/baedrei"), "{charm}");

    let mut service = host.spawn(["run", "--interval", "1"]).unwrap();
    let line = service.wait_for_line(|line| line.contains("AuthorizationError"), SOON).unwrap();
    assert!(line.contains(SYSTEM_SPACE) && line.contains("bg-wasm-host add-admin-charm"), "{line}");
    let once = host.command(["run", "--once"]).unwrap().failure().unwrap();
    assert!(once.stderr.contains("is in use by"), "a second service on one poll state: {once}");

    host.command(["add-admin-charm"]).unwrap().success().unwrap();

    let (space, id) = charm.split_once('/').unwrap();
    let body = json!({"charmId": id, "space": space, "integration": "my-test"}).to_string();
    let content_type = [("Content-Type", "application/json")];
    let reply = request(address, "POST", "/api/integrations/bg", &content_type, body.as_bytes()).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json().unwrap(), json!({"success": true, "message": "success"}));

    wait_for_success(&mut service, &charm);
    wait_for_success(&mut service, &charm);
    assert!(cell(&host, &charm, "count").as_u64().unwrap() >= 2);

    let listed = host.command(["list", "--json"]).unwrap().success().unwrap();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed[0]["status"], "Success");
    assert_eq!(listed[0]["charmId"], id);

    service.terminate().unwrap().success().unwrap();
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn run_needs_no_server_and_the_other_commands_work_concurrently() {
    let host = host();
    let mut service = host.spawn(["run", "--interval", "1"]).unwrap();
    service.wait_for_line(|line| line.contains("polling"), SOON).unwrap();

    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "my-test");
    wait_for_success(&mut service, &charm);
    assert!(cell(&host, &charm, "count").as_u64().unwrap() >= 1);

    // Disabling and enabling work next to the service, too.
    host.command(["disable", &charm]).unwrap().success().unwrap();
    let shown = host.command(["show", &charm]).unwrap().success().unwrap().stdout;
    assert!(shown.contains("disabled") && shown.contains("Disabled: by hand"), "{shown}");
    host.command(["enable", &charm]).unwrap().success().unwrap();
    wait_for_success(&mut service, &charm);

    let triggered = host.command(["trigger", &charm]).unwrap().success().unwrap();
    assert_eq!(triggered.stdout.trim(), "Success");
    let runs = host.command(["runs", &charm, "--json"]).unwrap().success().unwrap().stdout;
    let runs: Value = serde_json::from_str(&runs).unwrap();
    assert!(runs.as_array().unwrap().len() >= 2, "{runs}");

    host.command(["remove", &charm]).unwrap().success().unwrap();
    assert_eq!(host.command(["list", "--json"]).unwrap().success().unwrap().stdout.trim(), "[]");
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn a_component_without_any_option_gets_no_http_and_its_charms_are_polled() {
    let host = host();
    let inputs = json!({"auth": {"token": "ya29.not-a-real-token", "refreshToken": "1//nor-this"}});
    let charm = deploy(&host, &fixture("mailbox.tsx"), "mail", &inputs);
    register(&host, &charm, "gmail");

    let run = host.command(["run", "--component", &component("gmail"), "--once"]).unwrap().success().unwrap();
    assert!(run.stderr.contains(&format!("Successfully executed charm {charm}")), "{run}");
    let option = "--allow-http gmail=https://gmail.googleapis.com/gmail/v1/";
    // In the line's text, and in its advice.
    let lines: Vec<_> = run.stderr.lines().filter(|line| line.contains(option)).collect();
    let [line] = lines[..] else { panic!("the withheld grant is named once: {run}") };
    assert_eq!(line.matches(option).count(), 2, "{run}");
    assert!(!run.stderr.contains("ya29.not-a-real-token"), "{run}");
}

#[test]
fn initialize_is_called_for_every_component_before_it_polls() {
    let host = host();
    let (gmail, gcal) = (component("gmail"), component("gcal"));
    let args = ["run", "--once", "--initialize", "--component", &gmail, "--component", &gcal];
    let run = host.command(args).unwrap().success().unwrap();
    for integration in ["gmail", "gcal"] {
        assert!(run.stderr.contains(&format!("The integration {integration} is initialized")), "{run}");
    }
}

#[test]
fn space_did_prints_the_dids_of_the_original() {
    let host = host();
    for (name, did) in
        [("my-space", "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo"), ("toolshed-system", SYSTEM_SPACE)]
    {
        assert_eq!(host.command(["space-did", name]).unwrap().success().unwrap().stdout.trim(), did);
    }
    // The default passphrase is the original's, "implicit trust".
    let shown = host.command(["identity", "show"]).unwrap().success().unwrap().stdout;
    assert_eq!(shown.trim(), "did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW");
}

#[test]
fn a_key_file_is_created_once_and_overrides_the_passphrase() {
    let host = host();
    let file = host.dir().join("operator.pem");
    let file = file.to_str().unwrap();
    let made = host.command(["identity", "new", file]).unwrap().success().unwrap().stdout;
    let again = host.command(["identity", "new", file]).unwrap().failure().unwrap();
    assert!(again.stderr.contains(file), "{again}");

    let host = host.env("IDENTITY", file).env("OPERATOR_PASS", "something else");
    assert_eq!(host.command(["identity", "show"]).unwrap().success().unwrap().stdout, made);
}
