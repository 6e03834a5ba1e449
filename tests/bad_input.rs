//! Invalid input: a clear error, a matching status, and a service that keeps running.

use std::net::{SocketAddr, TcpListener};

use bg_abuse::Attempt;
use bg_test_support::{Finished, HttpReply, TestHost, request};
use serde_json::json;

use crate::bombs::{MANIFEST, bomb, module};
use crate::common::{SOON, deploy, fixture, host, register, wait_for_success};

const SPACE: &str = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo";
const CHARM: &str = "baedreiew6ioyvfnvp2bdvmgkkz64ffk6gssvgmibh7yaw43yqhtv2nq75a";

fn post(address: SocketAddr, headers: &[(&str, &str)], body: &str) -> HttpReply {
    request(address, "POST", "/api/integrations/bg", headers, body.as_bytes()).unwrap()
}

#[test]
fn the_registration_endpoint_says_what_is_wrong_and_stays_up() {
    let host = host();
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    let line = server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let address = line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    let without_updater = deploy(&host, &fixture("no-updater.tsx"), "my-space", &json!({}));
    let id = |charm: &str| charm.split_once('/').unwrap().1.to_owned();

    let good = json!({"charmId": id(&charm), "space": SPACE, "integration": "my-test"}).to_string();
    let cases = [
        ("not JSON", "{\"charmId\": ".to_owned(), 400, "JSON"),
        ("no object", "[]".to_owned(), 400, "object"),
        ("a missing field", json!({"charmId": CHARM, "integration": "x"}).to_string(), 400, "space"),
        ("a wrong type", json!({"charmId": 7, "space": SPACE, "integration": "x"}).to_string(), 400, "charmId"),
        (
            "a bad DID",
            json!({"charmId": CHARM, "space": "did:web:x", "integration": "x"}).to_string(),
            400,
            "did:key:z",
        ),
        ("a bad charm ID", json!({"charmId": "../x", "space": SPACE, "integration": "x"}).to_string(), 400, "charmId"),
        (
            "a bad integration",
            json!({"charmId": CHARM, "space": SPACE, "integration": "a b"}).to_string(),
            400,
            "integration",
        ),
        ("an unknown charm", json!({"charmId": CHARM, "space": SPACE, "integration": "x"}).to_string(), 400, CHARM),
        (
            "a charm without an updater stream",
            json!({"charmId": id(&without_updater), "space": SPACE, "integration": "x"}).to_string(),
            400,
            "bgUpdater",
        ),
        ("a body over 64 KiB", format!("{good}{}", " ".repeat(65 * 1024)), 413, "65536 bytes"),
    ];
    for (what, body, status, shown) in cases {
        let reply = post(address, &[("Content-Type", "application/json")], &body);
        let error = reply.json().unwrap()["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.status, status, "{what}: {error}");
        assert!(error.contains(shown), "{what}: {error}");
    }

    // The original's button sends no Content-Type; any Content-Type is accepted if the body is valid JSON.
    for headers in [&[][..], &[("Content-Type", "text/plain")], &[("Content-Type", "nonsense")]] {
        let reply = post(address, headers, &good);
        assert_eq!(reply.status, 200, "{headers:?}: {}", reply.text());
    }
    server.terminate().unwrap().success().unwrap();
}

/// Runs a command that must fail by itself, with these texts in its error.
fn refused<const N: usize>(host: &TestHost, args: &[&str], shown: [&str; N]) -> Finished {
    let refused = host.command(args).unwrap().failure().unwrap();
    for part in shown {
        assert!(refused.stderr.contains(part), "`{part}` is missing: {refused}");
    }
    assert!(!refused.stderr.contains("panicked"), "{refused}");
    refused
}

#[test]
fn the_command_line_says_what_is_wrong() {
    let host = host();
    let unknown = format!("{SPACE}/{CHARM}");
    refused(&host, &["register", "did:web:x/baedrei", "--integration", "x"], ["did:key:z"]);
    refused(&host, &["register", &format!("{SPACE}/nonsense"), "--integration", "x"], ["baedrei"]);
    refused(&host, &["register", SPACE, "--integration", "x"], ["<space DID>/<charm ID>"]);
    refused(&host, &["register", &unknown, "--integration", "x"], [CHARM]);
    refused(&host, &["show", &unknown], ["not registered", "bg-wasm-host list"]);
    refused(&host, &["trigger", &unknown], [CHARM]);
    refused(&host, &["run", "--interval", "soon"], ["seconds"]);
    refused(&host, &["run", "--allow-http", "example.com"], ["https://"]);
    refused(&host, &["run", "--config", "nowhere.toml"], ["nowhere.toml"]);
    let config = host.write("wrong.toml", "interval = 60\nintervall = 3\n").unwrap();
    refused(&host, &["run", "--config", config.to_str().unwrap()], ["line 2", "intervall"]);
    refused(&host, &["charm", "deploy", "nowhere.tsx", "--space", "x"], ["nowhere.tsx"]);

    let without_updater = deploy(&host, &fixture("no-updater.tsx"), "my-space", &json!({}));
    refused(&host, &["register", &without_updater, "--integration", "x"], ["bgUpdater"]);
}

#[test]
fn an_unusable_component_is_refused_with_the_fix() {
    let host = host();
    // For components without an embedded manifest.
    host.write("integration.toml", MANIFEST).unwrap();
    let run = |what: &str, bytes: &[u8], shown: &[&str]| {
        let file = host.write("bad.wasm", bytes).unwrap();
        let attempt = Attempt::begin("file", format!("the service: {what}"));
        let refused =
            host.command(["run", "--once", "--component", file.to_str().unwrap()]).unwrap().failure().unwrap();
        let errors: Vec<&str> = refused.stderr.split("error: ").skip(1).collect();
        let [error] = errors[..] else { panic!("not one error: {refused}") };
        for part in ["cannot use the component", "bad.wasm"].iter().chain(shown) {
            assert!(error.contains(part), "{what}: `{part}` is missing: {refused}");
        }
        assert!(!refused.stderr.contains("panicked"), "{refused}");
        attempt.ended(shown[0]);
    };
    run("text", b"this is text", &["this is a text file", "give the .wasm file"]);
    run("an empty file", b"", &["the file is empty", "build the component again"]);
    run("a module", &wat::parse_str("(module)").unwrap(), &["core WebAssembly module", "wasm32-wasip2"]);
    let machine_code = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0";
    run(
        "a precompiled file",
        machine_code,
        &["precompiled or native file", "give the component that it was made from"],
    );
    run("an archive", b"PK\x03\x04\0\0\xff", &["not a WebAssembly file", "give a component (.wasm)"]);
    run("more than 32 MiB", &vec![0; (32 << 20) + 1], &["the limit is 33554432", "build it for size"]);
    let whole = std::fs::read(crate::common::component("gmail")).unwrap();
    run("a truncated file", &whole[..whole.len() / 2], &["incomplete", "copy or build it again"]);
    let nothing = wat::parse_str("(component)").unwrap();
    run("no exports", &nothing, &["missing export: `fetch-charms`", "`is-valid-charm`", "as wit/ describes it"]);
    let unknown = r#"(component (import "acme:rockets/launch@1.0.0" (instance (export "go" (func)))))"#;
    let shown = ["unknown import: `acme:rockets/launch@1.0.0`", "remove it", "missing export: `fetch-charms`"];
    run("an import that nobody has", &wat::parse_str(unknown).unwrap(), &shown);
    let kinds = r#"(component (instance $i) (export "initialize" (instance $i)) (export "extra" (instance $i)))"#;
    let shown =
        ["`initialize` is exported, but is not a function", "make it one", "extra export: `extra`", "remove it"];
    run("exports of a wrong kind, and one too many", &wat::parse_str(kinds).unwrap(), &shown);
    let import =
        r#"(import "commontools:background/log@0.1.0" (instance (export "write" (func (param "message" string)))))"#;
    let shown = ["wrong type: ", "write", "build it against this host's wit/"];
    run("an import of a wrong type", &bomb(&format!("{import} {}", module(""))), &shown);
    run("exports of a wrong type", &bomb(&module("")), &["wrong type: ", "build it against this host's wit/"]);
    refused(&host, &["run", "--once", "--component", "nowhere.wasm"], ["nowhere.wasm", "cargo guests"]);
}

#[test]
fn something_that_is_not_a_regular_file_is_refused_without_waiting() {
    let host = host();
    let pipe = host.dir().join("pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = pipe.to_str().unwrap();
    let folder = host.dir().to_str().unwrap();
    for (what, file, said) in [
        ("a pipe", pipe, "is not a regular file"),
        ("an endless device", "/dev/zero", "is not a regular file"),
        ("a folder", folder, "is a folder"),
    ] {
        let attempt = Attempt::begin("file", what);
        for command in [
            &["inspect"][..],
            &["run", "--once", "--component"],
            &["egress", "check", "https://a.example/", "--component"],
        ] {
            let args: Vec<&str> = command.iter().copied().chain([file]).collect();
            refused(&host, &args, [said]);
        }
        attempt.ended(said);
    }
    refused(&host, &["charm", "deploy", "/dev/zero", "--space", "x"], ["longer than 64 MiB"]);
    refused(&host, &["run", "--once", "--oauth-refresh-url", "http://a.example/"], ["https", "refresh tokens"]);
}

#[test]
fn a_busy_port_is_named() {
    let host = host();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&host, &["serve", "--listen", &address], [&address, "--listen"]);
}

#[test]
fn an_unreadable_key_file_is_named() {
    let host = host();
    let file = host.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    refused(&host, &["--identity", file.to_str().unwrap(), "identity", "show"], ["key.pem", "IDENTITY"]);
    // Even if the local runtime does not need the key.
    for command in [&["identity", "show"][..], &["list"], &["run", "--once"], &["serve", "--listen", "127.0.0.1:0"]] {
        let args: Vec<&str> = ["--identity", "nowhere.pem"].into_iter().chain(command.iter().copied()).collect();
        refused(&host, &args, ["nowhere.pem", "IDENTITY"]);
    }
}

#[test]
fn an_unreachable_api_url_is_named() {
    let host = host();
    // A port that was free a moment ago, and where nothing listens.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    for command in [&["run", "--once"][..], &["list"], &["run"]] {
        let args: Vec<&str> = ["--api-url", &url].into_iter().chain(command.iter().copied()).collect();
        refused(&host, &args, [&url, "bg-wasm-host serve"]);
    }
    refused(&host, &["--api-url", "nonsense", "list"], ["http://localhost:8000"]);
}

#[test]
fn options_of_the_server_are_refused_where_charms_do_not_run() {
    let host = host();
    let server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    // It may still be starting: a command waits for it.
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    let option = ["--allow-charm-http", "http://127.0.0.1:9"];
    refused(&host, &["run", option[0], option[1]], ["--allow-charm-http", "bg-wasm-host serve"]);
    refused(&host, &["trigger", &charm, option[0], option[1]], ["--allow-charm-http", "bg-wasm-host serve"]);
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn a_second_service_on_the_same_database_is_refused_and_the_first_keeps_running() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "my-test");
    let mut first = host.spawn(["run", "--interval", "1"]).unwrap();
    wait_for_success(&mut first, &charm);
    let pid = first.pid().to_string();
    let attempt = Attempt::begin("database", "a second service, while the first runs").of_process(first.pid());
    for command in [&["run"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        refused(&host, command, ["is in use by", &pid]);
    }
    wait_for_success(&mut first, &charm);
    attempt.ended("refused with the process ID of the first, which continues");
    first.terminate().unwrap().success().unwrap();
}

#[test]
fn a_charm_that_cannot_be_deployed_is_reported_with_file_and_line() {
    let host = host();
    let file =
        host.write("broken.tsx", "import { pattern } from \"commontools\";\n\nexport default pattern(({ =>\n").unwrap();
    refused(&host, &["charm", "deploy", file.to_str().unwrap(), "--space", "x"], ["broken.tsx:3"]);
    let file = host.write("lodash.tsx", "import _ from \"lodash\";\nexport default 1;\n").unwrap();
    refused(&host, &["charm", "deploy", file.to_str().unwrap(), "--space", "x"], ["lodash", "lodash.tsx:1"]);
}
