//! Components that fail in every way: what each failure is called everywhere, and that failing integrations are paused.

use bg_abuse::Attempt;
use bg_test_support::{Finished, RawAnswer, RawServer, TestHost};
use serde_json::{Value, json};

use crate::common::{SOON, VALID, component, deploy, fixture, host, register, wait_for_success};
use crate::guest::guest;

/// An endless loop.
pub(crate) const LOOP: &str = "(loop $forever (br $forever)) (i32.const 0)";
pub(crate) const TRAP: &str = "unreachable";
/// 128 MiB; the limit is 64.
pub(crate) const GROW: &str =
    "(if (i32.eq (memory.grow (i32.const 2048)) (i32.const -1)) (then unreachable)) (i32.const 0)";
/// The limit is 40,000.
pub(crate) const TABLE: &str = "(if (i32.eq (table.grow $table (ref.null func) (i32.const 50000)) (i32.const -1)) (then unreachable)) \
                     (i32.const 0)";
/// A permanent error, `no way`: the second case of both variants, at address 48.
pub(crate) const PERMANENT: &str = "(i32.store8 (i32.const 48) (i32.const 1)) (i32.store8 (i32.const 52) (i32.const 1)) \
                         (i32.store (i32.const 56) (i32.const 128)) (i32.store (i32.const 60) (i32.const 6)) (i32.const 48)";
/// Traps if the charm has a stream `add`.
const PICKY: &str = "(call $has-stream (local.get $charm) (i32.const 136) (i32.const 3) (i32.const 64)) \
                     (if (i32.load8_u (i32.const 68)) (then unreachable)) \
                     (i32.store8 (i32.const 52) (i32.const 1)) (i32.const 48)";
/// The output of a command, as JSON.
fn printed(host: &TestHost, args: &[&str]) -> Value {
    let printed = host.command(args).unwrap().success().unwrap();
    serde_json::from_str(&printed.stdout).unwrap()
}

/// The logged lines, as JSON, with that text in their message.
fn logged(run: &Finished, message: &str) -> Vec<Value> {
    let lines = run.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.contains(message))).collect()
}

#[test]
fn every_failure_has_the_same_name_in_the_log_the_run_history_and_the_api() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    register(&host, &charm, "bad");
    let limits = ["--limit", "is-valid-charm-time=200ms", "--limit", "fetch-charms-time=200ms"];
    for (kind, code) in [
        ("Timeout", LOOP),
        ("OutOfMemory", GROW),
        ("LimitExceeded", TABLE),
        ("Trapped", TRAP),
        ("HandlerFailed", PERMANENT),
    ] {
        let run = |file: &str, more: &[&str]| {
            let args = ["run", "--once", "--component", file].into_iter().chain(limits).chain(more.iter().copied());
            host.command(args).unwrap().failure().unwrap()
        };
        let file = guest(&host, "bad", &[&charm], None, code);
        let json = run(&file, &["--log-format", "json"]);
        let [line] = logged(&json, &format!("Charm {charm} failed")).try_into().unwrap();
        assert_eq!((&line["outcome"], &line["target"]), (&json!(kind), &json!("poller")), "{line}");
        assert!(line["message"].as_str().unwrap().contains(&format!("{kind}: is-valid-charm")), "{line}");
        let text = run(&file, &[]);
        assert!(text.stderr.contains(&format!("outcome={kind}")), "{text}");
        assert_eq!(printed(&host, &["runs", &charm, "--json"])[0]["outcome"]["kind"], kind);
        let listed = printed(&host, &["list", "--json"]);
        assert_eq!(listed[0]["lastOutcome"], kind, "{listed}");
        assert!(listed[0]["status"].as_str().unwrap().starts_with(&format!("{kind}: ")), "{listed}");

        let file = guest(&host, "bad", &[], Some(code), VALID);
        let json = run(&file, &["--log-format", "json"]);
        let [line] = logged(&json, "fetch-charms of the integration bad failed").try_into().unwrap();
        assert_eq!((&line["outcome"], &line["integration"]), (&json!(kind), &json!("bad")), "{line}");
        let text = run(&file, &[]);
        assert!(text.stderr.contains(&format!("outcome={kind}")), "{text}");
    }

    // The same from a server, by its API.
    let before = (printed(&host, &["list", "--json"]), printed(&host, &["runs", &charm, "--json"]));
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let by_api = (printed(&host, &["list", "--json"]), printed(&host, &["runs", &charm, "--json"]));
    assert_eq!(before, by_api);
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn a_component_whose_every_call_fails_is_paused_beside_one_that_works() {
    let host = host();
    let inputs = json!({"auth": {"token": "ya29.not-a-real-token", "refreshToken": "1//nor-this"}});
    let healthy = deploy(&host, &fixture("mailbox.tsx"), "mail", &inputs);
    register(&host, &healthy, "gmail");
    let bad = guest(&host, "bad", &[], Some(TRAP), TRAP);
    let gmail = component("gmail");
    let options = ["run", "--interval", "200ms", "--log-interval", "1", "--component", &bad, "--component", &gmail];
    let mut service = host.spawn(options).unwrap();
    let attempt = Attempt::begin("failing", "fetch-charms traps at every call").of_process(service.pid());

    let line = service.wait_for_line(|line| line.contains("The integration bad is paused for"), SOON).unwrap();
    for part in ["fetch-charms failed 5 times in a row", "its charms are not polled", "outcome=Trapped", "Trapped: "] {
        assert!(line.contains(part), "{part}: {line}");
    }
    wait_for_success(&mut service, &healthy);
    let line = service.wait_for_line(|line| line.contains("fetch-charms still fails"), SOON).unwrap();
    assert!(line.contains("The integration bad is paused for"), "{line}");
    service.wait_for_line(|line| line.contains("paused=1"), SOON).unwrap();
    wait_for_success(&mut service, &healthy);
    attempt.ended("paused: Trapped");
    let ended = service.terminate().unwrap().success().unwrap();
    assert!(!ended.stderr.contains("The integration gmail is paused"), "{ended}");
}

#[test]
fn a_component_that_fails_for_every_charm_is_paused_and_disables_none() {
    let host = host();
    let charms: Vec<String> = (0..5)
        .map(|number| {
            let charm = deploy(&host, &fixture("counter.tsx"), &format!("space-{number}"), &json!({}));
            register(&host, &charm, "bad");
            charm
        })
        .collect();
    let names: Vec<&str> = charms.iter().map(String::as_str).collect();
    let bad = guest(&host, "bad", &names, None, GROW);
    let options = ["run", "--interval", "200ms", "--failures", "2", "--component", &bad];
    let mut service = host.spawn(options).unwrap();
    let attempt = Attempt::begin("failing", "is-valid-charm fails for every charm").of_process(service.pid());
    let line = service.wait_for_line(|line| line.contains("The integration bad is paused for"), SOON).unwrap();
    for part in ["is-valid-charm failed for 5 charms and answered for none", "outcome=OutOfMemory"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // After a pause the charms are tried again, and fail again.
    service.wait_for_line(|line| line.contains("The integration bad works again after a pause"), SOON).unwrap();
    for charm in &charms {
        service.wait_for_line(|line| line.contains("failed: OutOfMemory") && !line.contains(charm), SOON).unwrap();
    }
    let listed = printed(&host, &["list", "--json"]);
    let enabled = listed.as_array().unwrap().iter().filter(|entry| entry["disabledAt"] == 0).count();
    assert_eq!(enabled, charms.len(), "{listed}");
    attempt.ended("paused: OutOfMemory");
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn the_only_charm_that_makes_the_component_trap_is_disabled_and_pauses_nothing() {
    let host = host();
    let [good, evil] = &[("good", "twins.tsx"), ("evil", "counter.tsx")].map(|(space, source)| {
        let charm = deploy(&host, &fixture(source), space, &json!({}));
        register(&host, &charm, "picky");
        charm
    });
    let picky = guest(&host, "picky", &[good, evil], None, PICKY);
    let mut service = host.spawn(["run", "--interval", "200ms", "--failures", "2", "--component", &picky]).unwrap();
    let attempt = Attempt::begin("failing", "one charm makes is-valid-charm trap").of_process(service.pid());
    // After two failures, plus those before the component first succeeded for the other charm in between.
    let line = service.wait_for_line(|line| line.contains("is disabled after "), SOON).unwrap();
    assert!(line.contains(evil), "{line}");
    wait_for_success(&mut service, good);
    wait_for_success(&mut service, good);
    attempt.ended("the charm is disabled");
    let ended = service.terminate().unwrap().success().unwrap();
    assert!(!ended.stderr.contains("is paused"), "{ended}");
    let shown = host.command(["show", evil]).unwrap().success().unwrap().stdout;
    assert!(shown.contains(" failures in a row: Trapped: is-valid-charm"), "{shown}");
}

#[test]
fn limits_can_be_set_for_the_process_that_runs_code() {
    let host = host();
    let source = "import { Cell, handler, pattern } from \"commontools\";\n\
        const spin = handler<unknown, { n: Cell<number> }>(() => { for (;;) {} });\n\
        export default pattern<{ n: number }>(({ n }) => ({ n, bgUpdater: spin({ n }) }));\n";
    let file = host.write("spin.tsx", source).unwrap();
    let charm = deploy(&host, file.to_str().unwrap(), "my-space", &json!({"n": 1}));
    register(&host, &charm, "my-test");
    let said = "Timeout: handle took longer than 300 ms";
    let triggered = host.command(["trigger", &charm, "--limit", "charm-time=300ms"]).unwrap().failure().unwrap();
    assert!(triggered.stdout.contains(said), "{triggered}");
    host.write("service.toml", "[limits]\ncharm-time = \"300ms\"\n").unwrap();
    let run = host.command(["run", "--once", "--config", "service.toml"]).unwrap().failure().unwrap();
    assert!(run.stderr.contains(said), "{run}");

    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0", "--limit", "charm-time=300ms"]).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let triggered = host.command(["trigger", &charm]).unwrap().failure().unwrap();
    assert!(triggered.stdout.contains(said), "{triggered}");
    let refused = host.command(["trigger", &charm, "--limit", "charm-time=1s"]).unwrap().failure().unwrap();
    assert!(refused.stderr.contains("bg-wasm-host serve"), "{refused}");
    server.terminate().unwrap().success().unwrap();

    for (limit, said) in [
        ("charm-tiem=1s", "there are fetch-charms-time"),
        ("charm-time=0", "out of range"),
        ("charm-memory=1TB", "a number of bytes"),
        ("charm-time", "NAME=VALUE"),
    ] {
        let refused = host.command(["run", "--once", "--limit", limit]).unwrap().failure().unwrap();
        assert!(refused.stderr.contains(said), "{limit}: {refused}");
    }
    let help = host.command(["run", "--help"]).unwrap().success().unwrap().stdout;
    for part in ["fetch-charms-time=5s", "charm-memory=128MiB", "http-requests=64", "compile-time="] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

/// Stores what a server answers.
pub(crate) const READER: &str = r#"/// <cts-enable />
import { Cell, Default, handler, NAME, pattern } from "commontools";

const read = handler<unknown, { url: string; body: Cell<string> }>(async (_event, { url, body }) => {
  const response = await fetch(url);
  body.set(await response.text());
});

export default pattern<{ url: Default<string, "">; body: Default<string, ""> }>(({ url, body }) => ({
  [NAME]: "Reader",
  body,
  bgUpdater: read({ url, body }),
}));
"#;

#[test]
fn a_charm_that_lacks_a_grant_waits_and_continues_once_it_is_granted_and_the_service_reloads() {
    let host = host();
    let server = RawServer::start(|_| RawAnswer::new("200 OK", "", "hello")).unwrap();
    let origin = format!("http://{}", server.address());
    std::fs::create_dir_all(host.dir().join("etc")).unwrap();
    let source = host.write("reader.tsx", READER).unwrap();
    let charm = deploy(&host, source.to_str().unwrap(), "my-space", &json!({"url": format!("{origin}/x")}));
    register(&host, &charm, "mine");
    let config = format!("interval = \"1h\"\nallow-private = [\"{origin}\"]\n");
    let file = host.write("etc/service.toml", &config).unwrap();
    let mut service = host.spawn(["run", "--config", "etc/service.toml"]).unwrap();
    service.wait_for_line(|line| line.contains("it waits until that is fixed"), SOON).unwrap();
    let listed = printed(&host, &["list", "--json"]);
    assert_eq!(
        (&listed[0]["state"], &listed[0]["lastBlame"]),
        (&json!("waiting"), &json!("configuration")),
        "{listed}"
    );
    assert!(listed[0]["status"].as_str().unwrap().starts_with("Denied: "), "{listed}");

    let granted = format!("{config}allow-charm-http = [\"{origin}\"]\n");
    let new = file.with_extension("new");
    std::fs::write(&new, granted).unwrap();
    std::fs::rename(new, &file).unwrap();
    service.hang_up().unwrap();
    // By its interval it would take an hour.
    wait_for_success(&mut service, &charm);
    let listed = printed(&host, &["list", "--json"]);
    assert_eq!((&listed[0]["state"], &listed[0]["status"]), (&json!("running"), &json!("Success")), "{listed}");
    service.terminate().unwrap().success().unwrap();
}
