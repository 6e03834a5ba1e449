//! An operator sees how each integration is doing: in every command, on the pages and in the metrics, whichever process
//! polls.

use std::process::Command;
use std::time::Instant;

use bg_poller::Cause;
use bg_test_support::{Browser, Running, TestHost, available, request};
use serde_json::{Value, json};

use crate::blame::TEMPORARY;
use crate::common::{SOON, VALID, component, deploy, fixture, host, pictures, register};
use crate::guest::guest;

const TRAP: &str = "unreachable";
const TOKEN: &str = "the-operators-own-token";

fn printed(host: &TestHost, args: &[&str]) -> Value {
    let printed = host.command(args).unwrap().success().unwrap();
    serde_json::from_str(&printed.stdout).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// How an integration is doing, as `status` says it.
fn health(host: &TestHost, integration: &str) -> Value {
    let status = printed(host, &["status", "--json"]);
    let all = status["integrations"].as_array().unwrap();
    all.iter().find(|one| one["integration"] == integration).map(|one| one["health"].clone()).unwrap_or_default()
}

fn wait_for_state(host: &TestHost, integration: &str, state: &str) -> Value {
    let until = Instant::now() + SOON;
    loop {
        let health = health(host, integration);
        if health["state"] == state {
            return health;
        }
        assert!(Instant::now() < until, "{integration} is not {state}: {health}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// An address that a service says it listens on.
fn address(service: &mut Running) -> std::net::SocketAddr {
    const BEFORE: &str = "listening on http://";
    let line = service.wait_for_line(|line| line.contains(BEFORE), SOON).unwrap();
    let (_, address) = line.split_once(BEFORE).unwrap();
    address.split(['"', '/', ' ']).next().unwrap().parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn get(at: std::net::SocketAddr, path: &str) -> String {
    let bearer = format!("Bearer {TOKEN}");
    let reply = request(at, "GET", path, &[("Authorization", &bearer)], b"").unwrap();
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text()
}

/// A component that always traps, one without the grant that it needs, and one that works; each with a charm.
fn three(host: &TestHost) -> (Vec<String>, [String; 3]) {
    let inputs = json!({
        "auth": {"token": "ya29.not-a-real-token", "refreshToken": "1//nor-this"},
        "settings": {"gmailFilterQuery": "in:INBOX", "limit": 100, "historyId": "7"},
    });
    let mail = deploy(host, &fixture("gmail.tsx"), "mail", &inputs);
    register(host, &mail, "gmail");
    let [broken, fine] = ["broken", "fine"].map(|name| {
        let charm = deploy(host, &fixture("counter.tsx"), name, &json!({}));
        register(host, &charm, name);
        charm
    });
    let files = [
        guest(host, "broken", &[&broken], Some(TRAP), VALID),
        guest(host, "fine", &[&fine], None, VALID),
        component("gmail"),
    ];
    let mut args = vec!["run".to_owned(), "--interval".to_owned(), "300ms".to_owned()];
    args.extend(files.into_iter().flat_map(|file| ["--component".to_owned(), file]));
    (args, [mail, broken, fine])
}

fn are_seen(host: &TestHost, at: std::net::SocketAddr, [mail, broken, fine]: &[String; 3]) {
    let paused = wait_for_state(host, "broken", "paused");
    assert!(paused["pausedUntil"].as_u64().unwrap() > 0, "{paused}");
    assert_eq!(paused["failure"]["kind"], "Trapped");
    let reason = paused["reason"].as_str().unwrap();
    assert!(reason.starts_with("fetch-charms failed (") && reason.contains("Trapped: "), "{reason}");
    wait_for_state(host, "fine", "works");

    // Nothing that it asks for is granted: not a green `works`, and the option that grants it.
    let denied = wait_for_state(host, "gmail", "degraded");
    assert!(denied["requests"]["denied"].as_u64().unwrap() > 0, "{denied}");
    assert!(denied["fix"].as_str().unwrap().contains("--allow-http"), "{denied}");

    let status = host.command(["status"]).unwrap().success().unwrap().stdout;
    assert!(status.contains("paused") && status.contains("fetch-charms failed"), "{status}");
    assert!(status.contains("to fix it: allow what was denied, if you want to: --allow-http"), "{status}");
    let list = host.command(["list"]).unwrap().success().unwrap();
    let line = |charm: &String| list.stdout.lines().find(|line| line.starts_with(charm)).unwrap().to_owned();
    assert!(line(broken).contains("  paused (broken)  "), "{list}");
    assert!(line(fine).contains("  running  "), "{list}");
    assert!(list.stderr.contains("the integration broken is paused"), "{list}");
    let listed = printed(host, &["list", "--json"]);
    let of = |name: &str| listed.as_array().unwrap().iter().find(|one| one["integration"] == name).unwrap();
    assert_eq!(
        (&of("broken")["integrationHealth"], &of("fine")["integrationHealth"]),
        (&json!("paused"), &json!("works"))
    );
    assert!(host.command(["show", broken]).unwrap().success().unwrap().stdout.contains("state        paused (broken)"));
    assert!(line(mail).contains("gmail"), "{list}");
    let doctor = host.command(["doctor"]).unwrap().stdout;
    let row = |start: &str| assert!(doctor.lines().any(|line| line.starts_with(start)), "{start}: {doctor}");
    row("weak   integration broken: paused");
    row("weak   integration gmail: ");
    row("ok     integration fine: works");

    let page = get(at, "/admin/integrations/broken");
    let top = page.split("<h2>").next().unwrap();
    assert!(top.contains("id=\"health\"") && top.contains("paused") && top.contains("fetch-charms failed"), "{page}");
    assert!(!get(at, "/admin/integrations/gmail").contains("class=\"state running\">works"));
    let list = get(at, "/admin");
    assert!(list.contains("integration paused") && list.contains("href=\"/admin/integrations/broken\""), "{list}");
    let metrics = get(at, "/metrics");
    for line in [
        "bg_wasm_host_integration_health{integration=\"broken\",state=\"paused\"} 1",
        "bg_wasm_host_integration_health{integration=\"fine\",state=\"works\"} 1",
        "bg_wasm_host_integration_health{integration=\"fine\",state=\"paused\"} 0",
        "bg_wasm_host_integration_health{integration=\"gmail\",state=\"works\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    assert!(metrics.contains("bg_wasm_host_integration_last_failure_timestamp_seconds{integration=\"broken\"}"));
}

#[test]
fn one_that_fails_and_one_that_is_denied_everything_are_seen_everywhere() {
    let host = host().env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let (mut args, charms) = three(&host);
    args.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
    let mut service = host.spawn(&args).unwrap();
    let at = address(&mut service);
    are_seen(&host, at, &charms);
    service.terminate().unwrap().success().unwrap();
    is_past(&host, &charms[1]);
}

/// What the service said last is said as such once it is gone.
fn is_past(host: &TestHost, broken: &str) {
    let status = host.command(["status"]).unwrap().success().unwrap().stdout;
    assert!(status.contains("not running; as of ") && status.contains(": paused"), "{status}");
    let list = host.command(["list"]).unwrap().success().unwrap();
    assert!(list.stderr.contains("the integration broken is not running; as of "), "{list}");
    let line = list.stdout.lines().find(|line| line.starts_with(broken)).unwrap();
    assert!(!line.contains("paused"), "its charm waits for a service, and not for the end of a pause: {line}");
    let doctor = host.command(["doctor"]).unwrap().stdout;
    assert!(doctor.contains("integration broken: not running; as of "), "{doctor}");
    assert!(doctor.contains("integration fine: not running; as of "), "{doctor}");
    assert!(printed(host, &["status", "--json"])["integrations"][0]["healthAsOf"].as_u64().unwrap() > 0);
}

#[test]
fn they_are_seen_as_well_where_another_process_polls() {
    let host = host().env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let (args, charms) = three(&host);
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    let at = address(&mut server);
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let service = host.spawn(&args).unwrap();
    are_seen(&host, at, &charms);
    service.terminate().unwrap().success().unwrap();
    is_past(&host, &charms[1]);
    server.terminate().unwrap().success().unwrap();
}

/// A text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[test]
fn on_a_narrow_screen_and_on_a_wide_one_nothing_is_out_of_sight() {
    let Some(browser) = Browser::start(pictures()) else { return };
    let host = host().env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let (mut args, _) = three(&host);
    // What a component reports as temporary is not its fault: it keeps failing, and is never paused for it.
    let charm = deploy(&host, &fixture("counter.tsx"), "moody", &json!({}));
    register(&host, &charm, "moody");
    args.extend(["--component".to_owned(), guest(&host, "moody", &[&charm], None, TEMPORARY)]);
    args.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
    let mut service = host.spawn(&args).unwrap();
    let at = address(&mut service);
    let is_so = [("broken", "paused", true), ("moody", "failing", true), ("gmail", "degraded", false)];
    let health = is_so.map(|(name, state, _)| wait_for_state(&host, name, state));
    let status = host.command(["status"]).unwrap().success().unwrap().stdout;
    let lines: Vec<&str> = status.lines().map(str::trim).collect();
    for (health, (name, state, has_remedy)) in health.iter().zip(is_so) {
        let reason: String = health["reason"].as_str().unwrap().chars().take_while(|c| *c != '(').collect();
        let place = lines.iter().position(|line| line.contains(&format!("{name}: 1 registration"))).unwrap();
        assert!(lines[place + 1].starts_with(state) && lines[place + 1].contains(reason.trim()), "{name}: {status}");
        assert!(lines[place + 1].contains("; to fix it: "), "{name}: {status}");
        assert_eq!(lines[place + 1].contains("allow what was denied"), !has_remedy, "{name}: {status}");
    }
    let shown: String = url::form_urlencoded::byte_serialize(
        format!(
            "<!doctype html><body style='margin: 0; background: #111; color: #eee'>\
             <pre style='margin: 0; white-space: pre-wrap; overflow-wrap: anywhere'>{}</pre>",
            escaped(&status)
        )
        .as_bytes(),
    )
    .collect::<String>()
    .replace('+', "%20");
    for width in [390, 1280] {
        browser.size(width, 1_000);
        browser.go(&format!("data:text/html;charset=utf-8,{shown}"));
        browser.screenshot(&format!("seeing-status-{width}"));
    }
    browser.go(&format!("http://{at}/admin/login#{TOKEN}"));
    browser.wait_for_text("Registrations");
    for (page, path, shows) in [
        (
            "list",
            "/admin",
            &[
                "integration paused",
                "failing",
                "degraded",
                "fetch-charms failed",
                "is-valid-charm failed",
                "last failure",
                "were denied",
                "allow what was denied, if you want to: --allow-http",
            ][..],
        ),
        ("integrations", "/admin/integrations", &["fetch-charms failed", "is-valid-charm failed", "were denied"]),
        (
            "paused",
            "/admin/integrations/broken",
            &["paused", "fetch-charms failed", "Trapped", "Last failure", "ago", "to fix it: "],
        ),
        (
            "failing",
            "/admin/integrations/moody",
            &["failing", "is-valid-charm failed", "Unavailable: no way", "Last failure", "ago", "to fix it: "],
        ),
        ("denied", "/admin/integrations/gmail", &["degraded", "were denied", "--allow-http"]),
        ("works", "/admin/integrations/fine", &["works"]),
    ] {
        for width in [390, 1280] {
            browser.size(width, 1_400);
            browser.go(&format!("http://{at}{path}"));
            for word in shows {
                browser.wait_for_text(word);
            }
            if path.starts_with("/admin/integrations/") {
                assert_eq!(browser.text_of("#health .state"), shows[0], "{page}");
            }
            browser.screenshot(&format!("seeing-{page}-{width}"));
            let found = browser.js(
                "const seen = (element) => { const { right, width } = element.getBoundingClientRect(); return width > 0 && right <= innerWidth; }; \
                 return { page: document.documentElement.scrollWidth - innerWidth, \
                          hidden: [...document.querySelectorAll('#main button, #main .button, #main .status, #main td:last-child')] \
                                  .filter((element) => !seen(element)).map((element) => element.outerHTML.slice(0, 200)) };",
            );
            assert!(found["page"].as_i64().unwrap() <= 0, "{page} at {width}: {found:#}");
            assert_eq!(found["hidden"], json!([]), "{page} at {width}");
        }
    }
    drop(browser);
    service.terminate().unwrap().success().unwrap();
}

/// What the log says of integrations, as warnings.
fn warnings(service: &Running) -> Vec<Value> {
    let lines = service.lines();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(&line.text).ok());
    lines.filter(|line| line["integration"].is_string() && line["level"] == "WARN").collect()
}

#[test]
fn what_the_log_advises_about_an_integration_is_what_every_other_place_advises() {
    let host = host().env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let (mut args, _) = three(&host);
    let moody = deploy(&host, &fixture("counter.tsx"), "moody", &json!({}));
    register(&host, &moody, "moody");
    args.extend(["--component".to_owned(), guest(&host, "moody", &[&moody], None, TEMPORARY)]);
    args.extend(["--listen", "127.0.0.1:0", "--log-format", "json"].map(str::to_owned));
    let mut service = host.spawn(&args).unwrap();
    let at = address(&mut service);
    // What is last logged of each, in the state that it keeps.
    let last = [
        ("broken", "paused", "The integration broken is paused for "),
        ("moody", "failing", "is-valid-charm of the integration moody fails"),
        ("gmail", "degraded", "The integration gmail is degraded: all "),
    ];
    for (name, state, message) in last {
        wait_for_state(&host, name, state);
        let is_logged = |line: &str| line.contains(message);
        if !service.lines().iter().any(|line| is_logged(&line.text)) {
            service.wait_for_line(is_logged, SOON).unwrap();
        }
    }
    let warnings = warnings(&service);
    for line in &warnings {
        assert!(line["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "no fix: {line}");
        if line["outcome"].is_string() {
            let cause = Cause::of_name(line["cause"].as_str().unwrap()).unwrap();
            assert_eq!(line["blame"], cause.blame().as_str(), "{line}");
        }
    }
    let status = printed(&host, &["status", "--json"]);
    let doctor = host.command(["doctor"]).unwrap().stdout;
    for (name, _, message) in last {
        let of = |line: &&Value| line["message"].as_str().is_some_and(|text| text.contains(message));
        let line = warnings.iter().rfind(of).unwrap();
        let all = status["integrations"].as_array().unwrap();
        let shown = all.iter().find(|one| one["integration"] == name).unwrap();
        let fix = shown["fix"].as_str().unwrap();
        assert_eq!((&line["fix"], &line["cause"]), (&shown["fix"], &shown["health"]["failure"]["cause"]), "{line}");
        assert!(doctor.lines().any(|row| row.contains(fix)), "{fix}: {doctor}");
        let page = get(at, &format!("/admin/integrations/{name}"));
        assert!(unescaped(&page).contains(&format!("to fix it: <bdi>{fix}</bdi>")), "{fix}: {page}");
    }
    // A charm whose component fails has the same cause and the same advice.
    let registrations: Value = serde_json::from_str(&get(at, "/api/v1/registrations?fixes=true")).unwrap();
    let all = registrations["registrations"].as_array().unwrap();
    let of = all.iter().find(|one| one["integration"] == "moody").unwrap();
    let line = warnings.iter().rfind(|line| line["integration"] == "moody").unwrap();
    assert_eq!((&of["lastCause"], &of["fix"]), (&line["cause"], &line["fix"]), "{of}");
    service.terminate().unwrap().success().unwrap();
}

/// The text of HTML whose texts are escaped.
fn unescaped(html: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    let coded = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&#38;", "&")];
    named.iter().chain(&coded).fold(html.to_owned(), |text, (code, sign)| text.replace(code, sign))
}

#[test]
fn a_first_compilation_is_said_with_the_time_that_it_takes_and_its_end() {
    let host = host().env("BG_WASM_HOST_CACHE", "no-cache-yet");
    let charm = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo/baedreiew6ioyvfnvp2bdyfsylltqnevcclj35ihsqnjqatgl4zbrq5c5ve";
    let file = guest(&host, "mine", &[charm], None, VALID);
    let first = host.command(["run", "--once", "--component", &file]).unwrap().success().unwrap().stderr;
    assert!(first.contains(&format!("compiling {file}, which takes about 1 s the first time")), "{first}");
    assert!(first.contains(&format!("compiled {file} in ")), "{first}");
    assert!(first.contains("script.wasm, which takes about "), "{first}");
    let second = host.command(["run", "--once", "--component", &file]).unwrap().success().unwrap().stderr;
    assert!(!second.contains("compil"), "{second}");
}

#[test]
fn a_run_polls_the_charms_of_the_integrations_that_it_is_for() {
    let host = host();
    let [mine, other] = ["mine", "other"].map(|name| {
        let charm = deploy(&host, &fixture("counter.tsx"), name, &json!({}));
        register(&host, &charm, name);
        charm
    });
    let file = guest(&host, "mine", &[&mine], None, VALID);
    let polled = |args: &[&str]| {
        let log = host.command(["run", "--once"].iter().chain(args)).unwrap().success().unwrap().stderr;
        [&mine, &other].map(|charm| log.contains(&format!("Successfully executed charm {charm}")))
    };
    assert_eq!(polled(&[]), [true, true]);
    assert_eq!(polled(&["--component", &file]), [true, false], "a component is tried out with its own charms");
    assert_eq!(polled(&["--integration", "other"]), [false, true]);
    assert_eq!(polled(&["--integration", "other", "--component", &file]), [false, true]);
    assert_eq!(polled(&["--integration", "mine", "--integration", "other"]), [true, true]);
    assert_eq!(polled(&["--charms", &other, "--component", &file]), [false, true]);
    // What a configuration file names is what the service always has.
    host.write("run.toml", format!("components = ['{file}']\n")).unwrap();
    assert_eq!(polled(&["--config", "run.toml"]), [true, true]);
}

#[test]
fn a_charm_that_its_component_leaves_out_is_polled_when_it_is_named() {
    let host = host().env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let charm = deploy(&host, &fixture("counter.tsx"), "quiet", &json!({}));
    register(&host, &charm, "quiet");
    let file = guest(&host, "quiet", &[], None, VALID);
    host.command(["run", "--once", "--charms", &charm]).unwrap().success().unwrap();
    let args = ["run", "--interval", "300ms", "--component", &file, "--listen", "127.0.0.1:0"];
    let mut service = host.spawn(args).unwrap();
    let at = address(&mut service);
    let until = Instant::now() + SOON;
    while !get(at, "/admin").contains("<td data-label=\"Next run\">when named</td>") {
        assert!(Instant::now() < until, "{}", get(at, "/admin"));
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn a_run_for_one_integration_keeps_what_is_known_of_the_others() {
    let host = host();
    let [mine, other] = ["mine", "other"].map(|name| {
        let charm = deploy(&host, &fixture("counter.tsx"), name, &json!({}));
        register(&host, &charm, name);
        charm
    });
    let broken = guest(&host, "mine", &[&mine], Some(TRAP), VALID);
    let works = guest(&host, "other", &[&other], None, VALID);
    host.write("run.toml", format!("components = ['{broken}', '{works}']\n")).unwrap();
    host.command(["run", "--once", "--config", "run.toml"]).unwrap().failure().unwrap();
    let shown = || {
        let status = host.command(["status"]).unwrap().success().unwrap().stdout;
        status.lines().find(|line| line.contains("failing: ")).map(str::to_owned)
    };
    assert!(shown().is_some());
    for round in 0..3 {
        let once = ["run", "--once", "--config", "run.toml", "--integration", "other"];
        host.command(once).unwrap().success().unwrap();
        let line = shown().unwrap_or_else(|| panic!("run {round} forgot it"));
        assert!(line.contains("not running; as of "), "{line}");
    }
}

#[test]
fn a_run_once_whose_poll_failed_says_so_whoever_is_to_blame() {
    let host = host();
    let source = "/// <cts-enable />\n\
        import { type Default, handler, pattern } from \"commontools\";\n\
        const act = handler<unknown, { url: string }>(async (_, { url }) => { await fetch(url); });\n\
        export default pattern<{ url: Default<string, \"\"> }>(({ url }) => ({ url, bgUpdater: act({ url }) }));\n";
    let file = host.write("asks.tsx", source).unwrap();
    // Nothing listens there any more.
    let base = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let charm = deploy(&host, file.to_str().unwrap(), "my-space", &json!({"url": base}));
    register(&host, &charm, "mine");
    let grants = ["run", "--once", "--allow-private", &base, "--allow-charm-http", &base];
    for (args, outcome) in [(&grants[..], "Unavailable"), (&["run", "--once", "--charms", &charm][..], "Denied")] {
        host.command(args).unwrap().failure().unwrap();
        assert_eq!(printed(&host, &["runs", &charm, "--json"])[0]["outcome"]["kind"], outcome);
    }
}

#[test]
fn a_data_directory_that_is_not_there_is_made_by_what_begins_work_alone() {
    let host = host();
    let typo = host.dir().join("typo");
    let dir = typo.to_str().unwrap().to_owned();
    // A charm has to be there to be registered.
    let charm = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo/fid1:test";
    for args in [
        &["list"][..],
        &["status"],
        &["add-admin-charm"],
        &["space", "list"],
        &["backup", "copy.db"],
        &["doctor"],
        &["register", charm, "--integration", "mine"],
    ] {
        let refused = host.command(["--data-dir", &dir].iter().chain(args)).unwrap().failure().unwrap();
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains("typo is not there") && said.contains("--data-dir DIR"), "{args:?}: {said}");
        assert!(!typo.exists(), "{args:?} made it");
    }
    let file = fixture("counter.tsx");
    host.command(["--data-dir", &dir, "charm", "deploy", &file, "--space", "my-space"]).unwrap().success().unwrap();
    host.command(["--data-dir", &dir, "list"]).unwrap().success().unwrap();
    // Late failures of a service, which is confined by then, leave nothing either.
    let no_component = host.write("no.wasm", "no component").unwrap();
    for late in [&["run", "--component", no_component.to_str().unwrap()][..], &["serve", "--listen", "192.0.2.1:0"]] {
        let late_dir = host.dir().join("late/one");
        host.command(["--data-dir", late_dir.to_str().unwrap()].iter().chain(late)).unwrap().failure().unwrap();
        assert!(!host.dir().join("late").exists(), "{late:?} leaves a folder");
    }
    let another = host.dir().join("another/one");
    host.command(["--data-dir", another.to_str().unwrap(), "run", "--once"]).unwrap().success().unwrap();
    assert!(another.join("runtime.db").is_file());
    let third = host.dir().join("third");
    let args = ["--data-dir", third.to_str().unwrap(), "serve", "--listen", "127.0.0.1:0"];
    let mut server = host.spawn(args).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    assert!(third.join("runtime.db").is_file());
    server.terminate().unwrap().success().unwrap();
}

/// Runs a program in a new terminal, presses Ctrl-C once it asks, and prints its status.
const CTRL_C: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b''
while b'[y/N]' not in said:
    said += os.read(terminal, 4096)
os.write(terminal, b'\\x03')
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn the_first_ctrl_c_ends_a_program_that_asks_for_a_grant() {
    let python = Command::new("python3").arg("--version").output().map_err(|error| error.to_string());
    if available(python).is_none() {
        return;
    }
    let host = host().prefix(["python3", "-c", CTRL_C].map(Into::into));
    let ended = host.command(["run", "--component", &component("gmail")]).unwrap().success().unwrap();
    assert_eq!(ended.stdout.trim(), "0", "{ended}");
}
