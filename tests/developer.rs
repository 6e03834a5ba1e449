//! The daily work of a charm developer: deploy a charm, try it out, read its log, set its cells, change it.

use std::time::Duration;

use bg_test_support::TestHost;
use serde_json::{Value, json};

use crate::common::{SOON, cell, deploy, fixture, host, register, replace, serve, wait_for_success};

/// A charm that logs what it does, at two levels; it counts by `by`.
fn talker(by: u32) -> String {
    format!(
        r#"import {{ Cell, Default, handler, NAME, pattern }} from "commontools";
const poll = handler<unknown, {{ count: Cell<number> }}>((_event, {{ count }}) => {{
  count.set(count.get() + {by});
  console.log(`counted to ${{count.get()}}`);
  console.debug("in detail");
}});
const fail = handler<unknown, {{ count: Cell<number> }}>((_event, {{ count }}) => {{
  console.warn("about to fail");
  count.set(-1);
  throw new Error("on purpose");
}});
export default pattern<{{ count: Default<number, 0> }}>(({{ count }}) => ({{
  [NAME]: "Talker", count, bgUpdater: poll({{ count }}), fail: fail({{ count }}),
}}));
"#
    )
}

fn talker_at(host: &TestHost, name: &str) -> String {
    host.write(name, talker(1)).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_charms_log_is_shown_and_followed_while_a_service_polls_it() {
    let host = host();
    let charm = deploy(&host, &talker_at(&host, "talker.tsx"), "my-space", &json!({}));
    register(&host, &charm, "my-test");
    let mut follower = host.spawn(["charm", "logs", &charm, "--follow"]).unwrap();
    let mut service = host.spawn(["run", "--interval", "1"]).unwrap();
    wait_for_success(&mut service, &charm);
    for text in ["counted to 1", "in detail", "counted to 2"] {
        let line = follower.wait_for_line(|line| line.contains(text), SOON).unwrap();
        let at = line.split_whitespace().next().unwrap();
        assert!(at.len() == 24 && at.starts_with("20") && at.ends_with('Z'), "{line}");
    }
    follower.kill().unwrap();
    service.terminate().unwrap().success().unwrap();

    let shown = host.command(["charm", "logs", &charm, "--json"]).unwrap().success().unwrap().stdout;
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["level"], &lines[0]["text"]), (&json!("info"), &json!("counted to 1")));
    assert_eq!((&lines[1]["level"], &lines[1]["text"]), (&json!("debug"), &json!("in detail")));
    let count = cell(&host, &charm, "count").as_u64().unwrap();
    assert_eq!(lines.len() as u64, 2 * count, "two lines a poll: {shown}");
    let newest = host.command(["charm", "logs", &charm, "--limit", "1"]).unwrap().success().unwrap().stdout;
    assert!(newest.trim_end().ends_with("debug  in detail") && newest.lines().count() == 1, "{newest}");
}

#[test]
fn a_manual_poll_shows_the_charms_log_and_its_outcome_wherever_it_runs() {
    let host = host();
    let charm = deploy(&host, &talker_at(&host, "talker.tsx"), "my-space", &json!({}));
    let check = |count: u32| {
        let polled = host.command(["charm", "trigger", &charm]).unwrap().success().unwrap();
        assert_eq!(polled.stdout.trim(), "Success");
        assert_eq!(polled.stderr.matches(&format!("counted to {count}")).count(), 1, "{polled}");
        assert_eq!(polled.stderr.matches("in detail").count(), 1, "{polled}");
        let failed = host.command(["charm", "trigger", &charm, "--stream", "fail"]).unwrap();
        assert_eq!(failed.status.code(), Some(1), "{failed}");
        assert!(failed.stdout.starts_with("HandlerFailed: Error: on purpose\n"), "{failed}");
        assert!(failed.stdout.contains("talker.tsx:10:"), "{failed}");
        assert!(failed.stderr.contains("about to fail"), "{failed}");
    };
    check(1);
    let (server, _) = serve(&host, "127.0.0.1:0", &[]);
    check(2);
    // The same, by the command's old name, and without the details.
    let polled = host.command(["trigger", &charm, "--log", "info,guest=info"]).unwrap().success().unwrap();
    assert!(polled.stderr.contains("counted to 3") && !polled.stderr.contains("in detail"), "{polled}");

    // Over HTTP, too, for anyone who may read the space.
    let mut follower = host.spawn(["charm", "logs", &charm, "--follow", "--limit", "1"]).unwrap();
    follower.wait_for_line(|line| line.contains("in detail"), SOON).unwrap();
    host.command(["charm", "trigger", &charm]).unwrap().success().unwrap();
    follower.wait_for_line(|line| line.contains("counted to 4"), SOON).unwrap();
    follower.kill().unwrap();
    assert_eq!(cell(&host, &charm, "count"), 4);
    // Without existing lines; the first new line shows that following has begun.
    let mut follower = host.spawn(["charm", "logs", &charm, "--follow", "--limit", "0"]).unwrap();
    let first = (0..60).find_map(|_| {
        host.command(["charm", "trigger", &charm]).unwrap().success().unwrap();
        follower.wait_for_line(|line| line.contains("counted to"), Duration::from_secs(1)).ok()
    });
    let first = first.expect("new lines come");
    assert!((1..=4).all(|old| !first.ends_with(&format!("counted to {old}"))), "{first}");
    follower.kill().unwrap();
    let none = host.command(["charm", "logs", &charm, "--limit", "0"]).unwrap().success().unwrap();
    assert_eq!(none.stdout, "");
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn a_log_is_followed_across_a_restart_of_the_server_without_missing_a_line() {
    let host = host();
    let charm = deploy(&host, &talker_at(&host, "talker.tsx"), "my-space", &json!({}));
    let (server, address) = serve(&host, "127.0.0.1:0", &[]);
    let follow = ["charm", "logs", &charm, "--follow", "--api-url", &format!("http://{address}")];
    let mut follower = host.spawn(follow).unwrap();
    host.command(["charm", "trigger", &charm]).unwrap().success().unwrap();
    follower.wait_for_line(|line| line.contains("counted to 1"), SOON).unwrap();
    server.kill().unwrap();
    follower.wait_for_line(|line| line.contains("trying again until it answers"), SOON).unwrap();
    // While no server runs.
    host.command(["charm", "trigger", &charm]).unwrap().success().unwrap();
    // Another process may have that port for a moment.
    let again = (0..20).find_map(|_| {
        let mut server = host.spawn(["serve", "--listen", &address.to_string()]).unwrap();
        server.wait_for_line(|line| line.contains("listening on http://"), SOON).ok().map(|_| server)
    });
    follower.wait_for_line(|line| line.contains("counted to 2"), SOON).unwrap();
    host.command(["charm", "trigger", &charm]).unwrap().success().unwrap();
    follower.wait_for_line(|line| line.contains("counted to 3"), SOON).unwrap();
    again.expect("the port stays in use").terminate().unwrap().success().unwrap();
}

#[test]
fn cells_are_set_by_hand_locally_and_over_http() {
    let host = host();
    let inputs = json!({"auth": {"token": "", "refreshToken": ""}});
    let charm = deploy(&host, &fixture("chatty.tsx"), "my-space", &inputs);
    let secret = host.write("token.json", "\"tok-SECRET-7\"").unwrap();
    let secret = format!("@{}", secret.display());
    let set = |path: &str, value: &str| host.command(["charm", "set", &charm, path, value]).unwrap();
    let check = |extra: &str| {
        let said = set("auth.token", &secret).success().unwrap();
        assert_eq!(said.stdout.trim(), format!("auth.token of {charm} is set"));
        set("/auth/a.b", "-5").success().unwrap();
        let tried = host.command(["charm", "set", &charm, extra, "[1]", "--create"]).unwrap();
        tried.success().unwrap();
        assert_eq!(cell(&host, &charm, extra), json!([1]));
        let auth = json!({"token": "(secret)", "refreshToken": "(secret)", "a.b": -5});
        assert_eq!(cell(&host, &charm, "auth"), auth);
        for (path, value, expected) in [
            ("bgUpdater", "1", "is a stream"),
            ("nothing", "1", "its cells: auth"),
            ("auth.token.x", "1", "auth.token is a text"),
            ("auth", "{\"token\": \"tok-SECRET-7\"", "the value is not JSON"),
        ] {
            let refused = set(path, value).failure().unwrap();
            assert!(refused.stderr.contains(expected) && !refused.stderr.contains("SECRET"), "{refused}");
        }
    };
    check("one");
    let (server, _) = serve(&host, "127.0.0.1:0", &[]);
    check("two");
    server.terminate().unwrap().success().unwrap();
    // The charm reads the token that was set, and does not reveal it.
    let failed = host.command(["charm", "trigger", &charm]).unwrap().failure().unwrap();
    assert!(failed.stdout.contains("cannot use (secret)"), "{failed}");
    let database = std::fs::read(host.data_dir().join("runtime.db")).unwrap();
    assert!(!database.windows(12).any(|window| window == b"tok-SECRET-7"));

    // From standard input.
    let piped = ["sh", "-c", "echo '{\"n\": 1}' | exec \"$@\"", "sh"].map(Into::into);
    let host = host.prefix(piped);
    host.command(["charm", "set", &charm, "one.0", "-"]).unwrap().success().unwrap();
    assert_eq!(cell(&host, &charm, "one"), json!([{"n": 1}]));
}

#[test]
fn a_watched_charm_is_updated_in_place_at_each_change_and_after_an_error_at_the_next() {
    let host = host();
    let file = talker_at(&host, "talker.tsx");
    let args = ["charm", "deploy", &file, "--space", "my-space", "--watch", "--trigger"];
    let mut watching = host.spawn(args).unwrap();
    let id = watching.wait_for_line(|line| line.starts_with("baedrei"), SOON).unwrap();
    watching.wait_for_line(|line| line.contains("counted to 1"), SOON).unwrap();
    watching.wait_for_line(|line| line == "Success", SOON).unwrap();

    std::fs::write(&file, "import { pattern } from \"commontools\";\nexport default pattern(((;\n").unwrap();
    watching.wait_for_line(|line| line.contains("error: ") && line.contains("talker.tsx:2:"), SOON).unwrap();
    std::fs::remove_file(&file).unwrap();
    replace(&file, talker(10));
    watching.wait_for_line(|line| line.contains("updated in place"), SOON).unwrap();
    watching.wait_for_line(|line| line.contains("counted to 11"), SOON).unwrap();
    watching.wait_for_line(|line| line == "Success", SOON).unwrap();

    // A handler that never ends is cancelled when its source changes.
    replace(&file, talker(100).replace("count.set(count.get() + 100);", "console.log('on and on'); for (;;) {}"));
    watching.wait_for_line(|line| line.contains("on and on"), SOON).unwrap();
    replace(&file, talker(100));
    watching.wait_for_line(|line| line.contains("was cancelled"), SOON).unwrap();
    watching.wait_for_line(|line| line.contains("counted to 111"), SOON).unwrap();
    watching.wait_for_line(|line| line == "Success", SOON).unwrap();
    watching.terminate().unwrap().success().unwrap();

    let listed = host.command(["charm", "list", "--space", "my-space"]).unwrap().success().unwrap().stdout;
    assert_eq!(listed.lines().count(), 2, "one charm, and the head of the table: {listed}");
    let charm = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(charm.ends_with(&id), "{charm} {id}");

    // Once, by its name, over HTTP.
    let (server, _) = serve(&host, "127.0.0.1:0", &[]);
    replace(&file, talker(1000));
    let updated = host.command(["charm", "deploy", &file, "--update", charm, "--trigger"]).unwrap().success().unwrap();
    assert!(updated.stderr.contains("updated in place") && updated.stderr.contains("counted to 1111"), "{updated}");
    assert_eq!((updated.stdout.as_str(), updated.stderr.contains("Success")), (format!("{id}\n").as_str(), true));
    server.terminate().unwrap().success().unwrap();
    let wrong = host.command(["charm", "deploy", &file]).unwrap().failure().unwrap();
    assert!(wrong.stderr.contains("--space"), "{wrong}");
}

#[test]
fn charm_test_leaves_nothing_behind() {
    let host = host();
    let file = talker_at(&host, "talker.tsx");
    let tried = host.command(["charm", "test", &file, "--polls", "2", "--inputs", "{\"count\": 5}"]).unwrap();
    let tried = tried.success().unwrap();
    for expected in ["info   counted to 6", "debug  in detail", "count: 5 -> 6", "count: 6 -> 7"] {
        assert!(tried.stdout.contains(expected), "{expected}: {tried}");
    }
    assert!(tried.stdout.lines().any(|line| line.starts_with("poll 2, ") && line.ends_with(" ms: Success")), "{tried}");

    let failed = host.command(["charm", "test", &file, "--stream", "fail", "--json"]).unwrap();
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    let report: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(report["success"], false);
    let poll = &report["polls"][0];
    assert_eq!((&poll["outcome"]["kind"], &poll["changes"]), (&json!("HandlerFailed"), &json!([])));
    assert_eq!(poll["log"][0]["text"], "about to fail");
    assert!(poll["outcome"]["stack"].as_str().unwrap().contains("talker.tsx:10:"), "{poll}");
    assert!(poll["durationMs"].is_u64(), "{poll}");

    let chatty = [
        "charm",
        "test",
        &fixture("chatty.tsx"),
        "--inputs",
        "{\"auth\": {\"token\": \"tok-SECRET\", \"refreshToken\": \"\"}}",
    ];
    let secret = host.command(chatty).unwrap().failure().unwrap();
    assert!(
        secret.stdout.contains("my token is (secret)") && !secret.to_string().contains("is tok-SECRET"),
        "{secret}"
    );
    let broken = host.write("broken.tsx", "export default (").unwrap();
    let broken = host.command(["charm", "test", broken.to_str().unwrap()]).unwrap().failure().unwrap();
    assert!(broken.stderr.contains("broken.tsx:1:"), "{broken}");

    // Interrupted in the middle of an endless handler.
    let loops = ["charm", "test", &fixture("faulty.tsx"), "--stream", "loops"];
    let ended = host.spawn(loops).unwrap();
    let tmp = host.dir().join("tmp");
    let folders = || std::fs::read_dir(&tmp).unwrap().count();
    let until = std::time::Instant::now() + SOON;
    while folders() == 0 {
        assert!(std::time::Instant::now() < until, "no folder");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ended.terminate().unwrap().failure().unwrap();
    assert_eq!(folders(), 0, "every folder is gone");
    assert_eq!(std::fs::read_dir(host.data_dir()).unwrap().count(), 0, "it has its own runtime");
}

#[test]
fn a_space_belongs_to_its_creator_and_its_access_list_can_be_changed() {
    let host = host();
    let charm = deploy(&host, &fixture("counter.tsx"), "my-space", &json!({}));
    let me = host.command(["identity", "show"]).unwrap().success().unwrap().stdout.trim().to_owned();
    let acl = |args: &[&str]| {
        let args = [&["charm", "acl", "my-space"], args].concat();
        host.command(args).unwrap().success().unwrap().stdout
    };
    let shown = acl(&[]);
    let has = |shown: &str, subject: &str, level: &str| {
        shown.lines().any(|line| line.split_whitespace().eq([subject, level]))
    };
    assert!(has(&shown, "*", "WRITE") && has(&shown, &me, "OWNER"), "{shown}");

    let (server, address) = serve(&host, "127.0.0.1:0", &[]);
    let stranger = self::host().env("API_URL", format!("http://{address}")).env("OPERATOR_PASS", "somebody else");
    let them = stranger.command(["identity", "show"]).unwrap().success().unwrap().stdout.trim().to_owned();
    stranger.command(["charm", "set", &charm, "count", "7"]).unwrap().success().unwrap();
    let shown = acl(&["--revoke", "*", "--grant", &format!("{them}=READ")]);
    assert!(!shown.contains("* ") && has(&shown, &them, "READ") && has(&shown, &me, "OWNER"), "{shown}");
    stranger.command(["charm", "logs", &charm]).unwrap().success().unwrap();
    let refused = stranger.command(["charm", "set", &charm, "count", "8"]).unwrap().failure().unwrap();
    assert!(refused.stderr.contains("has READ access and needs WRITE"), "{refused}");
    let refused = stranger.command(["charm", "acl", "my-space", "--grant", "*=OWNER"]).unwrap().failure().unwrap();
    assert!(refused.stderr.contains("needs OWNER"), "{refused}");
    assert_eq!(cell(&host, &charm, "count"), 7);
    server.terminate().unwrap().success().unwrap();
}

/// A charm that stores values of other types than declared: once visible in the source, once only during a poll.
const CARELESS: &str = r#"import { Cell, Default, handler, pattern } from "commontools";
interface Reading { at: string; value: number }
const poll = handler<unknown, { list: Cell<number[]>; readings: Cell<Reading[]> }>((_event, { list, readings }) => {
  list.set(list.get().push(1));
  const all = [1, 2, 3].map((value) => ({ at: new Date(0).toISOString(), value }));
  readings.set(JSON.parse(JSON.stringify([...all, { at: 1234567, value: 4 }, { at: 1234567, value: 5 }])));
});
export default pattern<{ list: Default<number[], []>; readings: Default<Reading[], []> }>(({ list, readings }) => ({
  list, readings, bgUpdater: poll({ list, readings }),
}));
"#;

#[test]
fn writes_that_contradict_types_are_reported_at_deploy_and_in_the_log_and_are_kept() {
    let host = host();
    let file = host.write("careless.ts", CARELESS).unwrap().to_str().unwrap().to_owned();
    let seen =
        "careless.ts:4:12: this stores a number (what `push` returns) in `list`, which is declared as `number[]`";
    let met = "what was written to readings[3].at is a number, and its declared type is string";

    let tried = host.command(["charm", "test", &file]).unwrap().success().unwrap();
    for warning in [format!("warn   {seen}"), format!("warn   {met}")] {
        assert_eq!(tried.stdout.matches(&warning).count(), 1, "{warning}: {tried}");
    }
    assert!(tried.stdout.contains("list: [] -> 1") && !tried.stdout.contains("readings[4]"), "{tried}");

    // The same by the service's API, and from the charm's log.
    let (server, _) = serve(&host, "127.0.0.1:0", &[]);
    let deployed =
        host.command(["charm", "deploy", &file, "--space", "my-space", "--trigger"]).unwrap().success().unwrap();
    assert!(deployed.stderr.contains(seen), "{deployed}");
    let again = host.command(["charm", "deploy", &file, "--space", "my-space"]).unwrap().success().unwrap();
    assert!(again.stderr.contains(seen), "{again}");
    let listed = host.command(["charm", "list", "--space", "my-space"]).unwrap().success().unwrap().stdout;
    let charm = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    let log = host.command(["charm", "logs", charm]).unwrap().success().unwrap().stdout;
    assert!(log.contains(seen) && log.contains(met), "{log}");
    assert_eq!((cell(&host, charm, "list"), log.contains("1234567")), (json!(1), false));
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn charm_test_prints_the_first_lines_and_changes_and_says_where_the_rest_is() {
    let host = host();
    let source = r#"import { Cell, Default, handler, NAME, pattern } from "commontools";
const poll = handler<unknown, { all: Cell<Record<string, string>> }>((_event, { all }) => {
  const filled: Record<string, string> = {};
  for (let number = 0; number < 2000; number++) filled["k".repeat(400) + number] = "v".repeat(1000);
  for (let number = 0; number < 150; number++) console.log("l".repeat(number ? 400 : 3000) + number);
  all.set(filled);
});
export default pattern<{ all: Default<Record<string, string>, {}> }>(({ all }) => ({
  [NAME]: "Large", all, bgUpdater: poll({ all }),
}));
"#;
    let file = host.write("large.tsx", source).unwrap().to_str().unwrap().to_owned();
    let shown = host.command(["charm", "test", &file]).unwrap().success().unwrap().stdout;
    assert!(shown.len() < 300_000, "{} bytes", shown.len());
    for (count, what) in [(50, "log lines"), (1_900, "changes")] {
        let rest = format!("… and {count} more {what}; `charm test --json` prints all of them");
        assert!(shown.lines().any(|line| line.trim_start() == rest), "{rest}: {}", shown.len());
    }
    let all = host.command(["charm", "test", &file, "--json"]).unwrap().success().unwrap().stdout;
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["polls"][0]["changes"].as_array().unwrap().len(), 2_000);
    assert_eq!(all["polls"][0]["log"].as_array().unwrap().len(), 150);
}
