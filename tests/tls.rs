//! A server with a self-signed certificate, and the commands of its data directory.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bg_test_support::{Running, TestHost};
use serde_json::{Value, json};

use crate::common::{SOON, deploy, fixture, host, register, wait_for_success};
use crate::configuration::docs;

/// Writes a self-signed certificate for a name that nothing here has, and its key.
fn certificate(host: &TestHost, name: &str) {
    let made = rcgen::generate_simple_self_signed([format!("{name}.example")]).unwrap();
    host.write(&format!("{name}.pem"), made.cert.pem()).unwrap();
    host.write(&format!("{name}.key"), made.signing_key.serialize_pem()).unwrap();
}

/// Starts a service that listens with such a certificate, and returns its address.
fn listen(host: &TestHost, role: &str, name: &str, address: &str) -> (Running, String) {
    let [certificate, key] = ["pem", "key"].map(|end| host.dir().join(format!("{name}.{end}")));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let mut service = host.spawn([role, "--listen", address, "--tls-cert", certificate, "--tls-key", key]).unwrap();
    let line = service.wait_for_line(|line| line.contains("listening on https://"), SOON).unwrap();
    let url = line.split("listening on ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    (service, url)
}

/// The state of a row of `doctor`, and its finding.
fn found(host: &TestHost, check: &str) -> (String, String) {
    let doctor = host.command(["doctor", "--json", "--listen", "127.0.0.1:0"]).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&doctor.stdout).unwrap_or_else(|error| panic!("{error}: {doctor}"));
    let row = rows.iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("no row {check}: {doctor}"));
    let [state, found] = ["state", "found"].map(|key| row[key].as_str().unwrap().to_owned());
    (state, found)
}

/// The fix in the row of `doctor` about an unusable server at that URL.
fn fix(host: &TestHost, api_url: &str) -> String {
    let doctor = host.command(["doctor", "--json", "--api-url", api_url]).unwrap().failure().unwrap();
    let rows: Vec<Value> = serde_json::from_str(&doctor.stdout).unwrap_or_else(|error| panic!("{error}: {doctor}"));
    let row = rows.iter().find(|row| row["check"] == "runtime's place").unwrap();
    assert_eq!(row["state"], "wrong", "{doctor}");
    row["fix"].as_str().unwrap().to_owned()
}

/// Changes the server's certificate in the lock, as if another server were at that address, and returns the old value.
fn change_certificate(lock: &Path, to: &Value) -> Value {
    let mut holder: Value = serde_json::from_slice(&std::fs::read(lock).unwrap()).unwrap();
    let said = std::mem::replace(&mut holder["certificate"], to.clone());
    std::fs::write(lock, holder.to_string()).unwrap();
    said
}

#[test]
fn commands_of_a_data_directory_recognize_its_server_by_its_certificate() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    certificate(&host, "first");
    let (serve, url) = listen(&host, "serve", "first", "127.0.0.1:0");
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    register(&host, &charm, "mine");
    let listed = host.command(["list"]).unwrap().success().unwrap().stdout;
    assert!(listed.contains(&charm), "{listed}");
    let status = host.command(["status", "--json"]).unwrap().success().unwrap().stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["registrations"], &status["services"]["serves"]["url"]), (&json!(1), &json!(url)), "{status}");
    assert_eq!(found(&host, "runtime's place"), ("ok".to_owned(), format!("at {url}/, which answers")));

    // A client that names the server by URL has no lock to recognize it by.
    let refused = host.command(["list", "--api-url", &url]).unwrap().failure().unwrap();
    let symptom = "invalid peer certificate";
    assert!(refused.stderr.contains(symptom), "{refused}");
    let advice = "its certificate is not trusted; on the server's machine, leave out API_URL";
    assert!(refused.stderr.contains(advice) && !refused.stderr.contains("running?"), "{refused}");
    assert!(fix(&host, &url).contains(advice));
    let plain = url.replace("https://", "http://");
    let refused = host.command(["list", "--api-url", &plain]).unwrap().failure().unwrap();
    let advice = format!("it may speak TLS; then its URL is {url}/");
    assert!(refused.stderr.contains(&advice) && !refused.stderr.contains("running?"), "{refused}");
    assert!(fix(&host, &plain).contains(&advice));
    let guide = std::fs::read_to_string(docs("operating.md")).unwrap();
    for symptom in [symptom, "it may speak TLS"] {
        assert!(guide.contains(&format!("| `{symptom}` |")), "{symptom} is not in the guide");
    }
    // Another server at the same address does not hold the lock either.
    let lock = host.data_dir().join("runtime.db.lock");
    let said = change_certificate(&lock, &json!("00".repeat(32)));
    let refused = host.command(["list"]).unwrap().failure().unwrap();
    assert!(refused.stderr.contains("its certificate is not that of the server that holds the lock of"), "{refused}");
    assert_eq!(found(&host, "runtime's place").0, "wrong");
    change_certificate(&lock, &said);
    host.command(["list"]).unwrap().success().unwrap();
    serve.terminate().unwrap().success().unwrap();
}

#[test]
fn a_key_that_every_user_can_read_is_reported_by_the_server_and_by_doctor() {
    let host = host();
    certificate(&host, "open");
    let key = host.dir().join("open.key");
    let config = host.write("service.toml", "tls-cert = \"open.pem\"\ntls-key = \"open.key\"\n").unwrap();
    for (mode, is_reported) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        for role in ["serve", "run"] {
            let (service, _) = listen(&host, role, "open", "127.0.0.1:0");
            let said = service.terminate().unwrap().success().unwrap().stderr;
            assert_eq!(
                said.contains("open.key can be read by every user of this machine"),
                is_reported,
                "{mode:o}: {said}"
            );
        }
        let args = ["doctor", "--json", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()];
        let doctor = host.command(args).unwrap();
        let rows: Vec<Value> = serde_json::from_str(&doctor.stdout).unwrap();
        let row = rows.iter().find(|row| row["check"] == "TLS key").unwrap_or_else(|| panic!("no row: {doctor}"));
        assert_eq!(row["state"], if is_reported { "weak" } else { "ok" }, "{row}");
        assert_eq!(row["found"].as_str().unwrap().contains("to fix it: chmod o= "), is_reported, "{row}");
    }
}

#[test]
fn a_run_continues_with_a_server_that_restarts_with_a_new_certificate() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "mine");
    for name in ["first", "renewed"] {
        certificate(&host, name);
    }
    let (serve, url) = listen(&host, "serve", "first", "127.0.0.1:0");
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let mut run = host.spawn(["run", "--interval", "200ms"]).unwrap();
    wait_for_success(&mut run, &charm);
    serve.terminate().unwrap().success().unwrap();
    run.wait_for_line(|line| line.contains("polling pauses until it answers"), SOON).unwrap();
    let (serve, _) = listen(&host, "serve", "renewed", url.trim_start_matches("https://"));
    wait_for_success(&mut run, &charm);
    run.terminate().unwrap().success().unwrap();
    serve.terminate().unwrap().success().unwrap();
}

#[test]
fn the_admin_page_of_a_run_that_listens_is_recognized_by_its_certificate() {
    let host = host();
    certificate(&host, "page");
    let (run, url) = listen(&host, "run", "page", "127.0.0.1:0");
    assert_eq!(found(&host, "admin page"), ("ok".to_owned(), format!("at {url}/admin, which answers")));
    run.terminate().unwrap().success().unwrap();
}
