//! Whose fault it is: a case for each row of the tables in `docs/polling.md`, by the real path. What follows from a
//! poll is what its row says, and the operator reads why.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bg_poller::Cause;
use bg_test_support::{Finished, RawAnswer, RawServer, TestHost};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::{SOON, component, deploy, fixture, host, register};
use crate::failing::{GROW, LOOP, PERMANENT, TABLE, TRAP};
use crate::guest::guest;

/// `ok(false)`: there are zeros at address 48.
const UNFIT: &str = "(i32.const 48)";
/// A temporary error, `no way`: the first case of the inner variant.
pub(crate) const TEMPORARY: &str = "(i32.store8 (i32.const 48) (i32.const 1)) (i32.store (i32.const 56) (i32.const 128)) \
                         (i32.store (i32.const 60) (i32.const 6)) (i32.const 48)";

/// A charm that ends its polls as its input says.
const CHARM: &str = r#"/// <cts-enable />
import { Cell, Default, handler, NAME, pattern } from "commontools";

const act = handler<unknown, { does: string; url: string; kept: Cell<string> }>(async (_event, { does, url, kept }) => {
  if (does === "throws") throw new Error("thrown on purpose");
  if (does === "rejects") await Promise.reject(new TypeError("rejected on purpose"));
  if (does === "loops") for (;;) {}
  if (does === "grows") for (let text = "more"; ; ) text += text;
  if (does === "writes") kept.set("more");
  if (does === "writes much") kept.set("more".repeat(5_000));
  if (does === "fetches") await fetch(url);
  if (does === "waits") for (;;) await fetch(url).catch(() => undefined);
  if (does === "says the status") {
    const response = await fetch(url);
    if (!response.ok) throw new Error("status " + response.status);
  }
  if (does === "passes the response on") throw new Error("no news", { cause: await fetch(url) });
  if (does === "wraps the error") {
    try {
      await fetch(url);
    } catch (cause) {
      throw new Error("no news", { cause });
    }
  }
  if (does === "throws its own") {
    const response = await fetch(url).catch(() => undefined);
    throw new Error(response === undefined ? "my own, after a failure" : "my own, after an answer");
  }
  if (does === "sends a header") await fetch(url, { headers: { "X-Forwarded-For": "10.0.0.1" } });
});

export default pattern<{ does: Default<string, "nothing">; url: Default<string, "">; kept: Default<string, ""> }>(
  ({ does, url, kept }) => ({ [NAME]: "Does", kept, bgUpdater: act({ does, url, kept }) }),
);
"#;

/// How the charm of a case is made.
#[derive(Clone, Copy, Debug)]
enum By {
    /// [`CHARM`], which does this.
    Handler(&'static str),
    /// The same, with a URL: a path of a server whose origin is granted.
    Granted(&'static str),
    /// The same, with a URL that the server answers with this status, or not at all.
    Answered(&'static str, &'static str),
    /// A component whose `is-valid-charm` does this.
    Component(&'static str),
    /// The token service: the token of its charm has ended, and a renewal is answered with this.
    Tokens(&'static str, &'static str),
    /// One cell more than a charm may have, and a handler that writes.
    ManyCells,
    /// A damaged cell.
    DamagedCell,
    /// No stream that a poll could be sent to.
    NoStream,
    /// A token that has ended, and no refresh token.
    NoRefreshToken,
    /// A separate test, below.
    Alone,
}
use By::{Alone, Answered, Component, DamagedCell, Granted, Handler, ManyCells, NoRefreshToken, NoStream, Tokens};

/// Part of what a row says of how a poll ends, how this case makes a poll end so, its outcome, and what the operator
/// reads.
const CASES: &[(&str, &str, By, &str, &str)] = &[
    ("and what it started, is done", "done", Handler("nothing"), "Success", ""),
    ("throws, or a promise", "throws", Handler("throws"), "HandlerFailed", "thrown on purpose"),
    ("throws, or a promise", "rejects", Handler("rejects"), "HandlerFailed", "rejected on purpose"),
    ("throws, or a promise", "caught", Handler("throws its own"), "HandlerFailed", "(before that: "),
    ("throws, or a promise", "caught-500", Answered("throws its own", "500 Oops"), "HandlerFailed", "after an answer"),
    ("throws, or a promise", "caught-silence", Answered("throws its own", ""), "HandlerFailed", "after a failure"),
    ("throws, or a promise", "says-404", Answered("says the status", "404 Not Found"), "HandlerFailed", "status 404"),
    ("exceeds a limit of time, memory", "loops", Handler("loops"), "Timeout", "took longer than"),
    ("a request of the handler gets no answer", "waits", Alone, "Unavailable", "had not answered its request"),
    ("exceeds a limit of time, memory", "grows", Handler("grows"), "OutOfMemory", "memory"),
    ("exceeds a limit of time, memory", "writes", ManyCells, "LimitExceeded", "and may have 1000"),
    ("exceeds a limit of time, memory", "signer-bytes", Alone, "LimitExceeded", "--max-signer-bytes"),
    ("finds no room", "min-free", Alone, "LimitExceeded", "--min-free"),
    ("finds no room", "max-bytes", Alone, "LimitExceeded", "--max-bytes"),
    ("finds the charm unfit", "unfit", Component(UNFIT), "Invalid", "finds the charm unfit"),
    ("finds the charm unfit", "damaged-cell", DamagedCell, "Invalid", "the cell kept of"),
    ("the charm is gone, or has no stream", "no-stream", NoStream, "NoStream", "has no stream"),
    ("the charm is gone, or has no stream", "gone", Alone, "NotFound", "no charm"),
    ("sends what no grant could allow", "header", Granted("sends a header"), "Denied", "header"),
    ("turn does not come", "damaged-access", Alone, "Unavailable", "access"),
    ("the component traps", "trap", Component(TRAP), "Trapped", "is-valid-charm of the integration trap"),
    ("the component traps", "loop", Component(LOOP), "Timeout", "is-valid-charm took longer than"),
    ("the component traps", "grow", Component(GROW), "OutOfMemory", "of memory"),
    ("the component traps", "table", Component(TABLE), "LimitExceeded", "elements"),
    ("the component traps", "permanent", Component(PERMANENT), "HandlerFailed", "no way"),
    ("reports a temporary failure", "temporary", Component(TEMPORARY), "Unavailable", "no way"),
    ("credential is missing", "no-refresh-token", NoRefreshToken, "Denied", "authorize it again"),
    (
        "credential is missing",
        "invalid-grant",
        Tokens("400 Bad Request", r#"{"error": "invalid_grant"}"#),
        "Denied",
        "(invalid_grant): the authorization has ended",
    ),
    ("credential is missing", "says-401", Answered("says the status", "401 Unauthorized"), "Denied", "status 401"),
    (
        "credential is missing",
        "says-403-scope",
        Answered("says the status", "403 Forbidden\r\nWWW-Authenticate: Bearer error=\"insufficient_scope\""),
        "Denied",
        "status 403",
    ),
    (
        "a request of it is answered 403",
        "says-403",
        Answered("says the status", "403 Forbidden"),
        "Denied",
        "status 403",
    ),
    (
        "a request of it is answered 403",
        "cause-403",
        Answered("passes the response on", "403 Forbidden"),
        "Denied",
        "127.0.0.1 answered 403 Forbidden",
    ),
    (
        "throws, or a promise",
        "caught-403",
        Answered("throws its own", "403 Forbidden"),
        "HandlerFailed",
        "after an answer",
    ),
    (
        "a request of the handler gets no answer",
        "says-503",
        Answered("says the status", "503 Service Unavailable"),
        "Unavailable",
        "status 503",
    ),
    (
        "a request of the handler gets no answer",
        "cause-503",
        Answered("passes the response on", "503 Service Unavailable"),
        "Unavailable",
        "127.0.0.1 answered 503 Service Unavailable",
    ),
    (
        "a request of the handler gets no answer",
        "says-429",
        Answered("says the status", "429 Too Many Requests"),
        "Unavailable",
        "status 429",
    ),
    ("a request of the handler gets no answer", "silence", Answered("fetches", ""), "Unavailable", "fetch failed"),
    ("sends what is not granted", "wrapped", Handler("wraps the error"), "Denied", "--allow-charm-http"),
    ("sends what is not granted", "no-grant", Handler("fetches"), "Denied", "--allow-charm-http"),
    ("sends what is not granted", "no-access", Alone, "Denied", "AuthorizationError"),
    ("sends what is not granted", "no-refresh-url", Alone, "Denied", "--oauth-refresh-url"),
    (
        "sends what is not granted",
        "invalid-client",
        Tokens("401 Unauthorized", r#"{"error": "invalid_client"}"#),
        "Denied",
        "does not accept the OAuth client",
    ),
    (
        "sends what is not granted",
        "unauthorized-client",
        Tokens("400 Bad Request", r#"{"error": "unauthorized_client"}"#),
        "Denied",
        "does not accept the OAuth client",
    ),
    ("the token service does not answer", "token-away", Tokens("", ""), "Unavailable", "does not answer"),
    (
        "the token service does not answer",
        "token-429",
        Tokens("429 Too Many Requests", r#"{"error": "slow down"}"#),
        "Unavailable",
        "says 429 Too Many Requests",
    ),
    ("the token service does not answer", "token-408", Tokens("408 Request Timeout", ""), "Unavailable", "says 408"),
    ("the token service does not answer", "token-425", Tokens("425 Too Early", ""), "Unavailable", "says 425"),
    (
        "the token service does not answer",
        "token-503",
        Tokens("503 Service Unavailable", ""),
        "Unavailable",
        "says 503",
    ),
    (
        "the token service does not answer",
        "token-400",
        Tokens("400 Bad Request", r#"{"error": "Failed to refresh token"}"#),
        "Unavailable",
        "without a reason",
    ),
    (
        "the token service does not answer",
        "token-odd",
        Tokens("200 OK", "[]"),
        "Unavailable",
        "answers without a tokenInfo.token",
    ),
    ("the charm runtime does not answer", "runtime-away", Alone, "Unavailable", "the charm runtime is unavailable"),
];

/// The cause of each case that is no success.
const CAUSES: &[(&str, &str)] = &[
    ("throws", "handler-threw"),
    ("rejects", "handler-threw"),
    ("caught", "handler-threw"),
    ("caught-500", "handler-threw"),
    ("caught-silence", "handler-threw"),
    ("says-404", "handler-threw"),
    ("loops", "handler-time"),
    ("waits", "too-slow"),
    ("grows", "handler-memory"),
    ("writes", "charm-full"),
    ("signer-bytes", "owner-full"),
    ("min-free", "disk-full"),
    ("max-bytes", "database-full"),
    ("unfit", "unfit"),
    ("damaged-cell", "damaged"),
    ("no-stream", "no-stream"),
    ("gone", "gone"),
    ("header", "never-allowed"),
    ("damaged-access", "space-damaged"),
    ("trap", "component-trapped"),
    ("loop", "component-time"),
    ("grow", "component-memory"),
    ("table", "component-limit"),
    ("permanent", "component-failed"),
    ("temporary", "component-temporary"),
    ("no-refresh-token", "sign-in-missing"),
    ("invalid-grant", "sign-in-ended"),
    ("says-401", "unauthorized"),
    ("says-403-scope", "scope-missing"),
    ("says-403", "forbidden"),
    ("cause-403", "forbidden"),
    ("caught-403", "handler-threw"),
    ("says-503", "server-fails"),
    ("cause-503", "server-fails"),
    ("says-429", "too-many-requests"),
    ("silence", "bad-answer"),
    ("wrapped", "not-granted"),
    ("no-grant", "not-granted"),
    ("no-access", "no-access"),
    ("no-refresh-url", "no-refresh-url"),
    ("invalid-client", "wrong-client"),
    ("unauthorized-client", "wrong-client"),
    ("token-away", "token-service-fails"),
    ("token-429", "token-service-busy"),
    ("token-408", "token-service-busy"),
    ("token-425", "token-service-busy"),
    ("token-503", "token-service-fails"),
    ("token-400", "token-service-silent"),
    ("token-odd", "token-service-fails"),
    ("runtime-away", "runtime-away"),
];

/// Rows that other tests show: part of the row, one of its outcomes (or none: all), the file, the test.
const ELSEWHERE: &[(&str, &str, &str, &str)] = &[
    (
        "exceeds a limit of time, memory",
        "Trapped",
        "host/charm-runtime/src/local/tests/triggering.rs",
        "a_failed_handler_leaves_its_outcome_and_no_write",
    ),
    (
        "this program has a fault",
        "Timeout",
        "host/charm-runtime/src/local/tests/blame.rs",
        "a_poll_without_any_answer_counts_against_nobody",
    ),
    ("this program has a fault", "Trapped", "host/poller/tests/polling/failures.rs", "a_panic_in_a_poll_is_an_outcome"),
    (
        "this program has a fault",
        "Unavailable",
        "host/poller/tests/polling/blame.rs",
        "what_fails_for_reasons_elsewhere_is_tried_again_ever_more_rarely_and_costs_nothing",
    ),
    (
        "`fetch-charms` five times in a row",
        "",
        "tests/failing.rs",
        "a_component_whose_every_call_fails_is_paused_beside_one_that_works",
    ),
    (
        "the charm runtime, while the service runs",
        "",
        "tests/runtime.rs",
        "after_any_answer_of_the_runtime_polling_pauses_and_continues_once_it_recovers",
    ),
    ("the charm runtime at the start", "", "tests/blame.rs", "a_runtime_that_is_away_at_the_start_ends_the_service"),
    ("access to the system space", "", "tests/blame.rs", "a_service_without_access_to_the_system_space_waits_for_it"),
    (
        "the database, or its disk, while the service runs",
        "",
        "tests/disk.rs",
        "a_service_whose_disk_becomes_full_says_so_and_continues_when_there_is_room",
    ),
    (
        "a row of the database that is damaged",
        "",
        "tests/damaged.rs",
        "a_damaged_registration_is_seen_wherever_the_operator_looks_and_the_others_are_polled",
    ),
    (
        "the database at the start",
        "",
        "host/store-sqlite/src/open.rs",
        "what_is_not_our_database_is_refused_with_a_reason_and_left_alone",
    ),
];

/// A row: how a poll ends, its outcomes, whose fault it is, and what follows.
#[derive(Clone, Debug)]
struct Row {
    how: String,
    outcomes: Vec<String>,
    blame: Option<String>,
    follows: String,
}

/// The rows of the table that begins with this head, as lists of their cells.
fn table(head: &str) -> Vec<Vec<String>> {
    let doc = include_str!("../docs/polling.md");
    let rows = doc.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn rows() -> Vec<Row> {
    let rows = table("| how a poll ends | outcome | to blame | what follows |");
    let row = |cells: Vec<String>| {
        let [how, outcomes, blame, follows] = cells.try_into().unwrap();
        let outcomes = outcomes.split(", ").map(|outcome| outcome.trim_matches('`').to_owned()).collect();
        Row { how, outcomes, blame: Some(blame).filter(|blame| blame != "–"), follows }
    };
    rows.into_iter().map(row).collect()
}

/// The one row of which that is a part.
#[track_caller]
fn row(part: &str) -> Row {
    let [row] = rows().into_iter().filter(|row| row.how.contains(part)).collect::<Vec<_>>().try_into().expect(part);
    row
}

#[test]
fn every_row_of_the_tables_has_a_case_and_every_case_a_row() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let others: Vec<String> =
        table("| what else fails | what happens |").into_iter().map(|row| row[0].clone()).collect();
    let all: Vec<String> = rows().into_iter().map(|row| row.how).chain(others.clone()).collect();
    let mut shown: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
    let cases = CASES.iter().map(|(part, _, _, outcome, _)| (part, outcome));
    for (part, outcome) in cases.chain(ELSEWHERE.iter().map(|(part, outcome, ..)| (part, outcome))) {
        let of = all.iter().filter(|how| how.contains(*part)).collect::<Vec<_>>();
        let [how] = of[..] else { panic!("{part}: a part of {} rows", of.len()) };
        shown.entry(how).or_default().push(outcome);
    }
    for row in rows() {
        let shown = shown.get(&row.how).unwrap_or_else(|| panic!("no case for the row {:?}", row.how));
        for outcome in &row.outcomes {
            assert!(shown.contains(&outcome.as_str()), "no case for {outcome} of the row {:?}", row.how);
        }
        assert!(shown.iter().all(|outcome| row.outcomes.iter().any(|known| known == outcome)), "{shown:?}: {row:?}");
    }
    for other in &others {
        assert!(shown.contains_key(other), "no case for the row {other:?}");
    }
    for (part, _, file, test) in ELSEWHERE {
        let text = std::fs::read_to_string(workspace.join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{part}: there is no {test} in {file}");
    }
}

/// What a command prints as JSON.
fn printed(host: &TestHost, args: &[&str]) -> Value {
    let printed = host.command(args).unwrap().success().unwrap();
    serde_json::from_str(&printed.stdout).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The log's line about that charm's poll. Of polls that fail since something does not answer, one a minute is logged.
fn line_about(log: &str, charm: &str) -> Option<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut polls = lines.filter(|line| line["outcome"].is_string());
    polls.find(|line| line["message"].as_str().is_some_and(|text| text.contains(charm)))
}

/// Failures that count, the state, and in how many seconds the next poll is, with an interval of a minute.
fn expected(follows: &str) -> (u64, &'static str, std::ops::RangeInclusive<u64>) {
    // Less up to a tenth, and less what the poll took.
    match follows {
        "clears the charm's failures" => (0, "running", 0..=60),
        "counts, and backs off" => (1, "backing off", 98..=120),
        "backs off; pauses the integration after five charms" => (1, "failing", 98..=120),
        "waits for a change" => (0, "waiting", 3_580..=3_600),
        "is tried again, and does not count" => (0, "failing", 98..=120),
        "does not count; pauses the loop if the runtime is away" => (0, "running", 30..=60),
        other => panic!("{other}"),
    }
}

/// Of a poll that the log has: its outcome, whose fault it was, and what followed, are what the row says.
fn log_says(log: &str, charm: &str, case: &str, row: &Row, outcome: &str, reason: &str) {
    let Some(line) = line_about(log, charm) else {
        assert!(outcome == "Unavailable" && log.contains("\"outcome\":\"Unavailable\""), "{case}: {log}");
        return;
    };
    assert_eq!(line["outcome"], outcome, "{case}: {line}");
    let (failures, _, wait) = expected(&row.follows);
    if outcome != "Success" {
        assert_eq!(line["blame"].as_str(), row.blame.as_deref(), "{case}: {line}");
        assert_eq!(line["failures"], failures, "{case}: {line}");
        let because = cause(case);
        assert_eq!(
            (&line["cause"], &line["fix"]),
            (&json!(because.as_str()), &json!(advice(because, charm, case))),
            "{case}"
        );
        assert!(line["message"].as_str().unwrap().contains(reason), "{case}: {line}");
        let next = line["next_in"].as_str().and_then(|next| next.strip_suffix(" s")).unwrap().parse().unwrap();
        assert!(wait.contains(&next), "{case}: {line}");
    }
}

/// What the operator sees of it.
fn is_seen(host: &TestHost, charm: &str, case: &str, row: &Row, outcome: &str, reason: &str) {
    let (_, state, _) = expected(&row.follows);
    let listed = printed(host, &["list", "--json"]);
    let of = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| charm == format!("{}/{}", one["space"].as_str().unwrap(), one["charmId"].as_str().unwrap()));
    let of = of.unwrap_or_else(|| panic!("{case}: {listed}"));
    assert_eq!((&of["lastOutcome"], of["lastBlame"].as_str()), (&json!(outcome), row.blame.as_deref()), "{case}: {of}");
    assert_eq!((&of["state"], &of["disabledAt"]), (&json!(state), &json!(0)), "{case}: {of}");
    assert!(of["status"].as_str().unwrap().contains(reason), "{case}: {of}");
    let shown = host.command(["show", charm]).unwrap().success().unwrap().stdout;
    let status = shown.lines().find(|line| line.starts_with("status ")).unwrap();
    assert!(shown.contains(&format!("state        {state}\n")) && status.contains(reason), "{case}: {shown}");
    let run = &printed(host, &["runs", charm, "--json"])[0]["outcome"];
    assert_eq!((&run["kind"], run["blame"].as_str()), (&json!(outcome), row.blame.as_deref()), "{case}: {run}");
    if outcome == "Success" {
        assert_eq!((&of["fix"], shown.contains("\nto fix it ")), (&Value::Null, false), "{case}: {shown}");
        return;
    }
    // The same advice wherever somebody looks.
    let because = cause(case);
    let fix = advice(because, charm, case);
    assert_eq!((&of["lastCause"], &run["cause"]), (&json!(because.as_str()), &json!(because.as_str())), "{case}: {of}");
    assert_eq!(of["fix"], fix, "{case}: {of}");
    assert!(shown.contains(&format!("\nto fix it    {fix}\n")), "{case}: {shown}");
}

/// The cause of a case.
fn cause(case: &str) -> Cause {
    let (_, name) = CAUSES.iter().find(|(known, _)| *known == case).unwrap_or_else(|| panic!("no cause of {case}"));
    Cause::of_name(name).unwrap_or_else(|| panic!("{name} is no cause"))
}

/// What to do about it. A case is registered for an integration of its own name, or for `mine`.
fn advice(of: Cause, charm: &str, case: &str) -> String {
    let alone = CASES.iter().any(|(_, known, by, ..)| *known == case && matches!(by, Alone));
    of.advice().replace("CHARM", charm).replace("INTEGRATION", if alone { "mine" } else { case })
}

/// An expired token with this refresh token.
fn expired(refresh: &str) -> Value {
    json!({"auth": {"token": "old-token", "refreshToken": refresh, "expiresAt": 1}})
}

/// A token service. Its answer depends on the refresh token, which is the name of a case.
fn tokens() -> RawServer {
    RawServer::start(|request| {
        let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let case = asked["refreshToken"].as_str().unwrap_or_default();
        let answer = CASES.iter().find_map(|(_, name, by, ..)| match by {
            Tokens(status, body) if *name == case => Some((*status, *body)),
            _ => None,
        });
        match answer {
            Some(("", _)) | None => RawAnswer::Close,
            Some((status, body)) => RawAnswer::new(status, "Content-Type: application/json\r\n", body),
        }
    })
    .unwrap()
}

/// A server whose answer to a path is that of the case of that name.
fn answering() -> RawServer {
    RawServer::start(|request| {
        let path = request.target.trim_start_matches('/');
        let status = CASES.iter().find_map(|(_, name, by, ..)| match by {
            Answered(_, status) if *name == path => Some(*status),
            _ => None,
        });
        match status {
            Some("") => RawAnswer::Close,
            status => RawAnswer::new(status.unwrap_or("200 OK"), "", "x"),
        }
    })
    .unwrap()
}

/// Deploys and registers the charm of a case; answers it, and its component if it has one.
fn made(host: &TestHost, source: &str, server: &str, case: &str, by: By) -> (String, Option<String>) {
    let does = |does: &str| json!({"does": does, "url": format!("{server}/x")});
    let mail = fixture("gmail.tsx");
    let (source, inputs) = match by {
        Handler(what) | Granted(what) => (source, does(what)),
        Answered(what, _) => (source, json!({"does": what, "url": format!("{server}/{case}")})),
        ManyCells => (source, does("writes")),
        Component(_) | DamagedCell | NoStream => (source, does("nothing")),
        Tokens(..) => (mail.as_str(), expired(case)),
        NoRefreshToken => (mail.as_str(), expired("")),
        Alone => unreachable!("{case}"),
    };
    let charm = deploy(host, source, case, &inputs);
    register(host, &charm, case);
    let component = match by {
        Component(valid) => Some(guest(host, case, &[&charm], None, valid)),
        _ => None,
    };
    if matches!(by, NoStream) {
        host.command(["charm", "deploy", &fixture("no-updater.tsx"), "--update", &charm]).unwrap().success().unwrap();
    }
    if matches!(by, ManyCells) {
        damage(
            host,
            &charm,
            "INSERT INTO cells (charm, name, sealed, document) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
             SELECT (SELECT row FROM charms WHERE space = ?1), 'more ' || i, 0, x'30' FROM n",
        );
    }
    if matches!(by, DamagedCell) {
        damage(
            host,
            &charm,
            "UPDATE cells SET document = x'ff' WHERE name = 'kept' AND charm = (SELECT row FROM charms WHERE space = ?1)",
        );
    }
    (charm, component)
}

fn damage(host: &TestHost, charm: &str, statement: &str) {
    let database = Connection::open(host.data_dir().join("runtime.db")).unwrap();
    database.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let space = charm.split('/').next().unwrap();
    assert!(database.execute(statement, [space]).unwrap() > 0, "{statement}");
}

#[test]
fn each_way_in_which_a_poll_ends_has_the_outcome_the_blame_the_wait_and_the_reason_of_its_row() {
    let host = host();
    let (tokens, ungranted) = (tokens(), RawServer::start(|_| RawAnswer::new("200 OK", "", "x")).unwrap());
    let granted = answering();
    let [tokens_at, granted_at, ungranted_at] =
        [&tokens, &granted, &ungranted].map(|server| format!("http://{}", server.address()));
    let source = host.write("does.tsx", CHARM).unwrap();
    let (mut charms, mut components) = (BTreeMap::new(), Vec::new());
    for (_, case, by, ..) in CASES.iter().filter(|(_, _, by, ..)| !matches!(by, Alone)) {
        let server = if matches!(by, Granted(_) | Answered(..)) { &granted_at } else { &ungranted_at };
        let (charm, component) = made(&host, source.to_str().unwrap(), server, case, *by);
        components.extend(component);
        charms.insert(*case, charm);
    }
    let config = format!(
        "components = {components:?}\noauth-refresh-url = \"{tokens_at}/refresh\"\n\
         allow-private = [\"{granted_at}\", \"{ungranted_at}\"]\nallow-charm-http = [\"{granted_at}\"]\n\
         [limits]\ncharm-time = \"15s\"\nis-valid-charm-time = \"500ms\"\n"
    );
    host.write("service.toml", config).unwrap();
    let run =
        host.command(["run", "--once", "--config", "service.toml", "--log-format", "json"]).unwrap().failure().unwrap();
    let mut failed = Vec::new();
    for (part, case, _, outcome, reason) in CASES.iter().filter(|(_, _, by, ..)| !matches!(by, Alone)) {
        let (row, charm) = (row(part), &charms[case]);
        let shown = std::panic::catch_unwind(|| {
            log_says(&run.stderr, charm, case, &row, outcome, reason);
            is_seen(&host, charm, case, &row, outcome, reason);
        });
        if shown.is_err() {
            failed.push(case);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// The case of that name: its row, its outcome and the reason that the operator reads.
fn case(name: &str) -> (Row, &'static str, &'static str) {
    let (part, _, _, outcome, reason) = CASES.iter().find(|(_, case, ..)| *case == name).unwrap();
    (row(part), outcome, reason)
}

fn is_as_the_row_says(host: &TestHost, run: &Finished, charm: &str, name: &str) {
    let (row, outcome, reason) = case(name);
    log_says(&run.stderr, charm, name, &row, outcome, reason);
    is_seen(host, charm, name, &row, outcome, reason);
}

const ONCE: [&str; 4] = ["run", "--once", "--log-format", "json"];

#[test]
fn a_handler_whose_time_ends_before_its_server_answers_is_not_to_blame() {
    let host = host();
    let silent = RawServer::start(|_| RawAnswer::Silence).unwrap();
    let at = format!("http://{}", silent.address());
    let source = host.write("does.tsx", CHARM).unwrap();
    let inputs = json!({"does": "waits", "url": format!("{at}/news")});
    let charm = deploy(&host, source.to_str().unwrap(), "my-space", &inputs);
    register(&host, &charm, "mine");
    let granted = ["--limit", "charm-time=15s", "--allow-private", &at, "--allow-charm-http", &at];
    let run = host.command([&ONCE[..], &granted].concat()).unwrap();
    is_as_the_row_says(&host, &run, &charm, "waits");
}

#[test]
fn a_token_that_nobody_was_said_to_renew_is_the_operators_matter() {
    let host = host();
    let charm = deploy(&host, &fixture("gmail.tsx"), "my-space", &expired("r"));
    register(&host, &charm, "mine");
    let run = host.command(ONCE).unwrap();
    is_as_the_row_says(&host, &run, &charm, "no-refresh-url");
}

#[test]
fn a_limit_of_the_installation_is_the_operators_matter_and_a_quota_of_an_owner_is_the_charms() {
    for (name, option, value) in [
        ("min-free", "--min-free", "1000000TiB"),
        ("max-bytes", "--max-bytes", "1"),
        ("signer-bytes", "--max-signer-bytes", "1"),
    ] {
        let host = host();
        let source = host.write("does.tsx", CHARM).unwrap();
        let charm = deploy(&host, source.to_str().unwrap(), "my-space", &json!({"does": "writes much"}));
        register(&host, &charm, "mine");
        let owner = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        damage(&host, &charm, &format!("UPDATE holdings SET creator = '{owner}' WHERE space = ?1"));
        let run = host.command(ONCE.iter().chain(&[option, value])).unwrap();
        is_as_the_row_says(&host, &run, &charm, name);
    }
}

/// A charm in its own space, on a server where the operator's key has access to the registrations.
fn on_a_server(inputs: &Value) -> (TestHost, bg_test_support::Running, String) {
    let host = host();
    let source = host.write("does.tsx", CHARM).unwrap();
    let charm = deploy(&host, source.to_str().unwrap(), "my-space", inputs);
    register(&host, &charm, "mine");
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    (host, server, charm)
}

#[test]
fn what_access_to_its_space_does_to_a_charm_is_the_operators_matter_and_a_damaged_list_is_the_spaces() {
    for (name, statement) in [
        ("no-access", "DELETE FROM acl WHERE space = ?1"),
        ("damaged-access", "UPDATE acl SET level = 'all' WHERE space = ?1"),
    ] {
        let (host, server, charm) = on_a_server(&json!({}));
        damage(&host, &charm, statement);
        let run = host.command(ONCE).unwrap();
        is_as_the_row_says(&host, &run, &charm, name);
        server.terminate().unwrap().success().unwrap();
    }
}

#[test]
fn a_runtime_that_goes_away_during_a_poll_is_to_blame_for_it() {
    let (row, outcome, reason) = case("runtime-away");
    let (sender, asked) = std::sync::mpsc::channel();
    let silent = RawServer::start(move |_| {
        let _ = sender.send(());
        RawAnswer::Silence
    })
    .unwrap();
    let origin = format!("http://{}", silent.address());
    let host = host();
    let source = host.write("does.tsx", CHARM).unwrap();
    let inputs = json!({"does": "fetches", "url": format!("{origin}/x")});
    let charm = deploy(&host, source.to_str().unwrap(), "my-space", &inputs);
    register(&host, &charm, "mine");
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    let grants = ["--allow-private", &origin, "--allow-charm-http", &origin];
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"].iter().chain(&grants)).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let mut service = host.spawn(["run", "--log-format", "json"]).unwrap();
    asked.recv_timeout(SOON).unwrap();
    server.kill().unwrap();
    service.wait_for_line(|line| line.contains(&charm) && line.contains("failed: "), SOON).unwrap();
    // It may be found out before, by another request.
    let pauses = |line: &str| line.contains("polling pauses until it answers");
    if !service.lines().iter().any(|line| pauses(&line.text)) {
        service.wait_for_line(pauses, SOON).unwrap();
    }
    let ended = service.terminate().unwrap().success().unwrap();
    log_says(&ended.stderr, &charm, "runtime-away", &row, outcome, reason);
}

#[test]
fn a_charm_that_is_deleted_while_it_is_polled_is_gone() {
    let (row, outcome, reason) = case("gone");
    let (sender, asked) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let slow = RawServer::start(move |_| {
        let _ = sender.send(());
        let _ = gone.lock().unwrap().recv_timeout(SOON);
        RawAnswer::new("200 OK", "", "x")
    })
    .unwrap();
    let origin = format!("http://{}", slow.address());
    let host = host();
    let source = host.write("does.tsx", CHARM).unwrap();
    let inputs = json!({"does": "fetches", "url": format!("{origin}/x")});
    let charm = deploy(&host, source.to_str().unwrap(), "my-space", &inputs);
    register(&host, &charm, "mine");
    let grants = ["--allow-private", &origin, "--allow-charm-http", &origin];
    let mut service = host.spawn(["run", "--log-format", "json"].iter().chain(&grants)).unwrap();
    asked.recv_timeout(SOON).unwrap();
    host.command(["charm", "delete", &charm, "--yes"]).unwrap().success().unwrap();
    go.send(()).unwrap();
    let line = service.wait_for_line(|line| line.contains(&charm) && line.contains("failed: "), SOON).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    // There is no next one, nor anything to be seen in a list.
    assert_eq!((&line["outcome"], line["blame"].as_str()), (&json!(outcome), row.blame.as_deref()), "{line}");
    assert!(line["message"].as_str().unwrap().contains(reason), "{line}");
    assert_eq!(printed(&host, &["list", "--json"]), json!([]));
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn charms_that_wait_for_a_server_are_polled_again_when_it_answers_another_one() {
    let works = Arc::new(AtomicBool::new(false));
    let (now, (sender, asked)) = (works.clone(), std::sync::mpsc::channel());
    let server = RawServer::start(move |request| {
        let _ = sender.send(request.target.clone());
        let status = if now.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
        RawAnswer::new(status, "", "x")
    })
    .unwrap();
    let origin = format!("http://{}", server.address());
    let host = host();
    let source = host.write("does.tsx", CHARM).unwrap();
    let made = |name: &str| {
        let inputs = json!({"does": "says the status", "url": format!("{origin}/{name}")});
        let charm = deploy(&host, source.to_str().unwrap(), name, &inputs);
        register(&host, &charm, "mine");
        charm
    };
    let charms = ["space-a", "space-b", "space-c"].map(made);
    let options = ["--allow-private", &origin, "--allow-charm-http", &origin, "--interval", "1s"];
    let mut service = host.spawn(["run"].iter().chain(&options)).unwrap();
    let mut failed = BTreeSet::new();
    while failed.len() < charms.len() {
        failed.insert(asked.recv_timeout(SOON).unwrap());
    }
    works.store(true, Ordering::SeqCst);
    let fresh = made("space-d");
    let says = charms.iter().chain([&fresh]).map(|charm| format!("Successfully executed charm {charm}"));
    let says = says.chain([format!("{origin} answers again; the charms that wait for it are polled again: ")]);
    let left = RefCell::new(says.collect::<Vec<_>>());
    let is_last = |line: &str| {
        left.borrow_mut().retain(|awaited| !line.contains(awaited));
        left.borrow().is_empty()
    };
    service.wait_for_line(is_last, SOON).unwrap();
    service.terminate().unwrap().success().unwrap();
}

#[test]
fn a_runtime_that_is_away_at_the_start_ends_the_service() {
    let host = host();
    let ended = host.command(["run", "--api-url", "http://127.0.0.1:9"]).unwrap().failure().unwrap();
    assert!(ended.stderr.contains("the charm runtime is unavailable"), "{ended}");
}

#[test]
fn a_service_without_access_to_the_system_space_waits_for_it() {
    let host = host();
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    server.wait_for_line(|line| line.contains("listening on http://"), SOON).unwrap();
    let mut service = host.spawn(["run"]).unwrap();
    service.wait_for_line(|line| line.contains("AuthorizationError"), SOON).unwrap();
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    service.wait_for_line(|line| line.contains("The list of registrations can be read now"), SOON).unwrap();
    service.terminate().unwrap().success().unwrap();
    server.terminate().unwrap().success().unwrap();
}

/// What the token service answers to the renewal of a token that a server has refused, and the cause of that.
const RENEWALS: &[(&str, &str, &str, &str)] = &[
    ("invalid-grant", "400 Bad Request", r#"{"error": "invalid_grant"}"#, "sign-in-ended"),
    ("invalid-client", "401 Unauthorized", r#"{"error": "invalid_client"}"#, "wrong-client"),
    ("busy", "429 Too Many Requests", r#"{"error": "slow down"}"#, "token-service-busy"),
    ("fails", "503 Service Unavailable", "", "token-service-fails"),
    ("silent", "400 Bad Request", r#"{"error": "Failed to refresh token"}"#, "token-service-silent"),
    // It has no refresh token.
    ("", "200 OK", "", "sign-in-missing"),
];

/// The clock says that the tokens are good, so that nothing renews them before a component uses them.
#[test]
fn a_token_that_a_server_refuses_has_the_cause_for_which_it_cannot_be_renewed() {
    let host = host();
    let tokens = RawServer::start(|request| {
        let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let of = RENEWALS.iter().find(|(case, ..)| asked["refreshToken"] == *case);
        let (_, status, body, _) = of.unwrap_or_else(|| panic!("{asked}"));
        RawAnswer::new(status, "Content-Type: application/json\r\n", *body)
    })
    .unwrap();
    let accounts = RawServer::start(|_| RawAnswer::new("401 Unauthorized", "", "x")).unwrap();
    let [tokens_at, accounts_at] = [&tokens, &accounts].map(|server| format!("http://{}", server.address()));
    let charms: Vec<String> = RENEWALS
        .iter()
        .map(|(case, ..)| {
            let inputs = json!({"auth": {"token": "old-token", "refreshToken": case}});
            let charm = deploy(&host, &fixture("gmail.tsx"), &format!("space-{case}"), &inputs);
            register(&host, &charm, "news");
            charm
        })
        .collect();
    let (set, refresh) = (format!("news.api-base-url={accounts_at}"), format!("{tokens_at}/refresh"));
    let component = component("news");
    let run = ONCE.iter().copied().chain([
        "--component",
        &component,
        "--set",
        &set,
        "--grant",
        "requested",
        "--allow-private",
        &accounts_at,
        "--allow-private",
        &tokens_at,
        "--oauth-refresh-url",
        &refresh,
        "--limit",
        "is-valid-charm-time=30s",
    ]);
    let log = host.command(run).unwrap().failure().unwrap().stderr;
    let listed = printed(&host, &["list", "--json"]);
    for ((case, _, _, name), charm) in RENEWALS.iter().zip(&charms) {
        let cause = Cause::of_name(name).unwrap();
        let fix = cause.advice().replace("CHARM", charm);
        let all = listed.as_array().unwrap();
        let of = all.iter().find(|one| charm.ends_with(one["charmId"].as_str().unwrap())).unwrap();
        let seen = (&of["lastCause"], &of["lastBlame"], &of["fix"]);
        assert_eq!(seen, (&json!(name), &json!(cause.blame().as_str()), &json!(fix)), "{case}: {of}");
        let status = of["status"].as_str().unwrap();
        assert!(status.contains("answered 401 Unauthorized, and the token cannot be renewed: "), "{case}: {of}");
        let waits = cause.blame() != bg_poller::Blame::Upstream;
        assert_eq!((&of["state"], &of["disabledAt"]), (&json!(if waits { "waiting" } else { "failing" }), &json!(0)));
        // Of polls that something keeps from an answer, one a minute is logged.
        if waits {
            let line = line_about(&log, &format!("Charm {charm} failed: ")).unwrap();
            assert_eq!((&line["cause"], &line["fix"]), (&json!(name), &json!(fix)), "{case}: {line}");
        }
        let renewal = format!("The OAuth token of {charm} was refused by a server, and cannot be renewed: ");
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let said: Vec<Value> =
            lines.filter(|line| line["message"].as_str().is_some_and(|text| text.contains(&renewal))).collect();
        let [line] = &said[..] else { panic!("{case}: {said:?}") };
        assert_eq!((&line["cause"], &line["fix"]), (&json!(name), &json!(fix)), "{case}: {line}");
    }
}
